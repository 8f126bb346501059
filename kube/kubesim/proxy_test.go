package kubesim

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/istio-cutover/cutover/kube/kubeapitest"
)

// metrics answers as a gateway pod does, and tells what it was asked to answer with.
func metrics(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/accepts" {
		fmt.Fprint(w, r.Header.Get("Accept"))
		return
	}
	if r.URL.Path != "/stats/prometheus" || r.Header.Get("Authorization") != "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprintf(w, "%s istio_requests_total{} 7 %s\n", r.Method, r.URL.RawQuery)
}

func TestProxyOnKubesim(t *testing.T) {
	_, cfg := start(t, Config{Proxy: func(_, pod string, port int) http.Handler {
		if pod != "gw" && pod != "proxy-gw" || port != 15090 {
			return nil
		}
		return http.HandlerFunc(metrics)
	}})
	proxySuite(t, cfg, as(cfg, "viewer-token"), "10.0.0.7", 15090)
	_, alone := start(t, Config{})
	core := must(kubernetes.NewForConfig(alone))
	proxyPod(t, core, "gw", "10.0.0.7", 15090)
	if _, err := core.CoreV1().Pods("default").ProxyGet("", "gw", "15090", "/stats/prometheus", nil).DoRaw(t.Context()); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("with nobody behind: %v", err)
	}
}

// TestProxyOnKubernetes has the pod on an address of this machine's that is not
// on loopback, where a real API server proxies nothing to.
func TestProxyOnKubernetes(t *testing.T) {
	server := kubeapitest.Start(t)
	load := func(path string) *rest.Config {
		cfg, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	listener := outside(t)
	pod := httptest.NewUnstartedServer(http.HandlerFunc(metrics))
	pod.Listener = listener
	pod.Start()
	t.Cleanup(pod.Close)
	address := listener.Addr().(*net.TCPAddr)
	proxySuite(t, load(server.Kubeconfig), load(server.ViewerKubeconfig), address.IP.String(), address.Port)

	core := must(kubernetes.NewForConfig(load(server.Kubeconfig)))
	proxyPod(t, core, "here", "127.0.0.1", address.Port)
	if _, err := core.CoreV1().Pods("default").ProxyGet("", "here", strconv.Itoa(address.Port), "/stats/prometheus", nil).DoRaw(t.Context()); !apierrors.IsBadRequest(err) {
		t.Errorf("loopback: %v", err)
	}
}

// outside listens on an address of this machine's that others can reach.
func outside(t *testing.T) net.Listener {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			l, err := net.Listen("tcp", ip.IP.String()+":0")
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
	}
	t.Skip("this machine has no address but loopback")
	return nil
}

func proxyPod(t *testing.T, core kubernetes.Interface, name, ip string, port int) {
	t.Helper()
	pods := core.CoreV1().Pods("default")
	off := false
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{AutomountServiceAccountToken: &off, Containers: []corev1.Container{
			{Name: "istio-proxy", Image: "x", Ports: []corev1.ContainerPort{{ContainerPort: int32(port)}}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ip == "" {
		return
	}
	pod.Status.PodIP, pod.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	if _, err := pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// proxySuite asks any API server for the port of a pod at an address where
// metrics answers.
func proxySuite(t *testing.T, cfg, viewer *rest.Config, ip string, port int) {
	core := must(kubernetes.NewForConfig(cfg))
	proxyPod(t, core, "gw", ip, port)
	proxyPod(t, core, "proxy-gw", ip, port)
	proxyPod(t, core, "pending", "", port)
	at := strconv.Itoa(port)
	pods := "/api/v1/namespaces/default/pods/"
	for _, c := range []struct {
		path, verb string
		status     int
		body       string
	}{
		{pods + "gw:" + at + "/proxy/stats/prometheus?usedonly", "GET", 200, "GET istio_requests_total{} 7 usedonly\n"},
		{pods + "proxy-gw:" + at + "/proxy/stats/prometheus", "GET", 200, "GET istio_requests_total{} 7 \n"},
		{pods + "http:gw:" + at + "/proxy/stats/prometheus", "POST", 200, "POST istio_requests_total{} 7 \n"},
		{pods + "gw/proxy/stats/prometheus", "GET", 200, "GET istio_requests_total{} 7 \n"},
		{pods + "gw:" + at + "/proxy/nothing", "GET", 404, ""},
		{pods + "gw:1/proxy/stats/prometheus", "GET", 503, "error trying to reach service: dial tcp " + ip + ":1: connect: connection refused"},
		{pods + "absent:" + at + "/proxy/stats/prometheus", "GET", 404, `pods \"absent\" not found`},
		{pods + "pending:" + at + "/proxy/stats/prometheus", "GET", 400, "address not allowed"},
	} {
		status, body := proxied(t, cfg, c.verb, c.path, "")
		if status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s %s: %d %s, want %d %s", c.verb, c.path, status, body, c.status, c.body)
		}
	}
	// What the client accepts is between it and the pod.
	status, body := proxied(t, cfg, "GET", pods+"gw:"+at+"/proxy/accepts", "application/openmetrics-text; version=1.0.0")
	if status != http.StatusOK || body != "application/openmetrics-text; version=1.0.0" {
		t.Errorf("with an Accept header: %d %s", status, body)
	}
	// The name that permissions are about is the one with the port.
	status, body = proxied(t, viewer, "GET", pods+"gw:"+at+"/proxy/stats/prometheus", "")
	if status != http.StatusForbidden || !strings.Contains(body, `pods \"gw:`+at+`\" is forbidden: User`) ||
		!strings.Contains(body, `cannot get resource \"pods/proxy\" in API group \"\" in the namespace \"default\"`) {
		t.Errorf("denied: %d %s", status, body)
	}
	list, err := core.Discovery().ServerResourcesForGroupVersion("v1")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, r := range list.APIResources {
		found = found || r.Name == "pods/proxy" && r.Kind == "PodProxyOptions" && strings.Join(r.Verbs, " ") == "create delete get patch update"
	}
	if !found {
		t.Errorf("pods/proxy is not discovered: %v", list.APIResources)
	}
}

// proxied asks for a path; an empty accept sends no such header.
func proxied(t *testing.T, cfg *rest.Config, verb, path, accept string) (int, string) {
	t.Helper()
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), verb, cfg.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
