package model

import (
	"encoding/binary"
	"math"
	"slices"
)

// joinRoutes finds the routes of every host: on each listener of the load
// balancers that the lane's groups are on, the rules that its requests reach.
func (s *Snapshot) joinRoutes() {
	s.index.owners, s.index.published = map[string]owners{}, owners{}
	for _, h := range s.Hosts {
		if s.index.owners[h.Lane] == nil {
			s.index.owners[h.Lane] = owners{}
		}
		s.index.owners[h.Lane][h.Host] = true
		s.index.published[h.Host] = true
	}
	tables := map[string]*ruleTable{}
	s.index.forwards = map[string][]Forward{}
	for _, lb := range s.AWS.LoadBalancers {
		for _, l := range lb.Listeners {
			tables[l.ARN] = newRuleTable(l.Rules)
			for _, r := range tables[l.ARN].rules {
				s.index.forwards[r.arn] = r.forwards
			}
		}
	}
	routers := map[string][]*router{}
	for _, l := range s.Lanes {
		routers[l.Name] = s.routers(l, tables)
	}
	s.index.ruleHosts = map[string][]HostKey{}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		h.Routes = make([]Route, 0, len(routers[h.Lane]))
		for _, r := range routers[h.Lane] {
			route := r.route(h.Host)
			h.Routes = append(h.Routes, route)
			for _, arn := range route.Rules {
				s.index.ruleHosts[arn] = append(s.index.ruleHosts[arn], h.HostKey)
			}
		}
		h.State, h.NewWeight = s.state(h.Routes)
	}
}

// router finds the routes of a lane's hosts on one listener.
type router struct {
	base     Route
	table    *ruleTable
	owners   owners
	literals map[string][]string // literal host values by the wildcard that owns them
	sides    func(arn string) SideName
	seen     map[string]Route // by the rules that are reached; most hosts share a few
}

// routers returns a lane's routers, by load balancer and port.
func (s *Snapshot) routers(l Lane, tables map[string]*ruleTable) []*router {
	on := map[string]bool{}
	for _, arn := range slices.Concat(l.Old.TargetGroups, l.New.TargetGroups) {
		g, _ := s.TargetGroup(arn)
		for _, lb := range g.LoadBalancers {
			on[lb] = true
		}
	}
	sides := func(arn string) SideName { return s.SideOf(l.Name, arn) }
	var list []*router
	for _, lb := range s.AWS.LoadBalancers {
		if lb.Type != Application && lb.Type != Network || !on[lb.ARN] && !forwardsTo(lb, tables, sides) {
			continue
		}
		for _, listener := range lb.Listeners {
			r := &router{
				base:  Route{LoadBalancer: lb.ARN, Type: lb.Type, Listener: listener.ARN, Port: listener.Port},
				table: tables[listener.ARN], owners: s.index.owners[l.Name], sides: sides,
				literals: map[string][]string{}, seen: map[string]Route{},
			}
			for v := range r.table.literal {
				if h := r.owners.owner(v); IsWildcard(h) {
					r.literals[h] = append(r.literals[h], v)
				}
			}
			list = append(list, r)
		}
	}
	return list
}

// forwardsTo reports whether a load balancer names a group of the lane, which
// counts also while the group's own list of load balancers lags behind.
func forwardsTo(lb LoadBalancer, tables map[string]*ruleTable, sides func(string) SideName) bool {
	for _, l := range lb.Listeners {
		for _, r := range tables[l.ARN].rules {
			if switchable(r.forwards, sides) {
				return true
			}
		}
	}
	return false
}

func (r *router) route(host string) Route {
	var reached []int
	if IsWildcard(host) {
		reached = r.table.reachWildcard(host, r.owners, r.literals[host])
	} else {
		reached = r.table.reach(host)
	}
	var key []byte
	for _, i := range reached {
		key = binary.AppendUvarint(key, uint64(i))
	}
	if route, ok := r.seen[string(key)]; ok {
		return route
	}
	route := r.base
	route.Rules, route.Switchable = []string{}, []string{}
	var verdict sideFold
	for _, i := range reached {
		rule := &r.table.rules[i]
		route.Rules = append(route.Rules, rule.arn)
		if switchable(rule.forwards, r.sides) {
			route.Switchable = append(route.Switchable, rule.arn)
			verdict.add(weigh(rule.forwards, r.sides))
		}
	}
	route.Side, route.NewWeight = verdict.result()
	r.seen[string(key)] = route
	return route
}

// switchable reports whether an action names a group of either side.
func switchable(forwards []Forward, sides func(string) SideName) bool {
	for _, f := range forwards {
		for _, g := range f.Groups {
			if side := sides(g.ARN); side == Old || side == New {
				return true
			}
		}
	}
	return false
}

// weigh sums the sides' weights up: the side that has all of it, or split with
// the new side's percentage. Without any weight it is other and nil.
func weigh(forwards []Forward, sides func(string) SideName) (SideName, *int) {
	var oldWeight, newWeight int
	for _, f := range forwards {
		for _, g := range f.Groups {
			switch sides(g.ARN) {
			case Old:
				oldWeight += g.Weight
			case New:
				newWeight += g.Weight
			case Split, Mixed, Other: // A foreign group.
			}
		}
	}
	if oldWeight+newWeight <= 0 {
		return Other, nil
	}
	percent := int(math.Round(100 * float64(newWeight) / float64(oldWeight+newWeight)))
	switch {
	case newWeight == 0:
		return Old, &percent
	case oldWeight == 0:
		return New, &percent
	default:
		return Split, &percent
	}
}

// RuleSide returns where a rule sends what it takes, over the groups of a lane
// or, for lane "", of all lanes: old, new, split or other, with the new side's
// percentage, nil for none. It is switchable when its actions name a group of
// the lane.
func (s *Snapshot) RuleSide(lane string, r Rule) (side SideName, newWeight *int, isSwitchable bool) {
	forwards, err := Forwards(r.Actions)
	if err != nil {
		return Other, nil, false
	}
	sides := s.sideOfAny
	if lane != "" {
		sides = func(arn string) SideName { return s.SideOf(lane, arn) }
	}
	side, newWeight = weigh(forwards, sides)
	return side, newWeight, switchable(forwards, sides)
}

// sideFold folds sides: what all agree on, else mixed. Other does not count.
type sideFold struct {
	side   SideName
	weight *int
}

func (f *sideFold) add(side SideName, weight *int) {
	switch {
	case side == Other:
	case f.side == "":
		f.side, f.weight = side, weight
	case f.side != side || !sameWeight(f.weight, weight):
		f.side, f.weight = Mixed, nil
	}
}

func (f *sideFold) result() (SideName, *int) {
	if f.side == "" {
		return Other, nil
	}
	return f.side, f.weight
}

func sameWeight(a, b *int) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// state folds a host's routes. A host without switchable routes is unrouted
// only if everything was read by which routes are found, and a listener that
// has no rules was not read: each has a default rule.
func (s *Snapshot) state(routes []Route) (State, *int) {
	var fold sideFold
	for _, r := range routes {
		if len(r.Rules) == 0 {
			return StateUnknown, nil
		}
		fold.add(r.Side, r.NewWeight)
	}
	side, weight := fold.result()
	switch side {
	case Old:
		return StateOld, weight
	case New:
		return StateNew, weight
	case Split:
		return StateSplit, weight
	case Mixed:
		return StateMixed, nil
	case Other:
	}
	for _, r := range []Resource{
		ResourceLoadBalancers, ResourceRules, ResourceTargetGroups, ResourceTargetHealth,
		ResourceServices, ResourceNodes, ResourcePods,
	} {
		if _, bad := unreadable(s.Problems, r); bad {
			return StateUnknown, nil
		}
	}
	return StateUnrouted, nil
}
