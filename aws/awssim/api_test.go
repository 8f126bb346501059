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
