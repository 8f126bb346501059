package model

import "slices"

// ruleTable is a listener's rules, prepared to be matched with many names.
type ruleTable struct {
	rules   []tableRule
	literal map[string][]int // rules with literal host values alone, by value
	scan    []int            // all other rules
}

type tableRule struct {
	arn        string
	always     bool // the default rule
	unread     bool // the conditions are of no known shape
	conditions Conditions
	forwards   []Forward
}

// hostMatch says how much of a name's requests a rule takes.
type hostMatch int

const (
	matchNone hostMatch = iota
	matchSome           // some, or it cannot be told
	matchAll
)

// newRuleTable prepares rules that are sorted as they are evaluated.
func newRuleTable(rules []Rule) *ruleTable {
	t := &ruleTable{literal: map[string][]int{}}
	for i, r := range rules {
		tr := tableRule{arn: r.ARN, always: r.IsDefault()}
		c, err := ParseConditions(r.Conditions)
		tr.conditions, tr.unread = c, err != nil
		if forwards, err := Forwards(r.Actions); err == nil {
			tr.forwards = forwards
		}
		t.rules = append(t.rules, tr)
		if tr.always || tr.unread || c.AnyHost() || len(c.Hosts[0].Regex) > 0 || slices.ContainsFunc(c.Hosts[0].Values, isPattern) {
			t.scan = append(t.scan, i)
			continue
		}
		for _, v := range c.Hosts[0].Values {
			t.literal[v] = append(t.literal[v], i)
		}
	}
	return t
}

// match says how much of the requests for a name the rule takes. A regular
// expression may match; which names it does is not decided here.
func (r *tableRule) match(name string) hostMatch {
	switch {
	case r.always:
		return matchAll
	case r.unread:
		return matchSome
	}
	result := matchAll
	if !r.conditions.HostOnly() {
		result = matchSome
	}
	for _, h := range r.conditions.Hosts {
		if slices.ContainsFunc(h.Values, func(v string) bool { return MatchHost(v, name) }) {
			continue
		}
		if len(h.Regex) == 0 {
			return matchNone
		}
		result = matchSome
	}
	return result
}

// reach returns the rules that requests for a name can reach, in order: up to
// and including the first that takes all of them.
func (t *ruleTable) reach(name string) []int {
	var reached []int
	literal, scan := t.literal[name], t.scan
	for len(literal) > 0 || len(scan) > 0 {
		var next int
		if len(scan) == 0 || len(literal) > 0 && literal[0] < scan[0] {
			next, literal = literal[0], literal[1:]
		} else {
			next, scan = scan[0], scan[1:]
		}
		switch t.rules[next].match(name) {
		case matchAll:
			return append(reached, next)
		case matchSome:
			reached = append(reached, next)
		case matchNone:
		}
	}
	return reached
}

// reachWildcard is reach for a published wildcard: over the names that it
// owns. Names stand for others (see overlaps), so it tries those that its
// literals and the rules' patterns give.
func (t *ruleTable) reachWildcard(host string, o owners, literals []string) []int {
	reached := make([]bool, len(t.rules))
	tried := map[string]bool{}
	try := func(name string) {
		if tried[name] || o.owner(name) != host {
			return
		}
		tried[name] = true
		for _, i := range t.reach(name) {
			reached[i] = true
		}
	}
	for _, name := range overlaps("*", host) {
		try(name)
	}
	for _, name := range literals {
		try(name)
	}
	for _, i := range t.scan {
		for _, h := range t.rules[i].conditions.Hosts {
			for _, v := range h.Values {
				for _, name := range overlaps(v, host) {
					try(name)
				}
			}
		}
	}
	var list []int
	for i, ok := range reached {
		if ok {
			list = append(list, i)
		}
	}
	return list
}
