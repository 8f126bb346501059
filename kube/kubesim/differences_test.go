package kubesim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// The tests of this file are of what the package's comment says is otherwise than in a cluster.

func TestNamespaceIsEmptied(t *testing.T) {
	s, cfg := start(t, Config{})
	core := must(kubernetes.NewForConfig(cfg)).CoreV1()
	mustCreate(t, s, object("v1", "Namespace", "", "old", nil))
	held := object("v1", "Namespace", "", "held", nil)
	held.SetFinalizers([]string{"example.com/hold"})
	mustCreate(t, s, held)
	for _, ns := range []string{"old", "held"} {
		mustCreate(t, s, object("v1", "ConfigMap", ns, "inside", nil))
		if err := core.Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if left := s.List(gvr("configmaps"), ""); len(left) != 1 || left[0].GetNamespace() != "held" {
		t.Errorf("after the deletions there are %v", left)
	}
	ns, err := core.Namespaces().Get(t.Context(), "held", metav1.GetOptions{})
	if err != nil || ns.Status.Phase != "Terminating" {
		t.Fatalf("a namespace with a finalizer: %v, %v", ns, err)
	}
	ns.Finalizers = nil
	if _, err := core.Namespaces().Update(t.Context(), ns, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if left := s.List(gvr("configmaps"), ""); len(left) != 0 {
		t.Errorf("a namespace that is gone leaves %v", left)
	}
}

func TestPropagation(t *testing.T) {
	s, cfg := start(t, Config{})
	core := must(kubernetes.NewForConfig(cfg)).CoreV1()
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan, metav1.DeletePropagationBackground} {
		mustCreate(t, s, object("v1", "ConfigMap", "default", "owner", nil))
		if err := core.ConfigMaps("default").Delete(t.Context(), "owner", metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
			t.Errorf("%s: %v", policy, err)
		}
		if left := s.List(gvr("configmaps"), "default"); len(left) != 0 {
			t.Errorf("%s leaves %v", policy, left)
		}
	}
}

func TestMadeInProcess(t *testing.T) {
	s, cfg := start(t, Config{})
	made := mustCreate(t, s, object("networking.istio.io/v1", "VirtualService", "default", "a", map[string]any{"spec": map[string]any{"hosts": []string{"a.example"}}}))
	if made.GetManagedFields() != nil {
		t.Errorf("made in process, it is owned by %v", made.GetManagedFields())
	}
	e := &env{cfg: cfg, ctx: t.Context()}
	path := "/apis/networking.istio.io/v1/namespaces/default/virtualservices/a?fieldManager=me"
	code, _, body := e.call(t, http.MethodPatch, path, "", "application/apply-patch+yaml", `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec: {hosts: [b.example]}}`)
	if code != http.StatusConflict || !strings.Contains(body, `conflict with \"before-first-apply\"`) {
		t.Errorf("what is older than server-side apply is overwritten: %d %s", code, body)
	}
}

func TestProtobufIsNotAnswered(t *testing.T) {
	_, cfg := start(t, Config{})
	e := &env{cfg: cfg, ctx: t.Context()}
	if code, _, body := e.call(t, http.MethodGet, "/api/v1/namespaces", mediaProtobuf, "", ""); code != http.StatusNotAcceptable {
		t.Errorf("%d %s", code, body)
	}
	if code, header, _ := e.call(t, http.MethodGet, "/api/v1/namespaces", mediaProtobuf+","+mediaJSON, "", ""); code != http.StatusOK || header.Get("Content-Type") != mediaJSON {
		t.Errorf("%d %s", code, header)
	}
}

func TestRulesAreNotEvaluated(t *testing.T) {
	s := New(Config{})
	// A real API server wants a timeout to be no less than a millisecond.
	mustCreate(t, s, object("networking.istio.io/v1", "VirtualService", "default", "a", map[string]any{"spec": map[string]any{
		"hosts": []string{"a.example"}, "http": []any{map[string]any{"timeout": "0.1ms"}},
	}}))
	if _, err := s.Create(object("networking.istio.io/v1", "VirtualService", "default", "b", map[string]any{"spec": map[string]any{"hosts": "a.example"}})); err == nil {
		t.Error("made in process, an object need not fit its schema")
	}
}

func TestLooseKinds(t *testing.T) {
	s := New(Config{})
	for _, obj := range []*unstructured.Unstructured{
		object("kyverno.io/v1", "ClusterPolicy", "", "add-gateway", map[string]any{"spec": map[string]any{"rules": []any{}}}),
		object("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport", "", "a", map[string]any{"results": []any{}}),
		object("wgpolicyk8s.io/v1alpha2", "PolicyReport", "default", "a", map[string]any{"summary": map[string]any{"skip": 1}}),
		object("openreports.io/v1alpha1", "Report", "default", "a", map[string]any{"summary": map[string]any{"skip": 1}}),
		object("openreports.io/v1alpha1", "ClusterReport", "", "a", nil),
		object("helm.toolkit.fluxcd.io/v2", "HelmRelease", "default", "a", map[string]any{"spec": map[string]any{"values": map[string]any{"a": 1}}}),
	} {
		made := mustCreate(t, s, obj)
		for name := range obj.Object {
			if made.Object[name] == nil {
				t.Errorf("%s loses its %s", obj.GetKind(), name)
			}
		}
	}
}

func TestCompression(t *testing.T) {
	s, cfg := start(t, Config{})
	for i := range 200 {
		mustCreate(t, s, object("v1", "ConfigMap", "default", fmt.Sprintf("cm-%d", i), map[string]any{"data": map[string]any{"a": strings.Repeat("x", 1000)}}))
	}
	transport := must(rest.TransportFor(cfg))
	for path, want := range map[string]string{"/api/v1/configmaps": "gzip", "/api/v1/configmaps?limit=1": ""} {
		req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, cfg.Host+path, http.NoBody))
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%s is encoded %q, want %q", path, got, want)
		}
	}
	list, err := must(kubernetes.NewForConfig(cfg)).CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 200 {
		t.Errorf("%d items, %v", len(list.Items), err)
	}
}
