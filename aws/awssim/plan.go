package awssim

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// plan is the compiled, immutable form of a listener's rules that the data
// plane serves. A plan that is still propagating hangs on the one before it
// until it is due, so that no timer is needed.
type plan struct {
	rules []servedRule // by priority, the default rule last
	due   time.Time
	next  atomic.Pointer[plan]
}

// servedRule is one rule: it matches when all its matchers do.
type servedRule struct {
	matchers []matcher
	steps    []step
	rewrite  func(*http.Request)
}

// step is one action. Exactly forwards have a forward.
type step struct {
	action  types.Action
	forward *forward
}

// forward shares requests or connections between target groups by weight.
type forward struct {
	shares []share
	total  int
	sticky time.Duration // 0: no group stickiness
}

type share struct {
	id     string // of the target group
	pool   *pool
	weight int
}

// pick chooses a group by weight; there is none when all weights are 0.
func (f *forward) pick(intN func(int) int) (share, bool) {
	if f.total == 0 {
		return share{}, false
	}
	n := intN(f.total)
	for _, candidate := range f.shares {
		if n < candidate.weight {
			return candidate, true
		}
		n -= candidate.weight
	}
	return share{}, false
}

// batch gives when a change that is made now comes into force: together with
// all others since the one that opened the batch.
func (lb *loadBalancer) batch(now time.Time, propagation time.Duration) time.Time {
	if !now.Before(lb.due) {
		lb.due = now.Add(propagation)
	}
	return lb.due
}

// publish compiles the rules of a listener and hands them to its data plane,
// where they come into force with the batch that they are in.
func (s *Sim) publish(l *listener) {
	compiled := s.compile(l)
	if l.plan.Load() == nil || s.propagation <= 0 {
		l.plan.Store(compiled)
		return
	}
	now := s.now()
	compiled.due = l.lb.batch(now, s.propagation)
	// Without traffic nobody else forgets the plans that have been replaced.
	last := l.current(now)
	for next := last.next.Load(); next != nil; next = last.next.Load() {
		last = next
	}
	last.next.Store(compiled)
}

// current gives the plan in force and forgets those before it.
func (l *listener) current(now time.Time) *plan {
	first := l.plan.Load()
	p := first
	for next := p.next.Load(); next != nil && !now.Before(next.due); next = p.next.Load() {
		p = next
	}
	if p != first {
		// When it fails another request or a write was quicker, with a plan
		// that is as new or newer.
		l.plan.CompareAndSwap(first, p)
	}
	return p
}

func (s *Sim) compile(l *listener) *plan {
	p := &plan{rules: make([]servedRule, len(l.rules))}
	for i, r := range l.rules {
		served := servedRule{rewrite: compileTransforms(r.transforms)}
		for _, c := range r.conditions {
			served.matchers = append(served.matchers, compileCondition(c))
		}
		for _, a := range r.actions {
			next := step{action: a}
			if a.Type == types.ActionTypeEnumForward {
				next.forward = s.compileForward(a.ForwardConfig)
			}
			served.steps = append(served.steps, next)
		}
		p.rules[i] = served
	}
	return p
}

func (s *Sim) compileForward(c *types.ForwardActionConfig) *forward {
	f := &forward{}
	if aws.ToBool(c.TargetGroupStickinessConfig.Enabled) {
		f.sticky = time.Duration(aws.ToInt32(c.TargetGroupStickinessConfig.DurationSeconds)) * time.Second
	}
	for _, tuple := range c.TargetGroups {
		g := s.group(*tuple.TargetGroupArn)
		f.shares = append(f.shares, share{id: g.arn(), pool: g.pool, weight: int(*tuple.Weight)})
		f.total += int(*tuple.Weight)
	}
	return f
}

// find gives the first rule that matches a request; the default rule has no
// matchers and matches always.
func (p *plan) find(v *view) *servedRule {
	for i := range p.rules {
		if p.rules[i].matches(v) {
			return &p.rules[i]
		}
	}
	return nil
}

func (r *servedRule) matches(v *view) bool {
	for _, m := range r.matchers {
		if !m(v) {
			return false
		}
	}
	return true
}
