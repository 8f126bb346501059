package model

import "slices"

// HostServices returns what requests for a host are routed to by all
// VirtualServices that publish it and those that they delegate to, as
// ServiceKey names it, sorted. It is empty when none says so.
func (s *Snapshot) HostServices(k HostKey) []string {
	h, _ := s.Host(k)
	var out []string
	for _, n := range h.VirtualServices {
		vs, _ := s.VirtualService(n)
		out = append(out, vs.Destinations...)
		for _, d := range vs.Delegates {
			delegate, _ := s.VirtualService(d)
			out = append(out, delegate.Destinations...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// HostsOf returns the hosts whose requests are routed to any of services.
func (s *Snapshot) HostsOf(services []string) []HostKey {
	var out []HostKey
	for _, h := range s.Hosts {
		if slices.ContainsFunc(s.HostServices(h.HostKey), func(v string) bool { return slices.Contains(services, v) }) {
			out = append(out, h.HostKey)
		}
	}
	return out
}

// LaneHosts returns the hosts that are published through a lane.
func (s *Snapshot) LaneHosts(lane string) []HostKey {
	var out []HostKey
	for _, h := range s.Hosts {
		if h.Lane == lane {
			out = append(out, h.HostKey)
		}
	}
	return out
}

// GatewayPods returns all pods that a side's ingress Service selects, ready or
// not: one that is on its way out still serves what is open.
func (s *Snapshot) GatewayPods(side Side) []Pod {
	if side.Service == nil {
		return nil
	}
	svc, _ := s.Service(*side.Service)
	var out []Pod
	for _, p := range s.Cluster.Pods {
		if svc.selects(p) {
			out = append(out, p)
		}
	}
	return out
}
