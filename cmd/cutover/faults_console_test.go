package main

import (
	"strings"
	"testing"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// opened is a console on a sandbox, at the hosts.
func opened(t *testing.T, s *sandbox.Sandbox) *terminal {
	t.Helper()
	x := consoleOn(t, s, "", 160, 45)
	x.line("cutover; echo ended: $?")
	x.until("Hosts: 0 of 24 on new", " live")
	return x
}

// move asks for a host to be moved to new, and confirms.
func (x *terminal) move(host string) {
	x.t.Helper()
	x.keys("/", host, "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move "+host+" to new", "ready")
	x.keys("y")
}

// TestFaultsInTheConsole: the header says what cannot be reached, why, and how
// old it is what is shown; keys answer meanwhile; and it heals by itself.
func TestFaultsInTheConsole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fault, words string }{
		{"aws-throttle", "aws: throttled, "},
		{"aws-5xx", "aws: lost, "},
		{"aws-denied", "aws: denied, "},
		{"aws-expired", "aws: expired, "},
		{"aws-timeout-before", "aws: lost, "},
		{"kube-away", "kubernetes: lost, "},
		{"kube-expired", "kubernetes: denied, "},
		{"kube-forbidden virtualservices", "kubernetes: denied, list virtualservices"},
		{"kube-slow 1h", "kubernetes: lost, "},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			x := opened(t, s)
			fault(t, s, strings.Fields(c.fault)...)
			x.header(c.words, " old")
			x.keys("?")
			x.until("Keys that work here and now", argocd) // What was known is still shown.
			x.escape()
			x.until("? help")
			fault(t, s, "off")
			x.header(" live")
			x.keys("q")
			x.until("ended: 0")
		})
	}
}

// TestQuitWhileNothingAnswers: a call that is under way, and that nobody
// answers, holds nobody up.
func TestQuitWhileNothingAnswers(t *testing.T) {
	t.Parallel()
	s := start(t)
	x := opened(t, s)
	fault(t, s, "aws-slow", "1h")
	fault(t, s, "kube-slow", "1h")
	x.header("aws: lost", "kubernetes: lost", " old")
	x.keys("q")
	x.until("ended: 0")
}

// TestOthersInTheConsole: what others do is seen as it is, also where the
// cluster can be listed only, and it is seen when it has been put back.
func TestOthersInTheConsole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ before, fault, shown, activity, healed string }{
		{"", "aws-drift", argocd + " public alb:443 split ████░░░░ 50", "10 changed by somebody else", argocd + " public alb:443 old ████████ 0"},
		{"", "argocd-takes-back", "blocked: argocd/argocd lists only", "argocd/argocd old only", "argocd/argocd both"},
		{"kube-watch-broken", "argocd-takes-back", "blocked: argocd/argocd lists only", "argocd/argocd old only", "argocd/argocd both"},
		{"kube-watch-broken error", "argocd-takes-back", "blocked: argocd/argocd lists only", "argocd/argocd old only", "argocd/argocd both"},
		{"kube-watch-broken gone", "argocd-takes-back", "blocked: argocd/argocd lists only", "argocd/argocd old only", "argocd/argocd both"},
	} {
		t.Run(c.before+" "+c.fault, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			x := opened(t, s)
			if c.before != "" {
				fault(t, s, strings.Fields(c.before)...)
			}
			fault(t, s, c.fault)
			x.untilSaid(c.shown, c.activity, " live")
			fault(t, s, c.fault, "off")
			x.untilSaid(c.healed, " live")
			x.keys("q")
			x.until("ended: 0")
		})
	}
}

// TestWritesThatGoWrongInTheConsole: of each the console says what became of it,
// and the next one goes through once the fault is off.
func TestWritesThatGoWrongInTheConsole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault string
		words string // empty: the host moves all the same
	}{
		{"aws-throttle ModifyRule:2", ""},
		{"aws-timeout-after ModifyRule:1", ""},
		{"aws-timeout-before ModifyRule:1", "no answer in time"},
		{"aws-denied writes", "AccessDenied"},
		{"journal-full", "no space left on device"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			x := opened(t, s)
			fault(t, s, strings.Fields(c.fault)...)
			x.move(argocd)
			if c.words != "" {
				x.untilSaid(c.words, "Hosts: 0 of 24 on new")
				fault(t, s, "off")
				journalWhole(t, s)
				x.keys("Escape")
				x.until("registry.bigbang") // The filter has gone.
				x.move(argocd)
			}
			x.until("1 of 24 on new", "argocd → new proven")
			x.keys("q")
			x.until("ended: 0")
			fault(t, s, "off")
			says{[]string{"rollback", "--all", "--yes"}, 0, "done rolled-back", ""}.check(t, s)
			nothingChanged(t, s)
		})
	}
}
