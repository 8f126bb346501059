package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// The values of -o.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

// globals are the flags that every command has, and the streams.
type globals struct {
	streams
	args     []string
	kube     *genericclioptions.ConfigFlags
	profile  string
	region   string
	config   string
	stateDir string
	logFile  string
	output   string
	readOnly bool
	// errorPrinted is set when the error document is on standard output already.
	errorPrinted bool
}

func newRoot(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "cutover",
		Short: "Move hosts from the old Istio ingress gateways to the new ones, proved and reversible",
		Long: `Istio Cutover moves the hosts of a cluster from the old Istio ingress gateways
(namespace istio-system) to the new ones (namespace istio-gateway) behind AWS
load balancers: host by host, proved by live probes, reversible at every step.

Without a command it opens the console on the current kubeconfig context and
AWS credentials. To see it without either: cutover demo`,
		Args:          usageArgs(cobra.NoArgs),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{outputTable, outputJSON, outputYAML}, g.output) {
				bad := g.output
				g.output = outputTable
				return usage("flag -o", fmt.Sprintf("%q is no output format", bad), "use table, json or yaml")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return g.console(cmd.Context()) },
	}
	g.addFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(g.flagError)
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputTable, outputJSON, outputYAML}, cobra.ShellCompDirectiveNoFileComp))
	root.AddCommand(
		newStatus(g), newPlan(g), newShift(g), newRollback(g), newProbe(g), newJournal(g),
		newDemo(g), newSandbox(g), newVersion(g),
	)
	root.InitDefaultCompletionCmd()
	return root
}

// flagError is the error of flags that cannot be read. The command line was not
// read to its end then, so that an -o json in it is looked for here; and what
// follows a command that does not exist was read as the root's own flags.
func (g *globals) flagError(cmd *cobra.Command, err error) error {
	for i, a := range g.args {
		if strings.TrimLeft(a, "-o=") == outputJSON || strings.HasSuffix(a, "output=json") || a == outputJSON && i > 0 && g.args[i-1] == "--output" {
			g.output = outputJSON
		}
	}
	if len(g.args) > 0 && !cmd.HasParent() && !strings.HasPrefix(g.args[0], "-") {
		return usageArgs(cobra.NoArgs)(cmd, g.args[:1])
	}
	return usage("flags", err.Error(), "see "+cmd.CommandPath()+" --help")
}

func (g *globals) addFlags(flags *pflag.FlagSet) {
	g.kube = genericclioptions.NewConfigFlags(true)
	g.kube.AddFlags(flags)
	flags.StringVar(&g.profile, "profile", "", "AWS profile")
	flags.StringVar(&g.region, "region", "", "AWS region")
	flags.StringVar(&g.config, "config", "", "file that names lanes which the naming convention does not find")
	flags.StringVar(&g.stateDir, "state-dir", "", "directory of the journal (default $XDG_STATE_HOME/cutover)")
	flags.StringVar(&g.logFile, "log-file", "", "write a log to this file")
	flags.StringVarP(&g.output, "output", "o", outputTable, "output format: table, json or yaml")
	flags.BoolVar(&g.readOnly, "read-only", false, "never change anything")
}

// usageArgs makes cobra's complaints about arguments usage errors.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage("arguments", err.Error(), "see "+cmd.CommandPath()+" --help")
		}
		return nil
	}
}

// state returns the state directory.
func (g *globals) state() (string, error) {
	if g.stateDir != "" {
		return g.stateDir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "cutover"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", usage("state directory", err.Error(), "name one with --state-dir")
	}
	return filepath.Join(home, ".local", "state", "cutover"), nil
}

// mayChange refuses a change under --read-only.
func (g *globals) mayChange(operation string) error {
	if g.readOnly {
		return usage(operation, "--read-only is set, nothing is changed", "leave --read-only out")
	}
	return nil
}
