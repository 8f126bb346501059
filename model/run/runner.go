package run

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// Runner carries plans out, one at a time. Its fields are set before the first
// run and not changed; all but Prove and Narrow are needed.
type Runner struct {
	Port    Port
	Journal Journal
	Judge   Judge
	Prove   Prover // nil: proof is not sought
	Narrow  Narrow // nil: SkipBlocked leaves nobody, what blocks refuses the plan
	// Script renders the whole way back of changes as a shell script.
	Script func(run string, changes []model.Change) string
	Now    func() time.Time
	NewRun func() string // a name that no other run has
	// Poll is how often waiting gates are judged again and read-backs repeated.
	Poll time.Duration
	// Settle is how long a read-back may take, the time after a cancelled run
	// included; it bounds how long quitting takes.
	Settle time.Duration
}

var (
	// errDrift marks that somebody else changed what was to be written.
	errDrift = errors.New("drift")
	// errOverwritten marks that somebody else changed it after it may have been
	// written: there is something to take back.
	errOverwritten = fmt.Errorf("%w after the write", errDrift)
)

// Run carries p out and tells emit everything that happens, in order and from
// one goroutine at a time; the last event is Done. When ctx ends, the run stops
// between two changes, or gives up waiting, with the journal true.
func (r *Runner) Run(ctx context.Context, p model.Plan, o Options, emit func(Event)) Result {
	x := &execution{Runner: r, options: o, plan: p, run: r.NewRun(), emit: serial(emit)}
	result := x.execute(ctx)
	result.Run, result.WayBack = x.run, p.WayBack
	result.Skipped = x.skipped
	x.say(Event{Event: Done, Detail: outcomeText(result), Result: &result})
	return result
}

// execution is one run under way.
type execution struct {
	*Runner
	options Options
	plan    model.Plan
	run     string
	emit    func(Event)
	skipped []model.HostGate

	applied []applied // changes that were made, in order
	// wayBack says where the script of the way back is, until it was said.
	wayBack string
	// unjournaled is set when it was said that the journal cannot be written.
	unjournaled atomic.Bool
}

// applied is a change that was read back right.
type applied struct {
	change model.Change
	at     time.Time // when it was read back: proof begins after it
}

func (x *execution) execute(ctx context.Context) Result {
	if !x.plan.WayBack {
		if err := x.awaitGates(ctx); err != nil {
			return x.stopped(ctx, err)
		}
	}
	if len(x.plan.Changes) == 0 {
		return Result{Outcome: OutcomeUnchanged}
	}
	if err := x.prepare(); err != nil {
		return x.stopped(ctx, err)
	}
	var left []error // of a way back: what somebody else changed
	for i, c := range x.plan.Changes {
		if err := ctx.Err(); err != nil {
			if x.plan.WayBack {
				return x.stopped(ctx, err)
			}
			return x.putBack(ctx, i, err)
		}
		if i > 0 && !x.plan.WayBack {
			if err := x.judgeRest(ctx, i); err != nil {
				return x.putBack(ctx, i, err)
			}
		}
		err := x.carryOut(ctx, c)
		switch {
		case err == nil:
		case x.plan.WayBack:
			// One thing that somebody else changed, or that fails, does not
			// keep the rest from its way back.
			x.fail(c, err)
			left = append(left, err)
		default:
			x.fail(c, err)
			return x.putBack(ctx, i, err)
		}
	}
	if len(left) > 0 {
		return x.stopped(ctx, errors.Join(left...))
	}
	if len(x.applied) == 0 {
		return Result{Outcome: OutcomeUnchanged}
	}
	return x.prove(ctx)
}

// prepare keeps the way back's script and records overrides, before anything
// is written.
func (x *execution) prepare() error {
	if path, err := x.Journal.KeepScript(x.run, x.Script(x.run, x.plan.Changes)); err != nil {
		if !x.plan.WayBack {
			return err
		}
		x.cannotJournal(err)
	} else {
		x.wayBack = "way back: " + path
	}
	for _, g := range x.plan.Gates {
		if g.Overridden == "" {
			continue
		}
		e := model.Entry{
			Kind: model.EntryOverride, Run: x.run, To: x.plan.Intent.To, Hosts: []model.HostKey{g.Host},
			Gate: g.ID, Reason: g.Overridden,
		}
		if _, err := x.Journal.Append(e); err != nil {
			return err
		}
	}
	return nil
}

// carryOut makes one change: read, compare, journal, write, read back,
// compare, journal.
func (x *execution) carryOut(ctx context.Context, c model.Change) error {
	now, err := x.Port.Read(ctx, c.Ref())
	if err != nil {
		return unlessGone(c, err)
	}
	if x.plan.WayBack && x.options.Force {
		// A change in place writes actions; what else was changed stays as it is.
		c.After.Priority, c.After.Conditions, c.After.Transforms = now.Priority, now.Conditions, now.Transforms
	}
	if model.SameMeaning(now, c.After) {
		x.say(Event{Event: Verified, Change: c.Label, Hosts: c.Hosts, Detail: "was so already"})
		return nil
	}
	if !model.SameMeaning(now, c.Before) {
		if !x.plan.WayBack || !x.options.Force {
			return &model.Error{
				Kind: model.KindDrift, Operation: string(c.Op), Object: c.Object(), Err: errDrift,
				Message: "somebody else changed it: " + model.Difference(c.Before, now),
				Remedy:  driftRemedy(x.plan.WayBack),
			}
		}
		c.Before = now
	}
	seq, err := x.Journal.Append(model.Entry{
		Kind: model.EntryIntent, Run: x.run, Change: &c, To: x.plan.Intent.To, WayBack: x.plan.WayBack, Hosts: c.Hosts,
	})
	if err != nil {
		if !x.plan.WayBack {
			return err
		}
		x.cannotJournal(err)
	}
	x.say(Event{Event: Intended, Change: c.Label, Hosts: c.Hosts, Detail: x.wayBack})
	x.wayBack = ""
	if err := x.write(ctx, c); err != nil {
		x.outcome(c, seq, err)
		return err
	}
	x.applied = append(x.applied, applied{change: c, at: x.Now()})
	x.outcome(c, seq, nil)
	x.say(Event{Event: Verified, Change: c.Label, Hosts: c.Hosts, Proof: model.ProofUnproven, Detail: "switched, unproven"})
	return nil
}

func driftRemedy(wayBack bool) string {
	if wayBack {
		return "look at it; rollback --force overwrites it with what was recorded"
	}
	return "look at it, refresh, and plan again"
}

// unlessGone is the error of a read: an object that is not there any more was
// changed by somebody else.
func unlessGone(c model.Change, err error) error {
	if model.KindOf(err) != model.KindNotFound {
		return err
	}
	return &model.Error{
		Kind: model.KindDrift, Operation: string(c.Op), Object: c.Object(), Err: errDrift,
		Message: "it does not exist any more: somebody else deleted it", Remedy: "look at it, refresh, and plan again",
	}
}

// refused reports whether a failed write certainly changed nothing. After any
// other failure it may still arrive.
func refused(err error) bool {
	var e *model.Error
	if errors.As(err, &e) && e.Refused {
		return true
	}
	switch model.KindOf(err) {
	case model.KindAccess, model.KindUsage, model.KindNotFound, model.KindThrottled:
		return true
	default:
		return false
	}
}

// write writes c and reads it back. What counts is what is read: a time-out
// after success is a success, and it is never written again blindly.
func (x *execution) write(ctx context.Context, c model.Change) error {
	// Whether the operator stops the run or not, what was written must be known;
	// a write cut short would only be one more of which it is not.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.Settle)
	defer cancel()
	written := x.Port.Write(ctx, c)
	if written == nil {
		x.say(Event{Event: Applied, Change: c.Label, Hosts: c.Hosts, Detail: "accepted"})
	}
	last := errors.New("there was no time to read it")
	for {
		now, err := x.Port.Read(ctx, c.Ref())
		switch {
		case err == nil && model.SameMeaning(now, c.After):
			return nil
		case err == nil && !model.SameMeaning(now, c.Before):
			cause := errOverwritten
			if written != nil && refused(written) {
				cause = errDrift
			}
			return &model.Error{
				Kind: model.KindDrift, Operation: string(c.Op), Object: c.Object(), Err: cause,
				Message: "it reads back as neither before nor after: " + model.Difference(c.After, now),
				Remedy:  "somebody else changes it too; look at it, then plan again or roll back",
			}
		case err == nil && written != nil && refused(written):
			return written // Read back as before: nothing was changed.
		case model.KindOf(err) == model.KindNotFound:
			return unlessGone(c, err)
		}
		// Not visible yet, or not readable now. A reading cut short says nothing.
		if ctx.Err() == nil {
			last = err
		}
		if x.pause(ctx) != nil {
			if last == nil && written != nil {
				return written // It reads back as before to the end: it did not arrive.
			}
			if last == nil {
				last = errors.New("accepted, but it still reads back as before")
			}
			return &unsettledError{&model.Error{
				Kind: model.KindPartial, Operation: "read back", Object: c.Object(), Err: errors.Join(last, written),
				Message: fmt.Sprintf("it is not known whether the change was made: %v", last),
				Remedy:  "the next start reads it and settles the journal; until then look at it by hand",
			}}
		}
	}
}

// unsettledError wraps the error of a change of which nobody knows whether it
// was made. Its intent stays without an outcome, so that recovery finds it.
type unsettledError struct{ cause *model.Error }

func (e *unsettledError) Error() string { return e.cause.Error() }
func (e *unsettledError) Unwrap() error { return e.cause }

func (x *execution) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(x.Poll):
		return nil
	}
}

// outcome journals what became of the intent seq.
func (x *execution) outcome(c model.Change, seq uint64, failed error) {
	var unsettled *unsettledError
	if seq == 0 || errors.As(failed, &unsettled) {
		return
	}
	e := model.Entry{Kind: model.EntryDone, Run: x.run, Intent: seq, To: x.plan.Intent.To, WayBack: x.plan.WayBack, Hosts: c.Hosts}
	if failed != nil {
		e.Kind, e.Reason, e.Drifted = model.EntryFailed, failed.Error(), errors.Is(failed, errOverwritten)
	}
	if _, err := x.Journal.Append(e); err != nil {
		// The intent is there: the next start settles it by reading.
		x.cannotJournal(err)
	}
}

// cannotJournal says that the journal cannot be written, once.
func (x *execution) cannotJournal(err error) {
	if x.unjournaled.CompareAndSwap(false, true) {
		x.say(Event{Event: Failed, Detail: "going on without the journal: " + model.Line(err.Error())})
	}
}

func (x *execution) fail(c model.Change, err error) {
	x.say(Event{Event: Failed, Change: c.Label, Hosts: c.Hosts, Detail: model.Line(err.Error())})
}

func (x *execution) say(e Event) {
	e.Time = x.Now()
	if e.Host == "" && e.Change != "" && len(e.Hosts) == 1 {
		e.Host = e.Hosts[0].Host
	}
	x.emit(e)
}

// stopped sums up a run that err ended.
func (x *execution) stopped(ctx context.Context, err error) Result {
	result := Result{Outcome: OutcomeUnchanged, Err: err, Interrupted: ctx.Err() != nil}
	if len(x.applied) > 0 {
		result.Outcome = OutcomePartial
	}
	var unsettled *unsettledError
	if errors.As(err, &unsettled) {
		result.Unsettled, result.Outcome = true, OutcomePartial
	}
	return result
}
