package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// The columns of the probes pane.
const (
	pathColumn = iota
	sparkColumn
	p50Column
	p99Column
	okColumn
)

func probeColumns() []column {
	return []column{
		pathColumn:  {fixed: 3},
		sparkColumn: {fixed: 12, least: 6, give: 1},
		p50Column:   {least: 7, drop: 2},
		p99Column:   {least: 7, drop: 1},
		okColumn:    {least: 4, give: 2},
	}
}

// probeRows shows the probes of one host: a line for each path, what is wrong
// with it, the traffic of its lane, and the last result of each node.
func probeRows(h model.HostKey, v ProbeView, sparkWidth int, now time.Time) []row {
	var rows []row
	line := func(id string, over int, fields ...field) {
		all := make([]field, okColumn+1)
		copy(all, fields)
		rows = append(rows, row{id: id, fields: all, over: over, host: h, search: strings.ToLower(id)})
	}
	var about *Series
	for _, path := range []model.Path{model.PathOld, model.PathNew, model.PathLoadBalancer} {
		s, ok := v.Series[ProbeKey{h, path}]
		name := text(string(path), sideStyle(string(path)))
		if !ok || s.Count == 0 {
			line(string(path), sparkColumn, name, text("no probe yet", styleDim))
			continue
		}
		if about == nil || s.Nodes > about.Nodes {
			about = &s
		}
		okStyle := styleDim
		if s.Good < s.Count {
			okStyle = styleWarn
		}
		line(string(path), 0, name, spark(s.Recent, sparkWidth),
			field{{"p50 ", styleDim}, {millis(s.P50), stylePlain}},
			field{{"p99 ", styleDim}, {millis(s.P99), stylePlain}},
			field{{"ok ", styleDim}, {fmt.Sprintf("%d/%d", s.Good, s.Count), okStyle}})
		if e := s.LastError; e != nil {
			why, st := model.Line(string(e.Kind)+": "+e.Message), styleBad
			if s.failing() == nil {
				why, st = "earlier: "+why, styleDim
			}
			line(string(path)+" error", sparkColumn, nil, text(why, st))
		}
	}
	if t, ok := v.Traffic[h.Lane]; ok {
		line("traffic", sparkColumn, nil, countedWords(t))
		if why := countedTrouble(t, now); why != "" {
			line("traffic error", sparkColumn, nil, text(why, styleWarn))
		}
	}
	if about != nil {
		line("how", sparkColumn, nil, text(probingWords(*about), styleDim))
		for _, n := range nodeResults(h, v.Evidence) {
			line("node "+n.node, sparkColumn, nil, n.words(min(max(sparkWidth, 10), 14)))
		}
	}
	return rows
}

// trafficFresh is for how long traffic counts as what is served now.
const trafficFresh = 10 * time.Second

// countedWords says how much the gateways of both sides serve.
func countedWords(t model.LaneTraffic) field {
	what := "traffic"
	if t.Unit == model.UnitConnections {
		what = "connections"
	}
	return field{
		{what, styleDim},
		{" old ", styleOld},
		{rateWords(t.Unit, t.Old), stylePlain},
		{"  new ", styleNew},
		{rateWords(t.Unit, t.New), stylePlain},
	}
}

// countedTrouble says the age of traffic that is not new, and why it is not
// known; "" where it is.
func countedTrouble(t model.LaneTraffic, now time.Time) string {
	why := model.Line(cmp.Or(t.Old.Unknown, t.New.Unknown))
	var oldest time.Time
	for _, v := range []model.Traffic{t.Old, t.New} {
		if v.Known() && (oldest.IsZero() || v.At.Before(oldest)) {
			oldest = v.At
		}
	}
	if age := now.Sub(oldest); !oldest.IsZero() && age > trafficFresh {
		return strings.TrimSuffix("as of "+ago(age)+" ago: "+why, ": ")
	}
	return why
}

// rateWords says a rate: 0.0/s, 12.4/s, 340/s.
func rateWords(unit model.Unit, t model.Traffic) string {
	rate := t.Requests
	if unit == model.UnitConnections {
		rate = t.Connections
	}
	switch {
	case !t.Known():
		return "?"
	case rate >= 99.95:
		return fmt.Sprintf("%.0f/s", rate)
	default:
		return fmt.Sprintf("%.1f/s", rate)
	}
}

// probingWords says from where, how and how often is probed.
func probingWords(s Series) string {
	words := []string{count(s.Nodes, "node")}
	switch {
	case s.SNI && s.NoSNI:
		words = append(words, "SNI and no SNI")
	case s.SNI:
		words = append(words, "SNI")
	case s.NoSNI:
		words = append(words, "no SNI")
	}
	if s.Every > 0 {
		words = append(words, "every "+s.Every.String())
	}
	return strings.Join(words, ", ")
}

// nodeResult is the last result of each side on one node.
type nodeResult struct {
	node  string
	sides map[model.Path]model.ProbeResult
}

// words names the node in w columns; both ends of a name tell nodes apart.
func (n nodeResult) words(w int) field {
	name, _, _ := strings.Cut(n.node, ".")
	f := field{{cutMiddle(model.Line(name), w), stylePlain}}
	for _, p := range []model.Path{model.PathOld, model.PathNew} {
		r, ok := n.sides[p]
		if !ok {
			continue
		}
		f = append(f, span{" " + string(p) + " ", styleDim})
		f = append(f, lastProbe(r, r.Error)...)
	}
	return f
}

// nodeResults picks the newest result of each node and side.
func nodeResults(h model.HostKey, e model.Evidence) []nodeResult {
	byNode := map[string]nodeResult{}
	for t, results := range e {
		if t.Host != h || t.Node == "" || len(results) == 0 {
			continue
		}
		n, ok := byNode[t.Node]
		if !ok {
			n = nodeResult{t.Node, map[model.Path]model.ProbeResult{}}
			byNode[t.Node] = n
		}
		last := results[len(results)-1]
		if have, ok := n.sides[t.Path]; !ok || newer(last, have) {
			n.sides[t.Path] = last
		}
	}
	out := make([]nodeResult, 0, len(byNode))
	for _, n := range byNode {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b nodeResult) int { return strings.Compare(a.node, b.node) })
	return out
}

// newer orders results of different targets, whatever order a map gave them.
func newer(a, b model.ProbeResult) bool {
	if c := a.Began.Compare(b.Began); c != 0 {
		return c > 0
	}
	return a.Target.Port > b.Target.Port
}
