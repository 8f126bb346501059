package probes

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// Func is one probe: it always returns a result, whose Error says what went
// wrong. It is safe for concurrent use.
type Func func(ctx context.Context, t model.ProbeTarget) model.ProbeResult

// Prober sends probes. The zero value is usable. It is a value: change a copy.
type Prober struct {
	// Timeout bounds one probe, 5 s when zero.
	Timeout time.Duration
	// RootCAs judge certificates for which the target names no fingerprint;
	// nil means the system's. They only set ProbeTLS.Verified.
	RootCAs *x509.CertPool
	// UserAgent is sent as the User-Agent header; "cutover-probe" when empty.
	// Proof puts its nonce there, as access logs carry it.
	UserAgent string
	// Dial connects; net.Dialer's when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	defaultTimeout   = 5 * time.Second
	defaultUserAgent = "cutover-probe"
	// A load balancer sends its clients' address; a probe has none to tell, and
	// names one that documentation reserves (RFC 5737).
	forwardedFor = "192.0.2.1"
)

// Probe sends one probe to t, within ctx and the Prober's Timeout.
func (p Prober) Probe(ctx context.Context, t model.ProbeTarget) model.ProbeResult {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := model.ProbeResult{Target: t, Began: time.Now()}
	if err := p.exchange(ctx, t, &r); err != nil {
		r.Error = classify(err)
	}
	r.Phases.Total = milliseconds(time.Since(r.Began))
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// exchange fills r in as far as it gets.
func (p Prober) exchange(ctx context.Context, t model.ProbeTarget, r *model.ProbeResult) error {
	dial := p.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	plain, err := dial(ctx, "tcp", net.JoinHostPort(t.Address, strconv.Itoa(t.Port)))
	r.Phases.Connect = milliseconds(time.Since(r.Began))
	if err != nil {
		return &phaseError{connecting, err}
	}
	defer func() { _ = plain.Close() }()
	// The deadline covers everything; cancelling ctx must end a read too. It is
	// set from another goroutine, on a variable that does not change.
	defer context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Unix(1, 0)) })()
	if t.ProxyV2 {
		if _, err := plain.Write(proxyHeader(plain)); err != nil {
			return &phaseError{handshaking, err}
		}
	}
	conn := plain
	if t.Scheme == "https" {
		if conn, err = p.handshake(ctx, plain, t, r); err != nil {
			return err
		}
	}
	return p.request(conn, t, r)
}

// handshake makes the TLS connection and judges the certificate.
func (p Prober) handshake(ctx context.Context, conn net.Conn, t model.ProbeTarget, r *model.ProbeResult) (net.Conn, error) {
	began := time.Now()
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		// The library's check is by name and by a public root; what must be
		// seen here is the very certificate of the Gateway's Secret, and
		// without SNI there is no name. VerifyConnection below is that check.
		InsecureSkipVerify: true,
	}
	if t.SNI {
		config.ServerName = t.Authority
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		r.TLS = seen(state)
		r.TLS.Verified = p.verified(state, t)
		if t.CertSHA256 != "" && !r.TLS.Verified {
			return &certificateError{fmt.Sprintf("%s is presented, the Gateway's Secret holds %s",
				short(r.TLS.SHA256), short(t.CertSHA256))}
		}
		return nil
	}
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	r.Phases.TLS = milliseconds(time.Since(began))
	if err != nil {
		return nil, &phaseError{handshaking, err}
	}
	return secured, nil
}

func seen(state tls.ConnectionState) *model.ProbeTLS {
	out := &model.ProbeTLS{Version: tls.VersionName(state.Version), ALPN: state.NegotiatedProtocol}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		out.SHA256, out.NotAfter = fingerprint(leaf), leaf.NotAfter
	}
	return out
}

// verified says whether the certificate is the one that the target names, or,
// where it names none, whether the roots vouch for it.
func (p Prober) verified(state tls.ConnectionState, t model.ProbeTarget) bool {
	if len(state.PeerCertificates) == 0 {
		return false
	}
	leaf := state.PeerCertificates[0]
	if t.CertSHA256 != "" {
		return fingerprint(leaf) == strings.ToLower(t.CertSHA256)
	}
	options := x509.VerifyOptions{Roots: p.RootCAs, DNSName: t.Authority, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := leaf.Verify(options)
	return err == nil
}

// request sends one request and reads the answer's headers.
func (p Prober) request(conn net.Conn, t model.ProbeTarget, r *model.ProbeResult) error {
	began := time.Now()
	if _, err := conn.Write([]byte(p.head(t))); err != nil {
		return &phaseError{asking, err}
	}
	in := bufio.NewReader(&bounded{from: conn, left: maxAnswer})
	if _, err := in.Peek(1); err != nil {
		return &phaseError{asking, err}
	}
	r.Phases.FirstByte = milliseconds(time.Since(began))
	status, header, err := finalAnswer(in)
	if err != nil {
		return &phaseError{answering, err}
	}
	r.Status = status
	r.Location = model.Line(header.Get("Location"))
	r.Envoy = header.Get("Server") == "istio-envoy"
	r.Backend = header.Get("X-Envoy-Upstream-Service-Time") != ""
	return nil
}

// finalAnswer reads the headers of the answer that counts: interim ones, as
// early hints are, come before it. The body is neither read nor closed, as
// closing would read one of unknown length to its end; it goes with the
// connection.
func finalAnswer(in *bufio.Reader) (status int, header http.Header, err error) {
	for {
		answer, err := http.ReadResponse(in, nil) //nolint:bodyclose // See above.
		if err != nil {
			return 0, nil, err
		}
		if answer.StatusCode/100 != 1 || answer.StatusCode == http.StatusSwitchingProtocols {
			return answer.StatusCode, answer.Header, nil
		}
	}
}

// maxAnswer is how much of an answer is read at most, in bytes: far more than
// any server's headers.
const maxAnswer = 1 << 20

var errTooLong = errors.New("its headers have no end")

// bounded reads so many bytes and then fails.
type bounded struct {
	from io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// head is the request as a load balancer would pass it on.
func (p Prober) head(t model.ProbeTarget) string {
	agent := p.UserAgent
	if agent == "" {
		agent = defaultUserAgent
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\nConnection: close\r\n",
		requestPath(t.URLPath), header(t.Authority), header(agent))
	if t.Forwarded {
		// An ALB's clients came over https where its targets do.
		fmt.Fprintf(&b, "X-Forwarded-For: %s\r\nX-Forwarded-Proto: %s\r\nX-Forwarded-Port: %d\r\n", forwardedFor, t.Scheme, schemePort(t.Scheme))
	}
	b.WriteString("\r\n")
	return b.String()
}

// header keeps a name that came from the cluster from adding header lines.
func header(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' && r != ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// requestPath is the path as it may stand in a request line.
func requestPath(path string) string {
	if path == "" {
		return "/"
	}
	return (&url.URL{Path: path}).EscapedPath()
}

func schemePort(scheme string) int {
	if scheme == "https" {
		return 443
	}
	return 80
}

func short(sha string) string { return sha[:min(12, len(sha))] }
