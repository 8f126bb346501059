package tui

import (
	"slices"
	"strings"

	"github.com/istio-cutover/cutover/model"
)

// field is what a row shows in one column.
type field []span

func text(s string, st style) field { return field{{s, st}} }

// row is one line of a pane. Its strings come from outside and are made safe
// where rows are built.
type row struct {
	id     string // identity: the selection stays on it
	fields []field
	// over is the field that may run on over the columns after it when it does
	// not fit its own, 0 for none; what they show is then left out.
	over   int
	search string // lower case, what the filter looks at
	name   string // lower case, what of it counts first; "" where nothing does
	host   model.HostKey
}

// column is one column of a pane.
type column struct {
	title string
	fixed int  // width, 0 to fit the rows
	least int  // what it may be shortened to
	give  int  // who is shortened first; 0 never
	drop  int  // who is left out first when nothing can be shortened; 0 never
	extra bool // left out first of all, when not everything fits in full
	right bool
	ends  bool // shorten in the middle: the tail matters
}

// pane is a windowed list: only what is visible is drawn.
type pane struct {
	id      paneID
	name    string
	columns []column
	titles  bool // show the columns' titles
	marking bool // rows can be marked
	empty   string

	rows    []row
	shown   []int // indices of rows that pass the filter
	natural []int // width of each column over all rows

	cursor    int // index in shown
	top       int // first visible
	height    int // visible rows
	filter    string
	filtering bool // the filter is being typed
	marks     map[string]bool
}

// setRows shows other rows. The cursor stays on its row where that still
// exists, else near its place; marks of rows that are gone go with them.
func (p *pane) setRows(rows []row) {
	current := p.currentID()
	p.rows = rows
	p.natural = make([]int, len(p.columns))
	for i, c := range p.columns {
		p.natural[i] = max(c.fixed, width(c.title)*btoi(p.titles))
	}
	present := make(map[string]bool, len(p.marks))
	for _, r := range rows {
		for i, f := range r.fields {
			if p.columns[i].fixed == 0 && (r.over == 0 || i != r.over) {
				p.natural[i] = max(p.natural[i], spansWidth(f))
			}
		}
		if p.marks[r.id] {
			present[r.id] = true
		}
	}
	p.marks = present
	p.refilter(current)
}

func (p *pane) refilter(current string) {
	p.shown = p.shown[:0]
	want := strings.ToLower(p.filter)
	found := -1
	for i, r := range p.rows {
		if want != "" && !strings.Contains(r.search, want) {
			continue
		}
		if r.id == current {
			found = len(p.shown)
		}
		p.shown = append(p.shown, i)
	}
	if found >= 0 {
		p.top += found - p.cursor // It stays where it was on the screen, too.
		p.cursor = found
	}
	p.scroll()
}

func (p *pane) setFilter(s string) {
	current := p.currentID()
	p.filter = s
	p.refilter(current)
	p.seek(strings.ToLower(s))
}

// seek moves the cursor to the row that the filter means best: one whose name
// begins with it, else one whose name has it. A row that has it keeps the cursor.
func (p *pane) seek(want string) {
	r, ok := p.current()
	if want == "" || !ok || strings.Contains(r.name, want) {
		return
	}
	for _, fits := range []func(string, string) bool{strings.HasPrefix, strings.Contains} {
		if at := slices.IndexFunc(p.shown, func(i int) bool { return fits(p.rows[i].name, want) }); at >= 0 {
			p.cursor = at
			p.scroll()
			return
		}
	}
}

// scroll keeps cursor and window within the rows, and the cursor in view.
func (p *pane) scroll() {
	p.cursor = max(0, min(p.cursor, len(p.shown)-1))
	p.top = max(0, min(p.top, p.cursor, len(p.shown)-p.height))
	if p.height > 0 && p.cursor >= p.top+p.height {
		p.top = p.cursor - p.height + 1
	}
}

func (p *pane) resize(height int) {
	p.height = max(0, height-btoi(p.titles))
	p.scroll()
}

func (p *pane) move(by int) {
	p.cursor += by
	p.scroll()
}

// current returns the row under the cursor.
func (p *pane) current() (row, bool) {
	if p.cursor >= len(p.shown) {
		return row{}, false
	}
	return p.rows[p.shown[p.cursor]], true
}

func (p *pane) currentID() string {
	r, _ := p.current()
	return r.id
}

// toggleMark marks the row under the cursor, or unmarks it, and moves on.
func (p *pane) toggleMark() {
	r, ok := p.current()
	if !ok {
		return
	}
	if p.marks[r.id] {
		delete(p.marks, r.id)
	} else {
		p.marks[r.id] = true
	}
	p.move(1)
}

// chosen returns the marked rows, else the one under the cursor.
func (p *pane) chosen() []row {
	var out []row
	for _, r := range p.rows {
		if p.marks[r.id] {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		if r, ok := p.current(); ok {
			out = append(out, r)
		}
	}
	return out
}

// gutter is the width before the first column: the cursor and the mark.
func (p *pane) gutter() int {
	if p.marking {
		return 3
	}
	return 1
}

// widths shares w columns out: shortens and then leaves columns out in the
// order that they allow. Gaps between columns are two wide where there is room.
func (p *pane) widths(w int) (widths []int, gap int) {
	widths = slices.Clone(p.natural)
	gap = 2
	over := func() int {
		total := -gap
		for _, n := range widths {
			if n > 0 {
				total += n + gap
			}
		}
		return total - w
	}
	for i, c := range p.columns {
		if c.extra && over() > 0 {
			widths[i] = 0
		}
	}
	if over() > 0 {
		gap = 1
	}
	for turn := 1; turn <= len(p.columns) && over() > 0; turn++ {
		for i, c := range p.columns {
			if c.give == turn && widths[i] > c.least {
				widths[i] = max(c.least, widths[i]-over())
			}
		}
	}
	for turn := 1; turn <= len(p.columns) && over() > 0; turn++ {
		for i, c := range p.columns {
			if c.drop == turn {
				widths[i] = 0
			}
		}
	}
	return widths, gap
}

// draw draws the inside of the pane.
func (p *pane) draw(g region, focused bool) {
	widths, gap := p.widths(g.r.w - p.gutter() - 1)
	y := 0
	if p.titles {
		x := p.gutter()
		for i, c := range p.columns {
			if widths[i] > 0 {
				p.drawField(g, x, 0, widths[i], c, text(c.title, styleDim))
				x += widths[i] + gap
			}
		}
		y++
	}
	if len(p.shown) == 0 {
		s := p.empty
		if p.filter != "" {
			s = "nothing matches /" + p.filter
		}
		g.text(p.gutter(), y, span{cut(s, g.r.w-p.gutter()-1), styleDim})
		return
	}
	for i := p.top; i < len(p.shown) && i < p.top+p.height; i++ {
		p.drawRow(g, y, p.rows[p.shown[i]], widths, gap, i == p.cursor, focused)
		y++
	}
}

func (p *pane) drawRow(g region, y int, r row, widths []int, gap int, current, focused bool) {
	if current && focused {
		g.text(0, y, span{"▸", styleKey})
	} else if current && p.marking {
		g.text(0, y, span{"▸", styleDim})
	}
	if p.marks[r.id] {
		g.text(1, y, span{"●", styleMark})
	}
	x := p.gutter()
	free := x // The first column that nothing has run over.
	for i, f := range r.fields {
		w := widths[i]
		if w == 0 {
			continue
		}
		if n := spansWidth(f); x >= free && r.over == i && i > 0 && n > w {
			n = min(n, g.r.w-1-x)
			g.text(x, y, cutSpans(f, n)...)
			free = x + n + 1
		} else if x >= free {
			p.drawField(g, x, y, w, p.columns[i], f)
		}
		x += w + gap
	}
	if current && focused {
		g.sub(rect{0, y, g.r.w, 1}).setMode(modeSelected)
	}
}

func (p *pane) drawField(g region, x, y, w int, c column, f field) {
	n := spansWidth(f)
	if n > w {
		if c.ends && len(f) == 1 {
			f = field{{cutMiddle(f[0].text, w), f[0].style}}
		} else {
			f = cutSpans(f, w)
		}
		n = w
	}
	if c.right {
		x += w - n
	}
	g.text(x, y, f...)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
