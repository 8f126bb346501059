package awssim

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a server behind a load balancer. It answers with its name and
// what it saw, and with a status of choice to health checks.
type backend struct {
	name   string
	port   int
	status atomic.Int32
	checks atomic.Int32
	sni    atomic.Value
}

func newBackend(t *testing.T, name string, secure bool) *backend {
	t.Helper()
	b := &backend{name: name}
	b.status.Store(http.StatusOK)
	server := httptest.NewUnstartedServer(b)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // health checks over TCP end in mid-handshake
	if secure {
		server.TLS = &tls.Config{
			Certificates: []tls.Certificate{newCertificate(t, name)},
			GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				b.sni.Store(hello.ServerName)
				return nil, nil
			},
		}
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	b.port = portOf(t, server.URL)
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		b.checks.Add(1)
		w.WriteHeader(int(b.status.Load()))
		return
	}
	w.Header().Set("X-Backend", b.name)
	fmt.Fprintf(w, "%s host=%s uri=%s for=%s proto=%s port=%s", b.name, r.Host, r.RequestURI,
		r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Port"))
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// serving makes a group with a backend in it.
func (w *world) serving(name string, protocol types.ProtocolEnum, b *backend) string {
	w.t.Helper()
	arn := w.group(name, protocol, b.port, func(in *elb.CreateTargetGroupInput) {
		if protocol == types.ProtocolEnumHttp || protocol == types.ProtocolEnumHttps {
			in.HealthCheckProtocol, in.HealthCheckPath = protocol, new("/healthz")
		}
	})
	w.register(arn, "i-1")
	return arn
}

func (w *world) register(group string, ids ...string) {
	w.t.Helper()
	in := &elb.RegisterTargetsInput{TargetGroupArn: new(group)}
	for _, id := range ids {
		in.Targets = append(in.Targets, types.TargetDescription{Id: new(id)})
	}
	call(w, w.client.RegisterTargets, in)
}

// health gives the state and reason of the first target of a group.
func (w *world) health(group string) (types.TargetHealthStateEnum, types.TargetHealthReasonEnum) {
	w.t.Helper()
	out := call(w, w.client.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: new(group)})
	if len(out.TargetHealthDescriptions) == 0 {
		return "", ""
	}
	h := out.TargetHealthDescriptions[0].TargetHealth
	return h.State, h.Reason
}

func (w *world) healthy(group string) {
	w.t.Helper()
	eventually(w.t, "the target is healthy", func() bool {
		state, _ := w.health(group)
		return state == types.TargetHealthStateEnumHealthy
	})
}

// address is where a listener of a load balancer listens.
func address(l *types.Listener) string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(*l.Port)) }

// newHTTPClient makes a client that trusts anything, follows no redirect and
// keeps connections alive until the test ends.
func newHTTPClient(t *testing.T, http2 bool) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: http2,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body string
}

// get asks a listener for a URL path on a host.
func get(t *testing.T, client *http.Client, l *types.Listener, host, path string, change ...func(*http.Request)) reply {
	t.Helper()
	scheme := strings.ToLower(string(l.Protocol))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+address(l)+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for _, f := range change {
		f(r)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response, string(body)}
}

func dial(t *testing.T, l *types.Listener) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", address(l))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
