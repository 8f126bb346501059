package awssim

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// securityGroup is a security group. Its rules, each with an id of its own, are
// what is kept; the permissions that EC2 also reports follow from them.
type securityGroup struct {
	view  types.SecurityGroup // without permissions
	rules []types.SecurityGroupRule
}

func (s *Sim) addSecurityGroup(group types.SecurityGroup) {
	group.IpPermissions, group.IpPermissionsEgress = nil, nil
	group.OwnerId = new(s.cfg.Account)
	group.SecurityGroupArn = new(s.ec2ARN("security-group/" + aws.ToString(group.GroupId)))
	if group.VpcId == nil && len(s.net.vpcs) > 0 {
		group.VpcId = s.net.vpcs[0].VpcId
	}
	if group.GroupName == nil {
		group.GroupName = group.GroupId
	}
	if group.Description == nil {
		group.Description = group.GroupName
	}
	s.net.securityGroups = append(s.net.securityGroups, &securityGroup{view: group})
}

// addPermissions gives a group that was added its rules. All may leave one that
// does not say what may.
func (s *Sim) addPermissions(group types.SecurityGroup) error {
	g, err := s.findSecurityGroup(aws.ToString(group.GroupId))
	if err != nil {
		return err
	}
	if _, err := s.findVPC(aws.ToString(g.view.VpcId)); err != nil {
		return err
	}
	if group.IpPermissionsEgress == nil {
		group.IpPermissionsEgress = []types.IpPermission{{IpProtocol: new(allProtocols), IpRanges: []types.IpRange{{CidrIp: new("0.0.0.0/0")}}}}
	}
	in, err := s.rulesOf(g, group.IpPermissions, false)
	if err != nil {
		return err
	}
	out, err := s.rulesOf(g, group.IpPermissionsEgress, true)
	if err != nil {
		return err
	}
	return s.accept(g, append(in, out...), nil)
}

func (s *Sim) findSecurityGroup(id string) (*securityGroup, error) {
	for _, g := range s.net.securityGroups {
		if aws.ToString(g.view.GroupId) == id {
			return g, nil
		}
	}
	if id == "" {
		return nil, apiError("MissingParameter", "The request must contain the parameter groupName or groupId")
	}
	return nil, apiError("InvalidGroup.NotFound", "The security group '%s' does not exist", shorten(id))
}

// describe gives the group with its permissions: rules of the same protocol and
// ports are one permission with several peers.
func (g *securityGroup) describe() types.SecurityGroup {
	view := g.view
	view.IpPermissions = permissionsOf(g.rules, false)
	view.IpPermissionsEgress = permissionsOf(g.rules, true)
	return view
}

func permissionsOf(rules []types.SecurityGroupRule, egress bool) []types.IpPermission {
	permissions := []types.IpPermission{}
	index := map[string]int{}
	for _, r := range rules {
		if *r.IsEgress != egress {
			continue
		}
		key := fmt.Sprint(*r.IpProtocol, *r.FromPort, *r.ToPort)
		at, ok := index[key]
		if !ok {
			at = len(permissions)
			index[key] = at
			p := types.IpPermission{
				IpProtocol: r.IpProtocol, FromPort: r.FromPort, ToPort: r.ToPort, IpRanges: []types.IpRange{},
				Ipv6Ranges: []types.Ipv6Range{}, PrefixListIds: []types.PrefixListId{}, UserIdGroupPairs: []types.UserIdGroupPair{},
			}
			if *r.IpProtocol == allProtocols {
				p.FromPort, p.ToPort = nil, nil
			}
			permissions = append(permissions, p)
		}
		p := &permissions[at]
		switch {
		case r.CidrIpv4 != nil:
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: r.CidrIpv4, Description: r.Description})
		case r.CidrIpv6 != nil:
			p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: r.CidrIpv6, Description: r.Description})
		case r.PrefixListId != nil:
			p.PrefixListIds = append(p.PrefixListIds, types.PrefixListId{PrefixListId: r.PrefixListId, Description: r.Description})
		default:
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, types.UserIdGroupPair{
				GroupId: r.ReferencedGroupInfo.GroupId, UserId: r.ReferencedGroupInfo.UserId, Description: r.Description,
			})
		}
	}
	return permissions
}

func (s *Sim) describeSecurityGroups(in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
	views := make([]types.SecurityGroup, len(s.net.securityGroups))
	for i, g := range s.net.securityGroups {
		views[i] = g.describe()
	}
	id := func(g types.SecurityGroup) *string { return g.GroupId }
	found, err := byID(views, in.GroupIds, id, "Group", "security group")
	if err != nil {
		return nil, err
	}
	for _, name := range in.GroupNames {
		if !slices.ContainsFunc(views, func(g types.SecurityGroup) bool { return aws.ToString(g.GroupName) == name }) {
			return nil, apiError("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC", shorten(name))
		}
	}
	if len(in.GroupNames) > 0 {
		found = slices.DeleteFunc(slices.Clone(found), func(g types.SecurityGroup) bool {
			return !slices.Contains(in.GroupNames, aws.ToString(g.GroupName))
		})
	}
	properties := map[string]property[types.SecurityGroup]{
		"description": one(func(g types.SecurityGroup) *string { return g.Description }),
		"group-id":    one(id),
		"group-name":  one(func(g types.SecurityGroup) *string { return g.GroupName }),
		"owner-id":    one(func(g types.SecurityGroup) *string { return g.OwnerId }),
		"vpc-id":      one(func(g types.SecurityGroup) *string { return g.VpcId }),
	}
	for name, value := range ruleProperties() {
		properties["ip-permission."+name] = s.ofRules(value, false)
		properties["egress.ip-permission."+name] = s.ofRules(value, true)
	}
	found, err = filtered(found, in.Filters, func(g types.SecurityGroup) []types.Tag { return g.Tags }, properties)
	if err != nil {
		return nil, err
	}
	found, next, err := page(found, func(g types.SecurityGroup) string { return *g.GroupId }, in.NextToken, in.MaxResults, ec2Pages())
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: found, NextToken: next}, nil
}

// ruleProperties are what security groups can be filtered by of their rules.
func ruleProperties() map[string]property[types.SecurityGroupRule] {
	return map[string]property[types.SecurityGroupRule]{
		"cidr":      one(func(r types.SecurityGroupRule) *string { return r.CidrIpv4 }),
		"from-port": one(func(r types.SecurityGroupRule) *string { return new(fmt.Sprint(*r.FromPort)) }),
		"group-id": one(func(r types.SecurityGroupRule) *string {
			if r.ReferencedGroupInfo == nil {
				return nil
			}
			return r.ReferencedGroupInfo.GroupId
		}),
		"ipv6-cidr":      one(func(r types.SecurityGroupRule) *string { return r.CidrIpv6 }),
		"prefix-list-id": one(func(r types.SecurityGroupRule) *string { return r.PrefixListId }),
		"protocol":       one(func(r types.SecurityGroupRule) *string { return r.IpProtocol }),
		"to-port":        one(func(r types.SecurityGroupRule) *string { return new(fmt.Sprint(*r.ToPort)) }),
	}
}

// ofRules makes a property of a group from one of its rules.
func (s *Sim) ofRules(value property[types.SecurityGroupRule], egress bool) property[types.SecurityGroup] {
	return func(view types.SecurityGroup) []string {
		var values []string
		g, err := s.findSecurityGroup(aws.ToString(view.GroupId))
		if err != nil {
			return nil
		}
		for _, r := range g.rules {
			if *r.IsEgress == egress {
				values = append(values, value(r)...)
			}
		}
		return values
	}
}

func (s *Sim) describeSecurityGroupRules(in *ec2.DescribeSecurityGroupRulesInput) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	var rules []types.SecurityGroupRule
	for _, g := range s.net.securityGroups {
		rules = append(rules, g.rules...)
	}
	id := func(r types.SecurityGroupRule) *string { return r.SecurityGroupRuleId }
	found, err := byID(rules, in.SecurityGroupRuleIds, id, "SecurityGroupRuleId", "security group rule")
	if err != nil {
		return nil, err
	}
	found, err = filtered(found, in.Filters, func(r types.SecurityGroupRule) []types.Tag { return r.Tags }, map[string]property[types.SecurityGroupRule]{
		"group-id":               one(func(r types.SecurityGroupRule) *string { return r.GroupId }),
		"security-group-rule-id": one(id),
	})
	if err != nil {
		return nil, err
	}
	found, next, err := page(found, func(r types.SecurityGroupRule) string { return *r.SecurityGroupRuleId }, in.NextToken, in.MaxResults, ec2Pages())
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &ec2.DescribeSecurityGroupRulesOutput{SecurityGroupRules: found, NextToken: next}, nil
}
