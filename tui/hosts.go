package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// order is how the hosts are sorted.
type order int

const (
	byName order = iota
	byState
	byLane
	orderCount
)

func (o order) String() string {
	return [...]string{"name", "state", "lane"}[o]
}

func sortHosts(hosts []model.Host, by order) []model.Host {
	hosts = slices.Clone(hosts)
	slices.SortStableFunc(hosts, func(a, b model.Host) int {
		first := 0
		switch by {
		case byState:
			first = cmp.Compare(a.State, b.State)
		case byLane:
			first = cmp.Compare(a.Lane, b.Lane)
		case byName, orderCount:
		}
		return cmp.Or(first, cmp.Compare(a.Host, b.Host), cmp.Compare(a.Lane, b.Lane))
	})
	return hosts
}

// The columns of the hosts pane.
const (
	hostColumn = iota
	laneColumn
	balancerColumn
	trafficColumn
	oldColumn
	newColumn
	gateColumn
)

// narrowBar and wideBar are the widths of the bar in the traffic column, and
// besideBar is what stands beside it: "new  100" or "split  30".
const narrowBar, wideBar, besideBar = 4, 8, 9

// gatesWidth is the width of the gates column where there is room for reasons.
const gatesWidth = 24

// hostColumns are the columns of a hosts pane that is w wide inside.
func hostColumns(w int) []column {
	columns := []column{
		hostColumn:     {title: "HOST", least: 22, give: 1},
		laneColumn:     {title: "LANE", least: 7, give: 2, drop: 2},
		balancerColumn: {title: "LB", least: 8, give: 3, ends: true, drop: 1},
		trafficColumn:  {title: "TRAFFIC", fixed: narrowBar + besideBar},
		oldColumn:      {title: "OLD", fixed: 8},
		newColumn:      {title: "NEW", fixed: 8},
		gateColumn:     {title: "GATES", extra: true},
	}
	if w >= 100 {
		columns[trafficColumn].fixed = wideBar + besideBar
	}
	if w >= 120 {
		columns[gateColumn].fixed, columns[gateColumn].extra = gatesWidth, false
	}
	return columns
}

// hostView is what the hosts pane shows.
type hostView struct {
	snapshot *model.Snapshot
	states   model.HostStates
	gates    map[model.HostKey]model.Gate
	series   map[ProbeKey]Series
	progress map[model.HostKey]progress
	order    order
	bar      int
	running  bool // a run is in flight
	// reasons says that the gates column has room for what blocks a host.
	reasons bool
}

// progress is what a run has done with a host.
type progress struct {
	word  string
	style style
	to    model.SideName
	since time.Time
	proof model.Proof // "" before there is news of one
}

func hostID(k model.HostKey) string { return k.Lane + "\x00" + k.Host }

func (v hostView) rows() []row {
	hosts := sortHosts(v.snapshot.Hosts, v.order)
	rows := make([]row, 0, len(hosts))
	for _, h := range hosts {
		name, lane, lb := model.Line(h.Host), model.Line(h.Lane), v.balancer(h)
		traffic := v.traffic(h)
		over := trafficColumn
		if v.reasons && spansWidth(traffic) <= v.bar+besideBar {
			over = gateColumn
		}
		rows = append(rows, row{
			id: hostID(h.HostKey),
			fields: []field{
				hostColumn:     hostField(name),
				laneColumn:     text(lane, styleDim),
				balancerColumn: text(lb, styleDim),
				trafficColumn:  traffic,
				oldColumn:      v.probe(h.HostKey, model.PathOld),
				newColumn:      v.probe(h.HostKey, model.PathNew),
				gateColumn:     v.gate(h),
			},
			over:   over,
			search: strings.ToLower(name + " " + lane + " " + lb),
			name:   strings.ToLower(name),
			host:   h.HostKey,
		})
	}
	return rows
}

// hostField shows a host's first label before its domain, which most share.
func hostField(name string) field {
	label, domain, _ := strings.Cut(name, ".")
	if label == "*" || domain == "" {
		return text(name, stylePlain)
	}
	return field{{label, stylePlain}, {"." + domain, styleDim}}
}

func plain(f field) string {
	s := ""
	for _, p := range f {
		s += p.text
	}
	return s
}

// balancer names the listener on which the host is moved, else one that serves
// it at all: of each load balancer the one with the highest port, which is
// HTTPS where there is any. Further load balancers are counted.
func (v hostView) balancer(h model.Host) string {
	highest := map[string]model.Listener{}
	var balancers []string
	for _, switchable := range []bool{true, false} {
		for _, r := range h.Routes {
			l, _, ok := v.snapshot.Listener(r.Listener)
			if !ok || (len(r.Switchable) > 0) != switchable {
				continue
			}
			have, seen := highest[r.LoadBalancer]
			if !seen {
				balancers = append(balancers, r.LoadBalancer)
			}
			if !seen || l.Port > have.Port {
				highest[r.LoadBalancer] = l
			}
		}
		if len(balancers) > 0 {
			break
		}
	}
	switch len(balancers) {
	case 0:
		return "–"
	case 1:
		return v.snapshot.ListenerLabel(highest[balancers[0]])
	default:
		return fmt.Sprintf("%s +%d", v.snapshot.ListenerLabel(highest[balancers[0]]), len(balancers)-1)
	}
}

// traffic says where the host's traffic goes; beside it what is still open about
// its last change, or what stands in the way of moving it. While a run does
// something with the host, it says that; what failed stands beside the state
// once the run has ended.
func (v hostView) traffic(h model.Host) field {
	p, ok := v.progress[h.HostKey]
	switch {
	case ok && p.style == styleBad && !v.running:
		return append(v.share(h, false), span{" " + p.word, p.style})
	case ok:
		return text(p.word, p.style)
	}
	switch p := v.states[h.HostKey].Current(h.State).Proof; p {
	case model.ProofUnproven, model.ProofUnconfirmed:
		return append(v.share(h, true), span{" " + string(p), styleWarn})
	case model.ProofNone, model.ProofProven:
	}
	if g := v.gates[h.HostKey]; g.Verdict == model.Block && h.State != model.StateNew && !v.reasons {
		return append(append(v.share(h, false), span{" ", stylePlain}), blocked(g)...)
	}
	return v.share(h, true)
}

// share says on which side the host is and how much of its traffic goes to new.
func (v hostView) share(h model.Host, drawn bool) field {
	word := span{fmt.Sprintf("%-3s", h.State), sideStyle(string(h.State))}
	if h.NewWeight == nil {
		return field{word}
	}
	if !drawn {
		return field{word, {fmt.Sprintf(" %d", *h.NewWeight), stylePlain}}
	}
	f := append(field{word, {" ", stylePlain}}, bar(*h.NewWeight, v.bar)...)
	digits := v.bar + besideBar - spansWidth(f) - 1
	return append(f, span{fmt.Sprintf(" %*d", min(3, digits), *h.NewWeight), stylePlain})
}

func blocked(g model.Gate) field {
	return field{{"blocked: ", styleBad}, {model.Line(g.Reason), stylePlain}}
}

// gate says whether the host could be moved to new, and else what is in the way.
func (v hostView) gate(h model.Host) field {
	g, ok := v.gates[h.HostKey]
	switch {
	case !ok || h.State == model.StateNew:
		return text("–", styleDim)
	case g.Verdict == model.Pass:
		return text("ready", styleGood)
	case g.Verdict == model.Block && v.reasons:
		return blocked(g)
	default:
		return field{{string(g.Verdict), verdictStyle(g.Verdict)}, {" " + string(g.ID), stylePlain}}
	}
}

// probe says what the last probe of a side gave.
func (v hostView) probe(h model.HostKey, path model.Path) field {
	s, ok := v.series[ProbeKey{h, path}]
	if !ok || s.Count == 0 {
		return text("–", styleDim)
	}
	return lastProbe(s.Last, s.failing())
}

// lastProbe says a probe's status and time, or its error in a word.
func lastProbe(r model.ProbeResult, bad *model.ProbeError) field {
	if bad == nil {
		return field{{fmt.Sprintf("%3d ", r.Status), stylePlain}, {shortMillis(r.Phases.Total), styleDim}}
	}
	return text(shortError(bad.Kind), styleBad)
}

// onNew counts the hosts that are on the new side, and those that are by what
// AWS says and a change of ours alone, as no traffic was seen there.
func (a *App) onNew() (seen, unproven int) {
	for _, h := range a.world.Snapshot.Hosts {
		if h.State != model.StateNew {
			continue
		}
		proof := a.world.States[h.HostKey].Current(h.State).Proof
		p, running := a.progress[h.HostKey]
		switch {
		case running && p.to == model.New && p.proof != model.ProofProven, !running && (proof == model.ProofUnproven || proof == model.ProofUnconfirmed):
			unproven++
		default:
			seen++
		}
	}
	return seen, unproven
}
