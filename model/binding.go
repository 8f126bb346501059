package model

import "strings"

// ResolveGateway returns the Gateway that a VirtualService's gateway list
// means by ref: "ns/name", "./name" or bare "name" for its own namespace, and
// the legacy "name.ns.svc.cluster.local". It is false for "mesh" and for what
// names nothing.
func (v VirtualService) ResolveGateway(ref string) (ObjectName, bool) {
	if ref == "mesh" {
		return ObjectName{}, false
	}
	n := ObjectName{Namespace: v.Name.Namespace, Name: ref}
	if ns, name, ok := strings.Cut(ref, "/"); ok {
		n.Name = name
		if ns != "." {
			n.Namespace = ns
		}
	} else if name, rest, ok := strings.Cut(ref, "."); ok {
		n.Name = name
		n.Namespace, _, _ = strings.Cut(rest, ".")
	}
	return n, n.Name != "" && n.Namespace != ""
}

// ListsGateway reports whether spec.gateways names a Gateway in any form.
func (v VirtualService) ListsGateway(g ObjectName) bool {
	for _, ref := range v.Gateways {
		if n, ok := v.ResolveGateway(ref); ok && n == g {
			return true
		}
	}
	return false
}

// Binding says which sides of a lane a VirtualService lists. It goes by the
// Gateways' names, so a Gateway that is not deployed yet can be listed.
func (s *Snapshot) Binding(vs VirtualService, lane string) Binding {
	names := s.index.gatewayNames[lane]
	hasOld, hasNew := vs.ListsGateway(names.old), vs.ListsGateway(names.new)
	switch {
	case hasOld && hasNew:
		return BindingBoth
	case hasOld:
		return BindingOld
	case hasNew:
		return BindingNew
	default:
		return BindingNone
	}
}

// FoldedBinding is the least complete binding over all lanes and the names of
// the lanes whose Gateways the VirtualService lists.
func (s *Snapshot) FoldedBinding(vs VirtualService) (Binding, []string) {
	lanes := []string{}
	has := map[Binding]bool{}
	for _, l := range s.Lanes {
		b := s.Binding(vs, l.Name)
		has[b] = true
		if b != BindingNone {
			lanes = append(lanes, l.Name)
		}
	}
	for _, b := range []Binding{BindingOld, BindingNew, BindingBoth} {
		if has[b] {
			return b, lanes
		}
	}
	return BindingNone, lanes
}

func (s *Snapshot) boundToLane(vs VirtualService) bool {
	b, _ := s.FoldedBinding(vs)
	return b != BindingNone
}

// GatewayName returns the name of a side's Gateway whether or not it exists;
// false for an unknown lane or a side that has none.
func (s *Snapshot) GatewayName(lane string, side SideName) (ObjectName, bool) {
	names := s.index.gatewayNames[lane]
	n := names.old
	if side == New {
		n = names.new
	}
	return n, n != ObjectName{}
}
