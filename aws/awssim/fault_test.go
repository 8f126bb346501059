package awssim

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// inject makes calls fail until the test ends.
func inject(t *testing.T, s *Sim, f Fault) *InjectedFault {
	t.Helper()
	injected, err := s.Inject(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(injected.Remove)
	return injected
}

// failed takes an error apart.
func failed(err error) (status int, code string) {
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	return status, code
}

func TestFaultAnswers(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		fault  Fault
		status int
		code   string
	}{
		{Fault{Kind: Throttled, Calls: AllCalls}, 400, "Throttling"},
		{Fault{Kind: Throttled, Calls: ReadCalls}, 400, "Throttling"},
		{Fault{Kind: Throttled, Calls: "DescribeRules"}, 0, ""},
		{Fault{Kind: Throttled, Calls: WriteCalls}, 0, ""},
		{Fault{Kind: Failing, Calls: AllCalls}, 500, "InternalFailure"},
		{Fault{Kind: Denied, Calls: "DescribeLoadBalancers"}, 403, "AccessDenied"},
		{Fault{Kind: Expired, Calls: AllCalls}, 403, "ExpiredToken"},
	} {
		injected, err := w.sim.Inject(c.fault)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.client.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{})
		if status, code := failed(err); status != c.status || code != c.code {
			t.Errorf("%+v: %d %s, want %d %s: %v", c.fault, status, code, c.status, c.code, err)
		}
		injected.Remove()
		injected.Remove()
		if _, err = w.client.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{}); err != nil {
			t.Errorf("%+v, removed: %v", c.fault, err)
		}
	}
	if _, err := w.sim.Inject(Fault{Calls: "DescribeNothing"}); err == nil {
		t.Error("an operation that there is not was accepted")
	}
	inject(t, w.sim, Fault{Kind: Throttled, Calls: AllCalls})
	if _, err := w.sim.Call(t.Context(), &elb.DescribeLoadBalancersInput{}); err != nil {
		t.Errorf("in process: %v", err)
	}
}

func TestFaultTimes(t *testing.T) {
	w := newWorld(t)
	f := inject(t, w.sim, Fault{Kind: Failing, Calls: "DescribeLoadBalancers", Times: 3})
	var codes []string
	for range 4 {
		_, err := w.client.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{})
		_, code := failed(err)
		codes = append(codes, code)
	}
	if want := []string{"InternalFailure", "ServiceUnavailable", "InternalFailure", ""}; !slices.Equal(codes, want) || !f.Over() {
		t.Errorf("%q, want %q, over %t", codes, want, f.Over())
	}
}

// TestDeniedIdentity: AWS tells everybody who he is, unless that is denied by name.
func TestDeniedIdentity(t *testing.T) {
	w := newWorld(t)
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: new(w.endpoint), Credentials: w.client.Options().Credentials, RetryMaxAttempts: 1})
	denied := inject(t, w.sim, Fault{Kind: Denied, Calls: AllCalls})
	if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
	denied.Remove()
	inject(t, w.sim, Fault{Kind: Denied, Calls: "GetCallerIdentity"})
	_, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if _, code := failed(err); code != "AccessDenied" {
		t.Error(err)
	}
}

// TestNoAnswer: one call is carried out and the other not, and neither is told.
func TestNoAnswer(t *testing.T) {
	for _, c := range []struct {
		kind   FaultKind
		groups int
	}{{Unheard, 0}, {Unanswered, 1}} {
		w := newWorld(t)
		f := inject(t, w.sim, Fault{Kind: c.kind, Calls: WriteCalls})
		create := &elb.CreateTargetGroupInput{Name: new("late"), Protocol: types.ProtocolEnumHttp, Port: new(int32(80)), VpcId: new("vpc-1")}
		ended := make(chan error, 1)
		go func() {
			_, err := w.client.CreateTargetGroup(t.Context(), create)
			ended <- err
		}()
		eventually(t, "the call has come", func() bool { return f.Met() > 0 })
		f.Remove() // What waits ends with the fault, unanswered.
		if err := <-ended; err == nil {
			t.Errorf("%v: it was answered", c.kind)
		}
		out, err := w.client.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{})
		if err != nil || len(out.TargetGroups) != c.groups {
			t.Errorf("%v: %d groups, want %d: %v", c.kind, len(out.TargetGroups), c.groups, err)
		}
		if calls := w.sim.Calls(); !slices.ContainsFunc(calls, func(c Call) bool { return c.Action == "CreateTargetGroup" }) {
			t.Errorf("%v: it is not in the log of calls: %+v", c.kind, calls)
		}
		// A client that has no more patience is let go, too.
		inject(t, w.sim, Fault{Kind: c.kind, Calls: ReadCalls})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := w.client.DescribeRules(ctx, &elb.DescribeRulesInput{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v: %v", c.kind, err)
		}
		cancel()
	}
}

// TestSlow: an answer comes once the fault has ended, and not before.
func TestSlow(t *testing.T) {
	w := newWorld(t)
	slow := inject(t, w.sim, Fault{Kind: Slow, Calls: AllCalls, Delay: time.Hour})
	ended := make(chan error, 1)
	go func() {
		_, err := w.client.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{})
		ended <- err
	}()
	eventually(t, "the call has come", func() bool { return slow.Met() > 0 })
	select {
	case err := <-ended:
		t.Errorf("it was answered at once: %v", err)
	default:
	}
	slow.Remove()
	if err := <-ended; err != nil {
		t.Errorf("once the fault has ended: %v", err)
	}
}

func TestSlowFaultsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := New(Config{})
		defer sim.Close()
		for calls, delay := range map[string]time.Duration{AllCalls: 20 * time.Second, ReadCalls: 30 * time.Second} {
			inject(t, sim, Fault{Kind: Slow, Calls: calls, Delay: delay})
		}
		for write, want := range map[bool]time.Duration{false: 50 * time.Second, true: 20 * time.Second} {
			began := time.Now()
			if err := sim.faults.meet("AnyCall", write).after(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("write %v: it was answered after %s, want %s", write, took, want)
			}
		}
	})
}
