package main

import (
	"context"
	"slices"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// byAccessLog sends a nonce straight to a NodePort, whose side is known, and
// looks whether that side's access log holds it.
func (l *live) byAccessLog(ctx context.Context, m run.Move, e entrance) (found *proofMethod, why string, away bool) {
	if e.target.Passthrough {
		return nil, "gateways see no requests where TLS is passed through", false
	}
	if len(l.gatewayPods(m.Host.Lane)[m.To]) == 0 {
		return nil, "no ready gateway pod is known on " + string(m.To), true
	}
	direct := l.nodePort(m.Host, m.To, e)
	if direct == nil {
		return nil, "no NodePort of " + string(m.To) + " to try the access log with", false
	}
	began := time.Now()
	tried := l.ask(ctx, *direct, 1)
	if err := tried[0].result.Error; err != nil {
		// A filter stays; what is refused or reset may be so for a moment only.
		return nil, "the access log could not be tried, as the NodePort does not answer: " + err.Message, err.Kind != model.ProbeFiltered
	}
	err := l.findInLogs(ctx, m.Host.Lane, began, tried)
	switch seen := tried[0].side; {
	case err != nil:
		return nil, "the access log cannot be read: " + model.Line(err.Error()), model.KindOf(err) != model.KindAccess
	case seen == "":
		return nil, "the gateways write no access log that shows requests", false
	case seen != m.To:
		return nil, "a request to the NodePort of " + string(m.To) + " was logged on " + string(seen), false
	}
	return &proofMethod{name: "access log", round: func(ctx context.Context, t model.ProbeTarget, n int) ([]asked, error) {
		began := time.Now()
		round := l.ask(ctx, t, n)
		return round, l.findInLogs(ctx, m.Host.Lane, began, round)
	}}, "", false
}

// findInLogs says of each request in which side's access logs it is, giving the
// logs time. One that old has seen counts as old whoever else has seen it.
func (l *live) findInLogs(ctx context.Context, lane string, since time.Time, round []asked) error {
	deadline := time.Now().Add(logDelay)
	for {
		var trouble error
		for _, side := range []model.SideName{model.New, model.Old} {
			if err := l.mark(ctx, lane, side, since, round); err != nil {
				trouble = err
			}
		}
		if !slices.ContainsFunc(round, func(a asked) bool { return a.side == "" }) || time.Now().After(deadline) {
			return trouble
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// mark notes the side for each request that the side's logs hold.
func (l *live) mark(ctx context.Context, lane string, side model.SideName, since time.Time, round []asked) error {
	nonces := make([]string, len(round))
	for i, a := range round {
		nonces[i] = a.nonce
	}
	// Times in the logs API have whole seconds, and clocks differ a little; the
	// nonces are of this round alone.
	found, err := l.kube.FindInLogs(ctx, l.gatewayPods(lane)[side], since.Add(-5*time.Second), nonces)
	for i, n := range nonces {
		if _, ok := found[n]; ok {
			round[i].side = side
		}
	}
	return err
}
