package kube

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/model"
)

const (
	keepAnnotation = "helm.sh/resource-policy"
	zoneLabel      = "topology.kubernetes.io/zone"
)

func nameOf(o metav1.Object) model.ObjectName {
	return model.ObjectName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// kept reports whether Helm leaves an object when its release goes.
func kept(o metav1.Object) bool {
	return strings.EqualFold(strings.TrimSpace(o.GetAnnotations()[keepAnnotation]), "keep")
}

func convertGateway(g *networking.Gateway) model.Gateway {
	out := model.Gateway{Name: nameOf(g), Selector: maps.Clone(g.Spec.GetSelector()), Keep: kept(g)}
	for _, s := range g.Spec.GetServers() {
		server := model.Server{
			Hosts: slices.Clone(s.GetHosts()), Port: int(s.GetPort().GetNumber()), Protocol: s.GetPort().GetProtocol(),
		}
		if tls := s.GetTls(); tls != nil {
			server.HTTPSRedirect = tls.GetHttpsRedirect()
			server.CredentialName = tls.GetCredentialName()
			if names := tls.GetCredentialNames(); server.CredentialName == "" && len(names) > 0 {
				server.CredentialName = names[0]
			}
			if !redirectOnly(s) {
				server.TLSMode = tls.GetMode().String()
			}
		}
		out.Servers = append(out.Servers, server)
	}
	return out
}

// redirectOnly reports a server whose tls holds nothing but httpsRedirect: the
// mode that it reads as, PASSTHROUGH, is only the zero value.
func redirectOnly(s *networkingapi.Server) bool {
	return s.GetTls().GetHttpsRedirect() && s.GetTls().GetMode() == networkingapi.ServerTLSSettings_PASSTHROUGH &&
		!slices.Contains([]string{"HTTPS", "TLS"}, strings.ToUpper(s.GetPort().GetProtocol()))
}

func convertVirtualService(v *networking.VirtualService) model.VirtualService {
	out := model.VirtualService{
		Name: nameOf(v), Hosts: slices.Clone(v.Spec.GetHosts()),
		Gateways: slices.Clone(v.Spec.GetGateways()), ExportTo: slices.Clone(v.Spec.GetExportTo()),
	}
	to := func(d *networkingapi.Destination) {
		if d.GetHost() != "" {
			out.Destinations = append(out.Destinations, model.ServiceKey(d.GetHost(), v.Namespace))
		}
	}
	match := func(gateways []string) {
		if len(gateways) > 0 {
			out.MatchGateways = append(out.MatchGateways, slices.Clone(gateways))
		}
	}
	for _, r := range v.Spec.GetHttp() {
		for _, d := range r.GetRoute() {
			to(d.GetDestination())
		}
		if d := r.GetDelegate(); d != nil {
			out.Delegates = append(out.Delegates, model.ObjectName{Namespace: cmp.Or(d.GetNamespace(), v.Namespace), Name: d.GetName()})
		}
		for _, m := range r.GetMatch() {
			match(m.GetGateways())
		}
	}
	for _, r := range v.Spec.GetTls() {
		for _, d := range r.GetRoute() {
			to(d.GetDestination())
		}
		for _, m := range r.GetMatch() {
			match(m.GetGateways())
		}
	}
	for _, r := range v.Spec.GetTcp() {
		for _, d := range r.GetRoute() {
			to(d.GetDestination())
		}
		for _, m := range r.GetMatch() {
			match(m.GetGateways())
		}
	}
	slices.Sort(out.Destinations)
	out.Destinations = slices.Compact(out.Destinations)
	slices.SortFunc(out.Delegates, model.ObjectName.Compare)
	out.Delegates = slices.Compact(out.Delegates)
	return out
}

func convertService(s *corev1.Service) model.Service {
	out := model.Service{
		Name: nameOf(s), Selector: maps.Clone(s.Spec.Selector), ExternalTrafficPolicy: string(s.Spec.ExternalTrafficPolicy),
	}
	for _, p := range s.Spec.Ports {
		port := model.ServicePort{Name: p.Name, Port: int(p.Port), TargetPort: p.TargetPort.IntValue(), NodePort: int(p.NodePort)}
		if p.TargetPort.StrVal == "" && port.TargetPort == 0 {
			port.TargetPort = port.Port // The API's default.
		}
		out.Ports = append(out.Ports, port)
	}
	return out
}

func convertPod(p *corev1.Pod) model.Pod {
	out := model.Pod{Name: nameOf(p), Labels: maps.Clone(p.Labels), Node: p.Spec.NodeName, IP: p.Status.PodIP}
	out.Ended = p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			out.Ready = c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return out
}

func convertNode(n *corev1.Node) model.Node {
	out := model.Node{Name: n.Name, Zone: n.Labels[zoneLabel], InstanceID: instanceID(n.Spec.ProviderID)}
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			out.InternalIP = a.Address
			break
		}
	}
	return out
}

// instanceID returns the EC2 instance of a provider id such as
// "aws:///us-east-1a/i-0abc", "" for any other.
func instanceID(providerID string) string {
	rest, ok := strings.CutPrefix(providerID, "aws://")
	if !ok {
		return ""
	}
	if id := rest[strings.LastIndex(rest, "/")+1:]; strings.HasPrefix(id, "i-") {
		return id
	}
	return ""
}
