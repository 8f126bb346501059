package awssim

import (
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
	scheme := in.Scheme
	if scheme == "" {
		scheme = types.LoadBalancerSchemeEnumInternetFacing
	}
	for _, lb := range s.balancers {
		if aws.ToString(lb.view.LoadBalancerName) != name {
			continue
		}
		if lb.view.Type == kind && lb.view.Scheme == scheme {
			return &elb.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{lb.view}}, nil
		}
		return nil, apiError("DuplicateLoadBalancerName",
			"A load balancer with the same name '%s' exists, but with different settings", name)
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	address := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if s.cfg.Address != nil {
		var err error
		if address, err = s.cfg.Address(); err != nil {
			return nil, fmt.Errorf("finding an address for load balancer %s: %w", name, err)
		}
	}
	view := types.LoadBalancer{
		AvailabilityZones:     s.zones(in),
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
		VpcId:                 new(defaultVPC),
	}
	s.balancers = append(s.balancers, &loadBalancer{view: view})
	s.setTags(*view.LoadBalancerArn, in.Tags)
	return &elb.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{view}}, nil
}

func (s *Sim) zones(in *elb.CreateLoadBalancerInput) []types.AvailabilityZone {
	subnets := in.Subnets
	for _, m := range in.SubnetMappings {
		subnets = append(subnets, aws.ToString(m.SubnetId))
	}
	zones := []types.AvailabilityZone{}
	for i, subnet := range subnets {
		zones = append(zones, types.AvailabilityZone{
			LoadBalancerAddresses: []types.LoadBalancerAddress{},
			SubnetId:              new(subnet),
			ZoneName:              new(s.cfg.Region + string(rune('a'+i%6))),
		})
	}
	return zones
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
	views, next, err := page(views, func(v types.LoadBalancer) string { return *v.LoadBalancerArn }, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	return &elb.DescribeLoadBalancersOutput{LoadBalancers: views, NextMarker: next}, nil
}

// describeLoadBalancerAttributes reports AWS's defaults; they cannot be changed.
func (s *Sim) describeLoadBalancerAttributes(in *elb.DescribeLoadBalancerAttributesInput) (*elb.DescribeLoadBalancerAttributesOutput, error) {
	lb, err := s.findLoadBalancer(in.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	pairs := [][2]string{
		{"access_logs.s3.bucket", ""},
		{"access_logs.s3.enabled", "false"},
		{"access_logs.s3.prefix", ""},
		{"deletion_protection.enabled", "false"},
	}
	if lb.isApplication() {
		pairs = append(pairs, [][2]string{
			{"client_keep_alive.seconds", "3600"},
			{"idle_timeout.timeout_seconds", "60"},
			{"load_balancing.cross_zone.enabled", "true"},
			{"routing.http.desync_mitigation_mode", "defensive"},
			{"routing.http.drop_invalid_header_fields.enabled", "false"},
			{"routing.http.preserve_host_header.enabled", "false"},
			{"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false"},
			{"routing.http.xff_client_port.enabled", "false"},
			{"routing.http.xff_header_processing.mode", "append"},
			{"routing.http2.enabled", "true"},
			{"waf.fail_open.enabled", "false"},
			{"zonal_shift.config.enabled", "false"},
		}...)
	} else {
		pairs = append(pairs, [][2]string{
			{"dns_record.client_routing_policy", "any_availability_zone"},
			{"ipv6.deny_all_igw_traffic", "false"},
			{"load_balancing.cross_zone.enabled", "false"},
			{"zonal_shift.config.enabled", "false"},
		}...)
	}
	attributes := make([]types.LoadBalancerAttribute, len(pairs))
	for i, pair := range pairs {
		attributes[i] = types.LoadBalancerAttribute{Key: new(pair[0]), Value: new(pair[1])}
	}
	return &elb.DescribeLoadBalancerAttributesOutput{Attributes: attributes}, nil
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
