package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// TestAWSRefusesAWrite: what AWS says no to is its own line, and nothing changed.
func TestAWSRefusesAWrite(t *testing.T) {
	t.Parallel()
	s := start(t)
	endpoint := awsErrors(t, s, on("ModifyRule", awsFault{status: 400, code: "InvalidConfigurationRequest", message: "stickiness"}))
	o := ended(t, sandboxed(t, s, endpoint.URL, "shift", "--host", argocd, "--to", "new", "--yes", "--proof", "0"))
	o.expect(t, 1, "InvalidConfigurationRequest", "")
	refused := ended(t, sandboxed(t, s, "http://127.0.0.1:9", "status"))
	refused.expect(t, 1, "connection refused", "AWS_ENDPOINT_URL")
	nothingChanged(t, s)
}

// TestThrottledForAWhile: what is throttled for a few seconds is waited out.
func TestThrottledForAWhile(t *testing.T) {
	t.Parallel()
	s := start(t)
	began := time.Now()
	endpoint := awsErrors(t, s, func(string) *awsFault {
		if time.Since(began) > 5*time.Second {
			return nil
		}
		return &awsFault{status: 400, code: "Throttling", message: "Rate exceeded"}
	})
	o := ended(t, sandboxed(t, s, endpoint.URL, "status"))
	if o.exit != 0 || !strings.Contains(o.stdout, "0 of 24 hosts on new") {
		t.Errorf("exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
}

// TestKubernetesTroubleInCommands: a cluster that is not configured, one that has
// trouble of its own, and one that drops connections.
func TestKubernetesTroubleInCommands(t *testing.T) {
	t.Parallel()
	s := start(t)
	noKubeconfig := filepath.Join(t.TempDir(), "none")
	ended(t, with(sandboxed(t, s, "", "status"), "KUBECONFIG="+noKubeconfig)).expect(t, 2, "read kubeconfig", "--kubeconfig")
	ended(t, sandboxed(t, s, "", "status", "--context", "nowhere")).expect(t, 2, "nowhere", "--context")
	ended(t, sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--context", "nowhere")).expect(t, 2, "nowhere", "--context")

	api := kubeErrors(t, s, func(*http.Request) int { return http.StatusInternalServerError })
	env := "KUBECONFIG=" + api.kubeconfig
	ended(t, with(sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes"), env)).expect(t, 1, "kubernetes", "try again")
	api.set(func(*http.Request) int { return gone })
	o := ended(t, with(sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes"), env))
	o.expect(t, 1, "kubernetes", "check the kubeconfig's server")
	nothingChanged(t, s)
}

// TestWayBackWithoutKubernetes: the journal is found by the API server's URL.
func TestWayBackWithoutKubernetes(t *testing.T) {
	t.Parallel()
	s := start(t)
	api := kubeErrors(t, s, nil)
	env := "KUBECONFIG=" + api.kubeconfig
	for _, host := range []string{argocd, "gitlab.bigbang.example"} {
		if o := ended(t, with(sandboxed(t, s, "", "shift", "--host", host, "--to", "new", "--yes", "--proof", "0"), env)); o.exit != 0 {
			t.Fatalf("shift: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
		}
	}
	api.set(func(*http.Request) int { return gone })
	o := ended(t, with(sandboxed(t, s, "", "rollback", "--host", argocd, "--yes"), env))
	if o.exit != 0 {
		t.Errorf("with the API gone: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	o = ended(t, with(sandboxed(t, s, "", "journal", "verify"), env))
	if o.exit != 0 {
		t.Errorf("journal verify with the API gone: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	api.server.Close()
	o = ended(t, with(sandboxed(t, s, "", "rollback", "--all", "--yes"), env))
	if o.exit != 0 {
		t.Errorf("with nobody there: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	nothingChanged(t, s)
}

// TestKubernetesGoneInTheConsole: it is said, keys answer, the way back works,
// and it heals.
func TestKubernetesGoneInTheConsole(t *testing.T) {
	t.Parallel()
	s := start(t)
	api := kubeErrors(t, s, nil)
	x := consoleOn(t, s, "", 120, 40, "KUBECONFIG="+api.kubeconfig)
	x.line("cutover; echo ended: $?")
	x.until("Hosts: 0 of 24 on new", " live")
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move "+argocd+" to new", "ready")
	x.keys("y")
	x.until("1 of 24 on new", "argocd → new proven")
	api.set(func(*http.Request) int { return gone })
	x.header("old")
	x.keys("z")
	x.until("Take the last run back")
	x.keys("y")
	x.until("0 of 24 on new")
	x.header("old")
	api.set(nil)
	x.header("live")
	x.until("argocd → old proven")
	x.keys("q")
	x.until("ended: 0")
	nothingChanged(t, s)
}

// TestConsoleOpenedWithoutKubernetes: what an earlier console did is known and
// can be taken back.
func TestConsoleOpenedWithoutKubernetes(t *testing.T) {
	t.Parallel()
	s := start(t)
	api := kubeErrors(t, s, nil)
	env := "KUBECONFIG=" + api.kubeconfig
	if o := ended(t, with(sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes"), env)); o.exit != 0 {
		t.Fatal(o.stdout, o.stderr)
	}
	api.set(func(*http.Request) int { return gone })
	x := consoleOn(t, s, "", 120, 40, env)
	x.line("cutover; echo ended: $?")
	x.header("kubernetes: ", "old")
	x.keys("Z")
	x.until("type rollback to take back")
	x.keys("rollback", "Enter")
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(ended(t, sandboxed(t, s, "", "status")).stdout, "0 of 24 hosts on new") {
		if time.Now().After(deadline) {
			t.Fatalf("it was not taken back:\n%s", x.screen())
		}
	}
	api.set(nil)
	x.header("live")
	x.until("0 of 24 on new")
	x.until("argocd → old unconfirmed") // Without lanes nobody can tell.
	x.keys("q")
	x.until("ended: 0")
	nothingChanged(t, s)
}

// TestTerminalGone: a lost SSH session ends a run between two changes.
func TestTerminalGone(t *testing.T) {
	t.Parallel()
	s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	x := consoleOn(t, s, "", 120, 40)
	pidFile := filepath.Join(stateOf(s), "pid")
	x.line("sh -c 'echo $$ > " + pidFile + "; exec cutover shift --host " + argocd + " --to new --yes --proof 60s'")
	x.until("verified")
	content, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	x.tmux("kill-server")
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not end")
		}
	}
	journalWhole(t, s)
}

// TestNohup: a run that was told to outlive its terminal does.
func TestNohup(t *testing.T) {
	t.Parallel()
	s := start(t)
	cmd := sandboxed(t, s, "", "shift")
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `trap "" HUP; exec cutover shift --host ` + argocd + ` --to new --yes --proof 60s -o json`}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), `"event":"intent"`) {
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it did not go on: %v", err)
	}
}

// TestNoStateDirectory: nothing goes forward that cannot be recorded; the way
// back goes on.
func TestNoStateDirectory(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(file, "state")
	endpoint := awsErrors(t, s, nil)
	o := ended(t, sandboxed(t, s, endpoint.URL, "shift", "--host", argocd, "--to", "new", "--yes", "--proof", "0", "--state-dir", nowhere))
	o.expect(t, 1, "journal", "--state-dir")
	if n := endpoint.count("ModifyRule"); n != 0 {
		t.Errorf("%d writes without a journal", n)
	}
	nothingChanged(t, s)
	// The way back is recorded nowhere: that is no "nothing to do".
	ended(t, sandboxed(t, s, "", "rollback", "--all", "--yes", "--state-dir", nowhere)).expect(t, 1, "journal", "--state-dir")
	if o := ended(t, sandboxed(t, s, "", "status", "--state-dir", nowhere)); o.exit != 0 || !strings.Contains(o.stdout, "0 of 24") {
		t.Errorf("status: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
}

// TestJournalThatCannotGrow: the file may be read and not written; forward is
// refused, back goes on, saying so.
func TestJournalThatCannotGrow(t *testing.T) {
	t.Parallel()
	s := start(t)
	if o := ended(t, sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--proof", "0")); o.exit != 0 {
		t.Fatal(o.stdout, o.stderr)
	}
	// No byte more fits into any file, as on a full disk.
	full := func(args ...string) *exec.Cmd {
		cmd := sandboxed(t, s, "", args...)
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -f 0; exec cutover "$@"`, "sh"}, args...)
		return cmd
	}
	o := ended(t, full("shift", "--host", "gitlab.bigbang.example", "--to", "new", "--yes", "--proof", "0"))
	o.expect(t, 1, "file too large", "--state-dir")
	journalWhole(t, s)
	o = ended(t, full("rollback", "--all", "--yes", "-o", "json"))
	if o.exit != 0 || !strings.Contains(o.stdout, "going on without the journal") || !strings.Contains(o.stdout, `"outcome":"rolled-back"`) {
		t.Errorf("the way back: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	nothingChanged(t, s)
}

// TestSignalsDuringProof: a run that waits for proof ends at once, with its
// journal true.
func TestSignalsDuringProof(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]os.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "INT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			cmd := sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--proof", "60s", "-o", "json")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			var signalled time.Time
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				said.WriteString(lines.Text() + "\n")
				if strings.Contains(lines.Text(), `"event":"verified"`) {
					signalled = time.Now()
					if err := cmd.Process.Signal(sig); err != nil {
						t.Fatal(err)
					}
				}
			}
			_ = cmd.Wait() // Its exit code is looked at.
			if code := cmd.ProcessState.ExitCode(); code != 130 || signalled.IsZero() || time.Since(signalled) > 10*time.Second {
				t.Errorf("exit %d, %s after the signal\n%s%s", code, time.Since(signalled), said.String(), stderr.String())
			}
			if !strings.Contains(said.String(), `"event":"done","exit":130`) {
				t.Errorf("the last line does not say so:\n%s", said.String())
			}
			journalWhole(t, s)
			if o := ended(t, sandboxed(t, s, "", "rollback", "--all", "--yes")); o.exit != 0 {
				t.Errorf("the way back: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
			}
			nothingChanged(t, s)
		})
	}
}

// TestQuitDuringProof: quitting asks, also where there is hardly room for it,
// and ends between two changes.
func TestQuitDuringProof(t *testing.T) {
	t.Parallel()
	s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	x := consoleOn(t, s, "", 120, 40)
	x.line("cutover; echo ended: $?")
	x.until("Hosts: 0 of 24 on new", argocd)
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move "+argocd+" to new", "ready")
	x.keys("y")
	x.until("switched, unproven")
	for _, size := range [][2]string{{"20", "5"}, {"1", "1"}, {"3", "40"}, {"200", "2"}, {"120", "40"}} {
		x.tmux("resize-window", "-x", size[0], "-y", size[1])
	}
	x.until("switched, unproven")
	x.keys("q")
	x.until("Quit while a run is in flight?")
	x.keys("Escape")
	x.until("1 of 1")
	x.keys("q")
	x.until("Quit while a run is in flight?")
	x.keys("y")
	x.until("ended: 0")
	journalWhole(t, s)
	if o := ended(t, sandboxed(t, s, "", "status")); !strings.Contains(o.stdout, "1 of 24 hosts on new") || !strings.Contains(o.stdout, "new, unproven") {
		t.Errorf("status: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
}

// TestSignalsInTheConsole: the terminal is put back, the journal is true.
func TestSignalsInTheConsole(t *testing.T) {
	t.Parallel()
	s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	x := consoleOn(t, s, "", 120, 40)
	x.line("sh -c 'echo $$ > " + filepath.Join(stateOf(s), "pid") + "; exec cutover'; echo ended: $?")
	x.until("Hosts: 0 of 24 on new", argocd)
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move "+argocd+" to new", "ready")
	x.keys("y")
	x.until("switched, unproven")
	x.tmux("run-shell", "kill -TERM $(cat "+filepath.Join(stateOf(s), "pid")+")")
	x.until("ended: 130")
	journalWhole(t, s)
}

// TestTinyTerminals: a line that says so, whatever the size, and a way out.
func TestTinyTerminals(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, size := range [][2]int{{20, 5}, {1, 1}, {59, 15}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			x := consoleOn(t, s, "", size[0], size[1])
			x.line("cutover; e=$?; tmux -L " + x.socket + " resize-window -x 80 -y 24; echo ended: $e")
			if size[0] > 1 {
				x.until("needs 60")
			} else {
				x.until("…")
			}
			x.keys("q")
			x.until("ended: 0")
		})
	}
}

// TestReadOnlyConsole offers no key that changes anything, and refuses it.
func TestReadOnlyConsole(t *testing.T) {
	t.Parallel()
	s := start(t)
	endpoint := awsErrors(t, s, nil)
	x := consoleOn(t, s, endpoint.URL, 120, 40, "NO_COLOR=1")
	raw := filepath.Join(t.TempDir(), "raw")
	x.tmux("pipe-pane", "-O", "cat > "+raw)
	x.line("cutover --read-only; echo ended: $?")
	x.until("read-only", "Hosts: 0 of 24 on new", argocd)
	screen := x.screen()
	for _, word := range []string{"toggle", "undo", "weight"} {
		if strings.Contains(screen, word) {
			t.Errorf("%q is offered:\n%s", word, screen)
		}
	}
	x.keys("?")
	help := x.until("esc close")
	for _, word := range []string{"toggle", "undo", "take back", "roll everything"} {
		if strings.Contains(help, word) {
			t.Errorf("help offers %q:\n%s", word, help)
		}
	}
	x.escape()
	x.keys("t", "y", "z", "y", "Z", "y")
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t", "y")
	x.keys("q")
	x.until("ended: 0")
	if n := endpoint.count("ModifyRule"); n != 0 {
		t.Errorf("%d writes", n)
	}
	content, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	if colour := regexp.MustCompile("\x1b\\[[0-9;:]*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:[;:][0-9;:]*)?m").Find(content); colour != nil {
		t.Errorf("NO_COLOR, but %q", colour)
	}
	nothingChanged(t, s)
}
