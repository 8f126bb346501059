package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// sideOf says which lane and side a Gateway is.
type sideOf struct {
	lane string
	side model.SideName
}

func gatewaySides(s *model.Snapshot) map[model.ObjectName]sideOf {
	out := map[model.ObjectName]sideOf{}
	for _, l := range s.Lanes {
		for _, side := range []model.Side{l.Old, l.New} {
			if side.Gateway != nil {
				out[*side.Gateway] = sideOf{l.Name, side.Name}
			}
		}
	}
	return out
}

// gatewayRows lists the Gateways: name, side, and what the operator should
// know of it.
func gatewayRows(s *model.Snapshot) []row {
	sides := gatewaySides(s)
	var rows []row
	for _, g := range s.Cluster.Gateways {
		of, ok := sides[g.Name]
		if !ok {
			of.side = model.Other
		}
		name := model.Line(g.Name.String())
		side := field{{string(of.side), sideStyle(string(of.side))}}
		if of.side == model.Old {
			side = append(append(side, span{" ", stylePlain}), keepField(g.Keep)...)
		}
		if l, ok := s.Lane(of.lane); ok && len(l.Side(of.side).Pods) == 0 {
			side = append(side, span{" no pods", styleBad})
		}
		rows = append(rows, row{
			id:     name,
			fields: []field{text(name, stylePlain), side},
			search: strings.ToLower(name + " " + plain(side) + " " + of.lane),
		})
	}
	return rows
}

func keepField(keep bool) field {
	if keep {
		return text("kept", styleDim)
	}
	return text("not kept", styleWarn)
}

// secretRows lists the Secrets that Gateways name: whether Helm keeps them and
// how long their certificates are valid.
func secretRows(s *model.Snapshot, now time.Time) []row {
	old := oldNamespaces(s)
	var rows []row
	for _, c := range s.Cluster.Secrets {
		name := model.Line(c.Name.String())
		state := secretState(c, now)
		var shown field
		if c.Exists && old[c.Name.Namespace] {
			shown = append(keepField(c.Keep), span{" ", stylePlain})
		}
		shown = append(shown, state)
		rows = append(rows, row{
			id:     name,
			fields: []field{text(name, stylePlain), shown},
			search: strings.ToLower(name + " " + plain(shown)),
		})
	}
	return rows
}

func oldNamespaces(s *model.Snapshot) map[string]bool {
	out := map[string]bool{}
	for _, l := range s.Lanes {
		if l.Old.Gateway != nil {
			out[l.Old.Gateway.Namespace] = true
		}
	}
	for _, l := range s.Lanes {
		if l.New.Gateway != nil {
			delete(out, l.New.Gateway.Namespace)
		}
	}
	return out
}

func secretState(c model.Secret, now time.Time) span {
	left := c.NotAfter.Sub(now)
	switch {
	case !c.Readable:
		return span{"unread", styleWarn}
	case !c.Exists:
		return span{"missing", styleBad}
	case c.Error != "":
		return span{"invalid", styleBad}
	case c.NotAfter.IsZero():
		return span{"no cert", styleDim}
	case left <= 0:
		return span{"expired", styleBad}
	case left < 14*24*time.Hour:
		return span{ago(left), styleWarn}
	default:
		return span{ago(left), styleDim}
	}
}

// virtualServiceRows lists the VirtualServices that ingress Gateways serve.
func virtualServiceRows(s *model.Snapshot) []row {
	var rows []row
	for _, vs := range s.Cluster.VirtualServices {
		binding, lanes := s.FoldedBinding(vs)
		if len(vs.Hosts) == 0 || (len(lanes) == 0 && !slices.ContainsFunc(vs.Gateways, notMesh)) {
			continue // A delegate, or inside the mesh only.
		}
		name := model.Line(vs.Name.String())
		word, st := "both", styleGood
		switch binding {
		case model.BindingOld:
			word, st = "old only", styleWarn
		case model.BindingNew:
			word, st = "new only", styleNew
		case model.BindingNone:
			word, st = "none", styleDim
		case model.BindingBoth:
		}
		rows = append(rows, row{
			id:     name,
			fields: []field{text(name, stylePlain), text(word, st)},
			search: strings.ToLower(name + " " + word + " " + model.Line(strings.Join(vs.Hosts, " "))),
		})
	}
	return rows
}

func notMesh(g string) bool { return g != "mesh" }

// ruleRows lists every rule of every listener, in the order of evaluation.
func ruleRows(s *model.Snapshot) []row {
	groups := groupSides(s)
	var rows []row
	for _, lb := range s.AWS.LoadBalancers {
		for _, l := range lb.Listeners {
			label := s.ListenerLabel(l)
			for _, r := range l.Rules {
				rows = append(rows, ruleRow(label, r, groups))
			}
		}
	}
	return rows
}

func ruleRow(label string, r model.Rule, groups sides) row {
	priority := "def"
	if !r.IsDefault() {
		priority = fmt.Sprint(r.Priority)
	}
	hosts := model.Line(strings.Join(r.Hosts(), " "))
	if hosts == "" {
		hosts = "*"
	}
	shown := hostField(hosts)
	if c, err := model.ParseConditions(r.Conditions); err == nil && !c.HostOnly() {
		more := " +" + model.Line(strings.Join(c.Others, "+"))
		hosts += more
		shown = append(shown, span{more, styleDim})
	}
	side, weight := actionSide(r.Actions, groups)
	share := text(side, sideStyle(side))
	if side == string(model.Split) {
		share = text(fmt.Sprintf("%s %d", side, weight), sideStyle(side))
	}
	return row{
		id: r.ARN,
		fields: []field{
			text(label, styleDim), text(priority, styleDim), shown, share,
		},
		search: strings.ToLower(label + " " + priority + " " + hosts + " " + side),
	}
}

// sides says on which side of their lanes target groups are.
type sides struct {
	of map[string]model.SideName
	// unread says that lanes are not known whole: a group of none may be of one.
	unread bool
}

func groupSides(s *model.Snapshot) sides {
	out := sides{of: map[string]model.SideName{}}
	for _, l := range s.Lanes {
		for _, side := range []model.Side{l.Old, l.New} {
			for _, arn := range side.TargetGroups {
				out.of[arn] = side.Name
			}
		}
	}
	_, out.unread = unread(s, model.ResourceGateways, model.ResourceServices, model.ResourceNodes, model.ResourceTargetGroups)
	return out
}

// unread returns the first of the resources that cannot be read now.
func unread(s *model.Snapshot, resources ...model.Resource) (model.Problem, bool) {
	for _, r := range resources {
		if p, ok := s.Unreadable(r); ok {
			return p, true
		}
	}
	return model.Problem{}, false
}

// unjudgeable returns why gates cannot be judged by what is read now.
func unjudgeable(s *model.Snapshot) (model.Problem, bool) {
	return unread(s, model.ResourceGateways, model.ResourceVirtualServices, model.ResourceServices,
		model.ResourceLoadBalancers, model.ResourceRules, model.ResourceTargetGroups)
}

// actionSide says where actions send traffic, in a word, and how much of it
// goes to new in percent, -1 when that does not apply.
func actionSide(actions model.JSON, groups sides) (word string, newWeight int) {
	forwards, err := model.Forwards(actions)
	if err != nil {
		return "unread", -1
	}
	oldSum, newSum, known := 0, 0, false
	for _, f := range forwards {
		for _, g := range f.Groups {
			switch groups.of[g.ARN] {
			case model.Old:
				oldSum, known = oldSum+g.Weight, true
			case model.New:
				newSum, known = newSum+g.Weight, true
			default:
			}
		}
	}
	switch {
	case !known && len(forwards) > 0 && groups.unread:
		return string(model.StateUnknown), -1
	case !known:
		return "other", -1
	case oldSum+newSum == 0:
		return "none", -1
	case newSum == 0:
		return "old", 0
	case oldSum == 0:
		return "new", 100
	default:
		return "split", (200*newSum + oldSum + newSum) / (2 * (oldSum + newSum))
	}
}
