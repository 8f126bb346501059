package kubesim

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// resource is one line of the table that drives discovery, routing, storage, validation and printing.
type resource struct {
	group      string
	versions   []string // served versions, the stored and preferred one first
	kind       string
	plural     string
	singular   string
	short      []string
	categories []string
	namespaced bool
	status     bool // has a status subresource
	generation bool // metadata.generation is kept
	custom     bool // defined by a CRD in a real cluster: no protobuf, no strategic merge, no unconditional update

	validName validation.ValidateNameFunc
	fields    map[string][]string // field selector label to the path it reads
	columns   []column
}

func (r *resource) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.group, Resource: r.plural}
}

func (r *resource) gvr(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.group, Version: version, Resource: r.plural}
}

func (r *resource) gvk(version string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: r.group, Version: version, Kind: r.kind}
}

func (r *resource) storedVersion() string { return r.versions[0] }

func (r *resource) serves(version string) bool { return slices.Contains(r.versions, version) }

// typed tells whether client-go's scheme knows the Go type of the kind.
func (r *resource) typed() bool {
	return !r.custom && scheme.Scheme.Recognizes(r.gvk(r.storedVersion()))
}

// verbs are what the resource answers to, in the order in which a real API server lists them.
func (r *resource) verbs() []string {
	if !r.stored() {
		return []string{"create"}
	}
	return []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
}

// subresources are the paths below one object.
func (r *resource) subresources() []subresource {
	var subs []subresource
	if r.plural == "pods" && r.group == "" {
		subs = append(subs, subresource{name: "log", verbs: []string{"get"}})
	}
	if r.status {
		subs = append(subs, subresource{name: "status", verbs: []string{"get", "patch", "update"}})
	}
	return subs
}

func (r *resource) subresource(name string) (subresource, bool) {
	for _, sub := range r.subresources() {
		if sub.name == name {
			return sub, true
		}
	}
	return subresource{}, false
}

type subresource struct {
	name  string
	verbs []string
}

// resources is the whole table. The names, short names and categories of the Istio kinds are those of Istio's CRDs.
func resources() []*resource {
	all := []string{"all"}
	istio := []string{"istio-io", "networking-istio-io"}
	istioVersions := []string{"v1", "v1beta1", "v1alpha3"}
	subdomain, label := validation.NameIsDNSSubdomain, validation.NameIsDNSLabel

	list := []*resource{
		{versions: []string{"v1"}, kind: "Namespace", plural: "namespaces", short: []string{"ns"}, status: true, validName: label, fields: map[string][]string{"status.phase": {"status", "phase"}}, columns: namespaceColumns()},
		{versions: []string{"v1"}, kind: "Node", plural: "nodes", short: []string{"no"}, status: true, validName: subdomain, fields: map[string][]string{"spec.unschedulable": {"spec", "unschedulable"}}, columns: nodeColumns()},
		{versions: []string{"v1"}, kind: "Service", plural: "services", short: []string{"svc"}, categories: all, namespaced: true, status: true, validName: validation.NameIsDNS1035Label, fields: map[string][]string{"spec.type": {"spec", "type"}, "spec.clusterIP": {"spec", "clusterIP"}}, columns: serviceColumns()},
		{versions: []string{"v1"}, kind: "Pod", plural: "pods", short: []string{"po"}, categories: all, namespaced: true, status: true, generation: true, validName: subdomain, fields: map[string][]string{"spec.nodeName": {"spec", "nodeName"}, "status.phase": {"status", "phase"}, "status.podIP": {"status", "podIP"}, "spec.serviceAccountName": {"spec", "serviceAccountName"}}, columns: podColumns()},
		{versions: []string{"v1"}, kind: "Secret", plural: "secrets", namespaced: true, validName: subdomain, fields: map[string][]string{"type": {"type"}}, columns: secretColumns()},
		{versions: []string{"v1"}, kind: "ConfigMap", plural: "configmaps", short: []string{"cm"}, namespaced: true, validName: subdomain, columns: configMapColumns()},
		{versions: []string{"v1"}, kind: "Endpoints", plural: "endpoints", short: []string{"ep"}, namespaced: true, validName: subdomain, columns: endpointsColumns()},
		{versions: []string{"v1"}, kind: "Event", plural: "events", short: []string{"ev"}, namespaced: true, validName: subdomain, fields: eventFields(), columns: eventColumns()},
		{group: "apps", versions: []string{"v1"}, kind: "Deployment", plural: "deployments", short: []string{"deploy"}, categories: all, namespaced: true, status: true, generation: true, validName: subdomain, columns: deploymentColumns()},
		{group: "authorization.k8s.io", versions: []string{"v1"}, kind: "SelfSubjectAccessReview", plural: reviewResource},
		{group: "coordination.k8s.io", versions: []string{"v1"}, kind: "Lease", plural: "leases", namespaced: true, validName: subdomain, columns: leaseColumns()},
		{group: "discovery.k8s.io", versions: []string{"v1"}, kind: "EndpointSlice", plural: "endpointslices", namespaced: true, generation: true, validName: subdomain, columns: endpointSliceColumns()},
		{group: "networking.istio.io", versions: istioVersions, kind: "DestinationRule", plural: "destinationrules", short: []string{"dr"}, categories: istio, namespaced: true, status: true, generation: true, custom: true, validName: subdomain, columns: destinationRuleColumns()},
		{group: "networking.istio.io", versions: istioVersions, kind: "Gateway", plural: "gateways", short: []string{"gw"}, categories: istio, namespaced: true, status: true, generation: true, custom: true, validName: subdomain, columns: gatewayColumns()},
		{group: "networking.istio.io", versions: istioVersions, kind: "VirtualService", plural: "virtualservices", short: []string{"vs"}, categories: istio, namespaced: true, status: true, generation: true, custom: true, validName: subdomain, columns: virtualServiceColumns()},
	}
	for _, r := range list {
		r.singular = strings.ToLower(r.kind)
	}
	return list
}

// reviewResource is the one resource that is asked, not stored.
const reviewResource = "selfsubjectaccessreviews"

// stored tells whether objects of the resource are kept: a review is answered and forgotten.
func (r *resource) stored() bool { return r.plural != reviewResource }

func eventFields() map[string][]string {
	fields := map[string][]string{
		"reason": {"reason"}, "type": {"type"}, "source": {"source", "component"}, "reportingComponent": {"reportingComponent"},
	}
	for _, f := range []string{"kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"} {
		fields["involvedObject."+f] = []string{"involvedObject", f}
	}
	return fields
}
