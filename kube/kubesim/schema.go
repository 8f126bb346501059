package kubesim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	openapierrors "k8s.io/kube-openapi/pkg/validation/errors"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
)

// structural is the schema of a custom kind. Its CEL rules are not evaluated.
type structural struct {
	raw       json.RawMessage
	schema    *spec.Schema
	validator *validate.SchemaValidator
	rules     bool
}

func newStructural(d definition) *structural {
	var schema spec.Schema
	if err := json.Unmarshal(d.Schema, &schema); err != nil {
		panic("crds.json: " + d.Kind + ": " + err.Error()) // It is part of the program.
	}
	typeIntOrString(&schema)
	return &structural{raw: d.Schema, schema: &schema, validator: validate.NewSchemaValidator(&schema, nil, "", strfmt.Default), rules: d.Rules}
}

// typeIntOrString spells out the one type that Kubernetes adds to OpenAPI.
func typeIntOrString(s *spec.Schema) {
	if on, _ := s.Extensions.GetBool("x-kubernetes-int-or-string"); on {
		s.Type = spec.StringOrArray{"integer", "string"}
	}
	for name, inner := range s.Properties {
		typeIntOrString(&inner)
		s.Properties[name] = inner
	}
	if s.Items != nil && s.Items.Schema != nil {
		typeIntOrString(s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		typeIntOrString(s.AdditionalProperties.Schema)
	}
}

// prune takes out of an object what its schema does not know, and says what that was.
func (c *structural) prune(object map[string]any) []string {
	kept := map[string]any{}
	for _, name := range []string{"apiVersion", "kind", "metadata"} {
		if value, ok := object[name]; ok {
			kept[name] = value
			delete(object, name)
		}
	}
	var unknown []string
	prune(object, c.schema, "", &unknown)
	for name, value := range kept {
		object[name] = value
	}
	slices.Sort(unknown)
	return unknown
}

func prune(value any, s *spec.Schema, path string, unknown *[]string) {
	keep, _ := s.Extensions.GetBool("x-kubernetes-preserve-unknown-fields")
	switch v := value.(type) {
	case []any:
		if s.Items == nil || s.Items.Schema == nil {
			return
		}
		for i := range v {
			prune(v[i], s.Items.Schema, fmt.Sprintf("%s[%d]", path, i), unknown)
		}
	case map[string]any:
		for name, inner := range v {
			at := strings.TrimPrefix(path+"."+name, ".")
			property, known := s.Properties[name]
			switch {
			case known:
				prune(inner, &property, at, unknown)
			case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
				prune(inner, s.AdditionalProperties.Schema, at, unknown)
			case keep, s.AdditionalProperties != nil && s.AdditionalProperties.Allows:
			default:
				*unknown = append(*unknown, at)
				delete(v, name)
			}
		}
	}
}

// check holds an object against its schema, in a real API server's words.
func (c *structural) check(object map[string]any) field.ErrorList {
	var errs field.ErrorList
	for _, err := range c.validator.Validate(object).Errors {
		errs = append(errs, schemaError(err))
	}
	if c.rules && slices.ContainsFunc(errs, blocksRules) {
		errs = append(errs, field.Invalid(nil, nil, "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"))
	}
	return errs
}

func blocksRules(err *field.Error) bool {
	switch err.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	default:
		return false
	}
}

func schemaError(err error) *field.Error {
	var failed *openapierrors.Validation
	if !errors.As(err, &failed) {
		return field.Invalid(nil, "", err.Error())
	}
	var path *field.Path
	if name := strings.TrimPrefix(failed.Name, "."); name != "" {
		path = field.NewPath(name)
	}
	var value any = ""
	if failed.Value != nil {
		value = failed.Value
	}
	bound := func(v any) int {
		n, _ := v.(int64)
		return int(n)
	}
	switch failed.Code() {
	case openapierrors.RequiredFailCode:
		return field.Required(path, "")
	case openapierrors.EnumFailCode:
		allowed := make([]string, len(failed.Values))
		for i, v := range failed.Values {
			allowed[i] = fmt.Sprint(v)
		}
		return field.NotSupported(path, failed.Value, allowed)
	case openapierrors.TooLongFailCode:
		return field.TooLong(path, "", bound(failed.Valid))
	case openapierrors.MaxItemsFailCode, openapierrors.TooManyPropertiesCode:
		return field.TooMany(path, bound(failed.Value), bound(failed.Valid))
	case openapierrors.InvalidTypeCode:
		return field.TypeInvalid(path, value, err.Error())
	}
	return field.Invalid(path, value, err.Error())
}
