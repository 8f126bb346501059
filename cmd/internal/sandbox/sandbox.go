// Package sandbox composes a whole simulated world on loopback: a Kubernetes
// API, nodes with real NodePorts and Istio ingress gateways behind them,
// applications, and an AWS account whose load balancers carry traffic to them.
// The ordinary SDK, client-go, the AWS CLI, kubectl and curl reach it over real
// sockets; nothing that uses it knows that it is not real.
//
// Every sandbox takes a 127.a.b.0/24 of its own: .1 has the two APIs, .4 the
// applications, .11 to .13 are the nodes, .21 and above the load balancers.
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/istio-cutover/cutover/aws/awssim"
	"github.com/istio-cutover/cutover/cmd/internal/sandbox/gateway"
	"github.com/istio-cutover/cutover/kube/kubesim"
)

// faultsEnd bounds how long the faults that are on may take to end at the close.
const faultsEnd = 10 * time.Second

// Options say what world a sandbox has.
type Options struct {
	// Hosts is how many hosts are published; 0 is the default world's 24.
	Hosts int
	// Propagation is how long the changes to a load balancer are gathered before
	// they come into force together.
	Propagation time.Duration
	// StateDir becomes XDG_STATE_HOME and outlives the sandbox. Empty takes
	// Resume, or else one that is removed with the sandbox.
	StateDir string
	// Resume is a directory in which the world is kept and from which it goes on:
	// the same cluster UID and ARNs, and the actions that ModifyRule and
	// ModifyListener gave to the rules and listeners it began with; everything
	// else is as in the beginning again. Empty makes a new world each time, as
	// does a directory that another sandbox is using; see NotResumed.
	Resume string
	// Log takes what the simulators have to say; nil drops it.
	Log *slog.Logger
}

// Sandbox is a running world. AWS and Kube may be used to look into it and to
// change it, from any goroutine.
type Sandbox struct {
	AWS  *awssim.Sim
	Kube *kubesim.Server

	world world
	net   *network
	// tlsPort is where the load balancers listen for TLS.
	tlsPort  int
	mesh     *gateway.Mesh
	apps     *applications
	api      *kubeAPI
	servers  []*http.Server
	saved    *saved
	dir      string
	stateDir string
	// control is the URL by which other processes switch faults.
	control string
	faults  switches
	// notResumed is why the world is not as it was left.
	notResumed error
	group      sync.WaitGroup
	once       sync.Once
	closeErr   error
}

// Start makes a world and returns once everything in it answers. The context
// bounds the start only; Close ends the sandbox.
func Start(ctx context.Context, options Options) (*Sandbox, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sandbox{stateDir: options.StateDir}
	if err := s.start(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("start the sandbox: %w", err), s.Close())
	}
	return s, nil
}

func (s *Sandbox) start(ctx context.Context, options Options) error {
	var err error
	if s.net, err = claimNetwork(ctx); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "cutover-sandbox-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	w := newWorld(options.Hosts)
	s.world = w
	s.saved, s.notResumed = newSaved(options.Resume, w, options.Log)
	if s.stateDir == "" {
		s.stateDir = s.saved.dir
	}
	if s.stateDir == "" {
		s.stateDir = filepath.Join(s.dir, "state")
		if err := os.Mkdir(s.stateDir, 0o700); err != nil {
			return fmt.Errorf("make a state directory: %w", err)
		}
	}
	s.notResumed = errors.Join(s.notResumed, s.healDisk(ctx))
	ca, err := newAuthority("Cutover sandbox", time.Now())
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.CAFile(), ca.pem(), 0o644); err != nil {
		return fmt.Errorf("write the CA: %w", err)
	}
	if err := s.startCluster(ctx, w, ca, options.Log); err != nil {
		return err
	}
	if err := s.startCloud(ctx, w, ca, options); err != nil {
		return err
	}
	return s.startControl(options.Log)
}

// startCluster serves the Kubernetes API, the applications and the gateways.
func (s *Sandbox) startCluster(ctx context.Context, w world, ca *authority, log *slog.Logger) error {
	token, err := randomHex(16)
	if err != nil {
		return err
	}
	s.Kube = kubesim.New(kubesim.Config{
		ClusterUID: s.saved.Cluster,
		Tokens:     map[string]kubesim.User{token: {Name: "operator", Groups: []string{"system:masters"}}},
		Logs:       s.podLogs,
		Proxy:      s.podProxy,
		Log:        log,
	})
	if err := populate(s.Kube, w, s.net, ca); err != nil {
		return err
	}
	if s.apps, err = startApplications(ctx, s.net, ca, w, log, s.group.Go); err != nil {
		return err
	}
	s.mesh, err = gateway.Start(gateway.Config{
		Store: s.Kube, Upstream: s.apps.upstream, Now: time.Now, RequestID: randomUUID, Log: log,
	})
	if err != nil {
		return err
	}
	return s.serveKube(token, log)
}

// startCloud serves the AWS API and creates the load balancers.
func (s *Sandbox) startCloud(ctx context.Context, w world, ca *authority, options Options) error {
	ports := s.net.listenerPorts(ctx)
	s.tlsPort = ports(httpsPort)
	s.AWS = awssim.New(awssim.Config{
		Region: region, Account: account,
		Address:      s.net.balancerAddress,
		ListenerPort: ports,
		NewID:        s.saved.newID,
		Modified:     s.saved.modified,
		Log:          options.Log,
	})
	pair, err := ca.issue(time.Now().AddDate(0, 2, 0), nil, publicNames()...)
	if err != nil {
		return err
	}
	if err := provision(ctx, s.AWS, w, s.net, pair, ports); err != nil {
		return err
	}
	s.saved.begun = true
	s.notResumed = errors.Join(s.notResumed, s.saved.resume(ctx, s.AWS))
	// Only what happens from here on takes its time.
	s.AWS.SetPropagation(options.Propagation)
	listener, err := s.net.listen(ctx, hostAPIs, awsPort)
	if err != nil {
		return fmt.Errorf("serve the AWS API: %w", err)
	}
	server := s.server(s.AWS.Handler(), options.Log)
	server.ReadTimeout = time.Minute
	s.group.Go(func() { _ = server.Serve(listener) })
	return nil
}

// server makes a server that ends with the sandbox.
func (s *Sandbox) server(handler http.Handler, log *slog.Logger) *http.Server {
	server := newServer(handler, log)
	s.servers = append(s.servers, server)
	return server
}

func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// podLogs gives the Kubernetes API the gateways' access logs.
func (s *Sandbox) podLogs(ctx context.Context, namespace, pod, _ string, options kubesim.LogOptions, w io.Writer) error {
	return s.mesh.Logs(ctx, namespace, pod, gateway.LogOptions{
		Follow: options.Follow, SinceTime: options.SinceTime, TailLines: options.TailLines, Timestamps: options.Timestamps,
	}, w)
}

// podProxy gives the Kubernetes API the gateways' counters.
func (s *Sandbox) podProxy(namespace, pod string, port int) http.Handler {
	return s.mesh.Stats(namespace, pod, port)
}

// SetAccessLog turns the gateways' access logs on or off, as a change of
// accessLogFile in istiod's mesh configuration does.
func (s *Sandbox) SetAccessLog(on bool) error {
	file := ""
	if on {
		file = "/dev/stdout"
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(meshConfig(file))
	if err == nil {
		_, err = s.Kube.Update(&unstructured.Unstructured{Object: content})
	}
	return err
}

// NotResumed tells what in Options.Resume or StateDir could not be gone on with,
// and why; nil when nothing was left there. The sandbox runs all the same.
func (s *Sandbox) NotResumed() error { return s.notResumed }

// Close ends everything that the sandbox started, gives its addresses back and
// removes its files, a StateDir or Resume that was given excepted. It may be
// called again.
func (s *Sandbox) Close() error {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), faultsEnd)
		s.closeErr = s.endFaults(ctx)
		cancel()
		if s.AWS != nil {
			s.closeErr = errors.Join(s.closeErr, s.AWS.Close())
		}
		if s.mesh != nil {
			s.mesh.Close()
		}
		if s.apps != nil {
			s.apps.close()
		}
		if s.Kube != nil {
			s.Kube.Close()
		}
		if s.api != nil {
			s.closeErr = errors.Join(s.closeErr, s.api.stop())
		}
		// The last one holds the network: when it is gone another sandbox may take
		// all of the addresses.
		for _, server := range s.servers {
			s.closeErr = errors.Join(s.closeErr, server.Close())
		}
		s.group.Wait()
		if s.net != nil {
			s.net.free()
		}
		if s.saved != nil {
			s.closeErr = errors.Join(s.closeErr, s.saved.close())
		}
		if s.dir != "" {
			s.closeErr = errors.Join(s.closeErr, os.RemoveAll(s.dir))
		}
	})
	return s.closeErr
}

func randomHex(bytes int) (string, error) {
	b := make([]byte, bytes)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// randomUUID makes a cluster's UID, or an x-request-id as Envoy does.
func randomUUID() string {
	var b [16]byte
	// crypto/rand never fails: it ends the process where there is no randomness.
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := make([]byte, 0, 36)
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}
