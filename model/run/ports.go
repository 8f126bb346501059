package run

import (
	"context"
	"fmt"
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
	Proof model.Proof // unproven while it goes on
	By    string      // what tells the sides: "access log"; "" while nothing does
	Row   int         // how many requests in a row were seen on the side, of model.K
	Why   string      // what keeps it from being proven; "" for time alone
}

// words say the news of a move to a side.
func (p Proving) words(to model.SideName) string {
	far := fmt.Sprintf("%d of %d by %s", p.Row, model.K, p.By)
	switch {
	case p.Proof == model.ProofProven:
		return fmt.Sprintf("proven on %s by %s, %d of %d", to, p.By, p.Row, model.K)
	case p.Proof == model.ProofUnconfirmed:
		return "switched, side unconfirmed: " + p.Why
	case p.By == "" && p.Why == "":
		return "switched, unproven"
	case p.By == "":
		return "switched, unproven: " + p.Why
	case p.Why == "":
		return "switched, unproven: " + far
	default: // The cause comes first, as what does not fit is cut from the end.
		return "switched, unproven: " + p.Why + " (" + far + ")"
	}
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
