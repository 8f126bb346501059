package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// joinWorld is a small world to join: a public lane behind an ALB and a
// passthrough lane behind an NLB, labelled as Big Bang does.
type joinWorld struct {
	c   Cluster
	a   AWS
	cfg Config
}

func joinName(s string) ObjectName {
	ns, name, _ := strings.Cut(s, "/")
	return ObjectName{Namespace: ns, Name: name}
}

func newJoinWorld() *joinWorld {
	w := &joinWorld{}
	w.c.ObservedAt = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w.a.ObservedAt = w.c.ObservedAt.Add(-3 * time.Second)
	w.c.UID = "uid-1"
	for i := 1; i <= 3; i++ {
		w.c.Nodes = append(w.c.Nodes, Node{
			Name: fmt.Sprintf("node-%d", i), InternalIP: fmt.Sprintf("10.0.0.%d", i), InstanceID: fmt.Sprintf("i-%d", i),
		})
	}
	for _, lane := range []struct {
		name   string
		old    NodePorts
		new    NodePorts
		server Server
	}{
		{"public", NodePorts{30021, 30080, 30443}, NodePorts{30022, 30081, 30444}, Server{Hosts: []string{"*"}, Port: 8443, Protocol: "HTTPS", TLSMode: "SIMPLE", CredentialName: "public-cert"}},
		{"passthrough", NodePorts{32021, 32080, 32443}, NodePorts{32022, 32081, 32444}, Server{Hosts: []string{"*.bigbang.example"}, Port: 8443, Protocol: "HTTPS", TLSMode: "PASSTHROUGH"}},
	} {
		w.side("istio-system", lane.name, lane.name+"-ingressgateway", lane.old, lane.server)
		w.side("istio-gateway", lane.name+"-ingressgateway", lane.name+"-ingressgateway", lane.new, lane.server)
	}
	for _, ns := range []string{"istio-system", "istio-gateway"} {
		w.c.Secrets = append(w.c.Secrets, Secret{
			Name: ObjectName{ns, "public-cert"}, Exists: true, Readable: true, SHA256: "sha-" + ns, NotAfter: w.c.ObservedAt.AddDate(1, 0, 0),
		})
	}
	w.group("pub-old", "HTTPS", 30443, "alb")
	w.group("pub-new", "HTTPS", 30444, "")
	w.group("pt-old", "TCP", 32443, "nlb")
	w.group("pt-new", "TCP", 32444, "")
	w.a.LoadBalancers = []LoadBalancer{
		{ARN: "alb", Name: "prod-alb", Type: Application, DNSName: "127.0.0.10", Listeners: []Listener{
			{ARN: "alb/80", Port: 80, Protocol: "HTTP", Rules: []Rule{{ARN: "alb/80/d", Listener: "alb/80", Actions: `[{"Type":"redirect"}]`}}},
			{ARN: "alb/443", Port: 443, Protocol: "HTTPS", Rules: []Rule{{ARN: "alb/443/d", Listener: "alb/443", Actions: joinForward("pub-old:1")}}},
		}},
		{ARN: "nlb", Name: "prod-nlb", Type: Network, DNSName: "127.0.0.11", Listeners: []Listener{
			{ARN: "nlb/443", Port: 443, Protocol: "TCP", Rules: []Rule{{ARN: "nlb/443", Listener: "nlb/443", Actions: joinForward("pt-old:1")}}},
		}},
	}
	return w
}

func (w *joinWorld) side(ns, gateway, service string, np NodePorts, server Server) {
	labels := map[string]string{"app": service, "ns": ns, "istio": "ingressgateway"}
	selector := map[string]string{"app": service, "ns": ns}
	http := Server{Hosts: server.Hosts, Port: 8080, Protocol: "HTTP", HTTPSRedirect: true}
	w.c.Gateways = append(w.c.Gateways, Gateway{Name: ObjectName{ns, gateway}, Selector: selector, Servers: []Server{http, server}})
	w.c.Services = append(w.c.Services, Service{
		Name: ObjectName{ns, service}, Selector: labels, ExternalTrafficPolicy: "Cluster",
		Ports: []ServicePort{
			{"tls", 15443, 15443, 0},
			{"status-port", 15021, 15021, np.Status},
			{"http2", 80, 8080, np.HTTP},
			{"https", 443, 8443, np.HTTPS},
		},
	})
	for i := 1; i <= 2; i++ {
		w.c.Pods = append(w.c.Pods, Pod{
			Name: ObjectName{ns, fmt.Sprintf("%s-%d", service, i)}, Labels: labels, Ready: true,
			Node: fmt.Sprintf("node-%d", i), IP: fmt.Sprintf("10.1.%d.%d", len(w.c.Services), i),
		})
	}
}

func (w *joinWorld) group(name, protocol string, port int, lb string) *TargetGroup {
	g := TargetGroup{ARN: name, Name: name, Protocol: protocol, Port: port, TargetType: "instance", VPC: "vpc-1"}
	if lb != "" {
		g.LoadBalancers = []string{lb}
	}
	for i := 1; i <= 3; i++ {
		g.Targets = append(g.Targets, Target{ID: fmt.Sprintf("i-%d", i), Port: port, State: "healthy"})
	}
	w.a.TargetGroups = append(w.a.TargetGroups, g)
	return w.groupNamed(name)
}

func (w *joinWorld) groupNamed(name string) *TargetGroup {
	i := slices.IndexFunc(w.a.TargetGroups, func(g TargetGroup) bool { return g.ARN == name })
	return &w.a.TargetGroups[i]
}

// vs adds a VirtualService; host and gateways are separated by spaces.
func (w *joinWorld) vs(name, hosts, gateways string) *joinWorld {
	w.c.VirtualServices = append(w.c.VirtualServices, VirtualService{
		Name: joinName(name), Hosts: strings.Fields(hosts), Gateways: strings.Fields(gateways),
	})
	return w
}

const (
	joinBoth = "istio-system/public istio-gateway/public-ingressgateway"
	joinPass = "istio-system/passthrough istio-gateway/passthrough-ingressgateway"
)

// rule adds a rule to the ALB's https listener.
func (w *joinWorld) rule(priority int, conditions, actions JSON) *joinWorld {
	l := &w.a.LoadBalancers[0].Listeners[1]
	l.Rules = append(l.Rules, Rule{
		ARN: fmt.Sprintf("alb/443/%d", priority), Listener: l.ARN, Priority: priority, Conditions: conditions, Actions: actions,
	})
	return w
}

// joinForward makes a forward action of "group:weight" words.
func joinForward(groups ...string) JSON {
	var list []string
	for _, g := range groups {
		name, weight, _ := strings.Cut(g, ":")
		list = append(list, fmt.Sprintf(`{"TargetGroupArn":%q,"Weight":%s}`, name, weight))
	}
	return JSON(`[{"ForwardConfig":{"TargetGroups":[` + strings.Join(list, ",") + `]},"Type":"forward"}]`)
}

// joinHosts makes a host condition of values, and a path condition if asked.
func joinHosts(path bool, values ...string) JSON {
	var list []string
	for _, v := range values {
		list = append(list, fmt.Sprintf("%q", v))
	}
	conditions := []string{`{"Field":"host-header","HostHeaderConfig":{"Values":[` + strings.Join(list, ",") + `]}}`}
	if path {
		conditions = append(conditions, `{"Field":"path-pattern","PathPatternConfig":{"Values":["/p"]}}`)
	}
	return JSON("[" + strings.Join(conditions, ",") + "]")
}

func (w *joinWorld) join() *Snapshot { return Join(w.c, w.a, w.cfg) }

// shuffled returns the same world with every list in another order.
func (w *joinWorld) shuffled(seed uint64) *joinWorld {
	r := rand.New(rand.NewPCG(seed, 1))
	o := &joinWorld{c: w.c, a: w.a, cfg: w.cfg}
	o.c.Gateways = joinShuffle(r, w.c.Gateways)
	o.c.VirtualServices = joinShuffle(r, w.c.VirtualServices)
	o.c.Secrets = joinShuffle(r, w.c.Secrets)
	o.c.Services = joinShuffle(r, w.c.Services)
	for i := range o.c.Services {
		o.c.Services[i].Ports = joinShuffle(r, o.c.Services[i].Ports)
	}
	o.c.Pods = joinShuffle(r, w.c.Pods)
	o.c.Nodes = joinShuffle(r, w.c.Nodes)
	o.c.Problems = joinShuffle(r, w.c.Problems)
	o.a.Problems = joinShuffle(r, w.a.Problems)
	o.a.TargetGroups = joinShuffle(r, w.a.TargetGroups)
	for i := range o.a.TargetGroups {
		o.a.TargetGroups[i].Targets = joinShuffle(r, o.a.TargetGroups[i].Targets)
	}
	o.a.LoadBalancers = joinShuffle(r, w.a.LoadBalancers)
	for i := range o.a.LoadBalancers {
		lb := &o.a.LoadBalancers[i]
		lb.Listeners = joinShuffle(r, lb.Listeners)
		for j := range lb.Listeners {
			lb.Listeners[j].Rules = joinShuffle(r, lb.Listeners[j].Rules)
		}
	}
	return o
}

func joinShuffle[T any](r *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func joinHost(t testing.TB, s *Snapshot, host, lane string) Host {
	t.Helper()
	h, ok := s.Host(HostKey{host, lane})
	if !ok {
		t.Fatalf("no host %s in lane %s", host, lane)
	}
	return h
}

// largeJoinWorld has n public hosts, a quarter of them with a rule of their own
// up to 98, a wildcard, and two path rules.
func largeJoinWorld(n int) *joinWorld {
	w := newJoinWorld()
	for i := range n {
		w.vs(fmt.Sprintf("app-%d/app", i), fmt.Sprintf("app-%d.bigbang.example", i), joinBoth)
	}
	w.vs("wild/wild", "*.wild.bigbang.example", joinBoth)
	for i := range min(n/4, 96) {
		w.rule(10+i, joinHosts(i%7 == 0, fmt.Sprintf("app-%d.bigbang.example", i)), joinForward("pub-old:1"))
	}
	w.rule(900, joinHosts(false, "*.wild.bigbang.example"), joinForward("pub-old:1"))
	w.rule(901, `[{"Field":"path-pattern","Values":["/health"]}]`, `[{"Type":"fixed-response"}]`)
	return w
}
