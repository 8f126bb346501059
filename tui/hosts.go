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

// narrowBar and wideBar are the widths of the bar in the traffic column.
const narrowBar, wideBar = 4, 8

func hostColumns() []column {
	return []column{
		hostColumn:     {title: "HOST", least: 22, give: 1},
		laneColumn:     {title: "LANE", least: 7, give: 2, drop: 2},
		balancerColumn: {title: "LB", least: 8, give: 3, ends: true, drop: 1},
		trafficColumn:  {title: "TRAFFIC", fixed: narrowBar + 10},
		oldColumn:      {title: "OLD", fixed: 8},
		newColumn:      {title: "NEW", fixed: 8},
		gateColumn:     {title: "GATES", extra: true},
	}
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
}

// progress is what a run has done with a host.
type progress struct {
	word  string
	style style
	to    model.SideName
	since time.Time
}

func hostID(k model.HostKey) string { return k.Lane + "\x00" + k.Host }

func (v hostView) rows() []row {
	hosts := sortHosts(v.snapshot.Hosts, v.order)
	rows := make([]row, 0, len(hosts))
	for _, h := range hosts {
		name, lane, lb := model.Line(h.Host), model.Line(h.Lane), v.balancer(h)
		traffic := v.traffic(h)
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
			over:   trafficColumn,
			search: strings.ToLower(name + " " + lane + " " + lb + " " + plain(traffic)),
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

// traffic says where the host's traffic goes, or what stands in the way of
// moving it, or what a run is doing with it.
func (v hostView) traffic(h model.Host) field {
	if p, ok := v.progress[h.HostKey]; ok {
		return text(p.word, p.style)
	}
	if st, ok := v.states[h.HostKey]; ok {
		if word := proofWord(st.Proof, h.State); word != "" {
			return text(word, styleWarn)
		}
	}
	if g := v.gates[h.HostKey]; g.Verdict == model.Block && h.State != model.StateNew {
		return field{{"blocked: ", styleBad}, {model.Line(g.Reason), stylePlain}}
	}
	word := span{fmt.Sprintf("%-5s ", h.State), sideStyle(string(h.State))}
	if h.NewWeight == nil {
		return field{{strings.TrimSpace(word.text), word.style}}
	}
	f := append(field{word}, bar(*h.NewWeight, v.bar)...)
	return append(f, span{fmt.Sprintf(" %3d", *h.NewWeight), stylePlain})
}

// proofWord says what is still open about a host's last change.
func proofWord(p model.Proof, s model.State) string {
	start := "switched"
	if s == model.StateOld {
		start = "back on old"
	}
	switch p {
	case model.ProofUnproven:
		return start + ", unproven"
	case model.ProofUnconfirmed:
		return start + ", side unconfirmed"
	case model.ProofNone, model.ProofProven:
	}
	return ""
}

// gate says whether the host could be moved to new, and else what is in the way.
func (v hostView) gate(h model.Host) field {
	g, ok := v.gates[h.HostKey]
	switch {
	case !ok || h.State == model.StateNew:
		return text("–", styleDim)
	case g.Verdict == model.Pass:
		return text("ready", styleGood)
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

// onNew counts the hosts whose traffic goes to the new side.
func onNew(s *model.Snapshot) int {
	n := 0
	for _, h := range s.Hosts {
		if h.State == model.StateNew {
			n++
		}
	}
	return n
}
