package gateway

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// The ports of a pod at which metrics are served: Envoy's own, and the one at
	// which pilot-agent adds its own to them.
	envoyStatsPort = 15090
	agentPort      = 15020
	statsPath      = "/stats/prometheus"

	// reportEvery is how long a TCP connection that goes on is not counted as
	// opened: Istio's default for tcp_reporting_duration. One that ends before is
	// counted when it ends (istio/proxy, istio_stats.cc).
	reportEvery = 5 * time.Second
)

// life is one run of a gateway pod's proxy: with the next, counters begin anew.
type life struct {
	uid      string
	restarts int32
}

// podStats are what one pod's Envoy has counted since it started, as Istio's
// stats filter counts on a gateway. Counting takes no lock.
type podStats struct {
	life
	workload, namespace string
	started             time.Time
	counters            sync.Map // of *atomic.Uint64 by series
}

func newPodStats(pod *corev1.Pod) *podStats {
	p := &podStats{life: life{uid: string(pod.UID)}, workload: cmp.Or(pod.Labels["app"], pod.Name), namespace: pod.Namespace}
	for _, container := range pod.Status.ContainerStatuses {
		p.restarts += container.RestartCount
	}
	return p
}

// series names one counter: what of Istio's labels differs within a pod.
type series struct {
	metric   string
	service  string // the destination's full name; empty where there was no route
	protocol string
	code     int // 0 for TCP
	flags    string
}

const (
	requestsTotal = "istio_requests_total"
	openedTotal   = "istio_tcp_connections_opened_total"
	closedTotal   = "istio_tcp_connections_closed_total"
)

func (p *podStats) add(s series) {
	counter, ok := p.counters.Load(s)
	if !ok {
		counter, _ = p.counters.LoadOrStore(s, new(atomic.Uint64))
	}
	counter.(*atomic.Uint64).Add(1) //nolint:forcetypeassert // Nothing else is stored.
}

// request counts a request that has ended.
func (p *podStats) request(e *exchange) {
	s := series{metric: requestsTotal, protocol: "http", code: e.status, flags: e.flags}
	if strings.HasPrefix(e.request.Header.Get("Content-Type"), "application/grpc") {
		s.protocol = "grpc"
	}
	if e.to != nil {
		s.service = e.to.host
	}
	p.add(s)
}

// connection counts a TCP connection to an upstream; ended says that it has
// ended, and with which flags.
func (p *podStats) connection(to *upstream) (ended func(flags string)) {
	var once sync.Once
	opened := func(flags string) {
		once.Do(func() { p.add(series{metric: openedTotal, service: to.host, protocol: "tcp", flags: flags}) })
	}
	report := time.AfterFunc(reportEvery, func() { opened("-") })
	return func(flags string) {
		report.Stop()
		flags = dash(flags)
		opened(flags)
		p.add(series{metric: closedTotal, service: to.host, protocol: "tcp", flags: flags})
	}
}

// flushEvery is how often Envoy flushes its statistics, which is when it sets the
// gauge of its uptime; counters are always those of the moment.
const flushEvery = 5 * time.Second

// write renders the counters in Prometheus' text format with Istio's labels.
func (p *podStats) write(w io.Writer, now time.Time) error {
	values := map[series]uint64{}
	p.counters.Range(func(key, counter any) bool {
		//nolint:forcetypeassert // Nothing else is stored.
		values[key.(series)] = counter.(*atomic.Uint64).Load()
		return true
	})
	out := bufio.NewWriter(w)
	metric := ""
	for _, s := range slices.SortedFunc(maps.Keys(values), compareSeries) {
		if s.metric != metric {
			metric = s.metric
			fmt.Fprintf(out, "# TYPE %s counter\n", metric)
		}
		fmt.Fprintf(out, "%s{%s} %d\n", metric, p.labels(s), values[s])
	}
	fmt.Fprintf(out, "# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{} %d\n",
		int(now.Sub(p.started).Truncate(flushEvery).Seconds()))
	return out.Flush()
}

func compareSeries(a, b series) int {
	return cmp.Or(
		cmp.Compare(a.metric, b.metric), cmp.Compare(a.service, b.service), cmp.Compare(a.code, b.code),
		cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.flags, b.flags),
	)
}

// labels are Istio's standard labels as a gateway fills them in that speaks to
// applications without sidecars.
func (p *podStats) labels(s series) string {
	name, namespace, _ := strings.Cut(s.service, ".")
	namespace, _, _ = strings.Cut(namespace, ".")
	cluster := "Kubernetes"
	if s.service == "" {
		cluster = ""
	}
	list := []string{
		"reporter", "source",
		"source_workload", p.workload, "source_canonical_service", p.workload, "source_canonical_revision", "latest",
		"source_workload_namespace", p.namespace, "source_principal", "", "source_app", p.workload, "source_version", "",
		"source_cluster", "Kubernetes",
		"destination_workload", name, "destination_workload_namespace", namespace, "destination_principal", "",
		"destination_app", name, "destination_version", "", "destination_service", s.service,
		"destination_canonical_service", name, "destination_canonical_revision", "latest",
		"destination_service_name", name, "destination_service_namespace", namespace, "destination_cluster", cluster,
		"request_protocol", s.protocol,
	}
	if s.code > 0 || s.metric == requestsTotal {
		list = append(list, "response_code", strconv.Itoa(s.code), "grpc_response_status", "-")
	}
	list = append(list, "response_flags", s.flags, "connection_security_policy", "unknown")
	var out strings.Builder
	for i := 0; i < len(list); i += 2 {
		if i > 0 {
			out.WriteByte(',')
		}
		value := cmp.Or(list[i+1], "unknown")
		if list[i] == "grpc_response_status" {
			value = "" // Empty, not unknown.
		}
		out.WriteString(list[i] + `="` + value + `"`)
	}
	return out.String()
}

// count gives the pods of a new table their counters: a pod goes on with those
// that it had in the same life.
func (t *table) count(before *table, now time.Time) {
	for key, pod := range t.gateways {
		if before != nil && before.gateways[key] != nil && before.gateways[key].life == pod.life {
			t.gateways[key] = before.gateways[key]
			continue
		}
		pod.started = now
	}
	for _, port := range t.ports {
		for _, e := range port.endpoints {
			e.stats = t.gateways[e.key()]
		}
	}
}

// Stats serves what a gateway pod serves at one of its ports for Prometheus;
// nil where nothing listens.
func (m *Mesh) Stats(namespace, pod string, port int) http.Handler {
	stats := m.table.Load().gateways[namespace+"/"+pod]
	if stats == nil || port != envoyStatsPort && port != agentPort {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != statsPath {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		// A client that has gone away needs no answer.
		_ = stats.write(w, m.config.Now())
	})
}
