package model

import "fmt"

// GoodProbe judges one probe of a side against old, the newest answer of the
// other side to the same probe (DESIGN: a probe is good when …). It is good when
// an answer came through a backend in the class of old's (2xx, 3xx, …). Where
// the gateway itself redirects on both sides, good is old's status and
// Location. On a passthrough lane any answer in old's class is good, and the
// certificate must be the one that old presents, trusted or not. Through a load
// balancer its own redirect is good, too: that is how it authenticates.
//
// Otherwise the error says why: the probe's own, or one of no-route,
// gateway-503, backend-5xx, differs, certificate and protocol. Without a proper
// answer of old there is nothing to compare with: differs, saying so.
func GoodProbe(r, old ProbeResult) (bool, *ProbeError) {
	if r.Error != nil {
		return false, r.Error
	}
	if r.Status < 100 || r.Status > 599 {
		return bad(ProbeProtocol, "no HTTP status came")
	}
	if r.Target.Path == PathLoadBalancer && !r.Envoy && redirects(r) {
		return true, nil
	}
	if old.Error != nil {
		return bad(ProbeDiffers, fmt.Sprintf("it answers %d, but the other side does not answer: %s", r.Status, old.Error.Message))
	}
	if old.Status == 0 {
		return bad(ProbeDiffers, fmt.Sprintf("it answers %d, but the other side has not been seen to answer", r.Status))
	}
	if r.Target.Passthrough {
		if r.TLS != nil && old.TLS != nil && r.TLS.SHA256 != old.TLS.SHA256 {
			return bad(ProbeCertificate, "the application presents another certificate than through the other side")
		}
		return sameClass(r, old)
	}
	if r.Target.Path == PathLoadBalancer && !r.Envoy && !r.Backend {
		return bad(ProbeDiffers, fmt.Sprintf("the load balancer itself answers %d, no gateway does; the other side answers %d", r.Status, old.Status))
	}
	if !r.Backend {
		return byGateway(r, old)
	}
	if r.Status >= 500 && old.Status < 500 {
		return bad(ProbeBackend5xx, fmt.Sprintf("the backend answers %d, the other side %d", r.Status, old.Status))
	}
	return sameClass(r, old)
}

// byGateway judges an answer that the gateway gave without any backend.
func byGateway(r, old ProbeResult) (bool, *ProbeError) {
	switch {
	case redirects(r) && redirects(old) && !old.Backend:
		if r.Status == old.Status && r.Location == old.Location {
			return true, nil
		}
		return bad(ProbeDiffers, fmt.Sprintf("the gateway redirects with %d to %s, the other side with %d to %s",
			r.Status, r.Location, old.Status, old.Location))
	case r.Status == 404:
		return bad(ProbeNoRoute, "404 by the gateway itself: it has no route for the host")
	case r.Status == 503:
		return bad(ProbeGateway503, "503 by the gateway itself: it has no healthy backend for the host")
	default:
		return bad(ProbeDiffers, fmt.Sprintf("the gateway itself answers %d, no backend was asked; the other side answers %d", r.Status, old.Status))
	}
}

func redirects(r ProbeResult) bool { return r.Status/100 == 3 && r.Location != "" }

func sameClass(r, old ProbeResult) (bool, *ProbeError) {
	if r.Status/100 == old.Status/100 {
		return true, nil
	}
	return bad(ProbeDiffers, fmt.Sprintf("it answers %d, the other side %d", r.Status, old.Status))
}

func bad(kind ProbeErrorKind, message string) (bool, *ProbeError) {
	return false, &ProbeError{Kind: kind, Message: Line(message)}
}
