package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// maxSocketPath is the longest path of a unix socket that both Linux (108
// bytes with the closing zero) and macOS (104) take.
const maxSocketPath = 103

// startEtcd starts etcd on unix sockets in dir and waits until it serves.
func startEtcd(ctx context.Context, dir string) (*embed.Etcd, error) {
	client, err := socketURL(dir, "etcd.sock")
	if err != nil {
		return nil, err
	}
	peer, err := socketURL(dir, "peer.sock")
	if err != nil {
		return nil, err
	}
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(dir, "etcd")
	cfg.LogOutputs = []string{filepath.Join(dir, "etcd.log")}
	cfg.LogLevel = "warn"
	cfg.UnsafeNoFsync = true
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err = <-etcd.Err():
	case <-time.After(readyTimeout):
		err = errors.New("not ready in time")
	case <-ctx.Done():
		err = ctx.Err()
	}
	etcd.Close()
	return nil, err
}

func socketURL(dir, name string) (url.URL, error) {
	path := filepath.Join(dir, name)
	if len(path) > maxSocketPath {
		return url.URL{}, fmt.Errorf("%s: too long for a unix socket, choose a folder with a shorter path", path)
	}
	return url.URL{Scheme: "unix", Path: path}, nil
}

// serve runs kube-apiserver on listener until ctx is done.
func serve(ctx context.Context, listener net.Listener, creds *credentials, etcdURL string) error {
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse([]string{
		"--etcd-servers=" + etcdURL,
		"--tls-cert-file=" + creds.serverCert,
		"--tls-private-key-file=" + creds.serverKey,
		"--token-auth-file=" + creds.tokens,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + creds.serviceAccountKey,
		"--service-account-signing-key-file=" + creds.serviceAccountKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		"--anonymous-auth=false",
		// No controller makes service accounts and their tokens, so that pods
		// could not be created with this plugin on.
		"--disable-admission-plugins=ServiceAccount",
		// The address of an endpoint must not be a loopback one. This one is
		// reserved for documentation; nothing is published under it.
		"--advertise-address=192.0.2.1",
		"--endpoint-reconciler-type=none",
		// Without it the end waits a minute for clients that still watch.
		"--shutdown-watch-termination-grace-period=1s",
	}); err != nil {
		return err
	}
	opts.SecureServing.Listener = listener
	opts.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port

	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(opts.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return app.Run(ctx, completed)
}
