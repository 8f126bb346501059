package kubesim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const (
	mediaJSON     = "application/json"
	mediaYAML     = "application/yaml"
	mediaProtobuf = "application/vnd.kubernetes.protobuf"
)

// readBody gives the body and its media type, JSON when the client does not say.
func readBody(req *request) ([]byte, string, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, "", fmt.Errorf("read the body: %w", err)
	}
	media := mediaJSON
	if given := req.Header.Get("Content-Type"); given != "" {
		if media, _, err = mime.ParseMediaType(given); err != nil {
			return nil, "", apierrors.NewBadRequest(fmt.Sprintf("content type %q: %v", given, err))
		}
	}
	if media == mediaYAML {
		if body, err = yaml.YAMLToJSON(body); err != nil {
			return nil, "", apierrors.NewBadRequest(err.Error())
		}
		media = mediaJSON
	}
	return body, media, nil
}

func unsupported(allowed string) error {
	return apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "", schema.GroupResource{}, "",
		"the body of the request was in an unknown format - accepted media types include: "+allowed, 0, true)
}

// decodeObject reads the object of a create or update.
func decodeObject(req *request) (*unstructured.Unstructured, error) {
	body, media, err := readBody(req)
	if err != nil {
		return nil, err
	}
	gvk := req.res.gvk(req.gvr.Version)
	switch {
	case media == mediaJSON:
		return objectFromJSON(body, gvk)
	case media == mediaProtobuf && req.res.typed():
		typed, _, err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Decode(body, &gvk, nil)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return fromTyped(typed, req.res)
	case req.res.custom:
		return nil, unsupported("application/json, application/yaml")
	}
	return nil, unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")
}

// objectFromJSON decodes one object. A body that does not name its kind is of the kind that the URL says.
func objectFromJSON(body []byte, gvk schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	var content map[string]any
	if err := json.Unmarshal(body, &content); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v", gvk.Kind, err))
	}
	if content == nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): it is empty", gvk.Kind))
	}
	obj := &unstructured.Unstructured{Object: content}
	if obj.GetAPIVersion() == "" {
		obj.SetAPIVersion(gvk.GroupVersion().String())
	}
	if obj.GetKind() == "" {
		obj.SetKind(gvk.Kind)
	}
	if obj.GetAPIVersion() != gvk.GroupVersion().String() {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", obj.GetAPIVersion(), gvk.GroupVersion()))
	}
	if err := checkMetadata(content); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", obj.GetKind(), gvk.Version, gvk.Kind, err))
	}
	data, err := json.Marshal(content)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	// Read again by its own decoder, which tells whole numbers from fractions.
	if err := obj.UnmarshalJSON(data); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return obj, nil
}

// checkMetadata refuses metadata of the wrong types, which accessors would read as absent.
func checkMetadata(content map[string]any) error {
	raw, ok := content["metadata"]
	if !ok {
		return nil
	}
	data, err := json.Marshal(raw)
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	var meta metav1.ObjectMeta
	if err := json.Unmarshal(data, &meta); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return nil
}

// deleteOptions reads the body of a delete, and where there is none its parameters.
func deleteOptions(req *request) (*metav1.DeleteOptions, error) {
	body, media, err := readBody(req)
	if err != nil {
		return nil, err
	}
	opts := &metav1.DeleteOptions{}
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		opts.DryRun = req.query["dryRun"]
	case media == mediaJSON:
		err = json.Unmarshal(body, opts)
	case media == mediaProtobuf:
		gvk := schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
		_, _, err = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Decode(body, &gvk, opts)
	default:
		return nil, unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return opts, nil
}

// dryRun judges the dryRun parameter, which has one value.
func dryRun(values []string) (bool, error) {
	for _, v := range values {
		if v != metav1.DryRunAll {
			return false, apierrors.NewBadRequest(fmt.Sprintf("invalid dryRun value %q: only %q is supported", v, metav1.DryRunAll))
		}
	}
	return len(values) > 0, nil
}

// typedCopy decodes an object into the Go type that client-go has for it.
func typedCopy(res *resource, obj *unstructured.Unstructured) (runtime.Object, error) {
	typed, err := scheme.Scheme.New(res.gvk(res.storedVersion()))
	if err != nil {
		return nil, fmt.Errorf("make a %s: %w", res.kind, err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, typed); err != nil {
		return nil, fmt.Errorf("decode a %s: %w", res.kind, err)
	}
	return typed, nil
}
