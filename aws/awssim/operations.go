package awssim

import (
	"reflect"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Versions of the services, by which requests are dispatched, and the names
// under which credentials for them are scoped.
const (
	versionELB     = "2015-12-01"
	versionEC2     = "2016-11-15"
	versionScaling = "2011-01-01"
	versionSTS     = "2011-06-15"
	serviceELB     = "elasticloadbalancing"
	serviceEC2     = "ec2"
	serviceScaling = "autoscaling"
	serviceSTS     = "sts"
)

// operations lists what can be called, by version and name.
func (s *Sim) operations() map[string]api {
	return map[string]api{
		versionELB: {
			dialect:   queryDialect(),
			service:   serviceELB,
			namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
			operations: map[string]operation{
				"DescribeAccountLimits":          reads(s.describeAccountLimits),
				"DescribeListenerAttributes":     reads(s.describeListenerAttributes),
				"DescribeListenerCertificates":   reads(s.describeListenerCertificates),
				"DescribeListeners":              reads(s.describeListeners),
				"DescribeLoadBalancerAttributes": reads(s.describeLoadBalancerAttributes),
				"DescribeLoadBalancers":          reads(s.describeLoadBalancers),
				"DescribeRules":                  reads(s.describeRules),
				"DescribeTags":                   reads(s.describeTags),
				"DescribeTargetGroupAttributes":  reads(s.describeTargetGroupAttributes),
				"DescribeTargetGroups":           reads(s.describeTargetGroups),
				"DescribeTargetHealth":           reads(s.describeTargetHealth),

				"AddTags":                     writes(s.addTags),
				"CreateListener":              writes(s.createListener),
				"CreateLoadBalancer":          writes(s.createLoadBalancer),
				"CreateRule":                  writes(s.createRule),
				"CreateTargetGroup":           writes(s.createTargetGroup),
				"DeleteListener":              writes(s.deleteListener),
				"DeleteLoadBalancer":          writes(s.deleteLoadBalancer),
				"DeleteRule":                  writes(s.deleteRule),
				"DeleteTargetGroup":           writes(s.deleteTargetGroup),
				"DeregisterTargets":           writes(s.deregisterTargets),
				"ModifyListener":              writes(s.modifyListener),
				"ModifyRule":                  writes(s.modifyRule),
				"ModifyTargetGroupAttributes": writes(s.modifyTargetGroupAttributes),
				"RegisterTargets":             writes(s.registerTargets),
				"RemoveTags":                  writes(s.removeTags),
				"SetRulePriorities":           writes(s.setRulePriorities),
			},
		},
		versionEC2: {
			dialect:   ec2Dialect(),
			service:   serviceEC2,
			namespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
			operations: map[string]operation{
				"DescribeInstances":           reads(s.describeInstances),
				"DescribeSecurityGroupRules":  reads(s.describeSecurityGroupRules),
				"DescribeSecurityGroups":      reads(s.describeSecurityGroups),
				"DescribeSubnets":             reads(s.describeSubnets),
				"DescribeVpcs":                reads(s.describeVpcs),
				"GetManagedPrefixListEntries": reads(s.getManagedPrefixListEntries),

				"AuthorizeSecurityGroupIngress": writes(s.authorizeSecurityGroupIngress),
				"RevokeSecurityGroupIngress":    writes(s.revokeSecurityGroupIngress),
			},
		},
		versionScaling: {
			dialect:   queryDialect(),
			service:   serviceScaling,
			namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/",
			operations: map[string]operation{
				"DescribeAutoScalingGroups":        reads(s.describeAutoScalingGroups),
				"DescribeLoadBalancerTargetGroups": reads(s.describeLoadBalancerTargetGroups),
				"DescribeTrafficSources":           reads(s.describeTrafficSources),

				"AttachLoadBalancerTargetGroups": writes(s.attachLoadBalancerTargetGroups),
				"DetachLoadBalancerTargetGroups": writes(s.detachLoadBalancerTargetGroups),
			},
		},
		versionSTS: {
			dialect:   queryDialect(),
			service:   serviceSTS,
			namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
			operations: map[string]operation{
				"GetCallerIdentity": reads(s.getCallerIdentity),
			},
		},
	}
}

func reads[I, O any](run func(*I) (*O, error)) operation  { return operationOf(run, false) }
func writes[I, O any](run func(*I) (*O, error)) operation { return operationOf(run, true) }

func operationOf[I, O any](run func(*I) (*O, error), write bool) operation {
	return operation{
		input:  reflect.TypeFor[*I](),
		output: reflect.TypeFor[*O](),
		write:  write,
		run: func(input any) (any, error) {
			output, err := run(input.(*I))
			if err != nil {
				return nil, err
			}
			return output, nil
		},
	}
}

// caller is the ARN of whoever calls.
func (s *Sim) caller() string {
	return "arn:" + s.cfg.Partition + ":iam::" + s.cfg.Account + ":user/operator"
}

func (s *Sim) getCallerIdentity(*sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{
		Account: new(s.cfg.Account),
		Arn:     new(s.caller()),
		UserId:  new("AIDAEXAMPLEOPERATOR00"),
	}, nil
}
