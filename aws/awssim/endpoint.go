package awssim

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// endpoint is a target as the data plane sees it, and what is under way to it.
type endpoint struct {
	address netip.AddrPort
	zone    string // empty where it is not known

	mu   sync.Mutex
	uses map[*context.CancelFunc]struct{}
}

// use notes a request or flow, which end ends, until it is done.
func (e *endpoint) use(end context.CancelFunc) (done func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.uses == nil {
		e.uses = map[*context.CancelFunc]struct{}{}
	}
	e.uses[&end] = struct{}{}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.uses, &end)
	}
}

// end ends all that is under way.
func (e *endpoint) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for end := range e.uses {
		(*end)()
	}
}

// newEndpoint makes the endpoint of a target: in the zone that it was registered
// for, or that of its instance.
func (s *Sim) newEndpoint(t *target) *endpoint {
	zone := aws.ToString(t.zone)
	if instance, err := s.findInstance(t.id); err == nil {
		zone = aws.ToString(instance.Placement.AvailabilityZone)
	}
	return &endpoint{address: netip.AddrPortFrom(t.address, uint16(t.port)), zone: zone}
}

// zonesOf gives the zones that load balancers are enabled in.
func (s *Sim) zonesOf(arns []string) []string {
	var zones []string
	for _, lb := range s.balancers {
		if slices.Contains(arns, lb.arn()) {
			for _, zone := range lb.view.AvailabilityZones {
				zones = append(zones, aws.ToString(zone.ZoneName))
			}
		}
	}
	return zones
}

// isOutside tells whether a target is in a zone that its load balancer is not
// enabled in. One without a zone, or registered for "all", is in none.
func (e *endpoint) isOutside(zones []string) bool {
	return e.zone != "" && e.zone != "all" && len(zones) > 0 && !slices.Contains(zones, e.zone)
}

// application tells whether the group is one of an Application Load Balancer.
func (g *targetGroup) application() bool {
	return g.view.Protocol == types.ProtocolEnumHttp || g.view.Protocol == types.ProtocolEnumHttps
}

// crossZone tells whether the zones share their targets. Load balancers
// themselves are left with AWS's defaults: always on an ALB, off on an NLB.
func (g *targetGroup) crossZone() bool {
	switch g.attributes[attrCrossZone] {
	case "true":
		return true
	case "false":
		return false
	default:
		return g.application()
	}
}

// endsDrained tells whether what is still under way to a target is ended when
// its deregistration delay is over.
func (g *targetGroup) endsDrained() bool {
	return g.application() || g.attributes[attrEndDrained] == "true"
}

// endsUnhealthy tells whether the flows to a target are ended when it becomes
// unhealthy. They are not where that makes the group fail open.
func (g *targetGroup) endsUnhealthy() bool {
	return !g.application() && g.attributes[attrEndUnhealthy] == "true" && !g.pool.members.Load().failedOpen
}

// unhealthyInterval is how long the flows to a target that has become unhealthy
// go on, where they are not ended at once; 0 is for as long as they like.
func (g *targetGroup) unhealthyInterval() time.Duration {
	if g.application() || g.attributes[attrEndUnhealthy] == "true" {
		return 0
	}
	return g.seconds(attrUnhealthyInterval)
}
