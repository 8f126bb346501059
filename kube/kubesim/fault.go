package kubesim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// FaultKind is what goes wrong with a request.
type FaultKind int

// The faults. Except for the slow ones they cut the watches and followed logs
// that they concern, as a real API server cuts them now and then anyway.
const (
	// Unauthorized is a token that has run out.
	Unauthorized FaultKind = iota
	// Forbidden is a missing permission for a resource.
	Forbidden
	// WatchEnds is a watch that ends as soon as it has said what there is to say
	// at once, as behind a proxy that allows nothing to last.
	WatchEnds
	// WatchFails is a watch that is answered with an error of the server's own.
	WatchFails
	// WatchGone is a watch that is told that it is too far back.
	WatchGone
	// Slow is a request that is answered late.
	Slow
)

// Fault is trouble with requests that reach Handler.
type Fault struct {
	Kind FaultKind
	// Resource is the one that is Forbidden, as RBAC has it: "secrets", "pods/log".
	Resource string
	// Delay is how late a Slow answer is.
	Delay time.Duration
}

// InjectedFault is a Fault that was injected.
type InjectedFault struct {
	Fault
	server  *Server
	removed chan struct{} // closed by Remove
	once    sync.Once
}

// Inject makes requests fail from now on, until the fault is removed. Of several
// for one request the first that was injected counts; slow ones add up. It fails
// for a resource that is not served.
func (s *Server) Inject(f Fault) (*InjectedFault, error) {
	if f.Kind == Forbidden && !slices.Contains(s.rbacResources(), f.Resource) {
		return nil, fmt.Errorf("no resource %q is served", f.Resource)
	}
	injected := &InjectedFault{Fault: f, server: s, removed: make(chan struct{})}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.injected = append(s.faults.injected, injected)
	for lasting := range s.faults.lasting {
		if f.concerns(lasting.request) && f.Kind != Slow {
			lasting.cut()
		}
	}
	return injected, nil
}

// Remove ends the fault. Requests that wait in it are served.
func (f *InjectedFault) Remove() {
	f.once.Do(func() {
		close(f.removed)
		f.server.faults.mu.Lock()
		defer f.server.faults.mu.Unlock()
		f.server.faults.injected = slices.DeleteFunc(f.server.faults.injected, func(other *InjectedFault) bool { return other == f })
	})
}

// rbacResources are the names that a permission can be for.
func (s *Server) rbacResources() []string {
	var names []string
	for _, r := range s.resources {
		names = append(names, r.plural)
		for _, sub := range r.subresources() {
			names = append(names, r.plural+"/"+sub.name)
		}
	}
	return names
}

// faults are those that are injected at the moment, and what they may have to cut.
type faults struct {
	mu       sync.Mutex
	injected []*InjectedFault
	lasting  map[*lasting]struct{}
}

// lasting is a request that may last: a watch or a followed log.
type lasting struct {
	request *request
	cut     context.CancelFunc
}

// concerns reports whether a request has the fault; it is nil for what is no resource.
func (f Fault) concerns(req *request) bool {
	switch f.Kind {
	case Forbidden:
		return req != nil && req.rbacResource() == f.Resource
	case WatchEnds, WatchFails, WatchGone:
		return req != nil && req.verb == "watch"
	case Unauthorized, Slow:
	}
	return true
}

// serveFaulty serves a request with the faults that it has.
func (s *Server) serveFaulty(w http.ResponseWriter, r *http.Request) {
	req, _ := parse(r, strings.Trim(r.URL.Path, "/"))
	r, met, end := s.faults.meet(r, req)
	defer end()
	for _, f := range met {
		switch f.Kind {
		case Slow:
			f.wait(r.Context())
		case Forbidden: // That is for authorization to say.
		case Unauthorized:
			s.writeError(w, apierrors.NewUnauthorized("Unauthorized"))
			return
		case WatchFails:
			s.writeError(w, apierrors.NewInternalError(errors.New("etcdserver: request timed out")))
			return
		case WatchEnds:
			ctx, cut := context.WithCancel(r.Context())
			cut() // What there is to say at once is said nevertheless.
			s.serveHTTP(w, r.WithContext(ctx))
			return
		case WatchGone:
			s.serveHTTP(w, r.WithContext(context.WithValue(r.Context(), goneKey{}, true)))
			return
		}
	}
	s.serveHTTP(w, r)
}

// restricted is a user with less permissions, while faults say so.
func (f *faults) restricted(user User) User {
	f.mu.Lock()
	defer f.mu.Unlock()
	var denied []string
	for _, i := range f.injected {
		if i.Kind == Forbidden {
			denied = append(denied, i.Resource)
		}
	}
	if deny := user.Deny; len(denied) > 0 {
		user.Deny = func(verb, group, resource, namespace, name string) bool {
			return slices.Contains(denied, resource) || deny != nil && deny(verb, group, resource, namespace, name)
		}
	}
	return user
}

// meet finds the faults of a request, and returns it as one that can be cut until end.
func (f *faults) meet(r *http.Request, req *request) (_ *http.Request, met []*InjectedFault, end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.injected {
		if i.concerns(req) {
			met = append(met, i)
		}
	}
	if req == nil || req.verb != "watch" && req.sub != "log" {
		return r, met, func() {}
	}
	ctx, cut := context.WithCancel(r.Context())
	l := &lasting{request: req, cut: cut}
	if f.lasting == nil {
		f.lasting = map[*lasting]struct{}{}
	}
	f.lasting[l] = struct{}{}
	return r.WithContext(ctx), met, func() {
		cut()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.lasting, l)
	}
}

// goneKey marks the context of a watch that is told that it is too far back once it has begun: by then it is known that
// its client may watch at all.
type goneKey struct{}

// gone reports whether a request is such a watch.
func gone(req *request) bool { return req.Context().Value(goneKey{}) != nil }

// wait lasts as long as the delay, and no longer than the fault, the client and the server do.
func (f *InjectedFault) wait(ctx context.Context) {
	late := time.NewTimer(f.Delay)
	defer late.Stop()
	select {
	case <-late.C:
	case <-f.removed:
	case <-ctx.Done():
	case <-f.server.stop:
	}
}
