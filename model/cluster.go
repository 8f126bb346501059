package model

import (
	"cmp"
	"time"
)

// ObjectName names a namespaced Kubernetes object.
type ObjectName struct {
	Namespace string
	Name      string
}

// String returns "namespace/name".
func (n ObjectName) String() string { return n.Namespace + "/" + n.Name }

// MarshalText implements encoding.TextMarshaler as String.
func (n ObjectName) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// Compare orders by namespace, then by name.
func (n ObjectName) Compare(o ObjectName) int {
	if c := cmp.Compare(n.Namespace, o.Namespace); c != 0 {
		return c
	}
	return cmp.Compare(n.Name, o.Name)
}

// Problem is something that could not be observed. What it names is unknown,
// not absent.
type Problem struct {
	Source    string    `json:"source"`    // "kubernetes" or "aws"; "config" for the config file
	Operation string    `json:"operation"` // "list virtualservices", "DescribeRules"
	Kind      Kind      `json:"kind"`
	Message   string    `json:"message"`
	Since     time.Time `json:"since"` // first moment of the unbroken trouble
	// Resource tells gates and states what is unknown because of it.
	Resource Resource `json:"-"`
}

// Resource is a kind of object that is observed as a whole.
type Resource string

// The resources that are observed.
const (
	ResourceGateways        Resource = "gateways"
	ResourceVirtualServices Resource = "virtualservices"
	ResourceSecrets         Resource = "secrets"
	ResourceServices        Resource = "services"
	ResourcePods            Resource = "pods"
	ResourceNodes           Resource = "nodes"
	ResourceLoadBalancers   Resource = "loadbalancers" // load balancers, listeners
	ResourceRules           Resource = "rules"
	ResourceTargetGroups    Resource = "targetgroups" // groups and their attributes
	ResourceTargetHealth    Resource = "targethealth"
	ResourceTags            Resource = "tags"
	ResourceCounters        Resource = "counters" // of the gateways' traffic
)

// Cluster is what was observed of Kubernetes at one moment. Lists are sorted
// by name. What a Problem names could not be read.
type Cluster struct {
	Context         string // kubeconfig context
	Server          string // API server URL
	UID             string // uid of the namespace kube-system; "" when unreadable
	User            string // who we are there, for the journal; may be ""
	ObservedAt      time.Time
	Gateways        []Gateway
	VirtualServices []VirtualService
	Secrets         []Secret // those that Gateways name, existing or not
	Services        []Service
	Pods            []Pod // pods that an ingress Service could select
	Nodes           []Node
	Problems        []Problem
}

// Gateway is an Istio Gateway (networking.istio.io).
type Gateway struct {
	Name     ObjectName
	Selector map[string]string
	Servers  []Server
	Keep     bool // annotated helm.sh/resource-policy=keep
}

// Server is one of a Gateway's servers.
type Server struct {
	Hosts          []string // "h", "ns/h", "./h", "*/h"; h may be "*" or "*.suffix"
	Port           int      // the port that the proxy listens on, i.e. a Service target port or port
	Protocol       string   // HTTP, HTTPS, TLS, …
	TLSMode        string   // "", SIMPLE, MUTUAL, PASSTHROUGH, …
	CredentialName string   // Secret in the namespace of the gateway's workload; "" for none
	HTTPSRedirect  bool     // tls.httpsRedirect
}

// VirtualService is an Istio VirtualService.
type VirtualService struct {
	Name ObjectName
	// Hosts are spec.hosts as written; empty for a delegate.
	Hosts []string
	// Gateways are spec.gateways as written: "ns/name", bare "name" or
	// "mesh". Missing means mesh only.
	Gateways []string
	// ExportTo is spec.exportTo as written; empty means all namespaces.
	ExportTo []string
	// MatchGateways are the gateway lists of all http, tls and tcp matches
	// that have one, each as written.
	MatchGateways [][]string
	// Destinations are what its routes send to, as ServiceKey names it, sorted.
	Destinations []string
	// Delegates are the VirtualServices that its routes leave the routing to, sorted.
	Delegates []ObjectName
}

// Secret is the public part of a TLS Secret. Key material is dropped by the
// adapter and never reaches this type.
type Secret struct {
	Name     ObjectName
	Exists   bool
	Readable bool // false: could not be read, see the Problem
	Keep     bool // annotated helm.sh/resource-policy=keep
	// Error says why the certificate could not be decoded; "" when it was.
	Error     string
	NotBefore time.Time
	NotAfter  time.Time
	DNSNames  []string
	SHA256    string // lower-case hex of the leaf certificate's DER; "" without one
}

// Service is a Kubernetes Service that could be a gateway's ingress Service.
type Service struct {
	Name                  ObjectName
	Selector              map[string]string
	Ports                 []ServicePort
	ExternalTrafficPolicy string // Cluster or Local
}

// ServicePort is one port of a Service.
type ServicePort struct {
	Name       string
	Port       int
	TargetPort int // 0 when it is given by name
	NodePort   int // 0 for none
}

// Pod is a pod that an ingress Service may select.
type Pod struct {
	Name   ObjectName
	Labels map[string]string
	Ready  bool // condition Ready is True and the pod is not being deleted
	Ended  bool // phase Succeeded or Failed: it has no process any more
	Node   string
	IP     string
}

// Node is a cluster node.
type Node struct {
	Name       string
	InternalIP string // first InternalIP
	InstanceID string // EC2 instance id from spec.providerID; "" for none
	Zone       string // topology.kubernetes.io/zone
}
