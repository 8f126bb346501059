package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// View draws the console. It changes nothing.
func (a *App) View() tea.View {
	v := tea.NewView(a.frame().render(a.theme))
	v.AltScreen = true
	v.WindowTitle = "cutover"
	return v
}

// frame draws the console on a canvas of the terminal's size.
func (a *App) frame() *canvas {
	c := newCanvas(a.w, a.h)
	g := c.all()
	if a.layout.shape == shapeTiny {
		g.text(0, 0, a.tinyLine()...)
		return c
	}
	a.drawHeader(g.sub(a.layout.header))
	if a.layout.shape == shapeTabs {
		a.drawTabs(g.sub(a.layout.tabs))
	}
	a.drawBoxes(g)
	for i, p := range a.panes {
		if box := a.layout.boxes[i]; box.w > 0 {
			p.draw(g.sub(box.inset()), p.id == a.focus && a.dialog() == nil)
		}
	}
	if d := a.dialog(); d != nil {
		g.setMode(modeBehind)
		a.drawDialog(g, d)
		g.sub(a.layout.footer).setMode(modeNormal)
	}
	a.drawFooter(g.sub(a.layout.footer))
	return c
}

// tinyLine is all there is in a terminal that is too small.
func (a *App) tinyLine() []span {
	if q, ok := a.dialog().(*choice); ok && q.quits {
		return cutSpans([]span{{"a run is in flight: y stops it and quits, esc stays", styleWarn}}, a.w)
	}
	s := fmt.Sprintf("cutover needs %d×%d, here are %d×%d, q quits", tabsWidth, tabsHeight, a.w, a.h)
	if a.w < 50 {
		s = fmt.Sprintf("needs %d×%d, q quits", tabsWidth, tabsHeight)
	}
	return cutSpans([]span{{s, styleWarn}}, a.w)
}

// drawBoxes draws the frames of the panes: all of them first, then the one that
// has the focus over them, then the titles, as neighbours share lines.
func (a *App) drawBoxes(g region) {
	for i, box := range a.layout.boxes {
		a.drawBox(g, paneID(i), box, styleBorder)
	}
	a.drawBox(g, a.focus, a.layout.boxes[a.focus], styleFocus)
	for i, p := range a.panes {
		if box := a.layout.boxes[i]; box.w > 0 {
			a.drawTitle(g, p, box)
		}
	}
}

func (a *App) drawBox(g region, id paneID, box rect, st style) {
	corners := [4]string{"╭", "╮", "╰", "╯"}
	if a.layout.shape == shapeWide && id <= paneRules {
		if id > paneGateways {
			corners[0], corners[1] = "├", "┤"
		}
		if id < paneRules {
			corners[2], corners[3] = "├", "┤"
		}
	}
	drawFrame(g, box, corners, st)
}

func drawFrame(g region, box rect, corners [4]string, st style) {
	if box.w < 2 || box.h < 2 {
		return
	}
	right, bottom := box.x+box.w-1, box.y+box.h-1
	for x := box.x + 1; x < right; x++ {
		g.put(x, box.y, "─", 1, st)
		g.put(x, bottom, "─", 1, st)
	}
	for y := box.y + 1; y < bottom; y++ {
		g.put(box.x, y, "│", 1, st)
		g.put(right, y, "│", 1, st)
	}
	g.put(box.x, box.y, corners[0], 1, st)
	g.put(right, box.y, corners[1], 1, st)
	g.put(box.x, bottom, corners[2], 1, st)
	g.put(right, bottom, corners[3], 1, st)
}

func (a *App) drawTitle(g region, p *pane, box rect) {
	focused := p.id == a.focus
	number, name := styleDim, styleTitle
	if focused {
		number, name = styleFocus, styleBrand
	}
	place := ""
	if focused && len(p.shown) > 0 && (len(p.shown) > p.height || p.filter != "") {
		place = fmt.Sprintf(" %d of %d ", p.cursor+1, len(p.shown))
	}
	room := box.w - 6 - width(place)
	title := []span{{fmt.Sprintf(" %d ", p.id+1), number}, {p.name, name}}
	title = append(title, a.titleNote(p)...)
	g.text(box.x+2, box.y, append(cutSpans(title, room), span{" ", stylePlain})...)
	if place != "" {
		g.text(box.x+box.w-2-width(place), box.y, span{place, styleDim})
	}
}

// titleNote is what a pane's title says beside its name.
func (a *App) titleNote(p *pane) []span {
	var out []span
	if s := a.world.Snapshot; s != nil && p.id == paneHosts {
		n, open := a.onNew()
		out = append(out, span{fmt.Sprintf(": %d of %d on new", n, len(s.Hosts)), stylePlain})
		if open > 0 {
			out = append(out, span{fmt.Sprintf(" · %d unproven", open), styleWarn})
		}
		if n := len(p.marks); n > 0 {
			out = append(out, span{fmt.Sprintf(" · %d marked", n), styleMark})
		}
		if a.order != byName {
			out = append(out, span{" · by " + a.order.String(), styleDim})
		}
	}
	if p.id == paneProbes && a.probed.Host != "" {
		out = append(out, span{": ", stylePlain}, span{safe(a.probed.Host), stylePlain})
		if a.paused {
			out = append(out, span{" · paused", styleWarn})
		}
	}
	if p.filter != "" && !p.filtering {
		out = append(out, span{" /" + p.filter, styleKey})
	}
	return out
}

// drawTabs names the panes; the one that is shown stands in brackets.
func (a *App) drawTabs(g region) {
	names := [paneCount]string{"Gateways", "Secrets", "VirtualServices", "Rules", "Hosts", "Probes", "Activity"}
	if g.r.w < 77 {
		names = [paneCount]string{"Gw", "Secrets", "VS", "Rules", "Hosts", "Probes", "Activity"}
	}
	x := 1
	for i, n := range names {
		number := fmt.Sprintf("%d ", i+1)
		if paneID(i) != a.focus {
			x = g.text(x, 0, span{number + n, styleDim}) + 1
			continue
		}
		g.text(x-1, 0, span{"[", styleFocus})
		x = g.text(x, 0, span{number, styleFocus}, span{n, styleBrand}, span{"]", styleFocus})
	}
}

// drawDialog draws a dialog over the panes.
func (a *App) drawDialog(g region, d dialog) {
	v := d.view()
	box := g.sub(v.box)
	box.setMode(modeNormal)
	box.fill(" ", stylePlain)
	drawFrame(g, v.box, [4]string{"╭", "╮", "╰", "╯"}, styleFocus)
	t := d.title()
	g.text(v.box.x+2, v.box.y, span{" " + cut(t.text, v.box.w-8) + " ", t.style})
	inside := g.sub(rect{v.box.x + 2, v.box.y + 1, v.box.w - 4, v.box.h - 2})
	for i := 0; i < v.height && v.top+i < len(v.lines); i++ {
		inside.text(0, i, cutSpans(v.lines[v.top+i], inside.r.w)...)
	}
	if len(v.lines) > v.height {
		place := fmt.Sprintf(" %d–%d of %d ", v.top+1, min(v.top+v.height, len(v.lines)), len(v.lines))
		g.text(v.box.x+v.box.w-2-width(place), v.box.y, span{place, styleDim})
	}
	if len(v.below) == 0 {
		return
	}
	y := v.box.y + v.height + 1
	for x := v.box.x + 1; x < v.box.x+v.box.w-1; x++ {
		g.put(x, y, "─", 1, styleBorder)
	}
	g.put(v.box.x, y, "├", 1, styleFocus)
	g.put(v.box.x+v.box.w-1, y, "┤", 1, styleFocus)
	for i, l := range v.below {
		inside.text(0, v.height+1+i, cutSpans(l, inside.r.w)...)
	}
}
