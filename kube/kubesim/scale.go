package kubesim

import (
	"encoding/json"
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// serveScale reads and writes the replicas of a Deployment or ReplicaSet.
func (s *Server) serveScale(w http.ResponseWriter, req *request) error {
	if req.verb == "get" {
		rec, err := s.get(req.res, req.namespace, req.name)
		if err != nil {
			return err
		}
		s.writeJSON(w, http.StatusOK, scaleOf(rec.obj))
		return nil
	}
	body, media, err := readBody(req)
	if err != nil {
		return err
	}
	opts, err := requestOptions(w, req, types.PatchType(media))
	if err != nil {
		return err
	}
	read := func([]byte) ([]byte, error) { return body, nil }
	if req.verb == "patch" {
		if read, err = patcher(req.res, types.PatchType(media), body, opts); err != nil {
			return err
		}
	}
	rec, err := s.update(req.res, req.namespace, req.name, opts, func(old *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		before, err := json.Marshal(scaleOf(old))
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		after, err := read(before)
		if err != nil {
			return nil, err
		}
		return s.scaled(req, old, after, opts.manager)
	})
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, scaleOf(rec.obj))
	return nil
}

// scaled is an object with the replicas and the resourceVersion of a Scale.
func (s *Server) scaled(req *request, old *unstructured.Unstructured, data []byte, manager string) (*unstructured.Unstructured, error) {
	var scale autoscalingv1.Scale
	if err := json.Unmarshal(data, &scale); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if scale.Spec.Replicas < 0 {
		return nil, apierrors.NewInvalid(autoscalingv1.SchemeGroupVersion.WithKind("Scale").GroupKind(), req.name, field.ErrorList{
			field.Invalid(field.NewPath("spec", "replicas"), scale.Spec.Replicas, "must be greater than or equal to 0"),
		})
	}
	obj := old.DeepCopy()
	obj.SetResourceVersion(scale.ResourceVersion)
	if err := unstructured.SetNestedField(obj.Object, int64(scale.Spec.Replicas), "spec", "replicas"); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return s.own(req.res, req.gvr.Version, req.sub, old, obj, manager)
}

func scaleOf(obj *unstructured.Unstructured) *autoscalingv1.Scale {
	scale := &autoscalingv1.Scale{
		TypeMeta: metav1.TypeMeta{Kind: "Scale", APIVersion: autoscalingv1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{
			Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp(),
		},
		Spec:   autoscalingv1.ScaleSpec{Replicas: int32(number(obj, "spec", "replicas"))},
		Status: autoscalingv1.ScaleStatus{Replicas: int32(number(obj, "status", "replicas"))},
	}
	raw, _, _ := unstructured.NestedMap(obj.Object, "spec", "selector") // Validated when it was stored.
	var selector metav1.LabelSelector
	if data, err := json.Marshal(raw); err == nil && json.Unmarshal(data, &selector) == nil {
		if parsed, err := metav1.LabelSelectorAsSelector(&selector); err == nil {
			scale.Status.Selector = parsed.String()
		}
	}
	return scale
}
