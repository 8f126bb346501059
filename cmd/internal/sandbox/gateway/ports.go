package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// reception is what becomes of a connection to a node's port.
type reception int

const (
	refused reception = iota
	dropped
	accepted
)

// port is a node's NodePort that does not refuse.
type port struct {
	*net.TCPListener
	reception reception
	// plug is the connection that keeps the queue full while packets are dropped.
	plug net.Conn
	// stopped is closed when nothing accepts from the queue any more.
	stopped chan struct{}
}

// align brings the listeners in line with the table and the faults.
func (m *Mesh) align() error {
	m.aligning.Lock()
	defer m.aligning.Unlock()
	t := m.table.Load()
	if t == nil || m.ctx.Err() != nil {
		return nil
	}
	wanted := map[netip.AddrPort]reception{}
	for ip, node := range t.nodes {
		for number, behind := range t.ports {
			if r := m.reception(behind, node); r != refused {
				wanted[netip.AddrPortFrom(ip, number)] = r
			}
		}
	}
	for address, p := range m.ports {
		if wanted[address] == refused {
			p.close()
			delete(m.ports, address)
		}
	}
	var failed error
	for address, r := range wanted {
		p := m.ports[address]
		if p == nil {
			l, err := (&net.ListenConfig{}).Listen(m.ctx, "tcp", address.String())
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("listen on a node's port: %w", err))
				continue
			}
			p = &port{TCPListener: l.(*net.TCPListener)} //nolint:forcetypeassert // "tcp" has no other.
			m.ports[address] = p
		}
		if err := m.receive(p, address, r); err != nil {
			p.close() // The next time begins anew.
			delete(m.ports, address)
			failed = errors.Join(failed, fmt.Errorf("switch %s: %w", address, err))
		}
	}
	return failed
}

// reception is what kube-proxy makes of a connection to a Service's NodePort: a
// Service without endpoints is refused; with externalTrafficPolicy Local a node
// without any drops what the others would take. An endpoint that has crashed
// refuses by itself until it is not ready.
func (m *Mesh) reception(behind *nodePort, node string) reception {
	pods := behind.eligible(node)
	switch {
	case m.fault(Filtered, behind.namespace, node) != nil:
		return dropped
	case len(pods) == 0 && len(behind.endpoints) > 0:
		return dropped
	}
	for _, e := range pods {
		if !m.down(e) {
			return accepted
		}
	}
	return refused
}

// receive makes a port accept or drop connections.
func (m *Mesh) receive(p *port, address netip.AddrPort, r reception) error {
	if p.reception == r {
		return nil
	}
	if r == dropped {
		if err := p.drop(m.ctx); err != nil {
			return err
		}
		p.reception = r
		return nil
	}
	if err := p.undrop(); err != nil {
		return err
	}
	p.reception = r
	p.stopped = make(chan struct{})
	m.group.Go(func() {
		defer close(p.stopped)
		m.accept(p, address)
	})
	return nil
}

// backlog is that of a port that accepts connections; Linux caps it at its own limit.
const backlog = 4096

// drop has the kernel drop every connection request, which it does while a
// listener's queue is full. Nothing takes from the queue any more, and one
// connection of its own fills it.
func (p *port) drop(ctx context.Context) error {
	if p.stopped != nil {
		if err := p.SetDeadline(time.Unix(1, 0)); err != nil {
			return err
		}
		<-p.stopped
	}
	if err := p.listen(0); err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: 200 * time.Millisecond}
	plug, err := dialer.DialContext(ctx, "tcp", p.Addr().String())
	var timeout net.Error
	switch {
	case err == nil:
		p.plug = plug
	case errors.As(err, &timeout) && timeout.Timeout():
		// Somebody else's connection has filled it before.
	default:
		return err
	}
	return nil
}

// undrop ends what drop began.
func (p *port) undrop() error {
	if p.plug != nil {
		reset(p.plug)
		p.plug = nil
	}
	if err := p.listen(backlog); err != nil {
		return err
	}
	return p.SetDeadline(time.Time{})
}

// listen sets the length of the queue, as calling listen(2) again does.
func (p *port) listen(backlog int) error {
	raw, err := p.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), backlog) }); err != nil {
		return err
	}
	return failed
}

func (p *port) close() {
	p.Close()
	if p.plug != nil {
		reset(p.plug)
	}
}

// accept hands the connections of one node's NodePort to the gateway pods.
func (m *Mesh) accept(p *port, address netip.AddrPort) {
	for {
		conn, err := p.Accept()
		if err != nil {
			var timeout net.Error
			if errors.Is(err, net.ErrClosed) || errors.As(err, &timeout) && timeout.Timeout() {
				return // Closed, or to drop what comes.
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

// admit picks a ready pod for a new connection; nil when there is none, or when
// it has crashed.
func (m *Mesh) admit(conn net.Conn, address netip.AddrPort) *flow {
	t := m.table.Load()
	behind, node := t.ports[address.Port()], t.nodes[address.Addr()]
	if behind == nil {
		return nil
	}
	pods := behind.eligible(node)
	if len(pods) == 0 {
		return nil
	}
	f := &flow{
		Conn: conn, mesh: m, target: behind.target, start: m.config.Now(), node: node,
		endpoint: pods[m.turn.Add(1)%uint64(len(pods))], closed: make(chan struct{}),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil || m.down(f.endpoint) {
		return nil
	}
	m.open[f] = struct{}{}
	return f
}
