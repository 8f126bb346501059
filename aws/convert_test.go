package aws

import (
	"strings"
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/istio-cutover/cutover/model"
)

func TestActionsAsTheCommandLinePrintsThem(t *testing.T) {
	tests := map[string]struct {
		actions []types.Action
		want    model.JSON
	}{
		"nothing": {nil, ""},
		"zero weight, off stickiness": {
			[]types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{
				TargetGroups:                []types.TargetGroupTuple{{TargetGroupArn: new("a"), Weight: new(int32(0))}},
				TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: new(false)},
			}}},
			`[{"ForwardConfig":{"TargetGroupStickinessConfig":{"Enabled":false},"TargetGroups":[{"TargetGroupArn":"a","Weight":0}]},"Type":"forward"}]`,
		},
		"empty query": {
			[]types.Action{{Type: types.ActionTypeEnumRedirect, RedirectConfig: &types.RedirectActionConfig{Query: new("")}}},
			`[{"RedirectConfig":{"Query":""},"Type":"redirect"}]`,
		},
		"client secret": {
			[]types.Action{{Type: types.ActionTypeEnumAuthenticateOidc, Order: new(int32(1)), AuthenticateOidcConfig: &types.AuthenticateOidcActionConfig{
				ClientId: new("id"), ClientSecret: new("hush"), UseExistingClientSecret: new(true),
				AuthenticationRequestExtraParams: map[string]string{"b": "", "a": "1"},
			}}},
			`[{"AuthenticateOidcConfig":{"AuthenticationRequestExtraParams":{"a":"1","b":""},"ClientId":"id"},"Order":1,"Type":"authenticate-oidc"}]`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := actionsJSON(test.actions)
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if got == "" {
				return
			}
			back, err := parseActions(got)
			if err != nil {
				t.Fatal(err)
			}
			again, err := actionsJSON(back)
			if err != nil {
				t.Fatal(err)
			}
			if again != got {
				t.Errorf("there and back: %s", again)
			}
			if oidc := back[0].AuthenticateOidcConfig; oidc != nil && (oidc.ClientSecret != nil || !*oidc.UseExistingClientSecret) {
				t.Errorf("the existing client secret would not be kept: %+v", oidc)
			}
		})
	}
}

func TestRuleKeepsWhatIsNotInterpreted(t *testing.T) {
	rule, err := ruleOf("listener", types.Rule{
		RuleArn: new("rule"), Priority: new("7"),
		Conditions: []types.RuleCondition{{Field: new("path-pattern"), RegexValues: []string{"^/x"}}},
		Actions: []types.Action{{Type: types.ActionTypeEnumJwtValidation, JwtValidationConfig: &types.JwtValidationActionConfig{
			Issuer: new("https://sso.example"), JwksEndpoint: new("https://sso.example/keys"),
		}}},
		Transforms: []types.RuleTransform{{Type: types.TransformTypeEnumUrlRewrite, UrlRewriteConfig: &types.UrlRewriteConfig{
			Rewrites: []types.RewriteConfig{{Regex: new("^/a"), Replace: new("/b")}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := model.Rule{
		ARN: "rule", Listener: "listener", Priority: 7,
		Conditions: `[{"Field":"path-pattern","RegexValues":["^/x"]}]`,
		Actions:    `[{"JwtValidationConfig":{"Issuer":"https://sso.example","JwksEndpoint":"https://sso.example/keys"},"Type":"jwt-validation"}]`,
		Transforms: `[{"Type":"url-rewrite","UrlRewriteConfig":{"Rewrites":[{"Regex":"^/a","Replace":"/b"}]}}]`,
	}
	if diff := cmp.Diff(want, rule); diff != "" {
		t.Error(diff)
	}
	if _, err := ruleOf("listener", types.Rule{Priority: new("soon")}); err == nil {
		t.Error("a priority that is no number was taken")
	}
}

func TestParseActionsRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown fields, all named": {
			`[{"Type":"forward","Colour":1,"ForwardConfig":{"Mirror":{"X":1},"TargetGroups":[{"TargetGroupArn":"a","Zone":"z"}]}}]`,
			"Actions[0].Colour, Actions[0].ForwardConfig.Mirror, Actions[0].ForwardConfig.TargetGroups[0].Zone",
		},
		"another case": {`[{"type":"forward"}]`, "Actions[0].type"},
		"nothing":      {`[]`, "no actions"},
		"no JSON":      {`[{`, "actions"},
		"absent":       {``, "actions"},
		"a wrong type": {`[{"Type":"forward","Order":"first"}]`, "actions"},
		"an object":    {`{"Type":"forward"}`, "actions"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseActions(model.JSON(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	tests := map[string]struct {
		operation string
		input     any
		want      string
	}{
		"list": {
			"DescribeTags", &elb.DescribeTagsInput{ResourceArns: []string{"arn:a", "arn:b"}},
			"aws elbv2 describe-tags --resource-arns arn:a arn:b --region us-east-1",
		},
		"pages are left out": {
			"DescribeRules", &elb.DescribeRulesInput{ListenerArn: new("arn:l"), PageSize: new(int32(400)), Marker: new("m")},
			"aws elbv2 describe-rules --listener-arn arn:l --region us-east-1",
		},
		"write": {
			"ModifyRule", &elb.ModifyRuleInput{RuleArn: new("arn:r"), Actions: []types.Action{{Type: types.ActionTypeEnumRedirect, RedirectConfig: &types.RedirectActionConfig{Path: new("/it's")}}}},
			`aws elbv2 modify-rule --rule-arn arn:r --actions '[{"RedirectConfig":{"Path":"/it'\''s"},"Type":"redirect"}]' --region us-east-1`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := command(test.operation, "us-east-1", test.input); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
