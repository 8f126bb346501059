package kubesim

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured/unstructuredscheme"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	strictjson "sigs.k8s.io/json"
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
	return body, media, nil
}

func unsupported(allowed string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " + allowed,
	}}
}

// plainError is an error that a real API server has no reason for: it answers 500 with the error's own words.
func plainError(err error) error {
	var known apierrors.APIStatus
	if errors.As(err, &known) {
		return err
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error()}}
}

// decodeObject reads the object of a create or update, in the stored version. What a lenient decoder passes over is refused,
// warned of or ignored as the request wants it.
func decodeObject(req *request, opts writeOptions) (*unstructured.Unstructured, error) {
	body, media, err := readBody(req)
	if err != nil {
		return nil, err
	}
	isProtobuf := media == mediaProtobuf && req.res.typed()
	if media != mediaJSON && media != mediaYAML && !isProtobuf {
		return nil, unsupported(accepts(req.res))
	}
	var obj *unstructured.Unstructured
	var gvk *schema.GroupVersionKind
	var loose []error
	if isProtobuf {
		obj, gvk, err = decodeProtobuf(req.res, req.gvr.Version, body)
	} else {
		obj, gvk, loose, err = decode(req.res, req.gvr.Version, body, media == mediaYAML)
	}
	if err == nil && len(loose) > 0 {
		err = opts.tolerate(loose)
	}
	switch want := req.res.gvk(req.gvr.Version); {
	case err != nil && gvk != nil && gvk.Kind != "":
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", gvk.Kind, gvk.Version, want.Kind, err))
	case err != nil:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v (%s)", want.Kind, err, summary(body)))
	case gvk.GroupVersion() != want.GroupVersion():
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", gvk.GroupVersion(), want.GroupVersion()))
	case gvk.Kind != want.Kind:
		return nil, wrongKind(req.res, obj)
	}
	return obj, nil
}

// accepts lists the formats of objects of a resource.
func accepts(res *resource) string {
	if res.custom {
		return "application/json, application/yaml"
	}
	return "application/json, application/yaml, application/vnd.kubernetes.protobuf"
}

// summary shows the beginning of a body that could not be read.
func summary(body []byte) string {
	const limit = 30
	show := func(b []byte) string { return hex.EncodeToString(b) }
	switch {
	case len(body) == 0:
		return "<empty>"
	case body[0] == '{':
		show = func(b []byte) string { return string(b) }
	}
	if len(body) > limit {
		return show(body[:limit]) + " ..."
	}
	return show(body)
}

// decode reads an object as a real API server does: gvk is what it says it is, as far as that could be read; loose is what
// only a strict decoder minds.
func decode(res *resource, version string, body []byte, isYAML bool) (obj *unstructured.Unstructured, gvk *schema.GroupVersionKind, loose []error, err error) {
	want := res.gvk(version)
	into, creator, typer := runtime.Object(&unstructured.Unstructured{}), unstructuredscheme.NewUnstructuredCreator(), unstructuredscheme.NewUnstructuredObjectTyper()
	if res.typed() {
		creator, typer = scheme.Scheme, scheme.Scheme
		if into, err = scheme.Scheme.New(want); err != nil {
			return nil, nil, nil, err
		}
	}
	serializer := kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, creator, typer, kjson.SerializerOptions{Yaml: isYAML, Strict: true})
	decoded, gvk, err := serializer.Decode(body, &want, into)
	if strict, ok := runtime.AsStrictDecodingError(err); ok && decoded != nil {
		loose, err = strict.Errors(), nil
	}
	if err != nil {
		return nil, gvk, nil, err
	}
	if raw, ok := decoded.(*unstructured.Unstructured); ok {
		more, err := trim(res, raw)
		return inVersion(raw, res.storedAPI()), gvk, append(loose, more...), err
	}
	if gvk.GroupKind() != want.GroupKind() {
		return nil, gvk, nil, fmt.Errorf("converting (%s) to (%s): unknown conversion", goName(*gvk, gvk.Version), goName(want, ""))
	}
	obj, err = fromTyped(decoded, res)
	return obj, gvk, loose, err
}

// goName is the name of a kind's Go type in a real API server.
func goName(gvk schema.GroupVersionKind, version string) string {
	if version == "" {
		group, _, _ := strings.Cut(gvk.Group, ".")
		if version = group; version == "" {
			version = "core"
		}
	}
	return path.Base(version) + "." + gvk.Kind
}

func decodeProtobuf(res *resource, version string, body []byte) (*unstructured.Unstructured, *schema.GroupVersionKind, error) {
	want := res.gvk(version)
	typed, gvk, err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Decode(body, &want, nil)
	if err != nil {
		return nil, gvk, err
	}
	if gvk.GroupKind() != want.GroupKind() {
		return nil, gvk, fmt.Errorf("converting (%s) to (%s): unknown conversion", goName(*gvk, gvk.Version), goName(want, ""))
	}
	obj, err := fromTyped(typed, res)
	return obj, gvk, err
}

// trim takes from an object of a custom kind what its schema and ObjectMeta do not know, and says what that was.
func trim(res *resource, obj *unstructured.Unstructured) ([]error, error) {
	var loose []error
	if raw, ok := obj.Object["metadata"]; ok {
		data, err := json.Marshal(raw)
		if err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
		var meta metav1.ObjectMeta
		unknown, err := strictjson.UnmarshalStrict(data, &meta)
		if err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
		for _, u := range unknown {
			loose = append(loose, errors.New(strings.Replace(u.Error(), `"`, `"metadata.`, 1)))
		}
		clean, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&meta)
		if err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
		obj.Object["metadata"] = clean
		if meta.CreationTimestamp.IsZero() {
			delete(clean, "creationTimestamp")
		}
	}
	if res.schema == nil {
		return loose, nil
	}
	for _, path := range res.schema().prune(obj.Object) {
		loose = append(loose, fmt.Errorf("unknown field %q", path))
	}
	return loose, nil
}

// normalize brings an object that was made here into the stored version, with its defaults and without what its kind does not
// know. The object itself is not changed.
func normalize(res *resource, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	gvk := obj.GroupVersionKind()
	if gvk.Group != res.group || !res.serves(gvk.Version) || gvk.Kind != res.kind {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s", gvk.Kind, obj.GetAPIVersion(), res.kind))
	}
	if !res.typed() {
		obj = inVersion(obj.DeepCopy(), res.storedAPI())
		if _, err := trim(res, obj); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return obj, nil
	}
	typed, err := typedCopy(res, obj)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return fromTyped(typed, res)
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

func fromTyped(typed runtime.Object, res *resource) (*unstructured.Unstructured, error) {
	setDefaults(typed)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	obj := &unstructured.Unstructured{Object: content}
	obj.SetGroupVersionKind(res.gvk(res.storedVersion()))
	if obj.GetCreationTimestamp().Time.IsZero() {
		unstructured.RemoveNestedField(obj.Object, "metadata", "creationTimestamp")
	}
	return inVersion(obj, res.storedAPI()), nil
}
