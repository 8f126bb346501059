package kube

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/istio-cutover/cutover/model"
)

const (
	// gather and apart keep a burst of changes from becoming a burst of
	// pictures: at most five a second.
	gather = 20 * time.Millisecond
	apart  = 200 * time.Millisecond
)

// timing is how patient Watch is.
type timing struct {
	// firstWithin bounds how long the first picture is waited for, wholeWithin
	// how long any other is until what a change makes worth reading is read.
	firstWithin, wholeWithin time.Duration
	// atLeast is how often a picture comes without a change, for its age.
	atLeast time.Duration
	// pingEvery and pingWithin find a connection that is lost without a word.
	pingEvery, pingWithin time.Duration
	// secretsEvery is how often Secrets are read again, and secretsRetry how
	// soon where one could not be.
	secretsEvery, secretsRetry time.Duration
	// retryFirst and retryLast are the shortest and the longest pause before
	// what failed is tried again.
	retryFirst, retryLast time.Duration
	// identityRetry is the pause before asking again which cluster this is.
	identityRetry time.Duration
}

func usualTiming() timing {
	return timing{
		firstWithin: 8 * time.Second, wholeWithin: time.Second, atLeast: 10 * time.Second,
		pingEvery: 5 * time.Second, pingWithin: 5 * time.Second,
		secretsEvery: time.Minute, secretsRetry: 10 * time.Second,
		retryFirst: time.Second, retryLast: 5 * time.Second, identityRetry: 10 * time.Second,
	}
}

// Watch observes until ctx ends and hands every picture to out, one at a time:
// the first once everything has been read or has failed (within 8 s), then after
// every change, at most five a second, and at least every 10 s. Secrets are read
// again every minute and when Gateways change.
//
// What cannot be read is a Problem and keeps its last known value; it heals by
// itself. While the API server does not answer, ObservedAt stays at the moment
// when it last did.
func (c *Client) Watch(ctx context.Context, out func(model.Cluster)) {
	ctx, stop := context.WithCancel(klog.NewContext(ctx, klog.Logger{}))
	w := &watcher{timing: c.timing, signal: make(chan struct{}, 1), secretsDue: make(chan struct{}, 1), namespaces: map[string]context.CancelFunc{}}
	w.picture = newPicture(c, w.wake)
	defer w.running.Wait()
	defer stop()
	w.running.Go(func() { w.keepIdentity(ctx) })
	w.running.Go(func() { w.ping(ctx) })
	w.running.Go(func() { w.keepSecrets(ctx) })
	w.running.Go(func() { follow(ctx, w, gatewayKind(), "", w.picture.gateways) })
	w.running.Go(func() { follow(ctx, w, virtualServiceKind(), "", w.picture.virtual) })
	w.running.Go(func() { follow(ctx, w, serviceKind(), "", w.picture.services) })
	w.running.Go(func() { follow(ctx, w, nodeKind(), "", w.picture.nodes) })
	w.run(ctx, out)
}

// watcher is one Watch under way.
type watcher struct {
	timing     timing
	picture    *picture
	signal     chan struct{} // something has changed
	secretsDue chan struct{}
	running    sync.WaitGroup

	// Of run alone.
	namespaces map[string]context.CancelFunc // whose pods are followed
	asked      map[model.ObjectName]bool     // the Secrets that were asked for
	gateways   []model.Gateway               // for which they were
}

// wake tells run that something has changed.
func (w *watcher) wake() {
	select {
	case w.signal <- struct{}{}:
	default: // It knows already.
	}
}

func (w *watcher) run(ctx context.Context, out func(model.Cluster)) {
	beat := time.NewTicker(w.timing.atLeast)
	defer beat.Stop()
	for within := w.timing.firstWithin; ; within = w.timing.wholeWithin {
		if !w.settle(ctx, within) {
			return
		}
		out(w.picture.cluster())
		last := time.Now()
		beat.Reset(w.timing.atLeast)
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		case <-w.signal:
			if !sleep(ctx, max(gather, apart-time.Since(last))) {
				return
			}
		}
	}
}

// settle waits until everything that matters was read or has failed, or until
// within is over. It reports false when ctx has ended.
func (w *watcher) settle(ctx context.Context, within time.Duration) bool {
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		w.aim(ctx)
		if w.picture.settled() {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-w.signal:
		case <-limit.C:
			return true
		}
	}
}

// aim follows the pods of the namespaces that matter now, and has the Secrets
// read that Gateways name now.
func (w *watcher) aim(ctx context.Context) {
	wanted := w.picture.wantedNamespaces()
	for namespace, stop := range w.namespaces {
		if !slices.Contains(wanted, namespace) {
			stop()
			delete(w.namespaces, namespace)
			w.picture.mu.Lock()
			delete(w.picture.pods, namespace)
			w.picture.mu.Unlock()
		}
	}
	for _, namespace := range wanted {
		if w.namespaces[namespace] != nil {
			continue
		}
		own, stop := context.WithCancel(ctx)
		w.namespaces[namespace] = stop
		s := newShelf(convertPod, w.wake)
		w.picture.mu.Lock()
		w.picture.pods[namespace] = s
		w.picture.mu.Unlock()
		w.running.Go(func() { follow(own, w, podKind(), namespace, s) })
	}
	gateways := w.picture.gateways.values()
	secrets := w.picture.wantedSecrets()
	if w.asked == nil || !maps.Equal(w.asked, secrets) || !sameSlice(w.gateways, gateways) {
		w.asked, w.gateways = secrets, gateways
		select {
		case w.secretsDue <- struct{}{}:
		default: // They will be read anyway.
		}
	}
}

// sameSlice reports whether a and b are the same list, not merely an equal one.
func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// follow keeps a shelf as the cluster is until ctx ends.
func follow[O runtime.Object, T any](ctx context.Context, w *watcher, k kind, namespace string, s *shelf[O, T]) {
	pause := w.timing.retryFirst
	for ctx.Err() == nil {
		fills := s.fills()
		r := cache.NewReflectorWithOptions(w.picture.client.listWatch(k, namespace), k.example, s, cache.ReflectorOptions{
			Name:    string(k.resource),
			Logger:  &klog.Logger{},
			Backoff: &wait.Backoff{Duration: w.timing.retryFirst, Cap: w.timing.retryLast, Factor: 2, Steps: 3, Jitter: 0.2},
		})
		r.WatchListPageSize = pageSize
		err := r.ListAndWatchWithContext(ctx)
		if ctx.Err() != nil {
			return
		}
		filled := s.fills() > fills
		if filled {
			pause = w.timing.retryFirst
		}
		if err != nil {
			e := w.picture.client.classify(k.operation("list"), namespace, err)
			if filled && e.Kind != model.KindThrottled && (e.Kind != model.KindUnreachable || statusCode(err) != 0) {
				// It can be listed and not watched: then it is listed often.
				pause = w.timing.retryLast
			} else {
				s.failed(e, time.Now())
			}
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, w.timing.retryLast)
	}
}

// keepIdentity asks until it is known which cluster this is.
func (w *watcher) keepIdentity(ctx context.Context) {
	for w.picture.identify(ctx) != nil && sleep(ctx, w.timing.identityRetry) {
	}
}

// keepSecrets reads Secrets when they are due.
func (w *watcher) keepSecrets(ctx context.Context) {
	timer := time.NewTimer(w.timing.secretsEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.secretsDue:
		}
		wanted := w.picture.wantedSecrets()
		read := w.picture.client.readSecrets(ctx, wanted)
		if ctx.Err() != nil {
			return
		}
		w.picture.takeSecrets(wanted, read, time.Now())
		next := w.timing.secretsEvery
		if len(read.failures) > 0 {
			next = w.timing.secretsRetry
		}
		timer.Reset(next)
	}
}

// ping finds out whether the API server answers: watches can be silent for long
// without it.
func (w *watcher) ping(ctx context.Context) {
	p := w.picture
	for {
		err := p.client.reach(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		p.mu.Lock()
		before := p.connection
		p.connection = before.after(err, now)
		p.mu.Unlock()
		if err == nil {
			p.inContact(now)
		}
		if err != nil || before != nil {
			w.wake()
		}
		if !sleep(ctx, w.timing.pingEvery) {
			return
		}
	}
}

// reach asks the API server for its version, which everybody may know. It is
// not reported: it says nothing but that there is a connection.
func (c *Client) reach(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, c.timing.pingWithin)
	defer cancel()
	_, err := c.core.RESTClient().Get().AbsPath("/version").MaxRetries(0).DoRaw(limited)
	if answered(err) {
		return nil
	}
	return c.classify("reach the API server", "", err)
}

// answered reports that the API server is there and accepts us, whatever else
// it says.
func answered(err error) bool {
	code := statusCode(err)
	return err == nil || code != 0 && code != http.StatusUnauthorized && code < http.StatusInternalServerError
}
