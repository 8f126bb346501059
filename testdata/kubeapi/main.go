// Command kubeapi is a real Kubernetes API server for tests: kube-apiserver
// with an embedded etcd, in one process, on a free loopback port.
//
// It has what a client can tell apart from an imitation: validation, RBAC,
// optimistic locking, watch caches, server-side apply, dry run, custom resource
// definitions. It runs no controllers and no kubelet: Deployments get no pods,
// deleted namespaces stay Terminating, and statuses are what the test writes.
//
// Usage: kubeapi --dir DIR [--with-parent]
//
// Once the server is ready and the Istio and PolicyReport definitions are
// served, one line is printed:
//
//	{"kubeconfig":PATH,"viewerKubeconfig":PATH,"server":URL,"pid":N}
//
// It ends on SIGTERM or SIGINT, and with --with-parent also when the process
// that started it has gone, so that a killed test leaves nothing behind. Logs go to apiserver.log and etcd.log in DIR.
// Nothing in DIR is meant to outlive the test: etcd runs without fsync.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

// readyTimeout bounds the time from start to the ready line.
const readyTimeout = 2 * time.Minute

// ready is the line that tells the caller where the server is.
type ready struct {
	Kubeconfig       string `json:"kubeconfig"`
	ViewerKubeconfig string `json:"viewerKubeconfig"`
	Server           string `json:"server"`
	PID              int    `json:"pid"`
}

func main() {
	dir := flag.String("dir", "", "folder for certificates, tokens, kubeconfigs, data and logs (created if missing)")
	withParent := flag.Bool("with-parent", false, "end when the process that started this one has gone")
	flag.Parse()
	if *dir == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: kubeapi --dir DIR [--with-parent]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	if *withParent {
		go stopWithParent(ctx, os.Getppid(), stop)
	}
	err := run(ctx, *dir)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "kubeapi: %v\n", err)
		os.Exit(1)
	}
}

// stopWithParent calls stop when the parent is no longer the given one: an
// orphan is handed to another process.
func stopWithParent(ctx context.Context, parent int, stop func()) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for os.Getppid() == parent {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	stop()
}

// run serves until ctx is done. A shutdown that was asked for is no error.
func run(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	// What the libraries write is private as well.
	syscall.Umask(0o077)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "apiserver.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// The API server's libraries log to os.Stderr, and some of them print to
	// os.Stdout, which belongs to the ready line.
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = log, log
	defer func() {
		klog.Flush()
		os.Stdout, os.Stderr = stdout, stderr
	}()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	server := "https://" + listener.Addr().String()
	creds, err := writeCredentials(dir, server)
	if err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	etcd, err := startEtcd(ctx, dir)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer etcd.Close()

	serving, stopServing := context.WithCancelCause(ctx)
	defer stopServing(nil)
	go func() {
		if err := announce(serving, creds, server, stdout); err != nil {
			stopServing(err)
		}
	}()
	err = serve(serving, listener, creds, etcd.Config().AdvertiseClientUrls[0].String())
	switch cause := context.Cause(serving); {
	case err != nil:
		return fmt.Errorf("kube-apiserver: %w (see %s)", err, log.Name())
	case cause != nil && !errors.Is(cause, context.Canceled):
		return fmt.Errorf("%w (see %s)", cause, log.Name())
	}
	return nil
}

// announce fills the new API server and prints the ready line to out.
func announce(ctx context.Context, creds *credentials, server string, out *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := bootstrap(ctx, creds.adminKubeconfig); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return json.NewEncoder(out).Encode(ready{
		Kubeconfig:       creds.adminKubeconfig,
		ViewerKubeconfig: creds.viewerKubeconfig,
		Server:           server,
		PID:              os.Getpid(),
	})
}
