package kube

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"github.com/istio-cutover/cutover/model"
)

// trouble is why something cannot be observed, and since when.
type trouble struct {
	since time.Time
	err   error
}

// after returns the trouble that goes on with err, nil for none.
func (t *trouble) after(err error, now time.Time) *trouble {
	switch {
	case err == nil:
		return nil
	case t == nil:
		return &trouble{since: now, err: err}
	default:
		return &trouble{since: t.since, err: err}
	}
}

// shelf holds what is known of a kind in one namespace, or in all, as values
// of the model. A reflector fills it; objects are converted on the way in, so
// that nothing else of them is kept. It is safe for concurrent use.
type shelf[O runtime.Object, T any] struct {
	convert func(O) T
	changed func()
	made    time.Time

	mu      sync.Mutex
	items   map[string]T
	sorted  []T // of items; nil when it has to be made again
	filled  int // how often the whole was read
	settled bool
	trouble *trouble
}

func newShelf[O runtime.Object, T any](convert func(O) T, changed func()) *shelf[O, T] {
	return &shelf[O, T]{convert: convert, changed: changed, made: time.Now(), items: map[string]T{}}
}

// converted is an object on its way through a reflector.
type converted[T any] struct {
	metav1.ObjectMeta // the name alone
	value             T
}

// Transformer converts objects before the reflector gathers them (see
// [cache.TransformingStore]).
func (s *shelf[O, T]) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) { return s.take(obj) }
}

func (s *shelf[O, T]) take(obj any) (*converted[T], error) {
	switch o := obj.(type) {
	case *converted[T]:
		return o, nil
	case cache.DeletedFinalStateUnknown:
		return s.take(o.Obj)
	case O:
		object, err := meta.Accessor(o)
		if err != nil {
			return nil, err
		}
		c := &converted[T]{value: s.convert(o)}
		c.Namespace, c.Name = object.GetNamespace(), object.GetName()
		return c, nil
	default:
		return nil, fmt.Errorf("%T is not what was asked for", obj)
	}
}

func (c *converted[T]) key() string { return c.Namespace + "/" + c.Name }

func (s *shelf[O, T]) put(obj any) error {
	c, err := s.take(obj)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.items[c.key()], s.sorted = c.value, nil
	s.mu.Unlock()
	s.changed()
	return nil
}

// Add implements [cache.ReflectorStore].
func (s *shelf[O, T]) Add(obj any) error { return s.put(obj) }

// Update implements [cache.ReflectorStore].
func (s *shelf[O, T]) Update(obj any) error { return s.put(obj) }

// Delete implements [cache.ReflectorStore].
func (s *shelf[O, T]) Delete(obj any) error {
	c, err := s.take(obj)
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.items, c.key())
	s.sorted = nil
	s.mu.Unlock()
	s.changed()
	return nil
}

// Replace implements [cache.ReflectorStore]: the whole was read, so that there
// is no trouble any more.
func (s *shelf[O, T]) Replace(objects []any, _ string) error {
	items := make(map[string]T, len(objects))
	for _, obj := range objects {
		c, err := s.take(obj)
		if err != nil {
			return err
		}
		items[c.key()] = c.value
	}
	s.mu.Lock()
	s.items, s.sorted = items, nil
	s.filled++
	s.settled, s.trouble = true, nil
	s.mu.Unlock()
	s.changed()
	return nil
}

// Resync implements [cache.ReflectorStore]; there is nothing to do.
func (s *shelf[O, T]) Resync() error { return nil }

// failed notes that the kind could not be read.
func (s *shelf[O, T]) failed(err error, now time.Time) {
	s.mu.Lock()
	s.trouble, s.settled = s.trouble.after(err, now), true
	s.mu.Unlock()
	s.changed()
}

func (s *shelf[O, T]) fills() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filled
}

// read reports whether reading has succeeded or failed yet.
func (s *shelf[O, T]) read() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled
}

// state returns the trouble; what was not read yet has one.
func (s *shelf[O, T]) state() *trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settled {
		return &trouble{since: s.made, err: &model.Error{Kind: model.KindUnreachable, Message: "not read yet"}}
	}
	return s.trouble
}

// values returns what is on the shelf, by name. The slice is shared: nobody may
// modify it.
func (s *shelf[O, T]) values() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sorted == nil {
		s.sorted = make([]T, 0, len(s.items))
		for _, key := range slices.Sorted(maps.Keys(s.items)) {
			s.sorted = append(s.sorted, s.items[key])
		}
	}
	return s.sorted
}

// problem makes a Problem of a trouble. Trouble with the connection as a whole
// counts as a kind's own.
func problem(operation string, resource model.Resource, namespace string, own, connection *trouble) (model.Problem, bool) {
	t := own
	switch {
	case own == nil && connection == nil:
		return model.Problem{}, false
	case own == nil:
		t = connection
	case connection != nil && model.KindOf(own.err) == model.KindOf(connection.err) && connection.since.Before(own.since):
		t = &trouble{since: connection.since, err: own.err}
	}
	p := model.Problem{Source: source, Operation: operation, Kind: model.KindOf(t.err), Since: t.since, Resource: resource}
	p.Message = inNamespace(message(t.err), namespace)
	return p, true
}

const source = "kubernetes"

// message says in one line why something failed and what can be done.
func message(err error) string {
	var e *model.Error
	if !errors.As(err, &e) {
		return model.Line(err.Error())
	}
	text := e.Cause()
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return model.Line(text)
}

func compareProblems(a, b model.Problem) int {
	return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Message, b.Message))
}
