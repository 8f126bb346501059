package awssim

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

const (
	nodes    = "sg-0aaaaaaaaaaaaaaa1"
	balancer = "sg-0aaaaaaaaaaaaaaa2"
	prefixes = "pl-0aaaaaaaaaaaaaaa1"
)

// testNetwork has three nodes in three zones, whose security group lets the load
// balancers in, and an Auto Scaling group of them.
func testNetwork() Network {
	n := Network{
		VPCs: []ec2types.Vpc{{VpcId: new(defaultVPC), CidrBlock: new("10.0.0.0/16"), Tags: []ec2types.Tag{{Key: new("Name"), Value: new("main")}}}},
		PrefixLists: map[string][]ec2types.PrefixListEntry{prefixes: {
			{Cidr: new("198.51.100.0/24"), Description: new("office")}, {Cidr: new("203.0.113.0/24")},
		}},
		SecurityGroups: []ec2types.SecurityGroup{
			{GroupId: new(nodes), GroupName: new("nodes"), IpPermissions: []ec2types.IpPermission{
				tcp(30080, 30080, ec2types.IpPermission{UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: new(balancer), Description: new("from the ALB")}}}),
				tcp(32443, 32443, ec2types.IpPermission{
					IpRanges: []ec2types.IpRange{{CidrIp: new("10.0.0.0/8")}}, Ipv6Ranges: []ec2types.Ipv6Range{{CidrIpv6: new("2001:db8::/32")}},
					PrefixListIds: []ec2types.PrefixListId{{PrefixListId: new(prefixes)}},
				}),
			}},
			{GroupId: new(balancer), GroupName: new("balancer"), Tags: []ec2types.Tag{{Key: new("Name"), Value: new("balancer")}}},
		},
	}
	asg := scalingtypes.AutoScalingGroup{AutoScalingGroupName: new("nodes"), Tags: []scalingtypes.TagDescription{{Key: new("cluster"), Value: new("bigbang")}}}
	for i := range 3 {
		subnet, instance := fmt.Sprintf("subnet-0%016x", i+1), fmt.Sprintf("i-0%016x", i+1)
		n.Subnets = append(n.Subnets, ec2types.Subnet{
			SubnetId: &subnet, VpcId: new(defaultVPC), AvailabilityZone: new("us-east-1" + string(rune('a'+i))), CidrBlock: new(fmt.Sprintf("10.0.%d.0/24", i)),
		})
		n.Instances = append(n.Instances, ec2types.Instance{
			InstanceId: &instance, SubnetId: &subnet, InstanceType: ec2types.InstanceTypeM5Large, PrivateIpAddress: new(fmt.Sprintf("127.0.0.%d", i+11)),
			PrivateDnsName: new(fmt.Sprintf("ip-127-0-0-%d.ec2.internal", i+11)), SecurityGroups: []ec2types.GroupIdentifier{{GroupId: new(nodes)}},
			Tags: []ec2types.Tag{{Key: new("Name"), Value: new(fmt.Sprintf("node-%d", i))}},
		})
		asg.Instances = append(asg.Instances, scalingtypes.Instance{InstanceId: &instance})
	}
	n.AutoScalingGroups = []scalingtypes.AutoScalingGroup{asg}
	return n
}

func tcp(from, to int32, peers ec2types.IpPermission) ec2types.IpPermission {
	peers.IpProtocol, peers.FromPort, peers.ToPort = new("tcp"), &from, &to
	return peers
}

func fromCIDR(cidrs ...string) ec2types.IpPermission {
	var p ec2types.IpPermission
	for _, cidr := range cidrs {
		p.IpRanges = append(p.IpRanges, ec2types.IpRange{CidrIp: new(cidr)})
	}
	return p
}

// networked is an account with the test network, its instances at their own
// addresses.
func networked(t *testing.T) *world {
	w := newWorld(t)
	w.sim.cfg.InstanceIP = nil
	if err := w.sim.Add(testNetwork()); err != nil {
		t.Fatal(err)
	}
	return w
}

// run makes a call in process that must succeed.
func run[O any](w *world, in any) *O {
	w.t.Helper()
	out, err := w.sim.Call(w.t.Context(), in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return out.(*O)
}

// code gives the code of the error that a call in process ends with.
func code(w *world, in any) string {
	w.t.Helper()
	_, err := w.sim.Call(w.t.Context(), in)
	var failed smithy.APIError
	if err != nil && !errors.As(err, &failed) {
		w.t.Fatalf("%T: %v", in, err)
	}
	if failed == nil {
		return ""
	}
	return failed.ErrorCode()
}

func filter(name string, values ...string) ec2types.Filter {
	return ec2types.Filter{Name: &name, Values: values}
}

func TestFilters(t *testing.T) {
	w := networked(t)
	for _, tc := range []struct {
		filters []ec2types.Filter
		want    []string
	}{
		{nil, []string{"node-0", "node-1", "node-2"}},
		{[]ec2types.Filter{filter("private-dns-name", "ip-127-0-0-12.*", "nothing")}, []string{"node-1"}},
		{[]ec2types.Filter{filter("private-ip-address", "127.0.0.1?")}, []string{"node-0", "node-1", "node-2"}},
		{[]ec2types.Filter{filter("tag:Name", "node-2"), filter("instance-state-name", "running")}, []string{"node-2"}},
		{[]ec2types.Filter{filter("tag:Name", "node-2"), filter("availability-zone", "us-east-1a")}, nil},
		{[]ec2types.Filter{filter("tag-key", "Name"), filter("instance.group-id", nodes)}, []string{"node-0", "node-1", "node-2"}},
	} {
		var got []string
		for _, r := range run[ec2.DescribeInstancesOutput](w, &ec2.DescribeInstancesInput{Filters: tc.filters}).Reservations {
			got = append(got, *r.Instances[0].Tags[0].Value)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%v gave %v", tc.want, got)
		}
	}
	for _, name := range []string{"ip-permission.cidr", "egress.ip-permission.cidr"} {
		groups := run[ec2.DescribeSecurityGroupsOutput](w, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{filter(name, "10.0.0.0/8")}}).SecurityGroups
		if want := map[string]int{"ip-permission.cidr": 1}[name]; len(groups) != want {
			t.Errorf("%s: %d groups", name, len(groups))
		}
	}
}

func TestCallsThatEC2Refuses(t *testing.T) {
	w := networked(t)
	authorize := func(group string, permissions ...ec2types.IpPermission) *ec2.AuthorizeSecurityGroupIngressInput {
		return &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: permissions}
	}
	revoke := func(permissions ...ec2types.IpPermission) *ec2.RevokeSecurityGroupIngressInput {
		return &ec2.RevokeSecurityGroupIngressInput{GroupId: new(nodes), IpPermissions: permissions}
	}
	fresh := tcp(30081, 30081, fromCIDR("10.0.0.0/8"))
	dry := authorize(nodes, fresh)
	dry.DryRun = new(true)
	taken := authorize(nodes, tcp(32443, 32443, fromCIDR("10.0.0.0/8")))
	taken.DryRun = new(true)
	tagged := authorize(nodes, fresh)
	tagged.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance}}
	both := authorize(nodes, fresh)
	both.IpProtocol, both.CidrIp = new("tcp"), new("10.0.0.0/8")
	var many []string
	for i := range maxSecurityRules {
		many = append(many, fmt.Sprintf("10.1.%d.0/24", i))
	}
	for name, tc := range map[string]struct {
		in   any
		code string
	}{
		"instance":               {&ec2.DescribeInstancesInput{InstanceIds: []string{"i-1"}}, "InvalidInstanceID.NotFound"},
		"subnet":                 {&ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-1"}}, "InvalidSubnetID.NotFound"},
		"VPC":                    {&ec2.DescribeVpcsInput{VpcIds: []string{"vpc-1"}}, "InvalidVpcID.NotFound"},
		"security group":         {&ec2.DescribeSecurityGroupsInput{GroupIds: []string{"sg-1"}}, "InvalidGroup.NotFound"},
		"security group by name": {&ec2.DescribeSecurityGroupsInput{GroupNames: []string{"x"}}, "InvalidGroup.NotFound"},
		"rule":                   {&ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{"sgr-1"}}, "InvalidSecurityGroupRuleId.NotFound"},
		"prefix list":            {&ec2.GetManagedPrefixListEntriesInput{PrefixListId: new("pl-1")}, "InvalidPrefixListID.NotFound"},
		"filter":                 {&ec2.DescribeInstancesInput{Filters: []ec2types.Filter{filter("colour", "red")}}, "InvalidParameterValue"},
		"small page":             {&ec2.DescribeInstancesInput{MaxResults: new(int32(4))}, "InvalidParameterValue"},
		"large page":             {&ec2.DescribeVpcsInput{MaxResults: new(int32(1001))}, "InvalidParameterValue"},
		"token":                  {&ec2.DescribeSubnetsInput{NextToken: new("?")}, "InvalidPaginationToken"},
		"ids with a page":        {&ec2.DescribeInstancesInput{InstanceIds: []string{"i-00000000000000001"}, MaxResults: new(int32(5))}, "InvalidParameterCombination"},
		"dry read":               {&ec2.DescribeInstancesInput{DryRun: new(true)}, "DryRunOperation"},
		"dry write":              {dry, "DryRunOperation"},
		"dry write that fails":   {taken, "InvalidPermission.Duplicate"},
		"one of two is there":    {authorize(nodes, fresh, tcp(32443, 32443, fromCIDR("10.0.0.0/8"))), "InvalidPermission.Duplicate"},
		"there by number":        {authorize(nodes, ec2types.IpPermission{IpProtocol: new("6"), FromPort: new(int32(32443)), ToPort: new(int32(32443)), IpRanges: fromCIDR("10.9.9.9/8").IpRanges}), "InvalidPermission.Duplicate"},
		"one twice":              {authorize(nodes, fresh, fresh), "InvalidParameterValue"},
		"no group":               {authorize("sg-1", fresh), "InvalidGroup.NotFound"},
		"no rule":                {authorize(nodes), "MissingParameter"},
		"no source":              {authorize(nodes, tcp(1, 1, ec2types.IpPermission{})), "MissingParameter"},
		"unknown source":         {authorize(nodes, tcp(1, 1, ec2types.IpPermission{UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: new("sg-1")}}})), "InvalidGroup.NotFound"},
		"unknown prefix list":    {authorize(nodes, tcp(1, 1, ec2types.IpPermission{PrefixListIds: []ec2types.PrefixListId{{PrefixListId: new("pl-1")}}})), "InvalidPrefixListID.NotFound"},
		"not a CIDR block":       {authorize(nodes, tcp(1, 1, fromCIDR("10.0.0.0"))), "InvalidParameterValue"},
		"IPv6 as IPv4":           {authorize(nodes, tcp(1, 1, fromCIDR("2001:db8::/32"))), "InvalidParameterValue"},
		"ports the wrong way":    {authorize(nodes, tcp(2, 1, fromCIDR("10.0.0.0/8"))), "InvalidParameterValue"},
		"port too high":          {authorize(nodes, tcp(1, 65536, fromCIDR("10.0.0.0/8"))), "InvalidParameterValue"},
		"no ports":               {authorize(nodes, ec2types.IpPermission{IpProtocol: new("tcp"), IpRanges: fromCIDR("10.0.0.0/8").IpRanges}), "InvalidParameterValue"},
		"no protocol":            {authorize(nodes, fromCIDR("10.0.0.0/8")), "MissingParameter"},
		"unknown protocol":       {authorize(nodes, ec2types.IpPermission{IpProtocol: new("carrier-pigeon")}), "InvalidParameterValue"},
		"description":            {authorize(nodes, tcp(1, 1, ec2types.IpPermission{IpRanges: []ec2types.IpRange{{CidrIp: new("10.0.0.0/8"), Description: new("é")}}})), "InvalidParameterValue"},
		"tags of something else": {tagged, "InvalidParameterValue"},
		"both forms":             {both, "InvalidParameterCombination"},
		"too many":               {authorize(nodes, tcp(1, 1, fromCIDR(many...))), "RulesPerSecurityGroupLimitExceeded"},
		"revoke what is not":     {revoke(fresh), "InvalidPermission.NotFound"},
		"revoke an unknown id":   {&ec2.RevokeSecurityGroupIngressInput{GroupId: new(nodes), SecurityGroupRuleIds: []string{"sgr-1"}}, "InvalidSecurityGroupRuleId.NotFound"},
	} {
		if got := code(w, tc.in); got != tc.code {
			t.Errorf("%s: got %q, want %q", name, got, tc.code)
		}
	}
	rules := run[ec2.DescribeSecurityGroupRulesOutput](w, &ec2.DescribeSecurityGroupRulesInput{Filters: []ec2types.Filter{filter("group-id", nodes)}}).SecurityGroupRules
	if len(rules) != 5 {
		t.Errorf("after refused calls there are %d rules, want the first 5", len(rules))
	}
}

// A rule has an id from the call that makes it, and is the same under whatever
// name of its protocol it is asked for.
func TestRulesOfSecurityGroups(t *testing.T) {
	w := networked(t)
	made := run[ec2.AuthorizeSecurityGroupIngressOutput](w, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: new(nodes), IpPermissions: []ec2types.IpPermission{tcp(30081, 30081, ec2types.IpPermission{
			UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: new(balancer), UserId: new("111122223333"), Description: new("cutover")}},
			IpRanges:         []ec2types.IpRange{{CidrIp: new("10.0.0.1/8")}},
		})},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: resourceRule, Tags: []ec2types.Tag{{Key: new("made-by"), Value: new("cutover")}}}},
	}).SecurityGroupRules
	if len(made) != 2 || *made[0].CidrIpv4 != "10.0.0.0/8" || made[1].ReferencedGroupInfo == nil || *made[1].SecurityGroupRuleId == *made[0].SecurityGroupRuleId {
		t.Fatalf("made %+v", made)
	}
	found := run[ec2.DescribeSecurityGroupRulesOutput](w, &ec2.DescribeSecurityGroupRulesInput{Filters: []ec2types.Filter{filter("tag:made-by", "cutover")}}).SecurityGroupRules
	if diff := cmp.Diff(withoutNil(reflect.ValueOf(made)), withoutNil(reflect.ValueOf(found))); diff != "" {
		t.Error(diff)
	}
	group := run[ec2.DescribeSecurityGroupsOutput](w, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{nodes}}).SecurityGroups[0]
	if len(group.IpPermissions) != 3 || *group.IpPermissions[2].UserIdGroupPairs[0].Description != "cutover" || *group.IpPermissionsEgress[0].IpProtocol != "-1" {
		t.Errorf("the group reports %+v", group.IpPermissions)
	}
	revoked := run[ec2.RevokeSecurityGroupIngressOutput](w, &ec2.RevokeSecurityGroupIngressInput{GroupId: new(nodes), SecurityGroupRuleIds: []string{*made[0].SecurityGroupRuleId}})
	if len(revoked.RevokedSecurityGroupRules) != 1 || *revoked.RevokedSecurityGroupRules[0].CidrIpv4 != "10.0.0.0/8" {
		t.Errorf("revoked %+v", revoked.RevokedSecurityGroupRules)
	}
	run[ec2.RevokeSecurityGroupIngressOutput](w, &ec2.RevokeSecurityGroupIngressInput{GroupId: new(nodes), IpPermissions: []ec2types.IpPermission{
		{IpProtocol: new("6"), FromPort: new(int32(30081)), ToPort: new(int32(30081)), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: new(balancer)}}},
	}})
	if left := run[ec2.DescribeSecurityGroupRulesOutput](w, &ec2.DescribeSecurityGroupRulesInput{Filters: []ec2types.Filter{filter("group-id", nodes)}}).SecurityGroupRules; len(left) != 5 {
		t.Errorf("%d rules are left, want the first 5", len(left))
	}
}

// In the default VPC what cannot be revoked is only remarked, and a group can be
// named.
func TestSecurityGroupsOfTheDefaultVPC(t *testing.T) {
	w := newWorld(t)
	n := testNetwork()
	n.VPCs[0].IsDefault = new(true)
	if err := w.sim.Add(n); err != nil {
		t.Fatal(err)
	}
	out := run[ec2.RevokeSecurityGroupIngressOutput](w, &ec2.RevokeSecurityGroupIngressInput{
		GroupName: new("nodes"), IpProtocol: new("tcp"), FromPort: new(int32(1)), ToPort: new(int32(1)), CidrIp: new("10.0.0.0/8"),
	})
	if len(out.UnknownIpPermissions) != 1 || !*out.Return {
		t.Errorf("%+v", out)
	}
}

// What a network names must be there.
func TestNetworksThatDoNotHoldTogether(t *testing.T) {
	for name, n := range map[string]Network{
		"subnet without VPC":      {Subnets: []ec2types.Subnet{{SubnetId: new("subnet-1")}}},
		"instance without subnet": {Instances: []ec2types.Instance{{InstanceId: new("i-1")}}},
		"security group": {VPCs: []ec2types.Vpc{{VpcId: new("vpc-1")}}, SecurityGroups: []ec2types.SecurityGroup{
			{GroupId: new("sg-1"), IpPermissions: []ec2types.IpPermission{tcp(1, 1, ec2types.IpPermission{PrefixListIds: []ec2types.PrefixListId{{PrefixListId: new("pl-1")}}})}},
		}},
		"instance of a scaling group": {AutoScalingGroups: []scalingtypes.AutoScalingGroup{{AutoScalingGroupName: new("a"), Instances: []scalingtypes.Instance{{InstanceId: new("i-1")}}}}},
		"target group":                {AutoScalingGroups: []scalingtypes.AutoScalingGroup{{AutoScalingGroupName: new("a"), TargetGroupARNs: []string{"arn"}}}},
	} {
		if err := newWorld(t).sim.Add(n); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLoadBalancersKeepToTheNetwork(t *testing.T) {
	w := networked(t)
	subnets := []string{"subnet-00000000000000001", "subnet-00000000000000002"}
	create := func(change func(*elb.CreateLoadBalancerInput)) *elb.CreateLoadBalancerInput {
		in := &elb.CreateLoadBalancerInput{Name: new("public"), Subnets: subnets, SecurityGroups: []string{balancer}}
		change(in)
		return in
	}
	for name, tc := range map[string]struct {
		in   *elb.CreateLoadBalancerInput
		code string
	}{
		"unknown subnet":         {create(func(in *elb.CreateLoadBalancerInput) { in.Subnets = []string{"subnet-1", "subnet-2"} }), "SubnetNotFound"},
		"one zone":               {create(func(in *elb.CreateLoadBalancerInput) { in.Subnets = subnets[:1] }), "ValidationError"},
		"one zone twice":         {create(func(in *elb.CreateLoadBalancerInput) { in.Subnets = []string{subnets[0], subnets[0]} }), "InvalidConfigurationRequest"},
		"no subnet":              {create(func(in *elb.CreateLoadBalancerInput) { in.Subnets = nil }), "ValidationError"},
		"unknown security group": {create(func(in *elb.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-1"} }), "InvalidSecurityGroup"},
		"both forms": {create(func(in *elb.CreateLoadBalancerInput) {
			in.SubnetMappings = []types.SubnetMapping{{SubnetId: &subnets[0]}}
		}), "ValidationError"},
	} {
		if got := code(w, tc.in); got != tc.code {
			t.Errorf("%s: got %q, want %q", name, got, tc.code)
		}
	}
	lb := run[elb.CreateLoadBalancerOutput](w, create(func(*elb.CreateLoadBalancerInput) {})).LoadBalancers[0]
	if *lb.VpcId != defaultVPC || *lb.AvailabilityZones[1].ZoneName != "us-east-1b" {
		t.Errorf("%+v", lb)
	}
	if err := w.sim.Add(Network{VPCs: []ec2types.Vpc{{VpcId: new("vpc-1")}}}); err != nil {
		t.Fatal(err)
	}
	other := w.group("elsewhere", types.ProtocolEnumHttp, 80, func(in *elb.CreateTargetGroupInput) { in.VpcId = new("vpc-1") })
	if got := code(w, &elb.CreateTargetGroupInput{Name: new("nowhere"), Protocol: types.ProtocolEnumHttp, Port: new(int32(80)), VpcId: new("vpc-2")}); got != "ValidationError" {
		t.Errorf("a group in a VPC that is not there: %q", got)
	}
	if got := code(w, &elb.RegisterTargetsInput{TargetGroupArn: &other, Targets: []types.TargetDescription{{Id: new("i-00000000000000001")}}}); got != "InvalidTarget" {
		t.Errorf("an instance of another VPC: %q", got)
	}
}

// Attaching registers the instances and detaching drains them.
func TestAttachingATargetGroup(t *testing.T) {
	w := networked(t)
	at := time.Unix(1_800_000_000, 0)
	w.sim.now = func() time.Time { return at }
	lb := w.loadBalancerIn("public", "subnet-00000000000000001", "subnet-00000000000000002")
	b := newBackend(t, "node", false)
	w.sim.cfg.InstanceIP = func(string) (addr netip.Addr, known bool) { return netip.MustParseAddr("127.0.0.1"), true }
	arn := w.group("fresh", types.ProtocolEnumHttp, b.port, nil)
	name := new("nodes")
	state := func() string {
		t.Helper()
		groups := run[autoscaling.DescribeLoadBalancerTargetGroupsOutput](w, &autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: name}).LoadBalancerTargetGroups
		sources := run[autoscaling.DescribeTrafficSourcesOutput](w, &autoscaling.DescribeTrafficSourcesInput{AutoScalingGroupName: name, TrafficSourceType: new("elbv2")}).TrafficSources
		if len(groups) == 0 && len(sources) == 0 {
			return ""
		}
		if len(groups) != 1 || len(sources) != 1 || *groups[0].State != *sources[0].State || *groups[0].LoadBalancerTargetGroupARN != arn || *sources[0].Identifier != arn {
			t.Fatalf("%+v %+v", groups, sources)
		}
		return *groups[0].State
	}
	w.sim.SetPropagation(10 * time.Second)
	attach := &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: name, TargetGroupARNs: []string{arn}}
	run[autoscaling.AttachLoadBalancerTargetGroupsOutput](w, attach)
	if got := state(); got != "Adding" {
		t.Errorf("at first it is %s", got)
	}
	at = at.Add(10 * time.Second)
	if got := state(); got != "Added" {
		t.Errorf("then it is %s", got)
	}
	if health := run[elb.DescribeTargetHealthOutput](w, &elb.DescribeTargetHealthInput{TargetGroupArn: &arn}).TargetHealthDescriptions; len(health) != 3 || health[0].TargetHealth.State != types.TargetHealthStateEnumUnused {
		t.Errorf("%d targets, the first %+v", len(health), health[0].TargetHealth)
	}
	l := w.listener(lb, types.ProtocolEnumHttp, 80, forwardTo(arn))
	eventually(t, "the target group is in service", func() bool { return state() == "InService" })
	run[autoscaling.AttachLoadBalancerTargetGroupsOutput](w, attach) // is done already
	if got := state(); got != "InService" {
		t.Errorf("attached again it is %s", got)
	}
	if groups := run[autoscaling.DescribeAutoScalingGroupsOutput](w, &autoscaling.DescribeAutoScalingGroupsInput{}).AutoScalingGroups; !slices.Equal(groups[0].TargetGroupARNs, []string{arn}) {
		t.Errorf("the group has %v", groups[0].TargetGroupARNs)
	}
	detach := &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: name, TargetGroupARNs: []string{arn}}
	run[autoscaling.DetachLoadBalancerTargetGroupsOutput](w, detach)
	if got := state(); got != "Removing" {
		t.Errorf("being detached it is %s", got)
	}
	if got := code(w, detach); got != "ValidationError" {
		t.Errorf("detached again: %q", got)
	}
	at = at.Add(300 * time.Second)
	if got := state(); got != "" {
		t.Errorf("once drained it is %s", got)
	}
	call(w, w.client.DeleteListener, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn})

	// A group that is deleted stays attached until it is detached.
	run[autoscaling.AttachLoadBalancerTargetGroupsOutput](w, attach)
	run[elb.DeleteTargetGroupOutput](w, &elb.DeleteTargetGroupInput{TargetGroupArn: &arn})
	if got := state(); got != "Adding" {
		t.Errorf("with its target group deleted it is %s", got)
	}
	run[autoscaling.DetachLoadBalancerTargetGroupsOutput](w, detach)
	if got := state(); got != "" {
		t.Errorf("detached it is %s", got)
	}
}

func TestCallsThatAutoScalingRefuses(t *testing.T) {
	w := networked(t)
	var arns []string
	for i := range maxAttached + 1 {
		arns = append(arns, w.group(fmt.Sprintf("g-%d", i), types.ProtocolEnumHttp, 80, nil))
	}
	attach := func(arns ...string) *autoscaling.AttachLoadBalancerTargetGroupsInput {
		return &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: new("nodes"), TargetGroupARNs: arns}
	}
	ips := w.group("ips", types.ProtocolEnumHttp, 80, func(in *elb.CreateTargetGroupInput) { in.TargetType = types.TargetTypeEnumIp })
	for i := 0; i < maxAttached; i += maxAttachedAtOnce {
		run[autoscaling.AttachLoadBalancerTargetGroupsOutput](w, attach(arns[i:i+maxAttachedAtOnce]...))
	}
	unknown := attach(arns[0])
	unknown.AutoScalingGroupName = new("others")
	for name, tc := range map[string]struct {
		in   any
		code string
	}{
		"one too many":        {attach(arns[maxAttached]), "ValidationError"},
		"eleven at once":      {attach(arns[:maxAttachedAtOnce+1]...), "ValidationError"},
		"none":                {attach(), "ValidationError"},
		"not a target group":  {attach(arns[0] + "0"), "ValidationError"},
		"a group of IPs":      {attach(ips), "ValidationError"},
		"unknown group":       {unknown, "ValidationError"},
		"described, unknown":  {&autoscaling.DescribeTrafficSourcesInput{AutoScalingGroupName: new("others")}, "ValidationError"},
		"page":                {&autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: new(int32(101))}, "ValidationError"},
		"token":               {&autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: new("nodes"), NextToken: new("?")}, "InvalidNextToken"},
		"filter":              {&autoscaling.DescribeAutoScalingGroupsInput{Filters: []scalingtypes.Filter{{Name: new("colour")}}}, "ValidationError"},
		"traffic source type": {&autoscaling.DescribeTrafficSourcesInput{AutoScalingGroupName: new("nodes"), TrafficSourceType: new("dns")}, "ValidationError"},
	} {
		if got := code(w, tc.in); got != tc.code {
			t.Errorf("%s: got %q, want %q", name, got, tc.code)
		}
	}
	tagged := func(f scalingtypes.Filter) int {
		return len(run[autoscaling.DescribeAutoScalingGroupsOutput](w, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []scalingtypes.Filter{f}}).AutoScalingGroups)
	}
	if tagged(scalingtypes.Filter{Name: aws.String("tag:cluster"), Values: []string{"bigbang"}}) != 1 || tagged(scalingtypes.Filter{Name: aws.String("tag-value"), Values: []string{"x"}}) != 0 {
		t.Error("groups are not filtered by their tags")
	}
}
