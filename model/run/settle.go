package run

import (
	"context"
	"fmt"

	"github.com/istio-cutover/cutover/model"
)

// Settled is what became of an intent that an interrupted run left without an
// outcome.
type Settled struct {
	Intent     model.Entry
	Settlement model.Settlement
	Err        error // it could not be read; it stays unsettled
}

// String says it in words.
func (s Settled) String() string {
	c := s.Intent.Change
	if s.Err != nil {
		return fmt.Sprintf("%s: interrupted at %s, and it cannot be read now: %s", c.Label, s.Intent.Time.Format("15:04:05"), model.Line(s.Err.Error()))
	}
	return fmt.Sprintf("%s: interrupted at %s; found %s", c.Label, s.Intent.Time.Format("15:04:05"), s.Settlement)
}

// Recover settles the intents among entries that have no outcome, by reading
// what is true now. It writes nothing to AWS. With a nil journal it only tells.
func Recover(ctx context.Context, port Port, journal Journal, entries []model.Entry) ([]Settled, error) {
	var out []Settled
	for _, e := range model.Unsettled(entries) {
		if e.Change == nil {
			continue
		}
		s := Settled{Intent: e}
		now, err := port.Read(ctx, e.Change.Ref())
		gone := model.KindOf(err) == model.KindNotFound
		if err != nil && !gone {
			s.Err = err
			out = append(out, s)
			continue
		}
		s.Settlement = model.SettledDrifted
		if !gone {
			s.Settlement = model.Settle(*e.Change, now)
		}
		out = append(out, s)
		if journal == nil {
			continue
		}
		outcome := model.Entry{
			Kind: model.EntryFailed, Run: e.Run, Intent: e.Seq, To: e.To, WayBack: e.WayBack, Hosts: e.Hosts,
			Reason:  "settled after an interruption: found " + string(s.Settlement),
			Drifted: s.Settlement == model.SettledDrifted && !gone,
		}
		if s.Settlement == model.SettledApplied {
			outcome.Kind = model.EntryDone
		}
		if _, err := journal.Append(outcome); err != nil {
			return out, err
		}
	}
	return out, nil
}
