package tui

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// TestWhatKeepsFromProofIsSaid while the run waits, once, and where it ends so.
func TestWhatKeepsFromProofIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 200, 60, Config{Run: s.run})
		d.press("t")
		d.press("y")
		change := s.plan.Changes[0].Label
		s.emit(d, run.Event{Event: run.Verified, Change: change, Proof: model.ProofUnproven, Detail: "switched, unproven"})
		unproven := func(row int, why string) {
			s.emit(d, run.Event{Event: run.Waiting, Key: argocd, Proof: model.ProofUnproven, By: "access log", Row: row, Why: why})
		}
		for range 2 {
			unproven(0, "still answered by old")
			d.sees("unproven: still answered by old", "switched, unproven")
		}
		unproven(2, "")
		d.sees("proving 2/3")
		unproven(0, "on new, but the gateway itself answers 503")
		d.sees("unproven: on new, but the gateway itself answers 503", "switched, unproven")
		d.lacks("proving")
		told := 0
		for _, a := range d.app.activities {
			if strings.Contains(a.text, "still answered by old") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times: %+v", told, d.app.activities)
		}
		s.finish(d, run.Result{Outcome: run.OutcomeApplied, Err: &model.Error{
			Kind: model.KindUnproven, Operation: "proof", Object: "1 of 1 hosts",
			Message: "switched, unproven: on new, but the gateway itself answers 503 (0 of 3 by access log)",
		}})
		d.sees("switched, not proven in time: on new, but the gateway itself answers 503")
	})
}
