package kube

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	istioclient "istio.io/client-go/pkg/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/istio-cutover/cutover/kube/kubeapitest"
	"github.com/istio-cutover/cutover/kube/kubesim"
	"github.com/istio-cutover/cutover/model"
)

func TestMain(m *testing.M) {
	silenceKlog()
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
		// client-go looks for renewed client certificates as long as the process lives.
		goleak.IgnoreAnyFunction("k8s.io/client-go/transport.(*dynamicClientCert).run"),
	)
}

// site is a cluster that a test talks to, and the test's own clients of it.
type site struct {
	admin, viewer string // kubeconfigs
	core          kubernetes.Interface
	istio         istioclient.Interface
}

// server is kubesim behind a listener that can be closed and opened again.
type server struct {
	*kubesim.Server
	t       testing.TB
	handler http.Handler
	web     *httptest.Server
	address string
	cert    []byte
	mu      sync.Mutex
	deny    func(verb, group, resource, namespace, name string) bool
}

func (s *server) denied(verb, group, resource, namespace, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deny != nil && s.deny(verb, group, resource, namespace, name)
}

func (s *server) setDeny(deny func(verb, group, resource, namespace, name string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny = deny
}

func (s *server) open() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	s.web = httptest.NewUnstartedServer(s.handler)
	s.web.Listener = listener
	s.web.EnableHTTP2 = true
	s.web.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.web.StartTLS()
	s.cert = s.web.Certificate().Raw
}

func (s *server) close() {
	s.web.CloseClientConnections()
	s.web.Close()
}

func viewerDeny(verb, _, resource, _, _ string) bool {
	return verb != "get" && verb != "list" && verb != "watch" && resource != "selfsubjectreviews" || resource == "secrets" || resource == "nodes"
}

// many makes VirtualServices.
func many(t testing.TB, s site, n int) {
	t.Helper()
	if _, err := s.core.CoreV1().Namespaces().Get(t.Context(), "apps", metav1.GetOptions{}); err != nil {
		create(t, s.core.CoreV1().Namespaces().Create, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "apps"}})
	}
	for i := range n {
		s.virtualService(t, fmt.Sprintf("app-%04d", i), fmt.Sprintf("app-%04d.dev.example", i))
	}
}

// simulated starts kubesim. User "flexible" is denied what the test says.
func simulated(t testing.TB, cfg kubesim.Config, wrap func(http.Handler) http.Handler) (*server, site) {
	t.Helper()
	s := &server{t: t, address: "127.0.0.1:0"}
	cfg.Tokens = map[string]kubesim.User{
		"admin-token": {Name: "admin"}, "viewer-token": {Name: "viewer", Deny: viewerDeny},
		"flexible-token": {Name: "flexible", Deny: s.denied},
	}
	s.Server = kubesim.New(cfg)
	s.handler = s.Server.Handler()
	if wrap != nil {
		s.handler = wrap(s.handler)
	}
	s.open()
	t.Cleanup(func() {
		s.Server.Close()
		s.close()
	})
	return s, newSite(t, s.kubeconfig("admin-token"), s.kubeconfig("viewer-token"))
}

func (s *server) kubeconfig(token string) string {
	s.t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["sim"] = &clientcmdapi.Cluster{
		Server:                   "https://" + s.address,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert}),
	}
	config.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "sim", AuthInfo: "operator"}
	config.CurrentContext = "test"
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// closeIdle ends the connections that the test's clients keep.
func closeIdle(t testing.TB, client *http.Client) {
	t.Cleanup(client.CloseIdleConnections)
}

func newSite(t testing.TB, admin, viewer string) site {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", admin)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	closeIdle(t, client)
	s := site{admin: admin, viewer: viewer}
	if s.core, err = kubernetes.NewForConfigAndClient(config, client); err != nil {
		t.Fatal(err)
	}
	if s.istio, err = istioclient.NewForConfigAndClient(config, client); err != nil {
		t.Fatal(err)
	}
	return s
}

func real(t testing.TB) site {
	t.Helper()
	s := kubeapitest.Start(t)
	return newSite(t, s.Kubeconfig, s.ViewerKubeconfig)
}

func flagsFor(kubeconfig string) *genericclioptions.ConfigFlags {
	flags := genericclioptions.NewConfigFlags(true)
	flags.KubeConfig = &kubeconfig
	return flags
}

func clientFor(t testing.TB, kubeconfig string, o Options) *Client {
	t.Helper()
	c, err := New(flagsFor(kubeconfig), o)
	if err != nil {
		t.Fatal(err)
	}
	closeIdle(t, c.http)
	return c
}

// certificate makes a self-signed one and its key, as PEM.
func certificate(t testing.TB, names ...string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "ingress"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour).Truncate(time.Second), NotAfter: time.Now().Add(90 * 24 * time.Hour).Truncate(time.Second),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

func create[T any](t testing.TB, do func(context.Context, T, metav1.CreateOptions) (T, error), object T) T {
	t.Helper()
	out, err := do(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return out
}

// populate makes the usual public lane: both sides, a node, certificates.
func (s site) populate(t testing.TB) {
	t.Helper()
	for _, ns := range []string{"istio-system", "istio-gateway", "apps"} {
		create(t, s.core.CoreV1().Namespaces().Create, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	}
	node := create(t, s.core.CoreV1().Nodes().Create, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{zoneLabel: "us-east-1a"}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///us-east-1a/i-0abc"},
	})
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "node-1"}, {Type: corev1.NodeInternalIP, Address: "10.0.0.1"}}
	if _, err := s.core.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.side(t, "istio-system", "public", "public-ingressgateway", 30080, 30443)
	s.side(t, "istio-gateway", "public-ingressgateway", "public-ingressgateway", 30081, 30444)
	cert, key := certificate(t, "*.dev.example")
	create(t, s.core.CoreV1().Secrets("istio-system").Create, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "public-cert", Annotations: map[string]string{keepAnnotation: "keep"}},
		Type:       corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": cert, "tls.key": key},
	})
	s.virtualService(t, "argocd", "argocd.dev.example")
}

// side makes a Gateway with its Service and a ready pod.
func (s site) side(t testing.TB, ns, gateway, workload string, http, https int32) {
	t.Helper()
	labels := map[string]string{"app": workload, "side": ns}
	create(t, s.istio.NetworkingV1().Gateways(ns).Create, &networking.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: gateway, Annotations: map[string]string{keepAnnotation: "keep"}},
		Spec: networkingapi.Gateway{Selector: labels, Servers: []*networkingapi.Server{
			{
				Hosts: []string{"*.dev.example"}, Port: &networkingapi.Port{Number: 8080, Protocol: "HTTP", Name: "http"},
				Tls: &networkingapi.ServerTLSSettings{HttpsRedirect: true},
			},
			{
				Hosts: []string{"*.dev.example"}, Port: &networkingapi.Port{Number: 8443, Protocol: "HTTPS", Name: "https"},
				Tls: &networkingapi.ServerTLSSettings{Mode: networkingapi.ServerTLSSettings_SIMPLE, CredentialName: "public-cert"},
			},
		}},
	})
	create(t, s.core.CoreV1().Services(ns).Create, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: workload},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: labels,
			Ports: []corev1.ServicePort{
				{Name: "http2", Port: 80, TargetPort: intstr.FromInt32(8080), NodePort: http},
				{Name: "https", Port: 443, TargetPort: intstr.FromInt32(8443), NodePort: https},
			},
		},
	})
	pod := create(t, s.core.CoreV1().Pods(ns).Create, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: workload + "-0", Labels: labels},
		Spec:       corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: proxyContainer, Image: "proxy"}}},
	})
	s.ready(t, pod, true)
}

func (s site) ready(t testing.TB, pod *corev1.Pod, ready bool) {
	t.Helper()
	pod.Status.PodIP = "10.1.0.7"
	pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	if _, err := s.core.CoreV1().Pods(pod.Namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s site) virtualService(t testing.TB, name string, hosts ...string) {
	t.Helper()
	create(t, s.istio.NetworkingV1().VirtualServices("apps").Create, &networking.VirtualService{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: networkingapi.VirtualService{
			Hosts: hosts, Gateways: []string{"istio-system/public"},
			Http: []*networkingapi.HTTPRoute{{Route: []*networkingapi.HTTPRouteDestination{{Destination: &networkingapi.Destination{Host: "app"}}}}},
		},
	})
}

// watching is a Watch under way and what it has said last.
type watching struct {
	t     testing.TB
	stop  context.CancelFunc
	done  chan struct{}
	mu    sync.Mutex
	all   []model.Cluster
	times []time.Time
	more  chan struct{}
}

func watchWith(t testing.TB, c *Client) *watching {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w := &watching{t: t, stop: stop, done: make(chan struct{}), more: make(chan struct{}, 1)}
	go func() {
		defer close(w.done)
		c.Watch(ctx, func(seen model.Cluster) {
			w.mu.Lock()
			w.all, w.times = append(w.all, seen), append(w.times, time.Now())
			w.mu.Unlock()
			select {
			case w.more <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(w.end)
	return w
}

func (w *watching) end() {
	w.stop()
	select {
	case <-w.done:
	case <-time.After(5 * time.Second):
		w.t.Error("Watch goes on after its context has ended")
	}
}

func (w *watching) last() (model.Cluster, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 {
		return model.Cluster{}, false
	}
	return w.all[len(w.all)-1], true
}

// until waits for a picture that is as wanted.
func (w *watching) until(what string, ok func(model.Cluster) bool) model.Cluster {
	w.t.Helper()
	limit := time.After(25 * time.Second)
	for {
		seen, any := w.last()
		if any && ok(seen) {
			return seen
		}
		select {
		case <-w.more:
		case <-limit:
			w.t.Fatalf("not in time: %s; last seen: %+v", what, seen)
		}
	}
}

func problemOf(c model.Cluster, r model.Resource) (model.Problem, bool) {
	for _, p := range c.Problems {
		if p.Resource == r {
			return p, true
		}
	}
	return model.Problem{}, false
}

// logsOf serves logs that are there as a whole.
func logsOf(log func(pod, container string, opts kubesim.LogOptions) string) func(context.Context, string, string, string, kubesim.LogOptions, io.Writer) error {
	return func(_ context.Context, _, pod, container string, opts kubesim.LogOptions, w io.Writer) error {
		_, err := io.WriteString(w, log(pod, container, opts))
		return err
	}
}

// numbered is a VirtualService with a spec of the usual size.
func numbered(i int) *networking.VirtualService {
	host := fmt.Sprintf("app-%04d.dev.example", i)
	return &networking.VirtualService{
		ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: fmt.Sprintf("app-%04d", i)},
		Spec:       networkingapi.VirtualService{Hosts: []string{host}, Gateways: []string{"istio-system/public", "istio-gateway/public-ingressgateway"}},
	}
}
