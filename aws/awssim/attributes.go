package awssim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Attributes of target groups that the simulator acts on.
const (
	attrSticky     = "stickiness.enabled"
	attrStickyType = "stickiness.type"
	attrCookieTime = "stickiness.lb_cookie.duration_seconds"
	attrDelay      = "deregistration_delay.timeout_seconds"
	attrProxyV2    = "proxy_protocol_v2.enabled"
	attrCrossZone  = "load_balancing.cross_zone.enabled"

	attrEndDrained   = "deregistration_delay.connection_termination.enabled"
	attrEndUnhealthy = "target_health_state.unhealthy.connection_termination.enabled"
	attrLeastCount   = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
	attrLeastPercent = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"
)

// defaultAttributes gives the attributes that a group of a protocol has, with
// AWS's default values. Others are refused for it.
func defaultAttributes(protocol types.ProtocolEnum) map[string]string {
	attributes := map[string]string{
		attrDelay:     "300",
		attrSticky:    "false",
		attrCrossZone: "use_load_balancer_configuration",
		"target_group_health.dns_failover.minimum_healthy_targets.count":      "1",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
		attrLeastCount:   "1",
		attrLeastPercent: "off",
	}
	own := map[string]string{
		attrStickyType:               "source_ip",
		attrProxyV2:                  "false",
		"preserve_client_ip.enabled": "true",
		attrEndDrained:               "false",
		attrEndUnhealthy:             "true",
		"target_health_state.unhealthy.draining_interval_seconds": "0",
	}
	if protocol == types.ProtocolEnumHttp || protocol == types.ProtocolEnumHttps {
		own = map[string]string{
			attrStickyType:                                "lb_cookie",
			attrCookieTime:                                "86400",
			"stickiness.app_cookie.cookie_name":           "",
			"stickiness.app_cookie.duration_seconds":      "86400",
			"slow_start.duration_seconds":                 "0",
			"load_balancing.algorithm.type":               "round_robin",
			"load_balancing.algorithm.anomaly_mitigation": "off",
		}
	}
	maps.Copy(attributes, own)
	return attributes
}

func (g *targetGroup) describeAttributes() []types.TargetGroupAttribute {
	attributes := make([]types.TargetGroupAttribute, 0, len(g.attributes))
	for key, value := range g.attributes {
		attributes = append(attributes, types.TargetGroupAttribute{Key: new(key), Value: new(value)})
	}
	slices.SortFunc(attributes, func(a, b types.TargetGroupAttribute) int { return strings.Compare(*a.Key, *b.Key) })
	return attributes
}

// seconds gives an attribute that is a duration; checkAttribute has seen to its
// form.
func (g *targetGroup) seconds(key string) time.Duration {
	n, err := strconv.Atoi(g.attributes[key])
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// minimumHealthy is how many targets of those in use must be healthy, lest the
// group fails open. Which values are allowed is AWS's affair: others count as off.
func (g *targetGroup) minimumHealthy(total int) int {
	least, _ := strconv.Atoi(g.attributes[attrLeastCount])
	percent, _ := strconv.Atoi(g.attributes[attrLeastPercent])
	return max(least, (total*percent+99)/100)
}

// cookieDuration is how long the load balancer's own cookie keeps a client on
// a target, 0 where it gives none. Cookies of applications are not followed.
func (g *targetGroup) cookieDuration() time.Duration {
	if g.attributes[attrSticky] != "true" || g.attributes[attrStickyType] != "lb_cookie" {
		return 0
	}
	return g.seconds(attrCookieTime)
}

func (s *Sim) describeTargetGroupAttributes(in *elb.DescribeTargetGroupAttributesInput) (*elb.DescribeTargetGroupAttributesOutput, error) {
	g, err := s.findGroup(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	return &elb.DescribeTargetGroupAttributesOutput{Attributes: g.describeAttributes()}, nil
}

func (s *Sim) modifyTargetGroupAttributes(in *elb.ModifyTargetGroupAttributesInput) (*elb.ModifyTargetGroupAttributesOutput, error) {
	g, err := s.findGroup(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) == 0 {
		return nil, invalid("Target group attributes must be specified")
	}
	changed := maps.Clone(g.attributes)
	for _, a := range in.Attributes {
		key, value := aws.ToString(a.Key), aws.ToString(a.Value)
		if _, known := changed[key]; !known {
			return nil, invalid("Target group attribute key '%s' is not recognized for protocol '%s'", shorten(key), g.view.Protocol)
		}
		if err := checkAttribute(key, value); err != nil {
			return nil, err
		}
		changed[key] = value
	}
	if changed[attrSticky] == "true" && s.weightedUnsticky(g.arn()) {
		return nil, stickyConflict()
	}
	g.attributes = changed
	return &elb.ModifyTargetGroupAttributesOutput{Attributes: g.describeAttributes()}, nil
}

// checkAttribute holds switches and durations to their ranges.
func checkAttribute(key, value string) error {
	switch {
	case key == attrCrossZone:
		if !slices.Contains([]string{"true", "false", "use_load_balancer_configuration"}, value) {
			return invalid("The value '%s' of attribute '%s' is not valid", shorten(value), key)
		}
	case key == attrStickyType:
		if !slices.Contains([]string{"lb_cookie", "app_cookie", "source_ip"}, value) {
			return invalid("The value '%s' of attribute '%s' is not valid", shorten(value), key)
		}
	case strings.HasSuffix(key, ".enabled"):
		if value != "true" && value != "false" {
			return invalid("The value '%s' of attribute '%s' must be true or false", shorten(value), key)
		}
	case strings.HasSuffix(key, "_seconds"):
		low, high := 0, 3600
		switch {
		case strings.HasPrefix(key, "stickiness."):
			low, high = 1, maxStickySeconds
		case key == "slow_start.duration_seconds":
			high = 900
		case key == "target_health_state.unhealthy.draining_interval_seconds":
			high = 360000
		}
		seconds, err := strconv.Atoi(value)
		if err != nil || seconds < low || seconds > high {
			return invalid("The value '%s' of attribute '%s' must be between %d and %d", shorten(value), key, low, high)
		}
	}
	return nil
}

// weightedUnsticky says whether a forward without group stickiness shares its
// traffic between this group and others.
func (s *Sim) weightedUnsticky(arn string) bool {
	for _, lb := range s.balancers {
		for r := range lb.rules {
			for _, a := range r.actions {
				c := a.ForwardConfig
				if c != nil && len(c.TargetGroups) > 1 && !*c.TargetGroupStickinessConfig.Enabled &&
					slices.Contains(groupsOf([]types.Action{a}), arn) {
					return true
				}
			}
		}
	}
	return false
}
