package gateway

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prometheus "github.com/prometheus/common/model"
)

// counted reads a pod's counters as Prometheus does, by metric, service, code
// and flags.
func (w *world) counted(t *testing.T, port int) map[string]float64 {
	t.Helper()
	h := w.mesh.Stats("istio-system", "gw-1", port)
	if h == nil {
		t.Fatalf("nothing listens on %d", port)
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/stats/prometheus", nil))
	parser := expfmt.NewTextParser(prometheus.LegacyValidation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for name, family := range families {
		if family.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["reporter"] != "source" || labels["source_workload"] != "gw" || labels["source_workload_namespace"] != "istio-system" {
				t.Errorf("%s is reported by %v", name, labels)
			}
			short := strings.TrimSuffix(strings.TrimPrefix(name, "istio_"), "_total")
			out[strings.Join([]string{short, labels["destination_service"], labels["response_code"], labels["response_flags"]}, " ")] = m.GetCounter().GetValue()
		}
	}
	return out
}

// until waits until the counters are so, as a request is counted when it has ended.
func (w *world) until(t *testing.T, want map[string]float64) {
	t.Helper()
	var got map[string]float64
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = w.counted(t, envoyStatsPort); maps.Equal(got, want) {
			return
		}
	}
	t.Errorf("counted %v, want %v", got, want)
}

func TestCounters(t *testing.T) {
	w := start(t)
	w.until(t, map[string]float64{})
	for _, c := range []struct {
		path  string
		times int
	}{{"/app", 3}, {"/down", 1}, {"/refused", 1}, {"/nowhere", 2}} {
		for range c.times {
			w.ask(t, c.path)
		}
	}
	want := map[string]float64{
		"requests app.app.svc.cluster.local 200 -":      3,
		"requests down.app.svc.cluster.local 503 UH":    1,
		"requests refused.app.svc.cluster.local 503 UF": 1,
		"requests unknown 404 NR":                       2,
	}
	w.until(t, want)

	// A passed through connection is counted when it ends, or after a while.
	conn, err := tls.Dial("tcp", w.node+":30443", &tls.Config{ServerName: "x.raw.test", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	w.until(t, want)
	want["tcp_connections_opened raw.app.svc.cluster.local  -"] = 1
	w.until(t, want)
	conn.Close()
	want["tcp_connections_closed raw.app.svc.cluster.local  -"] = 1
	w.until(t, want)

	if got := w.counted(t, agentPort); !maps.Equal(got, want) {
		t.Errorf("pilot-agent says %v", got)
	}
	if w.mesh.Stats("istio-system", "gw-1", 15000) != nil || w.mesh.Stats("istio-system", "gw-2", envoyStatsPort) != nil {
		t.Error("something listens where nothing does")
	}
}

// TestCountersBelongToThePod: they outlive readiness and changes of
// configuration, not the pod and not its container.
func TestCountersBelongToThePod(t *testing.T) {
	w := start(t)
	pod := func(uid string, restarts int, ready string) {
		t.Helper()
		w.apply(t, fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: gw-1, namespace: istio-system, uid: %q, labels: {app: gw}}
spec: {nodeName: node-1}
status: {podIP: 10.0.0.1, conditions: [{type: Ready, status: %q}], containerStatuses: [{restartCount: %d}]}`, uid, ready, restarts))
		w.follows(t, func(now *table) bool {
			p := now.gateways["istio-system/gw-1"]
			return p != nil && p.life == life{uid, int32(restarts)} && (now.pods["istio-system/gw-1"] != nil) == (ready == "True")
		})
	}
	one := map[string]float64{"requests app.app.svc.cluster.local 200 -": 1}
	pod("a", 0, "True")
	w.ask(t, "/app")
	w.until(t, one)
	pod("a", 0, "False")
	w.until(t, one)
	pod("a", 0, "True")
	w.until(t, one)
	for i, again := range []func(){func() { pod("a", 1, "True") }, func() { pod("b", 1, "True") }} {
		again()
		if got := w.counted(t, envoyStatsPort); len(got) > 0 {
			t.Errorf("%d: a new life begins with %v", i, got)
		}
		w.ask(t, "/app")
		w.until(t, one)
	}
}

func TestAccessLogIsAsTheMeshWantsIt(t *testing.T) {
	w := start(t)
	lines := func() int {
		var out strings.Builder
		if err := w.mesh.Logs(t.Context(), "istio-system", "gw-1", LogOptions{TailLines: -1}, &out); err != nil {
			t.Fatal(err)
		}
		return strings.Count(out.String(), "\n")
	}
	mesh := func(config string) {
		t.Helper()
		w.apply(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: '"+config+"'}}")
		w.follows(t, func(now *table) bool { return now.accessLog == strings.Contains(config, "stdout") })
	}
	requests := 0
	get := func() {
		w.ask(t, "/app")
		requests++
		w.until(t, map[string]float64{"requests app.app.svc.cluster.local 200 -": float64(requests)})
	}
	for _, config := range []string{"accessLogFile: \"\"", "enableTracing: true", ""} {
		mesh(config)
		get()
		if n := lines(); n != 0 {
			t.Errorf("%q: %d lines", config, n)
		}
	}
	mesh("accessLogFile: /dev/stdout")
	get()
	for deadline := time.Now().Add(20 * time.Second); lines() != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d lines", lines())
		}
	}
}

// follows waits until the gateways do what was applied last.
func (w *world) follows(t *testing.T, so func(*table) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(w.mesh.table.Load()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the gateways do not follow")
		}
	}
}

// ask asks the application for a path.
func (w *world) ask(t *testing.T, path string) {
	t.Helper()
	if _, _, err := w.get(t, 30443, "app.a.test", "https://app.a.test"+path, ""); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkCount is what counting adds to a request.
func BenchmarkCount(b *testing.B) {
	p := &podStats{}
	e := &exchange{request: httptest.NewRequest(http.MethodGet, "/", nil), to: &upstream{host: "app.app.svc.cluster.local"}, status: 200, flags: "-"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.request(e)
		}
	})
}

func TestCountingIsExact(t *testing.T) {
	p := &podStats{}
	e := &exchange{request: httptest.NewRequest(http.MethodGet, "/", nil), status: 200, flags: "-"}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				p.request(e)
			}
		})
	}
	group.Wait()
	var out strings.Builder
	if err := p.write(&out, time.Now()); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(strings.Split(out.String(), "\n"), func(l string) bool { return strings.HasSuffix(l, "} 8000") }) {
		t.Errorf("requests were lost:\n%s", out.String())
	}
}
