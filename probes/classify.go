package probes

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/istio-cutover/cutover/model"
)

// phase is how far a probe got.
type phase string

const (
	connecting  phase = "connect"
	handshaking phase = "TLS handshake"
	asking      phase = "request"
	answering   phase = "answer"
)

// phaseError is an error with the phase in which it happened.
type phaseError struct {
	phase phase
	err   error
}

func (e *phaseError) Error() string { return fmt.Sprintf("%s: %s", e.phase, cause(e.err)) }
func (e *phaseError) Unwrap() error { return e.err }

// cause is an error without the operations and addresses that package net puts
// before it: who reads it knows the target, and has little room.
func cause(err error) string {
	var system syscall.Errno
	switch {
	case timedOut(err):
		return "no answer in time"
	case errors.As(err, &system):
		return system.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	default:
		return err.Error()
	}
}

func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &network) && network.Timeout()
}

// certificateError is a certificate other than the expected one.
type certificateError struct{ message string }

func (e *certificateError) Error() string { return e.message }

// classify turns an error into the kind that operators act on.
func classify(err error) *model.ProbeError {
	return &model.ProbeError{Kind: kindOf(err), Message: model.Line(err.Error())}
}

func kindOf(err error) model.ProbeErrorKind {
	var (
		at          *phaseError
		certificate *certificateError
		operation   *net.OpError
		notTLS      tls.RecordHeaderError
	)
	connect := errors.As(err, &at) && at.phase == connecting
	switch {
	case errors.As(err, &certificate):
		return model.ProbeCertificate
	case errors.As(err, &operation) && operation.Op == "remote error":
		// crypto/tls reports the other end's alerts so; their type is its own.
		return model.ProbeTLSAlert
	case errors.As(err, &notTLS):
		return model.ProbeProtocol
	case errors.Is(err, syscall.ECONNREFUSED):
		return model.ProbeRefused
	case connect && (errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)):
		return model.ProbeFiltered
	case timedOut(err):
		if connect {
			return model.ProbeFiltered // Security groups drop, they do not refuse.
		}
		return model.ProbeTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		// Envoy closes a connection for which no filter chain matches.
		return model.ProbeReset
	case connect:
		return model.ProbeRefused // A name that does not resolve among them.
	default:
		return model.ProbeProtocol
	}
}

// fingerprint is the lower-case hex SHA-256 of the certificate's DER.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// proxyHeader is a PROXY protocol v2 header for conn, as an NLB sends it
// (haproxy.org, proxy-protocol.txt, section 2.2). A connection that is not
// plain TCP gets the LOCAL command, which carries no addresses.
func proxyHeader(conn net.Conn) []byte {
	header := []byte("\r\n\r\n\x00\r\nQUIT\n")
	from, okFrom := conn.LocalAddr().(*net.TCPAddr)
	to, okTo := conn.RemoteAddr().(*net.TCPAddr)
	if !okFrom || !okTo {
		return append(header, 0x20, 0x00, 0, 0)
	}
	family, source, target := byte(0x11), from.IP.To4(), to.IP.To4()
	if source == nil || target == nil {
		family, source, target = 0x21, from.IP.To16(), to.IP.To16()
	}
	length := len(source) + len(target) + 4
	header = append(header, 0x21, family, byte(length>>8), byte(length))
	header = append(header, source...)
	header = append(header, target...)
	return append(header, byte(from.Port>>8), byte(from.Port), byte(to.Port>>8), byte(to.Port))
}
