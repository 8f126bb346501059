package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// sandboxFlags are the flags that demo and sandbox share.
type sandboxFlags struct {
	hosts       int
	propagation time.Duration
	envFile     string
	load        int
}

func (f *sandboxFlags) addFlags(cmd *cobra.Command, propagation time.Duration) {
	flags := cmd.Flags()
	flags.IntVar(&f.hosts, "hosts", 0, "number of hosts (default: a world of about 24)")
	flags.DurationVar(&f.propagation, "propagation", propagation, "how long load balancers gather changes before they act on them")
	flags.IntVar(&f.load, "load", 0, fmt.Sprintf("requests per second of clients that count what they lose (at most %d)", sandbox.MaxLoad))
	flags.StringVar(&f.envFile, "env-file", "", "write the shell exports to this file, once everything answers")
}

func newDemo(g *globals) *cobra.Command {
	var f sandboxFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Open the console on a simulated world",
		Long: `Start a whole simulated world on loopback (an AWS API, load balancers that
carry traffic, nodes, gateways and a Kubernetes API) and open the console on
it, over the same wires as on a real one. Nothing outside is touched.

The world goes on where it was left, the journal with it. It is kept in the
folder demo of the state directory; without that folder it begins anew.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.inSandbox(cmd.Context(), f, g.resume(), func(*sandbox.Sandbox) error { return g.console(cmd.Context()) })
		},
	}
	f.addFlags(cmd, 10*time.Second)
	return cmd
}

func newSandbox(g *globals) *cobra.Command {
	var f sandboxFlags
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a simulated world until interrupted, and print how to reach it",
		Example: `  cutover sandbox --env-file sandbox.env   # in one terminal
  . ./sandbox.env && cutover status        # in another; kubectl, aws and curl too
  cutover sandbox fault aws-throttle       # there too: make something fail`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return g.inSandbox(ctx, f, "", func(s *sandbox.Sandbox) error {
				_, _ = fmt.Fprint(g.out, s.Exports())
				g.say("the sandbox runs; ctrl-c ends it")
				<-ctx.Done()
				return nil
			})
		},
	}
	f.addFlags(cmd, 0)
	cmd.AddCommand(newFault(g))
	return cmd
}

// resume is where the demo's world is kept, "" where there is no such place.
func (g *globals) resume() string {
	state, err := g.state()
	if err != nil {
		return ""
	}
	// Programs with the exports may run elsewhere.
	if state, err = filepath.Abs(state); err != nil {
		return ""
	}
	return filepath.Join(state, "demo")
}

// inSandbox does something with a sandbox in this process's environment, one
// that goes on with the world in the directory resume unless that is empty.
func (g *globals) inSandbox(ctx context.Context, f sandboxFlags, resume string, do func(*sandbox.Sandbox) error) error {
	if f.hosts < 0 {
		return usage("flag --hosts", "it is negative", "--hosts 100")
	}
	if f.propagation < 0 {
		return usage("flag --propagation", "it is negative", "--propagation 10s")
	}
	if f.load < 0 || f.load > sandbox.MaxLoad {
		return usage("flag --load", fmt.Sprintf("it is not between 0 and %d", sandbox.MaxLoad), "--load 100")
	}
	log, closeLog, err := g.logger()
	if err != nil {
		return err
	}
	defer closeLog()
	s, err := sandbox.Start(ctx, sandbox.Options{Hosts: f.hosts, Propagation: f.propagation, Resume: resume, Log: log})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.NotResumed(); err != nil {
		for line := range strings.Lines(err.Error()) {
			g.say("%s", strings.TrimSpace(line))
		}
	}
	for _, variable := range s.Env() {
		key, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(key, value); err != nil {
			return err
		}
	}
	if f.envFile != "" {
		if err := writeWhole(f.envFile, s.Exports()); err != nil {
			return usage("flag --env-file", err.Error(), "name a file that can be written")
		}
	}
	if f.load == 0 {
		return do(s)
	}
	clients, err := s.Load(ctx, f.load)
	if err != nil {
		return err
	}
	// The console has left the screen by then.
	defer func() { _, _ = fmt.Fprintln(g.err, clients.Stop().Line()) }()
	return do(s)
}

// writeWhole makes the file appear with all of its content or not at all.
func writeWhole(path, content string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.WriteString(content)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
