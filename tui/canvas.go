package tui

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// span is text in one style.
type span struct {
	text  string
	style style
}

// cell is one column of one line. A wide character takes its own cell and an
// empty one after it.
type cell struct {
	text  string
	style style
	mode  mode
}

// canvas is a frame of cells. Whatever is drawn on it is clipped, so that a
// line is never wider than the terminal.
type canvas struct {
	w, h  int
	cells []cell
}

func newCanvas(w, h int) *canvas {
	c := &canvas{w: w, h: h, cells: make([]cell, w*h)}
	for i := range c.cells {
		c.cells[i].text = " "
	}
	return c
}

// region is a rectangle of a canvas with coordinates of its own.
type region struct {
	c *canvas
	r rect
}

func (c *canvas) all() region { return region{c, rect{0, 0, c.w, c.h}} }

// sub returns the part of g that r, in g's coordinates, covers.
func (g region) sub(r rect) region {
	return region{g.c, g.r.intersect(rect{g.r.x + r.x, g.r.y + r.y, r.w, r.h})}
}

// put sets one cell, or two when width is 2. What does not fit is not drawn.
func (g region) put(x, y int, text string, width int, st style) {
	if x < 0 || y < 0 || y >= g.r.h || x+width > g.r.w {
		return
	}
	cx, cy := g.r.x+x, g.r.y+y
	if cx < 0 || cy < 0 || cy >= g.c.h || cx+width > g.c.w {
		return
	}
	row := g.c.cells[cy*g.c.w : (cy+1)*g.c.w]
	// Half a wide character that is overdrawn must not remain.
	if row[cx].text == "" && cx > 0 {
		row[cx-1].text = " "
	}
	if end := cx + width; end < g.c.w && row[end].text == "" {
		row[end].text = " "
	}
	row[cx].text, row[cx].style = text, st
	if width == 2 {
		row[cx+1].text, row[cx+1].style = "", st
	}
}

// text draws spans from column x on and returns the column after them.
func (g region) text(x, y int, spans ...span) int {
	for _, s := range spans {
		eachGlyph(s.text, func(t string, w int) bool {
			if x+w > g.r.w {
				return false
			}
			g.put(x, y, t, w, s.style)
			x += w
			return true
		})
	}
	return x
}

// fill sets the whole region to one character of width 1.
func (g region) fill(text string, st style) {
	for y := range g.r.h {
		for x := range g.r.w {
			g.put(x, y, text, 1, st)
		}
	}
}

// setMode changes how the region's cells are shown, whatever is drawn there.
func (g region) setMode(m mode) {
	r := g.r.intersect(rect{0, 0, g.c.w, g.c.h})
	for y := r.y; y < r.y+r.h; y++ {
		for x := r.x; x < r.x+r.w; x++ {
			g.c.cells[y*g.c.w+x].mode = m
		}
	}
}

// render returns the frame as lines of styled text. Blank ends of lines are
// left out.
func (c *canvas) render(t theme) string {
	var b strings.Builder
	b.Grow(2 * len(c.cells))
	for y := range c.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		row := c.cells[y*c.w : (y+1)*c.w]
		for len(row) > 0 && row[len(row)-1].text == " " && row[len(row)-1].mode != modeSelected {
			row = row[:len(row)-1]
		}
		current := ""
		for _, k := range row {
			if sgr := t.sgr(k.style, k.mode); sgr != current {
				if current != "" {
					b.WriteString(ansi.ResetStyle)
				}
				b.WriteString(sgr)
				current = sgr
			}
			b.WriteString(k.text)
		}
		if current != "" {
			b.WriteString(ansi.ResetStyle)
		}
	}
	return b.String()
}

// eachGlyph calls f with each character of s as a terminal shows it, and its
// width of 1 or 2. Controls are left out. What terminals do not agree on the
// width of is replaced, as it would break the frame on some of them.
func eachGlyph(s string, f func(text string, width int) bool) {
	for s != "" {
		if b := s[0]; b < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
			if b >= 0x20 && b != 0x7f && !f(s[:1], 1) {
				return
			}
			s = s[1:]
			continue
		}
		g, w := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
		if g == "" {
			return
		}
		s = s[len(g):]
		if w == 0 {
			continue
		}
		if w > 2 || !utf8.ValidString(g) || ansi.StringWidthWc(g) != w || ansi.StringWidth(g) != w {
			g, w = "·", 1
		}
		if !f(g, w) {
			return
		}
	}
}

// width returns how many columns s takes on a canvas.
func width(s string) int {
	n := 0
	eachGlyph(s, func(_ string, w int) bool { n += w; return true })
	return n
}

func spansWidth(spans []span) int {
	n := 0
	for _, s := range spans {
		n += width(s.text)
	}
	return n
}

// cut shortens s to w columns, with an ellipsis for what is gone from its end.
func cut(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if len(s) <= w || width(s) <= w {
		return s
	}
	return head(s, w-1) + "…"
}

// cutMiddle shortens s to w columns and keeps both its ends: the tail tells
// names apart that begin alike.
func cutMiddle(s string, w int) string {
	if w < 8 {
		return cut(s, w)
	}
	if len(s) <= w || width(s) <= w {
		return s
	}
	right := (w - 1) * 2 / 5
	return head(s, w-1-right) + "…" + tail(s, right)
}

func head(s string, w int) string {
	n, bytes := 0, 0
	eachPart(s, func(size, wide int) bool {
		if n+wide > w {
			return false
		}
		n += wide
		bytes += size
		return true
	})
	return s[:bytes]
}

func tail(s string, w int) string {
	skip := width(s) - w
	n, bytes := 0, 0
	eachPart(s, func(size, wide int) bool {
		if n >= skip {
			return false
		}
		n += wide
		bytes += size
		return true
	})
	return s[bytes:]
}

// eachPart is eachGlyph by the bytes that each character takes in s.
func eachPart(s string, f func(bytes, width int) bool) {
	for s != "" {
		g, _ := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
		if g == "" {
			return
		}
		if !f(len(g), width(g)) {
			return
		}
		s = s[len(g):]
	}
}

// cutSpans shortens spans to w columns in all.
func cutSpans(spans []span, w int) []span {
	if spansWidth(spans) <= w {
		return spans
	}
	var out []span
	for _, s := range spans {
		n := width(s.text)
		if n >= w {
			if n > w || len(out) < len(spans)-1 {
				s.text = cut(s.text+"…", w)
			}
			return append(out, s)
		}
		out = append(out, s)
		w -= n
	}
	return out
}

// wrap breaks s into lines of at most w columns, between words where it can.
func wrap(s string, w int) []string {
	if w < 1 {
		w = 1
	}
	var lines []string
	for _, para := range strings.Split(s, "\n") {
		line := ""
		for _, word := range strings.Split(para, " ") {
			switch {
			case line == "":
				line = word
			case width(line)+1+width(word) <= w:
				line += " " + word
			default:
				lines = append(lines, line)
				line = word
			}
			for width(line) > w {
				h := head(line, w)
				if h == "" {
					break
				}
				lines = append(lines, h)
				line = line[len(h):]
			}
		}
		lines = append(lines, line)
	}
	return lines
}
