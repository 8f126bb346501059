package awssim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// defaultVPC is the VPC of everything that is created without one.
const defaultVPC = "vpc-0a1b2c3d4e5f60718"

// createLoadBalancer makes an active load balancer with an address of its own
// and no listener yet. The network is not simulated: subnets become
// availability zones as they are, and may be missing.
func (s *Sim) createLoadBalancer(in *elb.CreateLoadBalancerInput) (*elb.CreateLoadBalancerOutput, error) {
	name := aws.ToString(in.Name)
	if err := checkName(name, "load balancer"); err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "internal-") {
		return nil, invalid("The load balancer name '%s' must not begin with 'internal-'", name)
	}
	kind, short := in.Type, "app"
	switch kind {
	case "":
		kind = types.LoadBalancerTypeEnumApplication
	case types.LoadBalancerTypeEnumApplication:
	case types.LoadBalancerTypeEnumNetwork:
		short = "net"
	default:
		return nil, invalid("The load balancer type '%s' is not supported here", shorten(string(kind)))
	}
	scheme := cmp.Or(in.Scheme, types.LoadBalancerSchemeEnumInternetFacing)
	if !slices.Contains(scheme.Values(), scheme) {
		return nil, apiError("InvalidScheme", "Scheme '%s' must be one of '%v'", shorten(string(scheme)), scheme.Values())
	}
	if in.IpAddressType != "" && in.IpAddressType != types.IpAddressTypeIpv4 {
		return nil, invalid("The IP address type '%s' is not supported here", shorten(string(in.IpAddressType)))
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	subnets, err := subnetsOf(in)
	if err != nil {
		return nil, err
	}
	for _, lb := range s.balancers {
		if aws.ToString(lb.view.LoadBalancerName) != name {
			continue
		}
		// The call is idempotent.
		if lb.view.Type == kind && lb.view.Scheme == scheme && sameSet(lb.subnets(), subnets) && sameSet(lb.view.SecurityGroups, in.SecurityGroups) {
			return &elb.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{lb.view}}, nil
		}
		return nil, apiError("DuplicateLoadBalancerName",
			"A load balancer with the same name '%s' exists, but with different settings", name)
	}
	vpc, err := s.checkNetwork(subnets, in.SecurityGroups, kind == types.LoadBalancerTypeEnumApplication)
	if err != nil {
		return nil, err
	}
	count := 0
	for _, lb := range s.balancers {
		if lb.view.Type == kind {
			count++
		}
	}
	if most := s.limits[fmt.Sprintf(limitBalancers, kind)]; count >= most {
		return nil, apiError("TooManyLoadBalancers", "The maximum number of %s load balancers is '%d'", kind, most)
	}
	address := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if s.cfg.Address != nil {
		if address, err = s.cfg.Address(); err != nil {
			return nil, fmt.Errorf("finding an address for load balancer %s: %w", name, err)
		}
	}
	view := types.LoadBalancer{
		AvailabilityZones:     s.zones(subnets),
		CanonicalHostedZoneId: new("Z35SXDOTRQ7X7K"),
		CreatedTime:           new(s.now()),
		DNSName:               new(address.String()),
		IpAddressType:         types.IpAddressTypeIpv4,
		LoadBalancerArn:       new(s.arnOf("loadbalancer/" + short + "/" + name + "/" + s.cfg.NewID())),
		LoadBalancerName:      new(name),
		Scheme:                scheme,
		SecurityGroups:        in.SecurityGroups,
		State:                 &types.LoadBalancerState{Code: types.LoadBalancerStateEnumActive},
		Type:                  kind,
		VpcId:                 new(vpc),
	}
	s.balancers = append(s.balancers, &loadBalancer{view: view})
	s.setTags(*view.LoadBalancerArn, in.Tags)
	return &elb.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{view}}, nil
}

func (lb *loadBalancer) subnets() []string {
	var ids []string
	for _, zone := range lb.view.AvailabilityZones {
		ids = append(ids, aws.ToString(zone.SubnetId))
	}
	return ids
}

// sameSet says whether two lists have the same members, in whatever order.
func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// subnetsOf gives the subnets that are asked for in one form or the other.
func subnetsOf(in *elb.CreateLoadBalancerInput) ([]string, error) {
	if len(in.Subnets) > 0 && len(in.SubnetMappings) > 0 {
		return nil, invalid("You must specify either subnets or subnet mappings, not both")
	}
	subnets := in.Subnets
	for _, m := range in.SubnetMappings {
		subnets = append(subnets, aws.ToString(m.SubnetId))
	}
	return subnets, nil
}

func (s *Sim) zones(subnets []string) []types.AvailabilityZone {
	zones := []types.AvailabilityZone{}
	for i, subnet := range subnets {
		zones = append(zones, types.AvailabilityZone{
			LoadBalancerAddresses: []types.LoadBalancerAddress{},
			SubnetId:              new(subnet),
			ZoneName:              new(s.zoneOf(subnet, i)),
		})
	}
	return zones
}

// deleteLoadBalancer deletes a load balancer with its listeners. One that is
// gone already is deleted as well.
func (s *Sim) deleteLoadBalancer(in *elb.DeleteLoadBalancerInput) (*elb.DeleteLoadBalancerOutput, error) {
	if err := checkARN(in.LoadBalancerArn, "loadbalancer", "load balancer"); err != nil {
		return nil, err
	}
	s.balancers = slices.DeleteFunc(s.balancers, func(lb *loadBalancer) bool {
		if lb.arn() != *in.LoadBalancerArn {
			return false
		}
		for _, l := range lb.listeners {
			s.forget(l)
		}
		delete(s.tags, lb.arn())
		return true
	})
	return &elb.DeleteLoadBalancerOutput{}, nil
}

func (s *Sim) describeLoadBalancers(in *elb.DescribeLoadBalancersInput) (*elb.DescribeLoadBalancersOutput, error) {
	for _, arn := range in.LoadBalancerArns {
		if _, err := s.findLoadBalancer(&arn); err != nil {
			return nil, err
		}
	}
	for _, name := range in.Names {
		if !slices.ContainsFunc(s.balancers, func(lb *loadBalancer) bool { return aws.ToString(lb.view.LoadBalancerName) == name }) {
			return nil, apiError("LoadBalancerNotFound", "Load balancers '[%s]' not found", shorten(name))
		}
	}
	var views []types.LoadBalancer
	for _, lb := range s.balancers {
		if selected(in.LoadBalancerArns, lb.arn()) && selected(in.Names, aws.ToString(lb.view.LoadBalancerName)) {
			views = append(views, lb.view)
		}
	}
	views, next, err := page(views, func(v types.LoadBalancer) string { return *v.LoadBalancerArn }, in.Marker, in.PageSize, elbPages())
	if err != nil {
		return nil, err
	}
	return &elb.DescribeLoadBalancersOutput{LoadBalancers: views, NextMarker: next}, nil
}

// selected says whether a value is among those asked for; asking for none
// asks for all.
func selected(wanted []string, value string) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

// checkName holds a name to AWS's form: at most 32 letters, digits and
// hyphens, no hyphen at the ends.
func checkName(name, what string) error {
	if name == "" {
		return invalid("A %s name must be specified", what)
	}
	if len(name) > 32 {
		return invalid("The %s name '%s' cannot be longer than '32' characters", what, shorten(name))
	}
	if strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return invalid("The %s name '%s' cannot begin or end with a hyphen", what, name)
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return invalid("The %s name '%s' can only contain characters that are alphanumeric characters and hyphens(-)", what, name)
		}
	}
	return nil
}
