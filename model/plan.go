package model

import "encoding/json"

// Op is the kind of a change, named as the AWS CLI names its command.
type Op string

// The changes that plans are made of.
const (
	OpModifyRule     Op = "modify-rule"
	OpModifyListener Op = "modify-listener" // the default rule, and a network load balancer's listener
)

// Selection is what the operator selected: hosts by name or lane, narrowed.
type Selection struct {
	Hosts        []string // published names, each in all its lanes
	Lane         string
	All          bool
	LoadBalancer string // name or ARN
	Listener     string // ARN
	Rule         string // ARN of a rule that is moved whole
}

// Intent is what the operator asked for: these hosts, that side.
type Intent struct {
	Hosts []HostKey // resolved, sorted; see Snapshot.Select
	To    SideName
	// Rule is the ARN of a rule that is moved whole, "" for none.
	Rule         string
	LoadBalancer string // ARN; "" for all
	Listener     string // ARN; "" for all
}

// MarshalJSON writes the intent as the command line documents it.
func (i Intent) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Hosts  []string `json:"hosts"`
		To     SideName `json:"to"`
		Weight int      `json:"weight"`
		Rule   string   `json:"rule,omitempty"`
	}{hostNames(i.Hosts), i.To, 100, i.Rule})
}

// Change is one write, with its exact before and after.
type Change struct {
	Op       Op
	Listener string // ARN
	Rule     string // ARN; "" for modify-listener
	// Label names the place for people: "alb:443 10", "nlb:443".
	Label      string
	Hosts      []HostKey // of the intent that this change moves, sorted
	AlsoServes []string  // other published names that the rule serves, sorted
	Before     RuleState
	After      RuleState
}

// Ref says what a Change reads and writes.
type Ref struct {
	Op       Op
	Listener string
	Rule     string
}

// Ref returns the reference of what c writes.
func (c Change) Ref() Ref { return Ref{Op: c.Op, Listener: c.Listener, Rule: c.Rule} }

// Object names what c writes: the rule's ARN, else the listener's.
func (c Change) Object() string {
	if c.Rule != "" {
		return c.Rule
	}
	return c.Listener
}

// Inverse returns the change that restores c's before from c's after.
func (c Change) Inverse() Change {
	c.Before, c.After = c.After, c.Before
	return c
}

// Plan is the ordered changes that carry out an intent. It is data: the same
// world and intent give the same plan, byte for byte.
type Plan struct {
	ID      string // hash of intent and changes
	Intent  Intent
	Changes []Change
	// Gates are judged for the plan's hosts in order; gates of the way back
	// are absent, nothing blocks it.
	Gates    []HostGate
	Verdict  Verdict // the worst of Gates; warn counts as pass
	Warnings []string
	// WayBack is set on plans that restore recorded states: they run ungated.
	WayBack bool
}

// Record is an applied change as the journal remembers it.
type Record struct {
	Seq uint64
	Run string // the run that made it
	To  SideName
	// WayBack marks a change that itself took recorded ones back: it cancels
	// the records of the same object down to the one whose before it restored.
	WayBack bool
	Change  Change
}
