package awssim

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
)

// The AWS CLI reads names in a response with regard to case, which Go's XML
// decoder does not: both must read the same.
func TestAWSCLIReadsWhatTheSDKReads(t *testing.T) {
	if testing.Short() {
		t.Skip("starting the AWS CLI takes a second each time: run without -short")
	}
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the AWS CLI is not on PATH: install awscli to compare with it")
	}
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	old := w.serving("old", types.ProtocolEnumHttps, newBackend(t, "old", true))
	fresh := w.serving("new", types.ProtocolEnumHttps, newBackend(t, "new", true))
	l := w.listener(lb, types.ProtocolEnumHttps, 443, weighted(old, 0, fresh, 100))
	w.rule(l, 1, "a.example", oidcActions(old, new("hidden"))...)
	w.rule(l, 2, "b.example", answerWith("404", "<&>"))
	call(w, w.client.AddTags, &elb.AddTagsInput{ResourceArns: []string{*lb.LoadBalancerArn}, Tags: []types.Tag{{Key: new("k"), Value: new("<é>")}}})
	w.healthy(old)
	w.healthy(fresh)

	for name, tc := range map[string]struct {
		arguments []string
		want      any
	}{
		"describe-load-balancers": {nil, call(w, w.client.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{})},
		"describe-listeners": {
			[]string{"--load-balancer-arn", *lb.LoadBalancerArn},
			call(w, w.client.DescribeListeners, &elb.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn}),
		},
		"describe-rules": {
			[]string{"--listener-arn", *l.ListenerArn},
			call(w, w.client.DescribeRules, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn}),
		},
		"describe-target-groups": {nil, call(w, w.client.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{})},
		"describe-target-health": {
			[]string{"--target-group-arn", old},
			call(w, w.client.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: new(old)}),
		},
		"describe-target-group-attributes": {
			[]string{"--target-group-arn", old},
			call(w, w.client.DescribeTargetGroupAttributes, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: new(old)}),
		},
		"describe-load-balancer-attributes": {
			[]string{"--load-balancer-arn", *lb.LoadBalancerArn},
			call(w, w.client.DescribeLoadBalancerAttributes, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn}),
		},
		"describe-tags": {
			[]string{"--resource-arns", *lb.LoadBalancerArn, old},
			call(w, w.client.DescribeTags, &elb.DescribeTagsInput{ResourceArns: []string{*lb.LoadBalancerArn, old}}),
		},
		"describe-account-limits": {nil, call(w, w.client.DescribeAccountLimits, &elb.DescribeAccountLimitsInput{})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arguments := append([]string{"--endpoint-url", w.endpoint, "--output", "json", "elbv2", name}, tc.arguments...)
			command := exec.CommandContext(t.Context(), cli, arguments...)
			command.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-secret",
				"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_CONFIG_FILE="+os.DevNull)
			command.Stderr = t.Output()
			out, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			want, err := json.Marshal(tc.want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(filled(t, want), filled(t, out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// filled reads JSON without what is empty and without what differs in form.
func filled(t *testing.T, raw []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return withoutEmpty(value)
}

func withoutEmpty(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if inner = withoutEmpty(inner); inner == nil || key == "ResultMetadata" || key == "CreatedTime" {
				delete(v, key)
			} else {
				v[key] = inner
			}
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
	case string:
		if v == "" {
			return nil
		}
	}
	return value
}
