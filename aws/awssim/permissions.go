package awssim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const (
	allProtocols = "-1"
	// maxSecurityRules is the default quota of inbound, and of outbound, rules of
	// a security group; those for IPv4 and IPv6 count apart, and one with another
	// kind of peer counts with both.
	maxSecurityRules = 60
	// resourceRule is the type under which tags for a new rule are given.
	resourceRule = types.ResourceTypeSecurityGroupRule
)

// authorizeSecurityGroupIngress adds all the rules of a request or, where one of
// them exists, none.
func (s *Sim) authorizeSecurityGroupIngress(in *ec2.AuthorizeSecurityGroupIngressInput) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	g, err := s.securityGroupOf(in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	permissions, err := s.permissionsGiven(in.IpPermissions, types.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort},
		in.CidrIp, in.SourceSecurityGroupName)
	if err != nil {
		return nil, err
	}
	var tags []types.Tag
	for _, spec := range in.TagSpecifications {
		if spec.ResourceType != resourceRule {
			return nil, apiError("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", shorten(string(spec.ResourceType)))
		}
		tags = append(tags, spec.Tags...)
	}
	rules, err := s.rulesOf(g, permissions, false)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		rules[i].Tags = tags
	}
	if err := s.accept(g, rules, in.DryRun); err != nil {
		return nil, err
	}
	return &ec2.AuthorizeSecurityGroupIngressOutput{Return: new(true), SecurityGroupRules: rules}, nil
}

// accept adds rules to a group unless one of them is there already, or it is but
// a dry run. They get their ids here.
func (s *Sim) accept(g *securityGroup, rules []types.SecurityGroupRule, dry *bool) error {
	for i, r := range rules {
		if slices.ContainsFunc(rules[:i], func(other types.SecurityGroupRule) bool { return sameRule(other, r) }) {
			return apiError("InvalidParameterValue", "The same permission must not appear multiple times")
		}
		if slices.ContainsFunc(g.rules, func(other types.SecurityGroupRule) bool { return sameRule(other, r) }) {
			return apiError("InvalidPermission.Duplicate", "the specified rule %q already exists", ruleText(r))
		}
	}
	all := append(slices.Clone(g.rules), rules...)
	counts := map[string]int{}
	for _, r := range all {
		way := fmt.Sprint(*r.IsEgress)
		if r.CidrIpv6 == nil {
			counts[way+"4"]++
		}
		if r.CidrIpv4 == nil {
			counts[way+"6"]++
		}
	}
	for _, n := range counts {
		if n > maxSecurityRules {
			return apiError("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
		}
	}
	if err := dryRun(dry); err != nil {
		return err
	}
	for i := range rules {
		id := "sgr-0" + s.cfg.NewID()
		rules[i].SecurityGroupRuleId = new(id)
		rules[i].SecurityGroupRuleArn = new(s.ec2ARN("security-group-rule/" + id))
	}
	g.rules = append(slices.Clone(g.rules), rules...)
	return nil
}

// revokeSecurityGroupIngress takes rules away, by their ids or by what they say.
// What a group does not have is an error, in the default VPC only a remark.
func (s *Sim) revokeSecurityGroupIngress(in *ec2.RevokeSecurityGroupIngressInput) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	g, err := s.securityGroupOf(in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	out := &ec2.RevokeSecurityGroupIngressOutput{Return: new(true)}
	var gone []types.SecurityGroupRule
	if len(in.SecurityGroupRuleIds) > 0 {
		for _, id := range in.SecurityGroupRuleIds {
			at := slices.IndexFunc(g.rules, func(r types.SecurityGroupRule) bool { return *r.SecurityGroupRuleId == id && !*r.IsEgress })
			if at < 0 {
				return nil, missingID("SecurityGroupRuleId", "security group rule", id)
			}
			gone = append(gone, g.rules[at])
		}
	} else {
		permissions, err := s.permissionsGiven(in.IpPermissions, types.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort},
			in.CidrIp, in.SourceSecurityGroupName)
		if err != nil {
			return nil, err
		}
		given, err := s.rulesOf(g, permissions, false)
		if err != nil {
			return nil, err
		}
		for _, r := range given {
			at := slices.IndexFunc(g.rules, func(other types.SecurityGroupRule) bool { return sameRule(other, r) })
			switch {
			case at >= 0:
				gone = append(gone, g.rules[at])
			case s.inDefaultVPC(g):
				out.UnknownIpPermissions = append(out.UnknownIpPermissions, permissionsOf([]types.SecurityGroupRule{r}, false)...)
			default:
				return nil, apiError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
		}
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	g.rules = slices.DeleteFunc(slices.Clone(g.rules), func(r types.SecurityGroupRule) bool {
		return slices.ContainsFunc(gone, func(other types.SecurityGroupRule) bool { return *other.SecurityGroupRuleId == *r.SecurityGroupRuleId })
	})
	for _, r := range gone {
		revoked := types.RevokedSecurityGroupRule{
			CidrIpv4: r.CidrIpv4, CidrIpv6: r.CidrIpv6, Description: r.Description, FromPort: r.FromPort, GroupId: r.GroupId,
			IpProtocol: r.IpProtocol, IsEgress: r.IsEgress, PrefixListId: r.PrefixListId, SecurityGroupRuleId: r.SecurityGroupRuleId, ToPort: r.ToPort,
		}
		if r.ReferencedGroupInfo != nil {
			revoked.ReferencedGroupId = r.ReferencedGroupInfo.GroupId
		}
		out.RevokedSecurityGroupRules = append(out.RevokedSecurityGroupRules, revoked)
	}
	return out, nil
}

// securityGroupOf finds a group by its id or, in the default VPC, by its name.
func (s *Sim) securityGroupOf(id, name *string) (*securityGroup, error) {
	if id != nil || name == nil {
		return s.findSecurityGroup(aws.ToString(id))
	}
	for _, g := range s.net.securityGroups {
		if aws.ToString(g.view.GroupName) == *name && s.inDefaultVPC(g) {
			return g, nil
		}
	}
	return nil, apiError("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC", shorten(*name))
}

func (s *Sim) inDefaultVPC(g *securityGroup) bool {
	vpc, err := s.findVPC(aws.ToString(g.view.VpcId))
	return err == nil && aws.ToBool(vpc.IsDefault)
}

// permissionsGiven brings the older form of a request, one rule in its own
// parameters, into a list.
func (s *Sim) permissionsGiven(list []types.IpPermission, single types.IpPermission, cidr, group *string) ([]types.IpPermission, error) {
	if cidr == nil && group == nil && single.IpProtocol == nil {
		if len(list) == 0 {
			return nil, apiError("MissingParameter", "The request must contain the parameter ipPermissions")
		}
		return list, nil
	}
	if len(list) > 0 {
		return nil, apiError("InvalidParameterCombination", "The parameter ipPermissions may not be used together with a single rule")
	}
	switch {
	case cidr != nil && group != nil:
		return nil, apiError("InvalidParameterCombination", "A source security group and a CIDR block may not be given together")
	case cidr != nil:
		single.IpRanges = []types.IpRange{{CidrIp: cidr}}
	case group != nil:
		source, err := s.securityGroupOf(nil, group)
		if err != nil {
			return nil, err
		}
		single.IpProtocol = cmp.Or(single.IpProtocol, new(allProtocols))
		single.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: source.view.GroupId}}
	}
	return []types.IpPermission{single}, nil
}

// sameRule says whether two rules let the same traffic through; what is said of
// them does not count.
func sameRule(a, b types.SecurityGroupRule) bool {
	return *a.IsEgress == *b.IsEgress && ruleText(a) == ruleText(b)
}

// ruleText says what a rule lets through, as EC2 names it in errors.
func ruleText(r types.SecurityGroupRule) string {
	peer := cmp.Or(aws.ToString(r.CidrIpv4), aws.ToString(r.CidrIpv6), aws.ToString(r.PrefixListId))
	if r.ReferencedGroupInfo != nil {
		peer = *r.ReferencedGroupInfo.GroupId
	}
	if *r.IpProtocol == allProtocols {
		return fmt.Sprintf("peer: %s, ALL, ALLOW", peer)
	}
	return fmt.Sprintf("peer: %s, %s, from port: %d, to port: %d, ALLOW", peer, strings.ToUpper(*r.IpProtocol), *r.FromPort, *r.ToPort)
}

// rulesOf gives the rules that permissions stand for, one for each peer, held to
// EC2's form.
func (s *Sim) rulesOf(g *securityGroup, permissions []types.IpPermission, egress bool) ([]types.SecurityGroupRule, error) {
	var rules []types.SecurityGroupRule
	for _, p := range permissions {
		base := types.SecurityGroupRule{GroupId: g.view.GroupId, GroupOwnerId: g.view.OwnerId, IsEgress: new(egress)}
		if err := protocolAndPorts(&base, p); err != nil {
			return nil, err
		}
		before := len(rules)
		add := func(description *string, set func(*types.SecurityGroupRule)) {
			r := base
			r.Description = description
			set(&r)
			rules = append(rules, r)
		}
		for _, peer := range p.IpRanges {
			cidr, err := canonicalCIDR(peer.CidrIp, true)
			if err != nil {
				return nil, err
			}
			add(peer.Description, func(r *types.SecurityGroupRule) { r.CidrIpv4 = cidr })
		}
		for _, peer := range p.Ipv6Ranges {
			cidr, err := canonicalCIDR(peer.CidrIpv6, false)
			if err != nil {
				return nil, err
			}
			add(peer.Description, func(r *types.SecurityGroupRule) { r.CidrIpv6 = cidr })
		}
		for _, peer := range p.PrefixListIds {
			if _, err := s.findPrefixList(aws.ToString(peer.PrefixListId)); err != nil {
				return nil, err
			}
			add(peer.Description, func(r *types.SecurityGroupRule) { r.PrefixListId = peer.PrefixListId })
		}
		for _, peer := range p.UserIdGroupPairs {
			referenced, err := s.referenced(g, peer)
			if err != nil {
				return nil, err
			}
			add(peer.Description, func(r *types.SecurityGroupRule) { r.ReferencedGroupInfo = referenced })
		}
		if len(rules) == before {
			return nil, apiError("MissingParameter", "The request must contain a source for each permission")
		}
	}
	for _, r := range rules {
		if err := checkRuleDescription(aws.ToString(r.Description)); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// referenced finds the security group that a rule names. One of another account
// is taken as it is.
func (s *Sim) referenced(g *securityGroup, peer types.UserIdGroupPair) (*types.ReferencedSecurityGroup, error) {
	owner := cmp.Or(aws.ToString(peer.UserId), s.cfg.Account)
	if owner != s.cfg.Account {
		if aws.ToString(peer.GroupId) == "" {
			return nil, apiError("MissingParameter", "The request must contain the ID of the source security group")
		}
		return &types.ReferencedSecurityGroup{GroupId: peer.GroupId, UserId: new(owner)}, nil
	}
	named, err := s.securityGroupOf(peer.GroupId, peer.GroupName)
	if err != nil {
		return nil, err
	}
	if aws.ToString(named.view.VpcId) != aws.ToString(g.view.VpcId) {
		return nil, apiError("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
	}
	return &types.ReferencedSecurityGroup{GroupId: named.view.GroupId, UserId: new(owner)}, nil
}

// protocolAndPorts fills in what a permission says of traffic, under the names
// and with the numbers that EC2 reports.
func protocolAndPorts(r *types.SecurityGroupRule, p types.IpPermission) error {
	if p.IpProtocol == nil {
		return apiError("MissingParameter", "The request must contain the parameter ipProtocol")
	}
	named := map[string]string{"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}
	protocol := strings.ToLower(*p.IpProtocol)
	protocol = cmp.Or(named[protocol], protocol)
	r.IpProtocol, r.FromPort, r.ToPort = new(protocol), p.FromPort, p.ToPort
	number, err := strconv.Atoi(protocol)
	switch {
	case protocol == "tcp" || protocol == "udp":
		if p.FromPort == nil || p.ToPort == nil {
			return apiError("InvalidParameterValue", "Must specify both from and to ports with TCP/UDP.")
		}
		if *p.FromPort < 0 || *p.ToPort > 65535 || *p.FromPort > *p.ToPort {
			return apiError("InvalidParameterValue", "Invalid TCP/UDP port range (%d:%d)", *p.FromPort, *p.ToPort)
		}
	case protocol == "icmp" || protocol == "icmpv6":
		r.FromPort, r.ToPort = cmp.Or(p.FromPort, new(int32(-1))), cmp.Or(p.ToPort, new(int32(-1)))
	case err != nil || number < -1 || number > 255:
		return apiError("InvalidParameterValue", "Invalid value '%s' for IP protocol. Unknown protocol.", shorten(protocol))
	default:
		r.FromPort, r.ToPort = new(int32(-1)), new(int32(-1))
	}
	return nil
}

// canonicalCIDR gives a block as EC2 keeps it, without bits beyond its length.
func canonicalCIDR(text *string, ipv4 bool) (*string, error) {
	prefix, err := netip.ParsePrefix(aws.ToString(text))
	if err != nil || prefix.Addr().Is4() != ipv4 {
		return nil, apiError("InvalidParameterValue", "CIDR block %s is malformed", shorten(aws.ToString(text)))
	}
	return new(prefix.Masked().String()), nil
}

// checkRuleDescription holds a description to EC2's length and characters.
func checkRuleDescription(text string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*"
	if len(text) > 255 || strings.ContainsFunc(text, func(c rune) bool { return !strings.ContainsRune(allowed, c) }) {
		return apiError("InvalidParameterValue", "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
	}
	return nil
}
