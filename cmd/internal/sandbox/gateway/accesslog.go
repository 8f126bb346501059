package gateway

import (
	"fmt"
	"strings"
	"time"
)

// timeFormat is Envoy's %START_TIME%.
const timeFormat = "2006-01-02T15:04:05.000Z"

// line renders the request in Istio's default text format:
//
//	[start] "method path protocol" status flags details termination "failure"
//	received sent duration serviceTime "forwardedFor" "userAgent" "requestId"
//	"authority" "upstream" cluster upstreamLocal local remote sni route
func (e *exchange) line(now time.Time) string {
	r := e.request
	protocol := r.Proto
	if r.ProtoMajor == 2 {
		protocol = "HTTP/2"
	}
	cluster, address := "-", "-"
	if e.to != nil {
		cluster = e.to.cluster()
	}
	if e.address.IsValid() {
		address = e.address.String()
	}
	return fmt.Sprintf(`[%s] "%s %s %s" %d %s %s - "%s" %d %d %d %s "%s" "%s" "%s" "%s" "%s" %s - %s %s %s %s`,
		e.start.UTC().Format(timeFormat), r.Method, r.URL.RequestURI(), protocol, e.status, e.flags, e.details, dash(e.failure),
		e.body.n, e.sent, now.Sub(e.start).Milliseconds(), dash(e.serviceTime),
		e.forward, dash(r.UserAgent()), e.id, dash(r.Host), address, cluster,
		e.flow.LocalAddr(), e.flow.RemoteAddr(), dash(e.flow.sni), dash(e.route))
}

// stream is what became of a connection that was not read as HTTP.
type stream struct {
	to             *upstream
	address, local string
	received, sent int64
	flags, details string
}

// line renders a connection in the same format, where everything that belongs
// to HTTP, the User-Agent too, is a dash.
func (f *flow) line(s stream) string {
	cluster := "-"
	if s.to != nil {
		cluster = s.to.cluster()
	}
	now := f.mesh.config.Now()
	return fmt.Sprintf(`[%s] "- - -" 0 %s %s - "-" %d %d %d - "-" "-" "-" "-" "%s" %s %s %s %s %s -`,
		f.start.UTC().Format(timeFormat), dash(s.flags), dash(s.details), s.received, s.sent, now.Sub(f.start).Milliseconds(),
		dash(s.address), cluster, dash(s.local), f.LocalAddr(), f.RemoteAddr(), dash(f.sni))
}

// dash stands for what is empty. Line breaks cannot come in by HTTP headers,
// but server names are checked by nobody.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
}
