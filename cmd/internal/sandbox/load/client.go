package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// client is a kind of clients: those of one kind share nothing with others.
type client struct {
	kind      string
	sites     []Site
	transport *http.Transport
	// turn counts what was offered, for the one who paces.
	turn int
}

// use says how connections are used.
type use int

const (
	kept  use = iota // HTTP/1.1, one request after the other
	fresh            // HTTP/1.1, a connection for each request
	http2            // HTTP/2, any number at once
)

// newClients gives one client of each kind for each turn: four kinds in equal
// shares, flows in turn as fresh ones and as ones that last.
func newClients(sites []Site, pool *x509.CertPool) []*client {
	var requests, flows []Site
	for _, s := range sites {
		if s.Flow {
			flows = append(flows, s)
		} else {
			requests = append(requests, s)
		}
	}
	keepAlive, once := newClient("keep-alive", requests, pool, kept), newClient("fresh", requests, pool, fresh)
	second := newClient("http2", requests, pool, http2)
	flow, pinned := newClient("flow", flows, pool, fresh), newClient("pinned flow", flows, pool, kept)
	var turns []*client
	for _, c := range []*client{keepAlive, once, second, flow, keepAlive, once, second, pinned} {
		if len(c.sites) > 0 {
			turns = append(turns, c)
		}
	}
	return turns
}

func newClient(kind string, sites []Site, pool *x509.CertPool, how use) *client {
	resolve := map[string]string{}
	for _, s := range sites {
		resolve[s.Host] = s.Address.String()
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(how != http2)
	protocols.SetHTTP2(how == http2)
	return &client{kind: kind, sites: sites, transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, resolve[host])
		},
		// One key exchange instead of the two of the hybrid that is the default:
		// clients share the machine with the world that they ask.
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.X25519}},
		Protocols:           protocols,
		DisableKeepAlives:   how == fresh,
		MaxIdleConnsPerHost: 64,
		// Shorter than that of any server here, or a request could cross with the
		// end of the connection that it was sent on.
		IdleConnTimeout:    30 * time.Second,
		DisableCompression: true,
	}}
}

func (c *client) close() { c.transport.CloseIdleConnections() }

// answer is what became of a request: a status and a body, or the reason why
// there is none.
type answer struct {
	status int
	body   uint64 // a hash
	cause  string
}

// ask sends one request. Redirects are answers, not followed.
func (c *client) ask(ctx context.Context, site Site, method string) answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var body io.Reader = http.NoBody
	if method == http.MethodPost {
		body = struct{ io.Reader }{strings.NewReader("a=b")} // nothing that could be rewound
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://"+site.Host+site.Path, body)
	if err != nil {
		return answer{cause: "other"}
	}
	if method == http.MethodPost {
		request.ContentLength = 3
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("User-Agent", "cutover-load")
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return answer{cause: causeOf(err)}
	}
	defer response.Body.Close()
	sum := fnv.New64a()
	if _, err := io.Copy(sum, response.Body); err != nil {
		return answer{cause: causeOf(err)}
	}
	return answer{status: response.StatusCode, body: sum.Sum64()}
}

// causeOf names the reason why there is no answer.
func causeOf(err error) string {
	var timeout net.Error
	var untrusted *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		strings.Contains(err.Error(), "stream error"): // HTTP/2's, whose type is not exported
		return "reset"
	case errors.As(err, &untrusted), errors.As(err, &record),
		errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // alerts
		return "tls"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(err.Error(), "server closed idle connection"), // net/http exports neither
		strings.Contains(err.Error(), "GOAWAY"):
		return "closed"
	default:
		return "other"
	}
}

// failed tells whether there is no answer, or one that is an error.
func (a answer) failed() bool { return a.cause != "" || a.status >= http.StatusInternalServerError }

// lost judges an answer by the one from before the load: the cause of the loss,
// or nothing. Where a failure was there before, neither that nor healing is a loss.
func (a answer) lost(before answer) string {
	switch {
	case a.cause != "" && a.cause != before.cause:
		return a.cause
	case a.failed() && !before.failed(), !a.failed() && !before.failed() && a.status/100 != before.status/100:
		return fmt.Sprintf("status %d", a.status)
	case a.cause == "" && !a.failed() && !before.failed() && a.body != before.body:
		return "wrong answer"
	default:
		return ""
	}
}
