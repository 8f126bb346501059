package sandbox

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
)

const (
	hostArgument = "HOST"
	// firstHost is the one that every world has, on a rule of its own.
	firstHost = "argocd." + domain
)

// othersFaults are what other people and programs do.
func othersFaults() []fault {
	return []fault{
		{name: "aws-drift", does: "somebody else edits the rule of a host: half of its traffic goes to each side", argument: hostArgument, standard: firstHost, on: editRule},
		{name: "argocd-takes-back", does: "an Argo CD takes the binding of a host to the new gateway back, each time", argument: hostArgument, standard: firstHost, on: takeBack},
	}
}

// editRule halves the traffic of the rule that names a host, as somebody with
// the AWS console would. Switching it off puts back what the rule had, unless it
// was changed again meanwhile.
func editRule(ctx context.Context, s *Sandbox, host string) (*lasting, error) {
	found, err := s.ruleOf(ctx, host)
	if err != nil {
		return nil, err
	}
	groups, err := s.AWS.Call(ctx, &elb.DescribeTargetGroupsInput{LoadBalancerArn: &found.balancer})
	if err != nil {
		return nil, err
	}
	before := found.rule.Actions
	forwards := slices.IndexFunc(before, func(a types.Action) bool { return a.Type == types.ActionTypeEnumForward })
	if forwards < 0 {
		return nil, errArgument(fmt.Sprintf("the rule that names %s forwards nothing", host))
	}
	edited := slices.Clone(before)
	edited[forwards].TargetGroupArn, edited[forwards].ForwardConfig = nil, &types.ForwardActionConfig{}
	for _, g := range groups.(*elb.DescribeTargetGroupsOutput).TargetGroups {
		tuple := types.TargetGroupTuple{TargetGroupArn: g.TargetGroupArn, Weight: new(int32(50))}
		edited[forwards].ForwardConfig.TargetGroups = append(edited[forwards].ForwardConfig.TargetGroups, tuple)
	}
	after, err := s.modifyRule(ctx, found.rule.RuleArn, edited)
	if err != nil {
		return nil, err
	}
	return &lasting{
		now: "somebody else sends half of the traffic for " + host + " to each side: rule " + *found.rule.Priority,
		off: func(ctx context.Context) (string, error) {
			out, err := s.AWS.Call(ctx, &elb.DescribeRulesInput{RuleArns: []string{*found.rule.RuleArn}})
			var failed smithy.APIError
			switch {
			case errors.As(err, &failed) && failed.ErrorCode() == "RuleNotFound":
				return "the rule is not there any more", nil
			case err != nil:
				return "", err
			}
			switch now := out.(*elb.DescribeRulesOutput).Rules[0].Actions; {
			case reflect.DeepEqual(now, before):
				return "", nil
			case !reflect.DeepEqual(now, after):
				return "the rule was changed since, and is left as it is", nil
			}
			_, err = s.modifyRule(ctx, found.rule.RuleArn, before)
			return "", err
		},
	}, nil
}

// foundRule is a rule and the load balancer that it is on.
type foundRule struct {
	balancer string
	rule     types.Rule
}

// ruleOf finds the rule that names a host.
func (s *Sandbox) ruleOf(ctx context.Context, host string) (foundRule, error) {
	balancers, err := s.AWS.Call(ctx, &elb.DescribeLoadBalancersInput{})
	if err != nil {
		return foundRule{}, err
	}
	for _, b := range balancers.(*elb.DescribeLoadBalancersOutput).LoadBalancers {
		listeners, err := s.AWS.Call(ctx, &elb.DescribeListenersInput{LoadBalancerArn: b.LoadBalancerArn})
		if err != nil {
			return foundRule{}, err
		}
		for _, l := range listeners.(*elb.DescribeListenersOutput).Listeners {
			rules, err := s.AWS.Call(ctx, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn})
			if err != nil {
				return foundRule{}, err
			}
			for _, r := range rules.(*elb.DescribeRulesOutput).Rules {
				if slices.ContainsFunc(r.Conditions, func(c types.RuleCondition) bool {
					return c.HostHeaderConfig != nil && slices.ContainsFunc(c.HostHeaderConfig.Values, func(v string) bool { return strings.EqualFold(v, host) })
				}) {
					return foundRule{*b.LoadBalancerArn, r}, nil
				}
			}
		}
	}
	return foundRule{}, errArgument(fmt.Sprintf("no rule of a load balancer names %q", host))
}

// modifyRule gives a rule actions as Describe reports them, and returns what it
// reports then.
func (s *Sandbox) modifyRule(ctx context.Context, arn *string, actions []types.Action) ([]types.Action, error) {
	actions = slices.Clone(actions)
	for i := range actions {
		if oidc := actions[i].AuthenticateOidcConfig; oidc != nil {
			kept := *oidc
			kept.UseExistingClientSecret = new(true) // The secret is never reported.
			actions[i].AuthenticateOidcConfig = &kept
		}
	}
	out, err := s.AWS.Call(ctx, &elb.ModifyRuleInput{RuleArn: arn, Actions: actions})
	if err != nil {
		return nil, err
	}
	return out.(*elb.ModifyRuleOutput).Rules[0].Actions, nil
}
