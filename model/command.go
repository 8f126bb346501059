package model

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Command returns the AWS CLI command that makes c's after true: one line of
// printable ASCII for a POSIX shell. Region is left out when it is "".
func (c Change) Command(region string) string {
	words := []string{"aws", "elbv2", string(c.Op)}
	switch c.Op {
	case OpModifyRule:
		words = append(words, "--rule-arn", c.Rule, "--actions")
	case OpModifyListener:
		words = append(words, "--listener-arn", c.Listener, "--default-actions")
	}
	words = append(words, asciiJSON(WritableActions(c.After.Actions)))
	if region != "" {
		words = append(words, "--region", region)
	}
	for i, w := range words {
		words[i] = ShellQuote(w)
	}
	return strings.Join(words, " ")
}

// asciiJSON writes everything beyond printable ASCII as \u escapes, which JSON
// allows wherever such a character can stand: in strings.
func asciiJSON(j JSON) string {
	var b strings.Builder
	for _, r := range string(j) {
		switch {
		case r >= 0x20 && r < 0x7f:
			b.WriteByte(byte(r))
		case r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// ShellQuote returns s as one word of a POSIX shell, on one line and without
// control characters.
func ShellQuote(s string) string {
	s = Line(s)
	plain := s != ""
	for _, r := range s {
		if r >= utf8.RuneSelf || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@,+", r) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
