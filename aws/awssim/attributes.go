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

	attrEndDrained        = "deregistration_delay.connection_termination.enabled"
	attrEndUnhealthy      = "target_health_state.unhealthy.connection_termination.enabled"
	attrUnhealthyInterval = "target_health_state.unhealthy.draining_interval_seconds"
	attrLeastCount        = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
	attrLeastPercent      = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"
)

// Attributes that the simulator only holds to AWS's rules.
const (
	attrAlgorithm = "load_balancing.algorithm.type"
	attrAnomaly   = "load_balancing.algorithm.anomaly_mitigation"
	attrAppCookie = "stickiness.app_cookie.cookie_name"
	attrSlowStart = "slow_start.duration_seconds"
)

// defaultAttributes gives the attributes that a group of a protocol has, with
// AWS's default values. Others are refused for it.
func defaultAttributes(view types.TargetGroup) map[string]string {
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
		"preserve_client_ip.enabled": strconv.FormatBool(view.TargetType != types.TargetTypeEnumIp),
		attrEndDrained:               "false",
		attrEndUnhealthy:             "true",
		attrUnhealthyInterval:        "0",
	}
	if view.Protocol == types.ProtocolEnumHttp || view.Protocol == types.ProtocolEnumHttps {
		own = map[string]string{
			attrStickyType:                           "lb_cookie",
			attrCookieTime:                           "86400",
			attrAppCookie:                            "",
			"stickiness.app_cookie.duration_seconds": "86400",
			attrSlowStart:                            "0",
			attrAlgorithm:                            "round_robin",
			attrAnomaly:                              "off",
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
		if err := checkAttribute(g.view.Protocol, key, value); err != nil {
			return nil, err
		}
		changed[key] = value
	}
	if err := checkTogether(changed); err != nil {
		return nil, err
	}
	if changed[attrSticky] == "true" && s.weightedUnsticky(g.arn()) {
		return nil, stickyConflict()
	}
	g.attributes = changed
	return &elb.ModifyTargetGroupAttributesOutput{Attributes: g.describeAttributes()}, nil
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
