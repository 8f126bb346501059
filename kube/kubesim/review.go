package kubesim

import (
	"net/http"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
)

// serveReview answers what the user himself may do.
func (s *Server) serveReview(w http.ResponseWriter, req *request) error {
	obj, err := decodeObject(req)
	if err != nil {
		return err
	}
	var review authorizationv1.SelfSubjectAccessReview
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &review); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: true}
	if asked := review.Spec.ResourceAttributes; asked != nil && req.user.Deny != nil {
		resource := asked.Resource
		if asked.Subresource != "" {
			resource += "/" + asked.Subresource
		}
		review.Status.Allowed = !req.user.Deny(asked.Verb, asked.Group, resource, asked.Namespace, asked.Name)
	}
	s.writeJSON(w, http.StatusCreated, review)
	return nil
}
