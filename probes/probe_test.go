package probes

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/istio-cutover/cutover/model"
)

var host = model.HostKey{Host: "argocd.bigbang.example", Lane: "public"}

// certificate makes a certificate for names that signs itself.
func certificate(tb testing.TB, names ...string) (tls.Certificate, string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, fingerprint(leaf)
}

// gateway serves h over TLS as a gateway does: by SNI, and without one too.
func gateway(tb testing.TB, h http.HandlerFunc, config *tls.Config) model.ProbeTarget {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	tb.Cleanup(s.Close)
	return target(s.Listener.Addr())
}

func target(addr net.Addr) model.ProbeTarget {
	at := netip.MustParseAddrPort(addr.String())
	return model.ProbeTarget{
		Host: host, Path: model.PathNew, Node: "node-1", Address: at.Addr().String(), Port: int(at.Port()),
		Scheme: "https", Authority: host.Host,
	}
}

func envoy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Server", "istio-envoy")
	w.Header().Set("X-Envoy-Upstream-Service-Time", "3")
	w.WriteHeader(http.StatusOK)
}

func TestProbeAsALoadBalancer(t *testing.T) {
	cert, sha := certificate(t, host.Host)
	var got *http.Request
	at := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		envoy(w, r)
	}, &tls.Config{Certificates: []tls.Certificate{cert}})
	at.CertSHA256, at.Forwarded = sha, true
	r := Prober{UserAgent: "nonce-1"}.Probe(t.Context(), at)
	if !r.OK() || r.Status != 200 || !r.Envoy || !r.Backend {
		t.Fatalf("result %+v, error %+v", r, r.Error)
	}
	if r.TLS == nil || !r.TLS.Verified || r.TLS.SHA256 != sha || r.TLS.Version == "" || r.TLS.NotAfter.IsZero() {
		t.Errorf("TLS %+v", r.TLS)
	}
	if got.TLS.ServerName != "" {
		t.Errorf("SNI %q was sent, an ALB sends none", got.TLS.ServerName)
	}
	if got.Host != host.Host || got.UserAgent() != "nonce-1" || got.Header.Get("X-Forwarded-Proto") != "https" || got.Header.Get("X-Forwarded-For") == "" {
		t.Errorf("request %v %v", got.Host, got.Header)
	}
	p := r.Phases
	if p.Total < p.Connect || p.Total < p.TLS || p.TLS <= 0 || p.FirstByte <= 0 {
		t.Errorf("phases %+v", p)
	}
	at.SNI = true
	if r := (Prober{}).Probe(t.Context(), at); !r.OK() || got.TLS.ServerName != host.Host {
		t.Errorf("with SNI: %+v, server name %q", r.Error, got.TLS.ServerName)
	}
}

func TestWildcardRootsJudgeWhereNoFingerprintIsNamed(t *testing.T) {
	cert, _ := certificate(t, host.Host)
	at := gateway(t, envoy, &tls.Config{Certificates: []tls.Certificate{cert}})
	r := Prober{}.Probe(t.Context(), at)
	if !r.OK() || r.TLS.Verified {
		t.Errorf("unknown root: ok %v, verified %v", r.OK(), r.TLS.Verified)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	if r := (Prober{RootCAs: roots}).Probe(t.Context(), at); !r.OK() || !r.TLS.Verified {
		t.Errorf("known root: %+v", r.TLS)
	}
}

func TestProxyHeader(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	header := make(chan []byte, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 28)
		_, _ = io.ReadFull(conn, b)
		header <- b
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}()
	at := target(l.Addr())
	at.Scheme, at.ProxyV2 = "http", true
	if r := (Prober{}).Probe(t.Context(), at); r.Status != 204 {
		t.Fatalf("%+v", r.Error)
	}
	got := <-header
	want := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), 127, 0, 0, 1, 127, 0, 0, 1)
	if diff := cmp.Diff(want, got[:24]); diff != "" {
		t.Error(diff)
	}
}

// raw answers one connection with f.
func raw(t *testing.T, f func(net.Conn)) model.ProbeTarget {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f(conn)
			}()
		}
	}()
	return target(l.Addr())
}

func TestErrorsAreClassified(t *testing.T) {
	cert, sha := certificate(t, host.Host)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	dropped := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	plainHTTP := func(at model.ProbeTarget) model.ProbeTarget { at.Scheme = "http"; return at }
	named := func(at model.ProbeTarget, sha string) model.ProbeTarget { at.CertSHA256 = sha; return at }
	read := func(c net.Conn) { _, _ = c.Read(make([]byte, 1024)) }
	for _, c := range []struct {
		name   string
		target model.ProbeTarget
		dial   func(context.Context, string, string) (net.Conn, error)
		want   model.ProbeErrorKind
		says   string
	}{
		{"refused", target(closed.Addr()), nil, model.ProbeRefused, "connect: connection refused"},
		{"filtered", target(closed.Addr()), dropped, model.ProbeFiltered, "connect: no answer in time"},
		{"another certificate", named(gateway(t, envoy, &tls.Config{Certificates: []tls.Certificate{cert}}), strings.Repeat("0", 64)), nil, model.ProbeCertificate, "TLS handshake: " + sha[:12] + " is presented, the Gateway's Secret holds 000000000000"},
		{"reset", raw(t, func(c net.Conn) { read(c); _ = c.(*net.TCPConn).SetLinger(0) }), nil, model.ProbeReset, "TLS handshake: connection reset by peer"},
		{"no filter chain", raw(t, read), nil, model.ProbeReset, ""},
		{"alert", raw(t, func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				return nil, errors.New("none for this name")
			}}).Handshake()
		}), nil, model.ProbeTLSAlert, "TLS handshake: remote error: tls: internal error"},
		{"not TLS", raw(t, func(c net.Conn) { read(c); _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), nil, model.ProbeProtocol, ""},
		{"closed without an answer", plainHTTP(raw(t, read)), nil, model.ProbeReset, "request: the connection was closed without an answer"},
		{"silence", plainHTTP(raw(t, func(c net.Conn) { read(c); read(c) })), nil, model.ProbeTimeout, "request: no answer in time"},
		{"not HTTP", plainHTTP(raw(t, func(c net.Conn) { read(c); _, _ = io.WriteString(c, "hello\r\n\r\n") })), nil, model.ProbeProtocol, ""},
		{"right", named(gateway(t, envoy, &tls.Config{Certificates: []tls.Certificate{cert}}), strings.ToUpper(sha)), nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Prober{Timeout: 200 * time.Millisecond, Dial: c.dial}.Probe(t.Context(), c.target)
			var got model.ProbeError
			if r.Error != nil {
				got = *r.Error
			}
			if got.Kind != c.want || c.says != "" && got.Message != c.says {
				t.Errorf("got %q: %q, want %q: %q", got.Kind, got.Message, c.want, c.says)
			}
		})
	}
}

func TestOutsideTextStaysText(t *testing.T) {
	at := raw(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1024))
		_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: https://x/\x1b[31m\r\n\r\n")
	})
	at.Scheme, at.Authority = "http", "a.example\r\nEvil: yes"
	r := Prober{Timeout: time.Second}.Probe(t.Context(), at)
	if strings.ContainsRune(r.Location, 0x1b) {
		t.Errorf("location %q", r.Location)
	}
	if head := (Prober{}).head(at); strings.Contains(head, "\nEvil") {
		t.Errorf("head %q", head)
	}
}

// BenchmarkProbe and BenchmarkRaw send the same request over fresh TLS
// connections, with this package and with crypto/tls alone.
func BenchmarkProbe(b *testing.B) {
	at := benchGateway(b)
	p := Prober{}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := p.Probe(b.Context(), at); !r.OK() {
				b.Error(r.Error)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "probes/s")
}

func BenchmarkRaw(b *testing.B) {
	at := benchGateway(b)
	address := net.JoinHostPort(at.Address, fmt.Sprint(at.Port))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				b.Error(err)
				continue
			}
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: argocd.bigbang.example\r\nConnection: close\r\n\r\n")
			if n, _ := conn.Read(make([]byte, 512)); n == 0 {
				b.Error("no answer")
			}
			_ = conn.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "probes/s")
}

func benchGateway(b *testing.B) model.ProbeTarget {
	b.Helper()
	cert, sha := certificate(b, host.Host)
	at := gateway(b, envoy, &tls.Config{Certificates: []tls.Certificate{cert}})
	at.CertSHA256 = sha
	return at
}
