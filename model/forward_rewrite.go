package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// action is one action of a rule in the API's shape, with every field that the
// API gave, so that rewriting keeps what is not understood here.
type action = map[string]any

// objects decodes a list of JSON objects; numbers stay as they are written.
func objects(list JSON) ([]action, error) {
	if list == "" {
		return nil, nil
	}
	dec := json.NewDecoder(strings.NewReader(string(list)))
	dec.UseNumber()
	var out []action
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("not a list of objects: %w", err)
	}
	return out, nil
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// WritableActions returns actions, as AWS reports them, in the form in which
// they can be written back by ModifyRule and ModifyListener with the same
// meaning: authentication by OIDC reuses the client secret that AWS holds
// (it is never reported, and never kept here), a forward to several groups
// does without the scalar TargetGroupArn, and a stickiness that is off has no
// duration, as AWS refuses 0. Everything else stays as it is. What is not a
// list of actions is returned unchanged.
func WritableActions(actions JSON) JSON {
	list, err := objects(actions)
	if err != nil || len(list) == 0 {
		return actions
	}
	for _, a := range list {
		writable(a)
	}
	out, err := CanonicalOf(list)
	if err != nil {
		return actions
	}
	return out
}

func writable(a action) {
	if c := object(a["AuthenticateOidcConfig"]); c != nil {
		delete(c, "ClientSecret")
		c["UseExistingClientSecret"] = true
	}
	c := object(a["ForwardConfig"])
	if c == nil {
		return
	}
	if groups, _ := c["TargetGroups"].([]any); len(groups) > 1 {
		delete(a, "TargetGroupArn")
	}
	if s := object(c["TargetGroupStickinessConfig"]); s != nil && s["Enabled"] != true {
		if n, ok := s["DurationSeconds"].(json.Number); ok && n.String() == "0" {
			delete(s, "DurationSeconds")
		}
	}
}

// stateOf returns what a change of r would record: the whole rule, its actions
// in writable form, so that a change and its inverse can both be written.
func stateOf(r Rule) RuleState {
	return RuleState{
		Priority:   r.PriorityText(),
		Conditions: r.Conditions,
		Actions:    WritableActions(r.Actions),
		Transforms: r.Transforms,
		Tags:       r.Tags,
	}.Clone()
}

// maxWeight is the greatest weight that ELBv2 takes.
const maxWeight = 999

// forwardMove says how the forwards of one rule are moved to the other side.
type forwardMove struct {
	// counterpart names the group that takes over from each leaving group.
	counterpart map[string]string
	// plain says, per group, why it cannot stand in a weighted forward without
	// stickiness between groups; "" where it can.
	plain func(arn string) string
	// name names a group for people.
	name func(arn string) string
	// limit is the number of groups that a forward may name.
	limit int
}

// apply returns actions with every leaving group's weight given to its
// counterpart. Refused says why that cannot be written.
func (m forwardMove) apply(actions JSON) (after JSON, warnings []string, refused string, err error) {
	list, err := objects(actions)
	if err != nil {
		return "", nil, "", err
	}
	forwards, err := Forwards(actions)
	if err != nil {
		return "", nil, "", err
	}
	for _, f := range forwards {
		if !m.moves(f) {
			continue
		}
		w, no := m.move(list[f.Index], f)
		if no != "" {
			return "", nil, no, nil
		}
		warnings = append(warnings, w...)
	}
	for _, a := range list {
		writable(a)
	}
	after, err = CanonicalOf(list)
	return after, warnings, "", err
}

// moves reports whether f sends traffic to a leaving group.
func (m forwardMove) moves(f Forward) bool {
	return slices.ContainsFunc(f.Groups, func(g WeightedGroup) bool {
		return m.counterpart[g.ARN] != "" && carries(f, g)
	})
}

// carries reports whether f sends traffic to g: the only group of a forward
// gets all of it whatever its weight.
func carries(f Forward, g WeightedGroup) bool { return len(f.Groups) == 1 || g.Weight > 0 }

// move rewrites one forward action in place.
func (m forwardMove) move(a action, f Forward) (warnings []string, refused string) {
	groups := m.weigh(f)
	if f.Sticky {
		warnings = append(warnings, fmt.Sprintf(
			"clients with an AWSALBTG cookie stay on their target group until it expires (%d s), whatever the weights", f.StickySeconds))
	} else if why := m.whyPlain(groups); why != "" {
		carrying := slices.DeleteFunc(slices.Clone(groups), func(g WeightedGroup) bool { return g.Weight == 0 })
		if len(carrying) != 1 || m.namesForeign(f) {
			return nil, why + ", and the rule names other target groups beside; turn on stickiness between the rule's groups, or that off"
		}
		warnings = append(warnings, why+"; the plain form is used, nothing is kept warm at weight 0")
		groups = carrying
	}
	if m.limit > 0 && len(groups) > m.limit {
		groups = slices.DeleteFunc(groups, func(g WeightedGroup) bool { return m.counterpart[g.ARN] != "" && g.Weight == 0 })
		warnings = append(warnings, fmt.Sprintf("a forward names at most %d target groups; the group left is not kept warm at weight 0", m.limit))
		if len(groups) > m.limit {
			return nil, fmt.Sprintf("the forward would name %d target groups, ELBv2 allows %d", len(groups), m.limit)
		}
	}
	carrying := 0
	for _, g := range groups {
		if g.Weight > 0 {
			carrying++
		}
	}
	for i, g := range groups {
		switch {
		case g.Weight <= maxWeight:
		case carrying == 1: // It gets everything whatever its weight.
			groups[i].Weight = maxWeight
		default:
			return nil, fmt.Sprintf("the weight of %s would be %d, ELBv2 allows %d", m.name(g.ARN), g.Weight, maxWeight)
		}
	}
	setGroups(a, groups)
	return warnings, ""
}

// weigh returns f's groups with the weights after the move: f's own order,
// then the counterparts that it did not name.
func (m forwardMove) weigh(f Forward) []WeightedGroup {
	given := map[string]int{}
	var order []string
	var out []WeightedGroup
	for _, g := range f.Groups {
		to := m.counterpart[g.ARN]
		if to == "" {
			out = append(out, g)
			continue
		}
		if len(f.Groups) == 1 {
			g.Weight = 100
		}
		if _, ok := given[to]; !ok {
			order = append(order, to)
		}
		given[to] += g.Weight
		out = append(out, WeightedGroup{ARN: g.ARN})
	}
	for i, g := range out {
		if w, ok := given[g.ARN]; ok {
			out[i].Weight += w
			delete(given, g.ARN)
		}
	}
	for _, arn := range order {
		if w, ok := given[arn]; ok {
			out = append(out, WeightedGroup{ARN: arn, Weight: w})
		}
	}
	return out
}

func (m forwardMove) whyPlain(groups []WeightedGroup) string {
	for _, g := range groups {
		if why := m.plain(g.ARN); why != "" {
			return why
		}
	}
	return ""
}

// namesForeign reports whether f names a group that neither leaves nor takes over.
func (m forwardMove) namesForeign(f Forward) bool {
	return slices.ContainsFunc(f.Groups, func(g WeightedGroup) bool {
		if m.counterpart[g.ARN] != "" {
			return false
		}
		for _, to := range m.counterpart {
			if to == g.ARN {
				return false
			}
		}
		return true
	})
}

// setGroups writes groups into a forward action and keeps its other fields.
// One group is written in the form that the action had.
func setGroups(a action, groups []WeightedGroup) {
	c := object(a["ForwardConfig"])
	if len(groups) == 1 {
		if _, scalar := a["TargetGroupArn"]; scalar || c == nil {
			a["TargetGroupArn"] = groups[0].ARN
		}
		if c == nil {
			return
		}
	} else {
		delete(a, "TargetGroupArn")
	}
	if c == nil {
		c = map[string]any{}
		a["ForwardConfig"] = c
	}
	tuples := map[string]map[string]any{}
	old, _ := c["TargetGroups"].([]any)
	for _, v := range old {
		if t := object(v); t != nil {
			tuples[text(t["TargetGroupArn"])] = t
		}
	}
	list := make([]any, 0, len(groups))
	for _, g := range groups {
		t := tuples[g.ARN]
		if t == nil {
			t = map[string]any{"TargetGroupArn": g.ARN}
		}
		t["Weight"] = g.Weight
		list = append(list, t)
	}
	c["TargetGroups"] = list
}
