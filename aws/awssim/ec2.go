package awssim

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// dryRun is the answer to a request that would have succeeded.
func dryRun(asked *bool) error {
	if aws.ToBool(asked) {
		return apiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	return nil
}

// describeInstances gives each instance in a reservation of its own.
func (s *Sim) describeInstances(in *ec2.DescribeInstancesInput) (*ec2.DescribeInstancesOutput, error) {
	if len(in.InstanceIds) > 0 && in.MaxResults != nil {
		return nil, apiError("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	found, err := byID(s.net.instances, in.InstanceIds, func(i types.Instance) *string { return i.InstanceId }, "InstanceID", "instance")
	if err != nil {
		return nil, err
	}
	found, err = filtered(found, in.Filters, func(i types.Instance) []types.Tag { return i.Tags }, map[string]property[types.Instance]{
		"availability-zone":   one(func(i types.Instance) *string { return i.Placement.AvailabilityZone }),
		"instance-id":         one(func(i types.Instance) *string { return i.InstanceId }),
		"instance-state-name": one(func(i types.Instance) *string { return new(string(i.State.Name)) }),
		"instance-type":       one(func(i types.Instance) *string { return new(string(i.InstanceType)) }),
		"instance.group-id":   instanceGroups,
		"ip-address":          one(func(i types.Instance) *string { return i.PublicIpAddress }),
		"private-dns-name":    one(func(i types.Instance) *string { return i.PrivateDnsName }),
		"private-ip-address":  one(func(i types.Instance) *string { return i.PrivateIpAddress }),
		"subnet-id":           one(func(i types.Instance) *string { return i.SubnetId }),
		"vpc-id":              one(func(i types.Instance) *string { return i.VpcId }),
		// The interfaces are those that an instance begins with.
		"network-interface.addresses.private-ip-address": one(func(i types.Instance) *string { return i.PrivateIpAddress }),
		"network-interface.group-id":                     instanceGroups,
	})
	if err != nil {
		return nil, err
	}
	found, next, err := page(found, func(i types.Instance) string { return *i.InstanceId }, in.NextToken, in.MaxResults, ec2Pages())
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	reservations := make([]types.Reservation, len(found))
	for i, instance := range found {
		reservations[i] = types.Reservation{
			Instances: []types.Instance{instance}, OwnerId: new(s.cfg.Account),
			ReservationId: new("r-" + (*instance.InstanceId)[len("i-"):]),
		}
	}
	return &ec2.DescribeInstancesOutput{Reservations: reservations, NextToken: next}, nil
}

func instanceGroups(i types.Instance) []string {
	var ids []string
	for _, group := range i.SecurityGroups {
		ids = append(ids, aws.ToString(group.GroupId))
	}
	return ids
}

func (s *Sim) describeSubnets(in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
	id := func(v types.Subnet) *string { return v.SubnetId }
	found, err := byID(s.net.subnets, in.SubnetIds, id, "SubnetID", "subnet")
	if err != nil {
		return nil, err
	}
	found, err = filtered(found, in.Filters, func(v types.Subnet) []types.Tag { return v.Tags }, map[string]property[types.Subnet]{
		"availability-zone": one(func(v types.Subnet) *string { return v.AvailabilityZone }),
		"cidr-block":        one(func(v types.Subnet) *string { return v.CidrBlock }),
		"state":             one(func(v types.Subnet) *string { return new(string(v.State)) }),
		"subnet-id":         one(id),
		"vpc-id":            one(func(v types.Subnet) *string { return v.VpcId }),
	})
	if err != nil {
		return nil, err
	}
	found, next, err := page(found, func(v types.Subnet) string { return *v.SubnetId }, in.NextToken, in.MaxResults, ec2Pages())
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &ec2.DescribeSubnetsOutput{Subnets: found, NextToken: next}, nil
}

func (s *Sim) describeVpcs(in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	id := func(v types.Vpc) *string { return v.VpcId }
	found, err := byID(s.net.vpcs, in.VpcIds, id, "VpcID", "vpc")
	if err != nil {
		return nil, err
	}
	found, err = filtered(found, in.Filters, func(v types.Vpc) []types.Tag { return v.Tags }, map[string]property[types.Vpc]{
		"cidr":       one(func(v types.Vpc) *string { return v.CidrBlock }),
		"is-default": one(func(v types.Vpc) *string { return boolText(v.IsDefault) }),
		"state":      one(func(v types.Vpc) *string { return new(string(v.State)) }),
		"vpc-id":     one(id),
	})
	if err != nil {
		return nil, err
	}
	found, next, err := page(found, func(v types.Vpc) string { return *v.VpcId }, in.NextToken, in.MaxResults, ec2Pages())
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &ec2.DescribeVpcsOutput{Vpcs: found, NextToken: next}, nil
}

func boolText(b *bool) *string {
	if aws.ToBool(b) {
		return new("true")
	}
	return new("false")
}

func (s *Sim) getManagedPrefixListEntries(in *ec2.GetManagedPrefixListEntriesInput) (*ec2.GetManagedPrefixListEntriesOutput, error) {
	entries, err := s.findPrefixList(aws.ToString(in.PrefixListId))
	if err != nil {
		return nil, err
	}
	if version := aws.ToInt64(in.TargetVersion); in.TargetVersion != nil && version != 1 {
		return nil, apiError("InvalidPrefixListVersion", "The prefix list has no version '%d'", version)
	}
	found, next, err := page(slices.Clone(entries), func(e types.PrefixListEntry) string { return *e.Cidr }, in.NextToken, in.MaxResults, prefixListPages())
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &ec2.GetManagedPrefixListEntriesOutput{Entries: found, NextToken: next}, nil
}

func (s *Sim) findPrefixList(id string) ([]types.PrefixListEntry, error) {
	entries, ok := s.net.prefixLists[id]
	if !ok {
		return nil, missingID("PrefixListID", "prefix list", id)
	}
	return entries, nil
}
