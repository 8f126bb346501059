package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/journal"
	"github.com/istio-cutover/cutover/model/run"
	"github.com/istio-cutover/cutover/probes"
	"github.com/istio-cutover/cutover/tui"
)

const (
	// probesShown is how often the console is told of probes.
	probesShown = 250 * time.Millisecond
	// worldShown is how often the console is told of the world at least.
	worldShown = 5 * time.Second
	// quitWithin bounds how long quitting waits for a run to settle.
	quitWithin = 30 * time.Second
)

// console opens the console on what the kubeconfig and the AWS settings name.
func (g *globals) console(ctx context.Context) error {
	if !g.terminal() || !term.IsTerminal(int(os.Stdout.Fd())) {
		return usage("console", "it needs a terminal", "use cutover status, plan, shift and rollback in scripts")
	}
	return g.consoleIn(ctx, func(app *tui.App) error {
		_, err := tea.NewProgram(app, tea.WithContext(ctx), tea.WithoutSignalHandler()).Run()
		return err
	})
}

// consoleIn opens the console in a program that somebody else runs.
func (g *globals) consoleIn(ctx context.Context, program func(*tui.App) error) error {
	calls := newCalls()
	w, err := g.wire(ctx, calls.add)
	if err != nil {
		return err
	}
	defer w.close()
	l := w.watch(ctx, probes.Limits{}, true)
	defer l.end()
	c := &console{live: l, worlds: make(chan tui.World, 1), series: make(chan tui.ProbeView, 1), journalChanged: make(chan struct{}, 1)}
	feed, stop := context.WithCancel(ctx)
	var feeding sync.WaitGroup
	feeding.Go(func() { c.feedWorlds(feed) })
	feeding.Go(func() { c.feedProbes(feed) })
	feeding.Go(func() { l.watchTraffic(feed) })
	notices := c.settle(ctx)
	app := tui.New(tui.Config{
		Worlds: c.worlds, Probes: c.series, Commands: calls.lines,
		Run: c.run, Refresh: w.aws.Refresh, Pause: l.engine.Pause, Stage: l.stage,
		Describe: l.describe, Notices: notices, ReadOnly: g.readOnly, Now: time.Now,
	})
	err = program(app)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), quitWithin)
	defer cancel()
	closeErr := app.Close(closing)
	stop()
	feeding.Wait()
	switch {
	case closeErr != nil:
		return &model.Error{Kind: model.KindPartial, Operation: "quit", Message: "a run did not settle in time", Remedy: "start cutover again: it reads what is true and settles the journal", Err: closeErr}
	case ctx.Err() != nil:
		return context.Canceled
	case err != nil:
		return fmt.Errorf("console: %w", err)
	default:
		return nil
	}
}

// console feeds the tui from the live world and runs plans for it.
type console struct {
	*live
	worlds         chan tui.World
	series         chan tui.ProbeView
	journalChanged chan struct{}
}

// settle waits a little for the first snapshot, reads the journal, and settles
// what an interrupted run left; what it says is shown first of all.
func (c *console) settle(ctx context.Context) (notices []string) {
	first, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := c.await(first, func(*model.Snapshot) bool { return true })
	if err != nil || s == nil {
		return nil // The header says what cannot be reached.
	}
	past, err := c.entries(s)
	if err != nil {
		return []string{model.Line(err.Error())}
	}
	if len(model.Unsettled(past)) == 0 {
		return nil
	}
	var settled []run.Settled
	if c.globals.readOnly {
		settled, err = run.Recover(ctx, c.aws, nil, past)
	} else {
		var w *journal.Writer
		if w, settled, err = c.write(ctx, s); err == nil {
			err = w.Close()
		}
	}
	notices = []string{"An earlier run was interrupted between writing and reading back."}
	for _, x := range settled {
		notices = append(notices, x.String())
	}
	if err != nil {
		notices = append(notices, model.Line(err.Error()))
	}
	return notices
}

// run carries a plan out for the console, holding the journal's lock meanwhile.
func (c *console) run(ctx context.Context, p model.Plan, o run.Options, emit func(run.Event)) run.Result {
	fail := func(err error) run.Result {
		r := run.Result{Outcome: run.OutcomeUnchanged, Err: err}
		emit(run.Event{Time: time.Now(), Event: run.Done, Detail: model.Line(err.Error()), Result: &r})
		return r
	}
	j, _, err := c.write(ctx, c.snapshot())
	var journaled run.Journal = j
	if err != nil {
		if !p.WayBack || model.KindOf(err) == model.KindBlocked {
			return fail(err)
		}
		journaled = noJournal{err} // The way back goes on, saying so.
	} else {
		defer func() { _ = j.Close() }()
	}
	return c.runner(journaled, nil).Run(ctx, p, o, func(e run.Event) {
		// AWS is read again at once after our own writes, and the journal's word
		// on a host goes with the newest world.
		switch e.Event {
		case run.Verified, run.Proven, run.RolledBack, run.Done:
			c.aws.Refresh()
			c.tellJournal()
		case run.Waiting, run.Intended, run.Applied, run.Failed:
		}
		emit(e)
	})
}

func (c *console) tellJournal() {
	select {
	case c.journalChanged <- struct{}{}:
	default:
	}
}

// feedWorlds hands every newest snapshot over, with what the journal says.
func (c *console) feedWorlds(ctx context.Context) {
	defer close(c.worlds)
	tick := time.NewTicker(worldShown)
	defer tick.Stop()
	for {
		s, changed := c.next()
		if s != nil {
			entries, _ := c.entries(s) // Its trouble was said at the start, and stops a run.
			newest(c.worlds, tui.World{
				Snapshot: s, States: model.HostStatesOf(entries), Records: model.Records(entries), Journal: entries, Problems: s.Problems,
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-c.journalChanged:
		case <-tick.C:
		}
	}
}

func (c *console) feedProbes(ctx context.Context) {
	defer close(c.series)
	tick := time.NewTicker(probesShown)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		view := c.engine.View()
		out := tui.ProbeView{
			Evidence: view.Evidence, Series: make(map[tui.ProbeKey]tui.Series, len(view.Series)), Traffic: c.traffic.known(),
		}
		for k, s := range view.Series {
			shown := tui.Series{
				P50: s.P50, P95: s.P95, P99: s.P99, Max: s.Max, Good: s.Good, Count: s.Count, Nodes: s.Nodes,
				SNI: s.SNI, NoSNI: s.NoSNI, Every: s.Every, Last: s.Last, LastError: s.LastError,
			}
			for _, x := range s.Recent {
				shown.Recent = append(shown.Recent, tui.Sample{Total: x.Total, Good: x.Good})
			}
			out.Series[tui.ProbeKey{Host: k.Host, Path: k.Path}] = shown
		}
		newest(c.series, out)
	}
}

// newest puts v into a channel of one place, in place of what waits there.
func newest[T any](ch chan T, v T) {
	for {
		select {
		case ch <- v:
			return
		default:
		}
		select {
		case <-ch:
		default:
		}
	}
}

// calls is the command log on its way to the console. What the console does
// not take in time is dropped: the log is for reading along.
type calls struct{ lines chan tui.CommandLine }

func newCalls() *calls { return &calls{lines: make(chan tui.CommandLine, 256)} }

func (c *calls) add(x call) {
	select {
	case c.lines <- tui.CommandLine{Time: x.began, Line: x.line, Took: x.took, Err: x.err}:
	default:
	}
}

var errNotKnown = errors.New("it is not there any more")
