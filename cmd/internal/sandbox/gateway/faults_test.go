package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// moreNodes adds a node with a pod, and one without, and returns their addresses.
func (w *world) moreNodes(t *testing.T) (with, without string) {
	t.Helper()
	network, _ := strings.CutSuffix(w.node, ".11")
	with, without = network+".12", network+".13"
	for i, address := range []string{with, without} {
		w.apply(t, fmt.Sprintf(`{apiVersion: v1, kind: Node, metadata: {name: node-%d}, status: {addresses: [{type: InternalIP, address: %s}]}}`, i+2, address))
	}
	w.apply(t, `{apiVersion: v1, kind: Pod, metadata: {name: gw-2, namespace: istio-system, labels: {app: gw}}, spec: {nodeName: node-2}, status: {podIP: 10.0.0.2, conditions: [{type: Ready, status: "True"}]}}`)
	w.becomes(t, with+":30021", "answers")
	w.becomes(t, without+":30021", "answers")
	return with, without
}

// inject makes a fault hold until it is healed, neither of which may fail.
func (w *world) inject(t *testing.T, f Fault) (heal func()) {
	t.Helper()
	end, err := w.mesh.Inject(f)
	if err != nil {
		t.Errorf("inject %d: %v", f.Kind, err)
		return func() {}
	}
	return func() {
		t.Helper()
		if err := end(); err != nil {
			t.Errorf("heal %d: %v", f.Kind, err)
		}
	}
}

// reached says what becomes of a request to an address, within a time that
// leaves a busy machine some, unless it is to be dropped.
func reached(t *testing.T, address, want string) string {
	t.Helper()
	within := 5 * time.Second
	if want == "dropped" {
		within = 100 * time.Millisecond
	}
	conn, err := net.DialTimeout("tcp", address, within)
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "dropped"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case err != nil:
		return err.Error()
	}
	defer conn.Close()
	return asked(conn, 5*time.Second)
}

// asked says what becomes of one more request on a connection.
func asked(conn net.Conn, within time.Duration) string {
	_ = conn.SetDeadline(time.Now().Add(within))
	if _, err := fmt.Fprint(conn, "GET /healthz/ready HTTP/1.1\r\nHost: node\r\n\r\n"); err != nil {
		return "reset"
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silent"
	case err != nil:
		return "reset"
	}
	response.Body.Close()
	return "answers"
}

// becomes waits until a request to an address ends so.
func (w *world) becomes(t *testing.T, address, want string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if got = reached(t, address, want); got == want {
			return
		}
	}
	t.Fatalf("%s is %s, never %s", address, got, want)
}

func TestFilteredDropsEverything(t *testing.T) {
	w := start(t)
	with, _ := w.moreNodes(t)
	open, err := net.Dial("tcp", w.node+":30021")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if got := asked(open, 5*time.Second); got != "answers" {
		t.Fatalf("a healthy connection is %s", got)
	}

	heal := w.inject(t, Fault{Kind: Filtered, Namespace: "istio-system", Node: "node-1"})
	for _, port := range []string{":30021", ":30080", ":30443"} {
		for range 3 { // However often it is tried.
			if got := reached(t, w.node+port, "dropped"); got != "dropped" {
				t.Errorf("%s is %s, want dropped", port, got)
			}
		}
	}
	if got := reached(t, with+":30021", "answers"); got != "answers" {
		t.Errorf("the other node is %s", got)
	}
	if got := asked(open, 100*time.Millisecond); got != "silent" {
		t.Errorf("the connection from before is %s, want silent", got)
	}
	crashed := w.inject(t, Fault{Kind: Down, Namespace: "istio-system"})
	if got := reached(t, w.node+":30021", "dropped"); got != "dropped" {
		t.Errorf("with nobody behind it is %s, want dropped: no packet comes so far", got)
	}
	crashed()

	heal()
	heal()
	if got := reached(t, w.node+":30021", "answers"); got != "answers" {
		t.Errorf("healed it is %s", got)
	}
}

func TestConnectionGoesOnWhenNoLongerFiltered(t *testing.T) {
	w := start(t)
	open, err := net.Dial("tcp", w.node+":30021")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if got := asked(open, 5*time.Second); got != "answers" {
		t.Fatal(got)
	}
	heal := w.inject(t, Fault{Kind: Filtered})
	answered := make(chan string)
	go func() { answered <- asked(open, time.Minute) }()
	if got := reached(t, w.node+":30021", "dropped"); got != "dropped" {
		t.Errorf("it is %s", got)
	}
	heal()
	if got := <-answered; got != "answers" {
		t.Errorf("what was sent meanwhile is %s", got)
	}
}

func TestOtherNamespacesAreNotConcerned(t *testing.T) {
	w := start(t)
	for _, kind := range []FaultKind{Down, Filtered} {
		defer w.inject(t, Fault{Kind: kind, Namespace: "istio-gateway"})()
	}
	if got := reached(t, w.node+":30021", "answers"); got != "answers" {
		t.Errorf("it is %s", got)
	}
}

func TestDownGatewayResetsAndRefuses(t *testing.T) {
	w := start(t)
	open, err := net.Dial("tcp", w.node+":30021")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if got := asked(open, 5*time.Second); got != "answers" {
		t.Fatal(got)
	}
	heal := w.inject(t, Fault{Kind: Down, Node: "node-1"})
	if got := asked(open, 5*time.Second); got != "reset" {
		t.Errorf("the connection from before is %s", got)
	}
	for _, port := range []string{":30021", ":30080", ":30443"} {
		if got := reached(t, w.node+port, "refused"); got != "refused" {
			t.Errorf("%s is %s, want refused", port, got)
		}
	}
	heal()
	if got := reached(t, w.node+":30021", "answers"); got != "answers" {
		t.Errorf("healed it is %s", got)
	}
}

// TestDownGatewayAmongOthers: until a crashed pod is not ready, connections to
// any node still go to it in turn, unless only the node's own pods count.
func TestDownGatewayAmongOthers(t *testing.T) {
	w := start(t)
	with, without := w.moreNodes(t)
	heal := w.inject(t, Fault{Kind: Down, Node: "node-2"})
	for _, node := range []string{w.node, with, without} {
		got := map[string]int{}
		for range 4 {
			got[reached(t, node+":30021", "answers")]++
		}
		if got["answers"] != 2 || got["reset"] != 2 {
			t.Errorf("%s: %v, want half of them reset", node, got)
		}
	}
	w.apply(t, strings.Replace(service(t), "type: NodePort", "type: NodePort\n  externalTrafficPolicy: Local", 1))
	w.becomes(t, without+":30021", "dropped")
	w.becomes(t, with+":30021", "refused")
	w.becomes(t, w.node+":30021", "answers")
	w.apply(t, `{apiVersion: v1, kind: Pod, metadata: {name: gw-2, namespace: istio-system, labels: {app: gw}}, spec: {nodeName: node-2}, status: {conditions: [{type: Ready, status: "False"}]}}`)
	w.becomes(t, with+":30021", "dropped")
	heal()
	w.apply(t, `{apiVersion: v1, kind: Pod, metadata: {name: gw-2, namespace: istio-system, labels: {app: gw}}, spec: {nodeName: node-2}, status: {conditions: [{type: Ready, status: "True"}]}}`)
	w.becomes(t, with+":30021", "answers")
}

// service is the test cluster's Service.
func service(t *testing.T) string {
	t.Helper()
	for document := range strings.SplitSeq(cluster, "\n---\n") {
		if strings.Contains(document, "kind: Service") {
			return document
		}
	}
	t.Fatal("no Service")
	return ""
}

func TestWrongCertificate(t *testing.T) {
	w := start(t)
	w.apply(t, `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: any, namespace: istio-system}, spec: {selector: {app: gw}, servers: [{hosts: ['*'], port: {number: 443, protocol: HTTPS, name: any}, tls: {mode: SIMPLE, credentialName: cert}}]}}`)
	w.eventually(t, "404", 30443, "", "https://"+w.node+"/")
	wrong := pair(t, "app.a.test")
	presented := func(sni string) string {
		t.Helper()
		response, _, err := w.get(t, 30443, sni, "https://"+w.node+"/", "test")
		switch {
		case err != nil:
			t.Fatal(err)
		case bytes.Equal(response.TLS.PeerCertificates[0].Raw, wrong.Certificate[0]):
			return "wrong"
		}
		return "right"
	}
	for _, c := range []struct {
		kind          FaultKind
		with, without string
	}{
		{CertificateWithSNI, "wrong", "right"},
		{CertificateWithoutSNI, "right", "wrong"},
	} {
		heal := w.inject(t, Fault{Kind: c.kind, Certificate: wrong})
		if with, without := presented("app.a.test"), presented(""); with != c.with || without != c.without {
			t.Errorf("%d: %s with SNI, %s without; want %s and %s", c.kind, with, without, c.with, c.without)
		}
		response, _, err := w.get(t, 30443, "x.raw.test", "https://x.raw.test/", "test")
		if err != nil || !bytes.Equal(response.TLS.PeerCertificates[0].Raw, w.raw.Certificate[0]) {
			t.Errorf("%d: the application's own certificate is concerned: %v", c.kind, err)
		}
		heal()
		if with, without := presented("app.a.test"), presented(""); with != "right" || without != "right" {
			t.Errorf("%d healed: %s with SNI, %s without", c.kind, with, without)
		}
	}
}

func TestOneHostFails(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    FaultKind
		body    string
		backend bool
		log     string
	}{
		{"gateway", NoHealthyUpstream, "no healthy upstream", false, " 503 UH no_healthy_upstream "},
		{"backend", Backend503, "service unavailable\n", true, " 503 - via_upstream "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t)
			others := w.inject(t, Fault{Kind: c.kind, Host: "b.a.test"})
			defer others()
			w.eventually(t, "200", 30443, "app.a.test", "https://app.a.test/app")
			heal := w.inject(t, Fault{Kind: c.kind, Host: "*.a.test"})
			response, body, err := w.get(t, 30443, "app.a.test", "https://app.a.test/app", "nonce")
			if err != nil {
				t.Fatal(err)
			}
			backend := response.Header.Get("X-Envoy-Upstream-Service-Time") != ""
			if response.StatusCode != http.StatusServiceUnavailable || body != c.body || backend != c.backend || response.Header.Get("Server") != "istio-envoy" {
				t.Errorf("%d %q, backend %v, server %q", response.StatusCode, body, backend, response.Header.Get("Server"))
			}
			if line := waitForLine(t, w.mesh, `"nonce"`); !strings.Contains(line, c.log) {
				t.Errorf("log line %s lacks %s", line, c.log)
			}
			heal()
			w.eventually(t, "200", 30443, "app.a.test", "https://app.a.test/app")
		})
	}
}

func TestOneHostFailsWhoseTLSEndsInTheApplication(t *testing.T) {
	w := start(t)
	heal := w.inject(t, Fault{Kind: NoHealthyUpstream, Host: "x.raw.test"})
	if _, _, err := w.get(t, 30443, "x.raw.test", "https://x.raw.test/", "test"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want the connection reset", err)
	}
	heal()
	w.eventually(t, "200", 30443, "x.raw.test", "https://x.raw.test/")
}

func TestOneHostIsSlow(t *testing.T) {
	for _, c := range []struct{ host, sni, url string }{
		{"app.a.test", "app.a.test", "https://app.a.test/app"},
		{"x.raw.test", "x.raw.test", "https://x.raw.test/"},
	} {
		t.Run(c.host, func(t *testing.T) {
			w := start(t)
			heal := w.inject(t, Fault{Kind: Slow, Host: c.host, Delay: time.Hour})
			answered := make(chan error)
			go func() {
				_, _, err := w.get(t, 30443, c.sni, c.url, "slow")
				answered <- err
			}()
			w.eventually(t, "404", 30443, "b.a.test", "https://b.a.test/app") // Others go on.
			select {
			case err := <-answered:
				t.Fatalf("it was not slow: %v", err)
			default:
			}
			heal()
			if err := <-answered; err != nil {
				t.Errorf("healed while it waits: %v", err)
			}
			defer w.inject(t, Fault{Kind: Slow, Host: c.host, Delay: time.Millisecond})()
			w.eventually(t, "200", 30443, c.sni, c.url)
		})
	}
}

// TestCloseWithFaults: nothing hangs and, by TestMain, nothing is left running.
func TestCloseWithFaults(t *testing.T) {
	w := start(t)
	heal := w.inject(t, Fault{Kind: Slow, Host: "*.a.test", Delay: time.Hour})
	defer w.inject(t, Fault{Kind: Slow, Host: "x.raw.test", Delay: time.Hour})()
	var waiting sync.WaitGroup
	for _, c := range []struct{ sni, url string }{{"app.a.test", "https://app.a.test/app"}, {"x.raw.test", "https://x.raw.test/"}} {
		waiting.Go(func() {
			if response, _, err := w.get(t, 30443, c.sni, c.url, "slow"); err == nil {
				t.Errorf("%s answers %d", c.url, response.StatusCode)
			}
		})
	}
	open, err := net.Dial("tcp", w.node+":30021")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if got := asked(open, 5*time.Second); got != "answers" {
		t.Fatal(got)
	}
	w.inject(t, Fault{Kind: Filtered})
	if got := asked(open, 100*time.Millisecond); got != "silent" {
		t.Fatal(got)
	}
	w.mesh.Close()
	waiting.Wait()
	heal()
	w.inject(t, Fault{Kind: Down})()
	if got := reached(t, w.node+":30021", "refused"); got != "refused" {
		t.Errorf("after Close it is %s", got)
	}
}

// TestPortsThatCannotBeSwitched: whoever injects a fault or heals it hears of
// it, and may try again.
func TestPortsThatCannotBeSwitched(t *testing.T) {
	w := start(t)
	w.mesh.aligning.Lock()
	w.mesh.ports[netip.MustParseAddrPort(w.node+":30021")].Close()
	w.mesh.aligning.Unlock()
	if _, err := w.mesh.Inject(Fault{Kind: Filtered}); err == nil || !strings.Contains(err.Error(), w.node+":30021") {
		t.Errorf("a port that cannot drop anything: %v", err)
	}
	for _, port := range []string{":30021", ":30080", ":30443"} {
		if got := reached(t, w.node+port, "answers"); got == "dropped" || got == "refused" {
			t.Errorf("%s is %s after a fault that could not be had", port, got)
		}
	}
	w.inject(t, Fault{Kind: Filtered})()

	heal, err := w.mesh.Inject(Fault{Kind: Down})
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", w.node+":30021")
	if err != nil {
		t.Fatal(err)
	}
	if err := heal(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that another has: %v", err)
	}
	// Faults that are not about ports do not mind.
	w.inject(t, Fault{Kind: Slow, Host: "app.a.test"})()
	taken.Close()
	if err := heal(); err != nil {
		t.Errorf("healed again: %v", err)
	}
	if got := reached(t, w.node+":30021", "answers"); got != "answers" {
		t.Errorf("healed it is %s", got)
	}
}

// TestFaultsFromSeveralGoroutines ends as it began.
func TestFaultsFromSeveralGoroutines(t *testing.T) {
	w := start(t)
	ctx, stop := context.WithCancel(t.Context())
	var clients, faults sync.WaitGroup
	clients.Go(func() {
		for ctx.Err() == nil {
			_, _, _ = w.get(t, 30443, "app.a.test", "https://app.a.test/app", "test")
		}
	})
	certificate := pair(t, "app.a.test")
	for kind := Down; kind <= Backend503; kind++ {
		faults.Go(func() {
			for range 5 {
				heal := w.inject(t, Fault{Kind: kind, Host: "*", Certificate: certificate})
				heal()
			}
		})
	}
	faults.Wait()
	stop()
	clients.Wait()
	w.eventually(t, "200", 30443, "app.a.test", "https://app.a.test/app")
	if config := w.mesh.presented(&flow{endpoint: &endpoint{}}, &tls.Config{}); len(config.Certificates) > 0 {
		t.Error("a certificate was left")
	}
}
