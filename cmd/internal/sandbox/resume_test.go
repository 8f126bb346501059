package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// resumed starts a sandbox that goes on in dir, and wants it to say nothing.
func resumed(t *testing.T, dir string, hosts int) *Sandbox {
	t.Helper()
	s := start(t, Options{Resume: dir, Hosts: hosts})
	if err := s.NotResumed(); err != nil {
		t.Fatalf("not resumed: %v", err)
	}
	return s
}

func (s *Sandbox) uid(t *testing.T) string {
	t.Helper()
	kube, _ := s.kube(t)
	system, err := kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(system.UID)
}

// rules gives the rules of the public load balancer by priority.
func (s *Sandbox) rules(t *testing.T) map[string]types.Rule {
	t.Helper()
	_, listener := s.balancer(t, "public-alb")
	out, err := s.AWS.Call(t.Context(), &elb.DescribeRulesInput{ListenerArn: &listener})
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]types.Rule{}
	for _, r := range out.(*elb.DescribeRulesOutput).Rules {
		rules[*r.Priority] = r
	}
	return rules
}

// groups gives the weights of the target groups that a forward names.
func (s *Sandbox) groups(actions []types.Action) string {
	var b strings.Builder
	for _, tuple := range actions[len(actions)-1].ForwardConfig.TargetGroups {
		name := strings.Split(aws.ToString(tuple.TargetGroupArn), "/")[1]
		fmt.Fprintf(&b, "%s=%d ", name, aws.ToInt32(tuple.Weight))
	}
	return strings.TrimSpace(b.String())
}

func (s *Sandbox) defaultActions(t *testing.T, balancer string) []types.Action {
	t.Helper()
	_, listener := s.balancer(t, balancer)
	out, err := s.AWS.Call(t.Context(), &elb.DescribeListenersInput{ListenerArns: []string{listener}})
	if err != nil {
		t.Fatal(err)
	}
	return out.(*elb.DescribeListenersOutput).Listeners[0].DefaultActions
}

func read(t *testing.T, dir string) left {
	t.Helper()
	l, err := readLeft(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	a := resumed(t, dir, 0)
	uid, before := a.uid(t), a.rules(t)
	if a.lookup("XDG_STATE_HOME") != dir {
		t.Errorf("the state directory is %s", a.lookup("XDG_STATE_HOME"))
	}
	_, listener := a.balancer(t, "public-alb")
	_, lane := a.balancer(t, "passthrough-nlb")
	fresh, old := a.groupARN(t, "public-new-https"), a.groupARN(t, "public-old-https")
	client := elb.NewFromConfig(a.aws(t))
	both := types.Action{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
		{TargetGroupArn: &old, Weight: new(int32(0))}, {TargetGroupArn: &fresh, Weight: new(int32(100))},
	}}}
	modify := func(priority string, actions ...types.Action) {
		t.Helper()
		if _, err := client.ModifyRule(t.Context(), &elb.ModifyRuleInput{RuleArn: before[priority].RuleArn, Actions: actions}); err != nil {
			t.Fatal(err)
		}
	}
	modify("10", both)
	// One that is moved and taken back, and one whose secret only AWS knows.
	modify("20", both)
	modify("20", before["20"].Actions...)
	login := before["60"].Actions[0]
	login.AuthenticateOidcConfig.UseExistingClientSecret = new(true)
	both.Order = new(int32(2))
	modify("60", login, both)
	if _, err := client.ModifyListener(t.Context(), &elb.ModifyListenerInput{
		ListenerArn: &lane, DefaultActions: []types.Action{forwardTo(new(a.groupARN(t, "passthrough-new-https")))},
	}); err != nil {
		t.Fatal(err)
	}
	later, err := client.CreateRule(t.Context(), &elb.CreateRuleInput{
		ListenerArn: &listener, Priority: new(int32(9)), Actions: []types.Action{forwardTo(&old)}, Conditions: conditions(rule{hosts: named("later")}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.ModifyRule(t.Context(), &elb.ModifyRuleInput{RuleArn: later.Rules[0].RuleArn, Actions: []types.Action{forwardTo(&fresh)}}); err != nil {
		t.Fatal(err)
	}
	// All of it is there before Close: nothing is lost to a kill.
	l := read(t, dir)
	if l.Cluster != uid || l.Hosts != defaultHosts || len(l.Actions) != 4 {
		t.Errorf("left: %+v with actions of %v", l, slices.Sorted(maps.Keys(l.Actions)))
	}
	name := filepath.Join(dir, worldFile)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", name, info, err)
	}
	if raw, err := os.ReadFile(name); err != nil || strings.Contains(string(raw), "not-a-secret") {
		t.Errorf("%s holds a secret: %v", name, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	// The first writes of a resumed world take their time, resuming does not.
	b := start(t, Options{Resume: dir, Propagation: time.Minute})
	if err := b.NotResumed(); err != nil {
		t.Fatal(err)
	}
	if got := b.uid(t); got != uid {
		t.Errorf("cluster %s, want %s", got, uid)
	}
	after := b.rules(t)
	for priority, r := range before {
		if *after[priority].RuleArn != *r.RuleArn {
			t.Errorf("rule %s is %s, was %s", priority, *after[priority].RuleArn, *r.RuleArn)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d rules, want %d", len(after), len(before))
	}
	const moved = "public-old-https=0 public-new-https=100"
	for priority, want := range map[string]string{
		"10": moved, "60": moved, "20": "public-old-https=1", "30": "public-old-https=1", "default": "public-old-https=1",
	} {
		if got := b.groups(after[priority].Actions); got != want {
			t.Errorf("rule %s: %s, want %s", priority, got, want)
		}
	}
	if len(after["60"].Actions) != 2 || after["60"].Actions[0].Type != types.ActionTypeEnumAuthenticateOidc {
		t.Errorf("authentication is gone: %v", after["60"].Actions)
	}
	if got := b.groups(b.defaultActions(t, "passthrough-nlb")); got != "passthrough-new-https=1" {
		t.Errorf("lane: %s", got)
	}
	alb, _ := b.balancer(t, "public-alb")
	ask := request{url: "https://argocd.bigbang.example/", address: alb, agent: "nonce-resumed"}
	if got := b.status(t, ask); got != "200" || b.answered(t, ask.agent) != "istio-gateway" {
		t.Errorf("traffic: %s by %q", got, b.answered(t, ask.agent))
	}
	again := create(t, b, old)
	if again == *later.Rules[0].RuleArn {
		t.Error("an ARN came again for another rule")
	}
	if got := read(t, dir); len(got.Actions) != 4 {
		t.Errorf("%d actions after resuming", len(got.Actions))
	}
}

func create(t *testing.T, s *Sandbox, group string) string {
	t.Helper()
	_, listener := s.balancer(t, "public-alb")
	out, err := s.AWS.Call(t.Context(), &elb.CreateRuleInput{
		ListenerArn: &listener, Priority: new(int32(9)), Actions: []types.Action{forwardTo(&group)}, Conditions: conditions(rule{hosts: named("later")}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.(*elb.CreateRuleOutput).Rules[0].RuleArn
}

// TestResumeInUse: a second sandbox neither reads nor writes what the first has.
func TestResumeInUse(t *testing.T) {
	dir := t.TempDir()
	a := resumed(t, dir, 2)
	b := start(t, Options{Resume: dir, Hosts: 2})
	if err := b.NotResumed(); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the second one says %v", err)
	}
	if a.uid(t) == b.uid(t) || *a.rules(t)["10"].RuleArn == *b.rules(t)["10"].RuleArn {
		t.Error("two sandboxes are the same world")
	}
	if state := b.lookup("XDG_STATE_HOME"); strings.HasPrefix(state, dir) || state == "" {
		t.Errorf("the second one's state directory is %q", state)
	}
	fresh := b.groupARN(t, "public-new-https")
	if _, err := b.AWS.Call(t.Context(), &elb.ModifyRuleInput{RuleArn: b.rules(t)["10"].RuleArn, Actions: []types.Action{forwardTo(&fresh)}}); err != nil {
		t.Fatal(err)
	}
	if l := read(t, dir); l.Cluster != a.uid(t) || len(l.Actions) != 0 {
		t.Errorf("left: %+v", l)
	}
	uid := a.uid(t)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if c := resumed(t, dir, 2); c.uid(t) != uid {
		t.Error("the world is gone with the sandbox that had it")
	}
}

// TestResumeFromTrouble: whatever the directory holds, a world starts, says why
// it is new, and is there the next time.
func TestResumeFromTrouble(t *testing.T) {
	seed := func(change func(*left)) string {
		l := left{Cluster: "4d6f9a3e-0000-4000-8000-000000000001", Hosts: 2, Shape: shape(newWorld(2)), Actions: map[string][]types.Action{}}
		change(&l)
		raw, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, c := range []struct{ name, content, says string }{
		{"empty", "", "a new one takes its place"},
		{"torn", seed(func(*left) {})[:40], "a new one takes its place"},
		{"no cluster", "{}", "names no cluster"},
		{"other hosts", seed(func(l *left) { l.Hosts = 24 }), "has 24 hosts, not 2"},
		{"other version", seed(func(l *left) { l.Shape = "other" }), "another version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, worldFile), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := newSaved(dir, newWorld(2), nil)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v, want %s", err, c.says)
			}
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			again, err := newSaved(dir, newWorld(2), nil)
			if err != nil || again.Cluster != s.Cluster || s.Cluster == "4d6f9a3e-0000-4000-8000-000000000001" {
				t.Errorf("the next start: %v, cluster %s after %s", err, again.Cluster, s.Cluster)
			}
			if err := again.close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("no directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, Options{Resume: filepath.Join(file, "demo"), Hosts: 2})
		if err := s.NotResumed(); err == nil || !strings.Contains(err.Error(), "new world") {
			t.Errorf("says %v", err)
		}
	})
	t.Run("actions that are refused", func(t *testing.T) {
		dir := t.TempDir()
		gone := "arn:aws:elasticloadbalancing:us-east-1:111122223333:listener-rule/app/public-alb/1/2/3"
		content := seed(func(l *left) { l.Actions[gone] = []types.Action{forwardTo(&gone)} })
		if err := os.WriteFile(filepath.Join(dir, worldFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, Options{Resume: dir, Hosts: 2})
		if err := s.NotResumed(); err == nil || !strings.Contains(err.Error(), gone+" is as it was in the beginning") {
			t.Errorf("says %v", err)
		}
		if s.uid(t) != "4d6f9a3e-0000-4000-8000-000000000001" {
			t.Errorf("cluster %s", s.uid(t))
		}
	})
}
