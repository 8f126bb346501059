// Package kubeapitest starts the real Kubernetes API server of
// testdata/kubeapi for a test. Only tests import it.
//
// The server takes about ten minutes to build and seconds to start, so that it
// is built once, beforehand:
//
//	go build -C testdata/kubeapi -o ../../.cache/kubeapi . && go test ./...
//
// Tests that need it are skipped where it has not been built, except in
// continuous integration (CI=true), where that is a failure. CUTOVER_KUBEAPI
// names another binary to use.
package kubeapitest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	// readyTimeout is longer than the server's own, so that its error is seen.
	readyTimeout = 150 * time.Second
	stopTimeout  = 10 * time.Second
	// logTail is how much of the server's log a failed start shows, in bytes.
	logTail = 4 << 10
)

const howToBuild = "build it and run again: go build -C testdata/kubeapi -o ../../.cache/kubeapi . && go test ./..."

// Server is a running API server with the Istio and PolicyReport definitions,
// and nothing else in it.
type Server struct {
	// Kubeconfig is the path of a kubeconfig of an all-powerful user.
	Kubeconfig string `json:"kubeconfig"`
	// ViewerKubeconfig is the path of a kubeconfig of a user who may get, list
	// and watch what the ClusterRole "view" covers and Istio's resources, but
	// no Secrets, no Nodes and no PolicyReports.
	ViewerKubeconfig string `json:"viewerKubeconfig"`
	// URL is the server's base URL, https on loopback.
	URL string `json:"server"`
}

// Start starts an API server of the test's own and stops it when the test and
// its subtests are done. The test is skipped when there is no binary (with
// CI=true it fails), and fails when the server does not become ready.
func Start(tb testing.TB) *Server {
	tb.Helper()
	binary, err := findBinary()
	if err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("%v; %s", err, howToBuild)
		}
		tb.Skipf("%v; %s", err, howToBuild)
	}
	// The test's own folder is named after the test and may be too long for
	// the unix sockets that the server makes in it.
	dir, err := os.MkdirTemp("", "kubeapi")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove the API server's folder: %v", err)
		}
	})
	server, err := start(tb, binary, dir)
	if err != nil {
		tb.Fatalf("start %s: %v\n%s", binary, err, tail(filepath.Join(dir, "apiserver.log")))
	}
	return server
}

func findBinary() (string, error) {
	if path := os.Getenv("CUTOVER_KUBEAPI"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("CUTOVER_KUBEAPI names no API server: %w", err)
		}
		return path, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".cache", "kubeapi")
	if _, err := os.Stat(path); err != nil {
		return "", errors.New("the real API server for tests is not built")
	}
	return path, nil
}

// moduleRoot is the folder above the working directory, which go test sets to
// the package's, that holds testdata/kubeapi.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "testdata", "kubeapi", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no testdata/kubeapi above the working directory")
		}
		dir = parent
	}
}

func start(tb testing.TB, binary, dir string) (*Server, error) {
	tb.Helper()
	// Not tb's own context, which ends before the cleanups begin: they may
	// still need the server.
	ctx, cancel := context.WithCancel(context.Background())
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "--dir", dir, "--with-parent")
	cmd.Stderr = &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	line := make(chan []byte, 1)
	exited := make(chan error, 1)
	go func() {
		reader := bufio.NewReader(stdout)
		if first, err := reader.ReadBytes('\n'); err == nil {
			line <- first
		}
		// Wait closes the pipe, so that it has to be read to its end before.
		_, copyErr := io.Copy(io.Discard, reader)
		exited <- errors.Join(cmd.Wait(), copyErr)
	}()
	stop := func() error {
		cancel()
		if err := <-exited; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
	deadline := time.NewTimer(readyTimeout)
	defer deadline.Stop()
	select {
	case first := <-line:
		tb.Cleanup(func() {
			if err := stop(); err != nil {
				tb.Errorf("the API server did not end cleanly within %s of SIGTERM: %v\n%s", stopTimeout, err, &stderr)
			}
		})
		server := &Server{}
		if err := json.Unmarshal(first, server); err != nil {
			return nil, fmt.Errorf("ready line %q: %w", first, err)
		}
		return server, nil
	case err := <-exited:
		cancel()
		return nil, fmt.Errorf("ended before it was ready: %w\n%s", err, &stderr)
	case <-deadline.C:
		return nil, errors.Join(fmt.Errorf("not ready after %s", readyTimeout), stop())
	}
}

// tail returns the end of a log for a failure message.
func tail(path string) []byte {
	log, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-logTail):]
}
