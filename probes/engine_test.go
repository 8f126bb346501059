package probes

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// counter is a probe that takes 5 ms and counts by target.
type counter struct {
	mu    sync.Mutex
	seen  map[model.ProbeTarget][]time.Time
	now   int
	most  int
	total int
}

func (c *counter) probe(_ context.Context, t model.ProbeTarget) model.ProbeResult {
	c.mu.Lock()
	if c.seen == nil {
		c.seen = map[model.ProbeTarget][]time.Time{}
	}
	c.seen[t] = append(c.seen[t], time.Now())
	c.total++
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	time.Sleep(5 * time.Millisecond)
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
	return model.ProbeResult{Target: t, Began: time.Now(), Status: 200, Backend: true, Phases: model.Phases{Total: 5}}
}

func (c *counter) atMost() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

func (c *counter) all() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

func (c *counter) count(t model.ProbeTarget) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen[t])
}

func targets(hosts, nodes int) []model.ProbeTarget {
	var out []model.ProbeTarget
	for h := range hosts {
		for n := range nodes {
			for _, p := range []model.Path{model.PathOld, model.PathNew} {
				out = append(out, model.ProbeTarget{
					Host: model.HostKey{Host: fmt.Sprintf("h%d.example", h), Lane: "public"}, Path: p, Node: fmt.Sprint("node-", n),
				})
			}
		}
	}
	return out
}

// in runs f beside an engine over c in a bubble of its own time.
func in(t *testing.T, c *counter, l Limits, f func(e *Engine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := NewEngine(c.probe, l, nil)
		done := make(chan struct{})
		go func() { e.Run(ctx); close(done) }()
		f(e)
		cancel()
		<-done
	})
}

func TestEveryTargetIsProbedAtItsRate(t *testing.T) {
	c := &counter{}
	in(t, c, Limits{}, func(e *Engine) {
		all := targets(4, 3)
		e.SetTargets(all)
		time.Sleep(60 * time.Second)
		for _, x := range all {
			if n := c.count(x); n < 5 || n > 8 {
				t.Errorf("%v: %d probes in 60 s, want about 6", x, n)
			}
		}
		view := e.View()
		s := view.Series[Key{all[0].Host, model.PathOld}]
		if s.Count != s.Good || s.Nodes != 3 || s.P50 != 5 || s.Count < 15 {
			t.Errorf("series %+v", s)
		}
		if n := len(view.Evidence[all[0]]); n != evidenceKept {
			t.Errorf("%d results kept as evidence", n)
		}
	})
}

func TestStagedHostsComeFirstUnderOverload(t *testing.T) {
	c := &counter{}
	in(t, c, Limits{}, func(e *Engine) {
		all := targets(300, 3) // 180 probes/s if nothing bounded them.
		e.SetTargets(all)
		time.Sleep(30 * time.Second)
		before := c.all()
		all[0].Staged, all[1].Staged = true, true
		e.SetTargets(all)
		time.Sleep(10 * time.Second)
		if n := c.all() - before; n > 210 {
			t.Errorf("%d probes in 10 s, 20/s allowed", n)
		}
		for _, x := range all[:2] {
			if n := c.count(plain(x)); n < 9 {
				t.Errorf("staged %v: %d probes in 10 s", x, n)
			}
		}
		if c.atMost() > 16 {
			t.Errorf("%d probes at once", c.atMost())
		}
	})
}

func TestPauseAndForget(t *testing.T) {
	c := &counter{}
	in(t, c, Limits{}, func(e *Engine) {
		e.SetTargets(targets(2, 1))
		time.Sleep(20 * time.Second)
		e.Pause(true)
		time.Sleep(time.Second)
		before := c.all()
		time.Sleep(time.Minute)
		if c.all() != before {
			t.Errorf("%d probes while paused", c.all()-before)
		}
		e.Pause(false)
		time.Sleep(20 * time.Second)
		if c.all() == before {
			t.Error("no probes after the pause")
		}
		e.SetTargets(nil)
		time.Sleep(time.Second)
		if v := e.View(); len(v.Evidence) != 0 || len(v.Series) != 0 {
			t.Errorf("remembered %d targets that are gone", len(v.Evidence))
		}
	})
}

// TestOldDownIsNoFaultOfOthers: through the load balancer clients are served by
// whatever side it is; new has nothing left to be compared with.
func TestOldDownIsNoFaultOfOthers(t *testing.T) {
	s := newStore()
	refused := &model.ProbeError{Kind: model.ProbeRefused, Message: "connect: connection refused"}
	for _, r := range []model.ProbeResult{
		{Target: model.ProbeTarget{Host: host, Path: model.PathOld}, Error: refused},
		{Target: model.ProbeTarget{Host: host, Path: model.PathNew}, Status: 200, Envoy: true, Backend: true},
		{Target: model.ProbeTarget{Host: host, Path: model.PathLoadBalancer}, Status: 200, Envoy: true, Backend: true},
	} {
		s.add(r, time.Second)
	}
	v := s.view().Series
	if lb := v[Key{host, model.PathLoadBalancer}]; lb.Good != 1 {
		t.Errorf("through the load balancer: %+v", lb.LastError)
	}
	if e := v[Key{host, model.PathNew}].LastError; e == nil || e.Message != "it answers 200, but the other side does not answer: connect: connection refused" {
		t.Errorf("new: %+v", e)
	}
}

func TestOneNodeIsNotFlooded(t *testing.T) {
	c := &counter{}
	in(t, c, Limits{PerSecond: 100, PerNode: 5, Idle: time.Second}, func(e *Engine) {
		e.SetTargets(targets(20, 1))
		time.Sleep(20 * time.Second)
		if c.all() > 5*20+10 || c.all() < 5*20-10 {
			t.Errorf("%d probes of one node in 20 s, 5/s allowed", c.all())
		}
	})
}

func TestPercentile(t *testing.T) {
	values := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for p, want := range map[int]float64{0: 1, 50: 5, 95: 10, 99: 10, 100: 10, 10: 1} {
		if got := Percentile(values, p); got != want {
			t.Errorf("p%d: %v, want %v", p, got, want)
		}
	}
	if Percentile(nil, 50) != 0 {
		t.Error("of nothing")
	}
}
