package kube

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/istio-cutover/cutover/model"
)

// parsed reads an object as the API server would send it.
func parsed[T any](t *testing.T, text string) *T {
	t.Helper()
	object := new(T)
	if err := yaml.Unmarshal([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	return object
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func named(namespace, name string) model.ObjectName {
	return model.ObjectName{Namespace: namespace, Name: name}
}

func TestConvertGateway(t *testing.T) {
	g := parsed[networking.Gateway](t, `
metadata: {namespace: istio-system, name: public, annotations: {helm.sh/resource-policy: " Keep"}}
spec:
  selector: {app: public-ingressgateway, istio: ingressgateway}
  unknownField: true
  servers:
  - {hosts: ["*.dev.example"], port: {name: http, number: 8080, protocol: HTTP}, tls: {httpsRedirect: true}}
  - {hosts: ["*/a.example", ./b.example], port: {number: 8443, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: public-cert}}
  - {hosts: [m.example], port: {number: 8443, protocol: HTTPS}, tls: {mode: OPTIONAL_MUTUAL, credentialName: m}}
  - {hosts: [p.example], port: {number: 8443, protocol: TLS}, tls: {}}
  - {hosts: [q.example], port: {number: 8443, protocol: HTTPS}, tls: {mode: PASSTHROUGH}}
  - {hosts: [r.example], port: {number: 8443, protocol: HTTPS}, tls: {mode: SIMPLE, credentialNames: [rsa, ecdsa]}}
  - {hosts: ["\u001b]0;evil\u0007x.example"], port: {number: 80, protocol: HTTP}}
  - {hosts: [none.example]}
`)
	same(t, convertGateway(g), model.Gateway{
		Name: named("istio-system", "public"), Keep: true,
		Selector: map[string]string{"app": "public-ingressgateway", "istio": "ingressgateway"},
		Servers: []model.Server{
			{Hosts: []string{"*.dev.example"}, Port: 8080, Protocol: "HTTP", HTTPSRedirect: true},
			{Hosts: []string{"*/a.example", "./b.example"}, Port: 8443, Protocol: "HTTPS", TLSMode: "SIMPLE", CredentialName: "public-cert"},
			{Hosts: []string{"m.example"}, Port: 8443, Protocol: "HTTPS", TLSMode: "OPTIONAL_MUTUAL", CredentialName: "m"},
			{Hosts: []string{"p.example"}, Port: 8443, Protocol: "TLS", TLSMode: "PASSTHROUGH"},
			{Hosts: []string{"q.example"}, Port: 8443, Protocol: "HTTPS", TLSMode: "PASSTHROUGH"},
			{Hosts: []string{"r.example"}, Port: 8443, Protocol: "HTTPS", TLSMode: "SIMPLE", CredentialName: "rsa"},
			{Hosts: []string{"\x1b]0;evil\x07x.example"}, Port: 80, Protocol: "HTTP"}, // Exact; who shows it makes it safe.
			{Hosts: []string{"none.example"}},
		},
	})
	same(t, convertGateway(&networking.Gateway{}), model.Gateway{})
}

func TestConvertVirtualService(t *testing.T) {
	v := parsed[networking.VirtualService](t, `
metadata: {namespace: apps, name: argocd}
spec:
  hosts: [ArgoCD.dev.example, "*.x"]
  gateways: [istio-system/public, public, mesh]
  exportTo: [".", istio-gateway]
  http:
  - match: [{uri: {prefix: /}, gateways: [istio-system/public]}, {uri: {exact: /b}}]
    route: [{destination: {host: server}}, {destination: {host: other.apps.svc.cluster.local, port: {number: 80}}}]
    mirror: {host: shadow}
  - match: [{gateways: [mesh]}]
    delegate: {name: rest}
  - delegate: {name: rest, namespace: teams}
  - route: []
  tls:
  - match: [{sniHosts: [a.x], gateways: [istio-gateway/passthrough-ingressgateway]}]
    route: [{destination: {host: server.apps.svc}}]
  tcp:
  - match: [{port: 15443, gateways: [east-west]}]
    route: [{destination: {host: db.outside.example}}]
`)
	same(t, convertVirtualService(v), model.VirtualService{
		Name: named("apps", "argocd"), Hosts: []string{"ArgoCD.dev.example", "*.x"},
		Gateways: []string{"istio-system/public", "public", "mesh"}, ExportTo: []string{".", "istio-gateway"},
		MatchGateways: [][]string{{"istio-system/public"}, {"mesh"}, {"istio-gateway/passthrough-ingressgateway"}, {"east-west"}},
		Destinations:  []string{"db.outside.example", "other.apps", "server.apps"},
		Delegates:     []model.ObjectName{named("apps", "rest"), named("teams", "rest")},
	})
	same(t, convertVirtualService(&networking.VirtualService{}), model.VirtualService{})
}

func TestConvertService(t *testing.T) {
	s := parsed[corev1.Service](t, `
metadata: {namespace: istio-gateway, name: public-ingressgateway}
spec:
  selector: {app: x}
  externalTrafficPolicy: Local
  ports:
  - {name: status-port, port: 15021, targetPort: 15021, nodePort: 30022}
  - {name: http, port: 80, targetPort: http, nodePort: 30081}
  - {name: https, port: 443, targetPort: 8443}
  - {name: other, port: 9000}
`)
	same(t, convertService(s), model.Service{
		Name: named("istio-gateway", "public-ingressgateway"), Selector: map[string]string{"app": "x"}, ExternalTrafficPolicy: "Local",
		Ports: []model.ServicePort{
			{Name: "status-port", Port: 15021, TargetPort: 15021, NodePort: 30022},
			{Name: "http", Port: 80, NodePort: 30081},
			{Name: "https", Port: 443, TargetPort: 8443},
			{Name: "other", Port: 9000, TargetPort: 9000},
		},
	})
}

func TestConvertPod(t *testing.T) {
	const pod = `
metadata: {namespace: istio-gateway, name: public-0, labels: {app: x}}
spec: {nodeName: node-1}
status: {podIP: 10.1.0.7, conditions: [{type: Initialized, status: "True"}, {type: Ready, status: "True"}]}
`
	want := model.Pod{Name: named("istio-gateway", "public-0"), Labels: map[string]string{"app": "x"}, Ready: true, Node: "node-1", IP: "10.1.0.7"}
	same(t, convertPod(parsed[corev1.Pod](t, pod)), want)
	want.Ready = false
	same(t, convertPod(parsed[corev1.Pod](t, strings.Replace(pod, `Ready, status: "True"`, `Ready, status: Unknown`, 1))), want)
	leaving := parsed[corev1.Pod](t, pod)
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	same(t, convertPod(leaving), want)
	want.Ended = true
	same(t, convertPod(parsed[corev1.Pod](t, strings.NewReplacer("podIP", "phase: Failed, podIP", `Ready, status: "True"`, `Ready, status: "False"`).Replace(pod))), want)
}

func TestConvertNode(t *testing.T) {
	n := parsed[corev1.Node](t, `
metadata: {name: node-1, labels: {topology.kubernetes.io/zone: us-gov-west-1a}}
spec: {providerID: aws:///us-gov-west-1a/i-0abc}
status: {addresses: [{type: ExternalIP, address: 1.2.3.4}, {type: InternalIP, address: 10.0.0.1}, {type: InternalIP, address: "fd00::1"}]}
`)
	same(t, convertNode(n), model.Node{Name: "node-1", InternalIP: "10.0.0.1", InstanceID: "i-0abc", Zone: "us-gov-west-1a"})
	for id, want := range map[string]string{
		"aws:///us-east-1a/i-0abc": "i-0abc", "aws://us-east-1a/i-0abc": "i-0abc", "aws:///us-east-1a/fargate-ip-10-0-0-1": "",
		"gce://project/zone/i-0abc": "", "kind://docker/kind/node": "", "i-0abc": "", "": "", "aws://": "",
	} {
		if got := instanceID(id); got != want {
			t.Errorf("instanceID(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestPodNamespaces(t *testing.T) {
	gateways := []model.Gateway{{Name: named("team", "own"), Selector: map[string]string{"istio": "ingressgateway", "app": "own"}}}
	service := func(ns string, port, target int, selector map[string]string) model.Service {
		return model.Service{Name: named(ns, "s"), Selector: selector, Ports: []model.ServicePort{{Port: port, TargetPort: target}}}
	}
	got := podNamespaces(gateways, []model.Service{
		service("ingress", 443, 8443, map[string]string{"istio": "ingressgateway"}),
		service("mapped", 31000, 8080, map[string]string{"istio": "ingressgateway"}),
		service("internal", 15012, 15012, map[string]string{"istio": "ingressgateway"}),
		service("contrary", 443, 8443, map[string]string{"istio": "ingressgateway", "app": "other"}),
		service("web", 80, 8080, map[string]string{"tier": "web"}),
		service("headless", 80, 8080, nil),
	})
	same(t, got, []string{"ingress", "istio-gateway", "istio-system", "mapped", "team"})
}
