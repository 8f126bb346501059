package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
	"github.com/istio-cutover/cutover/model"
)

// unlogged starts a sandbox whose gateways write no access logs.
func unlogged(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	s := start(t)
	if _, err := s.Fault(t.Context(), "no-access-log", ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// uncounted takes the permission to read the gateways' counters away.
func uncounted(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	if _, err := s.Fault(t.Context(), "kube-forbidden", "pods/proxy"); err != nil {
		t.Fatal(err)
	}
}

// proofs are the last words on each host in a run's events.
func proofs(t *testing.T, o outcome) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(o.stdout) {
		var e struct{ Event, Host, Detail string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if e.Event == "proven" || e.Event == "waiting" {
			out[e.Host] = e.Detail
		}
	}
	return out
}

// TestProofWithoutAccessLogs: what the gateways count proves it, requests or,
// where TLS is passed through, connections; so it does on the way back.
func TestProofWithoutAccessLogs(t *testing.T) {
	t.Parallel()
	s := unlogged(t)
	o := ended(t, sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "-o", "json"))
	if got := proofs(t, o)[argocd]; o.exit != 0 || got != "proven on new by request counters, 3 of 3" {
		t.Errorf("exit %d, %q\n%s", o.exit, got, o.stderr)
	}
	o = ended(t, sandboxed(t, s, "", "shift", "--lane", "passthrough", "--to", "new", "--yes", "-o", "json"))
	said := proofs(t, o)
	if o.exit != 0 || len(said) != 4 {
		t.Errorf("exit %d, %v\n%s", o.exit, said, o.stderr)
	}
	for host, got := range said {
		if got != "proven on new by request counters and connection counters, 3 of 3" {
			t.Errorf("%s: %q", host, got)
		}
	}
	o = ended(t, sandboxed(t, s, "", "shift", "--lane", "passthrough", "--to", "old", "--yes", "-o", "json"))
	if o.exit != 0 {
		t.Errorf("the way back: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
}

// TestOthersOnOldAreNoProof: while old counts requests for the host's service,
// whoever sends them, counters prove nothing; an access log does.
func TestOthersOnOldAreNoProof(t *testing.T) {
	t.Parallel()
	s := unlogged(t)
	ctx, stop := context.WithCancel(t.Context())
	crowd := newCrowd(t)
	t.Cleanup(stop)
	crowd.client(ctx, argocd, net.JoinHostPort(nodeOf(t, s), "30443"), true, 20*time.Millisecond)
	o := ended(t, sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--proof", "20s", "-o", "json"))
	got := proofs(t, o)[argocd]
	if o.exit != 10 || !strings.Contains(got, "switched, unproven: old counts requests too, these or others' (0 of 3 by request counters)") {
		t.Errorf("exit %d, %q\n%s", o.exit, got, o.stderr)
	}
	if strings.Contains(o.stdout, `"event":"proven"`) {
		t.Errorf("it was said to be proven:\n%s", o.stdout)
	}
	if _, err := s.FaultOff(t.Context(), "no-access-log"); err != nil {
		t.Fatal(err)
	}
	// What was not proven then can be proven later.
	o = ended(t, sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "-o", "json"))
	if got := proofs(t, o)[argocd]; o.exit != 0 || got != "proven on new by access log, 3 of 3" {
		t.Errorf("exit %d, %q\n%s", o.exit, got, o.stderr)
	}
}

// TestGatewayThatAnswersItselfIsNoProof: the traffic is there, but it is not
// served, whichever way that is seen.
func TestGatewayThatAnswersItselfIsNoProof(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, logged := range []bool{true, false} {
		if err := s.SetAccessLog(logged); err != nil {
			t.Fatal(err)
		}
		for host, says := range map[string]string{
			"sonarqube.bigbang.example": "the gateway itself answers 503", // No endpoint.
			"jira.bigbang.example":      "the gateway itself answers 404", // No route.
		} {
			args := []string{"shift", "--host", host, "--to", "new", "--yes", "--proof", "8s", "-o", "json", "--reason", "a test"}
			for _, gate := range []string{"binding", "probe-new"} {
				args = append(args, "--override", gate+"="+host)
			}
			o := ended(t, sandboxed(t, s, "", args...))
			if got := proofs(t, o)[host]; o.exit != 10 || !strings.Contains(got, says) {
				t.Errorf("%s, logged %v: exit %d, %q\n%s", host, logged, o.exit, got, o.stderr)
			}
			if o := ended(t, sandboxed(t, s, "", "rollback", "--host", host, "--yes")); o.exit != 0 {
				t.Fatal(o.stdout, o.stderr)
			}
		}
	}
}

// TestNoLogsAndNoCounters: what nobody shows is unconfirmed, with every reason.
func TestNoLogsAndNoCounters(t *testing.T) {
	t.Parallel()
	s := unlogged(t)
	uncounted(t, s)
	o := ended(t, sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "-o", "json"))
	got := proofs(t, o)[argocd]
	for _, want := range []string{"switched, side unconfirmed: ", "write no access log", "; the counters cannot be read: get pods/proxy: istio-"} {
		if o.exit != 10 || !strings.Contains(got, want) {
			t.Errorf("exit %d, want %q in %q\n%s", o.exit, want, got, o.stderr)
		}
	}
	o = ended(t, sandboxed(t, s, "", "shift", "--lane", "passthrough", "--to", "new", "--yes", "-o", "json"))
	for host, got := range proofs(t, o) {
		if o.exit != 10 || !strings.Contains(got, "side unconfirmed") {
			t.Errorf("%s: exit %d, %q", host, o.exit, got)
		}
	}

	// Traffic is nobody's gate: the report is whole without it, and says so.
	o = ended(t, sandboxed(t, s, "", "status", "-o", "json"))
	var report struct {
		Problems []model.Problem
		Lanes    []struct {
			Old, New struct{ Traffic *model.ReportTraffic }
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if o.exit != 0 || len(report.Problems) != 1 || report.Problems[0].Operation != "get pods/proxy" || report.Problems[0].Kind != model.KindAccess {
		t.Errorf("exit %d, problems %+v", o.exit, report.Problems)
	}
	for _, l := range report.Lanes {
		if l.Old.Traffic != nil || l.New.Traffic != nil {
			t.Errorf("traffic that nobody could read: %+v", l)
		}
	}
	if o = ended(t, sandboxed(t, s, "", "status")); o.exit != 0 || !strings.Contains(o.stdout, "problem  kubernetes: get pods/proxy: ") {
		t.Errorf("exit %d\n%s", o.exit, o.stdout)
	}
}

// TestCountersAwayForAWhile: pods that do not answer are waited for.
func TestCountersAwayForAWhile(t *testing.T) {
	t.Parallel()
	s := unlogged(t)
	began := time.Now()
	api := kubeErrors(t, s, func(r *http.Request) int {
		if strings.Contains(r.URL.Path, "/proxy/") && time.Since(began) < 20*time.Second {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	o := ended(t, with(sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "-o", "json"), "KUBECONFIG="+api.kubeconfig))
	if got := proofs(t, o)[argocd]; o.exit != 0 || got != "proven on new by request counters, 3 of 3" {
		t.Errorf("exit %d, %q\n%s", o.exit, got, o.stderr)
	}
	if !strings.Contains(o.stdout, "the pod does not answer") {
		t.Errorf("it does not say what it waits for:\n%s", o.stdout)
	}
}

// TestCountersAwayForGood: what stays unreadable ends as unconfirmed while there
// is time left, for all hosts together.
func TestCountersAwayForGood(t *testing.T) {
	t.Parallel()
	s := unlogged(t)
	api := kubeErrors(t, s, func(r *http.Request) int {
		if strings.Contains(r.URL.Path, "/proxy/") {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	o := ended(t, with(sandboxed(t, s, "", "shift", "--lane", "passthrough", "--to", "new", "--yes", "--proof", "5m", "-o", "json"), "KUBECONFIG="+api.kubeconfig))
	said := proofs(t, o)
	if o.exit != 10 || len(said) != 4 {
		t.Errorf("exit %d, %v\n%s", o.exit, said, o.stderr)
	}
	for host, got := range said {
		if !strings.HasPrefix(got, "switched, side unconfirmed: ") || !strings.Contains(got, "the counters cannot be read: ") {
			t.Errorf("%s: %q", host, got)
		}
	}
}

// TestTrafficInStatus: the side that serves is seen to, and no probe of ours is
// taken for a client's request.
func TestTrafficInStatus(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx, stop := context.WithCancel(t.Context())
	crowd := newCrowd(t)
	t.Cleanup(stop)
	truth := newTruth(t, s)
	crowd.client(ctx, argocd, truth.address["public-alb"], false, 20*time.Millisecond)
	crowd.client(ctx, "vault.bigbang.example", truth.address["passthrough-nlb"], true, 20*time.Millisecond)
	type side struct{ Traffic *model.ReportTraffic }
	deadline := time.Now().Add(30 * time.Second)
	for {
		o := ended(t, sandboxed(t, s, "", "status", "-o", "json"))
		var report struct {
			Lanes []struct {
				Name     string
				Old, New side
			}
		}
		if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
			t.Fatalf("%v\n%s", err, o.stdout)
		}
		good := len(report.Lanes) == 2
		for _, l := range report.Lanes {
			if l.Old.Traffic == nil || l.New.Traffic == nil {
				t.Fatalf("%s: traffic is not known: %s", l.Name, o.stdout)
			}
			rate := l.Old.Traffic.RequestsPerSecond
			if l.Name == "passthrough" {
				rate = l.Old.Traffic.ConnectionsPerSecond
			}
			good = good && rate > 1 && l.New.Traffic.RequestsPerSecond == 0 && l.New.Traffic.ConnectionsPerSecond == 0 && l.Old.Traffic.WindowSeconds >= 0.9
		}
		if good {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the traffic of old is not seen: %+v", report.Lanes)
		}
	}
	if o := ended(t, sandboxed(t, s, "", "status")); !strings.Contains(o.stdout, "TRAFFIC") || !strings.Contains(o.stdout, " conn/s") {
		t.Errorf("the table lacks it:\n%s", o.stdout)
	}
}

// TestProofByCertificate: where neither logs nor counters can be read, clients
// of a network load balancer see the side by its certificate.
func TestProofByCertificate(t *testing.T) {
	t.Parallel()
	s := unlogged(t)
	truth := newTruth(t, s)
	for _, listener := range truth.listeners["passthrough-nlb"] {
		if listener != truth.https["passthrough-nlb"] { // What has no TLS shows no certificate.
			if _, err := s.AWS.Call(t.Context(), &elb.DeleteListenerInput{ListenerArn: &listener}); err != nil {
				t.Fatal(err)
			}
		}
	}
	resource := func(group, version, name string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: group, Version: version, Resource: name}
	}
	update := func(gvr schema.GroupVersionResource, namespace, name string, change func(spec map[string]any)) {
		t.Helper()
		object, err := s.Kube.Get(gvr, namespace, name)
		if err != nil {
			t.Fatal(err)
		}
		change(object.Object["spec"].(map[string]any))
		if _, err := s.Kube.Update(object); err != nil {
			t.Fatal(err)
		}
	}
	for namespace, gateway := range map[string]string{"istio-system": "passthrough", "istio-gateway": "passthrough-ingressgateway"} {
		cert, key := selfSigned(t, "*.bigbang.example")
		if _, err := s.Kube.Create(&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
			"metadata": map[string]any{"name": "sso-cert", "namespace": namespace},
			"data":     map[string]any{"tls.crt": base64.StdEncoding.EncodeToString(cert), "tls.key": base64.StdEncoding.EncodeToString(key)},
		}}); err != nil {
			t.Fatal(err)
		}
		update(resource("networking.istio.io", "v1", "gateways"), namespace, gateway, func(spec map[string]any) {
			for _, server := range spec["servers"].([]any) {
				if server := server.(map[string]any); server["port"].(map[string]any)["protocol"] == "HTTPS" {
					server["tls"] = map[string]any{"mode": "SIMPLE", "credentialName": "sso-cert"}
				}
			}
		})
	}
	args := []string{"shift", "--lane", "passthrough", "--to", "new", "--yes", "-o", "json", "--reason", "a test"}
	for host, namespace := range map[string]string{"keycloak": "keycloak", "sso": "keycloak", "vault": "vault", "nifi": "nifi"} {
		update(resource("networking.istio.io", "v1", "virtualservices"), namespace, host, func(spec map[string]any) {
			delete(spec, "tls")
			// The answer does not matter: these applications want TLS.
			spec["http"] = []any{map[string]any{"route": []any{map[string]any{"destination": map[string]any{
				"host": host + "." + namespace + ".svc.cluster.local", "port": map[string]any{"number": int64(8443)},
			}}}}}
		})
		args = append(args, "--override", "secret="+host+".bigbang.example", "--override", "probe-new="+host+".bigbang.example")
	}
	uncounted(t, s)
	o := ended(t, sandboxed(t, s, "", args...))
	said := proofs(t, o)
	if o.exit != 0 || len(said) != 4 {
		t.Errorf("exit %d, %v\n%s", o.exit, said, o.stderr)
	}
	for host, got := range said {
		if got != "proven on new by certificate, 3 of 3" {
			t.Errorf("%s: %q", host, got)
		}
	}
}
