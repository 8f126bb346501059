package model

import (
	"encoding/json"
	"fmt"
)

// WeightedGroup is a target group in a forward action.
type WeightedGroup struct {
	ARN    string
	Weight int // 0–999; 1 where the action says none
}

// Forward is a forward action as far as it is understood here.
type Forward struct {
	Index  int             // its place in the list of actions, from 0
	Groups []WeightedGroup // in the action's order, each group once
	// Sticky and StickySeconds are the action's own stickiness between groups.
	Sticky        bool
	StickySeconds int
}

// Group returns the weight of a target group and whether the action names it.
func (f Forward) Group(arn string) (weight int, ok bool) {
	for _, g := range f.Groups {
		if g.ARN == arn {
			return g.Weight, true
		}
	}
	return 0, false
}

// Forwards returns the forward actions in the API's list of Action. All other
// actions, known or not, are passed over. A group that is named by
// TargetGroupArn and in ForwardConfig counts once, with the weight of the
// latter. It fails on what is not a list of actions.
func Forwards(actions JSON) ([]Forward, error) {
	if actions == "" {
		return nil, nil
	}
	var raw []struct {
		Type           string
		TargetGroupArn string
		ForwardConfig  *struct {
			TargetGroups []struct {
				TargetGroupArn string
				Weight         *int
			}
			TargetGroupStickinessConfig *struct {
				Enabled         bool
				DurationSeconds int
			}
		}
	}
	if err := json.Unmarshal([]byte(actions), &raw); err != nil {
		return nil, fmt.Errorf("read actions: %w", err)
	}
	var forwards []Forward
	for i, a := range raw {
		if a.Type != "forward" {
			continue
		}
		f := Forward{Index: i}
		if a.ForwardConfig != nil {
			for _, g := range a.ForwardConfig.TargetGroups {
				if _, ok := f.Group(g.TargetGroupArn); ok || g.TargetGroupArn == "" {
					continue
				}
				w := 1
				if g.Weight != nil {
					w = *g.Weight
				}
				f.Groups = append(f.Groups, WeightedGroup{ARN: g.TargetGroupArn, Weight: w})
			}
			if s := a.ForwardConfig.TargetGroupStickinessConfig; s != nil {
				f.Sticky, f.StickySeconds = s.Enabled, s.DurationSeconds
			}
		}
		if len(f.Groups) == 0 && a.TargetGroupArn != "" {
			f.Groups = []WeightedGroup{{ARN: a.TargetGroupArn, Weight: 1}}
		}
		forwards = append(forwards, f)
	}
	return forwards, nil
}
