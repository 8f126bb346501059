package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
)

// planDialog shows a plan and asks for the word to carry it out.
type planDialog struct {
	scroller
	hosts     []model.HostKey
	to        model.SideName
	undo, all bool            // take back the last run, or everything
	left      []model.HostKey // asked for, and left as gates block them

	snapshot   *model.Snapshot
	plan       model.Plan
	err        error
	wait       time.Duration
	proving    bool   // a run waits for proof, which ends when this begins
	unread     string // why gates cannot be judged now
	changed    string // that the plan is not the one that was opened
	typed      string
	typing     bool   // something was typed: the focus is on the word, not on Cancel
	hint       string // what to type, after something else was
	confirming bool   // the confirming button has the focus, not Cancel

	// leaves is how many hosts would be left to go without those that are
	// blocked, 0 when that is no way out.
	leaves int

	// Changes and commands as lines, for a plan and a width: they are many, and
	// gates change more often.
	drawn             drawnPlan
	changes, commands []line
}

// drawnPlan says what lines were made for.
type drawnPlan struct {
	id    string
	width int
}

func (d *planDialog) title() span {
	hosts := d.moved()
	switch {
	case d.undo && d.all:
		return span{"Take everything back", styleTitle}
	case d.undo:
		return span{"Take the last run back", styleTitle}
	case d.plan.WayBack:
		return span{"Take " + hostWords(hosts) + " back", styleTitle}
	default:
		return span{fmt.Sprintf("Move %s to %s", hostWords(hosts), d.to), styleTitle}
	}
}

// moved returns the hosts that the plan moves, else those it was asked for.
func (d *planDialog) moved() []model.HostKey {
	if hosts := planHosts(d.plan); len(hosts) > 0 {
		return hosts
	}
	return d.hosts
}

// blocked reports that the plan cannot be confirmed.
func (d *planDialog) blocked() bool {
	return d.err != nil || d.unread != "" || len(d.plan.Changes) == 0 || d.plan.Verdict == model.Block
}

// word is what must be typed to confirm, "" where y is enough.
func (d *planDialog) word() string {
	switch {
	case d.undo && d.all:
		return "rollback"
	case d.undo:
		return ""
	case len(d.moved()) < 2 && !d.onNetwork():
		return ""
	case d.plan.WayBack:
		return "rollback"
	default:
		return "shift"
	}
}

// onNetwork reports whether the plan changes a network load balancer.
func (d *planDialog) onNetwork() bool {
	for _, c := range d.plan.Changes {
		if _, lb, ok := d.snapshot.Listener(c.Listener); ok && lb.Type == model.Network {
			return true
		}
	}
	return false
}

func (d *planDialog) types() bool { return !d.blocked() && d.word() != "" }

func (d *planDialog) press(msg tea.KeyPressMsg, k keyMap) action {
	switch {
	case matches(msg, k.Cancel):
		return closeDialog{}
	case d.blocked():
		if matches(msg, k.Press) || msg.String() == "q" {
			return closeDialog{}
		}
		if msg.String() == "s" && d.leaves > 0 {
			return leaveBlocked{}
		}
	case d.types():
		return d.pressTyped(msg, k)
	case matches(msg, k.Confirm):
		return confirmPlan{}
	case matches(msg, k.SwitchFocus):
		d.confirming = !d.confirming
	case matches(msg, k.Press) && d.confirming:
		return confirmPlan{}
	case matches(msg, k.Press), msg.String() == "q":
		return closeDialog{}
	}
	return nil
}

// pressTyped takes keys where a word confirms: Enter presses Cancel until
// something is typed, and confirms once the word is whole. What does not fit
// the word is not kept.
func (d *planDialog) pressTyped(msg tea.KeyPressMsg, k keyMap) action {
	word := d.word()
	if matches(msg, k.Press) {
		switch {
		case d.typed == word:
			return confirmPlan{}
		case !d.typing:
			return closeDialog{}
		}
		d.hint = "type the whole word: " + word
		return nil
	}
	d.typed = edit(d.typed, msg)
	d.typing = d.typing || msg.Text != ""
	d.hint = ""
	if !strings.HasPrefix(word, d.typed) {
		d.typed, d.hint = "", "that does not fit: type "+word
	}
	return nil
}

func (d *planDialog) hints() []hint {
	switch {
	case d.blocked() && d.leaves > 0:
		return []hint{{"s", "go without"}, {"esc", "close"}, {"j k", "scroll"}}
	case d.blocked():
		return []hint{{"esc", "close"}, {"j k", "scroll"}}
	case !d.types():
		return []hint{{"y", "confirm"}, {"esc", "cancel"}, {"tab", "other button"}, {"j k", "scroll"}}
	case d.typed == d.word():
		return []hint{{"enter", "confirm"}, {"esc", "cancel"}}
	default:
		return []hint{{"esc", "cancel"}, {"↑ ↓", "scroll"}}
	}
}

// button draws a button, with the focus or without.
func button(label string, focused bool) span {
	if focused {
		return span{"[ " + label + " ]", styleButton}
	}
	return span{"  " + label + "  ", styleDim}
}

func (d *planDialog) foot(w int) []line {
	if d.blocked() {
		l := line{button("Close", true)}
		if d.leaves > 0 {
			l = append(l, span{"   s ", styleKey}, span{"go without " + d.leaving(), stylePlain})
		}
		return append([]line{l}, d.remedy(w)...)
	}
	verb := "move to " + string(d.to)
	if d.plan.WayBack {
		verb = "take back"
	}
	after := ""
	if d.plan.Verdict == model.Wait {
		after = "   the run then waits up to " + ago(d.wait) + " for the gates"
	}
	word := d.word()
	if word == "" {
		l := line{button("Cancel", !d.confirming), {"  ", stylePlain}}
		if d.confirming {
			l = append(l, span{"[ y " + verb + " ]", styleButton})
		} else {
			l = append(l, span{"  y ", styleKey}, span{verb + "  ", stylePlain})
		}
		return []line{append(l, span{after, styleWarn})}
	}
	whole := d.typed == word
	l := line{
		button("Cancel", !d.typing),
		{"   type ", stylePlain},
		{word, styleKey},
		{" to " + verb + ": ", stylePlain},
		{d.typed, styleField},
		{"▏", styleKey},
	}
	if whole {
		l = append(l, span{"   enter confirms", styleGood})
	}
	out := []line{l}
	if d.hint != "" {
		out = append(out, line{{d.hint, styleWarn}})
	}
	if after != "" {
		out = append(out, line{{after[3:], styleWarn}})
	}
	return out
}

// leaving says who is left when the others go.
func (d *planDialog) leaving() string {
	if blocked := blockedHosts(d.plan); d.leaves == 1 && len(blocked) == 1 {
		return hostWords(blocked)
	}
	return fmt.Sprintf("the %d that are blocked", d.leaves)
}

// remedy says how a blocked plan could be carried out all the same.
func (d *planDialog) remedy(w int) []line {
	if d.err != nil || d.unread == "" && d.plan.Verdict != model.Block {
		return nil
	}
	if d.unread != "" {
		return appendWrapped(nil, w, "", "It can be confirmed once that is read again; nothing is decided on what is not known.", styleWarn)
	}
	text := "A gate blocks this plan: it cannot be confirmed here."
	if d.leaves > 0 {
		text = "Gates block " + hostNames(blockedHosts(d.plan)) + ": the plan cannot be confirmed with them."
	}
	for _, g := range d.plan.Gates {
		if g.Verdict == model.Block && !g.ID.Overridable() {
			text += fmt.Sprintf(" The gate %s cannot be overridden.", g.ID)
			break
		}
	}
	if text[len(text)-11:] != "overridden." {
		text += " What you know better is overridden on the command line: cutover shift --host … --override GATE=HOST --reason …"
	}
	return appendWrapped(nil, w, "", text, styleWarn)
}
