package sandbox

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/model"
)

func (s *Sandbox) elb(t *testing.T) *elb.Client {
	t.Helper()
	return elb.NewFromConfig(s.aws(t))
}

// on is what a sandbox says is on, by name.
func on(t *testing.T, c Control) map[string]string {
	t.Helper()
	all, err := c.Faults(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, f := range all {
		if f.On {
			names[f.Name] = f.Now
		}
	}
	return names
}

func TestFaultsAreSwitched(t *testing.T) {
	s := start(t, Options{})
	control := Control{URL: s.lookup("CUTOVER_SANDBOX_CONTROL")}
	client := s.elb(t)
	describe := func() string {
		_, err := client.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{})
		var api smithy.APIError
		if errors.As(err, &api) {
			return api.ErrorCode()
		}
		if err != nil {
			return err.Error()
		}
		return ""
	}
	if got := on(t, control); len(got) != 0 {
		t.Errorf("on at the start: %v", got)
	}
	f, err := control.Fault(t.Context(), "aws-denied", "")
	if err != nil || !f.On || f.Now == "" {
		t.Fatalf("%+v %v", f, err)
	}
	if got := describe(); got != "AccessDenied" {
		t.Errorf("denied: %q", got)
	}
	if _, err := control.Fault(t.Context(), "aws-expired", ""); err != nil {
		t.Fatal(err)
	}
	// The first that was switched on counts; switched on again it is the last.
	if _, err := control.Fault(t.Context(), "aws-denied", "DescribeRules"); err != nil {
		t.Fatal(err)
	}
	if got := describe(); got != "ExpiredToken" {
		t.Errorf("expired: %q", got)
	}
	if got := on(t, control); len(got) != 2 || !strings.Contains(got["aws-denied"], "DescribeRules") {
		t.Errorf("on: %v", got)
	}
	if f, err := control.FaultOff(t.Context(), "aws-expired"); err != nil || f.On || f.Now != "" {
		t.Errorf("%+v %v", f, err)
	}
	if got := describe(); got != "" {
		t.Errorf("healed: %q", got)
	}
	if err := control.FaultsOff(t.Context()); err != nil {
		t.Error(err)
	}
	if got := on(t, control); len(got) != 0 {
		t.Errorf("on at the end: %v", got)
	}
}

func TestFaultThatEndsByItself(t *testing.T) {
	s := start(t, Options{})
	if _, err := s.Fault(t.Context(), "aws-5xx", "DescribeLoadBalancers:2"); err != nil {
		t.Fatal(err)
	}
	// The SDK tries three times.
	if _, err := s.elb(t).DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{}); err != nil {
		t.Error(err)
	}
	if i := slices.IndexFunc(s.Faults(), func(f Fault) bool { return f.On }); i >= 0 {
		t.Errorf("on: %+v", s.Faults()[i])
	}
}

// TestRequestQuotas: whoever calls more often than AWS allows is throttled, as
// long as the fault is on.
func TestRequestQuotas(t *testing.T) {
	s := start(t, Options{})
	client := s.elb(t)
	// A write that changes nothing; AWS takes twenty at once.
	write := func() string {
		none := "arn:aws:elasticloadbalancing:us-east-1:111122223333:listener-rule/app/none/0/0/0"
		_, err := client.DeleteRule(t.Context(), &elb.DeleteRuleInput{RuleArn: &none}, func(o *elb.Options) { o.RetryMaxAttempts = 1 })
		var api smithy.APIError
		if !errors.As(err, &api) {
			t.Fatal(err)
		}
		return api.ErrorCode()
	}
	unthrottled := func(when string) {
		t.Helper()
		for range 40 {
			if code := write(); code != "RuleNotFound" {
				t.Fatalf("%s: %s", when, code)
			}
		}
	}
	unthrottled("before")
	if _, err := s.Fault(t.Context(), "aws-buckets", ""); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for write() != "Throttling" {
		if time.Now().After(deadline) {
			t.Fatal("nothing was throttled")
		}
	}
	if _, err := s.FaultOff(t.Context(), "aws-buckets"); err != nil {
		t.Fatal(err)
	}
	unthrottled("healed")
}

// TestQuotaOfTheAccount: the account's limits report it, and it is kept to.
func TestQuotaOfTheAccount(t *testing.T) {
	s := start(t, Options{})
	client := s.elb(t)
	quota := func() string {
		t.Helper()
		out, err := client.DescribeAccountLimits(t.Context(), &elb.DescribeAccountLimitsInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range out.Limits {
			if *l.Name == "target-groups" {
				return *l.Max
			}
		}
		return ""
	}
	create := func() string {
		t.Helper()
		_, err := client.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: new("more"), TargetType: "ip", Protocol: "HTTP", Port: new(int32(80)), VpcId: s.vpc(t)})
		var api smithy.APIError
		if errors.As(err, &api) {
			return api.ErrorCode()
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	// Switched on anew it begins from what was there at first.
	for _, limit := range []string{"2", "1"} {
		if _, err := s.Fault(t.Context(), "aws-limit", "target-groups="+limit); err != nil {
			t.Fatal(err)
		}
		if got := quota(); got != limit {
			t.Errorf("the quota is %s, want %s", got, limit)
		}
		if got := create(); got != "TooManyTargetGroups" {
			t.Errorf("one more: %q", got)
		}
	}
	if _, err := s.FaultOff(t.Context(), "aws-limit"); err != nil {
		t.Fatal(err)
	}
	if got := quota(); got != "3000" {
		t.Errorf("healed, the quota is %s", got)
	}
	if got := create(); got != "" {
		t.Errorf("healed, one more: %q", got)
	}
}

// vpc is the one of the target groups there are.
func (s *Sandbox) vpc(t *testing.T) *string {
	t.Helper()
	out, err := s.elb(t).DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.TargetGroups[0].VpcId
}

func TestWhatCannotBeSwitched(t *testing.T) {
	s := start(t, Options{})
	control := Control{URL: s.ControlURL()}
	for _, c := range []struct{ name, argument, message, remedy string }{
		{"aws-throtle", "", "no fault has this name", "the nearest: aws-throttle"},
		{"throttle", "", "no fault has this name", "aws-throttle"},
		{"nonsense", "", "no fault has this name", "cutover sandbox fault lists all"},
		{"", "", "", ""},
		{"aws-expired", "1", "it takes no argument", "cutover sandbox fault aws-expired"},
		{"aws-throttle", "ModifyRules", `no operation "ModifyRules"`, "[CALLS[:TIMES]]"},
		{"aws-throttle", "ModifyRule:0", `"0" is no number of calls`, "[CALLS[:TIMES]]"},
		{"aws-limit", "rules=3", `no quota "rules"`, "[NAME=N]"},
		{"aws-limit", "target-groups", `"target-groups" is no quota`, "[NAME=N]"},
		{"aws-limit", "target-groups=-1", `"target-groups=-1" is no quota`, "[NAME=N]"},
		{"aws-buckets", "3", "it takes no argument", "cutover sandbox fault aws-buckets"},
		{"aws-slow", "soon", `"soon" is no duration`, "[DURATION]"},
		{"aws-slow", "-1s", `"-1s" is no duration`, "[DURATION]"},
	} {
		_, local := s.Fault(t.Context(), c.name, c.argument)
		_, remote := control.Fault(t.Context(), c.name, c.argument)
		for where, err := range map[string]error{"in process": local, "by the URL": remote} {
			if c.name == "" && where == "by the URL" {
				continue // That is the list of all.
			}
			var e *model.Error
			if !errors.As(err, &e) || e.Kind != model.KindUsage || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Remedy, c.remedy) {
				t.Errorf("%s %q %s: %+v", c.name, c.argument, where, err)
			}
		}
	}
	if got := on(t, control); len(got) != 0 {
		t.Errorf("on: %v", got)
	}
}

// TestControlIsReachedByWhoKnowsItsURL: loopback is everybody's.
func TestControlIsReachedByWhoKnowsItsURL(t *testing.T) {
	s := start(t, Options{})
	base := s.ControlURL()[:strings.LastIndex(s.ControlURL(), "/")]
	for _, wrong := range []string{base, base + "/", base + "/" + strings.Repeat("0", 32), "http://127.0.0.1:9/x", "://"} {
		_, err := (Control{URL: wrong}).Fault(t.Context(), "aws-expired", "")
		if model.KindOf(err) != model.KindUnreachable {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	if _, err := (Control{URL: s.ControlURL()}).Faults(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := (Control{URL: s.ControlURL()}).Faults(t.Context()); model.KindOf(err) != model.KindUnreachable {
		t.Errorf("after the end: %v", err)
	}
	if _, err := s.Fault(t.Context(), "aws-expired", ""); model.KindOf(err) != model.KindUnreachable {
		t.Errorf("after the end, in process: %v", err)
	}
}

// TestCloseWhileCallsWait: what is never answered holds nobody up.
func TestCloseWhileCallsWait(t *testing.T) {
	for _, name := range []string{"aws-timeout-before", "aws-timeout-after"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{})
			if _, err := s.Fault(t.Context(), name, "all:1"); err != nil {
				t.Fatal(err)
			}
			client := s.elb(t)
			answered := make(chan error, 1)
			go func() {
				_, err := client.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{}, func(o *elb.Options) { o.RetryMaxAttempts = 1 })
				answered <- err
			}()
			// It is over once the call has come, which waits all the same.
			for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(s.Faults(), func(f Fault) bool { return f.On }); {
				if time.Now().After(deadline) {
					t.Fatal("the call never came")
				}
				time.Sleep(time.Millisecond)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-answered; err == nil {
				t.Error("it was answered")
			}
		})
	}
}

func TestKubernetesAPIAway(t *testing.T) {
	s := start(t, Options{})
	kube, _ := s.kube(t)
	watch, err := kube.CoreV1().Pods("").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	if _, err := s.Fault(t.Context(), "kube-away", ""); err != nil {
		t.Fatal(err)
	}
	for range watch.ResultChan() { // It ends.
	}
	if _, err := kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("while it is away: %v", err)
	}
	if _, err := s.FaultOff(t.Context(), "kube-away"); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	// A sandbox that ends while it is away has nothing to complain of.
	if _, err := s.Fault(t.Context(), "kube-away", ""); err != nil {
		t.Fatal(err)
	}
}
