package awssim

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// presented gives the certificate that a listener shows.
func presented(t *testing.T, l *types.Listener) []byte {
	t.Helper()
	conn := tls.Client(dial(t, l), &tls.Config{InsecureSkipVerify: true})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().PeerCertificates[0].Raw
}

func TestListenerTakesANewCertificateAndPort(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttps, 443, answerWith("200", "here"))
	next := newCertificate(t, "next.example")
	l = &call(w, w.client.ModifyListener, &elb.ModifyListenerInput{
		ListenerArn: l.ListenerArn, Certificates: []types.Certificate{{CertificateArn: new(w.sim.ImportCertificate(next))}},
	}).Listeners[0]
	if !bytes.Equal(presented(t, l), next.Certificate[0]) {
		t.Error("the listener still shows the certificate from before")
	}
	moved := &call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, Port: new(int32(8443))}).Listeners[0]
	if *moved.Port == *l.Port {
		t.Fatal("the port is the same")
	}
	client := newHTTPClient(t, false)
	if got := get(t, client, moved, "app.example", "/"); got.body != "here" {
		t.Errorf("on the new port: %s", got.body)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address(l)); err == nil {
		conn.Close()
		t.Error("the old port still answers")
	}
	// The same port with another protocol.
	plain := &call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, Protocol: types.ProtocolEnumHttp}).Listeners[0]
	if got := get(t, client, plain, "app.example", "/"); got.body != "here" || len(plain.Certificates) != 0 {
		t.Errorf("over HTTP: %s, certificates %v", got.body, plain.Certificates)
	}
	call(w, w.client.DeleteListener, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn})
	refused(w, "ListenerNotFound", w.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn})
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address(plain)); err == nil {
		conn.Close()
		t.Error("a deleted listener still answers")
	}
}

// A listener that changes its protocol keeps its port: nobody is refused
// meanwhile, and nobody else can take it.
func TestListenerKeepsItsPortThroughAChangeOfProtocol(t *testing.T) {
	w := newWorld(t)
	l := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttps, 443, answerWith("200", "here"))
	certificates := []types.Certificate{{CertificateArn: l.Certificates[0].CertificateArn}}
	var clients sync.WaitGroup
	defer clients.Wait()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", address(l))
				if err == nil {
					conn.Close()
				} else if errors.Is(err, syscall.ECONNREFUSED) {
					t.Error(err)
					return
				}
			}
		})
	}
	client := newHTTPClient(t, false)
	for range 20 {
		for _, in := range []*elb.ModifyListenerInput{{Protocol: types.ProtocolEnumHttp}, {Protocol: types.ProtocolEnumHttps, Certificates: certificates}} {
			in.ListenerArn = l.ListenerArn
			is := &call(w, w.client.ModifyListener, in).Listeners[0]
			client.CloseIdleConnections()
			if got := get(t, client, is, "app.example", "/"); got.body != "here" || *is.Port != *l.Port {
				t.Fatalf("over %s, port %d: %s", is.Protocol, *is.Port, got.body)
			}
		}
	}
}

func TestNLBTerminatesTLS(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("network", types.LoadBalancerTypeEnumNetwork)
	cert := newCertificate(t, "nlb.example")
	inside := w.serving("tls", types.ProtocolEnumTls, newBackend(t, "tls", true))
	plain := w.serving("tcp", types.ProtocolEnumTcp, newBackend(t, "tcp", false))
	l := &call(w, w.client.CreateListener, &elb.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Protocol: types.ProtocolEnumTls, Port: new(int32(443)),
		Certificates:   []types.Certificate{{CertificateArn: new(w.sim.ImportCertificate(cert))}},
		DefaultActions: []types.Action{forwardTo(inside)},
	}).Listeners[0]
	ask := func(want string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address(l)+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		got, err := newHTTPClient(t, false).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		if got.Header.Get("X-Backend") != want || !bytes.Equal(got.TLS.PeerCertificates[0].Raw, cert.Certificate[0]) {
			t.Errorf("%s answered, want %s", got.Header.Get("X-Backend"), want)
		}
	}
	ask("tls")
	call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{forwardTo(plain)}})
	ask("tcp")
}

func TestNLBWithoutTargetsResets(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("network", types.LoadBalancerTypeEnumNetwork)
	l := w.listener(lb, types.ProtocolEnumTcp, 443, forwardTo(w.group("empty", types.ProtocolEnumTcp, 80, nil)))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address(l))
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connecting and reading gave %v", err)
	}
}

// Half-closed flows: what the client has sent before it closes its direction
// is answered.
func TestNLBPassesTheEndOfADirection(t *testing.T) {
	w := newWorld(t)
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	lb := w.loadBalancer("network", types.LoadBalancerTypeEnumNetwork)
	arn := w.group("echo", types.ProtocolEnumTcp, socket.Addr().(*net.TCPAddr).Port, func(in *elb.CreateTargetGroupInput) {
		in.HealthCheckPort = new("1") // nothing is there: the socket sees the client alone
	})
	w.register(arn, "i-1")
	client := dial(t, w.listener(lb, types.ProtocolEnumTcp, 443, forwardTo(arn)))
	if _, err := io.WriteString(client, "question"); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	target, err := socket.Accept()
	if err != nil {
		t.Fatal(err)
	}
	question, err := io.ReadAll(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(target, "answer to "+string(question)); err != nil {
		t.Fatal(err)
	}
	target.Close()
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != "answer to question" {
		t.Errorf("%q %v", answer, err)
	}
}

// Neither what was passed to Call nor what it gave reaches into the state.
func TestCallKeepsItsStateToItself(t *testing.T) {
	w := newWorld(t)
	run := func(in any) any {
		t.Helper()
		out, err := w.sim.Call(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	in := &elb.CreateLoadBalancerInput{Name: new("public"), Subnets: []string{"subnet-a"}, SecurityGroups: []string{"sg-1"}}
	lb := &run(in).(*elb.CreateLoadBalancerOutput).LoadBalancers[0]
	in.SecurityGroups[0] = "changed"
	*lb.LoadBalancerName = "changed"
	lb = &run(&elb.DescribeLoadBalancersInput{}).(*elb.DescribeLoadBalancersOutput).LoadBalancers[0]
	if *lb.LoadBalancerName != "public" || lb.SecurityGroups[0] != "sg-1" {
		t.Errorf("%s %v", *lb.LoadBalancerName, lb.SecurityGroups)
	}
	if len(w.sim.Calls()) != 0 {
		t.Error("calls in process are in the log of calls")
	}
	if _, err := w.sim.Call(t.Context(), "DescribeRules"); err == nil {
		t.Error("an input that is none was taken")
	}
}
