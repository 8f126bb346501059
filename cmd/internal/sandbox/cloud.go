package sandbox

import (
	"context"
	"crypto/tls"
	"fmt"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/istio-cutover/cutover/aws/awssim"
)

const (
	region  = "us-east-1"
	account = "111122223333"
	vpc     = "vpc-0a1b2c3d4e5f60718"

	networkBalancer = "passthrough-nlb"

	httpsPort = 443
	httpPort  = 80
)

// cloud fills an AWS account; the first failure is kept and ends the rest.
type cloud struct {
	ctx         context.Context
	sim         *awssim.Sim
	nodes       []node
	certificate string
	groups      []string // the ARNs of all target groups
	// port maps a load balancer's port to the one that is bound for it.
	port func(int) int
	err  error
}

// provision creates the world's load balancers, target groups and rules, and what
// stands around them.
func provision(ctx context.Context, sim *awssim.Sim, w world, net *network, certificate tls.Certificate, port func(int) int) error {
	c := &cloud{ctx: ctx, sim: sim, nodes: net.nodes(), certificate: sim.ImportCertificate(certificate), port: port}
	c.surround()
	for _, b := range w.balancers {
		c.application(b)
	}
	c.network()
	c.scale()
	return c.err
}

// call makes one API call; the zero output after a failure keeps callers plain.
func call[O any](c *cloud, input any) *O {
	if c.err != nil {
		return new(O)
	}
	output, err := c.sim.Call(c.ctx, input)
	if err != nil {
		c.err = fmt.Errorf("%T: %w", input, err)
		return new(O)
	}
	typed, ok := output.(*O)
	if !ok {
		c.err = fmt.Errorf("%T answered with %T", input, output)
		return new(O)
	}
	return typed
}

func (c *cloud) balancer(name string, kind types.LoadBalancerTypeEnum, securityGroups ...string) *string {
	var subnets []string
	for _, n := range c.nodes {
		subnets = append(subnets, subnetOf(n))
	}
	out := call[elb.CreateLoadBalancerOutput](c, &elb.CreateLoadBalancerInput{
		Name: &name, Type: kind, Scheme: types.LoadBalancerSchemeEnumInternal, Subnets: subnets, SecurityGroups: securityGroups,
		Tags: []types.Tag{{Key: new("Environment"), Value: new("sandbox")}},
	})
	if len(out.LoadBalancers) == 0 {
		return nil
	}
	return out.LoadBalancers[0].LoadBalancerArn
}

// group creates a target group for a NodePort of a side, checked on the status
// port, and registers every node.
func (c *cloud) group(name string, protocol types.ProtocolEnum, port int, s side) *string {
	out := call[elb.CreateTargetGroupOutput](c, &elb.CreateTargetGroupInput{
		Name: &name, Protocol: protocol, Port: new(int32(port)), VpcId: new(vpc), TargetType: types.TargetTypeEnumInstance,
		HealthCheckProtocol: types.ProtocolEnumHttp, HealthCheckPort: new(fmt.Sprint(s.status)), HealthCheckPath: new("/healthz/ready"),
		HealthCheckIntervalSeconds: new(int32(5)), HealthCheckTimeoutSeconds: new(int32(2)),
		HealthyThresholdCount: new(int32(2)), UnhealthyThresholdCount: new(int32(2)),
		Matcher: &types.Matcher{HttpCode: new("200")},
	})
	if len(out.TargetGroups) == 0 {
		return nil
	}
	arn := out.TargetGroups[0].TargetGroupArn
	var targets []types.TargetDescription
	for _, n := range c.nodes {
		targets = append(targets, types.TargetDescription{Id: new(n.instance)})
	}
	call[elb.RegisterTargetsOutput](c, &elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: targets})
	c.groups = append(c.groups, *arn)
	return arn
}

func (c *cloud) listen(balancer *string, port int, protocol types.ProtocolEnum, action types.Action) *string {
	input := &elb.CreateListenerInput{
		LoadBalancerArn: balancer, Port: new(int32(port)), Protocol: protocol, DefaultActions: []types.Action{action},
	}
	if protocol == types.ProtocolEnumHttps {
		input.Certificates = []types.Certificate{{CertificateArn: new(c.certificate)}}
	}
	out := call[elb.CreateListenerOutput](c, input)
	if len(out.Listeners) == 0 {
		return nil
	}
	return out.Listeners[0].ListenerArn
}

// application creates one ALB: http redirects, https carries the rules.
func (c *cloud) application(b balancer) {
	l := publicLane()
	arn := c.balancer(b.name, types.LoadBalancerTypeEnumApplication, balancerGroup)
	old := c.group(b.prefix+"-old-https", types.ProtocolEnumHttps, l.old.https, l.old)
	fresh := c.group(b.prefix+"-new-https", types.ProtocolEnumHttps, l.new.https, l.new)
	c.listen(arn, httpPort, types.ProtocolEnumHttp, c.redirect("#{host}"))
	action := forwardTo(old)
	if b.closed {
		action = types.Action{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{
			StatusCode: new("404"), ContentType: new("text/plain"), MessageBody: new("no such host"),
		}}
	}
	listener := c.listen(arn, httpsPort, types.ProtocolEnumHttps, action)
	for _, r := range b.rules {
		call[elb.CreateRuleOutput](c, &elb.CreateRuleInput{
			ListenerArn: listener, Priority: new(int32(r.priority)),
			Conditions: conditions(r), Actions: c.actions(r, old, fresh),
		})
	}
}

func (c *cloud) redirect(host string) types.Action {
	return types.Action{Type: types.ActionTypeEnumRedirect, RedirectConfig: &types.RedirectActionConfig{
		Protocol: new("HTTPS"), Host: &host, Port: new(fmt.Sprint(c.port(httpsPort))), StatusCode: types.RedirectActionStatusCodeEnumHttp301,
	}}
}

func forwardTo(group *string) types.Action {
	return types.Action{Type: types.ActionTypeEnumForward, TargetGroupArn: group}
}

func conditions(r rule) []types.RuleCondition {
	list := []types.RuleCondition{{
		Field: new("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: r.hosts},
	}}
	if len(r.paths) > 0 {
		list = append(list, types.RuleCondition{
			Field: new("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: r.paths},
		})
	}
	return list
}

func (c *cloud) actions(r rule, old, fresh *string) []types.Action {
	switch r.kind {
	case forward:
		return []types.Action{forwardTo(old)}
	case warm:
		return []types.Action{forwardTo(fresh)}
	case redirect:
		return []types.Action{c.redirect("confluence." + domain)}
	case authenticate:
		first, then := types.Action{
			Type: types.ActionTypeEnumAuthenticateOidc, Order: new(int32(1)),
			AuthenticateOidcConfig: &types.AuthenticateOidcActionConfig{
				Issuer:                new("https://keycloak." + domain + "/realms/baby-yoda"),
				AuthorizationEndpoint: new("https://keycloak." + domain + "/realms/baby-yoda/protocol/openid-connect/auth"),
				TokenEndpoint:         new("https://keycloak." + domain + "/realms/baby-yoda/protocol/openid-connect/token"),
				UserInfoEndpoint:      new("https://keycloak." + domain + "/realms/baby-yoda/protocol/openid-connect/userinfo"),
				ClientId:              new("sandbox"), ClientSecret: new("not-a-secret"),
			},
		}, forwardTo(old)
		then.Order = new(int32(2))
		return []types.Action{first, then}
	}
	return nil
}

// network creates the passthrough lane's NLB. Its new groups stand beside the
// old ones at weight 0, which has them health-checked without traffic.
func (c *cloud) network() {
	l := passthroughLane()
	arn := c.balancer(networkBalancer, types.LoadBalancerTypeEnumNetwork)
	for _, p := range []struct {
		port     int
		name     string
		old, new int
	}{
		{httpsPort, "https", l.old.https, l.new.https},
		{httpPort, "http", l.old.http, l.new.http},
	} {
		old := c.group("passthrough-old-"+p.name, types.ProtocolEnumTcp, p.old, l.old)
		fresh := c.group("passthrough-new-"+p.name, types.ProtocolEnumTcp, p.new, l.new)
		c.listen(arn, p.port, types.ProtocolEnumTcp, types.Action{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{
			TargetGroups: []types.TargetGroupTuple{
				{TargetGroupArn: old, Weight: new(int32(100))},
				{TargetGroupArn: fresh, Weight: new(int32(0))},
			},
		}})
	}
}
