package tui

// rect is a rectangle of cells.
type rect struct{ x, y, w, h int }

func (r rect) intersect(o rect) rect {
	x, y := max(r.x, o.x), max(r.y, o.y)
	w, h := min(r.x+r.w, o.x+o.w)-x, min(r.y+r.h, o.y+o.h)-y
	return rect{x, y, max(0, w), max(0, h)}
}

// inset is the rectangle inside a border of one cell.
func (r rect) inset() rect { return rect{r.x + 1, r.y + 1, max(0, r.w-2), max(0, r.h-2)} }

// shape is how the console is arranged.
type shape uint8

const (
	shapeTiny shape = iota // one line that says the terminal is too small
	shapeTabs              // one pane at a time
	shapeWide              // all seven panes
)

// The sizes from which on the console has room for panes, and for all of them.
const (
	tabsWidth, tabsHeight = 60, 16
	wideWidth, wideHeight = 120, 36
)

// paneID numbers the panes by the key that goes there.
type paneID int

const (
	paneGateways paneID = iota
	paneSecrets
	paneVirtualServices
	paneRules
	paneHosts
	paneProbes
	paneActivity
	paneCount
)

// layout says where everything is. Boxes include their borders; those of the
// left column overlap by the line that they share. A box without width is not
// shown.
type layout struct {
	shape  shape
	header rect
	tabs   rect
	boxes  [paneCount]rect
	footer rect
}

// arrange lays a terminal of w×h cells out. With tabs, focus is the pane that
// is shown.
func arrange(w, h int, focus paneID) layout {
	l := layout{shape: shapeTiny}
	switch {
	case w < tabsWidth || h < tabsHeight:
		return l
	case w < wideWidth || h < wideHeight:
		l.shape = shapeTabs
		l.tabs = rect{0, 1, w, 1}
		l.boxes[focus] = rect{0, 2, w, h - 3}
	default:
		l.shape = shapeWide
		arrangeWide(&l, w, h)
	}
	l.header = rect{0, 0, w, 1}
	l.footer = rect{0, h - 1, w, 1}
	return l
}

func arrangeWide(l *layout, w, h int) {
	body := h - 2
	left := min(max(w*29/100, 37), 64)

	inner := body - 5 // Four panes share five lines of border.
	gateways := min(max(inner/6, 4), 9)
	secrets := min(max(inner/8, 3), 7)
	virtual := (inner - gateways - secrets) * 45 / 100
	rules := inner - gateways - secrets - virtual
	y := 1
	for i, n := range []int{gateways, secrets, virtual, rules} {
		l.boxes[i] = rect{0, y, left, n + 2}
		y += n + 1
	}

	right := w - left
	bottom := min(max(body*27/100, 9), 17)
	probes := right * 53 / 100
	l.boxes[paneHosts] = rect{left, 1, right, body - bottom}
	l.boxes[paneProbes] = rect{left, 1 + body - bottom, probes, bottom}
	l.boxes[paneActivity] = rect{left + probes, 1 + body - bottom, right - probes, bottom}
}
