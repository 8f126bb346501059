package aws

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// part is a kind of fact that is read, and goes stale, as a whole.
type part int

const (
	partIdentity part = iota
	partLimits
	partBalancers
	partGroups
	partListeners
	partNetworkRules // the default actions of network load balancers' listeners
	partRules
	partHealth
	partAttributes
	partTags
	partCount
)

// operation and resource say what a part's problems are about.
func (p part) operation() string {
	return [partCount]string{
		"GetCallerIdentity", "DescribeAccountLimits", "DescribeLoadBalancers", "DescribeTargetGroups",
		"DescribeListeners", "DescribeListeners", "DescribeRules", "DescribeTargetHealth",
		"DescribeTargetGroupAttributes", "DescribeTags",
	}[p]
}

func (p part) resource() model.Resource {
	return [partCount]model.Resource{
		"", "", model.ResourceLoadBalancers, model.ResourceTargetGroups,
		model.ResourceLoadBalancers, model.ResourceRules, model.ResourceRules, model.ResourceTargetHealth,
		model.ResourceTargetGroups, model.ResourceTags,
	}[p]
}

// parts is a set of them.
type parts map[part]bool

func allParts() parts {
	all := parts{}
	for p := range partCount {
		all[p] = true
	}
	return all
}

// attributes are those of a target group that matter here.
type attributes struct{ sticky, proxyV2 bool }

// trouble is a part's unbroken trouble of one kind.
type trouble struct {
	since   time.Time
	message string
}

type troubleKey struct {
	part part
	kind model.Kind
}

// seen is what was read last, part by part. Values in it are replaced, never
// modified: they are shared with every model.AWS that was handed out.
type seen struct {
	at         time.Time // when the last round that had an answer began
	balancers  map[string]model.LoadBalancer
	listeners  map[string][]model.Listener // by load balancer, without rules
	rules      map[string][]model.Rule     // by listener, without tags
	groups     map[string]model.TargetGroup
	targets    map[string][]model.Target
	attributes map[string]attributes
	tags       map[string]map[string]string
	limits     map[string]int
	troubles   map[troubleKey]trouble
}

func newSeen() *seen {
	return &seen{
		balancers:  map[string]model.LoadBalancer{},
		listeners:  map[string][]model.Listener{},
		rules:      map[string][]model.Rule{},
		groups:     map[string]model.TargetGroup{},
		targets:    map[string][]model.Target{},
		attributes: map[string]attributes{},
		tags:       map[string]map[string]string{},
		troubles:   map[troubleKey]trouble{},
	}
}

// forget drops what belongs to objects that are gone.
func (s *seen) forget() {
	maps.DeleteFunc(s.listeners, func(arn string, _ []model.Listener) bool { return s.balancers[arn].ARN == "" })
	alive := map[string]bool{}
	for _, listeners := range s.listeners {
		for _, l := range listeners {
			alive[l.ARN] = true
		}
	}
	maps.DeleteFunc(s.rules, func(arn string, _ []model.Rule) bool { return !alive[arn] })
	gone := func(arn string) bool { return s.groups[arn].ARN == "" }
	maps.DeleteFunc(s.targets, func(arn string, _ []model.Target) bool { return gone(arn) })
	maps.DeleteFunc(s.attributes, func(arn string, _ attributes) bool { return gone(arn) })
	tagged := map[string]bool{}
	for _, arn := range s.taggable() {
		tagged[arn] = true
	}
	maps.DeleteFunc(s.tags, func(arn string, _ map[string]string) bool { return !tagged[arn] })
}

// taggable gives the ARNs of everything that has tags of its own, sorted. A
// network load balancer's rule has its listener's ARN.
func (s *seen) taggable() []string {
	var arns []string
	arns = slices.AppendSeq(arns, maps.Keys(s.balancers))
	arns = slices.AppendSeq(arns, maps.Keys(s.groups))
	for _, listeners := range s.listeners {
		for _, l := range listeners {
			arns = append(arns, l.ARN)
		}
	}
	for _, rules := range s.rules {
		for _, r := range rules {
			arns = append(arns, r.ARN)
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

// world gives what was seen as a value of its own. Groups outside the scope
// have targets without a state: theirs may be old.
func (s *seen) world(account model.Account, scope map[string]bool) model.AWS {
	w := model.AWS{Account: account, ObservedAt: s.at, Limits: s.limits}
	for _, arn := range slices.Sorted(maps.Keys(s.balancers)) {
		lb := s.balancers[arn]
		lb.Tags = s.tags[arn]
		for _, l := range s.listeners[arn] {
			for _, r := range s.rules[l.ARN] {
				r.Tags = s.tags[r.ARN]
				l.Rules = append(l.Rules, r)
			}
			lb.Listeners = append(lb.Listeners, l)
		}
		w.LoadBalancers = append(w.LoadBalancers, lb)
	}
	for _, arn := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[arn]
		g.Tags, g.Targets = s.tags[arn], s.targets[arn]
		g.Sticky, g.ProxyV2 = s.attributes[arn].sticky, s.attributes[arn].proxyV2
		if !inScope(scope, arn) {
			g.Targets = slices.Clone(g.Targets)
			for i := range g.Targets {
				g.Targets[i].State, g.Targets[i].Reason = "", ""
			}
		}
		w.TargetGroups = append(w.TargetGroups, g)
	}
	w.Problems = s.problems()
	return w
}

// accountOf completes who we are where STS could not be asked, as in networks
// without an endpoint for it: ARNs hold the account's number.
func (s *seen) accountOf(account model.Account) model.Account {
	if account.Account != "" {
		return account
	}
	for arn := range s.balancers {
		// All of them belong to one account.
		if fields := strings.Split(arn, ":"); len(fields) > 4 {
			account.Account = fields[4]
		}
	}
	return account
}

func inScope(scope map[string]bool, group string) bool { return len(scope) == 0 || scope[group] }

// problems gives the troubles in a fixed order, those of the same operation,
// resource and kind once, with the earlier beginning.
func (s *seen) problems() []model.Problem {
	var problems []model.Problem
	keys := slices.SortedFunc(maps.Keys(s.troubles), func(a, b troubleKey) int {
		return cmp.Or(cmp.Compare(a.part, b.part), strings.Compare(string(a.kind), string(b.kind)))
	})
	for _, key := range keys {
		t := s.troubles[key]
		p := model.Problem{
			Source: "aws", Operation: key.part.operation(), Kind: key.kind,
			Message: t.message, Since: t.since, Resource: key.part.resource(),
		}
		same := slices.IndexFunc(problems, func(o model.Problem) bool {
			return o.Operation == p.Operation && o.Resource == p.Resource && o.Kind == p.Kind
		})
		if same < 0 {
			problems = append(problems, p)
		} else if p.Since.Before(problems[same].Since) {
			problems[same].Since = p.Since
		}
	}
	return problems
}
