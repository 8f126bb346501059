package main

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/probes"
)

func newStatus(g *globals) *cobra.Command {
	var probe bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show everything observed: lanes, gateways, secrets, VirtualServices, hosts, runbook",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return g.status(cmd.Context(), probe) },
	}
	cmd.Flags().BoolVar(&probe, "probe", false, "probe every host first, so that all gates can be judged")
	return cmd
}

func (g *globals) status(ctx context.Context, probe bool) error {
	w, err := g.wire(ctx, nil)
	if err != nil {
		return err
	}
	defer w.close()
	s, evidence, err := w.look(ctx, probe)
	if err != nil {
		return err
	}
	traffic, unknown := w.glance(ctx, s)
	// The report stands without the journal; what is wrong with it is said.
	entries, journalErr := w.entries(s)
	report := model.Status(s, model.HostStatesOf(entries), model.HostGates(s, evidence, time.Now()))
	for i, lane := range report.Lanes {
		report.Lanes[i].Old.Traffic = model.NewReportTraffic(traffic[lane.Name].Old)
		report.Lanes[i].New.Traffic = model.NewReportTraffic(traffic[lane.Name].New)
	}
	report.Problems = append(slices.Clone(report.Problems), unknown...)
	if err := g.print(report, func(out io.Writer) { printStatus(out, s, report) }); err != nil {
		return err
	}
	problems := statusProblems(s)
	if journalErr != nil && problems == nil {
		g.say("cutover: %v", journalErr)
	}
	if pending := len(model.Unsettled(entries)); pending > 0 {
		g.say("%d change(s) of an interrupted run are not settled; the next console or run reads and settles them", pending)
	}
	// The document says it in its own problems; a second one would only break it.
	g.errorPrinted = true
	return problems
}

// statusProblems is the exit of a status that is not whole: access before all
// else, failed when a whole half of the world could not be reached.
func statusProblems(s *model.Snapshot) error {
	for _, kind := range []model.Kind{model.KindAccess, model.KindUnreachable, model.KindThrottled} {
		for _, p := range s.Problems { // Traffic, which nothing depends on, is none of them.
			if p.Kind == kind {
				return problemError(p, "what is shown is not whole")
			}
		}
	}
	return nil
}

// problemError is a problem as the error that ends a command: what the adapter
// advises, after the cause, becomes the remedy, otherwise it is the one given.
func problemError(p model.Problem, otherwise string) error {
	cause, remedy, _ := strings.Cut(p.Message, "; ")
	return &model.Error{Kind: p.Kind, Operation: p.Operation, Object: p.Source, Message: cause, Remedy: cmp.Or(remedy, otherwise)}
}

// look observes the world once, with probes of every host when asked.
func (w *wired) look(ctx context.Context, probe bool) (*model.Snapshot, model.Evidence, error) {
	if !probe {
		return w.observe(ctx), nil, nil
	}
	l := w.watch(ctx, probes.Limits{}, false)
	defer l.end()
	s, err := l.first(ctx)
	if err != nil {
		return nil, nil, err
	}
	hosts := make([]model.HostKey, 0, len(s.Hosts))
	for _, h := range s.Hosts {
		hosts = append(hosts, h.HostKey)
	}
	w.globals.say("probing %d hosts …", len(hosts))
	l.stage(hosts)
	l.gather(ctx, hosts, gatherLimit(s))
	return l.snapshot(), l.engine.View().Evidence, ctx.Err()
}

// gatherLimit is how long probing every target K times may take at the
// engine's rate, with time for slow answers.
func gatherLimit(s *model.Snapshot) time.Duration {
	return time.Duration(len(model.ProbeTargets(s, nil))*model.K)*time.Second/probes.PerSecond + 15*time.Second
}
