package kubesim

import (
	"reflect"
	"strings"

	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// goTypes are OpenAPI schemas made of Go types, with the descriptions that the types carry. What only comments in their
// source say, such as the values of an enumeration, is not in them.
type goTypes map[string]map[string]any

// add makes the schema of an object's type and of all types within.
func (g goTypes) add(object runtime.Object) map[string]any {
	t := reflect.TypeOf(object).Elem()
	g.object(t)
	return g[typeName(t)]
}

// objectProperties are those that every object has, as a built-in kind describes them.
func (g goTypes) objectProperties() map[string]any {
	properties := map[string]any{}
	var required []string
	g.fields(reflect.TypeFor[metav1.PartialObjectMetadata](), properties, &required)
	return properties
}

// typeName is the name of a type in a real API server's document.
func typeName(t reflect.Type) string {
	domain, path, _ := strings.Cut(t.PkgPath(), "/")
	return reversed(domain) + "." + strings.ReplaceAll(path, "/", ".") + "." + t.Name()
}

// of is the schema of a value of a type.
func (g goTypes) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[metav1.FieldsV1](), reflect.TypeFor[runtime.RawExtension]():
		g[typeName(t)] = map[string]any{"type": "object", "description": docs(t)[""]}
		return map[string]any{"$ref": ref(typeName(t))}
	case reflect.TypeFor[intstr.IntOrString]():
		g[typeName(t)] = map[string]any{"format": "int-or-string", "oneOf": []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}}}
		return map[string]any{"$ref": ref(typeName(t))}
	case reflect.TypeFor[apiresource.Quantity]():
		g[typeName(t)] = map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "number"}}}
		return map[string]any{"$ref": ref(typeName(t))}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Struct:
		g.object(t)
		return map[string]any{"$ref": ref(typeName(t))}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "format": "byte"}
		}
		return map[string]any{"type": "array", "items": g.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": g.of(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int32:
		return map[string]any{"type": "integer", "format": "int32"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer", "format": "int64"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	}
	return map[string]any{"type": "string"}
}

// object makes the schema of a struct, once.
func (g goTypes) object(t reflect.Type) {
	name := typeName(t)
	if _, done := g[name]; done {
		return
	}
	properties := map[string]any{}
	out := map[string]any{"type": "object", "properties": properties}
	g[name] = out // Before its fields, which may be of the same type.
	if text := docs(t)[""]; text != "" {
		out["description"] = text
	}
	var required []string
	g.fields(t, properties, &required)
	if len(required) > 0 {
		out["required"] = required
	}
}

// fields describes the fields of a struct and of those that it takes in.
func (g goTypes) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			g.fields(f.Type, properties, required)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		property := g.of(f.Type)
		if target, ok := property["$ref"]; ok {
			property = map[string]any{"allOf": []any{map[string]any{"$ref": target}}}
		}
		if text := docs(t)[name]; text != "" {
			property["description"] = text
		}
		for tag, extension := range map[string]string{"patchStrategy": "x-kubernetes-patch-strategy", "patchMergeKey": "x-kubernetes-patch-merge-key"} {
			if value := f.Tag.Get(tag); value != "" {
				property[extension] = value
			}
		}
		properties[name] = property
		if !strings.Contains(options, "omitempty") {
			*required = append(*required, name)
		}
	}
}

// docs are a type's descriptions, by the names of its fields in JSON, its own under the empty name.
func docs(t reflect.Type) map[string]string {
	if documented, ok := reflect.New(t).Interface().(interface{ SwaggerDoc() map[string]string }); ok {
		return documented.SwaggerDoc()
	}
	return nil
}
