package awssim

import (
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// maxRewriteText is how long either side of a rewrite can be.
const maxRewriteText = 1024

// describe gives the rule as AWS reports it, no secret in it.
func (r *rule) describe() types.Rule {
	view := types.Rule{
		Actions:    echoActions(r.actions),
		Conditions: r.conditions,
		IsDefault:  new(r.isDefault()),
		Priority:   new("default"),
		RuleArn:    new(r.arn),
		Transforms: r.transforms,
	}
	if !r.isDefault() {
		view.Priority = new(strconv.Itoa(r.priority))
	}
	if view.Conditions == nil {
		view.Conditions = []types.RuleCondition{}
	}
	return view
}

func (s *Sim) describeRules(in *elb.DescribeRulesInput) (*elb.DescribeRulesOutput, error) {
	if (in.ListenerArn == nil) == (len(in.RuleArns) == 0) {
		return nil, invalid("You must specify either listener rule ARNs or a listener ARN")
	}
	var views []types.Rule
	if in.ListenerArn != nil {
		l, err := s.findListener(in.ListenerArn)
		if err != nil {
			return nil, err
		}
		for _, r := range l.rules {
			views = append(views, r.describe())
		}
	}
	for _, arn := range in.RuleArns {
		r, err := s.findRule(&arn)
		if err != nil {
			return nil, err
		}
		views = append(views, r.describe())
	}
	views, next, err := page(views, func(v types.Rule) string { return *v.RuleArn }, in.Marker, in.PageSize, elbPages())
	if err != nil {
		return nil, err
	}
	return &elb.DescribeRulesOutput{Rules: views, NextMarker: next}, nil
}

func (s *Sim) createRule(in *elb.CreateRuleInput) (*elb.CreateRuleOutput, error) {
	l, err := s.findListener(in.ListenerArn)
	if err != nil {
		return nil, err
	}
	if !l.lb.isApplication() {
		return nil, apiError("UnsupportedProtocol", "Rules are not supported on listeners of protocol '%s'", l.view.Protocol)
	}
	if in.Priority == nil {
		return nil, invalid("A priority must be specified")
	}
	priority := int(*in.Priority)
	if err := checkPriority(priority); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(l.rules, func(r *rule) bool { return r.priority == priority }) {
		return nil, apiError("PriorityInUse", "Priority '%d' is currently in use", priority)
	}
	conditions, err := acceptConditions(in.Conditions, s.limits)
	if err != nil {
		return nil, err
	}
	count := 0
	for r := range l.lb.rules {
		if !r.isDefault() {
			count++
		}
	}
	if most := s.limits[limitRules]; count >= most {
		return nil, apiError("TooManyRules", "The maximum number of rules on load balancer '%s' is '%d'", l.lb.arn(), most)
	}
	actions, err := s.acceptActions(l, in.Actions, nil)
	if err != nil {
		return nil, err
	}
	if err := checkTransforms(in.Transforms); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	r := &rule{
		listener:   l,
		arn:        s.arnOf("listener-rule/" + l.arn()[len(s.arnOf("listener/")):] + "/" + s.cfg.NewID()),
		priority:   priority,
		conditions: conditions,
		actions:    actions,
		transforms: in.Transforms,
	}
	l.rules = append(l.rules, r)
	l.sortRules()
	s.setTags(r.arn, in.Tags)
	s.publish(l)
	return &elb.CreateRuleOutput{Rules: []types.Rule{r.describe()}}, nil
}

// modifyRule changes what is given and leaves the rest; a list that is given
// replaces the whole list.
func (s *Sim) modifyRule(in *elb.ModifyRuleInput) (*elb.ModifyRuleOutput, error) {
	r, err := s.findOwnRule(in.RuleArn, "modified")
	if err != nil {
		return nil, err
	}
	conditions, actions, transforms := r.conditions, r.actions, r.transforms
	if in.Conditions != nil {
		if conditions, err = acceptConditions(in.Conditions, s.limits); err != nil {
			return nil, err
		}
	}
	if in.Actions != nil {
		if actions, err = s.acceptActions(r.listener, in.Actions, r); err != nil {
			return nil, err
		}
	}
	if in.Transforms != nil {
		if aws.ToBool(in.ResetTransforms) {
			return nil, invalid("You cannot specify both Transforms and ResetTransforms")
		}
		if err := checkTransforms(in.Transforms); err != nil {
			return nil, err
		}
		transforms = in.Transforms
	}
	if aws.ToBool(in.ResetTransforms) {
		transforms = nil
	}
	r.conditions, r.actions, r.transforms = conditions, actions, transforms
	s.publish(r.listener)
	s.cfg.Modified(r.arn, echoActions(actions))
	return &elb.ModifyRuleOutput{Rules: []types.Rule{r.describe()}}, nil
}

func (s *Sim) deleteRule(in *elb.DeleteRuleInput) (*elb.DeleteRuleOutput, error) {
	r, err := s.findOwnRule(in.RuleArn, "deleted")
	if err != nil {
		return nil, err
	}
	r.listener.rules = slices.DeleteFunc(r.listener.rules, func(other *rule) bool { return other == r })
	delete(s.tags, r.arn)
	s.publish(r.listener)
	return &elb.DeleteRuleOutput{}, nil
}

// setRulePriorities is judged by the order that it leads to: rules that it
// does not name keep their priorities, and two may swap theirs.
func (s *Sim) setRulePriorities(in *elb.SetRulePrioritiesInput) (*elb.SetRulePrioritiesOutput, error) {
	if len(in.RulePriorities) == 0 {
		return nil, invalid("Rule priorities must be specified")
	}
	wanted := map[*rule]int{}
	var named []*rule
	for _, pair := range in.RulePriorities {
		r, err := s.findOwnRule(pair.RuleArn, "given a priority")
		if err != nil {
			return nil, err
		}
		priority := int(aws.ToInt32(pair.Priority))
		if err := checkPriority(priority); err != nil {
			return nil, err
		}
		if _, twice := wanted[r]; twice {
			return nil, invalid("Rule '%s' is given more than once", r.arn)
		}
		if len(named) > 0 && named[0].listener != r.listener {
			return nil, invalid("The rules belong to more than one listener")
		}
		wanted[r] = priority
		named = append(named, r)
	}
	l := named[0].listener
	taken := map[int]bool{}
	for _, r := range l.rules {
		priority, moved := wanted[r]
		if !moved {
			priority = r.priority
		}
		if taken[priority] {
			return nil, apiError("PriorityInUse", "Priority '%d' is currently in use", priority)
		}
		taken[priority] = true
	}
	views := make([]types.Rule, len(named))
	for i, r := range named {
		r.priority = wanted[r]
		views[i] = r.describe()
	}
	l.sortRules()
	s.publish(l)
	return &elb.SetRulePrioritiesOutput{Rules: views}, nil
}

// findOwnRule finds a rule that is not a default rule, which can only be
// changed through its listener.
func (s *Sim) findOwnRule(arn *string, done string) (*rule, error) {
	r, err := s.findRule(arn)
	if err != nil {
		return nil, err
	}
	if r.isDefault() {
		return nil, apiError("OperationNotPermitted", "Default rule '%s' cannot be %s", r.arn, done)
	}
	return r, nil
}

func checkPriority(priority int) error {
	if priority < 1 || priority > maxPriority {
		return invalid("The priority '%d' must be between 1 and %d", priority, maxPriority)
	}
	return nil
}

// checkTransforms holds transforms to AWS's form: one of each type, with its own
// configuration.
func checkTransforms(transforms []types.RuleTransform) error {
	seen := map[types.TransformTypeEnum]bool{}
	for _, t := range transforms {
		var rewrites []types.RewriteConfig
		host, url := t.HostHeaderRewriteConfig, t.UrlRewriteConfig
		switch {
		case t.Type == types.TransformTypeEnumHostHeaderRewrite && host != nil && url == nil:
			rewrites = host.Rewrites
		case t.Type == types.TransformTypeEnumUrlRewrite && url != nil && host == nil:
			rewrites = url.Rewrites
		default:
			return invalid("A transform of type '%s' must have the configuration of its type and no other", shorten(string(t.Type)))
		}
		if seen[t.Type] {
			return invalid("A rule can have only one transform of type '%s'", t.Type)
		}
		seen[t.Type] = true
		if len(rewrites) == 0 {
			return invalid("A transform of type '%s' must have a rewrite", t.Type)
		}
		for _, rewrite := range rewrites {
			if err := checkRegex(aws.ToString(rewrite.Regex), maxRewriteText); err != nil {
				return err
			}
			if rewrite.Replace == nil || len(*rewrite.Replace) > maxRewriteText {
				return invalid("A replacement of at most %d characters must be specified", maxRewriteText)
			}
		}
	}
	return nil
}
