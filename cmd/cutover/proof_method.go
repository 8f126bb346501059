package main

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// proofMethod sends requests and tells which side answered them.
type proofMethod struct {
	name string
	// round sends n requests and says of each which side answered it. An error
	// says why some may not have been seen.
	round func(ctx context.Context, t model.ProbeTarget, n int) ([]asked, error)
}

// awaitMethod finds out by what the sides can be told. While the Kubernetes API
// or a gateway does not answer that cannot be said, and it is tried again until
// ctx ends.
func (l *live) awaitMethod(ctx context.Context, m run.Move, e entrance, report func(run.Proving)) (*proofMethod, string) {
	for last := ""; ; {
		method, why, away := l.method(ctx, m, e, report)
		switch {
		case method != nil:
			return method, ""
		case ctx.Err() != nil: // What was asked for meanwhile has only been given up.
			return nil, cmp.Or(last, why)
		case !away:
			return nil, why
		}
		last = why
		report(notProven(why))
		if !sleep(ctx, proofEvery) {
			return nil, why
		}
	}
}

// method says by what the sides can be told, else why they cannot, and whether
// that is because somebody does not answer now.
func (l *live) method(ctx context.Context, m run.Move, e entrance, report func(run.Proving)) (found *proofMethod, why string, away bool) {
	found, why, away = l.bySeen(ctx, m, e, report)
	if e.typ != model.Network || e.target.Scheme != "https" {
		return found, why, away // Behind an ALB clients see its certificate, never the gateway's.
	}
	switch shown := l.certificates(m.Host); {
	case shown != nil && found != nil:
		return found.or(shown), "", false
	case shown != nil:
		return l.byCertificate(shown), "", false
	case found != nil:
		return found, "", false
	default:
		return nil, why + "; the certificate that clients see does not tell the sides apart", away
	}
}

// bySeen finds the method by which gateways show what they have seen: in their
// access logs, else by what they count.
func (l *live) bySeen(ctx context.Context, m run.Move, e entrance, report func(run.Proving)) (found *proofMethod, why string, away bool) {
	pods := l.gatewayPods(m.Host.Lane)
	for _, p := range pods[model.New] {
		if slices.Contains(pods[model.Old], p) {
			return nil, "the Services of both sides select the pod " + p.String(), false
		}
	}
	byLog, noLog, away := l.byAccessLog(ctx, m, e)
	if byLog != nil || away {
		return byLog, noLog, away
	}
	byCounters, noCounters, away := l.byCounters(ctx, m, e, report)
	if byCounters != nil {
		return byCounters, "", false
	}
	return nil, noLog + "; " + noCounters, away
}

// gatewayPods are the ready gateway pods of the lane's sides now: they may come
// and go while proof is under way.
func (l *live) gatewayPods(lane string) map[model.SideName][]model.ObjectName {
	v, _ := l.snapshot().Lane(lane)
	return map[model.SideName][]model.ObjectName{model.Old: v.Old.Pods, model.New: v.New.Pods}
}

// certificates are the sides by the certificate that each presents at its
// NodePorts, keyed by SHA-256; nil where clients do not see them or they do not
// differ.
type certificates map[string]model.SideName

func (l *live) certificates(host model.HostKey) certificates {
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
	out := certificates{}
	for s, shas := range shown {
		for sha := range shas {
			out[sha] = s
		}
	}
	if len(out) != 2 {
		return nil // Both show the same: the application's own.
	}
	return out
}

// mark notes the side of every request that was shown a side's certificate.
func (c certificates) mark(round []asked) {
	for i, a := range round {
		if a.result.TLS != nil {
			round[i].side = c[a.result.TLS.SHA256]
		}
	}
}

// byCertificate tells the sides by the certificates that clients see.
func (l *live) byCertificate(shown certificates) *proofMethod {
	return &proofMethod{name: "certificate", round: func(ctx context.Context, t model.ProbeTarget, n int) ([]asked, error) {
		round := l.ask(ctx, t, n)
		shown.mark(round)
		return round, nil
	}}
}

// errOthers is what counters say that others' requests may have raised, too.
type errOthers struct{ why string }

func (e errOthers) Error() string { return e.why }

// or is m, and by the certificate in rounds where others are counted, too. Its
// name is that of what told the sides last.
func (m *proofMethod) or(shown certificates) *proofMethod {
	both := *m
	both.round = func(ctx context.Context, t model.ProbeTarget, n int) ([]asked, error) {
		round, err := m.round(ctx, t, n)
		if _, others := errors.AsType[errOthers](err); !others {
			both.name = m.name
			return round, err
		}
		shown.mark(round)
		both.name = "certificate"
		return round, nil
	}
	return &both
}

// nodePort is a NodePort target of the side to try things on, as an entrance
// leads to it: what clients speak plain HTTP to on a network load balancer is
// the http NodePort, which nothing else is probed at.
func (l *live) nodePort(host model.HostKey, side model.SideName, e entrance) *model.ProbeTarget {
	s := l.snapshot()
	lane, _ := s.Lane(host.Lane)
	for _, t := range model.HostTargets(s, host) {
		if t.Path != model.Path(side) {
			continue
		}
		t.CertSHA256 = "" // Whatever certificate it presents, its side is known.
		if e.typ == model.Network && e.target.Scheme == "http" && t.Scheme == "https" {
			if t.Port = lane.Side(side).NodePorts.HTTP; t.Port == 0 {
				return nil
			}
			t.Scheme, t.SNI, t.Passthrough = "http", false, false
		}
		return &t
	}
	return nil
}
