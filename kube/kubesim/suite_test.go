package kubesim

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	istioclient "istio.io/client-go/pkg/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/istio-cutover/cutover/kube/kubeapitest"
)

func TestMain(m *testing.M) {
	klog.LogToStderr(false)
	klog.SetOutput(new(discard))
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

type discard struct{}

func (*discard) Write(p []byte) (int, error) { return len(p), nil }

// viewerDeny is what the viewer of kubeapitest may not do either.
func viewerDeny(verb, _, resource, _, _ string) bool {
	return verb != "get" && verb != "list" && verb != "watch" || resource == "secrets" || resource == "nodes" || resource == "pods/proxy"
}

// start serves a simulated API over TLS, as kubectl sends tokens over nothing else.
func start(t testing.TB, cfg Config) (*Server, *rest.Config) {
	t.Helper()
	if cfg.Tokens == nil {
		cfg.Tokens = map[string]User{"admin-token": {Name: "admin"}, "viewer-token": {Name: "viewer", Deny: viewerDeny}}
	}
	s := New(cfg)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(s.Handler())
	web.Listener = listener
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(func() {
		s.Close()
		web.CloseClientConnections()
		web.Close()
	})
	rc := &rest.Config{Host: web.URL, BearerToken: "admin-token", QPS: -1}
	rc.CAData = pemOf(web.Certificate().Raw)
	return s, rc
}

func as(cfg *rest.Config, token string) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.BearerToken = token
	return cfg
}

func TestSuiteOnKubesim(t *testing.T) {
	_, cfg := start(t, Config{})
	suite(t, cfg, as(cfg, "viewer-token"), false)
}

func TestSuiteOnKubernetes(t *testing.T) {
	server := kubeapitest.Start(t)
	suite(t, loadConfig(t, server.Kubeconfig), loadConfig(t, server.ViewerKubeconfig), true)
}

func loadConfig(t *testing.T, path string) *rest.Config {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS = -1
	return cfg
}

// suite holds any API server to what Cutover relies on. It leaves out what needs controllers or kubelets.
func suite(t *testing.T, cfg, viewer *rest.Config, real bool) {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = "kubesim.test" // It shows in managed fields.
	e := &env{cfg: cfg, viewer: viewer, real: real, names: new(atomic.Int64)}
	e.core = must(kubernetes.NewForConfig(cfg))
	e.istio = must(istioclient.NewForConfig(cfg))
	e.dynamic = must(dynamic.NewForConfig(cfg))
	for _, test := range []struct {
		name string
		run  func(*testing.T, *env)
	}{
		{"discovery", testDiscovery},
		{"typed core clients", testTypedCore},
		{"istio versions", testIstioVersions},
		{"conflicts", testConflicts},
		{"preconditions", testPreconditions},
		{"json patch", testJSONPatch},
		{"merge patches", testMergePatches},
		{"dry run", testDryRun},
		{"validation", testValidation},
		{"node ports", testNodePorts},
		{"finalizers", testFinalizers},
		{"subresource status", testStatus},
		{"selectors", testSelectors},
		{"pages", testPages},
		{"resource versions", testResourceVersions},
		{"watch", testWatch},
		{"watch filter", testWatchFilter},
		{"streaming list", testStreamingList},
		{"informers", testInformers},
		{"access", testAccess},
		{"leader election", testLeaderElection},
		{"tables", testTables},
		{"http", testHTTP},
		{"sessions", testSessions},
		{"kubectl", testKubectl},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			own := *e
			own.ctx = ctx
			own.ns = own.namespace(t)
			test.run(t, &own)
		})
	}
}

// env is what a test of the suite has: clients, and a namespace of its own.
type env struct {
	cfg, viewer *rest.Config
	real        bool // kube-apiserver, the judge
	core        kubernetes.Interface
	istio       istioclient.Interface
	dynamic     dynamic.Interface
	ctx         context.Context //nolint:containedctx // One test's.
	ns          string
	names       *atomic.Int64
}

func (e *env) namespace(t *testing.T) string {
	t.Helper()
	ns, err := e.core.CoreV1().Namespaces().Create(e.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "suite-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create a namespace: %v", err)
	}
	return ns.Name
}

func (e *env) virtualService(t *testing.T, name string, hosts ...string) *networkingv1.VirtualService {
	t.Helper()
	vs, err := e.istio.NetworkingV1().VirtualServices(e.ns).Create(e.ctx, &networkingv1.VirtualService{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       networkingapi.VirtualService{Hosts: hosts, Gateways: []string{"istio-system/public"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create VirtualService %s: %v", name, err)
	}
	return vs
}

func (e *env) configMap(t *testing.T, name string, labels map[string]string) *corev1.ConfigMap {
	t.Helper()
	cm, err := e.core.CoreV1().ConfigMaps(e.ns).Create(e.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create ConfigMap %s: %v", name, err)
	}
	return cm
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// wantStatus checks an error's code and reason, and that its message says something.
func wantStatus(t *testing.T, err error, code int32, reason metav1.StatusReason, message string) {
	t.Helper()
	var status apierrors.APIStatus
	if !asStatus(err, &status) {
		t.Errorf("error %v, want status %d %s", err, code, reason)
		return
	}
	got := status.Status()
	if got.Code != code || got.Reason != reason || !strings.Contains(got.Message, message) {
		t.Errorf("status %d %s %q, want %d %s with %q", got.Code, got.Reason, got.Message, code, reason, message)
	}
}

// until polls a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

// call sends one plain HTTP request with the admin's credentials.
func (e *env) call(t *testing.T, method, path, accept, contentType, body string) (int, http.Header, string) {
	t.Helper()
	client := must(rest.HTTPClientFor(e.cfg))
	req, err := http.NewRequestWithContext(e.ctx, method, e.cfg.Host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header, readAll(t, resp.Body)
}

func kubectlPath(t *testing.T) string {
	t.Helper()
	for _, dir := range strings.Split(os.Getenv("PATH"), ":") {
		if info, err := os.Stat(dir + "/kubectl"); err == nil && !info.IsDir() {
			return dir + "/kubectl"
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("kubectl is not on PATH")
	}
	t.Skip("kubectl is not on PATH: install it to run this test")
	return ""
}
