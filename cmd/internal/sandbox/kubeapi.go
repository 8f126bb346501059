package sandbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeAPI is the server of the Kubernetes API, which can go away and come back.
type kubeAPI struct {
	config *tls.Config
	make   func() *http.Server
	spawn  func(func())
	server *http.Server
}

// serveKube serves the Kubernetes API over TLS, with a CA that only the kubeconfig knows.
func (s *Sandbox) serveKube(token string, log *slog.Logger) error {
	now := time.Now()
	ca, err := newAuthority("Cutover sandbox Kubernetes", now)
	if err != nil {
		return err
	}
	pair, err := ca.issue(now.AddDate(0, 2, 0), []net.IP{s.net.address(hostAPIs).AsSlice()}, "kubernetes")
	if err != nil {
		return err
	}
	s.api = &kubeAPI{
		config: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		make:   func() *http.Server { return newServer(s.Kube.Handler(), log) },
		spawn:  s.group.Go,
	}
	s.api.start(s.net.api)

	config := clientcmdapi.NewConfig()
	config.Clusters["sandbox"] = &clientcmdapi.Cluster{
		Server: "https://" + s.net.api.Addr().String(), CertificateAuthorityData: ca.pem(),
	}
	config.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["sandbox"] = &clientcmdapi.Context{Cluster: "sandbox", AuthInfo: "operator"}
	config.CurrentContext = "sandbox"
	if err := clientcmd.WriteToFile(*config, s.Kubeconfig()); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}

func (k *kubeAPI) start(listener net.Listener) {
	server := k.make()
	server.TLSConfig = k.config.Clone()
	k.server = server
	// Serving ends with http.ErrServerClosed, when the API stops.
	k.spawn(func() { _ = server.ServeTLS(listener, "", "") })
}

// stop refuses connections from here on, and cuts those that are open.
func (k *kubeAPI) stop() error { return k.server.Close() }

// restart listens again after a stop.
func (k *kubeAPI) restart(ctx context.Context, n *network) error {
	listener, err := n.listen(ctx, hostAPIs, apiPort)
	if err != nil {
		return fmt.Errorf("serve the Kubernetes API again: %w", err)
	}
	k.start(listener)
	return nil
}
