package model

import (
	"slices"
	"strings"
)

// WorkloadNamespace returns the namespace of the pods that serve a Gateway,
// where its Secrets are looked for: its ingress Service's, else that of the
// pods it selects, its own one first, else its own.
func (s *Snapshot) WorkloadNamespace(g ObjectName) string {
	for _, l := range s.Lanes {
		for _, side := range []Side{l.Old, l.New} {
			if side.Gateway != nil && *side.Gateway == g && side.Service != nil {
				return side.Service.Namespace
			}
		}
	}
	gw, _ := s.Gateway(g)
	found := ""
	for _, p := range s.Cluster.Pods {
		if len(gw.Selector) == 0 || !subset(gw.Selector, p.Labels) {
			continue
		}
		if p.Name.Namespace == g.Namespace {
			return g.Namespace
		}
		if found == "" {
			found = p.Name.Namespace
		}
	}
	if found == "" {
		return g.Namespace
	}
	return found
}

// ServerSecret returns the name of the Secret that a Gateway's server means by
// its credentialName: in the workload's namespace, unless only the Gateway's
// own one has it.
func (s *Snapshot) ServerSecret(g ObjectName, credentialName string) ObjectName {
	n := ObjectName{Namespace: s.WorkloadNamespace(g), Name: credentialName}
	own := ObjectName{Namespace: g.Namespace, Name: credentialName}
	if _, ok := s.Secret(n); !ok {
		if _, ok := s.Secret(own); ok {
			return own
		}
	}
	return n
}

// GatewaySecrets returns the Secrets that a Gateway's servers name, sorted.
func (s *Snapshot) GatewaySecrets(g Gateway) []ObjectName {
	names := []ObjectName{}
	for _, server := range g.Servers {
		if server.CredentialName == "" {
			continue
		}
		if n := s.ServerSecret(g.Name, server.CredentialName); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, ObjectName.Compare)
	return names
}

// ServerHosts returns the host names that a server admits, without the
// namespaces that may stand before them, in lower case.
func (v Server) ServerHosts() []string {
	var names []string
	for _, h := range v.Hosts {
		if _, after, ok := strings.Cut(h, "/"); ok {
			h = after
		}
		names = append(names, strings.ToLower(strings.TrimSpace(Line(h))))
	}
	return names
}

// Passthrough reports whether TLS goes through the server to the application.
func (v Server) Passthrough() bool {
	return v.TLSMode == "PASSTHROUGH" || v.TLSMode == "AUTO_PASSTHROUGH"
}

// serves reports whether the server takes what comes in by a port of the kind,
// going by its protocol.
func (v Server) serves(k PortKind) bool {
	protocols := []string{"HTTPS", "TLS"}
	if k == PortHTTP {
		protocols = []string{"HTTP", "HTTP2", "GRPC", "GRPC-WEB"}
	}
	return slices.Contains(protocols, strings.ToUpper(v.Protocol))
}

// TLSServer returns the Gateway's server that answers a TLS handshake on the
// https port for a published host: the one with the most specific host that
// takes the name; without SNI only one with the host "*".
func (g Gateway) TLSServer(host string, sni bool) (Server, bool) {
	port, target := ingressPorts(PortHTTPS)
	onPort := func(v Server) bool { return v.serves(PortHTTPS) && (v.Port == port || v.Port == target) }
	// Where no server has a usual port, the Service maps 443 to another one.
	usual := slices.ContainsFunc(g.Servers, onPort)
	var best Server
	length := -1
	for _, server := range g.Servers {
		if !server.serves(PortHTTPS) || usual && !onPort(server) {
			continue
		}
		for _, h := range server.ServerHosts() {
			switch {
			case sni && h == host:
				return server, true
			case h == "*" || sni && Publishes(h, strings.TrimPrefix(host, "*")):
				if len(h) > length {
					best, length = server, len(h)
				}
			}
		}
	}
	return best, length >= 0
}
