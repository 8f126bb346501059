package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/journal"
	"github.com/istio-cutover/cutover/model/run"
	"github.com/istio-cutover/cutover/probes"
)

// shiftFlags are what the operator decided for a shift.
type shiftFlags struct {
	to        string
	wait      time.Duration
	proof     time.Duration
	skip      bool
	overrides []string
	reason    string
	noProbe   bool
	yes       bool
}

func newShift(g *globals) *cobra.Command {
	var (
		sel selection
		f   shiftFlags
	)
	cmd := &cobra.Command{
		Use:   "shift SELECTION --to new|old",
		Short: "Move hosts to the other side, and prove it",
		Example: `  cutover shift --host argocd.bigbang.example --to new
  cutover shift --lane passthrough --to new --yes -o json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.shift(cmd.Context(), sel.Selection, f) },
	}
	sel.addFlags(cmd, g)
	addToFlag(cmd, &f.to)
	flags := cmd.Flags()
	flags.DurationVar(&f.wait, "wait", 2*time.Minute, "how long gates may say wait")
	flags.DurationVar(&f.proof, "proof", time.Minute, "how long to wait for proof; 0 does not")
	flags.BoolVar(&f.skip, "skip-blocked", false, "leave hosts whose gates do not pass, and move the others")
	flags.StringArrayVar(&f.overrides, "override", nil, "GATE or GATE=HOST that does not count (repeatable; needs --reason)")
	flags.StringVar(&f.reason, "reason", "", "why gates are overridden; it is journaled")
	flags.BoolVar(&f.noProbe, "no-probe", false, "leave gates that need probes at wait")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	return cmd
}

func (g *globals) shift(ctx context.Context, sel model.Selection, f shiftFlags) error {
	to, err := toFlag(f.to)
	if err != nil {
		return err
	}
	if f.wait < 0 || f.proof < 0 {
		return usage("flags --wait and --proof", "a time is negative", "--wait 2m --proof 60s")
	}
	overrides, err := parseOverrides(f.overrides, f.reason)
	if err != nil {
		return err
	}
	if err := g.mayChange("shift"); err != nil {
		return err
	}
	if err := g.canConfirm(f.yes); err != nil {
		return err
	}
	w, err := g.wire(ctx, nil)
	if err != nil {
		return err
	}
	defer w.close()
	l := w.watch(ctx, probes.Limits{}, false)
	defer l.end()
	p, err := l.planned(ctx, sel, to, f.noProbe, overrides, true)
	if err != nil {
		return err
	}
	options := run.Options{Wait: f.wait, Proof: f.proof, SkipBlocked: f.skip}
	return l.carryOut(ctx, p, options, overrides, f.yes, !f.noProbe)
}

// parseOverrides reads GATE and GATE=HOST.
func parseOverrides(specs []string, reason string) ([]model.Override, error) {
	if len(specs) > 0 && strings.TrimSpace(reason) == "" {
		return nil, usage("flag --override", "no reason is given", "say why with --reason; it is journaled")
	}
	var out []model.Override
	for _, spec := range specs {
		gate, host, _ := strings.Cut(spec, "=")
		known := false
		for _, id := range model.GateIDs() {
			known = known || string(id) == gate
		}
		if !known {
			return nil, usage("flag --override", fmt.Sprintf("%q is no gate", gate), fmt.Sprintf("the gates are %v", model.GateIDs()))
		}
		out = append(out, model.Override{Gate: model.GateID(gate), Host: strings.ToLower(host), Reason: model.Line(reason)})
	}
	return out, nil
}

// carryOut shows the plan, asks, runs it and prints its events. With probe the
// hosts are probed at the fast rate meanwhile.
func (l *live) carryOut(ctx context.Context, p model.Plan, o run.Options, overrides []model.Override, yes, probe bool) error {
	g := l.globals
	if len(p.Changes) == 0 && len(p.Blocked()) == 0 && len(p.Waiting()) == 0 {
		if entries, err := l.entries(l.snapshot()); err == nil && !p.WayBack && o.Proof > 0 {
			if changes := unproven(l.snapshot(), entries, p.Intent); len(changes) > 0 {
				return l.proveAgain(ctx, p, changes, o)
			}
		}
		g.printEvent(run.Event{Time: time.Now(), Event: run.Done, Detail: "nothing to do", Result: &run.Result{Outcome: run.OutcomeUnchanged}})
		return nil
	}
	if g.output == outputTable || !yes {
		l.show(ctx, p, o, overrides)
	}
	refuse := func(err error) error {
		r := run.Result{Outcome: run.OutcomeUnchanged, Err: err, Interrupted: ctx.Err() != nil}
		g.printEvent(run.Event{Time: time.Now(), Event: run.Done, Detail: err.Error(), Result: &r})
		return &runError{error: err, code: exitOfRun(r)}
	}
	if err := refuseBlocked(p, o); err != nil {
		return refuse(err)
	}
	if err := g.confirm(ctx, p, yes); err != nil {
		return refuse(err)
	}
	j, err := l.openJournal(ctx, p)
	if err != nil {
		return refuse(err)
	}
	if w, ok := j.(*journal.Writer); ok {
		defer func() { _ = w.Close() }()
	}
	if probe {
		l.stage(p.Intent.Hosts)
	}
	result := l.runner(j, overrides).Run(ctx, p, o, g.printEvent)
	for _, s := range result.Skipped {
		g.say("left: %s: %s: %s", s.Host.Host, s.ID, s.Reason)
	}
	return failed(result)
}

// show prints what will be changed: without the hosts that are left anyway.
func (l *live) show(ctx context.Context, p model.Plan, o run.Options, overrides []model.Override) {
	if blocked := p.Blocked(); o.SkipBlocked && len(blocked) > 0 {
		r := l.runner(nil, overrides)
		var without []model.HostKey
		for _, b := range blocked {
			without = append(without, b.Host)
		}
		if narrowed, err := r.Narrow(p, without); err == nil {
			if narrowed, err = r.Judge(ctx, narrowed); err == nil {
				p = narrowed
			}
		}
	}
	printPlan(l.globals.err, p, l.aws.Account().Region)
}

// proveAgain seeks the proof that is missing of hosts that are where they
// should be.
func (l *live) proveAgain(ctx context.Context, p model.Plan, changes []model.Change, o run.Options) error {
	j, err := l.openJournal(ctx, p)
	if err != nil {
		return err
	}
	if w, ok := j.(*journal.Writer); ok {
		defer func() { _ = w.Close() }()
	}
	l.globals.say("nothing to change; seeking the proof that is missing")
	l.stage(p.Intent.Hosts)
	return failed(l.runner(j, nil).ProveAgain(ctx, p.Intent.To, changes, o, l.globals.printEvent))
}

// failed is the error of a run that did not do all that was asked.
func failed(r run.Result) error {
	if r.Err == nil && !r.Interrupted {
		return nil
	}
	err := r.Err
	if err == nil {
		err = context.Canceled
	}
	return &runError{error: err, code: exitOfRun(r)}
}

// openJournal opens the journal for a run. The way back goes on without one.
func (l *live) openJournal(ctx context.Context, p model.Plan) (run.Journal, error) {
	w, settled, err := l.write(ctx, l.snapshot())
	l.saySettled(settled)
	switch {
	case err == nil:
		return w, nil
	case p.WayBack && model.KindOf(err) != model.KindBlocked:
		l.globals.say("going on without the journal: %v", err)
		return noJournal{err}, nil
	default:
		return nil, err
	}
}

// noJournal stands in where no journal can be opened: each attempt says why,
// and the way back goes on.
type noJournal struct{ err error }

func (n noJournal) Append(model.Entry) (uint64, error)        { return 0, n.err }
func (n noJournal) KeepScript(string, string) (string, error) { return "", n.err }

// refuseBlocked refuses before anything is asked what could only fail.
func refuseBlocked(p model.Plan, o run.Options) error {
	blocked := p.Blocked()
	if len(blocked) == 0 || o.SkipBlocked {
		return nil
	}
	b := blocked[0]
	more := ""
	if n := len(blocked) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return &model.Error{
		Kind: model.KindBlocked, Operation: "gate " + string(b.ID), Object: b.Host.Host, Message: b.Reason + more,
		Remedy: "mend what the gate names, leave blocked hosts with --skip-blocked, or override it with a reason where that is allowed",
	}
}

// printEvent prints one event of a run as it happens.
func (g *globals) printEvent(e run.Event) {
	if g.output != outputTable {
		document := map[string]any{
			"time": e.Time.UTC().Format(time.RFC3339Nano), "event": e.Event, "change": e.Change, "host": e.Host, "detail": model.Line(e.Detail),
			"hosts": hostsOfEvent(e),
		}
		if r := e.Result; r != nil {
			if r.Err != nil && g.output == outputJSON {
				g.printError(asError(r.Err)) // Before the last line of a stream.
			}
			document = map[string]any{
				"time": e.Time.UTC().Format(time.RFC3339Nano), "event": e.Event, "outcome": r.Outcome, "exit": exitOfRun(*r),
				"run": r.Run, "detail": model.Line(e.Detail), "skipped": skippedDocument(r.Skipped),
			}
		}
		g.line(document)
		return
	}
	what := e.Change
	if e.Host != "" {
		what = strings.TrimSpace(what + " " + e.Host)
	}
	_, _ = fmt.Fprintf(g.out, "%s  %-11s %s\n", e.Time.Format("15:04:05"), e.Event, model.Line(strings.TrimSpace(what+"  "+e.Detail)))
}

// hostsOfEvent are the names that an event is about, each once; its host alone
// names none where a change moves several.
func hostsOfEvent(e run.Event) []string {
	names := []string{}
	for _, k := range e.Hosts {
		names = append(names, k.Host)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// skippedDocument lists the hosts that a run left, with the gate.
func skippedDocument(skipped []model.HostGate) []map[string]any {
	out := []map[string]any{}
	for _, g := range skipped {
		out = append(out, map[string]any{"host": g.Host.Host, "lane": g.Host.Lane, "id": g.ID, "verdict": g.Verdict, "reason": g.Reason})
	}
	return out
}

// canConfirm refuses early when there will be no way to confirm.
func (g *globals) canConfirm(yes bool) error {
	if yes || g.terminal() {
		return nil
	}
	return usage("confirm", "standard input is no terminal to confirm on", "add --yes to go without being asked")
}

func (g *globals) terminal() bool { return g.in != nil && term.IsTerminal(int(g.in.Fd())) }

// confirm asks on the terminal. Enter alone is no.
func (g *globals) confirm(ctx context.Context, p model.Plan, yes bool) error {
	if yes {
		return nil
	}
	_, _ = fmt.Fprintf(g.err, "\nMake %d change(s), moving %d host(s) to %s? [y/N] ", len(p.Changes), len(p.Intent.Hosts), p.Intent.To)
	answered := make(chan string, 1)
	go func() {
		// It may read on when the operator interrupts instead; the process ends then.
		line, _ := bufio.NewReader(g.in).ReadString('\n')
		answered <- line
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(g.err)
		return ctx.Err()
	case line := <-answered:
		if a := strings.ToLower(strings.TrimSpace(line)); a == "y" || a == "yes" {
			return nil
		}
		return &model.Error{Kind: model.KindInternal, Operation: "confirm", Message: "the answer was no, nothing was changed"}
	}
}
