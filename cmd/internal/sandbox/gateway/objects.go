package gateway

import (
	"log/slog"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// The ConfigMap from which istiod reads the mesh configuration.
const (
	MeshConfigNamespace = "istio-system"
	MeshConfigName      = "istio"
)

// Store is the part of the Kubernetes API that gateways live on.
type Store interface {
	// List returns the objects of a resource in the order of namespace and
	// name, those of all namespaces when namespace is empty.
	List(resource schema.GroupVersionResource, namespace string) []*unstructured.Unstructured
	// OnChange calls the function after an object of a resource has changed.
	OnChange(func(schema.GroupVersionResource)) (cancel func())
}

func coreResource(name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: name}
}

func istioResource(name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: name}
}

// configures tells whether a change of the resource can change what gateways do.
func configures(resource schema.GroupVersionResource) bool {
	switch resource.GroupResource().String() {
	case "nodes", "pods", "services", "secrets", "configmaps",
		"gateways.networking.istio.io", "virtualservices.networking.istio.io":
		return true
	}
	return false
}

// metadata is the part of an Istio object's metadata that matters here.
type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

func (m metadata) key() string { return m.Namespace + "/" + m.Name }

type istioGateway struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Selector map[string]string `json:"selector"`
		Servers  []server          `json:"servers"`
	} `json:"spec"`
}

type server struct {
	Port struct {
		Name     string `json:"name"`
		Number   int64  `json:"number"`
		Protocol string `json:"protocol"`
	} `json:"port"`
	Hosts []string `json:"hosts"`
	TLS   struct {
		Mode           string `json:"mode"`
		CredentialName string `json:"credentialName"`
		HTTPSRedirect  bool   `json:"httpsRedirect"`
	} `json:"tls"`
}

// admits returns the server's host patterns that are open to VirtualServices
// of a namespace; "ns/host", "./host" and "*/host" say which those are.
func (s server) admits(gatewayNamespace, namespace string) []string {
	var hosts []string
	for _, host := range s.Hosts {
		from, name, scoped := strings.Cut(host, "/")
		if !scoped {
			hosts = append(hosts, host)
			continue
		}
		if from == "*" || from == namespace || from == "." && namespace == gatewayNamespace {
			hosts = append(hosts, name)
		}
	}
	return hosts
}

// names returns the server's host patterns whatever namespace they are open to.
func (s server) names() []string {
	names := make([]string, len(s.Hosts))
	for i, host := range s.Hosts {
		_, name, scoped := strings.Cut(host, "/")
		if !scoped {
			name = host
		}
		names[i] = name
	}
	return names
}

type virtualService struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Hosts    []string    `json:"hosts"`
		Gateways []string    `json:"gateways"`
		ExportTo []string    `json:"exportTo"`
		HTTP     []httpRoute `json:"http"`
		TLS      []tlsRoute  `json:"tls"`
	} `json:"spec"`
}

type httpRoute struct {
	Name  string        `json:"name"`
	Match []httpMatch   `json:"match"`
	Route []destination `json:"route"`
}

type httpMatch struct {
	URI      stringMatch  `json:"uri"`
	Method   *stringMatch `json:"method"`
	Gateways []string     `json:"gateways"`
}

type stringMatch struct {
	Exact  string `json:"exact"`
	Prefix string `json:"prefix"`
	Regex  string `json:"regex"`
}

type tlsRoute struct {
	Match []struct {
		SNIHosts []string `json:"sniHosts"`
		Gateways []string `json:"gateways"`
	} `json:"match"`
	Route []destination `json:"route"`
}

type destination struct {
	Destination struct {
		Host string `json:"host"`
		Port struct {
			Number int64 `json:"number"`
		} `json:"port"`
	} `json:"destination"`
}

// names tells whether a list of gateways, which may hold bare names that mean
// the VirtualService's own namespace, names the gateway.
func (v *virtualService) names(list []string, gateway string) bool {
	return slices.ContainsFunc(list, func(name string) bool {
		if !strings.Contains(name, "/") && name != "mesh" {
			name = v.Metadata.Namespace + "/" + name
		}
		return name == gateway
	})
}

func (v *virtualService) exportedTo(namespace string) bool {
	return len(v.Spec.ExportTo) == 0 || slices.ContainsFunc(v.Spec.ExportTo, func(to string) bool {
		return to == "*" || to == namespace || to == "." && v.Metadata.Namespace == namespace
	})
}

// objects is one reading of everything in the store that configures gateways.
type objects struct {
	nodes           []*corev1.Node
	pods            []*corev1.Pod
	services        []*corev1.Service
	gateways        []*istioGateway
	virtualServices []*virtualService
	secret          func(namespace, name string) *corev1.Secret
	accessLog       bool
}

func read(store Store, log *slog.Logger) objects {
	secrets := map[string]*corev1.Secret{}
	for _, secret := range convert[corev1.Secret](store, coreResource("secrets"), log) {
		secrets[secret.Namespace+"/"+secret.Name] = secret
	}
	return objects{
		nodes:           convert[corev1.Node](store, coreResource("nodes"), log),
		pods:            convert[corev1.Pod](store, coreResource("pods"), log),
		services:        convert[corev1.Service](store, coreResource("services"), log),
		gateways:        convert[istioGateway](store, istioResource("gateways"), log),
		virtualServices: convert[virtualService](store, istioResource("virtualservices"), log),
		secret:          func(namespace, name string) *corev1.Secret { return secrets[namespace+"/"+name] },
		accessLog:       accessLog(convert[corev1.ConfigMap](store, coreResource("configmaps"), log), log),
	}
}

// accessLog reads from istiod's mesh configuration whether access logs are on:
// they are where accessLogFile names a file, which is standard output in
// practice, and off by default.
func accessLog(maps []*corev1.ConfigMap, log *slog.Logger) bool {
	for _, m := range maps {
		if m.Namespace != MeshConfigNamespace || m.Name != MeshConfigName {
			continue
		}
		var mesh struct {
			AccessLogFile string `json:"accessLogFile"`
		}
		if err := yaml.Unmarshal([]byte(m.Data["mesh"]), &mesh); err != nil {
			log.Warn("mesh configuration cannot be read", "error", err)
		}
		return mesh.AccessLogFile != ""
	}
	return false
}

// convert reads a resource. An object that does not fit its type configures
// nothing, as istiod leaves out what it cannot read.
func convert[T any](store Store, resource schema.GroupVersionResource, log *slog.Logger) []*T {
	list := store.List(resource, "")
	typed := make([]*T, 0, len(list))
	for _, object := range list {
		value := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, value); err != nil {
			log.Warn("object left out of the gateways' configuration",
				"resource", resource.Resource, "namespace", object.GetNamespace(), "name", object.GetName(), "error", err)
			continue
		}
		typed = append(typed, value)
	}
	return typed
}
