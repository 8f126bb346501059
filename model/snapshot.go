package model

import (
	"encoding/json"
	"maps"
	"time"
)

// SideName names a side of a lane, and for a route or a rule where it sends
// its traffic.
type SideName string

// Sides. A Gateway is old, new or other; a route or rule may also be split
// (weights on both sides) or, over several rules, mixed.
const (
	Old   SideName = "old"
	New   SideName = "new"
	Split SideName = "split"
	Mixed SideName = "mixed"
	Other SideName = "other"
)

// Opposite returns the other side of old or new, and s itself otherwise.
func (s SideName) Opposite() SideName {
	switch s {
	case Old:
		return New
	case New:
		return Old
	default:
		return s
	}
}

// State says where a host's traffic goes, over all its switchable routes.
type State string

// The states of a host.
const (
	StateOld      State = "old"
	StateNew      State = "new"
	StateSplit    State = "split"    // every route is split alike
	StateMixed    State = "mixed"    // its routes differ
	StateUnrouted State = "unrouted" // no switchable route
	StateUnknown  State = "unknown"  // the load balancers could not be read
)

// Proof says what is known of where a host's traffic really goes since its
// last change.
type Proof string

// The degrees of proof.
const (
	ProofNone        Proof = "none"        // nothing was changed, or nothing is recorded
	ProofUnproven    Proof = "unproven"    // switched, proof is under way or did not come
	ProofProven      Proof = "proven"      // requests were seen on the side
	ProofUnconfirmed Proof = "unconfirmed" // the side cannot be told
)

// Binding says which sides of its lanes a VirtualService lists.
type Binding string

// The bindings, from the least complete to the most as several lanes are
// folded: the first of these that any lane has.
const (
	BindingOld  Binding = "old"
	BindingNew  Binding = "new"
	BindingBoth Binding = "both"
	BindingNone Binding = "none"
)

// PortKind is what a target group's port is for.
type PortKind string

// The kinds of ports of an ingress Service, by its port numbers (FACTS:
// 15021, 80 and 443; names differ between the sides).
const (
	PortStatus PortKind = "status"
	PortHTTP   PortKind = "http"
	PortHTTPS  PortKind = "https"
)

// Snapshot is the world at one moment, joined: what was observed and what
// follows from it. It is immutable, and everything in it is sorted: lists by
// name or ARN, rules by priority.
type Snapshot struct {
	ObservedAt time.Time
	Cluster    Cluster
	AWS        AWS
	Problems   []Problem // of both, and ambiguities found while joining
	Lanes      []Lane
	Hosts      []Host

	index index
}

// Lane is one ingress class: two sides that carry the same hosts.
type Lane struct {
	Name string
	Old  Side
	New  Side
	// Warnings say what is doubtful about the lane, e.g. a Gateway that also
	// selects the other side's pods.
	Warnings []string
}

// Side returns the lane's old or new side.
func (l Lane) Side(s SideName) Side {
	if s == New {
		return l.New
	}
	return l.Old
}

// Side is a Gateway, its ingress Service and its target groups. What does not
// exist is nil or zero.
type Side struct {
	Name         SideName
	Gateway      *ObjectName
	Service      *ObjectName
	NodePorts    NodePorts
	TargetGroups []string     // ARNs, sorted
	Pods         []ObjectName // ready pods that the Service selects, sorted
}

// NodePorts are an ingress Service's NodePorts; 0 for none.
type NodePorts struct {
	Status int `json:"status"`
	HTTP   int `json:"http"`
	HTTPS  int `json:"https"`
}

// Of returns the NodePort of a kind.
func (n NodePorts) Of(k PortKind) int {
	switch k {
	case PortStatus:
		return n.Status
	case PortHTTP:
		return n.HTTP
	case PortHTTPS:
		return n.HTTPS
	default:
		return 0
	}
}

// Host is a hostname that VirtualServices publish through a lane.
type Host struct {
	HostKey
	VirtualServices []ObjectName // that publish it through either side, sorted
	State           State
	NewWeight       *int // over all switchable routes when they agree, else nil
	Routes          []Route
}

// Route is one host on one listener.
type Route struct {
	LoadBalancer string // ARN
	Type         LoadBalancerType
	Listener     string // ARN
	Port         int
	// Rules are the ARNs of the effective rules, in the order they are evaluated.
	Rules []string
	// Switchable are those of Rules that forward to a target group of the lane.
	Switchable []string
	Side       SideName // old, new, split, mixed or other
	NewWeight  *int     // percent, 0–100; nil when there is none
}

// HostState is what journal and run say about a host, beyond the observed
// world. It is kept apart from Snapshot so that a new observation does not
// lose it.
type HostState struct {
	// To is the side that the last change sent the host to. Where the observed
	// world says otherwise the proof is of the past, see Current.
	To     SideName
	Proof  Proof
	Detail string // e.g. "by access log, 3 of 3", "side cannot be told: no access log"
	Since  time.Time
}

// Current is the state as far as it speaks of what is observed now: a host that
// is not on the side that its last change sent it to has no proof.
func (s HostState) Current(observed State) HostState {
	if s.Proof == "" || observed != State(s.To) {
		return HostState{Proof: ProofNone}
	}
	return s
}

// HostStates are hosts' states by key; what is missing is ProofNone.
type HostStates map[HostKey]HostState

// RuleState is the part of a rule or listener that a change replaces, as
// plans, journal and scripts hold it.
type RuleState struct {
	Priority   string            `json:"Priority,omitempty"` // "10" or "default"
	Conditions JSON              `json:"Conditions,omitempty"`
	Actions    JSON              `json:"Actions,omitempty"`
	Transforms JSON              `json:"Transforms,omitempty"`
	Tags       map[string]string `json:"Tags,omitempty"`
}

// Clone returns a deep copy.
func (r RuleState) Clone() RuleState {
	r.Tags = maps.Clone(r.Tags)
	return r
}

var _ json.Marshaler = JSON("")
