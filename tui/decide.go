package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
)

// judgeEvery bounds how often the gates of all hosts are judged.
const judgeEvery = time.Second

// judging is the state of the judgement that runs beside Update: whether one
// does, and what is due next.
type judging struct {
	busy        bool
	hosts, plan bool
	next        time.Time // when all hosts may be judged again
}

// judge has gates judged by what is known now: of all hosts, and of the plan
// that is open. One judgement runs at a time, each by the newest facts.
func (a *App) judge(hosts, plan bool) tea.Cmd {
	j := &a.judging
	j.hosts, j.plan = j.hosts || hosts, j.plan || plan
	if j.busy || a.world.Snapshot == nil {
		return nil
	}
	var open *model.Plan
	a.plans(func(d *planDialog) {
		if d.err == nil && !d.plan.WayBack {
			open = &d.plan
		}
	})
	if !j.plan {
		open = nil
	}
	all := j.hosts && !a.now.Before(j.next)
	if !all && open == nil {
		return nil
	}
	j.busy, j.plan = true, false
	if all {
		j.hosts, j.next = false, a.now.Add(judgeEvery)
	}
	return judgeGates(a.world.Snapshot, a.probes.Evidence, a.now, all, open)
}

// takeJudgement shows what the gates say, unless it is of another plan.
func (a *App) takeJudgement(msg gatesJudged) tea.Cmd {
	if msg.worst != nil {
		a.gates = stillBlocked(a.gates, msg)
		a.stale.hosts = true
	}
	a.plans(func(d *planDialog) {
		if d.err == nil && msg.plan != "" && d.plan.ID == msg.plan && d.snapshot == msg.snapshot {
			a.judgePlan(d, msg.gates)
		}
	})
	a.judging.busy = false
	return a.judge(false, false)
}

// stillBlocked returns the gates that were judged. While they cannot be judged,
// what blocked a host before is taken to block it still.
func stillBlocked(before map[model.HostKey]model.Gate, msg gatesJudged) map[model.HostKey]model.Gate {
	if _, bad := unjudgeable(msg.snapshot); !bad {
		return msg.worst
	}
	for h, g := range before {
		if g.Verdict == model.Block && msg.worst[h].Verdict != model.Block {
			msg.worst[h] = g
		}
	}
	return msg.worst
}

// toggle opens the plan that moves hosts to their other side. Where they are
// not all on one side, it asks which side is meant.
func (a *App) toggle(rows []row) {
	var hosts []model.HostKey
	to := map[model.SideName]bool{}
	for _, r := range rows {
		h, ok := a.world.Snapshot.Host(r.host)
		if !ok {
			continue
		}
		hosts = append(hosts, h.HostKey)
		state := h.State
		if side, ok := a.movedTo(h.HostKey); ok {
			state = model.State(side)
		}
		switch state {
		case model.StateNew:
			to[model.Old] = true
		case model.StateSplit, model.StateMixed:
			to[model.Old], to[model.New] = true, true
		case model.StateOld, model.StateUnrouted, model.StateUnknown:
			to[model.New] = true
		}
	}
	switch {
	case len(hosts) == 0:
	case to[model.Old] && to[model.New]:
		a.open(&choice{
			question: "To which side?",
			text: []string{
				fmt.Sprintf("The traffic of %s is not all on one side now.", hostWords(hosts)),
			},
			wayOut: "Cancel",
			options: []option{
				{"n", "all to new", sideChosen{hosts, model.New}},
				{"o", "all to old", sideChosen{hosts, model.Old}},
			},
		})
	case to[model.New]:
		a.move(hosts, model.New)
	default:
		a.move(hosts, model.Old)
	}
}

// move opens the plan that moves hosts to a side. On a network load balancer a
// host cannot move alone: it offers all that must go with it.
func (a *App) move(hosts []model.HostKey, to model.SideName) {
	all, balancer := a.withLane(hosts)
	if len(all) == len(hosts) {
		a.openPlan(&planDialog{hosts: hosts, to: to})
		return
	}
	chosen := keySet(hosts)
	var names []string
	for _, h := range all {
		if !chosen[h] {
			names = append(names, model.Line(h.Host))
		}
	}
	a.open(&choice{
		question: fmt.Sprintf("%s moves as a whole", balancer),
		text: []string{
			fmt.Sprintf("A network load balancer cannot tell hosts apart. With %s these must go, too:", hostWords(hosts)),
			strings.Join(names, ", "),
		},
		wayOut:  "Cancel",
		options: []option{{"l", fmt.Sprintf("plan the whole lane, %s, to %s", count(len(all), "host"), to), laneChosen{all, to}}},
	})
}

// withLane adds to hosts those that share a network load balancer with them in
// their lane, and names that load balancer.
func (a *App) withLane(hosts []model.HostKey) (all []model.HostKey, balancer string) {
	s := a.world.Snapshot
	type place struct{ lane, lb string }
	places := map[place]bool{}
	on := func(h model.Host, f func(place)) {
		for _, r := range h.Routes {
			if r.Type == model.Network && len(r.Switchable) > 0 {
				f(place{h.Lane, r.LoadBalancer})
			}
		}
	}
	for _, k := range hosts {
		if h, ok := s.Host(k); ok {
			on(h, func(p place) { places[p] = true })
		}
	}
	all = slices.Clone(hosts)
	have := keySet(hosts)
	for _, h := range s.Hosts {
		on(h, func(p place) {
			if places[p] && !have[h.HostKey] {
				have[h.HostKey] = true
				all = append(all, h.HostKey)
				if lb, ok := s.LoadBalancer(p.lb); ok {
					balancer = model.Line(lb.Name)
				}
			}
		})
	}
	slices.SortFunc(all, model.HostKey.Compare)
	return all, balancer
}

// openPlan works the plan out and shows it.
func (a *App) openPlan(d *planDialog) {
	d.wide = 104
	a.compute(d)
	if a.run != nil && !d.plan.WayBack {
		a.say(styleWarn, "a run is in flight: wait for its end, or take it back with z")
		return
	}
	a.open(d)
	if a.run == nil {
		a.stage(planHosts(d.plan))
	}
}

// compute makes a plan dialog's plan from what is known now.
func (a *App) compute(d *planDialog) {
	s := a.world.Snapshot
	d.snapshot, d.built = s, 0
	d.wait = a.cfg.Wait
	d.proving, d.unread, d.leaves = a.run != nil, "", 0
	if d.undo {
		records := a.records()
		if !d.all {
			records = a.undoable
		}
		d.plan, d.err = model.WayBack(a.observedSince(), records, nil)
		return
	}
	if d.to == model.Old {
		if p, err := model.WayBack(a.observedSince(), a.records(), d.hosts); err == nil && p.Intent.To == model.Old && covers(p, d.hosts) {
			d.plan, d.err = p, nil
			return
		}
	}
	intent := model.Intent{Hosts: slices.Clone(d.hosts), To: d.to}
	slices.SortFunc(intent.Hosts, model.HostKey.Compare)
	d.plan, d.err = model.NewPlan(s, intent)
	if p, bad := unjudgeable(s); bad {
		d.unread = problemWords(p)
	}
	if d.err == nil {
		a.judgePlan(d, model.Gates(s, d.plan, a.probes.Evidence, a.now))
	}
}

func covers(p model.Plan, hosts []model.HostKey) bool {
	back := keySet(planHosts(p))
	return !slices.ContainsFunc(hosts, func(h model.HostKey) bool { return !back[h] })
}

func keySet(hosts []model.HostKey) map[model.HostKey]bool {
	set := make(map[model.HostKey]bool, len(hosts))
	for _, h := range hosts {
		set[h] = true
	}
	return set
}

// judgePlan takes the gates of the dialog's plan.
func (a *App) judgePlan(d *planDialog, gates []model.HostGate) {
	d.plan, d.err = d.plan.Judged(gates, nil)
	d.built = 0
	d.leaves = 0
	if d.err == nil && d.unread == "" {
		if going, left := a.without(d); len(going) > 0 {
			d.leaves = len(left)
		}
	}
}

// blockedHosts returns the hosts that gates block.
func blockedHosts(p model.Plan) []model.HostKey {
	var out []model.HostKey
	for _, g := range p.Blocked() {
		if !slices.Contains(out, g.Host) {
			out = append(out, g.Host)
		}
	}
	return out
}

// without parts the dialog's hosts in those that can go and those that are
// blocked. Who is bound to a blocked host by a network load balancer is left
// with it.
func (a *App) without(d *planDialog) (going, left []model.HostKey) {
	bound, _ := a.withLane(blockedHosts(d.plan))
	stay := keySet(bound)
	for _, h := range d.hosts {
		if stay[h] {
			left = append(left, h)
		} else {
			going = append(going, h)
		}
	}
	return going, left
}

// leaveBlocked plans anew without the hosts that are blocked.
func (a *App) leaveBlocked(d *planDialog) {
	going, left := a.without(d)
	if len(going) == 0 {
		return
	}
	d.hosts, d.left = going, append(slices.Clone(d.left), left...)
	d.top = 0
	a.compute(d)
	a.stage(planHosts(d.plan))
}

// plans calls f with each plan dialog that is open.
func (a *App) plans(f func(*planDialog)) {
	for _, d := range a.dialogs {
		if p, ok := d.(*planDialog); ok {
			f(p)
		}
	}
}

// replan makes the open plan anew from the newest world. When it is another
// plan than the one that was read, it says so and must be confirmed anew.
func (a *App) replan() {
	a.plans(func(d *planDialog) {
		before := d.plan.ID
		a.compute(d)
		if d.plan.ID != before {
			d.changed = "The world has changed at " + a.now.Format("15:04:05") + ", and the plan with it: read it again."
			d.typed, d.typing, d.hint, d.confirming = "", false, "", false
			d.unasked = true
			if a.run == nil {
				a.stage(planHosts(d.plan))
			}
		}
	})
}
