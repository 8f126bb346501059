package model

import (
	"cmp"
	"slices"
	"time"
)

// Status reports everything that was observed and what follows from it. The
// states are what journal and run say about hosts; the gates are those of
// going to new, in the order in which they are to be reported. Listeners and
// routes are reported by ARN, unlike in the Snapshot, where the port decides.
func Status(s *Snapshot, states HostStates, gates []HostGate) Report {
	return Report{
		ObservedAt: timeOrNil(s.ObservedAt),
		Problems:   orEmpty(s.Problems),
		Cluster: ReportCluster{
			Context: Line(s.Cluster.Context), Server: Line(s.Cluster.Server), UID: stringOrNil(s.Cluster.UID),
		},
		AWS: ReportAWS{
			Account: stringOrNil(s.AWS.Account.Account), ARN: stringOrNil(s.AWS.Account.ARN),
			Region: s.AWS.Account.Region, Endpoint: Line(s.AWS.Account.Endpoint),
		},
		Lanes:           reportList(s, s.Lanes, s.reportLane, ResourceGateways),
		Gateways:        reportList(s, s.Cluster.Gateways, s.reportGateway, ResourceGateways),
		Secrets:         reportList(s, s.Cluster.Secrets, s.reportSecret, ResourceSecrets, ResourceGateways),
		VirtualServices: reportList(s, s.Cluster.VirtualServices, s.reportVirtualService, ResourceVirtualServices),
		LoadBalancers:   reportList(s, s.AWS.LoadBalancers, s.reportLoadBalancer, ResourceLoadBalancers),
		Hosts:           reportList(s, s.Hosts, hostReporter(states, gates), ResourceVirtualServices, ResourceGateways),
		Runbook:         s.Runbook(),
	}
}

// reportList reports every element; null for a list that is empty because one
// of the resources it is made of could not be read.
func reportList[T, R any](s *Snapshot, list []T, report func(T) R, resources ...Resource) []R {
	if len(list) == 0 && slices.ContainsFunc(resources, func(r Resource) bool { _, bad := s.Unreadable(r); return bad }) {
		return nil
	}
	return each(list, report)
}

// each never returns nil.
func each[T, R any](list []T, report func(T) R) []R {
	out := make([]R, 0, len(list))
	for _, v := range list {
		out = append(out, report(v))
	}
	return out
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func stringOrNil(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

func (s *Snapshot) reportLane(l Lane) ReportLane {
	side := func(v Side) ReportSide {
		r := ReportSide{Gateway: v.Gateway, Service: v.Service, TargetGroups: orEmpty(v.TargetGroups)}
		if v.Service != nil {
			r.NodePorts = &v.NodePorts
		}
		if _, bad := s.Unreadable(ResourceTargetGroups); bad && len(v.TargetGroups) == 0 {
			r.TargetGroups = nil
		}
		return r
	}
	return ReportLane{Name: l.Name, Old: side(l.Old), New: side(l.New), Warnings: orEmpty(l.Warnings)}
}

// gatewayPlace returns the first lane that a Gateway is in, and its side there.
func (s *Snapshot) gatewayPlace(g ObjectName) (lane string, side SideName) {
	for _, l := range s.Lanes {
		for _, v := range []Side{l.Old, l.New} {
			if v.Gateway != nil && *v.Gateway == g {
				return l.Name, v.Name
			}
		}
	}
	return "", Other
}

func (s *Snapshot) reportGateway(g Gateway) ReportGateway {
	r := ReportGateway{Name: g.Name, Keep: g.Keep, Hosts: []string{}, Secrets: s.GatewaySecrets(g)}
	r.Lane, r.Side = s.gatewayPlace(g.Name)
	for _, server := range g.Servers {
		for _, h := range server.Hosts {
			if h = Line(h); !slices.Contains(r.Hosts, h) {
				r.Hosts = append(r.Hosts, h)
			}
		}
	}
	slices.Sort(r.Hosts)
	return r
}

func (s *Snapshot) reportSecret(v Secret) ReportSecret {
	r := ReportSecret{Name: v.Name}
	r.Lane, r.Side = s.secretPlace(v.Name)
	if !v.Readable {
		return r
	}
	r.Exists, r.Keep = &v.Exists, &v.Keep
	r.NotAfter, r.SHA256 = timeOrNil(v.NotAfter), stringOrNil(v.SHA256)
	r.DNSNames = each(v.DNSNames, Line)
	return r
}

// secretPlace returns the lane and side of the first Gateway that names a
// Secret, those of lanes before others.
func (s *Snapshot) secretPlace(n ObjectName) (lane string, side SideName) {
	for _, l := range s.Lanes {
		for _, v := range []Side{l.Old, l.New} {
			if v.Gateway == nil {
				continue
			}
			if g, _ := s.Gateway(*v.Gateway); slices.Contains(s.GatewaySecrets(g), n) {
				return l.Name, v.Name
			}
		}
	}
	return "", Other
}

func (s *Snapshot) reportVirtualService(vs VirtualService) ReportVirtualService {
	r := ReportVirtualService{Name: vs.Name, Hosts: each(vs.Hosts, Line), Gateways: []string{}}
	r.Binding, r.Lane = s.FoldedBinding(vs)
	for _, ref := range vs.Gateways {
		if n, ok := vs.ResolveGateway(ref); ok {
			ref = n.String()
		}
		r.Gateways = append(r.Gateways, Line(ref))
	}
	return r
}

func (s *Snapshot) reportLoadBalancer(lb LoadBalancer) ReportLoadBalancer {
	return ReportLoadBalancer{
		ARN: lb.ARN, Name: Line(lb.Name), Type: lb.Type, DNSName: Line(lb.DNSName),
		Listeners: each(slices.SortedFunc(slices.Values(lb.Listeners), func(a, b Listener) int {
			return cmp.Compare(a.ARN, b.ARN)
		}), func(l Listener) ReportListener {
			r := ReportListener{ARN: l.ARN, Port: l.Port, Protocol: l.Protocol}
			if len(l.Rules) > 0 { // Each listener has a default rule: none is unread.
				r.Rules = each(l.Rules, s.reportRule)
			}
			return r
		}),
	}
}

func (s *Snapshot) reportRule(r Rule) ReportRule {
	out := ReportRule{ARN: r.ARN, Priority: r.PriorityText(), Hosts: each(r.Hosts(), Line), Shared: s.Shared(r)}
	out.Side, out.NewWeight, _ = s.RuleSide("", r)
	return out
}

// Shared reports whether a rule can serve a name outside one published host:
// the default rule always, others by the values of their host condition.
func (s *Snapshot) Shared(r Rule) bool {
	c, err := ParseConditions(r.Conditions)
	if r.IsDefault() || err != nil || c.AnyHost() || len(c.Hosts[0].Regex) > 0 {
		return true
	}
	one := ""
	for _, v := range c.Hosts[0].Values {
		host, ok := s.index.published.ownsAll(v)
		if !ok || one != "" && host != one {
			return true
		}
		one = host
	}
	return one == ""
}

func hostReporter(states HostStates, gates []HostGate) func(Host) ReportHost {
	byHost := map[HostKey][]Gate{}
	for _, g := range gates {
		byHost[g.Host] = append(byHost[g.Host], g.Gate)
	}
	return func(h Host) ReportHost {
		r := ReportHost{
			Host: h.Host, Lane: h.Lane, VirtualServices: orEmpty(h.VirtualServices), State: h.State,
			Proof: states[h.HostKey].Current(h.State).Proof, Gates: orEmpty(byHost[h.HostKey]),
			Routes: each(slices.SortedFunc(slices.Values(h.Routes), func(a, b Route) int {
				return cmp.Or(cmp.Compare(a.LoadBalancer, b.LoadBalancer), cmp.Compare(a.Listener, b.Listener))
			}), func(v Route) ReportRoute {
				return ReportRoute{
					LoadBalancer: v.LoadBalancer, Type: v.Type, Listener: v.Listener, Port: v.Port,
					Rules: orEmpty(v.Rules), Side: v.Side, NewWeight: v.NewWeight,
				}
			}),
		}
		return r
	}
}
