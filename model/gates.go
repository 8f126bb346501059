package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Gates judges a plan's gates: for each host of its intent, in order, every
// gate in the order of GateIDs. A plan of the way back has none.
//
// Gates of going to old judge the old side in the same way, with the sides
// exchanged, but for probe-new: probes of old need only answer properly by
// themselves, as what is left may be what is broken. What could not be read is
// never judged as if it were absent: that is Wait, with the reason. now is
// compared with certificates and with the age of probes.
func Gates(s *Snapshot, p Plan, ev Evidence, now time.Time) []HostGate {
	if p.WayBack {
		return nil
	}
	j := newJudge(s, ev, now)
	d := j.planner.draft(p.Intent)
	changes := map[HostKey][]Change{}
	for _, c := range p.Changes {
		for _, k := range c.Hosts {
			changes[k] = append(changes[k], c)
		}
	}
	var out []HostGate
	for _, k := range p.Intent.Hosts {
		out = append(out, j.host(k, p.Intent.To, d, changes[k])...)
	}
	return out
}

// HostGates judges for every host of the snapshot the gates of moving it alone
// to new. A host on a network load balancer counts as moved with its lane.
func HostGates(s *Snapshot, ev Evidence, now time.Time) []HostGate {
	j := newJudge(s, ev, now)
	out := make([]HostGate, 0, len(s.Hosts)*len(GateIDs()))
	for _, h := range s.Hosts {
		d := j.planner.draft(Intent{Hosts: []HostKey{h.HostKey}, To: New})
		out = append(out, j.host(h.HostKey, New, d, nil)...)
	}
	return out
}

// judge judges gates against one snapshot. It is not safe for concurrent use.
type judge struct {
	s       *Snapshot
	planner *planner
	now     time.Time
	probes  map[HostKey][]series
	targets *targeter
	podNode map[ObjectName]string
}

func newJudge(s *Snapshot, ev Evidence, now time.Time) *judge {
	j := &judge{
		s: s, planner: newPlanner(s), now: now, probes: seriesOf(ev),
		targets: newTargeter(s),
		podNode: make(map[ObjectName]string, len(s.Cluster.Pods)),
	}
	for _, p := range s.Cluster.Pods {
		j.podNode[p.Name] = p.Node
	}
	return j
}

// subject is one host on its way to one side.
type subject struct {
	host    Host
	lane    Lane
	to      SideName
	uses    []use
	draft   *draft
	changes []Change // those that move the host
}

func (x subject) from() SideName { return x.to.Opposite() }

// host judges one host; changes are those that move it.
func (j *judge) host(k HostKey, to SideName, d *draft, changes []Change) []HostGate {
	h, known := j.s.Host(k)
	lane, hasLane := j.s.Lane(k.Lane)
	x := subject{host: h, lane: lane, to: to, uses: d.uses[k], draft: d, changes: changes}
	out := make([]HostGate, 0, len(GateIDs()))
	for _, id := range GateIDs() {
		f := findings{}
		if !known || !hasLane {
			f.wait("%s is not published any more", k)
		} else {
			f = j.gate(id, x)
		}
		out = append(out, HostGate{Host: k, Gate: f.gate(id)})
	}
	return out
}

func (j *judge) gate(id GateID, x subject) findings {
	switch id {
	case GateBinding:
		return j.binding(x)
	case GateGatewayHosts:
		return j.gatewayHosts(x)
	case GateSecret:
		return j.secret(x)
	case GateService:
		return j.service(x)
	case GateTargetGroup:
		return j.targetGroup(x)
	case GateTargetHealth:
		return j.targetHealth(x)
	case GateProbeNew:
		return j.probeNew(x)
	case GateSharedRule:
		return j.sharedRule(x)
	case GateDrift:
		return j.drift(x)
	default:
		return findings{}
	}
}

// findings are what one gate found, and what it says when nothing is wrong.
type findings struct {
	list []Gate
	fine string
}

func (f *findings) add(v Verdict, format string, args ...any) {
	f.list = append(f.list, Gate{Verdict: v, Reason: fmt.Sprintf(format, args...)})
}

func (f *findings) block(format string, args ...any) { f.add(Block, format, args...) }
func (f *findings) wait(format string, args ...any)  { f.add(Wait, format, args...) }
func (f *findings) warn(format string, args ...any)  { f.add(Warn, format, args...) }

// unreadable waits for what could not be read, and reports whether there is any.
func (f *findings) unreadable(s *Snapshot, resources ...Resource) bool {
	for _, r := range resources {
		if p, bad := s.Unreadable(r); bad {
			f.wait("cannot tell: %s: %s", p.Operation, p.Message)
			return true
		}
	}
	return false
}

// gate sums findings up: the first of the worst speaks, the others like it count.
func (f findings) gate(id GateID) Gate {
	out := Gate{ID: id, Verdict: Pass, Reason: Line(f.fine)}
	more := 0
	seen := map[string]bool{}
	for _, g := range f.list {
		switch rank := cmp.Compare(severity(g.Verdict), severity(out.Verdict)); {
		case rank > 0:
			out.Verdict, out.Reason, more = g.Verdict, Line(g.Reason), 0
			seen = map[string]bool{g.Reason: true}
		case rank == 0 && !seen[g.Reason]:
			more++
			seen[g.Reason] = true
		}
	}
	if more > 0 {
		out.Reason += fmt.Sprintf(" (and %d more)", more)
	}
	return out
}

func severity(v Verdict) int { return slices.Index([]Verdict{Pass, Warn, Wait, Block}, v) }

// Judged returns the plan with its gates, overrides applied, and the verdict
// that follows: the worst of those that are not overridden, warn counting as
// pass. An override applies to gates that say wait or block. It is KindUsage to
// override a gate that is unknown or may not be overridden, without a reason,
// for a host that is not in the intent, or for several hosts without naming one.
func (p Plan) Judged(gates []HostGate, overrides []Override) (Plan, error) {
	names := hostNames(p.Intent.Hosts)
	for _, o := range overrides {
		why, remedy := "", ""
		switch {
		case !slices.Contains(GateIDs(), o.Gate):
			why, remedy = "there is no such gate", "gates are "+gateNames()
		case !o.Gate.Overridable():
			why = "this gate cannot be overridden: the write itself would be wrong"
		case strings.TrimSpace(o.Reason) == "":
			why, remedy = "an override needs a reason", "say why with --reason"
		case o.Host == "" && len(names) > 1:
			why, remedy = "an override for several hosts has to name its host", fmt.Sprintf("say --override %s=HOST", o.Gate)
		case o.Host != "" && !slices.Contains(names, o.Host):
			why = o.Host + " is not among the hosts that are moved"
		}
		if why != "" {
			return Plan{}, &Error{Kind: KindUsage, Operation: "override", Object: Line(string(o.Gate)), Message: why, Remedy: remedy}
		}
	}
	p.Gates = slices.Clone(gates)
	p.Verdict = Pass
	for i, g := range p.Gates {
		if severity(g.Verdict) <= severity(Warn) {
			continue
		}
		for _, o := range overrides {
			if o.Gate == g.ID && (o.Host == "" || o.Host == g.Host.Host) {
				p.Gates[i].Overridden = Line(o.Reason)
			}
		}
		if p.Gates[i].Overridden == "" && severity(g.Verdict) > severity(p.Verdict) {
			p.Verdict = g.Verdict
		}
	}
	return p, nil
}

func gateNames() string {
	var names []string
	for _, id := range GateIDs() {
		if id.Overridable() {
			names = append(names, string(id))
		}
	}
	return strings.Join(names, ", ")
}

// Blocked returns the gates that block and are not overridden.
func (p Plan) Blocked() []HostGate { return p.open(Block) }

// Waiting returns the gates that still wait and are not overridden.
func (p Plan) Waiting() []HostGate { return p.open(Wait) }

func (p Plan) open(v Verdict) []HostGate {
	return slices.DeleteFunc(slices.Clone(p.Gates), func(g HostGate) bool { return g.Verdict != v || g.Overridden != "" })
}

// Without returns the intent for the hosts that keys do not name. Planning it
// anew is how blocked hosts are skipped: those that shared a rule with them may
// then be blocked in turn.
func (i Intent) Without(keys []HostKey) Intent {
	skip := KeySet(keys)
	i.Hosts = slices.DeleteFunc(slices.Clone(i.Hosts), func(k HostKey) bool { return skip[k] })
	return i
}
