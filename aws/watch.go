package aws

import (
	"context"
	"time"

	"github.com/istio-cutover/cutover/model"
)

const (
	defaultEvery = 5 * time.Second
	// listenersEvery, slowEvery and rareEvery are how often parts are read that
	// change less than rules and target health.
	listenersEvery = 20 * time.Second
	slowEvery      = time.Minute
	rareEvery      = 10 * time.Minute
	// gently is how often AWS is asked at least apart while it refuses us or
	// does not answer.
	gently = 10 * time.Second
	// afterWrite lets writes that follow each other be looked at together.
	afterWrite = 500 * time.Millisecond
	// share is how many calls a second the quick parts may take of the refresh
	// bucket; the rest is for the slow ones.
	share = 4.0
)

// quick reports whether a part is read in every round.
func (p part) quick() bool { return p == partRules || p == partNetworkRules || p == partHealth }

// period is how often a part is read where rounds are every so often.
func (p part) period(every time.Duration) time.Duration {
	switch {
	case p.quick():
		return every
	case p == partListeners:
		return max(every, listenersEvery)
	case p == partIdentity, p == partLimits:
		return max(every, rareEvery)
	default:
		return max(every, slowEvery)
	}
}

// SetScope says which target groups carry lanes, by ARN. Watch then no longer
// reads the health of others and the rules of load balancers without one of
// them; their targets have no state. An empty scope is everything.
func (c *Client) SetScope(targetGroups []string) {
	scope := make(map[string]bool, len(targetGroups))
	for _, arn := range targetGroups {
		scope[arn] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scope = scope
}

// Refresh makes Watch read everything at once. It does not wait for it.
func (c *Client) Refresh() {
	select {
	case c.refresh <- struct{}{}:
	default: // One is asked for already.
	}
}

// touch makes Watch read a listener's rules soon.
func (c *Client) touch(listener string) {
	if listener == "" {
		c.Refresh()
		return
	}
	c.mu.Lock()
	c.touched[listener] = true
	c.mu.Unlock()
	select {
	case c.written <- struct{}{}:
	default:
	}
}

// Watch observes at once and then periodically until ctx ends, and hands every
// observation to out, one at a time. Rules and target health are read every
// so often (5 s when every is not positive; less often where that would take
// too much of the account's request quota), listeners every 20 s, the rest
// every minute, quotas and identity every ten, what was just written at once.
//
// While AWS refuses us or does not answer, the last known values are handed
// out with the time they were observed at and Problems that say so; credentials
// are looked up anew, and it heals by itself. One Watch at a time.
func (c *Client) Watch(ctx context.Context, every time.Duration, out func(model.AWS)) {
	if every <= 0 {
		every = defaultEvery
	}
	s := &schedule{every: every, read: map[part]time.Time{}}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		u := periodic
		var due parts
		var only map[string]bool
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			due = s.due(time.Now())
		case <-c.refresh:
			due, u = allParts(), urgent
		case <-c.written:
			if !sleep(ctx, afterWrite) {
				return
			}
			due, u = parts{}, urgent
			only = c.takeTouched()
		}
		if !s.answered {
			u = urgent // Somebody is waiting for the first picture.
		}
		w, result := c.observe(ctx, due, only, u)
		if ctx.Err() != nil {
			return
		}
		s.done(time.Now(), due, result)
		out(w)
		timer.Reset(max(0, time.Until(s.next())))
	}
}

func (c *Client) takeTouched() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	touched := c.touched
	c.touched = map[string]bool{}
	return touched
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// schedule says what is due when.
type schedule struct {
	every    time.Duration // as asked for
	quick    int           // calls that the quick parts took last time
	answered bool          // AWS has answered at least once
	silent   bool          // AWS did not answer last time
	last     time.Time     // end of the last round
	read     map[part]time.Time
}

// interval is how far apart rounds are.
func (s *schedule) interval() time.Duration {
	d := max(s.every, time.Duration(float64(s.quick)/share*float64(time.Second)))
	if s.silent {
		d = max(d, gently)
	}
	return d
}

func (s *schedule) next() time.Time { return s.last.Add(s.interval()) }

// due gives the parts to read now.
func (s *schedule) due(now time.Time) parts {
	due := parts{}
	for p := range partCount {
		if now.Sub(s.read[p]) >= p.period(s.interval()) {
			due[p] = true
		}
	}
	return due
}

// done notes that a round has ended.
func (s *schedule) done(now time.Time, due parts, o outcome) {
	healed := s.silent && !o.silent
	s.last, s.silent = now, o.silent
	if o.silent {
		return // What was due still is.
	}
	s.answered = true
	for p := range due {
		s.read[p] = now
	}
	if healed {
		clear(s.read) // Nobody knows what has changed meanwhile.
	}
	if o.gone {
		for _, p := range []part{partBalancers, partGroups, partListeners} {
			delete(s.read, p)
		}
	}
	if due[partRules] {
		s.quick = o.calls[partRules] + o.calls[partNetworkRules] + o.calls[partHealth]
	}
}
