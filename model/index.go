package model

import "strconv"

// index finds things in a Snapshot. Its zero value finds nothing.
type index struct {
	lanes           map[string]int
	hosts           map[HostKey]int
	gateways        map[ObjectName]int
	services        map[ObjectName]int
	secrets         map[ObjectName]int
	virtualServices map[ObjectName]int
	loadBalancers   map[string]int
	listeners       map[string]listenerPlace
	rules           map[string]rulePlace
	groups          map[string]int
	types           map[LoadBalancerType]int // how many load balancers there are
	problems        map[Resource]int

	gatewayNames map[string]gatewayPair  // by lane
	members      map[string][]membership // by target group
	owners       map[string]owners       // by lane
	published    owners                  // of all lanes: names of one lane can reach listeners of another
	ruleHosts    map[string][]HostKey    // by rule
	forwards     map[string][]Forward    // by rule
}

type listenerPlace struct{ loadBalancer, listener int }

type rulePlace struct {
	listenerPlace
	rule int
}

// indexObjects finds everything that was observed. Joining goes by it.
func (s *Snapshot) indexObjects() {
	ix := &s.index
	ix.gateways = places(s.Cluster.Gateways, func(g Gateway) ObjectName { return g.Name })
	ix.services = places(s.Cluster.Services, func(v Service) ObjectName { return v.Name })
	ix.secrets = places(s.Cluster.Secrets, func(v Secret) ObjectName { return v.Name })
	ix.virtualServices = places(s.Cluster.VirtualServices, func(v VirtualService) ObjectName { return v.Name })
	ix.groups = places(s.AWS.TargetGroups, func(g TargetGroup) string { return g.ARN })
	ix.loadBalancers = places(s.AWS.LoadBalancers, func(l LoadBalancer) string { return l.ARN })
	ix.listeners = map[string]listenerPlace{}
	ix.rules = map[string]rulePlace{}
	ix.types = map[LoadBalancerType]int{}
	for i, lb := range s.AWS.LoadBalancers {
		ix.types[lb.Type]++
		for j, l := range lb.Listeners {
			at := listenerPlace{i, j}
			ix.listeners[l.ARN] = at
			for k, r := range l.Rules {
				ix.rules[r.ARN] = rulePlace{at, k}
			}
		}
	}
}

func places[T any, K comparable](list []T, key func(T) K) map[K]int {
	m := make(map[K]int, len(list))
	for i, v := range list {
		m[key(v)] = i
	}
	return m
}

func (s *Snapshot) indexProblems() {
	s.index.problems = map[Resource]int{}
	for i, p := range s.Problems {
		if _, ok := s.index.problems[p.Resource]; !ok && p.Resource != "" {
			s.index.problems[p.Resource] = i
		}
	}
}

// find returns what is at a key's place.
func find[T any, K comparable](list []T, at map[K]int, key K) (T, bool) {
	i, ok := at[key]
	if !ok {
		var zero T
		return zero, false
	}
	return list[i], true
}

// Lane returns a lane by name.
func (s *Snapshot) Lane(name string) (Lane, bool) { return find(s.Lanes, s.index.lanes, name) }

// Host returns a published host.
func (s *Snapshot) Host(k HostKey) (Host, bool) { return find(s.Hosts, s.index.hosts, k) }

// Gateway returns a Gateway by name.
func (s *Snapshot) Gateway(n ObjectName) (Gateway, bool) {
	return find(s.Cluster.Gateways, s.index.gateways, n)
}

// Service returns a Service by name.
func (s *Snapshot) Service(n ObjectName) (Service, bool) {
	return find(s.Cluster.Services, s.index.services, n)
}

// Secret returns a Secret by name. One that a Gateway names is there also
// when it does not exist or could not be read; its fields say so.
func (s *Snapshot) Secret(n ObjectName) (Secret, bool) {
	return find(s.Cluster.Secrets, s.index.secrets, n)
}

// VirtualService returns a VirtualService by name.
func (s *Snapshot) VirtualService(n ObjectName) (VirtualService, bool) {
	return find(s.Cluster.VirtualServices, s.index.virtualServices, n)
}

// LoadBalancer returns a load balancer by ARN.
func (s *Snapshot) LoadBalancer(arn string) (LoadBalancer, bool) {
	return find(s.AWS.LoadBalancers, s.index.loadBalancers, arn)
}

// TargetGroup returns a target group by ARN.
func (s *Snapshot) TargetGroup(arn string) (TargetGroup, bool) {
	return find(s.AWS.TargetGroups, s.index.groups, arn)
}

// Listener returns a listener by ARN, with its load balancer.
func (s *Snapshot) Listener(arn string) (Listener, LoadBalancer, bool) {
	at, ok := s.index.listeners[arn]
	if !ok {
		return Listener{}, LoadBalancer{}, false
	}
	lb := s.AWS.LoadBalancers[at.loadBalancer]
	return lb.Listeners[at.listener], lb, true
}

// Rule returns a rule by ARN. A network load balancer's default rule has its
// listener's ARN.
func (s *Snapshot) Rule(arn string) (Rule, bool) {
	at, ok := s.index.rules[arn]
	if !ok {
		return Rule{}, false
	}
	return s.AWS.LoadBalancers[at.loadBalancer].Listeners[at.listener].Rules[at.rule], true
}

// Unreadable returns the Problem for which a kind of object is unknown, or not
// known whole; false when all of it was read.
func (s *Snapshot) Unreadable(r Resource) (Problem, bool) {
	return find(s.Problems, s.index.problems, r)
}

// unreadable is Unreadable before problems are indexed.
func unreadable(problems []Problem, r Resource) (Problem, bool) {
	for _, p := range problems {
		if p.Resource == r {
			return p, true
		}
	}
	return Problem{}, false
}

// RuleHosts returns the published hosts whose requests can reach a rule,
// sorted. The slice is shared: do not modify it.
func (s *Snapshot) RuleHosts(ruleARN string) []HostKey { return s.index.ruleHosts[ruleARN] }

// ListenerLabel names a listener for people: "alb:443", or with the load
// balancer's name where there are several of its type, "prod-public:443".
func (s *Snapshot) ListenerLabel(l Listener) string {
	_, lb, ok := s.Listener(l.ARN)
	name := "alb"
	switch {
	case ok && s.index.types[lb.Type] > 1:
		name = Line(lb.Name)
	case lb.Type == Network:
		name = "nlb"
	}
	return name + ":" + strconv.Itoa(l.Port)
}

// RuleLabel names a rule for people: "alb:443 10", "alb:443 default". A network
// load balancer's only rule is its listener: "nlb:443".
func (s *Snapshot) RuleLabel(r Rule) string {
	l, lb, ok := s.Listener(r.Listener)
	switch {
	case !ok:
		return r.ARN
	case lb.Type == Network && len(l.Rules) <= 1:
		return s.ListenerLabel(l)
	case r.IsDefault():
		return s.ListenerLabel(l) + " default"
	default:
		return s.ListenerLabel(l) + " " + strconv.Itoa(r.Priority)
	}
}
