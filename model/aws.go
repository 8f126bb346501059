package model

import (
	"strconv"
	"time"
)

// AWS is what was observed of one account and region. Lists are sorted by
// ARN, listeners by port, rules by priority with the default last.
type AWS struct {
	Account       Account
	ObservedAt    time.Time
	LoadBalancers []LoadBalancer
	TargetGroups  []TargetGroup
	Limits        map[string]int // DescribeAccountLimits, by AWS's names; may be empty
	Problems      []Problem
}

// Account says whom we are in AWS and where.
type Account struct {
	Account  string `json:"account"`
	ARN      string `json:"arn"` // the caller's ARN
	Region   string `json:"region"`
	Endpoint string `json:"endpoint"` // the ELBv2 endpoint in use, AWS's own one included
}

// LoadBalancerType is "application" or "network".
type LoadBalancerType string

// The types of load balancers that carry ingress traffic.
const (
	Application LoadBalancerType = "application"
	Network     LoadBalancerType = "network"
)

// LoadBalancer is an ELBv2 load balancer with its listeners.
type LoadBalancer struct {
	ARN       string
	Name      string
	Type      LoadBalancerType
	DNSName   string
	VPC       string
	Listeners []Listener
	Tags      map[string]string
}

// Listener is a listener with its rules. A network load balancer's listener
// has the default rule alone, whose ARN is the listener's.
type Listener struct {
	ARN      string
	Port     int
	Protocol string // HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP
	Rules    []Rule
}

// Rule is a listener rule in the API's own shape. Whatever this package does
// not interpret passes through untouched.
type Rule struct {
	ARN        string
	Listener   string // the listener's ARN
	Priority   int    // 1–50000; 0 is the default rule
	Conditions JSON   // canonical list of RuleCondition
	Actions    JSON   // canonical list of Action
	Transforms JSON   // canonical list of RuleTransform
	Tags       map[string]string
}

// IsDefault reports whether r is its listener's default rule.
func (r Rule) IsDefault() bool { return r.Priority == 0 }

// PriorityText is the priority as the API says it: a number or "default".
func (r Rule) PriorityText() string {
	if r.IsDefault() {
		return "default"
	}
	return strconv.Itoa(r.Priority)
}

// TargetGroup is an ELBv2 target group with its targets and their health.
type TargetGroup struct {
	ARN           string
	Name          string
	Protocol      string // HTTP, HTTPS, TCP, TLS, …
	Port          int    // default port of targets
	TargetType    string // instance, ip, alb, lambda
	VPC           string
	HealthPort    string   // "traffic-port" or a number
	LoadBalancers []string // ARNs, sorted, each once
	Targets       []Target
	Sticky        bool // attribute stickiness.enabled
	ProxyV2       bool // attribute proxy_protocol_v2.enabled
	Tags          map[string]string
}

// Target is one registered target.
type Target struct {
	ID     string // instance id or IP address
	Port   int
	Zone   string
	State  string // initial, healthy, unhealthy, unhealthy.draining, unused, draining, unavailable; "" when unread
	Reason string // AWS's reason code, e.g. Target.NotInUse
}

// ConfigLane names a lane that the naming convention does not find, or
// overrides what it finds. Empty fields follow the convention.
type ConfigLane struct {
	Name string     `json:"name"`
	Old  ConfigSide `json:"old"`
	New  ConfigSide `json:"new"`
}

// ConfigSide is one side of a ConfigLane.
type ConfigSide struct {
	Gateway      string   `json:"gateway"`      // "ns/name"
	Service      string   `json:"service"`      // "ns/name"
	TargetGroups []string `json:"targetGroups"` // names or ARNs
}

// Config is the operator's config file.
type Config struct {
	Lanes []ConfigLane `json:"lanes"`
}
