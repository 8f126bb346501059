// Package mototest starts moto for a test: an implementation of the AWS API
// that is not ours, in Python (https://docs.getmoto.org). Only tests import it.
//
// Tests that need it are skipped where python3 has no moto; "pip install
// 'moto[server]==5.2.1'" adds it. In continuous integration (CI=true) a missing
// moto is a failure, unless CUTOVER_NO_MOTO=1 says that it may be missing.
package mototest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	readyTimeout   = time.Minute
	requestTimeout = 10 * time.Second
	pollInterval   = 50 * time.Millisecond
	// exitNoMoto is what the script exits with where moto is missing.
	exitNoMoto = 77
	// startAttempts is how often a start is tried on another port: a port is
	// found free some time before moto listens on it.
	startAttempts = 3
	// logTail is how much of moto's log a failed start shows, in bytes.
	logTail = 4 << 10
)

// script runs moto until it is killed, or until the process that started it
// has gone: a killed test leaves nothing behind.
const script = `
import os, sys, threading, time

def stop_with_parent(parent):
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)

try:
    import moto.server
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)
threading.Thread(target=stop_with_parent, args=(int(sys.argv[1]),), daemon=True).start()
moto.server.main(["-H", "127.0.0.1", "-p", sys.argv[2]])
`

var errNoMoto = errors.New("python3 with moto is missing")

// Server is a running moto. It answers every AWS service on one port, for any
// credentials.
type Server struct {
	// URL is the endpoint, plain http on loopback.
	URL string

	tb testing.TB
}

// Start starts a moto of the test's own and kills it when the test and its
// subtests are done. The test is skipped where moto is missing (see the package
// comment), and fails when it does not answer.
func Start(tb testing.TB) *Server {
	tb.Helper()
	var err error
	for range startAttempts {
		var server *Server
		if server, err = start(tb); err == nil {
			return server
		}
		if errors.Is(err, errNoMoto) {
			missing(tb, err)
		}
	}
	tb.Fatalf("start moto: %v", err)
	return nil
}

func missing(tb testing.TB, err error) {
	tb.Helper()
	const remedy = "install it and run again: pip install 'moto[server]==5.2.1'"
	if os.Getenv("CI") == "true" && os.Getenv("CUTOVER_NO_MOTO") != "1" {
		tb.Fatalf("%v; %s (or allow it to be missing: CUTOVER_NO_MOTO=1)", err, remedy)
	}
	tb.Skipf("%v; %s", err, remedy)
}

// Reset empties moto of everything that was made in it. It fails the test when
// moto does not answer.
func (s *Server) Reset() {
	s.tb.Helper()
	if err := request(context.Background(), http.MethodPost, s.URL+"/moto-api/reset"); err != nil {
		s.tb.Fatalf("reset moto: %v", err)
	}
}

func start(tb testing.TB) (*Server, error) {
	tb.Helper()
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	logPath := filepath.Join(tb.TempDir(), "moto.log")
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// Not tb's own context, which ends before the cleanups begin: they may
	// still need moto.
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "python3", "-c", script, strconv.Itoa(os.Getpid()), strconv.Itoa(port))
	cmd.Stdout, cmd.Stderr = log, log
	// A process group of its own can be killed together with its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("%w: %w", errNoMoto, err)
	}
	exited := make(chan struct{})
	var exitErr error // Written before exited is closed.
	go func() {
		exitErr = cmd.Wait()
		close(exited)
	}()
	kill := func() {
		cancel()
		<-exited
	}

	server := &Server{URL: "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), tb: tb}
	deadline := time.NewTimer(readyTimeout)
	defer deadline.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-exited:
			cancel()
			var exit *exec.ExitError
			if errors.As(exitErr, &exit) && exit.ExitCode() == exitNoMoto {
				return nil, errNoMoto
			}
			return nil, fmt.Errorf("ended before it answered: %w\n%s", exitErr, tail(logPath))
		case <-deadline.C:
			kill()
			return nil, fmt.Errorf("no answer after %s\n%s", readyTimeout, tail(logPath))
		case <-ticker.C:
			if request(ctx, http.MethodGet, server.URL+"/moto-api/data.json") == nil {
				tb.Cleanup(kill)
				return server, nil
			}
		}
	}
}

// freePort returns a port of 127.0.0.1 that nobody listened on a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("unexpected address %v", listener.Addr())
	}
	return address.Port, nil
}

// request sends an empty request and returns an error unless it is answered 200.
func request(ctx context.Context, method, url string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return err
	}
	// A connection of its own leaves none behind for a leak check to find.
	req.Close = true
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, url, response.Status)
	}
	return nil
}

// tail returns the end of a log for a failure message.
func tail(path string) []byte {
	log, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-logTail):]
}
