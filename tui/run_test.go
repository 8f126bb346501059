package tui

import (
	"context"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// noRun is for tests that start no run.
func noRun(context.Context, model.Plan, run.Options, func(run.Event)) run.Result {
	return run.Result{Outcome: run.OutcomeUnchanged}
}
