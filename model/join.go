package model

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Join makes a Snapshot of what was observed: it finds the lanes, the target
// groups that belong to them, the hosts that are published through them and
// the routes on which load balancers send these hosts' requests. The same
// observation in any order gives the same Snapshot. Nothing is modified.
//
// What could not be observed stays a Problem; what is contradictory, such as a
// config file that names what does not exist, becomes one.
func Join(c Cluster, a AWS, cfg Config) *Snapshot {
	s := &Snapshot{
		ObservedAt: older(c.ObservedAt, a.ObservedAt),
		Cluster:    sortedCluster(c),
		AWS:        sortedAWS(a),
	}
	s.Problems = slices.Concat(s.Cluster.Problems, s.AWS.Problems)
	for i := range s.Problems {
		p := &s.Problems[i]
		p.Operation, p.Message = Line(p.Operation), Line(p.Message)
	}
	s.indexObjects()
	specs := s.laneSpecs(cfg)
	s.joinLanes(specs)
	s.joinGroups(specs)
	s.joinHosts()
	s.joinRoutes()
	s.checkRegion()
	slices.SortStableFunc(s.Problems, compareProblems)
	s.indexProblems()
	return s
}

// older returns the earlier of two moments, the other one where one is unset.
func older(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// checkRegion says so where hosts are published and the account has no load
// balancer at all: most likely another region or account is looked at.
func (s *Snapshot) checkRegion() {
	if len(s.Hosts) == 0 || len(s.AWS.LoadBalancers) > 0 || s.AWS.ObservedAt.IsZero() {
		return
	}
	if _, bad := unreadable(s.Problems, ResourceLoadBalancers); !bad {
		s.problem("aws", "find load balancers", KindNotFound,
			"there is none in region "+s.AWS.Account.Region+" of account "+s.AWS.Account.Account+"; name the cluster's with --region and --profile")
	}
}

// problem records what was found to be wrong while joining.
func (s *Snapshot) problem(source, operation string, kind Kind, message string) {
	since := s.Cluster.ObservedAt
	if source == "aws" {
		since = s.AWS.ObservedAt
	}
	s.Problems = append(s.Problems, Problem{
		Source: source, Operation: operation, Kind: kind, Message: Line(message), Since: since,
	})
}

func compareProblems(a, b Problem) int {
	return cmp.Or(
		cmp.Compare(a.Source, b.Source), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Message, b.Message), a.Since.Compare(b.Since), cmp.Compare(a.Resource, b.Resource),
	)
}

func sortedCluster(c Cluster) Cluster {
	c.Gateways = sorted(c.Gateways, func(a, b Gateway) int { return a.Name.Compare(b.Name) })
	c.VirtualServices = sorted(c.VirtualServices, func(a, b VirtualService) int { return a.Name.Compare(b.Name) })
	c.Secrets = sorted(c.Secrets, func(a, b Secret) int { return a.Name.Compare(b.Name) })
	c.Services = sorted(c.Services, func(a, b Service) int { return a.Name.Compare(b.Name) })
	c.Pods = sorted(c.Pods, func(a, b Pod) int { return a.Name.Compare(b.Name) })
	c.Nodes = sorted(c.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	c.Problems = slices.SortedFunc(slices.Values(c.Problems), compareProblems)
	for i := range c.Services {
		c.Services[i].Ports = slices.SortedFunc(slices.Values(c.Services[i].Ports), func(a, b ServicePort) int {
			return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.TargetPort, b.TargetPort), cmp.Compare(a.NodePort, b.NodePort), cmp.Compare(a.Name, b.Name))
		})
	}
	return c
}

func sortedAWS(a AWS) AWS {
	a.LoadBalancers = sorted(a.LoadBalancers, func(a, b LoadBalancer) int { return cmp.Compare(a.ARN, b.ARN) })
	a.TargetGroups = sorted(a.TargetGroups, func(a, b TargetGroup) int { return cmp.Compare(a.ARN, b.ARN) })
	a.Problems = slices.SortedFunc(slices.Values(a.Problems), compareProblems)
	for i := range a.LoadBalancers {
		lb := &a.LoadBalancers[i]
		lb.Listeners = sorted(lb.Listeners, func(a, b Listener) int {
			return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.ARN, b.ARN))
		})
		for j := range lb.Listeners {
			lb.Listeners[j].Rules = sorted(lb.Listeners[j].Rules, CompareRules)
		}
	}
	for i := range a.TargetGroups {
		g := &a.TargetGroups[i]
		g.LoadBalancers = slices.Compact(slices.Sorted(slices.Values(g.LoadBalancers)))
		g.Targets = sorted(g.Targets, func(a, b Target) int {
			return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Zone, b.Zone))
		})
	}
	return a
}

// sorted returns a sorted copy in which what compares equal is kept once.
func sorted[T any](list []T, compare func(a, b T) int) []T {
	list = slices.Clone(list)
	slices.SortStableFunc(list, compare)
	return slices.CompactFunc(list, func(a, b T) bool { return compare(a, b) == 0 })
}

// CompareRules orders a listener's rules as they are evaluated: by priority,
// the default rule last.
func CompareRules(a, b Rule) int {
	if a.IsDefault() != b.IsDefault() {
		if a.IsDefault() {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ARN, b.ARN))
}

// joinHosts finds every host that a VirtualService publishes through a lane.
func (s *Snapshot) joinHosts() {
	publishers := map[HostKey][]ObjectName{}
	for _, vs := range s.Cluster.VirtualServices {
		names := s.publishedNames(vs)
		if len(names) == 0 {
			continue
		}
		for _, l := range s.Lanes {
			if s.Binding(vs, l.Name) == BindingNone {
				continue
			}
			for _, n := range names {
				k := HostKey{Host: n, Lane: l.Name}
				publishers[k] = append(publishers[k], vs.Name)
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(publishers), HostKey.Compare)
	s.Hosts = make([]Host, 0, len(keys))
	s.index.hosts = make(map[HostKey]int, len(keys))
	for i, k := range keys {
		s.Hosts = append(s.Hosts, Host{HostKey: k, VirtualServices: publishers[k]})
		s.index.hosts[k] = i
	}
}

// publishedNames returns a VirtualService's hosts in lower case, each once.
// What could control a terminal is taken out of them, and said.
func (s *Snapshot) publishedNames(vs VirtualService) []string {
	var names []string
	for _, h := range vs.Hosts {
		clean := strings.TrimSpace(Line(h))
		if clean != h && s.boundToLane(vs) {
			s.problem("kubernetes", "read virtualservice "+vs.Name.String(), KindInternal,
				"a host of it is no valid name and is shown as "+clean)
		}
		clean = strings.ToLower(clean)
		if clean != "" && !slices.Contains(names, clean) {
			names = append(names, clean)
		}
	}
	return names
}
