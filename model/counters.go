package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// PodCounters are what one gateway pod has counted since it started.
type PodCounters struct {
	At time.Time // when it was asked
	// Uptime is how long its proxy had been running when it last said so, in whole
	// seconds; 0 where it does not say. Envoy sets the gauge when it flushes its
	// statistics, every five seconds unless it is configured otherwise
	// (stats_flush_interval).
	Uptime time.Duration
	// Requests and Connections count HTTP requests and TCP connections by what
	// they were routed to, as ServiceKey names it.
	Requests    map[string]float64
	Connections map[string]float64
}

// Counters are the counters of several gateway pods. A pod that could not be
// read is missing.
type Counters map[ObjectName]PodCounters

// Unit is what is counted.
type Unit string

// The units: HTTP requests, and connections where gateways pass TLS through and
// see no requests.
const (
	UnitRequests    Unit = "request"
	UnitConnections Unit = "connection"
)

func (c PodCounters) of(u Unit) map[string]float64 {
	if u == UnitConnections {
		return c.Connections
	}
	return c.Requests
}

// Unrouted is what Istio counts for that it answers itself without a route:
// redirects to https and 404.
const Unrouted = "unknown"

// ServiceKey names a destination in one way, however a VirtualService or a
// metric spells it: "name.namespace" for a Service, whose cluster domain may be
// any, else the host as it is. namespace is where a bare name belongs.
func ServiceKey(host, namespace string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") {
		if namespace == "" || host == "" || host == Unrouted && namespace == Unrouted {
			return host
		}
		return host + "." + namespace
	}
	if service, domain, ok := strings.Cut(host, ".svc"); ok && strings.Count(service, ".") == 1 && (domain == "" || domain[0] == '.') {
		return service
	}
	return host
}

// Total is what all pods have counted for services.
func (c Counters) Total(u Unit, services []string) float64 {
	n := 0.0
	for _, pod := range c {
		n += pod.risen(PodCounters{}, u, services)
	}
	return n
}

// uptimeLag is how far the uptime may be behind: the time between two flushes,
// and two seconds for rounding and for readings that take long.
const uptimeLag = 7 * time.Second

// reset reports that the pod's counters may have begun anew between two
// readings. A pod that had run for no longer than uptimeLag before may have done
// so unseen.
func (c PodCounters) reset(before PodCounters) bool {
	return c.fallen(before) || c.Uptime > 0 && c.Uptime+uptimeLag < before.Uptime+c.At.Sub(before.At)
}

// fallen reports that counters of the pod, or its uptime, are less than before,
// as they are only when it began anew.
func (c PodCounters) fallen(before PodCounters) bool {
	if c.Uptime < before.Uptime {
		return true
	}
	for _, u := range []Unit{UnitRequests, UnitConnections} {
		for service, n := range before.of(u) {
			if now, ok := c.of(u)[service]; !ok || now < n {
				return true
			}
		}
	}
	return false
}

// risen is by how much the counters of services have risen on one pod.
func (c PodCounters) risen(before PodCounters, u Unit, services []string) float64 {
	n := 0.0
	for _, s := range services {
		n += c.of(u)[s] - before.of(u)[s]
	}
	return n
}

// CounterVerdict is what counters say of where requests went.
type CounterVerdict string

// The verdicts.
const (
	// CountersShow that the requests went to the wanted side.
	CountersShow CounterVerdict = "shown"
	// CountersShort: too few are counted on the wanted side, which may be a
	// matter of time.
	CountersShort CounterVerdict = "short"
	// CountersTellNothing: what is counted may be these requests or others'.
	CountersTellNothing CounterVerdict = "ambiguous"
)

// CounterWindow is what the gateways of one side had counted before requests
// were sent and after they were answered.
type CounterWindow struct {
	Side          SideName
	Before, After Counters
}

// JudgeCounters says whether sent requests, each routed to one of services and
// answered between the two readings, went to the wanted side and none of them
// to the other. Others' requests are counted too, so that a rise alone says
// little; what says something is that the other side's counters stand still:
// each request is counted where it was answered, so none of these was answered
// there. It takes for that that every pod of the other side was read both
// times, none has come, gone or begun anew, and none of services has risen on
// any; a pod that lives for less than the time between two readings nobody
// would see. What is not shown so is never proof; the reason is in words.
func JudgeCounters(u Unit, services []string, sent int, wanted, other CounterWindow) (verdict CounterVerdict, why string) {
	for _, pod := range slices.SortedFunc(maps.Keys(other.After), ObjectName.Compare) {
		before, known := other.Before[pod]
		if !known {
			return CountersTellNothing, "the gateway pod " + pod.String() + " came meanwhile"
		}
		after := other.After[pod]
		if before.Uptime == 0 || after.reset(before) { // Without an uptime nobody could tell.
			return CountersTellNothing, "the counters of the gateway pod " + pod.String() + " began anew meanwhile"
		}
		if after.risen(before, u, services) > 0 {
			return CountersTellNothing, fmt.Sprintf("%s counts %ss too, these or others'", other.Side, u)
		}
		if before.Uptime <= uptimeLag {
			return CountersTellNothing, "the gateway pod " + pod.String() + " has just begun"
		}
	}
	for pod := range other.Before {
		if _, ok := other.After[pod]; !ok {
			return CountersTellNothing, "the gateway pod " + pod.String() + " went meanwhile"
		}
	}
	if len(other.After) == 0 || sent <= 0 || len(services) == 0 {
		return CountersTellNothing, "nothing was counted"
	}
	rise := 0.0
	for pod, after := range wanted.After {
		// What a pod counted that came or began anew cannot be told from before.
		if before, known := wanted.Before[pod]; known && !after.reset(before) {
			rise += after.risen(before, u, services)
		}
	}
	if rise < float64(sent) {
		return CountersShort, fmt.Sprintf("%d were answered, %s counts %.0f %ss", sent, wanted.Side, rise, u)
	}
	return CountersShow, ""
}
