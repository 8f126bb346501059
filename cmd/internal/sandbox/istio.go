package sandbox

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const istioVersion = "networking.istio.io/v1"

// gatewayObject is the Gateway of one side: the public lane ends TLS for any
// host, since an ALB sends no server name, the passthrough lane leaves it to
// the applications.
func gatewayObject(l lane, s side, apps []app) map[string]any {
	selector := map[string]any{"app": s.service}
	annotations := map[string]any{}
	if s == l.old {
		annotations[keepAnnotation] = "keep"
	} else {
		selector["istio"] = "ingressgateway"
	}
	hosts := []any{"*"}
	tls := map[string]any{"mode": "SIMPLE", "credentialName": publicCert}
	if l.name == "passthrough" {
		hosts = []any{"*." + domain}
		tls = map[string]any{"mode": "PASSTHROUGH"}
	}
	servers := []any{
		map[string]any{
			"hosts": hosts, "port": map[string]any{"name": "http", "number": int64(8080), "protocol": "HTTP"},
			"tls": map[string]any{"httpsRedirect": true},
		},
		map[string]any{
			"hosts": hosts, "port": map[string]any{"name": "https", "number": int64(8443), "protocol": "HTTPS"},
			"tls": tls,
		},
	}
	for _, a := range apps {
		if a.ownCertificate && s != l.old && a.passthrough() == (l.name == "passthrough") {
			servers = append(servers, map[string]any{
				"hosts": []any{a.fullHost()}, "port": map[string]any{"name": "https-" + a.name, "number": int64(8443), "protocol": "HTTPS"},
				"tls": map[string]any{"mode": "SIMPLE", "credentialName": a.name + "-cert"},
			})
		}
	}
	return map[string]any{
		"apiVersion": istioVersion, "kind": "Gateway",
		"metadata": map[string]any{"name": s.gateway, "namespace": s.namespace, "annotations": annotations},
		"spec":     map[string]any{"selector": selector, "servers": servers},
	}
}

// application creates the Service of an application and its VirtualService.
func (f *fixture) application(a app) {
	port := int64(80)
	if a.passthrough() {
		port = 8443
	}
	labels := map[string]string{"app.kubernetes.io/name": a.name}
	f.create(&corev1.Service{
		TypeMeta:   kind("v1", "Service"),
		ObjectMeta: metav1.ObjectMeta{Name: a.name, Namespace: a.namespace, Labels: labels},
		Spec: corev1.ServiceSpec{
			Selector: labels,
			Ports:    []corev1.ServicePort{{Name: "main", Port: int32(port), TargetPort: intstr.FromInt(8080)}},
		},
	})
	l := publicLane()
	if a.passthrough() {
		l = passthroughLane()
	}
	oldName, newName := l.old.namespace+"/"+l.old.gateway, l.new.namespace+"/"+l.new.gateway
	gateways := []any{oldName, newName}
	if a.oldOnly {
		gateways = gateways[:1]
	}
	to := func(service string) []any {
		return []any{map[string]any{"destination": map[string]any{
			"host": service + "." + a.namespace + ".svc.cluster.local", "port": map[string]any{"number": port},
		}}}
	}
	spec := map[string]any{"hosts": []any{a.fullHost()}, "gateways": gateways}
	if a.passthrough() {
		spec["tls"] = []any{map[string]any{
			"match": []any{map[string]any{"port": int64(8443), "sniHosts": []any{a.fullHost()}}},
			"route": to(a.name),
		}}
	} else {
		routes := []any{map[string]any{"route": to(a.name)}}
		if a.broken {
			// Left from a rehearsal: the Service was scaled away, the route stayed.
			rehearsal := map[string]any{"match": []any{map[string]any{"gateways": []any{newName}}}, "route": to(a.name + "-rehearsal")}
			routes = append([]any{rehearsal}, routes...)
		}
		spec["http"] = routes
	}
	f.create(map[string]any{
		"apiVersion": istioVersion, "kind": "VirtualService",
		"metadata": map[string]any{"name": a.name, "namespace": a.namespace},
		"spec":     spec,
	})
}
