package awssim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// TestModifiedAndNewID: whoever makes the Sim names what is created in it, and
// hears of the changes that were accepted, of no other and without secrets.
func TestModifiedAndNewID(t *testing.T) {
	var ids int
	var heard []string
	sim := New(Config{
		ListenerPort: func(int) int { return 0 },
		NewID:        func() string { ids++; return fmt.Sprintf("id-%d", ids) },
		Modified: func(arn string, actions []types.Action) {
			for _, a := range actions {
				if a.AuthenticateOidcConfig != nil && a.AuthenticateOidcConfig.ClientSecret != nil {
					t.Error("a secret came out")
				}
			}
			heard = append(heard, arn+" "+string(actions[len(actions)-1].Type))
			actions[0].Type = "kept"
		},
	})
	t.Cleanup(func() { _ = sim.Close() })
	run := func(input any) any {
		t.Helper()
		out, err := sim.Call(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	lb := run(&elb.CreateLoadBalancerInput{Name: new("alb")}).(*elb.CreateLoadBalancerOutput).LoadBalancers[0]
	l := run(&elb.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Protocol: types.ProtocolEnumHttps, Port: new(int32(443)),
		Certificates:   []types.Certificate{{CertificateArn: new(sim.ImportCertificate(newCertificate(t, "lb.example")))}},
		DefaultActions: []types.Action{answerWith("404", "none")},
	}).(*elb.CreateListenerOutput).Listeners[0]
	answer := answerWith("200", "yes")
	answer.Order = new(int32(2))
	login := types.Action{Type: types.ActionTypeEnumAuthenticateOidc, Order: new(int32(1)), AuthenticateOidcConfig: &types.AuthenticateOidcActionConfig{
		Issuer: new("https://i"), AuthorizationEndpoint: new("https://a"), TokenEndpoint: new("https://t"), UserInfoEndpoint: new("https://u"),
		ClientId: new("c"), ClientSecret: new("not-a-secret"),
	}}
	r := run(&elb.CreateRuleInput{
		ListenerArn: l.ListenerArn, Priority: new(int32(1)), Conditions: []types.RuleCondition{hostIs("a.example")}, Actions: []types.Action{login, answer},
	}).(*elb.CreateRuleOutput).Rules[0]
	for arn, end := range map[string]string{*lb.LoadBalancerArn: "/alb/id-1", *l.ListenerArn: "/id-1/id-2", *r.RuleArn: "/id-1/id-2/id-4"} {
		if !strings.HasSuffix(arn, end) {
			t.Errorf("%s does not end in %s", arn, end)
		}
	}
	if len(heard) != 0 {
		t.Errorf("creating is heard as a change: %v", heard)
	}
	run(&elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{login, answer}})
	run(&elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{answerWith("503", "none")}})
	if _, err := sim.Call(t.Context(), &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{}}); err == nil {
		t.Error("a change without actions was accepted")
	}
	if want := []string{*r.RuleArn + " fixed-response", *l.ListenerArn + " fixed-response"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	rules := run(&elb.DescribeRulesInput{RuleArns: []string{*r.RuleArn}}).(*elb.DescribeRulesOutput).Rules
	if got := rules[0].Actions[0].Type; got != types.ActionTypeEnumAuthenticateOidc {
		t.Errorf("who hears of a change reaches into the state: %s, %s", got, aws.ToString(rules[0].Priority))
	}
}
