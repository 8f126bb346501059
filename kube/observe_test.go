package kube

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
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

func TestSuiteOnKubesim(t *testing.T) {
	_, s := simulated(t, kubesim.Config{}, nil)
	suite(t, s)
}

func TestSuiteOnKubernetes(t *testing.T) {
	suite(t, real(t))
}

// suite is what holds on every API server.
func suite(t *testing.T, s site) {
	s.populate(t)
	t.Run("observe", func(t *testing.T) { testObserve(t, s) })
	t.Run("viewer", func(t *testing.T) { testViewer(t, s) })
	t.Run("yaml", func(t *testing.T) { testYAML(t, s) })
	t.Run("watch", func(t *testing.T) { testWatch(t, s) })
}

func testObserve(t *testing.T, s site) {
	var mu sync.Mutex
	var calls []string
	c := clientFor(t, s.admin, Options{OnCall: func(operation string, took time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		if took < 0 || err != nil && model.KindOf(err) != model.KindNotFound {
			t.Errorf("%s took %s: %v", operation, took, err)
		}
		calls = append(calls, operation)
	}})
	checkWorld(t, c.Observe(t.Context()))
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"list gateways", "list virtualservices", "list pods istio-system", "get secrets istio-system/public-cert", "get namespaces kube-system"} {
		if !slices.Contains(calls, want) {
			t.Errorf("%q is not among the calls %q", want, calls)
		}
	}
}

func checkWorld(t *testing.T, got model.Cluster) {
	t.Helper()
	if got.UID == "" || got.User == "" || got.Context == "" || got.Server == "" || time.Since(got.ObservedAt) > time.Minute {
		t.Errorf("context %q, server %q, UID %q, user %q, at %s", got.Context, got.Server, got.UID, got.User, got.ObservedAt)
	}
	side := func(ns string) map[string]string {
		return map[string]string{"app": "public-ingressgateway", "side": ns}
	}
	gateway := func(ns, name string) model.Gateway {
		return model.Gateway{Name: model.ObjectName{Namespace: ns, Name: name}, Keep: true, Selector: side(ns), Servers: []model.Server{
			{Hosts: []string{"*.dev.example"}, Port: 8080, Protocol: "HTTP", HTTPSRedirect: true},
			{Hosts: []string{"*.dev.example"}, Port: 8443, Protocol: "HTTPS", TLSMode: "SIMPLE", CredentialName: "public-cert"},
		}}
	}
	service := func(ns string, http, https int) model.Service {
		return model.Service{
			Name: model.ObjectName{Namespace: ns, Name: "public-ingressgateway"}, Selector: side(ns), ExternalTrafficPolicy: "Cluster",
			Ports: []model.ServicePort{{Name: "http2", Port: 80, TargetPort: 8080, NodePort: http}, {Name: "https", Port: 443, TargetPort: 8443, NodePort: https}},
		}
	}
	pod := func(ns string) model.Pod {
		return model.Pod{Name: model.ObjectName{Namespace: ns, Name: "public-ingressgateway-0"}, Labels: side(ns), Ready: true, Node: "node-1", IP: "10.1.0.7"}
	}
	want := model.Cluster{
		Context: got.Context, Server: got.Server, UID: got.UID, User: got.User, ObservedAt: got.ObservedAt,
		Gateways: []model.Gateway{gateway("istio-gateway", "public-ingressgateway"), gateway("istio-system", "public")},
		VirtualServices: []model.VirtualService{{
			Name: model.ObjectName{Namespace: "apps", Name: "argocd"}, Hosts: []string{"argocd.dev.example"}, Gateways: []string{"istio-system/public"}, Destinations: []string{"app.apps"},
		}},
		Secrets: []model.Secret{{Name: model.ObjectName{Namespace: "istio-gateway", Name: "public-cert"}, Readable: true}},
		Pods:    []model.Pod{pod("istio-gateway"), pod("istio-system")},
		Nodes:   []model.Node{{Name: "node-1", InternalIP: "10.0.0.1", InstanceID: "i-0abc", Zone: "us-east-1a"}},
	}
	if len(got.Secrets) == 2 {
		read := got.Secrets[1]
		if !read.Exists || !read.Readable || !read.Keep || read.Error != "" || len(read.SHA256) != 64 || !slices.Equal(read.DNSNames, []string{"*.dev.example"}) || !time.Now().Before(read.NotAfter) {
			t.Errorf("secret %+v", read)
		}
		want.Secrets = append(want.Secrets, read)
	}
	got.Pods = slices.Clone(got.Pods)
	for i := range got.Pods { // A real server copies the node's zone there.
		got.Pods[i].Labels = maps.Clone(got.Pods[i].Labels)
		delete(got.Pods[i].Labels, zoneLabel)
	}
	// A real server has Services of its own.
	got.Services = slices.DeleteFunc(slices.Clone(got.Services), func(s model.Service) bool { return s.Name.Namespace == "default" })
	want.Services = []model.Service{service("istio-gateway", 30081, 30444), service("istio-system", 30080, 30443)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the cluster differs (-want +got):\n%s", diff)
	}
}

func testViewer(t *testing.T, s site) {
	c := clientFor(t, s.viewer, Options{})
	got := c.Observe(t.Context())
	if len(got.Gateways) != 2 || len(got.VirtualServices) != 1 || len(got.Pods) != 2 || len(got.Services) < 2 {
		t.Errorf("what may be read was not: %+v", got)
	}
	want := map[model.Resource]string{model.ResourceSecrets: "get secrets", model.ResourceNodes: "list nodes"}
	for r, operation := range want {
		p, ok := problemOf(got, r)
		if !ok || p.Kind != model.KindAccess || p.Operation != operation || p.Source != "kubernetes" || p.Since.IsZero() || !strings.Contains(p.Message, "forbidden") {
			t.Errorf("problem of %s: %+v", r, p)
		}
	}
	if len(got.Problems) != len(want) {
		t.Errorf("problems %+v", got.Problems)
	}
	for _, secret := range got.Secrets {
		if secret.Readable || secret.Exists {
			t.Errorf("secret %+v was never read", secret)
		}
	}
}

func testYAML(t *testing.T, s site) {
	c := clientFor(t, s.admin, Options{})
	name := func(ns, name string) model.ObjectName { return model.ObjectName{Namespace: ns, Name: name} }
	create(t, s.core.CoreV1().ConfigMaps("apps").Create, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "unrelated"}})
	for _, test := range []struct {
		kind string
		name model.ObjectName
		want []string
	}{
		{"Gateway", name("istio-system", "public"), []string{"kind: Gateway", "credentialName: public-cert", "httpsRedirect: true"}},
		{"VirtualService", name("apps", "argocd"), []string{"kind: VirtualService", "- istio-system/public"}},
		{"Service", name("istio-system", "public-ingressgateway"), []string{"nodePort: 30443"}},
		{"Pod", name("istio-system", "public-ingressgateway-0"), []string{"nodeName: node-1"}},
		{"Node", name("ignored", "node-1"), []string{"providerID: aws:///us-east-1a/i-0abc"}},
		{"Secret", name("istio-system", "public-cert"), []string{"kind: Secret", "tls.key: (", "bytes, not shown)", "subject: CN=ingress", "issuer: CN=ingress", "'*.dev.example'", "sha256: ", "notAfter: "}},
	} {
		t.Run(test.kind, func(t *testing.T) {
			got, err := c.YAML(t.Context(), test.kind, test.name)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in\n%s", want, got)
				}
			}
			for _, secret := range []string{"managedFields", "PRIVATE", "LS0t"} {
				if strings.Contains(got, secret) {
					t.Errorf("%q is in\n%s", secret, got)
				}
			}
		})
	}
	for _, test := range []struct {
		kind string
		want model.Kind
	}{{"Gateway", model.KindNotFound}, {"Secret", model.KindNotFound}, {"ConfigMap", model.KindUsage}} {
		if _, err := c.YAML(t.Context(), test.kind, name("apps", "unrelated")); model.KindOf(err) != test.want {
			t.Errorf("%s: %v, want %s", test.kind, err, test.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.YAML(ended, "Node", name("", "node-1")); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if got := c.Observe(ended); len(got.Problems) > 0 {
		t.Errorf("problems of what was interrupted: %+v", got.Problems)
	}
}

func testWatch(t *testing.T, s site) {
	c := clientFor(t, s.admin, Options{})
	w := watchWith(t, c)
	first := w.until("the first picture", func(model.Cluster) bool { return true })
	checkWorld(t, first)

	s.virtualService(t, "grafana", "grafana.dev.example")
	w.until("a VirtualService more", func(c model.Cluster) bool { return len(c.VirtualServices) == 2 })
	if err := s.istio.NetworkingV1().VirtualServices("apps").Delete(t.Context(), "grafana", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("a VirtualService less", func(c model.Cluster) bool { return len(c.VirtualServices) == 1 })

	pods := s.core.CoreV1().Pods("istio-gateway")
	pod, err := pods.Get(t.Context(), "public-ingressgateway-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.ready(t, pod, false)
	w.until("a pod that is not ready", func(c model.Cluster) bool { return !c.Pods[0].Ready })

	// A Gateway elsewhere: its pods and its certificate come with it.
	create(t, s.core.CoreV1().Namespaces().Create, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"}})
	s.side(t, "elsewhere", "custom", "custom-ingressgateway", 31080, 31443)
	w.until("a Gateway elsewhere with its pod and Secret", func(c model.Cluster) bool {
		return len(c.Gateways) == 3 && len(c.Pods) == 3 && len(c.Secrets) == 3 && len(c.Problems) == 0
	})
	if err := s.istio.NetworkingV1().Gateways("elsewhere").Delete(t.Context(), "custom", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("a Gateway less", func(c model.Cluster) bool { return len(c.Gateways) == 2 && len(c.Pods) == 2 && len(c.Secrets) == 2 })
	if got := len(first.VirtualServices); got != 1 {
		t.Errorf("a picture that was handed on has changed: %d VirtualServices", got)
	}
	w.end()
}

func TestOlderIstio(t *testing.T) {
	_, s := simulated(t, kubesim.Config{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/apis/"+istioGroup {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"kind":"APIGroup","apiVersion":"v1","name":"networking.istio.io","versions":[{"groupVersion":"networking.istio.io/v1alpha3","version":"v1alpha3"},{"groupVersion":"networking.istio.io/v1beta1","version":"v1beta1"}]}`))
				return
			}
			if r.Header.Get("User-Agent") == "cutover" && strings.HasPrefix(r.URL.Path, "/apis/"+istioGroup+"/v1/") {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	s.populate(t)
	c := clientFor(t, s.admin, Options{})
	checkWorld(t, c.Observe(t.Context()))
	w := watchWith(t, c)
	checkWorld(t, w.until("first", func(model.Cluster) bool { return true }))
	w.end()
}

func TestPagesOfAList(t *testing.T) {
	var mu sync.Mutex
	pages := 0
	_, s := simulated(t, kubesim.Config{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/virtualservices") && r.URL.Query().Get("limit") == "500" {
				mu.Lock()
				pages++
				mu.Unlock()
			}
			next.ServeHTTP(w, r)
		})
	})
	many(t, s, 1100)
	got := clientFor(t, s.admin, Options{}).Observe(t.Context())
	if len(got.VirtualServices) != 1100 || pages != 3 {
		t.Errorf("%d VirtualServices in %d pages", len(got.VirtualServices), pages)
	}
}
