package model

import (
	"fmt"
	"slices"
	"time"
)

// probeAge is how old the newest probe may be that a gate relies on: several
// rounds over hundreds of hosts at the default rate of 20 probes a second.
const probeAge = 10 * time.Minute

// series is the results of one probe, oldest first.
type series struct {
	target  ProbeTarget // with Staged cleared: at which rate it ran does not matter
	results []ProbeResult
}

// seriesOf orders evidence by host and target.
func seriesOf(ev Evidence) map[HostKey][]series {
	merged := map[ProbeTarget][]ProbeResult{}
	for t, results := range ev {
		t.Staged = false
		merged[t] = append(merged[t], results...)
	}
	out := map[HostKey][]series{}
	for t, results := range merged {
		slices.SortStableFunc(results, func(a, b ProbeResult) int { return a.Began.Compare(b.Began) })
		out[t.Host] = append(out[t.Host], series{t, results})
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b series) int { return compareTargets(a.target, b.target) })
	}
	return out
}

// probeNew asks for K good probes in a row of every registered target, in
// every manner in which load balancers reach it for the host.
func (j *judge) probeNew(x subject) (f findings) {
	if f.unreadable(j.s, ResourceTargetGroups, ResourceTargetHealth, ResourceNodes) {
		return f
	}
	if len(x.uses) == 0 {
		f.fine = fmt.Sprintf("no listener sends the host to lane %s", x.lane.Name)
		return f
	}
	f.fine = "every registered target answers well"
	expected := false
	for _, t := range j.targets.sides(nil, x.host, ProbeTarget{Host: x.host.HostKey, Authority: authority(x.host.Host)}) {
		if t.Path == pathOf(x.to) {
			expected = true
			j.judgeTarget(x, t, &f)
		}
	}
	if !expected {
		f.wait("the %s side of lane %s has no registered target to probe", x.to, x.lane.Name)
	}
	return f
}

func pathOf(side SideName) Path {
	if side == Old {
		return PathOld
	}
	return PathNew
}

func (j *judge) judgeTarget(x subject, t ProbeTarget, f *findings) {
	at := fmt.Sprintf("%s:%d", t.Node, t.Port)
	for _, s := range j.probes[x.host.HostKey] {
		if s.target == t && len(s.results) > 0 {
			j.judgeSeries(x, at, s, f)
			return
		}
	}
	f.wait("%s was not probed yet for %s", at, x.host.Host)
}

func (j *judge) judgeSeries(x subject, at string, s series, f *findings) {
	newest := s.results[len(s.results)-1]
	if age := j.now.Sub(newest.Began); age > probeAge {
		f.wait("the newest probe of %s is %s old", at, age.Round(time.Minute))
		return
	}
	reference, ok := j.reference(x, s.target)
	inRow, failed, filtered := 0, 0, 0
	var last, before *ProbeError // The newest failure, and what a row of good ones follows.
	for _, r := range slices.Backward(s.results) {
		good, why := properly(r), r.Error
		switch {
		case x.to == New && ok:
			good, why = GoodProbe(r, reference)
		case x.to == New && r.Error == nil:
			f.wait("%s answers %d, but the old side has not been seen to answer for %s, so there is nothing to compare with; mend it, or override the gate with a reason",
				at, r.Status, x.host.Host)
			return
		case !good && why == nil:
			_, why = bad(ProbeDiffers, "it answers, but not through a backend or with an error")
		}
		if good && failed > 0 || !good && inRow > 0 || inRow+failed == K {
			before = why
			break
		}
		if good {
			inRow++
			continue
		}
		failed++
		if why != nil && why.Kind == ProbeFiltered {
			filtered++
		}
		if last == nil {
			last = why
		}
	}
	switch {
	case inRow >= K:
	case failed >= K && filtered == failed:
		f.wait("%s at %s: %s; %s", last.Kind, at, last.Message, remedy(last.Kind))
	case failed >= K:
		f.block("%s at %s: %s; %s", last.Kind, at, last.Message, remedy(last.Kind))
	case last != nil:
		f.wait("%s just now at %s: %s", last.Kind, at, last.Message)
	case before != nil:
		f.wait("%s has %d of %d good probes in a row for %s since %s: %s", at, inRow, K, x.host.Host, before.Kind, before.Message)
	default:
		f.wait("%s has %d of %d good probes in a row for %s", at, inRow, K, x.host.Host)
	}
}

// remedy is where to look when probes are not good.
func remedy(kind ProbeErrorKind) string {
	switch kind {
	case ProbeRefused:
		return "see whether the gateway's pods run and are ready"
	case ProbeFiltered:
		return "usually a security group drops it: admit this machine to the NodePort there"
	case ProbeReset:
		return "see whether the gateway's pods run, and whether a server of its Gateway takes the host"
	case ProbeTimeout:
		return "see what the gateway waits for: the application, most likely"
	case ProbeTLSAlert:
		return "see the TLS settings of the Gateway's server"
	case ProbeCertificate:
		return "see whether the gateway's pods have loaded the Secret; restarting them does it"
	case ProbeNoRoute:
		return "see which VirtualServices list the Gateway"
	case ProbeGateway503:
		return "see the endpoints of the Service that the VirtualService routes to"
	case ProbeBackend5xx:
		return "see the application's log"
	case ProbeDiffers, ProbeProtocol:
		return "compare the sides with cutover probe"
	default:
		return "look with cutover probe"
	}
}

// properly reports whether a side answers by itself as it should, without
// anything to compare with.
func properly(r ProbeResult) bool {
	return r.OK() && r.Status < 500 && (r.Target.Passthrough || r.Backend || redirects(r))
}

// reference returns the newest answer of the old side to the same probe, on
// the same node where there is one.
func (j *judge) reference(x subject, t ProbeTarget) (ProbeResult, bool) {
	var best ProbeResult
	same, found := false, false
	for _, s := range j.probes[x.host.HostKey] {
		o := s.target
		if o.Path != PathOld || o.Scheme != t.Scheme || o.SNI != t.SNI {
			continue
		}
		for _, r := range slices.Backward(s.results) {
			if !r.OK() {
				continue
			}
			if here := o.Node == t.Node; !found || here && !same || here == same && r.Began.After(best.Began) {
				best, same, found = r, here, true
			}
			break
		}
	}
	return best, found
}
