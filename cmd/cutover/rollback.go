package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
	"github.com/istio-cutover/cutover/probes"
)

// rollbackFlags are what the operator decided for a rollback.
type rollbackFlags struct {
	last  bool
	print bool
	force bool
	yes   bool
	proof time.Duration
}

func newRollback(g *globals) *cobra.Command {
	var (
		sel selection
		f   rollbackFlags
	)
	cmd := &cobra.Command{
		Use:   "rollback [SELECTION | --last | --all]",
		Short: "Restore what was recorded before our changes; no gate holds it",
		Example: `  cutover rollback --last
  cutover rollback --host argocd.bigbang.example
  cutover rollback --all --print`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.rollback(cmd.Context(), sel, f) },
	}
	sel.addFlags(cmd, g)
	flags := cmd.Flags()
	flags.BoolVar(&f.last, "last", false, "take back the last run")
	flags.BoolVar(&f.print, "print", false, "print the aws commands instead of running them")
	flags.BoolVar(&f.force, "force", false, "overwrite what somebody else changed meanwhile")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.DurationVar(&f.proof, "proof", 0, "how long to wait for proof that traffic is back; 0 does not")
	return cmd
}

func (g *globals) rollback(ctx context.Context, sel selection, f rollbackFlags) error {
	if sel.empty() == !f.last {
		return usage("rollback", "it must be said what to take back: a selection, or --last, or --all", "cutover rollback --last")
	}
	if sel.All && (len(sel.Hosts) > 0 || sel.Lane != "" || sel.Rule != "") {
		return usage("rollback", "--all stands beside a selection of hosts", "leave one of them out")
	}
	if !f.print {
		if err := g.mayChange("rollback"); err != nil {
			return err
		}
		if err := g.canConfirm(f.yes); err != nil {
			return err
		}
	}
	w, err := g.wire(ctx, nil)
	if err != nil {
		return err
	}
	defer w.close()
	l := w.watch(ctx, probes.Limits{}, false)
	defer l.end()
	// Nothing blocks the way back: what cannot be read within this time is
	// gone without.
	first, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	s, err := l.await(first, func(*model.Snapshot) bool { return true })
	if err != nil && ctx.Err() != nil {
		return err
	}
	if s == nil {
		s = l.settleFor()
	}
	p, err := l.wayBack(ctx, s, sel.Selection, f)
	if err != nil {
		return err
	}
	if f.print {
		return g.printScript(p, w.aws.Account().Region)
	}
	return l.carryOut(ctx, p, run.Options{Proof: f.proof, Force: f.force}, nil, f.yes, true)
}

// settleFor makes a snapshot of what there is when one half does not answer.
func (l *live) settleFor() *model.Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	cluster, account := model.Cluster{Server: l.kube.Server(), Context: l.kube.Context()}, model.AWS{Account: l.aws.Account()}
	if l.cluster != nil {
		cluster = *l.cluster
	}
	if l.account != nil {
		account = *l.account
	}
	l.joined = model.Join(cluster, account, l.config)
	return l.joined
}

// wayBack plans the way back of what was selected, from the journal.
func (l *live) wayBack(ctx context.Context, s *model.Snapshot, sel model.Selection, f rollbackFlags) (model.Plan, error) {
	records, err := l.recorded(ctx, s, !f.print)
	if err != nil {
		return model.Plan{}, err
	}
	if f.last {
		return model.WayBack(s, model.WayBackOfRun(records, ""), nil)
	}
	records = narrowed(records, sel)
	keys, err := chosen(s, records, sel)
	if err != nil {
		return model.Plan{}, err
	}
	return model.WayBack(s, records, keys)
}

// printScript prints the aws commands of the way back.
func (g *globals) printScript(p model.Plan, region string) error {
	// Script renders the inverse of what it is given, last change first.
	forward := make([]model.Change, 0, len(p.Changes))
	for _, c := range slices.Backward(p.Changes) {
		forward = append(forward, c.Inverse())
	}
	script := model.Script(forward, region, fmt.Sprintf("the way back of %d change(s)", len(p.Changes)))
	commands := []string{}
	for _, c := range p.Changes {
		commands = append(commands, c.Command(region))
	}
	return g.print(map[string]any{"commands": commands, "warnings": append([]string{}, p.Warnings...)}, func(w io.Writer) {
		_, _ = io.WriteString(w, script)
	})
}
