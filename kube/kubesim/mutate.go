package kubesim

import (
	"encoding/json"
	"errors"
	"net/http"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

// maxPatchOperations is how many operations a real API server takes in one JSON patch.
const maxPatchOperations = 10000

func requestWriteOptions(req *request) (writeOptions, error) {
	dry, err := dryRun(req.query["dryRun"])
	return writeOptions{dryRun: dry, status: req.sub == "status", strict: req.query.Get("fieldValidation")}, err
}

func (s *Server) serveCreate(w http.ResponseWriter, req *request) error {
	opts, err := requestWriteOptions(req)
	if err != nil {
		return err
	}
	obj, err := decodeObject(req)
	if err != nil {
		return err
	}
	rec, err := s.create(req.res, req.namespace, obj, opts)
	if err != nil {
		return err
	}
	return s.writeRecord(w, req, http.StatusCreated, rec)
}

func (s *Server) serveUpdate(w http.ResponseWriter, req *request) error {
	opts, err := requestWriteOptions(req)
	if err != nil {
		return err
	}
	obj, err := decodeObject(req)
	if err != nil {
		return err
	}
	rec, err := s.update(req.res, req.namespace, req.name, opts, func(*unstructured.Unstructured) (*unstructured.Unstructured, error) {
		return obj, nil
	})
	if err != nil {
		return err
	}
	return s.writeRecord(w, req, http.StatusOK, rec)
}

func (s *Server) servePatch(w http.ResponseWriter, req *request) error {
	opts, err := requestWriteOptions(req)
	if err != nil {
		return err
	}
	opts.patch = true
	patch, media, err := readBody(req)
	if err != nil {
		return err
	}
	apply, err := patcher(req.res, types.PatchType(media), patch)
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
		return objectFromJSON(after, req.res.gvk(req.gvr.Version))
	})
	if err != nil {
		return err
	}
	return s.writeRecord(w, req, http.StatusOK, rec)
}

// patcher decodes a patch into what it does to an object's JSON.
func patcher(res *resource, kind types.PatchType, patch []byte) (func(before []byte) ([]byte, error), error) {
	switch {
	case kind == types.JSONPatchType:
		return jsonPatcher(patch)
	case kind == types.MergePatchType:
		var content map[string]any
		if err := json.Unmarshal(patch, &content); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return func(before []byte) ([]byte, error) {
			after, err := jsonpatch.MergePatch(before, patch)
			if err != nil {
				return nil, apierrors.NewBadRequest(err.Error())
			}
			return after, nil
		}, nil
	case kind == types.StrategicMergePatchType && res.typed():
		return strategicPatcher(res, patch)
	case res.custom:
		return nil, unsupported("application/json-patch+json, application/merge-patch+json")
	}
	return nil, unsupported("application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json")
}

func jsonPatcher(patch []byte) (func([]byte) ([]byte, error), error) {
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if len(operations) > maxPatchOperations {
		return nil, apierrors.NewRequestEntityTooLargeError("the allowed maximum operations in a JSON patch is 10000")
	}
	return func(before []byte) ([]byte, error) {
		after, err := operations.Apply(before)
		if err != nil {
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
		return after, nil
	}, nil
}

func strategicPatcher(res *resource, patch []byte) (func([]byte) ([]byte, error), error) {
	like, err := scheme.Scheme.New(res.gvk(res.storedVersion()))
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return func(before []byte) ([]byte, error) {
		after, err := strategicpatch.StrategicMergePatch(before, patch, like)
		switch {
		case err == nil:
			return after, nil
		case errors.Is(err, mergepatch.ErrBadJSONDoc), errors.Is(err, mergepatch.ErrBadPatchFormatForPrimitiveList), errors.Is(err, mergepatch.ErrBadPatchFormatForRetainKeys), errors.Is(err, mergepatch.ErrBadPatchFormatForSetElementOrderList), errors.Is(err, mergepatch.ErrUnsupportedStrategicMergePatchFormat):
			return nil, apierrors.NewBadRequest(err.Error())
		default:
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
	}, nil
}

func (s *Server) serveDelete(w http.ResponseWriter, req *request) error {
	opts, err := deleteOptions(req)
	if err != nil {
		return err
	}
	dry, err := dryRun(opts.DryRun)
	if err != nil {
		return err
	}
	rec, err := s.remove(req.res, req.namespace, req.name, opts, dry)
	if err != nil {
		return err
	}
	if rec.obj.GetDeletionTimestamp() != nil && len(rec.obj.GetFinalizers()) > 0 {
		return s.writeRecord(w, req, http.StatusOK, rec)
	}
	s.writeJSON(w, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: req.name, Group: req.res.group, Kind: req.res.plural, UID: rec.obj.GetUID()},
	})
	return nil
}

func (s *Server) serveDeleteCollection(w http.ResponseWriter, req *request) error {
	if req.res.namespaced && req.namespace == "" {
		return apierrors.NewMethodNotSupported(req.res.groupResource(), req.verb)
	}
	list, f, err := listOptions(req)
	if err != nil {
		return err
	}
	opts, err := deleteOptions(req)
	if err != nil {
		return err
	}
	dry, err := dryRun(opts.DryRun)
	if err != nil {
		return err
	}
	f.namespace = req.namespace
	page, err := s.list(req.res, list, f)
	if err != nil {
		return err
	}
	for _, rec := range page.records {
		if _, err := s.remove(req.res, rec.obj.GetNamespace(), rec.obj.GetName(), opts, dry); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	s.writeJSON(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
	return nil
}
