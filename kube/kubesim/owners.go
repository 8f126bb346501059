package kubesim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured/unstructuredscheme"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// owners keeps metadata.managedFields, which say who set which field, and merges what is applied. What the sandbox writes in
// process has no owner, as objects that are older than server-side apply have none.
type owners struct {
	mu       sync.Mutex
	managers map[ownerKey]*managedfields.FieldManager
}

type ownerKey struct {
	res          *resource
	version, sub string
}

// of gives the field manager of a resource's endpoint, made when it is first needed: the schemas take a while to read.
func (o *owners) of(res *resource, version, sub string) (*managedfields.FieldManager, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := ownerKey{res, version, sub}
	if m, ok := o.managers[key]; ok {
		return m, nil
	}
	types, err := o.types(res)
	if err != nil {
		return nil, err
	}
	build, create := managedfields.NewDefaultFieldManager, runtime.ObjectCreater(creator{})
	if res.custom {
		create = unstructuredscheme.NewUnstructuredCreator()
		build = managedfields.NewDefaultCRDFieldManager
	}
	gvk := res.gvk(version)
	stored := schema.GroupVersion{Group: res.group, Version: res.storedVersion()}
	m, err := build(types, versions{res}, defaulter{}, create, gvk, stored, sub, resetFields(res, sub))
	if err != nil {
		return nil, fmt.Errorf("manage the fields of a %s: %w", res.kind, err)
	}
	o.managers[key] = m
	return m, nil
}

func (o *owners) types(res *resource) (managedfields.TypeConverter, error) {
	if !res.custom {
		return applyconfigurations.NewTypeConverter(scheme.Scheme), nil
	}
	definitions := map[string]*spec.Schema{}
	for _, v := range res.versions {
		whole, err := res.schema().whole(res.gvk(v))
		if err != nil {
			return nil, err
		}
		definitions[v] = whole
	}
	types, err := managedfields.NewTypeConverter(definitions, false)
	if err != nil {
		return nil, fmt.Errorf("read the schema of a %s: %w", res.kind, err)
	}
	return types, nil
}

// metadataSchema is as much of ObjectMeta as decides how it is merged.
const metadataSchema = `{"type":"object","properties":{
	"annotations":{"type":"object","additionalProperties":{"type":"string"}},
	"labels":{"type":"object","additionalProperties":{"type":"string"}},
	"finalizers":{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set"},
	"ownerReferences":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["uid"],"items":{"type":"object","x-kubernetes-map-type":"atomic","properties":{
		"apiVersion":{"type":"string"},"kind":{"type":"string"},"name":{"type":"string"},"uid":{"type":"string"},"controller":{"type":"boolean"},"blockOwnerDeletion":{"type":"boolean"}}}},
	"name":{"type":"string"},"namespace":{"type":"string"},"generateName":{"type":"string"},"uid":{"type":"string"},"resourceVersion":{"type":"string"},"selfLink":{"type":"string"},
	"generation":{"type":"integer"},"creationTimestamp":{"type":"string"},"deletionTimestamp":{"type":"string"},"deletionGracePeriodSeconds":{"type":"integer"},
	"managedFields":{"type":"array","x-kubernetes-list-type":"atomic","items":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}`

// whole is the schema of an object with its type and metadata.
func (c *structural) whole(gvk schema.GroupVersionKind) (*spec.Schema, error) {
	var meta spec.Schema
	if err := json.Unmarshal([]byte(metadataSchema), &meta); err != nil {
		return nil, fmt.Errorf("read the schema of metadata: %w", err)
	}
	whole := *c.schema
	whole.Properties = map[string]spec.Schema{"apiVersion": *spec.StringProperty(), "kind": *spec.StringProperty(), "metadata": meta}
	for name, property := range c.schema.Properties {
		if _, ours := whole.Properties[name]; !ours {
			whole.Properties[name] = property
		}
	}
	whole.Extensions = spec.Extensions{}
	for name, value := range c.schema.Extensions {
		whole.Extensions[name] = value
	}
	whole.Extensions["x-kubernetes-group-version-kind"] = []any{map[string]any{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}}
	return &whole, nil
}

// resetFields are those that an endpoint does not write, and so gives nobody.
func resetFields(res *resource, sub string) map[fieldpath.APIVersion]fieldpath.Filter {
	reset := fieldpath.NewSet()
	switch {
	case sub == "status":
		reset.Insert(fieldpath.MakePathOrDie("spec"))
		if res.custom {
			reset.Insert(fieldpath.MakePathOrDie("metadata"))
		}
	case res.status:
		reset.Insert(fieldpath.MakePathOrDie("status"))
	}
	filters := map[fieldpath.APIVersion]fieldpath.Filter{}
	for _, v := range res.versions {
		filters[fieldpath.APIVersion(res.gvk(v).GroupVersion().String())] = fieldpath.NewExcludeSetFilter(reset)
	}
	return filters
}

// versions converts between the versions of a kind.
type versions struct{ res *resource }

func (versions) Convert(in, out, _ any) error { return fmt.Errorf("convert %T to %T", in, out) }

func (v versions) ConvertToVersion(in runtime.Object, gv runtime.GroupVersioner) (runtime.Object, error) {
	from := in.GetObjectKind().GroupVersionKind()
	to, ok := gv.KindForGroupVersionKinds([]schema.GroupVersionKind{from})
	if !ok || to == from {
		return in, nil
	}
	obj, err := v.res.unmanaged(in)
	if err != nil {
		return nil, err
	}
	return v.res.managed(obj, to.Version)
}

func (versions) ConvertFieldLabel(schema.GroupVersionKind, string, string) (label, value string, err error) {
	return "", "", errors.New("field labels are not converted")
}

// defaulter fills in what the API server fills in when it decodes an object.
type defaulter struct{}

func (defaulter) Default(in runtime.Object) { setDefaults(in) }

// creator makes objects that know what they are.
type creator struct{}

func (creator) New(gvk schema.GroupVersionKind) (runtime.Object, error) {
	object, err := scheme.Scheme.New(gvk)
	if err != nil {
		return nil, fmt.Errorf("make a %s: %w", gvk.Kind, err)
	}
	object.GetObjectKind().SetGroupVersionKind(gvk)
	return object, nil
}

// managed gives an object the form that its field manager takes: a built-in kind its Go type, whose empty fields nobody owns.
func (r *resource) managed(obj *unstructured.Unstructured, version string) (runtime.Object, error) {
	gvk := r.gvk(version)
	if obj == nil {
		obj = &unstructured.Unstructured{Object: map[string]any{}}
		obj.SetGroupVersionKind(gvk)
	}
	obj = inVersion(obj, gvk.GroupVersion().String())
	if r.custom {
		return obj.DeepCopy(), nil
	}
	typed, err := scheme.Scheme.New(gvk)
	if err != nil {
		return nil, fmt.Errorf("make a %s: %w", r.kind, err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, typed); err != nil {
		return nil, fmt.Errorf("decode a %s: %w", r.kind, err)
	}
	return typed, nil
}

// unmanaged turns what a field manager gives into the stored version.
func (r *resource) unmanaged(object runtime.Object) (*unstructured.Unstructured, error) {
	if obj, ok := object.(*unstructured.Unstructured); ok {
		return normalize(r, obj)
	}
	return fromTyped(object, r)
}

// own records what a create or an update changed as the manager's. Both objects are in the stored version; live is nil where
// there is none.
func (s *Server) own(res *resource, version, sub string, live, obj *unstructured.Unstructured, manager string) (*unstructured.Unstructured, error) {
	m, err := s.owners.of(res, version, sub)
	if err != nil {
		return nil, err
	}
	before, err := res.managed(live, version)
	if err != nil {
		return nil, err
	}
	after, err := res.managed(obj, version)
	if err != nil {
		return nil, err
	}
	updated, err := m.Update(before, after, manager)
	if err != nil {
		// The object does not fit its schema, which is for the validation to say.
		obj.SetManagedFields(nil)
		if live != nil {
			obj.SetManagedFields(live.GetManagedFields())
		}
		return obj, nil //nolint:nilerr // As a real API server.
	}
	return res.unmanaged(updated)
}

// apply merges an applied configuration into the live object, which is nil where there is none.
func (s *Server) apply(res *resource, version, sub string, live *unstructured.Unstructured, patch map[string]any, manager string, force bool) (*unstructured.Unstructured, error) {
	m, err := s.owners.of(res, version, sub)
	if err != nil {
		return nil, err
	}
	before, err := res.managed(live, version)
	if err != nil {
		return nil, err
	}
	merged, err := m.Apply(before, &unstructured.Unstructured{Object: patch}, manager, force)
	if err != nil {
		return nil, plainError(err)
	}
	return res.unmanaged(merged)
}

// managerName is who a request's writer is: the field manager that it names, else the program of its User-Agent.
func managerName(query url.Values, userAgent string) string {
	if name := query.Get("fieldManager"); name != "" {
		return name
	}
	for i, r := range userAgent {
		if r == '/' || r < ' ' || r > '~' {
			return userAgent[:i]
		}
	}
	return userAgent
}
