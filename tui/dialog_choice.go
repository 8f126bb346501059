package tui

import (
	tea "charm.land/bubbletea/v2"
)

// option is one answer to a choice. Then is taken as a message.
type option struct {
	key, does string
	then      tea.Msg
}

// choice asks the operator something. Its first button is the way out, and has
// the focus: Enter presses it.
type choice struct {
	scroller
	question string
	text     []string
	wayOut   string
	options  []option
	quits    bool
}

func (c *choice) title() span { return span{c.question, styleTitle} }

func (c *choice) body(w int) []line {
	var out []line
	for i, t := range c.text {
		if i > 0 {
			out = append(out, nil)
		}
		for _, l := range wrap(t, w) {
			out = append(out, line{{l, stylePlain}})
		}
	}
	return out
}

func (c *choice) foot(int) []line {
	l := line{button(c.wayOut, true)}
	for _, o := range c.options {
		l = append(l, span{"   ", stylePlain}, span{o.key, styleKey}, span{" " + o.does, stylePlain})
	}
	return []line{l}
}

func (c *choice) press(msg tea.KeyPressMsg, k keyMap) action {
	for _, o := range c.options {
		if msg.String() == o.key {
			return choose{o}
		}
	}
	if matches(msg, k.Cancel) || matches(msg, k.Press) || msg.String() == "q" {
		return closeDialog{}
	}
	return nil
}

func (c *choice) types() bool { return false }

func (c *choice) hints() []hint {
	out := []hint{{"enter", c.wayOut}}
	for _, o := range c.options {
		out = append(out, hint{o.key, o.does})
	}
	return out
}

// newNotice says what nobody asked for. It ignores keys for half a second, so
// that a key meant for something else does not take it away unread.
func newNotice(texts []string) *choice {
	c := &choice{question: "Left by an earlier run", text: make([]string, 0, len(texts)), wayOut: "OK"}
	for _, t := range texts {
		c.text = append(c.text, safe(t))
	}
	c.unasked = true
	c.wide = 76
	return c
}
