package awssim

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// calls makes calls through botocore and compares what it reads with what the
// SDK of Go reads of the very same bytes.
type calls struct {
	*world
	judge   *judge
	record  *recorder
	clients map[string]any
}

func newCalls(t *testing.T) *calls {
	w := newWorld(t)
	w.sim.now = func() time.Time { return time.Unix(1_800_000_000, 0).UTC() } // whole seconds read alike
	if err := w.sim.Add(testNetwork()); err != nil {
		t.Fatal(err)
	}
	record := &recorder{sim: w.sim}
	server := httptest.NewServer(record)
	t.Cleanup(server.Close)
	config := aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: record},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-secret", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
	return &calls{world: w, judge: newJudge(t, server.URL), record: record, clients: map[string]any{
		serviceELB: elb.NewFromConfig(config), serviceEC2: ec2.NewFromConfig(config),
		serviceScaling: autoscaling.NewFromConfig(config), serviceSTS: sts.NewFromConfig(config),
	}}
}

// judged makes one call that must succeed.
func judged[O any](c *calls, service, operation string, in any) *O {
	c.t.Helper()
	got := c.judge.call(c.t, service, operation, in)
	if got.Code != "" {
		c.t.Fatalf("%s: %s %d: %s", operation, got.Code, got.Status, c.record.body.String())
	}
	out, err := c.record.readBySDK(c.t.Context(), c.clients, service, operation, in)
	if err != nil {
		c.t.Fatalf("%s: the SDK of Go reads an error: %v", operation, err)
	}
	raw, err := json.Marshal(withoutNil(reflect.ValueOf(out)))
	if err != nil {
		c.t.Fatal(err)
	}
	if diff := cmp.Diff(filled(c.t, raw), filled(c.t, got.Output)); diff != "" {
		c.t.Errorf("%s: Go's SDK (-) and botocore (+) differ: %s", operation, diff)
	}
	return out.(*O)
}

// judgedFailure makes one call that must fail with a code, which both SDKs read.
func (c *calls) judgedFailure(service, operation, code string, status int, in any) {
	c.t.Helper()
	got := c.judge.call(c.t, service, operation, in)
	_, err := c.record.readBySDK(c.t.Context(), c.clients, service, operation, in)
	var failed smithy.APIError
	if !errors.As(err, &failed) || got.Code != code || failed.ErrorCode() != code || got.Status != status {
		c.t.Errorf("%s: botocore read %q %d, Go's SDK %v; want %s %d", operation, got.Code, got.Status, err, code, status)
	}
}

// Every operation is called by botocore, the writes too, and what it reads is
// what Go's SDK reads.
func TestBotocoreCallsEveryOperation(t *testing.T) {
	c := newCalls(t)
	certificate := c.sim.ImportCertificate(newCertificate(t, "lb.example"))
	tag := []types.Tag{{Key: new("owner"), Value: new("é @ co")}}

	c.network()
	lb := judged[elb.CreateLoadBalancerOutput](c, serviceELB, "CreateLoadBalancer", &elb.CreateLoadBalancerInput{
		Name: new("public"), Subnets: []string{"subnet-00000000000000001", "subnet-00000000000000002"},
		SecurityGroups: []string{balancer}, Scheme: types.LoadBalancerSchemeEnumInternal, Tags: tag,
	}).LoadBalancers[0].LoadBalancerArn
	group := func(name string) *string {
		return judged[elb.CreateTargetGroupOutput](c, serviceELB, "CreateTargetGroup", &elb.CreateTargetGroupInput{
			Name: &name, Protocol: types.ProtocolEnumHttp, Port: new(int32(30080)), VpcId: new(defaultVPC), HealthCheckPath: new("/healthz/ready"),
			HealthCheckPort: new("30021"), Matcher: &types.Matcher{HttpCode: new("200-299")}, Tags: tag,
		}).TargetGroups[0].TargetGroupArn
	}
	before, after := group("old"), group("new")
	instance := []types.TargetDescription{{Id: new("i-00000000000000001")}, {Id: new("i-00000000000000002"), Port: new(int32(30081))}}
	judged[elb.RegisterTargetsOutput](c, serviceELB, "RegisterTargets", &elb.RegisterTargetsInput{TargetGroupArn: before, Targets: instance})
	judged[elb.ModifyTargetGroupAttributesOutput](c, serviceELB, "ModifyTargetGroupAttributes", &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: before, Attributes: []types.TargetGroupAttribute{{Key: new(attrDelay), Value: new("0")}},
	})
	l := judged[elb.CreateListenerOutput](c, serviceELB, "CreateListener", &elb.CreateListenerInput{
		LoadBalancerArn: lb, Protocol: types.ProtocolEnumHttps, Port: new(int32(443)), Certificates: []types.Certificate{{CertificateArn: &certificate}},
		DefaultActions: []types.Action{answerWith("404", "no <such> host & so on")}, Tags: tag,
	}).Listeners[0].ListenerArn
	judged[elb.ModifyListenerOutput](c, serviceELB, "ModifyListener", &elb.ModifyListenerInput{ListenerArn: l, DefaultActions: []types.Action{forwardTo(*before)}})
	rule := func(priority int32, conditions []types.RuleCondition, actions ...types.Action) *string {
		return judged[elb.CreateRuleOutput](c, serviceELB, "CreateRule", &elb.CreateRuleInput{
			ListenerArn: l, Priority: &priority, Conditions: conditions, Actions: actions, Tags: tag,
			Transforms: []types.RuleTransform{{
				Type:             types.TransformTypeEnumUrlRewrite,
				UrlRewriteConfig: &types.UrlRewriteConfig{Rewrites: []types.RewriteConfig{{Regex: new("^/a/(.*)$"), Replace: new("/$1")}}},
			}},
		}).Rules[0].RuleArn
	}
	plain := rule(10, []types.RuleCondition{hostIs("a.example", "*.b.example")}, forwardTo(*before))
	rule(20, []types.RuleCondition{
		{Field: new(fieldHeader), HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: new("X-Team"), Values: []string{"red"}}},
		{Field: new(fieldMethod), HttpRequestMethodConfig: &types.HttpRequestMethodConditionConfig{Values: []string{"GET"}}},
		{Field: new(fieldQuery), QueryStringConfig: &types.QueryStringConditionConfig{Values: []types.QueryStringKeyValuePair{{Key: new("k"), Value: new("v")}}}},
		{Field: new(fieldSource), SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{"10.0.0.0/8"}}},
		{Field: new(fieldPath), PathPatternConfig: &types.PathPatternConditionConfig{RegexValues: []string{"^/v[0-9]+$"}}},
	}, oidcActions(*before, new("hidden"))...)
	judged[elb.ModifyRuleOutput](c, serviceELB, "ModifyRule", &elb.ModifyRuleInput{RuleArn: plain, Actions: []types.Action{weighted(*before, 0, *after, 999)}})
	judged[elb.SetRulePrioritiesOutput](c, serviceELB, "SetRulePriorities", &elb.SetRulePrioritiesInput{RulePriorities: []types.RulePriorityPair{{RuleArn: plain, Priority: new(int32(30))}}})
	judged[elb.AddTagsOutput](c, serviceELB, "AddTags", &elb.AddTagsInput{ResourceArns: []string{*lb, *plain}, Tags: []types.Tag{{Key: new("k"), Value: new("v")}}})

	c.autoScaling(after)
	c.describe(lb, l, before)
	c.judgedFailure(serviceELB, "DescribeRules", "ListenerNotFound", http.StatusBadRequest, &elb.DescribeRulesInput{ListenerArn: new(*l + "0")})

	judged[elb.RemoveTagsOutput](c, serviceELB, "RemoveTags", &elb.RemoveTagsInput{ResourceArns: []string{*lb}, TagKeys: []string{"k"}})
	judged[elb.DeregisterTargetsOutput](c, serviceELB, "DeregisterTargets", &elb.DeregisterTargetsInput{TargetGroupArn: before, Targets: instance})
	judged[elb.DeleteRuleOutput](c, serviceELB, "DeleteRule", &elb.DeleteRuleInput{RuleArn: plain})
	judged[elb.DeleteListenerOutput](c, serviceELB, "DeleteListener", &elb.DeleteListenerInput{ListenerArn: l})
	judged[elb.DeleteTargetGroupOutput](c, serviceELB, "DeleteTargetGroup", &elb.DeleteTargetGroupInput{TargetGroupArn: before})
	judged[elb.DeleteLoadBalancerOutput](c, serviceELB, "DeleteLoadBalancer", &elb.DeleteLoadBalancerInput{LoadBalancerArn: lb})
	if left := c.record.unseen(); len(left) > 0 {
		t.Errorf("not called: %v", left)
	}
}

// network calls EC2 and STS.
func (c *calls) network() {
	c.t.Helper()
	judged[sts.GetCallerIdentityOutput](c, serviceSTS, "GetCallerIdentity", &sts.GetCallerIdentityInput{})
	if out := judged[ec2.DescribeInstancesOutput](c, serviceEC2, "DescribeInstances", &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{filter("tag:Name", "node-1")}}); len(out.Reservations) != 1 {
		c.t.Errorf("found %d reservations", len(out.Reservations))
	}
	page := judged[ec2.DescribeSubnetsOutput](c, serviceEC2, "DescribeSubnets", &ec2.DescribeSubnetsInput{MaxResults: new(int32(5)), Filters: []ec2types.Filter{filter("vpc-id", defaultVPC)}})
	if len(page.Subnets) != 3 {
		c.t.Errorf("found %d subnets", len(page.Subnets))
	}
	judged[ec2.DescribeVpcsOutput](c, serviceEC2, "DescribeVpcs", &ec2.DescribeVpcsInput{VpcIds: []string{defaultVPC}})
	judged[ec2.DescribeSecurityGroupsOutput](c, serviceEC2, "DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{})
	judged[ec2.GetManagedPrefixListEntriesOutput](c, serviceEC2, "GetManagedPrefixListEntries", &ec2.GetManagedPrefixListEntriesInput{PrefixListId: new(prefixes)})
	in := &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: new(nodes), IpPermissions: []ec2types.IpPermission{
			tcp(30081, 30081, ec2types.IpPermission{UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: new(balancer), UserId: new("111122223333"), Description: new("as the old side has")}}}),
			tcp(30022, 30022, ec2types.IpPermission{PrefixListIds: []ec2types.PrefixListId{{PrefixListId: new(prefixes)}}, Ipv6Ranges: []ec2types.Ipv6Range{{CidrIpv6: new("::/0")}}}),
		},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: resourceRule, Tags: []ec2types.Tag{{Key: new("made-by"), Value: new("cutover")}}}},
	}
	made := judged[ec2.AuthorizeSecurityGroupIngressOutput](c, serviceEC2, "AuthorizeSecurityGroupIngress", in)
	if len(made.SecurityGroupRules) != 3 {
		c.t.Errorf("made %d rules", len(made.SecurityGroupRules))
	}
	c.judgedFailure(serviceEC2, "AuthorizeSecurityGroupIngress", "InvalidPermission.Duplicate", http.StatusBadRequest, in)
	judged[ec2.DescribeSecurityGroupRulesOutput](c, serviceEC2, "DescribeSecurityGroupRules", &ec2.DescribeSecurityGroupRulesInput{Filters: []ec2types.Filter{filter("group-id", nodes)}})
	out := &ec2.RevokeSecurityGroupIngressInput{GroupId: new(nodes), SecurityGroupRuleIds: []string{*made.SecurityGroupRules[0].SecurityGroupRuleId}, DryRun: new(true)}
	c.judgedFailure(serviceEC2, "RevokeSecurityGroupIngress", "DryRunOperation", http.StatusPreconditionFailed, out)
	out.DryRun = nil
	judged[ec2.RevokeSecurityGroupIngressOutput](c, serviceEC2, "RevokeSecurityGroupIngress", out)
}

// autoScaling attaches a target group and detaches it.
func (c *calls) autoScaling(group *string) {
	c.t.Helper()
	name := new("nodes")
	judged[autoscaling.AttachLoadBalancerTargetGroupsOutput](c, serviceScaling, "AttachLoadBalancerTargetGroups",
		&autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: name, TargetGroupARNs: []string{*group}})
	judged[autoscaling.DescribeAutoScalingGroupsOutput](c, serviceScaling, "DescribeAutoScalingGroups",
		&autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{*name}})
	states := judged[autoscaling.DescribeLoadBalancerTargetGroupsOutput](c, serviceScaling, "DescribeLoadBalancerTargetGroups",
		&autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: name})
	if len(states.LoadBalancerTargetGroups) != 1 {
		c.t.Errorf("attached to %d target groups", len(states.LoadBalancerTargetGroups))
	}
	judged[autoscaling.DescribeTrafficSourcesOutput](c, serviceScaling, "DescribeTrafficSources", &autoscaling.DescribeTrafficSourcesInput{AutoScalingGroupName: name})
	judged[autoscaling.DetachLoadBalancerTargetGroupsOutput](c, serviceScaling, "DetachLoadBalancerTargetGroups",
		&autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: name, TargetGroupARNs: []string{*group}})
	c.judgedFailure(serviceScaling, "DescribeTrafficSources", "ValidationError", http.StatusBadRequest,
		&autoscaling.DescribeTrafficSourcesInput{AutoScalingGroupName: new("others")})
}

// describe reads all that there is of a load balancer.
func (c *calls) describe(lb, listener, group *string) {
	c.t.Helper()
	judged[elb.DescribeLoadBalancersOutput](c, serviceELB, "DescribeLoadBalancers", &elb.DescribeLoadBalancersInput{})
	judged[elb.DescribeLoadBalancerAttributesOutput](c, serviceELB, "DescribeLoadBalancerAttributes", &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: lb})
	judged[elb.DescribeListenersOutput](c, serviceELB, "DescribeListeners", &elb.DescribeListenersInput{LoadBalancerArn: lb})
	judged[elb.DescribeListenerAttributesOutput](c, serviceELB, "DescribeListenerAttributes", &elb.DescribeListenerAttributesInput{ListenerArn: listener})
	judged[elb.DescribeListenerCertificatesOutput](c, serviceELB, "DescribeListenerCertificates", &elb.DescribeListenerCertificatesInput{ListenerArn: listener})
	rules := judged[elb.DescribeRulesOutput](c, serviceELB, "DescribeRules", &elb.DescribeRulesInput{ListenerArn: listener})
	if len(rules.Rules) != 3 || rules.NextMarker != nil {
		c.t.Errorf("found %d rules", len(rules.Rules))
	}
	judged[elb.DescribeTargetGroupsOutput](c, serviceELB, "DescribeTargetGroups", &elb.DescribeTargetGroupsInput{PageSize: new(int32(1))})
	judged[elb.DescribeTargetGroupAttributesOutput](c, serviceELB, "DescribeTargetGroupAttributes", &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: group})
	judged[elb.DescribeTargetHealthOutput](c, serviceELB, "DescribeTargetHealth", &elb.DescribeTargetHealthInput{TargetGroupArn: group})
	judged[elb.DescribeTagsOutput](c, serviceELB, "DescribeTags", &elb.DescribeTagsInput{ResourceArns: []string{*lb, *group}})
	limits := judged[elb.DescribeAccountLimitsOutput](c, serviceELB, "DescribeAccountLimits", &elb.DescribeAccountLimitsInput{PageSize: new(int32(3))})
	if len(limits.Limits) != 3 || limits.NextMarker == nil {
		c.t.Errorf("found %d limits on a page of 3", len(limits.Limits))
	}
}
