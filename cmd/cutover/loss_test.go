package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
	"github.com/istio-cutover/cutover/cmd/internal/sandbox/load"
)

// TestNothingIsLost: clients of every kind ask all hosts for pages, 500 times a
// second in all, while twenty hosts and the passthrough lane go over to new and
// come back; whatever the load balancers' propagation, no request is lost. Under
// the race detector two processors carry a fifth of that. A machine that is too
// busy for the rate before anything moves is asked again for half of it. That is
// good enough anywhere but where CI has the machine to itself, without the race
// detector: there every request of the full rate must be sent.
func TestNothingIsLost(t *testing.T) {
	fastest := 500
	if raceDetector {
		fastest = 100
	}
	strict := os.Getenv("CI") == "true" && !raceDetector
	for _, propagation := range []time.Duration{0, 10 * time.Second} {
		t.Run(fmt.Sprint("propagation ", propagation), func(t *testing.T) {
			for rps := fastest; ; rps /= 2 {
				report, moved := overAndBack(t, propagation, rps)
				t.Logf("%d requests a second offered for %v: %d sent, %d not for want of processors",
					rps, report.Ended.Sub(report.Began).Round(time.Second), report.Sent, report.Unsent)
				if report.Lost > 0 || len(report.Broken) > 0 {
					t.Errorf("lost, or broken from the start: %s", report.Line())
				}
				if !moved && !t.Failed() && rps > 20 {
					continue
				}
				if !moved {
					t.Fatalf("%d requests a second are too many for this machine", rps)
				}
				if strict && (rps < fastest || report.Unsent > 0) {
					t.Errorf("%d requests were not sent at %d a second, want all of %d a second", report.Unsent, rps, fastest)
				}
				for host, seen := range report.ByHost {
					if seen.Sent == 0 {
						t.Errorf("%s was never asked", host)
					}
				}
				return
			}
		})
	}
}

// overAndBack moves the hosts of a world over and back under load, and gives what
// the clients saw. What the commands do wrong fails the test. Nothing is moved
// where the machine is too busy for the load alone.
func overAndBack(t *testing.T, propagation time.Duration, rps int) (report load.Report, moved bool) {
	t.Helper()
	s, err := sandbox.Start(t.Context(), sandbox.Options{Hosts: 31, StateDir: t.TempDir(), Propagation: propagation})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	clients, err := s.Load(t.Context(), rps)
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Stop()
	goOn := func(during time.Duration) {
		more := int(float64(rps) * during.Seconds())
		before := clients.Report()
		waitUntil(t, "the load to go on", func() bool {
			now := clients.Report()
			return now.Sent+now.Unsent >= before.Sent+before.Unsent+more
		})
	}
	goOn(2 * time.Second)
	if clients.Report().Unsent > 0 {
		return clients.Stop(), false
	}
	shift := []string{"shift", "--to", "new", "--yes", "-o", "json", "--no-probe", "--reason", "the test is of the traffic"}
	for _, host := range movable() {
		shift = append(shift, "--host", host, "--override", "probe-new="+host)
	}
	o := ended(t, sandboxed(t, s, "", shift...))
	proven := hostsOf(t, o.stdout, "proven")
	if len(proven) < 20 {
		t.Errorf("%d hosts were proven on new: %v\nexit %d: %s", len(proven), proven, o.exit, o.stderr)
	}
	if o := ended(t, sandboxed(t, s, "", "status")); !strings.Contains(o.stdout, "24 of 31 hosts on new") {
		t.Errorf("after the shift: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	if o := ended(t, sandboxed(t, s, "", "rollback", "--all", "--yes")); o.exit != 0 {
		t.Errorf("rollback: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	// The way back takes its time as well.
	goOn(propagation + time.Second)
	report = clients.Stop()
	if o := ended(t, sandboxed(t, s, "", "status")); !strings.Contains(o.stdout, "0 of 31 hosts on new") {
		t.Errorf("after the way back: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	return report, true
}

// movable gives twenty public hosts of a world of 31 that can go over, and the
// passthrough lane's.
func movable() []string {
	names := []string{
		"argocd", "gitlab", "registry", "*.pages", "grafana", "prometheus", "alertmanager", "portal", "nexus",
		"minio", "minio-api", "neuvector", "mattermost", "keycloak", "sso", "vault", "nifi",
	}
	for i := range 7 {
		names = append(names, fmt.Sprintf("app-%04d", i+1))
	}
	for i, name := range names {
		names[i] = name + ".bigbang.example"
	}
	return names
}

// hostsOf gives the hosts that events of a run are about.
func hostsOf(t *testing.T, events, name string) []string {
	t.Helper()
	var hosts []string
	for line := range strings.Lines(events) {
		var event struct{ Event, Host string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if event.Event == name && !slices.Contains(hosts, event.Host) {
			hosts = append(hosts, event.Host)
		}
	}
	return hosts
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(20 * time.Millisecond) // Between two looks.
	}
}

// TestLoadOfACommand: the line with what was lost comes after the sandbox has
// been interrupted, on standard error and nowhere else.
func TestLoadOfACommand(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--load=-1", "--load=10001", "--load=many"} {
		ended(t, exec.CommandContext(t.Context(), "cutover", "sandbox", flag)).expect(t, 2, "load", "")
	}
	cmd := exec.CommandContext(t.Context(), "cutover", "sandbox", "--load", "200")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if last = lines.Text(); strings.Contains(last, "ctrl-c ends it") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(last), &report); err != nil {
		t.Fatalf("the last line is no report: %v\n%s", err, last)
	}
	if report["sent"] == nil || report["lost"] != 0.0 || report["byCause"] == nil || strings.Contains(stdout.String(), "byCause") {
		t.Errorf("report %s\n%s", last, stdout.String())
	}
}

// TestLoadInTheDemo: what the clients lost is said once the console has left the
// screen, and not before.
func TestLoadInTheDemo(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, 120, 40, "XDG_STATE_HOME="+t.TempDir())
	x.line("cutover demo --load 20; echo ended: $?")
	if screen := x.until("Hosts: 0 of 24 on new", "argocd.bigbang.example"); strings.Contains(screen, `"sent"`) {
		t.Errorf("the console shares the screen:\n%s", screen)
	}
	x.keys("q")
	x.until(`"lost":0`, `"byCause":{}`, "ended: 0")
}
