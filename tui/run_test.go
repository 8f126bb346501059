package tui

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// noRun is for tests that start no run.
func noRun(context.Context, model.Plan, run.Options, func(run.Event)) run.Result {
	return run.Result{Outcome: run.OutcomeUnchanged}
}

// stepRun is a run that a test leads step by step.
type stepRun struct {
	plan  model.Plan
	steps chan func(emit func(run.Event))
	end   chan run.Result
}

func newStepRun() *stepRun {
	return &stepRun{steps: make(chan func(func(run.Event))), end: make(chan run.Result)}
}

func (s *stepRun) run(ctx context.Context, p model.Plan, _ run.Options, emit func(run.Event)) run.Result {
	s.plan = p
	for {
		select {
		case f := <-s.steps:
			f(emit)
		case r := <-s.end:
			return r
		case <-ctx.Done():
			time.Sleep(time.Second) // What is being written is finished first.
			return run.Result{Outcome: run.OutcomeUnchanged, Err: ctx.Err()}
		}
	}
}

func (s *stepRun) emit(d *driver, e run.Event) {
	if e.Hosts == nil && e.Key.Host == "" {
		e.Hosts = s.plan.Intent.Hosts
	}
	s.steps <- func(emit func(run.Event)) { emit(e) }
	d.settle()
}

func (s *stepRun) finish(d *driver, r run.Result) {
	s.end <- r
	d.settle()
}

// on returns the standard world with hosts on new, and the records that say
// who put them there.
func on(t *testing.T, names ...string) World {
	t.Helper()
	m := standardWorld()
	var records []model.Record
	before := mustWorld(t, m)
	for i, n := range names {
		p, err := model.NewPlan(before.Snapshot, model.Intent{Hosts: []model.HostKey{{Host: n + ".bigbang.example", Lane: "public"}}, To: model.New})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Changes {
			records = append(records, model.Record{Seq: uint64(i + 1), Run: "run-" + n, To: model.New, Change: c})
		}
		m.side[n] = model.New
	}
	w := mustWorld(t, m)
	w.Records = records
	return w
}

var argocd = model.HostKey{Host: "argocd.bigbang.example", Lane: "public"}

func TestLifeOfAKeypress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		var staged [][]model.HostKey
		d := live(t, 120, 40, Config{Run: s.run, Stage: func(h []model.HostKey) { staged = append(staged, h) }})
		d.press("t")
		d.sees("Move argocd.bigbang.example to new", "before", "after", "[ Cancel ]", "Other hosts touched", "none", "aws elbv2 modify-rule", "ready")
		if len(staged) != 1 || len(staged[0]) != 1 || staged[0][0] != argocd {
			t.Fatalf("staged: %v", staged)
		}
		d.golden("plan-120x40")
		d.press("y")
		d.lacks("[ Cancel ]")
		d.sees("starting", "run in flight")
		d.lacks("t toggle", "undo")
		d.press("t")
		d.lacks("[ Cancel ]")

		change := s.plan.Changes[0].Label
		s.emit(d, run.Event{Event: run.Waiting, Detail: "probe-new: 2 of 3 good"})
		d.sees("waiting: probe-new: 2 of 3 good")
		s.emit(d, run.Event{Event: run.Intended, Change: change})
		d.sees("writing…")
		s.emit(d, run.Event{Event: run.Verified, Change: change, Proof: model.ProofUnproven, Detail: "switched, unproven"})
		d.sees("switched, unproven")
		d.lacks("new, proven")
		s.emit(d, run.Event{Event: run.Proven, Key: argocd, Proof: model.ProofUnproven, Detail: "2 of 3 by access log"})
		d.sees("proving 2/3")
		d.golden("proving-120x40")
		s.emit(d, run.Event{Event: run.Proven, Key: argocd, Proof: model.ProofProven, Detail: "3 of 3 by access log"})
		d.sees("argocd → new proven", "new, proven")
		s.finish(d, run.Result{Outcome: run.OutcomeApplied})
		if last := staged[len(staged)-1]; len(last) != 0 {
			t.Errorf("still staged: %v", last)
		}

		// A world from before the write does not take the row back.
		d.deliver(mustWorld(t, standardWorld()))
		d.sees("new, proven")
		w := on(t, "argocd")
		w.States = model.HostStates{argocd: {Proof: model.ProofProven}}
		d.deliver(w)
		d.lacks("new, proven")
		d.sees("5 Hosts: 3 of 18 on new", "z undo", "t toggle")

		d.press("t")
		d.sees("Take argocd.bigbang.example back", "the way back is never blocked")
		d.golden("wayback-120x40")
		d.press("enter") // Cancel has the focus.
		d.lacks("Take argocd")
		d.press("z")
		d.sees("Take the last run back")
		d.press("y")
		d.sees("starting")
		if !s.plan.WayBack || s.plan.Intent.To != model.Old {
			t.Errorf("not a way back: %+v", s.plan)
		}
		s.finish(d, run.Result{Outcome: run.OutcomeApplied})
	})
}

func TestCancelIsPreselected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 120, 40, Config{Run: noRun})
		d.press("t enter")
		d.lacks("Move argocd", "run in flight", "starting")
		d.press("t tab")
		d.sees("[ y move to new ]")
		d.press("tab esc")
		d.lacks("Move argocd")
	})
}

func ended() *run.Result { return &run.Result{Outcome: run.OutcomeUnchanged} }
