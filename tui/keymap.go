package tui

import (
	"charm.land/bubbles/v2/help"
	"charm.land/bubbles/v2/key"
)

// keyMap is every key of the main screen. Bindings that would do nothing at
// the moment are disabled: they are not matched, and help does not show them.
type keyMap struct {
	Up, Down, Top, Bottom               key.Binding
	HalfUp, HalfDown, PageUp, PageDown  key.Binding
	NextPane, PreviousPane, Pane        key.Binding
	Toggle, Mark, Undo, UndoAll         key.Binding
	Filter, Details, Sort, CommandLog   key.Binding
	Pause, Refresh, Help, Back, Quit    key.Binding
	Confirm, Press, Cancel, SwitchFocus key.Binding // in dialogs
}

var _ help.KeyMap = keyMap{}

func newKeyMap() keyMap {
	bind := func(help, does string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, does))
	}
	return keyMap{
		Up:           bind("k ↑", "up", "k", "up"),
		Down:         bind("j ↓", "down", "j", "down"),
		Top:          bind("g", "first", "g", "home"),
		Bottom:       bind("G", "last", "G", "end"),
		HalfUp:       bind("ctrl-u", "half a page up", "ctrl+u"),
		HalfDown:     bind("ctrl-d", "half a page down", "ctrl+d"),
		PageUp:       bind("pgup", "page up", "pgup"),
		PageDown:     bind("pgdn", "page down", "pgdown"),
		NextPane:     bind("tab", "next pane", "tab"),
		PreviousPane: bind("shift-tab", "previous pane", "shift+tab"),
		Pane:         bind("1–7", "go to pane", "1", "2", "3", "4", "5", "6", "7"),
		Toggle:       bind("t", "move to the other side", "t"),
		Mark:         bind("space", "mark", "space"),
		Undo:         bind("z", "take the last run back", "z"),
		UndoAll:      bind("Z", "take everything back", "Z"),
		Filter:       bind("/", "filter", "/"),
		Details:      bind("enter", "details", "enter", "d"),
		Sort:         bind("s", "sort", "s"),
		CommandLog:   bind("@", "command log", "@"),
		Pause:        bind("p", "pause probes", "p"),
		Refresh:      bind("ctrl-r", "refresh", "ctrl+r"),
		Help:         bind("?", "help", "?"),
		Back:         bind("esc", "back", "esc"),
		Quit:         bind("q", "quit", "q", "ctrl+c"),
		Confirm:      bind("y", "confirm", "y"),
		Press:        bind("enter", "press the button", "enter"),
		Cancel:       bind("esc", "cancel", "esc"),
		SwitchFocus:  bind("tab", "other button", "tab", "left", "right", "shift+tab"),
	}
}

// situation is what decides which keys work.
type situation struct {
	focus   paneID
	rows    bool // the focused pane shows rows
	hosts   bool // there is a host to move
	running bool
	// Of the run in flight: it only waits for proof, it was told to end, it is
	// a way back.
	proving, stopping, goingBack bool

	readOnly bool
	records  bool // there is something to take back
	filtered bool
	marked   bool
	paused   bool
}

// enable turns bindings on and off.
func (k *keyMap) enable(s situation) {
	// Nothing holds the way back, the proof of another run least of all.
	change := !s.readOnly && !s.stopping && (!s.running || s.proving)
	writing := s.running && !s.proving && !s.stopping && !s.goingBack
	onHosts := s.focus == paneHosts
	for _, b := range []*key.Binding{&k.Up, &k.Down, &k.Top, &k.Bottom, &k.HalfUp, &k.HalfDown, &k.PageUp, &k.PageDown} {
		b.SetEnabled(s.rows)
	}
	k.Toggle.SetEnabled(change && onHosts && s.hosts)
	k.Mark.SetEnabled(!s.readOnly && onHosts && s.hosts)
	k.Undo.SetEnabled(change && s.records || writing && !s.readOnly)
	k.UndoAll.SetEnabled(change && s.records)
	k.Details.SetEnabled(s.rows)
	k.Sort.SetEnabled(onHosts && s.hosts)
	k.Back.SetEnabled(s.filtered || s.marked)
	if writing {
		k.Undo.SetHelp("z", "stop the run and take it back")
	} else {
		k.Undo.SetHelp("z", "take the last run back")
	}
	switch {
	case s.filtered:
		k.Back.SetHelp("esc", "clear the filter")
	case s.marked:
		k.Back.SetHelp("esc", "clear the marks")
	default:
		k.Back.SetHelp("esc", "back")
	}
	if s.paused {
		k.Pause.SetHelp("p", "resume probes")
	} else {
		k.Pause.SetHelp("p", "pause probes")
	}
}

// ShortHelp returns the keys of the footer, the most useful first.
func (k keyMap) ShortHelp() []key.Binding {
	return []key.Binding{
		k.Toggle, k.Mark, k.Undo, k.Details, k.Filter, k.Back, k.Help, k.Quit,
		k.NextPane, k.Sort, k.CommandLog, k.Pause, k.Refresh, k.UndoAll,
	}
}

// FullHelp returns all keys in groups: change, look, program, move, panes.
func (k keyMap) FullHelp() [][]key.Binding {
	return [][]key.Binding{
		{k.Toggle, k.Mark, k.Undo, k.UndoAll},
		{k.Details, k.Filter, k.Sort, k.CommandLog, k.Back},
		{k.Pause, k.Refresh, k.Help, k.Quit},
		{k.Down, k.Up, k.Top, k.Bottom, k.HalfDown, k.HalfUp, k.PageDown, k.PageUp},
		{k.NextPane, k.PreviousPane, k.Pane},
	}
}
