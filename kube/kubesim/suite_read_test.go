package kubesim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	istioinformers "istio.io/client-go/pkg/informers/externalversions"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
)

func virtualServices() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}
}

func testDiscovery(t *testing.T, e *env) {
	for name, legacy := range map[string]bool{"aggregated": false, "legacy": true} {
		client := must(discovery.NewDiscoveryClientForConfig(e.cfg))
		client.UseLegacyDiscovery = legacy
		groups, lists, err := client.ServerGroupsAndResources()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		found := map[string]metav1.APIResource{}
		for _, list := range lists {
			for _, r := range list.APIResources {
				found[list.GroupVersion+" "+r.Name] = r
			}
		}
		for _, want := range []string{
			"v1 namespaces", "v1 nodes", "v1 services", "v1 pods", "v1 pods/log", "v1 secrets", "v1 configmaps", "v1 events", "apps/v1 deployments", "discovery.k8s.io/v1 endpointslices", "coordination.k8s.io/v1 leases",
			"authorization.k8s.io/v1 selfsubjectaccessreviews", "networking.istio.io/v1 gateways", "networking.istio.io/v1beta1 virtualservices", "networking.istio.io/v1alpha3 destinationrules", "networking.istio.io/v1 virtualservices/status",
		} {
			if _, ok := found[want]; !ok {
				t.Errorf("%s discovery lacks %s", name, want)
			}
		}
		vs := found["networking.istio.io/v1 virtualservices"]
		if vs.Kind != "VirtualService" || vs.SingularName != "virtualservice" || !vs.Namespaced || !slices.Equal(vs.ShortNames, []string{"vs"}) || !slices.Contains(vs.Verbs, "watch") {
			t.Errorf("%s discovery describes %+v", name, vs)
		}
		i := slices.IndexFunc(groups, func(g *metav1.APIGroup) bool { return g.Name == "networking.istio.io" })
		if i < 0 || groups[i].PreferredVersion.Version != "v1" || len(groups[i].Versions) != 3 {
			t.Errorf("%s discovery lists the groups %v", name, groups)
		}
	}
	version, err := must(discovery.NewDiscoveryClientForConfig(e.cfg)).ServerVersion()
	if err != nil || version.Major != "1" {
		t.Errorf("version %v, %v", version, err)
	}
}

func testSelectors(t *testing.T, e *env) {
	for i := range 4 {
		e.configMap(t, fmt.Sprintf("cm-%d", i), map[string]string{"lane": []string{"public", "passthrough"}[i%2], fmt.Sprintf("only-%d", i): "yes"})
	}
	names := func(opts metav1.ListOptions) string {
		list, err := e.core.CoreV1().ConfigMaps(e.ns).List(e.ctx, opts)
		if err != nil {
			return err.Error()
		}
		var names []string
		for _, cm := range list.Items {
			if cm.Name != "kube-root-ca.crt" {
				names = append(names, cm.Name)
			}
		}
		return strings.Join(names, " ")
	}
	for selector, want := range map[string]string{
		"lane=public": "cm-0 cm-2", "lane!=public": "cm-1 cm-3", "lane in (public,passthrough),!only-3": "cm-0 cm-1 cm-2", "only-1": "cm-1", "lane notin (public)": "cm-1 cm-3",
	} {
		if got := names(metav1.ListOptions{LabelSelector: selector}); got != want {
			t.Errorf("-l %q gives %q, want %q", selector, got, want)
		}
	}
	for selector, want := range map[string]string{
		"metadata.name=cm-1": "cm-1", "metadata.namespace=" + e.ns + ",metadata.name=cm-2": "cm-2", "metadata.namespace=other": "",
	} {
		if got := names(metav1.ListOptions{FieldSelector: selector}); got != want {
			t.Errorf("--field-selector %q gives %q, want %q", selector, got, want)
		}
	}
	_, err := e.core.CoreV1().ConfigMaps(e.ns).List(e.ctx, metav1.ListOptions{FieldSelector: "data.a=b"})
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, `"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"`)
	_, err = e.core.CoreV1().Pods(e.ns).List(e.ctx, metav1.ListOptions{FieldSelector: "spec.image=b"})
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, "field label not supported: spec.image")
	_, err = e.istio.NetworkingV1().Gateways(e.ns).List(e.ctx, metav1.ListOptions{FieldSelector: "spec.selector=b"})
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, "field label not supported: spec.selector")
	_, err = e.core.CoreV1().ConfigMaps(e.ns).List(e.ctx, metav1.ListOptions{LabelSelector: "a b c"})
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, "")

	for name, node := range map[string]string{"gateway-1": "node-a", "gateway-2": ""} {
		if _, err := e.core.CoreV1().Pods(e.ns).Create(e.ctx, pod(name, node), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	pods, err := e.core.CoreV1().Pods("").List(e.ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=node-a,status.phase!=Failed,metadata.namespace=" + e.ns})
	if err != nil || len(pods.Items) != 1 || pods.Items[0].Name != "gateway-1" {
		t.Errorf("pods of a node: %v, %v", pods, err)
	}
	if _, err := e.core.CoreV1().Secrets(e.ns).Create(e.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "opaque"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	secrets, err := e.core.CoreV1().Secrets(e.ns).List(e.ctx, metav1.ListOptions{FieldSelector: "type=kubernetes.io/tls"})
	if err != nil || len(secrets.Items) != 0 {
		t.Errorf("TLS secrets: %v, %v", secrets, err)
	}
}

func testPages(t *testing.T, e *env) {
	for i := range 7 {
		e.virtualService(t, fmt.Sprintf("vs-%d", i), "a.example")
	}
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	first, err := client.List(e.ctx, metav1.ListOptions{Limit: 3})
	if err != nil || len(first.Items) != 3 || first.Continue == "" || first.RemainingItemCount == nil || *first.RemainingItemCount != 4 {
		t.Fatalf("first page: %d items, %+v, %v", len(first.Items), first.ListMeta, err)
	}
	e.virtualService(t, "vs-4a", "late.example")
	if err := client.Delete(e.ctx, "vs-5", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	var names []string
	next := first
	for next.Continue != "" {
		if next, err = client.List(e.ctx, metav1.ListOptions{Limit: 3, Continue: next.Continue}); err != nil {
			t.Fatal(err)
		}
		if next.ResourceVersion != first.ResourceVersion {
			t.Errorf("a page at %s follows one at %s", next.ResourceVersion, first.ResourceVersion)
		}
		for _, vs := range next.Items {
			names = append(names, vs.Name)
		}
	}
	if got := strings.Join(names, " "); got != "vs-3 vs-4 vs-5 vs-6" {
		t.Errorf("the pages that follow hold %q, want the state of the first", got)
	}
	_, err = client.List(e.ctx, metav1.ListOptions{Limit: 3, Continue: "nonsense"})
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, "continue key is not valid")
}

func testResourceVersions(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	e.virtualService(t, "a", "a.example")
	before, err := client.List(e.ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.virtualService(t, "b", "b.example")
	exact, err := client.List(e.ctx, metav1.ListOptions{ResourceVersion: before.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	if err != nil || len(exact.Items) != 1 || exact.ResourceVersion != before.ResourceVersion {
		t.Errorf("exact: %v, %v", exact, err)
	}
	newer, err := client.List(e.ctx, metav1.ListOptions{ResourceVersion: before.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	if err != nil || len(newer.Items) == 0 {
		t.Errorf("not older than: %v, %v", newer, err)
	}
	_, err = client.List(e.ctx, metav1.ListOptions{ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "resourceVersionMatch is forbidden unless resourceVersion is provided")
	_, err = client.List(e.ctx, metav1.ListOptions{ResourceVersion: "nonsense"})
	if err == nil {
		t.Error("a resource version that is no number is refused")
	}
	// A client would retry for half a minute, as the answer asks it to.
	code, header, body := e.call(t, "GET", "/apis/networking.istio.io/v1/namespaces/"+e.ns+"/virtualservices?resourceVersion=999999999", "", "", "")
	var status metav1.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || code != 504 || status.Reason != metav1.StatusReasonTimeout || !strings.Contains(status.Message, "Too large resource version: 999999999, current: ") || header.Get("Retry-After") != "1" {
		t.Errorf("a resource version that is yet to come: %d %v %s", code, header, body)
	}
	if !apierrors.HasStatusCause(&apierrors.StatusError{ErrStatus: status}, metav1.CauseTypeResourceVersionTooLarge) {
		t.Errorf("the cause in %s is not ResourceVersionTooLarge", body)
	}
}

// next takes one event that is no bookmark.
func next(t *testing.T, e *env, w watch.Interface) watch.Event {
	t.Helper()
	for {
		select {
		case event, ok := <-w.ResultChan():
			if !ok {
				t.Fatal("the watch ended")
			}
			if event.Type != watch.Bookmark {
				return event
			}
		case <-e.ctx.Done():
			t.Fatal("no event in time")
		}
	}
}

func wantEvent(t *testing.T, got watch.Event, kind watch.EventType, name string) metav1.Object {
	t.Helper()
	object, ok := got.Object.(metav1.Object)
	if !ok || got.Type != kind || object.GetName() != name {
		t.Fatalf("event %s %v, want %s %s", got.Type, got.Object, kind, name)
	}
	return object
}

func testWatch(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	a := e.virtualService(t, "a", "a.example")
	w, err := client.Watch(e.ctx, metav1.ListOptions{ResourceVersion: a.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	b := e.virtualService(t, "b", "b.example")
	a.Spec.Hosts = []string{"c.example"}
	if _, err := client.Update(e.ctx, a, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.Delete(e.ctx, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	added := wantEvent(t, next(t, e, w), watch.Added, "b")
	modified := wantEvent(t, next(t, e, w), watch.Modified, "a")
	deleted := wantEvent(t, next(t, e, w), watch.Deleted, "a")
	if added.GetResourceVersion() != b.ResourceVersion || deleted.GetResourceVersion() == modified.GetResourceVersion() {
		t.Errorf("revisions %s, %s, %s", added.GetResourceVersion(), modified.GetResourceVersion(), deleted.GetResourceVersion())
	}

	resumed, err := client.Watch(e.ctx, metav1.ListOptions{ResourceVersion: modified.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Stop()
	wantEvent(t, next(t, e, resumed), watch.Deleted, "a")

	whole, err := client.Watch(e.ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Stop()
	wantEvent(t, next(t, e, whole), watch.Added, "b")

	old, err := client.Watch(e.ctx, metav1.ListOptions{ResourceVersion: "1"})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Stop()
	event := next(t, e, old)
	if event.Type != watch.Error {
		t.Fatalf("a watch from the distant past begins with %s %v", event.Type, event.Object)
	}
	wantStatus(t, apierrors.FromObject(event.Object), 410, metav1.StatusReasonExpired, "too old resource version: 1 (")

	one := int64(1)
	short, err := client.Watch(e.ctx, metav1.ListOptions{TimeoutSeconds: &one})
	if err != nil {
		t.Fatal(err)
	}
	for range short.ResultChan() {
		// It ends by itself.
	}
}

func testWatchFilter(t *testing.T, e *env) {
	client := e.core.CoreV1().ConfigMaps(e.ns)
	w, err := client.Watch(e.ctx, metav1.ListOptions{LabelSelector: "side=new"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	e.configMap(t, "other", map[string]string{"side": "old"})
	e.configMap(t, "moved", map[string]string{"side": "old"})
	label := func(side string) {
		t.Helper()
		if _, err := client.Patch(e.ctx, "moved", types.MergePatchType, []byte(`{"metadata":{"labels":{"side":"`+side+`"}}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	label("new")
	wantEvent(t, next(t, e, w), watch.Added, "moved")
	label("old")
	left := wantEvent(t, next(t, e, w), watch.Deleted, "moved")
	if left.GetLabels()["side"] != "new" {
		t.Errorf("an object that leaves the filter is told with labels %v, want what the client knew", left.GetLabels())
	}
	label("new")
	wantEvent(t, next(t, e, w), watch.Added, "moved")
	if err := client.Delete(e.ctx, "moved", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wantEvent(t, next(t, e, w), watch.Deleted, "moved")
}

func testStreamingList(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	e.virtualService(t, "a", "a.example")
	e.virtualService(t, "b", "b.example")
	yes := true
	w, err := client.Watch(e.ctx, metav1.ListOptions{SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	names := []string{}
	for len(names) < 2 {
		event := <-w.ResultChan()
		if event.Type != watch.Added {
			t.Fatalf("initial event %s %v", event.Type, event.Object)
		}
		names = append(names, event.Object.(metav1.Object).GetName())
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("initial events for %v", names)
	}
	event := <-w.ResultChan()
	mark, ok := event.Object.(metav1.Object)
	if event.Type != watch.Bookmark || !ok || mark.GetAnnotations()["k8s.io/initial-events-end"] != "true" || mark.GetResourceVersion() == "" {
		t.Fatalf("the initial events end with %s %v", event.Type, event.Object)
	}
	e.virtualService(t, "c", "c.example")
	wantEvent(t, next(t, e, w), watch.Added, "c")

	_, err = client.Watch(e.ctx, metav1.ListOptions{SendInitialEvents: &yes})
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
	_, err = client.List(e.ctx, metav1.ListOptions{SendInitialEvents: &yes})
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden for list")
}

func testInformers(t *testing.T, e *env) {
	e.virtualService(t, "a", "a.example")
	stop := make(chan struct{})
	core := informers.NewSharedInformerFactoryWithOptions(e.core, 0, informers.WithNamespace(e.ns))
	istio := istioinformers.NewSharedInformerFactoryWithOptions(e.istio, 0, istioinformers.WithNamespace(e.ns))
	loose := dynamicinformer.NewFilteredDynamicSharedInformerFactory(e.dynamic, 0, e.ns, nil)
	meta := metadatainformer.NewFilteredSharedInformerFactory(must(metadata.NewForConfig(e.cfg)), 0, e.ns, nil)
	defer func() {
		close(stop)
		core.Shutdown()
		istio.Shutdown()
		loose.Shutdown()
		meta.Shutdown()
	}()
	services, nodes := core.Core().V1().Services(), core.Core().V1().Nodes()
	services.Informer()
	nodes.Informer()
	hosts := istio.Networking().V1().VirtualServices()
	hosts.Informer()
	istio.Networking().V1beta1().Gateways().Informer()
	dyn := loose.ForResource(virtualServices())
	part := meta.ForResource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"})
	dyn.Informer()
	part.Informer()
	core.Start(stop)
	istio.Start(stop)
	loose.Start(stop)
	meta.Start(stop)
	for kind, ok := range core.WaitForCacheSync(e.ctx.Done()) {
		if !ok {
			t.Errorf("%v never synced", kind)
		}
	}
	for kind, ok := range istio.WaitForCacheSync(e.ctx.Done()) {
		if !ok {
			t.Errorf("%v never synced", kind)
		}
	}
	for resource, ok := range loose.WaitForCacheSync(e.ctx.Done()) {
		if !ok {
			t.Errorf("%s never synced", resource)
		}
	}
	for resource, ok := range meta.WaitForCacheSync(e.ctx.Done()) {
		if !ok {
			t.Errorf("the metadata of %s never synced", resource)
		}
	}

	e.virtualService(t, "b", "b.example")
	if _, err := e.istio.NetworkingV1().VirtualServices(e.ns).Patch(e.ctx, "a", types.MergePatchType, []byte(`{"spec":{"hosts":["changed.example"]}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.core.CoreV1().Services(e.ns).Create(e.ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "gateway"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.core.CoreV1().Secrets(e.ns).Create(e.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cert"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the Istio informer sees an update and an addition", func() bool {
		a, err := hosts.Lister().VirtualServices(e.ns).Get("a")
		b, errB := hosts.Lister().VirtualServices(e.ns).Get("b")
		return err == nil && errB == nil && a.Spec.Hosts[0] == "changed.example" && b != nil
	})
	until(t, "the core informer sees an addition", func() bool {
		_, err := services.Lister().Services(e.ns).Get("gateway")
		return err == nil
	})
	until(t, "the dynamic informer sees an addition", func() bool {
		_, err := dyn.Lister().ByNamespace(e.ns).Get("b")
		return err == nil
	})
	until(t, "the metadata informer sees an addition", func() bool {
		_, err := part.Lister().ByNamespace(e.ns).Get("cert")
		return err == nil
	})
	if err := e.istio.NetworkingV1().VirtualServices(e.ns).Delete(e.ctx, "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the Istio informer sees a deletion", func() bool {
		_, err := hosts.Lister().VirtualServices(e.ns).Get("b")
		return apierrors.IsNotFound(err)
	})
}

func testAccess(t *testing.T, e *env) {
	stranger := must(kubernetes.NewForConfig(stripped(e.cfg)))
	_, err := stranger.CoreV1().Pods(e.ns).List(e.ctx, metav1.ListOptions{})
	wantStatus(t, err, 401, metav1.StatusReasonUnauthorized, "Unauthorized")

	viewer := must(kubernetes.NewForConfig(e.viewer))
	who := viewerName(t, e)
	if _, err := viewer.CoreV1().Pods(e.ns).List(e.ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("the viewer lists pods: %v", err)
	}
	_, err = viewer.CoreV1().Pods(e.ns).Create(e.ctx, pod("a", ""), metav1.CreateOptions{})
	wantStatus(t, err, 403, metav1.StatusReasonForbidden, `pods is forbidden: User "`+who+`" cannot create resource "pods" in API group "" in the namespace "`+e.ns+`"`)
	_, err = viewer.CoreV1().Secrets(e.ns).Get(e.ctx, "cert", metav1.GetOptions{})
	wantStatus(t, err, 403, metav1.StatusReasonForbidden, `secrets "cert" is forbidden: User "`+who+`" cannot get resource "secrets" in API group "" in the namespace "`+e.ns+`"`)
	_, err = viewer.CoreV1().Nodes().List(e.ctx, metav1.ListOptions{})
	wantStatus(t, err, 403, metav1.StatusReasonForbidden, `nodes is forbidden: User "`+who+`" cannot list resource "nodes" in API group "" at the cluster scope`)
	_, err = viewer.CoreV1().Secrets("").Watch(e.ctx, metav1.ListOptions{})
	wantStatus(t, err, 403, metav1.StatusReasonForbidden, `cannot watch resource "secrets"`)

	for verb, want := range map[string]bool{"list": true, "patch": false} {
		review, err := viewer.AuthorizationV1().SelfSubjectAccessReviews().Create(e.ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: e.ns, Verb: verb, Group: "networking.istio.io", Resource: "virtualservices"},
		}}, metav1.CreateOptions{})
		if err != nil || review.Status.Allowed != want {
			t.Errorf("may the viewer %s: %v, %v", verb, review.Status, err)
		}
	}
}

// tableColumns reads the names of a kind's columns, wide ones in brackets.
func tableColumns(t *testing.T, e *env, path string) (string, metav1.Table) {
	t.Helper()
	code, _, body := e.call(t, "GET", path, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "", "")
	var table metav1.Table
	if err := json.Unmarshal([]byte(body), &table); err != nil || code != 200 || table.Kind != "Table" {
		t.Fatalf("%s: %d %s %v", path, code, body, err)
	}
	var names []string
	for _, c := range table.ColumnDefinitions {
		if c.Priority > 0 {
			c.Name = "[" + c.Name + "]"
		}
		names = append(names, c.Name)
	}
	return strings.Join(names, ","), table
}

func testTables(t *testing.T, e *env) {
	e.virtualService(t, "argocd", "argocd.bigbang.example", "cd.bigbang.example")
	for path, want := range map[string]string{
		"/api/v1/namespaces":                                 "Name,Status,Age",
		"/api/v1/nodes":                                      "Name,Status,Roles,Age,Version,[Internal-IP],[External-IP],[OS-Image],[Kernel-Version],[Container-Runtime]",
		"/api/v1/services":                                   "Name,Type,Cluster-IP,External-IP,Port(s),Age,[Selector]",
		"/api/v1/pods":                                       "Name,Ready,Status,Restarts,Age,[IP],[Node],[Nominated Node],[Readiness Gates]",
		"/api/v1/secrets":                                    "Name,Type,Data,Age",
		"/api/v1/configmaps":                                 "Name,Data,Age",
		"/api/v1/endpoints":                                  "Name,Endpoints,Age",
		"/api/v1/events":                                     "Last Seen,Type,Reason,Object,[Subobject],[Source],Message,[First Seen],[Count],[Name]",
		"/apis/apps/v1/deployments":                          "Name,Ready,Up-to-date,Available,Age,[Containers],[Images],[Selector]",
		"/apis/coordination.k8s.io/v1/leases":                "Name,Holder,Age",
		"/apis/discovery.k8s.io/v1/endpointslices":           "Name,AddressType,Ports,Endpoints,Age",
		"/apis/networking.istio.io/v1/gateways":              "Name,Age",
		"/apis/networking.istio.io/v1beta1/destinationrules": "Name,Host,Age",
		"/apis/networking.istio.io/v1alpha3/virtualservices": "Name,Gateways,Hosts,Age",
		"/apis/networking.istio.io/v1/namespaces/" + e.ns + "/virtualservices/argocd": "Name,Gateways,Hosts,Age",
	} {
		if got, _ := tableColumns(t, e, path); got != want {
			t.Errorf("%s has the columns %s\nwant %s", path, got, want)
		}
	}
	_, table := tableColumns(t, e, "/apis/networking.istio.io/v1/namespaces/"+e.ns+"/virtualservices")
	if got := fmt.Sprint(table.Rows[0].Cells[:3]); got != `[argocd ["istio-system/public"] ["argocd.bigbang.example","cd.bigbang.example"]]` {
		t.Errorf("a row reads %s", got)
	}
	if !strings.Contains(string(table.Rows[0].Object.Raw), `"PartialObjectMetadata"`) || table.ResourceVersion == "" {
		t.Errorf("a row goes with %s, the table is of %q", table.Rows[0].Object.Raw, table.ResourceVersion)
	}
	if _, err := e.core.CoreV1().Services(e.ns).Create(e.ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Name: "a", Port: 443, NodePort: 31444}, {Name: "b", Port: 80, NodePort: 31081}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, table = tableColumns(t, e, "/api/v1/namespaces/"+e.ns+"/services")
	row := table.Rows[0].Cells
	if row[1] != "NodePort" || row[3] != "<none>" || row[4] != "443:31444/TCP,80:31081/TCP" {
		t.Errorf("a Service reads %v", row)
	}
}

func testHTTP(t *testing.T, e *env) {
	for path, want := range map[string]int{
		"/readyz": 200, "/healthz": 200, "/version": 200, "/api": 200, "/apis": 200, "/apis/networking.istio.io": 200, "/apis/absent.example/v1": 404, "/api/v1/absent": 404, "/absent": 404,
		"/api/v1/namespaces/" + e.ns + "/pods/absent/log": 404, "/api/v1/namespaces/" + e.ns: 200, "/apis/networking.istio.io/v2/gateways": 404,
	} {
		if code, _, body := e.call(t, "GET", path, "", "", ""); code != want {
			t.Errorf("GET %s: %d %s, want %d", path, code, body, want)
		}
	}
	services := "/api/v1/namespaces/" + e.ns + "/services"
	for _, c := range []struct {
		method, path, accept, contentType, body string
		code                                    int
	}{
		{"PUT", services, "", "", "{}", 405},
		{"POST", services + "/a", "", "", "{}", 405},
		{"GET", services, "text/html", "", "", 406},
		{"POST", services, "", "text/plain", "{}", 415},
		{"POST", services, "", "application/json", "{", 400},
		{"POST", services, "", "application/json", strings.Repeat("[", 4<<20), 413},
		{"POST", services, "", "application/yaml", "metadata: {name: yaml}\nspec: {ports: [{port: 80}]}", 201},
		{"DELETE", services + "/absent", "", "", "", 404},
	} {
		code, _, body := e.call(t, c.method, c.path, c.accept, c.contentType, c.body)
		if code != c.code {
			t.Errorf("%s %s as %q: %d %s, want %d", c.method, c.path, c.contentType, code, body, c.code)
		}
	}
	code, header, body := e.call(t, "GET", services+"/absent", "", "", "")
	var status metav1.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || code != 404 || status.Kind != "Status" || status.Status != "Failure" || status.Details == nil || status.Details.Kind != "services" || status.Details.Name != "absent" {
		t.Errorf("%d %s %v", code, body, err)
	}
	if header.Get("Content-Type") != "application/json" {
		t.Errorf("a status is %s", header.Get("Content-Type"))
	}
}
