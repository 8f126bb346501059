package aws

import (
	"fmt"
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/time/rate"
)

// largeWorld has 3 application load balancers with two listeners each, of
// which one holds 100 rules of one to three hosts, a network load balancer and
// 10 target groups: some 500 hosts.
func largeWorld(b *testing.B) (endpoint string) {
	sim, endpoint := startSim(b)
	create := func(in any) any {
		b.Helper()
		out, err := sim.Call(b.Context(), in)
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	balancer := func(name string, kind types.LoadBalancerTypeEnum) *string {
		out := create(&elb.CreateLoadBalancerInput{Name: &name, Type: kind, Subnets: []string{"subnet-a", "subnet-b"}})
		return out.(*elb.CreateLoadBalancerOutput).LoadBalancers[0].LoadBalancerArn
	}
	group := func(name string, protocol types.ProtocolEnum, port int32) string {
		out := create(&elb.CreateTargetGroupInput{Name: &name, Protocol: protocol, Port: &port, VpcId: new("vpc-1"), TargetType: types.TargetTypeEnumIp})
		return *out.(*elb.CreateTargetGroupOutput).TargetGroups[0].TargetGroupArn
	}
	listener := func(lb *string, protocol types.ProtocolEnum, port int32, action types.Action) *string {
		out := create(&elb.CreateListenerInput{LoadBalancerArn: lb, Protocol: protocol, Port: &port, DefaultActions: []types.Action{action}})
		return out.(*elb.CreateListenerOutput).Listeners[0].ListenerArn
	}
	for i := range int32(3) {
		lb := balancer(fmt.Sprintf("public-%d", i), types.LoadBalancerTypeEnumApplication)
		old := group(fmt.Sprintf("old-%d", i), types.ProtocolEnumHttp, 30080+100*i)
		group(fmt.Sprintf("new-%d", i), types.ProtocolEnumHttp, 30081+100*i)
		listener(lb, types.ProtocolEnumHttp, 80, redirect())
		l := listener(lb, types.ProtocolEnumHttp, 8080, fixed("404"))
		for n := range int32(100) {
			var hosts []string
			for h := range 1 + n%2 + n%3%2 {
				hosts = append(hosts, fmt.Sprintf("h%d-%d-%d.example", i, n, h))
			}
			create(&elb.CreateRuleInput{
				ListenerArn: l, Priority: new(n + 1), Conditions: []types.RuleCondition{host(hosts...)}, Actions: []types.Action{forward(old)},
			})
		}
	}
	nlb := balancer("passthrough", types.LoadBalancerTypeEnumNetwork)
	for i, port := range []int32{32443, 32080} {
		old := group(fmt.Sprintf("pass-old-%d", i), types.ProtocolEnumTcp, port)
		group(fmt.Sprintf("pass-new-%d", i), types.ProtocolEnumTcp, port+1)
		listener(nlb, types.ProtocolEnumTcp, port, forward(old))
	}
	return endpoint
}

// BenchmarkObserve reads the world of some 500 hosts whole: unpaced, what this
// program and the wire cost; paced, what the operator waits for at the start.
func BenchmarkObserve(b *testing.B) {
	endpoint := largeWorld(b)
	for name, paced := range map[string]bool{"paced": true, "unpaced": false} {
		b.Run(name, func(b *testing.B) {
			calls := 0
			for b.Loop() {
				c := clientFor(b, endpoint, Options{})
				if !paced {
					c.pace.all = rate.NewLimiter(rate.Inf, 1)
				}
				w, done := c.observe(b.Context(), allParts(), nil, urgent)
				rules := 0
				for _, lb := range w.LoadBalancers {
					for _, l := range lb.Listeners {
						rules += len(l.Rules)
					}
				}
				if len(w.Problems) > 0 || rules != 308 {
					b.Fatalf("%d rules, problems: %+v", rules, w.Problems)
				}
				for _, n := range done.calls {
					calls += n
				}
			}
			b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
		})
	}
	b.Run("round", func(b *testing.B) { // What Watch does every few seconds.
		c := clientFor(b, endpoint, Options{})
		c.pace.all = rate.NewLimiter(rate.Inf, 1)
		c.Observe(b.Context())
		calls := 0
		for b.Loop() {
			_, done := c.observe(b.Context(), parts{partRules: true, partNetworkRules: true, partHealth: true}, nil, urgent)
			for _, n := range done.calls {
				calls += n
			}
		}
		b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
	})
}
