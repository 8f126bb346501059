package awssim

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const trafficPort = "traffic-port"

// createTargetGroup is idempotent: the same settings give the group there is.
func (s *Sim) createTargetGroup(in *elb.CreateTargetGroupInput) (*elb.CreateTargetGroupOutput, error) {
	name := aws.ToString(in.Name)
	if err := checkName(name, "target group"); err != nil {
		return nil, err
	}
	view, err := groupView(in)
	if err != nil {
		return nil, err
	}
	if _, err := s.findVPC(*view.VpcId); err != nil && len(s.net.vpcs) > 0 {
		return nil, invalid("The VPC ID '%s' is not found", shorten(*view.VpcId))
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	for _, g := range s.groups {
		if aws.ToString(g.view.TargetGroupName) != name {
			continue
		}
		view.TargetGroupArn = g.view.TargetGroupArn
		if !reflect.DeepEqual(view, g.view) {
			return nil, apiError("DuplicateTargetGroupName",
				"A target group with the same name '%s' exists, but with different settings", name)
		}
		return &elb.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{g.describe(s.users())}}, nil
	}
	if most := s.limits[limitGroups]; len(s.groups) >= most {
		return nil, apiError("TooManyTargetGroups", "The maximum number of target groups is '%d'", most)
	}
	view.TargetGroupArn = new(s.arnOf("targetgroup/" + name + "/" + s.cfg.NewID()))
	g := &targetGroup{view: view, attributes: defaultAttributes(view), pool: newPool(view)}
	s.groups = append(s.groups, g)
	s.setTags(g.arn(), in.Tags)
	return &elb.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{g.describe(nil)}}, nil
}

// groupView fills in AWS's defaults, which depend on the protocols, and holds
// the settings to AWS's ranges. Only the interval and the time-out of health
// checks may be shorter here, from 1 s, for the sake of tests.
func groupView(in *elb.CreateTargetGroupInput) (types.TargetGroup, error) {
	application := in.Protocol == types.ProtocolEnumHttp || in.Protocol == types.ProtocolEnumHttps
	view := types.TargetGroup{
		HealthCheckEnabled:         cmp.Or(in.HealthCheckEnabled, new(true)),
		HealthCheckIntervalSeconds: cmp.Or(in.HealthCheckIntervalSeconds, new(int32(30))),
		HealthCheckPort:            cmp.Or(in.HealthCheckPort, new(trafficPort)),
		HealthCheckProtocol:        in.HealthCheckProtocol,
		HealthyThresholdCount:      cmp.Or(in.HealthyThresholdCount, new(int32(5))),
		IpAddressType:              cmp.Or(in.IpAddressType, types.TargetGroupIpAddressTypeEnumIpv4),
		Port:                       in.Port,
		Protocol:                   in.Protocol,
		TargetGroupName:            in.Name,
		TargetType:                 cmp.Or(in.TargetType, types.TargetTypeEnumInstance),
		UnhealthyThresholdCount:    cmp.Or(in.UnhealthyThresholdCount, new(int32(2))),
		VpcId:                      cmp.Or(in.VpcId, new(defaultVPC)),
	}
	defaultCheck, defaultTimeout, defaultCodes := types.ProtocolEnumTcp, int32(10), "200-399"
	switch in.Protocol {
	case types.ProtocolEnumHttp, types.ProtocolEnumHttps:
		defaultCheck, defaultTimeout, defaultCodes = types.ProtocolEnumHttp, 5, "200"
		view.ProtocolVersion = cmp.Or(in.ProtocolVersion, new("HTTP1"))
	case types.ProtocolEnumTcp, types.ProtocolEnumTls:
		if view.HealthCheckProtocol == types.ProtocolEnumHttp {
			defaultTimeout = 6
		}
		if in.ProtocolVersion != nil {
			return view, invalid("A protocol version cannot be specified for target groups with protocol '%s'", in.Protocol)
		}
	default:
		return view, apiError("UnsupportedProtocol", "Target group protocol '%s' is not supported", shorten(string(in.Protocol)))
	}
	view.HealthCheckProtocol = cmp.Or(view.HealthCheckProtocol, defaultCheck)
	view.HealthCheckTimeoutSeconds = cmp.Or(in.HealthCheckTimeoutSeconds,
		new(min(defaultTimeout, *view.HealthCheckIntervalSeconds)))
	switch view.HealthCheckProtocol {
	case types.ProtocolEnumHttp, types.ProtocolEnumHttps:
		view.HealthCheckPath = cmp.Or(in.HealthCheckPath, new("/"))
		view.Matcher = in.Matcher
		if view.Matcher == nil {
			view.Matcher = &types.Matcher{HttpCode: new(defaultCodes)}
		}
	case types.ProtocolEnumTcp:
		if in.HealthCheckPath != nil || in.Matcher != nil {
			return view, invalid("Health check path and matcher cannot be specified for health checks with protocol 'TCP'")
		}
		if application {
			return view, invalid("Health check protocol 'TCP' is not supported for target groups with protocol '%s'", in.Protocol)
		}
	default:
		return view, invalid("Health check protocol '%s' is not supported", shorten(string(view.HealthCheckProtocol)))
	}
	return view, checkGroup(view)
}

// checkGroup holds the settings of a group to their ranges.
func checkGroup(view types.TargetGroup) error {
	interval, timeout := *view.HealthCheckIntervalSeconds, *view.HealthCheckTimeoutSeconds
	checkPort, err := strconv.Atoi(*view.HealthCheckPort)
	switch {
	case view.Port == nil || *view.Port < 1 || *view.Port > 65535:
		return invalid("A target group port between 1 and 65535 must be specified")
	case view.TargetType != types.TargetTypeEnumInstance && view.TargetType != types.TargetTypeEnumIp:
		return invalid("The target type '%s' is not supported here", shorten(string(view.TargetType)))
	case !*view.HealthCheckEnabled:
		return invalid("Health checks cannot be disabled for target groups with target type '%s'", view.TargetType)
	case *view.HealthCheckPort != trafficPort && (err != nil || checkPort < 1 || checkPort > 65535):
		return invalid("Health check port '%s' must be '%s' or between 1 and 65535", shorten(*view.HealthCheckPort), trafficPort)
	case interval < 1 || interval > 300:
		return invalid("Health check interval '%d' must be between 5 and 300 seconds", interval)
	case timeout < 1 || timeout > 120:
		return invalid("Health check timeout '%d' must be between 2 and 120 seconds", timeout)
	case timeout > interval:
		return invalid("Health check timeout '%d' must be smaller than the interval '%d'", timeout, interval)
	case *view.HealthyThresholdCount < 2 || *view.HealthyThresholdCount > 10:
		return invalid("Healthy threshold count '%d' must be between 2 and 10", *view.HealthyThresholdCount)
	case *view.UnhealthyThresholdCount < 2 || *view.UnhealthyThresholdCount > 10:
		return invalid("Unhealthy threshold count '%d' must be between 2 and 10", *view.UnhealthyThresholdCount)
	case view.HealthCheckPath != nil && (!strings.HasPrefix(*view.HealthCheckPath, "/") || len(*view.HealthCheckPath) > 1024):
		return invalid("Health check path '%s' must begin with a '/' character", shorten(*view.HealthCheckPath))
	case !slices.Contains(view.IpAddressType.Values(), view.IpAddressType):
		return invalid("IP address type '%s' must be one of '%v'", shorten(string(view.IpAddressType)), view.IpAddressType.Values())
	case view.ProtocolVersion != nil && *view.ProtocolVersion != "HTTP1" && *view.ProtocolVersion != "HTTP2":
		return invalid("The protocol version '%s' is not supported here", shorten(*view.ProtocolVersion))
	}
	if view.Matcher != nil {
		highest := 599
		if view.ProtocolVersion != nil {
			highest = 499
		}
		ranges, ok := parseMatcher(aws.ToString(view.Matcher.HttpCode))
		if !ok || slices.ContainsFunc(ranges, func(r codeRange) bool { return r.to > highest }) {
			return invalid("Health check matcher HTTP code '%s' must be within '200-%d'", shorten(aws.ToString(view.Matcher.HttpCode)), highest)
		}
	}
	return nil
}

// codeRange is a range of HTTP status codes, both ends in it.
type codeRange struct{ from, to int }

// parseMatcher reads codes as "200", "200,202" or "200-299".
func parseMatcher(text string) ([]codeRange, bool) {
	var ranges []codeRange
	for part := range strings.SplitSeq(text, ",") {
		low, high, both := strings.Cut(strings.TrimSpace(part), "-")
		if !both {
			high = low
		}
		from, err := strconv.Atoi(low)
		to, errTo := strconv.Atoi(high)
		if err != nil || errTo != nil || from < 200 || to > 599 || from > to {
			return nil, false
		}
		ranges = append(ranges, codeRange{from, to})
	}
	return ranges, true
}

// describe gives the group with the load balancer that forwards to it.
func (g *targetGroup) describe(users map[string][]string) types.TargetGroup {
	view := g.view
	view.LoadBalancerArns = append([]string{}, users[g.arn()]...)
	return view
}

func (s *Sim) describeTargetGroups(in *elb.DescribeTargetGroupsInput) (*elb.DescribeTargetGroupsOutput, error) {
	if in.LoadBalancerArn != nil {
		if _, err := s.findLoadBalancer(in.LoadBalancerArn); err != nil {
			return nil, err
		}
	}
	for _, arn := range in.TargetGroupArns {
		if _, err := s.findGroup(&arn); err != nil {
			return nil, err
		}
	}
	for _, name := range in.Names {
		if !slices.ContainsFunc(s.groups, func(g *targetGroup) bool { return aws.ToString(g.view.TargetGroupName) == name }) {
			return nil, apiError("TargetGroupNotFound", "One or more target groups not found")
		}
	}
	users := s.users()
	var views []types.TargetGroup
	for _, g := range s.groups {
		onLB := in.LoadBalancerArn == nil || slices.Contains(users[g.arn()], *in.LoadBalancerArn)
		if onLB && selected(in.TargetGroupArns, g.arn()) && selected(in.Names, aws.ToString(g.view.TargetGroupName)) {
			views = append(views, g.describe(users))
		}
	}
	views, next, err := page(views, func(v types.TargetGroup) string { return *v.TargetGroupArn }, in.Marker, in.PageSize, elbPages())
	if err != nil {
		return nil, err
	}
	return &elb.DescribeTargetGroupsOutput{TargetGroups: views, NextMarker: next}, nil
}

func (s *Sim) deleteTargetGroup(in *elb.DeleteTargetGroupInput) (*elb.DeleteTargetGroupOutput, error) {
	g, err := s.findGroup(in.TargetGroupArn)
	if err != nil {
		// AWS takes the deletion of a group that is gone for done.
		if checkARN(in.TargetGroupArn, "targetgroup", "") == nil {
			return &elb.DeleteTargetGroupOutput{}, nil
		}
		return nil, err
	}
	if len(s.users()[g.arn()]) > 0 {
		return nil, apiError("ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", g.arn())
	}
	for _, t := range g.targets {
		t.stopChecks()
	}
	s.groups = slices.DeleteFunc(s.groups, func(other *targetGroup) bool { return other == g })
	delete(s.tags, g.arn())
	g.pool.close()
	return &elb.DeleteTargetGroupOutput{}, nil
}
