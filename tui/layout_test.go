package tui

import (
	"fmt"
	"strings"
	"testing"
)

// TestLayoutBoxes draws where the panes are, so that a reader sees it.
func TestLayoutBoxes(t *testing.T) {
	for _, size := range [][2]int{{120, 36}, {120, 40}, {200, 60}, {80, 24}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			w, h := size[0], size[1]
			l := arrange(w, h, paneHosts)
			c := newCanvas(w, h)
			g := c.all()
			for i, box := range l.boxes {
				if box.w == 0 {
					continue
				}
				drawFrame(g, box, [4]string{"+", "+", "+", "+"}, stylePlain)
				g.text(box.x+2, box.y+1, span{fmt.Sprintf("%d %s %d×%d", i+1, newPanes()[i].name, box.w, box.h), stylePlain})
			}
			g.text(l.header.x, l.header.y, span{"header", stylePlain})
			g.text(l.tabs.x, l.tabs.y, span{strings.Repeat("tabs", min(1, l.tabs.w)), stylePlain})
			g.text(l.footer.x, l.footer.y, span{"footer", stylePlain})
			compareGolden(t, fmt.Sprintf("layout-%dx%d", w, h), c.render(newTheme(paletteNone, true))+"\n")
		})
	}
}

// TestLayoutFits checks for every size that boxes are inside the terminal and
// do not cover each other, but for the lines that the left column shares.
func TestLayoutFits(t *testing.T) {
	for w := 1; w <= 230; w++ {
		for h := 1; h <= 75; h++ {
			for focus := range paneCount {
				l := arrange(w, h, focus)
				if (w < 60 || h < 16) != (l.shape == shapeTiny) || (w >= 120 && h >= 36) != (l.shape == shapeWide) {
					t.Fatalf("%d×%d: shape %d", w, h, l.shape)
				}
				checkBoxes(t, w, h, focus, l)
			}
		}
	}
}

func checkBoxes(t *testing.T, w, h int, focus paneID, l layout) {
	t.Helper()
	if l.shape == shapeTiny {
		return
	}
	if l.boxes[focus].w == 0 {
		t.Fatalf("%d×%d: the pane with the focus is not shown", w, h)
	}
	all := append(l.boxes[:], l.header, l.footer, l.tabs)
	for i, box := range all {
		if box.w == 0 {
			continue
		}
		if box.x < 0 || box.y < 0 || box.x+box.w > w || box.y+box.h > h {
			t.Fatalf("%d×%d: box %d is outside: %+v", w, h, i, box)
		}
		if i < int(paneCount) && (box.inset().h < 1 || box.inset().w < 10) {
			t.Fatalf("%d×%d: no room in box %d: %+v", w, h, i, box)
		}
		inside := box
		if i < int(paneRules) && l.shape == shapeWide {
			inside.h-- // The lower line is the next box's.
		}
		for j, other := range all[i+1:] {
			if cover := inside.intersect(other); cover.w > 0 && cover.h > 0 {
				t.Fatalf("%d×%d: boxes %d and %d overlap: %+v", w, h, i, i+1+j, cover)
			}
		}
	}
}
