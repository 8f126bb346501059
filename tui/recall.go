package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// recall fills Activity with what the journal says was done before the console
// was opened, so that a restart does not lose the operator's place.
func (a *App) recall(entries []model.Entry) {
	intents := map[uint64]model.Entry{}
	for _, e := range entries {
		if e.Kind == model.EntryIntent {
			intents[e.Seq] = e
		}
		if st, text := remembered(e, intents); text != "" {
			a.note(st, text, listHosts(e.Hosts)+e.Reason)
			a.activities[len(a.activities)-1].time = e.Time.Local()
		}
	}
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
			return stylePlain, fmt.Sprintf("%s switched, %s ok", name, model.Line(i.Change.Label))
		}
	case model.EntryFailed:
		return styleBad, fmt.Sprintf("failed: %s %s", name, model.Line(e.Reason))
	case model.EntryOverride:
		return styleWarn, fmt.Sprintf("%s: gate %s overridden", name, e.Gate)
	case model.EntryNote:
		switch e.Proof {
		case model.ProofProven:
			return styleGood, fmt.Sprintf("%s → %s proven", name, e.To)
		case model.ProofUnconfirmed:
			return styleWarn, fmt.Sprintf("%s → %s, side unconfirmed", name, e.To)
		case model.ProofUnproven:
			return styleWarn, fmt.Sprintf("%s → %s, unproven", name, e.To)
		case model.ProofNone:
		}
	case model.EntryIntent:
	}
	return stylePlain, ""
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
