package model

import (
	"fmt"
	"slices"
)

// pair finds for every group that a staged rule leaves the one that takes
// over, by ARN, and notes in d what each host uses. Refused says why a group
// has no counterpart.
func (p *planner) pair(d *draft, to SideName, st *staged) (moved map[string]string, refused string) {
	v := st.view
	moved = map[string]string{}
	for _, lane := range p.lanes(st) {
		for _, f := range v.forwards {
			for _, g := range f.Groups {
				if !carries(f, g) {
					continue
				}
				u := use{view: v, lane: lane.Name, kind: p.s.GroupKind(g.ARN)}
				switch p.s.SideOf(lane.Name, g.ARN) {
				case to:
					u.to = g.ARN
				case to.Opposite():
					c, no := p.counterpart(d, lane, v, to, g.ARN)
					if no != "" {
						refused = no
					} else {
						moved[g.ARN] = c
					}
					u.from, u.to = g.ARN, c
				default:
					continue
				}
				for _, k := range st.hosts {
					if k.Lane == lane.Name {
						d.uses[k] = append(d.uses[k], u)
					}
				}
			}
		}
	}
	return moved, refused
}

// lanes returns the lanes of the staged hosts, and all for a rule moved whole.
func (p *planner) lanes(st *staged) []Lane {
	if st.whole {
		return p.s.Lanes
	}
	var out []Lane
	for _, l := range p.s.Lanes {
		if slices.ContainsFunc(st.hosts, func(k HostKey) bool { return k.Lane == l.Name }) {
			out = append(out, l)
		}
	}
	return out
}

// counterpart returns the group of the other side that takes over from a
// group: the same port kind and protocol, of the same VPC, free or on this
// load balancer, and the only one of that kind.
func (p *planner) counterpart(d *draft, lane Lane, v *ruleView, to SideName, from string) (arn, refused string) {
	kind := p.s.GroupKind(from)
	leaving, known := p.s.TargetGroup(from)
	if !known {
		return "", "target group " + groupName(from) + " was not observed, so its counterpart is unknown"
	}
	var fit, misfits []string
	for _, c := range lane.Side(to).TargetGroups {
		g, ok := p.s.TargetGroup(c)
		if !ok || p.s.GroupKind(c) != kind {
			continue
		}
		if why := misfit(d, leaving, g, v.lb); why != "" {
			misfits = append(misfits, groupName(c)+" "+why)
			continue
		}
		fit = append(fit, c)
	}
	switch len(fit) {
	case 1:
		return fit[0], ""
	case 0:
		reason := fmt.Sprintf("the %s side of lane %s has no %s target group for its %s port that is free or on %s",
			to, lane.Name, leaving.Protocol, kind, v.lb.Name)
		if len(misfits) > 0 {
			reason += ": " + listed(misfits)
		}
		remedy := "create one"
		if port := lane.Side(to).NodePorts.Of(kind); port != 0 {
			remedy = fmt.Sprintf("create one with port %d", port)
		}
		return "", Line(reason + "; " + remedy)
	default:
		names := make([]string, 0, len(fit))
		for _, c := range fit {
			names = append(names, groupName(c))
		}
		return "", Line(fmt.Sprintf("several %s-side target groups could take over from %s: %s; name one in the config file (lanes, %s, targetGroups)",
			to, groupName(from), listed(names), to))
	}
}

// misfit says why a group cannot take over from another on a load balancer.
func misfit(d *draft, leaving, g TargetGroup, lb LoadBalancer) string {
	if !sameProtocol(leaving.Protocol, g.Protocol) {
		return "has protocol " + g.Protocol
	}
	if leaving.VPC != "" && g.VPC != "" && leaving.VPC != g.VPC {
		return "is in another VPC"
	}
	if len(g.LoadBalancers) > 0 {
		if !slices.Contains(g.LoadBalancers, lb.ARN) {
			return "is on another load balancer"
		}
		return ""
	}
	if other := d.claims[g.ARN]; other != "" && other != lb.ARN {
		return "is given to another load balancer by this plan"
	}
	return ""
}

// sameProtocol reports whether targets are spoken to alike: a port of a
// gateway expects TLS or does not, whatever the load balancer could do.
func sameProtocol(a, b string) bool {
	tcp := func(s string) bool { return s == "TCP" || s == "TCP_UDP" }
	return a == b || tcp(a) && tcp(b)
}

// plain says why a group cannot stand in a weighted forward without stickiness
// between groups; "" where it can (FACTS: aws-load-balancer-controller#2734).
func (p *planner) plain(arn string) string {
	g, ok := p.s.TargetGroup(arn)
	if !ok {
		return ""
	}
	switch g.Protocol {
	case "HTTP", "HTTPS", "TCP", "TLS":
	default:
		return fmt.Sprintf("target group %s has protocol %s, which takes no weights", g.Name, g.Protocol)
	}
	if g.Sticky {
		return fmt.Sprintf("target group %s has stickiness on and the rule has none between groups, so AWS refuses weights", g.Name)
	}
	return ""
}

// groupsPerAction is the number of target groups that a forward may name:
// what the account says, else AWS's default of 5.
func (p *planner) groupsPerAction(t LoadBalancerType) int {
	if n := p.s.AWS.Limits["target-groups-per-action-on-"+string(t)+"-load-balancer"]; n > 0 {
		return n
	}
	return 5
}
