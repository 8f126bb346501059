package kubesim

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The NodePort range is kube-apiserver's default, the addresses lie in kubeadm's default service network.
const (
	firstNodePort = 30000
	lastNodePort  = 32767
)

// nodePort is what must be unique among all Services of a cluster.
type nodePort struct {
	protocol corev1.Protocol
	port     int32
}

// prepareService gives a Service its cluster address and its NodePorts, and refuses a NodePort that another Service holds or
// that is out of range.
func (s *Server) prepareService(sh *shelf, svc *corev1.Service, before runtime.Object) field.ErrorList {
	old, ok := before.(*corev1.Service)
	if !ok {
		old = &corev1.Service{}
	}
	keepGiven(svc, old)
	errs := serviceErrors(svc)
	if len(errs) == 0 && old.Spec.ClusterIP != "" && svc.Spec.ClusterIP != "" && svc.Spec.ClusterIP != old.Spec.ClusterIP && svc.Spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Invalid(field.NewPath("spec", "clusterIPs").Index(0), []string{svc.Spec.ClusterIP}, "may not change once set"))
	}
	if len(errs) > 0 {
		return errs
	}
	if svc.Spec.Type != corev1.ServiceTypeExternalName {
		s.giveClusterIP(svc)
	}
	if external(svc) {
		errs = giveNodePorts(svc, heldNodePorts(sh, svc))
	}
	return errs
}

// keepGiven leaves a Service what it was given before, as far as the client does not say otherwise.
func keepGiven(svc, old *corev1.Service) {
	spec := &svc.Spec
	if spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	switch {
	case spec.ClusterIP == "":
		spec.ClusterIP, spec.ClusterIPs = old.Spec.ClusterIP, old.Spec.ClusterIPs
	case spec.ClusterIP != old.Spec.ClusterIP:
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = old.Spec.IPFamilies
	}
	if spec.IPFamilyPolicy == nil {
		spec.IPFamilyPolicy = old.Spec.IPFamilyPolicy
	}
	for i := range spec.Ports {
		p := &spec.Ports[i]
		for _, was := range old.Spec.Ports {
			if external(svc) && p.NodePort == 0 && was.Port == p.Port && was.Protocol == p.Protocol {
				p.NodePort = was.NodePort
			}
		}
	}
}

func serviceErrors(svc *corev1.Service) field.ErrorList {
	spec, at := &svc.Spec, field.NewPath("spec")
	types := []corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort}
	var errs field.ErrorList
	if len(spec.Ports) == 0 && spec.ClusterIP != corev1.ClusterIPNone && spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(at.Child("ports"), ""))
	}
	if !slices.Contains(types, spec.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), spec.Type, types))
	}
	names, ports := map[string]bool{}, map[nodePort]bool{}
	for i, p := range spec.Ports {
		path := at.Child("ports").Index(i)
		errs = append(errs, portErrors(svc, p, path)...)
		if p.Name != "" && names[p.Name] {
			errs = append(errs, field.Duplicate(path.Child("name"), p.Name))
		}
		key := nodePort{p.Protocol, p.Port}
		if ports[key] {
			errs = append(errs, field.Duplicate(path, corePort{Protocol: p.Protocol, Port: p.Port}))
		}
		names[p.Name], ports[key] = true, true
	}
	if spec.ExternalTrafficPolicy != "" && !external(svc) && len(spec.ExternalIPs) == 0 {
		errs = append(errs, field.Invalid(at.Child("externalTrafficPolicy"), spec.ExternalTrafficPolicy, "may only be set for externally-accessible services"))
	}
	return errs
}

// corePort is how a real API server shows its own type of a port.
type corePort struct {
	Name        string
	Protocol    corev1.Protocol
	AppProtocol *string
	Port        int32
	TargetPort  int
	NodePort    int32
}

func portErrors(svc *corev1.Service, p corev1.ServicePort, path *field.Path) field.ErrorList {
	const inRange = "must be between 1 and 65535, inclusive"
	protocols := []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
	var errs field.ErrorList
	switch {
	case p.Name != "":
		errs = append(errs, labelErrors(p.Name, path.Child("name"))...)
	case len(svc.Spec.Ports) > 1:
		errs = append(errs, field.Required(path.Child("name"), ""))
	}
	if p.Port < 1 || p.Port > 65535 {
		errs = append(errs, field.Invalid(path.Child("port"), p.Port, inRange))
	}
	if !slices.Contains(protocols, p.Protocol) {
		errs = append(errs, field.NotSupported(path.Child("protocol"), p.Protocol, protocols))
	}
	if n := p.TargetPort.IntVal; p.TargetPort.Type == intstr.Int && (n < 1 || n > 65535) {
		errs = append(errs, field.Invalid(path.Child("targetPort"), n, inRange))
	}
	if !external(svc) && p.NodePort != 0 {
		errs = append(errs, field.Forbidden(path.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
	}
	return errs
}

// giveClusterIP takes the next address of the service network.
func (s *Server) giveClusterIP(svc *corev1.Service) {
	spec := &svc.Spec
	if spec.ClusterIP == "" {
		s.nextIP++
		base := netip.AddrFrom4([4]byte{10, 96, 0, 0}).As4()
		binary.BigEndian.PutUint32(base[:], binary.BigEndian.Uint32(base[:])+s.nextIP)
		spec.ClusterIP = netip.AddrFrom4(base).String()
	}
	if len(spec.ClusterIPs) == 0 {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
	// A headless Service without a selector may have endpoints of both families.
	policy, families := corev1.IPFamilyPolicySingleStack, []corev1.IPFamily{corev1.IPv4Protocol}
	if spec.ClusterIP == corev1.ClusterIPNone && len(spec.Selector) == 0 {
		policy, families = corev1.IPFamilyPolicyRequireDualStack, append(families, corev1.IPv6Protocol)
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = families
	}
	if spec.IPFamilyPolicy == nil {
		spec.IPFamilyPolicy = &policy
	}
}

// heldNodePorts are those of all other Services.
func heldNodePorts(sh *shelf, svc *corev1.Service) map[nodePort]bool {
	held := map[nodePort]bool{}
	for key, rec := range sh.objects {
		if key == objectKey(svc.Namespace, svc.Name) {
			continue
		}
		ports, _, _ := unstructured.NestedSlice(rec.obj.Object, "spec", "ports")
		for _, p := range ports {
			port, ok := p.(map[string]any)
			if !ok {
				continue
			}
			number, _, _ := unstructured.NestedInt64(port, "nodePort")
			protocol, _, _ := unstructured.NestedString(port, "protocol")
			if number != 0 {
				held[nodePort{corev1.Protocol(protocol), int32(number)}] = true
			}
		}
	}
	return held
}

func giveNodePorts(svc *corev1.Service, held map[nodePort]bool) field.ErrorList {
	path := field.NewPath("spec", "ports")
	var errs field.ErrorList
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.NodePort == 0 {
			continue
		}
		key := nodePort{p.Protocol, p.NodePort}
		at := path.Index(i).Child("nodePort")
		switch {
		case p.NodePort < firstNodePort || p.NodePort > lastNodePort:
			errs = append(errs, field.Invalid(at, p.NodePort, fmt.Sprintf("provided port is not in the valid range. The range of valid ports is %d-%d", firstNodePort, lastNodePort)))
		case held[key]:
			errs = append(errs, field.Invalid(at, p.NodePort, "provided port is already allocated"))
		}
		held[key] = true
	}
	next := int32(firstNodePort)
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.NodePort != 0 {
			continue
		}
		for next <= lastNodePort && held[nodePort{p.Protocol, next}] {
			next++
		}
		if next > lastNodePort {
			return append(errs, field.InternalError(path.Index(i).Child("nodePort"), fmt.Errorf("failed to allocate a nodePort: range is full")))
		}
		p.NodePort = next
		held[nodePort{p.Protocol, next}] = true
	}
	return errs
}
