package model

// Settlement is what became of a write whose outcome nobody recorded.
type Settlement string

// The ways in which an interrupted write can have ended.
const (
	SettledApplied    Settlement = "applied"     // the rule is as the change wanted it
	SettledNotApplied Settlement = "not-applied" // the rule is as it was before
	SettledDrifted    Settlement = "drifted"     // the rule is neither: somebody else changed it
)

// Settle compares what AWS says now with a change that was intended and has no
// recorded outcome. A change that means nothing counts as applied.
func Settle(c Change, now RuleState) Settlement {
	switch {
	case SameMeaning(now, c.After):
		return SettledApplied
	case SameMeaning(now, c.Before):
		return SettledNotApplied
	default:
		return SettledDrifted
	}
}
