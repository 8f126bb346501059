package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// keepProgress bounds how long a row shows a run's word after its end when the
// observed world does not follow.
const keepProgress = 30 * time.Second

// runState is the run in flight. There is one at most.
type runState struct {
	generation int
	plan       model.Plan
	feed       *feed
	cancel     context.CancelFunc
	began      time.Time
	waiting    string // what the run waits for, as last said
	// unproven is what has been said to keep proof from coming.
	unproven map[string]bool
	verified int // changes that AWS has read back
	// Hosts by what became of their proof.
	proven, unconfirmed int
	by                  []string // how they were proven
	left                []string // changes that failed
	// stopping says that the run was told to end. Then the program quits, or a
	// way back begins: that of next, or of what the run did.
	stopping, quitting, takeBack bool
	next                         *model.Plan
}

// name stands for the run in records until its own name is known.
func (r *runState) name() string { return fmt.Sprintf("run %d of this console", r.generation) }

// proving reports that nothing is written any more: the run waits for proof.
func (r *runState) proving() bool { return r != nil && r.verified >= len(r.plan.Changes) }

// change returns the plan's change that an event is about.
func (r *runState) change(e run.Event) (model.Change, bool) {
	i := slices.IndexFunc(r.plan.Changes, func(c model.Change) bool { return e.Change != "" && c.Label == e.Change })
	if i < 0 {
		return model.Change{}, false
	}
	return r.plan.Changes[i], true
}

// cause is why an event's change failed, without the operation and the ARN
// that its place in the list says.
func (r *runState) cause(e run.Event) string {
	if c, ok := r.change(e); ok {
		if _, after, found := strings.Cut(e.Detail, c.Object()+": "); found {
			return model.Line(after)
		}
	}
	return model.Line(e.Detail)
}

// start carries a plan out.
func (a *App) start(p model.Plan) tea.Cmd {
	if a.cfg.ReadOnly || a.cfg.Run == nil {
		return nil
	}
	if a.run != nil {
		a.startNext(p)
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.generation++
	a.run = &runState{generation: a.generation, plan: p, feed: newFeed(), cancel: cancel, began: a.now}
	hosts := planHosts(p)
	for _, h := range hosts {
		a.progress[h] = progress{word: "starting", style: styleInfo, to: p.Intent.To, since: a.now}
	}
	a.stale.hosts = true
	clear(a.panes[paneHosts].marks)
	a.stage(hosts)
	what := count(len(p.Changes), "change")
	if p.WayBack {
		what = "way back"
	}
	a.note(stylePlain, fmt.Sprintf("%s → %s: %s", a.short(hosts), p.Intent.To, what), changeList(p)+listHosts(hosts))
	o := run.Options{Wait: a.cfg.Wait, Proof: a.cfg.Proof}
	return tea.Batch(
		carryOut(ctx, a.cfg.Run, p, o, a.run.feed),
		followRun(a.quit, a.run.feed, a.generation),
	)
}

// planHosts returns the hosts that a plan moves, those beside the intent's
// included.
func planHosts(p model.Plan) []model.HostKey {
	seen := map[model.HostKey]bool{}
	var out []model.HostKey
	add := func(list []model.HostKey) {
		for _, h := range list {
			if !seen[h] {
				seen[h] = true
				out = append(out, h)
			}
		}
	}
	add(p.Intent.Hosts)
	for _, c := range p.Changes {
		add(c.Hosts)
	}
	return out
}

func hostWords(hosts []model.HostKey) string {
	if len(hosts) == 1 {
		return model.Line(hosts[0].Host)
	}
	return count(len(hosts), "host")
}

// hostNames lists hosts by name.
func hostNames(hosts []model.HostKey) string {
	names := make([]string, 0, len(hosts))
	for _, h := range hosts {
		names = append(names, model.Line(h.Host))
	}
	return some(names, 8)
}

// short names a host by its first label where no other host begins so, as
// Activity is narrow.
func (a *App) short(hosts []model.HostKey) string {
	if len(hosts) != 1 || a.world.Snapshot == nil {
		return hostWords(hosts)
	}
	label, _, _ := strings.Cut(hosts[0].Host, ".")
	for _, h := range a.world.Snapshot.Hosts {
		if h.Host != hosts[0].Host && strings.HasPrefix(h.Host, label+".") {
			return hostWords(hosts)
		}
	}
	return model.Line(label)
}

// changeList names a plan's changes, one a line, for details.
func changeList(p model.Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		b.WriteString(string(c.Op) + " " + c.Label + "\n")
	}
	return b.String()
}

// listHosts names hosts, one a line, for details.
func listHosts(hosts []model.HostKey) string {
	var b strings.Builder
	for _, h := range hosts {
		b.WriteString(h.String() + "\n")
	}
	return b.String()
}

func (a *App) stage(hosts []model.HostKey) {
	if a.cfg.Stage != nil {
		a.cfg.Stage(hosts)
	}
}

// advanceRun takes in what the run in flight has done.
func (a *App) advanceRun(msg runAdvanced) tea.Cmd {
	r := a.run
	if r == nil || r.generation != msg.generation {
		return nil
	}
	a.now = a.cfg.Now()
	for _, e := range msg.events {
		a.takeEvent(e)
	}
	a.stale.hosts = true
	if msg.result == nil {
		return followRun(a.quit, r.feed, r.generation)
	}
	r.cancel()
	a.run = nil
	a.stage(nil)
	a.nameMade(r, *msg.result)
	a.endRun(r, *msg.result)
	a.replan()
	return a.afterRun(r, *msg.result)
}

func (a *App) takeEvent(e run.Event) {
	hosts := e.Hosts
	if e.Key.Host != "" {
		hosts = []model.HostKey{e.Key}
	}
	name, detail := a.short(hosts), model.Line(e.Detail)
	if len(hosts) == 0 {
		name = model.Line(e.Host)
	}
	change := model.Line(e.Change)
	to := a.run.plan.Intent.To
	switch e.Event {
	case run.Waiting:
		if e.Proof != "" { // What is waited for is proof.
			a.takeProof(e, hosts, name, to)
			return
		}
		a.setProgress(hosts, "waiting: "+detail, styleWarn)
		if a.run.waiting != detail {
			a.run.waiting = detail
			a.note(styleWarn, "waiting: "+detail, e.Detail)
		}
	case run.Intended:
		a.setProgress(hosts, "writing…", styleInfo)
	case run.Applied:
		a.setProgress(hosts, "written, reading back…", styleInfo)
	case run.Verified:
		a.run.verified++
		a.status = status{} // What it answered while this was written is over.
		a.made(e)
		a.setProgress(hosts, a.switchedWord(e), styleWarn)
		a.note(stylePlain, fmt.Sprintf("%s %s, %s", name, madeWord(a.run.plan.WayBack), change), detail+"\n"+listHosts(hosts))
	case run.Proven:
		a.takeProof(e, hosts, name, to)
	case run.Failed:
		why := a.run.cause(e)
		if e.Change != "" {
			a.run.left = append(a.run.left, change)
		}
		word := "failed: " + why
		if a.run.plan.WayBack && strings.HasPrefix(why, "somebody else ") {
			word = "left: " + why
		}
		a.setProgress(hosts, word, styleBad)
		a.note(styleBad, strings.TrimSuffix(fmt.Sprintf("failed: %s, %s", why, change), ", "), e.Detail)
	case run.RolledBack:
		a.made(e)
		a.setProgress(hosts, "put back", styleWarn)
		a.note(styleWarn, fmt.Sprintf("%s put back, %s", name, change), e.Detail)
	case run.Done:
	}
}

// madeWord says what a change that was read back did with its hosts.
func madeWord(wayBack bool) string {
	if wayBack {
		return "restored"
	}
	return "switched"
}

func (a *App) takeProof(e run.Event, hosts []model.HostKey, name string, to model.SideName) {
	switch e.Proof {
	case model.ProofProven:
		a.run.proven += len(hosts)
		by := " by " + model.Line(e.By)
		if !slices.Contains(a.run.by, by) {
			a.run.by = append(a.run.by, by)
		}
		a.setProgress(hosts, string(to)+", proven", styleGood)
		a.note(styleGood, fmt.Sprintf("%s → %s proven%s", name, to, by), listHosts(hosts)+"\n"+e.Detail)
	case model.ProofUnconfirmed:
		a.run.unconfirmed += len(hosts)
		a.setProgress(hosts, "switched, side unconfirmed", styleWarn)
		a.note(styleWarn, fmt.Sprintf("%s → %s unconfirmed", name, to), listHosts(hosts)+"\n"+e.Detail)
	case model.ProofUnproven, model.ProofNone:
		a.setProgress(hosts, a.switchedWord(e), styleWarn)
		if why := model.Line(e.Why); why != "" && !a.run.unproven[why] {
			if a.run.unproven == nil {
				a.run.unproven = map[string]bool{}
			}
			a.run.unproven[why] = true
			a.note(styleWarn, "unproven: "+why, listHosts(hosts)+"\n"+e.Detail)
		}
	}
	for _, h := range hosts {
		p := a.progress[h]
		p.proof = e.Proof
		a.progress[h] = p
	}
}

// switchedWord says how far proof has come: "proving 2/3".
func (a *App) switchedWord(e run.Event) string {
	if e.Row > 0 {
		return fmt.Sprintf("proving %d/%d", e.Row, model.K)
	}
	if a.run.plan.WayBack {
		return "back on " + string(a.run.plan.Intent.To) + ", unproven"
	}
	return "switched, unproven"
}

func (a *App) setProgress(hosts []model.HostKey, word string, st style) {
	for _, h := range hosts {
		a.progress[h] = progress{word: word, style: st, to: a.run.plan.Intent.To, since: a.now}
	}
}

// forgetProgress drops the words of an ended run where the observed world says
// the same, or has had time to. It reports whether any went.
func (a *App) forgetProgress() bool {
	if a.run != nil || len(a.progress) == 0 || a.world.Snapshot == nil {
		return false
	}
	gone := false
	for h, p := range a.progress {
		seen, _ := a.world.Snapshot.Host(h)
		if string(seen.State) == string(p.to) || a.now.Sub(p.since) > keepProgress {
			delete(a.progress, h)
			gone = true
		}
	}
	return gone
}

// askQuit quits, or asks first while a run is in flight.
func (a *App) askQuit() tea.Cmd {
	if a.run == nil {
		return tea.Quit
	}
	if a.run.quitting {
		return nil
	}
	if c, ok := a.dialog().(*choice); ok && c.quits {
		return nil
	}
	a.open(&choice{
		question: "Quit while a run is in flight?",
		text: []string{
			"The change that is being written is finished and recorded, the rest is left as it is. What has been switched stays switched.",
		},
		wayOut:  "Stay",
		options: []option{{"y", "stop the run and quit", quitConfirmed{}}},
		quits:   true,
	})
	return nil
}

// quitRun stops the run, and quits when it has settled.
func (a *App) quitRun() tea.Cmd {
	if a.run == nil {
		return tea.Quit
	}
	a.run.quitting = true
	a.run.cancel()
	return limitQuit(a.quit, a.run.generation)
}
