package awssim

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// flowIdle is how long a flow without data lasts. Nobody is told when it is over:
// who sends something later is answered with a reset.
const flowIdle = 350 * time.Second

// serveTCP accepts connections until the server is closed, and ends when they
// have all ended.
func (srv *server) serveTCP() {
	defer srv.work.Wait()
	for {
		client, err := srv.socket.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || srv.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, for one: some will be free again.
			srv.log.Warn("a connection was not accepted", "error", err)
			select {
			case <-srv.ctx.Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		srv.work.Go(func() { srv.relay(client) })
	}
}

// relay passes bytes between a client and a target, which is chosen once by
// the rules in force now: the flow stays there until it ends.
func (srv *server) relay(client net.Conn) {
	defer client.Close()
	if srv.protocol == types.ProtocolEnumTls {
		client = tls.Server(client, srv.tlsConfig())
	}
	plan := srv.listener.current(srv.now())
	chosen, ok := plan.rules[len(plan.rules)-1].steps[0].forward.pick(srv.intN)
	if !ok {
		reset(client)
		return
	}
	m := chosen.pool.members.Load()
	to, ok := chosen.pool.pick(m, addrPortOf(client.RemoteAddr()).Addr())
	if !ok {
		reset(client)
		return
	}
	ctx, end := context.WithCancel(srv.ctx)
	defer end()
	defer to.use(end)()
	target, err := srv.dial(ctx, to.address, m.proxyV2, chosen.pool.secure, client)
	if err != nil {
		srv.log.Debug("a target could not be reached", "target", to.address, "error", err)
		reset(client)
		return
	}
	defer target.Close()
	defer context.AfterFunc(ctx, func() {
		reset(client)
		srv.closed(client.Close())
		srv.closed(target.Close())
	})()
	var last atomic.Int64 // when data was passed on
	last.Store(srv.now().UnixNano())
	alive := func() bool {
		now := srv.now().UnixNano()
		if time.Duration(now-last.Swap(now)) < flowIdle {
			return true
		}
		end()
		return false
	}
	var directions sync.WaitGroup
	directions.Go(func() { srv.pass(target, client, alive) })
	directions.Go(func() { srv.pass(client, target, alive) })
	directions.Wait()
}

// dial connects to a target and, where the group wants it, announces the
// client first.
func (srv *server) dial(ctx context.Context, address netip.AddrPort, proxyV2, secure bool, client net.Conn) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: connectTimeout}
	target, err := dialer.DialContext(ctx, "tcp", address.String())
	if err != nil {
		return nil, fmt.Errorf("connecting to a target: %w", err)
	}
	if proxyV2 {
		if _, err := target.Write(proxyHeader(client.RemoteAddr(), client.LocalAddr())); err != nil {
			return nil, errors.Join(fmt.Errorf("announcing a client: %w", err), target.Close())
		}
	}
	if secure {
		return tls.Client(target, targetTLS()), nil
	}
	return target, nil
}

// pass copies one direction and then tells the receiver that it has ended. An
// error ends the direction like an end of file; the other one notices itself.
// Where the flow has been idle for too long, its next data ends it.
func (srv *server) pass(to, from net.Conn, alive func() bool) {
	buffer := srv.buffers.Get()
	defer srv.buffers.Put(buffer)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !alive() {
				return
			}
			if _, failed := to.Write(buffer[:n]); failed != nil {
				_ = to.Close()
				return
			}
		}
		if err != nil {
			if half, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) && half.CloseWrite() == nil {
				return
			}
			_ = to.Close()
			return
		}
	}
}

// reset ends a connection as an NLB without targets does.
func reset(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// If it cannot be set the client sees an ordinary end.
		_ = tcp.SetLinger(0)
	}
}

// proxyHeader is the PROXY protocol header of version 2 for a TCP connection:
// signature, command and family, length, addresses, ports.
func proxyHeader(source, destination net.Addr) []byte {
	from, to := addrPortOf(source), addrPortOf(destination)
	header := []byte("\r\n\r\n\x00\r\nQUIT\n\x21")
	addresses := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
	if from.Addr().Is4() {
		header = append(header, 0x11)
	} else {
		header = append(header, 0x21)
	}
	header = binary.BigEndian.AppendUint16(header, uint16(len(addresses)+4))
	header = append(header, addresses...)
	header = binary.BigEndian.AppendUint16(header, from.Port())
	return binary.BigEndian.AppendUint16(header, to.Port())
}

func addrPortOf(address net.Addr) netip.AddrPort {
	if tcp, ok := address.(*net.TCPAddr); ok {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return netip.AddrPort{}
}
