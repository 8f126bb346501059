package model

import (
	"slices"
	"time"
)

// Traffic is what the gateways of one side of a lane have served lately.
type Traffic struct {
	Requests    float64 // HTTP requests per second
	Connections float64 // TCP connections per second, where TLS is passed through
	// Window is the time over which it was counted, and At the end of that; zero
	// while nothing is known.
	Window time.Duration
	At     time.Time
	// Unknown says why nothing newer is known; "" when it is.
	Unknown string
}

// Known reports whether there are rates at all.
func (t Traffic) Known() bool { return t.Window > 0 }

// LaneTraffic is the traffic of a lane's sides.
type LaneTraffic struct {
	// Unit is what the lane's hosts are asked in: connections where its Gateways
	// pass TLS through.
	Unit     Unit
	Old, New Traffic
}

// LaneUnit returns what the traffic of a lane is counted in.
func (s *Snapshot) LaneUnit(l Lane) Unit {
	for _, side := range []Side{l.Old, l.New} {
		if side.Gateway == nil {
			continue
		}
		if g, _ := s.Gateway(*side.Gateway); slices.ContainsFunc(g.Servers, Server.Passthrough) {
			return UnitConnections
		}
	}
	return UnitRequests
}

// Of returns the traffic of old or new.
func (t LaneTraffic) Of(s SideName) Traffic {
	if s == New {
		return t.New
	}
	return t.Old
}

// Rate returns the traffic of the pods between two readings, less what ours of
// it were probes; ok is false unless each of pods was read both times or began
// in between. A pod whose counters began anew counts with what it has since.
func Rate(pods []ObjectName, before, after Counters, ours map[Unit]float64) (t Traffic, ok bool) {
	var from time.Time
	for _, pod := range pods {
		if was, known := before[pod]; known && (from.IsZero() || was.At.Before(from)) {
			from = was.At
		}
	}
	totals := map[Unit]float64{}
	for _, pod := range pods {
		now, read := after[pod]
		was, known := before[pod]
		if !read || !known && now.Uptime > now.At.Sub(from) {
			return Traffic{}, false
		}
		if now.At.After(t.At) {
			t.At = now.At
		}
		// A gauge that is set seldom is no restart here: what it then took for the
		// rise would be all that was ever counted.
		since := known && !now.fallen(was)
		for _, u := range []Unit{UnitRequests, UnitConnections} {
			for service, n := range now.of(u) {
				if since {
					n -= was.of(u)[service]
				}
				totals[u] += n
			}
		}
	}
	if t.Window = t.At.Sub(from); from.IsZero() || t.Window <= 0 {
		return Traffic{}, false
	}
	perSecond := func(u Unit) float64 { return max(0, totals[u]-ours[u]) / t.Window.Seconds() }
	t.Requests, t.Connections = perSecond(UnitRequests), perSecond(UnitConnections)
	return t, true
}
