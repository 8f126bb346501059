package kubesim

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"

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

// prepareService gives a Service its defaults, its cluster address and its NodePorts, and refuses a NodePort that another
// Service holds or that is out of range.
func (s *Server) prepareService(sh *shelf, obj, old *unstructured.Unstructured) field.ErrorList {
	var svc, before corev1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &svc); err != nil {
		return field.ErrorList{field.InternalError(field.NewPath("spec"), err)}
	}
	if old != nil {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(old.Object, &before); err != nil {
			return field.ErrorList{field.InternalError(field.NewPath("spec"), err)}
		}
	}
	errs := defaultService(&svc, &before)
	if svc.Spec.Type != corev1.ServiceTypeExternalName {
		s.giveClusterIP(&svc)
	}
	if svc.Spec.Type == corev1.ServiceTypeNodePort || svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		errs = append(errs, giveNodePorts(&svc, heldNodePorts(sh, &svc))...)
	}
	spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&svc.Spec)
	if err != nil {
		return append(errs, field.InternalError(field.NewPath("spec"), err))
	}
	obj.Object["spec"] = spec
	return errs
}

func defaultService(svc, before *corev1.Service) field.ErrorList {
	spec := &svc.Spec
	spec.Type = cmp.Or(spec.Type, corev1.ServiceTypeClusterIP)
	spec.SessionAffinity = cmp.Or(spec.SessionAffinity, corev1.ServiceAffinityNone)
	if spec.InternalTrafficPolicy == nil && spec.Type != corev1.ServiceTypeExternalName {
		policy := corev1.ServiceInternalTrafficPolicyCluster
		spec.InternalTrafficPolicy = &policy
	}
	external := spec.Type == corev1.ServiceTypeNodePort || spec.Type == corev1.ServiceTypeLoadBalancer
	if external {
		spec.ExternalTrafficPolicy = cmp.Or(spec.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if spec.ClusterIP == "" {
		spec.ClusterIP, spec.ClusterIPs = before.Spec.ClusterIP, before.Spec.ClusterIPs
	}
	path := field.NewPath("spec", "ports")
	var errs field.ErrorList
	if len(spec.Ports) == 0 && spec.ClusterIP != corev1.ClusterIPNone && spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(path, ""))
	}
	for i := range spec.Ports {
		p := &spec.Ports[i]
		p.Protocol = cmp.Or(p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
		if p.Port < 1 || p.Port > 65535 {
			errs = append(errs, field.Invalid(path.Index(i).Child("port"), p.Port, "must be between 1 and 65535, inclusive"))
		}
		if p.Name == "" && len(spec.Ports) > 1 {
			errs = append(errs, field.Required(path.Index(i).Child("name"), ""))
		}
		if !external && p.NodePort != 0 {
			errs = append(errs, field.Forbidden(path.Index(i).Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
		// A port that is not named again keeps the NodePort that it had.
		for _, was := range before.Spec.Ports {
			if external && p.NodePort == 0 && was.Port == p.Port && was.Protocol == p.Protocol {
				p.NodePort = was.NodePort
			}
		}
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
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	if spec.IPFamilyPolicy == nil {
		policy := corev1.IPFamilyPolicySingleStack
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
