package sandbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"syscall"
	"testing"
	"time"
)

// BenchmarkCarries is what the sandbox carries, for each kind of client, and
// beside it what a reverse proxy of the standard library does for the same
// application on the same machine: "plain" is one such proxy with TLS on both
// sides, "plain twice" two in a row, as load balancer and gateway are.
func BenchmarkCarries(b *testing.B) {
	s, err := Start(b.Context(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const public, passthrough = "argocd.bigbang.example", "keycloak.bigbang.example"
	addresses, err := s.balancerAddresses(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ca, err := newAuthority("plain", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	certificate, err := ca.issue(time.Now().AddDate(0, 1, 0), nil, public)
	if err != nil {
		b.Fatal(err)
	}
	trusted, err := s.caPool()
	if err != nil {
		b.Fatal(err)
	}
	trusted.AddCert(ca.certificate)
	once := plainProxy(b, certificate, "http://"+s.apps.addresses["argocd.argocd.svc.cluster.local"].String())
	twice := plainProxy(b, certificate, "https://"+once)
	for _, kind := range []string{"kept", "fresh", "http2"} {
		for _, way := range []struct{ name, host, address string }{
			{"ALB", public, addresses["public-alb"].String()},
			{"NLB", passthrough, addresses[networkBalancer].String()},
			{"plain", public, once},
			{"plain twice", public, twice},
		} {
			b.Run(way.name+"/"+kind, func(b *testing.B) { askAll(b, trusted, kind, way.host, way.address) })
		}
	}
}

// askAll asks for a page by eight clients per processor at once.
func askAll(b *testing.B, trusted *x509.CertPool, kind, host, address string) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(kind != "http2")
	protocols.SetHTTP2(kind == "http2")
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: trusted},
		Protocols:           protocols,
		DisableKeepAlives:   kind == "fresh",
		MaxIdleConnsPerHost: 64,
		DisableCompression:  true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	b.SetParallelism(8)
	b.ReportAllocs()
	before := processorTime(b)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			response, err := client.Get("https://" + host + "/")
			if err != nil {
				b.Error(err)
				return
			}
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK {
				b.Errorf("status %d, %v", response.StatusCode, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	// On a machine that others use too this says more than the time that passed.
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// processorTime is what this process has used so far: clients, load balancers,
// gateways and applications together.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// plainProxy starts a reverse proxy with TLS in front of a server and gives its address.
func plainProxy(b *testing.B, certificate tls.Certificate, to string) string {
	b.Helper()
	target, err := url.Parse(to)
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	server := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
	})
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	b.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.Listener.Addr().String()
}
