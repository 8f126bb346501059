package tui

import (
	"context"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// World is one delivery of everything observed. It must not be modified once
// it has been sent.
type World struct {
	Snapshot *model.Snapshot
	// States is what journal and run say of each host's proof.
	States model.HostStates
	// Records are the changes that the journal holds as applied, oldest first.
	Records []model.Record
	// Journal is everything that was recorded, oldest first: what was done
	// before the console was opened, and what others do beside it, is told in
	// Activity.
	Journal []model.Entry
	// Problems are what cannot be observed at the moment, for the header.
	Problems []model.Problem
}

// ProbeKey names the probes of one host on one path, over all nodes.
type ProbeKey struct {
	Host model.HostKey
	Path model.Path
}

// ProbeView is what the probe engine knows at one moment.
type ProbeView struct {
	Evidence model.Evidence
	Series   map[ProbeKey]Series
	// Traffic is what the gateways of each lane serve, without our probes and
	// those of our requests for proof that were seen on a side.
	Traffic map[string]model.LaneTraffic
}

// Series sums the probes of one ProbeKey up. Durations of probes are in
// milliseconds.
type Series struct {
	Recent             []Sample // newest last, at most 60
	P50, P95, P99, Max float64
	Good, Count        int
	Nodes              int           // on how many nodes
	SNI, NoSNI         bool          // which modes are probed
	Every              time.Duration // how often each target is probed
	Last               model.ProbeResult
	// LastError is why the newest probe of Recent that was not good was not;
	// nil when all were.
	LastError *model.ProbeError
}

// failing reports whether any of the last probes, one for each target, was not
// good, and why. Otherwise LastError is history.
func (s Series) failing() *model.ProbeError {
	each := max(1, s.Nodes)
	if s.SNI && s.NoSNI {
		each *= 2
	}
	for _, x := range s.Recent[max(0, len(s.Recent)-each):] {
		if !x.Good {
			return s.LastError
		}
	}
	return nil
}

// Sample is one probe in a Series.
type Sample struct {
	Total float64 // milliseconds
	Good  bool
}

// CommandLine is an AWS or Kubernetes call as the equivalent command line.
type CommandLine struct {
	Time time.Time
	Line string
	Took time.Duration
	Err  error
}

// RefKind is the kind of an object that can be described.
type RefKind string

// The kinds of objects that can be described.
const (
	RefGateway        RefKind = "Gateway"        // Name is ns/name
	RefSecret         RefKind = "Secret"         // Name is ns/name; never its key
	RefVirtualService RefKind = "VirtualService" // Name is ns/name
	RefRule           RefKind = "Rule"           // Name is the ARN
	RefListener       RefKind = "Listener"       // Name is the ARN
)

// Ref names an object to describe.
type Ref struct {
	Kind RefKind
	Name string
}

// Config is what the console needs from whoever wires it. The channels may be
// nil. Deliveries are coalesced: of several Worlds that wait, the newest is
// shown. A World is expected at least every 15 seconds, changed or not; without
// one for 45 the header says that what is shown is stale.
//
// Refresh, Pause and Stage are called on the Update goroutine, in order, and
// must return at once.
type Config struct {
	Worlds   <-chan World
	Probes   <-chan ProbeView
	Commands <-chan CommandLine
	// Run carries a plan out and returns when all is settled, soon after its
	// context ends too. It calls emit for each event, from any goroutine; emit
	// never blocks.
	Run func(ctx context.Context, p model.Plan, o run.Options, emit func(run.Event)) run.Result
	// Wait and Proof are how long a run waits for gates and for proof, see
	// run.Options. Zero means two minutes and one minute.
	Wait, Proof time.Duration
	// Refresh asks for a new observation of everything.
	Refresh func()
	// Pause stops and resumes the probes.
	Pause func(bool)
	// Stage names the hosts to probe at the fast rate: those in an open plan
	// dialog or in a run, none when empty.
	Stage func([]model.HostKey)
	// Describe returns the object as text, usually YAML, without key material.
	Describe func(ctx context.Context, ref Ref) (string, error)
	// Notices are what the operator must know at the start, in words: what
	// became of a change that an earlier run left unsettled.
	Notices []string
	// ReadOnly takes every change away.
	ReadOnly bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}
