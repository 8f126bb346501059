package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
	"github.com/istio-cutover/cutover/model"
)

const (
	controlVariable = "CUTOVER_SANDBOX_CONTROL"
	// controlWithin bounds a call to a running sandbox: to switch a fault off may
	// have to wait for a run to end.
	controlWithin = 30 * time.Second

	wordOn  = "on"
	wordOff = "off"
)

func newFault(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "fault [NAME [on|off] [ARG] | off]",
		Short: "Switch a fault on or off in the running sandbox, or list them",
		Long: `Make the running sandbox, or demo, fail in one of the ways in which the real
thing does, and make it well again. Several faults can be on at once.

Without NAME it lists the faults and says which are on. NAME alone switches the
fault over; NAME with an argument switches it on. The word off alone switches
all off. They end with the sandbox too.

It finds the sandbox by CUTOVER_SANDBOX_CONTROL, one of the exports. CALLS are
all, reads, writes, or those of an operation, such as ModifyRule; with :TIMES
the fault ends by itself after so many of them. SIDE is old or new, NODE a
node's name, its address or its number, from 1.

` + faultHelp(),
		Example: `  cutover sandbox fault                            # which are there, which are on
  cutover sandbox fault aws-throttle               # on, or off if it was on
  cutover sandbox fault aws-timeout-after ModifyRule:1
  cutover sandbox fault aws-slow 5s
  cutover sandbox fault aws-slow off
  cutover sandbox fault nodeport-filtered new@2
  cutover sandbox fault off                        # all of them`,
		Args:              usageArgs(cobra.MaximumNArgs(3)),
		ValidArgsFunction: completeFaults,
		RunE:              func(cmd *cobra.Command, args []string) error { return g.fault(cmd.Context(), args) },
	}
}

// faultHelp describes all faults, in lines for a narrow terminal.
func faultHelp() string {
	var b strings.Builder
	b.WriteString("Faults:\n")
	for _, f := range sandbox.AllFaults() {
		fmt.Fprintf(&b, "  %s", f.Name)
		if f.Argument != "" {
			fmt.Fprintf(&b, " [%s]   (%s unless said)", f.Argument, f.Default)
		}
		fmt.Fprintf(&b, "\n      %s\n", f.Does)
	}
	return strings.TrimRight(b.String(), "\n")
}

func completeFaults(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	switch len(args) {
	case 0:
		words = append(words, wordOff+"\tall faults")
		for _, f := range sandbox.AllFaults() {
			words = append(words, f.Name+"\t"+f.Does)
		}
	case 1:
		words = []string{wordOn, wordOff}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// fault lists or switches faults in the running sandbox.
func (g *globals) fault(ctx context.Context, args []string) error {
	control := sandbox.Control{URL: os.Getenv(controlVariable)}
	if control.URL == "" {
		return usage("fault", controlVariable+" is not set, so that no sandbox is known",
			"start one with cutover sandbox --env-file FILE (or cutover demo), and read its exports: . FILE")
	}
	ctx, cancel := context.WithTimeout(ctx, controlWithin)
	defer cancel()
	if len(args) == 0 {
		return g.listFaults(ctx, control)
	}
	if err := g.mayChange("switch a fault"); err != nil {
		return err
	}
	if args[0] == wordOff && len(args) == 1 {
		if err := control.FaultsOff(ctx); err != nil {
			return err
		}
		return g.listFaults(ctx, control)
	}
	name, args := args[0], args[1:]
	word := ""
	if len(args) > 0 && (args[0] == wordOn || args[0] == wordOff) {
		word, args = args[0], args[1:]
	}
	argument := strings.Join(args, " ")
	switch {
	case len(args) > 1 || word == wordOff && argument != "":
		return usage("fault", fmt.Sprintf("%q is too much", argument), "cutover sandbox fault "+name+" [on|off] [ARG]")
	case word == "" && argument == "":
		on, err := isOn(ctx, control, name)
		if err != nil {
			return err
		}
		if on {
			word = wordOff
		}
	}
	var f sandbox.Fault
	var err error
	if word == wordOff {
		f, err = control.FaultOff(ctx, name)
	} else {
		f, err = control.Fault(ctx, name, argument)
	}
	if err != nil {
		return err
	}
	return g.print(f, func(w io.Writer) {
		if !f.On {
			_, _ = fmt.Fprintf(w, "%s is off\n", model.Line(f.Name))
			if f.Note != "" {
				_, _ = fmt.Fprintln(w, model.Line(f.Note))
			}
			return
		}
		_, _ = fmt.Fprintf(w, "%s is on: %s\nto switch it off: cutover sandbox fault %[1]s off\n", model.Line(f.Name), model.Line(f.Now))
	})
}

// isOn reports whether a fault is on. One that is not known is not.
func isOn(ctx context.Context, control sandbox.Control, name string) (bool, error) {
	all, err := control.Faults(ctx)
	for _, f := range all {
		if f.Name == name {
			return f.On, err
		}
	}
	return false, err
}

func (g *globals) listFaults(ctx context.Context, control sandbox.Control) error {
	all, err := control.Faults(ctx)
	if err != nil {
		return err
	}
	return g.print(all, func(w io.Writer) {
		var rows [][]string
		on := 0
		for _, f := range all {
			state := wordOff
			if f.On {
				state = wordOn
				on++
			}
			rows = append(rows, []string{f.Name, state, cmp.Or(f.Now, f.Does)})
		}
		table(w, []string{"FAULT", "STATE", "WHAT"}, rows)
		_, _ = fmt.Fprintln(w, "\nwhat each can be asked for: cutover sandbox fault --help")
		if on > 0 {
			_, _ = fmt.Fprintf(w, "%d on; to switch all off: cutover sandbox fault off\n", on)
		}
	})
}
