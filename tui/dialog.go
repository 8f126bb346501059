package tui

import (
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// deafness is how long a dialog ignores keys when nobody asked for what it
// shows: a key that was meant for something else must not answer it.
const deafness = 500 * time.Millisecond

// line is one line of a dialog.
type line []span

// action is what a dialog wants of App. Dialogs decide nothing else.
type action interface{ isAction() }

type (
	// closeDialog takes the dialog away.
	closeDialog struct{}
	// confirmPlan starts the plan of the plan dialog.
	confirmPlan struct{}
	// leaveBlocked plans anew without the hosts that gates block.
	leaveBlocked struct{}
	// choose takes an option of a choice.
	choose struct{ option option }
)

func (closeDialog) isAction()  {}
func (confirmPlan) isAction()  {}
func (leaveBlocked) isAction() {}
func (choose) isAction()       {}

// hint is a key of a dialog and what it does.
type hint struct{ key, does string }

// dialog is what is shown over the panes.
type dialog interface {
	title() span
	// body is the part that scrolls, at most width wide.
	body(width int) []line
	// foot is the part that stays, below the body.
	foot(width int) []line
	// press takes a key that does not scroll. It returns nil when nothing follows.
	press(msg tea.KeyPressMsg, k keyMap) action
	// types reports that letters are typed into a field, so that they do not scroll.
	types() bool
	hints() []hint
	view() *scroller
}

// scroller is how a dialog is laid out at the moment.
type scroller struct {
	lines  []line // the body
	below  []line // the foot
	box    rect
	height int // visible lines of the body
	top    int
	// unasked says that nobody asked for what is shown: when it is drawn, keys
	// are ignored until deaf.
	unasked bool
	deaf    time.Time
	wide    int // the width that the body would like
	// built is the width that lines are for, 0 when they must be built anew.
	built int
}

func (s *scroller) view() *scroller { return s }

func (s *scroller) move(by int) {
	s.top = max(0, min(s.top+by, len(s.lines)-s.height))
}

// scroll takes the keys that scroll and reports whether it was one.
func (s *scroller) scroll(msg tea.KeyPressMsg, k keyMap, letters bool) bool {
	name := msg.String()
	switch {
	case len(name) == 1 && !letters:
		return false
	case matches(msg, k.Up):
		s.move(-1)
	case matches(msg, k.Down):
		s.move(1)
	case matches(msg, k.HalfUp):
		s.move(-max(1, s.height/2))
	case matches(msg, k.HalfDown):
		s.move(max(1, s.height/2))
	case matches(msg, k.PageUp):
		s.move(-max(1, s.height))
	case matches(msg, k.PageDown):
		s.move(max(1, s.height))
	case matches(msg, k.Top):
		s.move(-len(s.lines))
	case matches(msg, k.Bottom):
		s.move(len(s.lines))
	default:
		return false
	}
	return true
}

// matches is key.Matches also for bindings that the screen has disabled:
// dialogs scroll whatever is behind them.
func matches(msg tea.KeyPressMsg, b key.Binding) bool {
	b.SetEnabled(true)
	return key.Matches(msg, b)
}

func (a *App) open(d dialog) { a.dialogs = append(a.dialogs, d) }

func (a *App) closeTop() {
	if n := len(a.dialogs); n > 0 {
		a.dialogs = a.dialogs[:n-1]
	}
}

// pressDialog gives a key to the dialog on top.
func (a *App) pressDialog(d dialog, msg tea.KeyPressMsg) action {
	v := d.view()
	if a.now.Before(v.deaf) || v.scroll(msg, a.keys, !d.types()) {
		return nil
	}
	return d.press(msg, a.keys)
}

// act does what a dialog wants.
func (a *App) act(d dialog, wanted action) tea.Cmd {
	switch wanted := wanted.(type) {
	case closeDialog:
		a.closeDialog(d)
	case confirmPlan:
		if p, ok := d.(*planDialog); ok {
			a.closeTop()
			return a.start(p.plan)
		}
	case leaveBlocked:
		if p, ok := d.(*planDialog); ok {
			a.leaveBlocked(p)
		}
	case choose:
		a.closeTop()
		return a.take(wanted.option.then)
	}
	return nil
}

func (a *App) closeDialog(d dialog) {
	a.closeTop()
	if _, ok := d.(*planDialog); ok && a.run == nil {
		a.stage(nil)
	}
}

// layDialog works out where a dialog is and what it shows.
func (a *App) layDialog(d dialog) {
	v := d.view()
	if a.layout.shape == shapeTiny {
		return
	}
	w := min(a.w-4, max(v.wide, 72))
	if a.w-w < 24 {
		w = a.w - 4 // Slivers of panes beside a dialog only confuse.
	}
	if v.unasked {
		v.unasked, v.deaf = false, a.cfg.Now().Add(deafness)
	}
	if v.built != w {
		v.lines, v.built = d.body(w-4), w
	}
	v.below = d.foot(w - 4)
	h := min(len(v.lines)+len(v.below)+3, a.h-2)
	v.height = max(1, h-len(v.below)-3)
	if len(v.below) == 0 {
		h = min(len(v.lines)+2, a.h-2)
		v.height = max(1, h-2)
	}
	v.box = rect{(a.w - w) / 2, max(1, (a.h-h)/2), w, h}
	v.move(0)
}
