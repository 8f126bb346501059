package awssim

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const (
	// maxAttached is how many target groups one Auto Scaling group can have.
	maxAttached = 50
	// maxAttachedAtOnce is how many one call takes.
	maxAttachedAtOnce = 10
	// sourceELB is the type of traffic sources that target groups are.
	sourceELB = "elbv2"
)

// scalingGroup is an Auto Scaling group. Its instances are given and never
// replaced.
type scalingGroup struct {
	view     types.AutoScalingGroup // without target groups
	attached []attachment
}

// attachment ties a target group, which may since have been deleted, to an Auto
// Scaling group.
type attachment struct {
	arn     string
	since   time.Time
	leaving bool
}

func (g *scalingGroup) name() string { return aws.ToString(g.view.AutoScalingGroupName) }

func (s *Sim) addScalingGroup(group types.AutoScalingGroup) error {
	size := new(int32(len(group.Instances)))
	group.AutoScalingGroupARN = new("arn:" + s.cfg.Partition + ":" + serviceScaling + ":" + s.cfg.Region + ":" + s.cfg.Account +
		":autoScalingGroup:" + s.cfg.NewID() + ":autoScalingGroupName/" + aws.ToString(group.AutoScalingGroupName))
	group.MinSize, group.MaxSize, group.DesiredCapacity = cmp.Or(group.MinSize, size), cmp.Or(group.MaxSize, size), cmp.Or(group.DesiredCapacity, size)
	group.HealthCheckType = cmp.Or(group.HealthCheckType, new("EC2"))
	group.HealthCheckGracePeriod = cmp.Or(group.HealthCheckGracePeriod, new(int32(300)))
	group.DefaultCooldown = cmp.Or(group.DefaultCooldown, new(int32(300)))
	if group.CreatedTime == nil {
		group.CreatedTime = new(s.now())
	}
	if group.TerminationPolicies == nil {
		group.TerminationPolicies = []string{"Default"}
	}
	group.NewInstancesProtectedFromScaleIn = cmp.Or(group.NewInstancesProtectedFromScaleIn, new(false))
	var subnets []string
	for i := range group.Instances {
		member := &group.Instances[i]
		instance, err := s.findInstance(aws.ToString(member.InstanceId))
		if err != nil {
			return err
		}
		member.AvailabilityZone = instance.Placement.AvailabilityZone
		member.InstanceType = new(string(instance.InstanceType))
		member.HealthStatus = cmp.Or(member.HealthStatus, new("Healthy"))
		member.LifecycleState = cmp.Or(member.LifecycleState, types.LifecycleStateInService)
		member.ProtectedFromScaleIn = cmp.Or(member.ProtectedFromScaleIn, new(false))
		if !slices.Contains(group.AvailabilityZones, *member.AvailabilityZone) {
			group.AvailabilityZones = append(group.AvailabilityZones, *member.AvailabilityZone)
		}
		if subnet := aws.ToString(instance.SubnetId); !slices.Contains(subnets, subnet) {
			subnets = append(subnets, subnet)
		}
	}
	group.VPCZoneIdentifier = cmp.Or(group.VPCZoneIdentifier, new(strings.Join(subnets, ",")))
	for i := range group.Tags {
		group.Tags[i].ResourceId, group.Tags[i].ResourceType = group.AutoScalingGroupName, new("auto-scaling-group")
		group.Tags[i].PropagateAtLaunch = cmp.Or(group.Tags[i].PropagateAtLaunch, new(false))
	}
	wanted := group.TargetGroupARNs
	group.TargetGroupARNs, group.TrafficSources = nil, nil
	g := &scalingGroup{view: group}
	s.net.scalingGroups = append(s.net.scalingGroups, g)
	return s.attach(g, wanted)
}

func (s *Sim) findScalingGroup(name *string) (*scalingGroup, error) {
	for _, g := range s.net.scalingGroups {
		if g.name() == aws.ToString(name) {
			return g, nil
		}
	}
	return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", shorten(aws.ToString(name)))
}

// describe gives the group with the target groups that it has or is getting.
func (g *scalingGroup) describe() types.AutoScalingGroup {
	view := g.view
	view.TargetGroupARNs = []string{}
	for _, a := range g.attached {
		if !a.leaving {
			view.TargetGroupARNs = append(view.TargetGroupARNs, a.arn)
			view.TrafficSources = append(view.TrafficSources, types.TrafficSourceIdentifier{Identifier: new(a.arn), Type: new(sourceELB)})
		}
	}
	return view
}

func (s *Sim) describeAutoScalingGroups(in *autoscaling.DescribeAutoScalingGroupsInput) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	views := []types.AutoScalingGroup{}
	for _, g := range s.net.scalingGroups {
		if !selected(in.AutoScalingGroupNames, g.name()) {
			continue
		}
		match, err := hasTags(g.view.Tags, in.Filters)
		if err != nil {
			return nil, err
		}
		if match {
			view := g.describe()
			if in.IncludeInstances != nil && !*in.IncludeInstances {
				view.Instances = nil
			}
			views = append(views, view)
		}
	}
	views, next, err := page(views, func(g types.AutoScalingGroup) string { return *g.AutoScalingGroupName }, in.NextToken, in.MaxRecords, scalingPages(100, 50))
	if err != nil {
		return nil, err
	}
	return &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: views, NextToken: next}, nil
}

// hasTags says whether the tags of a group satisfy all filters. Values are
// compared as they are.
func hasTags(tags []types.TagDescription, filters []types.Filter) (bool, error) {
	for _, f := range filters {
		name := aws.ToString(f.Name)
		key, byTag := strings.CutPrefix(name, "tag:")
		var value func(types.TagDescription) string
		switch {
		case name == "tag-key":
			value = func(t types.TagDescription) string { return aws.ToString(t.Key) }
		case name == "tag-value":
			value = func(t types.TagDescription) string { return aws.ToString(t.Value) }
		case byTag:
			value = func(t types.TagDescription) string {
				if aws.ToString(t.Key) != key {
					return ""
				}
				return aws.ToString(t.Value)
			}
		default:
			return false, invalid("Filter type %s is not correct. Allowed Filter types are: tag-key tag-value tag:<key>", shorten(name))
		}
		if !slices.ContainsFunc(tags, func(t types.TagDescription) bool { return slices.Contains(f.Values, value(t)) }) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Sim) describeLoadBalancerTargetGroups(in *autoscaling.DescribeLoadBalancerTargetGroupsInput) (*autoscaling.DescribeLoadBalancerTargetGroupsOutput, error) {
	g, err := s.findScalingGroup(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	attached, next, err := page(s.attachments(g), attachment.key, in.NextToken, in.MaxRecords, scalingPages(100, 100))
	if err != nil {
		return nil, err
	}
	states := make([]types.LoadBalancerTargetGroupState, len(attached))
	for i, a := range attached {
		states[i] = types.LoadBalancerTargetGroupState{LoadBalancerTargetGroupARN: new(a.arn), State: new(s.stateOf(g, a))}
	}
	return &autoscaling.DescribeLoadBalancerTargetGroupsOutput{LoadBalancerTargetGroups: states, NextToken: next}, nil
}

func (s *Sim) describeTrafficSources(in *autoscaling.DescribeTrafficSourcesInput) (*autoscaling.DescribeTrafficSourcesOutput, error) {
	g, err := s.findScalingGroup(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	var attached []attachment
	switch kind := aws.ToString(in.TrafficSourceType); {
	case in.TrafficSourceType == nil || kind == sourceELB:
		attached = s.attachments(g)
	case kind != "elb" && kind != "vpc-lattice":
		return nil, invalid("The traffic source type '%s' is not valid", shorten(kind))
	}
	attached, next, err := page(attached, attachment.key, in.NextToken, in.MaxRecords, scalingPages(50, 50))
	if err != nil {
		return nil, err
	}
	states := make([]types.TrafficSourceState, len(attached))
	for i, a := range attached {
		states[i] = types.TrafficSourceState{Identifier: new(a.arn), State: new(s.stateOf(g, a)), Type: new(sourceELB)}
	}
	return &autoscaling.DescribeTrafficSourcesOutput{TrafficSources: states, NextToken: next}, nil
}

func (a attachment) key() string { return a.arn }

// attachments gives the attachments that are still there: one that leaves is
// gone once none of the group's instances drains.
func (s *Sim) attachments(g *scalingGroup) []attachment {
	g.attached = slices.DeleteFunc(slices.Clone(g.attached), func(a attachment) bool {
		return a.leaving && len(s.membersIn(g, a.arn)) == 0
	})
	return g.attached
}

// membersIn gives the targets of a target group that are instances of an Auto
// Scaling group.
func (s *Sim) membersIn(g *scalingGroup, arn string) []*target {
	tg := s.group(arn)
	if tg == nil {
		return nil
	}
	s.dropDrained(tg)
	var members []*target
	for _, t := range tg.targets {
		if slices.ContainsFunc(g.view.Instances, func(i types.Instance) bool { return aws.ToString(i.InstanceId) == t.id }) {
			members = append(members, t)
		}
	}
	return members
}

// stateOf gives the state of an attachment. Instances are registered at once,
// which shows when a change shows in traffic: after the propagation delay.
func (s *Sim) stateOf(g *scalingGroup, a attachment) string {
	members := s.membersIn(g, a.arn)
	if a.leaving {
		return "Removing"
	}
	registered, healthy := 0, 0
	for _, t := range members {
		if !t.draining() {
			registered++
		}
		if t.health.State == elbtypes.TargetHealthStateEnumHealthy {
			healthy++
		}
	}
	switch {
	case registered < len(g.view.Instances) || s.now().Before(a.since.Add(s.propagation)):
		return "Adding"
	case healthy > 0:
		return "InService"
	default:
		return "Added"
	}
}

func (s *Sim) attachLoadBalancerTargetGroups(in *autoscaling.AttachLoadBalancerTargetGroupsInput) (*autoscaling.AttachLoadBalancerTargetGroupsOutput, error) {
	g, err := s.findScalingGroup(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if err := checkAttachable(in.TargetGroupARNs); err != nil {
		return nil, err
	}
	if err := s.attach(g, in.TargetGroupARNs); err != nil {
		return nil, err
	}
	return &autoscaling.AttachLoadBalancerTargetGroupsOutput{}, nil
}

func checkAttachable(arns []string) error {
	if len(arns) == 0 {
		return invalid("At least one target group ARN must be specified")
	}
	if len(arns) > maxAttachedAtOnce {
		return invalid("At most %d target groups can be given at a time, not %d", maxAttachedAtOnce, len(arns))
	}
	return nil
}

// attach registers the instances of an Auto Scaling group with target groups. One
// that it has already stays as it is.
func (s *Sim) attach(g *scalingGroup, arns []string) error {
	kept := slices.Clone(s.attachments(g))
	var fresh []*targetGroup
	for _, arn := range arns {
		tg := s.group(arn)
		if tg == nil || tg.view.TargetType != elbtypes.TargetTypeEnumInstance {
			return invalid("Provided Target Groups may not be valid. Please ensure they exist and try again.")
		}
		at := slices.IndexFunc(kept, func(a attachment) bool { return a.arn == arn })
		switch {
		case at < 0:
			kept = append(kept, attachment{arn: arn, since: s.now()})
			fresh = append(fresh, tg)
		case kept[at].leaving:
			kept[at] = attachment{arn: arn, since: s.now()}
			fresh = append(fresh, tg)
		}
	}
	if len(kept) > maxAttached {
		return invalid("The maximum number of target groups per Auto Scaling group is %d", maxAttached)
	}
	g.attached = kept
	for _, tg := range fresh {
		for _, member := range g.view.Instances {
			// An instance that cannot be registered keeps the attachment Adding.
			if t, err := s.newTarget(tg, elbtypes.TargetDescription{Id: member.InstanceId}); err == nil {
				tg.register(t)
			}
		}
	}
	return nil
}

// detachLoadBalancerTargetGroups deregisters the instances of an Auto Scaling
// group from target groups; they drain as others do.
func (s *Sim) detachLoadBalancerTargetGroups(in *autoscaling.DetachLoadBalancerTargetGroupsInput) (*autoscaling.DetachLoadBalancerTargetGroupsOutput, error) {
	g, err := s.findScalingGroup(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if err := checkAttachable(in.TargetGroupARNs); err != nil {
		return nil, err
	}
	kept := slices.Clone(s.attachments(g))
	for _, arn := range in.TargetGroupARNs {
		at := slices.IndexFunc(kept, func(a attachment) bool { return a.arn == arn && !a.leaving })
		if at < 0 {
			return nil, invalid("Trying to remove Target Groups that are not part of the group")
		}
		kept[at].leaving = true
	}
	g.attached = kept
	for _, arn := range in.TargetGroupARNs {
		if tg := s.group(arn); tg != nil {
			s.drain(tg, func(t *target) bool {
				return slices.ContainsFunc(g.view.Instances, func(i types.Instance) bool { return aws.ToString(i.InstanceId) == t.id })
			})
		}
	}
	return &autoscaling.DetachLoadBalancerTargetGroupsOutput{}, nil
}
