package model

import (
	"fmt"
	"slices"
)

// membership says that a target group belongs to a side of a lane.
type membership struct {
	lane string
	side SideName
	kind PortKind // "" when a group that the config names has a port of no kind
}

// joinGroups finds the target groups of every side (DESIGN "Belonging"): those
// that the config names, else those whose port is the side's NodePort and that
// have a node of this cluster as a target, or no target yet and the VPC of
// those that have; and those of pod addresses that have a pod of the side.
func (s *Snapshot) joinGroups(specs []laneSpec) {
	s.index.members = map[string][]membership{}
	nodes := s.nodeIDs()
	vpcs := map[string]bool{}
	for _, g := range s.AWS.TargetGroups {
		if hasNode(g, nodes) {
			vpcs[g.VPC] = true
		}
	}
	for i := range s.Lanes {
		l := &s.Lanes[i]
		for _, side := range []*Side{&l.Old, &l.New} {
			named := specs[i].old.groups
			if side.Name == New {
				named = specs[i].new.groups
			}
			s.checkNamedGroups(l.Name, named)
			pods := s.podPorts(*side)
			for _, g := range s.AWS.TargetGroups {
				kind, ok := side.kindOfNodes(g, nodes, vpcs)
				if !ok {
					kind, ok = kindOfPods(g, pods)
				}
				if len(named) > 0 {
					ok = slices.Contains(named, g.ARN) || slices.Contains(named, g.Name)
					if ok && kind == "" {
						kind = kindByPort(g, *side)
					}
				}
				if ok {
					side.TargetGroups = append(side.TargetGroups, g.ARN)
					s.index.members[g.ARN] = append(s.index.members[g.ARN], membership{lane: l.Name, side: side.Name, kind: kind})
				}
			}
		}
	}
}

func (s *Snapshot) checkNamedGroups(lane string, named []string) {
	if _, bad := unreadable(s.Problems, ResourceTargetGroups); bad {
		return
	}
	for _, n := range named {
		if !slices.ContainsFunc(s.AWS.TargetGroups, func(g TargetGroup) bool { return g.ARN == n || g.Name == n }) {
			s.problem("config", "find target group of lane "+lane, KindNotFound, fmt.Sprintf("target group %s does not exist", n))
		}
	}
}

// nodeIDs returns how target groups name this cluster's nodes.
func (s *Snapshot) nodeIDs() map[string]bool {
	ids := map[string]bool{}
	for _, n := range s.Cluster.Nodes {
		for _, id := range []string{n.InstanceID, n.InternalIP} {
			if id != "" {
				ids[id] = true
			}
		}
	}
	return ids
}

func hasNode(g TargetGroup, nodes map[string]bool) bool {
	return slices.ContainsFunc(g.Targets, func(t Target) bool { return nodes[t.ID] })
}

// kindOfNodes returns the kind of the side's NodePort that a group of nodes
// sends to; false when it is not the side's.
func (side Side) kindOfNodes(g TargetGroup, nodes, vpcs map[string]bool) (PortKind, bool) {
	port := g.Port
	if !hasNode(g, nodes) {
		if len(g.Targets) > 0 || !vpcs[g.VPC] || g.TargetType == "alb" || g.TargetType == "lambda" {
			return "", false
		}
	} else {
		port = nodePort(g, nodes)
	}
	for _, k := range []PortKind{PortHTTPS, PortHTTP, PortStatus} {
		if p := side.NodePorts.Of(k); p != 0 && p == port {
			return k, true
		}
	}
	return "", false
}

// nodePort returns the port that a group sends to on nodes: the one on which
// all of them are registered, else the group's own.
func nodePort(g TargetGroup, nodes map[string]bool) int {
	port := 0
	for _, t := range g.Targets {
		switch {
		case !nodes[t.ID]:
		case t.Port == 0 || port != 0 && t.Port != port:
			return g.Port
		default:
			port = t.Port
		}
	}
	return port
}

// podPorts returns what a side's pods listen on: the kind by address and port.
func (s *Snapshot) podPorts(side Side) map[Target]PortKind {
	if side.Service == nil {
		return nil
	}
	svc, _ := s.Service(*side.Service)
	ports := map[Target]PortKind{}
	for _, p := range s.Cluster.Pods {
		if p.IP == "" || !svc.selects(p) {
			continue
		}
		for _, k := range []PortKind{PortStatus, PortHTTP, PortHTTPS} {
			sp := svc.portOf(k)
			if sp.Port == 0 {
				continue
			}
			if sp.TargetPort == 0 { // It is given by name: what Istio's gateways listen on.
				_, sp.TargetPort = ingressPorts(k)
			}
			ports[Target{ID: p.IP, Port: sp.TargetPort}] = k
		}
	}
	return ports
}

func kindOfPods(g TargetGroup, pods map[Target]PortKind) (PortKind, bool) {
	if g.TargetType != "ip" {
		return "", false
	}
	for _, t := range g.Targets {
		port := t.Port
		if port == 0 {
			port = g.Port
		}
		if k, ok := pods[Target{ID: t.ID, Port: port}]; ok {
			return k, true
		}
	}
	return "", false
}

// kindByPort guesses the kind of a group that the config gives to a side: its
// port says, whatever its targets are.
func kindByPort(g TargetGroup, side Side) PortKind {
	for _, k := range []PortKind{PortHTTPS, PortHTTP, PortStatus} {
		port, target := ingressPorts(k)
		if g.Port == side.NodePorts.Of(k) || g.Port == port || g.Port == target {
			return k
		}
	}
	return ""
}

// SideOf returns the side of a lane that a target group belongs to: old, new,
// or other when it belongs to neither, or to both.
func (s *Snapshot) SideOf(lane, targetGroupARN string) SideName {
	side := Other
	for _, m := range s.index.members[targetGroupARN] {
		if m.lane != lane {
			continue
		}
		if side != Other {
			return Other
		}
		side = m.side
	}
	return side
}

// sideOfAny is SideOf in the first lane that the group belongs to.
func (s *Snapshot) sideOfAny(targetGroupARN string) SideName {
	for _, m := range s.index.members[targetGroupARN] {
		return s.SideOf(m.lane, targetGroupARN)
	}
	return Other
}

// GroupKind returns which port of a side a target group sends to, "" for a
// group of no side.
func (s *Snapshot) GroupKind(targetGroupARN string) PortKind {
	for _, m := range s.index.members[targetGroupARN] {
		if m.kind != "" {
			return m.kind
		}
	}
	return ""
}
