package awssim

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// acceptForward holds a forward action to AWS's rules and brings it into the
// form with a list of weighted target groups.
func (s *Sim) acceptForward(l *listener, a *types.Action, before *rule) error {
	if a.ForwardConfig == nil {
		if a.TargetGroupArn == nil {
			return invalid("A target group ARN must be specified")
		}
		a.ForwardConfig = &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{{TargetGroupArn: a.TargetGroupArn}}}
	}
	c := a.ForwardConfig
	if a.TargetGroupArn != nil && (len(c.TargetGroups) != 1 || aws.ToString(c.TargetGroups[0].TargetGroupArn) != *a.TargetGroupArn) {
		return badAction("You can specify both a target group ARN and a forward configuration only when both name the same single target group")
	}
	a.TargetGroupArn = nil
	if len(c.TargetGroups) == 0 {
		return invalid("A target group ARN must be specified")
	}
	if most := s.limit(l.lb, limitGroupsPerAction); len(c.TargetGroups) > most {
		return apiError("TooManyTargetGroups", "The maximum number of target groups per action is '%d'", most)
	}
	if err := acceptGroupStickiness(l, c); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range c.TargetGroups {
		tuple := &c.TargetGroups[i]
		arn := aws.ToString(tuple.TargetGroupArn)
		if seen[arn] {
			return invalid("Target group '%s' is given more than once", shorten(arn))
		}
		seen[arn] = true
		if tuple.Weight == nil {
			tuple.Weight = new(int32(1))
		}
		if *tuple.Weight < 0 || *tuple.Weight > maxWeight {
			return invalid("The weight '%d' must be between 0 and %d", *tuple.Weight, maxWeight)
		}
		g, err := s.findGroup(tuple.TargetGroupArn)
		if err != nil {
			return err
		}
		if !compatible(l.view.Protocol, g.view.Protocol) {
			return apiError("IncompatibleProtocols", "The listener protocol '%s' does not go with the protocol '%s' of target group '%s'",
				l.view.Protocol, g.view.Protocol, arn)
		}
		if len(c.TargetGroups) > 1 && !*c.TargetGroupStickinessConfig.Enabled && g.attributes[attrSticky] == "true" {
			return stickyConflict()
		}
	}
	return s.checkAssociation(l, groupsOf([]types.Action{*a}), before)
}

func acceptGroupStickiness(l *listener, c *types.ForwardActionConfig) error {
	if c.TargetGroupStickinessConfig == nil {
		c.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{}
	}
	sticky := c.TargetGroupStickinessConfig
	if sticky.Enabled == nil {
		sticky.Enabled = new(false)
	}
	if *sticky.Enabled && !l.lb.isApplication() {
		return badAction("Target group stickiness is not supported by a network load balancer")
	}
	if *sticky.Enabled && sticky.DurationSeconds == nil {
		return invalid("A target group stickiness duration must be specified")
	}
	if sticky.DurationSeconds != nil && (*sticky.DurationSeconds < 1 || *sticky.DurationSeconds > maxStickySeconds) {
		return invalid("The target group stickiness duration must be between 1 and %d seconds", maxStickySeconds)
	}
	return nil
}

// checkAssociation holds the groups to one load balancer each and the load
// balancer to its number of groups. What the rule that is being changed names
// now does not count.
func (s *Sim) checkAssociation(l *listener, wanted []string, before *rule) error {
	named := map[string]bool{}
	for _, lb := range s.balancers {
		for r := range lb.rules {
			if r == before {
				continue
			}
			for _, arn := range groupsOf(r.actions) {
				if lb == l.lb {
					named[arn] = true
				} else if slices.Contains(wanted, arn) {
					return apiError("TargetGroupAssociationLimit",
						"The following target groups cannot be associated with more than one load balancer: %s", arn)
				}
			}
		}
	}
	for _, arn := range wanted {
		named[arn] = true
	}
	if most := s.limits[limitGroupsPerALB]; l.lb.isApplication() && len(named) > most {
		return apiError("TooManyUniqueTargetGroupsPerLoadBalancer",
			"The maximum number of unique target groups per load balancer is '%d'", most)
	}
	return nil
}

// compatible says whether a listener may forward to a group of a protocol.
func compatible(listener, group types.ProtocolEnum) bool {
	switch listener {
	case types.ProtocolEnumHttp, types.ProtocolEnumHttps:
		return group == types.ProtocolEnumHttp || group == types.ProtocolEnumHttps
	case types.ProtocolEnumTcp:
		return group == types.ProtocolEnumTcp
	default:
		return group == types.ProtocolEnumTcp || group == types.ProtocolEnumTls
	}
}

// stickyConflict is the error of a weighted forward without group stickiness
// to a group whose targets are sticky.
func stickyConflict() error {
	return apiError("InvalidConfigurationRequest",
		"You must enable group stickiness on a rule if you enabled target stickiness on one of its target groups")
}
