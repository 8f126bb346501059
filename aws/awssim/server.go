package awssim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// server is the data plane of one listener: its socket and what it serves.
type server struct {
	listener *listener // only its plan may be read without the lock
	protocol types.ProtocolEnum
	port     int32
	region   string
	now      func() time.Time
	intN     func(int) int
	log      *slog.Logger

	certificate atomic.Pointer[tls.Certificate]
	socket      net.Listener
	http        *http.Server // for HTTP and HTTPS
	buffers     buffers      // for TCP and TLS

	// ctx ends when the server is closed; work counts the connections and
	// requests being served. mu is held to end the one and to add requests to the
	// other, so that none is added once it is waited for.
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup
	mu   sync.Mutex
}

// serve starts to serve a listener on its socket.
func (s *Sim) serve(l *listener, socket net.Listener) *server {
	ctx, stop := context.WithCancel(s.ctx)
	srv := &server{
		listener: l,
		protocol: l.view.Protocol,
		port:     aws.ToInt32(l.view.Port),
		region:   s.cfg.Region,
		now:      s.now,
		intN:     s.intN,
		log:      s.log.With("listener", l.arn()),
		socket:   socket,
		ctx:      ctx,
		stop:     stop,
	}
	srv.certificate.Store(s.certificateOf(l))
	switch srv.protocol {
	case types.ProtocolEnumHttp, types.ProtocolEnumHttps:
		srv.http = srv.newHTTPServer()
		s.work.Go(srv.serveHTTP)
	default:
		s.work.Go(srv.serveTCP)
	}
	return srv
}

// certificateOf gives the certificate of a listener, nil if it has none.
func (s *Sim) certificateOf(l *listener) *tls.Certificate {
	if len(l.view.Certificates) == 0 {
		return nil
	}
	return s.certificates[aws.ToString(l.view.Certificates[0].CertificateArn)]
}

// close closes the socket and all connections. It does not wait for them.
func (srv *server) close() {
	srv.end()
	if srv.http != nil {
		srv.closed(srv.http.Close())
	}
	srv.closed(srv.socket.Close())
}

// end makes the server take no more requests.
func (srv *server) end() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.stop()
}

// begin counts a request until it is done, unless the server has been closed. A
// request outlasts its connection where that is upgraded, and it may over HTTP/2.
func (srv *server) begin() (done func(), ok bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.ctx.Err() != nil {
		return nil, false
	}
	srv.work.Add(1)
	return srv.work.Done, true
}

// share gives a second handle of the server's socket, which stays open when the
// server is closed.
func (srv *server) share() (net.Listener, error) {
	socket, ok := srv.socket.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("keeping the port of listener %s: its socket is a %T", srv.listener.arn(), srv.socket)
	}
	file, err := socket.File()
	if err != nil {
		return nil, fmt.Errorf("keeping the port of listener %s: %w", srv.listener.arn(), err)
	}
	defer file.Close()
	shared, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("keeping the port of listener %s: %w", srv.listener.arn(), err)
	}
	return shared, nil
}

// closed notes an error of closing that is more than being closed already.
func (srv *server) closed(err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) {
		srv.log.Debug("closing a listener", "error", err)
	}
}

func (srv *server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if cert := srv.certificate.Load(); cert != nil {
				return cert, nil
			}
			return nil, errors.New("the listener has no certificate")
		},
	}
}

func (srv *server) newHTTPServer() *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(srv.route),
		TLSConfig:         srv.tlsConfig(),
		ReadHeaderTimeout: 60 * time.Second,
		IdleTimeout:       60 * time.Second,
		ErrorLog:          slog.NewLogLogger(srv.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return srv.ctx },
		// The server calls this for a new connection before Serve can return,
		// so that all are counted by then.
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				srv.work.Add(1)
			case http.StateClosed, http.StateHijacked:
				srv.work.Done()
			case http.StateActive, http.StateIdle:
			}
		},
	}
}

// serveHTTP runs until the server is closed and all connections and requests have
// ended.
func (srv *server) serveHTTP() {
	var err error
	if srv.protocol == types.ProtocolEnumHttps {
		err = srv.http.ServeTLS(srv.socket, "", "")
	} else {
		err = srv.http.Serve(srv.socket)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		srv.log.Error("a listener stopped serving", "error", err)
	}
	srv.end()
	srv.work.Wait()
}
