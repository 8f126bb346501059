package main

import (
	"github.com/spf13/cobra"

	"github.com/istio-cutover/cutover/model"
)

// selection is the flags that say which hosts.
type selection struct{ model.Selection }

func (f *selection) addFlags(cmd *cobra.Command, g *globals) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.Hosts, "host", nil, "published host, *.example.com being the published wildcard (repeatable)")
	flags.StringVar(&f.Lane, "lane", "", "all hosts of this lane")
	flags.BoolVar(&f.All, "all", false, "all hosts")
	flags.StringVar(&f.LoadBalancer, "load-balancer", "", "only on this load balancer (name or ARN)")
	flags.StringVar(&f.Listener, "listener", "", "only on this listener (ARN)")
	flags.StringVar(&f.Rule, "rule", "", "move this rule whole, with everything on it (ARN)")
	_ = cmd.RegisterFlagCompletionFunc("host", g.completeHosts)
}

// empty reports that nothing was selected at all.
func (f *selection) empty() bool {
	return len(f.Hosts) == 0 && f.Lane == "" && !f.All && f.Rule == "" && f.LoadBalancer == "" && f.Listener == ""
}

// completeHosts lists published hosts for the shell.
func (g *globals) completeHosts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	w, err := g.wire(cmd.Context(), nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer w.close()
	var out []string
	for _, h := range model.Join(w.kube.Observe(cmd.Context()), model.AWS{}, w.config).Hosts {
		out = append(out, h.Host)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func addToFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "to", "", "side that the hosts go to: new or old")
	_ = cmd.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"new", "old"}, cobra.ShellCompDirectiveNoFileComp))
}

// toFlag is the side that --to names.
func toFlag(to string) (model.SideName, error) {
	switch side := model.SideName(to); side {
	case model.Old, model.New:
		return side, nil
	case "":
		return "", usage("flag --to", "it is not said which side the hosts go to", "--to new, or --to old")
	default:
		return "", usage("flag --to", "\""+to+"\" is no side", "--to new, or --to old")
	}
}
