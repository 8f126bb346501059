package tui

import "github.com/charmbracelet/x/ansi"

// style is a token: what a text means, not how it looks.
type style uint8

const (
	stylePlain  style = iota
	styleDim          // secondary text
	styleBorder       // frames
	styleFocus        // the frame that has the focus
	styleTitle        // titles of panes and sections
	styleBrand        // the program's name
	styleStrong       // what matters most in a line
	styleOld          // the old side
	styleNew          // the new side
	styleGood         // pass, proven, live
	styleWarn         // warn, wait, unproven
	styleBad          // block, failed, trouble
	styleInfo         // progress
	styleKey          // a key that can be pressed
	styleMark         // marked rows
	styleField        // a field to type in
	styleButton       // the button that has the focus
	styleCount
)

// mode is how a cell is shown on top of its style.
type mode uint8

const (
	modeNormal   mode = iota
	modeSelected      // the row under the cursor of the focused pane
	modeBehind        // behind a dialog
	modeCount
)

// palette is how many colours the terminal has.
type palette uint8

const (
	palette16 palette = iota
	palette256
	paletteNone // NO_COLOR: bold, faint and reverse alone
)

// theme gives the escape sequence of each style in each mode.
type theme struct {
	table [modeCount][styleCount]string
}

func (t *theme) sgr(s style, m mode) string { return t.table[m][s] }

// look is how a style is shown: colours for a dark and a light background of
// 256 colours, one of 16 for both, and attributes. -1 is the terminal's own.
type look struct {
	dark, light, basic int
	bold, faint        bool
	reverse            bool
}

const own = -1

func looks() [styleCount]look {
	return [styleCount]look{
		stylePlain:  {own, own, own, false, false, false},
		styleDim:    {245, 243, own, false, true, false},
		styleBorder: {240, 250, own, false, true, false},
		styleFocus:  {75, 26, 6, false, false, false},
		styleTitle:  {252, 236, own, true, false, false},
		styleBrand:  {75, 26, 6, true, false, false},
		styleStrong: {own, own, own, true, false, false},
		styleOld:    {110, 25, 4, false, false, false},
		styleNew:    {114, 28, 2, false, false, false},
		styleGood:   {114, 28, 2, false, false, false},
		styleWarn:   {221, 130, 3, false, false, false},
		styleBad:    {203, 160, 1, true, false, false},
		styleInfo:   {117, 31, 6, false, false, false},
		styleKey:    {117, 26, 6, true, false, false},
		styleMark:   {221, 130, 3, true, false, false},
		styleField:  {own, own, own, true, false, false},
		styleButton: {own, own, own, true, false, true},
	}
}

// newTheme makes the theme for a palette and a background.
func newTheme(p palette, dark bool) theme {
	var t theme
	for s, l := range looks() {
		t.table[modeNormal][s] = sgrOf(l, p, dark, modeNormal)
		t.table[modeSelected][s] = sgrOf(l, p, dark, modeSelected)
		t.table[modeBehind][s] = sgrOf(l, p, dark, modeBehind)
	}
	return t
}

func sgrOf(l look, p palette, dark bool, m mode) string {
	if m == modeBehind {
		l = looks()[styleBorder]
	}
	var st ansi.Style
	color := l.light
	if dark {
		color = l.dark
	}
	switch p {
	case palette256:
		if color != own {
			st = st.ForegroundColor(ansi.IndexedColor(color))
		}
		if m == modeSelected {
			background := ansi.IndexedColor(254)
			if dark {
				background = ansi.IndexedColor(237)
			}
			st = st.BackgroundColor(background)
		}
	case palette16:
		if l.basic != own && m != modeSelected {
			st = st.ForegroundColor(ansi.BasicColor(l.basic))
		}
	case paletteNone:
	}
	if l.bold {
		st = st.Bold()
	}
	if l.faint && p != palette256 && m != modeSelected {
		st = st.Faint()
	}
	if l.reverse || (m == modeSelected && p != palette256) {
		st = st.Reverse(true)
	}
	if len(st) == 0 {
		return ""
	}
	return st.String()
}
