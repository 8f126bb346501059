package probes

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/istio-cutover/cutover/model"
)

// PerSecond is how many probes are sent in a second in all unless somebody says
// otherwise: production is not a test target.
const PerSecond = 20

// Limits bound what an Engine does to production. Zero fields take the
// defaults: PerSecond probes/s in all, 10 s per target, 1 s for staged ones.
type Limits struct {
	PerSecond float64       // probes per second in all
	PerNode   float64       // probes per second to one node, half of PerSecond by default
	Idle      time.Duration // between two probes of a target
	Staged    time.Duration // between two probes of a staged target
	Workers   int           // probes at once, 16 by default
}

func (l Limits) withDefaults() Limits {
	if l.PerSecond <= 0 {
		l.PerSecond = PerSecond
	}
	if l.PerNode <= 0 {
		l.PerNode = max(l.PerSecond/2, 1)
	}
	if l.Idle <= 0 {
		l.Idle = 10 * time.Second
	}
	if l.Staged <= 0 {
		l.Staged = time.Second
	}
	if l.Workers <= 0 {
		l.Workers = 16
	}
	return l
}

// Engine probes many targets, each on its own schedule. Its methods are safe
// for concurrent use.
type Engine struct {
	probe   Func
	limits  Limits
	store   *store
	wake    chan struct{}
	results func(model.ProbeResult)

	mu sync.Mutex
	// Staged targets have a queue of their own, which is looked at first: what
	// is being moved is watched at its rate however many others are overdue.
	staged queue
	idle   queue
	items  map[model.ProbeTarget]*item // by target without its Staged mark
	paused bool
	nodes  map[string]*rate.Limiter
	// held are hosts of which nothing is sent, by how many want it so, and flying
	// those of which probes are under way, by how many.
	held, flying map[model.HostKey]int
	landed       chan struct{} // closed and replaced when a probe has ended
}

// NewEngine returns an engine that sends nothing until Run. results is called
// for every result, from the workers; nil when only View is wanted.
func NewEngine(probe Func, limits Limits, results func(model.ProbeResult)) *Engine {
	return &Engine{
		probe: probe, limits: limits.withDefaults(), store: newStore(), results: results,
		wake: make(chan struct{}, 1), items: map[model.ProbeTarget]*item{}, nodes: map[string]*rate.Limiter{},
		held: map[model.HostKey]int{}, flying: map[model.HostKey]int{}, landed: make(chan struct{}),
	}
}

// SetTargets replaces the targets. Those that stay keep their schedule and
// results; one that becomes staged is due at once.
func (e *Engine) SetTargets(targets []model.ProbeTarget) {
	e.mu.Lock()
	now := time.Now()
	// New targets are spread over the time that the rate needs for them anyway.
	spread := min(e.limits.Idle, time.Duration(float64(len(targets))/e.limits.PerSecond*float64(time.Second)))
	wanted := make(map[model.ProbeTarget]bool, len(targets))
	for _, t := range targets {
		key := plain(t)
		wanted[key] = true
		it, known := e.items[key]
		switch {
		case !known:
			it = &item{target: key, staged: t.Staged, due: now}
			if !t.Staged {
				it.due = now.Add(time.Duration(rand.Int64N(int64(spread) + 1)))
			}
			e.items[key] = it
			heap.Push(e.queueOf(it), it)
		case t.Staged != it.staged:
			queued := it.index >= 0
			if queued {
				heap.Remove(e.queueOf(it), it.index)
			}
			it.staged = t.Staged
			if it.staged {
				it.due = now
			}
			if queued {
				heap.Push(e.queueOf(it), it)
			}
		}
	}
	for key, it := range e.items {
		if !wanted[key] {
			delete(e.items, key)
			if it.index >= 0 {
				heap.Remove(e.queueOf(it), it.index)
			}
		}
	}
	e.mu.Unlock()
	e.store.keep(wanted)
	e.nudge()
}

// plain is t as the key of its schedule and results: staged or not, it is the
// same probe.
func plain(t model.ProbeTarget) model.ProbeTarget {
	t.Staged = false
	return t
}

// Pause stops sending until Pause(false). Probes under way end by themselves.
func (e *Engine) Pause(paused bool) {
	e.mu.Lock()
	e.paused = paused
	e.mu.Unlock()
	e.nudge()
}

// View returns what is known now.
func (e *Engine) View() View { return e.store.view() }

// Evidence returns the newest results of every target, without the series.
func (e *Engine) Evidence() model.Evidence { return e.store.newest() }

func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run probes until ctx ends and returns when the last probe has ended.
func (e *Engine) Run(ctx context.Context) {
	work := make(chan *item)
	var wg sync.WaitGroup
	for range e.limits.Workers {
		wg.Go(func() {
			for it := range work {
				e.once(ctx, it)
			}
		})
	}
	defer wg.Wait()
	defer close(work)
	total := rate.NewLimiter(rate.Limit(e.limits.PerSecond), max(1, int(e.limits.PerSecond/4)))
	for {
		it, wait := e.next(time.Now())
		if it == nil {
			if !e.sleep(ctx, wait) {
				return
			}
			continue
		}
		if total.Wait(ctx) != nil {
			return
		}
		select {
		case work <- it:
		case <-ctx.Done():
			return
		}
	}
}

func (e *Engine) sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-e.wake:
	}
	return true
}

// next takes the most urgent item that is due, or says how long none is.
func (e *Engine) next(now time.Time) (*item, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	const forever = time.Hour // Until somebody wakes us.
	if e.paused {
		return nil, forever
	}
	it, wait := e.take(&e.staged, now, forever)
	if it == nil {
		it, wait = e.take(&e.idle, now, wait)
	}
	return it, wait
}

// take takes from q, passing over items whose node has had its share.
func (e *Engine) take(q *queue, now time.Time, wait time.Duration) (*item, time.Duration) {
	for len(*q) > 0 {
		it := (*q)[0]
		if until := it.due.Sub(now); until > 0 {
			return nil, min(wait, until)
		}
		if e.held[it.target.Host] > 0 {
			it.due = now.Add(heldFor)
			heap.Fix(q, 0)
			continue
		}
		if e.node(it.target.Node).AllowN(now, 1) {
			heap.Pop(q)
			e.flying[it.target.Host]++
			return it, 0
		}
		it.due = now.Add(time.Duration(float64(time.Second) / e.limits.PerNode))
		heap.Fix(q, 0)
	}
	return nil, wait
}

func (e *Engine) queueOf(it *item) *queue {
	if it.staged {
		return &e.staged
	}
	return &e.idle
}

func (e *Engine) node(name string) *rate.Limiter {
	l := e.nodes[name]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(e.limits.PerNode), max(1, int(e.limits.PerNode/2)))
		e.nodes[name] = l
	}
	return l
}

// once sends one probe and puts its target back on schedule.
func (e *Engine) once(ctx context.Context, it *item) {
	e.mu.Lock()
	target, staged := it.target, it.staged
	e.mu.Unlock()
	r := e.probe(ctx, target)
	r.Target = target
	if ctx.Err() == nil { // A probe that was cut short says nothing about its target.
		e.store.add(r, e.every(staged))
		if e.results != nil {
			e.results(r)
		}
	}
	e.mu.Lock()
	if e.items[it.target] == it {
		it.due = time.Now().Add(jitter(e.every(it.staged)))
		heap.Push(e.queueOf(it), it)
	}
	e.land(it.target.Host)
	e.mu.Unlock()
	e.nudge()
}

func (e *Engine) every(staged bool) time.Duration {
	if staged {
		return e.limits.Staged
	}
	return e.limits.Idle
}

// jitter keeps targets from marching in step: up to a tenth earlier.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}

// item is a target on its schedule.
type item struct {
	target model.ProbeTarget
	staged bool
	due    time.Time
	index  int // in the queue; -1 while it is being probed
}

// queue is a heap by when its items are due.
type queue []*item

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }

func (q *queue) Push(x any) {
	it := x.(*item) //nolint:forcetypeassert // Only items are pushed.
	it.index = len(*q)
	*q = append(*q, it)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	it := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	it.index = -1
	return it
}
