package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
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
	sel.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.last, "last", false, "take back the last run")
	flags.BoolVar(&f.print, "print", false, "print the aws commands instead of running them")
	flags.BoolVar(&f.force, "force", false, "overwrite what somebody else changed meanwhile")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.DurationVar(&f.proof, "proof", 0, "how long to wait for proof that traffic is back; 0 does not")
	_ = cmd.RegisterFlagCompletionFunc("host", g.completeHosts)
	return cmd
}

func (g *globals) rollback(ctx context.Context, sel selection, f rollbackFlags) error {
	if sel.empty() == !f.last {
		return usage("rollback", "it must be said what to take back: a selection, or --last, or --all", "cutover rollback --last")
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
	p, err := l.wayBack(s, sel.Selection, f.last)
	if err != nil {
		return err
	}
	if f.print {
		return g.printScript(p, w.aws.Account().Region)
	}
	return l.carryOut(ctx, p, run.Options{Proof: f.proof, Force: f.force}, nil, f.yes)
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
func (l *live) wayBack(s *model.Snapshot, sel model.Selection, last bool) (model.Plan, error) {
	entries, err := l.entries(s)
	if err != nil && len(entries) == 0 {
		return model.Plan{}, err
	}
	if err != nil {
		l.globals.say("cutover: %v", err)
	}
	records := model.Records(entries)
	switch {
	case last:
		return model.WayBack(s, model.WayBackOfRun(records, ""), nil)
	case sel.All:
		return model.WayBack(s, records, nil)
	}
	keys, err := recorded(s, records, sel)
	if err != nil {
		return model.Plan{}, err
	}
	return model.WayBack(s, records, keys)
}

// recorded finds the selected hosts among those that the journal knows, so
// that a rollback needs neither Kubernetes nor the host to be published still.
// A name that neither the journal nor the world knows is a usage error.
func recorded(s *model.Snapshot, records []model.Record, sel model.Selection) ([]model.HostKey, error) {
	keys := []model.HostKey{}
	found := map[string]bool{}
	for _, r := range records {
		for _, h := range r.Change.Hosts {
			named := slices.ContainsFunc(sel.Hosts, func(n string) bool { return strings.EqualFold(n, h.Host) })
			ofRule := sel.Rule != "" && sel.Rule == r.Change.Rule
			onListener := sel.Listener != "" && sel.Listener == r.Change.Listener
			ofLane := sel.Lane != "" && sel.Lane == h.Lane
			if (named || ofRule || onListener || ofLane) && !slices.Contains(keys, h) {
				keys = append(keys, h)
			}
			if named {
				found[strings.ToLower(h.Host)] = true
			}
		}
	}
	unknown := sel
	unknown.Hosts = slices.DeleteFunc(slices.Clone(sel.Hosts), func(n string) bool { return found[strings.ToLower(n)] })
	if len(unknown.Hosts) > 0 || len(keys) == 0 {
		if _, err := s.Select(unknown, model.Old); err != nil {
			return nil, err
		}
	}
	return keys, nil
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
