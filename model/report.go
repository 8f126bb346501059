package model

import (
	"math"
	"time"
)

// Report is the document that `cutover status -o json` prints, field for field
// (CLI.md): every field is present, a list that could not be read is null, one
// that is empty is [].
type Report struct {
	ObservedAt      *time.Time             `json:"observedAt"`
	Problems        []Problem              `json:"problems"`
	Cluster         ReportCluster          `json:"cluster"`
	AWS             ReportAWS              `json:"aws"`
	Lanes           []ReportLane           `json:"lanes"`
	Gateways        []ReportGateway        `json:"gateways"`
	Secrets         []ReportSecret         `json:"secrets"`
	VirtualServices []ReportVirtualService `json:"virtualServices"`
	LoadBalancers   []ReportLoadBalancer   `json:"loadBalancers"`
	Hosts           []ReportHost           `json:"hosts"`
	Runbook         []RunbookStep          `json:"runbook"`
}

// ReportCluster says which cluster was observed.
type ReportCluster struct {
	Context string  `json:"context"`
	Server  string  `json:"server"`
	UID     *string `json:"uid"`
}

// ReportAWS says which account was observed.
type ReportAWS struct {
	Account  *string `json:"account"`
	ARN      *string `json:"arn"`
	Region   string  `json:"region"`
	Endpoint string  `json:"endpoint"`
}

// ReportLane is a lane with both sides.
type ReportLane struct {
	Name     string     `json:"name"`
	Old      ReportSide `json:"old"`
	New      ReportSide `json:"new"`
	Warnings []string   `json:"warnings"`
}

// ReportSide is a side of a lane; what it lacks is null.
type ReportSide struct {
	Gateway      *ObjectName `json:"gateway"`
	Service      *ObjectName `json:"service"`
	NodePorts    *NodePorts  `json:"nodePorts"`
	TargetGroups []string    `json:"targetGroups"`
	// Traffic is what its gateways serve; null while that is not known.
	Traffic *ReportTraffic `json:"traffic"`
}

// ReportTraffic is what a side's gateways have counted over a window.
type ReportTraffic struct {
	RequestsPerSecond    float64 `json:"requestsPerSecond"`
	ConnectionsPerSecond float64 `json:"connectionsPerSecond"`
	WindowSeconds        float64 `json:"windowSeconds"`
}

// NewReportTraffic reports traffic, nil where it is not known.
func NewReportTraffic(t Traffic) *ReportTraffic {
	if !t.Known() {
		return nil
	}
	round := func(v float64) float64 { return math.Round(v*100) / 100 }
	return &ReportTraffic{round(t.Requests), round(t.Connections), round(t.Window.Seconds())}
}

// ReportGateway is a Gateway, of a lane or other.
type ReportGateway struct {
	Name    ObjectName   `json:"name"`
	Lane    string       `json:"lane"` // "" for side other
	Side    SideName     `json:"side"`
	Keep    bool         `json:"keep"`
	Hosts   []string     `json:"hosts"`
	Secrets []ObjectName `json:"secrets"`
}

// ReportSecret is a Secret that a Gateway names. Null is what could not be read.
type ReportSecret struct {
	Name     ObjectName `json:"name"`
	Lane     string     `json:"lane"`
	Side     SideName   `json:"side"`
	Exists   *bool      `json:"exists"`
	Keep     *bool      `json:"keep"`
	NotAfter *time.Time `json:"notAfter"`
	DNSNames []string   `json:"dnsNames"`
	SHA256   *string    `json:"sha256"`
}

// ReportVirtualService is a VirtualService with its binding over all lanes.
type ReportVirtualService struct {
	Name     ObjectName `json:"name"`
	Hosts    []string   `json:"hosts"`
	Gateways []string   `json:"gateways"`
	Binding  Binding    `json:"binding"`
	Lane     []string   `json:"lane"`
}

// ReportLoadBalancer is a load balancer with its listeners.
type ReportLoadBalancer struct {
	ARN       string           `json:"arn"`
	Name      string           `json:"name"`
	Type      LoadBalancerType `json:"type"`
	DNSName   string           `json:"dnsName"`
	Listeners []ReportListener `json:"listeners"`
}

// ReportListener is a listener; its rules are null when they could not be read.
type ReportListener struct {
	ARN      string       `json:"arn"`
	Port     int          `json:"port"`
	Protocol string       `json:"protocol"`
	Rules    []ReportRule `json:"rules"`
}

// ReportRule is a rule as its listener evaluates it.
type ReportRule struct {
	ARN       string   `json:"arn"`
	Priority  string   `json:"priority"` // a number or "default"
	Hosts     []string `json:"hosts"`    // values of its host condition
	Shared    bool     `json:"shared"`
	Side      SideName `json:"side"`
	NewWeight *int     `json:"newWeight"`
	CarveOut  bool     `json:"carveOut"`
}

// ReportHost is a published host of a lane.
type ReportHost struct {
	Host            string        `json:"host"`
	Lane            string        `json:"lane"`
	VirtualServices []ObjectName  `json:"virtualServices"`
	State           State         `json:"state"`
	Proof           Proof         `json:"proof"`
	Routes          []ReportRoute `json:"routes"`
	Gates           []Gate        `json:"gates"`
}

// ReportRoute is a host on a listener.
type ReportRoute struct {
	LoadBalancer string           `json:"loadBalancer"`
	Type         LoadBalancerType `json:"type"`
	Listener     string           `json:"listener"`
	Port         int              `json:"port"`
	Rules        []string         `json:"rules"`
	Side         SideName         `json:"side"`
	NewWeight    *int             `json:"newWeight"`
}
