package kubesim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
)

// serveMeta answers what describes the API itself, and tells whether the path was such.
func (s *Server) serveMeta(w http.ResponseWriter, r *http.Request, path string) bool {
	parts := strings.Split(path, "/")
	switch {
	case path == "api":
		if !s.serveAggregated(w, r, func(group string) bool { return group == "" }) {
			s.writeJSON(w, http.StatusOK, metav1.APIVersions{
				TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"},
				ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: r.Host}},
			})
		}
	case path == "apis":
		if !s.serveAggregated(w, r, func(group string) bool { return group != "" }) {
			list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{}}
			for _, group := range s.groups() {
				if group != "" {
					list.Groups = append(list.Groups, s.apiGroup(group))
				}
			}
			s.writeJSON(w, http.StatusOK, list)
		}
	case len(parts) == 2 && parts[0] == "api" && parts[1] == "v1":
		s.writeJSON(w, http.StatusOK, s.resourceList(schema.GroupVersion{Version: "v1"}))
	case len(parts) == 2 && parts[0] == "apis" && slices.Contains(s.groups(), parts[1]):
		group := s.apiGroup(parts[1])
		group.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
		s.writeJSON(w, http.StatusOK, group)
	case len(parts) == 3 && parts[0] == "apis" && parts[1] != "" && slices.Contains(s.versions(parts[1]), parts[2]):
		s.writeJSON(w, http.StatusOK, s.resourceList(schema.GroupVersion{Group: parts[1], Version: parts[2]}))
	case parts[0] == "openapi":
		return s.serveOpenAPI(w, path)
	default:
		return false
	}
	return true
}

// groups lists the API groups in the order of the table.
func (s *Server) groups() []string {
	var groups []string
	for _, r := range s.resources {
		if !slices.Contains(groups, r.group) {
			groups = append(groups, r.group)
		}
	}
	return groups
}

// versions lists what any resource of a group is served in, the preferred one first.
func (s *Server) versions(group string) []string {
	var all []string
	for _, r := range s.resources {
		if r.group != group {
			continue
		}
		for _, v := range r.versions {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	return all
}

// storageHash changes with the version that objects are kept in.
func (r *resource) storageHash() string {
	if !r.stored() {
		return ""
	}
	gvk := schema.FromAPIVersionAndKind(r.storedAPI(), r.kind)
	sum := sha256.Sum256([]byte(gvk.Group + "/" + gvk.Version + "/" + gvk.Kind))
	return base64.StdEncoding.EncodeToString(sum[:8])
}

func (s *Server) apiGroup(name string) metav1.APIGroup {
	group := metav1.APIGroup{Name: name}
	for _, v := range s.versions(name) {
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + v, Version: v})
	}
	group.PreferredVersion = group.Versions[0]
	return group
}

func (s *Server) resourceList(gv schema.GroupVersion) metav1.APIResourceList {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String(), APIResources: []metav1.APIResource{}}
	for _, r := range s.resources {
		if r.group != gv.Group || !r.serves(gv.Version) {
			continue
		}
		list.APIResources = append(list.APIResources, metav1.APIResource{
			Name: r.plural, SingularName: r.singular, Namespaced: r.namespaced, Kind: r.kind, Verbs: r.verbs(), ShortNames: r.short, Categories: r.categories, StorageVersionHash: r.storageHash(),
		})
		for _, sub := range r.subresources() {
			entry := metav1.APIResource{Name: r.plural + "/" + sub.name, Namespaced: r.namespaced, Kind: sub.kind.Kind, Verbs: sub.verbs}
			if sub.kind.Group != r.group {
				entry.Group, entry.Version = sub.kind.Group, sub.kind.Version
			}
			list.APIResources = append(list.APIResources, entry)
		}
	}
	return list
}

// serveAggregated answers the discovery of everything at once, which kubectl has asked for since 1.26, where the client takes it.
func (s *Server) serveAggregated(w http.ResponseWriter, r *http.Request, wanted func(group string) bool) bool {
	for _, accept := range parseAccept(r.Header) {
		if accept.params["as"] != "APIGroupDiscoveryList" || accept.params["g"] != apidiscovery.GroupName || (accept.params["v"] != "v2" && accept.params["v"] != "v2beta1") || accept.media != "application/json" {
			continue
		}
		version := accept.params["v"]
		list := apidiscovery.APIGroupDiscoveryList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: apidiscovery.GroupName + "/" + version}}
		for _, group := range s.groups() {
			if wanted(group) {
				list.Items = append(list.Items, s.aggregate(group))
			}
		}
		body, err := json.Marshal(list)
		if err != nil {
			s.writeError(w, err)
			return true
		}
		w.Header().Set("Vary", "Accept")
		s.writeBytes(w, http.StatusOK, "application/json;g=apidiscovery.k8s.io;v="+version+";as=APIGroupDiscoveryList", body)
		return true
	}
	return false
}

func (s *Server) aggregate(group string) apidiscovery.APIGroupDiscovery {
	out := apidiscovery.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: group}}
	for _, v := range s.versions(group) {
		found := apidiscovery.APIVersionDiscovery{Version: v, Freshness: apidiscovery.DiscoveryFreshnessCurrent}
		for _, r := range s.resources {
			if r.group != group || !r.serves(v) {
				continue
			}
			entry := apidiscovery.APIResourceDiscovery{
				Resource: r.plural, ResponseKind: r.responseKind(r.gvk(v), v), Scope: apidiscovery.ScopeCluster, SingularResource: r.singular, Verbs: r.verbs(), ShortNames: r.short, Categories: r.categories,
			}
			if r.namespaced {
				entry.Scope = apidiscovery.ScopeNamespace
			}
			for _, sub := range r.subresources() {
				kind := sub.kind
				if kind.Group == r.group {
					kind.Version = v
				}
				entry.Subresources = append(entry.Subresources, apidiscovery.APISubresourceDiscovery{Subresource: sub.name, ResponseKind: r.responseKind(kind, v), Verbs: sub.verbs})
			}
			found.Resources = append(found.Resources, entry)
		}
		out.Versions = append(out.Versions, found)
	}
	return out
}

// responseKind is the kind that a request is answered with. Built-in kinds leave out the group and version of the request.
func (r *resource) responseKind(kind schema.GroupVersionKind, version string) *metav1.GroupVersionKind {
	if !r.custom && kind.Group == r.group && kind.Version == version {
		kind.Group, kind.Version = "", ""
	}
	return &metav1.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind}
}
