package awssim

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// flow is a client's connection through a network load balancer, which may ask
// for pages over it.
type flow struct {
	net.Conn
	reader *bufio.Reader
}

// connect opens a flow, over TLS to what answers for the name if there is one.
func connect(t *testing.T, l *types.Listener, name string) *flow {
	t.Helper()
	conn := dial(t, l)
	if name != "" {
		conn = tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	}
	return &flow{conn, bufio.NewReader(conn)}
}

// ask gives the name of the backend that answers, or why none does.
func (f *flow) ask() (string, error) {
	if _, err := io.WriteString(f, "GET / HTTP/1.1\r\nHost: sso.example\r\n\r\n"); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(f.reader, nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", err
	}
	return response.Header.Get("X-Backend"), nil
}

func (f *flow) expect(t *testing.T, what, want string) {
	t.Helper()
	if got, err := f.ask(); err != nil || got != want {
		t.Errorf("%s: answered by %q (%v), want %s", what, got, err, want)
	}
}

// ended waits until the load balancer ends the flow, and tells how.
func (f *flow) ended(t *testing.T) error {
	t.Helper()
	_, err := f.Read(make([]byte, 1)) // Nobody sends anything unasked.
	return err
}

// expectReset asserts that a new connection is reset, at once or a little later.
func expectReset(t *testing.T, l *types.Listener) {
	t.Helper()
	conn, err := net.Dial("tcp", address(l))
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a new connection ended with %v", err)
	}
}

func TestNLBPassesTLSThroughAndKeepsFlows(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork)
	oldBackend := newBackend(t, "old", true)
	old := w.serving("old", types.ProtocolEnumTcp, oldBackend)
	fresh := w.serving("new", types.ProtocolEnumTcp, newBackend(t, "new", true))
	l := w.listener(lb, types.ProtocolEnumTcp, 443, forwardTo(old))
	established := connect(t, l, "sso.example")
	established.expect(t, "before", "old")
	if sni := oldBackend.sni.Load(); sni != "sso.example" {
		t.Errorf("the target was sent the server name %q", sni)
	}
	change := func(a types.Action) {
		t.Helper()
		call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{a}})
	}
	change(weighted(old, 0, fresh, 1))
	established.expect(t, "established, at weight 0", "old")
	connect(t, l, "sso.example").expect(t, "a new connection", "new")
	change(forwardTo(fresh))
	established.expect(t, "established, the group being off the listener", "old")
	call(w, w.client.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: new(old)})
	established.expect(t, "established, the group being deleted", "old")
	if l.DefaultActions[0].TargetGroupArn == nil || !strings.Contains(*lb.LoadBalancerArn, ":loadbalancer/net/passthrough/") {
		t.Errorf("%+v %s", l.DefaultActions, *lb.LoadBalancerArn)
	}
}

func TestWeightsShareConnections(t *testing.T) {
	w := newWorld(t)
	old := w.serving("old", types.ProtocolEnumTcp, newBackend(t, "old", false))
	fresh := w.serving("new", types.ProtocolEnumTcp, newBackend(t, "new", false))
	l := w.listener(w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork), types.ProtocolEnumTcp, 80, weighted(old, 3, fresh, 1))
	moved := 0
	for range 200 {
		f := connect(t, l, "")
		got, err := f.ask()
		if err != nil {
			t.Fatal(err)
		}
		if got == "new" {
			moved++
		}
		f.Close()
	}
	// Six standard deviations either side of fifty.
	if moved < 13 || moved > 87 {
		t.Errorf("%d of 200 connections went to the group with a quarter of the weight", moved)
	}
}

// A TLS listener ends the client's TLS with its own certificate, and begins it
// anew to a TLS group.
func TestNLBEndsTLS(t *testing.T) {
	w := newWorld(t)
	secure := newBackend(t, "tls", true)
	for kind, group := range map[string]string{
		"tcp": w.serving("tcp", types.ProtocolEnumTcp, newBackend(t, "tcp", false)),
		"tls": w.serving("tls", types.ProtocolEnumTls, secure),
	} {
		lb := w.loadBalancer(kind, types.LoadBalancerTypeEnumNetwork)
		l := &call(w, w.client.CreateListener, &elb.CreateListenerInput{
			LoadBalancerArn: lb.LoadBalancerArn, Protocol: types.ProtocolEnumTls, Port: new(int32(443)), DefaultActions: []types.Action{forwardTo(group)},
			Certificates: []types.Certificate{{CertificateArn: new(w.sim.ImportCertificate(newCertificate(t, "nlb.example")))}},
		}).Listeners[0]
		f := connect(t, l, "sso.example")
		f.expect(t, kind, kind)
		if got := f.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames[0]; got != "nlb.example" {
			t.Errorf("%s: the client saw the certificate of %s", kind, got)
		}
	}
	if sni := secure.sni.Load(); sni != "" {
		t.Errorf("the target was sent the server name %q", sni)
	}
}

func TestNLBWithoutATargetResets(t *testing.T) {
	w := newWorld(t)
	empty := w.group("empty", types.ProtocolEnumTcp, 80, nil)
	l := w.listener(w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork), types.ProtocolEnumTcp, 443, forwardTo(empty))
	expectReset(t, l)
}

// A flow that was idle for too long is reset when somebody sends something.
func TestFlowThatIsIdle(t *testing.T) {
	w := newWorld(t)
	var passed atomic.Int64
	start := time.Now()
	w.sim.now = func() time.Time { return start.Add(time.Duration(passed.Load())) }
	group := w.serving("old", types.ProtocolEnumTcp, newBackend(t, "old", false))
	l := w.listener(w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork), types.ProtocolEnumTcp, 443, forwardTo(group))
	f := connect(t, l, "")
	f.expect(t, "at first", "old")
	passed.Add(int64(349 * time.Second))
	f.expect(t, "in time", "old")
	passed.Add(int64(350 * time.Second))
	if name, err := f.ask(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("too late: %q, %v", name, err)
	}
}

func TestSourceStaysOnATarget(t *testing.T) {
	w := newWorld(t)
	one, two := newBackend(t, "one", false), newBackend(t, "two", false)
	group := w.group("old", types.ProtocolEnumTcp, one.port, nil)
	w.registerPorts(group, one, two)
	l := w.listener(w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork), types.ProtocolEnumTcp, 443, forwardTo(group))
	w.allHealthy(group, 2)
	seen := func() map[string]bool {
		names := map[string]bool{}
		for range 8 {
			name, err := connect(t, l, "").ask()
			if err != nil {
				t.Fatal(err)
			}
			names[name] = true
		}
		return names
	}
	if names := seen(); len(names) != 2 {
		t.Errorf("without stickiness: %v", names)
	}
	w.attribute(group, attrSticky, "true")
	if names := seen(); len(names) != 1 {
		t.Errorf("with stickiness by source: %v", names)
	}
}

func TestNLBAnnouncesClients(t *testing.T) {
	w := newWorld(t)
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	lb := w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork)
	arn := w.group("old", types.ProtocolEnumTcp, socket.Addr().(*net.TCPAddr).Port, func(in *elb.CreateTargetGroupInput) {
		in.HealthCheckPort = new("1") // nothing is there: the listener below sees the client alone
	})
	w.register(arn, "i-1")
	call(w, w.client.ModifyTargetGroupAttributes, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: new(arn),
		Attributes:     []types.TargetGroupAttribute{{Key: new(attrProxyV2), Value: new("true")}},
	})
	l := w.listener(lb, types.ProtocolEnumTcp, 443, forwardTo(arn))
	client := dial(t, l)
	conn, err := socket.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	header := make([]byte, 28)
	if _, err := io.ReadFull(conn, header); err != nil {
		t.Fatal(err)
	}
	source := client.LocalAddr().(*net.TCPAddr)
	if string(header[:12]) != "\r\n\r\n\x00\r\nQUIT\n" || header[12] != 0x21 || header[13] != 0x11 ||
		binary.BigEndian.Uint16(header[14:]) != 12 || !net.IP(header[16:20]).Equal(source.IP) ||
		int(binary.BigEndian.Uint16(header[24:])) != source.Port {
		t.Errorf("header % x for %s", header, source)
	}
}
