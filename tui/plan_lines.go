package tui

import (
	"fmt"
	"slices"
	"strings"

	"github.com/istio-cutover/cutover/model"
)

// body shows the plan: what it comes to, each change before and after, every
// gate, whom else it touches, and the commands that do the same.
func (d *planDialog) body(w int) []line {
	if d.err != nil {
		return d.errorLines(w)
	}
	out := []line{d.summary()}
	if d.changed != "" {
		out = append(out, nil)
		out = appendWrapped(out, w, "", d.changed, styleWarn)
	}
	if d.proving {
		out = append(out, nil)
		out = appendWrapped(out, w, "", "A run waits for proof: that is given up first.", styleWarn)
	}
	if d.plan.WayBack && len(d.plan.Warnings) > 0 {
		out = append(out, nil)
		for _, t := range d.plan.Warnings {
			out = appendWrapped(out, w, "", model.Line(t), styleWarn)
		}
	}
	if d.unread != "" {
		out = append(out, nil)
		out = appendWrapped(out, w, "", "cannot be judged now: "+d.unread, styleBad)
	}
	if len(d.left) > 0 {
		out = append(out, nil)
		out = appendWrapped(out, w, "", "Left where they are, with what blocks them: "+hostNames(d.left), styleWarn)
	}
	d.drawChanges(w)
	if len(d.plan.Changes) > 1 {
		out = d.appendBlocks(out, w)
	}
	out = append(out, nil, line{{"Changes", styleTitle}})
	out = append(out, d.changes...)
	out = append(out, nil, line{{"Gates", styleTitle}})
	out = append(out, d.gateLines(w)...)
	out = append(out, nil, line{{"Other hosts touched", styleTitle}})
	if others := d.others(); len(others) > 0 {
		out = appendWrapped(out, w, "  ", strings.Join(others, ", "), styleWarn)
	} else {
		out = append(out, line{{"  none", stylePlain}})
	}
	if len(d.plan.Warnings) > 0 && !d.plan.WayBack {
		out = append(out, nil, line{{"To know", styleTitle}})
		for _, t := range d.plan.Warnings {
			out = appendWrapped(out, w, "  ", model.Line(t), styleWarn)
		}
	}
	if len(d.plan.Changes) > 0 {
		out = append(out, nil, line{{"Equivalent commands", styleTitle}})
		out = append(out, d.commands...)
	}
	return out
}

// appendBlocks says right at the start why the plan is blocked, where the gates
// stand below many changes.
func (d *planDialog) appendBlocks(out []line, w int) []line {
	const most = 3
	n := 0
	for _, g := range d.plan.Gates {
		if g.Verdict != model.Block || g.Overridden != "" {
			continue
		}
		if n++; n <= most {
			out = appendWrapped(out, w, "  ", model.Line(g.Host.Host+": "+g.Reason), styleBad)
		}
	}
	if n > most {
		out = append(out, line{{"  and " + count(n-most, "more gate"), styleBad}})
	}
	return out
}

// drawChanges makes the lines of changes and commands, unless they are there.
func (d *planDialog) drawChanges(w int) {
	if d.drawn == (drawnPlan{d.plan.ID, w}) {
		return
	}
	d.drawn, d.changes, d.commands = drawnPlan{d.plan.ID, w}, nil, nil
	groups := groupSides(d.snapshot)
	said := map[model.JSON][]line{} // Most rules do the same.
	words := func(actions model.JSON) []line {
		l, ok := said[actions]
		if !ok {
			l = actionLines(actions, groups, w-12)
			said[actions] = l
		}
		return l
	}
	for _, c := range d.plan.Changes {
		d.changes = append(d.changes, changeLines(c, words)...)
		indent := "  "
		for _, l := range wrap(model.Line(c.Command(d.snapshot.AWS.Account.Region)), w-4) {
			d.commands = append(d.commands, line{{indent, stylePlain}, {l, styleDim}})
			indent = "    "
		}
	}
	if len(d.changes) == 0 {
		d.changes = []line{{{"  none", styleDim}}}
	}
}

func (d *planDialog) errorLines(w int) []line {
	out := appendWrapped(nil, w, "", model.Line(d.err.Error()), styleBad)
	var e *model.Error
	if asError(d.err, &e) && e.Remedy != "" {
		out = append(out, nil)
		out = appendWrapped(out, w, "", model.Line(e.Remedy), stylePlain)
	}
	return out
}

func appendWrapped(out []line, w int, indent, s string, st style) []line {
	for _, l := range wrap(s, w-len(indent)) {
		out = append(out, line{{indent, stylePlain}, {l, st}})
	}
	return out
}

// summary says what the plan comes to and whether it can go.
func (d *planDialog) summary() line {
	hosts := d.moved()
	s := fmt.Sprintf("%s, %s", count(len(hosts), "host"), count(len(d.plan.Changes), "change"))
	var verdict span
	switch {
	case d.plan.WayBack && len(d.plan.Changes) == 0:
		verdict = span{"nothing to take back", styleDim}
	case d.unread != "":
		verdict = span{"cannot be judged now", styleBad}
	case d.plan.Verdict == model.Block:
		verdict = span{"blocked", styleBad}
	case len(d.plan.Changes) == 0:
		verdict = span{"nothing to do: already on " + string(d.to), styleDim}
	case d.plan.WayBack && len(d.plan.Warnings) > 0:
		verdict = span{"ready, but read this:", styleWarn}
	case d.plan.WayBack:
		verdict = span{"ready: restores what was recorded before", styleGood}
	case d.plan.Verdict == model.Wait:
		verdict = span{"gates are still waiting", styleWarn}
	default:
		verdict = span{"ready", styleGood}
	}
	return line{{s + "   ", stylePlain}, verdict}
}

// changeLines shows one change: its place, its hosts, before and after.
func changeLines(c model.Change, words func(model.JSON) []line) []line {
	names := make([]string, 0, len(c.Hosts))
	for _, h := range c.Hosts {
		names = append(names, model.Line(h.Host))
	}
	out := []line{{{"  " + model.Line(c.Label), styleStrong}, {"  " + some(names, 3), stylePlain}}}
	for _, x := range []struct {
		head    string
		actions model.JSON
	}{{"    before  ", c.Before.Actions}, {"    after   ", c.After.Actions}} {
		head := x.head
		for _, l := range words(x.actions) {
			out = append(out, append(line{{head, styleDim}}, l...))
			head = strings.Repeat(" ", len(head))
		}
	}
	return out
}

// actionLines says what actions do: the sides' weights, and the groups.
func actionLines(actions model.JSON, groups sides, w int) []line {
	weights, style := weightWords(actions, groups)
	head := span{fmt.Sprintf("%-16s  ", weights), style}
	var out []line
	for _, l := range wrap(model.InWords(actions), w-width(head.text)) {
		out = append(out, line{head, {l, styleDim}})
		head = span{strings.Repeat(" ", width(head.text)), stylePlain}
	}
	return out
}

// weightWords says how actions share traffic between the sides.
func weightWords(actions model.JSON, groups sides) (string, style) {
	word, weight := actionSide(actions, groups)
	if weight < 0 {
		return word, styleDim
	}
	return fmt.Sprintf("old %3d  new %3d", 100-weight, weight), sideStyle(word)
}

// gateLines lists the gates of one host, or of several those that do not pass.
func (d *planDialog) gateLines(w int) []line {
	if d.plan.WayBack {
		return []line{{{"  none: the way back is never blocked", stylePlain}}}
	}
	if len(d.plan.Gates) == 0 {
		return []line{{{"  none", styleDim}}}
	}
	several := slices.ContainsFunc(d.plan.Gates, func(g model.HostGate) bool { return g.Host != d.plan.Gates[0].Host })
	var out []line
	if several {
		out = append(out, gateCounts(d.plan.Gates))
	}
	last := model.HostKey{}
	for _, g := range d.plan.Gates {
		if several && g.Verdict == model.Pass {
			continue
		}
		if several && g.Host != last {
			out = append(out, line{{"  " + model.Line(g.Host.Host), styleStrong}})
			last = g.Host
		}
		head := line{{fmt.Sprintf("  %-5s  ", g.Verdict), verdictStyle(g.Verdict)}, {fmt.Sprintf("%-13s  ", g.ID), stylePlain}}
		indent := spansWidth(head)
		for i, l := range wrap(model.Line(g.Reason), w-indent) {
			if i > 0 {
				head = line{{strings.Repeat(" ", indent), stylePlain}}
			}
			out = append(out, append(head, span{l, reasonStyle(g.Verdict)}))
		}
	}
	return out
}

func reasonStyle(v model.Verdict) style {
	if v == model.Pass {
		return styleDim
	}
	return stylePlain
}

func gateCounts(gates []model.HostGate) line {
	n := map[model.Verdict]int{}
	for _, g := range gates {
		n[g.Verdict]++
	}
	l := line{{"  ", stylePlain}}
	for _, v := range []model.Verdict{model.Pass, model.Warn, model.Wait, model.Block} {
		if n[v] > 0 {
			l = append(l, span{fmt.Sprintf("%d %s  ", n[v], v), verdictStyle(v)})
		}
	}
	return l
}

// others names the hosts that the plan touches beside those it was asked for.
func (d *planDialog) others() []string {
	asked := map[model.HostKey]bool{}
	for _, h := range d.hosts {
		asked[h] = true
	}
	if d.undo {
		for _, h := range d.plan.Intent.Hosts {
			asked[h] = true
		}
	}
	var out []string
	for _, c := range d.plan.Changes {
		for _, h := range c.Hosts {
			if !asked[h] {
				out = append(out, model.Line(h.Host))
			}
		}
		for _, n := range c.AlsoServes {
			out = append(out, model.Line(n))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
