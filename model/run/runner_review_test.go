package run

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
)

var hostC = model.HostKey{Host: "c.example", Lane: "public"}

// TestAWriteThatArrivesLate: a time-out says nothing of the write, and neither
// does the first read-back after it.
func TestAWriteThatArrivesLate(t *testing.T) {
	timeout := &model.Error{Kind: model.KindUnreachable, Operation: "ModifyRule", Message: "timed out"}
	aws, j := newAWS("10"), &fakeJournal{}
	aws.onWrite = func(int, model.Change) (bool, error) { return false, timeout }
	aws.onRead = func(n int) error {
		if n == 5 {
			aws.states["10"] = forward("new")
		}
		return nil
	}
	result, _ := execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
	if result.Err != nil || result.Outcome != OutcomeApplied || j.kinds() != "intent done" {
		t.Errorf("%+v, journal %q", result, j.kinds())
	}
}

// TestAWriteIsNotCutShort: who stops the run waits for the write under way.
func TestAWriteIsNotCutShort(t *testing.T) {
	aws := newAWS("10")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		port := &watchedPort{fakeAWS: aws, write: func(inner context.Context) {
			cancel()
			if inner.Err() != nil {
				t.Error("the write's context ended with the run's")
			}
			if _, bounded := inner.Deadline(); !bounded {
				t.Error("the write has no deadline")
			}
		}}
		r := runner(aws, &fakeJournal{})
		r.Port = port
		if result := r.Run(ctx, plan(change("10", hostA)), Options{}, func(Event) {}); result.Unsettled || aws.side("10") != "new" {
			t.Errorf("%+v", result)
		}
	})
}

type watchedPort struct {
	*fakeAWS
	write func(context.Context)
}

func (p *watchedPort) Write(ctx context.Context, c model.Change) error {
	p.write(ctx)
	return p.fakeAWS.Write(ctx, c)
}

// TestStoppingLeavesNoHostHalfWay: a lane's listeners move together, also when
// the operator stops between two of them; hosts that are whole stay.
func TestStoppingLeavesNoHostHalfWay(t *testing.T) {
	aws, j := newAWS("10", "443", "80"), &fakeJournal{}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		aws.onWrite = func(n int, _ model.Change) (bool, error) {
			if n == 2 {
				cancel()
			}
			return true, nil
		}
		p := plan(change("10", hostC), change("443", hostA, hostB), change("80", hostA, hostB))
		result := runner(aws, j).Run(ctx, p, Options{}, func(Event) {})
		if !result.Interrupted || result.Outcome != OutcomePartial || result.Unsettled {
			t.Errorf("%+v", result)
		}
	})
	if aws.side("10") != "new" || aws.side("443") != "old" || aws.side("80") != "old" {
		t.Errorf("10 on %s, 443 on %s, 80 on %s", aws.side("10"), aws.side("443"), aws.side("80"))
	}
}

// TestWhatWillNotBeFinishedGoesBack: host A is on two listeners, B fails in
// between, and C shares A's first rule and has one of its own.
func TestWhatWillNotBeFinishedGoesBack(t *testing.T) {
	aws, j := newAWS("1", "2", "3", "4"), &fakeJournal{}
	aws.onWrite = func(_ int, c model.Change) (bool, error) {
		if c.Rule == "3" {
			return false, &model.Error{Kind: model.KindAccess, Message: "denied"}
		}
		return true, nil
	}
	p := plan(change("1", hostC), change("2", hostA, hostC), change("3", hostB), change("4", hostA))
	result, _ := execute(t, runner(aws, j), p, Options{})
	if result.Outcome != OutcomeRolledBack || result.Unsettled {
		t.Errorf("%+v", result)
	}
	for _, rule := range []string{"1", "2", "3", "4"} {
		if aws.side(rule) != "old" {
			t.Errorf("rule %s is on %s", rule, aws.side(rule))
		}
	}
}

// TestTheWayBackIsNamedBeforeTheFirstWrite: also when the first change was
// made already.
func TestTheWayBackIsNamedBeforeTheFirstWrite(t *testing.T) {
	aws := newAWS("10", "20")
	aws.states["10"] = forward("new")
	_, events := execute(t, runner(aws, &fakeJournal{}), plan(change("10", hostA), change("20", hostB)), Options{})
	at := slices.IndexFunc(events, func(e Event) bool { return e.Event == Intended })
	if at < 0 || !strings.Contains(events[at].Detail, "/state/run-1.sh") {
		t.Errorf("%+v", events)
	}
}

// TestADeletedRuleIsDrift: in the run, in the read-back and after a crash.
func TestADeletedRuleIsDrift(t *testing.T) {
	gone := &model.Error{Kind: model.KindNotFound, Operation: "DescribeRules", Message: "it does not exist"}
	for from, journal := range map[int]string{1: "", 2: "intent failed"} {
		aws, j := newAWS("10"), &fakeJournal{}
		aws.onRead = func(n int) error {
			if n >= from {
				return gone
			}
			return nil
		}
		result, _ := execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
		if model.KindOf(result.Err) != model.KindDrift || result.Unsettled || j.kinds() != journal {
			t.Errorf("gone at read %d: %+v, journal %q", from, result, j.kinds())
		}
	}
	c := change("10", hostA)
	aws, j := newAWS(), &fakeJournal{entries: []model.Entry{{Seq: 1, Kind: model.EntryIntent, Change: &c}}}
	aws.onRead = func(int) error { return gone }
	settled, err := Recover(t.Context(), aws, j, j.entries)
	if err != nil || len(settled) != 1 || settled[0].Settlement != model.SettledDrifted || len(model.Unsettled(j.entries)) != 0 {
		t.Errorf("%+v, %v, %q", settled, err, j.kinds())
	}
	if len(model.Records(j.entries)) != 0 {
		t.Error("what is gone is to be taken back")
	}
}

// TestWhatOthersChangedAfterOurWriteCanBeTakenBack: the way back names it, and
// force restores what was recorded.
func TestWhatOthersChangedAfterOurWriteCanBeTakenBack(t *testing.T) {
	back := func(t *testing.T, aws *fakeAWS, j *fakeJournal) {
		t.Helper()
		aws.onWrite = nil
		p, err := model.WayBack(nil, model.Records(j.entries), nil)
		if err != nil || len(p.Changes) != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		if result, _ := execute(t, runner(aws, j), p, Options{}); model.KindOf(result.Err) != model.KindDrift || aws.side("10") != "other" {
			t.Errorf("not forced: %+v, on %s", result, aws.side("10"))
		}
		if result, _ := execute(t, runner(aws, j), p, Options{Force: true}); result.Err != nil || aws.side("10") != "old" {
			t.Errorf("forced: %+v, on %s", result, aws.side("10"))
		}
	}
	t.Run("in the run", func(t *testing.T) {
		aws, j := newAWS("10"), &fakeJournal{}
		aws.onWrite = func(_ int, c model.Change) (bool, error) {
			aws.states[c.Rule] = forward("somebody-else")
			return false, nil
		}
		execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
		back(t, aws, j)
	})
	t.Run("after a crash", func(t *testing.T) {
		c := change("10", hostA)
		aws, j := newAWS(), &fakeJournal{entries: []model.Entry{{Seq: 1, Kind: model.EntryIntent, Change: &c, To: model.New}}}
		aws.states["10"] = forward("somebody-else")
		if _, err := Recover(t.Context(), aws, j, j.entries); err != nil {
			t.Fatal(err)
		}
		back(t, aws, j)
	})
	t.Run("a refused write leaves nothing to take back", func(t *testing.T) {
		aws, j := newAWS("10"), &fakeJournal{}
		aws.onWrite = func(_ int, c model.Change) (bool, error) {
			aws.states[c.Rule] = forward("somebody-else")
			return false, &model.Error{Kind: model.KindAccess, Message: "denied"}
		}
		execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
		if n := len(model.Records(j.entries)); n != 0 {
			t.Errorf("%d records", n)
		}
	})
}

// TestForceRestoresActionsWhateverElseWasChanged: what a change in place cannot
// write does not keep the way back from being exact in what it can.
func TestForceRestoresActionsWhateverElseWasChanged(t *testing.T) {
	aws, j := newAWS("10"), &fakeJournal{}
	execute(t, runner(aws, j), plan(change("10", hostA)), Options{})
	theirs := forward("new")
	theirs.Conditions = `[{"Field":"host-header","Values":["other.example"]}]`
	aws.states["10"] = theirs
	port := &actionsOnly{aws}
	r := runner(aws, j)
	r.Port = port
	p, err := model.WayBack(nil, model.Records(j.entries), nil)
	if err != nil {
		t.Fatal(err)
	}
	result, _ := execute(t, r, p, Options{Force: true})
	if result.Err != nil || !model.SameMeaning(model.RuleState{Actions: aws.states["10"].Actions}, forward("old")) {
		t.Errorf("%+v, %+v", result, aws.states["10"])
	}
	if left := model.WayBackOfRun(model.Records(j.entries), ""); len(left) != 0 {
		t.Errorf("still to be taken back: %+v", left)
	}
}

// actionsOnly writes as AWS does: what is not an action stays.
type actionsOnly struct{ *fakeAWS }

func (p *actionsOnly) Write(_ context.Context, c model.Change) error {
	state := p.states[c.Rule]
	state.Actions = c.After.Actions
	p.states[c.Rule] = state
	return nil
}

// gatesOf returns a Judge that gives each host of the intent its verdict.
func gatesOf(verdict func(h model.HostKey, hosts []model.HostKey) model.Verdict) Judge {
	return func(_ context.Context, p model.Plan) (model.Plan, error) {
		p.Gates = nil
		for _, h := range p.Intent.Hosts {
			p.Gates = append(p.Gates, model.HostGate{Host: h, Gate: model.Gate{ID: model.GateBinding, Verdict: verdict(h, p.Intent.Hosts), Reason: h.Host}})
		}
		return p, nil
	}
}

func narrowing(changes ...model.Change) Narrow {
	return func(p model.Plan, without []model.HostKey) (model.Plan, error) {
		out := model.Plan{Intent: p.Intent.Without(without)}
		for _, c := range changes {
			if !slices.ContainsFunc(c.Hosts, func(h model.HostKey) bool { return !slices.Contains(out.Intent.Hosts, h) }) {
				out.Changes = append(out.Changes, c)
			}
		}
		return out, nil
	}
}

// TestSkippingGoesOnWhileOthersAreBlockedInTurn: B is blocked once A, with
// which it shares a rule, is left.
func TestSkippingGoesOnWhileOthersAreBlockedInTurn(t *testing.T) {
	aws := newAWS("10", "20")
	r := runner(aws, &fakeJournal{})
	r.Judge = gatesOf(func(h model.HostKey, hosts []model.HostKey) model.Verdict {
		if h == hostA || h == hostB && !slices.Contains(hosts, hostA) {
			return model.Block
		}
		return model.Pass
	})
	changes := []model.Change{change("10", hostA, hostB), change("20", hostC)}
	r.Narrow = narrowing(changes...)
	result, _ := execute(t, r, plan(changes...), Options{SkipBlocked: true})
	if result.Err != nil || aws.side("10") != "old" || aws.side("20") != "new" || len(result.Skipped) != 2 {
		t.Errorf("%+v, 10 on %s, 20 on %s", result, aws.side("10"), aws.side("20"))
	}
}

// TestAHostThatIsLeftIsNotWaitedFor: it is blocked and waits, for ever.
func TestAHostThatIsLeftIsNotWaitedFor(t *testing.T) {
	aws := newAWS("10", "20")
	r := runner(aws, &fakeJournal{})
	r.Judge = func(_ context.Context, p model.Plan) (model.Plan, error) {
		p.Gates = nil
		if slices.Contains(p.Intent.Hosts, hostA) {
			p.Gates = []model.HostGate{
				{Host: hostA, Gate: model.Gate{ID: model.GateBinding, Verdict: model.Block}},
				{Host: hostA, Gate: model.Gate{ID: model.GateProbeNew, Verdict: model.Wait}},
			}
		}
		return p, nil
	}
	changes := []model.Change{change("10", hostA), change("20", hostB)}
	r.Narrow = narrowing(changes...)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		result := r.Run(t.Context(), plan(changes...), Options{SkipBlocked: true, Wait: time.Minute}, func(Event) {})
		if result.Err != nil || aws.side("20") != "new" || time.Since(began) > time.Second {
			t.Errorf("%+v after %s", result, time.Since(began))
		}
	})
}

// TestGatesAreWaitedForInTheMiddleOfARunToo: one bad probe of the next host is
// no reason to stop, unless the host would be half-way meanwhile.
func TestGatesAreWaitedForInTheMiddleOfARunToo(t *testing.T) {
	for _, second := range []model.HostKey{hostB, hostA} {
		aws, n := newAWS("10", "20"), 0
		r := runner(aws, &fakeJournal{})
		r.Judge = func(_ context.Context, p model.Plan) (model.Plan, error) {
			n++
			p.Gates = []model.HostGate{{Host: second, Gate: model.Gate{ID: model.GateProbeNew, Verdict: model.Pass}}}
			if n > 1 && n < 5 {
				p.Gates[0].Verdict = model.Wait
			}
			return p, nil
		}
		result, _ := execute(t, r, plan(change("10", hostA), change("20", second)), Options{Wait: time.Minute})
		if second == hostB && (result.Err != nil || aws.side("20") != "new") {
			t.Errorf("another host: %+v", result)
		}
		if second == hostA && (result.Outcome != OutcomeRolledBack || aws.side("10") != "old") {
			t.Errorf("the same host: %+v", result)
		}
	}
}

// TestProofsSayOnceThatTheJournalCannotBeWritten is for the race detector too:
// hosts are proven side by side.
func TestProofsSayOnceThatTheJournalCannotBeWritten(t *testing.T) {
	aws, j := newAWS("10"), &fakeJournal{}
	j.fail = func(e model.Entry) error {
		if e.Kind == model.EntryNote {
			return errors.New("no space left on device")
		}
		return nil
	}
	r := runner(aws, j)
	r.Prove = func(context.Context, Move, func(Proving)) Proving {
		return Proving{Proof: model.ProofProven, By: "access log", Row: 3}
	}
	_, events := execute(t, r, plan(change("10", hostA, hostB, hostC)), Options{Proof: time.Minute})
	said := 0
	for _, e := range events {
		if strings.Contains(e.Detail, "without the journal") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("said %d times", said)
	}
}
