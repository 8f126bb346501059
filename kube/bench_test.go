package kube

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/istio-cutover/cutover/kube/kubesim"
	"github.com/istio-cutover/cutover/model"
)

const large = 2000

// BenchmarkObserve reads a cluster of 2,000 VirtualServices once.
func BenchmarkObserve(b *testing.B) {
	_, s := simulated(b, kubesim.Config{}, nil)
	s.populate(b)
	many(b, s, large)
	c := clientFor(b, s.admin, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if seen := c.Observe(b.Context()); len(seen.VirtualServices) != large+1 || len(seen.Problems) > 0 {
			b.Fatalf("%d VirtualServices, %+v", len(seen.VirtualServices), seen.Problems)
		}
	}
}

// BenchmarkWatch begins to watch it: the time to the first whole picture, and
// what is in memory then beside the simulated server.
func BenchmarkWatch(b *testing.B) {
	_, s := simulated(b, kubesim.Config{}, nil)
	s.populate(b)
	many(b, s, large)
	c := clientFor(b, s.admin, Options{})
	before := heap()
	var after uint64
	for b.Loop() {
		w := watchWith(b, c)
		w.until("everything", func(c model.Cluster) bool { return len(c.VirtualServices) == large+1 })
		b.StopTimer()
		after = heap()
		w.end()
		b.StartTimer()
	}
	b.ReportMetric(float64(after-min(before, after))/(1<<20), "MiB")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkPicture makes one picture after a change.
func BenchmarkPicture(b *testing.B) {
	c := &Client{}
	p := newPicture(c, func() {})
	for i := range large {
		if err := p.virtual.Add(numbered(i)); err != nil {
			b.Fatal(err)
		}
	}
	changing := numbered(0)
	for b.Loop() {
		if err := p.virtual.Update(changing); err != nil {
			b.Fatal(err)
		}
		if seen := p.cluster(); len(seen.VirtualServices) != large {
			b.Fatal(len(seen.VirtualServices))
		}
	}
}

func TestWatchLeavesNothingBehind(t *testing.T) {
	sim, s := simulated(t, kubesim.Config{}, nil)
	s.populate(t)
	c := impatient(clientFor(t, s.admin, Options{}))
	before := goleak.IgnoreCurrent()
	for _, lost := range []bool{false, true} {
		w := watchWith(t, c)
		w.until("everything", whole)
		if lost {
			sim.close()
			w.until("the loss", func(c model.Cluster) bool { return len(c.Problems) == len(observed()) })
		}
		w.end()
	}
	c.http.CloseIdleConnections()
	goleak.VerifyNone(t, before)
	sim.open()
}
