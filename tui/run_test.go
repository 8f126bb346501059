package tui

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

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
			m.actions[n] = c.After.Actions
		}
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
		d.sees("z stop")
		d.press("t")
		d.lacks("[ Cancel ]")
		d.sees("a run is in flight: z stops it and takes it back")

		change := s.plan.Changes[0].Label
		s.emit(d, run.Event{Event: run.Waiting, Detail: "probe-new: 2 of 3 good"})
		d.sees("waiting: probe-new: 2 of 3 good")
		s.emit(d, run.Event{Event: run.Intended, Change: change})
		d.sees("writing…")
		s.emit(d, run.Event{Event: run.Verified, Change: change, Proof: model.ProofUnproven, Detail: "switched, unproven"})
		d.sees("switched, unproven")
		d.lacks("new, proven")
		s.emit(d, run.Event{Event: run.Proven, Key: argocd, Proof: model.ProofUnproven, By: "access log", Row: 2})
		d.sees("proving 2/3")
		d.golden("proving-120x40")
		s.emit(d, run.Event{Event: run.Proven, Key: argocd, Proof: model.ProofProven, By: "access log", Row: 3})
		d.sees("argocd → new proven by acc", "new, proven")
		s.finish(d, run.Result{Outcome: run.OutcomeApplied})
		d.sees("argocd → new proven by access log")
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

func TestSeveralHostsNeedTheWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 120, 40, Config{Run: s.run})
		d.press("space space t")
		d.sees("Move 2 hosts to new", "type shift to move to new", "2 hosts, 2 changes", "[ Cancel ]", "18 pass")
		d.golden("several-120x40")
		d.press("y")
		d.sees("that does not fit: type shift") // y is a letter here, and not of the word.
		d.press("enter")
		d.sees("Move 2 hosts to new", "type the whole word: shift")
		d.typed("shi")
		d.lacks("type the whole word")
		d.press("enter")
		d.sees("Move 2 hosts to new", "type the whole word: shift")
		d.typed("ft")
		d.sees("enter confirms")
		d.press("enter")
		d.sees("0 of 2 proven")
		if len(s.plan.Changes) != 2 {
			t.Errorf("%d changes", len(s.plan.Changes))
		}
		s.finish(d, run.Result{Outcome: run.OutcomeUnchanged, Err: &model.Error{Kind: model.KindBlocked, Operation: "shift", Message: "somebody came first"}})
		d.sees("somebody came first", "t toggle")
	})
}

func TestBlockedAmongSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 80, 24, Config{Run: noRun})
		d.press("/")
		d.typed("jira")
		d.press("enter space esc g space t")
		d.sees("blocked", "jira/jira lists only", "[ Close ]")
		d.typed("shift")
		d.press("enter")
		d.lacks("run in flight")
	})
}

func TestGoWithoutTheBlocked(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		s := newStepRun()
		d := live(t, w, h, Config{Run: s.run})
		d.press("space space j space t n") // grafana is on new already
		d.lacks("To which side?")
		d.sees("s go without jira.bigbang.example")
		d.golden("without-" + size)
		d.press("s")
		d.sees("Move 2 hosts to new", "Left where they are", "jira.bigbang.example", "type shift")
		d.typed("shift")
		d.press("enter")
		if len(s.plan.Changes) != 2 || len(s.plan.Intent.Hosts) != 2 {
			t.Errorf("plan: %+v", s.plan.Intent)
		}
		s.finish(d, run.Result{Outcome: run.OutcomeUnchanged})
	})
}

func TestWhatCannotBeReadIsNotJudged(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		s := newStepRun()
		d := live(t, w, h, Config{Run: s.run})
		d.press("t")
		d.sees("ready")
		m := standardWorld()
		m.problems = []model.Problem{{
			Source: "kubernetes", Operation: "list virtualservices", Kind: model.KindUnreachable, Resource: model.ResourceVirtualServices, Since: testNow(),
		}}
		d.deliver(mustWorld(t, m))
		d.wait(judgeEvery)
		d.sees("cannot be judged now: kubernetes: lost, list virtualservices", "[ Close ]")
		d.golden("unjudged-" + size)
		d.press("y")
		if d.app.run != nil {
			t.Fatal("what could not be judged was confirmed")
		}
		d.press("esc")
		d.sees("old 0 blocked: jira/jira") // It was, and nothing says otherwise.

		back := on(t, "argocd")
		m.problems[0].Resource = model.ResourceGateways
		m.noLanes = true
		m.actions["argocd"] = back.Records[0].Change.After.Actions
		lost := mustJoin(t, m)
		lost.Records = back.Records
		d.deliver(lost)
		d.sees("unknown: lost")
		d.lacks("no hosts are published")
		d.press("4 G")
		d.sees("unknown")
		d.press("z")
		d.sees("Take the last run back", "the way back is never blocked", "y take back")
	})
}

func TestCommandLogKeepsWrites(t *testing.T) {
	var log []CommandLine
	log = append(log, CommandLine{Line: "aws elbv2 modify-rule --rule-arn x"})
	for i := range 1000 {
		log = trimLog(append(log, CommandLine{Line: fmt.Sprint("aws elbv2 describe-rules ", i), Took: time.Duration(i)}))
	}
	if len(log) != mostReads+1 || log[0].reads() || log[len(log)-1].Took != 999 || log[1].Took != 1000-mostReads {
		t.Errorf("kept %d: %v … %v", len(log), log[0], log[len(log)-1])
	}
	last := log[len(log)-1]
	for range 10 {
		failed := last
		failed.Err = errors.New("throttled")
		log = trimLog(append(log, failed, last))
	}
	if reads := log[1:]; len(reads) != mostReads || reads[len(reads)-1].Err != nil || reads[len(reads)-2].Err == nil || reads[len(reads)-12].Line == last.Line {
		t.Errorf("what is read again crowds out the rest: %v", reads[len(reads)-15:])
	}
}

func TestPastedWordDoesNotConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 120, 40, Config{Run: noRun})
		d.press("space space t")
		d.send(tea.PasteMsg{Content: "shift"})
		d.press("enter") // Nothing is typed: Cancel has the focus.
		d.lacks("Move 2 hosts", "run in flight")
		if d.app.run != nil {
			t.Error("a run was started")
		}
	})
}

func TestNetworkLoadBalancerMovesWhole(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		s := newStepRun()
		d := live(t, w, h, Config{Run: s.run})
		d.press("/")
		d.typed("sso")
		d.press("enter t")
		d.sees("moves as a whole", "vault-tls.bigbang.example", "plan the whole lane, 2 hosts, to new", "[ Cancel ]")
		d.golden("lane-" + size)
		d.press("enter")
		d.lacks("moves as a whole")
		d.press("t l")
		d.sees("Move 2 hosts to new", "nlb:443", "type shift")
		d.typed("shift")
		d.press("enter")
		if len(s.plan.Intent.Hosts) != 2 || len(s.plan.Changes) != 1 {
			t.Errorf("plan: %+v", s.plan.Intent)
		}
		s.finish(d, run.Result{Outcome: run.OutcomeApplied})
	})
}

func TestMixedSidesAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 120, 40, Config{Run: noRun})
		d.press("space space space t") // argocd and gitlab on old, grafana on new
		d.sees("To which side?", "all to new", "all to old")
		d.press("o")
		d.sees("Move 3 hosts to old")
		d.press("esc t n")
		d.sees("Move 3 hosts to new")
	})
}

func TestUndoAllNeedsTheWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 120, 40, Config{Run: s.run})
		d.deliver(on(t, "argocd", "vault"))
		d.press("z")
		d.sees("Take the last run back", "vault.bigbang.example")
		d.press("esc Z")
		d.sees("Take everything back", "type rollback to take back", "2 changes")
		d.typed("rollback")
		d.press("enter")
		if len(s.plan.Changes) != 2 || !s.plan.WayBack {
			t.Errorf("plan: %+v", s.plan)
		}
		s.emit(d, run.Event{Event: run.Failed, Change: "alb:443 10", Detail: "drift: somebody else changed it"})
		d.sees("failed: drift: somebody")
		s.finish(d, run.Result{Outcome: run.OutcomePartial, Unsettled: true, Err: &model.Error{Kind: model.KindPartial, Operation: "read back", Object: "arn:x", Message: "it is not known whether it was made"}})
		d.sees("it is not known whether it was made · recovery is needed")
		d.press("7 enter")
		d.sees("start cutover again")
	})
}

func TestQuitAsksWhileARunIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 120, 40, Config{Run: s.run})
		d.press("t y q")
		d.sees("Quit while a run is in flight?", "[ Stay ]")
		d.golden("quit-120x40")
		d.press("enter")
		d.lacks("Quit while")
		d.press("ctrl+c ctrl+c y")
		d.sees("stopping: waiting for the run to settle")
		if d.quit {
			t.Fatal("quit before the run settled")
		}
		d.wait(2 * time.Second)
		if !d.quit {
			t.Error("did not quit after the run settled")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		hang := func(context.Context, model.Plan, run.Options, func(run.Event)) run.Result {
			time.Sleep(time.Hour)
			return run.Result{}
		}
		d := live(t, 50, 10, Config{Run: hang})
		d.send(tea.WindowSizeMsg{Width: 120, Height: 40})
		d.press("t y")
		d.send(tea.WindowSizeMsg{Width: 50, Height: 10})
		d.press("q")
		d.sees("y stops it and quits")
		d.press("y")
		d.wait(quitTimeout + time.Second)
		if !d.quit {
			t.Error("a run that hangs keeps the console from quitting")
		}
	})
}

func TestPlanFollowsTheWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 120, 40, Config{Run: s.run})
		d.press("t")
		m := standardWorld()
		m.oldOnly["argocd"] = true
		d.deliver(mustWorld(t, m))
		d.sees("blocked", "[ Close ]")
		d.deliver(mustWorld(t, standardWorld()))
		d.wait(2 * time.Second)
		d.sees("ready", "[ Cancel ]")
		d.lacks("The world has changed")

		m = standardWorld()
		m.side["argocd"] = model.New
		d.worlds <- mustWorld(t, m)
		d.settle()
		d.wait(redrawEvery)
		d.sees("The world has changed", "nothing to do: already on new")
		d.deliver(mustWorld(t, standardWorld()))
		d.press("y") // Pressed before anybody can have read it.
		d.sees("The world has changed")
		if d.app.run != nil {
			t.Fatal("a plan that nobody has read was confirmed")
		}
		d.wait(deafness)
		d.press("y")
		d.sees("run in flight")
		s.finish(d, run.Result{Outcome: run.OutcomeApplied})
	})
}

func TestWaitingGatesAreLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := drive(t, 120, 40, Config{Run: s.run})
		w := mustWorld(t, standardWorld())
		d.deliver(w)
		d.press("t")
		d.sees("gates are still waiting", "wait   probe-new", "waits up to 2m for")
		d.golden("waiting-120x40")
		d.observe(probesOf(w, testNow().Add(time.Second)))
		d.sees("ready", "pass   probe-new")
		d.press("esc")
	})
}

func TestStateAndWeightAreAlwaysShown(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		d := live(t, w, h, Config{Run: noRun})
		m := standardWorld()
		m.side["argocd"], m.side["vault"], m.side["tempo"] = model.New, model.New, model.New
		m.actions["sonarqube"] = weighted(30)
		world := mustWorld(t, m)
		key := func(n string) model.HostKey { return model.HostKey{Host: n + ".bigbang.example", Lane: "public"} }
		world.States = model.HostStates{
			argocd:           {Proof: model.ProofUnproven, To: model.New},
			key("vault"):     {Proof: model.ProofUnconfirmed, To: model.New},
			key("tempo"):     {Proof: model.ProofProven, To: model.New},
			key("sonarqube"): {Proof: model.ProofUnproven, To: model.New},
			key("gitlab"):    {Proof: model.ProofUnproven, To: model.New}, // Somebody else took it back.
		}
		d.deliver(world)
		d.sees("alb:443 new ░░░░ 100 unproven", "alb:443 new ░░░░ 100 unconfirmed", "alb:443 split ███░ 30 200",
			"alb:443 old 0 blocked: jira/jira")
		d.sees("Hosts: 3 of 18 on new · 2 unproven")
		d.lacks("back on old", "30 unproven")
		d.golden("states-" + size)

		m.problems = []model.Problem{{Source: "aws", Operation: "DescribeRules", Kind: model.KindUnreachable, Resource: model.ResourceRules, Since: testNow()}}
		m.noRules = true
		unread := mustWorld(t, m)
		unread.States = world.States
		d.deliver(unread)
		d.sees("unknown")
		d.lacks("unproven", "unconfirmed")
	})
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 200, 60, Config{Run: noRun})
		d.sees("old ████████   0   200 8ms   200 8ms   blocked: jira/jira lists only")
	})
}

func TestCommandLogAndProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var paused []bool
		refreshed := 0
		d := live(t, 120, 40, Config{Run: noRun, Pause: func(p bool) { paused = append(paused, p) }, Refresh: func() { refreshed++ }})
		d.log <- CommandLine{Time: testNow(), Line: "aws elbv2 describe-rules\x1b[2J --listener-arn x", Took: 120 * time.Millisecond}
		d.log <- CommandLine{Time: testNow(), Line: "kubectl get gateways -A", Took: time.Second, Err: context.DeadlineExceeded}
		d.wait(time.Second)
		d.press("@")
		d.sees("ok     120ms  aws elbv2 describe-rules --listener-arn x", "failed", "deadline exceeded")
		d.golden("commands-120x40")
		d.press("esc p")
		d.sees("paused", "probes paused")
		d.press("p ctrl+r")
		d.sees("observing everything anew")
		if len(paused) != 2 || !paused[0] || paused[1] || refreshed != 1 {
			t.Errorf("paused %v, refreshed %d", paused, refreshed)
		}
		d.wait(time.Minute)
		d.sees("stale · 1m old")
	})
}

func TestProbeErrorsAreWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := drive(t, 120, 40, Config{Run: noRun})
		w := mustWorld(t, standardWorld())
		d.deliver(w)
		v := probesOf(w, testNow())
		key := ProbeKey{argocd, model.PathNew}
		s := v.Series[key]
		s.Recent = append(s.Recent, Sample{Total: 3})
		s.LastError = &model.ProbeError{Kind: model.ProbeGateway503, Message: "no healthy\x1b[2J upstream"}
		v.Series[key] = s
		d.observe(v)
		d.sees("200 8ms  503 gw", "gateway-503: no healthy upstream", "×")
		for range 3 {
			s.Recent = append(s.Recent, Sample{Total: 3, Good: true})
		}
		v.Series[key] = s
		d.observe(v)
		d.lacks("503 gw")
		d.sees("earlier: gateway-503")
	})
}
