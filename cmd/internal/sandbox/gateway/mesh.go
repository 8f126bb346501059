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
	"fmt"
	"log/slog"
	"net"
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
	// turn spreads connections over the ready pods.
	turn atomic.Uint64
	logs *podLogs

	server *http.Server
	queue  *connQueue
	proxy  *httputil.ReverseProxy
	// transport holds the connections to the applications.
	transport *http.Transport

	mu        sync.Mutex
	listeners map[netip.AddrPort]net.Listener
	open      map[*flow]struct{}

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
		listeners: map[netip.AddrPort]net.Listener{},
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
	m.mu.Lock()
	for address, l := range m.listeners {
		l.Close()
		delete(m.listeners, address)
	}
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

// rebuild publishes a new table and brings the listeners in line with it: a
// NodePort with no pod to answer refuses connections, as on a real node.
func (m *Mesh) rebuild() error {
	t := compile(read(m.config.Store, m.config.Log), m.config.Log)
	t.count(m.table.Load(), m.config.Now())
	m.table.Store(t)
	wanted := map[netip.AddrPort]bool{}
	for ip, node := range t.nodes {
		for port, behind := range t.ports {
			if len(behind.eligible(node)) > 0 {
				wanted[netip.AddrPortFrom(ip, port)] = true
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for address, l := range m.listeners {
		if !wanted[address] {
			l.Close()
			delete(m.listeners, address)
		}
	}
	var failed error
	for address := range wanted {
		if m.listeners[address] != nil || m.ctx.Err() != nil {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(m.ctx, "tcp", address.String())
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("listen on a node's port: %w", err))
			continue
		}
		m.listeners[address] = l
		m.group.Go(func() { m.accept(l, address) })
	}
	return failed
}

// accept hands the connections of one node's NodePort to the gateway pods.
func (m *Mesh) accept(l net.Listener, address netip.AddrPort) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: wait for some to come free.
			select {
			case <-m.ctx.Done():
				return
			case <-time.After(settle):
				continue
			}
		}
		f := m.admit(conn, address)
		if f == nil {
			reset(conn)
			continue
		}
		m.group.Go(func() { m.dispatch(f) })
	}
}

// admit picks a ready pod for a new connection; nil when there is none.
func (m *Mesh) admit(conn net.Conn, address netip.AddrPort) *flow {
	t := m.table.Load()
	behind := t.ports[address.Port()]
	if behind == nil {
		return nil
	}
	pods := behind.eligible(t.nodes[address.Addr()])
	if len(pods) == 0 {
		return nil
	}
	f := &flow{
		Conn: conn, mesh: m, target: behind.target, start: m.config.Now(),
		endpoint: pods[m.turn.Add(1)%uint64(len(pods))],
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return nil
	}
	m.open[f] = struct{}{}
	return f
}

// current returns the pod's listener as it is configured now; a pod that is
// gone goes on with its last configuration while connections last.
func (m *Mesh) current(f *flow) *listener {
	if now := m.table.Load().pods[f.endpoint.key()]; now != nil {
		return now.listeners[f.target]
	}
	return f.endpoint.listeners[f.target]
}
