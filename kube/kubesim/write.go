package kubesim

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
)

// optimisticLock is what a real API server says when a resourceVersion is not the current one.
const optimisticLock = "the object has been modified; please apply your changes to the latest version and try again"

// create stores an object that is in the stored version and has its defaults and owners.
func (s *Server) create(res *resource, namespace string, obj *unstructured.Unstructured, opts writeOptions) (*record, error) {
	if err := checkNamespace(res, namespace, obj); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelves[res.groupResource()]
	if err := s.admit(res, obj, opts); err != nil {
		return nil, err
	}
	s.fillMetadata(res, obj, opts)
	if res.status && !opts.inProcess && res.kind != "Node" {
		if delete(obj.Object, "status"); !res.custom {
			obj.Object["status"] = map[string]any{}
		}
	}
	// A real API server looks at the name in the kind's own way first, and at the rest of what all kinds have afterwards.
	errs := validation.ValidateObjectMetaAccessor(obj, res.namespaced, res.validName, field.NewPath("metadata"))
	errs = append(errs, s.prepare(sh, obj, nil)...)
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(obj.GroupVersionKind().GroupKind(), obj.GetName(), errs)
	}
	if obj.GetResourceVersion() != "" {
		// A real API server has no reason for this one and calls it an internal error.
		return nil, plainError(errors.New("resourceVersion should not be set on objects to be created"))
	}
	if _, ok := sh.objects[objectKey(obj.GetNamespace(), obj.GetName())]; ok {
		return nil, apierrors.NewAlreadyExists(res.groupResource(), obj.GetName())
	}
	if opts.warn != nil {
		warnOf(obj, opts.warn)
	}
	if opts.dryRun {
		return &record{obj: obj, rev: s.rev}, nil
	}
	return s.commit(sh, watch.Added, obj), nil
}

// admit refuses what is created in a namespace that is absent or on its way out. It taints a new node, which is not ready yet.
func (s *Server) admit(res *resource, obj *unstructured.Unstructured, opts writeOptions) error {
	if res.kind == "Node" && !opts.inProcess {
		taints, _, _ := unstructured.NestedSlice(obj.Object, "spec", "taints") // Decoded, so a list or absent.
		taints = append(taints, map[string]any{"key": corev1.TaintNodeNotReady, "effect": string(corev1.TaintEffectNoSchedule)})
		if err := unstructured.SetNestedSlice(obj.Object, taints, "spec", "taints"); err != nil {
			return apierrors.NewInternalError(err)
		}
	}
	if !res.namespaced {
		return nil
	}
	namespace := obj.GetNamespace()
	rec, ok := s.namespaces().objects[objectKey("", namespace)]
	if !ok {
		return apierrors.NewNotFound(s.namespaces().res.groupResource(), namespace)
	}
	if rec.obj.GetDeletionTimestamp() == nil {
		return nil
	}
	err := apierrors.NewForbidden(res.groupResource(), obj.GetName(), fmt.Errorf("unable to create new content in namespace %s because it is being terminated", namespace))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: "NamespaceTerminating", Message: fmt.Sprintf("namespace %s is being terminated", namespace), Field: "metadata.namespace"}}
	return err
}

// fillMetadata gives a new object what every object has.
func (s *Server) fillMetadata(res *resource, obj *unstructured.Unstructured, opts writeOptions) {
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		obj.SetName(obj.GetGenerateName() + s.suffix())
	}
	if !opts.inProcess || obj.GetUID() == "" {
		obj.SetUID(s.newUID())
	}
	obj.SetCreationTimestamp(metav1.NewTime(s.now().UTC()))
	for _, name := range []string{"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", name)
	}
	if res.generation {
		obj.SetGeneration(1)
	}
}

// update replaces an object by what edit makes of it, under the store's lock: edit must neither change the old object nor
// call the server. What it gives is in the stored version.
func (s *Server) update(res *resource, namespace, name string, opts writeOptions, edit func(old *unstructured.Unstructured) (*unstructured.Unstructured, error)) (*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelves[res.groupResource()]
	rec, ok := sh.objects[objectKey(namespace, name)]
	if !ok {
		return nil, apierrors.NewNotFound(res.groupResource(), name)
	}
	old := rec.obj
	obj, err := edit(old)
	if err != nil {
		return nil, err
	}
	if err := checkNamespace(res, namespace, obj); err != nil {
		return nil, err
	}
	if err := checkName(obj, name); err != nil {
		return nil, err
	}
	if err := checkVersion(res, obj, old, opts); err != nil {
		return nil, err
	}
	carryOver(res, obj, old, opts)
	if errs := s.updateErrors(sh, obj, old, opts); len(errs) > 0 {
		return nil, apierrors.NewInvalid(obj.GroupVersionKind().GroupKind(), name, errs)
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
		return s.commitDeletion(sh, obj), nil
	}
	return s.commit(sh, watch.Modified, obj), nil
}

func (s *Server) updateErrors(sh *shelf, obj, old *unstructured.Unstructured, opts writeOptions) field.ErrorList {
	path := field.NewPath("metadata")
	errs := validation.ValidateObjectMetaAccessor(obj, sh.res.namespaced, sh.res.validName, path)
	errs = append(errs, validation.ValidateObjectMetaAccessorUpdate(obj, old, path)...)
	if opts.sub != "status" || sh.res.custom {
		errs = append(errs, s.prepare(sh, obj, old)...)
	}
	// Some things are judged more than once.
	seen := map[string]bool{}
	return slices.DeleteFunc(errs, func(err *field.Error) bool {
		again := seen[err.Error()]
		seen[err.Error()] = true
		return again
	})
}

// checkName refuses an object whose name is not that of the URL.
func checkName(obj *unstructured.Unstructured, name string) error {
	switch obj.GetName() {
	case name:
		return nil
	case "":
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", name))
	}
	return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), name))
}

// checkVersion refuses an object that was read before the last write.
func checkVersion(res *resource, obj, old *unstructured.Unstructured, opts writeOptions) error {
	if uid := obj.GetUID(); uid != "" && uid != old.GetUID() && !opts.patch {
		return apierrors.NewConflict(res.groupResource(), obj.GetName(), fmt.Errorf(
			"StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: %v, UID in object meta: %v", //nolint:staticcheck // The API server's own words.
			res.storageKey(old), uid, old.GetUID()))
	}
	given := obj.GetResourceVersion()
	switch {
	case given == old.GetResourceVersion():
		return nil
	case given != "":
		if _, err := strconv.ParseUint(given, 10, 64); err != nil {
			return plainError(err)
		}
		return apierrors.NewConflict(res.groupResource(), obj.GetName(), errors.New(optimisticLock))
	case !res.unconditional() && !opts.inProcess && !opts.patch:
		// The resource stands where the kind should: the API server's own words.
		kind := res.gvk(res.storedVersion()).GroupKind()
		kind.Kind = res.plural
		return apierrors.NewInvalid(kind, obj.GetName(), field.ErrorList{
			field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update"),
		})
	}
	return nil
}

// carryOver puts back what a client cannot change: the server's metadata, and the half that the endpoint does not write.
func carryOver(res *resource, obj, old *unstructured.Unstructured, opts writeOptions) {
	keep := func(name string) {
		delete(obj.Object, name)
		if value, ok := old.Object[name]; ok {
			obj.Object[name] = value
		}
	}
	switch {
	case opts.sub == "status" && res.custom:
		// Only the status is taken, and who set it.
		managed := obj.GetManagedFields()
		for name := range maps.Clone(obj.Object) {
			if name != "status" {
				delete(obj.Object, name)
			}
		}
		for name, value := range old.DeepCopy().Object {
			if name != "status" {
				obj.Object[name] = value
			}
		}
		obj.SetManagedFields(managed)
	case opts.sub == "status":
		keep("spec")
	case res.status && !opts.inProcess:
		keep("status")
	}
	if opts.inProcess {
		obj.SetManagedFields(old.GetManagedFields())
	}
	unstructured.RemoveNestedField(obj.Object, "metadata", "selfLink")
	obj.SetResourceVersion(old.GetResourceVersion())
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	if obj.GetUID() == "" || opts.inProcess {
		obj.SetUID(old.GetUID())
	}
	if old.GetDeletionTimestamp() != nil || opts.inProcess {
		obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	}
	if obj.GetDeletionGracePeriodSeconds() == nil {
		obj.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	}
	if unstructured.RemoveNestedField(obj.Object, "metadata", "generation"); res.generation {
		obj.SetGeneration(old.GetGeneration())
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

func (s *Server) serveCreate(w http.ResponseWriter, req *request) error {
	opts, err := requestOptions(w, req, "")
	if err != nil {
		return err
	}
	obj, err := decodeObject(req, opts)
	if err != nil {
		return err
	}
	if errs := newEventErrors(req, obj); len(errs) > 0 {
		return apierrors.NewInvalid(obj.GroupVersionKind().GroupKind(), obj.GetName(), errs)
	}
	if obj, err = s.own(req.res, req.gvr.Version, req.sub, nil, obj, opts.manager); err != nil {
		return err
	}
	rec, err := s.create(req.res, req.namespace, obj, opts)
	if err != nil {
		return err
	}
	return s.writeRecord(w, req, http.StatusCreated, rec)
}

func (s *Server) serveUpdate(w http.ResponseWriter, req *request) error {
	opts, err := requestOptions(w, req, "")
	if err != nil {
		return err
	}
	obj, err := decodeObject(req, opts)
	if err != nil {
		return err
	}
	if err := checkNamespace(req.res, req.namespace, obj); err != nil {
		return err
	}
	if err := checkName(obj, req.name); err != nil {
		return err
	}
	rec, err := s.update(req.res, req.namespace, req.name, opts, func(old *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		return s.own(req.res, req.gvr.Version, req.sub, old, obj, opts.manager)
	})
	if err != nil {
		return err
	}
	return s.writeRecord(w, req, http.StatusOK, rec)
}
