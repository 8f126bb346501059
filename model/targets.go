package model

import (
	"cmp"
	"slices"
	"strings"
)

// ProbeTargets returns every probe that shows how hosts are served: for each
// host and side, each node that the side's target groups would send its
// requests to, in the manners of each type of load balancer that the host is
// behind; and for each of its switchable routes the load balancer itself.
// Hosts in staged are marked for the fast rate. The list is sorted.
func ProbeTargets(s *Snapshot, staged map[HostKey]bool) []ProbeTarget {
	t := newTargeter(s)
	list := []ProbeTarget{}
	for _, h := range s.Hosts {
		list = t.host(list, h, staged[h.HostKey])
	}
	return sortedTargets(list)
}

// HostTargets returns the ProbeTargets of one host, empty when it is not published.
func HostTargets(s *Snapshot, k HostKey) []ProbeTarget {
	h, ok := s.Host(k)
	if !ok {
		return []ProbeTarget{}
	}
	return sortedTargets(newTargeter(s).host([]ProbeTarget{}, h, false))
}

func sortedTargets(list []ProbeTarget) []ProbeTarget {
	slices.SortFunc(list, compareTargets)
	return slices.Compact(list)
}

func compareTargets(a, b ProbeTarget) int {
	rank := func(p Path) int { return slices.Index([]Path{PathOld, PathNew, PathLoadBalancer}, p) }
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	if c := a.Host.Compare(b.Host); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(rank(a.Path), rank(b.Path)), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Address, b.Address),
		cmp.Compare(a.Port, b.Port), cmp.Compare(a.Scheme, b.Scheme), flag(a.SNI)-flag(b.SNI),
		flag(a.ProxyV2)-flag(b.ProxyV2), cmp.Compare(a.CertSHA256, b.CertSHA256),
	)
}

// authority returns the name under which a host is asked for. Nobody publishes
// the probe's own name, so a wildcard's route answers it.
func authority(host string) string {
	switch {
	case host == "*":
		return "cutover-probe.invalid"
	case IsWildcard(host):
		return "cutover-probe" + host[1:]
	default:
		return host
	}
}

// targeter finds the probe targets of hosts. It remembers what hosts of a lane
// have in common, and is not safe for concurrent use.
type targeter struct {
	s     *Snapshot
	ends  map[endsKey][]probeEnd // the same for most hosts of a lane
	usual map[string][]manner    // of a lane's first host with switchable routes
}

func newTargeter(s *Snapshot) *targeter {
	return &targeter{s: s, ends: map[endsKey][]probeEnd{}, usual: map[string][]manner{}}
}

// host adds the targets of one host to list.
func (t *targeter) host(list []ProbeTarget, h Host, staged bool) []ProbeTarget {
	base := ProbeTarget{Host: h.HostKey, Authority: authority(h.Host), Staged: staged}
	return t.throughLoadBalancers(t.sides(list, h, base), h, base)
}

// manner is how a type of load balancer reaches its targets for a host.
type manner struct {
	typ  LoadBalancerType
	kind PortKind
}

type endsKey struct {
	lane string
	side SideName
	manner
}

// probeEnd is a place on a side where probes go.
type probeEnd struct {
	node, address string
	port          int
	proxyV2       bool
}

func (t *targeter) sides(list []ProbeTarget, h Host, base ProbeTarget) []ProbeTarget {
	lane, _ := t.s.Lane(h.Lane)
	for _, m := range t.manners(h) {
		for _, side := range []Side{lane.Old, lane.New} {
			p := base
			p.Path = pathOf(side.Name)
			p.SNI = m.typ != Application && m.kind == PortHTTPS
			p.Forwarded = m.typ == Application
			p.Scheme = "http"
			if m.kind == PortHTTPS {
				p.Scheme = "https"
				p.CertSHA256, p.Passthrough = t.certificate(lane, side, h.Host, p.SNI)
			}
			for _, e := range t.endsOf(lane, side, m) {
				p.Node, p.Address, p.Port, p.ProxyV2 = e.node, e.address, e.port, e.proxyV2
				list = append(list, p)
			}
		}
	}
	return list
}

// manners returns how load balancers reach the host, one for each type that it
// is behind: with the https NodePort where a route uses it, else http. A host
// without switchable routes is reached as the others of its lane, and as
// through a network load balancer when there are none.
func (t *targeter) manners(h Host) []manner {
	if found := t.mannersOf(h); len(found) > 0 {
		return found
	}
	if found, ok := t.usual[h.Lane]; ok {
		return found
	}
	var found []manner
	for i := 0; len(found) == 0 && i < len(t.s.Hosts); i++ {
		if t.s.Hosts[i].Lane == h.Lane {
			found = t.mannersOf(t.s.Hosts[i])
		}
	}
	if len(found) == 0 {
		found = []manner{{Network, PortHTTPS}}
	}
	t.usual[h.Lane] = found
	return found
}

func (t *targeter) mannersOf(h Host) []manner {
	var found []manner
	for _, typ := range []LoadBalancerType{Application, Network} {
		kinds := map[PortKind]bool{}
		for _, r := range h.Routes {
			if r.Type == typ {
				t.routeKinds(h.Lane, r, kinds)
			}
		}
		switch {
		case kinds[PortHTTPS] || kinds[""]:
			found = append(found, manner{typ, PortHTTPS})
		case kinds[PortHTTP]:
			found = append(found, manner{typ, PortHTTP})
		}
	}
	return found
}

// routeKinds adds the kinds of the lane's groups that a route forwards to.
func (t *targeter) routeKinds(lane string, r Route, kinds map[PortKind]bool) {
	for _, arn := range r.Switchable {
		for _, f := range t.s.index.forwards[arn] {
			for _, g := range f.Groups {
				if t.s.SideOf(lane, g.ARN) != Other {
					kinds[t.s.GroupKind(g.ARN)] = true
				}
			}
		}
	}
}

// endsOf returns the nodes that are registered in the side's groups for the
// manner, all nodes where none is yet, each with the side's NodePort. Under
// externalTrafficPolicy Local only nodes with a ready pod answer.
func (t *targeter) endsOf(lane Lane, side Side, m manner) []probeEnd {
	key := endsKey{lane: lane.Name, side: side.Name, manner: m}
	if ends, ok := t.ends[key]; ok {
		return ends
	}
	var ends []probeEnd
	port := side.NodePorts.Of(m.kind)
	registered, proxy := t.registered(side, m)
	local := t.localNodes(side)
	for _, n := range t.s.Cluster.Nodes {
		if port == 0 || n.InternalIP == "" || local != nil && !local[n.Name] {
			continue
		}
		if len(registered) > 0 && !registered[n.InternalIP] && (n.InstanceID == "" || !registered[n.InstanceID]) {
			continue
		}
		ends = append(ends, probeEnd{node: n.Name, address: n.InternalIP, port: port, proxyV2: proxy})
	}
	t.ends[key] = ends
	return ends
}

// registered returns the nodes registered in the side's groups of the kind that
// are on a load balancer of the type, or on none yet, and whether these groups
// speak the PROXY protocol.
func (t *targeter) registered(side Side, m manner) (ids map[string]bool, proxyV2 bool) {
	nodes := t.s.nodeIDs()
	ids = map[string]bool{}
	for _, arn := range side.TargetGroups {
		g, _ := t.s.TargetGroup(arn)
		if t.s.GroupKind(arn) != m.kind || !t.fits(g, m.typ) {
			continue
		}
		proxyV2 = proxyV2 || g.ProxyV2
		for _, target := range g.Targets {
			if nodes[target.ID] {
				ids[target.ID] = true
			}
		}
	}
	return ids, proxyV2
}

func (t *targeter) fits(g TargetGroup, typ LoadBalancerType) bool {
	if len(g.LoadBalancers) == 0 {
		// Free: its protocol tells which type it can be put on.
		isHTTP := g.Protocol == "HTTP" || g.Protocol == "HTTPS"
		return isHTTP == (typ == Application)
	}
	return slices.ContainsFunc(g.LoadBalancers, func(arn string) bool {
		lb, ok := t.s.LoadBalancer(arn)
		return ok && lb.Type == typ
	})
}

// localNodes returns the nodes with a ready pod of the side, nil when any node
// takes its traffic.
func (t *targeter) localNodes(side Side) map[string]bool {
	if side.Service == nil {
		return nil
	}
	svc, _ := t.s.Service(*side.Service)
	if svc.ExternalTrafficPolicy != "Local" {
		return nil
	}
	nodes := map[string]bool{}
	for _, p := range t.s.Cluster.Pods {
		if p.Ready && svc.selects(p) {
			nodes[p.Node] = true
		}
	}
	return nodes
}

// certificate returns the fingerprint that the side's Gateway should present
// for a host, "" when none is known or TLS passes through to the application.
func (t *targeter) certificate(lane Lane, side Side, host string, sni bool) (sha256 string, passthrough bool) {
	if side.Gateway == nil {
		return "", t.passthrough(lane, host)
	}
	g, _ := t.s.Gateway(*side.Gateway)
	server, ok := g.TLSServer(host, sni)
	if !ok {
		return "", t.passthrough(lane, host)
	}
	if server.Passthrough() || server.CredentialName == "" {
		return "", server.Passthrough()
	}
	secret, _ := t.s.Secret(t.s.ServerSecret(g.Name, server.CredentialName))
	return secret.SHA256, false
}

// passthrough reports whether a Gateway of the lane passes TLS for the host
// through to the application.
func (t *targeter) passthrough(lane Lane, host string) bool {
	for _, side := range []Side{lane.Old, lane.New} {
		if side.Gateway == nil {
			continue
		}
		g, _ := t.s.Gateway(*side.Gateway)
		if server, ok := g.TLSServer(host, true); ok {
			return server.Passthrough()
		}
	}
	return false
}

func (t *targeter) throughLoadBalancers(list []ProbeTarget, h Host, base ProbeTarget) []ProbeTarget {
	lane, _ := t.s.Lane(h.Lane)
	for _, r := range h.Routes {
		l, lb, ok := t.s.Listener(r.Listener)
		// What no side serves, a redirect to https for example, tells nothing of sides.
		if !ok || len(r.Switchable) == 0 || lb.DNSName == "" || strings.Contains(l.Protocol, "UDP") && l.Protocol != "TCP_UDP" {
			continue
		}
		p := base
		p.Path, p.Address, p.Port = PathLoadBalancer, lb.DNSName, l.Port
		p.Scheme = t.scheme(h.Lane, l, r)
		if p.Scheme == "https" {
			p.SNI = true
			p.Passthrough = l.Protocol != "HTTPS" && l.Protocol != "TLS" && t.passthrough(lane, h.Host)
		}
		list = append(list, p)
	}
	return list
}

// scheme returns how clients speak to a listener. One that passes TCP through
// speaks what its groups' port does.
func (t *targeter) scheme(lane string, l Listener, r Route) string {
	switch l.Protocol {
	case "HTTPS", "TLS":
		return "https"
	case "HTTP":
		return "http"
	}
	kinds := map[PortKind]bool{}
	t.routeKinds(lane, r, kinds)
	if kinds[PortHTTPS] || !kinds[PortHTTP] && l.Port != 80 {
		return "https"
	}
	return "http"
}
