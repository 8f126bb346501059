package awssim

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// target is one registered target. Its fields are guarded by Sim.mu.
type target struct {
	id      string
	zone    *string
	port    int32
	address netip.Addr

	health     types.TargetHealth
	good, bad  int       // consecutive results of health checks
	drainUntil time.Time // zero while it is registered
	stop       context.CancelFunc
	// unhealthyUntil is when unhealthy.draining ends, the last time that it began.
	unhealthyUntil time.Time

	// endpoint is there once the target is registered.
	endpoint *endpoint
	// outside is set in a zone that the load balancer is not enabled in.
	outside bool
}

func (t *target) draining() bool { return !t.drainUntil.IsZero() }

func (t *target) stopChecks() {
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
}

// set changes the state of health and what is said of it.
func (t *target) set(state types.TargetHealthStateEnum, reason types.TargetHealthReasonEnum, description string) {
	t.health = types.TargetHealth{State: state, Reason: reason}
	if description != "" {
		t.health.Description = new(description)
	}
}

func (t *target) describe(g *targetGroup) types.TargetHealthDescription {
	view := types.TargetHealthDescription{
		HealthCheckPort: new(fmt.Sprint(g.checkPort(t))),
		Target:          &types.TargetDescription{AvailabilityZone: t.zone, Id: new(t.id), Port: new(t.port)},
		TargetHealth:    new(t.health),
	}
	return view
}

func (s *Sim) registerTargets(in *elb.RegisterTargetsInput) (*elb.RegisterTargetsOutput, error) {
	g, err := s.findGroup(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	if len(in.Targets) == 0 {
		return nil, invalid("Targets must be specified")
	}
	var registered []*target
	for _, d := range in.Targets {
		t, err := s.newTarget(g, d)
		if err != nil {
			return nil, err
		}
		registered = append(registered, t)
	}
	if err := s.checkTargetCount(g, registered); err != nil {
		return nil, err
	}
	for _, t := range registered {
		g.register(t)
	}
	return &elb.RegisterTargetsOutput{}, nil
}

// register adds a target, or takes one back that was being drained.
func (g *targetGroup) register(t *target) {
	at := g.indexOf(t.id, t.port)
	switch {
	case at < 0:
		g.targets = append(g.targets, t)
	case g.targets[at].draining():
		g.targets[at] = t
	}
}

func (g *targetGroup) indexOf(id string, port int32) int {
	return slices.IndexFunc(g.targets, func(t *target) bool { return t.id == id && t.port == port })
}

// checkTargetCount holds a group to its number of targets, and the load balancer
// that forwards to it to that of all its groups and of one target in them.
func (s *Sim) checkTargetCount(g *targetGroup, more []*target) error {
	ids, keys := map[string]int{}, map[string]bool{}
	for _, t := range more {
		key := fmt.Sprint(t.id, " ", t.port)
		if g.indexOf(t.id, t.port) < 0 && !keys[key] {
			keys[key] = true
			ids[t.id]++
		}
	}
	if most := s.limits[limitTargetsPerGroup]; len(g.targets)+len(keys) > most {
		return apiError("TooManyTargets", "The maximum number of targets per target group is '%d'", most)
	}
	users := s.users()
	for _, arn := range users[g.arn()] {
		lb, err := s.findLoadBalancer(&arn)
		if err != nil {
			return err
		}
		count := len(keys)
		for _, other := range s.groups {
			if !slices.Contains(users[other.arn()], arn) {
				continue
			}
			count += len(other.targets)
			for _, t := range other.targets {
				if ids[t.id] > 0 {
					ids[t.id]++
				}
			}
		}
		if most := s.limit(lb, limitTargets); count > most {
			return apiError("TooManyTargets", "The maximum number of targets on load balancer '%s' is '%d'", arn, most)
		}
		most := s.limits[limitRegistrations]
		for id, n := range ids {
			if lb.isApplication() && n > most {
				return apiError("TooManyRegistrationsForTargetId", "The maximum number of registrations of target '%s' on load balancer '%s' is '%d'", id, arn, most)
			}
		}
	}
	return nil
}

// newTarget finds the address of a target: that of its instance, or its own.
func (s *Sim) newTarget(g *targetGroup, d types.TargetDescription) (*target, error) {
	id := aws.ToString(d.Id)
	t := &target{id: id, zone: d.AvailabilityZone, port: aws.ToInt32(g.view.Port)}
	if d.Port != nil {
		t.port = *d.Port
	}
	if t.port < 1 || t.port > 65535 {
		return nil, invalid("The port '%d' of target '%s' must be between 1 and 65535", t.port, shorten(id))
	}
	var err error
	switch {
	case d.QuicServerId != nil:
		return nil, invalid("A QUIC server ID cannot be specified for target groups with protocol '%s'", g.view.Protocol)
	case g.view.TargetType == types.TargetTypeEnumIp:
		if t.address, err = netip.ParseAddr(id); err != nil {
			return nil, invalid("The IP address '%s' is not a valid IPv4 or IPv6 address", shorten(id))
		}
	case d.AvailabilityZone != nil:
		return nil, invalid("You cannot specify an Availability Zone for a target of type '%s'", g.view.TargetType)
	default:
		if t.address, err = s.instanceAddress(g, id); err != nil {
			return nil, err
		}
	}
	// Nothing is ever sent to an address outside this machine.
	if !t.address.IsLoopback() {
		return nil, apiError("InvalidTarget", "The following targets are not valid: '%s'", shorten(id))
	}
	t.set(types.TargetHealthStateEnumInitial, types.TargetHealthReasonEnumRegistrationInProgress, "Target registration is in progress")
	return t, nil
}

// deregisterTargets drains targets for the delay of the group; those of a
// group that nothing forwards to are gone at once. A target that is not there is
// deregistered already.
func (s *Sim) deregisterTargets(in *elb.DeregisterTargetsInput) (*elb.DeregisterTargetsOutput, error) {
	g, err := s.findGroup(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	matches := func(t *target, d types.TargetDescription) bool {
		return t.id == aws.ToString(d.Id) && (d.Port == nil || *d.Port == t.port)
	}
	if len(in.Targets) == 0 {
		return nil, invalid("Targets must be specified")
	}
	s.drain(g, func(t *target) bool {
		return slices.ContainsFunc(in.Targets, func(d types.TargetDescription) bool { return matches(t, d) })
	})
	return &elb.DeregisterTargetsOutput{}, nil
}

// drain deregisters the targets that are chosen.
func (s *Sim) drain(g *targetGroup, chosen func(*target) bool) {
	until := s.now().Add(g.seconds(attrDelay))
	used := len(s.users()[g.arn()]) > 0
	g.targets = slices.DeleteFunc(g.targets, func(t *target) bool {
		if t.draining() || !chosen(t) {
			return false
		}
		t.stopChecks()
		t.drainUntil = until
		t.set(types.TargetHealthStateEnumDraining, types.TargetHealthReasonEnumDeregistrationInProgress, "Target deregistration is in progress")
		return !used
	})
}

// dropDrained forgets the targets whose delay has passed, and ends what is
// still under way to them where the group says so.
func (s *Sim) dropDrained(g *targetGroup) {
	now := s.now()
	g.targets = slices.DeleteFunc(g.targets, func(t *target) bool {
		if !t.draining() || now.Before(t.drainUntil) {
			return false
		}
		t.stopChecks()
		if g.endsDrained() {
			t.endpoint.end()
		}
		return true
	})
}

func (s *Sim) describeTargetHealth(in *elb.DescribeTargetHealthInput) (*elb.DescribeTargetHealthOutput, error) {
	g, err := s.findGroup(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	s.dropDrained(g)
	views := []types.TargetHealthDescription{}
	if len(in.Targets) == 0 {
		for _, t := range g.targets {
			views = append(views, t.describe(g))
		}
	}
	for _, d := range in.Targets {
		port := aws.ToInt32(cmp.Or(d.Port, g.view.Port))
		at := slices.IndexFunc(g.targets, func(t *target) bool { return t.id == aws.ToString(d.Id) && t.port == port })
		if at >= 0 {
			views = append(views, g.targets[at].describe(g))
			continue
		}
		unknown := &target{id: aws.ToString(d.Id), port: port}
		unknown.set(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotRegistered, "Target is not registered to the target group")
		views = append(views, unknown.describe(g))
	}
	return &elb.DescribeTargetHealthOutput{TargetHealthDescriptions: views}, nil
}
