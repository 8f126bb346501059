package model

// Verdict is what a gate says.
type Verdict string

// The verdicts, from the best to the worst. Warn never stops; Wait may become
// Pass by itself; Block needs the operator to do something.
const (
	Pass  Verdict = "pass"
	Warn  Verdict = "warn"
	Wait  Verdict = "wait"
	Block Verdict = "block"
)

// GateID names a gate.
type GateID string

// The gates that are judged, in the order in which they are reported.
const (
	GateBinding      GateID = "binding"
	GateGatewayHosts GateID = "gateway-hosts"
	GateSecret       GateID = "secret"
	GateService      GateID = "service"
	GateTargetGroup  GateID = "target-group"
	GateTargetHealth GateID = "target-health"
	GateProbeNew     GateID = "probe-new"
	GateSharedRule   GateID = "shared-rule"
	GateDrift        GateID = "drift"
)

// GateIDs returns the gates in the order in which they are reported.
func GateIDs() []GateID {
	return []GateID{
		GateBinding, GateGatewayHosts, GateSecret, GateService, GateTargetGroup,
		GateTargetHealth, GateProbeNew, GateSharedRule, GateDrift,
	}
}

// Overridable reports whether the operator may override the gate with a
// reason. Where an override would make the write itself wrong, it may not.
func (g GateID) Overridable() bool {
	switch g {
	case GateTargetGroup, GateSharedRule, GateDrift:
		return false
	default:
		return true
	}
}

// Gate is one judgement: a reason to go or not to go, in words that name the
// object and the remedy.
type Gate struct {
	ID      GateID  `json:"id"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`
}

// HostGate is a gate of one host.
type HostGate struct {
	Host HostKey
	Gate
	// Overridden holds the operator's reason when the gate was overridden;
	// it then no longer counts.
	Overridden string
}

// Override is the operator's word that a gate does not count.
type Override struct {
	Gate   GateID
	Host   string // "" for all hosts of the intent
	Reason string
}
