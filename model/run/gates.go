package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/istio-cutover/cutover/model"
)

// awaitGates judges until no gate says wait, or until Options.Wait is over,
// and leaves in the plan what may go.
func (x *execution) awaitGates(ctx context.Context) error {
	deadline := x.Now().Add(x.options.Wait)
	said := ""
	for {
		p, err := x.Judge(ctx, x.plan)
		if err != nil {
			return err
		}
		x.plan = p
		waiting, blocked := p.Waiting(), p.Blocked()
		stop := len(blocked) > 0
		if x.skips() { // A host that is left anyway is not waited for.
			stop, waiting = false, beside(waiting, blocked)
		}
		if stop || len(waiting) == 0 || !x.Now().Before(deadline) {
			return x.admit(ctx, blocked, waiting)
		}
		said = x.sayWaiting(waiting, said)
		if err := x.pause(ctx); err != nil {
			return err
		}
	}
}

// admit refuses the plan, or leaves out the hosts that may not go.
func (x *execution) admit(ctx context.Context, blocked, waiting []model.HostGate) error {
	for x.skips() && len(blocked)+len(waiting) > 0 {
		left := append(slices.Clone(blocked), waiting...)
		p, err := x.Narrow(x.plan, hostsOf(left))
		if err != nil {
			return err
		}
		if len(p.Intent.Hosts) >= len(x.plan.Intent.Hosts) {
			break // They are none of the intent's: there is nobody to leave.
		}
		// The others passed a moment ago; without their neighbours they may not.
		if p, err = x.Judge(ctx, p); err != nil {
			return err
		}
		x.skipped = append(append(x.skipped, left...), drawn(x.plan, p, left)...)
		x.plan = p
		blocked, waiting = p.Blocked(), p.Waiting()
	}
	if len(blocked)+len(waiting) == 0 {
		return nil
	}
	return refusal(blocked, waiting)
}

// drawn returns gates that say why hosts are left that pass by themselves:
// what they share with a host that was left cannot move without it.
func drawn(before, after model.Plan, left []model.HostGate) []model.HostGate {
	var out []model.HostGate
	accounted := model.KeySet(slices.Concat(after.Intent.Hosts, hostsOf(left)))
	for _, h := range before.Intent.Hosts {
		if accounted[h] {
			continue
		}
		out = append(out, model.HostGate{Host: h, Gate: model.Gate{
			ID: left[0].ID, Verdict: left[0].Verdict, Reason: "cannot move without " + left[0].Host.Host + ", which is left",
		}})
	}
	return out
}

// skips reports whether hosts that may not go are left out.
func (x *execution) skips() bool { return x.options.SkipBlocked && x.Narrow != nil }

// beside returns the gates of hosts that have none among others.
func beside(gates, others []model.HostGate) []model.HostGate {
	hosts := model.KeySet(hostsOf(others))
	return slices.DeleteFunc(gates, func(g model.HostGate) bool { return hosts[g.Host] })
}

func refusal(blocked, waiting []model.HostGate) error {
	kind, gates := model.KindBlocked, blocked
	if len(gates) == 0 {
		kind, gates = model.KindNotReady, waiting
	}
	remedy := "mend what the gate names, or go without these hosts (--skip-blocked)"
	if kind == model.KindNotReady {
		remedy = "wait longer (--wait), or look at what the gate names"
	}
	return &model.Error{
		Kind: kind, Operation: "gate " + string(gates[0].ID), Object: gates[0].Host.Host,
		// The operation names the first one's gate.
		Message: strings.TrimPrefix(gateText(gates), string(gates[0].ID)+": "), Remedy: remedy,
	}
}

// judgeRest judges, before the change i, what is still to be done: the world
// may have changed since the run began. It waits as at the beginning, unless a
// host of the change would be left half-way meanwhile.
func (x *execution) judgeRest(ctx context.Context, i int) error {
	rest := x.plan
	rest.Changes = x.plan.Changes[i:]
	hosts := model.KeySet(rest.Changes[0].Hosts)
	begun := slices.ContainsFunc(x.applied, func(a applied) bool { return a.moves(hosts) })
	here := func(gates []model.HostGate) []model.HostGate {
		return slices.DeleteFunc(gates, func(g model.HostGate) bool { return !hosts[g.Host] })
	}
	deadline := x.Now().Add(x.options.Wait)
	said := ""
	for {
		p, err := x.Judge(ctx, rest)
		if err != nil {
			return err
		}
		blocked, waiting := here(p.Blocked()), here(p.Waiting())
		switch {
		case len(blocked)+len(waiting) == 0:
			return nil
		case len(blocked) > 0, begun, !x.Now().Before(deadline):
			return refusal(blocked, waiting)
		}
		said = x.sayWaiting(waiting, said)
		if err := x.pause(ctx); err != nil {
			return err
		}
	}
}

// sayWaiting says what is waited for when it is not what was said last.
func (x *execution) sayWaiting(waiting []model.HostGate, said string) string {
	text := gateText(waiting)
	if text != said {
		x.say(Event{Event: Waiting, Host: waiting[0].Host.Host, Key: waiting[0].Host, Hosts: hostsOf(waiting), Detail: text})
	}
	return text
}

// hostsOf returns the hosts of gates, each once, in their order.
func hostsOf(gates []model.HostGate) []model.HostKey {
	seen := map[model.HostKey]bool{}
	var out []model.HostKey
	for _, g := range gates {
		if !seen[g.Host] {
			seen[g.Host] = true
			out = append(out, g.Host)
		}
	}
	return out
}

func gateText(gates []model.HostGate) string {
	parts := []string{}
	for _, g := range gates {
		if text := string(g.ID) + ": " + g.Reason; !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	const most = 3
	if n := len(parts) - most; n > 0 {
		parts = append(parts[:most], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, "; ")
}

// serial keeps two proofs from speaking at once.
func serial(emit func(Event)) func(Event) {
	var mu sync.Mutex
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		emit(e)
	}
}
