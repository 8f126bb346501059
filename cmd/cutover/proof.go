package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

const (
	// proofEvery is the time between two rounds of K requests, so that proof
	// stays a trickle beside production's traffic.
	proofEvery = time.Second
	// logDelay is how long a gateway may take to write a request to its log.
	logDelay = 3 * time.Second
)

// prove is the run's Prover: requests through the load balancer, each with a
// nonce in its User-Agent, found again in the access log of the gateway pod
// that answered; where logs cannot tell, by the certificate where the sides
// differ; else it says that the side cannot be told.
func (l *live) prove(ctx context.Context, host model.HostKey, to model.SideName, after time.Time, report func(run.Proving)) run.Proving {
	targets := l.throughLoadBalancers(host)
	if len(targets) == 0 {
		return run.Proving{Proof: model.ProofUnconfirmed, Detail: "switched, side unconfirmed: no listener of a load balancer to ask through"}
	}
	method, why := l.method(ctx, host, to)
	if method == nil {
		return run.Proving{Proof: model.ProofUnconfirmed, Detail: "switched, side unconfirmed: " + why}
	}
	if wait := time.Until(after); wait > 0 { // The requests must begin after the change.
		time.Sleep(min(wait, time.Second))
	}
	for _, t := range targets {
		if got := l.proveTarget(ctx, t, to, method, report); got.Proof != model.ProofProven {
			return got
		}
	}
	return run.Proving{Proof: model.ProofProven, Detail: fmt.Sprintf("proven on %s by %s, %d of %d", to, method.name, model.K, model.K)}
}

// proofMethod tells which side answered requests.
type proofMethod struct {
	name string
	// sides says for each nonce which side answered, "" when it was not seen.
	sides func(ctx context.Context, since time.Time, asked []asked) ([]model.SideName, error)
}

// asked is one request that was sent for proof.
type asked struct {
	nonce  string
	result model.ProbeResult
}

// proveTarget asks in rounds until K requests in a row were answered by the side.
func (l *live) proveTarget(ctx context.Context, t model.ProbeTarget, to model.SideName, m *proofMethod, report func(run.Proving)) run.Proving {
	row, trouble := 0, ""
	unproven := func() run.Proving {
		detail := fmt.Sprintf("switched, unproven: %d of %d by %s", row, model.K, m.name)
		if trouble != "" {
			detail += "; " + trouble
		}
		return run.Proving{Proof: model.ProofUnproven, Detail: detail}
	}
	for first := true; ; first = false {
		if !first && !sleep(ctx, proofEvery) {
			return unproven()
		}
		began := time.Now()
		var round []asked
		for range model.K - row {
			n := nonce()
			p := l.prober
			p.UserAgent = n
			round = append(round, asked{n, p.Probe(ctx, t)})
		}
		if balancerAnswered(round) {
			return run.Proving{Proof: model.ProofUnconfirmed, Detail: "switched, side unconfirmed: the load balancer answers itself (authentication or a redirect), no gateway is asked"}
		}
		sides, err := m.sides(ctx, began, round)
		if ctx.Err() != nil {
			return unproven()
		}
		trouble = ""
		if err != nil {
			trouble = model.Line(err.Error())
			continue
		}
		for i, side := range sides {
			switch {
			case side == to:
				row++
			case round[i].result.Error != nil:
				row, trouble = 0, "through the load balancer: "+round[i].result.Error.Message
			case side == "":
				row, trouble = 0, "a request was answered, but not seen on either side"
			default:
				row, trouble = 0, "still answered by "+string(side)
			}
		}
		if row >= model.K {
			return run.Proving{Proof: model.ProofProven}
		}
		report(unproven())
	}
}

// balancerAnswered reports that every answer came from the load balancer
// itself: it redirects and no gateway has put its name on it.
func balancerAnswered(round []asked) bool {
	return !slices.ContainsFunc(round, func(a asked) bool {
		return a.result.Error != nil || a.result.Envoy || a.result.Backend || a.result.Status/100 != 3
	})
}

// method finds out beforehand by what the sides can be told.
func (l *live) method(ctx context.Context, host model.HostKey, to model.SideName) (*proofMethod, string) {
	byLog, why := l.byAccessLog(ctx, host, to)
	if byLog != nil {
		return byLog, ""
	}
	if byCertificate := l.byCertificate(host); byCertificate != nil {
		return byCertificate, ""
	}
	return nil, why + ", and the certificate that clients see does not tell the sides apart"
}

// byAccessLog sends a nonce straight to a NodePort, whose side is known, and
// looks whether that side's access log holds it.
func (l *live) byAccessLog(ctx context.Context, host model.HostKey, to model.SideName) (*proofMethod, string) {
	lane, _ := l.snapshot().Lane(host.Lane)
	pods := slices.Concat(lane.Old.Pods, lane.New.Pods)
	if len(lane.Side(to).Pods) == 0 {
		return nil, "no ready gateway pod is known on " + string(to)
	}
	direct := l.nodePort(host, to)
	if direct == nil {
		return nil, "no NodePort of " + string(to) + " to try the access log with"
	}
	began := time.Now()
	n := nonce()
	p := l.prober
	p.UserAgent = n
	if r := p.Probe(ctx, *direct); r.Error != nil {
		return nil, "the access log could not be tried, as the NodePort does not answer: " + r.Error.Message
	}
	found, err := l.findNonces(ctx, lane.Side(to).Pods, began, []string{n})
	if err != nil {
		return nil, "the access log cannot be read: " + model.Line(err.Error())
	}
	if len(found) == 0 {
		return nil, "the gateways write no access log that shows requests"
	}
	return &proofMethod{name: "access log", sides: func(ctx context.Context, since time.Time, round []asked) ([]model.SideName, error) {
		nonces := make([]string, len(round))
		for i, a := range round {
			nonces[i] = a.nonce
		}
		found, err := l.findNonces(ctx, pods, since, nonces)
		out := make([]model.SideName, len(round))
		for i, n := range nonces {
			switch pod, ok := found[n]; {
			case !ok:
			case slices.Contains(lane.New.Pods, pod):
				out[i] = model.New
			default:
				out[i] = model.Old
			}
		}
		return out, err
	}}, ""
}

// findNonces looks for nonces in the pods' logs, giving the logs time.
func (l *live) findNonces(ctx context.Context, pods []model.ObjectName, since time.Time, nonces []string) (map[string]model.ObjectName, error) {
	deadline := time.Now().Add(logDelay)
	for {
		// Log times have whole seconds in the API, and clocks differ a little.
		found, err := l.kube.FindInLogs(ctx, pods, since.Add(-5*time.Second), nonces)
		if err != nil || len(found) == len(nonces) || time.Now().After(deadline) {
			return found, err
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return found, ctx.Err()
		}
	}
}

// byCertificate tells the sides by the certificates that their NodePorts
// present, where clients see them and they differ.
func (l *live) byCertificate(host model.HostKey) *proofMethod {
	shown := map[model.SideName]map[string]bool{model.Old: {}, model.New: {}}
	for t, results := range l.engine.View().Evidence {
		side := model.SideName(t.Path)
		if t.Host != host || shown[side] == nil || !t.SNI || len(results) == 0 {
			continue
		}
		if r := results[len(results)-1]; r.TLS != nil {
			shown[side][r.TLS.SHA256] = true
		}
	}
	if len(shown[model.Old]) != 1 || len(shown[model.New]) != 1 {
		return nil
	}
	side := map[string]model.SideName{}
	for s, shas := range shown {
		for sha := range shas {
			side[sha] = s
		}
	}
	if len(side) != 2 {
		return nil // Both show the same: the application's own.
	}
	return &proofMethod{name: "certificate", sides: func(_ context.Context, _ time.Time, round []asked) ([]model.SideName, error) {
		out := make([]model.SideName, len(round))
		for i, a := range round {
			if a.result.TLS != nil {
				out[i] = side[a.result.TLS.SHA256]
			}
		}
		return out, nil
	}}
}

// nodePort is a NodePort target of the side to try things on.
func (l *live) nodePort(host model.HostKey, side model.SideName) *model.ProbeTarget {
	for _, t := range model.ProbeTargets(l.snapshot(), nil) {
		if t.Host == host && t.Path == model.Path(side) {
			return &t
		}
	}
	return nil
}

// throughLoadBalancers are the targets that reach every switchable rule of the
// host through its load balancers: a rule with a path of its own is asked at
// that path.
func (l *live) throughLoadBalancers(host model.HostKey) []model.ProbeTarget {
	s := l.snapshot()
	h, ok := s.Host(host)
	if !ok {
		return nil
	}
	var out []model.ProbeTarget
	for _, t := range model.ProbeTargets(s, nil) {
		if t.Host != host || t.Path != model.PathLoadBalancer {
			continue
		}
		for _, route := range h.Routes {
			lb, ok := s.LoadBalancer(route.LoadBalancer)
			if !ok || lb.DNSName != t.Address || route.Port != t.Port {
				continue
			}
			for _, arn := range route.Switchable {
				r, _ := s.Rule(arn)
				t.URLPath = r.SamplePath()
				if !slices.Contains(out, t) {
					out = append(out, t)
				}
			}
			if len(route.Switchable) > 0 && lb.Type == model.Network && !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

func nonce() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // crypto/rand never fails since Go 1.24.
	return "cutover-proof-" + strings.ToLower(hex.EncodeToString(b))
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
