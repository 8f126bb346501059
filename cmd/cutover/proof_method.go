package main

import (
	"cmp"
	"context"
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
	if found != nil || e.typ != model.Network || e.target.Scheme != "https" {
		return found, why, away // Behind an ALB clients see its certificate, never the gateway's.
	}
	if found = l.byCertificate(m.Host); found != nil {
		return found, "", false
	}
	return nil, why + "; the certificate that clients see does not tell the sides apart", away
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
	return &proofMethod{name: "certificate", round: func(ctx context.Context, t model.ProbeTarget, n int) ([]asked, error) {
		round := l.ask(ctx, t, n)
		for i, a := range round {
			if a.result.TLS != nil {
				round[i].side = side[a.result.TLS.SHA256]
			}
		}
		return round, nil
	}}
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
