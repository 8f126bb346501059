package kubesim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func gvr(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: resource}
}

func object(apiVersion, kind, namespace, name string, rest map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	for k, v := range rest {
		obj.Object[k] = v
	}
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

func mustCreate(t testing.TB, s *Server, obj *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	created, err := s.Create(obj)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func TestInProcess(t *testing.T) {
	s := New(Config{ClusterUID: "4d6f9a3e-0000-4000-8000-000000000001"})
	defer s.Close()
	system, err := s.Get(gvr("namespaces"), "", "kube-system")
	if err != nil || system.GetUID() != "4d6f9a3e-0000-4000-8000-000000000001" {
		t.Errorf("kube-system is %v, %v", system, err)
	}
	if other, _ := New(Config{}).Get(gvr("namespaces"), "", "kube-system"); other.GetUID() == "" || other.GetUID() == system.GetUID() {
		t.Errorf("a cluster without a given uid has %q", other.GetUID())
	}

	ready := object("v1", "Pod", "default", "gateway", map[string]any{
		"spec":   map[string]any{"containers": []any{map[string]any{"name": "istio-proxy", "image": "proxyv2"}}},
		"status": map[string]any{"phase": "Running", "conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
	})
	pod := mustCreate(t, s, ready)
	if phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase"); phase != "Running" {
		t.Errorf("the status of a pod made in process is lost: %v", pod.Object["status"])
	}
	pod.SetLabels(map[string]string{"changed": "by-the-caller"})
	again, err := s.Get(gvr("pods"), "default", "gateway")
	if err != nil || again.GetLabels() != nil {
		t.Errorf("what is returned is no copy: %v, %v", again, err)
	}
	again.Object["status"] = map[string]any{"phase": "Failed"}
	if again, err = s.Update(again); err != nil || again.GetGeneration() != 1 {
		t.Errorf("update: %v, %v", again, err)
	}
	_, err = s.Update(pod)
	wantStatus(t, err, 409, metav1.StatusReasonConflict, "the object has been modified")
	pod.SetResourceVersion("")
	if _, err = s.Update(pod); err != nil {
		t.Errorf("an update without a resource version: %v", err)
	}
	_, err = s.Create(ready)
	wantStatus(t, err, 409, metav1.StatusReasonAlreadyExists, `pods "gateway" already exists`)
	_, err = s.Create(object("v1", "Pod", "absent", "gateway", nil))
	if err == nil {
		t.Error("a namespace that does not exist takes objects")
	}
	_, err = s.Create(object("v1", "Unheard", "default", "a", nil))
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, `no kind "Unheard" is served`)

	// Go's own number types are taken as they come.
	mustCreate(t, s, object("networking.istio.io/v1beta1", "Gateway", "default", "public", map[string]any{"spec": map[string]any{"port": 8443, "weights": []string{"a"}}}))
	beta := schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1beta1", Resource: "gateways"}
	if list := s.List(beta, ""); len(list) != 1 || list[0].GetAPIVersion() != "networking.istio.io/v1beta1" {
		t.Errorf("gateways: %v", list)
	}
	if list := s.List(gvr("unheard"), ""); list != nil {
		t.Errorf("a resource that is not served: %v", list)
	}
	if err := s.Delete(gvr("namespaces"), "", "default"); err != nil {
		t.Fatal(err)
	}
	if pods := s.List(gvr("pods"), ""); len(pods) != 0 {
		t.Errorf("a deleted namespace leaves %v", pods)
	}
	wantStatus(t, s.Delete(gvr("namespaces"), "", "default"), 404, metav1.StatusReasonNotFound, `namespaces "default" not found`)
}

func TestOnChange(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	var mu sync.Mutex
	seen := map[string]int{}
	block := make(chan struct{})
	cancel := s.OnChange(func(gvr schema.GroupVersionResource) {
		mu.Lock()
		seen[gvr.Version+"/"+gvr.Resource]++
		mu.Unlock()
		<-block
	})
	for i := range 50 {
		mustCreate(t, s, object("v1", "ConfigMap", "default", fmt.Sprintf("cm-%d", i), nil))
	}
	mustCreate(t, s, object("networking.istio.io/v1beta1", "Gateway", "default", "public", nil))
	close(block)
	until(t, "both resources are told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen["v1/gateways"] == 1 && seen["v1/configmaps"] >= 1
	})
	mu.Lock()
	defer mu.Unlock()
	if seen["v1/configmaps"] > 2 {
		t.Errorf("50 writes while the callback is busy are told %d times", seen["v1/configmaps"])
	}
	cancel()
	cancel()
}

func TestWatchOverRun(t *testing.T) {
	s, cfg := start(t, Config{})
	s.ring = 8
	core := must(kubernetes.NewForConfig(cfg))
	client := core.CoreV1().ConfigMaps("default")
	for i := range 6 {
		mustCreate(t, s, object("v1", "ConfigMap", "default", fmt.Sprintf("cm-%d", i), nil))
	}
	first, err := client.List(t.Context(), metav1.ListOptions{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		mustCreate(t, s, object("v1", "ConfigMap", "default", fmt.Sprintf("late-%d", i), nil))
	}
	w, err := client.Watch(t.Context(), metav1.ListOptions{ResourceVersion: first.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	event := <-w.ResultChan()
	wantStatus(t, apierrors.FromObject(event.Object), 410, metav1.StatusReasonExpired, "too old resource version")

	_, err = client.List(t.Context(), metav1.ListOptions{Limit: 2, Continue: first.Continue})
	wantStatus(t, err, 410, metav1.StatusReasonExpired, "The provided continue parameter is too old")
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Continue == "" {
		t.Fatalf("%v offers no way to go on", err)
	}
	rest, err := client.List(t.Context(), metav1.ListOptions{Continue: status.Status().Continue})
	if err != nil || len(rest.Items) != 44 || rest.Items[0].Name != "cm-2" {
		t.Errorf("the rest: %d items, %v", len(rest.Items), err)
	}
	_, err = client.List(t.Context(), metav1.ListOptions{ResourceVersion: first.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	wantStatus(t, err, 410, metav1.StatusReasonExpired, "too old resource version")

	// What is still kept can be resumed over, to the last change.
	recent, err := client.Watch(t.Context(), metav1.ListOptions{ResourceVersion: fmt.Sprint(s.rev - 8)})
	if err != nil {
		t.Fatal(err)
	}
	defer recent.Stop()
	for i := 32; i < 40; i++ {
		event := <-recent.ResultChan()
		wantEvent(t, event, watch.Added, fmt.Sprintf("late-%d", i))
	}
}

func TestBookmarks(t *testing.T) {
	s := New(Config{Tokens: map[string]User{"admin-token": {Name: "admin"}}})
	s.bookmark = 10 * time.Millisecond
	defer s.Close()
	get, stop := serveRaw(t, s)
	defer stop()
	body := get("/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=" + fmt.Sprint(s.rev))
	mustCreate(t, s, object("v1", "ConfigMap", "default", "elsewhere", nil))
	for scanner := bufio.NewScanner(body); scanner.Scan(); {
		var event struct {
			Type   string
			Object corev1.Pod
		}
		if err := json.Unmarshal(scanner.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		if event.Type != "BOOKMARK" || event.Object.Kind != "Pod" {
			t.Fatalf("got %s", scanner.Text())
		}
		if event.Object.ResourceVersion == fmt.Sprint(s.rev) {
			return
		}
	}
	t.Error("no bookmark came up to the last write elsewhere")
}

// serveRaw reads streams line by line.
func serveRaw(t *testing.T, s *Server) (get func(path string) io.Reader, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	get = func(path string) io.Reader {
		r, w := io.Pipe()
		req := must(http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
		req.Header.Set("Authorization", "Bearer admin-token")
		wg.Go(func() {
			s.Handler().ServeHTTP(&pipeResponse{PipeWriter: w, header: http.Header{}}, req)
			w.Close()
		})
		context.AfterFunc(ctx, func() { r.Close() })
		return r
	}
	return get, func() { cancel(); wg.Wait() }
}

type pipeResponse struct {
	*io.PipeWriter
	header http.Header
}

func (p *pipeResponse) Header() http.Header { return p.header }
func (p *pipeResponse) WriteHeader(int)     {}
func (p *pipeResponse) Flush()              {}

// sayLogs writes what it was asked for, then follows.
func sayLogs(ctx context.Context, namespace, pod, container string, opts LogOptions, w io.Writer) error {
	if pod == "broken" {
		return errors.New("the disk with secret names is gone")
	}
	for i := range 3 {
		if _, err := fmt.Fprintf(w, "%s/%s/%s line %d tail %d\n", namespace, pod, container, i, opts.TailLines); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if opts.Follow {
		<-ctx.Done()
	}
	return ctx.Err()
}

func makePod(t *testing.T, s *Server, name string, containers ...string) {
	t.Helper()
	list := []any{}
	for _, c := range containers {
		list = append(list, map[string]any{"name": c, "image": "proxyv2"})
	}
	mustCreate(t, s, object("v1", "Pod", "default", name, map[string]any{"spec": map[string]any{"nodeName": "node-a", "containers": list}}))
}

func TestLogs(t *testing.T) {
	s, cfg := start(t, Config{Logs: sayLogs})
	makePod(t, s, "gateway", "istio-proxy")
	makePod(t, s, "broken", "istio-proxy")
	makePod(t, s, "several", "istio-proxy", "app")
	core := must(kubernetes.NewForConfig(cfg))
	read := func(pod string, opts corev1.PodLogOptions) (string, error) {
		stream, err := core.CoreV1().Pods("default").GetLogs(pod, &opts).Stream(t.Context())
		if err != nil {
			return "", err
		}
		defer stream.Close()
		return readAll(t, stream), nil
	}
	tail, limit := int64(5), int64(30)
	if got, err := read("gateway", corev1.PodLogOptions{TailLines: &tail}); err != nil || !strings.HasPrefix(got, "default/gateway/ line 0 tail 5\n") || strings.Count(got, "\n") != 3 {
		t.Errorf("log: %q, %v", got, err)
	}
	if got, err := read("gateway", corev1.PodLogOptions{LimitBytes: &limit}); err != nil || len(got) != 30 {
		t.Errorf("a limited log: %q, %v", got, err)
	}
	if got, err := read("several", corev1.PodLogOptions{Container: "app"}); err != nil || !strings.Contains(got, "several/app line 2 tail -1") {
		t.Errorf("a container's log: %q, %v", got, err)
	}
	if got, err := read("broken", corev1.PodLogOptions{}); err != nil || strings.Contains(got, "secret") {
		t.Errorf("a broken log: %q, %v", got, err)
	}
	_, err := read("several", corev1.PodLogOptions{})
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, "a container name must be specified for pod several, choose one of: [istio-proxy app]")
	_, err = read("gateway", corev1.PodLogOptions{Container: "app"})
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, "container app is not valid for pod gateway")
	_, err = read("absent", corev1.PodLogOptions{})
	wantStatus(t, err, 404, metav1.StatusReasonNotFound, `pods "absent" not found`)

	stream, err := core.CoreV1().Pods("default").GetLogs("gateway", &corev1.PodLogOptions{Follow: true}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	for i := range 3 {
		if !lines.Scan() || !strings.Contains(lines.Text(), fmt.Sprintf("line %d", i)) {
			t.Fatalf("followed line %d reads %q", i, lines.Text())
		}
	}
	s.Close()
	if lines.Scan() {
		t.Errorf("a followed log goes on after Close with %q", lines.Text())
	}
}

func TestLogOptions(t *testing.T) {
	s := New(Config{})
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	for query, want := range map[string]LogOptions{
		"":                               {TailLines: -1},
		"follow=true&timestamps=1":       {TailLines: -1, Follow: true, Timestamps: true},
		"sinceSeconds=60&tailLines=0":    {SinceTime: now.Add(-time.Minute)},
		"sinceTime=2026-11-22T11:00:00Z": {TailLines: -1, SinceTime: now.Add(-time.Hour)},
		"limitBytes=10&follow=false":     {TailLines: -1, LimitBytes: 10},
	} {
		req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+query, http.NoBody))
		if got, _, err := s.logOptions(&request{Request: req, query: req.URL.Query()}); err != nil || got != want {
			t.Errorf("%q reads %+v, %v", query, got, err)
		}
	}
	for _, query := range []string{"tailLines=-1", "limitBytes=x", "sinceTime=yesterday"} {
		req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+query, http.NoBody))
		if _, _, err := s.logOptions(&request{Request: req, query: req.URL.Query()}); !apierrors.IsBadRequest(err) && !apierrors.IsInvalid(err) {
			t.Errorf("%q is taken: %v", query, err)
		}
	}
}

func TestCloseEndsWatches(t *testing.T) {
	s, cfg := start(t, Config{})
	w, err := must(kubernetes.NewForConfig(cfg)).CoreV1().Pods("").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	select {
	case _, ok := <-w.ResultChan():
		if ok {
			t.Error("an event came")
		}
	case <-time.After(10 * time.Second):
		t.Error("the watch goes on after Close")
	}
}

func TestImpersonation(t *testing.T) {
	_, cfg := start(t, Config{})
	for who, want := range map[string]int32{"admin": 0, "viewer": 403, "nobody": 403} {
		acting := rest.CopyConfig(cfg)
		acting.Impersonate.UserName = who
		_, err := must(kubernetes.NewForConfig(acting)).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
		if want == 0 {
			if err != nil {
				t.Errorf("as %s: %v", who, err)
			}
			continue
		}
		wantStatus(t, err, want, metav1.StatusReasonForbidden, `User "`+who+`" cannot list resource "secrets"`)
	}
	viewer := as(cfg, "viewer-token")
	viewer.Impersonate.UserName = "admin"
	_, err := must(kubernetes.NewForConfig(viewer)).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	wantStatus(t, err, 403, metav1.StatusReasonForbidden, `secrets is forbidden: User "viewer" cannot impersonate-on:user-info:list resource "secrets"`)
}

func TestDeleteCollection(t *testing.T) {
	s, cfg := start(t, Config{})
	for _, lane := range []string{"public", "passthrough"} {
		obj := object("v1", "ConfigMap", "default", lane, nil)
		obj.SetLabels(map[string]string{"lane": lane})
		mustCreate(t, s, obj)
	}
	client := must(kubernetes.NewForConfig(cfg)).CoreV1().ConfigMaps("default")
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "lane=public"}); err != nil {
		t.Fatal(err)
	}
	if left := s.List(gvr("configmaps"), "default"); len(left) != 1 || left[0].GetName() != "passthrough" {
		t.Errorf("left: %v", left)
	}
}

// TestManyWriters updates one object from many clients: none may overwrite what another wrote, and a watch must see each.
func TestManyWriters(t *testing.T) {
	s, cfg := start(t, Config{})
	mustCreate(t, s, object("v1", "ConfigMap", "default", "count", nil))
	client := must(kubernetes.NewForConfig(cfg)).CoreV1().ConfigMaps("default")
	w, err := client.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				cm, err := client.Get(t.Context(), "count", metav1.GetOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				cm.Data = map[string]string{"n": cm.Data["n"] + "x"}
				_, err = client.Update(t.Context(), cm, metav1.UpdateOptions{})
				switch {
				case err == nil:
					done++
				case !apierrors.IsConflict(err):
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range writers*each + 1 {
		cm, ok := (<-w.ResultChan()).Object.(*corev1.ConfigMap)
		if !ok || len(cm.Data["n"]) != n {
			t.Fatalf("event %d carries %v", n, cm)
		}
	}
	wg.Wait()
}

func TestKubectlLogs(t *testing.T) {
	s, cfg := start(t, Config{Logs: func(ctx context.Context, namespace, pod, container string, opts LogOptions, w io.Writer) error {
		opts.Follow = false // As when a followed container ends.
		return sayLogs(ctx, namespace, pod, container, opts, w)
	}})
	makePod(t, s, "gateway", "istio-proxy")
	makePod(t, s, "several", "istio-proxy", "app")
	labelled, err := s.Get(gvr("pods"), "default", "gateway")
	if err != nil {
		t.Fatal(err)
	}
	labelled.SetLabels(map[string]string{"app": "gw"})
	if _, err := s.Update(labelled); err != nil {
		t.Fatal(err)
	}
	k := newKubectl(t, cfg)
	for line, want := range map[string]string{
		"logs gateway --tail=2":                        "default/gateway/istio-proxy line 2 tail 2",
		"logs -f gateway":                              "default/gateway/istio-proxy line 2 tail -1",
		"logs -l app=gw --tail=1":                      "default/gateway/istio-proxy line 0 tail 1",
		"logs several -c app --since=1h":               "default/several/app line 1",
		"logs several --all-containers":                "default/several/app line 2",
		"logs several":                                 "default/several/istio-proxy line 0",
		"logs gateway -c absent":                       "container absent is not valid for pod gateway",
		"logs gateway --previous":                      `previous terminated container "istio-proxy" in pod "gateway" not found`,
		"logs absent":                                  `pods "absent" not found`,
		"auth can-i --list":                            "*.*",
		"auth whoami":                                  "admin",
		"get --raw /apis/authentication.k8s.io/v1":     "selfsubjectreviews",
		"get clusterpolicies,helmreleases,reports -A":  "No resources found",
		"get clusterpolicyreports,clusterreports,polr": "No resources found",
	} {
		// Some of them are refusals, whose exit status is not zero.
		if out, _ := k.run(t, &env{ctx: t.Context(), ns: "default"}, "", strings.Fields(line)...); !strings.Contains(out, want) {
			t.Errorf("kubectl %s lacks %q:\n%s", line, want, out)
		}
	}
	viewer := newKubectl(t, as(cfg, "viewer-token"))
	out, err := viewer.run(t, &env{ctx: t.Context(), ns: "default"}, "", "auth", "can-i", "--list")
	if err != nil || !strings.Contains(out, "pods/log") || strings.Contains(out, "secrets") || strings.Contains(out, "delete") {
		t.Errorf("the viewer's rules: %v\n%s", err, out)
	}
}

// FuzzRequests sends what no client would: nothing may panic, and every refusal is a Status.
func FuzzRequests(f *testing.F) {
	vs := "/apis/networking.istio.io/v1/namespaces/default/virtualservices"
	f.Add("GET", "/api/v1/pods", "limit=1&continue=e30", "", "")
	f.Add("POST", vs, "dryRun=All", "application/json", `{"metadata":{"name":"a","labels":{"b":null}},"spec":[]}`)
	f.Add("PATCH", vs+"/argocd", "", "application/json-patch+json", `[{"op":"move","from":"/spec","path":"/metadata"}]`)
	f.Add("PATCH", vs+"/argocd", "", "application/merge-patch+json", `{"metadata":{"finalizers":[1]}}`)
	f.Add("PATCH", "/api/v1/namespaces/default/services/public", "", "application/strategic-merge-patch+json", `{"spec":{"ports":[{"$patch":"replace"}]}}`)
	f.Add("PUT", "/api/v1/namespaces/default/services/public", "fieldValidation=Strict", "application/vnd.kubernetes.protobuf", "k8s\x00\n\x00")
	f.Add("DELETE", "/api/v1/namespaces/default/services", "", "application/json", `{"preconditions":{}}`)
	f.Add("GET", "/api/v1/namespaces/default/events", "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "", "")
	f.Add("PATCH", vs+"/argocd", "fieldManager=me&force=1", "application/apply-patch+yaml", `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: argocd, managedFields: null}, spec: {hosts: [{}]}}`)
	f.Add("PATCH", "/apis/apps/v1/namespaces/default/deployments/d/scale", "", "application/merge-patch+json", `{"spec":{"replicas":-1}}`)
	f.Add("POST", "/apis/events.k8s.io/v1/namespaces/default/events", "", "application/yaml", `{regarding: {name: a}, metadata: {generateName: a, ownerReferences: [{}]}}`)
	f.Add("GET", "/openapi/v3/apis/networking.istio.io/v1", "", "", "")
	f.Add("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "", "application/json", `{"spec":1}`)
	f.Fuzz(func(t *testing.T, method, path, query, contentType, body string) {
		s := New(Config{Tokens: map[string]User{"t": {Name: "admin"}}})
		s.Close()
		mustCreate(t, s, object("networking.istio.io/v1", "VirtualService", "default", "argocd", map[string]any{"spec": map[string]any{"hosts": []string{"a.example"}}}))
		mustCreate(t, s, object("v1", "Service", "default", "public", map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": 443}}}}))
		req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "/", strings.NewReader(body)))
		req.Method, req.URL.Path, req.URL.RawQuery = method, path, query
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Authorization", "Bearer t")
		recorder := httptest.NewRecorder()
		s.Handler().ServeHTTP(recorder, req)
		// A group that is not served is not part of the API.
		if recorder.Code >= 400 && recorder.Body.String() != "404 page not found\n" {
			var status metav1.Status
			if err := json.Unmarshal(recorder.Body.Bytes(), &status); err != nil || status.Status != metav1.StatusFailure || int(status.Code) != recorder.Code {
				t.Errorf("%d %s is no Status", recorder.Code, recorder.Body)
			}
		}
		for _, sh := range s.shelves {
			for _, rec := range sh.objects {
				if _, err := rec.JSON(rec.obj.GetAPIVersion()); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
