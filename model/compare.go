package model

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// SameMeaning reports whether two states of one rule or listener route alike,
// however AWS happens to write them. Actions, conditions and transforms are
// always compared, an absent list being the same as an empty one; priorities
// are compared when both states have one; tags never are, as reading a rule
// does not give them.
//
// Within actions only the sequence counts, not the numbers in Order; a forward
// is its target groups and weights in any order, the scalar TargetGroupArn and
// ForwardConfig being two forms of one thing; the weight of a lone group does
// not count, and an omitted one is 1; stickiness that is off is the same as
// none; an OIDC client secret, and whether the existing one is used, is never
// looked at. Within conditions the order of conditions and of values does not
// count, nor the case of host names, nor whether values stand in Values or in
// the field's own Config. JSON null, "" and empty lists count as absent.
func SameMeaning(a, b RuleState) bool {
	if a.Priority != "" && b.Priority != "" && a.Priority != b.Priority {
		return false
	}
	return sameList(a.Actions, b.Actions, actionsMeaning) &&
		sameList(a.Conditions, b.Conditions, conditionsMeaning) &&
		sameList(a.Transforms, b.Transforms, listMeaning)
}

// Difference says in words how now differs in meaning from expected; "" when
// it does not.
func Difference(expected, now RuleState) string {
	var parts []string
	if !sameList(expected.Actions, now.Actions, actionsMeaning) {
		parts = append(parts, "it does "+InWords(now.Actions)+" instead of "+InWords(expected.Actions))
	}
	if !sameList(expected.Conditions, now.Conditions, conditionsMeaning) {
		parts = append(parts, "its conditions are "+listInWords(now.Conditions)+" instead of "+listInWords(expected.Conditions))
	}
	if expected.Priority != "" && now.Priority != "" && expected.Priority != now.Priority {
		parts = append(parts, "its priority is "+Line(now.Priority)+" instead of "+Line(expected.Priority))
	}
	if !sameList(expected.Transforms, now.Transforms, listMeaning) {
		parts = append(parts, "its transforms are "+listInWords(now.Transforms)+" instead of "+listInWords(expected.Transforms))
	}
	return strings.Join(parts, "; ")
}

func listInWords(list JSON) string {
	if list == "" || list == "[]" {
		return "none"
	}
	return Line(string(list))
}

// sameList compares two lists by what meaning makes of them. Texts that cannot
// be read are the same only when they are equal.
func sameList(a, b JSON, meaning func([]action) []any) bool {
	if a == b {
		return true
	}
	x, errX := objects(a)
	y, errY := objects(b)
	if errX != nil || errY != nil {
		return false
	}
	return encoded(meaning(x)) == encoded(meaning(y))
}

// encoded returns v as JSON with sorted keys. What was decoded from JSON can
// always be encoded again.
func encoded(v any) JSON {
	j, err := encode(v)
	if err != nil {
		return ""
	}
	return j
}

func listMeaning(list []action) []any {
	out := make([]any, 0, len(list))
	for _, o := range list {
		out = append(out, present(o))
	}
	return out
}

// present returns v without fields that are null, "" or empty.
func present(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			if x = present(x); x != nil {
				m[k] = x
			}
		}
		if len(m) == 0 {
			return nil
		}
		return m
	case []any:
		if len(v) == 0 {
			return nil
		}
		l := make([]any, 0, len(v))
		for _, x := range v {
			l = append(l, present(x))
		}
		return l
	case string:
		if v == "" {
			return nil
		}
	}
	return v
}

func actionsMeaning(list []action) []any {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b action) int { return orderOf(a) - orderOf(b) })
	out := make([]any, 0, len(list))
	for _, a := range list {
		m := without(a, "Order")
		if c := object(m["AuthenticateOidcConfig"]); c != nil {
			m["AuthenticateOidcConfig"] = without(c, "ClientSecret", "UseExistingClientSecret")
		}
		if text(m["Type"]) == "forward" {
			forwardMeaning(m)
		}
		out = append(out, present(m))
	}
	return out
}

func orderOf(a action) int {
	n, ok := a["Order"].(json.Number)
	if !ok {
		return 0
	}
	i, err := n.Int64()
	if err != nil {
		return 0
	}
	return int(i)
}

func without(m map[string]any, keys ...string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if !slices.Contains(keys, k) {
			out[k] = v
		}
	}
	return out
}

// forwardMeaning replaces the forms that a forward can have by one.
func forwardMeaning(m map[string]any) {
	scalar := text(m["TargetGroupArn"])
	delete(m, "TargetGroupArn")
	c := without(object(m["ForwardConfig"]))
	tuples, _ := c["TargetGroups"].([]any)
	groups := make([]any, 0, len(tuples))
	for _, t := range tuples {
		g := without(object(t))
		if _, ok := g["Weight"]; !ok {
			g["Weight"] = json.Number("1")
		}
		groups = append(groups, g)
	}
	if len(groups) == 0 && scalar != "" {
		groups = []any{map[string]any{"TargetGroupArn": scalar}}
	}
	if len(groups) == 1 {
		delete(object(groups[0]), "Weight")
	}
	c["TargetGroups"] = sortedByText(groups)
	if s := object(c["TargetGroupStickinessConfig"]); s == nil || s["Enabled"] != true {
		delete(c, "TargetGroupStickinessConfig")
	}
	m["ForwardConfig"] = c
}

func sortedByText(list []any) []any {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b any) int { return cmp.Compare(encoded(a), encoded(b)) })
	return slices.CompactFunc(list, func(a, b any) bool { return encoded(a) == encoded(b) })
}

// conditionsMeaning brings conditions into one form: all lists within one are
// alternatives, and the conditions themselves all have to match.
func conditionsMeaning(list []action) []any {
	out := make([]any, 0, len(list))
	for _, o := range list {
		c := without(o)
		config := map[string]string{"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}[text(c["Field"])]
		if config != "" {
			inner := without(object(c[config]))
			for _, k := range []string{"Values", "RegexValues"} {
				outer, _ := c[k].([]any)
				own, _ := inner[k].([]any)
				if all := slices.Concat(outer, own); len(all) > 0 {
					inner[k] = all
				}
				delete(c, k)
			}
			if values, ok := inner["Values"].([]any); ok && config == "HostHeaderConfig" {
				for i, v := range values {
					values[i] = strings.ToLower(text(v))
				}
			}
			c[config] = inner
		}
		out = append(out, sortedLists(present(c)))
	}
	return sortedByText(out)
}

func sortedLists(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = sortedLists(x)
		}
	case []any:
		for i, x := range v {
			v[i] = sortedLists(x)
		}
		return sortedByText(v)
	}
	return v
}
