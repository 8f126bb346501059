package probes

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// TestAnAnswerIsItsHeaders: an event stream never ends, and a probe has its
// answer all the same; Total ends with the headers.
func TestAnAnswerIsItsHeaders(t *testing.T) {
	cert, sha := certificate(t, host.Host)
	release := make(chan struct{})
	at := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		envoy(w, r)
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, &tls.Config{Certificates: []tls.Certificate{cert}})
	defer close(release)
	at.CertSHA256 = sha
	began := time.Now()
	r := Prober{Timeout: 3 * time.Second}.Probe(t.Context(), at)
	if !r.OK() {
		t.Fatalf("%+v", r.Error)
	}
	if took := time.Since(began); took > 2*time.Second || r.Phases.Total > 2000 {
		t.Errorf("it took %s, total %.0f ms: the body was read", took, r.Phases.Total)
	}
}

// TestHeadersWithoutEnd: what answers without end is an error, not memory.
func TestHeadersWithoutEnd(t *testing.T) {
	var sent int
	at := raw(t, func(c net.Conn) {
		if !asked(c) {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		line := "X-Filler: " + strings.Repeat("x", 32<<10) + "\r\n"
		for sent < 64<<20 {
			n, err := io.WriteString(c, line)
			sent += n
			if err != nil {
				return
			}
		}
	})
	at.Scheme = "http"
	r := Prober{Timeout: 5 * time.Second}.Probe(t.Context(), at)
	if r.Error == nil || r.Error.Kind != model.ProbeProtocol {
		t.Errorf("%+v, error %+v", r, r.Error)
	}
}

// TestInterimAnswersAreNotTheAnswer: early hints come before the status.
func TestInterimAnswersAreNotTheAnswer(t *testing.T) {
	at := raw(t, func(c net.Conn) {
		if !asked(c) {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	at.Scheme = "http"
	if r := (Prober{}).Probe(t.Context(), at); !r.OK() || r.Status != http.StatusOK {
		t.Errorf("status %d, %+v", r.Status, r.Error)
	}
}

// TestATimeOutAfterTheHandshake is for the race detector: the deadline is set
// from a goroutine of its own while the connection is being replaced.
func TestATimeOutAfterTheHandshake(t *testing.T) {
	cert, sha := certificate(t, host.Host)
	hold := make(chan struct{})
	at := gateway(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}, &tls.Config{Certificates: []tls.Certificate{cert}})
	defer close(hold)
	at.CertSHA256 = sha
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r := (Prober{}).Probe(ctx, at); r.Error == nil || r.Error.Kind != model.ProbeTimeout {
		t.Errorf("%+v", r.Error)
	}
}

// asked reads a request.
func asked(c net.Conn) bool {
	r, err := http.ReadRequest(bufio.NewReader(c))
	return err == nil && r.Method == http.MethodGet
}
