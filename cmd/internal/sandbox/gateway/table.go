package gateway

import (
	"crypto/tls"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// table is everything that gateways and the nodes' service proxies do at one
// moment, compiled from the store. It is never changed once it is published.
type table struct {
	// nodes maps a node's address to its name.
	nodes map[netip.Addr]string
	// ports maps a NodePort to what stands behind it.
	ports map[uint16]*nodePort
	// pods are all endpoints by namespace and name.
	pods map[string]*endpoint
	// gateways are the counters of the gateway pods, ready or not, by namespace
	// and name.
	gateways map[string]*podStats
	// accessLog says that requests are written to the pods' standard output.
	accessLog bool
}

// nodePort is one port of a NodePort Service.
type nodePort struct {
	namespace string // of the Service
	target    int
	local     bool
	endpoints []*endpoint
}

// eligible returns the ready pods that a connection to the node may reach:
// with externalTrafficPolicy Local only those on the node itself.
func (p *nodePort) eligible(node string) []*endpoint {
	if !p.local {
		return p.endpoints
	}
	var here []*endpoint
	for _, e := range p.endpoints {
		if e.node == node {
			here = append(here, e)
		}
	}
	return here
}

// endpoint is one ready gateway pod.
type endpoint struct {
	namespace, pod, node, ip string
	// listeners maps a target port to what the pod does there.
	listeners map[int]*listener
	// stats are the pod's, shared with the tables before and after while it lives.
	stats *podStats
}

func (e *endpoint) key() string { return e.namespace + "/" + e.pod }

// listener is one Envoy listener: either filter chains chosen by server name,
// or plain HTTP with one set of virtual hosts.
type listener struct {
	chains *hostMap[*chain]
	plain  *virtualHosts
}

// chain is what a TLS listener does for the server names that select it.
type chain struct {
	// tls is nil when the certificate could not be loaded; the handshake then fails.
	tls   *tls.Config
	hosts *virtualHosts
	// passthrough is set when the TLS stream goes to the application as it is.
	passthrough *upstream
}

// virtualHosts are the virtual hosts of one route configuration.
type virtualHosts = hostMap[*virtualHost]

type virtualHost struct {
	redirect bool
	routes   []*route
}

// route sends the requests that match it to an upstream.
type route struct {
	name    string
	matches []func(method, path string) bool
	to      *upstream
}

// upstream is an application Service as an Envoy cluster.
type upstream struct {
	host string
	port int
}

func (u *upstream) cluster() string {
	return "outbound|" + strconv.Itoa(u.port) + "||" + u.host
}

// find returns the route of a request, or nil when Envoy would answer 404.
func (h *virtualHost) find(method, path string) *route {
	path, _, _ = strings.Cut(path, "?")
	for _, r := range h.routes {
		if len(r.matches) == 0 || slices.ContainsFunc(r.matches, func(m func(string, string) bool) bool { return m(method, path) }) {
			return r
		}
	}
	return nil
}

// matcher compiles an Istio string match; the empty one matches everything. A
// regular expression that does not compile matches nothing.
func (m stringMatch) matcher() func(string) bool {
	switch {
	case m.Exact != "":
		return func(s string) bool { return s == m.Exact }
	case m.Prefix != "":
		return func(s string) bool { return strings.HasPrefix(s, m.Prefix) }
	case m.Regex != "":
		expression, err := regexp.Compile("^(?:" + m.Regex + ")$")
		if err != nil {
			return func(string) bool { return false }
		}
		return expression.MatchString
	}
	return func(string) bool { return true }
}
