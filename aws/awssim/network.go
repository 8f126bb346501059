package awssim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Network is what stands around the load balancers of an account: the objects
// of EC2 and Auto Scaling, as their own APIs report them. Each needs its id or
// name; what else is missing gets AWS's defaults.
type Network struct {
	VPCs    []ec2types.Vpc
	Subnets []ec2types.Subnet
	// PrefixLists are managed prefix lists by their id.
	PrefixLists    map[string][]ec2types.PrefixListEntry
	SecurityGroups []ec2types.SecurityGroup
	Instances      []ec2types.Instance
	// AutoScalingGroups own the instances that they name, and register them with
	// the target groups that they name, which must exist.
	AutoScalingGroups []scalingtypes.AutoScalingGroup
}

// network is the state of EC2 and Auto Scaling. All is in the order in which it
// was added.
type network struct {
	vpcs           []ec2types.Vpc
	subnets        []ec2types.Subnet
	prefixLists    map[string][]ec2types.PrefixListEntry
	securityGroups []*securityGroup
	instances      []ec2types.Instance
	scalingGroups  []*scalingGroup
}

// Add gives the account more of a network. What it names must be in it already
// or be added together with it; the error names what is not, and what would come
// after it is not added. An account whose network has no subnet takes any subnet
// and security group for a load balancer; one that has any takes only those it
// has, and the same holds for VPCs and target groups.
func (s *Sim) Add(n Network) error {
	n = clone(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return apiError("ServiceUnavailable", "The simulated AWS has been closed")
	}
	for _, vpc := range n.VPCs {
		s.addVPC(vpc)
	}
	for _, subnet := range n.Subnets {
		if err := s.addSubnet(subnet); err != nil {
			return fmt.Errorf("adding subnet %s: %w", aws.ToString(subnet.SubnetId), err)
		}
	}
	for id, entries := range n.PrefixLists {
		s.net.prefixLists[id] = entries
	}
	// Security groups may name each other.
	for _, group := range n.SecurityGroups {
		s.addSecurityGroup(group)
	}
	for _, group := range n.SecurityGroups {
		if err := s.addPermissions(group); err != nil {
			return fmt.Errorf("adding security group %s: %w", aws.ToString(group.GroupId), err)
		}
	}
	for _, instance := range n.Instances {
		if err := s.addInstance(instance); err != nil {
			return fmt.Errorf("adding instance %s: %w", aws.ToString(instance.InstanceId), err)
		}
	}
	for _, group := range n.AutoScalingGroups {
		if err := s.addScalingGroup(group); err != nil {
			return fmt.Errorf("adding Auto Scaling group %s: %w", aws.ToString(group.AutoScalingGroupName), err)
		}
	}
	s.reconcile()
	return nil
}

func (s *Sim) addVPC(vpc ec2types.Vpc) {
	vpc.OwnerId = new(s.cfg.Account)
	vpc.State = ec2types.VpcStateAvailable
	vpc.InstanceTenancy = ec2types.TenancyDefault
	if vpc.IsDefault == nil {
		vpc.IsDefault = new(false)
	}
	if vpc.CidrBlock != nil && vpc.CidrBlockAssociationSet == nil {
		vpc.CidrBlockAssociationSet = []ec2types.VpcCidrBlockAssociation{{
			AssociationId: new("vpc-cidr-assoc-0" + s.cfg.NewID()), CidrBlock: vpc.CidrBlock,
			CidrBlockState: &ec2types.VpcCidrBlockState{State: ec2types.VpcCidrBlockStateCodeAssociated},
		}}
	}
	s.net.vpcs = append(s.net.vpcs, vpc)
}

func (s *Sim) addSubnet(subnet ec2types.Subnet) error {
	if _, err := s.findVPC(aws.ToString(subnet.VpcId)); err != nil {
		return err
	}
	subnet.OwnerId = new(s.cfg.Account)
	subnet.State = ec2types.SubnetStateAvailable
	subnet.SubnetArn = new(s.ec2ARN("subnet/" + aws.ToString(subnet.SubnetId)))
	s.net.subnets = append(s.net.subnets, subnet)
	return nil
}

// addInstance adds a running instance: its VPC and Availability Zone are those
// of its subnet, its security groups are known by their ids.
func (s *Sim) addInstance(instance ec2types.Instance) error {
	subnet, err := s.findSubnet(aws.ToString(instance.SubnetId))
	if err != nil {
		return err
	}
	instance.VpcId = subnet.VpcId
	instance.Placement = &ec2types.Placement{AvailabilityZone: subnet.AvailabilityZone, Tenancy: ec2types.TenancyDefault}
	for i := range instance.SecurityGroups {
		group, err := s.findSecurityGroup(aws.ToString(instance.SecurityGroups[i].GroupId))
		if err != nil {
			return err
		}
		instance.SecurityGroups[i].GroupName = group.view.GroupName
	}
	if instance.State == nil {
		instance.State = &ec2types.InstanceState{Code: new(int32(16)), Name: ec2types.InstanceStateNameRunning}
	}
	if instance.LaunchTime == nil {
		instance.LaunchTime = new(s.now())
	}
	instance.NetworkInterfaces = []ec2types.InstanceNetworkInterface{{
		Groups:             instance.SecurityGroups,
		NetworkInterfaceId: new("eni-0" + s.cfg.NewID()),
		OwnerId:            new(s.cfg.Account),
		PrivateDnsName:     instance.PrivateDnsName,
		PrivateIpAddress:   instance.PrivateIpAddress,
		PrivateIpAddresses: []ec2types.InstancePrivateIpAddress{{
			Primary: new(true), PrivateDnsName: instance.PrivateDnsName, PrivateIpAddress: instance.PrivateIpAddress,
		}},
		Status:   ec2types.NetworkInterfaceStatusInUse,
		SubnetId: instance.SubnetId,
		VpcId:    instance.VpcId,
	}}
	s.net.instances = append(s.net.instances, instance)
	return nil
}

// ec2ARN makes the ARN of a resource of EC2.
func (s *Sim) ec2ARN(resource string) string {
	return "arn:" + s.cfg.Partition + ":" + serviceEC2 + ":" + s.cfg.Region + ":" + s.cfg.Account + ":" + resource
}

func (s *Sim) findVPC(id string) (ec2types.Vpc, error) {
	at := slices.IndexFunc(s.net.vpcs, func(v ec2types.Vpc) bool { return aws.ToString(v.VpcId) == id })
	if at < 0 {
		return ec2types.Vpc{}, missingID("VpcID", "vpc", id)
	}
	return s.net.vpcs[at], nil
}

func (s *Sim) findSubnet(id string) (ec2types.Subnet, error) {
	at := slices.IndexFunc(s.net.subnets, func(v ec2types.Subnet) bool { return aws.ToString(v.SubnetId) == id })
	if at < 0 {
		return ec2types.Subnet{}, missingID("SubnetID", "subnet", id)
	}
	return s.net.subnets[at], nil
}

func (s *Sim) findInstance(id string) (ec2types.Instance, error) {
	at := slices.IndexFunc(s.net.instances, func(v ec2types.Instance) bool { return aws.ToString(v.InstanceId) == id })
	if at < 0 {
		return ec2types.Instance{}, missingID("InstanceID", "instance", id)
	}
	return s.net.instances[at], nil
}

// missingID makes EC2's error of an id that nothing has.
func missingID(code, what, id string) error {
	if id == "" {
		return apiError("MissingParameter", "The request must contain the ID of a %s", what)
	}
	return apiError("Invalid"+code+".NotFound", "The %s ID '%s' does not exist", what, shorten(id))
}

// instanceAddress gives the address of a running instance: the one that the
// configuration gives, else its private one.
func (s *Sim) instanceAddress(g *targetGroup, id string) (netip.Addr, error) {
	invalid := func(why string) error {
		return apiError("InvalidTarget", "The following targets are %s: '%s'", why, shorten(id))
	}
	instance, err := s.findInstance(id)
	known := err == nil
	switch {
	case known && instance.State.Name != ec2types.InstanceStateNameRunning:
		return netip.Addr{}, invalid("not in a running state and cannot be registered")
	case known && aws.ToString(instance.VpcId) != aws.ToString(g.view.VpcId):
		return netip.Addr{}, invalid("not in the target group VPC '" + aws.ToString(g.view.VpcId) + "'")
	}
	if s.cfg.InstanceIP != nil {
		if address, ok := s.cfg.InstanceIP(id); ok {
			return address, nil
		}
	}
	address, err := netip.ParseAddr(aws.ToString(instance.PrivateIpAddress))
	if err != nil {
		return netip.Addr{}, invalid("not valid")
	}
	return address, nil
}

// zoneOf gives the Availability Zone of the i-th subnet of a load balancer,
// which may be one that the network does not know.
func (s *Sim) zoneOf(subnet string, i int) string {
	if known, err := s.findSubnet(subnet); err == nil {
		return aws.ToString(known.AvailabilityZone)
	}
	return s.cfg.Region + string(rune('a'+i%6))
}

// checkNetwork holds a load balancer to the network, where there is one, and
// gives its VPC.
func (s *Sim) checkNetwork(subnets, securityGroups []string, application bool) (vpc string, err error) {
	if len(s.net.subnets) == 0 {
		return defaultVPC, nil
	}
	var zones []string
	for _, id := range subnets {
		subnet, err := s.findSubnet(id)
		if err != nil {
			return "", apiError("SubnetNotFound", "The subnet ID '%s' does not exist", shorten(id))
		}
		if vpc != "" && vpc != aws.ToString(subnet.VpcId) {
			return "", apiError("InvalidConfigurationRequest", "All subnets must belong to the same VPC: '%s'", vpc)
		}
		vpc = aws.ToString(subnet.VpcId)
		zone := aws.ToString(subnet.AvailabilityZone)
		if slices.Contains(zones, zone) {
			return "", apiError("InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets in the same Availability Zone")
		}
		zones = append(zones, zone)
	}
	if len(zones) == 0 || application && len(zones) < 2 {
		return "", invalid("At least two subnets in two different Availability Zones must be specified")
	}
	for _, id := range securityGroups {
		group, err := s.findSecurityGroup(id)
		if err != nil || aws.ToString(group.view.VpcId) != vpc {
			return "", apiError("InvalidSecurityGroup", "One or more security groups are invalid: '%s'", shorten(strings.TrimSpace(id)))
		}
	}
	return vpc, nil
}
