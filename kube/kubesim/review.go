package kubesim

import (
	"net/http"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// serveReview answers who the user is and what he himself may do.
func (s *Server) serveReview(w http.ResponseWriter, req *request) error {
	opts, err := requestOptions(w, req, "")
	if err != nil {
		return err
	}
	obj, err := decodeObject(req, opts)
	if err != nil {
		return err
	}
	typed, err := typedCopy(req.res, obj)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	switch review := typed.(type) {
	case *authenticationv1.SelfSubjectReview:
		review.Status.UserInfo = authenticationv1.UserInfo{Username: req.user.Name, Groups: append(slices.Clone(req.user.Groups), "system:authenticated")}
	case *authorizationv1.SelfSubjectAccessReview:
		err = reviewAccess(req.user, review)
	case *authorizationv1.SelfSubjectRulesReview:
		err = s.reviewRules(req.user, review)
	}
	if err != nil {
		return err
	}
	return s.writeReview(w, typed, req)
}

func (s *Server) writeReview(w http.ResponseWriter, review runtime.Object, req *request) error {
	review.GetObjectKind().SetGroupVersionKind(req.res.gvk(req.gvr.Version))
	s.writeJSON(w, http.StatusCreated, review)
	return nil
}

func reviewAccess(user User, review *authorizationv1.SelfSubjectAccessReview) error {
	asked, path := review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes
	if (asked == nil) == (path == nil) {
		return apierrors.NewInvalid(schema.GroupKind{Group: authorizationv1.GroupName}, review.Name, field.ErrorList{
			field.Invalid(field.NewPath("spec"), corePath(path), "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
		})
	}
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: user.Deny == nil}
	switch {
	case user.Deny == nil:
	case asked != nil:
		resource := asked.Resource
		if asked.Subresource != "" {
			resource += "/" + asked.Subresource
		}
		review.Status.Allowed = !user.Deny(asked.Verb, asked.Group, resource, asked.Namespace, asked.Name)
	default:
		// What describes the API itself is open to whoever has a token.
		review.Status.Allowed = path.Verb == "get"
	}
	return nil
}

// corePath is how a real API server shows its own type of a path.
func corePath(path *authorizationv1.NonResourceAttributes) any {
	if path == nil {
		return nil
	}
	return struct{ Path, Verb string }{path.Path, path.Verb}
}

// reviewRules lists what the user may do in a namespace, resource by resource. Denials of single names do not show.
func (s *Server) reviewRules(user User, review *authorizationv1.SelfSubjectRulesReview) error {
	if review.Spec.Namespace == "" {
		return apierrors.NewBadRequest("no namespace on request")
	}
	open := authorizationv1.NonResourceRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version"}}
	review.Status.NonResourceRules = []authorizationv1.NonResourceRule{open}
	if user.Deny == nil {
		review.Status.ResourceRules = []authorizationv1.ResourceRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
		return nil
	}
	review.Status.ResourceRules = []authorizationv1.ResourceRule{}
	for _, r := range s.resources {
		paths := map[string][]string{r.plural: r.verbs()}
		names := []string{r.plural}
		for _, sub := range r.subresources() {
			names = append(names, r.plural+"/"+sub.name)
			paths[r.plural+"/"+sub.name] = sub.verbs
		}
		for _, name := range names {
			verbs := slices.DeleteFunc(slices.Clone(paths[name]), func(verb string) bool {
				return !r.review && user.Deny(verb, r.group, name, review.Spec.Namespace, "")
			})
			if len(verbs) > 0 {
				review.Status.ResourceRules = append(review.Status.ResourceRules, authorizationv1.ResourceRule{Verbs: verbs, APIGroups: []string{r.group}, Resources: []string{name}})
			}
		}
	}
	return nil
}
