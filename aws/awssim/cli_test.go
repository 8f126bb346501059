package awssim

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

// The AWS CLI reads names in a response with regard to case, which Go's XML
// decoder does not: both must read the same.
func TestAWSCLIReadsWhatTheSDKReads(t *testing.T) {
	needPython(t, "awscli", "pip install awscli")
	w := newWorld(t)
	if err := w.sim.Add(testNetwork()); err != nil {
		t.Fatal(err)
	}
	lb := w.loadBalancerIn("public", "subnet-00000000000000001", "subnet-00000000000000002")
	old := w.serving("old", types.ProtocolEnumHttps, newBackend(t, "old", true))
	fresh := w.serving("new", types.ProtocolEnumHttps, newBackend(t, "new", true))
	l := w.listener(lb, types.ProtocolEnumHttps, 443, weighted(old, 0, fresh, 100))
	w.rule(l, 1, "a.example", oidcActions(old, new("hidden"))...)
	w.rule(l, 2, "b.example", answerWith("404", "<&>"))
	call(w, w.client.AddTags, &elb.AddTagsInput{ResourceArns: []string{*lb.LoadBalancerArn}, Tags: []types.Tag{{Key: new("k"), Value: new("é @ 1")}}})
	w.healthy(old)
	w.healthy(fresh)

	identity, err := sts.New(sts.Options{BaseEndpoint: &w.endpoint, Region: "us-east-1", Credentials: w.client.Options().Credentials}).
		GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	var (
		commands [][]string
		wanted   []any
	)
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
		"get-caller-identity": {nil, identity},
		"describe-instances": {
			[]string{"--filters", "Name=tag:Name,Values=node-1,node-2"},
			run[ec2.DescribeInstancesOutput](w, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{filter("tag:Name", "node-1", "node-2")}}),
		},
		"describe-security-groups": {
			[]string{"--group-ids", nodes},
			run[ec2.DescribeSecurityGroupsOutput](w, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{nodes}}),
		},
		"describe-auto-scaling-groups": {nil, run[autoscaling.DescribeAutoScalingGroupsOutput](w, &autoscaling.DescribeAutoScalingGroupsInput{})},
		"describe-account-limits":      {nil, call(w, w.client.DescribeAccountLimits, &elb.DescribeAccountLimitsInput{})},
	} {
		arguments := append([]string{service(name), name}, tc.arguments...)
		commands = append(commands, arguments)
		wanted = append(wanted, tc.want)
	}
	for i, out := range runCLI(t, w.endpoint, commands) {
		want, err := json.Marshal(wanted[i])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(filled(t, want), filled(t, []byte(out))); diff != "" {
			t.Errorf("%v: %s", commands[i], diff)
		}
	}
}

// runCLI runs several commands of the AWS CLI and gives the output of each. As
// the CLI takes a second to start, one process of it runs them all.
func runCLI(t *testing.T, endpoint string, commands [][]string) []string {
	t.Helper()
	const script = `
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
driver, outputs = create_clidriver(), []
for command in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = driver.main(command)
    if status:
        sys.exit(f"{command} ended with {status}")
    outputs.append(out.getvalue())
json.dump(outputs, sys.stdout)
`
	in, err := json.Marshal(commands)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "python3", "-c", script)
	command.Stdin = bytes.NewReader(in)
	command.Stderr = t.Output()
	command.Env = awsEnvironment(endpoint)
	raw, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var outputs []string
	if err := json.Unmarshal(raw, &outputs); err != nil {
		t.Fatal(err)
	}
	return outputs
}

// service is where the CLI has a command.
func service(command string) string {
	switch command {
	case "get-caller-identity":
		return "sts"
	case "describe-instances", "describe-security-groups":
		return "ec2"
	case "describe-auto-scaling-groups":
		return "autoscaling"
	default:
		return "elbv2"
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
			if inner = withoutEmpty(inner); inner == nil || key == "ResultMetadata" || key == "CreatedTime" || key == "LaunchTime" {
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
