package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Select resolves what the operator selected into an Intent to move it to a
// side: published names (in any case; "*.rest" means the published wildcard
// itself), a lane or all hosts, narrowed to a load balancer or a listener, or
// all hosts on one rule.
//
// It fails with KindUsage for a name that is not there, telling the nearest
// ones, for a contradiction and for an empty selection; when names are missing
// because they could not be read, with the kind of that problem.
func (s *Snapshot) Select(sel Selection, to SideName) (Intent, error) {
	intent := Intent{To: to}
	if to != Old && to != New {
		return Intent{}, usage(string(to), "a side is old or new", "")
	}
	if err := s.narrow(sel, &intent); err != nil {
		return Intent{}, err
	}
	var keys []HostKey
	var err error
	switch {
	case sel.Rule != "":
		keys, err = s.selectRule(sel, &intent)
	case len(sel.Hosts) > 0:
		keys, err = s.selectNames(sel)
	case sel.All || sel.Lane != "":
		keys, err = s.selectLane(sel.Lane)
	default:
		err = usage("", "nothing is selected", "name hosts with --host, a lane with --lane, a rule with --rule, or --all")
	}
	if err != nil {
		return Intent{}, err
	}
	for _, k := range keys {
		if h, _ := s.Host(k); intent.covers(h) {
			intent.Hosts = append(intent.Hosts, k)
		}
	}
	if len(intent.Hosts) == 0 {
		return Intent{}, s.unlessUnread(usage("", "no published host is selected", "`cutover status` lists hosts and their routes"),
			ResourceVirtualServices, ResourceGateways, ResourceLoadBalancers, ResourceRules, ResourceTargetGroups)
	}
	intent.Hosts = sortedKeys(intent.Hosts)
	return intent, nil
}

// covers reports whether a host has a route that the intent is narrowed to.
func (i Intent) covers(h Host) bool {
	if i.LoadBalancer == "" && i.Listener == "" {
		return true
	}
	return slices.ContainsFunc(h.Routes, i.Covers)
}

// Covers reports whether the intent's load balancer and listener, where it
// names them, are the route's.
func (i Intent) Covers(r Route) bool {
	return (i.LoadBalancer == "" || i.LoadBalancer == r.LoadBalancer) && (i.Listener == "" || i.Listener == r.Listener)
}

func (s *Snapshot) narrow(sel Selection, intent *Intent) error {
	if sel.LoadBalancer != "" {
		var names []string
		for _, lb := range s.AWS.LoadBalancers {
			if lb.ARN == sel.LoadBalancer || lb.Name == sel.LoadBalancer {
				intent.LoadBalancer = lb.ARN
			}
			names = append(names, lb.Name)
		}
		if intent.LoadBalancer == "" {
			return s.unlessUnread(unknown("load balancer", sel.LoadBalancer, names), ResourceLoadBalancers)
		}
	}
	if sel.Listener != "" {
		_, lb, ok := s.Listener(sel.Listener)
		if !ok {
			return s.unlessUnread(unknown("listener", sel.Listener, slices.Collect(maps.Keys(s.index.listeners))), ResourceLoadBalancers)
		}
		if intent.LoadBalancer != "" && intent.LoadBalancer != lb.ARN {
			return usage(sel.Listener, "the listener is not on load balancer "+sel.LoadBalancer, "leave one of the two out")
		}
		intent.Listener = sel.Listener
	}
	return nil
}

func (s *Snapshot) selectRule(sel Selection, intent *Intent) ([]HostKey, error) {
	if len(sel.Hosts) > 0 || sel.Lane != "" || sel.All {
		return nil, usage(sel.Rule, "a rule is moved whole, with every host on it", "leave --host, --lane and --all out")
	}
	r, ok := s.Rule(sel.Rule)
	if !ok {
		return nil, s.unlessUnread(unknown("rule", sel.Rule, slices.Collect(maps.Keys(s.index.rules))), ResourceLoadBalancers, ResourceRules)
	}
	intent.Rule = r.ARN
	return s.RuleHosts(r.ARN), nil
}

func (s *Snapshot) selectNames(sel Selection) ([]HostKey, error) {
	if sel.All {
		return nil, usage("", "--all and --host contradict each other", "leave one of the two out")
	}
	if sel.Lane != "" {
		if _, err := s.selectLane(sel.Lane); err != nil {
			return nil, err
		}
	}
	var keys []HostKey
	for _, name := range sel.Hosts {
		lower := strings.ToLower(strings.TrimSpace(name))
		found := false
		for _, l := range s.Lanes {
			k := HostKey{Host: lower, Lane: l.Name}
			if _, ok := s.Host(k); ok && (sel.Lane == "" || sel.Lane == l.Name) {
				keys = append(keys, k)
				found = true
			}
		}
		if found {
			continue
		}
		var names []string
		for _, h := range s.Hosts {
			if sel.Lane == "" || sel.Lane == h.Lane {
				names = append(names, h.Host)
			}
		}
		what := "published host"
		if sel.Lane != "" {
			what += " of lane " + sel.Lane
		}
		return nil, s.unlessUnread(unknown(what, name, names), ResourceVirtualServices, ResourceGateways)
	}
	return keys, nil
}

// selectLane returns the hosts of a lane, of all lanes for "".
func (s *Snapshot) selectLane(lane string) ([]HostKey, error) {
	if _, ok := s.Lane(lane); !ok && lane != "" {
		return nil, s.unlessUnread(unknown("lane", lane, slices.Collect(maps.Keys(s.index.lanes))), ResourceGateways)
	}
	var keys []HostKey
	for _, h := range s.Hosts {
		if lane == "" || h.Lane == lane {
			keys = append(keys, h.HostKey)
		}
	}
	return keys, nil
}

func usage(object, message, remedy string) *Error {
	return &Error{Kind: KindUsage, Operation: "select", Object: Line(object), Message: message, Remedy: remedy}
}

// unknown is the error for a name that is not there.
func unknown(what, name string, names []string) *Error {
	e := usage(name, "there is no such "+what, "")
	if near := Nearest(name, names, 3); len(near) > 0 {
		e.Remedy = "the nearest: " + strings.Join(near, ", ")
	} else {
		e.Remedy = fmt.Sprintf("there is no %s at all; `cutover status` shows what was read", what)
	}
	return e
}

// unlessUnread returns e, or the problem for which what e misses is unknown.
func (s *Snapshot) unlessUnread(e *Error, resources ...Resource) error {
	for _, r := range resources {
		if p, ok := s.Unreadable(r); ok {
			return &Error{
				Kind: p.Kind, Operation: e.Operation, Object: e.Object,
				Message: fmt.Sprintf("%s, but %s could not be read: %s: %s", e.Message, r, p.Operation, p.Message),
				Remedy:  "try again when `cutover status` shows no problem",
			}
		}
	}
	return e
}

// Nearest returns the n of names, or all where there are fewer, that need the
// fewest edits to become name, the nearest first. Letter case does not count.
func Nearest(name string, names []string, n int) []string {
	list := slices.Compact(slices.Sorted(slices.Values(names)))
	edits := make(map[string]int, len(list))
	for _, other := range list {
		edits[other] = distance(strings.ToLower(name), strings.ToLower(other))
	}
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(edits[a], edits[b]) })
	return list[:min(n, len(list))]
}

// distance is the Levenshtein distance in bytes; names are ASCII. Names longer
// than any valid one are cut.
func distance(a, b string) int {
	a, b = a[:min(len(a), 256)], b[:min(len(b), 256)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost++
			}
			previous = row[j+1]
			row[j+1] = min(cost, row[j]+1, previous+1)
		}
	}
	return row[len(b)]
}
