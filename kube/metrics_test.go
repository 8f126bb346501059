package kube

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/kube/kubesim"
	"github.com/istio-cutover/cutover/model"
)

// gatewayMetrics is as a gateway of Istio 1.2x serves it at port 15090.
const gatewayMetrics = `# TYPE envoy_cluster_manager_cds_update_success counter
envoy_cluster_manager_cds_update_success{} 12
# TYPE istio_requests_total counter
istio_requests_total{reporter="source",source_workload="public",destination_service="argocd.argocd.svc.cluster.local",destination_service_name="argocd",destination_service_namespace="argocd",request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="unknown"} 41
istio_requests_total{reporter="source",source_workload="public",destination_service="argocd.argocd.svc.cluster.local",destination_service_name="argocd",destination_service_namespace="argocd",request_protocol="http",response_code="503",grpc_response_status="",response_flags="UF,URX",connection_security_policy="unknown"} 1
istio_requests_total{reporter="destination",destination_service="argocd.argocd.svc.cluster.local",destination_service_namespace="argocd",response_code="200"} 900
istio_requests_total{reporter="source",destination_service="unknown",destination_service_name="unknown",destination_service_namespace="unknown",response_code="404",response_flags="NR",path="a \"b\" \\ c"} 1.2e+06
# TYPE istio_requests_total_other counter
istio_requests_total_other{reporter="source",destination_service="argocd.argocd.svc.cluster.local"} 7
# TYPE istio_tcp_connections_opened_total counter
istio_tcp_connections_opened_total{reporter="source",destination_service="db.outside.example",destination_service_namespace="unknown",request_protocol="tcp",response_flags="-"} 3
# TYPE istio_request_duration_milliseconds histogram
istio_request_duration_milliseconds_bucket{reporter="source",le="0.5"} 0
istio_request_duration_milliseconds_bucket{reporter="source",le="+Inf"} 41
istio_request_duration_milliseconds_sum{reporter="source"} 99.5
istio_request_duration_milliseconds_count{reporter="source"} 41
# TYPE envoy_server_uptime gauge
envoy_server_uptime{} 3600
`

func counted() model.PodCounters {
	return model.PodCounters{
		Uptime:      time.Hour,
		Requests:    map[string]float64{"argocd.argocd": 42, model.Unrouted: 1.2e6},
		Connections: map[string]float64{"db.outside.example": 3},
	}
}

func TestParseCounters(t *testing.T) {
	got, err := parseCounters(strings.NewReader(gatewayMetrics))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(counted(), got); diff != "" {
		t.Error(diff)
	}
	// A gateway that has served nothing has no series.
	got, err = parseCounters(strings.NewReader("# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{} 5\n"))
	if err != nil || len(got.Requests) != 0 || got.Uptime != 5*time.Second {
		t.Errorf("%+v, %v", got, err)
	}
	for name, text := range map[string]io.Reader{
		"empty":         strings.NewReader(""),
		"a page":        strings.NewReader("<html>\n<h1>hello</h1>\n"),
		"no end":        io.MultiReader(strings.NewReader("envoy_server_uptime{} 5\n"), &endless{}),
		"a long line":   strings.NewReader("envoy_" + strings.Repeat("x", 2*statsLine)),
		"broken":        strings.NewReader("istio_requests_total{reporter=\"sou"),
		"not a number":  strings.NewReader("istio_requests_total{reporter=\"source\"} many\n"),
		"NaN":           strings.NewReader("istio_requests_total{reporter=\"source\"} NaN\n"),
		"below zero":    strings.NewReader("istio_requests_total{reporter=\"source\"} -1\n"),
		"a type twice":  strings.NewReader("# TYPE istio_requests_total counter\n# TYPE istio_requests_total gauge\nenvoy_x{} 1\n"),
		"control bytes": strings.NewReader("istio_requests_total{reporter=\"\x00\x1b[2J} 1\n"),
	} {
		if got, err := parseCounters(text); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// endless is metrics without end.
type endless struct{}

func (*endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "# x\n"[i%4]
	}
	return len(p) / 4 * 4, nil
}

func FuzzParseCounters(f *testing.F) {
	f.Add(gatewayMetrics)
	f.Add("istio_requests_total{reporter=\"source\"} NaN\nenvoy_server_uptime{} -Inf\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseCounters(strings.NewReader(text)) })
}

func TestCounters(t *testing.T) {
	var mu sync.Mutex
	answers := map[string]http.HandlerFunc{}
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/stats/prometheus" {
				status = http.StatusTeapot
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	sim, s := simulated(t, kubesim.Config{Proxy: func(_, pod string, port int) http.Handler {
		mu.Lock()
		defer mu.Unlock()
		if h := answers[pod]; h != nil && port == 15090 {
			return h
		}
		return nil
	}}, nil)
	create(t, s.core.CoreV1().Namespaces().Create, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "istio-gateway"}})
	add := func(name string, h http.HandlerFunc) model.ObjectName {
		pods := s.core.CoreV1().Pods("istio-gateway")
		p := create(t, pods.Create, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "istio-proxy", Image: "x"}}}})
		p.Status.PodIP = "10.0.0.9"
		if _, err := pods.UpdateStatus(t.Context(), p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		answers[name] = h
		return named("istio-gateway", name)
	}
	c := clientFor(t, s.admin, Options{})
	a, b := add("a", answer(200, gatewayMetrics)), add("b", answer(200, gatewayMetrics))
	before := time.Now()
	got, err := c.Counters(t.Context(), []model.ObjectName{a, b})
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	for pod, counters := range got {
		if counters.At.Before(before) || counters.At.After(time.Now()) {
			t.Errorf("%s was read at %s", pod, counters.At)
		}
		counters.At = time.Time{}
		if diff := cmp.Diff(counted(), counters); diff != "" {
			t.Error(diff)
		}
	}

	hung := clientFor(t, s.admin, Options{})
	hung.timeout = 100 * time.Millisecond
	for _, test := range []struct {
		name   string
		client *Client
		answer http.HandlerFunc
		kind   model.Kind
		says   string
	}{
		{"silent", c, nil, model.KindUnreachable, "istio-gateway/silent: the pod does not answer: error trying to reach service: dial tcp"},
		{"else", c, answer(404, "no"), model.KindInternal, "istio-gateway/else: the pod serves no metrics at port 15090"},
		{"page", c, answer(200, "<html>"), model.KindInternal, "no metrics of an Istio gateway"},
		{"ill", c, answer(500, "ill"), model.KindUnreachable, "istio-gateway/ill"},
		{"slow", hung, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, model.KindUnreachable, "no answer in time; let the API server reach port 15090"},
		{"cut", c, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "# TYPE envoy_x counter\n")
		}, model.KindUnreachable, "istio-gateway/cut: the metrics broke off"},
	} {
		pod := add(test.name, test.answer)
		got, err := test.client.Counters(t.Context(), []model.ObjectName{a, pod})
		if model.KindOf(err) != test.kind || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %s %v, want %s %s", test.name, model.KindOf(err), err, test.kind, test.says)
		}
		if _, ok := got[pod]; ok || len(got) != 1 {
			t.Errorf("%s: beside the error there is %v", test.name, got)
		}
	}
	if _, err := c.Counters(t.Context(), []model.ObjectName{named("istio-gateway", "gone"), named("istio-gateway", "gone-2")}); model.KindOf(err) != model.KindNotFound || !strings.Contains(err.Error(), "(and 1 more)") {
		t.Errorf("gone: %v", err)
	}

	sim.setDeny(func(_, _, resource, _, _ string) bool { return resource == "pods/proxy" })
	denied := clientFor(t, sim.kubeconfig("flexible-token"), Options{})
	got, err = denied.Counters(t.Context(), []model.ObjectName{a, b})
	if model.KindOf(err) != model.KindAccess || len(got) != 0 || !strings.Contains(fmt.Sprint(err), `cannot get resource "pods/proxy"`) {
		t.Errorf("denied: %v, %v", got, err)
	}
}
