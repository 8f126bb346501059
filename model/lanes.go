package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Where the convention looks for Gateways (FACTS: istio-system/X and
// istio-gateway/X-ingressgateway).
const (
	oldNamespace = "istio-system"
	newNamespace = "istio-gateway"
	newSuffix    = "-ingressgateway"
)

// laneSpec is what a lane should consist of, by the convention and the config.
type laneSpec struct {
	name     string
	old, new sideSpec
}

type sideSpec struct {
	gateway ObjectName // zero for none
	service ObjectName // zero: found by the Gateway's selector
	groups  []string   // names or ARNs; empty: found by their targets
}

// gatewayPair are the names of a lane's Gateways, existing or not.
type gatewayPair struct{ old, new ObjectName }

// laneSpecs returns the lanes of which at least one Gateway exists, sorted. A
// Gateway that the config names is in no other lane by the convention.
func (s *Snapshot) laneSpecs(cfg Config) []laneSpec {
	specs := map[string]laneSpec{}
	claimed := map[ObjectName]bool{}
	for _, l := range cfg.Lanes {
		if _, ok := specs[l.Name]; ok || l.Name == "" {
			s.problem("config", "read lane "+l.Name, KindUsage, "a lane needs a name of its own")
			continue
		}
		spec := laneSpec{name: l.Name}
		spec.old = s.sideSpec(l.Name, Old, l.Old)
		spec.new = s.sideSpec(l.Name, New, l.New)
		specs[l.Name] = spec
		claimed[spec.old.gateway], claimed[spec.new.gateway] = true, true
	}
	for _, g := range s.Cluster.Gateways {
		name := conventionalLane(g.Name)
		if _, ok := specs[name]; ok || name == "" || claimed[g.Name] {
			continue
		}
		spec := laneSpec{name: name}
		if n := conventionalGateway(name, Old); !claimed[n] {
			spec.old.gateway = n
		}
		if n := conventionalGateway(name, New); !claimed[n] {
			spec.new.gateway = n
		}
		specs[name] = spec
	}
	var list []laneSpec
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		spec := specs[name]
		_, hasOld := s.Gateway(spec.old.gateway)
		_, hasNew := s.Gateway(spec.new.gateway)
		if hasOld || hasNew {
			list = append(list, spec)
		} else if _, bad := unreadable(s.Problems, ResourceGateways); !bad {
			s.problem("config", "find lane "+name, KindNotFound,
				fmt.Sprintf("neither Gateway %s nor %s exists", spec.old.gateway, spec.new.gateway))
		}
	}
	return list
}

func (s *Snapshot) sideSpec(lane string, side SideName, c ConfigSide) sideSpec {
	spec := sideSpec{gateway: conventionalGateway(lane, side), groups: c.TargetGroups}
	if c.Gateway != "" {
		spec.gateway = s.configName(lane, "gateway", c.Gateway)
	}
	if c.Service != "" {
		spec.service = s.configName(lane, "service", c.Service)
	}
	return spec
}

func (s *Snapshot) configName(lane, field, value string) ObjectName {
	ns, name, ok := strings.Cut(value, "/")
	if !ok || ns == "" || name == "" || strings.Contains(name, "/") {
		s.problem("config", "read lane "+lane, KindUsage, field+" "+value+" is not namespace/name")
		return ObjectName{}
	}
	return ObjectName{Namespace: ns, Name: name}
}

func conventionalGateway(lane string, side SideName) ObjectName {
	if side == New {
		return ObjectName{Namespace: newNamespace, Name: lane + newSuffix}
	}
	return ObjectName{Namespace: oldNamespace, Name: lane}
}

// conventionalLane returns the lane that a Gateway is in by its name, "" for none.
func conventionalLane(g ObjectName) string {
	switch g.Namespace {
	case oldNamespace:
		return g.Name
	case newNamespace:
		if name, ok := strings.CutSuffix(g.Name, newSuffix); ok {
			return name
		}
	}
	return ""
}

func (s *Snapshot) joinLanes(specs []laneSpec) {
	s.index.lanes = make(map[string]int, len(specs))
	s.index.gatewayNames = make(map[string]gatewayPair, len(specs))
	s.Lanes = make([]Lane, 0, len(specs))
	for i, spec := range specs {
		l := Lane{Name: spec.name}
		var warnings []string
		l.Old, warnings = s.joinSide(Old, spec.name, spec.old, nil)
		l.Warnings = append(l.Warnings, warnings...)
		l.New, warnings = s.joinSide(New, spec.name, spec.new, l.Old.Service)
		l.Warnings = append(l.Warnings, warnings...)
		l.Warnings = append(l.Warnings, s.crossSelection(l)...)
		s.Lanes = append(s.Lanes, l)
		s.index.lanes[l.Name] = i
		s.index.gatewayNames[l.Name] = gatewayPair{old: spec.old.gateway, new: spec.new.gateway}
	}
}

func (s *Snapshot) joinSide(name SideName, lane string, spec sideSpec, taken *ObjectName) (Side, []string) {
	side := Side{Name: name}
	var warnings []string
	g, ok := s.Gateway(spec.gateway)
	if ok {
		side.Gateway = &g.Name
	}
	var svc Service
	if spec.service != (ObjectName{}) {
		if svc, ok = s.Service(spec.service); !ok {
			if _, bad := unreadable(s.Problems, ResourceServices); !bad {
				s.problem("config", "find service of lane "+lane, KindNotFound, "Service "+spec.service.String()+" does not exist")
			}
			return side, nil
		}
	} else if ok {
		svc, ok, warnings = s.ingressService(g, taken)
	}
	if !ok {
		return side, warnings
	}
	side.Service = &svc.Name
	side.NodePorts = NodePorts{
		Status: svc.portOf(PortStatus).NodePort, HTTP: svc.portOf(PortHTTP).NodePort, HTTPS: svc.portOf(PortHTTPS).NodePort,
	}
	for _, p := range s.Cluster.Pods {
		if p.Ready && svc.selects(p) {
			side.Pods = append(side.Pods, p.Name)
		}
	}
	return side, warnings
}

// ingressService finds the Service that carries a Gateway's traffic: one that
// selects the pods that the Gateway selects and has an ingress port. Where
// several do, as Gateways of one chart often share a label, the Gateway's own
// namespace comes first, then the one that has what is looked for: more
// NodePorts, the Gateway's name, and then the order of names.
func (s *Snapshot) ingressService(g Gateway, taken *ObjectName) (Service, bool, []string) {
	type candidate struct {
		Service
		rank int
	}
	var found []candidate
	for _, svc := range s.Cluster.Services {
		if taken != nil && svc.Name == *taken || !s.carries(svc, g) {
			continue
		}
		c := candidate{Service: svc}
		for _, k := range []PortKind{PortHTTPS, PortHTTP, PortStatus} {
			if svc.portOf(k).NodePort != 0 {
				c.rank++
			}
		}
		if svc.portOf(PortHTTPS).NodePort == 0 && svc.portOf(PortHTTP).NodePort == 0 {
			c.rank -= 100 // A Service without NodePorts for traffic carries none here.
		}
		if svc.Name.Namespace == g.Name.Namespace {
			c.rank += 1000
		}
		if svc.Name.Name == g.Name.Name || svc.Name.Name == g.Name.Name+newSuffix {
			c.rank += 10
		}
		found = append(found, c)
	}
	if len(found) == 0 {
		return Service{}, false, nil
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return b.rank - a.rank })
	var warnings []string
	if len(found) > 1 && found[0].rank == found[1].rank {
		warnings = []string{fmt.Sprintf("Gateway %s: the Services %s and %s both select its pods; the first is taken, the config file can name one",
			g.Name, found[0].Name, found[1].Name)}
	}
	return found[0].Service, true, warnings
}

// carries reports whether a Service selects a pod that a Gateway selects and
// has a port for ingress traffic. Without such pods the selectors are compared.
func (s *Snapshot) carries(svc Service, g Gateway) bool {
	if len(svc.Selector) == 0 || len(g.Selector) == 0 || (svc.portOf(PortHTTPS).Port == 0 && svc.portOf(PortHTTP).Port == 0) {
		return false
	}
	hasPods := false
	for _, p := range s.Cluster.Pods {
		if p.Name.Namespace != svc.Name.Namespace || !subset(g.Selector, p.Labels) {
			continue
		}
		if svc.selects(p) {
			return true
		}
		hasPods = true
	}
	if hasPods {
		return false
	}
	return subset(g.Selector, svc.Selector) || subset(svc.Selector, g.Selector) && svc.Name.Namespace == g.Name.Namespace
}

// crossSelection warns where a side's Gateway also configures the other
// side's pods: a Gateway's selector reaches pods in all namespaces (FACTS).
func (s *Snapshot) crossSelection(l Lane) []string {
	var warnings []string
	for _, name := range []SideName{Old, New} {
		side, other := l.Side(name), l.Side(name.Opposite())
		if side.Gateway == nil || other.Service == nil {
			continue
		}
		g, _ := s.Gateway(*side.Gateway)
		svc, _ := s.Service(*other.Service)
		for _, p := range s.Cluster.Pods {
			if len(g.Selector) > 0 && subset(g.Selector, p.Labels) && svc.selects(p) {
				warnings = append(warnings, fmt.Sprintf("Gateway %s also selects the %s side's pods (%s); it configures both unless istiod runs with PILOT_SCOPE_GATEWAY_TO_NAMESPACE",
					g.Name, other.Name, p.Name))
				break
			}
		}
	}
	return warnings
}

func (svc Service) selects(p Pod) bool {
	return len(svc.Selector) > 0 && p.Name.Namespace == svc.Name.Namespace && subset(svc.Selector, p.Labels)
}

// portOf returns the Service's port of a kind, by its number and else by its
// target port; the zero value for none. Names say nothing (FACTS).
func (svc Service) portOf(k PortKind) ServicePort {
	port, target := ingressPorts(k)
	for _, p := range svc.Ports {
		if p.Port == port {
			return p
		}
	}
	for _, p := range svc.Ports {
		if p.TargetPort == target {
			return p
		}
	}
	return ServicePort{}
}

// ingressPorts returns the Service port and the target port of a kind (FACTS).
func ingressPorts(k PortKind) (port, target int) {
	switch k {
	case PortHTTP:
		return 80, 8080
	case PortHTTPS:
		return 443, 8443
	default:
		return 15021, 15021
	}
}

// subset reports whether all labels of a are in b.
func subset(a, b map[string]string) bool {
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}
