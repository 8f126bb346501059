package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a Store that holds what a test puts in.
type memory struct {
	mu      sync.Mutex
	objects map[string]*unstructured.Unstructured
	changed func(schema.GroupVersionResource)
}

func (s *memory) List(resource schema.GroupVersionResource, _ string) []*unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for key := range s.objects {
		if strings.HasPrefix(key, resource.Resource+"/") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	list := make([]*unstructured.Unstructured, len(keys))
	for i, key := range keys {
		list[i] = s.objects[key].DeepCopy()
	}
	return list
}

func (s *memory) OnChange(f func(schema.GroupVersionResource)) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = f
	return func() {}
}

func (s *memory) apply(t *testing.T, documents string) {
	t.Helper()
	for document := range strings.SplitSeq(documents, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatalf("%v in %s", err, document)
		}
		resource := strings.ToLower(object.GetKind()) + "s"
		s.mu.Lock()
		s.objects[resource+"/"+object.GetNamespace()+"/"+object.GetName()] = object
		changed := s.changed
		s.mu.Unlock()
		if changed != nil {
			changed(schema.GroupVersionResource{Group: object.GroupVersionKind().Group, Resource: resource})
		}
	}
}

const cluster = `
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "accessLogFile: /dev/stdout"}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-1}, status: {addresses: [{type: InternalIP, address: NODE}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: stray}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: gw-1, namespace: istio-system, labels: {app: gw}}
spec: {nodeName: node-1}
status: {podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: istio-system}
spec:
  type: NodePort
  selector: {app: gw}
  ports:
  - {name: status-port, port: 15021, targetPort: 15021, nodePort: 30021}
  - {name: http2, port: 80, targetPort: 8080, nodePort: 30080}
  - {name: https, port: 443, targetPort: 8443, nodePort: 30443}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec:
  selector: {app: gw}
  servers:
  - {hosts: ['*'], port: {number: 8080, protocol: HTTP, name: http}, tls: {httpsRedirect: true}}
  - {hosts: ['*.a.test'], port: {number: 443, protocol: HTTPS, name: https}, tls: {mode: SIMPLE, credentialName: cert}}
  - {hosts: ['*.raw.test'], port: {number: 8443, protocol: TLS, name: tls}, tls: {mode: PASSTHROUGH}}
  - {hosts: ['lost.a.test'], port: {number: 8443, protocol: HTTPS, name: lost}, tls: {mode: SIMPLE, credentialName: lost}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: app, namespace: app}
spec:
  hosts: [app.a.test]
  gateways: [istio-system/public]
  http:
  - match: [{uri: {prefix: /down}}]
    route: [{destination: {host: down, port: {number: 80}}}]
  - match: [{uri: {prefix: /refused}}]
    route: [{destination: {host: refused, port: {number: 80}}}]
  - match: [{uri: {exact: /only}, gateways: [istio-gateway/other]}]
    route: [{destination: {host: down, port: {number: 80}}}]
  - match: [{uri: {prefix: /app}}, {uri: {exact: /only}}]
    route: [{destination: {host: app, port: {number: 80}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: raw, namespace: app}
spec:
  hosts: [x.raw.test]
  gateways: [istio-system/public]
  tls:
  - match: [{port: 443, sniHosts: [x.raw.test]}]
    route: [{destination: {host: raw.app.svc.cluster.local, port: {number: 443}}}]
`

// pair makes a self-signed certificate.
func pair(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func secret(t *testing.T, name string, p tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(p.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s, namespace: istio-system}, data: {tls.crt: %s, tls.key: %s}}",
		name, encode("CERTIFICATE", p.Certificate[0]), encode("PRIVATE KEY", key))
}

type world struct {
	*memory
	node string
	mesh *Mesh
	raw  tls.Certificate
}

// claim takes a loopback network that no test running elsewhere has, and
// returns the address of its node.
func claim(t *testing.T) string {
	t.Helper()
	for b := 1; b < 255; b++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.66.%d.1:16443", b))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return fmt.Sprintf("127.66.%d.11", b)
	}
	t.Fatal("no loopback network is free")
	return ""
}

func start(t *testing.T) *world {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "app")
		fmt.Fprintf(w, "%s %s", r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(app.Close)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.Copy(conn, buffered)
			conn.Close()
		}
	}))
	t.Cleanup(echo.Close)
	raw := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "raw") }))
	w := &world{memory: &memory{objects: map[string]*unstructured.Unstructured{}}, node: claim(t), raw: pair(t, "x.raw.test")}
	raw.TLS = &tls.Config{Certificates: []tls.Certificate{w.raw}}
	raw.StartTLS()
	t.Cleanup(raw.Close)
	addresses := map[string]netip.AddrPort{
		"app.app.svc.cluster.local":     netip.MustParseAddrPort(app.Listener.Addr().String()),
		"echo.app.svc.cluster.local":    netip.MustParseAddrPort(echo.Listener.Addr().String()),
		"raw.app.svc.cluster.local":     netip.MustParseAddrPort(raw.Listener.Addr().String()),
		"refused.app.svc.cluster.local": netip.MustParseAddrPort("127.66.0.250:1"),
	}
	w.apply(t, strings.ReplaceAll(strings.TrimSpace(cluster), "NODE", w.node))
	w.apply(t, secret(t, "cert", pair(t, "*.a.test")))
	mesh, err := Start(Config{
		Store:     w.memory,
		Upstream:  func(host string, _ int) (netip.AddrPort, bool) { a, ok := addresses[host]; return a, ok },
		Now:       time.Now,
		RequestID: func() string { return "request-id" },
		Log:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mesh.Close)
	w.mesh = mesh
	return w
}

// get asks a NodePort for a URL, with the server name given, and returns the
// answer, its body and the certificate that was presented.
func (w *world) get(t *testing.T, port int, sni, url, agent string) (*http.Response, string, error) {
	t.Helper()
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("%s:%d", w.node, port))
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: sni},
	}
	defer transport.CloseIdleConnections()
	client := http.Client{
		Transport: transport, Timeout: 5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User-Agent", agent)
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestRequests(t *testing.T) {
	w := start(t)
	for _, c := range []struct {
		name, sni, url string
		port, status   int
		body, location string
		backend        bool
		log            string
	}{
		{name: "backend", port: 30443, sni: "app.a.test", url: "https://app.a.test/app?q=1", status: 200, body: "https 127.0.0.1", backend: true, log: `"GET /app?q=1 HTTP/2" 200 - via_upstream - "-" 0 15 `},
		{name: "exact match on this gateway", port: 30443, sni: "app.a.test", url: "https://app.a.test/only", status: 200, body: "https 127.0.0.1", backend: true},
		{name: "no route", port: 30443, sni: "app.a.test", url: "https://app.a.test/", status: 404, log: ` 404 NR route_not_found `},
		{name: "no virtual host", port: 30443, sni: "b.a.test", url: "https://b.a.test/app", status: 404, log: ` 404 NR route_not_found `},
		{name: "redirect", port: 30080, url: "http://app.a.test/app?q=1", status: 301, location: "https://app.a.test/app?q=1", log: `HTTP/1.1" 301 - direct_response`},
		{name: "no endpoint", port: 30443, sni: "app.a.test", url: "https://app.a.test/down", status: 503, body: "no healthy upstream", log: " 503 UH no_healthy_upstream "},
		{name: "refused", port: 30443, sni: "app.a.test", url: "https://app.a.test/refused", status: 503, body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: 111", log: " 503 UF upstream_reset_before_response_started{"},
		{name: "passthrough", port: 30443, sni: "x.raw.test", url: "https://x.raw.test/", status: 200, body: "raw"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agent := "nonce-" + strings.ReplaceAll(c.name, " ", "-")
			response, body, err := w.get(t, c.port, c.sni, c.url, agent)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.status || body != c.body || response.Header.Get("Location") != c.location {
				t.Errorf("got %d %q to %q, want %d %q to %q", response.StatusCode, body, response.Header.Get("Location"), c.status, c.body, c.location)
			}
			if got := response.Header.Get("X-Envoy-Upstream-Service-Time") != ""; got != c.backend {
				t.Errorf("x-envoy-upstream-service-time present: %v, want %v", got, c.backend)
			}
			passthrough := c.sni == "x.raw.test"
			if servers := response.Header.Values("Server"); !passthrough && !slices.Equal(servers, []string{"istio-envoy"}) {
				t.Errorf("server: %q, want istio-envoy", servers)
			}
			if passthrough {
				if got := response.TLS.PeerCertificates[0].Raw; !bytes.Equal(got, w.raw.Certificate[0]) {
					t.Error("a passthrough gateway presented another certificate than the application's")
				}
				return
			}
			line := waitForLine(t, w.mesh, `"`+agent+`"`)
			if !strings.Contains(line, c.log) {
				t.Errorf("log line %s lacks %s", line, c.log)
			}
		})
	}
}

// waitForLine returns the line of the pod's log that contains the text.
func waitForLine(t *testing.T, mesh *Mesh, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(mesh.Logs(ctx, "istio-system", "gw-1", LogOptions{Follow: true, TailLines: -1}, w))
	}()
	defer r.Close()
	for scanner := bufio.NewScanner(r); scanner.Scan(); {
		if strings.Contains(scanner.Text(), text) {
			return scanner.Text()
		}
	}
	t.Fatalf("no line with %s in the log", text)
	return ""
}

func TestHandshakeWithoutFilterChain(t *testing.T) {
	w := start(t)
	for _, sni := range []string{"", "other.test", "y.raw.test", "lost.a.test"} {
		conn, err := net.Dial("tcp", w.node+":30443")
		if err != nil {
			t.Fatal(err)
		}
		err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: sni}).Handshake()
		conn.Close()
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("server name %q: %v, want the connection reset", sni, err)
		}
	}
	line := waitForLine(t, w.mesh, "filter_chain_not_found")
	if !strings.Contains(line, `"- - -" 0 NR filter_chain_not_found - "-" 0 0 `) {
		t.Errorf("log line %s is not that of a connection", line)
	}
}

// eventually asks a NodePort until the answer has the status, or the connection is "refused".
func (w *world) eventually(t *testing.T, want string, port int, sni, url string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		got := "failed"
		response, _, err := w.get(t, port, sni, url, "test")
		switch {
		case err == nil:
			got = fmt.Sprint(response.StatusCode)
		case errors.Is(err, syscall.ECONNREFUSED):
			got = "refused"
		}
		if got == want {
			return
		}
	}
	t.Fatalf("%s never became %s", url, want)
}

func TestConfigurationIsFollowed(t *testing.T) {
	w := start(t)
	w.eventually(t, "404", 30443, "b.a.test", "https://b.a.test/")
	w.apply(t, `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: b, namespace: istio-system}, spec: {hosts: ['*.a.test'], gateways: [public], http: [{route: [{destination: {host: app.app, port: {number: 80}}}]}]}}`)
	w.eventually(t, "200", 30443, "b.a.test", "https://b.a.test/")
	w.eventually(t, "404", 30443, "app.a.test", "https://app.a.test/")
	w.apply(t, secret(t, "lost", pair(t, "lost.a.test")))
	w.eventually(t, "200", 30443, "lost.a.test", "https://lost.a.test/")
	w.eventually(t, "200", 30021, "", "http://node/healthz/ready")
	w.apply(t, `{apiVersion: v1, kind: Pod, metadata: {name: gw-1, namespace: istio-system, labels: {app: gw}}, status: {conditions: [{type: Ready, status: "False"}]}}`)
	w.eventually(t, "refused", 30021, "", "http://node/healthz/ready")
	w.apply(t, `{apiVersion: v1, kind: Service, metadata: {name: gw, namespace: istio-system}, spec: "nonsense"}`)
}

func TestLogOptions(t *testing.T) {
	m := &Mesh{logs: newPodLogs(), ctx: t.Context()}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range logLines + 3 {
		m.logs.write("ns/pod", at.Add(time.Duration(i)*time.Second), fmt.Sprint("line ", i))
	}
	last := at.Add((logLines + 2) * time.Second)
	for _, c := range []struct {
		options LogOptions
		want    string
	}{
		{LogOptions{TailLines: 2}, "line 2049\nline 2050\n"},
		{LogOptions{SinceTime: last, TailLines: -1}, "line 2050\n"},
		{LogOptions{SinceTime: last, TailLines: -1, Timestamps: true}, last.Format(time.RFC3339Nano) + " line 2050\n"},
		{LogOptions{}, ""},
	} {
		var got bytes.Buffer
		if err := m.Logs(t.Context(), "ns", "pod", c.options, &got); err != nil || got.String() != c.want {
			t.Errorf("%+v: %q, %v, want %q", c.options, got.String(), err, c.want)
		}
	}
}
