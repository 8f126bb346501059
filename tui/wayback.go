package tui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// observing is how long an observation of AWS may have been under way.
const observing = 3 * time.Second

// records are the changes that can be taken back: those of the journal, and
// those that this console has seen made and the journal has not told of yet, or
// cannot. A change that is in both counts once: they fold into one.
func (a *App) records() []model.Record {
	return append(slices.Clone(a.world.Records), a.unrecorded...)
}

// made remembers a change that the run in flight made, or put back.
func (a *App) made(e run.Event) {
	c, ok := a.run.change(e)
	if !ok || e.Event == run.Verified && e.Proof == "" { // It was so already.
		return
	}
	r := model.Record{Run: a.run.name(), To: a.run.plan.Intent.To, WayBack: a.run.plan.WayBack, Change: c}
	if e.Event == run.RolledBack {
		r.To, r.WayBack, r.Change = r.To.Opposite(), true, c.Inverse()
	}
	a.unrecorded = append(a.unrecorded, r)
	a.madeAt = a.now
	a.recount()
}

// observedSince returns the snapshot that way backs are planned by: none where
// the last one may be from before what this console has made, as it would say
// that there is nothing to take back. The run reads everything anew.
func (a *App) observedSince() *model.Snapshot {
	s := a.world.Snapshot
	if s == nil || !a.madeAt.IsZero() && s.AWS.ObservedAt.Before(a.madeAt.Add(observing)) {
		return nil
	}
	return s
}

// nameMade gives what a run made the name that the journal has for it.
func (a *App) nameMade(r *runState, result run.Result) {
	if result.Run == "" {
		return
	}
	a.own[result.Run] = true
	for i := range a.unrecorded {
		if a.unrecorded[i].Run == r.name() {
			a.unrecorded[i].Run = result.Run
		}
	}
	a.recount()
}

// recount drops what the journal has told of meanwhile, and works out what z
// takes back.
func (a *App) recount() {
	a.unrecorded = slices.DeleteFunc(a.unrecorded, func(r model.Record) bool {
		return slices.ContainsFunc(a.world.Records, func(k model.Record) bool {
			return k.Run == r.Run && k.WayBack == r.WayBack && k.Change.Ref() == r.Change.Ref()
		})
	})
	a.undoable = model.WayBackOfRun(a.records(), "")
}

// moved returns the side that the run in flight has moved a host to.
func (a *App) movedTo(h model.HostKey) (model.SideName, bool) {
	if !a.run.proving() || !slices.Contains(planHosts(a.run.plan), h) {
		return "", false
	}
	return a.run.plan.Intent.To, true
}

// openUndo opens the plan that takes back the last run, or all of them. While a
// run still writes or waits for gates, it offers to stop that first.
func (a *App) openUndo(all bool) {
	if a.run == nil || a.run.proving() {
		a.openPlan(&planDialog{undo: true, all: all})
		return
	}
	a.open(&choice{
		question: "Stop the run?",
		text: []string{
			"The change that is being written is finished and recorded first. Then what the run did is taken back.",
		},
		wayOut:  "Go on",
		options: []option{{"y", "stop it, and take back what it did", stopConfirmed{}}},
	})
}

// stopRun tells the run in flight to end.
func (a *App) stopRun() {
	a.run.stopping = true
	a.run.cancel()
	a.note(styleWarn, "run is being stopped", "")
}

// stopAndTakeBack stops the run in flight and takes back what it did; one that
// has ended meanwhile is taken back as ever.
func (a *App) stopAndTakeBack() {
	if a.run == nil {
		a.openUndo(false)
		return
	}
	a.run.takeBack = true
	a.stopRun()
}

// startNext begins a way back as soon as the run in flight, which only waits
// for proof, has ended.
func (a *App) startNext(p model.Plan) {
	if !p.WayBack {
		a.say(styleWarn, "a run is in flight: wait for its end, or take it back with z")
		return
	}
	a.run.next = &p
	a.stopRun()
}

// afterRun does what was to follow the end of the run.
func (a *App) afterRun(r *runState, result run.Result) tea.Cmd {
	switch {
	case r.quitting:
		return tea.Quit
	case r.next != nil:
		return a.start(*r.next)
	case !r.takeBack:
		return nil
	}
	name := r.name()
	if result.Run != "" {
		name = result.Run
	}
	p, err := model.WayBack(a.observedSince(), model.WayBackOfRun(a.records(), name), nil)
	switch {
	case err != nil:
		a.say(styleBad, cause(err))
		return nil
	case len(p.Changes) == 0 && !result.Unsettled:
		a.say(styleGood, "run stopped: nothing is left of it")
		return nil
	case len(p.Changes) == 0:
		return nil
	default:
		return a.start(p)
	}
}

// refuse says why a key that changes something does nothing now.
func (a *App) refuse(msg tea.KeyPressMsg) {
	k := a.keys
	toggle, back := matches(msg, k.Toggle), matches(msg, k.Undo) || matches(msg, k.UndoAll)
	why := ""
	switch {
	case !toggle && !back && !matches(msg, k.Mark):
		return
	case a.cfg.ReadOnly || a.cfg.Run == nil:
		why = "read-only: nothing can be changed"
	case a.run != nil && a.run.stopping:
		why = "the run is being stopped"
	case (toggle || back) && a.run != nil && a.run.plan.WayBack:
		why = "the way back is under way"
	case (toggle || back) && a.run != nil && !a.run.proving():
		why = "a run is in flight: z stops it and takes it back"
	case back:
		why = "nothing to take back"
	case a.focus != paneHosts:
		why = "that works on hosts: 5 goes there"
	default:
		why = "there is no host here"
	}
	a.say(styleWarn, why)
}
