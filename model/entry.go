package model

import (
	"encoding/json"
	"fmt"
	"time"
)

// EntryKind is the kind of a journal entry.
type EntryKind string

// The kinds of journal entries.
const (
	EntryIntent   EntryKind = "intent"   // about to be written
	EntryDone     EntryKind = "done"     // read back and right
	EntryFailed   EntryKind = "failed"   // not done; reason says what is true instead
	EntryOverride EntryKind = "override" // a gate was overridden, with the operator's reason
	EntryNote     EntryKind = "note"     // a proof and other things worth remembering
)

// Operator is who acted.
type Operator struct {
	Kube string `json:"kube"` // Kubernetes user
	AWS  string `json:"aws"`  // ARN of the AWS caller
}

// Entry is one line of the journal. Seq, Time, Operator and the hashes are
// filled in by the journal as it is appended.
type Entry struct {
	Seq      uint64    `json:"seq"`
	Time     time.Time `json:"time"`
	Kind     EntryKind `json:"kind"`
	Run      string    `json:"run"`
	Operator Operator  `json:"operator"`
	// Change is nil for overrides and notes.
	Change *Change `json:"change"`
	Reason string  `json:"reason"`
	// Intent is the number of the intent that a done or failed settles.
	Intent uint64 `json:"intent,omitempty"`
	// Drifted is set on a failed whose object was found neither as before nor
	// as after: what was written may have been changed by somebody else since,
	// and there may be something to take back.
	Drifted bool      `json:"drifted,omitempty"`
	To      SideName  `json:"to,omitempty"`
	WayBack bool      `json:"wayBack,omitempty"`
	Hosts   []HostKey `json:"hosts,omitempty"`
	Gate    GateID    `json:"gate,omitempty"`
	Proof   Proof     `json:"proof,omitempty"`
	// Previous is the hash of the entry before, "" for the first; Hash covers
	// everything else in the line.
	Previous string `json:"previous"`
	Hash     string `json:"hash"`
}

// changeJSON is a Change as journal and reports write it.
type changeJSON struct {
	Op         Op        `json:"op"`
	Listener   string    `json:"listener"`
	Rule       *string   `json:"rule"`
	Label      string    `json:"label"`
	Hosts      []HostKey `json:"hosts"`
	AlsoServes []string  `json:"alsoServes"`
	Before     RuleState `json:"before"`
	After      RuleState `json:"after"`
}

// MarshalJSON implements json.Marshaler; a change without a rule has null there.
func (c Change) MarshalJSON() ([]byte, error) {
	out := changeJSON{
		Op: c.Op, Listener: c.Listener, Label: c.Label, Hosts: c.Hosts,
		AlsoServes: c.AlsoServes, Before: c.Before, After: c.After,
	}
	if c.Rule != "" {
		out.Rule = &c.Rule
	}
	if out.Hosts == nil {
		out.Hosts = []HostKey{}
	}
	if out.AlsoServes == nil {
		out.AlsoServes = []string{}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Change) UnmarshalJSON(raw []byte) error {
	var in changeJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return fmt.Errorf("change: %w", err)
	}
	*c = Change{
		Op: in.Op, Listener: in.Listener, Label: in.Label, Hosts: in.Hosts,
		AlsoServes: in.AlsoServes, Before: in.Before, After: in.After,
	}
	if in.Rule != nil {
		c.Rule = *in.Rule
	}
	return nil
}

// Records returns the changes that entries say were made, oldest first. One
// that was found drifted counts as made, so that the way back names it and can
// be forced; a way back that was is as if it had not been.
func Records(entries []Entry) []Record {
	intents := map[uint64]Entry{}
	var out []Record
	for _, e := range entries {
		switch e.Kind {
		case EntryIntent:
			intents[e.Seq] = e
		case EntryDone, EntryFailed:
			i, ok := intents[e.Intent]
			if !ok || i.Change == nil || e.Kind == EntryFailed && (!e.Drifted || i.WayBack) {
				continue
			}
			out = append(out, Record{Seq: i.Seq, Run: i.Run, To: i.To, WayBack: i.WayBack, Change: *i.Change})
		case EntryOverride, EntryNote:
		}
	}
	return out
}

// Unsettled returns the intents that have no outcome, oldest first: what a
// run was about to write when it was interrupted.
func Unsettled(entries []Entry) []Entry {
	settled := map[uint64]bool{}
	for _, e := range entries {
		if e.Kind == EntryDone || e.Kind == EntryFailed {
			settled[e.Intent] = true
		}
	}
	var out []Entry
	for _, e := range entries {
		if e.Kind == EntryIntent && !settled[e.Seq] {
			out = append(out, e)
		}
	}
	return out
}

// HostStatesOf returns what entries say of each host's proof: unproven since
// its last change, none since it was taken back, or what a later note of a
// proof says.
func HostStatesOf(entries []Entry) HostStates {
	intents := map[uint64]Entry{}
	out := HostStates{}
	for _, e := range entries {
		switch e.Kind {
		case EntryIntent:
			intents[e.Seq] = e
		case EntryDone, EntryFailed:
			i, ok := intents[e.Intent]
			if !ok || i.Change == nil || e.Kind == EntryFailed && !e.Drifted {
				continue
			}
			state := HostState{To: i.To, Proof: ProofUnproven, Detail: "switched, unproven", Since: e.Time}
			switch {
			case e.Kind == EntryFailed:
				state.Detail = "changed by somebody else after it was written"
			case i.WayBack:
				// The way back is done without proof; a note may bring it.
				state.Proof, state.Detail = ProofNone, ""
			}
			for _, h := range i.Change.Hosts {
				out[h] = state
			}
		case EntryNote:
			for _, h := range e.Hosts {
				if e.Proof != "" {
					out[h] = HostState{To: e.To, Proof: e.Proof, Detail: e.Reason, Since: e.Time}
				}
			}
		case EntryOverride:
		}
	}
	return out
}
