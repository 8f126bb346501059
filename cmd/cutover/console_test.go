package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode"
)

// terminal is a tmux session with a shell in it: what a person has.
type terminal struct {
	t      *testing.T
	socket string
}

func newTerminal(t *testing.T, width, height int, env ...string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tmux is missing")
		}
		t.Skip("tmux is missing: install it to run the tests that need a terminal")
	}
	x := &terminal{t: t, socket: fmt.Sprintf("cutover-test-%d-%d", os.Getpid(), time.Now().UnixNano())}
	args := []string{"-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height)}
	for _, e := range append(env, "PATH="+os.Getenv("PATH"), "PS1=$ ", "LC_ALL=C.UTF-8") {
		args = append(args, "-e", e)
	}
	x.tmux(append(args, "sh")...)
	t.Cleanup(func() { _ = x.command("kill-server").Run() })
	return x
}

func (x *terminal) command(args ...string) *exec.Cmd {
	// Not the test's context, which has ended when the server is to be killed.
	return exec.Command("tmux", append([]string{"-L", x.socket}, args...)...)
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := x.command(args...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (x *terminal) keys(keys ...string) { x.tmux(append([]string{"send-keys"}, keys...)...) }

// line types a line at the shell's prompt.
func (x *terminal) line(s string) { x.keys(s, "Enter") }

func (x *terminal) screen() string { return x.tmux("capture-pane", "-p") }

// until waits until the screen holds all of the words.
func (x *terminal) until(words ...string) string {
	x.t.Helper()
	return x.untilIn(func(screen string) string { return screen }, words)
}

// untilSaid is until whatever the columns' widths and the frames between them are.
func (x *terminal) untilSaid(words ...string) string {
	x.t.Helper()
	return x.untilIn(func(screen string) string {
		return strings.Join(strings.FieldsFunc(screen, func(r rune) bool { return unicode.IsSpace(r) || r == '│' || r == '▸' }), " ")
	}, words)
}

func (x *terminal) untilIn(read func(screen string) string, words []string) string {
	x.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		screen := x.screen()
		missing := ""
		for _, w := range words {
			if !strings.Contains(read(screen), w) {
				missing = w
			}
		}
		if missing == "" {
			return screen
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%q never came:\n%s", missing, screen)
		}
		time.Sleep(50 * time.Millisecond) // Between two looks at the screen.
	}
}

// TestDemoInATerminal is the main job as a person does it: see a host, move it,
// see it proven, take it back; be told why another is blocked; quit, and find
// what was done after a restart.
func TestDemoInATerminal(t *testing.T) {
	for _, size := range []struct{ width, height int }{{120, 40}, {80, 24}} {
		t.Run(fmt.Sprintf("%dx%d", size.width, size.height), func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t, size.width, size.height, "XDG_STATE_HOME="+t.TempDir())
			x.line("cutover demo --propagation 2s; echo ended: $?")
			x.until("Hosts: 0 of 24 on new", "argocd.bigbang.example")

			x.keys("/", "argocd", "Enter")
			x.until("1 of 1")
			x.keys("t")
			x.until("Move argocd.bigbang.example to new", "ready")
			x.keys("Enter") // Cancel has the focus.
			x.until("0 of 24 on new")
			x.keys("t")
			x.until("Move argocd.bigbang.example to new", "ready")
			x.keys("y")
			x.until("switched, unproven")
			x.until("1 of 24 on new", "argocd → new proven")

			x.keys("z")
			x.until("Take the last run back", "the way back is never blocked")
			x.keys("y")
			x.until("0 of 24 on new", "argocd → old proven")

			x.keys("Escape")
			x.until("registry.bigbang") // A key right after escape would be alt and that key.
			x.keys("/", "jira", "Enter")
			x.until("1 of 1")
			x.keys("t")
			x.until("block", "jira/jira lists only istio-system/public")
			x.keys("Escape")
			x.until("1 of 1")

			x.tmux("resize-window", "-x", "20", "-y", "5")
			x.until("60×16")
			x.tmux("resize-window", "-x", "100", "-y", "30")
			x.until("Hosts")
			x.keys("q")
			x.until("ended: 0")

			x.line("clear; cutover demo --propagation 2s; echo ended: $?")
			x.until("Hosts")
			x.keys("7")
			x.until("argocd → old proven", "argocd → new proven")
			x.keys("C-c")
			x.until("ended: 0")
		})
	}
}
