package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

func TestMain(m *testing.M) {
	// Nearly all of the tests' time is spent waiting for other processes, so that
	// more of them can run at once than there are processors. The flag says else.
	_ = flag.Set("test.parallel", "4")
	testscript.Main(m, map[string]func(){"cutover": func() {
		ctx, stop := interruptible(context.Background())
		code := Main(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
		stop()
		os.Exit(code)
	}})
}

// TestCLI runs the scripts in testdata/cli. Those whose name begins with
// "sandbox" find the exports of a sandbox of their own in their environment.
func TestCLI(t *testing.T) {
	scripts, err := filepath.Glob("../../testdata/cli/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	testscript.Run(t, testscript.Params{
		Files:               scripts,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			env.Setenv("KUBECONFIG", filepath.Join(env.WorkDir, "kubeconfig"))
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			env.Setenv("AWS_CONFIG_FILE", filepath.Join(env.WorkDir, "aws-config"))
			env.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(env.WorkDir, "aws-credentials"))
			if !strings.HasPrefix(filepath.Base(env.WorkDir), "script-sandbox") {
				return nil
			}
			s, err := sandbox.Start(context.Background(), sandbox.Options{StateDir: filepath.Join(env.WorkDir, "state")})
			if err != nil {
				return err
			}
			env.Defer(func() { _ = s.Close() })
			for _, variable := range s.Env() {
				key, value, _ := strings.Cut(variable, "=")
				env.Setenv(key, value)
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "ci" { // In CI nothing is skipped: what is missing fails.
				return false, fmt.Errorf("no condition %q", name)
			}
			return os.Getenv("CI") == "true", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// status asserts the exit code of the last command line it runs:
			// exits CODE COMMAND ARGS...
			"exits": exits,
		},
	})
}

// exits runs a command and asserts its exit code: exits CODE COMMAND ARG …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG …")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		_, after, found := strings.Cut(err.Error(), "exit status ")
		if !found {
			ts.Fatalf("%v", err)
		}
		code = after
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}
