package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/istio-cutover/cutover/model"
)

var hostA, hostB = model.HostKey{Host: "a.example", Lane: "public"}, model.HostKey{Host: "b.example", Lane: "public"}

func forward(group string) model.RuleState {
	return model.RuleState{Actions: model.JSON(fmt.Sprintf(`[{"ForwardConfig":{"TargetGroups":[{"TargetGroupArn":%q,"Weight":1}]},"Type":"forward"}]`, group))}
}

func change(rule string, hosts ...model.HostKey) model.Change {
	return model.Change{
		Op: model.OpModifyRule, Listener: "l", Rule: rule, Label: "alb:443 " + rule, Hosts: hosts,
		Before: forward("old"), After: forward("new"),
	}
}

// fakeAWS is the port: states by object, and faults by call number.
type fakeAWS struct {
	mu       sync.Mutex
	states   map[string]model.RuleState
	onWrite  func(n int, c model.Change) (took bool, err error) // default: took
	onRead   func(n int) error
	writes   int
	reads    int
	writeLog []string
}

func newAWS(rules ...string) *fakeAWS {
	f := &fakeAWS{states: map[string]model.RuleState{}}
	for _, r := range rules {
		f.states[r] = forward("old")
	}
	return f
}

func (f *fakeAWS) Read(ctx context.Context, ref model.Ref) (model.RuleState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.onRead != nil {
		if err := f.onRead(f.reads); err != nil {
			return model.RuleState{}, err
		}
	}
	return f.states[ref.Rule], ctx.Err()
}

func (f *fakeAWS) Write(_ context.Context, c model.Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	took, err := true, error(nil)
	if f.onWrite != nil {
		took, err = f.onWrite(f.writes, c)
	}
	if took {
		f.states[c.Rule] = c.After
		f.writeLog = append(f.writeLog, c.Rule)
	}
	return err
}

func (f *fakeAWS) side(rule string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case model.SameMeaning(f.states[rule], forward("old")):
		return "old"
	case model.SameMeaning(f.states[rule], forward("new")):
		return "new"
	}
	return "other"
}

// fakeJournal remembers entries, and fails when told.
type fakeJournal struct {
	mu      sync.Mutex
	entries []model.Entry
	fail    func(e model.Entry) error
}

func (j *fakeJournal) Append(e model.Entry) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		if err := j.fail(e); err != nil {
			return 0, err
		}
	}
	e.Seq = uint64(len(j.entries) + 1)
	j.entries = append(j.entries, e)
	return e.Seq, nil
}

func (j *fakeJournal) KeepScript(run, _ string) (string, error) { return "/state/" + run + ".sh", nil }

func (j *fakeJournal) kinds() string {
	var out []string
	for _, e := range j.entries {
		out = append(out, string(e.Kind))
	}
	return strings.Join(out, " ")
}

func runner(aws *fakeAWS, j *fakeJournal) *Runner {
	return &Runner{
		Port: aws, Journal: j,
		Judge:  func(_ context.Context, p model.Plan) (model.Plan, error) { return p, nil },
		Script: func(string, []model.Change) string { return "#!/bin/sh\n" },
		Now:    time.Now, NewRun: func() string { return "run-1" }, Poll: 100 * time.Millisecond, Settle: 5 * time.Second,
	}
}

func plan(changes ...model.Change) model.Plan {
	p := model.Plan{Intent: model.Intent{To: model.New}, Changes: changes}
	for _, c := range changes {
		p.Intent.Hosts = append(p.Intent.Hosts, c.Hosts...)
	}
	return p
}

// execute runs in a bubble and returns the result with the names of the events.
func execute(t *testing.T, r *Runner, p model.Plan, o Options) (result Result, events []Event) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		result = r.Run(t.Context(), p, o, func(e Event) { events = append(events, e) })
	})
	if last := events[len(events)-1]; last.Event != Done || last.Result == nil {
		t.Errorf("the last event is %+v", last)
	}
	return result, events
}

func names(events []Event) string {
	var out []string
	for _, e := range events {
		out = append(out, string(e.Event))
	}
	return strings.Join(out, " ")
}

func TestOneChangeInTheSafeOrder(t *testing.T) {
	aws, j := newAWS("10"), &fakeJournal{}
	aws.onWrite = func(int, model.Change) (bool, error) {
		if j.kinds() != "intent" {
			t.Errorf("written with the journal at %q", j.kinds())
		}
		return true, nil
	}
	result, events := execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
	if result.Outcome != OutcomeApplied || result.Err != nil || aws.side("10") != "new" {
		t.Fatalf("%+v, rule on %s", result, aws.side("10"))
	}
	if got := names(events); got != "intent applied verified done" {
		t.Errorf("events %q", got)
	}
	if j.kinds() != "intent done" || j.entries[1].Intent != 1 {
		t.Errorf("journal %q", j.kinds())
	}
	if !strings.Contains(events[0].Detail, "/state/run-1.sh") {
		t.Errorf("the way back is not named before the first write: %q", events[0].Detail)
	}
}

func TestNothingToDo(t *testing.T) {
	aws, j := newAWS("10"), &fakeJournal{}
	aws.states["10"] = forward("new")
	for _, p := range []model.Plan{plan(), plan(change("10", hostA))} {
		if result, _ := execute(t, runner(aws, j), p, Options{Proof: time.Minute}); result.Outcome != OutcomeUnchanged || result.Err != nil {
			t.Errorf("%+v", result)
		}
	}
	if aws.writes+len(j.entries) != 0 {
		t.Errorf("%d writes, %d entries", aws.writes, len(j.entries))
	}
}

func TestDriftBeforeTheWriteChangesNothing(t *testing.T) {
	aws, j := newAWS("10"), &fakeJournal{}
	aws.states["10"] = forward("somebody-else")
	result, _ := execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
	if model.KindOf(result.Err) != model.KindDrift || result.Outcome != OutcomeUnchanged {
		t.Fatalf("%+v", result)
	}
	if aws.writes+len(j.entries) != 0 {
		t.Errorf("%d writes, %d entries", aws.writes, len(j.entries))
	}
}

func TestWhatIsReadBackCounts(t *testing.T) {
	timeout := &model.Error{Kind: model.KindUnreachable, Operation: "ModifyRule", Message: "timed out"}
	for _, c := range []struct {
		name    string
		onWrite func(int, model.Change) (bool, error)
		onRead  func(int) error
		outcome Outcome
		kind    model.Kind
		side    string
		journal string
	}{
		{"time-out after success", func(int, model.Change) (bool, error) { return true, timeout }, nil, OutcomeApplied, "", "new", "intent done"},
		{"time-out before", func(int, model.Change) (bool, error) { return false, timeout }, nil, OutcomeUnchanged, model.KindUnreachable, "old", "intent failed"},
		{"read-back fails for a while", nil, func(n int) error {
			if n > 1 && n < 5 {
				return timeout
			}
			return nil
		}, OutcomeApplied, "", "new", "intent done"},
		{"read-back never answers", nil, func(n int) error {
			if n > 1 {
				return timeout
			}
			return nil
		}, OutcomePartial, model.KindPartial, "new", "intent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			aws, j := newAWS("10"), &fakeJournal{}
			aws.onWrite, aws.onRead = c.onWrite, c.onRead
			result, _ := execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
			if result.Outcome != c.outcome || model.KindOf(result.Err) != c.kind || aws.side("10") != c.side || j.kinds() != c.journal {
				t.Errorf("outcome %v, kind %q, side %s, journal %q (%v)", result.Outcome, model.KindOf(result.Err), aws.side("10"), j.kinds(), result.Err)
			}
			if result.Unsettled != (c.journal == "intent") {
				t.Errorf("unsettled %v", result.Unsettled)
			}
		})
	}
}

// TestARefusedWriteIsNotWaitedFor: it is not a late write that may still arrive.
func TestARefusedWriteIsNotWaitedFor(t *testing.T) {
	aws, j := newAWS("10"), &fakeJournal{}
	refusal := &model.Error{Kind: model.KindInternal, Operation: "ModifyRule", Message: "stickiness", Refused: true}
	aws.onWrite = func(int, model.Change) (bool, error) { return false, refusal }
	result, _ := execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
	if !errors.Is(result.Err, refusal) || result.Outcome != OutcomeUnchanged || j.kinds() != "intent failed" || aws.reads != 2 {
		t.Errorf("outcome %v after %d reads, journal %q (%v)", result.Outcome, aws.reads, j.kinds(), result.Err)
	}
}

func TestDriftBetweenWriteAndReadBack(t *testing.T) {
	aws, j := newAWS("10"), &fakeJournal{}
	aws.onWrite = func(_ int, c model.Change) (bool, error) {
		aws.states[c.Rule] = forward("somebody-else")
		return false, nil
	}
	result, _ := execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
	if model.KindOf(result.Err) != model.KindDrift || j.kinds() != "intent failed" {
		t.Fatalf("%+v, journal %q", result, j.kinds())
	}
}

func TestALanesListenersArePutBackTogether(t *testing.T) {
	denied := &model.Error{Kind: model.KindAccess, Operation: "ModifyListener", Message: "denied"}
	aws, j := newAWS("443", "80"), &fakeJournal{}
	aws.onWrite = func(n int, _ model.Change) (bool, error) {
		if n == 2 {
			return false, denied
		}
		return true, nil
	}
	result, events := execute(t, runner(aws, j), plan(change("443", hostA, hostB), change("80", hostA, hostB)), Options{})
	if result.Outcome != OutcomeRolledBack || model.KindOf(result.Err) != model.KindAccess || aws.side("443") != "old" {
		t.Fatalf("%+v, 443 on %s", result, aws.side("443"))
	}
	if !strings.Contains(names(events), "failed") || !strings.Contains(names(events), "rolled-back") {
		t.Errorf("events %q", names(events))
	}
	if got := j.kinds(); got != "intent done intent failed intent done" || !j.entries[4].WayBack {
		t.Errorf("journal %q", got)
	}
}

func TestOtherHostsStayWhenOneFails(t *testing.T) {
	aws, j := newAWS("10", "20"), &fakeJournal{}
	aws.onWrite = func(n int, _ model.Change) (bool, error) {
		return n == 1, map[bool]error{true: nil, false: errors.New("boom")}[n == 1]
	}
	result, _ := execute(t, runner(aws, j), plan(change("10", hostA), change("20", hostB)), Options{})
	if result.Outcome != OutcomePartial || result.Unsettled || aws.side("10") != "new" || aws.side("20") != "old" {
		t.Fatalf("%+v", result)
	}
}

func TestNoJournalNoWayForwardButAlwaysAWayBack(t *testing.T) {
	full := errors.New("no space left on device")
	aws, j := newAWS("10"), &fakeJournal{fail: func(model.Entry) error { return full }}
	if result, _ := execute(t, runner(aws, j), plan(change("10", hostA)), Options{}); !errors.Is(result.Err, full) || aws.writes != 0 {
		t.Fatalf("forward: %+v, %d writes", result, aws.writes)
	}
	back := plan(change("10", hostA).Inverse())
	back.WayBack, back.Intent.To = true, model.Old
	aws.states["10"] = forward("new")
	result, events := execute(t, runner(aws, j), back, Options{})
	if result.Err != nil || aws.side("10") != "old" {
		t.Fatalf("back: %+v, on %s", result, aws.side("10"))
	}
	if !strings.Contains(fmt.Sprint(events), "without the journal") {
		t.Error("it is not said that the journal cannot be written")
	}
}

func TestTheWayBackLeavesWhatOthersChanged(t *testing.T) {
	back := plan(change("10", hostA).Inverse(), change("20", hostB).Inverse())
	back.WayBack, back.Intent.To = true, model.Old
	for _, force := range []bool{false, true} {
		aws, j := newAWS("10", "20"), &fakeJournal{}
		aws.states["10"], aws.states["20"] = forward("somebody-else"), forward("new")
		result, _ := execute(t, runner(aws, j), back, Options{Force: force})
		if aws.side("20") != "old" {
			t.Errorf("force %v: the other rule is on %s", force, aws.side("20"))
		}
		if force && (result.Err != nil || aws.side("10") != "old") {
			t.Errorf("forced: %+v, on %s", result, aws.side("10"))
		}
		if !force && (model.KindOf(result.Err) != model.KindDrift || aws.side("10") != "other") {
			t.Errorf("not forced: %+v, on %s", result, aws.side("10"))
		}
	}
}

// judging returns a Judge whose answers follow each other, the last one repeated.
func judging(verdicts ...model.Verdict) Judge {
	n := 0
	return func(_ context.Context, p model.Plan) (model.Plan, error) {
		p.Gates = []model.HostGate{{Host: hostA, Gate: model.Gate{ID: model.GateProbeNew, Verdict: verdicts[min(n, len(verdicts)-1)], Reason: "because"}}}
		n++
		return p, nil
	}
}

func TestGates(t *testing.T) {
	for _, c := range []struct {
		name     string
		verdicts []model.Verdict
		kind     model.Kind
		moved    bool
	}{
		{"pass", []model.Verdict{model.Pass}, "", true},
		{"warn never stops", []model.Verdict{model.Warn}, "", true},
		{"block", []model.Verdict{model.Block}, model.KindBlocked, false},
		{"wait, then pass", []model.Verdict{model.Wait, model.Wait, model.Pass}, "", true},
		{"wait for ever", []model.Verdict{model.Wait}, model.KindNotReady, false},
		{"wait, then block", []model.Verdict{model.Wait, model.Block}, model.KindBlocked, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			aws := newAWS("10")
			r := runner(aws, &fakeJournal{})
			r.Judge = judging(c.verdicts...)
			result, events := execute(t, r, plan(change("10", hostA)), Options{Wait: 10 * time.Second})
			if model.KindOf(result.Err) != c.kind || (aws.side("10") == "new") != c.moved {
				t.Errorf("%+v, rule on %s", result, aws.side("10"))
			}
			if n := strings.Count(names(events), "waiting"); n > 1 {
				t.Errorf("the same wait is said %d times", n)
			}
		})
	}
}

func TestSkipBlockedMovesTheOthers(t *testing.T) {
	aws, j := newAWS("10", "20"), &fakeJournal{}
	r := runner(aws, j)
	r.Judge = func(_ context.Context, p model.Plan) (model.Plan, error) {
		p.Gates = nil
		if slices.Contains(p.Intent.Hosts, hostA) {
			p.Gates = []model.HostGate{{Host: hostA, Gate: model.Gate{ID: model.GateBinding, Verdict: model.Block, Reason: "old only"}}}
		}
		return p, nil
	}
	r.Narrow = func(p model.Plan, without []model.HostKey) (model.Plan, error) {
		if diff := cmp.Diff([]model.HostKey{hostA}, without); diff != "" {
			t.Error(diff)
		}
		return plan(change("20", hostB)), nil
	}
	result, _ := execute(t, r, plan(change("10", hostA), change("20", hostB)), Options{SkipBlocked: true})
	if result.Err != nil || len(result.Skipped) != 1 || aws.side("10") != "old" || aws.side("20") != "new" {
		t.Fatalf("%+v", result)
	}
}

func TestOverridesAreJournaled(t *testing.T) {
	aws, j := newAWS("10"), &fakeJournal{}
	r := runner(aws, j)
	r.Judge = func(_ context.Context, p model.Plan) (model.Plan, error) {
		p.Gates = []model.HostGate{{Host: hostA, Gate: model.Gate{ID: model.GateSecret, Verdict: model.Block}, Overridden: "known, ticket 7"}}
		return p, nil
	}
	if result, _ := execute(t, r, plan(change("10", hostA)), Options{}); result.Err != nil {
		t.Fatal(result.Err)
	}
	if j.kinds() != "override intent done" || j.entries[0].Reason != "known, ticket 7" || j.entries[0].Gate != model.GateSecret {
		t.Errorf("journal %q %+v", j.kinds(), j.entries[0])
	}
}

func TestProof(t *testing.T) {
	for _, c := range []struct {
		name  string
		prove Prover
		kind  model.Kind
		proof model.Proof
		words string
	}{
		{"proven", func(_ context.Context, _ Move, report func(Proving)) Proving {
			report(Proving{Proof: model.ProofUnproven, By: "access log", Row: 2})
			return Proving{Proof: model.ProofProven, By: "access log", Row: 3}
		}, "", model.ProofProven, "proven on new by access log, 3 of 3"},
		{"never", func(ctx context.Context, _ Move, _ func(Proving)) Proving {
			<-ctx.Done()
			return Proving{Proof: model.ProofUnproven, By: "access log", Why: "not seen"}
		}, model.KindUnproven, model.ProofUnproven, "switched, unproven: not seen (0 of 3 by access log)"},
		{"cannot be told", func(context.Context, Move, func(Proving)) Proving {
			return Proving{Proof: model.ProofUnconfirmed, Why: "no access log"}
		}, model.KindUnproven, model.ProofUnconfirmed, "switched, side unconfirmed: no access log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			aws, j := newAWS("10"), &fakeJournal{}
			r := runner(aws, j)
			r.Prove = c.prove
			result, _ := execute(t, r, plan(change("10", hostA)), Options{Proof: time.Minute})
			if model.KindOf(result.Err) != c.kind || result.Outcome != OutcomeApplied {
				t.Errorf("%+v", result)
			}
			for i := range j.entries {
				j.entries[i].Time = time.Unix(int64(i), 0)
			}
			if got := model.HostStatesOf(j.entries)[hostA]; got.Proof != c.proof {
				t.Errorf("the journal says %+v", got)
			}
			if got := j.entries[len(j.entries)-1].Reason; got != c.words {
				t.Errorf("the journal says %q, want %q", got, c.words)
			}
		})
	}
}

func TestStoppingBetweenTwoChanges(t *testing.T) {
	aws, j := newAWS("10", "20"), &fakeJournal{}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		aws.onWrite = func(int, model.Change) (bool, error) {
			cancel() // Stopped in the middle of the first change: it is settled.
			return true, context.Canceled
		}
		result := runner(aws, j).Run(ctx, plan(change("10", hostA), change("20", hostB)), Options{}, func(Event) {})
		if !result.Interrupted || result.Outcome != OutcomePartial || result.Unsettled {
			t.Errorf("%+v", result)
		}
	})
	if aws.side("10") != "new" || aws.side("20") != "old" || j.kinds() != "intent done" {
		t.Errorf("10 on %s, 20 on %s, journal %q", aws.side("10"), aws.side("20"), j.kinds())
	}
}

func TestRecover(t *testing.T) {
	intent := model.Entry{Seq: 1, Kind: model.EntryIntent, Change: &model.Change{Rule: "10", Label: "alb:443 10", Before: forward("old"), After: forward("new")}}
	for now, want := range map[string]model.EntryKind{"old": model.EntryFailed, "new": model.EntryDone, "somebody-else": model.EntryFailed} {
		aws, j := newAWS(), &fakeJournal{entries: []model.Entry{intent}}
		aws.states["10"] = forward(now)
		settled, err := Recover(t.Context(), aws, j, j.entries)
		if err != nil || len(settled) != 1 || len(j.entries) != 2 || j.entries[1].Kind != want || j.entries[1].Intent != 1 {
			t.Errorf("%s: %v, %v, %+v", now, settled, err, j.entries)
		}
		if aws.writes != 0 || len(model.Unsettled(j.entries)) != 0 {
			t.Errorf("%s: %d writes, %d unsettled", now, aws.writes, len(model.Unsettled(j.entries)))
		}
	}
	aws, j := newAWS(), &fakeJournal{entries: []model.Entry{intent}}
	aws.onRead = func(int) error { return errors.New("unreachable") }
	if settled, err := Recover(t.Context(), aws, j, j.entries); err != nil || settled[0].Err == nil || len(j.entries) != 1 {
		t.Errorf("unreadable: %v %v", settled, err)
	}
}
