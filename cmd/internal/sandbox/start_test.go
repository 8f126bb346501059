package sandbox

import (
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// A world of 300 hosts has a hundred rules and three load balancers.
func TestLargeWorldHasItsParts(t *testing.T) {
	s := start(t, Options{Hosts: 300})
	listed, err := s.AWS.Call(t.Context(), &elb.DescribeLoadBalancersInput{})
	if err != nil {
		t.Fatal(err)
	}
	kinds, rules := map[types.LoadBalancerTypeEnum]int{}, 0
	for _, lb := range listed.(*elb.DescribeLoadBalancersOutput).LoadBalancers {
		kinds[lb.Type]++
		found, err := s.AWS.Call(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found.(*elb.DescribeListenersOutput).Listeners {
			out, err := s.AWS.Call(t.Context(), &elb.DescribeRulesInput{ListenerArn: l.ListenerArn})
			if err != nil {
				t.Fatal(err)
			}
			rules += len(out.(*elb.DescribeRulesOutput).Rules) - 1
		}
	}
	if kinds[types.LoadBalancerTypeEnumApplication] != 2 || kinds[types.LoadBalancerTypeEnumNetwork] != 1 || rules < 100 {
		t.Errorf("%v, %d rules", kinds, rules)
	}
	sites, err := s.sites(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]bool{}
	for _, site := range sites {
		hosts[site.Host] = true
		if !site.Address.IsValid() {
			t.Errorf("%s is served nowhere", site.Host)
		}
	}
	// The one more is redirected, and published by nobody.
	if len(hosts) != 301 {
		t.Errorf("%d hosts are served", len(hosts))
	}
}

// BenchmarkStart makes a world of 300 hosts from nothing until everything in it
// answers, and ends it.
func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s, err := Start(b.Context(), Options{Hosts: 300})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
