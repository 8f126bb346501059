package model

import (
	"encoding/json"
	"strings"
)

// SamplePath returns a URL path that the rule's path conditions match, "" when
// it has none or none that can be read: what a request must ask for to reach
// the rule.
func (r Rule) SamplePath() string {
	var conditions []struct {
		Field             string
		Values            []string
		PathPatternConfig struct{ Values []string }
	}
	if json.Unmarshal([]byte(r.Conditions), &conditions) != nil {
		return ""
	}
	for _, c := range conditions {
		if c.Field != "path-pattern" {
			continue
		}
		for _, pattern := range append(c.PathPatternConfig.Values, c.Values...) {
			return strings.NewReplacer("*", "cutover-probe", "?", "x").Replace(pattern)
		}
	}
	return ""
}
