package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/istio-cutover/cutover/aws/mototest"
)

// Where moto is known to answer unlike AWS, first of all what FACTS lists under "An
// independent AWS to test against", each with where AWS says what is right. The same request is made to
// both: what awssim answers is AWS's, and should moto come to answer so too, its
// line goes.
func TestDifferencesFromMoto(t *testing.T) {
	t.Run("awssim", func(t *testing.T) {
		for _, d := range differences() {
			t.Run(d.name, func(t *testing.T) {
				sim, endpoint := startSim(t)
				b := newBuilder(t, endpoint)
				b.certificate = sim.ImportCertificate(certificate(t))
				d.check(t, b, d.aws)
			})
		}
	})
	t.Run("moto", func(t *testing.T) {
		moto := mototest.Start(t)
		for _, d := range differences() {
			t.Run(d.name, func(t *testing.T) {
				moto.Reset()
				b := newBuilder(t, moto.URL)
				b.vpc, b.subnets = subnets(t, moto.URL)
				d.check(t, b, d.moto)
			})
		}
	})
}

// difference is a request that is answered in one word by AWS, and in another by
// moto.
type difference struct {
	name, source string
	ask          func(*scene) string
	aws, moto    string
}

func (d difference) check(t *testing.T, b *builder, want string) {
	t.Helper()
	if got := d.ask(newScene(b)); got != want {
		t.Errorf("got %q, want %q; AWS says %q: %s", got, want, d.aws, d.source)
	}
}

func differences() []difference {
	return []difference{
		{
			"health of targets that nothing forwards to",
			"ELBv2 API, TargetHealth: unused, Target.NotInUse: the target group is not used by any load balancer",
			(*scene).healthUnattached, "unused", "healthy",
		},
		{
			"priorities that change places",
			"ELBv2 API, SetRulePriorities: you can reorder the rules as long as there are no priority conflicts in the new order",
			(*scene).swap, "accepted", "PriorityInUse",
		},
		{
			"quotas of conditions and of groups in an action",
			"Quotas for your Application Load Balancers; ELBv2 API, DescribeAccountLimits",
			(*scene).quotas, "3 quotas", "0 quotas",
		},
		{
			"load balancers of a group that two rules name",
			"ELBv2 API, TargetGroup.LoadBalancerArns: you can use each target group with only one load balancer",
			(*scene).balancersOfGroup, "1 load balancer", "2 load balancers",
		},
		{
			"PROXY protocol of a new TCP group",
			"ELBv2 API, TargetGroupAttribute, proxy_protocol_v2.enabled: the default is false",
			(*scene).proxyProtocol, "false", "absent",
		},
		{
			"default rule changed as a rule",
			"cloudtad/tentez#32: OperationNotPermitted; ELBv2 API, ModifyRule: to modify the actions for the default rule, use ModifyListener",
			(*scene).defaultRule, "OperationNotPermitted", "accepted",
		},
		{
			"secret of an OIDC client",
			"ansible-collections/amazon.aws#1877: ClientSecret is not returned",
			(*scene).secret, "not told", "told",
		},
		{
			"weight over 999",
			"ELBv2 API, TargetGroupTuple.Weight: the range is 0 to 999",
			(*scene).heavy, "ValidationError", "accepted",
		},
		{
			"priority over 50000",
			"ELBv2 API, CreateRule.Priority: valid range, minimum value of 1, maximum value of 50000",
			(*scene).latePriority, "ValidationError", "accepted",
		},
		{
			"a group on a second load balancer",
			"Quotas for your Application Load Balancers, load balancers per target group: 1; ELBv2 API, TargetGroupAssociationLimit",
			(*scene).secondBalancer, "TargetGroupAssociationLimit", "accepted",
		},
		{
			"transforms",
			"ELBv2 API, CreateRule.Transforms: the transforms to apply to requests that match this rule",
			(*scene).transforms, "kept", "lost",
		},
		{
			"regular expressions in conditions",
			"ELBv2 API, HostHeaderConditionConfig.RegexValues",
			(*scene).regexes, "kept", "HTTP 500",
		},
		{
			"a condition in both of its forms",
			"aws-controllers-k8s/community#2759: you cannot provide both Values and 'HostHeaderConfig' for a condition of type 'host-header'",
			(*scene).bothForms, "ValidationError", "accepted",
		},
		{
			"a redirect to itself",
			"kubernetes-sigs/aws-load-balancer-controller#487: the redirect configuration is not valid because it creates a loop",
			(*scene).loop, "InvalidLoadBalancerAction", "accepted",
		},
		{
			"ARN of a network load balancer",
			"ELB User Guide, resource ARNs: loadbalancer/net/NAME/ID",
			(*scene).networkARN, "loadbalancer/net", "loadbalancer/app",
		},
		{
			"forward to one group, given by its ARN",
			"ELBv2 API, Action: a single target group is reported in TargetGroupArn and in ForwardConfig",
			(*scene).forwardForms, "both forms", "as it was sent",
		},
	}
}

// scene is a load balancer with a listener and two groups, one with a target.
type scene struct {
	*builder
	lb, listener, first, second string
}

func newScene(b *builder) *scene {
	// What is looked for is the answer, whatever it is: only a connection that was
	// lost is no answer.
	b.client = elb.New(b.client.Options(), func(o *elb.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.Retryables = []retry.IsErrorRetryable{retry.RetryableConnectionError{}}
		})
	})
	s := &scene{builder: b}
	s.lb = b.balancer("public", types.LoadBalancerTypeEnumApplication)
	s.listener = b.listener(s.lb, types.ProtocolEnumHttps, 443, fixed("404"))
	s.first = b.group("first", types.ProtocolEnumHttp, 30080, "127.0.0.1")
	s.second = b.group("second", types.ProtocolEnumHttp, 30081)
	return s
}

// ending says in a word how a call ended.
func ending[I, O any](s *scene, do func(context.Context, *I, ...func(*elb.Options)) (*O, error), in *I) string {
	s.tb.Helper()
	_, err := do(s.tb.Context(), in)
	var failed smithy.APIError
	var response *smithyhttp.ResponseError
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &response) && response.HTTPStatusCode() >= 500:
		return fmt.Sprintf("HTTP %d", response.HTTPStatusCode())
	case errors.As(err, &failed):
		return failed.ErrorCode()
	}
	s.tb.Fatalf("%T: %v", in, err)
	return ""
}

func (s *scene) createRule(priority int32, conditions []types.RuleCondition, actions ...types.Action) *elb.CreateRuleInput {
	return &elb.CreateRuleInput{ListenerArn: &s.listener, Priority: &priority, Conditions: conditions, Actions: actions}
}

func (s *scene) healthUnattached() string {
	out := must(s.builder, s.client.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: &s.first})
	return string(out.TargetHealthDescriptions[0].TargetHealth.State)
}

func (s *scene) swap() string {
	a := s.rule(s.listener, 1, []types.RuleCondition{host("a.example")}, fixed("200"))
	b := s.rule(s.listener, 2, []types.RuleCondition{host("b.example")}, fixed("200"))
	return ending(s, s.client.SetRulePriorities, &elb.SetRulePrioritiesInput{RulePriorities: []types.RulePriorityPair{
		{RuleArn: &a, Priority: awssdk.Int32(2)}, {RuleArn: &b, Priority: awssdk.Int32(1)},
	}})
}

func (s *scene) quotas() string {
	n := 0
	for _, limit := range must(s.builder, s.client.DescribeAccountLimits, &elb.DescribeAccountLimitsInput{}).Limits {
		if slices.Contains([]string{
			"condition-values-per-alb-rule", "condition-wildcards-per-alb-rule", "target-groups-per-action-on-application-load-balancer",
		}, *limit.Name) {
			n++
		}
	}
	return fmt.Sprintf("%d quotas", n)
}

func (s *scene) balancersOfGroup() string {
	s.rule(s.listener, 1, []types.RuleCondition{host("a.example")}, forward(s.first))
	s.rule(s.listener, 2, []types.RuleCondition{host("b.example")}, forward(s.first))
	arns := must(s.builder, s.client.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{s.first}}).TargetGroups[0].LoadBalancerArns
	if len(arns) == 1 {
		return "1 load balancer"
	}
	return fmt.Sprintf("%d load balancers", len(arns))
}

func (s *scene) proxyProtocol() string {
	arn := s.group("tcp", types.ProtocolEnumTcp, 443)
	for _, a := range must(s.builder, s.client.DescribeTargetGroupAttributes, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &arn}).Attributes {
		if *a.Key == "proxy_protocol_v2.enabled" {
			return *a.Value
		}
	}
	return "absent"
}

func (s *scene) defaultRule() string {
	arn := must(s.builder, s.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: &s.listener}).Rules[0].RuleArn
	return ending(s, s.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: arn, Actions: []types.Action{forward(s.first)}})
}

func (s *scene) secret() string {
	rule := must(s.builder, s.client.CreateRule, s.createRule(1, []types.RuleCondition{host("sso.example")}, oidc(), second(forward(s.first)))).Rules[0]
	if rule.Actions[0].AuthenticateOidcConfig.ClientSecret != nil {
		return "told"
	}
	return "not told"
}

func (s *scene) heavy() string {
	return ending(s, s.client.CreateRule, s.createRule(1, []types.RuleCondition{host("a.example")}, weighted(s.first, 1000, s.second, 1)))
}

func (s *scene) latePriority() string {
	return ending(s, s.client.CreateRule, s.createRule(50001, []types.RuleCondition{host("a.example")}, fixed("200")))
}

func (s *scene) secondBalancer() string {
	s.rule(s.listener, 1, []types.RuleCondition{host("a.example")}, forward(s.first))
	other := s.balancer("other", types.LoadBalancerTypeEnumApplication)
	return ending(s, s.client.CreateListener, &elb.CreateListenerInput{
		LoadBalancerArn: &other, Protocol: types.ProtocolEnumHttp, Port: awssdk.Int32(80), DefaultActions: []types.Action{forward(s.first)},
	})
}

func (s *scene) transforms() string {
	in := s.createRule(1, []types.RuleCondition{host("a.example")}, forward(s.first))
	in.Transforms = []types.RuleTransform{{Type: types.TransformTypeEnumHostHeaderRewrite, HostHeaderRewriteConfig: &types.HostHeaderRewriteConfig{
		Rewrites: []types.RewriteConfig{{Regex: awssdk.String(`^a\.example$`), Replace: awssdk.String("b.example")}},
	}}}
	if got := ending(s, s.client.CreateRule, in); got != "accepted" {
		return got
	}
	rule := must(s.builder, s.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: &s.listener}).Rules[0]
	return kept(len(rule.Transforms) == 1 && *rule.Transforms[0].HostHeaderRewriteConfig.Rewrites[0].Replace == "b.example")
}

func (s *scene) regexes() string {
	condition := types.RuleCondition{Field: awssdk.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{RegexValues: []string{`^a\d+\.example$`}}}
	if got := ending(s, s.client.CreateRule, s.createRule(1, []types.RuleCondition{condition}, forward(s.first))); got != "accepted" {
		return got
	}
	rule := must(s.builder, s.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: &s.listener}).Rules[0]
	config := rule.Conditions[0].HostHeaderConfig
	return kept(config != nil && len(config.RegexValues) == 1)
}

func (s *scene) bothForms() string {
	condition := host("a.example")
	condition.Values = condition.HostHeaderConfig.Values
	return ending(s, s.client.CreateRule, s.createRule(1, []types.RuleCondition{condition}, fixed("200")))
}

func (s *scene) loop() string {
	action := redirect()
	action.RedirectConfig.Host, action.RedirectConfig.Protocol, action.RedirectConfig.Port = awssdk.String("#{host}"), awssdk.String("#{protocol}"), awssdk.String("#{port}")
	return ending(s, s.client.CreateRule, s.createRule(1, []types.RuleCondition{host("a.example")}, action))
}

func kept(is bool) string {
	if is {
		return "kept"
	}
	return "lost"
}

func (s *scene) networkARN() string {
	arn := s.balancer("network", types.LoadBalancerTypeEnumNetwork)
	resource := arn[strings.LastIndex(arn, ":")+1:]
	return strings.Join(strings.Split(resource, "/")[:2], "/")
}

func (s *scene) forwardForms() string {
	action := must(s.builder, s.client.CreateRule, s.createRule(1, []types.RuleCondition{host("a.example")}, forward(s.first))).Rules[0].Actions[0]
	if action.TargetGroupArn != nil && action.ForwardConfig != nil && len(action.ForwardConfig.TargetGroups) == 1 {
		return "both forms"
	}
	return "as it was sent"
}
