package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/probes"
)

// awsEvery is how often AWS is looked at.
const awsEvery = 5 * time.Second

// live is the world as it changes: both halves watched, joined at each change,
// its hosts probed. Its methods are safe for concurrent use.
type live struct {
	*wired
	engine *probes.Engine
	stop   context.CancelFunc
	done   sync.WaitGroup
	// counting lets proofs by counters of the same services take turns.
	counting turns
	// silent are the lanes whose counters could not be read of late.
	silent  silences
	traffic trafficMeter

	mu      sync.Mutex
	cluster *model.Cluster
	account *model.AWS
	joined  *model.Snapshot
	// only, when set, are the only hosts that are probed.
	only    map[model.HostKey]bool
	staged  map[model.HostKey]bool
	changed chan struct{} // closed and replaced at each change
}

// watch starts watching; end ends it. probeAll says whether hosts are probed
// without being staged.
func (w *wired) watch(ctx context.Context, limits probes.Limits, probeAll bool) *live {
	ctx, stop := context.WithCancel(ctx)
	l := &live{wired: w, stop: stop, changed: make(chan struct{})}
	if !probeAll {
		l.only = map[model.HostKey]bool{}
	}
	l.engine = probes.NewEngine(w.prober.Probe, limits, func(r model.ProbeResult) {
		h, _ := l.snapshot().Host(r.Target.Host) // It is probed, so there is a snapshot.
		l.traffic.probed(r, h.State)
	})
	l.done.Go(func() {
		w.kube.Watch(ctx, func(c model.Cluster) {
			w.remember(c)
			l.update(func() { l.cluster = &c })
		})
	})
	l.done.Go(func() {
		w.aws.Watch(ctx, awsEvery, func(a model.AWS) { l.update(func() { l.account = &a }) })
	})
	l.done.Go(func() { l.engine.Run(ctx) })
	return l
}

func (l *live) end() {
	l.stop()
	l.done.Wait()
}

func (l *live) update(change func()) {
	l.mu.Lock()
	change()
	if l.cluster != nil && l.account != nil {
		l.joined = model.Join(*l.cluster, *l.account, l.config)
		l.aws.SetScope(laneGroups(l.joined))
		l.aim()
	}
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
}

// aim points the probes at the hosts of the newest snapshot. It is called with
// the lock held.
func (l *live) aim() {
	if l.joined == nil {
		return
	}
	targets := model.ProbeTargets(l.joined, l.staged)
	if l.only != nil { // A command needs what its gates judge.
		targets = nodePortTargets(targets, l.only)
	}
	l.engine.SetTargets(targets)
}

func laneGroups(s *model.Snapshot) []string {
	var out []string
	for _, lane := range s.Lanes {
		out = append(append(out, lane.Old.TargetGroups...), lane.New.TargetGroups...)
	}
	return out
}

// stage probes these hosts at the fast rate, and no others so.
func (l *live) stage(hosts []model.HostKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.staged = model.KeySet(hosts)
	if l.only != nil {
		maps.Copy(l.only, l.staged)
	}
	l.aim()
}

// snapshot returns the newest snapshot, nil before the first.
func (l *live) snapshot() *model.Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.joined
}

// next returns the newest snapshot and a channel that is closed at the next change.
func (l *live) next() (*model.Snapshot, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.joined, l.changed
}

// await returns the newest snapshot once ok says so.
func (l *live) await(ctx context.Context, ok func(*model.Snapshot) bool) (*model.Snapshot, error) {
	for {
		s, changed := l.next()
		if s != nil && ok(s) {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-changed:
		}
	}
}

// first returns the first snapshot.
func (l *live) first(ctx context.Context) (*model.Snapshot, error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := l.await(limited, func(*model.Snapshot) bool { return true })
	if err != nil && ctx.Err() == nil {
		err = &model.Error{Kind: model.KindUnreachable, Operation: "observe the world", Message: "no answer within a minute", Err: err}
	}
	return s, err
}

// judge gives a plan its gates by the newest snapshot and probes.
func (l *live) judge(p model.Plan, overrides []model.Override) (model.Plan, error) {
	s := l.snapshot()
	moved := map[model.HostKey]bool{}
	for _, c := range p.Changes {
		for _, k := range c.Hosts {
			moved[k] = true
		}
	}
	// Of a host that is on the wanted side already and that the plan leaves alone
	// no gate has anything to hold.
	gates := slices.DeleteFunc(model.Gates(s, p, l.engine.Evidence(), time.Now()), func(g model.HostGate) bool {
		h, _ := s.Host(g.Host)
		return h.State == model.State(p.Intent.To) && !moved[g.Host]
	})
	return p.Judged(gates, overrides)
}

// gather waits until every NodePort target of the staged hosts has been probed
// as often as gates ask, or until limit is over.
func (l *live) gather(ctx context.Context, hosts []model.HostKey, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	wanted := model.KeySet(hosts)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var s *model.Snapshot
	var needed []model.ProbeTarget
	for {
		if now := l.snapshot(); now != s {
			s, needed = now, nodePortTargets(model.ProbeTargets(now, nil), wanted)
		}
		if l.gathered(needed) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// gathered reports whether every target has been probed as often as gates ask.
func (l *live) gathered(targets []model.ProbeTarget) bool {
	evidence := l.engine.Evidence()
	return !slices.ContainsFunc(targets, func(t model.ProbeTarget) bool { return len(evidence[t]) < model.K })
}

// nodePortTargets returns those targets of hosts that gates judge; proof asks the
// load balancer itself.
func nodePortTargets(targets []model.ProbeTarget, hosts map[model.HostKey]bool) []model.ProbeTarget {
	return slices.DeleteFunc(targets, func(t model.ProbeTarget) bool {
		return !hosts[t.Host] || t.Path == model.PathLoadBalancer
	})
}
