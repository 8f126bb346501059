package model

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// serving returns the VirtualServices that serve the host through a side, and
// when none does all that publish it.
func (j *judge) serving(x subject, side SideName) []VirtualService {
	name, _ := j.s.GatewayName(x.lane.Name, side)
	var all, out []VirtualService
	for _, n := range x.host.VirtualServices {
		v, ok := j.s.VirtualService(n)
		if !ok || len(v.Hosts) == 0 {
			continue
		}
		all = append(all, v)
		if v.ListsGateway(name) {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

func (j *judge) binding(x subject) (f findings) {
	if f.unreadable(j.s, ResourceVirtualServices) {
		return f
	}
	from, _ := j.s.GatewayName(x.lane.Name, x.from())
	to, ok := j.s.GatewayName(x.lane.Name, x.to)
	if !ok {
		f.block("lane %s has no %s Gateway; name one in the config file", x.lane.Name, x.to)
		return f
	}
	for _, v := range j.serving(x, x.from()) {
		switch {
		case !v.ListsGateway(to):
			f.block("%s lists only %s; add %s to its spec.gateways (kubectl edit virtualservice -n %s %s)",
				v.Name, from, to, v.Name.Namespace, v.Name.Name)
		case matchesOnly(v, from, to):
			f.block("%s has a match for gateway %s only; add %s to that match's gateways", v.Name, from, to)
		case !exportedTo(v, to.Namespace):
			f.block("%s is exported to %s only, not to namespace %s; add it to its spec.exportTo",
				v.Name, strings.Join(v.ExportTo, ", "), to.Namespace)
		}
	}
	f.fine = "every VirtualService of the host lists " + to.String()
	return f
}

// matchesOnly reports whether a match is for one Gateway and not for the other.
func matchesOnly(v VirtualService, from, to ObjectName) bool {
	lists := func(refs []string, g ObjectName) bool {
		return slices.ContainsFunc(refs, func(ref string) bool {
			n, ok := v.ResolveGateway(ref)
			return ok && n == g
		})
	}
	return slices.ContainsFunc(v.MatchGateways, func(refs []string) bool { return lists(refs, from) && !lists(refs, to) })
}

func exportedTo(v VirtualService, namespace string) bool {
	return len(v.ExportTo) == 0 || slices.ContainsFunc(v.ExportTo, func(e string) bool {
		return e == "*" || e == namespace || e == "." && v.Name.Namespace == namespace
	})
}

// gateway returns the Gateway of a side, or says why there is none.
func (j *judge) gateway(x subject, f *findings) (Gateway, bool) {
	if f.unreadable(j.s, ResourceGateways) {
		return Gateway{}, false
	}
	name, _ := j.s.GatewayName(x.lane.Name, x.to)
	g, ok := j.s.Gateway(name)
	if !ok {
		f.block("Gateway %s does not exist; deploy the %s gateway of lane %s", name, x.to, x.lane.Name)
	}
	return g, ok
}

func (j *judge) gatewayHosts(x subject) (f findings) {
	g, ok := j.gateway(x, &f)
	if !ok || f.unreadable(j.s, ResourceVirtualServices) {
		return f
	}
	for _, v := range j.serving(x, x.from()) {
		for _, n := range j.needs(x) {
			if _, ok := chooseServer(g, v.Name.Namespace, x.host.Host, n); ok {
				continue
			}
			if n.star {
				f.block("Gateway %s has no HTTPS server for host '*'; add one, as an ALB sends no SNI to its targets", g.Name)
				continue
			}
			f.block("no %s server of Gateway %s admits %s from namespace %s; add the host to its servers", n.kind, g.Name, x.host.Host, v.Name.Namespace)
		}
	}
	f.fine = "servers of Gateway " + g.Name.String() + " admit the host"
	return f
}

// need is a port that a host's traffic comes in by.
type need struct {
	kind PortKind
	star bool // TLS without SNI: only a server for '*' answers
	// seen: clients see the certificate that the gateway presents.
	seen bool
}

// needs returns what the host's routes ask of a gateway, each once; HTTPS with
// SNI where it has none.
func (j *judge) needs(x subject) []need {
	var out []need
	for _, u := range x.uses {
		n := need{kind: u.kind}
		group, ok := j.s.TargetGroup(u.from)
		if !ok {
			group, _ = j.s.TargetGroup(u.to)
		}
		alb := u.view.lb.Type == Application
		n.star = alb && group.Protocol == "HTTPS"
		n.seen = !alb && u.kind == PortHTTPS && u.view.listener.Protocol != "TLS"
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		out = append(out, need{kind: PortHTTPS})
	}
	return out
}

// chooseServer returns the server of a Gateway that answers for a host which a
// VirtualService of the namespace publishes: the one with the most specific
// host, or for what comes without SNI the one for '*'.
func chooseServer(g Gateway, namespace, host string, n need) (Server, bool) {
	var best Server
	length := -1
	for _, s := range g.Servers {
		if !s.serves(n.kind) {
			continue
		}
		for _, h := range s.Hosts {
			name, ok := admitsFrom(g, h, namespace)
			if !ok || n.star && name != "*" || name != "*" && name != host && !Publishes(name, host) {
				continue
			}
			if name == host { // A wildcard may be as long.
				return s, true
			}
			if len(name) > length {
				best, length = s, len(name)
			}
		}
	}
	return best, length >= 0
}

// admitsFrom splits a server's host ("h", "ns/h", "./h", "*/h") and reports
// whether it admits VirtualServices of the namespace.
func admitsFrom(g Gateway, admitted, namespace string) (host string, ok bool) {
	ns, host, scoped := strings.Cut(admitted, "/")
	if !scoped {
		return strings.ToLower(admitted), true
	}
	if ns == "." {
		ns = g.Name.Namespace
	}
	return strings.ToLower(host), ns == "*" || ns == namespace
}

// expirySoon is how long before its end a certificate is warned about.
const expirySoon = 14 * 24 * time.Hour

func (j *judge) secret(x subject) (f findings) {
	g, ok := j.gateway(x, &f)
	if !ok || f.unreadable(j.s, ResourceVirtualServices) {
		return f
	}
	f.fine = "no TLS ends at the gateway"
	for _, v := range j.serving(x, x.from()) {
		for _, n := range j.needs(x) {
			server, ok := chooseServer(g, v.Name.Namespace, x.host.Host, n)
			if n.kind != PortHTTPS || !ok || !endsTLS(server) {
				continue
			}
			f.fine = "certificate " + server.CredentialName + " is good for the host"
			j.judgeSecret(x, v, n, j.s.ServerSecret(g.Name, server.CredentialName), &f)
			if n.star {
				j.judgeUnseen(x, v, g, server, &f)
			}
		}
	}
	return f
}

// endsTLS reports whether a server ends TLS with a certificate from a Secret.
func endsTLS(s Server) bool {
	return s.CredentialName != "" && !s.Passthrough() && s.TLSMode != "ISTIO_MUTUAL"
}

func (j *judge) judgeSecret(x subject, v VirtualService, n need, name ObjectName, f *findings) {
	secret, ok := j.s.Secret(name)
	if !ok || !secret.Readable {
		if !f.unreadable(j.s, ResourceSecrets) {
			f.wait("Secret %s could not be read", name)
		}
		return
	}
	if !secret.Exists {
		f.block("Secret %s does not exist, TLS fails without it; copy the other side's certificate there", name)
		return
	}
	if secret.Error != "" {
		f.block("Secret %s holds no usable certificate: %s", name, secret.Error)
		return
	}
	serious := Warn // An ALB does not validate what its targets present.
	if n.seen {
		serious = Block
	}
	const day = "2006-01-02"
	switch {
	case !j.now.Before(secret.NotAfter):
		f.add(serious, "the certificate in Secret %s expired on %s; renew it", name, secret.NotAfter.UTC().Format(day))
	case j.now.Before(secret.NotBefore):
		f.add(serious, "the certificate in Secret %s is not valid before %s", name, secret.NotBefore.UTC().Format(day))
	case secret.NotAfter.Sub(j.now) < expirySoon:
		f.warn("the certificate in Secret %s expires on %s; renew it soon", name, secret.NotAfter.UTC().Format(day))
	}
	if !covers(secret.DNSNames, x.host.Host) {
		f.add(serious, "the certificate in Secret %s does not cover %s", name, x.host.Host)
	}
	if other, ok := j.otherSecret(x, v, n); ok && other.SHA256 != secret.SHA256 {
		f.add(serious, "the certificate in Secret %s is not the one in %s, which clients know", name, other.Name)
	}
}

// judgeUnseen warns of the certificate that the Gateway has for the host itself.
// Without SNI nobody is shown it, so it holds nothing back.
func (j *judge) judgeUnseen(x subject, v VirtualService, g Gateway, shown Server, f *findings) {
	n := need{kind: PortHTTPS}
	own, ok := chooseServer(g, v.Name.Namespace, x.host.Host, n)
	if !ok || !endsTLS(own) || own.CredentialName == shown.CredentialName {
		return
	}
	var found findings
	j.judgeSecret(x, v, n, j.s.ServerSecret(g.Name, own.CredentialName), &found)
	for _, r := range found.list {
		f.warn("%s", r.Reason)
	}
}

// otherSecret returns the certificate that the side left presents.
func (j *judge) otherSecret(x subject, v VirtualService, n need) (Secret, bool) {
	name, _ := j.s.GatewayName(x.lane.Name, x.from())
	g, ok := j.s.Gateway(name)
	if !ok {
		return Secret{}, false
	}
	server, ok := chooseServer(g, v.Name.Namespace, x.host.Host, n)
	if !ok || !endsTLS(server) {
		return Secret{}, false
	}
	s, ok := j.s.Secret(j.s.ServerSecret(g.Name, server.CredentialName))
	return s, ok && s.SHA256 != ""
}

// covers reports whether a certificate's DNS names hold for a published host: a
// wildcard there stands for one whole label (RFC 6125).
func covers(names []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(names, func(n string) bool {
		n = strings.ToLower(n)
		return n == host || n == "*."+parent && !strings.HasPrefix(host, "*")
	})
}

func (j *judge) service(x subject) (f findings) {
	side, other := x.lane.Side(x.to), x.lane.Side(x.from())
	if side.Service == nil {
		if !f.unreadable(j.s, ResourceServices, ResourceGateways) {
			f.block("the %s side of lane %s has no ingress Service; deploy its gateway", x.to, x.lane.Name)
		}
		return f
	}
	for _, u := range x.uses {
		g, ok := j.s.TargetGroup(cmp.Or(u.to, u.from))
		if ok && g.TargetType != "ip" && u.kind != "" && side.NodePorts.Of(u.kind) == 0 {
			f.block("Service %s has no NodePort for %s; set one in the gateway's values", side.Service, u.kind)
		}
	}
	if len(side.Pods) == 0 && !f.unreadable(j.s, ResourcePods) {
		f.block("Service %s has no ready pod", side.Service)
	}
	a, okA := j.s.Service(*side.Service)
	if okA && other.Service != nil {
		if b, ok := j.s.Service(*other.Service); ok && a.ExternalTrafficPolicy != b.ExternalTrafficPolicy {
			f.block("Service %s has externalTrafficPolicy %s, %s has %s; make them alike",
				a.Name, a.ExternalTrafficPolicy, b.Name, b.ExternalTrafficPolicy)
		}
	}
	for _, u := range x.uses {
		from, okFrom := j.s.TargetGroup(u.from)
		to, okTo := j.s.TargetGroup(u.to)
		if okFrom && okTo && from.ProxyV2 != to.ProxyV2 {
			f.block("target group %s has PROXY protocol v2 %s, %s has it %s; make them alike", to.Name, onOff(to.ProxyV2), from.Name, onOff(from.ProxyV2))
		}
	}
	f.fine = "Service " + side.Service.String() + " has its ports and a ready pod"
	return f
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
