package gateway

import (
	"crypto/tls"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// compile turns one reading of the store into a table.
func compile(world objects, log *slog.Logger) *table {
	t := &table{
		nodes: map[netip.Addr]string{},
		ports: map[uint16]*nodePort{},
		pods:  map[string]*endpoint{},

		gateways:  map[string]*podStats{},
		accessLog: world.accessLog,
	}
	for _, node := range world.nodes {
		for _, address := range node.Status.Addresses {
			ip, err := netip.ParseAddr(address.Address)
			// Nothing but loopback is ever listened on, whatever a Node claims to be.
			if address.Type == corev1.NodeInternalIP && err == nil && ip.IsLoopback() {
				t.nodes[ip] = node.Name
			}
		}
	}
	for _, service := range world.services {
		if len(service.Spec.Selector) == 0 || !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.NodePort > 0 }) {
			continue
		}
		for _, pod := range behind(world, service) {
			t.gateways[pod.Namespace+"/"+pod.Name] = newPodStats(pod)
		}
		endpoints := compileEndpoints(world, service, log)
		for _, e := range endpoints {
			t.pods[e.key()] = e
		}
		for _, port := range service.Spec.Ports {
			if port.NodePort <= 0 || port.NodePort > 65535 {
				continue
			}
			t.ports[uint16(port.NodePort)] = &nodePort{
				namespace: service.Namespace,
				target:    targetPort(port),
				local:     service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
				endpoints: endpoints,
			}
		}
	}
	return t
}

func targetPort(port corev1.ServicePort) int {
	if port.TargetPort.Type == intstr.Int && port.TargetPort.IntVal > 0 {
		return int(port.TargetPort.IntVal)
	}
	return int(port.Port)
}

// behind returns the pods that the Service selects, ready or not.
func behind(world objects, service *corev1.Service) []*corev1.Pod {
	selector := labels.SelectorFromSet(service.Spec.Selector)
	var pods []*corev1.Pod
	for _, pod := range world.pods {
		if pod.Namespace == service.Namespace && selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// compileEndpoints returns the Service's ready pods, each with its listeners.
// Pods with the same labels share them.
func compileEndpoints(world objects, service *corev1.Service, log *slog.Logger) []*endpoint {
	shared := map[string]map[int]*listener{}
	var endpoints []*endpoint
	for _, pod := range behind(world, service) {
		if !ready(pod) {
			continue
		}
		key := labels.FormatLabels(pod.Labels)
		if shared[key] == nil {
			shared[key] = compileListeners(world, service, pod.Labels, log)
		}
		endpoints = append(endpoints, &endpoint{
			namespace: pod.Namespace, pod: pod.Name, node: pod.Spec.NodeName, ip: pod.Status.PodIP, listeners: shared[key],
		})
	}
	return endpoints
}

func ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// compileListeners merges the servers of all Gateways that select the pods.
// Gateways select in their own namespace only: the sandbox's istiod runs with
// PILOT_SCOPE_GATEWAY_TO_NAMESPACE=true, or each side would serve the other's
// VirtualServices.
func compileListeners(world objects, service *corev1.Service, podLabels map[string]string, log *slog.Logger) map[int]*listener {
	listeners := map[int]*listener{}
	for _, gateway := range world.gateways {
		if gateway.Metadata.Namespace != service.Namespace ||
			!labels.SelectorFromSet(gateway.Spec.Selector).Matches(labels.Set(podLabels)) {
			continue
		}
		bound := boundTo(world.virtualServices, gateway)
		for _, s := range gateway.Spec.Servers {
			port := boundPort(service, int(s.Port.Number))
			l := listeners[port]
			if l == nil {
				l = &listener{}
				listeners[port] = l
			}
			switch strings.ToUpper(s.Port.Protocol) {
			case "HTTP", "HTTP2", "GRPC":
				if l.plain == nil {
					l.plain = newHostMap[*virtualHost]()
				}
				addVirtualHosts(l.plain, gateway, s, bound)
			case "HTTPS", "TLS":
				if l.chains == nil {
					l.chains = newHostMap[*chain]()
				}
				addChains(l.chains, world, gateway, s, bound, log)
			}
		}
	}
	return listeners
}

// boundPort returns the port that Envoy binds for a server: the target port
// when the number is a port of the Service, else the number itself.
func boundPort(service *corev1.Service, number int) int {
	for _, port := range service.Spec.Ports {
		if int(port.Port) == number {
			return targetPort(port)
		}
	}
	return number
}

func boundTo(all []*virtualService, gateway *istioGateway) []*virtualService {
	var bound []*virtualService
	for _, vs := range all {
		if vs.names(vs.Spec.Gateways, gateway.Metadata.key()) && vs.exportedTo(gateway.Metadata.Namespace) {
			bound = append(bound, vs)
		}
	}
	return bound
}

func addChains(chains *hostMap[*chain], world objects, gateway *istioGateway, s server, bound []*virtualService, log *slog.Logger) {
	if s.TLS.Mode == "PASSTHROUGH" || s.TLS.Mode == "AUTO_PASSTHROUGH" {
		addPassthrough(chains, gateway, s, bound)
		return
	}
	c := &chain{hosts: newHostMap[*virtualHost](), tls: certificate(world, gateway, s, log)}
	addVirtualHosts(c.hosts, gateway, s, bound)
	for _, name := range s.names() {
		if _, taken := chains.get(name); !taken {
			chains.put(name, c)
		}
	}
}

// addPassthrough makes a chain for each server name that a VirtualService
// routes; Istio makes none for names that no route mentions.
func addPassthrough(chains *hostMap[*chain], gateway *istioGateway, s server, bound []*virtualService) {
	for _, vs := range bound {
		for _, r := range vs.Spec.TLS {
			to := vs.upstream(r.Route)
			for _, match := range r.Match {
				if to == nil || len(match.Gateways) > 0 && !vs.names(match.Gateways, gateway.Metadata.key()) {
					continue
				}
				for _, sni := range match.SNIHosts {
					for _, admitted := range s.admits(gateway.Metadata.Namespace, vs.Metadata.Namespace) {
						name, ok := common(admitted, sni)
						if _, taken := chains.get(name); ok && !taken {
							chains.put(name, &chain{passthrough: to})
						}
					}
				}
			}
		}
	}
}

// certificate loads the server's Secret; nil when it is missing or not a key pair.
func certificate(world objects, gateway *istioGateway, s server, log *slog.Logger) *tls.Config {
	secret := world.secret(gateway.Metadata.Namespace, s.TLS.CredentialName)
	if secret == nil {
		return nil
	}
	cert, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	if len(cert) == 0 {
		cert, key = secret.Data["cert"], secret.Data["key"]
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		log.Warn("certificate of a gateway cannot be used", "gateway", gateway.Metadata.key(), "secret", s.TLS.CredentialName, "error", err)
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
}

// addVirtualHosts adds what one server serves. Several VirtualServices may
// publish one host; their routes are tried one after the other.
func addVirtualHosts(hosts *virtualHosts, gateway *istioGateway, s server, bound []*virtualService) {
	at := func(pattern string) *virtualHost {
		h, ok := hosts.get(pattern)
		if !ok {
			h = &virtualHost{}
			hosts.put(pattern, h)
		}
		h.redirect = h.redirect || s.TLS.HTTPSRedirect
		return h
	}
	if s.TLS.HTTPSRedirect {
		for _, name := range s.names() {
			at(name)
		}
	}
	for _, vs := range bound {
		routes := vs.routes(gateway.Metadata.key())
		if len(vs.Spec.HTTP) == 0 {
			continue
		}
		seen := map[string]bool{}
		for _, host := range vs.Spec.Hosts {
			for _, admitted := range s.admits(gateway.Metadata.Namespace, vs.Metadata.Namespace) {
				name, ok := common(admitted, host)
				if ok && !seen[name] {
					seen[name] = true
					h := at(name)
					h.routes = append(h.routes, routes...)
				}
			}
		}
	}
}

// routes compiles the HTTP routes that apply on the gateway.
func (v *virtualService) routes(gateway string) []*route {
	var routes []*route
	for _, r := range v.Spec.HTTP {
		compiled := &route{name: r.Name, to: v.upstream(r.Route)}
		if compiled.name == "" {
			compiled.name = "default"
		}
		for _, match := range r.Match {
			if len(match.Gateways) > 0 && !v.names(match.Gateways, gateway) {
				continue
			}
			path, method := match.URI.matcher(), func(string) bool { return true }
			if match.Method != nil {
				method = match.Method.matcher()
			}
			compiled.matches = append(compiled.matches, func(m, p string) bool { return method(m) && path(p) })
		}
		applies := len(r.Match) == 0 || len(compiled.matches) > 0
		if applies && compiled.to != nil {
			routes = append(routes, compiled)
		}
	}
	return routes
}

// upstream returns the first destination with its full name; weights between
// destinations are of no interest to a cutover.
func (v *virtualService) upstream(route []destination) *upstream {
	if len(route) == 0 {
		return nil
	}
	to := route[0].Destination
	parts := strings.Split(to.Host, ".")
	namespace := v.Metadata.Namespace
	if len(parts) > 1 {
		namespace = parts[1]
	}
	return &upstream{host: parts[0] + "." + namespace + ".svc.cluster.local", port: int(to.Port.Number)}
}
