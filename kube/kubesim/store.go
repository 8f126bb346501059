package kubesim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// firstRevision leaves room below it, so that resource versions that were never seen are too old, as in a cluster with a past.
	firstRevision = 1000
	// ringSize is how many events of a resource a watch can resume over before its resource version is too old.
	ringSize = 4096
)

// record is one revision of one object. It never changes after it is stored; readers share it.
type record struct {
	obj *unstructured.Unstructured // in the stored version
	rev uint64

	mu      sync.Mutex
	encoded map[string][]byte // by form, filled when first asked for
}

// JSON is the object in a served version, encoded once however many watches and lists send it.
func (r *record) JSON(apiVersion string) ([]byte, error) {
	return r.encode(apiVersion, func() map[string]any { return inVersion(r.obj, apiVersion).Object })
}

// item is the object without its kind and version, as lists hold it.
func (r *record) item(apiVersion string) ([]byte, error) {
	return r.encode("items of "+apiVersion, func() map[string]any {
		content := maps.Clone(inVersion(r.obj, apiVersion).Object)
		delete(content, "apiVersion")
		delete(content, "kind")
		return content
	})
}

func (r *record) encode(as string, content func() map[string]any) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, ok := r.encoded[as]; ok {
		return b, nil
	}
	b, err := json.Marshal(content())
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.key(), err)
	}
	if r.encoded == nil {
		r.encoded = map[string][]byte{}
	}
	r.encoded[as] = b
	return b, nil
}

func (r *record) key() string { return objectKey(r.obj.GetNamespace(), r.obj.GetName()) }

// inVersion is the object in another version of its kind, sharing what it can. The versions differ in name alone, but for
// those of Events.
func inVersion(obj *unstructured.Unstructured, apiVersion string) *unstructured.Unstructured {
	if obj.GetAPIVersion() == apiVersion {
		return obj
	}
	var top map[string]any
	switch {
	case apiVersion == eventsAPI:
		top = toNewEvent(obj.Object)
	case obj.GetAPIVersion() == eventsAPI:
		top = toCoreEvent(obj.Object)
	default:
		top = maps.Clone(obj.Object)
	}
	top["apiVersion"] = apiVersion
	return &unstructured.Unstructured{Object: top}
}

// change is one write: prev is nil for an addition, and next is the last state for a deletion.
type change struct {
	rev  uint64
	kind watch.EventType
	prev *record
	next *record
}

// shelf holds the objects of one resource and its most recent changes.
type shelf struct {
	res     *resource
	objects map[string]*record
	changes []change // ascending by rev
	dropped uint64   // revision up to which changes are no longer kept
}

func (sh *shelf) remember(c change, limit int) {
	sh.changes = append(sh.changes, c)
	if extra := len(sh.changes) - limit; extra > 0 {
		sh.dropped = sh.changes[extra-1].rev
		// The dropped ones are cut off in batches, so that an append stays cheap.
		if extra >= limit/4+1 {
			sh.changes = slices.Clone(sh.changes[extra:])
		}
	}
}

// since gives the changes after a revision, or an Expired error when some of them are no longer kept.
func (sh *shelf) since(rev uint64) ([]change, error) {
	if rev < sh.dropped {
		return nil, expired(rev, sh.dropped)
	}
	i, _ := slices.BinarySearchFunc(sh.changes, rev+1, func(c change, want uint64) int { return cmp.Compare(c.rev, want) })
	return sh.changes[i:], nil
}

// expired is the error of a revision that is too old, where those up to another are no longer kept.
func expired(rev, dropped uint64) error {
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", rev, dropped))
}

// sorted lists the records of a namespace ("" is all of them) by key.
func sorted(objects map[string]*record, namespace string) []*record {
	keys := make([]string, 0, len(objects))
	for key := range objects {
		if namespace == "" || strings.HasPrefix(key, namespace+"/") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	list := make([]*record, len(keys))
	for i, key := range keys {
		list[i] = objects[key]
	}
	return list
}

// at gives the objects as they were at a revision, by undoing what came later.
func (sh *shelf) at(rev uint64) (map[string]*record, error) {
	later, err := sh.since(rev)
	if err != nil {
		return nil, err
	}
	if len(later) == 0 {
		return sh.objects, nil
	}
	past := maps.Clone(sh.objects)
	for _, c := range slices.Backward(later) {
		if c.prev == nil {
			delete(past, c.next.key())
		} else {
			past[c.prev.key()] = c.prev
		}
	}
	return past, nil
}

// objectKey orders objects as a real API server does: by namespace, then by name.
func objectKey(namespace, name string) string { return namespace + "/" + name }

// commit stores a change and wakes the watches. The caller holds the write lock; obj belongs to the store from here on.
func (s *Server) commit(sh *shelf, kind watch.EventType, obj *unstructured.Unstructured) *record {
	s.rev++
	obj.SetResourceVersion(strconv.FormatUint(s.rev, 10))
	rec := &record{obj: obj, rev: s.rev}
	c := change{rev: s.rev, kind: kind, prev: sh.objects[rec.key()], next: rec}
	if kind == watch.Deleted {
		delete(sh.objects, rec.key())
	} else {
		sh.objects[rec.key()] = rec
	}
	sh.remember(c, s.ring)
	close(s.written)
	s.written = make(chan struct{})
	for sub := range s.subscribers {
		sub.note(sh.res.gvr(sh.res.storedVersion()))
	}
	return rec
}

// subscriber collects what was written until its goroutine gets round to telling it.
type subscriber struct {
	mu      sync.Mutex
	pending []schema.GroupVersionResource
	wake    chan struct{} // holds one token while something is pending
	done    chan struct{}
}

func (sub *subscriber) note(gvr schema.GroupVersionResource) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if !slices.Contains(sub.pending, gvr) {
		sub.pending = append(sub.pending, gvr)
	}
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

func (sub *subscriber) take() []schema.GroupVersionResource {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	pending := sub.pending
	sub.pending = nil
	return pending
}

func (sub *subscriber) run(stop <-chan struct{}, f func(schema.GroupVersionResource)) {
	for {
		select {
		case <-stop:
			return
		case <-sub.done:
			return
		case <-sub.wake:
			for _, gvr := range sub.take() {
				f(gvr)
			}
		}
	}
}
