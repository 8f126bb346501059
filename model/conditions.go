package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Conditions are a rule's conditions as far as they are understood here: which
// hosts it takes, and whether anything else narrows it.
type Conditions struct {
	// Hosts are the host-header conditions. All of them must match; a rule has
	// at most one in practice.
	Hosts []HostCondition
	// Others are the fields of all other conditions, in order: "path-pattern",
	// "http-request-method", and whatever the API may add.
	Others []string
}

// HostCondition is one host-header condition. It matches when any value does.
type HostCondition struct {
	Values []string // lower case; * stands for any characters, ? for exactly one
	Regex  []string // as written; which hosts they match is not decided here
}

// HostOnly reports whether nothing but the host decides if the rule matches.
func (c Conditions) HostOnly() bool { return len(c.Others) == 0 }

// AnyHost reports whether the rule has no condition on the host.
func (c Conditions) AnyHost() bool { return len(c.Hosts) == 0 }

// ParseConditions reads the API's list of RuleCondition ("Field", "Values",
// "RegexValues" and the field's own Config object). Conditions that are not
// understood are kept as Others. It fails on what is not such a list.
func ParseConditions(list JSON) (Conditions, error) {
	if list == "" {
		return Conditions{}, nil
	}
	var raw []struct {
		Field            string
		Values           []string
		RegexValues      []string
		HostHeaderConfig *struct {
			Values      []string
			RegexValues []string
		}
	}
	if err := json.Unmarshal([]byte(list), &raw); err != nil {
		return Conditions{}, fmt.Errorf("read conditions: %w", err)
	}
	var c Conditions
	for _, r := range raw {
		if r.Field != "host-header" && r.HostHeaderConfig == nil {
			c.Others = append(c.Others, r.Field)
			continue
		}
		var h HostCondition
		values, regex := r.Values, r.RegexValues
		if r.HostHeaderConfig != nil {
			values = slices.Concat(values, r.HostHeaderConfig.Values)
			regex = slices.Concat(regex, r.HostHeaderConfig.RegexValues)
		}
		for _, v := range values {
			if v = strings.ToLower(v); !slices.Contains(h.Values, v) {
				h.Values = append(h.Values, v)
			}
		}
		for _, v := range regex {
			if !slices.Contains(h.Regex, v) {
				h.Regex = append(h.Regex, v)
			}
		}
		c.Hosts = append(c.Hosts, h)
	}
	return c, nil
}

// Hosts returns the host values of the rule's conditions, each once, in lower
// case and in their order; regular expressions as they are written. It is
// empty for a rule without a condition on the host, and for one whose
// conditions cannot be read.
func (r Rule) Hosts() []string {
	c, err := ParseConditions(r.Conditions)
	if err != nil {
		return nil
	}
	return c.hostNames()
}

func (c Conditions) hostNames() []string {
	var names []string
	for _, h := range c.Hosts {
		for _, v := range slices.Concat(h.Values, h.Regex) {
			if !slices.Contains(names, v) {
				names = append(names, v)
			}
		}
	}
	return names
}
