package sandbox

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox/gateway"
	"github.com/istio-cutover/cutover/kube/kubesim"
)

const (
	keepAnnotation = "helm.sh/resource-policy"
	publicCert     = "public-cert"
)

// fixture fills a Kubernetes API; the first failure is kept and ends the rest.
type fixture struct {
	server *kubesim.Server
	err    error
}

func (f *fixture) create(object any) {
	if f.err != nil {
		return
	}
	content, ok := object.(map[string]any)
	if !ok {
		if content, f.err = runtime.DefaultUnstructuredConverter.ToUnstructured(object); f.err != nil {
			return
		}
	}
	if _, err := f.server.Create(&unstructured.Unstructured{Object: content}); err != nil {
		f.err = fmt.Errorf("create %v %v: %w", content["kind"], content["metadata"], err)
	}
}

// populate creates the world's cluster.
func populate(server *kubesim.Server, w world, net *network, ca *authority) error {
	f := &fixture{server: server}
	namespaces := []string{"istio-system", "istio-gateway"}
	for _, a := range w.apps {
		namespaces = append(namespaces, a.namespace)
	}
	slices.Sort(namespaces)
	for _, name := range slices.Compact(namespaces) {
		f.create(&corev1.Namespace{TypeMeta: kind("v1", "Namespace"), ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for _, n := range net.nodes() {
		f.node(n)
	}
	f.istiod()
	pod := hostFirstPod
	for _, l := range []lane{publicLane(), passthroughLane()} {
		for _, s := range []side{l.old, l.new} {
			f.ingress(s, net, &pod)
			f.create(gatewayObject(l, s, w.apps))
		}
	}
	f.secrets(w.apps, ca)
	for _, a := range w.apps {
		f.application(a)
	}
	return f.err
}

func kind(version, name string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: name}
}

func (f *fixture) node(n node) {
	f.create(&corev1.Node{
		TypeMeta: kind("v1", "Node"),
		ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{
			corev1.LabelHostname: n.name, corev1.LabelTopologyZone: n.zone, corev1.LabelTopologyRegion: region,
		}},
		Spec: corev1.NodeSpec{ProviderID: "aws:///" + n.zone + "/" + n.instance},
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: n.address.String()},
				{Type: corev1.NodeHostName, Address: n.name},
			},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}},
		},
	})
}

// meshConfig is istiod's configuration of the mesh, with access logs as Big Bang has them.
func meshConfig(accessLogFile string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   kind("v1", "ConfigMap"),
		ObjectMeta: metav1.ObjectMeta{Name: gateway.MeshConfigName, Namespace: gateway.MeshConfigNamespace},
		Data:       map[string]string{"mesh": fmt.Sprintf("accessLogFile: %q\n", accessLogFile)},
	}
}

// istiod carries the setting under which the gateways run: a Gateway configures
// the pods of its own namespace only.
func (f *fixture) istiod() {
	f.create(meshConfig("/dev/stdout"))
	labels := map[string]string{"app": "istiod"}
	replicas := int32(1)
	f.create(&appsv1.Deployment{
		TypeMeta:   kind("apps/v1", "Deployment"),
		ObjectMeta: metav1.ObjectMeta{Name: "istiod", Namespace: "istio-system", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "discovery", Image: "istio/pilot",
					Env: []corev1.EnvVar{{Name: "PILOT_SCOPE_GATEWAY_TO_NAMESPACE", Value: "true"}},
				}}},
			},
		},
		Status: available(replicas),
	})
}

func available(replicas int32) appsv1.DeploymentStatus {
	return appsv1.DeploymentStatus{
		Replicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas, UpdatedReplicas: replicas,
	}
}

// ingress creates one side's workload: Deployment, NodePort Service and a ready
// pod on every node. pod counts the pods' addresses.
func (f *fixture) ingress(s side, net *network, pod *int) {
	labels := map[string]string{"app": s.service, "istio": "ingressgateway"}
	meta := metav1.ObjectMeta{Name: s.service, Namespace: s.namespace, Labels: labels}
	replicas := int32(nodeCount)
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "istio-proxy", Image: "istio/proxyv2", Ports: []corev1.ContainerPort{
		{ContainerPort: 15021}, {ContainerPort: 8080}, {ContainerPort: 8443},
	}}}}
	f.create(&appsv1.Deployment{
		TypeMeta: kind("apps/v1", "Deployment"), ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
		Status: available(replicas),
	})
	f.create(&corev1.Service{
		TypeMeta: kind("v1", "Service"), ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: labels, Ports: servicePorts(s),
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster,
		},
	})
	for i, n := range net.nodes() {
		onNode := spec
		onNode.NodeName = n.name
		f.create(&corev1.Pod{
			TypeMeta:   kind("v1", "Pod"),
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-7d9c5b6f4-%05d", s.service, s.status%1000*10+i), Namespace: s.namespace, Labels: labels},
			Spec:       onNode,
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, PodIP: net.address(byte(*pod)).String(), HostIP: n.address.String(),
				Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "istio-proxy", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}}},
			},
		})
		*pod++
	}
}

// servicePorts are named as Big Bang's operator names them on the old side and
// as the guide does on the new one.
func servicePorts(s side) []corev1.ServicePort {
	port := func(name string, number, target, nodePort int) corev1.ServicePort {
		return corev1.ServicePort{
			Name: name, Protocol: corev1.ProtocolTCP, Port: int32(number),
			TargetPort: intstr.FromInt(target), NodePort: int32(nodePort),
		}
	}
	if s.namespace == "istio-system" {
		return []corev1.ServicePort{
			port("status-port", 15021, 15021, s.status), port("http2", 80, 8080, s.http),
			port("https", 443, 8443, s.https), port("tls", 15443, 15443, s.https+100),
		}
	}
	return []corev1.ServicePort{
		port("status-port", 15021, 15021, s.status), port("http", 80, 8080, s.http), port("https", 443, 8443, s.https),
	}
}

// secrets creates the public lane's certificate for both sides, and the
// expired ones that the new Gateway names for single hosts.
func (f *fixture) secrets(apps []app, ca *authority) {
	pair, err := ca.issue(time.Now().AddDate(0, 2, 0), nil, publicNames()...)
	if err != nil {
		f.err = err
		return
	}
	f.secret("istio-system", publicCert, pair, map[string]string{keepAnnotation: "keep"})
	f.secret("istio-gateway", publicCert, pair, nil)
	for _, a := range apps {
		if !a.ownCertificate {
			continue
		}
		expired, err := ca.issue(time.Now().AddDate(0, 0, -9), nil, a.fullHost())
		if err != nil {
			f.err = err
			return
		}
		f.secret("istio-gateway", a.name+"-cert", expired, nil)
	}
}

func (f *fixture) secret(namespace, name string, pair tls.Certificate, annotations map[string]string) {
	chain, key, err := pemPair(pair)
	if err != nil {
		f.err = err
		return
	}
	f.create(&corev1.Secret{
		TypeMeta:   kind("v1", "Secret"),
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Annotations: annotations},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: chain, corev1.TLSPrivateKeyKey: key},
	})
}
