package main

import (
	"context"
	"slices"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// proofMethod tells which side answered requests.
type proofMethod struct {
	name string
	// sides says for each request which side answered it, "" when it was not
	// seen. An error says why some may not have been seen.
	sides func(ctx context.Context, since time.Time, round []asked) ([]model.SideName, error)
}

// awaitMethod finds out by what the sides can be told. While the Kubernetes API
// or a gateway does not answer that cannot be said, and it is tried again until
// ctx ends.
func (l *live) awaitMethod(ctx context.Context, m run.Move, e entrance, report func(run.Proving)) (*proofMethod, string) {
	for {
		method, why, away := l.method(ctx, m, e)
		if method != nil || !away {
			return method, why
		}
		report(run.Proving{Proof: model.ProofUnproven, Detail: "switched, unproven: " + why})
		if !sleep(ctx, proofEvery) {
			return nil, why
		}
	}
}

// method says by what the sides can be told, else why they cannot, and whether
// that is because somebody does not answer now.
func (l *live) method(ctx context.Context, m run.Move, e entrance) (found *proofMethod, why string, away bool) {
	byLog, why, away := l.byAccessLog(ctx, m)
	if byLog != nil || away {
		return byLog, why, away
	}
	// Behind an ALB clients see its certificate, never the gateway's.
	if e.typ == model.Network {
		if byCertificate := l.byCertificate(m.Host); byCertificate != nil {
			return byCertificate, "", false
		}
		why += ", and the certificate that clients see does not tell the sides apart"
	}
	return nil, why, false
}

// gatewayPods are the ready gateway pods of the lane's sides now: they may come
// and go while proof is under way.
func (l *live) gatewayPods(lane string) map[model.SideName][]model.ObjectName {
	v, _ := l.snapshot().Lane(lane)
	return map[model.SideName][]model.ObjectName{model.Old: v.Old.Pods, model.New: v.New.Pods}
}

// byAccessLog sends a nonce straight to a NodePort, whose side is known, and
// looks whether that side's access log holds it.
func (l *live) byAccessLog(ctx context.Context, m run.Move) (found *proofMethod, why string, away bool) {
	pods := l.gatewayPods(m.Host.Lane)
	if len(pods[m.To]) == 0 {
		return nil, "no ready gateway pod is known on " + string(m.To), false
	}
	for _, p := range pods[model.New] {
		if slices.Contains(pods[model.Old], p) {
			return nil, "the Services of both sides select the pod " + p.String(), false
		}
	}
	direct := l.nodePort(m.Host, m.To)
	if direct == nil {
		return nil, "no NodePort of " + string(m.To) + " to try the access log with", false
	}
	began := time.Now()
	tried := l.ask(ctx, *direct, 1)
	if err := tried[0].result.Error; err != nil {
		return nil, "the access log could not be tried, as the NodePort does not answer: " + err.Message, false
	}
	seen, err := l.seenBy(ctx, m.Host.Lane, began, tried)
	switch {
	case err != nil:
		return nil, "the access log cannot be read: " + model.Line(err.Error()), model.KindOf(err) != model.KindAccess
	case seen[0] == "":
		return nil, "the gateways write no access log that shows requests", false
	case seen[0] != m.To:
		return nil, "a request to the NodePort of " + string(m.To) + " was logged on " + string(seen[0]), false
	}
	return &proofMethod{name: "access log", sides: func(ctx context.Context, since time.Time, round []asked) ([]model.SideName, error) {
		return l.seenBy(ctx, m.Host.Lane, since, round)
	}}, "", false
}

// seenBy says for each request in which side's access logs it is, giving the
// logs time. One that old has seen counts as old whoever else has seen it.
func (l *live) seenBy(ctx context.Context, lane string, since time.Time, round []asked) ([]model.SideName, error) {
	out := make([]model.SideName, len(round))
	deadline := time.Now().Add(logDelay)
	for {
		var trouble error
		for _, side := range []model.SideName{model.New, model.Old} {
			if err := l.mark(ctx, lane, side, since, round, out); err != nil {
				trouble = err
			}
		}
		if !slices.Contains(out, "") || time.Now().After(deadline) {
			return out, trouble
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return out, ctx.Err()
		}
	}
}

// mark writes side into out for each request that the side's logs hold.
func (l *live) mark(ctx context.Context, lane string, side model.SideName, since time.Time, round []asked, out []model.SideName) error {
	nonces := make([]string, len(round))
	for i, a := range round {
		nonces[i] = a.nonce
	}
	// Times in the logs API have whole seconds, and clocks differ a little; the
	// nonces are of this round alone.
	found, err := l.kube.FindInLogs(ctx, l.gatewayPods(lane)[side], since.Add(-5*time.Second), nonces)
	for i, n := range nonces {
		if _, ok := found[n]; ok {
			out[i] = side
		}
	}
	return err
}

// byCertificate tells the sides by the certificates that their NodePorts
// present, where clients see them and they differ.
func (l *live) byCertificate(host model.HostKey) *proofMethod {
	shown := map[model.SideName]map[string]bool{model.Old: {}, model.New: {}}
	for t, results := range l.engine.Evidence() {
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
	for _, t := range model.HostTargets(l.snapshot(), host) {
		if t.Path == model.Path(side) {
			return &t
		}
	}
	return nil
}
