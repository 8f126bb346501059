// Package gateway simulates Istio ingress gateways on loopback: the nodes'
// NodePorts, the service proxy behind them, and in each ready gateway pod an
// Envoy that is configured by the Gateways, VirtualServices and Secrets of a
// Kubernetes store, live.
//
// What a client can see is as Istio has it: filter chains by server name, with
// the connection reset where none matches; virtual hosts with the most specific
// name first; `server: istio-envoy` on every answer and
// `x-envoy-upstream-service-time` on those of a backend only; 404 without a
// route, 301 where a server redirects to https, 503 with Envoy's own texts; and
// an access log per pod in Istio's default text format, where the mesh
// configuration turns it on; and per pod the counters of Istio's standard
// metrics, for Prometheus.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// settle is the least time that changes are gathered before they are
	// compiled, as istiod debounces its pushes.
	settle = 10 * time.Millisecond
	// statusPort is where a gateway pod says whether it is ready.
	statusPort = 15021

	handshakeTimeout = 10 * time.Second
	dialTimeout      = 5 * time.Second
)

// Config says what the gateways live on.
type Config struct {
	Store Store
	// Upstream gives the address of an application Service by its full name
	// and port; false means that it has no healthy endpoint.
	Upstream func(host string, port int) (netip.AddrPort, bool)
	// Now is the clock of the access logs.
	Now func() time.Time
	// RequestID makes the x-request-id of a request.
	RequestID func() string
	Log       *slog.Logger
}

// Mesh is all nodes and gateways of one cluster. It may be used from several goroutines.
type Mesh struct {
	config Config
	table  atomic.Pointer[table]
	// faults are those that are on; the slice is never changed.
	faults atomic.Pointer[[]*active]
	// turn spreads connections over the ready pods.
	turn atomic.Uint64
	logs *podLogs

	server *http.Server
	queue  *connQueue
	proxy  *httputil.ReverseProxy
	// transport holds the connections to the applications.
	transport *http.Transport

	aligning sync.Mutex // one at a time brings the ports in line
	ports    map[netip.AddrPort]*port

	mu   sync.Mutex
	open map[*flow]struct{}

	dirty      chan struct{}
	ctx        context.Context
	stop       context.CancelFunc
	unregister func()
	group      sync.WaitGroup
}

// Start compiles the store and listens on every node's NodePorts. It fails when
// one of them cannot be bound. Later changes of the store are followed.
func Start(config Config) (*Mesh, error) {
	ctx, stop := context.WithCancel(context.Background())
	m := &Mesh{
		config:    config,
		logs:      newPodLogs(),
		queue:     newConnQueue(),
		transport: newTransport(),
		ports:     map[netip.AddrPort]*port{},
		open:      map[*flow]struct{}{},
		dirty:     make(chan struct{}, 1),
		ctx:       ctx,
		stop:      stop,
	}
	m.proxy = m.newProxy()
	m.server = m.newServer()
	m.unregister = config.Store.OnChange(func(resource schema.GroupVersionResource) {
		if configures(resource) {
			m.touch()
		}
	})
	m.group.Go(func() {
		if err := m.server.Serve(m.queue); !errors.Is(err, http.ErrServerClosed) {
			m.config.Log.Error("gateways stopped serving", "error", err)
		}
	})
	if err := m.rebuild(); err != nil {
		m.Close()
		return nil, err
	}
	m.group.Go(m.follow)
	return m, nil
}

// Close ends every listener and connection and returns when all is gone.
func (m *Mesh) Close() {
	m.unregister()
	m.stop()
	m.aligning.Lock()
	for address, p := range m.ports {
		p.close()
		delete(m.ports, address)
	}
	m.aligning.Unlock()
	m.mu.Lock()
	flows := make([]*flow, 0, len(m.open))
	for f := range m.open {
		flows = append(flows, f)
	}
	m.mu.Unlock()
	m.queue.Close()
	for _, f := range flows {
		f.Close()
	}
	m.server.Close()
	m.group.Wait()
	m.transport.CloseIdleConnections()
}

func (m *Mesh) touch() {
	select {
	case m.dirty <- struct{}{}:
	default:
	}
}

// follow compiles the store anew after changes. A large world gathers them for
// longer, so that a stream of changes leaves time for the traffic.
func (m *Mesh) follow() {
	wait := settle
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-m.dirty:
		}
		timer.Reset(wait)
		select {
		case <-m.ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		if err := m.rebuild(); err != nil {
			m.config.Log.Error("NodePorts cannot be served", "error", err)
		}
		wait = max(settle, 2*time.Since(began))
	}
}

// rebuild publishes a new table and brings the listeners in line with it.
func (m *Mesh) rebuild() error {
	t := compile(read(m.config.Store, m.config.Log), m.config.Log)
	t.count(m.table.Load(), m.config.Now())
	m.table.Store(t)
	return m.align()
}

// current returns the pod's listener as it is configured now; a pod that is
// gone goes on with its last configuration while connections last.
func (m *Mesh) current(f *flow) *listener {
	if now := m.table.Load().pods[f.endpoint.key()]; now != nil {
		return now.listeners[f.target]
	}
	return f.endpoint.listeners[f.target]
}
