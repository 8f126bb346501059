package model

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// NewPlan returns the ordered changes that carry out an intent by changing the
// actions of rules and listeners in place. Gates are not judged; see Gates and
// Plan.Judged.
//
// An ALB rule is changed when every name that can reach it belongs to the
// intent: its host values admit only names that the intent's hosts own, and no
// other published host reaches it. A default rule, a rule without a condition
// on the host, and one with patterns or regular expressions that admit more
// names, are changed only when Intent.Rule names them, as names that nobody
// publishes move with them; the plan then warns. A rule that is left because
// others share it yields no change; the gate shared-rule says so. A network
// load balancer's listeners cannot tell hosts apart: an intent must contain
// every host of the lane there, else it is refused as KindUsage.
//
// What is on the wanted side already yields no change. The plan depends on the
// snapshot and the intent alone, byte for byte.
func NewPlan(s *Snapshot, in Intent) (Plan, error) {
	if in.To != Old && in.To != New {
		return Plan{}, &Error{
			Kind: KindUsage, Operation: "plan", Message: fmt.Sprintf("%q is not a side", in.To),
			Remedy: "say old or new",
		}
	}
	d := newPlanner(s).draft(in)
	if d.incomplete != nil {
		return Plan{}, d.incomplete
	}
	p := Plan{Intent: in, Changes: d.changes, Warnings: d.warnings}
	p.ID = planID(p)
	return p, nil
}

// planID is a short hash of a plan's intent and changes. Its 48 bits tell plans
// apart for people and logs.
func planID(p Plan) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q %t\n", p.Intent.Hosts, p.Intent.To, p.Intent.Rule, p.Intent.LoadBalancer, p.Intent.Listener, p.WayBack)
	for _, c := range p.Changes {
		fmt.Fprintf(h, "%q %q %q %q %q\n", c.Op, c.Listener, c.Rule, c.Hosts, c.AlsoServes)
		for _, state := range []RuleState{c.Before, c.After} {
			fmt.Fprintf(h, "%q %q %q %q\n", state.Priority, state.Conditions, state.Actions, state.Transforms)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// planner plans against one snapshot. It remembers what it has worked out of
// rules, so that many intents on one snapshot cost little. It is not safe for
// concurrent use.
type planner struct {
	s     *Snapshot
	views map[string]*ruleView
	nlbs  map[nlbLane]*nlbHosts
}

// nlbLane is a lane on a network load balancer.
type nlbLane struct{ loadBalancer, lane string }

// nlbHosts are a lane's hosts with a switchable route on a network load balancer.
type nlbHosts struct {
	keys []HostKey // sorted
	set  map[HostKey]bool
}

func newPlanner(s *Snapshot) *planner {
	p := &planner{s: s, views: map[string]*ruleView{}, nlbs: map[nlbLane]*nlbHosts{}}
	for _, h := range s.Hosts {
		for _, r := range h.Routes {
			if r.Type != Network || len(r.Switchable) == 0 {
				continue
			}
			at := nlbLane{r.LoadBalancer, h.Lane}
			on := p.nlbs[at]
			if on == nil {
				on = &nlbHosts{set: map[HostKey]bool{}}
				p.nlbs[at] = on
			}
			if !on.set[h.HostKey] {
				on.keys, on.set[h.HostKey] = append(on.keys, h.HostKey), true
			}
		}
	}
	return p
}

// ruleView is a rule with what surrounds it.
type ruleView struct {
	rule     Rule
	listener Listener
	lb       LoadBalancer
	forwards []Forward
	reach    []HostKey // published hosts that can reach it, sorted
	names    []string  // their names, each once
}

func (v *ruleView) order(o *ruleView) int {
	return cmp.Or(
		cmp.Compare(v.lb.ARN, o.lb.ARN),
		cmp.Compare(v.listener.Port, o.listener.Port),
		cmp.Compare(v.listener.ARN, o.listener.ARN),
		CompareRules(v.rule, o.rule),
	)
}

// view returns nil for a rule that the snapshot does not hold.
func (p *planner) view(arn string) *ruleView {
	if v, ok := p.views[arn]; ok {
		return v
	}
	var v *ruleView
	if r, ok := p.s.Rule(arn); ok {
		if l, lb, ok := p.s.Listener(r.Listener); ok {
			v = &ruleView{rule: r, listener: l, lb: lb, reach: p.s.RuleHosts(arn)}
			v.names = hostNames(v.reach)
			if f, err := Forwards(r.Actions); err == nil {
				v.forwards = f
			}
		}
	}
	p.views[arn] = v
	return v
}

// draft is a plan in the making, with what gates need to know of it.
type draft struct {
	changes    []Change
	warnings   []string
	refusals   map[HostKey][]refusal
	incomplete *Error // an NLB would be moved without all of its hosts
	uses       map[HostKey][]use
	claims     map[string]string // free target groups, by the load balancer that this draft gives them to
}

// refusal is why a rule was left as it is.
type refusal struct {
	gate   GateID
	reason string
}

// use is a target group of the wanted side that a host needs.
type use struct {
	view *ruleView
	lane string
	kind PortKind
	from string // ARN of the group that it takes over from; "" when already on the wanted side
	to   string // ARN; "" when there is none that fits
}

// staged is a rule that serves hosts of the intent.
type staged struct {
	view  *ruleView
	hosts []HostKey
	whole bool
}

func (p *planner) draft(in Intent) *draft {
	d := &draft{refusals: map[HostKey][]refusal{}, uses: map[HostKey][]use{}, claims: map[string]string{}}
	for _, st := range p.stage(in) {
		p.draftRule(d, in, st)
	}
	slices.Sort(d.warnings)
	d.warnings = slices.Compact(d.warnings)
	return d
}

// stage returns the switchable rules of the intent's hosts, within what
// narrows it, in the order in which they are changed.
func (p *planner) stage(in Intent) []*staged {
	byRule := map[string]*staged{}
	var out []*staged
	add := func(arn string) *staged {
		st, ok := byRule[arn]
		if !ok {
			if v := p.view(arn); v != nil {
				st = &staged{view: v, whole: arn == in.Rule}
				out = append(out, st)
			}
			byRule[arn] = st
		}
		return st
	}
	if in.Rule != "" {
		add(in.Rule)
	}
	for _, key := range in.Hosts {
		h, ok := p.s.Host(key)
		if !ok {
			continue
		}
		for _, r := range h.Routes {
			if !in.Covers(r) {
				continue
			}
			for _, arn := range r.Switchable {
				if in.Rule != "" && arn != in.Rule {
					continue
				}
				if st := add(arn); st != nil && (len(st.hosts) == 0 || st.hosts[len(st.hosts)-1] != key) {
					st.hosts = append(st.hosts, key)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b *staged) int { return a.view.order(b.view) })
	return out
}

func (p *planner) draftRule(d *draft, in Intent, st *staged) {
	v := st.view
	moved, refused := p.pair(d, in.To, st)
	if len(moved) == 0 && refused == "" {
		return // On the wanted side already.
	}
	label := p.s.RuleLabel(v.rule)
	refuse := func(gate GateID, reason string) {
		hosts := st.hosts
		if st.whole { // It was asked for as it is, so it stops all that was asked for.
			hosts = in.Hosts
		}
		r := refusal{gate, Line(reason)}
		for _, k := range hosts {
			d.refusals[k] = append(d.refusals[k], r)
		}
	}
	if v.lb.Type == Network {
		if e := p.missing(st, in); e != nil {
			if d.incomplete == nil {
				d.incomplete = e
			}
			return
		}
	} else if why := p.shared(st); why != "" && !st.whole {
		refuse(GateSharedRule, label+" "+why)
		return
	}
	if refused != "" {
		refuse(GateTargetGroup, label+": "+refused)
		return
	}
	move := forwardMove{counterpart: moved, plain: p.plain, name: groupName, limit: p.groupsPerAction(v.lb.Type)}
	after, warnings, no, err := move.apply(v.rule.Actions)
	if err != nil {
		no = "its actions cannot be read: " + err.Error()
	}
	if no != "" {
		refuse(GateTargetGroup, label+": "+no)
		return
	}
	c := Change{
		Op: OpModifyRule, Listener: v.listener.ARN, Rule: v.rule.ARN, Label: label,
		Hosts: slices.Clone(st.hosts), AlsoServes: others(v.reach, st.hosts), Before: stateOf(v.rule),
	}
	if v.rule.IsDefault() {
		c.Op, c.Rule = OpModifyListener, ""
	}
	c.After = c.Before.Clone()
	c.After.Actions = after
	d.changes = append(d.changes, c)
	for from, to := range moved {
		if g, ok := p.s.TargetGroup(to); ok && len(g.LoadBalancers) == 0 && from != "" {
			d.claims[to] = v.lb.ARN
		}
	}
	for _, w := range append(warnings, p.besideWarnings(st, in)...) {
		d.warnings = append(d.warnings, Line(label+": "+w))
	}
}

// besideWarnings says what else moves with a rule that is moved whole, and
// which listeners of a network load balancer are left behind.
func (p *planner) besideWarnings(st *staged, in Intent) []string {
	v := st.view
	var out []string
	if v.lb.Type == Network {
		if !st.whole && in.Listener == "" {
			return nil
		}
		for _, l := range v.lb.Listeners {
			if l.ARN != v.listener.ARN && p.onSide(st, l, in.To.Opposite()) {
				out = append(out, p.s.ListenerLabel(l)+" stays on "+string(in.To.Opposite())+": it was not selected")
			}
		}
		return out
	}
	if !st.whole {
		return nil
	}
	if names, n := v.besides(st.hosts); n > 0 {
		out = append(out, "also moves "+listedOf(names, n))
	}
	if open := admits(v.rule, v.reach); open != "" {
		out = append(out, "also moves "+open)
	}
	return out
}

// onSide reports whether a listener sends traffic of the staged lanes to a side.
func (p *planner) onSide(st *staged, l Listener, side SideName) bool {
	return slices.ContainsFunc(l.Rules, func(r Rule) bool {
		return slices.ContainsFunc(p.lanes(st), func(lane Lane) bool {
			now, _, ok := p.s.RuleSide(lane.Name, r)
			return ok && (now == side || now == Split)
		})
	})
}
