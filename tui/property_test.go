package tui

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/istio-cutover/cutover/model"
)

// checkFrame fails when a frame is larger than the terminal, by either way in
// which terminals measure text, or when anything but styles is in it.
func checkFrame(t interface{ Fatalf(string, ...any) }, a *App) {
	lines := strings.Split(a.View().Content, "\n")
	if a.h > 0 && len(lines) != a.h {
		t.Fatalf("%d×%d: %d lines", a.w, a.h, len(lines))
	}
	for i, l := range lines {
		if n, wc := ansi.StringWidth(l), ansi.StringWidthWc(l); n > a.w || wc > a.w {
			t.Fatalf("%d×%d: line %d is %d/%d wide: %q", a.w, a.h, i, n, wc, l)
		}
		for rest := l; ; {
			at := strings.IndexFunc(rest, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 })
			if at < 0 {
				break
			}
			end := strings.IndexByte(rest[at:], 'm')
			if rest[at] != 0x1b || end < 0 || strings.Trim(rest[at:at+end], "\x1b[0123456789;:") != "" {
				t.Fatalf("%d×%d: line %d has a control: %q", a.w, a.h, i, l)
			}
			rest = rest[at+end+1:]
		}
	}
}

func TestNeverWiderThanTheTerminal(t *testing.T) {
	m := standardWorld()
	m.evilNames = true
	m.problems = []model.Problem{{Source: "aws", Operation: "Describe\nRules 世界", Kind: model.KindUnreachable, Message: strings.Repeat("界", 300)}}
	a := New(Config{Run: noRun, Now: testNow})
	a.Update(worldArrived{world: mustWorld(t, m), open: false})
	for w := 1; w <= 220; w++ {
		for _, h := range []int{1, 15, 16, 17, 35, 36, 70} {
			a.Update(tea.WindowSizeMsg{Width: w, Height: h})
			checkFrame(t, a)
		}
	}
}

// TestAnyKeysAtAnySize presses any keys while anything arrives, at any size.
func TestAnyKeysAtAnySize(t *testing.T) {
	worlds := []World{mustWorld(t, standardWorld()), mustWorld(t, manyHosts(60)), on(t, "argocd", "vault")}
	evil := standardWorld()
	evil.evilNames = true
	worlds = append(worlds, mustWorld(t, evil), World{Snapshot: model.Join(model.Cluster{}, model.AWS{}, model.Config{})})
	keys := strings.Fields("j k g G ctrl+d ctrl+u up down pgup pgdown tab shift+tab 1 2 3 4 5 6 7 t space z Z / enter d ? @ p s esc y n o l s h i f t a c k q left backspace")
	rapid.Check(t, func(rt *rapid.T) {
		now := testNow()
		a := New(Config{Run: noRun, Now: func() time.Time { return now }, Describe: func(context.Context, Ref) (string, error) { return "", nil }})
		a.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
		steps := rapid.IntRange(1, 40).Draw(rt, "steps")
		for range steps {
			switch rapid.IntRange(0, 9).Draw(rt, "kind") {
			case 0:
				a.Update(tea.WindowSizeMsg{Width: rapid.IntRange(1, 220).Draw(rt, "w"), Height: rapid.IntRange(1, 70).Draw(rt, "h")})
			case 1:
				w := rapid.SampledFrom(worlds).Draw(rt, "world")
				a.Update(worldArrived{world: w, open: true})
				if rapid.Bool().Draw(rt, "probes") {
					a.Update(probesArrived{view: probesOf(w, now), open: true})
				}
			case 2:
				a.Update(tea.PasteMsg{Content: rapid.String().Draw(rt, "paste")})
			case 3:
				a.Update(described{generation: a.generation, ref: Ref{RefRule, "r"}, text: rapid.String().Draw(rt, "text")})
			case 4:
				now = now.Add(time.Second)
				a.Update(ticked{now})
			default:
				a.Update(keyPress(rapid.SampledFrom(keys).Draw(rt, "key")))
			}
			checkFrame(rt, a)
			if a.run != nil {
				a.run.cancel()
				a.Update(runAdvanced{generation: a.run.generation, result: ended()})
			}
		}
	})
}

// TestGlyphsFitTheirCells checks that text is drawn as wide as it measures.
func TestGlyphsFitTheirCells(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.String().Draw(rt, "text")
		w := rapid.IntRange(0, 30).Draw(rt, "width")
		c := newCanvas(30, 1)
		end := c.all().text(0, 0, span{s, stylePlain})
		if want := min(width(s), 30); end != want && end != want-1 {
			rt.Fatalf("drawn to %d, measured %d", end, want)
		}
		for name, short := range map[string]string{"cut": cut(s, w), "middle": cutMiddle(s, w)} {
			if width(short) > w {
				rt.Fatalf("%s %q is wider than %d", name, short, w)
			}
		}
		for _, l := range wrap(s, max(2, w)) {
			if width(l) > max(2, w) {
				rt.Fatalf("wrapped %q is wider than %d", l, w)
			}
		}
		if n := spansWidth(cutSpans([]span{{s, stylePlain}, {"tail", styleDim}}, w)); n > w {
			rt.Fatalf("spans are %d wide, wanted %d", n, w)
		}
	})
}

// TestSelectionStaysOnItsObject changes lists under the cursor.
func TestSelectionStaysOnItsObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 120, 40, Config{Run: noRun})
		d.press("j j space j")
		d.sees("6 Probes: keycloak-sso", "1 marked")
		d.press("k")
		d.sees("6 Probes: jira")
		m := standardWorld()
		m.names = append([]string{"aaa", "bbb"}, m.names...)
		d.deliver(mustWorld(t, m))
		d.sees("6 Probes: jira", "1 marked")
		d.press("/")
		d.typed("jir")
		d.sees("6 Probes: jira", "/jir")
		d.lacks("gitlab.bigbang.example")
		d.press("esc")
		d.sees("6 Probes: jira", "gitlab.bigbang")
		d.press("/")
		d.typed("zzz")
		d.sees("nothing matches /zzz")
		d.press("esc esc") // The second one clears the marks.
		d.lacks("marked", "/zzz")
		d.press("/")
		d.typed("blocked")
		d.sees("nothing matches /blocked") // Reasons are not what is looked for.
		d.press("esc /")
		d.typed("vaul")
		d.sees("6 Probes: vault-tls")
		d.press("esc g /")
		d.typed("e") // The name has one: it keeps the cursor.
		d.sees("6 Probes: aaa")
		d.press("esc g /")
		d.typed("kia")
		d.press("enter")
		d.sees("5 Hosts: 2 of 20 on new /kia", "6 Probes: kiali")
		d.press("esc")
		d.sees("6 Probes: kiali", "gitlab.bigbang")
	})
}

func BenchmarkView(b *testing.B) {
	a := New(Config{Run: noRun, Now: testNow})
	w := mustWorld(b, manyHosts(1000))
	a.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	a.Update(tea.ColorProfileMsg{Profile: 4})
	a.Update(worldArrived{world: w, open: true})
	a.Update(probesArrived{view: probesOf(w, testNow()), open: true})
	b.ReportAllocs()
	for b.Loop() {
		a.View()
	}
}

// BenchmarkUpdate measures what a key, a world and probes cost with 1,000 hosts.
func BenchmarkUpdate(b *testing.B) {
	a := New(Config{Run: noRun, Now: testNow})
	w := mustWorld(b, manyHosts(1000))
	probes := probesOf(w, testNow())
	a.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	a.Update(worldArrived{world: w, open: true})
	a.Update(probesArrived{view: probes, open: true})
	for name, msg := range map[string]tea.Msg{
		"world": worldArrived{world: w, open: true}, "probes": probesArrived{view: probes, open: true}, "key": keyPress("j"),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				a.Update(msg)
			}
		})
	}
	b.Run("plan of all", func(b *testing.B) {
		for _, r := range a.panes[paneHosts].rows {
			a.panes[paneHosts].marks[r.id] = r.host.Lane == "public"
		}
		for b.Loop() {
			a.Update(keyPress("t"))
			a.Update(sideChosen{marked(a), model.New})
			a.dialogs = nil
		}
	})
}

func marked(a *App) []model.HostKey {
	var out []model.HostKey
	for _, r := range a.panes[paneHosts].chosen() {
		out = append(out, r.host)
	}
	return out
}
