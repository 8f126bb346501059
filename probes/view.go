package probes

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// Key says whose series it is: a host's on one path, over all nodes and modes.
type Key struct {
	Host model.HostKey
	Path model.Path
}

// Sample is one probe in a series.
type Sample struct {
	Began time.Time
	Total float64 // milliseconds
	Good  bool
}

// Series is what is remembered of one Key.
type Series struct {
	Recent []Sample // newest last, at most 60
	Count  int      // since the engine began
	Good   int
	// Percentiles in milliseconds over the latest 600 answers; 0 without one.
	P50, P95, P99, Max float64
	Every              time.Duration // the rate at which its targets are probed now
	Nodes              int           // different nodes probed
	SNI, NoSNI         bool          // modes probed
	Last               model.ProbeResult
	// LastError is why the newest probe that was not good was not; nil when
	// all that are remembered were.
	LastError *model.ProbeError
}

// View is what an Engine knows at one moment.
type View struct {
	Evidence model.Evidence // the newest results of every target
	Series   map[Key]Series
}

const (
	recentKept   = 60
	timesKept    = 600
	evidenceKept = model.K + 2
)

// store keeps results. The engine's workers add, readers take a View.
type store struct {
	mu       sync.Mutex
	evidence model.Evidence
	// old are the targets of the old side that have evidence: what others are
	// compared with.
	old    map[comparison][]model.ProbeTarget
	series map[Key]*series
}

// comparison is what probes have in common that are compared.
type comparison struct {
	host   model.HostKey
	scheme string
}

type series struct {
	Series
	times []float64 // a ring of the latest answers' totals
	next  int
	nodes map[string]bool
}

func newStore() *store {
	return &store{evidence: model.Evidence{}, old: map[comparison][]model.ProbeTarget{}, series: map[Key]*series{}}
}

// keep forgets the targets that are not wanted any more.
func (s *store) keep(wanted map[model.ProbeTarget]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := map[Key]bool{}
	for t := range wanted {
		keys[Key{t.Host, t.Path}] = true
	}
	maps.DeleteFunc(s.evidence, func(t model.ProbeTarget, _ []model.ProbeResult) bool { return !wanted[t] })
	for c, targets := range s.old {
		targets = slices.DeleteFunc(targets, func(t model.ProbeTarget) bool { return !wanted[t] })
		if s.old[c] = targets; len(targets) == 0 {
			delete(s.old, c)
		}
	}
	maps.DeleteFunc(s.series, func(k Key, _ *series) bool { return !keys[k] })
}

func (s *store) add(r model.ProbeResult, every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, seen := s.evidence[r.Target]
	results := append(slices.Clone(before), r) // Views share the old slice.
	s.evidence[r.Target] = results[max(0, len(results)-evidenceKept):]
	if !seen && r.Target.Path == model.PathOld {
		c := comparison{r.Target.Host, r.Target.Scheme}
		s.old[c] = append(s.old[c], r.Target)
	}

	old, known := s.reference(r.Target)
	if !known || r.Target.Path == model.PathLoadBalancer && !old.OK() {
		// Until old has been asked there is nothing to differ from; clients are
		// served well also when it is down.
		old = r
	}
	good, why := model.GoodProbe(r, old)
	key := Key{r.Target.Host, r.Target.Path}
	v := s.series[key]
	if v == nil {
		v = &series{nodes: map[string]bool{}}
		s.series[key] = v
	}
	v.Count++
	if good {
		v.Good++
	} else {
		v.LastError = why
	}
	v.Last, v.Every = r, every
	v.SNI, v.NoSNI = v.SNI || r.Target.SNI, v.NoSNI || !r.Target.SNI
	if r.Target.Node != "" {
		v.nodes[r.Target.Node] = true
	}
	v.Nodes = len(v.nodes)
	v.Recent = append(slices.Clone(v.Recent), Sample{r.Began, r.Phases.Total, good})
	v.Recent = v.Recent[max(0, len(v.Recent)-recentKept):]
	if good && !slices.ContainsFunc(v.Recent, func(x Sample) bool { return !x.Good }) {
		v.LastError = nil
	}
	if r.OK() {
		v.remember(r.Phases.Total)
	}
}

// remember adds to the ring of times.
func (v *series) remember(total float64) {
	if len(v.times) < timesKept {
		v.times = append(v.times, total)
		return
	}
	v.times[v.next] = total
	v.next = (v.next + 1) % timesKept
}

// reference is what the old side answers now to the same scheme, on the same
// node in the same mode, else anywhere: what a probe is compared with.
func (s *store) reference(t model.ProbeTarget) (found model.ProbeResult, known bool) {
	for _, other := range s.old[comparison{t.Host, t.Scheme}] {
		results := s.evidence[other]
		newest := results[len(results)-1]
		if other.Node == t.Node && other.SNI == t.SNI {
			return newest, true
		}
		if !known || newest.Began.After(found.Began) {
			found, known = newest, true
		}
	}
	return found, known
}

func (s *store) newest() model.Evidence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.evidence)
}

func (s *store) view() View {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := View{Evidence: maps.Clone(s.evidence), Series: make(map[Key]Series, len(s.series))}
	for k, v := range s.series {
		sorted := slices.Sorted(slices.Values(v.times))
		view := v.Series
		view.P50, view.P95, view.P99 = Percentile(sorted, 50), Percentile(sorted, 95), Percentile(sorted, 99)
		view.Max = Percentile(sorted, 100)
		out.Series[k] = view
	}
	return out
}

// Percentile returns the p-th percentile (0–100) of sorted by nearest rank, 0
// when it is empty.
func Percentile(sorted []float64, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (p*len(sorted) + 99) / 100
	return sorted[min(max(rank, 1), len(sorted))-1]
}
