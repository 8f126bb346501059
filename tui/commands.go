package tui

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

const (
	// redrawEvery bounds how often deliveries redraw the screen.
	redrawEvery = 100 * time.Millisecond
	// describeTimeout bounds how long a details dialog waits for its text.
	describeTimeout = 10 * time.Second
	// quitTimeout bounds how long quitting waits for the run to settle.
	quitTimeout = 20 * time.Second
)

// receiveWorld waits for the next World and skips those that are already old.
func receiveWorld(quit <-chan struct{}, ch <-chan World, pause time.Duration) tea.Cmd {
	return func() tea.Msg {
		worlds, open, ok := receive(quit, ch, pause)
		if !ok {
			return nil
		}
		m := worldArrived{open: open}
		if len(worlds) > 0 {
			m.world = worlds[len(worlds)-1]
		}
		return m
	}
}

// receiveProbes waits for the next ProbeView and skips those that are old.
func receiveProbes(quit <-chan struct{}, ch <-chan ProbeView, pause time.Duration) tea.Cmd {
	return func() tea.Msg {
		views, open, ok := receive(quit, ch, pause)
		if !ok {
			return nil
		}
		m := probesArrived{open: open}
		if len(views) > 0 {
			m.view = views[len(views)-1]
		}
		return m
	}
}

// receiveCommands waits for the next command lines.
func receiveCommands(quit <-chan struct{}, ch <-chan CommandLine, pause time.Duration) tea.Cmd {
	return func() tea.Msg {
		lines, open, ok := receive(quit, ch, pause)
		if !ok {
			return nil
		}
		return commandsLogged{lines: lines, open: open}
	}
}

// receive waits at least pause and for a first value, and returns it with all
// that are there already. It is not ok when quit was closed first.
func receive[T any](quit <-chan struct{}, ch <-chan T, pause time.Duration) (values []T, open, ok bool) {
	if pause > 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
		case <-quit:
			return nil, false, false
		}
	}
	select {
	case v, more := <-ch:
		if !more {
			return nil, false, true
		}
		values = append(values, v)
	case <-quit:
		return nil, false, false
	}
	for {
		select {
		case v, more := <-ch:
			if !more {
				return values, false, true
			}
			values = append(values, v)
		default:
			return values, true, true
		}
	}
}

// tick reports the time at the next second.
func tick(quit <-chan struct{}, now func() time.Time) tea.Cmd {
	return func() tea.Msg {
		t := now()
		timer := time.NewTimer(t.Truncate(time.Second).Add(time.Second).Sub(t))
		defer timer.Stop()
		select {
		case <-timer.C:
			return ticked{now()}
		case <-quit:
			return nil
		}
	}
}

// judgeGates judges the gates of all hosts, and of a plan where one is open.
func judgeGates(s *model.Snapshot, e model.Evidence, now time.Time, all bool, open *model.Plan) tea.Cmd {
	var plan model.Plan
	if open != nil {
		plan = *open
	}
	return func() tea.Msg {
		m := gatesJudged{snapshot: s, plan: plan.ID}
		if all {
			m.worst = map[model.HostKey]model.Gate{}
			for _, g := range model.HostGates(s, e, now) {
				if have, ok := m.worst[g.Host]; !ok || severity(g.Verdict) > severity(have.Verdict) {
					m.worst[g.Host] = g.Gate
				}
			}
		}
		if plan.ID != "" {
			m.gates = model.Gates(s, plan, e, now)
		}
		return m
	}
}

// describe fetches the text of objects, one after the other.
func describe(get func(context.Context, Ref) (string, error), ref Ref, generation int) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), describeTimeout)
		defer cancel()
		text, err := get(ctx, ref)
		return described{generation: generation, ref: ref, text: text, err: err}
	}
}

// runner is Config.Run.
type runner func(ctx context.Context, p model.Plan, o run.Options, emit func(run.Event)) run.Result

// feed carries the events of one run from its goroutines to Update. It holds
// as many as come, so that a slow terminal never holds up a run.
type feed struct {
	mu     sync.Mutex
	events []run.Event
	result *run.Result
	begun  bool
	news   chan struct{} // holds one token when there is something to take
	ended  chan struct{} // closed when the run has returned
}

// begin notes that the run goes on in a goroutine now.
func (f *feed) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = true
}

// hasBegun reports whether there is an end to wait for.
func (f *feed) hasBegun() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun
}

func newFeed() *feed { return &feed{news: make(chan struct{}, 1), ended: make(chan struct{})} }

func (f *feed) emit(e run.Event) {
	f.mu.Lock()
	f.events = append(f.events, e)
	f.mu.Unlock()
	f.signal()
}

func (f *feed) end(r run.Result) {
	f.mu.Lock()
	f.result = &r
	f.mu.Unlock()
	f.signal()
	close(f.ended)
}

func (f *feed) signal() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// carryOut starts the run and returns when it has ended. What happens in it
// comes by way of the feed.
func carryOut(ctx context.Context, r runner, p model.Plan, o run.Options, f *feed) tea.Cmd {
	return func() tea.Msg {
		f.begin()
		f.end(r(ctx, p, o, f.emit))
		return nil
	}
}

// followRun waits for news of the run.
func followRun(quit <-chan struct{}, f *feed, generation int) tea.Cmd {
	return func() tea.Msg {
		select {
		case <-f.news:
		case <-quit:
			return nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		m := runAdvanced{generation: generation, events: f.events, result: f.result}
		f.events = nil
		return m
	}
}

// limitQuit reports when quitting has waited long enough for the run.
func limitQuit(quit <-chan struct{}, generation int) tea.Cmd {
	return func() tea.Msg {
		timer := time.NewTimer(quitTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			return quitTimedOut{generation}
		case <-quit:
			return nil
		}
	}
}
