package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// endRun says how the run ended. The cause comes first: what does not fit is
// cut from the end.
func (a *App) endRun(r *runState, result run.Result) {
	for _, h := range planHosts(r.plan) {
		p, ok := a.progress[h]
		if !ok {
			continue
		}
		p.since = a.now
		a.progress[h] = p
		if p.style == styleInfo || strings.HasPrefix(p.word, "waiting") {
			delete(a.progress, h) // Nothing was done with it.
		}
	}
	words := outcomeWords(r, result)
	hosts := planHosts(r.plan)
	took := ", " + ago(a.now.Sub(r.began))
	if result.Err == nil {
		a.note(styleDim, "run ended: "+words+took, "")
		if len(hosts) > 0 && r.proven >= len(hosts) {
			words = fmt.Sprintf("%s → %s proven%s", a.short(hosts), r.plan.Intent.To, strings.Join(r.by, ","))
		}
		a.say(styleGood, words)
		return
	}
	st := styleBad
	why := cause(result.Err)
	switch {
	case result.Unsettled:
		words = why + " · recovery is needed: start cutover again, it reads what is true and settles it"
	case r.stopping || errors.Is(result.Err, context.Canceled):
		st, words = styleWarn, "run stopped: "+words
	case onlyDrift(result.Err) && r.plan.WayBack:
		st = styleWarn
		words = "left as somebody else changed it: " + some(r.left, 3) + " (cutover rollback --force overwrites it)"
	case model.KindOf(result.Err) == model.KindUnproven:
		for _, said := range []string{"switched, unproven: ", "switched, side unconfirmed: "} {
			why = strings.TrimPrefix(why, said)
		}
		st, words = styleWarn, unprovenWords(r, hosts)+": "+why
	default:
		words = why + " · " + words
	}
	a.note(st, words, errorDetail(result.Err))
	if !r.takeBack && r.next == nil {
		a.say(st, words)
	}
}

// outcomeWords says what a run came to.
func outcomeWords(r *runState, result run.Result) string {
	switch {
	case model.KindOf(result.Err) == model.KindUnproven:
		return "switched, unproven"
	case result.Outcome == run.OutcomeApplied:
		return "done"
	case result.Outcome == run.OutcomeUnchanged:
		return "nothing was changed"
	case result.Outcome == run.OutcomeRolledBack && r.plan.WayBack:
		return "taken back"
	case result.Outcome == run.OutcomeRolledBack:
		return "put back"
	case r.plan.WayBack:
		return "not all was taken back"
	default:
		return "what was switched stays, z takes it back"
	}
}

// unprovenWords says which proof is missing: one that did not come in time, or
// one that there cannot be.
func unprovenWords(r *runState, hosts []model.HostKey) string {
	missing := len(hosts) - r.proven - r.unconfirmed
	switch {
	case r.unconfirmed == 0 && len(hosts) == 1:
		return "switched, not proven in time"
	case missing <= 0 && len(hosts) == 1:
		return "switched, side unconfirmed"
	case missing <= 0:
		return fmt.Sprintf("switched, side of %d unconfirmed", r.unconfirmed)
	default:
		return fmt.Sprintf("switched, %d of %d not proven in time", missing, len(hosts))
	}
}

// cause is why something failed, without what was attempted on which object.
func cause(err error) string {
	var e *model.Error
	if asError(err, &e) {
		return e.Cause()
	}
	return model.Line(err.Error())
}

// errorDetail is all that an error says, with the remedy.
func errorDetail(err error) string {
	text := err.Error()
	var e *model.Error
	if asError(err, &e) && e.Remedy != "" {
		text += "\n\n" + e.Remedy
	}
	return text
}

// onlyDrift reports that all that went wrong is somebody else's change.
func onlyDrift(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // Each of the joined errors is looked at by itself.
	if !ok {
		return model.KindOf(err) == model.KindDrift
	}
	for _, e := range joined.Unwrap() {
		if !onlyDrift(e) {
			return false
		}
	}
	return true
}
