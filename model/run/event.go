package run

import (
	"time"

	"github.com/istio-cutover/cutover/model"
)

// EventName names what happened, as command-line users see it in JSON.
type EventName string

// The events of a run.
const (
	Waiting    EventName = "waiting"     // gates say wait
	Intended   EventName = "intent"      // journaled, about to be written
	Applied    EventName = "applied"     // AWS accepted the write
	Verified   EventName = "verified"    // read back and right: switched
	Proven     EventName = "proven"      // traffic was seen on the side; see Proof for how far
	Failed     EventName = "failed"      // detail says why
	RolledBack EventName = "rolled-back" // an earlier change of this run was put back
	Done       EventName = "done"        // the last one
)

// Event is one thing that happened in a run.
type Event struct {
	Time   time.Time     `json:"time"`
	Event  EventName     `json:"event"`
	Change string        `json:"change"` // the change's label and AWS object, "" when about a host
	Host   string        `json:"host"`
	Detail string        `json:"detail"`
	Key    model.HostKey `json:"-"`
	// Hosts are those that the event's change moves.
	Hosts []model.HostKey `json:"-"`
	// Proof is how far a proof has come, on Verified and Proven, and on Waiting
	// where it is waited for. By, Row and Why are as in Proving.
	Proof model.Proof `json:"-"`
	By    string      `json:"-"`
	Row   int         `json:"-"`
	Why   string      `json:"-"`
	// Result is set on Done.
	Result *Result `json:"-"`
}

// Outcome sums a run up.
type Outcome string

// The outcomes of a run.
const (
	OutcomeApplied    Outcome = "applied"
	OutcomeUnchanged  Outcome = "unchanged"
	OutcomeRolledBack Outcome = "rolled-back"
	OutcomePartial    Outcome = "partial"
)

// Result is how a run ended. Err is nil when it did all that was asked; its
// kind says what stopped it (model.KindUnproven: switched, but not proven in
// time).
type Result struct {
	Run     string
	Outcome Outcome
	Err     error
	// Unsettled is set when it is not known whether a change was made, or when
	// one could not be put back: recovery is needed.
	Unsettled bool
	// WayBack is set when the run restored what was recorded.
	WayBack bool
	// Interrupted is set when the run was asked to stop before its end.
	Interrupted bool
	// Skipped are the gates because of which hosts were left.
	Skipped []model.HostGate
}

// Options are what the operator decided for a run.
type Options struct {
	Wait        time.Duration // how long gates may say wait; 0 does not wait
	Proof       time.Duration // how long to wait for proof; 0 does not
	SkipBlocked bool          // leave hosts whose gates do not pass, and move the others
	Force       bool          // a way back overwrites what somebody else changed
}
