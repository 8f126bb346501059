package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/istio-cutover/cutover/model"
)

// parallel is how many calls are under way at once at most.
const parallel = 8

// hopeless is how many calls may fail for a reason that all share before the
// rest of a round is not tried.
const hopeless = 4

// Observe reads everything now: load balancers, listeners, rules, target
// groups with attributes and health, tags, limits, and who we are. What could
// not be read is a Problem and keeps its last known value, if there is one;
// the rest goes on. A world of a handful of load balancers and a few hundred
// rules takes some fifty calls; beyond 36 they are paced at 9 a second.
//
// Observations of one Client take turns.
func (c *Client) Observe(ctx context.Context) model.AWS {
	w, _ := c.observe(ctx, allParts(), nil, urgent)
	return w
}

// observe carries out one round: the parts that are due, and in any case the
// rules of the listeners in only.
func (c *Client) observe(ctx context.Context, due parts, only map[string]bool, u urgency) (model.AWS, outcome) {
	c.observing.Lock()
	defer c.observing.Unlock()
	c.mu.Lock()
	scope := c.scope
	c.mu.Unlock()
	r := &round{
		c: c, seen: c.seen, due: due, only: only, scope: scope, urgency: u, began: time.Now(),
		failures: map[part][]failure{}, outcome: outcome{calls: map[part]int{}},
	}
	r.run(ctx, c.silent)
	r.silent = r.answers == 0 && r.failed > 0
	if !errors.Is(ctx.Err(), context.Canceled) {
		r.settle()
		c.silent = r.silent
	}
	if r.answers > 0 {
		c.seen.at = r.began
	}
	return c.seen.world(c.seen.accountOf(c.Account()), scope), r.outcome
}

// outcome is what a round tells the schedule.
type outcome struct {
	calls  map[part]int // made
	silent bool         // there was no answer at all
	gone   bool         // something that had been listed was not there any more
}

// failure is one object's failed reading.
type failure struct {
	object string
	err    error
}

// round is one pass over what is due. Its calls run side by side; mu guards
// what they write to, seen included.
type round struct {
	c       *Client
	seen    *seen
	due     parts
	only    map[string]bool // listeners whose rules are read in any case
	scope   map[string]bool
	urgency urgency
	began   time.Time

	mu sync.Mutex
	outcome
	answers  int
	failed   int   // calls
	shared   error // the last failure of a kind that would meet all other calls too
	failures map[part][]failure
}

// job is one call or a chain of them, about one object of a part.
type job struct {
	part   part
	object string
	do     func(context.Context) error
}

// run makes all calls. After silence one call finds out whether AWS answers
// again before the others are made.
func (r *round) run(ctx context.Context, silence bool) {
	if silence {
		r.due[partBalancers] = true
	}
	lists := r.listJobs()
	if silence {
		r.each(ctx, lists[:1]) // The load balancers.
		lists = lists[1:]
	}
	if !r.lost() {
		r.each(ctx, lists)
	}
	if r.lost() {
		r.giveUp()
		return
	}
	r.seen.forget()
	r.each(ctx, r.listenerJobs())
	r.each(ctx, slices.Concat(r.ruleJobs(), r.groupJobs()))
	if ctx.Err() == nil {
		r.seen.forget()
		r.each(ctx, r.tagJobs())
	}
}

// each runs jobs side by side and notes what failed.
func (r *round) each(ctx context.Context, jobs []job) {
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, j := range jobs {
		group.Go(func() error {
			if err := r.stopped(); err != nil {
				r.note(j, err)
			} else {
				r.note(j, j.do(ctx))
			}
			return nil // Failures are notes: the others go on.
		})
	}
	_ = group.Wait() // No job returns an error.
}

// stopped gives the error that no further call would escape, nil while there
// may be answers.
func (r *round) stopped() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == 0 && r.failed >= hopeless {
		return r.shared
	}
	return nil
}

// lost reports that there was no answer to any call.
func (r *round) lost() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answers == 0 && r.failed > 0 && r.shared != nil
}

// giveUp notes the shared failure for all that was due and is not tried. Rules
// stand for those of network load balancers, too.
func (r *round) giveUp() {
	for p := range r.due {
		if p != partNetworkRules && len(r.failures[p]) == 0 {
			r.failures[p] = []failure{{err: r.shared}}
		}
	}
}

func (r *round) note(j job, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.answers++
		return
	}
	r.failed++
	switch kind := model.KindOf(err); {
	case kind == model.KindNotFound:
		// Gone since it was listed: the next listing no longer has it.
		r.answers++
		r.gone = true
		return
	case kind == model.KindUnreachable, unusable(err):
		r.shared = err
	}
	r.failures[j.part] = append(r.failures[j.part], failure{j.object, err})
}

// settle turns the failures of the parts that were due into troubles and ends
// those that are over.
func (r *round) settle() {
	for p := range partCount {
		failures := r.failures[p]
		if !r.due[p] && len(failures) == 0 {
			continue
		}
		slices.SortFunc(failures, func(a, b failure) int { return strings.Compare(a.object, b.object) })
		now := map[model.Kind][]failure{}
		for _, f := range failures {
			kind := model.KindOf(f.err)
			now[kind] = append(now[kind], f)
		}
		for key := range r.seen.troubles {
			if key.part == p && now[key.kind] == nil {
				delete(r.seen.troubles, key)
			}
		}
		for kind, same := range now {
			key := troubleKey{p, kind}
			t := r.seen.troubles[key]
			if t.since.IsZero() {
				t.since = r.began
			}
			t.message = message(same)
			r.seen.troubles[key] = t
		}
	}
}

// message says in one line why things could not be read, by the first of them.
func message(failures []failure) string {
	first := failures[0]
	text, remedy := first.err.Error(), ""
	var e *model.Error
	if errors.As(first.err, &e) {
		text, remedy = e.Cause(), e.Remedy
	}
	if first.object != "" {
		text = first.object + ": " + text
	}
	if more := len(failures) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	if remedy != "" {
		text += "; " + remedy
	}
	return model.Line(text)
}
