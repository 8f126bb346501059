package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// missing refuses to move an NLB's listener without every host of its lanes there.
func (p *planner) missing(st *staged, in Intent) *Error {
	if st.whole {
		return nil
	}
	var lanes, names []string
	missing := 0
	for _, k := range st.hosts {
		on := p.nlbs[nlbLane{st.view.lb.ARN, k.Lane}]
		if on == nil || slices.Contains(lanes, k.Lane) {
			continue
		}
		lanes = append(lanes, k.Lane)
		have := map[HostKey]bool{}
		for _, h := range in.Hosts {
			if on.set[h] {
				have[h] = true
			}
		}
		missing += len(on.keys) - len(have)
		for i := 0; i < len(on.keys) && len(names) < mostListed && len(have) < len(on.keys); i++ {
			if !have[on.keys[i]] {
				names = append(names, on.keys[i].Host)
			}
		}
	}
	if missing == 0 {
		return nil
	}
	return &Error{
		Kind: KindUsage, Operation: "plan", Object: st.view.lb.Name,
		Message: "a network load balancer cannot tell hosts apart, all of the lane move together; missing are " + listedOf(names, missing),
		Remedy:  "select the whole lane with --lane " + strings.Join(lanes, " or ") + ", or another load balancer with --load-balancer",
	}
}

// shared says who else is on an ALB rule; "" when all of its names are the
// staged hosts' own, in each lane of which it moves groups.
func (p *planner) shared(st *staged) string {
	whole := "the rule whole with --rule " + st.view.rule.ARN
	names, n := st.view.besides(st.hosts)
	byLane := map[string][]HostKey{}
	for _, k := range st.hosts {
		byLane[k.Lane] = append(byLane[k.Lane], k)
	}
	if n == 0 && len(byLane) > 1 { // A name that is staged in one lane may be another's in the next.
		own := KeySet(st.hosts)
		for _, k := range st.view.reach {
			if len(byLane[k.Lane]) > 0 && !own[k] {
				names = append(names, k.String())
			}
		}
		n = len(names)
	}
	if n > 0 {
		return "also serves " + listedOf(names, n) + "; move them together, or " + whole
	}
	for _, lane := range slices.Sorted(maps.Keys(byLane)) {
		if open := admits(st.view.rule, byLane[lane]); open != "" {
			return "also serves " + open + "; move " + whole
		}
	}
	return ""
}

// admits says which names beyond those of hosts a rule takes; "" for none.
func admits(r Rule, hosts []HostKey) string {
	const all = "all names that no VirtualService publishes"
	c, err := ParseConditions(r.Conditions)
	if err != nil || r.IsDefault() || c.AnyHost() {
		if slices.ContainsFunc(hosts, func(k HostKey) bool { return k.Host == "*" }) {
			return ""
		}
		return all
	}
	var open []string
	for _, h := range c.Hosts { // All conditions must match: one that is closed is enough.
		open = slices.Clone(h.Regex)
		for _, v := range h.Values {
			if !slices.ContainsFunc(hosts, func(k HostKey) bool { return within(v, k.Host) }) {
				open = append(open, v)
			}
		}
		if len(open) == 0 {
			return ""
		}
	}
	return "names that no VirtualService publishes (" + listed(open) + ")"
}

// within reports whether every name that a rule's host value takes is one that
// the published host takes too. A wildcard host takes any number of labels.
func within(value, host string) bool {
	if host == "*" || value == host {
		return true
	}
	suffix, wildcard := strings.CutPrefix(host, "*")
	if !wildcard {
		return false
	}
	tail := value[strings.LastIndexAny(value, "*?")+1:]
	return strings.HasSuffix(tail, suffix) && len(value) > len(suffix)
}

// others returns the names among keys that none of hosts has, sorted.
func others(keys, hosts []HostKey) []string {
	own := make(map[string]bool, len(hosts))
	for _, k := range hosts {
		own[k.Host] = true
	}
	names := []string{}
	for _, k := range keys {
		if !own[k.Host] {
			names = append(names, k.Host)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// besides returns how many names other than those of hosts, which all reach
// the rule, can reach it, and the first of them.
func (v *ruleView) besides(hosts []HostKey) (first []string, n int) {
	own := make(map[string]bool, len(hosts))
	for _, k := range hosts {
		own[k.Host] = true
	}
	n = len(v.names) - len(own)
	for i := 0; i < len(v.names) && len(first) < min(n, mostListed); i++ {
		if !own[v.names[i]] {
			first = append(first, v.names[i])
		}
	}
	return first, n
}

// mostListed is how many names a sentence lists.
const mostListed = 10

// listed names the first of names, and counts the rest.
func listed(names []string) string { return listedOf(names, len(names)) }

// listedOf is listed for the first of n names.
func listedOf(names []string, n int) string {
	names = names[:min(len(names), mostListed)]
	text := strings.Join(names, ", ")
	if n > len(names) {
		text += fmt.Sprintf(" and %d more", n-len(names))
	}
	return Line(text)
}
