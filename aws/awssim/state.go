package awssim

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Values of the SDK's types that are kept here are never changed in place but
// replaced, so that an answer may refer to them after the lock is given up.

// loadBalancer is an ALB or NLB.
type loadBalancer struct {
	view      types.LoadBalancer
	listeners []*listener
	due       time.Time // when the last batch of changes comes into force
}

func (lb *loadBalancer) arn() string { return aws.ToString(lb.view.LoadBalancerArn) }
func (lb *loadBalancer) isApplication() bool {
	return lb.view.Type == types.LoadBalancerTypeEnumApplication
}

// rules gives the rules of all listeners, default rules included.
func (lb *loadBalancer) rules(yield func(*rule) bool) {
	for _, l := range lb.listeners {
		for _, r := range l.rules {
			if !yield(r) {
				return
			}
		}
	}
}

// listener is one port of a load balancer.
type listener struct {
	lb    *loadBalancer
	asked int32          // the port asked for; the view has the bound one
	view  types.Listener // without the default actions
	rules []*rule        // by priority, the default rule last

	// plan is what the data plane serves, server the socket it serves on.
	plan   atomic.Pointer[plan]
	server *server
}

func (l *listener) arn() string        { return aws.ToString(l.view.ListenerArn) }
func (l *listener) defaultRule() *rule { return l.rules[len(l.rules)-1] }

// sortRules restores the order of evaluation.
func (l *listener) sortRules() {
	slices.SortStableFunc(l.rules, func(a, b *rule) int { return a.order() - b.order() })
}

// rule is one rule of a listener. Its actions hold client secrets, which only
// echoActions takes out.
type rule struct {
	listener   *listener
	arn        string
	priority   int // 0 for the default rule
	conditions []types.RuleCondition
	actions    []types.Action
	transforms []types.RuleTransform
}

func (r *rule) isDefault() bool { return r.priority == 0 }

// order is the place in the order of evaluation.
func (r *rule) order() int {
	if r.isDefault() {
		return maxPriority + 1
	}
	return r.priority
}

// targetGroup is a target group with its targets.
type targetGroup struct {
	view       types.TargetGroup // without the load balancers
	attributes map[string]string
	targets    []*target
	pool       *pool
}

func (g *targetGroup) arn() string { return aws.ToString(g.view.TargetGroupArn) }

// groupsOf gives the ARNs of the target groups that actions forward to.
func groupsOf(actions []types.Action) []string {
	var arns []string
	for _, a := range actions {
		if a.ForwardConfig != nil {
			for _, tuple := range a.ForwardConfig.TargetGroups {
				arns = append(arns, aws.ToString(tuple.TargetGroupArn))
			}
		}
	}
	return arns
}

// users gives the ARNs of the load balancers that forward to each target
// group. AWS allows one a group.
func (s *Sim) users() map[string][]string {
	users := map[string][]string{}
	for _, lb := range s.balancers {
		for r := range lb.rules {
			for _, arn := range groupsOf(r.actions) {
				if !slices.Contains(users[arn], lb.arn()) {
					users[arn] = append(users[arn], lb.arn())
				}
			}
		}
	}
	return users
}

// arnOf makes the ARN of a resource of Elastic Load Balancing.
func (s *Sim) arnOf(resource string) string {
	return "arn:" + s.cfg.Partition + ":" + serviceELB + ":" + s.cfg.Region + ":" + s.cfg.Account + ":" + resource
}

// checkARN says whether an ARN has the form of one kind of resource.
func checkARN(arn *string, kind, name string) error {
	parts := strings.SplitN(aws.ToString(arn), ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != serviceELB || !strings.HasPrefix(parts[5], kind+"/") {
		return invalid("'%s' is not a valid %s ARN", shorten(aws.ToString(arn)), name)
	}
	return nil
}

func (s *Sim) findLoadBalancer(arn *string) (*loadBalancer, error) {
	if err := checkARN(arn, "loadbalancer", "load balancer"); err != nil {
		return nil, err
	}
	for _, lb := range s.balancers {
		if lb.arn() == *arn {
			return lb, nil
		}
	}
	return nil, apiError("LoadBalancerNotFound", "Load balancer '%s' not found", *arn)
}

func (s *Sim) findListener(arn *string) (*listener, error) {
	if err := checkARN(arn, "listener", "listener"); err != nil {
		return nil, err
	}
	for _, lb := range s.balancers {
		for _, l := range lb.listeners {
			if l.arn() == *arn {
				return l, nil
			}
		}
	}
	return nil, apiError("ListenerNotFound", "Listener '%s' not found", *arn)
}

func (s *Sim) findRule(arn *string) (*rule, error) {
	if err := checkARN(arn, "listener-rule", "listener rule"); err != nil {
		return nil, err
	}
	for _, lb := range s.balancers {
		for r := range lb.rules {
			if r.arn == *arn {
				return r, nil
			}
		}
	}
	return nil, apiError("RuleNotFound", "Rule '%s' not found", *arn)
}

func (s *Sim) findGroup(arn *string) (*targetGroup, error) {
	if err := checkARN(arn, "targetgroup", "target group"); err != nil {
		return nil, err
	}
	if g := s.group(*arn); g != nil {
		return g, nil
	}
	return nil, apiError("TargetGroupNotFound", "Target group '%s' not found", *arn)
}

func (s *Sim) group(arn string) *targetGroup {
	for _, g := range s.groups {
		if g.arn() == arn {
			return g
		}
	}
	return nil
}
