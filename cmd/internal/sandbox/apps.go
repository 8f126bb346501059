package sandbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"html"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// applications are the servers behind all hosts: one for those that speak HTTP
// behind a gateway, one for those that end TLS themselves. Requests find their
// application by host, as names are all that tells them apart here.
type applications struct {
	byHost    map[string]app
	addresses map[string]netip.AddrPort // by the Service's full name
	servers   []*http.Server
}

// startApplications serves every application; spawn runs a server until it is closed.
func startApplications(ctx context.Context, net *network, ca *authority, w world, log *slog.Logger, spawn func(func())) (*applications, error) {
	a := &applications{byHost: map[string]app{}, addresses: map[string]netip.AddrPort{}}
	plain, err := net.listen(ctx, hostApplications, 0)
	if err != nil {
		return nil, fmt.Errorf("serve applications: %w", err)
	}
	encrypted, err := net.listen(ctx, hostApplications, 0)
	if err != nil {
		plain.Close()
		return nil, fmt.Errorf("serve applications: %w", err)
	}
	certificates := map[string]*tls.Certificate{}
	for _, application := range w.apps {
		host := application.fullHost()
		a.byHost[host] = application
		listener := plain
		if application.passthrough() {
			listener = encrypted
			pair, err := ca.issue(time.Now().AddDate(0, 2, 0), nil, host)
			if err != nil {
				plain.Close()
				encrypted.Close()
				return nil, err
			}
			certificates[host] = &pair
		}
		address, _ := netip.ParseAddrPort(listener.Addr().String())
		a.addresses[serviceHost(application)] = address
	}
	server := func(config *tls.Config) *http.Server {
		s := &http.Server{
			Handler: a, TLSConfig: config, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}
		a.servers = append(a.servers, s)
		return s
	}
	http1, https := server(nil), server(&tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair := certificates[strings.ToLower(hello.ServerName)]; pair != nil {
				return pair, nil
			}
			return nil, fmt.Errorf("no application is named %q", hello.ServerName)
		},
	})
	// Serve ends with http.ErrServerClosed, when the sandbox is closed.
	spawn(func() { _ = http1.Serve(plain) })
	spawn(func() { _ = https.ServeTLS(encrypted, "", "") })
	return a, nil
}

func (a *applications) close() {
	for _, s := range a.servers {
		s.Close()
	}
}

// upstream gives the address of a Service; one that no application has, has no endpoint.
func (a *applications) upstream(host string, _ int) (netip.AddrPort, bool) {
	address, ok := a.addresses[host]
	return address, ok
}

func serviceHost(a app) string { return a.name + "." + a.namespace + ".svc.cluster.local" }

// ServeHTTP answers as the application of the host.
func (a *applications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	application, ok := a.byHost[strings.ToLower(host)]
	if !ok {
		_, rest, _ := strings.Cut(host, ".")
		application, ok = a.byHost["*."+strings.ToLower(rest)]
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Server", application.name)
	if application.login && r.URL.Path == "/" {
		http.Redirect(w, r, "/login", http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// A client that has gone away needs no answer.
	_, _ = fmt.Fprintf(w, "<!doctype html>\n<title>%[1]s</title>\n<h1>%[1]s</h1>\n<p>served by %[2]s</p>\n",
		html.EscapeString(host), html.EscapeString(application.namespace+"/"+application.name))
}
