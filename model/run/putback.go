package run

import (
	"context"
	"errors"
	"slices"

	"github.com/istio-cutover/cutover/model"
)

// putBack restores what was begun and will not be finished, as change i is not
// made: other listeners of a lane and other rules of the hosts that it and the
// changes after it move. Other hosts' changes are whole and stay.
func (x *execution) putBack(ctx context.Context, i int, cause error) Result {
	together := x.unfinished(i)
	var unsettled *unsettledError
	isUnsettled := errors.As(cause, &unsettled)
	kept := x.applied[:0:0]
	for _, a := range slices.Backward(x.applied) {
		if !a.moves(together) {
			kept = append(kept, a)
			continue
		}
		// The operator asked for nothing of this; stopping must not leave it half-way.
		back := &execution{Runner: x.Runner, run: x.run, emit: x.emit, plan: model.Plan{
			WayBack: true, Intent: model.Intent{To: x.plan.Intent.To.Opposite()},
		}}
		if err := back.carryOut(context.WithoutCancel(ctx), a.change.Inverse()); err != nil {
			x.fail(a.change, err)
			isUnsettled = true
			kept = append(kept, a)
			continue
		}
		x.say(Event{Event: RolledBack, Change: a.change.Label, Hosts: a.change.Hosts, Detail: "put back"})
	}
	putBack := len(x.applied) > len(kept)
	x.applied = kept
	result := x.stopped(ctx, cause)
	if putBack && len(kept) == 0 && !isUnsettled {
		result.Outcome = OutcomeRolledBack
	}
	result.Unsettled = isUnsettled
	if isUnsettled {
		result.Outcome = OutcomePartial
	}
	return result
}

// unfinished returns the hosts whose changes will not all be made when change i
// and those after it are not, and those that go back with them.
func (x *execution) unfinished(i int) map[model.HostKey]bool {
	hosts := map[model.HostKey]bool{}
	for _, c := range x.plan.Changes[i:] {
		for _, h := range c.Hosts {
			hosts[h] = true
		}
	}
	for grown := -1; grown < len(hosts); {
		grown = len(hosts)
		for _, a := range x.applied {
			if !a.moves(hosts) {
				continue
			}
			for _, h := range a.change.Hosts {
				hosts[h] = true
			}
		}
	}
	return hosts
}

// moves reports whether the change moves one of the hosts.
func (a applied) moves(hosts map[model.HostKey]bool) bool {
	return slices.ContainsFunc(a.change.Hosts, func(h model.HostKey) bool { return hosts[h] })
}
