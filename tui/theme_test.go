package tui

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestThemes(t *testing.T) {
	for _, p := range []palette{palette16, palette256, paletteNone} {
		for _, dark := range []bool{true, false} {
			th := newTheme(p, dark)
			if th.sgr(stylePlain, modeNormal) != "" {
				t.Errorf("palette %d: plain text is styled", p)
			}
			if th.sgr(stylePlain, modeSelected) == th.sgr(stylePlain, modeNormal) {
				t.Errorf("palette %d: the selected row cannot be seen", p)
			}
			if th.sgr(styleButton, modeNormal) == "" {
				t.Errorf("palette %d: the button with the focus cannot be seen", p)
			}
			for s := range styleCount {
				for m := range modeCount {
					codes := strings.TrimSuffix(strings.TrimPrefix(th.sgr(s, m), "\x1b["), "m")
					if ansi.Strip(th.sgr(s, m)) != "" {
						t.Errorf("style %d is not an escape sequence: %q", s, codes)
					}
					if p == paletteNone && strings.Trim(codes, "127;") != "" {
						t.Errorf("NO_COLOR: style %d has a colour: %q", s, codes)
					}
					if p == palette16 && strings.Contains(codes, "8;5;") {
						t.Errorf("16 colours: style %d has more: %q", s, codes)
					}
				}
			}
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{millis(0.1), "<1ms"},
		{millis(8.4), "8ms"},
		{millis(1200), "1.2s"},
		{millis(12000), "12s"},
		{shortMillis(120), "0.1s"},
		{shortMillis(99), "99ms"},
		{count(1, "host"), "1 host"},
		{count(0, "host"), "0 hosts"},
		{some([]string{"a", "b", "c"}, 2), "a, b and 1 more"},
		{plain(bar(0, 4)), "████"},
		{plain(bar(1, 4)), "███░"},
		{plain(bar(99, 4)), "█░░░"},
		{plain(bar(100, 4)), "░░░░"},
		{cutMiddle("istio-gateway/public-ingressgateway", 16), "istio-gat…ateway"},
		{cut("世界世界", 5), "世界…"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
