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

// ProveAgain seeks proof for changes of former runs that are in force: what was
// interrupted or came too late then. It changes nothing but the journal's word.
func (r *Runner) ProveAgain(ctx context.Context, to model.SideName, changes []model.Change, o Options, emit func(Event)) Result {
	x := &execution{Runner: r, options: o, run: r.NewRun(), emit: serial(emit), plan: model.Plan{Intent: model.Intent{To: to}}}
	for _, c := range changes {
		x.applied = append(x.applied, applied{change: c, at: r.Now()})
	}
	result := x.prove(ctx)
	result.Run, result.Outcome = x.run, OutcomeUnchanged
	x.say(Event{Event: Done, Detail: outcomeText(result), Result: &result})
	return result
}

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
		unproven = map[string][]string{} // hosts by what keeps them from being proven
		missing  int
		slots    = make(chan struct{}, proversAtOnce)
	)
	for _, m := range moves {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if got := x.proveHost(limited, m); got.Proof != model.ProofProven {
				mu.Lock()
				defer mu.Unlock()
				words := got.words(m.To)
				unproven[words] = append(unproven[words], m.Host.Host)
				missing++
			}
		})
	}
	wg.Wait()
	if missing > 0 {
		result.Interrupted = ctx.Err() != nil
		result.Err = &model.Error{
			Kind: model.KindUnproven, Operation: "proof", Object: fmt.Sprintf("%d of %d hosts", missing, len(moves)),
			Message: byDetail(unproven), Remedy: x.unprovenRemedy(),
		}
	}
	return result
}

// byDetail says each cause once, with the hosts that it keeps from being proven.
func byDetail(unproven map[string][]string) string {
	var parts []string
	for detail, hosts := range unproven {
		slices.Sort(hosts)
		const most = 3
		if n := len(hosts) - most; n > 0 {
			hosts = append(hosts[:most:most], fmt.Sprintf("%d more", n))
		}
		parts = append(parts, detail+" ("+strings.Join(hosts, ", ")+")")
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

func (x *execution) unprovenRemedy() string {
	if x.plan.WayBack {
		return "watch it: cutover probe --side lb"
	}
	return "watch it (cutover probe --side lb), or take it back (cutover rollback --last)"
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
		return Event{
			Event: Proven, Host: h.Host, Key: h, Hosts: []model.HostKey{h}, Detail: p.words(m.To),
			Proof: p.Proof, By: p.By, Row: p.Row, Why: p.Why,
		}
	}
	got := x.Prove(ctx, m, func(p Proving) {
		if p.Proof == model.ProofUnproven {
			e := event(p)
			e.Event = Waiting
			x.say(e)
		}
	})
	note := model.Entry{
		Kind: model.EntryNote, Run: x.run, To: x.plan.Intent.To, Hosts: []model.HostKey{h}, Proof: got.Proof, Reason: got.words(m.To),
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
