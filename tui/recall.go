package tui

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// recall tells what the journal has and Activity has not: at first what was
// done before the console was opened, so that a restart does not lose the
// operator's place, then what others do beside it.
func (a *App) recall(first bool) {
	if a.run != nil {
		return // All that is recorded now is of this run, which tells by itself.
	}
	intents := map[uint64]model.Entry{}
	present := a.activities
	if first {
		a.activities = nil // What was before stands before.
	}
	for _, e := range a.world.Journal {
		if e.Kind == model.EntryIntent {
			intents[e.Seq] = e
		}
		if e.Seq <= a.told {
			continue
		}
		a.told = e.Seq
		st, text := remembered(e, intents)
		if text == "" || a.own[e.Run] {
			continue
		}
		detail := listHosts(e.Hosts) + e.Reason
		if !first {
			detail += "\nrecorded by " + strings.Trim(e.Operator.Kube+", "+e.Operator.AWS, ", ")
		}
		a.note(st, text, detail)
		a.activities[len(a.activities)-1].time = e.Time.Local()
	}
	if first {
		a.activities = append(a.activities, present...)
		a.stale.activity = true
	}
}

// tellForeign tells of rules that do something else than a moment ago without
// anything of ours that explains it.
func (a *App) tellForeign(before, now *model.Snapshot) {
	if before == nil || before == now {
		return
	}
	for _, s := range []*model.Snapshot{before, now} {
		if _, bad := unread(s, model.ResourceLoadBalancers, model.ResourceRules); bad {
			return
		}
	}
	var ours map[string][]model.Change
	for _, lb := range now.AWS.LoadBalancers {
		for _, l := range lb.Listeners {
			for _, r := range l.Rules {
				was, ok := before.Rule(r.ARN)
				if !ok || was.Actions == r.Actions {
					continue
				}
				why := model.Difference(model.RuleState{Actions: was.Actions}, model.RuleState{Actions: r.Actions})
				if ours == nil {
					ours = a.ourChanges(before.AWS.ObservedAt)
				}
				if why != "" && !explained(ours, r) {
					a.note(styleWarn, now.RuleLabel(r)+" changed by somebody else: "+why, why)
				}
			}
		}
	}
}

// ourChanges returns, by the rule or the listener, the changes that this
// console makes or has made, and those that the journal has since a time.
func (a *App) ourChanges(since time.Time) map[string][]model.Change {
	out := map[string][]model.Change{}
	add := func(c model.Change) { out[c.Object()] = append(out[c.Object()], c) }
	if a.run != nil {
		for _, c := range a.run.plan.Changes {
			add(c)
			add(c.Inverse())
		}
	}
	for _, r := range a.unrecorded {
		add(r.Change)
	}
	for _, e := range a.world.Journal {
		if e.Change != nil && e.Time.After(since.Add(-observing)) {
			add(*e.Change)
		}
	}
	return out
}

// explained reports that one of the changes made the rule what it is now.
func explained(ours map[string][]model.Change, r model.Rule) bool {
	object := r.ARN
	if r.IsDefault() {
		object = r.Listener
	}
	return slices.ContainsFunc(ours[object], func(c model.Change) bool {
		return model.SameMeaning(model.RuleState{Actions: c.After.Actions}, model.RuleState{Actions: r.Actions})
	})
}

// remembered puts an entry in the words that the run itself was told in; "" for
// entries that say nothing by themselves.
func remembered(e model.Entry, intents map[uint64]model.Entry) (style, string) {
	name := hostWords(e.Hosts)
	if len(e.Hosts) == 1 {
		name, _, _ = strings.Cut(name, ".")
	}
	switch e.Kind {
	case model.EntryDone:
		if i := intents[e.Intent]; i.Change != nil {
			return stylePlain, fmt.Sprintf("%s %s, %s", name, madeWord(i.WayBack), model.Line(i.Change.Label))
		}
	case model.EntryFailed:
		return styleBad, fmt.Sprintf("failed: %s %s", name, model.Line(e.Reason))
	case model.EntryOverride:
		return styleWarn, fmt.Sprintf("%s: gate %s overridden", name, e.Gate)
	case model.EntryNote:
		switch e.Proof {
		case model.ProofProven:
			return styleGood, fmt.Sprintf("%s → %s proven%s", name, e.To, provenBy(e.Reason))
		case model.ProofUnconfirmed:
			return styleWarn, fmt.Sprintf("%s → %s unconfirmed", name, e.To)
		case model.ProofUnproven:
			return styleWarn, fmt.Sprintf("%s → %s unproven", name, e.To)
		case model.ProofNone:
		}
	case model.EntryIntent:
	}
	return stylePlain, ""
}

// provenBy picks from what the journal says of a proof by what the side was told.
func provenBy(reason string) string {
	if m := regexp.MustCompile(`( by [a-z ]+), \d+ of \d+`).FindStringSubmatch(reason); m != nil {
		return m[1]
	}
	return ""
}

// activityTime is the time of day, or the day for what is from another one.
func activityTime(t, now time.Time) string {
	if y, m, d := t.Date(); now.IsZero() || sameDay(now, y, m, d) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("Jan 02")
}

func sameDay(t time.Time, year int, month time.Month, day int) bool {
	y, m, d := t.Date()
	return y == year && m == month && d == day
}
