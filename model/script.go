package model

import (
	"fmt"
	"slices"
	"strings"
)

// Script returns a POSIX shell script with the AWS CLI commands that take
// changes back: the inverse of each, the last change first. It stops at the
// first command that fails, and can be run again. Title and all comments are
// text on one line and cannot break out of their comment.
func Script(changes []Change, region, title string) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	comment(&b, title)
	comment(&b, "Restores what was recorded before each change, the last change first, without")
	comment(&b, "looking at what is there now. Needs the AWS CLI and the credentials of the account.")
	b.WriteString("set -eu\nAWS_PAGER=''\nexport AWS_PAGER\n")
	if len(changes) == 0 {
		b.WriteString("\n")
		comment(&b, "Nothing was changed, there is nothing to take back.")
		return b.String()
	}
	for i, c := range slices.Backward(changes) {
		back := c.Inverse()
		b.WriteString("\n")
		comment(&b, fmt.Sprintf("%d of %d: %s back to: %s", len(changes)-i, len(changes), back.Label, InWords(back.After.Actions)))
		if names := hostNames(back.Hosts); len(names) > 0 {
			comment(&b, "moves "+strings.Join(names, ", "))
		}
		if len(back.AlsoServes) > 0 {
			comment(&b, "also serves "+strings.Join(back.AlsoServes, ", "))
		}
		b.WriteString(back.Command(region) + "\n")
	}
	return b.String()
}

func comment(b *strings.Builder, s string) { b.WriteString("# " + Line(s) + "\n") }
