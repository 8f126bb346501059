package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// aboutHost gathers everything known of a host: its state, its routes, its
// gates and its probes.
func (a *App) aboutHost(k model.HostKey) (string, func(int) []line, []Ref) {
	s := a.world.Snapshot
	h, ok := s.Host(k)
	if !ok {
		return model.Line(k.Host), facts([]fact{{"state", "no longer published", styleWarn}}), nil
	}
	list := []fact{
		{"lane", model.Line(h.Lane), stylePlain},
		{"traffic", trafficWords(h), sideStyle(string(h.State))},
	}
	if st := a.world.States[k].Current(h.State); st.Proof != model.ProofNone {
		words := st.Detail
		if !strings.Contains(words, string(st.Proof)) {
			words = strings.Trim(string(st.Proof)+", "+words, ", ")
		}
		list = append(list, fact{"proof", model.Line(words + ", " + st.Since.Format(time.TimeOnly)), stylePlain})
	}
	var refs []Ref
	for _, vs := range h.VirtualServices {
		name := model.Line(vs.String())
		list = append(list, fact{"VirtualService", name, stylePlain})
		refs = append(refs, Ref{RefVirtualService, vs.String()})
	}
	for _, r := range h.Routes {
		list = append(list, routeFact(s, r))
	}
	groups := groupSides(s)
	for _, r := range h.Routes {
		for _, arn := range r.Rules {
			if rule, ok := s.Rule(arn); ok {
				word, weight := weightWords(rule.Actions, groups)
				list = append(list, fact{"rule", model.Line(s.RuleLabel(rule)) + "  " + word + "  " + model.InWords(rule.Actions), weight})
			}
		}
	}
	gates := a.gatesOf(k)
	probes := probeRows(k, a.probes, 30, a.now)
	content := func(w int) []line {
		out := facts(list)(w)
		out = append(out, nil, line{{"Gates of moving it to new", styleTitle}})
		out = append(out, (&planDialog{plan: model.Plan{Gates: gates}}).gateLines(w)...)
		out = append(out, nil, line{{"Probes", styleTitle}})
		for _, r := range probes {
			l := line{{"  ", stylePlain}}
			for i, f := range r.fields {
				if i == pathColumn {
					l = append(l, span{fmt.Sprintf("%-4s", plain(f)), sideStyle(plain(f))})
					continue
				}
				l = append(append(l, f...), span{"  ", stylePlain})
			}
			out = append(out, cutSpans(l, w))
		}
		return out
	}
	return model.Line(k.Host), content, refs
}

// gatesOf judges the gates of moving one host to new, with the hosts that must
// go with it.
func (a *App) gatesOf(k model.HostKey) []model.HostGate {
	all, _ := a.withLane([]model.HostKey{k})
	plan := model.Plan{Intent: model.Intent{Hosts: all, To: model.New}}
	gates := model.Gates(a.world.Snapshot, plan, a.probes.Evidence, a.now)
	return slices.DeleteFunc(gates, func(g model.HostGate) bool { return g.Host != k })
}

func trafficWords(h model.Host) string {
	if h.NewWeight == nil {
		return string(h.State)
	}
	return fmt.Sprintf("%s, %d%% on new", h.State, *h.NewWeight)
}

func routeFact(s *model.Snapshot, r model.Route) fact {
	lb, _ := s.LoadBalancer(r.LoadBalancer)
	words := fmt.Sprintf("%s:%d, %s, %s", lb.Name, r.Port, r.Type, r.Side)
	return fact{"route", model.Line(words), sideStyle(string(r.Side))}
}

func (a *App) aboutRule(r row) (string, func(int) []line, []Ref) {
	s := a.world.Snapshot
	rule, ok := s.Rule(r.id)
	if !ok {
		return "Rule", facts([]fact{{"state", "no longer there", styleWarn}}), nil
	}
	word, st := weightWords(rule.Actions, groupSides(s))
	hosts := []string{}
	for _, h := range s.RuleHosts(r.id) {
		hosts = append(hosts, model.Line(h.Host))
	}
	list := []fact{
		{"traffic", word, st},
		{"does", model.InWords(rule.Actions), stylePlain},
		{"host values", model.Line(strings.Join(rule.Hosts(), ", ")), stylePlain},
		{"serves", strings.Join(hosts, ", "), stylePlain},
		{"ARN", model.Line(rule.ARN), styleDim},
	}
	ref := Ref{RefRule, rule.ARN}
	if rule.ARN == rule.Listener {
		ref.Kind = RefListener
	}
	return "Rule " + model.Line(s.RuleLabel(rule)), facts(list), []Ref{ref}
}

func (a *App) aboutActivity(r row) (string, func(int) []line, []Ref) {
	for _, e := range a.activities {
		if fmt.Sprint(e.seq) != r.id {
			continue
		}
		return "Activity at " + e.time.Format(time.TimeOnly), func(w int) []line {
			out := appendWrapped(nil, w, "", e.text, e.style)
			if e.detail != "" && e.detail != e.text {
				out = append(out, nil)
				out = appendWrapped(out, w, "", safe(e.detail), stylePlain)
			}
			return out
		}, nil
	}
	return "Activity", facts(nil), nil
}
