package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/istio-cutover/cutover/model"
)

// proversAtOnce bounds how many hosts are proven side by side, so that proof
// is no load test of production.
const proversAtOnce = 4

// prove seeks proof for every host that was moved, and sums the run up.
func (x *execution) prove(ctx context.Context) Result {
	result := Result{Outcome: OutcomeApplied}
	if x.plan.WayBack {
		result.Outcome = OutcomeRolledBack
	}
	if x.Prove == nil || x.options.Proof <= 0 {
		return result
	}
	moves := x.moves()
	limited, cancel := context.WithTimeout(ctx, x.options.Proof)
	defer cancel()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		unproven []string
		slots    = make(chan struct{}, proversAtOnce)
	)
	for _, m := range moves {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if got := x.proveHost(limited, m); got.Proof != model.ProofProven {
				mu.Lock()
				defer mu.Unlock()
				unproven = append(unproven, m.Host.Host+": "+got.Detail)
			}
		})
	}
	wg.Wait()
	if len(unproven) > 0 {
		slices.Sort(unproven)
		result.Interrupted = ctx.Err() != nil
		result.Err = &model.Error{
			Kind: model.KindUnproven, Operation: "proof", Object: fmt.Sprintf("%d of %d hosts", len(unproven), len(moves)),
			Message: "switched, but not proven: " + strings.Join(unproven, "; "),
			Remedy:  "watch it (cutover probe --side lb), or take it back (cutover rollback --last)",
		}
	}
	return result
}

// moves returns the hosts that were moved, in the order of the plan.
func (x *execution) moves() []Move {
	var out []Move
	at := map[model.HostKey]int{}
	for _, a := range x.applied {
		for _, h := range a.change.Hosts {
			i, known := at[h]
			if !known {
				i = len(out)
				at[h] = i
				out = append(out, Move{Host: h, To: x.plan.Intent.To})
			}
			out[i].Changes = append(out[i].Changes, a.change)
			out[i].After = a.at
		}
	}
	return out
}

func (x *execution) proveHost(ctx context.Context, m Move) Proving {
	h := m.Host
	event := func(p Proving) Event {
		return Event{Event: Proven, Host: h.Host, Key: h, Hosts: []model.HostKey{h}, Proof: p.Proof, Detail: p.Detail}
	}
	got := x.Prove(ctx, m, func(p Proving) {
		if p.Proof == model.ProofUnproven {
			e := event(p)
			e.Event = Waiting
			x.say(e)
		}
	})
	note := model.Entry{
		Kind: model.EntryNote, Run: x.run, To: x.plan.Intent.To, Hosts: []model.HostKey{h}, Proof: got.Proof, Reason: got.Detail,
	}
	if _, err := x.Journal.Append(note); err != nil {
		x.cannotJournal(err)
	}
	if got.Proof == model.ProofProven {
		x.say(event(got))
	} else {
		e := event(got)
		e.Event = Waiting
		x.say(e)
	}
	return got
}

func outcomeText(r Result) string {
	text := string(r.Outcome)
	if r.Err != nil {
		text += ": " + model.Line(r.Err.Error())
	}
	return text
}
