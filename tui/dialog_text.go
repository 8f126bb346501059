package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
)

// textDialog shows text that scrolls: details, help, the command log.
type textDialog struct {
	scroller
	name    string
	content func(width int) []line
	// Of details: what they are about, which objects are described, and what
	// came of it.
	pane       paneID
	row        row
	generation int
	pending    []Ref
	texts      []describedText
}

type describedText struct {
	ref  Ref
	text string
	err  error
}

func (d *textDialog) title() span { return span{d.name, styleTitle} }

func (d *textDialog) body(w int) []line {
	out := d.content(w)
	for _, t := range d.texts {
		out = append(out, nil, line{{string(t.ref.Kind) + " ", styleTitle}, {model.Line(t.ref.Name), styleTitle}})
		if t.err != nil {
			for _, l := range wrap("cannot be described: "+model.Line(t.err.Error()), w) {
				out = append(out, line{{l, styleBad}})
			}
			continue
		}
		for _, l := range strings.Split(strings.TrimRight(safe(t.text), "\n"), "\n") {
			out = append(out, yamlLine(l))
		}
	}
	for _, r := range d.pending {
		out = append(out, nil, line{{fmt.Sprintf("%s %s is being read …", r.Kind, model.Line(r.Name)), styleDim}})
	}
	return out
}

// yamlLine dims the key of a line of YAML, so that values stand out.
func yamlLine(s string) line {
	at := strings.Index(s, ": ")
	if strings.HasSuffix(s, ":") {
		at = len(s) - 1
	}
	if at < 0 || strings.ContainsAny(strings.TrimLeft(s[:at], " -"), " \"'") {
		return line{{s, stylePlain}}
	}
	return line{{s[:at+1], styleDim}, {s[at+1:], stylePlain}}
}

func (d *textDialog) foot(int) []line { return nil }

func (d *textDialog) press(msg tea.KeyPressMsg, k keyMap) action {
	if matches(msg, k.Cancel) || matches(msg, k.Press) || msg.String() == "q" || msg.String() == "?" && d.name == helpTitle {
		return closeDialog{}
	}
	return nil
}

func (d *textDialog) types() bool { return false }

func (d *textDialog) hints() []hint { return []hint{{"esc", "close"}, {"j k", "scroll"}} }

// safe makes text from outside safe to draw; tabs would break the columns.
func safe(s string) string { return strings.ReplaceAll(model.Text(s), "\t", "  ") }

const helpTitle = "Keys that work here and now"

// newHelp lists the keys that work, as the keymap says.
func newHelp(k keyMap) *textDialog {
	titles := []string{"Change", "Look", "Program", "Move", "Panes"}
	var columns [2][]line
	for i, group := range k.FullHelp() {
		var keys []line
		for _, b := range group {
			if b.Enabled() {
				keys = append(keys, line{{fmt.Sprintf("  %-10s", b.Help().Key), styleKey}, {b.Help().Desc, stylePlain}})
			}
		}
		if len(keys) == 0 {
			continue
		}
		side := &columns[i/3]
		if len(*side) > 0 {
			*side = append(*side, nil)
		}
		*side = append(append(*side, line{{titles[i], styleTitle}}), keys...)
	}
	d := &textDialog{name: helpTitle, content: func(w int) []line { return beside(columns[0], columns[1], w) }}
	d.wide = 80
	return d
}

// beside lays two columns of lines side by side, or one under the other where
// there is no room for both.
func beside(a, b []line, w int) []line {
	const first = 38
	if w < 68 {
		return append(append(slices.Clone(a), nil), b...)
	}
	out := make([]line, 0, max(len(a), len(b)))
	for i := range max(len(a), len(b)) {
		var l line
		if i < len(a) {
			l = append(l, a[i]...)
		}
		if i < len(b) {
			l = append(l, span{strings.Repeat(" ", max(1, first-spansWidth(l))), stylePlain})
			l = append(l, b[i]...)
		}
		out = append(out, l)
	}
	return out
}

// The command log keeps the last calls that read and, as those come all the
// time, more of those that may have changed something.
const mostReads, mostWrites = 150, 350

// trimLog drops the oldest of what is too much, and what was read again since
// when that went well: the same is read all the time.
func trimLog(log []CommandLine) []CommandLine {
	reads, writes := 0, 0
	again := map[string]bool{}
	keep := len(log)
	for i := len(log) - 1; i >= 0; i-- {
		n, most := &writes, mostWrites
		if log[i].reads() {
			n, most = &reads, mostReads
			if again[log[i].Line] && log[i].Err == nil {
				continue
			}
			again[log[i].Line] = true
		}
		if *n++; *n <= most {
			keep--
			log[keep], log[i] = log[i], log[keep]
		}
	}
	return slices.Clone(log[keep:])
}

// reads reports whether the command changes nothing, as its verb says.
func (c CommandLine) reads() bool {
	for _, verb := range []string{" describe-", " get-", " get ", " logs ", " list-"} {
		if strings.Contains(c.Line, verb) {
			return true
		}
	}
	return false
}

// newCommandLog lists the calls that were made, the newest first.
func newCommandLog(log []CommandLine) *textDialog {
	d := &textDialog{name: "Command log", content: func(w int) []line {
		var out []line
		for i := len(log) - 1; i >= 0; i-- {
			c := log[i]
			result := span{"ok    ", styleGood}
			if c.Err != nil {
				result = span{"failed", styleBad}
			}
			head := line{{c.Time.Format(time.TimeOnly) + " ", styleDim}, result, {fmt.Sprintf(" %5s  ", millis(float64(c.Took)/1e6)), styleDim}}
			st := styleStrong
			if c.reads() {
				st = styleDim
			}
			indent := spansWidth(head)
			for j, l := range wrap(model.Line(c.Line), w-indent) {
				if j > 0 {
					head = line{{strings.Repeat(" ", indent), stylePlain}}
				}
				out = append(out, append(head, span{l, st}))
			}
			if c.Err != nil {
				for _, l := range wrap(model.Line(c.Err.Error()), w-indent) {
					out = append(out, line{{strings.Repeat(" ", indent) + l, styleBad}})
				}
			}
		}
		if len(out) == 0 {
			out = append(out, line{{"no command has been run yet", styleDim}})
		}
		return out
	}}
	d.wide = 140
	return d
}
