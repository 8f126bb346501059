package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/istio-cutover/cutover/model"
)

const (
	// trafficEvery is how often the gateways are asked what they have counted.
	trafficEvery = 5 * time.Second
	// trafficGlance is the time over which a command looks, and the console first.
	trafficGlance = time.Second
)

// place is a side of a lane.
type place struct {
	lane string
	side model.SideName
}

// trafficMeter knows what the gateways serve. It is safe for concurrent use.
type trafficMeter struct {
	mu sync.Mutex
	// ours are the probes that gateways have answered, which they count, too.
	ours  map[place]map[model.Unit]float64
	last  map[place]metered
	lanes map[string]model.LaneTraffic
	// trouble is what keeps a side from being known.
	trouble map[place]error
}

// metered is one reading of a side, and of our own share in it.
type metered struct {
	counters model.Counters
	ours     map[model.Unit]float64
}

// probed notes a request of our own: at a NodePort, whose side is known, or
// through a load balancer, which sends it to the side that the host is on, or
// that was seen to answer it.
func (t *trafficMeter) probed(r model.ProbeResult, state model.State) {
	at := place{r.Target.Host.Lane, model.SideName(r.Target.Path)}
	if r.Target.Path == model.PathLoadBalancer {
		at.side = model.SideName(state)
	}
	if r.Status == 0 {
		return
	}
	unit := model.UnitRequests
	if r.Target.Passthrough {
		unit = model.UnitConnections
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ours == nil {
		t.ours = map[place]map[model.Unit]float64{}
	}
	if t.ours[at] == nil {
		t.ours[at] = map[model.Unit]float64{}
	}
	t.ours[at][unit]++
}

// known returns the traffic of all lanes.
func (t *trafficMeter) known() map[string]model.LaneTraffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.lanes)
}

// measure reads the counters of the sides of every lane, all at once, and takes
// the rates since the last time. What cannot be read keeps the rates that it
// had, with the reason.
func (t *trafficMeter) measure(ctx context.Context, s *model.Snapshot, read func(context.Context, []model.ObjectName) (model.Counters, error)) {
	var reading sync.WaitGroup
	for _, lane := range s.Lanes {
		for _, side := range []model.Side{lane.Old, lane.New} {
			if len(side.Pods) == 0 {
				continue
			}
			reading.Go(func() {
				at := place{lane.Name, side.Name}
				t.mu.Lock()
				now := metered{ours: maps.Clone(t.ours[at])}
				t.mu.Unlock()
				var err error
				now.counters, err = read(ctx, side.Pods)
				if ctx.Err() == nil {
					t.take(at, s.LaneUnit(lane), side.Pods, now, err)
				}
			})
		}
	}
	reading.Wait()
}

// take notes one reading of a side, or why there is none.
func (t *trafficMeter) take(at place, unit model.Unit, pods []model.ObjectName, now metered, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lanes == nil {
		t.lanes, t.last, t.trouble = map[string]model.LaneTraffic{}, map[place]metered{}, map[place]error{}
	}
	lane := t.lanes[at.lane]
	lane.Unit = unit
	known := lane.Of(at.side)
	if err == nil {
		last, again := t.last[at]
		ours := maps.Clone(now.ours)
		for u, n := range last.ours {
			ours[u] -= n
		}
		rate, ok := model.Rate(pods, last.counters, now.counters, ours)
		switch {
		case ok:
			known = rate
		case again:
			err = &model.Error{Kind: model.KindNotReady, Message: "gateway pods came or went meanwhile"}
		}
		t.last[at] = now
	}
	t.trouble[at], known.Unknown = err, trafficTrouble(err)
	if at.side == model.New {
		lane.New = known
	} else {
		lane.Old = known
	}
	t.lanes[at.lane] = lane
}

// watchTraffic measures until ctx ends.
func (l *live) watchTraffic(ctx context.Context) {
	for wait := trafficGlance; ; wait = trafficEvery {
		s, err := l.await(ctx, func(s *model.Snapshot) bool { return len(s.Lanes) > 0 })
		if err != nil {
			return
		}
		l.traffic.measure(ctx, s, l.kube.Counters)
		if !sleep(ctx, wait) {
			return
		}
	}
}

// glance measures the traffic of a moment, for a report. The problems say why
// some of it is not known.
func (w *wired) glance(ctx context.Context, s *model.Snapshot) (map[string]model.LaneTraffic, []model.Problem) {
	var meter trafficMeter
	measured := make(chan struct{})
	go func() {
		defer close(measured)
		meter.measure(ctx, s, w.kube.Counters)
	}()
	select {
	case <-measured:
	case <-time.After(trafficGlance):
		w.globals.say("asking the gateways what they serve …")
		<-measured
	}
	if meter.any() && sleep(ctx, trafficGlance) {
		meter.measure(ctx, s, w.kube.Counters)
	}
	if ctx.Err() != nil {
		return meter.known(), nil
	}
	return meter.known(), meter.problems(s)
}

// problems say why traffic is not known, each cause once with the sides that it
// is not known of.
func (t *trafficMeter) problems(s *model.Snapshot) []model.Problem {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []model.Problem
	var sides [][]string
	for _, lane := range s.Lanes {
		for _, side := range []model.Side{lane.Old, lane.New} {
			if len(side.Pods) == 0 || t.lanes[lane.Name].Of(side.Name).Known() {
				continue
			}
			err := t.trouble[place{lane.Name, side.Name}]
			if err == nil {
				err = &model.Error{Kind: model.KindNotReady, Message: "it could be read only once"}
			}
			p := model.Problem{
				Source: "kubernetes", Operation: "get pods/proxy", Kind: model.KindOf(err), Message: trafficTrouble(err),
				Since: time.Now(), Resource: model.ResourceCounters,
			}
			if e, ok := errors.AsType[*model.Error](err); ok && e.Remedy != "" {
				p.Message += "; " + e.Remedy
			}
			i := slices.IndexFunc(out, func(q model.Problem) bool { return q.Kind == p.Kind && q.Message == p.Message })
			if i < 0 {
				i, out, sides = len(out), append(out, p), append(sides, nil)
			}
			sides[i] = append(sides[i], lane.Name+" "+string(side.Name))
		}
	}
	for i := range out {
		out[i].Message = model.Line(strings.Join(sides[i], ", ") + ": " + out[i].Message)
	}
	return out
}

// trafficTrouble says in a few words why counters are not known, "" for nil.
func trafficTrouble(err error) string {
	var e *model.Error
	switch {
	case err == nil:
		return ""
	case model.KindOf(err) == model.KindAccess:
		return "pods/proxy is not granted"
	case errors.As(err, &e):
		return e.Cause()
	default:
		return model.Line(err.Error())
	}
}

// any reports whether anything could be read.
func (t *trafficMeter) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.last) > 0
}
