package tui

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// verify lets a run of one change get as far as proof.
func (s *stepRun) verify(d *driver) {
	for _, c := range s.plan.Changes {
		s.emit(d, run.Event{Event: run.Intended, Change: c.Label, Hosts: c.Hosts})
		s.emit(d, run.Event{Event: run.Verified, Change: c.Label, Hosts: c.Hosts, Proof: model.ProofUnproven, Detail: "switched, unproven"})
	}
}

// TestProofDoesNotHoldTheWayBack takes back what a run has switched and waits
// for the proof of, with each of the keys that do.
func TestProofDoesNotHoldTheWayBack(t *testing.T) {
	for _, c := range []struct{ key, title, word string }{
		{"z", "Take the last run back", ""},
		{"t", "Take argocd.bigbang.example back", ""},
		{"Z", "Take everything back", "rollback"},
	} {
		t.Run(c.key, func(t *testing.T) {
			bothSizes(t, func(t *testing.T, w, h int, _ string) {
				s := newStepRun()
				d := live(t, w, h, Config{Run: s.run})
				d.press("t y")
				forward := s.plan
				s.verify(d)
				d.sees("switched, unproven", "z undo", "t toggle")
				d.press(c.key)
				d.sees(c.title, "1 change", "A run waits for proof")
				if c.word == "" {
					d.press("y")
				} else {
					d.typed(c.word)
					d.press("enter")
				}
				d.sees("stopping the run, the way back follows")
				d.press(c.key)
				d.lacks(c.title)
				d.wait(2 * time.Second) // The run under way ends first.
				if !s.plan.WayBack || s.plan.Changes[0].After.Actions != model.WritableActions(forward.Changes[0].Before.Actions) {
					t.Fatalf("the way back is not under way: %+v", s.plan)
				}
				s.verify(d)
				d.sees("back on old, unproven")
				s.finish(d, run.Result{Outcome: run.OutcomeRolledBack, WayBack: true})
				d.sees("taken back")
				d.press("7")
				d.sees("run is being stopped", "argocd → old: way back", "argocd restored, alb:443 10")
			})
		})
	}
}

func TestOtherHostsWaitForTheProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 120, 40, Config{Run: s.run})
		d.press("t y")
		s.verify(d)
		d.press("j t")
		d.lacks("Move gitlab")
		d.sees("wait for its end, or take it back with z")
		// What was moved earlier goes back all the same.
		w := on(t, "vault")
		d.deliver(w)
		d.press("G t")
		d.sees("Take vault.bigbang.example back")
		d.press("esc")
		s.finish(d, run.Result{Run: "r", Outcome: run.OutcomeApplied})
		d.press("z")
		d.sees("Take the last run back", "argocd.bigbang.example") // The journal has not told of it yet.
		d.press("esc")
		d.deliver(on(t, "argocd"))
		d.press("z")
		d.sees("argocd.bigbang.example", "1 change")
	})
}

func TestUndoStopsARunThatWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 120, 40, Config{Run: s.run})
		d.press("space space t")
		d.typed("shift")
		d.press("enter")
		first := s.plan.Changes[0]
		s.emit(d, run.Event{Event: run.Verified, Change: first.Label, Hosts: first.Hosts, Proof: model.ProofUnproven})
		d.press("?")
		d.sees("stop the run and take it back")
		d.press("esc z")
		d.sees("Stop the run?", "[ Go on ]")
		d.press("enter")
		d.lacks("Stop the run?")
		d.press("z y")
		d.wait(2 * time.Second)
		if !s.plan.WayBack || len(s.plan.Changes) != 1 || s.plan.Changes[0].Label != first.Label {
			t.Fatalf("what the run did is not taken back: %+v", s.plan)
		}
		d.press("z")
		d.lacks("Stop the run?")
		d.sees("the way back is under way")
		s.finish(d, run.Result{Outcome: run.OutcomeRolledBack, WayBack: true})
	})
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 120, 40, Config{Run: s.run})
		d.press("t y")
		s.emit(d, run.Event{Event: run.Waiting, Detail: "probe-new: 1 of 3"})
		d.press("z y")
		d.wait(2 * time.Second)
		d.sees("run stopped: nothing is left of it", "t toggle")
		if s.plan.WayBack {
			t.Error("a run that did nothing was taken back")
		}
	})
}

func TestWayBackNamesDrift(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		s := newStepRun()
		d := live(t, w, h, Config{Run: s.run})
		world := on(t, "argocd")
		m := standardWorld()
		m.actions["argocd"] = weighted(30)
		drifted := mustWorld(t, m)
		drifted.Records = world.Records
		d.deliver(drifted)
		d.press("z")
		d.sees("was changed by somebody else since", "left as it is")
		d.golden("drift-" + size)
		d.press("y")
		c := s.plan.Changes[0]
		drift := &model.Error{Kind: model.KindDrift, Operation: string(c.Op), Object: c.Object(), Message: "somebody else changed it: it does X", Remedy: "look at it"}
		s.emit(d, run.Event{Event: run.Failed, Change: c.Label, Hosts: c.Hosts, Detail: drift.Error()})
		d.sees("left: somebody else changed it")
		s.finish(d, run.Result{Outcome: run.OutcomeUnchanged, WayBack: true, Err: errors.Join(drift)})
		d.sees("left as somebody else changed it: alb:443 10")
		d.sees("split 30 left: somebody")
		d.lacks("recovery")
		d.press("7 enter")
		d.sees("rollback --force")
	})
}

func TestSideUnconfirmedIsNoFailureOfTime(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, _ string) {
		s := newStepRun()
		d := live(t, w, h, Config{Run: s.run})
		d.press("t y")
		s.verify(d)
		s.emit(d, run.Event{Event: run.Waiting, Key: argocd, Proof: model.ProofUnconfirmed, Detail: "no access log"})
		s.finish(d, run.Result{Outcome: run.OutcomeApplied, Err: &model.Error{
			Kind: model.KindUnproven, Operation: "proof", Object: "1 of 1 hosts", Message: "no access log (argocd.bigbang.example)",
		}})
		d.sees("switched, side unconfirmed: no access log")
		d.press("7")
		d.lacks("not proven", "in time")
	})
}

func TestKeysThatCannotChangeAnythingSayWhy(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, _ string) {
		d := live(t, w, h, Config{Run: noRun, ReadOnly: true})
		for _, k := range []string{"t", "z", "Z", "space"} {
			d.press(k)
			d.sees("read-only: nothing can be changed")
			d.wait(10 * time.Second)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 120, 40, Config{Run: noRun})
		d.press("z")
		d.sees("nothing to take back")
		d.press("1 t")
		d.sees("that works on hosts")
	})
}
