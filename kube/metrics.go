package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prometheus "github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"github.com/istio-cutover/cutover/model"
)

const (
	// statsPort is where Envoy itself serves its counters in every Istio proxy;
	// 15020, at which pilot-agent adds those of others, takes longer.
	statsPort = "15090"
	statsPath = "stats/prometheus"
	// statsLimit bounds what is read of one pod's metrics, in bytes: histograms
	// of a gateway with thousands of services come to some ten million.
	statsLimit = 64 << 20
	// statsLine is the longest line of metrics that is read, in bytes.
	statsLine = 1 << 20

	requestsTotal    = "istio_requests_total"
	connectionsTotal = "istio_tcp_connections_opened_total"
	uptimeSeconds    = "envoy_server_uptime"

	readCounters = "get pods/proxy"
	remedyPort   = "let the API server reach port " + statsPort + " of the gateway pods"
)

// Counters reads what gateway pods have counted, from Envoy's metrics through
// the API server's proxy of pods. A pod that does not answer is missing from
// the result, and the error says why, naming the first one. Errors by kind:
// access (pods/proxy is not granted), not-found (the pod is gone), unreachable
// (the pod or the API server), throttled, internal for a pod that answers without
// the metrics of a gateway.
func (c *Client) Counters(ctx context.Context, pods []model.ObjectName) (model.Counters, error) {
	var mu sync.Mutex
	read := model.Counters{}
	failures := map[model.ObjectName]error{}
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, pod := range pods {
		group.Go(func() error {
			counted, err := c.counters(ctx, pod)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures[pod] = err
			} else {
				read[pod] = counted
			}
			return nil // The other pods are read all the same.
		})
	}
	_ = group.Wait() // No reading returns an error.
	err := firstFailure(failures)
	if err == nil {
		return read, nil
	}
	failed := &model.Error{Kind: model.KindOf(err), Operation: readCounters, Message: message(err), Err: err}
	if failed.Kind == model.KindAccess {
		failed.Remedy = "ask for the permission to " + readCounters
	}
	return read, failed
}

// counters reads one pod.
func (c *Client) counters(ctx context.Context, pod model.ObjectName) (out model.PodCounters, err error) {
	err = c.call(ctx, readCounters, pod.String()+":"+statsPort, func(ctx context.Context) error {
		at := time.Now()
		stream, err := c.core.RESTClient().Get().Namespace(pod.Namespace).Resource("pods").Name(pod.Name + ":" + statsPort).
			SubResource("proxy").Suffix(statsPath).MaxRetries(0).Stream(ctx)
		if err != nil {
			return podTrouble(err)
		}
		defer stream.Close()
		out, err = parseCounters(stream)
		out.At = at
		return err
	})
	return out, err
}

// podTrouble tells what the pod itself answered, or that it did not, from what
// the API server says of itself.
func podTrouble(err error) error {
	switch code := statusCode(err); {
	case errors.Is(err, context.DeadlineExceeded):
		return &model.Error{
			Kind: model.KindUnreachable, Operation: readCounters, Message: "no answer in time", Err: err,
			Remedy: remedyPort + ", which a filter may drop",
		}
	case code == http.StatusServiceUnavailable || code == http.StatusBadGateway || code == http.StatusBadRequest:
		return &model.Error{
			Kind: model.KindUnreachable, Operation: readCounters, Message: "the pod does not answer: " + err.Error(), Err: err,
			Remedy: remedyPort,
		}
	case code == http.StatusNotFound && strings.Contains(err.Error(), "could not find the requested resource"):
		return &model.Error{
			Kind: model.KindInternal, Operation: readCounters, Message: "the pod serves no metrics at port " + statsPort, Err: err,
		}
	default:
		return err
	}
}

var errTooLong = fmt.Errorf("the metrics are longer than %d bytes", statsLimit)

// parseCounters reads what is wanted of Envoy's metrics, and no more than the limit.
func parseCounters(r io.Reader) (model.PodCounters, error) {
	out := model.PodCounters{Requests: map[string]float64{}, Connections: map[string]float64{}}
	wanted, err := wantedLines(&io.LimitedReader{R: r, N: statsLimit})
	if err != nil {
		return out, err
	}
	parser := expfmt.NewTextParser(prometheus.UTF8Validation)
	families, err := parser.TextToMetricFamilies(wanted)
	if err != nil {
		return out, fmt.Errorf("read metrics: %w", err)
	}
	for name, into := range map[string]map[string]float64{requestsTotal: out.Requests, connectionsTotal: out.Connections} {
		for _, m := range families[name].GetMetric() {
			labels, n := labelsOf(m), value(m)
			if !(n >= 0 && n < math.MaxInt64) { // Nor is a NaN a count.
				return out, fmt.Errorf("read metrics: %s is %g", name, n)
			}
			if labels["reporter"] == "source" { // A gateway is the client of what it routes to.
				into[model.ServiceKey(labels["destination_service"], labels["destination_service_namespace"])] += n
			}
		}
	}
	for _, m := range families[uptimeSeconds].GetMetric() {
		if n := value(m); n >= 0 && n < math.MaxInt32 {
			out.Uptime = time.Duration(n) * time.Second
		}
	}
	return out, nil
}

// wantedLines keeps the lines about the metrics that are wanted: all others,
// histograms mostly, are many times as long.
func wantedLines(r *io.LimitedReader) (io.Reader, error) {
	var out bytes.Buffer
	envoy := false
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), statsLine)
	for lines.Scan() {
		line := lines.Bytes()
		name := bytes.TrimPrefix(line, []byte("# TYPE "))
		envoy = envoy || bytes.HasPrefix(name, []byte("envoy_")) || bytes.HasPrefix(name, []byte("istio_"))
		for _, metric := range []string{requestsTotal, connectionsTotal, uptimeSeconds} {
			if rest, ok := bytes.CutPrefix(name, []byte(metric)); ok && (len(rest) == 0 || rest[0] == '{' || rest[0] == ' ') {
				out.Write(line)
				out.WriteByte('\n')
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("read metrics: %w", err)
	case err != nil: // The connection ended.
		return nil, &model.Error{Kind: model.KindUnreachable, Operation: readCounters, Message: "the metrics broke off: " + err.Error(), Err: err}
	case r.N <= 0:
		return nil, errTooLong
	case !envoy:
		return nil, errors.New("what the pod serves are no metrics of an Istio gateway")
	default:
		return &out, nil
	}
}

func labelsOf(m *dto.Metric) map[string]string {
	out := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		out[l.GetName()] = l.GetValue()
	}
	return out
}

// value is a metric's value, whatever type its text declares.
func value(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}
