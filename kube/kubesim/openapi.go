package kubesim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// serveOpenAPI describes the kinds for kubectl explain, and tells kubectl that the server validates fields by itself. There is
// no version 2: kubectl goes by the types that it was built with where it would need it.
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
	paths, types := map[string]any{}, goTypes{}
	for _, r := range s.resources {
		if r.group != gv.Group || !r.serves(gv.Version) || !r.stored() {
			continue
		}
		gvk := r.gvk(gv.Version)
		known := map[string]any{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}
		if r.custom {
			types[reversed(r.group)+"."+gv.Version+"."+r.kind] = customSchema(r, types, known)
		} else if object, err := scheme.Scheme.New(gvk); err == nil {
			types.add(object)[gvkExtension] = []any{known}
		}
		paths[r.openAPIPath(gv)] = patchOperation(known)
	}
	return map[string]any{"openapi": "3.0.0", "info": map[string]any{"title": "Kubernetes", "version": serverVersion}, "paths": paths, "components": map[string]any{"schemas": types}}
}

func (r *resource) openAPIPath(gv schema.GroupVersion) string {
	at := "/" + groupPath(gv) + "/"
	if r.namespaced {
		at += "namespaces/{namespace}/"
	}
	return at + r.plural + "/{name}"
}

// patchOperation has the parameters by which kubectl sees what the server can do.
func patchOperation(known map[string]any) map[string]any {
	parameters := []any{}
	for _, name := range []string{"dryRun", "fieldManager", "fieldValidation"} {
		parameters = append(parameters, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": "string"}})
	}
	return map[string]any{"patch": map[string]any{
		"parameters": parameters, "responses": map[string]any{"200": map[string]any{"description": "OK"}},
		"x-kubernetes-action": "patch", gvkExtension: known,
	}}
}

// customSchema is a custom kind's schema with what every object has.
func customSchema(r *resource, types goTypes, known map[string]any) map[string]any {
	out := map[string]any{}
	if err := json.Unmarshal(r.schema().raw, &out); err != nil {
		panic("crds.json: " + r.kind + ": " + err.Error()) // It is part of the program, and was read before.
	}
	properties, _ := out["properties"].(map[string]any)
	if properties == nil {
		properties = map[string]any{}
	}
	maps.Copy(properties, types.objectProperties())
	out["properties"], out[gvkExtension] = properties, []any{known}
	return out
}

// reversed turns a.b.c into c.b.a.
func reversed(domain string) string {
	parts := strings.Split(domain, ".")
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

const gvkExtension = "x-kubernetes-group-version-kind"

// ref names a schema of the same document.
func ref(name string) string { return fmt.Sprintf("#/components/schemas/%s", name) }
