package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/istio-cutover/cutover/model"
)

// printStatus writes the report for people.
func printStatus(w io.Writer, s *model.Snapshot, r model.Report) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	p("cluster  %s  %s", model.Line(s.Cluster.Context), model.Line(s.Cluster.Server))
	p("aws      %s  %s  %s", model.Line(s.AWS.Account.ARN), s.AWS.Account.Region, model.Line(s.AWS.Account.Endpoint))
	printProblems(w, r.Problems)
	p("")
	var rows [][]string
	for i, l := range s.Lanes {
		for j, side := range []model.Side{l.Old, l.New} {
			traffic := []*model.ReportTraffic{r.Lanes[i].Old.Traffic, r.Lanes[i].New.Traffic}[j]
			rows = append(rows, []string{
				l.Name, string(side.Name), name(side.Gateway), name(side.Service),
				fmt.Sprintf("%d/%d/%d", side.NodePorts.Status, side.NodePorts.HTTP, side.NodePorts.HTTPS),
				groupNames(s, side.TargetGroups), trafficWords(s.LaneUnit(l), traffic),
			})
		}
	}
	table(w, []string{"LANE", "SIDE", "GATEWAY", "SERVICE", "NODEPORTS", "TARGET GROUPS", "TRAFFIC"}, rows)
	p("")
	printHosts(w, s, r)
	p("")
	rows = nil
	for _, step := range r.Runbook {
		rows = append(rows, []string{string(step.State), step.Title, step.Detail})
	}
	table(w, []string{"STATE", "RUNBOOK STEP", "DETAIL"}, rows)
}

// printProblems writes a line for each cause, with all that it keeps from
// being read.
func printProblems(w io.Writer, problems []model.Problem) {
	type cause struct{ source, message string }
	var order []cause
	operations := map[cause][]string{}
	for _, p := range problems {
		c := cause{p.Source, model.Line(p.Message)}
		if operations[c] == nil {
			order = append(order, c)
		}
		operations[c] = append(operations[c], model.Line(p.Operation))
	}
	for _, c := range order {
		_, _ = fmt.Fprintf(w, "problem  %s: %s: %s\n", c.source, strings.Join(operations[c], ", "), c.message)
	}
}

func printHosts(w io.Writer, s *model.Snapshot, r model.Report) {
	var rows [][]string
	moved := 0
	for _, h := range r.Hosts {
		if h.State == model.StateNew {
			moved++
		}
		state := string(h.State)
		if h.Proof != model.ProofNone {
			state += ", " + string(h.Proof)
		}
		var listeners []string
		for _, route := range h.Routes {
			if l, _, ok := s.Listener(route.Listener); ok && len(route.Rules) > 0 && route.Side != model.Other {
				listeners = append(listeners, s.ListenerLabel(l))
			}
		}
		rows = append(rows, []string{h.Host, h.Lane, state, orDash(strings.Join(listeners, " ")), worst(h.Gates)})
	}
	_, _ = fmt.Fprintf(w, "%d of %d hosts on new\n", moved, len(r.Hosts))
	table(w, []string{"HOST", "LANE", "STATE", "LISTENERS", "TO NEW"}, rows)
}

// worst says what keeps a host from going, else that it may.
func worst(gates []model.Gate) string {
	for _, v := range []model.Verdict{model.Block, model.Wait, model.Warn} {
		for _, g := range gates {
			if g.Verdict == v {
				reason, _, _ := strings.Cut(g.Reason, "; ") // The remedy is in the plan.
				return string(v) + ": " + string(g.ID) + ": " + reason
			}
		}
	}
	if len(gates) == 0 {
		return "-"
	}
	return "ready"
}

func name(n *model.ObjectName) string {
	if n == nil {
		return "-"
	}
	return n.String()
}

func groupNames(s *model.Snapshot, arns []string) string {
	var out []string
	for _, arn := range arns {
		if g, ok := s.TargetGroup(arn); ok {
			out = append(out, g.Name)
		}
	}
	return orDash(strings.Join(out, " "))
}

// trafficWords says the rate of what a lane is asked in.
func trafficWords(unit model.Unit, t *model.ReportTraffic) string {
	switch {
	case t == nil:
		return "-"
	case unit == model.UnitConnections:
		return fmt.Sprintf("%.1f conn/s", t.ConnectionsPerSecond)
	default:
		return fmt.Sprintf("%.1f/s", t.RequestsPerSecond)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
