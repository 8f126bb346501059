package gateway

import (
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// FaultKind is a way in which gateways fail.
type FaultKind int

// The faults of gateways and of the nodes before them.
const (
	// Down has the pods' containers crashed: their connections are reset, and a
	// NodePort that leads to no other pod refuses new ones; one that does resets
	// those whose turn it is to go to them, where kube-proxy would have them
	// refused. That the pods are not ready is for the Store to say.
	Down FaultKind = iota + 1
	// Filtered drops what comes to the nodes' NodePorts, as a security group or
	// a network ACL does: nothing is refused, everything times out.
	Filtered
	// CertificateWithSNI presents Fault.Certificate, not the Secret's, in
	// handshakes that name a server.
	CertificateWithSNI
	// CertificateWithoutSNI does so in handshakes that name none, as an ALB's.
	CertificateWithoutSNI
	// Slow waits Fault.Delay before a host's backend is asked, or before the
	// connection to it is made where TLS ends in the application.
	Slow
	// NoHealthyUpstream answers for a host as where its Service has no healthy
	// endpoint: Envoy's own 503, or a reset where TLS ends in the application.
	NoHealthyUpstream
	// Backend503 answers 503 for a host as if its backend had done so. It does
	// nothing where TLS ends in the application.
	Backend503
)

// Fault is something wrong with some of the gateways.
type Fault struct {
	Kind FaultKind
	// Namespace is where the gateways' Service is; empty is any.
	Namespace string
	// Node is that of the pods or, of Filtered, that of the NodePorts; empty is any.
	Node string
	// Host is the published host, or wildcard, that Slow and the 503s are about.
	Host  string
	Delay time.Duration
	// Certificate is what is presented in place of the Secret's.
	Certificate tls.Certificate
}

// active is a fault until it is healed.
type active struct {
	Fault
	healed chan struct{}
}

// Inject makes a fault hold from now on until heal, which may be called more
// than once and after Close. Both may be called from several goroutines; they
// return when listeners and open connections are as they should be. An error
// names the NodePorts that are not. Then an injected fault does not hold, and
// heal may be called once more, to try again.
func (m *Mesh) Inject(f Fault) (heal func() error, err error) {
	a := &active{Fault: f, healed: make(chan struct{})}
	m.setFaults(func(list []*active) []*active { return append(slices.Clip(list), a) })
	end := sync.OnceFunc(func() {
		m.setFaults(func(list []*active) []*active {
			return slices.DeleteFunc(slices.Clone(list), func(x *active) bool { return x == a })
		})
		close(a.healed)
	})
	heal = func() error {
		end()
		return m.alignFor(f.Kind)
	}
	if err := m.alignFor(f.Kind); err != nil {
		return nil, errors.Join(err, heal())
	}
	if f.Kind == Down {
		m.crash(f)
	}
	return heal, nil
}

func (m *Mesh) setFaults(change func([]*active) []*active) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []*active
	if now := m.faults.Load(); now != nil {
		list = *now
	}
	list = change(list)
	m.faults.Store(&list)
}

// alignFor brings the listeners in line with the faults of a kind, where that is about them.
func (m *Mesh) alignFor(kind FaultKind) error {
	if kind != Down && kind != Filtered {
		return nil
	}
	return m.align()
}

// crash resets the open connections of the pods that went down.
func (m *Mesh) crash(f Fault) {
	m.mu.Lock()
	var lost []*flow
	for open := range m.open {
		if f.concerns(open.endpoint.namespace, open.endpoint.node) {
			lost = append(lost, open)
		}
	}
	m.mu.Unlock()
	for _, open := range lost {
		reset(open)
	}
}

func (f *Fault) concerns(namespace, node string) bool {
	return (f.Namespace == "" || f.Namespace == namespace) && (f.Node == "" || f.Node == node)
}

// fault returns the first fault of a kind that is on; nil when there is none.
func (m *Mesh) fault(kind FaultKind, namespace, node string) *active {
	list := m.faults.Load()
	if list == nil {
		return nil
	}
	for _, a := range *list {
		if a.Kind == kind && a.concerns(namespace, node) {
			return a
		}
	}
	return nil
}

// hostFault is fault for those that are about one host.
func (m *Mesh) hostFault(kind FaultKind, e *endpoint, host string) *active {
	list := m.faults.Load()
	if list == nil {
		return nil
	}
	for _, a := range *list {
		if a.Kind == kind && a.concerns(e.namespace, e.node) && covers(a.Host, host) {
			return a
		}
	}
	return nil
}

func (m *Mesh) down(e *endpoint) bool { return m.fault(Down, e.namespace, e.node) != nil }

// held keeps what has come on a connection while its node drops packets, as
// the client sends it anew until the node has it.
func (m *Mesh) held(f *flow) {
	for {
		a := m.fault(Filtered, f.endpoint.namespace, f.node)
		if a == nil {
			return
		}
		select {
		case <-a.healed:
		case <-f.closed:
			return
		}
	}
}

// presented is the TLS configuration of a handshake, with the certificate that
// a fault puts in the Secret's place.
func (m *Mesh) presented(f *flow, config *tls.Config) *tls.Config {
	kind := CertificateWithSNI
	if f.sni == "" {
		kind = CertificateWithoutSNI
	}
	a := m.fault(kind, f.endpoint.namespace, f.endpoint.node)
	if a == nil {
		return config
	}
	config = config.Clone()
	config.Certificates = []tls.Certificate{a.Certificate}
	return config
}

// slowed waits for as long as a fault makes a host slow; gone ends the wait.
func (m *Mesh) slowed(f *flow, host string, gone <-chan struct{}) {
	a := m.hostFault(Slow, f.endpoint, host)
	if a == nil {
		return
	}
	timer := time.NewTimer(a.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.healed:
	case <-gone:
	case <-m.ctx.Done():
	}
}

// unavailable answers in the backend's place where a fault says so.
func (m *Mesh) unavailable(e *exchange) bool {
	if m.hostFault(Backend503, e.flow.endpoint, hostOnly(e.request.Host)) == nil {
		return false
	}
	e.serviceTime = "1"
	e.Header().Set("X-Envoy-Upstream-Service-Time", e.serviceTime)
	e.own(http.StatusServiceUnavailable, "-", "via_upstream", "service unavailable\n")
	return true
}
