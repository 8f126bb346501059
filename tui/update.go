package tui

import (
	"fmt"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
)

// Update takes in what has happened. It never waits for anything.
func (a *App) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := a.take(msg)
	a.settle()
	return a, cmd
}

func (a *App) take(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		a.w, a.h = max(0, msg.Width), max(0, msg.Height)
		a.resize()
	case tea.ColorProfileMsg:
		a.setPalette(msg.String())
	case tea.BackgroundColorMsg:
		a.dark = msg.IsDark()
		a.theme = newTheme(a.palette, a.dark)
	case tea.KeyPressMsg:
		return a.press(msg)
	case tea.PasteMsg:
		a.paste(msg.Content)
	case ticked:
		return tea.Batch(a.tick(msg.now), tick(a.quit, a.cfg.Now))
	case worldArrived:
		return a.takeWorld(msg)
	case probesArrived:
		return a.takeProbes(msg)
	case gatesJudged:
		return a.takeJudgement(msg)
	case commandsLogged:
		a.log = trimLog(append(a.log, msg.lines...))
		if msg.open {
			return receiveCommands(a.quit, a.cfg.Commands, redrawEvery)
		}
	case runAdvanced:
		return a.advanceRun(msg)
	case described:
		return a.takeDescription(msg)
	case sideChosen:
		a.move(msg.hosts, msg.to)
	case laneChosen:
		a.openPlan(&planDialog{hosts: msg.hosts, to: msg.to})
	case quitConfirmed:
		return a.quitRun()
	case stopConfirmed:
		a.stopAndTakeBack()
	case quitTimedOut:
		if a.run != nil && a.run.generation == msg.generation {
			return tea.Quit
		}
	}
	return nil
}

func (a *App) setPalette(profile string) {
	switch profile {
	case "TrueColor", "ANSI256":
		a.palette = palette256
	case "ANSI":
		a.palette = palette16
	default:
		a.palette = paletteNone
	}
	a.theme = newTheme(a.palette, a.dark)
}

func (a *App) tick(now time.Time) tea.Cmd {
	a.now = now
	if a.status.until.Before(now) {
		a.status = status{}
	}
	if a.forgetProgress() {
		a.stale.hosts = true
	}
	if now.Second() == 0 {
		a.stale.world = true // Ages of certificates are on screen.
	}
	a.refreshDetails()
	return a.judge(false, true) // Probes and certificates age without any news.
}

func (a *App) takeWorld(msg worldArrived) tea.Cmd {
	a.now = a.cfg.Now()
	var judge tea.Cmd
	if msg.world.Snapshot != nil {
		first := a.world.Snapshot == nil
		before := a.world.Snapshot
		a.world, a.arrived = msg.world, a.now
		a.recall(first)
		a.tellForeign(before, a.world.Snapshot)
		a.recount()
		a.stale.world = true
		a.forgetProgress()
		a.noteProblems()
		a.replan()
		judge = a.judge(true, true)
		if first {
			a.note(styleDim, fmt.Sprintf("%s, %s observed",
				count(len(a.world.Snapshot.Hosts), "host"), count(len(a.world.Snapshot.Lanes), "lane")), "")
		}
	}
	if msg.world.Snapshot == nil && msg.open {
		a.world.Problems = msg.world.Problems
		a.noteProblems()
	}
	if !msg.open {
		a.ended = true
		return judge
	}
	return tea.Batch(judge, receiveWorld(a.quit, a.cfg.Worlds, redrawEvery))
}

func (a *App) takeProbes(msg probesArrived) tea.Cmd {
	var judge tea.Cmd
	if msg.view.Series != nil || msg.view.Evidence != nil {
		a.now = a.cfg.Now()
		a.probes = msg.view
		a.stale.hosts, a.stale.probes = true, true
		judge = a.judge(true, true)
	}
	if !msg.open {
		return judge
	}
	return tea.Batch(judge, receiveProbes(a.quit, a.cfg.Probes, redrawEvery))
}

// noteProblems writes into Activity what cannot be observed since now, and
// what has healed.
func (a *App) noteProblems() {
	words := ""
	if p := a.world.Problems; len(p) > 0 {
		words = problemWords(p[0])
		if len(p) > 1 {
			words += fmt.Sprintf(" and %d more", len(p)-1)
		}
	}
	if words == a.lastFault {
		return
	}
	if words == "" {
		a.note(styleGood, "all observed again", "")
	} else {
		detail := ""
		for _, p := range a.world.Problems {
			detail += problemWords(p) + "\n" + p.Message + "\nsince " + p.Since.Format(time.DateTime) + "\n\n"
		}
		a.note(styleBad, words, detail)
	}
	a.lastFault = words
}

// problemWords says what cannot be observed: "kubernetes: denied, list secrets".
func problemWords(p model.Problem) string {
	return model.Line(p.Source + ": " + trouble(p) + ", " + p.Operation)
}

// press routes a key: to the dialog on top, to the filter that is being typed,
// then to the screen.
func (a *App) press(msg tea.KeyPressMsg) tea.Cmd {
	a.now = a.cfg.Now()
	if msg.String() == "ctrl+c" {
		return a.askQuit()
	}
	if a.layout.shape == shapeTiny {
		return a.pressTiny(msg)
	}
	if d := a.dialog(); d != nil {
		return a.act(d, a.pressDialog(d, msg))
	}
	p := a.panes[a.focus]
	if p.filtering {
		a.typeFilter(p, msg)
		return nil
	}
	return a.pressScreen(p, msg)
}

// pressTiny takes keys where nothing but one line can be seen: nothing can be
// confirmed there but to quit.
func (a *App) pressTiny(msg tea.KeyPressMsg) tea.Cmd {
	if key.Matches(msg, a.keys.Quit) {
		return a.askQuit()
	}
	if q, ok := a.dialog().(*choice); ok && q.quits {
		return a.act(q, a.pressDialog(q, msg))
	}
	return nil
}

func (a *App) pressScreen(p *pane, msg tea.KeyPressMsg) tea.Cmd {
	k := a.keys
	switch {
	case key.Matches(msg, k.Up):
		p.move(-1)
	case key.Matches(msg, k.Down):
		p.move(1)
	case key.Matches(msg, k.Top):
		p.move(-len(p.rows))
	case key.Matches(msg, k.Bottom):
		p.move(len(p.rows))
	case key.Matches(msg, k.HalfUp):
		p.move(-max(1, p.height/2))
	case key.Matches(msg, k.HalfDown):
		p.move(max(1, p.height/2))
	case key.Matches(msg, k.PageUp):
		p.move(-max(1, p.height))
	case key.Matches(msg, k.PageDown):
		p.move(max(1, p.height))
	case key.Matches(msg, k.NextPane):
		a.setFocus((a.focus + 1) % paneCount)
	case key.Matches(msg, k.PreviousPane):
		a.setFocus((a.focus + paneCount - 1) % paneCount)
	case key.Matches(msg, k.Pane):
		a.setFocus(paneID(msg.String()[0] - '1'))
	case key.Matches(msg, k.Filter):
		p.filtering = true
	case key.Matches(msg, k.Back):
		if p.filter != "" {
			p.setFilter("")
		} else {
			clear(p.marks)
		}
	case key.Matches(msg, k.Mark):
		p.toggleMark()
	case key.Matches(msg, k.Sort):
		a.order = (a.order + 1) % orderCount
		a.stale.hosts = true
		a.say(styleDim, "sorted by "+a.order.String())
	default:
		return a.pressAction(p, msg)
	}
	return nil
}

func (a *App) pressAction(p *pane, msg tea.KeyPressMsg) tea.Cmd {
	k := a.keys
	switch {
	case key.Matches(msg, k.Toggle):
		a.toggle(p.chosen())
	case key.Matches(msg, k.Undo):
		a.openUndo(false)
	case key.Matches(msg, k.UndoAll):
		a.openUndo(true)
	case key.Matches(msg, k.Details):
		if r, ok := p.current(); ok {
			return a.openDetails(p.id, r)
		}
	case key.Matches(msg, k.CommandLog):
		a.open(newCommandLog(a.log))
	case key.Matches(msg, k.Help):
		a.open(newHelp(a.keys))
	case key.Matches(msg, k.Pause):
		a.paused = !a.paused
		if a.cfg.Pause != nil {
			a.cfg.Pause(a.paused)
		}
		a.say(styleDim, map[bool]string{true: "probes paused", false: "probes go on"}[a.paused])
	case key.Matches(msg, k.Refresh):
		if a.cfg.Refresh != nil {
			a.cfg.Refresh()
		}
		a.say(styleDim, "observing everything anew")
	case key.Matches(msg, k.Quit):
		return a.askQuit()
	default:
		a.refuse(msg)
	}
	return nil
}

func (a *App) typeFilter(p *pane, msg tea.KeyPressMsg) {
	switch msg.String() {
	case "esc":
		p.filtering = false
		p.setFilter("")
	case "enter":
		p.filtering = false
	case "up":
		p.move(-1)
	case "down":
		p.move(1)
	default:
		p.setFilter(edit(p.filter, msg))
	}
}

// edit applies a key to a line of text that is typed at its end.
func edit(s string, msg tea.KeyPressMsg) string {
	switch msg.String() {
	case "backspace", "ctrl+h":
		if r := []rune(s); len(r) > 0 {
			return string(r[:len(r)-1])
		}
	case "ctrl+u", "ctrl+w":
		return ""
	default:
		if t := model.Line(msg.Text); t != "" && len(s) < 200 {
			return s + t
		}
	}
	return s
}

// paste adds pasted text to the filter that is being typed. Dialogs take none:
// a word that confirms must be typed.
func (a *App) paste(s string) {
	if p := a.panes[a.focus]; p.filtering && a.dialog() == nil && len(s) < 200 {
		p.setFilter(p.filter + model.Line(s))
	}
}
