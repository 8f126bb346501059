package awssim

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestForwardsThatAWSRefuses(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	nlb := w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork)
	a, b := w.group("a", types.ProtocolEnumHttp, 80, nil), w.group("b", types.ProtocolEnumHttp, 81, nil)
	tcp, taken := w.group("tcp", types.ProtocolEnumTcp, 82, nil), w.group("taken", types.ProtocolEnumHttp, 83, nil)
	w.listener(w.loadBalancer("other", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, forwardTo(taken))
	flows := w.listener(nlb, types.ProtocolEnumTcp, 443, forwardTo(tcp))
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	r := w.rule(l, 1, "a.example", weighted(a, 1, b, 1))

	both, otherBoth := weighted(a, 1), weighted(b, 1)
	both.TargetGroupArn, otherBoth.TargetGroupArn = new(a), new(a)
	sticky := func(seconds int32, pairs ...any) types.Action {
		action := weighted(pairs...)
		action.ForwardConfig.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{Enabled: new(true), DurationSeconds: new(seconds)}
		return action
	}
	var six []any
	for i := range 6 {
		six = append(six, w.group(fmt.Sprintf("six-%d", i), types.ProtocolEnumHttp, 80, nil), 1)
	}
	unordered := []types.Action{answerWith("200", ""), forwardTo(a)}
	for name, tc := range map[string]struct {
		actions []types.Action
		code    string
	}{
		"no action":                   {[]types.Action{}, "ValidationError"},
		"unknown group":               {[]types.Action{forwardTo(a + "0")}, "TargetGroupNotFound"},
		"no ARN":                      {[]types.Action{forwardTo("a")}, "ValidationError"},
		"weight above 999":            {[]types.Action{weighted(a, 1000)}, "ValidationError"},
		"negative weight":             {[]types.Action{weighted(a, -1)}, "ValidationError"},
		"a group twice":               {[]types.Action{weighted(a, 1, a, 2)}, "ValidationError"},
		"two forms that differ":       {[]types.Action{otherBoth}, "InvalidLoadBalancerAction"},
		"six groups":                  {[]types.Action{weighted(six...)}, "TooManyTargetGroups"},
		"TCP group":                   {[]types.Action{forwardTo(tcp)}, "IncompatibleProtocols"},
		"group of another one":        {[]types.Action{forwardTo(taken)}, "TargetGroupAssociationLimit"},
		"stickiness of 0 s":           {[]types.Action{sticky(0, a, 1, b, 1)}, "ValidationError"},
		"stickiness too long":         {[]types.Action{sticky(604801, a, 1, b, 1)}, "ValidationError"},
		"two last actions":            {unordered, "InvalidLoadBalancerAction"},
		"authentication over HTTP":    {oidcActions(a, new("hidden")), "InvalidLoadBalancerAction"},
		"redirect to itself":          {[]types.Action{{Type: "redirect", RedirectConfig: &types.RedirectActionConfig{StatusCode: "HTTP_301"}}}, "InvalidLoadBalancerAction"},
		"an action that is not AWS's": {[]types.Action{{Type: "teleport"}}, "ValidationError"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := *w
			inner.t = t
			refused(&inner, tc.code, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: tc.actions})
		})
	}
	call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{both}})
	refused(w, "InvalidLoadBalancerAction", w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: flows.ListenerArn, DefaultActions: []types.Action{answerWith("200", "")}})
	refused(w, "UnsupportedProtocol", w.client.CreateRule, &elb.CreateRuleInput{
		ListenerArn: flows.ListenerArn, Priority: new(int32(1)), Conditions: []types.RuleCondition{hostIs("a.example")}, Actions: []types.Action{forwardTo(tcp)},
	})

	// Sticky targets need group stickiness in a forward to several groups.
	attributes := &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: new(b), Attributes: []types.TargetGroupAttribute{{Key: new(attrSticky), Value: new("true")}},
	}
	call(w, w.client.ModifyTargetGroupAttributes, attributes)
	refused(w, "InvalidConfigurationRequest", w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{weighted(a, 1, b, 1)}})
	call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{sticky(60, a, 1, b, 1)}})
	call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{forwardTo(b)}})
	attributes.TargetGroupArn = new(six[0].(string))
	call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{weighted(six[:4]...)}})
	refused(w, "InvalidConfigurationRequest", w.client.ModifyTargetGroupAttributes, attributes)
	refused(w, "ResourceInUse", w.client.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: new(six[0].(string))})
	call(w, w.client.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: new(a)})
}

func TestRulesThatAWSRefuses(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	create := func(priority int32, conditions ...types.RuleCondition) *elb.CreateRuleInput {
		return &elb.CreateRuleInput{ListenerArn: l.ListenerArn, Priority: new(priority), Conditions: conditions, Actions: []types.Action{answerWith("200", "")}}
	}
	refused(w, "ValidationError", w.client.CreateRule, create(1, []types.RuleCondition{}...))
	refused(w, "ValidationError", w.client.CreateRule, create(0, hostIs("a.example")))
	refused(w, "ValidationError", w.client.CreateRule, create(50001, hostIs("a.example")))
	refused(w, "ValidationError", w.client.CreateRule, create(1, hostIs("1.a", "2.a", "3.a", "4.a", "5.a", "6.a")))
	refused(w, "ValidationError", w.client.CreateRule, create(1, hostIs("*.*.*.*.*.*")))
	refused(w, "ValidationError", w.client.CreateRule, create(1, hostIs(strings.Repeat("a", 127)+".b")))
	refused(w, "ValidationError", w.client.CreateRule, create(1, hostIs("a.example"), hostIs("b.example")))
	refused(w, "ValidationError", w.client.CreateRule, create(1, types.RuleCondition{Field: new("moon"), Values: []string{"full"}}))
	missing := create(1, hostIs("a.example"))
	missing.ListenerArn = new(*l.ListenerArn + "0")
	refused(w, "ListenerNotFound", w.client.CreateRule, missing)
	for i := range int32(100) {
		call(w, w.client.CreateRule, create(i+1, hostIs("a.example")))
	}
	refused(w, "PriorityInUse", w.client.CreateRule, create(100, hostIs("a.example")))
	refused(w, "TooManyRules", w.client.CreateRule, create(101, hostIs("a.example")))
}

func TestNamesAndSettingsThatAWSRefuses(t *testing.T) {
	w := newWorld(t)
	arn := w.group("old", types.ProtocolEnumHttp, 80, nil)
	if again := w.group("old", types.ProtocolEnumHttp, 80, nil); again != arn {
		t.Errorf("creating the same group gave %s and then %s", arn, again)
	}
	group := func(name string, change func(*elb.CreateTargetGroupInput)) *elb.CreateTargetGroupInput {
		in := &elb.CreateTargetGroupInput{Name: new(name), Protocol: types.ProtocolEnumHttp, Port: new(int32(80))}
		if change != nil {
			change(in)
		}
		return in
	}
	refused(w, "DuplicateTargetGroupName", w.client.CreateTargetGroup, group("old", nil))
	for _, name := range []string{"", "-a", "a-", "a_b", strings.Repeat("a", 33)} {
		refused(w, "ValidationError", w.client.CreateTargetGroup, group(name, nil))
	}
	refused(w, "ValidationError", w.client.CreateTargetGroup, group("a", func(in *elb.CreateTargetGroupInput) { in.HealthCheckPort = new("0") }))
	refused(w, "ValidationError", w.client.CreateTargetGroup, group("a", func(in *elb.CreateTargetGroupInput) { in.HealthCheckPath = new("x") }))
	refused(w, "ValidationError", w.client.CreateTargetGroup, group("a", func(in *elb.CreateTargetGroupInput) {
		in.Matcher = &types.Matcher{HttpCode: new("200-9999")}
	}))
	refused(w, "ValidationError", w.client.CreateTargetGroup, group("a", func(in *elb.CreateTargetGroupInput) { in.HealthCheckEnabled = new(false) }))
	refused(w, "UnsupportedProtocol", w.client.CreateTargetGroup, group("a", func(in *elb.CreateTargetGroupInput) { in.Protocol = "UDP" }))
	refused(w, "InvalidTarget", w.client.RegisterTargets, &elb.RegisterTargetsInput{
		TargetGroupArn: new(arn), Targets: []types.TargetDescription{{Id: new("i-unknown")}},
	})
	ips := w.group("ips", types.ProtocolEnumHttp, 80, func(in *elb.CreateTargetGroupInput) { in.TargetType = types.TargetTypeEnumIp })
	refused(w, "InvalidTarget", w.client.RegisterTargets, &elb.RegisterTargetsInput{
		TargetGroupArn: new(ips), Targets: []types.TargetDescription{{Id: new("192.0.2.1")}},
	})
	refused(w, "ValidationError", w.client.ModifyTargetGroupAttributes, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: new(arn), Attributes: []types.TargetGroupAttribute{{Key: new(attrProxyV2), Value: new("true")}},
	})

	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	listener := func(protocol types.ProtocolEnum) *elb.CreateListenerInput {
		return &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Protocol: protocol, Port: new(int32(80)), DefaultActions: []types.Action{forwardTo(arn)}}
	}
	refused(w, "UnsupportedProtocol", w.client.CreateListener, listener(types.ProtocolEnumTcp))
	refused(w, "CertificateNotFound", w.client.CreateListener, listener(types.ProtocolEnumHttps))
	first := call(w, w.client.CreateListener, listener(types.ProtocolEnumHttp))
	if again := call(w, w.client.CreateListener, listener(types.ProtocolEnumHttp)); *again.Listeners[0].ListenerArn != *first.Listeners[0].ListenerArn {
		t.Error("creating the same listener gave another one")
	}
	other := listener(types.ProtocolEnumHttp)
	other.DefaultActions = []types.Action{answerWith("200", "")}
	refused(w, "DuplicateListener", w.client.CreateListener, other)
	refused(w, "LoadBalancerNotFound", w.client.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{Names: []string{"nothing"}})
	refused(w, "TargetGroupNotFound", w.client.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{Names: []string{"nothing"}})
}

func TestWhoMayCall(t *testing.T) {
	w := newWorld(t)
	out, err := sts.New(sts.Options{
		BaseEndpoint: aws.String(w.endpoint), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-secret", ""),
	}).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *out.Account != "111122223333" || *out.Arn != "arn:aws:iam::111122223333:user/operator" {
		t.Errorf("%s %s", *out.Account, *out.Arn)
	}
	elsewhere := *w
	elsewhere.client = newClient(w.endpoint, "eu-west-1")
	refused(&elsewhere, "SignatureDoesNotMatch", elsewhere.client.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{})

	post := func(body, authorization string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.endpoint, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		text := new(strings.Builder)
		if err := got.Write(text); err != nil {
			t.Fatal(err)
		}
		return got.StatusCode, text.String()
	}
	const signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=00"
	form := url.Values{"Action": {"DescribeLoadBalancers"}, "Version": {versionELB}}.Encode()
	for _, tc := range []struct {
		body, authorization string
		status              int
		code                string
	}{
		{form, "", http.StatusForbidden, "MissingAuthenticationToken"},
		{form, "Basic eDp5", http.StatusBadRequest, "IncompleteSignature"},
		{form, strings.Replace(signed, "elasticloadbalancing", "ec2", 1), http.StatusForbidden, "SignatureDoesNotMatch"},
		{"Action=Nothing&Version=" + versionELB, signed, http.StatusBadRequest, "InvalidAction"},
		{"Action=DescribeLoadBalancers&Version=2012-06-01", signed, http.StatusBadRequest, "InvalidAction"},
		{form + "&PageSize=many", signed, http.StatusBadRequest, "MalformedInput"},
		{form + "&" + strings.Repeat("a.", 100) + "=1", signed, http.StatusBadRequest, "MalformedInput"},
	} {
		status, text := post(tc.body, tc.authorization)
		if status != tc.status || !strings.Contains(text, "<Code>"+tc.code+"</Code>") {
			t.Errorf("%s: %d %s, want %d %s", tc.body, status, text, tc.status, tc.code)
		}
	}
	calls := w.sim.Calls()
	if len(calls) != 9 || calls[0].Action != "GetCallerIdentity" || calls[0].Service != "sts" || calls[1].Error != "SignatureDoesNotMatch" || calls[0].RequestID == "" {
		t.Errorf("calls: %+v", calls)
	}
}
