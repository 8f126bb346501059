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
	// Intent is durable before it returns. It returns the entry's number.
	Intent(e Entry) (seq uint64, err error)
	// Outcome records what became of an intent: nil for done.
	Outcome(intent uint64, e Entry, failed error) error
	// Note records what is worth remembering beside changes: overrides, proofs.
	Note(e Entry) error
}

// Entry is what a Runner tells the journal of one change or note.
type Entry struct {
	Run    string
	Change *model.Change // nil for notes on a host
	To     model.SideName
	Hosts  []model.HostKey
	Proof  model.Proof // for a note on proof
	Gate   model.GateID
	Reason string
}

// Proving is one piece of news from a proof under way.
type Proving struct {
	Host   model.HostKey
	Proof  model.Proof // unproven while it goes on
	Detail string      // "2 of 3 by access log"
}

// Prover shows that requests for the host through the load balancer, begun
// after the moment given, are answered by the side. It reports on its way and
// returns when proven, when it finds that the side cannot be told
// (ProofUnconfirmed), or unproven when ctx ends.
type Prover func(ctx context.Context, host model.HostKey, to model.SideName, after time.Time, report func(Proving)) Proving

// Judge gives the plan's gates by the newest observation; the Runner asks
// before the first change and while gates say wait.
type Judge func(ctx context.Context, p model.Plan) ([]model.HostGate, error)
