package main

import (
	"context"
	"testing"
	"testing/synctest"

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
