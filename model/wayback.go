package model

import (
	"fmt"
	"slices"
)

// WayBack returns the plan that restores what was recorded before the changes
// in records (oldest first): exactly, the last change first, ungated. With keys
// it takes back the rules and listeners that changes of these hosts touched,
// with nil all of them. Hosts that such a record covers beside keys move with
// it: they are in the changes' Hosts, and a warning names them.
//
// The records of one object fold into one change, from the last after to the
// first before that is still in force: a record that an earlier way back has
// taken back counts no more. A change's before is what was recorded, not what
// s says, so that the run finds and names what somebody else changed since.
// What already is as it was recorded yields no change, but a warning. s may be
// nil, or lack the cluster, or the rules: then nothing is skipped.
//
// The intent's side is the opposite of what the records moved to, Mixed where
// they differ. The plan is empty when there is nothing to take back.
func WayBack(s *Snapshot, records []Record, keys []HostKey) (Plan, error) {
	p := Plan{WayBack: true, Verdict: Pass}
	wanted := KeySet(keys)
	for _, c := range chains(records) {
		if keys != nil && !c.concerns(wanted) {
			continue
		}
		change := c.back()
		now, known := s.now(change.Ref())
		switch {
		case known && SameMeaning(now, change.After):
			p.Warnings = append(p.Warnings, Line(change.Label+" is unchanged: it already is as recorded before"))
			continue
		case known && !SameMeaning(now, change.Before):
			p.Warnings = append(p.Warnings, Line(fmt.Sprintf("%s was changed by somebody else since: %s; it is left as it is (rollback --force overwrites it)",
				change.Label, Difference(change.Before, now))))
		}
		p.Changes = append(p.Changes, change)
		p.Intent.Hosts = append(p.Intent.Hosts, change.Hosts...)
		switch to := c.first().To.Opposite(); {
		case p.Intent.To == "":
			p.Intent.To = to
		case p.Intent.To != to:
			p.Intent.To = Mixed
		}
		extra := slices.DeleteFunc(slices.Clone(change.Hosts), func(k HostKey) bool { return keys == nil || wanted[k] })
		if len(extra) > 0 {
			p.Warnings = append(p.Warnings, Line(fmt.Sprintf("%s was changed for more hosts: %s go back with it", change.Label, listed(hostNames(extra)))))
		}
		if len(change.AlsoServes) > 0 {
			p.Warnings = append(p.Warnings, Line(fmt.Sprintf("%s was moved whole: %s go back with it", change.Label, listed(change.AlsoServes))))
		}
	}
	if p.Intent.To == "" {
		p.Intent.To = Old
	}
	p.Intent.Hosts = sortedKeys(p.Intent.Hosts)
	p.ID = planID(p)
	return p, nil
}

// WayBackOfRun returns those records of a run that are still in force, oldest
// first: what WayBack takes back of it. The run "" is the last one that still
// has something to take back. It is empty when there is nothing.
func WayBackOfRun(records []Record, run string) []Record {
	var live []int
	for _, c := range chains(records) {
		live = append(live, c.index...)
	}
	slices.Sort(live)
	if run == "" && len(live) > 0 {
		run = records[live[len(live)-1]].Run
	}
	var out []Record
	for _, i := range live {
		if records[i].Run == run {
			out = append(out, records[i])
		}
	}
	return out
}

// chain is the records of one object that are in force, oldest first.
type chain struct {
	all   []Record
	index []int // into all
}

// chains returns the chains of all objects that have one, the one with the
// newest record first: the order in which they are taken back.
func chains(records []Record) []chain {
	byObject := map[Ref]*chain{}
	for i, r := range records {
		c := byObject[r.Change.Ref()]
		if c == nil {
			c = &chain{all: records}
			byObject[r.Change.Ref()] = c
		}
		if r.WayBack {
			// The earliest one whose before was restored: all after it is undone too.
			// Actions alone count, as a forced way back leaves what else was changed.
			restored := RuleState{Actions: r.Change.After.Actions}
			if at := slices.IndexFunc(c.index, func(e int) bool {
				return SameMeaning(RuleState{Actions: records[e].Change.Before.Actions}, restored)
			}); at >= 0 {
				c.index = c.index[:at]
			}
			continue
		}
		c.index = append(c.index, i)
	}
	out := make([]chain, 0, len(byObject))
	for _, c := range byObject {
		if len(c.index) > 0 {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b chain) int { return b.index[len(b.index)-1] - a.index[len(a.index)-1] })
	return out
}

func (c chain) first() Record { return c.all[c.index[0]] }
func (c chain) last() Record  { return c.all[c.index[len(c.index)-1]] }

// concerns reports whether any change of the chain moved one of the hosts.
func (c chain) concerns(keys map[HostKey]bool) bool {
	return slices.ContainsFunc(c.index, func(i int) bool {
		return slices.ContainsFunc(c.all[i].Change.Hosts, func(k HostKey) bool { return keys[k] })
	})
}

// back returns the change that takes the whole chain back.
func (c chain) back() Change {
	out := c.last().Change
	out.Hosts, out.AlsoServes = nil, []string{}
	for _, i := range c.index {
		out.Hosts = append(out.Hosts, c.all[i].Change.Hosts...)
		out.AlsoServes = append(out.AlsoServes, c.all[i].Change.AlsoServes...)
	}
	out.Hosts = sortedKeys(out.Hosts)
	slices.Sort(out.AlsoServes)
	out.AlsoServes = slices.Compact(out.AlsoServes)
	out.Before = c.last().Change.After.Clone()
	out.After = c.first().Change.Before.Clone()
	out.After.Actions = WritableActions(out.After.Actions)
	return out
}

// now returns what a snapshot says of a rule or listener, and whether it holds it.
func (s *Snapshot) now(ref Ref) (RuleState, bool) {
	if s == nil {
		return RuleState{}, false
	}
	if ref.Rule != "" {
		if r, ok := s.Rule(ref.Rule); ok {
			return stateOf(r), true
		}
		return RuleState{}, false
	}
	l, _, ok := s.Listener(ref.Listener)
	if !ok {
		return RuleState{}, false
	}
	for _, r := range l.Rules {
		if r.IsDefault() {
			return stateOf(r), true
		}
	}
	return RuleState{}, false
}
