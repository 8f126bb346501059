package tui

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
)

// App is the console. It is the only tea.Model of the program; its methods
// belong to the program's goroutine, except Close.
type App struct {
	cfg  Config
	keys keyMap
	now  time.Time

	w, h    int
	layout  layout
	focus   paneID
	palette palette
	dark    bool
	theme   theme

	world    World // Snapshot is nil before the first delivery
	arrived  time.Time
	ended    bool // no more worlds will come
	probes   ProbeView
	gates    map[model.HostKey]model.Gate // the worst of each host, of going to new
	undoable []model.Record               // what z takes back
	// unrecorded are changes of this console that World.Records lacks.
	unrecorded []model.Record
	madeAt     time.Time // when this console last made a change
	judging    judging
	log        []CommandLine
	paused     bool
	order      order
	panes      [paneCount]*pane
	probed     model.HostKey // the host that the probes pane shows
	stale      staleness
	lastFault  string

	told        uint64          // the last journal entry that Activity has
	own         map[string]bool // runs of this console
	activities  []activity
	activitySeq int
	dialogs     []dialog
	status      status

	run        *runState
	progress   map[model.HostKey]progress
	generation int // of runs and details

	quit      chan struct{}
	closeOnce *sync.Once
}

var _ tea.Model = (*App)(nil)

// staleness says which panes must be filled anew.
type staleness struct{ world, hosts, probes, activity bool }

// status is a short answer to a key in the footer.
type status struct {
	text  string
	style style
	until time.Time
}

// New returns the console. Close must be called when the program has ended.
func New(cfg Config) *App {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Wait == 0 {
		cfg.Wait = 2 * time.Minute
	}
	if cfg.Proof == 0 {
		cfg.Proof = time.Minute
	}
	a := &App{
		cfg: cfg, keys: newKeyMap(), now: cfg.Now(), focus: paneHosts,
		palette: palette16, dark: true, theme: newTheme(palette16, true),
		progress: map[model.HostKey]progress{}, own: map[string]bool{},
		quit: make(chan struct{}), closeOnce: new(sync.Once),
	}
	a.arrived = a.now
	a.panes = newPanes()
	for _, p := range a.panes[:paneActivity] {
		p.empty = "not observed yet"
	}
	if len(cfg.Notices) > 0 {
		a.dialogs = append(a.dialogs, newNotice(cfg.Notices))
	}
	for _, n := range cfg.Notices {
		a.note(styleWarn, model.Line(n), n)
	}
	a.settle()
	return a
}

func newPanes() [paneCount]*pane {
	named := []column{{least: 10, give: 1}, {}}
	panes := [paneCount]*pane{
		paneGateways:        {name: "Gateways", columns: named, empty: "no Gateways"},
		paneSecrets:         {name: "Secrets", columns: []column{{least: 10, give: 1}, {right: true}}, empty: "no Secrets are named"},
		paneVirtualServices: {name: "VirtualServices", columns: named, empty: "no VirtualServices"},
		paneRules: {name: "Listener rules", empty: "no load balancers", columns: []column{
			{least: 7, give: 2, ends: true}, {right: true}, {least: 8, give: 1}, {},
		}},
		paneHosts:    {name: "Hosts", columns: hostColumns(0), titles: true, marking: true, empty: "no hosts are published"},
		paneProbes:   {name: "Probes", columns: probeColumns(), empty: "no host is selected"},
		paneActivity: {name: "Activity", columns: activityColumns(), empty: "nothing has happened yet"},
	}
	for i, p := range panes {
		p.id, p.marks = paneID(i), map[string]bool{}
		p.setRows(nil)
	}
	return panes
}

// Init starts listening and the clock.
func (a *App) Init() tea.Cmd {
	return tea.Batch(
		tea.RequestBackgroundColor,
		receiveWorld(a.quit, a.cfg.Worlds, 0),
		receiveProbes(a.quit, a.cfg.Probes, 0),
		receiveCommands(a.quit, a.cfg.Commands, 0),
		tick(a.quit, a.cfg.Now),
	)
}

// Close ends what the console has under way: a run in flight is cancelled and
// waited for until ctx ends. Call it when the program has returned.
func (a *App) Close(ctx context.Context) error {
	a.closeOnce.Do(func() { close(a.quit) })
	if a.run == nil {
		return nil
	}
	a.run.cancel()
	if !a.run.feed.hasBegun() {
		return nil // The program ended before it got there; the context keeps it from beginning.
	}
	select {
	case <-a.run.feed.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle brings everything that follows from state up to date after an Update,
// so that View has only to draw.
func (a *App) settle() {
	a.fill()
	a.situate()
	if d := a.dialog(); d != nil {
		a.layDialog(d)
	}
}

// fill fills the panes whose content has changed.
func (a *App) fill() {
	s := a.world.Snapshot
	if s == nil {
		if a.stale.activity {
			a.panes[paneActivity].setRows(activityRows(a.activities, a.now))
		}
		a.stale = staleness{}
		return
	}
	if a.stale.world {
		a.panes[paneProbes].empty = newPanes()[paneProbes].empty
		a.explainEmpty(s)
		a.panes[paneGateways].setRows(gatewayRows(s))
		a.panes[paneSecrets].setRows(secretRows(s, a.now))
		a.panes[paneVirtualServices].setRows(virtualServiceRows(s))
		a.panes[paneRules].setRows(ruleRows(s))
	}
	hosts := a.panes[paneHosts]
	if a.stale.world || a.stale.hosts {
		view := hostView{
			s, a.world.States, a.gates, a.probes.Series, a.progress, a.order,
			hosts.columns[trafficColumn].fixed - besideBar, a.run != nil, hosts.columns[gateColumn].fixed > 0,
		}
		hosts.setRows(view.rows())
	}
	if r, ok := hosts.current(); ok && r.host != a.probed {
		a.probed, a.stale.probes = r.host, true
	} else if !ok && len(hosts.rows) == 0 {
		a.probed = model.HostKey{}
	}
	if a.stale.world || a.stale.probes {
		p := a.panes[paneProbes]
		p.setRows(nil)
		if a.probed != (model.HostKey{}) {
			p.setRows(probeRows(a.probed, a.probes, p.columns[sparkColumn].fixed, a.now))
		}
	}
	if a.stale.activity {
		p := a.panes[paneActivity]
		following := p.cursor == 0
		p.setRows(activityRows(a.activities, a.now))
		if following {
			p.cursor = 0
			p.scroll()
		}
	}
	a.stale = staleness{}
}

// explainEmpty says of each pane why it is empty: nothing there, or unread.
func (a *App) explainEmpty(s *model.Snapshot) {
	for id, of := range map[paneID][]model.Resource{
		paneGateways: {model.ResourceGateways}, paneSecrets: {model.ResourceSecrets, model.ResourceGateways},
		paneVirtualServices: {model.ResourceVirtualServices}, paneHosts: {model.ResourceVirtualServices, model.ResourceGateways},
		paneRules: {model.ResourceLoadBalancers, model.ResourceRules},
	} {
		a.panes[id].empty = newPanes()[id].empty
		if p, ok := unread(s, of...); ok {
			a.panes[id].empty = "unknown: " + trouble(p) + ", " + model.Line(p.Operation)
		}
	}
}

// situate enables the keys that do something now.
func (a *App) situate() {
	p := a.panes[a.focus]
	a.keys.enable(situation{
		focus: a.focus, rows: len(p.shown) > 0, hosts: len(a.panes[paneHosts].shown) > 0,
		running: a.run != nil, proving: a.run.proving(), stopping: a.run != nil && a.run.stopping,
		goingBack: a.run != nil && a.run.plan.WayBack, readOnly: a.cfg.ReadOnly || a.cfg.Run == nil,
		records: len(a.undoable) > 0, filtered: p.filter != "", marked: len(p.marks) > 0,
		paused: a.paused,
	})
}

// resize lays the console out for another terminal or another focus.
func (a *App) resize() {
	a.layout = arrange(a.w, a.h, a.focus)
	for i, p := range a.panes {
		box := a.layout.boxes[i].inset()
		if box.w == 0 {
			continue
		}
		p.resize(box.h)
		switch p.id {
		case paneHosts:
			p.columns = hostColumns(box.w)
			a.stale.hosts = true
		case paneProbes:
			p.columns[sparkColumn].fixed = min(max(box.w-34, 6), 60)
			a.stale.probes = true
		default:
		}
	}
}

func (a *App) setFocus(p paneID) {
	a.panes[a.focus].filtering = false
	a.focus = p
	a.resize()
}

func (a *App) say(st style, text string) {
	a.status = status{text, st, a.now.Add(8 * time.Second)}
}

func (a *App) dialog() dialog {
	if len(a.dialogs) == 0 {
		return nil
	}
	return a.dialogs[len(a.dialogs)-1]
}
