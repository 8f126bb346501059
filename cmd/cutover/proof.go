package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
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

// entrance is a way into a load balancer that a move changed.
type entrance struct {
	target model.ProbeTarget
	typ    model.LoadBalancerType
}

// prove is the run's Prover: requests through the load balancer, each with a
// nonce in its User-Agent, found again in the access log of the gateway pod
// that answered; where logs cannot tell, by what the gateways count; else, and
// where others are counted too, by the certificate where the sides differ; else
// it says that the side cannot be told.
func (l *live) prove(ctx context.Context, m run.Move, report func(run.Proving)) run.Proving {
	if m.To != model.Old && m.To != model.New {
		return unconfirmed("what was taken back led to different sides")
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return notProven("the time for proof was over before its turn came")
	}
	entrances := l.entrances(m)
	if len(entrances) == 0 {
		return unconfirmed("no listener of a load balancer to ask through")
	}
	if wait := time.Until(m.After); wait > 0 && !sleep(ctx, wait) { // The requests must begin after the change.
		return notProven("")
	}
	var by []string
	for _, e := range entrances {
		method, why := l.awaitMethod(ctx, m, e, report)
		switch {
		case method == nil && ctx.Err() != nil:
			return notProven(why)
		case method == nil:
			return unconfirmed(why)
		}
		if got := l.proveEntrance(ctx, e, m.To, method, report); got.Proof != model.ProofProven {
			return got
		}
		if !slices.Contains(by, method.name) {
			by = append(by, method.name)
		}
	}
	return run.Proving{Proof: model.ProofProven, By: strings.Join(by, " and "), Row: model.K}
}

func unconfirmed(why string) run.Proving {
	return run.Proving{Proof: model.ProofUnconfirmed, Why: why}
}

func notProven(why string) run.Proving {
	return run.Proving{Proof: model.ProofUnproven, Why: why}
}

// asked is one request that was sent for proof, and the side that was seen to
// answer it, "" for none.
type asked struct {
	nonce  string
	result model.ProbeResult
	side   model.SideName
}

// proveEntrance asks in rounds until K requests in a row were answered by the
// side.
func (l *live) proveEntrance(ctx context.Context, e entrance, to model.SideName, m *proofMethod, report func(run.Proving)) run.Proving {
	row, trouble := 0, ""
	reached := func() run.Proving {
		return run.Proving{Proof: model.ProofUnproven, By: m.name, Row: row, Why: trouble}
	}
	for first := true; ; first = false {
		if !first && !sleep(ctx, proofEvery) {
			return reached()
		}
		round, err := m.round(ctx, e.target, model.K-row)
		if e.typ == model.Application && balancerAnswered(round) {
			return unconfirmed("the load balancer answers itself (authentication or a redirect), no gateway is asked")
		}
		if ctx.Err() != nil {
			// A request that was given up says nothing; one that the time for proof was
			// not enough for does.
			if why := failure(round); why != "" && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				row, trouble = 0, why
			}
			if errors.Is(err, errTurn) {
				trouble = err.Error()
			}
			return reached()
		}
		trouble = ""
		if err != nil {
			trouble = model.Line(err.Error())
		}
		for _, a := range round {
			if a.side != "" {
				l.traffic.probed(a.result, model.State(a.side))
			}
			why := ""
			if a.side == to {
				why = l.unserved(e.target.Host, to, a.result)
			}
			switch {
			case why != "":
				row, trouble = 0, fmt.Sprintf("on %s, but %s", to, why)
			case a.side == to:
				row++
			case a.side != "":
				row, trouble = 0, "still answered by "+string(a.side)
			case a.result.Error != nil:
				row, trouble = 0, failure(round)
			case err == nil:
				row, trouble = 0, "a request was answered, but not seen on either side"
			default: // The error says why; the row is broken all the same.
				row = 0
			}
		}
		if row >= model.K {
			return run.Proving{Proof: model.ProofProven}
		}
		report(reached())
	}
}

// unserved says why a request that came to the side was not served there, ""
// when it was: no answer came back, the gateway has no route or no backend for
// it, or the backend fails while it does not through the other side.
func (l *live) unserved(host model.HostKey, to model.SideName, r model.ProbeResult) string {
	switch {
	case r.Error != nil:
		return "no answer came: " + r.Error.Message
	case r.Envoy && !r.Backend && (r.Status == 404 || r.Status == 503):
		return fmt.Sprintf("the gateway itself answers %d", r.Status)
	case r.Status >= 500 && l.wellElsewhere(host, to):
		return fmt.Sprintf("the backend answers %d, through the other side it does not", r.Status)
	default:
		return ""
	}
}

// wellElsewhere reports whether the newest probe of the other side that was
// answered was answered without a server's error.
func (l *live) wellElsewhere(host model.HostKey, to model.SideName) bool {
	var newest model.ProbeResult
	for t, results := range l.engine.Evidence() {
		if t.Host != host || t.Path == model.PathLoadBalancer || t.Path == model.Path(to) {
			continue
		}
		for _, r := range results {
			if r.OK() && r.Began.After(newest.Began) {
				newest = r
			}
		}
	}
	return newest.OK() && newest.Status < 500
}

// ask sends n requests, each with a nonce of its own, and none after one that
// was not answered: n must be at least 1, and so is what comes back.
func (l *live) ask(ctx context.Context, t model.ProbeTarget, n int) []asked {
	round := make([]asked, 0, n)
	for range n {
		word := nonce()
		p := l.prober
		p.UserAgent = word
		a := asked{nonce: word, result: p.Probe(ctx, t)}
		if t.Path != model.PathLoadBalancer { // Of others the side is known later, or never.
			l.traffic.probed(a.result, model.State(t.Path))
		}
		round = append(round, a)
		if a.result.Error != nil {
			break
		}
	}
	return round
}

// failure says why the last request of a round was not answered, "" when it was.
func failure(round []asked) string {
	if n := len(round); n > 0 && round[n-1].result.Error != nil {
		return "through the load balancer: " + round[n-1].result.Error.Message
	}
	return ""
}

// balancerAnswered reports that every answer came from the load balancer
// itself: it redirects and no gateway has put its name on it.
func balancerAnswered(round []asked) bool {
	return len(round) > 0 && !slices.ContainsFunc(round, func(a asked) bool {
		return a.result.Error != nil || a.result.Envoy || a.result.Backend || a.result.Status/100 != 3
	})
}

// entrances are the ways in that reach what the move's changes changed: a rule
// with a path of its own is asked at that path.
func (l *live) entrances(m run.Move) []entrance {
	s := l.snapshot()
	h, ok := s.Host(m.Host)
	if !ok {
		return nil
	}
	var out []entrance
	for _, t := range model.HostTargets(s, m.Host) {
		if t.Path != model.PathLoadBalancer {
			continue
		}
		for _, route := range h.Routes {
			lb, ok := s.LoadBalancer(route.LoadBalancer)
			if !ok || lb.DNSName != t.Address || route.Port != t.Port {
				continue
			}
			for _, path := range changedPaths(s, route, m.Changes) {
				t.URLPath = path
				if e := (entrance{t, lb.Type}); !slices.Contains(out, e) {
					out = append(out, e)
				}
			}
		}
	}
	return out
}

// changedPaths are the sample paths of the route's rules that changes changed.
func changedPaths(s *model.Snapshot, route model.Route, changes []model.Change) []string {
	var out []string
	for _, c := range changes {
		switch {
		case c.Listener != route.Listener:
		case c.Rule == "":
			out = append(out, "")
		case slices.Contains(route.Rules, c.Rule):
			r, _ := s.Rule(c.Rule)
			out = append(out, r.SamplePath())
		}
	}
	return out
}

func nonce() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // It never fails.
	return "cutover-proof-" + hex.EncodeToString(b)
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
