package kubesim

import (
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// serveOpenAPI describes just enough for kubectl to learn that the server validates fields by itself, so that kubectl does
// not try to. There are no schemas, and no version 2: kubectl then goes by the types that it was built with.
func (s *Server) serveOpenAPI(w http.ResponseWriter, path string) bool {
	if path == "openapi/v3" {
		paths := map[string]any{}
		for _, gv := range s.groupVersions() {
			paths[groupPath(gv)] = map[string]any{"serverRelativeURL": "/openapi/v3/" + groupPath(gv)}
		}
		s.writeJSON(w, http.StatusOK, map[string]any{"paths": paths})
		return true
	}
	for _, gv := range s.groupVersions() {
		if strings.TrimPrefix(path, "openapi/v3/") == groupPath(gv) {
			s.writeJSON(w, http.StatusOK, s.openAPI(gv))
			return true
		}
	}
	return false
}

func (s *Server) groupVersions() []schema.GroupVersion {
	var list []schema.GroupVersion
	for _, group := range s.groups() {
		for _, v := range s.versions(group) {
			list = append(list, schema.GroupVersion{Group: group, Version: v})
		}
	}
	return list
}

func groupPath(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "api/" + gv.Version
	}
	return "apis/" + gv.String()
}

func (s *Server) openAPI(gv schema.GroupVersion) map[string]any {
	paths := map[string]any{}
	for _, r := range s.resources {
		if r.group != gv.Group || !r.serves(gv.Version) || !r.stored() {
			continue
		}
		at := "/" + groupPath(gv) + "/"
		if r.namespaced {
			at += "namespaces/{namespace}/"
		}
		parameters := []any{}
		for _, name := range []string{"dryRun", "fieldManager", "fieldValidation"} {
			parameters = append(parameters, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": "string"}})
		}
		paths[at+r.plural+"/{name}"] = map[string]any{"patch": map[string]any{
			"parameters": parameters, "responses": map[string]any{"200": map[string]any{"description": "OK"}},
			"x-kubernetes-action":             "patch",
			"x-kubernetes-group-version-kind": map[string]any{"group": r.group, "version": gv.Version, "kind": r.kind},
		}}
	}
	return map[string]any{"openapi": "3.0.0", "info": map[string]any{"title": "Kubernetes", "version": "v1.37.2"}, "paths": paths, "components": map[string]any{"schemas": map[string]any{}}}
}
