package aws

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/istio-cutover/cutover/model"
)

// tagBatch is how many ARNs DescribeTags takes in one call.
const tagBatch = 20

// read makes one call of a round.
func read[I, O any](ctx context.Context, r *round, p part, object string, input *I,
	do func(context.Context, *I, ...func(*elb.Options)) (*O, error),
) (*O, error) {
	r.mu.Lock()
	r.calls[p]++
	r.mu.Unlock()
	return describeCall(ctx, r.c, r.urgency, p.operation(), object, input, do)
}

// update changes what was seen.
func (r *round) update(change func(*seen)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.seen)
}

// listJobs read what needs nothing else to be known.
func (r *round) listJobs() []job {
	var jobs []job
	for _, j := range []job{
		{part: partBalancers, do: r.readBalancers},
		{part: partGroups, do: r.readGroups},
		{part: partIdentity, do: r.readIdentity},
		{part: partLimits, do: r.readLimits},
	} {
		if r.due[j.part] {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

func (r *round) readIdentity(ctx context.Context) error {
	op := operation{name: partIdentity.operation()}
	out, err := call(ctx, r.c, r.urgency, op, "", &sts.GetCallerIdentityInput{}, r.c.sts.GetCallerIdentity)
	if err != nil {
		return err
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.c.account.Account, r.c.account.ARN = awssdk.ToString(out.Account), awssdk.ToString(out.Arn)
	return nil
}

func (r *round) readLimits(ctx context.Context) error {
	limits := map[string]int{}
	err := pages(func(marker *string) (*string, error) {
		in := &elb.DescribeAccountLimitsInput{Marker: marker, PageSize: awssdk.Int32(pageSize)}
		out, err := read(ctx, r, partLimits, "", in, r.c.elb.DescribeAccountLimits)
		if err != nil {
			return nil, err
		}
		for _, l := range out.Limits {
			// A limit that is no number is none that could be reckoned with.
			if n, err := strconv.Atoi(awssdk.ToString(l.Max)); err == nil {
				limits[awssdk.ToString(l.Name)] = n
			}
		}
		return out.NextMarker, nil
	})
	if err == nil {
		r.update(func(s *seen) { s.limits = limits })
	}
	return err
}

func (r *round) readBalancers(ctx context.Context) error {
	balancers := map[string]model.LoadBalancer{}
	err := pages(func(marker *string) (*string, error) {
		in := &elb.DescribeLoadBalancersInput{Marker: marker, PageSize: awssdk.Int32(pageSize)}
		out, err := read(ctx, r, partBalancers, "", in, r.c.elb.DescribeLoadBalancers)
		if err != nil {
			return nil, err
		}
		for _, lb := range out.LoadBalancers {
			kind := model.LoadBalancerType(lb.Type)
			if kind != model.Application && kind != model.Network {
				continue
			}
			arn := awssdk.ToString(lb.LoadBalancerArn)
			balancers[arn] = model.LoadBalancer{
				ARN: arn, Name: awssdk.ToString(lb.LoadBalancerName), Type: kind,
				DNSName: awssdk.ToString(lb.DNSName), VPC: awssdk.ToString(lb.VpcId),
			}
		}
		return out.NextMarker, nil
	})
	if err == nil {
		r.update(func(s *seen) { s.balancers = balancers })
	}
	return err
}

func (r *round) readGroups(ctx context.Context) error {
	groups := map[string]model.TargetGroup{}
	err := pages(func(marker *string) (*string, error) {
		in := &elb.DescribeTargetGroupsInput{Marker: marker, PageSize: awssdk.Int32(pageSize)}
		out, err := read(ctx, r, partGroups, "", in, r.c.elb.DescribeTargetGroups)
		if err != nil {
			return nil, err
		}
		for _, g := range out.TargetGroups {
			if g.Protocol != types.ProtocolEnumGeneve {
				groups[awssdk.ToString(g.TargetGroupArn)] = groupOf(g)
			}
		}
		return out.NextMarker, nil
	})
	if err == nil {
		r.update(func(s *seen) { s.groups = groups })
	}
	return err
}

// relevant reports whether a load balancer's listeners are read in this round:
// it carries groups in the scope, or was never read.
func (r *round) relevant(lb string) bool {
	if len(r.scope) == 0 || r.seen.listeners[lb] == nil {
		return true
	}
	for arn := range r.scope {
		if slices.Contains(r.seen.groups[arn].LoadBalancers, lb) {
			return true
		}
	}
	return false
}

func (r *round) listenerJobs() []job {
	var jobs []job
	for _, arn := range slices.Sorted(maps.Keys(r.seen.balancers)) {
		lb := r.seen.balancers[arn]
		p, wanted := partListeners, r.due[partListeners]
		if lb.Type == model.Network {
			p = partNetworkRules
			wanted = r.due[p] || slices.ContainsFunc(r.seen.listeners[arn], func(l model.Listener) bool { return r.only[l.ARN] })
		}
		if wanted && r.relevant(arn) {
			jobs = append(jobs, job{p, lb.Name, func(ctx context.Context) error { return r.readListeners(ctx, p, lb) }})
		}
	}
	return jobs
}

func (r *round) readListeners(ctx context.Context, p part, lb model.LoadBalancer) error {
	listeners := []model.Listener{}
	defaults := map[string]model.Rule{}
	err := pages(func(marker *string) (*string, error) {
		in := &elb.DescribeListenersInput{LoadBalancerArn: &lb.ARN, Marker: marker, PageSize: awssdk.Int32(pageSize)}
		out, err := read(ctx, r, p, lb.ARN, in, r.c.elb.DescribeListeners)
		if err != nil {
			return nil, err
		}
		for _, l := range out.Listeners {
			arn := awssdk.ToString(l.ListenerArn)
			state, err := listenerState(l)
			if err != nil {
				return nil, converted(p.operation(), arn, err)
			}
			listeners = append(listeners, model.Listener{ARN: arn, Port: int(awssdk.ToInt32(l.Port)), Protocol: string(l.Protocol)})
			defaults[arn] = model.Rule{ARN: arn, Listener: arn, Actions: state.Actions}
		}
		return out.NextMarker, nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(listeners, func(a, b model.Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.ARN, b.ARN))
	})
	r.update(func(s *seen) {
		s.listeners[lb.ARN] = listeners
		if lb.Type == model.Network {
			for arn, rule := range defaults {
				s.rules[arn] = []model.Rule{rule}
			}
		}
	})
	return nil
}

func (r *round) ruleJobs() []job {
	var jobs []job
	for _, arn := range slices.Sorted(maps.Keys(r.seen.balancers)) {
		lb := r.seen.balancers[arn]
		if lb.Type != model.Application {
			continue
		}
		relevant := r.relevant(arn)
		for _, l := range r.seen.listeners[arn] {
			unread := r.seen.rules[l.ARN] == nil && r.due[partListeners]
			if unread || r.only[l.ARN] || r.due[partRules] && relevant {
				object := lb.Name + ":" + strconv.Itoa(l.Port)
				jobs = append(jobs, job{partRules, object, func(ctx context.Context) error { return r.readRules(ctx, l.ARN) }})
			}
		}
	}
	return jobs
}

func (r *round) readRules(ctx context.Context, listener string) error {
	rules := []model.Rule{}
	err := pages(func(marker *string) (*string, error) {
		in := &elb.DescribeRulesInput{ListenerArn: &listener, Marker: marker, PageSize: awssdk.Int32(pageSize)}
		out, err := read(ctx, r, partRules, listener, in, r.c.elb.DescribeRules)
		if err != nil {
			return nil, err
		}
		for _, raw := range out.Rules {
			rule, err := ruleOf(listener, raw)
			if err != nil {
				return nil, converted(partRules.operation(), awssdk.ToString(raw.RuleArn), err)
			}
			rules = append(rules, rule)
		}
		return out.NextMarker, nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(rules, model.CompareRules)
	r.update(func(s *seen) { s.rules[listener] = rules })
	return nil
}

// groupJobs read health and attributes. Outside the scope they are read once,
// and again while there are no targets yet that could tell whose group it is.
func (r *round) groupJobs() []job {
	var jobs []job
	for _, arn := range slices.Sorted(maps.Keys(r.seen.groups)) {
		g := r.seen.groups[arn]
		if g.TargetType == string(types.TargetTypeEnumLambda) {
			continue
		}
		matters := inScope(r.scope, arn)
		_, known := r.seen.attributes[arn]
		if r.due[partAttributes] && (matters || !known) {
			jobs = append(jobs, job{partAttributes, g.Name, func(ctx context.Context) error { return r.readAttributes(ctx, arn) }})
		}
		unknown := len(r.seen.targets[arn]) == 0 && r.due[partGroups]
		if r.due[partHealth] && matters || unknown {
			jobs = append(jobs, job{partHealth, g.Name, func(ctx context.Context) error { return r.readHealth(ctx, arn) }})
		}
	}
	return jobs
}

func (r *round) readAttributes(ctx context.Context, group string) error {
	in := &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &group}
	out, err := read(ctx, r, partAttributes, group, in, r.c.elb.DescribeTargetGroupAttributes)
	if err != nil {
		return err
	}
	var a attributes
	for _, attribute := range out.Attributes {
		on := awssdk.ToString(attribute.Value) == "true"
		switch awssdk.ToString(attribute.Key) {
		case "stickiness.enabled":
			a.sticky = on
		case "proxy_protocol_v2.enabled":
			a.proxyV2 = on
		}
	}
	r.update(func(s *seen) { s.attributes[group] = a })
	return nil
}

func (r *round) readHealth(ctx context.Context, group string) error {
	in := &elb.DescribeTargetHealthInput{TargetGroupArn: &group}
	out, err := read(ctx, r, partHealth, group, in, r.c.elb.DescribeTargetHealth)
	if err != nil {
		return err
	}
	r.update(func(s *seen) { s.targets[group] = targetsOf(out.TargetHealthDescriptions) })
	return nil
}

// tagJobs read all tags when they are due, else those of objects that are new;
// not while tags cannot be read, which is tried when they are due again.
func (r *round) tagJobs() []job {
	arns := r.seen.taggable()
	if !r.due[partTags] {
		for key := range r.seen.troubles {
			if key.part == partTags {
				return nil
			}
		}
		arns = slices.DeleteFunc(arns, func(arn string) bool { return r.seen.tags[arn] != nil })
	}
	var jobs []job
	for batch := range slices.Chunk(arns, tagBatch) {
		jobs = append(jobs, job{partTags, batch[0], func(ctx context.Context) error { return r.readTags(ctx, batch) }})
	}
	return jobs
}

func (r *round) readTags(ctx context.Context, arns []string) error {
	in := &elb.DescribeTagsInput{ResourceArns: arns}
	out, err := read(ctx, r, partTags, arns[0], in, r.c.elb.DescribeTags)
	if err != nil {
		return err
	}
	r.update(func(s *seen) {
		for _, arn := range arns {
			s.tags[arn] = map[string]string{}
		}
		for _, d := range out.TagDescriptions {
			tags := map[string]string{}
			for _, t := range d.Tags {
				tags[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
			}
			s.tags[awssdk.ToString(d.ResourceArn)] = tags
		}
	})
	return nil
}
