package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// fault switches faults by the command, as a person does in another terminal:
// fault(t, s, "aws-slow", "2s"), fault(t, s, "off").
func fault(t *testing.T, s *sandbox.Sandbox, words ...string) outcome {
	t.Helper()
	o := ended(t, sandboxed(t, s, "", append([]string{"sandbox", "fault"}, words...)...))
	if o.exit != 0 && os.Getenv("CI") != "true" && strings.Contains(o.stderr, "must be allowed to mount") {
		t.Skip(o.stderr)
	}
	if o.exit != 0 || o.stderr != "" {
		t.Fatalf("fault %q: exit %d\n%s%s", words, o.exit, o.stdout, o.stderr)
	}
	return o
}

// says is what a command ends with: the exit code and words of its result; with
// a remedy, words of its error line and of the remedy.
type says struct {
	args          []string
	exit          int
	words, remedy string
}

func (x says) check(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	o := ended(t, sandboxed(t, s, "", x.args...))
	if x.remedy != "" {
		o.expect(t, x.exit, x.words, x.remedy)
		return
	}
	// Columns are as wide as what is in them.
	said := strings.Join(strings.Fields(o.stdout), " ")
	if o.exit != x.exit || !strings.Contains(said, x.words) {
		t.Errorf("%q: exit %d, want %d and %q\n%s%s", x.args, o.exit, x.exit, x.words, o.stdout, o.stderr)
	}
}

// TestFaultsInCommands switches every fault of the APIs and of others on, looks
// at what the commands say, and that they are as before once it is off again.
func TestFaultsInCommands(t *testing.T) {
	t.Parallel()
	status := []string{"status"}
	plan := []string{"plan", "--host", argocd, "--to", "new"}
	shift := []string{"shift", "--host", argocd, "--to", "new", "--yes", "--proof", "0", "--wait", "1s"}
	login, login2 := "log in to AWS again", "log in to the cluster again"
	for _, c := range []struct {
		fault string
		said  []says
	}{
		{"aws-throttle", []says{{status, 1, "Throttling: Rate exceeded", "other tools share the account's request quota"}}},
		{"aws-throttle ModifyRule", []says{{status, 0, "0 of 24", ""}, {shift, 1, "ModifyRule", "wait a little and try again"}}},
		{"aws-throttle ModifyRule:3", []says{{shift, 0, "switched", ""}}},
		{"aws-5xx", []says{{status, 1, "aws: ", "AWS has trouble of its own; try again"}}},
		{"aws-5xx writes", []says{{shift, 1, "ModifyRule", "AWS has trouble of its own; try again"}}},
		{"aws-5xx ModifyRule:2", []says{{shift, 0, "switched", ""}}},
		{"aws-denied", []says{
			{status, 7, "AccessDenied: User: arn:aws:iam::111122223333:user/operator is not authorized to perform", "ask for the IAM permission elasticloadbalancing:Describe"},
			{plan, 7, "AccessDenied", "ask for the IAM permission elasticloadbalancing:Describe"},
			{shift, 7, "AccessDenied", "ask for the IAM permission elasticloadbalancing:Describe"},
		}},
		{"aws-denied DescribeTags", []says{{status, 7, "AccessDenied", "elasticloadbalancing:DescribeTags"}, {plan, 0, "verdict: pass", ""}}},
		{"aws-denied ModifyRule", []says{{status, 0, "0 of 24", ""}, {shift, 7, "AccessDenied", "elasticloadbalancing:ModifyRule"}}},
		{"aws-denied GetCallerIdentity", []says{{status, 7, "AccessDenied", "sts:GetCallerIdentity"}}},
		{"aws-expired", []says{
			{status, 7, "ExpiredToken: The security token included in the request is expired", login},
			{plan, 7, "ExpiredToken", login},
			{shift, 7, "ExpiredToken", login},
			{[]string{"probe", "--host", argocd, "--count", "1"}, 7, "ExpiredToken", login},
		}},
		{"aws-timeout-before", []says{{status, 1, "no answer in time", "AWS_ENDPOINT_URL"}}},
		{"aws-timeout-before ModifyRule:1", []says{{shift, 1, "ModifyRule", "AWS_ENDPOINT_URL"}, {shift, 0, "switched", ""}}},
		{"aws-timeout-after", []says{{status, 0, "0 of 24", ""}, {shift, 0, "switched", ""}}},
		{"aws-slow 500ms", []says{{status, 0, "0 of 24", ""}, {shift, 0, "switched", ""}}},
		{"aws-slow 1h", []says{{shift, 1, "no answer in time", "AWS_ENDPOINT_URL"}}},
		{"aws-buckets", []says{{status, 0, "0 of 24", ""}, {plan, 0, "verdict: pass", ""}, {shift, 0, "switched", ""}, {status, 0, "1 of 24", ""}}},
		{"aws-limit", []says{{status, 0, "0 of 24", ""}, {shift, 0, "switched", ""}}},
		{"aws-drift", []says{{status, 0, argocd + " public split alb:443", ""}}},
		{"kube-away", []says{
			{status, 1, "connection refused", "check the kubeconfig's server"},
			{plan, 1, "connection refused", "check the kubeconfig's server"},
			{shift, 1, "connection refused", "check the kubeconfig's server"},
		}},
		{"kube-watch-broken", []says{{status, 0, "0 of 24", ""}, {plan, 0, "verdict: pass", ""}, {shift, 0, "switched", ""}}},
		{"kube-watch-broken gone", []says{{status, 0, "0 of 24", ""}, {plan, 0, "verdict: pass", ""}, {shift, 0, "switched", ""}}},
		{"kube-watch-broken error", []says{{status, 0, "0 of 24", ""}, {plan, 0, "verdict: pass", ""}, {shift, 0, "switched", ""}}},
		{"kube-expired", []says{
			{status, 7, "does not accept the credentials", login2},
			{plan, 7, "does not accept the credentials", login2},
			{shift, 7, "does not accept the credentials", login2},
		}},
		{"kube-forbidden", []says{
			{status, 7, `User "operator" cannot get resource "secrets"`, "ask for the permission to get secrets"},
			{status, 7, "0 of 24 hosts on new", ""}, // The rest goes on, and what could not be read is not absent.
			{status, 7, "wait: secret: cannot tell", ""},
			{plan, 8, "secret wait cannot tell: get secrets", ""},
			{shift, 8, "gate secret", "--wait"},
		}},
		{"kube-forbidden virtualservices", []says{
			{status, 7, "virtualservices", "ask for the permission to list virtualservices"},
			{shift, 7, "virtualservices", "ask for the permission to list virtualservices"},
		}},
		{"kube-slow 500ms", []says{{status, 0, "0 of 24", ""}, {shift, 0, "switched", ""}}},
		{"kube-slow 1h", []says{{status, 1, "no answer in time", "check the kubeconfig's server"}, {shift, 1, "kubernetes", "mend the access or connection"}}},
		{"argocd-takes-back", []says{{status, 0, "block: binding: argocd/argocd lists only istio-system/public", ""}, {plan, 3, "binding block argocd/argocd lists only istio-system/public", ""}, {shift, 3, "argocd/argocd lists only istio-system/public", "mend what the gate names"}}},
		{"journal-full", []says{{status, 0, "0 of 24", ""}, {plan, 0, "verdict: pass", ""}, {shift, 1, "no space left on device", "--state-dir"}}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			if o := fault(t, s, strings.Fields(c.fault)...); !strings.Contains(o.stdout, " is on: ") {
				t.Errorf("it does not say what is on:\n%s", o.stdout)
			}
			for _, said := range c.said {
				said.check(t, s)
			}
			fault(t, s, "off")
			// It heals: what was refused goes through, and comes back.
			if !slices.ContainsFunc(c.said, func(x says) bool { return x.exit == 0 && x.args[0] == "shift" }) {
				says{shift, 0, "switched", ""}.check(t, s)
			}
			says{[]string{"rollback", "--all", "--yes"}, 0, "done rolled-back", ""}.check(t, s)
			nothingChanged(t, s)
		})
	}
}
