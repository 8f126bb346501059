package run

import (
	"context"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// Port is how a Runner reaches AWS. Errors are *model.Error.
type Port interface {
	// Read returns what the rule or listener is now.
	Read(ctx context.Context, ref model.Ref) (model.RuleState, error)
	// Write makes the change's after true, without comparing anything.
	Write(ctx context.Context, c model.Change) error
}

// Journal is where a Runner records what it is about to do and what came of it.
type Journal interface {
	// Append makes the entry durable before it returns its number.
	Append(e model.Entry) (seq uint64, err error)
	// KeepScript keeps the script of a run's way back and returns its path.
	KeepScript(run, script string) (path string, err error)
}

// Proving is one piece of news from a proof under way.
type Proving struct {
	Proof  model.Proof // unproven while it goes on
	Detail string      // "2 of 3 by access log"
}

// Move is what a proof is about: a host whose changes were read back.
type Move struct {
	Host    model.HostKey
	To      model.SideName
	Changes []model.Change // those of the run that moved it
	After   time.Time      // when the last of them was read back
}

// Prover shows that requests for a moved host, begun after its changes were
// read back and sent through what they changed, are answered by the side. It
// reports on its way and returns when proven, when it finds that the side cannot
// be told (ProofUnconfirmed), or unproven when ctx ends. It may be called
// concurrently.
type Prover func(ctx context.Context, m Move, report func(Proving)) Proving

// Judge gives the plan's gates by the newest observation, overrides applied.
// The Runner asks before every change and while gates say wait.
type Judge func(ctx context.Context, p model.Plan) (model.Plan, error)

// Narrow plans the same intent anew without the hosts given.
type Narrow func(p model.Plan, without []model.HostKey) (model.Plan, error)
