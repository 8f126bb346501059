package awssim

import (
	"crypto/tls"
	"net"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const sessionCookie = "AWSELBAuthSessionCookie"

type plan struct{}

type server struct {
	socket      net.Listener
	certificate atomic.Pointer[tls.Certificate]
}

func (srv *server) close() { _ = srv.socket.Close() }

func (s *Sim) serve(_ *listener, socket net.Listener) *server { return &server{socket: socket} }

func (s *Sim) publish(*listener) {}

func (s *Sim) certificateOf(l *listener) *tls.Certificate {
	if len(l.view.Certificates) == 0 {
		return nil
	}
	return s.certificates[aws.ToString(l.view.Certificates[0].CertificateArn)]
}

func (s *Sim) reconcile() {}

func (g *targetGroup) checkPort(t *target) int32 { return t.port }
