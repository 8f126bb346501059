package kubesim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// maxPatchOperations is how many operations a real API server takes in one JSON patch.
const maxPatchOperations = 10000

func (s *Server) servePatch(w http.ResponseWriter, req *request) error {
	patch, media, err := readBody(req)
	if err != nil {
		return err
	}
	kind := types.PatchType(media)
	if err := checkPatchType(req.res, kind); err != nil {
		return err
	}
	opts, err := requestOptions(w, req, kind)
	if err != nil {
		return err
	}
	if kind == types.ApplyYAMLPatchType {
		return s.serveApply(w, req, patch, opts)
	}
	apply, err := patcher(req.res, kind, patch, opts)
	if err != nil {
		return err
	}
	rec, err := s.update(req.res, req.namespace, req.name, opts, func(old *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		before, err := json.Marshal(inVersion(old, req.apiVersion()).Object)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		after, err := apply(before)
		if err != nil {
			return nil, err
		}
		obj, err := decodePatched(req.res, req.gvr.Version, after, opts)
		if err != nil {
			return nil, err
		}
		return s.own(req.res, req.gvr.Version, req.sub, old, obj, opts.manager)
	})
	if err != nil {
		return err
	}
	return s.writeRecord(w, req, http.StatusOK, rec)
}

func checkPatchType(res *resource, kind types.PatchType) error {
	switch {
	case kind == types.JSONPatchType, kind == types.MergePatchType, kind == types.ApplyYAMLPatchType, kind == types.StrategicMergePatchType && !res.custom:
		return nil
	case res.custom:
		return unsupported("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")
	}
	return routeError(http.StatusUnsupportedMediaType, "415: Unsupported Media Type")
}

// serveApply merges an applied configuration, and creates the object where there is none.
func (s *Server) serveApply(w http.ResponseWriter, req *request, patch []byte, opts writeOptions) error {
	read := func() (map[string]any, error) {
		content := map[string]any{}
		if err := yaml.Unmarshal(patch, &content); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
		if err := yaml.UnmarshalStrict(patch, &map[string]any{}); err != nil {
			if opts.validation == metav1.FieldValidationStrict {
				return nil, apierrors.NewBadRequest(fmt.Sprintf("error strict decoding patch: %v", err))
			}
			opts.warn(err.Error())
		}
		return content, nil
	}
	code := http.StatusOK
	rec, err := s.update(req.res, req.namespace, req.name, opts, func(old *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		content, err := read()
		if err != nil {
			return nil, err
		}
		return s.apply(req.res, req.gvr.Version, req.sub, old, content, opts.manager, opts.force)
	})
	if apierrors.IsNotFound(err) && req.sub == "" {
		code = http.StatusCreated
		rec, err = s.createApplied(req, read, opts)
	}
	if err != nil {
		return err
	}
	return s.writeRecord(w, req, code, rec)
}

func (s *Server) createApplied(req *request, read func() (map[string]any, error), opts writeOptions) (*record, error) {
	content, err := read()
	if err != nil {
		return nil, err
	}
	obj, err := s.apply(req.res, req.gvr.Version, req.sub, nil, content, opts.manager, opts.force)
	if err != nil {
		return nil, err
	}
	if uid := obj.GetUID(); uid != "" {
		return nil, apierrors.NewConflict(req.res.groupResource(), req.name, fmt.Errorf("uid mismatch: the provided object specified uid %s, and no existing object was found", uid))
	}
	if err := checkNamespace(req.res, req.namespace, obj); err != nil {
		return nil, err
	}
	if err := checkName(obj, req.name); err != nil {
		return nil, err
	}
	return s.create(req.res, req.namespace, obj, opts)
}

// decodePatched reads what a patch made of an object.
func decodePatched(res *resource, version string, patched []byte, opts writeOptions) (*unstructured.Unstructured, error) {
	obj, gvk, loose, err := decode(res, version, patched, false)
	if err == nil && len(loose) > 0 {
		err = opts.tolerate(loose)
	}
	if err != nil {
		return nil, apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), string(patched), err.Error())})
	}
	if gvk.Kind != res.kind {
		return nil, wrongKind(res, obj)
	}
	return obj, nil
}

func wrongKind(res *resource, obj *unstructured.Unstructured) error {
	return apierrors.NewInvalid(obj.GroupVersionKind().GroupKind(), obj.GetName(), field.ErrorList{field.Invalid(field.NewPath("kind"), obj.GetKind(), "must be "+res.kind)})
}

// patcher decodes a patch into what it does to an object's JSON.
func patcher(res *resource, kind types.PatchType, patch []byte, opts writeOptions) (func(before []byte) ([]byte, error), error) {
	switch kind {
	case types.JSONPatchType:
		return jsonPatcher(patch, opts), nil
	case types.StrategicMergePatchType:
		return strategicPatcher(res, patch)
	default:
		return mergePatcher(patch, opts), nil
	}
}

func mergePatcher(patch []byte, opts writeOptions) func([]byte) ([]byte, error) {
	return func(before []byte) ([]byte, error) {
		if !json.Valid(patch) {
			return nil, apierrors.NewBadRequest("invalid JSON patch")
		}
		var content map[string]any
		loose, err := strictjson.UnmarshalStrict(patch, &content)
		if err == nil && len(loose) > 0 {
			err = opts.tolerate(loose)
		}
		if err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
		after, err := jsonpatch.MergePatch(before, patch)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return after, nil
	}
}

func jsonPatcher(patch []byte, opts writeOptions) func([]byte) ([]byte, error) {
	var shape []struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		From  string `json:"from"`
		Value any    `json:"value"`
	}
	return func(before []byte) ([]byte, error) {
		if !json.Valid(patch) {
			return nil, apierrors.NewBadRequest("invalid JSON patch")
		}
		loose, err := strictjson.UnmarshalStrict(patch, &shape)
		if err == nil && len(loose) > 0 {
			err = opts.tolerate(loose)
		}
		if err != nil {
			// The type has a name in a real API server.
			return nil, apierrors.NewBadRequest("error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
		}
		operations, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if len(operations) > maxPatchOperations {
			return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("The allowed maximum operations in a JSON patch is %d, got %d", maxPatchOperations, len(operations)))
		}
		after, err := operations.Apply(before)
		if err != nil {
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
		return after, nil
	}
}

func strategicPatcher(res *resource, patch []byte) (func([]byte) ([]byte, error), error) {
	like, err := scheme.Scheme.New(res.gvk(res.storedVersion()))
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return func(before []byte) ([]byte, error) {
		if !json.Valid(patch) {
			return nil, apierrors.NewBadRequest("invalid JSON patch")
		}
		after, err := strategicpatch.StrategicMergePatch(before, patch, like)
		switch {
		case err == nil:
			return after, nil
		case errors.Is(err, mergepatch.ErrBadJSONDoc), errors.Is(err, mergepatch.ErrBadPatchFormatForPrimitiveList), errors.Is(err, mergepatch.ErrBadPatchFormatForRetainKeys), errors.Is(err, mergepatch.ErrBadPatchFormatForSetElementOrderList), errors.Is(err, mergepatch.ErrUnsupportedStrategicMergePatchFormat):
			return nil, apierrors.NewBadRequest(err.Error())
		case mergepatch.IsPreconditionFailed(err):
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
		return nil, plainError(err)
	}, nil
}
