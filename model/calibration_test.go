package model

import (
	"testing"
	"time"
)

func TestJudgeCalibration(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a, b := ObjectName{Name: "a"}, ObjectName{Name: "b"}
	reading := func(after time.Duration, requests ...float64) Counters {
		out := Counters{}
		for i, n := range requests {
			out[[]ObjectName{a, b}[i]] = PodCounters{
				At: began.Add(after), Uptime: time.Hour + after, Requests: map[string]float64{"app.app": n, "other.other": 7 * after.Seconds()},
			}
		}
		return out
	}
	anew := reading(time.Second, 10, 23)
	anew[a] = PodCounters{At: began.Add(time.Second), Uptime: time.Second, Requests: map[string]float64{"app.app": 13}}
	renamed := Counters{a: reading(time.Second, 13)[a], {Name: "c"}: reading(time.Second, 20)[a]}
	for name, test := range map[string]struct {
		after   Counters
		verdict CounterVerdict
		alone   bool
	}{
		"nothing yet":    {reading(time.Second, 10, 20), CountersShort, false},
		"some of it":     {reading(time.Second, 11, 21), CountersShort, false},
		"all of it":      {reading(time.Second, 11, 22), CountersShow, true},
		"others too":     {reading(time.Second, 14, 20), CountersShow, false},
		"a pod went":     {reading(time.Second, 13), CountersTellNothing, false},
		"a pod came":     {renamed, CountersTellNothing, false},
		"one began anew": {anew, CountersTellNothing, false},
		"fell":           {reading(time.Second, 9, 24), CountersTellNothing, false},
	} {
		verdict, alone := JudgeCalibration(UnitRequests, []string{"app.app"}, 3, CounterWindow{Side: Old, Before: reading(0, 10, 20), After: test.after})
		if verdict != test.verdict || alone != test.alone {
			t.Errorf("%s: %s, alone %v", name, verdict, alone)
		}
	}
}
