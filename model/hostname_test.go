package model

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// hostRegexp is what a pattern means, said in another language.
func hostRegexp(pattern string) *regexp.Regexp {
	q := regexp.QuoteMeta(pattern)
	q = strings.ReplaceAll(strings.ReplaceAll(q, `\*`, ".*"), `\?`, ".")
	return regexp.MustCompile(`(?s)\A` + q + `\z`)
}

func TestMatchHost(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a.example", "a.example", true},
		{"a.example", "b.example", false},
		{"*.example.com", "example.com", false},
		{"*.example.com", "a.b.example.com", true},
		{"*", "", true},
		{"?", "", false},
		{"a?c", "abc", true},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
		{"**", "anything", true},
		{"", "", true},
		{"", "a", false},
	} {
		if got := MatchHost(c.pattern, c.name); got != c.want {
			t.Errorf("MatchHost(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}

func TestMatchHostIsItsRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab.*?]{0,8}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab.]{0,10}`).Draw(t, "name")
		if got, want := MatchHost(pattern, name), hostRegexp(pattern).MatchString(name); got != want {
			t.Fatalf("MatchHost(%q, %q) = %v", pattern, name, got)
		}
	})
}

func FuzzMatchHost(f *testing.F) {
	f.Add("*.a?", "b.ac")
	f.Add("**a*?*", "a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 200 || len(name) > 400 || !isASCII(pattern+name) {
			t.Skip()
		}
		if got, want := MatchHost(pattern, name), hostRegexp(pattern).MatchString(name); got != want {
			t.Fatalf("MatchHost(%q, %q) = %v", pattern, name, got)
		}
		overlaps(pattern, "*"+name)
		owners{"*" + name: true, name: true}.ownsAll(pattern)
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 126 }) < 0
}

func TestOwner(t *testing.T) {
	o := owners{"a.x": true, "*.x": true, "*.b.x": true, "*": true, "*-c.y": true}
	for name, want := range map[string]string{
		"a.x": "a.x", "q.x": "*.x", "a.b.x": "*.b.x", "b.x": "*.x", ".b.x": "*.x", ".x": "*", "z": "*", "d-c.y": "*-c.y",
	} {
		if got := o.owner(name); got != want {
			t.Errorf("owner(%q) = %q, want %q", name, got, want)
		}
	}
	if got := (owners{"a": true}).owner("b"); got != "" {
		t.Errorf("owner of an unpublished name is %q", got)
	}
}

func TestOwnsAll(t *testing.T) {
	o := owners{"a.x": true, "*.x": true, "*.b.x": true, "*.y": true}
	for _, c := range []struct {
		value, host string
		ok          bool
	}{
		{"a.x", "a.x", true},
		{"q.x", "*.x", true},
		{"*.x", "", false}, // a.x and *.b.x are others' in it
		{"*.b.x", "*.b.x", true},
		{"*.c.x", "*.x", true},
		{"*.y", "*.y", true},
		{"?.y", "*.y", true},
		{"*", "", false},
		{"z", "", false},
		{"*y", "", false},
	} {
		host, ok := o.ownsAll(c.value)
		if ok != c.ok || ok && host != c.host {
			t.Errorf("ownsAll(%q) = %q, %v", c.value, host, ok)
		}
	}
}
