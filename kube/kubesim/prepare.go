package kubesim

import (
	"encoding/base64"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"

	corev1 "k8s.io/api/core/v1"
)

// maxData is how much a Secret or a ConfigMap may hold, in bytes.
const maxData = corev1.MaxSecretSize

// normalize brings an object into its stored version and, where the Go type is known, into the shape that the type gives it:
// unknown fields are dropped (refused when strict is "Strict"), values of the wrong type are refused.
func normalize(res *resource, obj *unstructured.Unstructured, strict string) (*unstructured.Unstructured, error) {
	gvk := obj.GroupVersionKind()
	if gvk.Group != res.group || !res.serves(gvk.Version) || gvk.Kind != res.kind {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s", gvk.Kind, obj.GetAPIVersion(), res.kind))
	}
	want := res.gvk(res.storedVersion())
	if !res.typed() {
		return inVersion(obj, want.GroupVersion().String()).DeepCopy(), nil
	}
	typed, err := scheme.Scheme.New(want)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, typed, strict == "Strict"); err != nil {
		if runtime.IsStrictDecodingError(err) {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", gvk.Kind, want.GroupVersion(), res.kind, err))
	}
	return fromTyped(typed, res)
}

func fromTyped(typed runtime.Object, res *resource) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	obj := &unstructured.Unstructured{Object: content}
	obj.SetGroupVersionKind(res.gvk(res.storedVersion()))
	if obj.GetCreationTimestamp().Time.IsZero() {
		unstructured.RemoveNestedField(obj.Object, "metadata", "creationTimestamp")
	}
	return obj, nil
}

// prepare fills in what the API server fills in by itself and judges what only it can judge. old is nil on creation. The
// caller holds the write lock.
func (s *Server) prepare(sh *shelf, obj, old *unstructured.Unstructured) field.ErrorList {
	switch sh.res.kind {
	case "Namespace":
		labels := obj.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[corev1.LabelMetadataName] = obj.GetName()
		obj.SetLabels(labels)
		setDefault(obj, string(corev1.NamespaceActive), "status", "phase")
	case "Pod":
		setDefault(obj, string(corev1.PodPending), "status", "phase")
		setDefault(obj, string(corev1.RestartPolicyAlways), "spec", "restartPolicy")
		setDefault(obj, string(corev1.DNSClusterFirst), "spec", "dnsPolicy")
		return podErrors(obj)
	case "Deployment":
		setDefault(obj, int64(1), "spec", "replicas")
	case "Secret":
		return prepareSecret(obj, old)
	case "ConfigMap":
		return dataErrors(obj)
	case "Service":
		return s.prepareService(sh, obj, old)
	}
	return nil
}

// setDefault sets a field that is absent. A parent that is not an object leaves it absent.
func setDefault(obj *unstructured.Unstructured, value any, path ...string) {
	if _, found, err := unstructured.NestedFieldNoCopy(obj.Object, path...); err != nil || found {
		return
	}
	_ = unstructured.SetNestedField(obj.Object, value, path...) // The parents were just seen to be objects or absent.
}

func podErrors(obj *unstructured.Unstructured) field.ErrorList {
	containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "containers")
	path := field.NewPath("spec", "containers")
	if len(containers) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for i, c := range containers {
		container, ok := c.(map[string]any)
		if !ok {
			continue
		}
		if container["name"] == nil || container["name"] == "" {
			errs = append(errs, field.Required(path.Index(i).Child("name"), ""))
		}
	}
	return errs
}

func prepareSecret(obj, old *unstructured.Unstructured) field.ErrorList {
	setDefault(obj, string(corev1.SecretTypeOpaque), "type")
	if plain, found, _ := unstructured.NestedStringMap(obj.Object, "stringData"); found {
		for key, value := range plain {
			_ = unstructured.SetNestedField(obj.Object, base64.StdEncoding.EncodeToString([]byte(value)), "data", key) // data was normalized to an object.
		}
		delete(obj.Object, "stringData")
	}
	errs := dataErrors(obj)
	kind, _, _ := unstructured.NestedString(obj.Object, "type")
	if kind == string(corev1.SecretTypeTLS) {
		data, _, _ := unstructured.NestedStringMap(obj.Object, "data")
		for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			if _, ok := data[key]; !ok {
				errs = append(errs, field.Required(field.NewPath("data").Key(key), ""))
			}
		}
	}
	if old != nil {
		before, _, _ := unstructured.NestedString(old.Object, "type")
		if before != kind {
			errs = append(errs, field.Invalid(field.NewPath("type"), kind, "field is immutable"))
		}
	}
	return errs
}

// dataErrors judges the size of what a Secret or ConfigMap holds.
func dataErrors(obj *unstructured.Unstructured) field.ErrorList {
	size := 0
	for _, name := range []string{"data", "binaryData"} {
		data, _, _ := unstructured.NestedStringMap(obj.Object, name)
		for _, value := range data {
			n := len(value)
			if name == "binaryData" || obj.GetKind() == "Secret" {
				n = base64.StdEncoding.DecodedLen(len(value)) - strings.Count(value, "=")
			}
			size += n
		}
	}
	if size > maxData {
		path := field.NewPath("data")
		if obj.GetKind() == "ConfigMap" {
			path = nil
		}
		return field.ErrorList{field.TooLong(path, "", maxData)}
	}
	return nil
}
