package model

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s as text that is safe to show on a terminal: control
// characters, escape sequences, Unicode's direction and format controls and
// invalid UTF-8 are removed; newlines and tabs stay. What comes from outside is
// text, never control.
func Text(s string) string { return sanitize(s, true) }

// Line is Text on one line: newlines, carriage returns and tabs become spaces.
func Line(s string) string { return sanitize(s, false) }

// sanitize drops whole escape sequences, not only the escape character, so
// that their parameters do not remain as noise.
func sanitize(s string, multiline bool) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !printable(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if n := escapeLength(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == utf8.RuneError && n <= 1:
		case r == '\n' || r == '\t' || r == '\r':
			if multiline && r != '\r' {
				b.WriteRune(r)
			} else if !multiline {
				b.WriteByte(' ')
			}
		case printable(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

func printable(r rune) bool {
	if r < 0x7f {
		return r >= 0x20
	}
	// Cf holds the direction overrides with which text can pretend to be other text.
	return r > 0x9f && !unicode.Is(unicode.Cf, r) && r != '\u2028' && r != '\u2029'
}

// escapeLength returns the length in bytes of the escape sequence (ECMA-48)
// that s begins with, 0 when it begins with none.
func escapeLength(s string) int {
	if len(s) == 0 || s[0] != 0x1b {
		return 0
	}
	if len(s) == 1 {
		return 1
	}
	switch s[1] {
	case '[': // CSI: parameters, intermediates, one final byte.
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
			if s[i] < 0x20 || s[i] > 0x7e {
				return i
			}
		}
		return len(s)
	case ']', 'P', '^', '_', 'X': // OSC, DCS and the like: up to BEL or ST.
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return len(s)
	}
	if s[1] < 0x20 || s[1] > 0x7e {
		return 1
	}
	return 2
}
