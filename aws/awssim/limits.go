package awssim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Bounds that an account cannot have raised, or that are the first ones.
const (
	maxTags          = 50   // per resource
	maxTagARNs       = 20   // per call
	maxTargets       = 1000 // per target group, unless the quota is another
	maxPriority      = 50000
	maxWeight        = 999
	maxStickySeconds = 604800
)

// The names of quotas. Where a quota is one of a kind of load balancer, the verb
// stands for the kind.
const (
	limitBalancers       = "%s-load-balancers"
	limitListeners       = "listeners-per-%s-load-balancer"
	limitTargets         = "targets-per-%s-load-balancer"
	limitCertificates    = "certificates-per-%s-load-balancer"
	limitGroupsPerAction = "target-groups-per-action-on-%s-load-balancer"
	limitGroups          = "target-groups"
	limitTargetsPerGroup = "targets-per-target-group"
	limitRegistrations   = "target-id-registrations-per-application-load-balancer"
	limitGroupsPerALB    = "target-groups-per-application-load-balancer"
	limitRules           = "rules-per-application-load-balancer" // default rules not counted
	limitValues          = "condition-values-per-alb-rule"
	limitWildcards       = "condition-wildcards-per-alb-rule"
)

// defaultLimits are AWS's default quotas by the names of DescribeAccountLimits
// (Quotas for your Application and your Network Load Balancers; the example of
// describe-account-limits in the AWS CLI's reference).
func defaultLimits() map[string]int {
	limits := map[string]int{
		limitGroups:          3000,
		limitTargetsPerGroup: maxTargets,
		limitRegistrations:   1000,
		limitGroupsPerALB:    100,
		limitRules:           100,
		limitValues:          5,
		limitWildcards:       5,
	}
	for kind, targets := range map[string]int{"application": 1000, "network": 3000} {
		for name, n := range map[string]int{
			limitBalancers: 50, limitListeners: 50, limitTargets: targets, limitCertificates: 25, limitGroupsPerAction: 5,
		} {
			limits[fmt.Sprintf(name, kind)] = n
		}
	}
	return limits
}

// SetLimit changes a quota of the account, by its name in DescribeAccountLimits,
// and gives what it was. What is there already stays, also where it is more. An
// unknown name is an error.
func (s *Sim) SetLimit(name string, most int) (before int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.limits[name]
	if !ok {
		return 0, fmt.Errorf("there is no quota %q; there are %q", name, slices.Sorted(maps.Keys(s.limits)))
	}
	s.limits[name] = most
	return before, nil
}

// limit gives a quota of the load balancer's kind.
func (s *Sim) limit(lb *loadBalancer, name string) int {
	return s.limits[fmt.Sprintf(name, lb.view.Type)]
}

func (s *Sim) describeAccountLimits(in *elb.DescribeAccountLimitsInput) (*elb.DescribeAccountLimitsOutput, error) {
	var limits []types.Limit
	for _, name := range slices.Sorted(maps.Keys(s.limits)) {
		limits = append(limits, types.Limit{Name: new(name), Max: new(strconv.Itoa(s.limits[name]))})
	}
	limits, next, err := page(limits, func(l types.Limit) string { return *l.Name }, in.Marker, in.PageSize, elbPages())
	if err != nil {
		return nil, err
	}
	return &elb.DescribeAccountLimitsOutput{Limits: limits, NextMarker: next}, nil
}
