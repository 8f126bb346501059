package model

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestServiceKey(t *testing.T) {
	for _, c := range [][3]string{
		{"argocd", "argocd", "argocd.argocd"},
		{"ArgoCD.argocd.svc.cluster.local", "", "argocd.argocd"},
		{"argocd.argocd.svc.corp.example", "elsewhere", "argocd.argocd"},
		{"argocd.argocd.svc", "x", "argocd.argocd"},
		{"argocd.argocd.svc.cluster.local.", "x", "argocd.argocd"},
		{"db.outside.example", "x", "db.outside.example"},
		{"web-0.web.x.svc.cluster.local", "x", "web-0.web.x.svc.cluster.local"},
		{"shop.svcs.example", "x", "shop.svcs.example"},
		{"unknown", "unknown", Unrouted},
		{"unknown", "apps", "unknown.apps"},
		{"bare", "", "bare"},
		{"", "x", ""},
	} {
		if got := ServiceKey(c[0], c[1]); got != c[2] {
			t.Errorf("%q in %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func pod(name string) ObjectName { return ObjectName{"gw", name} }

// reading is one pod's counters of requests to one service each, a while after
// the clock's beginning.
func reading(at, uptime int, counts ...float64) PodCounters {
	c := PodCounters{At: time.Unix(int64(at), 0), Uptime: time.Duration(uptime) * time.Second, Requests: map[string]float64{}, Connections: map[string]float64{}}
	for i, n := range counts {
		c.Requests[fmt.Sprintf("s%d", i)] = n
		c.Connections[fmt.Sprintf("s%d", i)] = n / 10
	}
	return c
}

func TestJudgeCounters(t *testing.T) {
	window := func(side SideName, before, after Counters) CounterWindow { return CounterWindow{side, before, after} }
	still := window(Old, Counters{pod("o"): reading(0, 99, 50, 7)}, Counters{pod("o"): reading(2, 101, 50, 9)}) // Others' service rises.
	risen := window(New, Counters{pod("n"): reading(0, 99, 5)}, Counters{pod("n"): reading(2, 101, 8)})
	for name, c := range map[string]struct {
		wanted, other CounterWindow
		sent          int
		services      []string
		verdict       CounterVerdict
		why           string
	}{
		"on new":              {risen, still, 3, nil, CountersShow, ""},
		"busy new":            {window(New, risen.Before, Counters{pod("n"): reading(2, 101, 900)}), still, 3, nil, CountersShow, ""},
		"not yet counted":     {risen, still, 4, nil, CountersShort, "4 were answered, new counts 3 requests"},
		"nowhere":             {window(New, risen.Before, risen.Before), still, 3, nil, CountersShort, "new counts 0 requests"},
		"over two pods":       {window(New, Counters{pod("n"): reading(0, 9, 1), pod("m"): reading(0, 9, 0)}, Counters{pod("n"): reading(1, 10, 2), pod("m"): reading(1, 10, 2)}), still, 3, nil, CountersShow, ""},
		"one on old":          {risen, window(Old, still.Before, Counters{pod("o"): reading(2, 101, 51, 7)}), 3, nil, CountersTellNothing, "old counts requests too"},
		"of another service":  {risen, still, 3, []string{"s1"}, CountersTellNothing, "old counts requests too"},
		"first ever on old":   {risen, window(Old, Counters{pod("o"): reading(0, 99)}, Counters{pod("o"): reading(2, 101, 1)}), 3, nil, CountersTellNothing, "old counts"},
		"old restarted":       {risen, window(Old, still.Before, Counters{pod("o"): reading(2, 1, 50, 9)}), 3, nil, CountersTellNothing, "began anew"},
		"old began from 0":    {risen, window(Old, still.Before, Counters{pod("o"): reading(2, 101)}), 3, nil, CountersTellNothing, "began anew"},
		"old without uptime":  {risen, window(Old, Counters{pod("o"): reading(0, 0)}, Counters{pod("o"): reading(2, 0)}), 3, nil, CountersTellNothing, "began anew"},
		"old's gauge is old":  {risen, window(Old, still.Before, Counters{pod("o"): reading(6, 99, 50, 9)}), 3, nil, CountersShow, ""},
		"old's gauge halts":   {risen, window(Old, still.Before, Counters{pod("o"): reading(20, 99, 50, 9)}), 3, nil, CountersTellNothing, "began anew"},
		"old has just begun":  {risen, window(Old, Counters{pod("o"): reading(0, 5)}, Counters{pod("o"): reading(2, 5)}), 3, nil, CountersTellNothing, "has just begun"},
		"pod of old came":     {risen, window(Old, Counters{}, still.After), 3, nil, CountersTellNothing, "gw/o came"},
		"pod of old went":     {risen, window(Old, still.Before, Counters{}), 3, nil, CountersTellNothing, "gw/o went"},
		"nothing of old":      {risen, window(Old, Counters{}, Counters{}), 3, nil, CountersTellNothing, "nothing was counted"},
		"nothing sent":        {risen, still, 0, nil, CountersTellNothing, "nothing was counted"},
		"no service":          {risen, still, 3, []string{}, CountersTellNothing, "nothing was counted"},
		"pod of new came":     {window(New, Counters{}, risen.After), still, 3, nil, CountersShort, "counts 0"},
		"pod of new restarts": {window(New, risen.Before, Counters{pod("n"): reading(2, 0, 8)}), still, 3, nil, CountersShort, "counts 0"},
		"back":                {CounterWindow{Old, risen.Before, risen.After}, CounterWindow{New, still.Before, still.After}, 3, nil, CountersShow, ""},
	} {
		services := c.services
		if services == nil {
			services = []string{"s0"}
		}
		got, why := JudgeCounters(UnitRequests, services, c.sent, c.wanted, c.other)
		if got != c.verdict || !strings.Contains(why, c.why) || (why == "") != (got == CountersShow) {
			t.Errorf("%s: %s, %q, want %s, %q", name, got, why, c.verdict, c.why)
		}
	}
	// Requests say nothing of connections: 0.3 of one are counted there.
	if got, _ := JudgeCounters(UnitConnections, []string{"s0"}, 3, risen, still); got != CountersShort {
		t.Errorf("connections: %s", got)
	}
}

// gatewayWorld is what really happens while counters are read: each request is
// answered by one pod of either side, or by somebody else.
type gatewayWorld struct {
	clock time.Time
	pods  map[ObjectName]*gatewayPod
}

type gatewayPod struct {
	side    SideName
	started time.Time
	counts  map[string]float64
}

func (w *gatewayWorld) read(side SideName) Counters {
	out := Counters{}
	for name, p := range w.pods {
		if p.side == side {
			// Envoy sets the gauge every five seconds.
			c := PodCounters{At: w.clock, Uptime: w.clock.Sub(p.started).Truncate(5 * time.Second), Requests: map[string]float64{}}
			for k, v := range p.counts {
				c.Requests[k] = v
			}
			out[name] = c
		}
	}
	return out
}

// TestCountersAreNoProofOfWhatIsNotSo: whatever others send, pods come, go and
// restart, and wherever our requests go, they are never said to be on a side
// while one of them was answered on the other.
func TestCountersAreNoProofOfWhatIsNotSo(t *testing.T) {
	shown := 0
	rapid.Check(t, func(t *rapid.T) {
		w := &gatewayWorld{clock: time.Unix(1e6, 0), pods: map[ObjectName]*gatewayPod{}}
		names := map[SideName][]ObjectName{}
		add := func(side SideName, started time.Time) {
			n := pod(fmt.Sprintf("%s-%d", side, len(names[side])))
			names[side] = append(names[side], n)
			w.pods[n] = &gatewayPod{side, started, map[string]float64{}}
		}
		for _, side := range []SideName{Old, New} {
			for range rapid.IntRange(1, 3).Draw(t, "pods") {
				add(side, w.clock.Add(-time.Duration(rapid.IntRange(5, 5000).Draw(t, "age"))*time.Second))
			}
			for _, n := range names[side] {
				w.pods[n].counts["ours"] = float64(rapid.IntRange(0, 2).Draw(t, "had"))
			}
		}
		serve := func(side SideName, service string) (answered bool) {
			var alive []ObjectName
			for _, n := range names[side] {
				if w.pods[n] != nil {
					alive = append(alive, n)
				}
			}
			if len(alive) == 0 {
				return false
			}
			w.pods[rapid.SampledFrom(alive).Draw(t, "pod")].counts[service]++
			return true
		}
		to := rapid.SampledFrom([]SideName{Old, New}).Draw(t, "to")
		wanted, other := CounterWindow{Side: to, Before: w.read(to)}, CounterWindow{Side: to.Opposite(), Before: w.read(to.Opposite())}
		began, sent, wrong := w.clock, 0, 0
		// Mostly quiet, as wild worlds show nothing: three requests of ours, others'
		// on the wanted side, and a few things that should not be.
		var events []func()
		maybe := func(most int, what string, do func()) {
			for range rapid.IntRange(0, most).Draw(t, what) {
				events = append(events, do)
			}
		}
		gateway := func(side SideName) ObjectName { return rapid.SampledFrom(names[side]).Draw(t, "which") }
		ours := func(side SideName) func() {
			return func() {
				if serve(side, "ours") {
					sent++
					wrong += map[bool]int{true: 1}[side != to]
				}
			}
		}
		maybe(3, "right", ours(to))
		maybe(1, "wrong", ours(to.Opposite()))
		maybe(5, "others", func() { serve(to, "ours") })
		maybe(2, "other services", func() { serve(to.Opposite(), "theirs") })
		for range rapid.IntRange(0, 2).Draw(t, "disturbances") {
			side := rapid.SampledFrom([]SideName{to, to.Opposite(), to.Opposite()}).Draw(t, "side")
			events = append(events, rapid.SampledFrom([]func(){
				func() {
					if p := w.pods[gateway(side)]; p != nil {
						p.started, p.counts = w.clock, map[string]float64{}
					}
				},
				func() { add(side, w.clock) },
				func() { // A pod lives longer than the time between two readings.
					if n := gateway(side); w.pods[n] != nil && w.pods[n].started.Before(began) {
						delete(w.pods, n)
					}
				},
				func() { serve(to.Opposite(), "ours") }, // Somebody else's.
				func() { sent++ },                       // Answered by what is no gateway.
			}).Draw(t, "disturbance"))
		}
		for _, do := range rapid.Permutation(events).Draw(t, "events") {
			w.clock = w.clock.Add(time.Duration(rapid.IntRange(10, 900).Draw(t, "ms")) * time.Millisecond)
			do()
		}
		wanted.After, other.After = w.read(to), w.read(to.Opposite())
		verdict, why := JudgeCounters(UnitRequests, []string{"ours"}, sent, wanted, other)
		if verdict == CountersShow && wrong > 0 {
			t.Fatalf("%d of %d were answered on %s, but all are said to be on %s", wrong, sent, other.Side, to)
		}
		if (verdict == CountersShow) != (why == "") {
			t.Fatalf("%s: %q", verdict, why)
		}
		if verdict == CountersShow {
			shown++
		}
	})
	if shown == 0 {
		t.Error("nothing was ever shown: the worlds are too wild")
	}
}

func TestRate(t *testing.T) {
	pods := []ObjectName{pod("a"), pod("b")}
	before := Counters{pod("a"): reading(0, 100, 10, 5), pod("b"): reading(1, 100, 100)}
	after := Counters{pod("a"): reading(10, 110, 40, 5, 20), pod("b"): reading(10, 109, 100)}
	got, ok := Rate(pods, before, after, nil)
	if want := (Traffic{Requests: 5, Connections: 0.5, Window: 10 * time.Second, At: time.Unix(10, 0)}); !ok || got != want {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
	if got, _ := Rate(pods, before, after, map[Unit]float64{UnitRequests: 20, UnitConnections: 50}); got.Requests != 3 || got.Connections != 0 {
		t.Errorf("less our probes: %+v", got)
	}
	// Envoy's gauge of its uptime may be seconds old, and is no restart then.
	stale := Counters{pod("a"): reading(10, 100, 40, 5, 20), pod("b"): reading(10, 100, 100)}
	if again, ok := Rate(pods, before, stale, nil); !ok || again.Requests != got.Requests {
		t.Errorf("with an old gauge: %+v, %v", again, ok)
	}
	// A pod that began anew counts with what it has since; one that came, too.
	after[pod("b")] = reading(10, 3, 20)
	if got, _ := Rate(pods, before, after, nil); got.Requests != 7 {
		t.Errorf("after a restart: %+v", got)
	}
	after[pod("c")] = reading(10, 4, 10)
	if got, ok := Rate(append(pods, pod("c")), before, after, nil); !ok || got.Requests != 8 {
		t.Errorf("with a pod that came: %+v", got)
	}
	for name, wrong := range map[string]func() ([]ObjectName, Counters, Counters){
		"a pod was not read": func() ([]ObjectName, Counters, Counters) { return append(pods, pod("d")), before, after },
		"a pod was not read the first time": func() ([]ObjectName, Counters, Counters) {
			return pods, Counters{pod("a"): before[pod("a")]}, Counters{pod("a"): after[pod("a")], pod("b"): reading(10, 500, 7)}
		},
		"no time has passed":      func() ([]ObjectName, Counters, Counters) { return pods, before, before },
		"no pods":                 func() ([]ObjectName, Counters, Counters) { return nil, before, after },
		"nothing was read before": func() ([]ObjectName, Counters, Counters) { return pods, Counters{}, after },
	} {
		p, b, a := wrong()
		if name == "no time has passed" {
			a = Counters{pod("a"): before[pod("a")], pod("b"): reading(0, 100, 1)}
		}
		if got, ok := Rate(p, b, a, nil); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
