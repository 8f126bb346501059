package main

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// TestRequestsForProofAreOurs: what was asked for proof is no client's traffic on
// the side that it was seen on.
func TestRequestsForProofAreOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := unwatched()
		seen := []model.SideName{"old", "new", "", "new"}
		method := &proofMethod{name: "access log", round: func(_ context.Context, target model.ProbeTarget, n int) ([]asked, error) {
			a := answered("new")
			if len(seen) > 0 {
				a, seen = answered(seen[0]), seen[1:]
			}
			a.result.Target = target
			return []asked{a}, nil
		}}
		host := model.HostKey{Lane: "public", Host: "app.example"}
		through := entrance{target: model.ProbeTarget{Host: host, Path: model.PathLoadBalancer}}
		l.proveEntrance(t.Context(), through, model.New, method, func(run.Proving) {})
		for side, want := range map[model.SideName]float64{model.Old: 1, model.New: 4} {
			if got := l.traffic.ours[place{"public", side}][model.UnitRequests]; got != want {
				t.Errorf("%s: %g of ours, want %g", side, got, want)
			}
		}
	})
}

// TestSidesAreReadAtOnce: gateways that do not answer are waited for together, and
// each side whose traffic is not known has its reason, said once.
func TestSidesAreReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		side := func(name model.SideName, pod string) model.Side {
			return model.Side{Name: name, Pods: []model.ObjectName{{Name: pod}}}
		}
		s := &model.Snapshot{Lanes: []model.Lane{
			{Name: "public", Old: side("old", "silent-1"), New: side("new", "fine")},
			{Name: "passthrough", Old: side("old", "silent-2"), New: side("new", "changing")},
		}}
		first := time.Now()
		read := func(ctx context.Context, pods []model.ObjectName) (model.Counters, error) {
			uptime := time.Hour + time.Since(first)
			switch name := pods[0].Name; name {
			case "fine":
			case "changing": // Its reading is of a pod that was not there before.
				if time.Since(first) > 0 {
					return model.Counters{{Name: "another"}: {At: time.Now(), Uptime: uptime}}, nil
				}
			default:
				time.Sleep(10 * time.Second)
				return nil, &model.Error{
					Kind: model.KindUnreachable, Operation: "get pods/proxy", Message: "no answer in time", Remedy: "let it be reached",
				}
			}
			return model.Counters{pods[0]: {At: time.Now(), Uptime: uptime}}, nil
		}
		var meter trafficMeter
		for range 2 {
			meter.measure(t.Context(), s, read)
		}
		if took := time.Since(first); took != 20*time.Second {
			t.Errorf("two readings took %s", took)
		}
		if got := meter.known()["public"]; !got.New.Known() || got.New.Unknown != "" || got.Old.Known() || got.Old.Unknown != "no answer in time" {
			t.Errorf("public: %+v", got)
		}
		var said []string
		for _, p := range meter.problems(s) {
			said = append(said, string(p.Kind)+" "+p.Message)
		}
		want := []string{
			"unreachable public old, passthrough old: no answer in time; let it be reached",
			"not-ready passthrough new: gateway pods came or went meanwhile",
		}
		if !slices.Equal(said, want) {
			t.Errorf("%q, want %q", said, want)
		}
	})
}
