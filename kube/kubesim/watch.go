package kubesim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
)

// watchTimeout is how long a watch lasts when the client does not say: a real API server's shortest.
const watchTimeout = 30 * time.Minute

// watcher sends one client what happens to the objects that its filter admits.
type watcher struct {
	s       *Server
	req     *request
	w       http.ResponseWriter
	shape   shape
	filter  *filter
	sh      *shelf
	rev     uint64 // everything up to it was sent
	columns bool   // the columns of a table were sent
}

func (s *Server) serveWatch(w http.ResponseWriter, req *request) error {
	f, err := negotiate(req)
	if err != nil {
		return err
	}
	opts, admits, err := listOptions(req)
	if err != nil {
		return err
	}
	admits.namespace = req.namespace
	wt := &watcher{s: s, req: req, w: w, shape: f.as, filter: admits, sh: s.shelves[req.res.groupResource()]}
	initial, err := wt.begin(opts)
	if err != nil {
		return err
	}
	timeout := watchTimeout
	if opts.TimeoutSeconds != nil && *opts.TimeoutSeconds > 0 {
		timeout = time.Duration(*opts.TimeoutSeconds) * time.Second
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(http.StatusOK)
	if err := wt.run(initial, opts, timeout); err != nil {
		s.log.Debug("watch ended", "resource", req.gvr.String(), "error", err)
	}
	return nil
}

// begin finds where the watch starts, and the objects that it sends beforehand.
func (wt *watcher) begin(opts *internalversion.ListOptions) ([]*record, error) {
	var from uint64
	if opts.ResourceVersion != "" {
		var err error
		if from, err = parseRevision(opts.ResourceVersion); err != nil {
			return nil, plainError(err)
		}
	}
	wt.s.mu.RLock()
	defer wt.s.mu.RUnlock()
	streaming := opts.SendInitialEvents != nil
	switch {
	case streaming && from > wt.s.rev:
		return nil, tooLarge(from, wt.s.rev)
	case streaming && !*opts.SendInitialEvents && from == 0:
		wt.rev = wt.s.rev
		return nil, nil
	case streaming && *opts.SendInitialEvents, !streaming && from == 0:
		wt.rev = wt.s.rev
		return sorted(wt.sh.objects, wt.filter.namespace), nil
	}
	// A resource version that is too old is told within the stream, as a real API server does it.
	wt.rev = from
	return nil, nil
}

func (wt *watcher) run(initial []*record, opts *internalversion.ListOptions, timeout time.Duration) error {
	for _, rec := range initial {
		if !wt.filter.matches(rec.obj) {
			continue
		}
		if err := wt.send(watch.Added, rec); err != nil {
			return err
		}
	}
	if opts.SendInitialEvents != nil && *opts.SendInitialEvents && opts.AllowWatchBookmarks {
		if err := wt.sendBookmark(map[string]string{metav1.InitialEventsAnnotationKey: "true"}); err != nil {
			return err
		}
	}
	if err := wt.flush(); err != nil {
		return err
	}
	end := time.NewTimer(timeout)
	defer end.Stop()
	tick := time.NewTicker(wt.s.bookmark)
	defer tick.Stop()
	for {
		written, err := wt.catchUp()
		if err != nil {
			return err
		}
		select {
		case <-written:
			continue
		case <-wt.req.Context().Done():
			return nil
		case <-wt.s.stop:
			return nil
		case <-tick.C:
		case <-end.C:
			timeout = 0
		}
		if opts.AllowWatchBookmarks {
			if err := wt.sendBookmark(nil); err != nil {
				return err
			}
			if err := wt.flush(); err != nil {
				return err
			}
		}
		if timeout == 0 {
			return nil
		}
	}
}

// catchUp sends what happened since, and returns a channel that is closed at the next write.
func (wt *watcher) catchUp() (<-chan struct{}, error) {
	wt.s.mu.RLock()
	changes, err := wt.sh.since(wt.rev)
	written, rev := wt.s.written, wt.s.rev
	wt.s.mu.RUnlock()
	if gone(wt.req) {
		err = expired(wt.rev, rev)
	}
	if err != nil {
		return nil, wt.sendError(err)
	}
	sent := false
	for _, c := range changes {
		kind, rec, err := wt.see(c)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			continue
		}
		if err := wt.send(kind, rec); err != nil {
			return nil, err
		}
		sent = true
	}
	wt.rev = max(wt.rev, rev)
	if sent {
		if err := wt.flush(); err != nil {
			return nil, err
		}
	}
	return written, nil
}

// see turns a change into what it is for the client: an object that its filter admits no longer is a deleted one to it.
func (wt *watcher) see(c change) (watch.EventType, *record, error) {
	before := c.prev != nil && wt.filter.matches(c.prev.obj)
	after := c.kind != watch.Deleted && wt.filter.matches(c.next.obj)
	switch {
	case before && after:
		return watch.Modified, c.next, nil
	case after:
		return watch.Added, c.next, nil
	case before && c.kind == watch.Deleted:
		return watch.Deleted, c.next, nil
	case before:
		last := c.prev.obj.DeepCopy()
		last.SetResourceVersion(strconv.FormatUint(c.rev, 10))
		return watch.Deleted, &record{obj: last, rev: c.rev}, nil
	}
	return "", nil, nil
}

func (wt *watcher) send(kind watch.EventType, rec *record) error {
	var object []byte
	var err error
	if wt.shape == asTable {
		table, tableErr := wt.s.table(wt.req, []*record{rec}, !wt.columns)
		if tableErr != nil {
			return tableErr
		}
		wt.columns = true
		table.ResourceVersion = rec.obj.GetResourceVersion()
		object, err = json.Marshal(table)
	} else {
		object, err = encode(wt.req, rec, wt.shape, false)
	}
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	return wt.write(kind, object)
}

// sendBookmark says how far the stream has come.
func (wt *watcher) sendBookmark(annotations map[string]string) error {
	mark := &unstructured.Unstructured{Object: map[string]any{"kind": wt.req.res.kind, "apiVersion": wt.req.apiVersion(), "metadata": map[string]any{}}}
	mark.SetResourceVersion(strconv.FormatUint(wt.rev, 10))
	if annotations != nil {
		mark.SetAnnotations(annotations)
	}
	var value any = mark.Object
	switch wt.shape {
	case asMetadata:
		value = partial(mark)
	case asTable:
		table, err := wt.s.table(wt.req, []*record{{obj: mark}}, !wt.columns)
		if err != nil {
			return err
		}
		wt.columns = true
		table.ResourceVersion = mark.GetResourceVersion()
		value = table
	case asIs:
	}
	object, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode a bookmark: %w", err)
	}
	return wt.write(watch.Bookmark, object)
}

// sendError tells the client why the watch ends, and gives back the reason.
func (wt *watcher) sendError(cause error) error {
	object, err := json.Marshal(wt.s.statusOf(cause))
	if err != nil {
		return fmt.Errorf("encode a status: %w", err)
	}
	if err := wt.write(watch.Error, object); err != nil {
		return err
	}
	if err := wt.flush(); err != nil {
		return err
	}
	if apierrors.IsResourceExpired(cause) {
		return fmt.Errorf("resume: %w", cause)
	}
	return cause
}

func (wt *watcher) write(kind watch.EventType, object []byte) error {
	line := make([]byte, 0, len(object)+32)
	line = append(line, `{"type":"`...)
	line = append(line, kind...)
	line = append(line, `","object":`...)
	line = append(line, object...)
	line = append(line, '}', '\n')
	if _, err := wt.w.Write(line); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return nil
}

func (wt *watcher) flush() error {
	if err := http.NewResponseController(wt.w).Flush(); err != nil {
		return fmt.Errorf("flush a watch: %w", err)
	}
	return nil
}
