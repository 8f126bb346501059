package awssim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// route serves one request by the rules in force now, so that kept-alive
// connections follow a change like new ones.
func (srv *server) route(w http.ResponseWriter, r *http.Request) {
	done, ok := srv.begin()
	if !ok {
		panic(http.ErrAbortHandler) // Its connection is being closed.
	}
	defer done()
	rule := srv.listener.current(srv.now()).find(newView(r))
	if rule == nil {
		respond(w, http.StatusServiceUnavailable)
		return
	}
	for _, next := range rule.steps {
		switch next.action.Type {
		case types.ActionTypeEnumForward:
			srv.forward(w, r, next.forward, rule.rewrite)
			return
		case types.ActionTypeEnumRedirect:
			srv.redirect(w, r, next.action.RedirectConfig)
			return
		case types.ActionTypeEnumFixedResponse:
			fixedResponse(w, next.action.FixedResponseConfig)
			return
		case types.ActionTypeEnumAuthenticateOidc, types.ActionTypeEnumAuthenticateCognito, types.ActionTypeEnumJwtValidation:
			if !srv.authenticated(w, r, next.action) {
				return
			}
		}
	}
}

// forward passes a request on to a target of a group chosen by cookie or by
// weight. There is no failover from one group to another.
func (srv *server) forward(w http.ResponseWriter, r *http.Request, f *forward, rewrite func(*http.Request)) {
	chosen, ok := srv.stuckToGroup(r, f)
	if !ok {
		chosen, ok = f.pick(srv.intN)
	}
	if !ok {
		respond(w, http.StatusServiceUnavailable)
		return
	}
	m := chosen.pool.members.Load()
	target, ok := srv.stuckToTarget(r, m)
	if !ok {
		target, ok = chosen.pool.pick(m, netip.Addr{})
	}
	if !ok {
		respond(w, http.StatusServiceUnavailable)
		return
	}
	if err := repeatable(r); err != nil {
		respond(w, http.StatusBadRequest)
		return
	}
	ctx, end := context.WithCancel(r.Context())
	defer end()
	defer target.use(end)()
	proxy := &httputil.ReverseProxy{
		Transport:  chosen.pool.transport,
		BufferPool: &chosen.pool.buffers,
		ErrorLog:   srv.http.ErrorLog,
		Rewrite: func(pr *httputil.ProxyRequest) {
			srv.toTarget(pr, target.address, chosen.pool.secure)
			rewrite(pr.Out)
		},
		ModifyResponse: func(answer *http.Response) error {
			srv.stick(answer.Header, groupCookie, chosen.id, f.sticky)
			srv.stick(answer.Header, targetCookie, target.address.String(), m.sticky)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			srv.log.Debug("a target did not answer", "target", target.address, "error", err)
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() && !errors.Is(err, context.Canceled) {
				respond(w, http.StatusGatewayTimeout)
				return
			}
			respond(w, http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

// maxRepeatable bounds the bodies that are held so that they can be sent again.
const maxRepeatable = 64 << 10

// repeatable reads a small body ahead, so that the request can be given to
// another connection when the first one turns out to be closed before anything
// was sent on it. A target that closes a connection later than that has its
// client answered with 502, as AWS says.
func repeatable(r *http.Request) error {
	if r.ContentLength <= 0 || r.ContentLength > maxRepeatable {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("reading a request's body: %w", err)
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, err = r.GetBody()
	return err
}

// toTarget turns a request into the one that the target gets: for the same
// host and path, with the client added to the X-Forwarded headers.
func (srv *server) toTarget(pr *httputil.ProxyRequest, target netip.AddrPort, secure bool) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = "http", target.String()
	if secure {
		out.URL.Scheme = "https"
	}
	out.Host = pr.In.Host
	// The proxy has dropped parts of the query that Go cannot read.
	out.URL.RawQuery = pr.In.URL.RawQuery
	client := hostOf(pr.In.RemoteAddr)
	if before := pr.In.Header.Values("X-Forwarded-For"); len(before) > 0 {
		client = strings.Join(before, ", ") + ", " + client
	}
	out.Header.Set("X-Forwarded-For", client)
	out.Header.Set("X-Forwarded-Proto", strings.ToLower(string(srv.protocol)))
	out.Header.Set("X-Forwarded-Port", strconv.Itoa(int(srv.port)))
}

// respond answers in the load balancer's own name.
func respond(w http.ResponseWriter, status int) {
	text := fmt.Sprintf("%d %s", status, statusText(status))
	w.Header().Set("Server", "awselb/2.0")
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	// A client that is gone misses nothing.
	_, _ = fmt.Fprintf(w, "<html>\r\n<head><title>%s</title></head>\r\n<body><center><h1>%s</h1></center></body>\r\n</html>\r\n", text, text)
}

// statusText names statuses as ALBs do, which differs from Go once or twice.
func statusText(status int) string {
	switch status {
	case http.StatusServiceUnavailable:
		return "Service Temporarily Unavailable"
	case http.StatusGatewayTimeout:
		return "Gateway Time-out"
	default:
		return http.StatusText(status)
	}
}
