// Package kubesim is a small Kubernetes API server for the sandbox: kubectl, client-go and istio.io/client-go reach it over
// HTTP as they reach a cluster. It keeps its objects in memory and answers as kube-apiserver v1.37 does for the kinds in its
// table: resource versions, conflicts, status errors, warnings, patches, server-side apply, dry runs, paged and streaming lists,
// tables. The tests give the same requests to both and compare the answers.
//
// It is not a cluster. What a cluster's controllers and kubelets would do, the owner of a [Server] does in process: it creates
// nodes, pods and EndpointSlices with their status, and hears of every write through [Server.OnChange]. What is otherwise,
// on purpose:
//
//   - A namespace is emptied and gone at once, unless it has finalizers of its own. A deletion in the foreground or of an orphan
//     takes its finalizer off again at once; dependents stay. A pod goes at once, whatever its grace period.
//   - Objects that are made in process have no managed fields, as objects that are older than server-side apply have none.
//   - Answers are JSON or YAML, never protobuf, of which requests may be.
//   - The CEL rules in the schemas of custom kinds are not evaluated, and the schemas of the kinds of Kyverno, OpenReports and Flux
//     admit anything.
//   - The values of built-in kinds are judged as far as clients of gateways get them wrong: names, keys, sizes, ports, NodePorts,
//     cluster addresses, selectors, what is immutable.
//   - Users are what [Config] says. There is no RBAC: a review of rules lists what [User.Deny] leaves.
//   - A watch can be resumed over the last 4096 changes of its resource, and a paged list goes on for as long.
//   - There is no OpenAPI version 2, and what only comments in the sources of built-in kinds say is not in version 3.
package kubesim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// Config says who may speak to the server and where pod logs come from.
type Config struct {
	// ClusterUID is the uid of namespace kube-system, by which a cluster is told from others. Empty takes a random one.
	ClusterUID string
	// Tokens maps bearer tokens to users. A request without a known token is answered 401.
	Tokens map[string]User
	// Logs serves pods/log. It writes lines until the log is read, or until ctx ends when opts.Follow is set. The container
	// may be empty, then the pod has one. Nil means that logs are empty.
	Logs func(ctx context.Context, namespace, pod, container string, opts LogOptions, w io.Writer) error
	// Proxy serves pods/proxy: it gives who answers at a port of a pod, nil where nothing listens. Nil means that no pod answers.
	Proxy func(namespace, pod string, port int) http.Handler
	// Log takes what goes wrong inside. Nil drops it.
	Log *slog.Logger
}

// User is somebody who holds a token.
type User struct {
	Name   string
	Groups []string
	// Deny says what the user may not do; nil allows everything. The resource of a subresource reads "pods/log", as in RBAC.
	// It is called from several goroutines at once.
	Deny func(verb, group, resource, namespace, name string) bool
}

// LogOptions are the query parameters of pods/log.
type LogOptions struct {
	Follow     bool
	SinceTime  time.Time // zero: from the beginning
	TailLines  int64     // -1: all
	Timestamps bool
	LimitBytes int64 // 0: no limit; the server cuts off by itself
}

// Server is the simulated API server. All its methods may be called from several goroutines.
type Server struct {
	cfg       Config
	log       *slog.Logger
	resources []*resource
	options   *runtime.Scheme // the kinds of what a delete carries
	owners    owners
	started   time.Time

	// What depends on time and chance, replaced in tests.
	now      func() time.Time
	newUID   func() types.UID
	suffix   func() string // completes metadata.generateName
	ring     int           // changes kept per resource
	bookmark time.Duration // between bookmarks of a watch

	mu          sync.RWMutex
	rev         uint64
	shelves     map[schema.GroupResource]*shelf
	written     chan struct{} // closed and replaced at every write
	subscribers map[*subscriber]struct{}
	nextIP      uint32

	faults faults

	stop     chan struct{}
	stopOnce sync.Once
}

// New makes a server that holds the namespaces of a fresh cluster and nothing else.
func New(cfg Config) *Server {
	table := resources()
	s := &Server{
		cfg: cfg, log: cfg.Log, resources: table, options: optionKinds(table), owners: owners{managers: map[ownerKey]*managedfields.FieldManager{}},
		now: time.Now, newUID: uuid.NewUUID, suffix: func() string { return utilrand.String(5) },
		ring: ringSize, bookmark: time.Minute,
		rev: firstRevision, shelves: map[schema.GroupResource]*shelf{}, written: make(chan struct{}),
		subscribers: map[*subscriber]struct{}{}, stop: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.started = s.now()
	for _, r := range s.resources {
		if r.stored() {
			s.shelves[r.groupResource()] = &shelf{res: r, objects: map[string]*record{}, dropped: firstRevision}
		}
	}
	// Both groups of Events show the same ones.
	s.shelves[schema.GroupResource{Group: "events.k8s.io", Resource: "events"}] = s.shelves[schema.GroupResource{Resource: "events"}]
	for _, name := range []string{"default", "kube-node-lease", "kube-public", metav1.NamespaceSystem} {
		ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
		ns.SetName(name)
		if name == metav1.NamespaceSystem {
			ns.SetUID(types.UID(cfg.ClusterUID))
		}
		if _, err := s.Create(ns); err != nil {
			s.log.Error("create namespace", "name", name, "error", err)
		}
	}
	return s
}

// Handler serves the API. The listener and its TLS are the caller's.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveFaulty) }

// Close ends watches, followed logs and OnChange callbacks. Reads and writes still work.
func (s *Server) Close() { s.stopOnce.Do(func() { close(s.stop) }) }

// Create stores an object whole, its status included, and returns a copy of what was stored. A uid that it carries is kept.
// Errors are [apierrors.StatusError]s as over HTTP: AlreadyExists, Invalid, NotFound for its namespace.
func (s *Server) Create(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	res, err := s.resourceOf(obj)
	if err != nil {
		return nil, err
	}
	if obj, err = fromCaller(obj); err != nil {
		return nil, err
	}
	if obj, err = normalize(res, obj); err != nil {
		return nil, err
	}
	obj.SetResourceVersion("")
	obj.SetManagedFields(nil)
	rec, err := s.create(res, obj.GetNamespace(), obj, writeOptions{inProcess: true})
	if err != nil {
		return nil, err
	}
	return rec.obj.DeepCopy(), nil
}

// Update replaces an object whole, its status included, and returns a copy of what was stored. A resourceVersion that it
// carries must be the current one, else the error is a Conflict; an empty one updates unconditionally.
func (s *Server) Update(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	res, err := s.resourceOf(obj)
	if err != nil {
		return nil, err
	}
	if obj, err = fromCaller(obj); err != nil {
		return nil, err
	}
	if obj, err = normalize(res, obj); err != nil {
		return nil, err
	}
	rec, err := s.update(res, obj.GetNamespace(), obj.GetName(), writeOptions{inProcess: true}, func(*unstructured.Unstructured) (*unstructured.Unstructured, error) {
		return obj, nil
	})
	if err != nil {
		return nil, err
	}
	return rec.obj.DeepCopy(), nil
}

// Delete removes an object, with everything in it when it is a namespace. An object with finalizers is only marked.
func (s *Server) Delete(gvr schema.GroupVersionResource, namespace, name string) error {
	res, err := s.resource(gvr)
	if err != nil {
		return err
	}
	_, err = s.remove(res, namespace, name, &metav1.DeleteOptions{})
	return err
}

// Get returns a copy of an object in the version asked for, or a NotFound error.
func (s *Server) Get(gvr schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	res, err := s.resource(gvr)
	if err != nil {
		return nil, err
	}
	rec, err := s.get(res, namespace, name)
	if err != nil {
		return nil, err
	}
	return inVersion(rec.obj, gvr.GroupVersion().String()).DeepCopy(), nil
}

// List returns copies of the objects of a namespace, or of all with "", by namespace and name, in the version asked for. A
// resource that is not served has none.
func (s *Server) List(gvr schema.GroupVersionResource, namespace string) []*unstructured.Unstructured {
	res, err := s.resource(gvr)
	if err != nil {
		return nil
	}
	s.mu.RLock()
	records := sorted(s.shelves[res.groupResource()].objects, namespace)
	s.mu.RUnlock()
	list := make([]*unstructured.Unstructured, len(records))
	for i, rec := range records {
		list[i] = inVersion(rec.obj, gvr.GroupVersion().String()).DeepCopy()
	}
	return list
}

// OnChange calls f after writes, from a goroutine of its own, with the resource in its stored version. Several writes to one
// resource may be told once. The goroutine ends with cancel or Close, after a call that is under way.
func (s *Server) OnChange(f func(gvr schema.GroupVersionResource)) (cancel func()) {
	sub := &subscriber{wake: make(chan struct{}, 1), done: make(chan struct{})}
	s.mu.Lock()
	s.subscribers[sub] = struct{}{}
	s.mu.Unlock()
	go sub.run(s.stop, f)
	return sync.OnceFunc(func() {
		s.mu.Lock()
		delete(s.subscribers, sub)
		s.mu.Unlock()
		close(sub.done)
	})
}

// resource finds the stored resource of a group, version and name.
func (s *Server) resource(gvr schema.GroupVersionResource) (*resource, error) {
	sh, ok := s.shelves[gvr.GroupResource()]
	if !ok || !sh.res.serves(gvr.Version) {
		return nil, apierrors.NewGenericServerResponse(http.StatusNotFound, "get", gvr.GroupResource(), "", "", 0, false)
	}
	return sh.res, nil
}

func (s *Server) resourceOf(obj *unstructured.Unstructured) (*resource, error) {
	gvk := obj.GroupVersionKind()
	for _, r := range s.resources {
		if r.stored() && r.group == gvk.Group && r.kind == gvk.Kind && r.serves(gvk.Version) {
			return r, nil
		}
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("no kind %q is served in version %q", gvk.Kind, obj.GetAPIVersion()))
}

// fromCaller copies an object by way of JSON, which takes Go's own number types too.
func fromCaller(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(obj.Object)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	own := &unstructured.Unstructured{}
	if err := own.UnmarshalJSON(data); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return own, nil
}

func (s *Server) get(res *resource, namespace, name string) (*record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rec, ok := s.shelves[res.groupResource()].objects[objectKey(namespace, name)]
	if !ok {
		return nil, apierrors.NewNotFound(res.groupResource(), name)
	}
	return rec, nil
}
