package model

import "time"

// K is the number of good probes in a row that a gate and a proof ask for.
const K = 3

// Path is where a probe goes in.
type Path string

// The paths of probes: a side's NodePort, or through the load balancer.
const (
	PathOld          Path = "old"
	PathNew          Path = "new"
	PathLoadBalancer Path = "lb"
)

// ProbeTarget is everything that a probe must know. It is comparable: two
// equal targets are the same probe.
type ProbeTarget struct {
	Host    HostKey
	Path    Path
	Node    string // Node name; "" through a load balancer
	Address string // IP or DNS name that is dialled, whatever the host name resolves to
	Port    int
	// Scheme is "http" or "https".
	Scheme string
	// Authority is the Host header, and the SNI name when SNI is set. A
	// wildcard host is probed as cutover-probe.<rest>.
	Authority string
	URLPath   string // "" for "/"; a path rule is proven by a path of its own
	SNI       bool   // false as an ALB does towards its targets (istio/istio#31421)
	Forwarded bool   // send X-Forwarded-For and X-Forwarded-Proto as an ALB does
	ProxyV2   bool   // send a PROXY v2 header first
	// CertSHA256 is the fingerprint that the presented certificate must have,
	// "" when any is accepted (a passthrough lane: the application's own).
	CertSHA256 string
	// Passthrough marks a lane where TLS ends in the application.
	Passthrough bool
	// Staged asks for the fast rate: the host is about to be moved or just was.
	Staged bool
}

// ProbeErrorKind classifies what went wrong with a probe.
type ProbeErrorKind string

// The kinds of probe errors, as command-line users see them.
const (
	ProbeRefused     ProbeErrorKind = "refused"
	ProbeFiltered    ProbeErrorKind = "filtered" // no answer to SYN: usually a security group
	ProbeReset       ProbeErrorKind = "reset"
	ProbeTimeout     ProbeErrorKind = "timeout"
	ProbeTLSAlert    ProbeErrorKind = "tls-alert"
	ProbeCertificate ProbeErrorKind = "certificate"
	ProbeNoRoute     ProbeErrorKind = "no-route"    // 404 by Envoy itself
	ProbeGateway503  ProbeErrorKind = "gateway-503" // 503 by Envoy itself
	ProbeBackend5xx  ProbeErrorKind = "backend-5xx"
	ProbeDiffers     ProbeErrorKind = "differs" // answers, but not in old's class
	ProbeProtocol    ProbeErrorKind = "protocol"
)

// ProbeError is a classified error of a probe, its message sanitized.
type ProbeError struct {
	Kind    ProbeErrorKind `json:"kind"`
	Message string         `json:"message"`
}

// Phases are the durations of a probe's phases, in milliseconds from the
// phase's own start; Total is from the first byte out to the answer's headers.
type Phases struct {
	Connect   float64 `json:"connectMs"`
	TLS       float64 `json:"tlsMs"`
	FirstByte float64 `json:"firstByteMs"`
	Total     float64 `json:"totalMs"`
}

// ProbeTLS is what a probe saw of TLS.
type ProbeTLS struct {
	Version  string    `json:"version"`
	ALPN     string    `json:"alpn"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"notAfter"`
	Verified bool      `json:"verified"` // the certificate is the one that was expected
}

// ProbeResult is one probe's outcome.
type ProbeResult struct {
	Target   ProbeTarget
	Began    time.Time
	Status   int    // 0 without an answer
	Location string // redirect target, sanitized
	// Backend reports that the answer came through a backend, not from the
	// gateway itself (x-envoy-upstream-service-time).
	Backend bool
	Envoy   bool // server: istio-envoy
	TLS     *ProbeTLS
	Phases  Phases
	Error   *ProbeError // transport, TLS or certificate; nil when an answer came
}

// OK reports that an answer came and its certificate was the expected one.
func (r ProbeResult) OK() bool { return r.Error == nil && r.Status > 0 }

// Evidence holds the latest results of probes, newest last, at most a few per
// target. It is a value: adapters hand over a fresh one.
type Evidence map[ProbeTarget][]ProbeResult
