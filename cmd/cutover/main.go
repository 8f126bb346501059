// Command cutover moves the hosts of a cluster from the old Istio ingress
// gateways to the new ones behind AWS load balancers, host by host, proved by
// live probes at every step and reversible at every step.
//
// This package wires: wire.go is the only place that builds adapters, each
// command has a file of its own, and exit.go turns what happened into the
// error line and the exit code that scripts rely on.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Set by the linker in releases.
var (
	version = "dev"
	commit  = "unknown"
)

func main() {
	ctx, stop := interruptible(context.Background())
	code := Main(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// interruptible returns a context that ends when the operator wants the program
// to: a run ends between two changes then.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	// A reader of our output that goes away must not end a run between its
	// writes; writing to it fails instead, and that is all.
	signal.Ignore(syscall.SIGPIPE)
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	// SIGHUP is a lost SSH session; under nohup the run is meant to outlive it.
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signal.NotifyContext(ctx, signals...)
}

// streams are the standard streams of a command.
type streams struct {
	in  *os.File
	out io.Writer
	err io.Writer
}

// Main runs the command line args and returns the exit code.
func Main(ctx context.Context, args []string, s streams) int {
	g := &globals{streams: s, args: args}
	root := newRoot(g)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	return g.report(ctx, err)
}
