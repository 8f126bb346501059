package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// crowd is other clients' load, that gateways count and log too.
type crowd struct {
	t     *testing.T
	group sync.WaitGroup
	sent  atomic.Int64
	lost  atomic.Int64
}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{t: t}
	t.Cleanup(c.group.Wait)
	return c
}

// client asks for a host at an address again and again, over a new connection
// each time or over one that it keeps.
func (c *crowd) client(ctx context.Context, host, address string, fresh bool, every time.Duration) {
	c.group.Go(func() {
		transport := &http.Transport{
			DisableKeepAlives: fresh, MaxIdleConnsPerHost: 1,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", address)
			},
		}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
		for sleep(ctx, every) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", nil)
			if err != nil {
				c.t.Error(err)
				return
			}
			response, err := client.Do(request)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				c.lost.Add(1)
				c.t.Logf("%s at %s: %v", host, address, err)
			default:
				c.sent.Add(1)
			}
		}
	})
}

// TestNothingIsProvenEarly: with load balancers that follow after ten seconds,
// flows pinned to where they began and other clients' requests on both sides,
// no frame of the console says that a host is on a side before its load
// balancer sends it there; by access logs, and by counters where there are none.
// It runs in a process of its own, as the console takes its settings from the
// environment.
func TestNothingIsProvenEarly(t *testing.T) {
	const alone = "CUTOVER_TEST_ALONE"
	if os.Getenv(alone) == "" {
		t.Parallel()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), alone+"=1")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Error(err)
		}
		return
	}
	s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	hosts := []string{argocd}
	for _, name := range []string{"keycloak", "nifi", "sso", "vault"} {
		hosts = append(hosts, name+".bigbang.example")
	}
	w := watchConsole(t, s, hosts)
	w.until("Hosts: 0 of 24 on new", "argocd", " live")

	ctx, stop := context.WithCancel(t.Context())
	crowd := newCrowd(t)
	t.Cleanup(stop)
	alb, nlb, node := w.truth.address["public-alb"], w.truth.address["passthrough-nlb"], nodeOf(t, s)
	for host, address := range map[string]string{argocd: alb, "vault.bigbang.example": nlb, "gitlab.bigbang.example": alb} {
		crowd.client(ctx, host, address, true, 40*time.Millisecond)
		crowd.client(ctx, host, address, false, 40*time.Millisecond) // On the NLB it stays where it began.
	}
	for _, port := range []string{"30443", "30444"} { // Straight to the gateways, past every load balancer.
		crowd.client(ctx, "registry.bigbang.example", net.JoinHostPort(node, port), true, 30*time.Millisecond)
	}
	// These raise what the wanted side counts for the very hosts that move.
	toward := map[string]func(ctx context.Context){}
	for side, ports := range map[string][2]string{"new": {"30444", "32444"}, "old": {"30443", "32443"}} {
		toward[side] = func(ctx context.Context) {
			crowd.client(ctx, argocd, net.JoinHostPort(node, ports[0]), true, 30*time.Millisecond)
			crowd.client(ctx, "vault.bigbang.example", net.JoinHostPort(node, ports[1]), true, 30*time.Millisecond)
		}
	}

	for _, by := range []string{"access log", "request counters"} {
		if err := s.SetAccessLog(by == "access log"); err != nil {
			t.Fatal(err)
		}
		w.thereAndBack(t, by, toward)
	}
	stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.early {
		t.Error(e)
	}
	t.Logf("%d frames, %v; others: %d requests, %d lost", w.frames, w.claims, crowd.sent.Load(), crowd.lost.Load())
	for _, h := range hosts {
		short, _, _ := strings.Cut(h, ".")
		for _, what := range []string{short + " → new", short + " → old", short + " new", "on new"} {
			if w.claims[what] == 0 {
				t.Errorf("no frame ever said %q", what)
			}
		}
	}
	if crowd.sent.Load() == 0 {
		t.Error("there were no other clients")
	}
}

// thereAndBack moves all the hosts to new and takes them back.
func (w *watched) thereAndBack(t *testing.T, by string, toward map[string]func(context.Context)) {
	t.Helper()
	for i, h := range w.hosts {
		short, _, _ := strings.Cut(h, ".")
		w.keys("/")
		w.typed(short)
		w.keys("enter")
		w.until("1 of 1")
		w.keys("space")
		w.until(fmt.Sprintf("%d marked", i+1))
		w.keys("esc")
		w.until("registry")
	}
	began := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	toward["new"](ctx)
	w.keys("t")
	w.until("Move 5 hosts to new", "type shift")
	w.typed("shift")
	w.keys("enter")
	w.until("switched, unproven")
	w.until("Hosts: 5 of 24 on new", "5 hosts → new proven by .*"+by)
	t.Logf("to new, proven by %s: %s", by, time.Since(began))
	stop()
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	toward["old"](ctx)
	began = time.Now()
	w.keys("z")
	w.until("Take the last run back")
	w.keys("y")
	w.until("Hosts: 0 of 24 on new", "5 hosts → old proven by .*"+by)
	t.Logf("back to old: %s", time.Since(began))
}

// nodeOf is the address of one of the sandbox's nodes.
func nodeOf(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	for _, n := range s.Kube.List(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, "") {
		addresses, _, _ := unstructured.NestedSlice(n.Object, "status", "addresses")
		for _, a := range addresses {
			if a := a.(map[string]any); a["type"] == "InternalIP" {
				return a["address"].(string)
			}
		}
	}
	t.Fatal("the sandbox has no node")
	return ""
}
