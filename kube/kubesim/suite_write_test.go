package kubesim

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func asStatus(err error, status *apierrors.APIStatus) bool { return errors.As(err, status) }

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func pod(name, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "gateway"}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "istio-proxy", Image: "proxyv2"}}},
	}
}

// testTypedCore goes through every core kind with client-go's own clients, which speak protobuf unless told otherwise.
func testTypedCore(t *testing.T, e *env) {
	opts := metav1.CreateOptions{}
	secret, err := e.core.CoreV1().Secrets(e.ns).Create(e.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cert"}, StringData: map[string]string{"cert": "text"}}, opts)
	if err != nil {
		t.Fatal(err)
	}
	if string(secret.Data["cert"]) != "text" || len(secret.StringData) != 0 || secret.Type != corev1.SecretTypeOpaque {
		t.Errorf("stringData was not taken into data: %v, type %q", secret.StringData, secret.Type)
	}
	if secret.UID == "" || secret.ResourceVersion == "" || secret.CreationTimestamp.IsZero() {
		t.Errorf("metadata is not filled in: %+v", secret.ObjectMeta)
	}
	svc, err := e.core.CoreV1().Services(e.ns).Create(e.ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": "gateway"}, Ports: []corev1.ServicePort{{Name: "https", Port: 443}, {Name: "http", Port: 80}}},
	}, opts)
	if err != nil {
		t.Fatal(err)
	}
	if svc.Spec.ClusterIP == "" || svc.Spec.Ports[0].NodePort == 0 || svc.Spec.Ports[0].NodePort == svc.Spec.Ports[1].NodePort || svc.Spec.Ports[0].TargetPort.IntValue() != 443 || svc.Spec.Ports[0].Protocol != corev1.ProtocolTCP {
		t.Errorf("the Service's defaults are missing: %+v", svc.Spec)
	}
	created, err := e.core.CoreV1().Pods(e.ns).Create(e.ctx, pod("gateway-1", ""), opts)
	if err != nil {
		t.Fatal(err)
	}
	if created.Status.Phase != corev1.PodPending || created.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		t.Errorf("a new pod is %q with restart policy %q", created.Status.Phase, created.Spec.RestartPolicy)
	}
	holder := "cutover"
	if _, err := e.core.CoordinationV1().Leases(e.ns).Create(e.ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "cutover"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}, opts); err != nil {
		t.Error(err)
	}
	ready := true
	if _, err := e.core.DiscoveryV1().EndpointSlices(e.ns).Create(e.ctx, &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway-abc"}, AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.2.3"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}, opts); err != nil {
		t.Error(err)
	}
	labels := map[string]string{"app": "gateway"}
	deployment, err := e.core.AppsV1().Deployments(e.ns).Create(e.ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway"},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod("", "").Spec}},
	}, opts)
	if err != nil {
		t.Fatal(err)
	}
	if deployment.Generation != 1 || deployment.Spec.Replicas == nil || *deployment.Spec.Replicas != 1 {
		t.Errorf("a new Deployment has generation %d, replicas %v", deployment.Generation, deployment.Spec.Replicas)
	}
	if _, err := e.core.CoreV1().Events(e.ns).Create(e.ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway.1"}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: e.ns, Name: "gateway-1"}, Reason: "Started", Type: "Normal",
	}, opts); err != nil {
		t.Error(err)
	}
	cm := e.configMap(t, "values", nil)
	cm.Data = map[string]string{"a": "b"}
	updated, err := e.core.CoreV1().ConfigMaps(e.ns).Update(e.ctx, cm, metav1.UpdateOptions{})
	if err != nil || updated.Data["a"] != "b" || updated.ResourceVersion == cm.ResourceVersion {
		t.Errorf("update: %v, %v", updated, err)
	}
	if err := e.core.CoreV1().ConfigMaps(e.ns).Delete(e.ctx, "values", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	_, err = e.core.CoreV1().ConfigMaps(e.ns).Get(e.ctx, "values", metav1.GetOptions{})
	wantStatus(t, err, 404, metav1.StatusReasonNotFound, `configmaps "values" not found`)
}

func testIstioVersions(t *testing.T, e *env) {
	vs := e.virtualService(t, "argocd", "argocd.bigbang.example")
	if vs.Generation != 1 {
		t.Errorf("a new object has generation %d", vs.Generation)
	}
	beta, err := e.istio.NetworkingV1beta1().VirtualServices(e.ns).Get(e.ctx, "argocd", metav1.GetOptions{})
	if err != nil || beta.UID != vs.UID || beta.ResourceVersion != vs.ResourceVersion || beta.Spec.Hosts[0] != "argocd.bigbang.example" {
		t.Fatalf("v1beta1 reads %v, %v", beta, err)
	}
	beta.Spec.Gateways = append(beta.Spec.Gateways, "istio-gateway/public-ingressgateway")
	if _, err := e.istio.NetworkingV1beta1().VirtualServices(e.ns).Update(e.ctx, beta, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	alpha, err := e.istio.NetworkingV1alpha3().VirtualServices(e.ns).Get(e.ctx, "argocd", metav1.GetOptions{})
	if err != nil || len(alpha.Spec.Gateways) != 2 || alpha.Generation != 2 {
		t.Fatalf("v1alpha3 reads %v, %v", alpha, err)
	}
	touched, err := e.istio.NetworkingV1().VirtualServices(e.ns).Patch(e.ctx, "argocd", types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}}}`), metav1.PatchOptions{})
	if err != nil || touched.Generation != 2 || touched.ResourceVersion == alpha.ResourceVersion {
		t.Errorf("an annotation: generation %d, resource version %s, %v", touched.Generation, touched.ResourceVersion, err)
	}
	if _, err := e.istio.NetworkingV1().Gateways(e.ns).Create(e.ctx, &networkingv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: "public"},
		Spec:       networkingapi.Gateway{Selector: map[string]string{"app": "gateway"}, Servers: []*networkingapi.Server{{Hosts: []string{"*"}, Port: &networkingapi.Port{Name: "https", Number: 8443, Protocol: "HTTPS"}}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	list, err := e.istio.NetworkingV1beta1().Gateways(e.ns).List(e.ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Spec.Servers[0].Port.Number != 8443 {
		t.Errorf("v1beta1 lists %v, %v", list, err)
	}
}

func testConflicts(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	stale := e.virtualService(t, "argocd", "a.example")
	fresh := stale.DeepCopy()
	fresh.Spec.Hosts = []string{"b.example"}
	if _, err := client.Update(e.ctx, fresh, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := client.Update(e.ctx, stale, metav1.UpdateOptions{})
	wantStatus(t, err, 409, metav1.StatusReasonConflict, `Operation cannot be fulfilled on virtualservices.networking.istio.io "argocd": the object has been modified; please apply your changes to the latest version and try again`)
	_, err = client.Patch(e.ctx, "argocd", types.MergePatchType, []byte(`{"metadata":{"resourceVersion":"`+stale.ResourceVersion+`"},"spec":{"hosts":["c.example"]}}`), metav1.PatchOptions{})
	wantStatus(t, err, 409, metav1.StatusReasonConflict, "the object has been modified")

	fresh.ResourceVersion = ""
	_, err = client.Update(e.ctx, fresh, metav1.UpdateOptions{})
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "must be specified for an update")
	cm := e.configMap(t, "values", nil)
	cm.ResourceVersion = ""
	cm.Data = map[string]string{"a": "b"}
	if _, err := e.core.CoreV1().ConfigMaps(e.ns).Update(e.ctx, cm, metav1.UpdateOptions{}); err != nil {
		t.Errorf("a core kind is updated unconditionally: %v", err)
	}
	_, err = client.Create(e.ctx, &networkingv1.VirtualService{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}}, metav1.CreateOptions{})
	wantStatus(t, err, 409, metav1.StatusReasonAlreadyExists, `virtualservices.networking.istio.io "argocd" already exists`)
	fresh.Name = "absent"
	fresh.ResourceVersion = stale.ResourceVersion
	_, err = client.Update(e.ctx, fresh, metav1.UpdateOptions{})
	wantStatus(t, err, 404, metav1.StatusReasonNotFound, `virtualservices.networking.istio.io "absent" not found`)
}

func testPreconditions(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	vs := e.virtualService(t, "argocd", "a.example")
	wrong := types.UID("00000000-0000-0000-0000-000000000000")
	err := client.Delete(e.ctx, "argocd", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	wantStatus(t, err, 409, metav1.StatusReasonConflict, `Operation cannot be fulfilled on VirtualService.networking.istio.io "argocd": the UID in the precondition (`+string(wrong)+`) does not match the UID in record`)
	old := "1"
	err = client.Delete(e.ctx, "argocd", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &old}})
	wantStatus(t, err, 409, metav1.StatusReasonConflict, "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ("+vs.ResourceVersion+")")
	other := vs.DeepCopy()
	other.UID = wrong
	_, err = client.Update(e.ctx, other, metav1.UpdateOptions{})
	wantStatus(t, err, 409, metav1.StatusReasonConflict, "Precondition failed: UID in precondition: "+string(wrong))
	if err := client.Delete(e.ctx, "argocd", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &vs.UID, ResourceVersion: &vs.ResourceVersion}}); err != nil {
		t.Error(err)
	}
	secret, err := e.core.CoreV1().Secrets(e.ns).Create(e.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cert"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = e.core.CoreV1().Secrets(e.ns).Delete(e.ctx, "cert", metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(wrong))})
	wantStatus(t, err, 409, metav1.StatusReasonConflict, `Operation cannot be fulfilled on Secret "cert": the UID in the precondition`)
	if err := e.core.CoreV1().Secrets(e.ns).Delete(e.ctx, "cert", metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(secret.UID))}); err != nil {
		t.Error(err)
	}
}

func testJSONPatch(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	e.virtualService(t, "argocd", "a.example")
	patch := func(body string) (*networkingv1.VirtualService, error) {
		return client.Patch(e.ctx, "argocd", types.JSONPatchType, []byte(body), metav1.PatchOptions{})
	}
	vs, err := patch(`[{"op":"test","path":"/spec/gateways","value":["istio-system/public"]},{"op":"add","path":"/spec/gateways/-","value":"istio-gateway/public-ingressgateway"}]`)
	if err != nil || len(vs.Spec.Gateways) != 2 || vs.Generation != 2 {
		t.Fatalf("patched to %v, %v", vs, err)
	}
	_, err = patch(`[{"op":"test","path":"/spec/gateways","value":["istio-system/public"]},{"op":"remove","path":"/spec/gateways/1"}]`)
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "the server rejected our request due to an error in our request")
	_, err = patch(`[{"op":"remove","path":"/spec/absent/1"}]`)
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "")
	_, err = patch(`{"not":"a list"}`)
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, "")
	got, err := client.Get(e.ctx, "argocd", metav1.GetOptions{})
	if err != nil || got.ResourceVersion != vs.ResourceVersion {
		t.Errorf("a refused patch has changed something: %v, %v", got, err)
	}
	same, err := patch(`[{"op":"replace","path":"/spec/hosts/0","value":"a.example"}]`)
	if err != nil || same.ResourceVersion != vs.ResourceVersion {
		t.Errorf("a patch that changes nothing made revision %s of %s, %v", same.ResourceVersion, vs.ResourceVersion, err)
	}
	_, err = client.Patch(e.ctx, "absent", types.JSONPatchType, []byte(`[]`), metav1.PatchOptions{})
	wantStatus(t, err, 404, metav1.StatusReasonNotFound, "not found")
}

func testMergePatches(t *testing.T, e *env) {
	e.virtualService(t, "argocd", "a.example")
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	vs, err := client.Patch(e.ctx, "argocd", types.MergePatchType, []byte(`{"metadata":{"annotations":{"helm.sh/resource-policy":"keep"}},"spec":{"gateways":null}}`), metav1.PatchOptions{})
	if err != nil || vs.Annotations["helm.sh/resource-policy"] != "keep" || vs.Spec.Gateways != nil {
		t.Errorf("merged to %v, %v", vs, err)
	}
	_, err = client.Patch(e.ctx, "argocd", types.MergePatchType, []byte(`{"spec":`), metav1.PatchOptions{})
	wantStatus(t, err, 400, metav1.StatusReasonBadRequest, "")
	_, err = client.Patch(e.ctx, "argocd", types.StrategicMergePatchType, []byte(`{}`), metav1.PatchOptions{})
	wantStatus(t, err, 415, metav1.StatusReasonUnsupportedMediaType, "application/merge-patch+json")

	if _, err := e.core.CoreV1().Services(e.ns).Create(e.ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}, {Name: "http", Port: 80}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	svc, err := e.core.CoreV1().Services(e.ns).Patch(e.ctx, "gateway", types.StrategicMergePatchType, []byte(`{"spec":{"ports":[{"port":80,"$patch":"delete"},{"port":15021,"name":"status"}]}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]int32{}
	for _, p := range svc.Spec.Ports {
		ports[p.Name] = p.Port
	}
	if want := map[string]int32{"https": 443, "status": 15021}; !maps.Equal(ports, want) {
		t.Errorf("strategic merge left the ports %v, want %v", ports, want)
	}
}

func testDryRun(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	all := []string{metav1.DryRunAll}
	vs := &networkingv1.VirtualService{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}, Spec: networkingapi.VirtualService{Hosts: []string{"a.example"}}}
	tried, err := client.Create(e.ctx, vs, metav1.CreateOptions{DryRun: all})
	if err != nil || tried.UID == "" {
		t.Errorf("dry run of a creation: %v, %v", tried, err)
	}
	_, err = client.Get(e.ctx, "argocd", metav1.GetOptions{})
	wantStatus(t, err, 404, metav1.StatusReasonNotFound, "")
	real := e.virtualService(t, "argocd", "a.example")
	patched, err := client.Patch(e.ctx, "argocd", types.MergePatchType, []byte(`{"spec":{"hosts":["b.example"]}}`), metav1.PatchOptions{DryRun: all})
	if err != nil || patched.Spec.Hosts[0] != "b.example" {
		t.Errorf("dry run of a patch: %v, %v", patched, err)
	}
	if err := client.Delete(e.ctx, "argocd", metav1.DeleteOptions{DryRun: all}); err != nil {
		t.Error(err)
	}
	got, err := client.Get(e.ctx, "argocd", metav1.GetOptions{})
	if err != nil || got.ResourceVersion != real.ResourceVersion || got.Spec.Hosts[0] != "a.example" {
		t.Errorf("after dry runs: %v, %v", got, err)
	}
}

func testValidation(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	create := func(meta metav1.ObjectMeta) error {
		_, err := client.Create(e.ctx, &networkingv1.VirtualService{ObjectMeta: meta}, metav1.CreateOptions{})
		return err
	}
	wantStatus(t, create(metav1.ObjectMeta{Name: "Not_A_Name"}), 422, metav1.StatusReasonInvalid, "a lowercase RFC 1123 subdomain must consist of")
	wantStatus(t, create(metav1.ObjectMeta{Name: "a\x1b[31m"}), 422, metav1.StatusReasonInvalid, "metadata.name: Invalid value")
	wantStatus(t, create(metav1.ObjectMeta{}), 422, metav1.StatusReasonInvalid, "name or generateName is required")
	wantStatus(t, create(metav1.ObjectMeta{Name: "a", Labels: map[string]string{"k": "not a value"}}), 422, metav1.StatusReasonInvalid, "metadata.labels: Invalid value")
	wantStatus(t, create(metav1.ObjectMeta{Name: "a", Annotations: map[string]string{"not a key": "v"}}), 422, metav1.StatusReasonInvalid, "metadata.annotations: Invalid value")
	wantStatus(t, create(metav1.ObjectMeta{Name: "a", Namespace: "other"}), 400, metav1.StatusReasonBadRequest, "does not match the namespace")
	wantStatus(t, create(metav1.ObjectMeta{Name: "a", ResourceVersion: "5"}), 500, metav1.StatusReasonUnknown, "resourceVersion should not be set on objects to be created")
	if err := create(metav1.ObjectMeta{Name: "escape", Annotations: map[string]string{"note": "\x1b[2Jgone"}}); err != nil {
		t.Errorf("annotations may carry control characters: %v", err)
	}
	_, err := e.core.CoreV1().ConfigMaps("absent").Create(e.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
	wantStatus(t, err, 404, metav1.StatusReasonNotFound, `namespaces "absent" not found`)
	_, err = e.core.CoreV1().Namespaces().Create(e.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "with.dot"}}, metav1.CreateOptions{})
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "metadata.name: Invalid value")
	_, err = e.core.CoreV1().Secrets(e.ns).Create(e.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "big"}, Data: map[string][]byte{"a": make([]byte, 1<<20+1)}}, metav1.CreateOptions{})
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "1048576")
	_, err = e.core.CoreV1().Secrets(e.ns).Create(e.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "tls"}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": {}}}, metav1.CreateOptions{})
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "data[tls.key]: Required value")
	_, err = e.core.CoreV1().Pods(e.ns).Create(e.ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "empty"}}, metav1.CreateOptions{})
	wantStatus(t, err, 422, metav1.StatusReasonInvalid, "spec.containers: Required value")

	base := "/api/v1/namespaces/" + e.ns + "/configmaps"
	code, _, body := e.call(t, "POST", base+"?fieldValidation=Strict", "", "application/json", `{"metadata":{"name":"strict"},"dat":{}}`)
	if code != 400 || !strings.Contains(body, `unknown field \"dat\"`) {
		t.Errorf("an unknown field under strict validation: %d %s", code, body)
	}
	code, _, body = e.call(t, "POST", base, "", "application/json", `{"metadata":{"name":"loose"},"dat":{}}`)
	if code != 201 || strings.Contains(body, `"dat"`) {
		t.Errorf("an unknown field is dropped: %d %s", code, body)
	}
	code, _, _ = e.call(t, "POST", base, "", "application/json", `{"metadata":{"name":"typed"},"data":{"a":1}}`)
	if code != 400 {
		t.Errorf("a value of the wrong type: %d", code)
	}
	code, _, _ = e.call(t, "POST", base, "", "application/json", `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"kind"}}`)
	if code != 400 {
		t.Errorf("an object of another kind: %d", code)
	}
}

func testNodePorts(t *testing.T, e *env) {
	client := e.core.CoreV1().Services(e.ns)
	create := func(name string, port int32) error {
		_, err := client.Create(e.ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 443, NodePort: port}}},
		}, metav1.CreateOptions{})
		return err
	}
	if err := create("old", 31443); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, create("new", 31443), 422, metav1.StatusReasonInvalid, `Service "new" is invalid: spec.ports[0].nodePort: Invalid value: 31443: provided port is already allocated`)
	wantStatus(t, create("low", 443), 422, metav1.StatusReasonInvalid, "provided port is not in the valid range. The range of valid ports is 30000-32767")
	svc, err := client.Get(e.ctx, "old", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc.Spec.Ports[0].NodePort = 0
	svc.Labels = map[string]string{"a": "b"}
	if svc, err = client.Update(e.ctx, svc, metav1.UpdateOptions{}); err != nil || svc.Spec.Ports[0].NodePort != 31443 {
		t.Errorf("a NodePort that is left out is kept: %v, %v", svc.Spec.Ports, err)
	}
	if err := client.Delete(e.ctx, "old", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := create("new", 31443); err != nil {
		t.Errorf("a NodePort is free again after its Service is deleted: %v", err)
	}
}

func testFinalizers(t *testing.T, e *env) {
	client := e.istio.NetworkingV1().VirtualServices(e.ns)
	if _, err := client.Create(e.ctx, &networkingv1.VirtualService{ObjectMeta: metav1.ObjectMeta{Name: "argocd", Finalizers: []string{"example.com/hold"}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.Delete(e.ctx, "argocd", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := client.Get(e.ctx, "argocd", metav1.GetOptions{})
	if err != nil || got.DeletionTimestamp == nil {
		t.Fatalf("a held object is marked: %v, %v", got, err)
	}
	if _, err := client.Patch(e.ctx, "argocd", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = client.Get(e.ctx, "argocd", metav1.GetOptions{})
	wantStatus(t, err, 404, metav1.StatusReasonNotFound, "")
}

func testStatus(t *testing.T, e *env) {
	client := e.core.CoreV1().Pods(e.ns)
	p := pod("gateway-1", "")
	p.Status.Phase = corev1.PodRunning
	created, err := client.Create(e.ctx, p, metav1.CreateOptions{})
	if err != nil || created.Status.Phase != corev1.PodPending {
		t.Fatalf("a pod begins as %q, %v", created.Status.Phase, err)
	}
	created.Status.Phase = corev1.PodRunning
	created.Labels["ignored"] = "yes"
	running, err := client.UpdateStatus(e.ctx, created, metav1.UpdateOptions{})
	if err != nil || running.Status.Phase != corev1.PodRunning || running.Generation != created.Generation {
		t.Fatalf("status update: %q, generation %d, %v", running.Status.Phase, running.Generation, err)
	}
	running.Status.Phase = corev1.PodFailed
	running.Annotations = map[string]string{"a": "b"}
	updated, err := client.Update(e.ctx, running, metav1.UpdateOptions{})
	if err != nil || updated.Status.Phase != corev1.PodRunning || updated.Annotations["a"] != "b" {
		t.Errorf("an update leaves the status alone: %q, %v", updated.Status.Phase, err)
	}
	var patch []byte
	if patch, err = json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}}); err != nil {
		t.Fatal(err)
	}
	ready, err := client.Patch(e.ctx, "gateway-1", types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil || len(ready.Status.Conditions) == 0 {
		t.Errorf("status patch: %v, %v", ready, err)
	}
}
