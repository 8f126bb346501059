package awssim

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
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
	usable  []netip.AddrPort
	proxyV2 bool
	sticky  time.Duration // how long a cookie keeps a client on a target; 0: no cookie
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

// pick gives the next target in turn. There is none when nothing is registered.
func (p *pool) pick(m *members) (netip.AddrPort, bool) {
	if len(m.usable) == 0 {
		return netip.AddrPort{}, false
	}
	return m.usable[p.next.Add(1)%uint64(len(m.usable))], true
}

func (p *pool) close() { p.transport.CloseIdleConnections() }

// update tells the data plane which targets of a group may get traffic: the
// healthy ones, or all that are registered when none is (fail open).
func (g *targetGroup) update() {
	m := &members{proxyV2: g.attributes[attrProxyV2] == "true", sticky: g.cookieDuration()}
	var all []netip.AddrPort
	for _, t := range g.targets {
		if t.draining() {
			continue
		}
		address := netip.AddrPortFrom(t.address, uint16(t.port))
		all = append(all, address)
		if t.health.State == types.TargetHealthStateEnumHealthy {
			m.usable = append(m.usable, address)
		}
	}
	if len(m.usable) == 0 {
		m.usable = all
	}
	g.pool.members.Store(m)
}
