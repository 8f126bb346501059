package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

type contextKey int

const (
	flowKey contextKey = iota
	exchangeKey
)

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       30 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		DisableCompression:    true,
	}
}

func (m *Mesh) newServer() *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(m.serve),
		ReadHeaderTimeout: handshakeTimeout,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(m.config.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if encrypted, ok := conn.(*tls.Conn); ok {
				conn = encrypted.NetConn()
			}
			return context.WithValue(ctx, flowKey, conn)
		},
	}
}

// exchange is one request and what became of it.
type exchange struct {
	http.ResponseWriter
	flow    *flow
	request *http.Request
	body    *countedBody
	start   time.Time
	id      string
	forward string

	address        netip.AddrPort
	to             *upstream
	route          string
	status         int
	sent           int64
	flags, details string
	failure        string
	serviceTime    string
}

func (e *exchange) WriteHeader(status int) {
	// Informational answers come before the one that counts.
	if e.status == 0 && status >= http.StatusOK {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(p []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	n, err := e.ResponseWriter.Write(p)
	e.sent += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach Flush and Hijack.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

func (m *Mesh) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := r.Context().Value(flowKey).(*flow)
	if !ok {
		http.Error(w, "connection unknown", http.StatusInternalServerError)
		return
	}
	if f.target == statusPort {
		w.Header().Set("Server", "istio-envoy")
		if r.URL.Path != "/healthz/ready" {
			w.WriteHeader(http.StatusNotFound)
		}
		return
	}
	e := &exchange{
		ResponseWriter: w, flow: f, request: r, start: m.config.Now(), id: m.config.RequestID(),
		body: &countedBody{ReadCloser: r.Body}, flags: "-", details: "via_upstream",
	}
	r.Body = e.body
	e.forward = hostOnly(f.RemoteAddr().String())
	if before := strings.Join(r.Header.Values("X-Forwarded-For"), ","); before != "" {
		e.forward = before + "," + e.forward
	}
	defer func() {
		f.endpoint.stats.request(e)
		m.log(f, func() string { return e.line(m.config.Now()) })
	}()
	m.answer(e)
}

// answer decides as Envoy does: virtual host, redirect to https, route, upstream.
func (m *Mesh) answer(e *exchange) {
	host := m.virtualHost(e.flow, hostOnly(e.request.Host))
	if host == nil {
		e.own(http.StatusNotFound, "NR", "route_not_found", "")
		return
	}
	if host.redirect {
		authority := strings.TrimSuffix(e.request.Host, ":80")
		e.Header().Set("Location", "https://"+authority+e.request.URL.RequestURI())
		e.own(http.StatusMovedPermanently, "-", "direct_response", "")
		return
	}
	r := host.find(e.request.Method, e.request.URL.EscapedPath())
	if r == nil {
		e.own(http.StatusNotFound, "NR", "route_not_found", "")
		return
	}
	e.route, e.to = r.name, r.to
	authority := hostOnly(e.request.Host)
	address, healthy := m.config.Upstream(r.to.host, r.to.port)
	if !healthy || m.hostFault(NoHealthyUpstream, e.flow.endpoint, authority) != nil {
		e.own(http.StatusServiceUnavailable, "UH", "no_healthy_upstream", "no healthy upstream")
		return
	}
	e.address = address
	m.slowed(e.flow, authority, e.request.Context().Done())
	if m.unavailable(e) {
		return
	}
	m.proxy.ServeHTTP(e, e.request.WithContext(context.WithValue(e.request.Context(), exchangeKey, e)))
}

// own writes an answer of the gateway's own.
func (e *exchange) own(status int, flags, details, text string) {
	e.flags, e.details = flags, details
	e.Header().Set("Server", "istio-envoy")
	if text != "" {
		e.Header().Set("Content-Type", "text/plain")
	}
	e.WriteHeader(status)
	if text != "" {
		// The client may be gone; its log line is written all the same.
		_, _ = io.WriteString(e, text)
	}
}

// virtualHost looks the authority up in the route configuration of the listener
// or, under TLS, of the filter chain that the handshake chose.
func (m *Mesh) virtualHost(f *flow, authority string) *virtualHost {
	l := m.current(f)
	if l == nil {
		return nil
	}
	hosts := l.plain
	if l.chains != nil {
		c, found := l.chains.match(f.sni)
		if !found || c.hosts == nil {
			return nil
		}
		hosts = c.hosts
	}
	if hosts == nil {
		return nil
	}
	host, _ := hosts.match(authority)
	return host
}

// buffers are those that bodies are copied with, used again by later requests.
type buffers struct{ free sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.free.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.free.Put(&p) }

func (m *Mesh) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:  m.transport,
		BufferPool: &buffers{},
		ErrorLog:   slog.NewLogLogger(m.config.Log.Handler(), slog.LevelDebug),
		Rewrite: func(p *httputil.ProxyRequest) {
			e := exchangeOf(p.In.Context())
			scheme := "http"
			if e.request.TLS != nil {
				scheme = "https"
			}
			p.Out.URL = &url.URL{
				Scheme: "http", Host: e.address.String(),
				Path: p.In.URL.Path, RawPath: p.In.URL.RawPath, RawQuery: p.In.URL.RawQuery,
			}
			p.Out.Host = p.In.Host
			p.Out.Header.Set("X-Forwarded-For", e.forward)
			p.Out.Header.Set("X-Forwarded-Proto", scheme)
			p.Out.Header.Set("X-Request-Id", e.id)
		},
		ModifyResponse: func(response *http.Response) error {
			e := exchangeOf(response.Request.Context())
			e.serviceTime = strconv.Itoa(int(m.config.Now().Sub(e.start).Milliseconds()))
			if response.StatusCode == http.StatusSwitchingProtocols {
				// The proxy takes the connection over and writes no header here.
				e.status = response.StatusCode
			}
			response.Header.Set("Server", "istio-envoy")
			response.Header.Set("X-Envoy-Upstream-Service-Time", e.serviceTime)
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			e := exchangeOf(r.Context())
			if errors.Is(err, context.Canceled) {
				e.own(http.StatusServiceUnavailable, "DC", "downstream_remote_disconnect", "")
				return
			}
			e.failure = "delayed_connect_error:_111"
			e.own(http.StatusServiceUnavailable, "UF", "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_111}",
				"upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: 111")
		},
	}
}

func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey).(*exchange)
	return e
}

func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}
