package model

import (
	"fmt"
	"strings"
)

// InWords says what a list of actions does, on one line: "forward old-https
// 100, new-https 0", "authenticate-oidc, then forward old-https", "redirect to
// https". It is "nothing" for an empty list.
func InWords(actions JSON) string {
	list, err := objects(actions)
	if err != nil {
		return "actions that cannot be read"
	}
	forwards, err := Forwards(actions)
	if err != nil {
		return "actions that cannot be read"
	}
	if len(list) == 0 {
		return "nothing"
	}
	words := make([]string, 0, len(list))
	for i, a := range list {
		words = append(words, actionInWords(i, a, forwards))
	}
	return Line(strings.Join(words, ", then "))
}

func actionInWords(i int, a action, forwards []Forward) string {
	for _, f := range forwards {
		if f.Index == i {
			return forwardInWords(f)
		}
	}
	switch kind := text(a["Type"]); kind {
	case "redirect":
		if p := text(object(a["RedirectConfig"])["Protocol"]); p != "" && p != "#{protocol}" {
			return "redirect to " + strings.ToLower(p)
		}
		return kind
	case "fixed-response":
		return strings.TrimSpace(kind + " " + text(object(a["FixedResponseConfig"])["StatusCode"]))
	case "":
		return "an action without type"
	default:
		return kind
	}
}

func forwardInWords(f Forward) string {
	if len(f.Groups) == 1 {
		return "forward " + groupName(f.Groups[0].ARN)
	}
	parts := make([]string, 0, len(f.Groups))
	for _, g := range f.Groups {
		parts = append(parts, fmt.Sprintf("%s %d", groupName(g.ARN), g.Weight))
	}
	return "forward " + strings.Join(parts, ", ")
}

// groupName returns the name in a target group's ARN
// (…:targetgroup/NAME/ID), else the ARN itself.
func groupName(arn string) string {
	if _, rest, ok := strings.Cut(arn, ":targetgroup/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		return Line(name)
	}
	return Line(arn)
}
