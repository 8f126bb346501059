package sandbox

import (
	"fmt"

	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/istio-cutover/cutover/aws/awssim"
)

const (
	nodesName     = "bigbang-nodes"
	nodesGroup    = "sg-0b16ba90000000001"
	balancerGroup = "sg-0b16ba90000000002"
	// vpcBlock is where the clients of the NLB, which has no security group, are.
	vpcBlock = "127.0.0.0/8"
)

func subnetOf(n node) string { return "subnet-" + n.zone }

// surround adds what stands around the load balancers: the VPC with a subnet in
// each zone, the nodes as instances, and the security groups that let the load
// balancers reach the NodePorts of both sides.
func (c *cloud) surround() {
	nodePorts := func(l lane, peers ec2types.IpPermission) []ec2types.IpPermission {
		var permissions []ec2types.IpPermission
		for _, s := range []side{l.old, l.new} {
			for _, port := range []int{s.status, s.http, s.https} {
				p := peers
				p.IpProtocol, p.FromPort, p.ToPort = new("tcp"), new(int32(port)), new(int32(port))
				permissions = append(permissions, p)
			}
		}
		return permissions
	}
	anyone := []ec2types.IpRange{{CidrIp: new("0.0.0.0/0")}}
	n := awssim.Network{
		VPCs: []ec2types.Vpc{{VpcId: new(vpc), CidrBlock: new(vpcBlock), Tags: nameTag("bigbang")}},
		SecurityGroups: []ec2types.SecurityGroup{
			{
				GroupId: new(balancerGroup), GroupName: new("bigbang-alb"), VpcId: new(vpc),
				IpPermissions: []ec2types.IpPermission{
					{IpProtocol: new("tcp"), FromPort: new(int32(httpPort)), ToPort: new(int32(httpPort)), IpRanges: anyone},
					{IpProtocol: new("tcp"), FromPort: new(int32(httpsPort)), ToPort: new(int32(httpsPort)), IpRanges: anyone},
				},
			},
			{
				GroupId: new(nodesGroup), GroupName: new(nodesName), VpcId: new(vpc),
				IpPermissions: append(
					nodePorts(publicLane(), ec2types.IpPermission{UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: new(balancerGroup)}}}),
					nodePorts(passthroughLane(), ec2types.IpPermission{IpRanges: []ec2types.IpRange{{CidrIp: new(vpcBlock)}}})...),
			},
		},
	}
	for i, at := range c.nodes {
		n.Subnets = append(n.Subnets, ec2types.Subnet{
			SubnetId: new(subnetOf(at)), VpcId: new(vpc), AvailabilityZone: new(at.zone), CidrBlock: new(fmt.Sprintf("%s/32", at.address)), Tags: nameTag(fmt.Sprintf("bigbang-%d", i)),
		})
		n.Instances = append(n.Instances, ec2types.Instance{
			InstanceId: new(at.instance), SubnetId: new(subnetOf(at)), InstanceType: ec2types.InstanceTypeM5Xlarge,
			PrivateDnsName: new(at.name), PrivateIpAddress: new(at.address.String()),
			SecurityGroups: []ec2types.GroupIdentifier{{GroupId: new(nodesGroup)}}, Tags: nameTag(nodesName),
		})
	}
	c.add(n)
}

// maxAttached is how many target groups an Auto Scaling group can have.
const maxAttached = 50

// scale adds the Auto Scaling group that the nodes are in, with the target groups
// attached to it. In worlds with more than it can have the others are not.
func (c *cloud) scale() {
	group := scalingtypes.AutoScalingGroup{
		AutoScalingGroupName: new(nodesName), TargetGroupARNs: c.groups[:min(len(c.groups), maxAttached)],
		Tags: []scalingtypes.TagDescription{{Key: new("Name"), Value: new(nodesName), PropagateAtLaunch: new(true)}},
	}
	for _, n := range c.nodes {
		group.Instances = append(group.Instances, scalingtypes.Instance{InstanceId: new(n.instance)})
	}
	c.add(awssim.Network{AutoScalingGroups: []scalingtypes.AutoScalingGroup{group}})
}

func (c *cloud) add(n awssim.Network) {
	if c.err == nil {
		c.err = c.sim.Add(n)
	}
}

func nameTag(name string) []ec2types.Tag {
	return []ec2types.Tag{{Key: new("Name"), Value: &name}}
}
