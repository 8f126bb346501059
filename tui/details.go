package tui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/istio-cutover/cutover/model"
)

func asError(err error, e **model.Error) bool { return errors.As(err, e) }

// openDetails shows what is known of a row at once, and asks for the objects
// behind it.
func (a *App) openDetails(id paneID, r row) tea.Cmd {
	d := &textDialog{pane: id, row: r}
	d.wide = 110
	d.name, d.content, d.pending = a.about(id, r)
	a.generation++
	d.generation = a.generation
	a.open(d)
	if a.cfg.Describe == nil {
		d.pending = nil
	}
	if len(d.pending) == 0 {
		return nil
	}
	return describe(a.cfg.Describe, d.pending[0], d.generation)
}

// refreshDetails brings open details up to date.
func (a *App) refreshDetails() {
	for _, d := range a.dialogs {
		if t, ok := d.(*textDialog); ok && t.row.id != "" && a.world.Snapshot != nil {
			_, t.content, _ = a.about(t.pane, t.row)
			t.built = 0
		}
	}
}

// takeDescription adds the text of an object to its dialog, if that is still
// open.
func (a *App) takeDescription(msg described) tea.Cmd {
	for _, d := range a.dialogs {
		t, ok := d.(*textDialog)
		if !ok || t.generation != msg.generation || len(t.pending) == 0 {
			continue
		}
		t.pending = t.pending[1:]
		t.texts = append(t.texts, describedText{msg.ref, msg.text, msg.err})
		t.built = 0
		if len(t.pending) > 0 {
			return describe(a.cfg.Describe, t.pending[0], t.generation)
		}
	}
	return nil
}

// about says what is known of a row: a name, lines, and the objects behind it.
func (a *App) about(id paneID, r row) (name string, content func(int) []line, refs []Ref) {
	s := a.world.Snapshot
	switch id {
	case paneGateways:
		return "Gateway " + r.id, facts(gatewayFacts(s, r.id)), []Ref{{RefGateway, r.id}}
	case paneSecrets:
		return "Secret " + r.id, facts(secretFacts(s, r.id, a.now)), []Ref{{RefSecret, r.id}}
	case paneVirtualServices:
		return "VirtualService " + r.id, facts(virtualServiceFacts(s, r.id)), []Ref{{RefVirtualService, r.id}}
	case paneRules:
		return a.aboutRule(r)
	case paneActivity:
		return a.aboutActivity(r)
	default:
		return a.aboutHost(r.host)
	}
}

// fact is one line of details: a word and what it is.
type fact struct {
	name  string
	value string
	style style
}

// facts lays facts out in two columns.
func facts(list []fact) func(int) []line {
	return func(w int) []line {
		var out []line
		for _, f := range list {
			if f.value == "" {
				continue
			}
			for i, l := range wrap(f.value, w-16) {
				name := ""
				if i == 0 {
					name = f.name
				}
				out = append(out, line{{fmt.Sprintf("%-15s ", name), styleDim}, {l, f.style}})
			}
		}
		return out
	}
}

func gatewayFacts(s *model.Snapshot, id string) []fact {
	var out []fact
	for _, g := range s.Cluster.Gateways {
		if model.Line(g.Name.String()) != id {
			continue
		}
		if of, ok := gatewaySides(s)[g.Name]; ok {
			out = append(out, fact{"lane", of.lane + ", " + string(of.side) + " side", stylePlain})
			if l, ok := s.Lane(of.lane); ok {
				out = append(out, sideFacts(s, l.Side(of.side))...)
			}
		}
		out = append(out, fact{"helm keep", yes(g.Keep), stylePlain})
		for _, v := range g.Servers {
			out = append(out, fact{
				fmt.Sprintf("server %d", v.Port),
				model.Line(strings.TrimSpace(fmt.Sprintf("%s %s %s %s", v.Protocol, v.TLSMode, v.CredentialName, strings.Join(v.Hosts, " ")))), stylePlain,
			})
		}
	}
	return out
}

func sideFacts(s *model.Snapshot, side model.Side) []fact {
	out := []fact{}
	if side.Service != nil {
		out = append(out, fact{"service", model.Line(side.Service.String()), stylePlain})
	}
	p := side.NodePorts
	out = append(out,
		fact{"NodePorts", fmt.Sprintf("status %d, http %d, https %d", p.Status, p.HTTP, p.HTTPS), stylePlain},
		fact{"ready pods", fmt.Sprint(len(side.Pods)), stylePlain})
	for _, arn := range side.TargetGroups {
		if g, ok := s.TargetGroup(arn); ok {
			out = append(out, fact{"target group", model.Line(g.Name) + ": " + healthWords(g), stylePlain})
		}
	}
	return out
}

// healthWords counts a target group's targets by state: "3 healthy, 1 initial".
func healthWords(g model.TargetGroup) string {
	n := map[string]int{}
	var states []string
	for _, t := range g.Targets {
		state := model.Line(t.State)
		if state == "" {
			state = "unread"
		}
		if n[state] == 0 {
			states = append(states, state)
		}
		n[state]++
	}
	slices.Sort(states)
	words := make([]string, 0, len(states))
	for _, st := range states {
		words = append(words, fmt.Sprintf("%d %s", n[st], st))
	}
	if len(words) == 0 {
		return "no targets"
	}
	return strings.Join(words, ", ")
}

func secretFacts(s *model.Snapshot, id string, now time.Time) []fact {
	var out []fact
	for _, c := range s.Cluster.Secrets {
		if model.Line(c.Name.String()) != id {
			continue
		}
		state := secretState(c, now)
		out = append(out, fact{"certificate", state.text, state.style})
		if !c.NotAfter.IsZero() {
			out = append(out, fact{"valid", c.NotBefore.Format(time.DateOnly) + " to " + c.NotAfter.Format(time.DateTime), stylePlain})
		}
		out = append(out,
			fact{"names", model.Line(strings.Join(c.DNSNames, ", ")), stylePlain},
			fact{"sha256", model.Line(c.SHA256), styleDim},
			fact{"error", model.Line(c.Error), styleBad},
			fact{"helm keep", yes(c.Keep), stylePlain})
	}
	return out
}

func virtualServiceFacts(s *model.Snapshot, id string) []fact {
	var out []fact
	for _, vs := range s.Cluster.VirtualServices {
		if model.Line(vs.Name.String()) != id {
			continue
		}
		binding, lanes := s.FoldedBinding(vs)
		out = append(out,
			fact{"binding", string(binding), stylePlain},
			fact{"lanes", model.Line(strings.Join(lanes, ", ")), stylePlain},
			fact{"hosts", model.Line(strings.Join(vs.Hosts, ", ")), stylePlain},
			fact{"gateways", model.Line(strings.Join(vs.Gateways, ", ")), stylePlain},
			fact{"exported to", model.Line(strings.Join(vs.ExportTo, ", ")), stylePlain})
	}
	return out
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
