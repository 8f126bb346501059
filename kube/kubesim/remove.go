package kubesim

import (
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// remove deletes an object, or marks it as long as it has finalizers. The record is of the object as it was marked, or as it
// was at last.
func (s *Server) remove(res *resource, namespace, name string, opts *metav1.DeleteOptions) (*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelves[res.groupResource()]
	rec, ok := sh.objects[objectKey(namespace, name)]
	if !ok {
		return nil, apierrors.NewNotFound(res.groupResource(), name)
	}
	if err := checkPreconditions(res, rec.obj, opts.Preconditions); err != nil {
		return nil, err
	}
	if rec.obj.GetDeletionTimestamp() != nil {
		return rec, nil
	}
	marks := len(rec.obj.GetFinalizers()) > 0 || res.kind == "Namespace" || policyFinalizer(opts) != ""
	if !marks && opts.DryRun == nil {
		s.commitDeletion(sh, rec.obj.DeepCopy())
		return rec, nil
	}
	if !marks {
		return rec, nil
	}
	marked := s.mark(res, rec.obj, opts)
	if opts.DryRun != nil {
		return &record{obj: marked, rev: rec.rev}, nil
	}
	rec = s.commit(sh, watch.Modified, marked)
	// A cluster's garbage collector would take its finalizer off, its namespace controller that of the namespace.
	if left := slices.DeleteFunc(slices.Clone(marked.GetFinalizers()), func(f string) bool { return f == policyFinalizer(opts) }); len(left) == 0 {
		gone := marked.DeepCopy()
		gone.SetFinalizers(nil)
		s.commitDeletion(sh, gone)
	}
	return rec, nil
}

// mark is the object as it waits for its finalizers.
func (s *Server) mark(res *resource, obj *unstructured.Unstructured, opts *metav1.DeleteOptions) *unstructured.Unstructured {
	marked := obj.DeepCopy()
	now := metav1.NewTime(s.now().UTC())
	marked.SetDeletionTimestamp(&now)
	if res.kind == "Namespace" {
		_ = unstructured.SetNestedField(marked.Object, "Terminating", "status", "phase") // The status is an object.
	} else {
		marked.SetDeletionGracePeriodSeconds(new(int64(0)))
	}
	if f := policyFinalizer(opts); f != "" {
		marked.SetFinalizers(append(marked.GetFinalizers(), f))
	}
	if res.generation {
		marked.SetGeneration(marked.GetGeneration() + 1)
	}
	return marked
}

// policyFinalizer is what a propagation policy holds an object by until the garbage collector has seen to its dependents.
func policyFinalizer(opts *metav1.DeleteOptions) string {
	if opts.PropagationPolicy == nil {
		return ""
	}
	switch *opts.PropagationPolicy {
	case metav1.DeletePropagationForeground:
		return metav1.FinalizerDeleteDependents
	case metav1.DeletePropagationOrphan:
		return metav1.FinalizerOrphanDependents
	default:
		return ""
	}
}

// commitDeletion stores that an object is gone, and everything in it when it is a namespace. The caller holds the write lock.
func (s *Server) commitDeletion(sh *shelf, obj *unstructured.Unstructured) *record {
	if sh.res.kind == "Namespace" {
		for _, other := range s.resources {
			if !other.namespaced || !other.stored() {
				continue
			}
			inside := s.shelves[other.groupResource()]
			for _, r := range sorted(inside.objects, obj.GetName()) {
				s.commit(inside, watch.Deleted, r.obj.DeepCopy())
			}
		}
	}
	return s.commit(sh, watch.Deleted, obj)
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

func (s *Server) serveDelete(w http.ResponseWriter, req *request) error {
	opts, err := s.deleteOptions(req)
	if err != nil {
		return err
	}
	if req.res.kind == "Namespace" && slices.Contains([]string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic}, req.name) {
		return apierrors.NewForbidden(req.res.groupResource(), req.name, fmt.Errorf("this namespace may not be deleted"))
	}
	rec, err := s.remove(req.res, req.namespace, req.name, opts)
	if err != nil {
		return err
	}
	if rec.obj.GetDeletionTimestamp() != nil || req.res.kind == "Service" {
		return s.writeRecord(w, req, http.StatusOK, rec)
	}
	if req.res.kind == "Pod" {
		return s.writeRecord(w, req, http.StatusOK, &record{obj: s.mark(req.res, rec.obj, opts), rev: rec.rev})
	}
	s.writeJSON(w, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: req.name, Group: req.res.group, Kind: req.res.plural, UID: rec.obj.GetUID()},
	})
	return nil
}

func (s *Server) serveDeleteCollection(w http.ResponseWriter, req *request) error {
	if req.res.namespaced && req.namespace == "" {
		return routeError(http.StatusMethodNotAllowed, "")
	}
	list, f, err := listOptions(req)
	if err != nil {
		return err
	}
	opts, err := s.deleteOptions(req)
	if err != nil {
		return err
	}
	f.namespace = req.namespace
	page, err := s.list(req.res, list, f)
	if err != nil {
		return err
	}
	for i, rec := range page.records {
		gone, err := s.remove(req.res, rec.obj.GetNamespace(), rec.obj.GetName(), opts)
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if err == nil {
			page.records[i] = gone
		}
	}
	return s.writePage(w, req, form{}, page)
}
