package awssim

import (
	"net/http"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// The buckets of AWS, by the test's clock: 40 calls that read at once and 10 a
// second, writes apart, each service for itself, calls in process not at all.
func TestThrottling(t *testing.T) {
	w := newWorld(t)
	at := time.Unix(1_800_000_000, 0)
	w.sim.now = func() time.Time { return at }
	w.sim.SetThrottle(DefaultThrottle())
	describe := func() string {
		t.Helper()
		return w.post(t, serviceELB, "DescribeLoadBalancers", versionELB)
	}
	allowed := func(call func() string, most int) int {
		t.Helper()
		for n := range most {
			if call() != "" {
				return n
			}
		}
		return most
	}
	if n := allowed(describe, 100); n != 40 {
		t.Errorf("%d calls that read were taken at once, want 40", n)
	}
	refused(w, "Throttling", w.client.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{})
	w.loadBalancer("writes-are-counted-apart", types.LoadBalancerTypeEnumApplication)
	if code := w.post(t, serviceEC2, "DescribeVpcs", versionEC2); code != "" {
		t.Errorf("another service is refused: %s", code)
	}
	if _, err := w.sim.Call(t.Context(), &elb.DescribeLoadBalancersInput{}); err != nil {
		t.Errorf("a call in process: %v", err)
	}
	at = at.Add(time.Second)
	if n := allowed(describe, 100); n != 10 {
		t.Errorf("after a second %d calls were taken, want 10", n)
	}
	at = at.Add(time.Hour)
	if n := allowed(describe, 100); n != 40 {
		t.Errorf("after an hour %d calls were taken, want 40", n)
	}

	w.sim.SetThrottle(Throttle{Reads: Bucket{Size: 1}})
	w.post(t, serviceEC2, "DescribeVpcs", versionEC2)
	if code := w.post(t, serviceEC2, "DescribeVpcs", versionEC2); code != "RequestLimitExceeded" {
		t.Errorf("EC2 refuses with %q", code)
	}
	if status := statusOf("RequestLimitExceeded"); status != http.StatusServiceUnavailable {
		t.Errorf("EC2 refuses with status %d", status)
	}
	w.post(t, serviceScaling, "DescribeAutoScalingGroups", versionScaling)
	if code := w.post(t, serviceScaling, "DescribeAutoScalingGroups", versionScaling); code != "Throttling" {
		t.Errorf("Auto Scaling refuses with %q", code)
	}
	w.sim.SetThrottle(Throttle{})
	if n := allowed(describe, 100); n != 100 {
		t.Errorf("without a throttle %d calls were taken", n)
	}
}

// What every service refuses, EC2 refuses under names of its own ("Error codes
// for the Amazon EC2 API").
func TestEC2HasItsOwnCodes(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		kind FaultKind
		code string
	}{
		{Throttled, "RequestLimitExceeded"}, {Failing, "InternalError"}, {Denied, "UnauthorizedOperation"}, {Expired, "RequestExpired"},
	} {
		fault, err := w.sim.Inject(Fault{Kind: tc.kind, Calls: AllCalls})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.post(t, serviceEC2, "DescribeVpcs", versionEC2); got != tc.code {
			t.Errorf("got %q, want %q", got, tc.code)
		}
		fault.Remove()
	}
	if got := w.post(t, serviceELB, "DescribeVpcs", versionEC2); got != "AuthFailure" {
		t.Errorf("signed for another service: %q", got)
	}
}
