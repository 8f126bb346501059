package kubesim

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// resource is one line of the table that drives discovery, routing, storage, validation and printing.
type resource struct {
	group      string
	versions   []string // served versions, the preferred one first
	storage    string   // the version that is kept, where it is not the first
	kind       string
	plural     string
	singular   string
	short      []string
	categories []string
	namespaced bool
	status     bool // has a status subresource
	generation bool // metadata.generation is kept
	custom     bool // defined by a CRD in a real cluster: no protobuf, no strategic merge, no unconditional update
	review     bool // asked and answered, not stored

	schema    func() *structural // of a custom kind
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

// storedAPI is the apiVersion that objects are kept in.
func (r *resource) storedAPI() string {
	if r.kind == "Event" {
		return "v1"
	}
	return r.gvk(r.storedVersion()).GroupVersion().String()
}

func (r *resource) storedVersion() string { return cmp.Or(r.storage, r.versions[0]) }

func (r *resource) serves(version string) bool { return slices.Contains(r.versions, version) }

// typed tells whether client-go's scheme knows the Go type of the kind.
func (r *resource) typed() bool {
	return !r.custom && scheme.Scheme.Recognizes(r.gvk(r.storedVersion()))
}

// unconditional tells whether an update needs no resourceVersion.
func (r *resource) unconditional() bool { return !r.custom && r.kind != "Lease" }

// storageKey is where a real API server keeps an object in etcd.
func (r *resource) storageKey(obj *unstructured.Unstructured) string {
	key := "/registry/" + r.plural
	if r.custom {
		key = "/registry/" + r.group + "/" + r.plural
	}
	if r.namespaced {
		key += "/" + obj.GetNamespace()
	}
	return key + "/" + obj.GetName()
}

// verbs are what the resource answers to, in the order in which a real API server lists them.
func (r *resource) verbs() []string {
	switch {
	case r.review:
		return []string{"create"}
	case r.custom:
		return []string{"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"}
	case r.kind == "Namespace":
		return []string{"create", "delete", "get", "list", "patch", "update", "watch"}
	}
	return []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
}

// subresources are the paths below one object.
func (r *resource) subresources() []subresource {
	var subs []subresource
	own := r.gvk(r.storedVersion())
	if r.kind == "Pod" {
		subs = append(subs, subresource{name: "log", verbs: []string{"get"}, kind: own})
		subs = append(subs, subresource{name: "proxy", verbs: []string{"create", "delete", "get", "patch", "update"}, kind: schema.GroupVersionKind{Version: "v1", Kind: "PodProxyOptions"}})
	}
	write := []string{"get", "patch", "update"}
	if r.group == "apps" {
		subs = append(subs, subresource{name: "scale", verbs: write, kind: schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}})
	}
	if r.status {
		subs = append(subs, subresource{name: "status", verbs: write, kind: own})
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
	kind  schema.GroupVersionKind // of what it answers
}

// resources is the whole table.
func resources() []*resource {
	all := []string{"all"}
	subdomain, label := validation.NameIsDNSSubdomain, validation.NameIsDNSLabel

	list := []*resource{
		{versions: []string{"v1"}, kind: "ConfigMap", plural: "configmaps", short: []string{"cm"}, namespaced: true, validName: subdomain, columns: configMapColumns()},
		{versions: []string{"v1"}, kind: "Endpoints", plural: "endpoints", short: []string{"ep"}, namespaced: true, validName: subdomain, columns: endpointsColumns()},
		{versions: []string{"v1"}, kind: "Event", plural: "events", short: []string{"ev"}, namespaced: true, validName: subdomain, fields: eventFields("involvedObject"), columns: eventColumns()},
		{versions: []string{"v1"}, kind: "Namespace", plural: "namespaces", short: []string{"ns"}, status: true, validName: label, fields: map[string][]string{"status.phase": {"status", "phase"}}, columns: namespaceColumns()},
		{versions: []string{"v1"}, kind: "Node", plural: "nodes", short: []string{"no"}, status: true, validName: subdomain, fields: map[string][]string{"spec.unschedulable": {"spec", "unschedulable"}}, columns: nodeColumns()},
		{versions: []string{"v1"}, kind: "Pod", plural: "pods", short: []string{"po"}, categories: all, namespaced: true, status: true, generation: true, validName: subdomain, fields: podFields(), columns: podColumns()},
		{versions: []string{"v1"}, kind: "Secret", plural: "secrets", namespaced: true, validName: subdomain, fields: map[string][]string{"type": {"type"}}, columns: secretColumns()},
		{versions: []string{"v1"}, kind: "ServiceAccount", plural: "serviceaccounts", short: []string{"sa"}, namespaced: true, validName: subdomain, columns: named(age())},
		{versions: []string{"v1"}, kind: "Service", plural: "services", short: []string{"svc"}, categories: all, namespaced: true, status: true, validName: label, fields: map[string][]string{"spec.type": {"spec", "type"}, "spec.clusterIP": {"spec", "clusterIP"}}, columns: serviceColumns()},
		{group: "events.k8s.io", versions: []string{"v1"}, kind: "Event", plural: "events", short: []string{"ev"}, namespaced: true, validName: subdomain, fields: eventFields("regarding"), columns: eventColumns()},
		{group: "apps", versions: []string{"v1"}, kind: "Deployment", plural: "deployments", short: []string{"deploy"}, categories: all, namespaced: true, status: true, generation: true, validName: subdomain, columns: deploymentColumns()},
		{group: "apps", versions: []string{"v1"}, kind: "ReplicaSet", plural: "replicasets", short: []string{"rs"}, categories: all, namespaced: true, status: true, generation: true, validName: subdomain, fields: map[string][]string{"status.replicas": {"status", "replicas"}}, columns: replicaSetColumns()},
		{group: "authentication.k8s.io", versions: []string{"v1"}, kind: "SelfSubjectReview", plural: "selfsubjectreviews", review: true},
		{group: "authorization.k8s.io", versions: []string{"v1"}, kind: "SelfSubjectAccessReview", plural: "selfsubjectaccessreviews", review: true},
		{group: "authorization.k8s.io", versions: []string{"v1"}, kind: "SelfSubjectRulesReview", plural: "selfsubjectrulesreviews", review: true},
		{group: "coordination.k8s.io", versions: []string{"v1"}, kind: "Lease", plural: "leases", namespaced: true, validName: subdomain, columns: leaseColumns()},
		{group: "discovery.k8s.io", versions: []string{"v1"}, kind: "EndpointSlice", plural: "endpointslices", namespaced: true, generation: true, validName: subdomain, columns: endpointSliceColumns()},
	}
	for _, d := range definitions() {
		list = append(list, d.resource())
	}
	for _, r := range list {
		if r.singular == "" {
			r.singular = strings.ToLower(r.kind)
		}
	}
	return list
}

// stored tells whether objects of the resource are kept: a review is answered and forgotten.
func (r *resource) stored() bool { return !r.review }

func podFields() map[string][]string {
	return map[string][]string{
		"spec.nodeName": {"spec", "nodeName"}, "spec.restartPolicy": {"spec", "restartPolicy"}, "spec.schedulerName": {"spec", "schedulerName"},
		"spec.serviceAccountName": {"spec", "serviceAccountName"}, "spec.hostNetwork": {"spec", "hostNetwork"}, "status.phase": {"status", "phase"},
		"status.podIP": {"status", "podIP"}, "status.nominatedNodeName": {"status", "nominatedNodeName"},
	}
}

func eventFields(about string) map[string][]string {
	fields := map[string][]string{
		"reason": {"reason"}, "type": {"type"}, "reportingComponent": {"reportingComponent"}, "reportingController": {"reportingComponent"}, "source": {"source", "component"},
	}
	for _, f := range []string{"kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"} {
		fields[about+"."+f] = []string{"involvedObject", f}
	}
	return fields
}
