package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/probes"
)

func newPlan(g *globals) *cobra.Command {
	var (
		sel     selection
		to      string
		noProbe bool
	)
	cmd := &cobra.Command{
		Use:   "plan SELECTION --to new|old",
		Short: "Show what shift would change, and the gates; changes nothing",
		Example: `  cutover plan --host argocd.bigbang.example --to new
  cutover plan --lane passthrough --to new -o json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			side, err := toFlag(to)
			if err != nil {
				return err
			}
			return g.plan(cmd.Context(), sel.Selection, side, noProbe)
		},
	}
	sel.addFlags(cmd, g)
	addToFlag(cmd, &to)
	cmd.Flags().BoolVar(&noProbe, "no-probe", false, "leave gates that need probes at wait")
	return cmd
}

func (g *globals) plan(ctx context.Context, sel model.Selection, to model.SideName, noProbe bool) error {
	w, err := g.wire(ctx, nil)
	if err != nil {
		return err
	}
	defer w.close()
	l := w.watch(ctx, probes.Limits{}, false)
	defer l.end()
	p, err := l.planned(ctx, sel, to, noProbe, nil, false)
	if err != nil {
		return err
	}
	region := w.aws.Account().Region
	if err := g.print(p.Document(region), func(out io.Writer) { printPlan(out, p, region) }); err != nil {
		return err
	}
	switch p.Verdict {
	case model.Block:
		return exitCode(exitBlocked)
	case model.Wait:
		return exitCode(exitNotReady)
	case model.Pass, model.Warn:
		return nil
	default:
		return nil
	}
}

// planned plans the selection's move and judges it, after the probes that its
// gates need. Taking hosts back to old is the way back of what the journal
// recorded of them, ungated, where it recorded something.
//
// What an interrupted run left is settled first: in the journal with mayWrite,
// else only for this plan.
func (l *live) planned(ctx context.Context, sel model.Selection, to model.SideName, noProbe bool, overrides []model.Override, mayWrite bool) (model.Plan, error) {
	s, err := l.first(ctx)
	if err != nil {
		return model.Plan{}, err
	}
	if err := readable(s); err != nil {
		return model.Plan{}, err
	}
	intent, err := s.Select(sel, to)
	if err != nil {
		return model.Plan{}, err
	}
	if to == model.Old && sel.Rule == "" {
		if p, ok, err := l.backToOld(ctx, s, intent, mayWrite); ok || err != nil {
			return p, err
		}
	}
	p, err := model.NewPlan(s, intent)
	if err != nil {
		return model.Plan{}, err
	}
	// An override that cannot be is said before anybody waits for probes.
	if _, err := l.judge(p, overrides); err != nil {
		return model.Plan{}, err
	}
	if !noProbe {
		l.stage(intent.Hosts)
		l.globals.say("probing %d host(s) …", len(intent.Hosts))
		l.gather(ctx, intent.Hosts, gatherLimit(s))
	}
	if err := ctx.Err(); err != nil {
		return model.Plan{}, err
	}
	return l.judge(p, overrides)
}

// backToOld is the way back of what the journal recorded of the hosts, when
// that leads to old. Hosts without a record that are not on old go by gates,
// and so not in one run with others that go ungated.
func (l *live) backToOld(ctx context.Context, s *model.Snapshot, intent model.Intent, mayWrite bool) (model.Plan, bool, error) {
	records, err := l.recorded(ctx, s, mayWrite)
	if err != nil {
		return model.Plan{}, false, err
	}
	records = narrowed(records, model.Selection{LoadBalancer: intent.LoadBalancer, Listener: intent.Listener})
	p, err := model.WayBack(s, records, intent.Hosts)
	if err != nil || len(p.Changes) == 0 || p.Intent.To != model.Old {
		return model.Plan{}, false, err
	}
	rest := intent.Without(p.Intent.Hosts)
	if len(rest.Hosts) == 0 {
		return p, true, nil
	}
	if forward, err := model.NewPlan(s, rest); err == nil && len(forward.Changes) == 0 {
		return p, true, nil // The rest is on old already.
	}
	return model.Plan{}, false, usage("shift", "some of the hosts have a recorded way back and others have none: "+hostList(rest.Hosts),
		"take the recorded ones back with rollback, and shift the others by themselves")
}

// readable refuses to plan on what could not be read.
func readable(s *model.Snapshot) error {
	for _, r := range []model.Resource{
		model.ResourceGateways, model.ResourceVirtualServices, model.ResourceServices,
		model.ResourceLoadBalancers, model.ResourceRules, model.ResourceTargetGroups,
	} {
		if p, bad := s.Unreadable(r); bad {
			return problemError(p, "a plan needs it; mend the access or connection and try again")
		}
	}
	return nil
}

// printPlan writes a plan for people: before and after per change, gates in
// words, others touched, the equivalent commands.
func printPlan(w io.Writer, p model.Plan, region string) {
	out := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	if len(p.Changes) == 0 {
		out("nothing to change")
	}
	for _, c := range p.Changes {
		out("%s  %s", c.Op, model.Line(c.Label))
		out("  hosts   %s", model.Line(hostList(c.Hosts)))
		if len(c.AlsoServes) > 0 {
			out("  others  %s", model.Line(strings.Join(c.AlsoServes, ", ")))
		}
		out("  before  %s", model.Line(model.InWords(c.Before.Actions)))
		out("  after   %s", model.Line(model.InWords(c.After.Actions)))
		out("  aws     %s", model.Line(c.Command(region)))
	}
	for _, warning := range p.Warnings {
		out("warning: %s", model.Line(warning))
	}
	if p.WayBack {
		out("this is the way back: no gate holds it")
		return
	}
	out("")
	var rows [][]string
	for _, g := range p.Gates {
		verdict := string(g.Verdict)
		if g.Overridden != "" {
			verdict += " (overridden: " + g.Overridden + ")"
		}
		rows = append(rows, []string{g.Host.Host, string(g.ID), verdict, g.Reason})
	}
	table(w, []string{"HOST", "GATE", "VERDICT", "REASON"}, rows)
	out("\nverdict: %s", verdictText(p.Verdict))
}

func verdictText(v model.Verdict) string {
	switch v {
	case model.Block:
		return "block: it cannot go until the gate is mended"
	case model.Wait:
		return "wait: not ready yet"
	case model.Warn:
		return "pass, with warnings"
	case model.Pass:
		return "pass"
	default:
		return string(v)
	}
}

func hostList(hosts []model.HostKey) string {
	names := make([]string, 0, len(hosts))
	for _, h := range hosts {
		names = append(names, h.Host)
	}
	return strings.Join(slices.Compact(names), ", ")
}
