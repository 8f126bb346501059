package kubesim

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
)

// writeOptions say how a write differs from a plain one over HTTP to the main resource.
type writeOptions struct {
	dryRun    bool
	inProcess bool   // by the sandbox itself: status and uid are taken as given
	status    bool   // to the status subresource
	patch     bool   // the body is ours, made from the stored object
	strict    string // fieldValidation: Strict refuses unknown fields
}

// optimisticLock is what a real API server says when a resourceVersion is not the current one.
const optimisticLock = "the object has been modified; please apply your changes to the latest version and try again"

func (s *Server) create(res *resource, namespace string, obj *unstructured.Unstructured, opts writeOptions) (*record, error) {
	if err := checkNamespace(res, namespace, obj); err != nil {
		return nil, err
	}
	if obj.GetResourceVersion() != "" {
		// A real API server has no reason for this one and calls it an internal error.
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: "resourceVersion should not be set on objects to be created"}}
	}
	obj, err := normalize(res, obj, opts.strict)
	if err != nil {
		return nil, err
	}
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		obj.SetName(obj.GetGenerateName() + s.suffix())
	}
	if !opts.inProcess || obj.GetUID() == "" {
		obj.SetUID(s.newUID())
	}
	obj.SetCreationTimestamp(metav1.NewTime(s.now().UTC()))
	dropServerFields(obj)
	if res.generation {
		obj.SetGeneration(1)
	}
	if res.status && !opts.inProcess && res.kind != "Node" {
		unstructured.RemoveNestedField(obj.Object, "status")
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelves[res.groupResource()]
	errs := s.prepare(sh, obj, nil)
	errs = append(errs, validation.ValidateObjectMetaAccessor(obj, res.namespaced, res.validName, field.NewPath("metadata"))...)
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(res.gvk(res.storedVersion()).GroupKind(), obj.GetName(), errs)
	}
	if _, ok := sh.objects[objectKey(obj.GetNamespace(), obj.GetName())]; ok {
		return nil, apierrors.NewAlreadyExists(res.groupResource(), obj.GetName())
	}
	if res.namespaced && !s.hasNamespace(obj.GetNamespace()) {
		return nil, apierrors.NewNotFound(s.namespaces().res.groupResource(), obj.GetNamespace())
	}
	if opts.dryRun {
		return &record{obj: obj, rev: s.rev}, nil
	}
	return s.commit(sh, watch.Added, obj), nil
}

// update replaces an object by what edit makes of a copy of it, under the store's lock: edit must not call the server.
func (s *Server) update(res *resource, namespace, name string, opts writeOptions, edit func(old *unstructured.Unstructured) (*unstructured.Unstructured, error)) (*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelves[res.groupResource()]
	rec, ok := sh.objects[objectKey(namespace, name)]
	if !ok {
		return nil, apierrors.NewNotFound(res.groupResource(), name)
	}
	old := rec.obj
	obj, err := edit(old.DeepCopy())
	if err != nil {
		return nil, err
	}
	if obj.GetName() != name {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), name))
	}
	if err := checkNamespace(res, namespace, obj); err != nil {
		return nil, err
	}
	if err := checkVersion(res, obj, old, opts); err != nil {
		return nil, err
	}
	if obj, err = normalize(res, obj, opts.strict); err != nil {
		return nil, err
	}
	carryOver(res, obj, old, opts)

	errs := validation.ValidateObjectMetaAccessorUpdate(obj, old, field.NewPath("metadata"))
	errs = append(errs, s.prepare(sh, obj, old)...)
	errs = append(errs, validation.ValidateObjectMetaAccessor(obj, res.namespaced, res.validName, field.NewPath("metadata"))...)
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(res.gvk(res.storedVersion()).GroupKind(), name, errs)
	}
	if reflect.DeepEqual(obj.Object, old.Object) {
		return rec, nil
	}
	if res.generation && !reflect.DeepEqual(content(res, obj), content(res, old)) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
	if opts.dryRun {
		return &record{obj: obj, rev: rec.rev}, nil
	}
	if obj.GetDeletionTimestamp() != nil && len(obj.GetFinalizers()) == 0 {
		return s.commit(sh, watch.Deleted, obj), nil
	}
	return s.commit(sh, watch.Modified, obj), nil
}

// checkVersion refuses an object that was read before the last write.
func checkVersion(res *resource, obj, old *unstructured.Unstructured, opts writeOptions) error {
	switch {
	case obj.GetResourceVersion() == old.GetResourceVersion():
	case obj.GetResourceVersion() != "":
		if _, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64); err != nil {
			return apierrors.NewInvalid(res.gvk(res.storedVersion()).GroupKind(), obj.GetName(), field.ErrorList{
				field.Invalid(field.NewPath("metadata", "resourceVersion"), obj.GetResourceVersion(), err.Error()),
			})
		}
		return apierrors.NewConflict(res.groupResource(), obj.GetName(), errors.New(optimisticLock))
	case res.custom && !opts.inProcess && !opts.patch:
		return apierrors.NewInvalid(res.gvk(res.storedVersion()).GroupKind(), obj.GetName(), field.ErrorList{
			field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update"),
		})
	}
	if uid := obj.GetUID(); uid != "" && uid != old.GetUID() {
		return apierrors.NewConflict(res.groupResource(), obj.GetName(), fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", uid, old.GetUID())) //nolint:staticcheck // The API server's own words.
	}
	return nil
}

// carryOver puts back what a client cannot change: the server's metadata, and the half that the endpoint does not write.
func carryOver(res *resource, obj, old *unstructured.Unstructured, opts writeOptions) {
	if res.status && opts.status {
		// Only the status is taken, on top of the rest as it is.
		status, given := obj.Object["status"]
		restored := old.DeepCopy().Object
		delete(restored, "status")
		if given {
			restored["status"] = status
		}
		obj.Object = restored
		return
	}
	dropServerFields(obj)
	obj.SetUID(old.GetUID())
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	obj.SetResourceVersion(old.GetResourceVersion())
	obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	obj.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	obj.SetGenerateName(old.GetGenerateName())
	if res.generation {
		obj.SetGeneration(old.GetGeneration())
	}
	if res.status && !opts.inProcess {
		delete(obj.Object, "status")
		if status, ok := old.Object["status"]; ok {
			obj.Object["status"] = status
		}
	}
}

// content is what metadata.generation counts the changes of.
func content(res *resource, obj *unstructured.Unstructured) map[string]any {
	c := maps.Clone(obj.Object)
	delete(c, "metadata")
	if res.status {
		delete(c, "status")
	}
	return c
}

func dropServerFields(obj *unstructured.Unstructured) {
	for _, name := range []string{"managedFields", "selfLink", "generation"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", name)
	}
}

// remove deletes an object, or marks it as long as it has finalizers.
func (s *Server) remove(res *resource, namespace, name string, opts *metav1.DeleteOptions, dryRun bool) (*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removeLocked(s.shelves[res.groupResource()], objectKey(namespace, name), opts, dryRun)
}

func (s *Server) removeLocked(sh *shelf, key string, opts *metav1.DeleteOptions, dryRun bool) (*record, error) {
	rec, ok := sh.objects[key]
	if !ok {
		_, name, _ := strings.Cut(key, "/")
		return nil, apierrors.NewNotFound(sh.res.groupResource(), name)
	}
	if err := checkPreconditions(sh.res, rec.obj, opts.Preconditions); err != nil {
		return nil, err
	}
	if dryRun {
		return rec, nil
	}
	if len(rec.obj.GetFinalizers()) > 0 {
		if rec.obj.GetDeletionTimestamp() != nil {
			return rec, nil
		}
		marked := rec.obj.DeepCopy()
		now := metav1.NewTime(s.now().UTC())
		marked.SetDeletionTimestamp(&now)
		var none int64
		marked.SetDeletionGracePeriodSeconds(&none)
		return s.commit(sh, watch.Modified, marked), nil
	}
	if sh.res.kind == "Namespace" {
		// A cluster's namespace controller would empty it.
		for _, other := range s.resources {
			if !other.namespaced {
				continue
			}
			inside := s.shelves[other.groupResource()]
			for _, r := range sorted(inside.objects, rec.obj.GetName()) {
				s.commit(inside, watch.Deleted, r.obj.DeepCopy())
			}
		}
	}
	return s.commit(sh, watch.Deleted, rec.obj.DeepCopy()), nil
}

func checkPreconditions(res *resource, obj *unstructured.Unstructured, want *metav1.Preconditions) error {
	if want == nil {
		return nil
	}
	// The kind stands where the resource should: the API server's own words.
	kind := schema.GroupResource{Group: res.group, Resource: res.kind}
	if want.UID != nil && *want.UID != obj.GetUID() {
		return apierrors.NewConflict(kind, obj.GetName(), fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *want.UID, obj.GetUID())) //nolint:staticcheck // The API server's own words.
	}
	if want.ResourceVersion != nil && *want.ResourceVersion != obj.GetResourceVersion() {
		return apierrors.NewConflict(kind, obj.GetName(), fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *want.ResourceVersion, obj.GetResourceVersion())) //nolint:staticcheck // The API server's own words.
	}
	return nil
}

// checkNamespace fills in the namespace of the URL and refuses another one.
func checkNamespace(res *resource, namespace string, obj *unstructured.Unstructured) error {
	switch {
	case !res.namespaced:
		obj.SetNamespace("")
	case obj.GetNamespace() == "":
		obj.SetNamespace(namespace)
	case obj.GetNamespace() != namespace:
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return nil
}

func (s *Server) namespaces() *shelf {
	for _, sh := range s.shelves {
		if sh.res.kind == "Namespace" {
			return sh
		}
	}
	return nil
}

func (s *Server) hasNamespace(name string) bool {
	_, ok := s.namespaces().objects[objectKey("", name)]
	return ok
}
