package awssim

import (
	"crypto/tls"
	"hash/fnv"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// connectTimeout bounds connecting to a target.
const connectTimeout = 5 * time.Second

// pool is what the data plane knows of a target group: who may get traffic,
// and the connections to them.
type pool struct {
	members   atomic.Pointer[members]
	next      atomic.Uint64
	secure    bool            // targets are spoken to over TLS
	transport *http.Transport // for HTTP and HTTPS groups
	buffers   buffers
}

// buffers are those that bodies are copied with, used again by later requests.
type buffers struct{ free sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.free.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.free.Put(&p) }

// members is an immutable set of the targets that may get traffic.
type members struct {
	// zones share the traffic equally, and so do the targets of each. Across
	// zones all targets are in one.
	zones [][]*endpoint
	// failedOpen tells that too few targets are healthy, so that all are here.
	failedOpen bool
	proxyV2    bool
	bySource   bool          // a client stays on a target by its address
	sticky     time.Duration // how long a cookie keeps a client on a target; 0: no cookie
}

func newPool(view types.TargetGroup) *pool {
	p := &pool{secure: view.Protocol == types.ProtocolEnumHttps || view.Protocol == types.ProtocolEnumTls}
	p.members.Store(&members{})
	protocols := new(http.Protocols)
	switch {
	case aws.ToString(view.ProtocolVersion) != "HTTP2":
		protocols.SetHTTP1(true)
	case p.secure:
		protocols.SetHTTP2(true)
	default:
		protocols.SetUnencryptedHTTP2(true)
	}
	p.transport = &http.Transport{
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:       targetTLS(),
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: 60 * time.Second,
		IdleConnTimeout:       60 * time.Second,
		MaxIdleConnsPerHost:   256,
		DisableCompression:    true,
		Protocols:             protocols,
	}
	return p
}

// targetTLS is how a load balancer speaks TLS to targets: it verifies nothing
// and sends no server name. The latter follows from the address, which is
// always an IP literal and never sent as a name.
func targetTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
}

// pick gives the next target in turn, or the one that a client's address stands
// for. There is none when nothing is registered.
func (p *pool) pick(m *members, client netip.Addr) (*endpoint, bool) {
	if len(m.zones) == 0 {
		return nil, false
	}
	n := p.next.Add(1)
	if m.bySource {
		sum := fnv.New64a()
		_, _ = sum.Write(client.AsSlice()) // A hash takes anything.
		n = sum.Sum64()
	}
	zone := m.zones[n%uint64(len(m.zones))]
	return zone[n/uint64(len(m.zones))%uint64(len(zone))], true
}

// find gives the target with an address, if it may get traffic.
func (m *members) find(address netip.AddrPort) (*endpoint, bool) {
	for _, zone := range m.zones {
		for _, e := range zone {
			if e.address == address {
				return e, true
			}
		}
	}
	return nil, false
}

// close ends what the pool can do: who is still sent to it finds no target.
func (p *pool) close() {
	p.members.Store(&members{})
	p.transport.CloseIdleConnections()
}

// update tells the data plane which targets of a group may get traffic: the
// healthy ones, or all that are registered when too few are (fail open).
func (g *targetGroup) update() {
	var all, healthy []*endpoint
	for _, t := range g.targets {
		if t.draining() || t.outside {
			continue
		}
		all = append(all, t.endpoint)
		if t.health.State == types.TargetHealthStateEnumHealthy {
			healthy = append(healthy, t.endpoint)
		}
	}
	m := &members{
		failedOpen: len(healthy) < g.minimumHealthy(len(all)),
		proxyV2:    g.attributes[attrProxyV2] == "true",
		bySource:   g.attributes[attrSticky] == "true" && g.attributes[attrStickyType] == "source_ip",
		sticky:     g.cookieDuration(),
	}
	usable := healthy
	if m.failedOpen {
		usable = all
	}
	m.zones = inZones(usable, g.crossZone())
	g.pool.members.Store(m)
}

// inZones puts targets with those of their zone, or all together. A network
// load balancer has a node with an address of its own in each zone, and its
// name resolves to those of the zones that have targets to offer: clients are
// spread over them. Here one address stands for all of them, so that it is the
// load balancer that takes the zones in turn.
func inZones(targets []*endpoint, crossZone bool) [][]*endpoint {
	var zones [][]*endpoint
	for _, e := range targets {
		at := slices.IndexFunc(zones, func(zone []*endpoint) bool { return crossZone || zone[0].zone == e.zone })
		if at < 0 {
			zones = append(zones, []*endpoint{e})
			continue
		}
		zones[at] = append(zones[at], e)
	}
	return zones
}
