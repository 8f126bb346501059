package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// flow is a connection that a gateway pod has accepted.
type flow struct {
	net.Conn
	mesh     *Mesh
	endpoint *endpoint
	target   int
	start    time.Time
	node     string // whose NodePort it came to
	// sni is the server name of the handshake, empty without one.
	sni string
	// replay holds the bytes that were read ahead to learn it.
	replay bytes.Reader
	once   sync.Once
	closed chan struct{}
}

func (f *flow) Read(p []byte) (int, error) {
	if f.replay.Len() > 0 {
		return f.replay.Read(p)
	}
	n, err := f.Conn.Read(p)
	if n > 0 {
		f.mesh.held(f)
	}
	return n, err
}

func (f *flow) Close() error {
	err := net.ErrClosed
	f.once.Do(func() {
		f.mesh.mu.Lock()
		delete(f.mesh.open, f)
		f.mesh.mu.Unlock()
		close(f.closed)
		err = f.Conn.Close()
	})
	return err
}

// reset ends a connection the way Envoy's peer sees it when no filter chain
// matches: without an alert.
func reset(conn net.Conn) {
	tcp := conn
	if f, ok := conn.(*flow); ok {
		tcp = f.Conn
	}
	if c, ok := tcp.(*net.TCPConn); ok {
		// Best effort: an ordinary close follows in any case.
		_ = c.SetLinger(0)
	}
	conn.Close()
}

// dispatch gives a new connection to what its pod does on the port.
func (m *Mesh) dispatch(f *flow) {
	if f.target == statusPort {
		m.queue.push(f)
		return
	}
	l := f.endpoint.listeners[f.target]
	switch {
	case l == nil:
		reset(f)
		return
	case l.chains == nil:
		m.queue.push(f)
		return
	}
	if err := f.hello(); err != nil {
		reset(f)
		return
	}
	c, found := l.chains.match(f.sni)
	switch {
	case !found:
		m.log(f, func() string { return f.line(stream{flags: "NR", details: "filter_chain_not_found"}) })
		reset(f)
	case c.passthrough != nil:
		m.relay(f, c.passthrough)
	case c.tls == nil:
		reset(f)
	default:
		m.queue.push(tls.Server(f, m.presented(f, c.tls)))
	}
}

var errHelloRead = errors.New("client hello read")

// hello reads the ClientHello to learn the server name and keeps the bytes for
// whoever makes the handshake.
func (f *flow) hello() error {
	if err := f.Conn.SetReadDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	var ahead bytes.Buffer
	peek := tls.Server(&peekConn{Conn: f.Conn, from: io.TeeReader(f.Conn, &ahead)}, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			f.sni = hello.ServerName
			return nil, errHelloRead
		},
	})
	if err := peek.HandshakeContext(f.mesh.ctx); !errors.Is(err, errHelloRead) {
		return err
	}
	f.replay.Reset(ahead.Bytes())
	return f.Conn.SetReadDeadline(time.Time{})
}

// peekConn reads a connection without ever answering on it or closing it.
type peekConn struct {
	net.Conn
	from io.Reader
}

func (p *peekConn) Read(b []byte) (int, error)       { return p.from.Read(b) }
func (p *peekConn) Write(b []byte) (int, error)      { return len(b), nil }
func (p *peekConn) Close() error                     { return nil }
func (p *peekConn) SetWriteDeadline(time.Time) error { return nil }

// relay passes a TLS stream through to the application until either end closes.
func (m *Mesh) relay(f *flow, to *upstream) {
	defer f.Close()
	s := stream{to: to}
	ended := f.endpoint.stats.connection(to)
	defer func() {
		ended(s.flags)
		m.log(f, func() string { return f.line(s) })
	}()
	m.slowed(f, f.sni, f.closed)
	address, healthy := m.config.Upstream(to.host, to.port)
	if !healthy || m.hostFault(NoHealthyUpstream, f.endpoint, f.sni) != nil {
		s.flags, s.details = "UH", "no_healthy_upstream"
		reset(f)
		return
	}
	ctx, cancel := context.WithTimeout(m.ctx, dialTimeout)
	defer cancel()
	application, err := (&net.Dialer{}).DialContext(ctx, "tcp", address.String())
	if err != nil {
		s.flags, s.details = "UF,URX", "upstream_transport_failure"
		reset(f)
		return
	}
	s.address = address.String()
	s.local = application.LocalAddr().String()
	defer application.Close()
	stop := context.AfterFunc(m.ctx, func() { application.Close() })
	defer stop()

	up := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(application, f)
		closeWrite(application)
		up <- n
	}()
	s.sent, _ = io.Copy(f.Conn, application)
	closeWrite(f.Conn)
	// The application has said all: the client's half ends with it.
	_ = f.Conn.SetReadDeadline(time.Now().Add(handshakeTimeout))
	s.received = <-up
}

func closeWrite(conn net.Conn) {
	if c, ok := conn.(*net.TCPConn); ok {
		// The peer may be gone already.
		_ = c.CloseWrite()
	}
}

// connQueue is the net.Listener through which accepted flows reach the HTTP server.
type connQueue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newConnQueue() *connQueue {
	return &connQueue{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (q *connQueue) push(conn net.Conn) {
	select {
	case q.conns <- conn:
	case <-q.closed:
		conn.Close()
	}
}

func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *connQueue) Addr() net.Addr { return &net.TCPAddr{} }
