package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// The exit codes that scripts rely on (CLI.md).
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitBlocked     = 3
	exitDrift       = 4
	exitPutBack     = 5
	exitRecovery    = 6
	exitAccess      = 7
	exitNotReady    = 8
	exitStopped     = 9
	exitUnproven    = 10
	exitInterrupted = 130
)

// exitCode is an error that carries only an exit code: what there is to say
// has been printed as the command's result.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// runError is the error of a run that did not do all that was asked, with the
// run's own exit code.
type runError struct {
	error
	code int
}

func (e *runError) Unwrap() error { return e.error }

// report prints err as the command line documents it and returns the exit code.
func (g *globals) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	e := asError(err)
	_, _ = fmt.Fprintf(g.err, "cutover: %s\n", model.Line(e.Error()))
	if e.Remedy != "" {
		_, _ = fmt.Fprintln(g.err, model.Line(e.Remedy))
	}
	if g.output == outputJSON && !g.errorPrinted {
		g.printError(e)
	}
	var of *runError
	switch {
	case errors.As(err, &of):
		return of.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitOf(e.Kind)
	}
}

// printError writes the error as the JSON document that scripts read.
func (g *globals) printError(e *model.Error) {
	type document struct {
		Kind      model.Kind `json:"kind"`
		Operation string     `json:"operation"`
		Object    string     `json:"object"`
		Message   string     `json:"message"`
		Remedy    string     `json:"remedy"`
	}
	g.errorPrinted = true
	g.line(map[string]document{"error": {Kind: e.Kind, Operation: e.Operation, Object: e.Object, Message: e.Cause(), Remedy: e.Remedy}})
}

// asError returns the first *model.Error of err, with err's whole text when it
// has none.
func asError(err error) *model.Error {
	var e *model.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return &model.Error{Kind: model.KindInternal, Message: "interrupted", Err: err}
	}
	return &model.Error{Kind: model.KindInternal, Message: err.Error(), Err: err}
}

// exitOf is the one place that turns a kind into an exit code.
func exitOf(k model.Kind) int {
	switch k {
	case model.KindUsage: // A name that the operator gave and nobody has is usage.
		return exitUsage
	case model.KindBlocked:
		return exitBlocked
	case model.KindDrift:
		return exitDrift
	case model.KindPartial:
		return exitRecovery
	case model.KindAccess:
		return exitAccess
	case model.KindNotReady:
		return exitNotReady
	case model.KindUnproven:
		return exitUnproven
	case model.KindNotFound, model.KindUnreachable, model.KindThrottled, model.KindInternal:
		return exitFailed
	default:
		return exitFailed
	}
}

// exitOfRun is the exit code of a run's result.
func exitOfRun(r run.Result) int {
	switch {
	case r.Unsettled:
		return exitRecovery
	case r.Interrupted:
		return exitInterrupted
	case r.Err == nil:
		return exitDone
	case model.KindOf(r.Err) == model.KindUnproven, model.KindOf(r.Err) == model.KindDrift && r.WayBack:
		// A way back that left what somebody else changed is drift, whatever
		// else it restored.
		return exitOf(model.KindOf(r.Err))
	case r.Outcome == run.OutcomeRolledBack:
		return exitPutBack
	case r.Outcome == run.OutcomePartial:
		return exitStopped
	default:
		return exitOf(model.KindOf(r.Err))
	}
}

// usage is a usage error: the operator asked for what cannot be asked.
func usage(operation, message, remedy string) error {
	return &model.Error{Kind: model.KindUsage, Operation: operation, Message: message, Remedy: remedy}
}
