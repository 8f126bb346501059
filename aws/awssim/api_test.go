package awssim

import (
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func sdkValues() cmp.Option {
	return cmpopts.IgnoreUnexported(types.Action{}, types.ForwardActionConfig{}, types.TargetGroupTuple{},
		types.TargetGroupStickinessConfig{}, types.RuleCondition{}, types.HostHeaderConditionConfig{},
		types.RuleTransform{}, types.UrlRewriteConfig{}, types.RewriteConfig{}, types.AuthenticateOidcActionConfig{},
		types.JwtValidationActionConfig{}, types.JwtValidationActionAdditionalClaim{}, types.QueryStringConditionConfig{},
		types.QueryStringKeyValuePair{}, types.Tag{})
}

func TestForwardIsEchoedInBothForms(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	old, fresh := w.group("old", types.ProtocolEnumHttp, 80, nil), w.group("new", types.ProtocolEnumHttp, 81, nil)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	r := w.rule(l, 10, "App.example", forwardTo(old))
	want := []types.Action{{
		Type: types.ActionTypeEnumForward, Order: new(int32(1)), TargetGroupArn: new(old),
		ForwardConfig: &types.ForwardActionConfig{
			TargetGroups:                []types.TargetGroupTuple{{TargetGroupArn: new(old), Weight: new(int32(1))}},
			TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: new(false)},
		},
	}}
	if diff := cmp.Diff(want, r.Actions, sdkValues()); diff != "" {
		t.Error(diff)
	}
	if got := r.Conditions[0]; len(got.Values) != 1 || got.Values[0] != "App.example" {
		t.Errorf("the values of the condition are %v", got.Values)
	}
	out := call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{weighted(old, 0, fresh, 999)}})
	a := out.Rules[0].Actions[0]
	if a.TargetGroupArn != nil || *a.ForwardConfig.TargetGroups[0].Weight != 0 || *a.ForwardConfig.TargetGroups[1].Weight != 999 {
		t.Errorf("several groups are echoed as %+v", a)
	}
	if len(out.Rules[0].Conditions) != 1 {
		t.Error("modifying the actions took the conditions away")
	}
}

// oidcActions authenticates and then forwards.
func oidcActions(group string, secret *string) []types.Action {
	last := forwardTo(group)
	last.Order = new(int32(2))
	return []types.Action{{
		Type: types.ActionTypeEnumAuthenticateOidc, Order: new(int32(1)),
		AuthenticateOidcConfig: &types.AuthenticateOidcActionConfig{
			Issuer: new("https://idp.example"), AuthorizationEndpoint: new("https://idp.example/authorize"),
			TokenEndpoint: new("https://idp.example/token"), UserInfoEndpoint: new("https://idp.example/userinfo"),
			ClientId: new("cutover"), ClientSecret: secret,
		},
	}, last}
}

func TestDefaultRuleChangesOnlyThroughItsListener(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	rules := call(w, w.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn}).Rules
	if len(rules) != 1 || *rules[0].Priority != "default" || !*rules[0].IsDefault || rules[0].Conditions == nil {
		t.Fatalf("rules of a new listener: %+v", rules)
	}
	arn := rules[0].RuleArn
	refused(w, "OperationNotPermitted", w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: arn, Actions: []types.Action{answerWith("200", "")}})
	refused(w, "OperationNotPermitted", w.client.DeleteRule, &elb.DeleteRuleInput{RuleArn: arn})
	refused(w, "OperationNotPermitted", w.client.SetRulePriorities, &elb.SetRulePrioritiesInput{
		RulePriorities: []types.RulePriorityPair{{RuleArn: arn, Priority: new(int32(1))}},
	})
	out := call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{answerWith("200", "")}})
	if code := *out.Listeners[0].DefaultActions[0].FixedResponseConfig.StatusCode; code != "200" {
		t.Errorf("the listener answers %s", code)
	}
}

func TestPrioritiesAreJudgedByTheFinalOrder(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	a := w.rule(l, 10, "a.example", answerWith("200", "a"))
	b := w.rule(l, 20, "b.example", answerWith("200", "b"))
	w.rule(l, 30, "c.example", answerWith("200", "c"))
	set := func(first, second int32) *elb.SetRulePrioritiesInput {
		return &elb.SetRulePrioritiesInput{RulePriorities: []types.RulePriorityPair{
			{RuleArn: a.RuleArn, Priority: new(first)}, {RuleArn: b.RuleArn, Priority: new(second)},
		}}
	}
	call(w, w.client.SetRulePriorities, set(20, 10))
	refused(w, "PriorityInUse", w.client.SetRulePriorities, set(40, 30))
	refused(w, "PriorityInUse", w.client.SetRulePriorities, set(5, 5))
	refused(w, "ValidationError", w.client.SetRulePriorities, set(0, 5))
	refused(w, "ValidationError", w.client.SetRulePriorities, set(50001, 5))
	var order []string
	for _, r := range call(w, w.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn}).Rules {
		order = append(order, *r.Priority)
		for _, c := range r.Conditions {
			order = append(order, c.Values...)
		}
	}
	if diff := cmp.Diff([]string{"10", "b.example", "20", "a.example", "30", "c.example", "default"}, order); diff != "" {
		t.Error(diff)
	}
}

func TestClientSecretIsKeptAndNeverEchoed(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	old := w.group("old", types.ProtocolEnumHttp, 80, nil)
	l := w.listener(lb, types.ProtocolEnumHttps, 443, answerWith("404", ""))
	existing := func(secret *string) []types.Action {
		actions := oidcActions(old, secret)
		actions[0].AuthenticateOidcConfig.UseExistingClientSecret = new(true)
		return actions
	}
	create := func(actions []types.Action) *elb.CreateRuleInput {
		return &elb.CreateRuleInput{ListenerArn: l.ListenerArn, Priority: new(int32(1)), Conditions: []types.RuleCondition{hostIs("sso.example")}, Actions: actions}
	}
	refused(w, "InvalidLoadBalancerAction", w.client.CreateRule, create(existing(nil)))
	refused(w, "InvalidLoadBalancerAction", w.client.CreateRule, create(oidcActions(old, nil)))
	r := call(w, w.client.CreateRule, create(oidcActions(old, new("hidden")))).Rules[0]
	refused(w, "InvalidLoadBalancerAction", w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: existing(new("other"))})
	r = call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: existing(nil)}).Rules[0]
	// It must still be there for a second change.
	r = call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: existing(nil)}).Rules[0]
	c := r.Actions[0].AuthenticateOidcConfig
	if c.ClientSecret != nil || c.UseExistingClientSecret != nil || *c.Scope != "openid" || *c.SessionTimeout != 604800 {
		t.Errorf("echoed as %+v", c)
	}
}

// What the simulator does not interpret must survive a change of the actions.
func TestWhatTheSDKKnowsPassesThrough(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	old := w.group("old", types.ProtocolEnumHttp, 80, nil)
	l := w.listener(lb, types.ProtocolEnumHttps, 443, answerWith("404", ""))
	conditions := []types.RuleCondition{
		{Field: new("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{RegexValues: []string{`^a\d+\.example$`}}},
		{Field: new("query-string"), QueryStringConfig: &types.QueryStringConditionConfig{
			Values: []types.QueryStringKeyValuePair{{Key: new("<k>&"), Value: new("v*")}, {Value: new("")}},
		}},
	}
	transforms := []types.RuleTransform{{
		Type: types.TransformTypeEnumUrlRewrite,
		UrlRewriteConfig: &types.UrlRewriteConfig{Rewrites: []types.RewriteConfig{
			{Regex: new("^/v1/(.*)"), Replace: new("/$1?x=é")},
		}},
	}}
	last := forwardTo(old)
	last.Order = new(int32(7))
	actions := []types.Action{last, {
		Type: types.ActionTypeEnumJwtValidation, Order: new(int32(3)),
		JwtValidationConfig: &types.JwtValidationActionConfig{
			Issuer: new("https://idp.example"), JwksEndpoint: new("https://idp.example/jwks"),
			AdditionalClaims: []types.JwtValidationActionAdditionalClaim{{Format: "single-string", Name: new("n"), Values: []string{"v"}}},
		},
	}}
	r := call(w, w.client.CreateRule, &elb.CreateRuleInput{
		ListenerArn: l.ListenerArn, Priority: new(int32(1)), Conditions: conditions, Transforms: transforms, Actions: actions,
	}).Rules[0]
	out := call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: actions}).Rules[0]
	if diff := cmp.Diff(r, out, sdkValues(), cmpopts.IgnoreUnexported(types.Rule{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(conditions, out.Conditions, sdkValues()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(transforms, out.Transforms, sdkValues()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(actions[1], out.Actions[0], sdkValues()); diff != "" {
		t.Error(diff)
	}
	out = call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, ResetTransforms: new(true)}).Rules[0]
	if len(out.Transforms) != 0 || len(out.Actions) != 2 {
		t.Errorf("after resetting the transforms: %+v", out)
	}
}

func TestPagesNeitherRepeatNorSkip(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	var arns []string
	for i := range 25 {
		arns = append(arns, *w.rule(l, i+1, "a.example", answerWith("200", "")).RuleArn)
	}
	pages := elb.NewDescribeRulesPaginator(w.client, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn, PageSize: new(int32(10))})
	var got []string
	for n := 0; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Rules {
			if !*r.IsDefault {
				got = append(got, *r.RuleArn)
			}
		}
		if n == 0 {
			// A rule of a page that was read goes away.
			call(w, w.client.DeleteRule, &elb.DeleteRuleInput{RuleArn: new(arns[3])})
		}
	}
	if diff := cmp.Diff(arns, got); diff != "" {
		t.Error(diff)
	}
	for _, size := range []int32{0, 401} {
		refused(w, "ValidationError", w.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn, PageSize: new(size)})
	}
	refused(w, "ValidationError", w.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn, Marker: new("?")})
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	r := call(w, w.client.CreateRule, &elb.CreateRuleInput{
		ListenerArn: l.ListenerArn, Priority: new(int32(1)), Conditions: []types.RuleCondition{hostIs("a.example")},
		Actions: []types.Action{answerWith("200", "")}, Tags: []types.Tag{{Key: new("a"), Value: new("1")}, {Key: new("b"), Value: new("2")}},
	}).Rules[0]
	arns := []string{*lb.LoadBalancerArn, *r.RuleArn}
	call(w, w.client.AddTags, &elb.AddTagsInput{ResourceArns: arns, Tags: []types.Tag{{Key: new("b"), Value: new("3")}}})
	call(w, w.client.RemoveTags, &elb.RemoveTagsInput{ResourceArns: arns, TagKeys: []string{"a"}})
	for _, d := range call(w, w.client.DescribeTags, &elb.DescribeTagsInput{ResourceArns: arns}).TagDescriptions {
		if diff := cmp.Diff([]types.Tag{{Key: new("b"), Value: new("3")}}, d.Tags, sdkValues()); diff != "" {
			t.Errorf("%s: %s", *d.ResourceArn, diff)
		}
	}
	for len(arns) <= 20 {
		arns = append(arns, *lb.LoadBalancerArn)
	}
	refused(w, "ValidationError", w.client.DescribeTags, &elb.DescribeTagsInput{ResourceArns: arns})
	refused(w, "RuleNotFound", w.client.DescribeTags, &elb.DescribeTagsInput{ResourceArns: []string{*r.RuleArn + "0"}})
	refused(w, "DuplicateTagKeys", w.client.AddTags, &elb.AddTagsInput{
		ResourceArns: []string{*r.RuleArn}, Tags: []types.Tag{{Key: new("k"), Value: new("1")}, {Key: new("k"), Value: new("2")}},
	})
}
