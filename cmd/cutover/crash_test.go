package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// sandboxed starts a sandbox for processes of the test's own, with the AWS
// endpoint given in place of the sandbox's when it is not empty.
func sandboxed(t *testing.T, s *sandbox.Sandbox, endpoint string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "cutover", args...)
	cmd.Env = append(os.Environ(), s.Env()...)
	if endpoint != "" {
		for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "AWS_ENDPOINT_URL_STS"} {
			cmd.Env = append(cmd.Env, name+"="+endpoint)
		}
	}
	return cmd
}

func start(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestKilledBetweenIntentAndOutcome: the next start says so, and settles it by
// what AWS says, whether the write had arrived or not.
func TestKilledBetweenIntentAndOutcome(t *testing.T) {
	for _, c := range []struct {
		name    string
		arrives bool
		found   string
		back    string // the outcome of taking the host back afterwards
	}{
		{"before the write arrived", false, "found not-applied", `"outcome":"unchanged"`},
		{"after the write arrived", true, "found applied", `"outcome":"rolled-back"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			killed := killedShift(t, s, c.arrives)
			if killed.ProcessState.ExitCode() != -1 {
				t.Fatalf("the shift ended by itself: %v", killed.ProcessState)
			}
			out, err := sandboxed(t, s, "", "journal", "verify").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "1 intent(s) without an outcome") {
				t.Errorf("journal verify: %v\n%s", err, out)
			}
			// Looking settles nothing, but counts it.
			out, err = sandboxed(t, s, "", "rollback", "--all", "--print").CombinedOutput()
			if err != nil || strings.Contains(string(out), "aws elbv2") != c.arrives {
				t.Errorf("the script of the way back: %v\n%s", err, out)
			}
			out, err = sandboxed(t, s, "", "rollback", "--host", "argocd.bigbang.example", "--yes", "-o", "json").CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.found) || !strings.Contains(string(out), c.back) {
				t.Errorf("the way back: %v\n%s", err, out)
			}
			out, err = sandboxed(t, s, "", "status").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "0 of 24 hosts on new") {
				t.Errorf("status: %v\n%s", err, out)
			}
		})
	}
}

// killedShift starts a shift through a proxy, and kills it with signal 9 while
// its ModifyRule is under way.
func killedShift(t *testing.T, s *sandbox.Sandbox, arrives bool) *exec.Cmd {
	t.Helper()
	target, err := url.Parse(s.AWSEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	reached, release := make(chan struct{}), make(chan struct{})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !bytes.Contains(body, []byte("Action=ModifyRule")) {
			forward.ServeHTTP(w, r)
			return
		}
		if arrives {
			forward.ServeHTTP(httptest.NewRecorder(), r)
		}
		reached <- struct{}{}
		<-release
	}))
	t.Cleanup(proxy.Close)
	t.Cleanup(func() { close(release) })
	cmd := sandboxed(t, s, proxy.URL, "shift", "--host", "argocd.bigbang.example", "--to", "new", "--yes", "--proof", "0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reached:
	case <-time.After(60 * time.Second):
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("the shift never wrote:\n%s", out.String())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // It was killed.
	return cmd
}
