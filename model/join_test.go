package model

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestJoinFindsLanes(t *testing.T) {
	s := newJoinWorld().join()
	if len(s.Lanes) != 2 || s.Lanes[0].Name != "passthrough" || s.Lanes[1].Name != "public" {
		t.Fatalf("lanes %+v", s.Lanes)
	}
	l, _ := s.Lane("public")
	if *l.Old.Service != (ObjectName{"istio-system", "public-ingressgateway"}) || *l.New.Service != (ObjectName{"istio-gateway", "public-ingressgateway"}) {
		t.Errorf("services %v %v", l.Old.Service, l.New.Service)
	}
	if l.Old.NodePorts != (NodePorts{30021, 30080, 30443}) || l.New.NodePorts != (NodePorts{30022, 30081, 30444}) {
		t.Errorf("node ports %v %v", l.Old.NodePorts, l.New.NodePorts)
	}
	if !slices.Equal(l.Old.TargetGroups, []string{"pub-old"}) || !slices.Equal(l.New.TargetGroups, []string{"pub-new"}) {
		t.Errorf("groups %v %v", l.Old.TargetGroups, l.New.TargetGroups)
	}
	if len(l.New.Pods) != 2 || len(l.Warnings) != 0 || len(s.Problems) != 0 {
		t.Errorf("pods %v, warnings %v, problems %v", l.New.Pods, l.Warnings, s.Problems)
	}
	if got := s.ObservedAt; !got.Equal(time.Date(2026, 11, 22, 11, 59, 57, 0, time.UTC)) {
		t.Errorf("observed at %v", got)
	}
}

func TestOlder(t *testing.T) {
	a, b := time.Unix(1, 0), time.Unix(2, 0)
	for _, c := range [][3]time.Time{{a, b, a}, {b, a, a}, {{}, b, b}, {a, {}, a}, {}} {
		if got := older(c[0], c[1]); !got.Equal(c[2]) {
			t.Errorf("older(%v, %v) = %v", c[0], c[1], got)
		}
	}
}

func TestAnotherRegion(t *testing.T) {
	w := newJoinWorld().vs("a/a", "a.x", joinBoth)
	w.a.LoadBalancers, w.a.TargetGroups = nil, nil
	w.a.Account.Region = "eu-west-1"
	if p := w.join().Problems; len(p) != 1 || p[0].Kind != KindNotFound || !strings.Contains(p[0].Message, "none in region eu-west-1") {
		t.Errorf("problems %+v", p)
	}
	w.a.Problems = []Problem{{Resource: ResourceLoadBalancers, Kind: KindAccess}}
	if p := w.join().Problems; len(p) != 1 {
		t.Errorf("what could not be read is said to be missing: %+v", p)
	}
}

func TestServiceOfASharedSelector(t *testing.T) {
	// The new gateways' pods all carry istio=ingressgateway (FACTS), and so do
	// the old ones, which other namespaces' Gateways reach too.
	w := newJoinWorld()
	for i := range w.c.Gateways {
		w.c.Gateways[i].Selector = map[string]string{"istio": "ingressgateway"}
	}
	s := w.join()
	for _, l := range s.Lanes {
		if l.Old.Service.String() != "istio-system/"+l.Name+"-ingressgateway" || l.New.Service.String() != "istio-gateway/"+l.Name+"-ingressgateway" {
			t.Errorf("%s: %v, %v", l.Name, l.Old.Service, l.New.Service)
		}
		if len(l.Warnings) != 2 || !strings.Contains(l.Warnings[0], "also selects the new side's pods") {
			t.Errorf("%s: warnings %q", l.Name, l.Warnings)
		}
	}
	// Without pods the selectors decide; Services without ports of ours do not count.
	w.c.Pods = nil
	w.c.Services = append(w.c.Services, Service{
		Name: ObjectName{"istio-system", "a-first"}, Selector: map[string]string{"istio": "ingressgateway"},
		Ports: []ServicePort{{"http", 9090, 9090, 31000}},
	})
	for _, l := range w.join().Lanes {
		if l.Old.Service == nil || l.Old.Service.String() != "istio-system/"+l.Name+"-ingressgateway" {
			t.Errorf("%s without pods: %v", l.Name, l.Old.Service)
		}
	}
}

func TestLanesOfConfig(t *testing.T) {
	w := newJoinWorld()
	w.side("edge", "front", "front-svc", NodePorts{0, 0, 31443}, Server{})
	w.cfg = Config{Lanes: []ConfigLane{
		{Name: "front", Old: ConfigSide{Gateway: "edge/front", TargetGroups: []string{"pub-new", "nothing"}}},
		{Name: "gone", Old: ConfigSide{Gateway: "edge/gone"}},
		{Name: "bad", Old: ConfigSide{Gateway: "front"}},
	}}
	s := w.join()
	l, ok := s.Lane("front")
	if !ok || l.New.Gateway != nil || !slices.Equal(l.Old.TargetGroups, []string{"pub-new"}) {
		t.Fatalf("lane %+v", l)
	}
	if s.SideOf("front", "pub-new") != Old || s.SideOf("public", "pub-new") != New || s.SideOf("passthrough", "pub-new") != Other {
		t.Error("a group that two lanes have is not each one's own")
	}
	var messages []string
	for _, p := range s.Problems {
		messages = append(messages, p.Message)
	}
	text := strings.Join(messages, "\n")
	for _, want := range []string{"target group nothing does not exist", "neither Gateway edge/gone", "gateway front is not namespace/name"} {
		if !strings.Contains(text, want) {
			t.Errorf("problems lack %q:\n%s", want, text)
		}
	}
}

func TestBelonging(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(g *TargetGroup, w *joinWorld)
		want   SideName
		kind   PortKind
	}{
		{"nodes by instance id", func(*TargetGroup, *joinWorld) {}, New, PortHTTPS},
		{"nodes by address", func(g *TargetGroup, _ *joinWorld) {
			g.TargetType, g.Targets = "ip", []Target{{ID: "10.0.0.2", Port: 30444}}
		}, New, PortHTTPS},
		{"one node among strangers", func(g *TargetGroup, _ *joinWorld) {
			g.Targets = []Target{{ID: "i-99", Port: 30444}, {ID: "i-2", Port: 30444}}
		}, New, PortHTTPS},
		{"strangers", func(g *TargetGroup, _ *joinWorld) { g.Targets = []Target{{ID: "i-99", Port: 30444}} }, Other, ""},
		{"no targets yet", func(g *TargetGroup, _ *joinWorld) { g.Targets = nil }, New, PortHTTPS},
		{"no targets, another VPC", func(g *TargetGroup, _ *joinWorld) { g.Targets, g.VPC = nil, "vpc-2" }, Other, ""},
		{"another port", func(g *TargetGroup, _ *joinWorld) {
			g.Port, g.Targets = 31000, []Target{{ID: "i-1", Port: 31000}}
		}, Other, ""},
		{"registered on the NodePort", func(g *TargetGroup, _ *joinWorld) {
			g.Port, g.Targets = 80, []Target{{ID: "i-1", Port: 30081}}
		}, New, PortHTTP},
		{"registered on the old NodePort", func(g *TargetGroup, _ *joinWorld) {
			g.Targets = []Target{{ID: "i-1", Port: 30443}}
		}, Old, PortHTTPS},
		{"the status port", func(g *TargetGroup, _ *joinWorld) {
			g.Port, g.Targets = 30022, nil
		}, New, PortStatus},
		{"pods", func(g *TargetGroup, w *joinWorld) {
			g.TargetType, g.Port = "ip", 8443
			g.Targets = []Target{{ID: w.c.Pods[2].IP, Port: 8443}}
		}, New, PortHTTPS},
		{"pods by http", func(g *TargetGroup, w *joinWorld) {
			g.TargetType, g.Port = "ip", 8080
			g.Targets = []Target{{ID: w.c.Pods[0].IP, Port: 8080}}
		}, Old, PortHTTP},
		{"pods on another port", func(g *TargetGroup, w *joinWorld) {
			g.TargetType, g.Targets = "ip", []Target{{ID: w.c.Pods[0].IP, Port: 9000}}
		}, Other, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newJoinWorld()
			c.change(w.groupNamed("pub-new"), w)
			s := w.join()
			if got := s.SideOf("public", "pub-new"); got != c.want {
				t.Errorf("side %s, want %s", got, c.want)
			}
			if got := s.GroupKind("pub-new"); got != c.kind {
				t.Errorf("kind %q, want %q", got, c.kind)
			}
		})
	}
}

func TestBinding(t *testing.T) {
	for _, c := range []struct {
		name, gateways string
		want           Binding
		lanes          []string
	}{
		{"a/a", joinBoth, BindingBoth, []string{"public"}},
		{"a/a", "istio-system/public mesh", BindingOld, []string{"public"}},
		{"a/a", "istio-gateway/public-ingressgateway", BindingNew, []string{"public"}},
		{"a/a", "public", BindingNone, []string{}},
		{"istio-system/a", "public", BindingOld, []string{"public"}},
		{"istio-system/a", "./public", BindingOld, []string{"public"}},
		{"istio-system/a", "public istio-system/public", BindingOld, []string{"public"}},
		{"a/a", "public.istio-system.svc.cluster.local", BindingOld, []string{"public"}},
		{"a/a", "mesh", BindingNone, []string{}},
		{"a/a", "", BindingNone, []string{}},
		{"a/a", joinBoth + " istio-system/passthrough", BindingOld, []string{"passthrough", "public"}},
		{"a/a", joinBoth + " " + joinPass, BindingBoth, []string{"passthrough", "public"}},
		{"a/a", "istio-gateway/passthrough-ingressgateway " + joinBoth, BindingNew, []string{"passthrough", "public"}},
	} {
		s := newJoinWorld().vs(c.name, "h.x", c.gateways).join()
		vs, _ := s.VirtualService(joinName(c.name))
		b, lanes := s.FoldedBinding(vs)
		if b != c.want || !slices.Equal(lanes, c.lanes) {
			t.Errorf("%s %q: %s %v", c.name, c.gateways, b, lanes)
		}
		if len(s.Hosts) != len(c.lanes) {
			t.Errorf("%s %q: hosts %v", c.name, c.gateways, s.Hosts)
		}
	}
}

func TestHostsOfSeveralVirtualServices(t *testing.T) {
	w := newJoinWorld().
		vs("b/b", "Shared.X own.x", joinBoth).
		vs("a/a", "shared.x short", "istio-system/public").
		vs("c/delegate", "", joinBoth)
	s := w.join()
	h := joinHost(t, s, "shared.x", "public")
	if !slices.Equal(h.VirtualServices, []ObjectName{{"a", "a"}, {"b", "b"}}) {
		t.Errorf("virtual services %v", h.VirtualServices)
	}
	if len(s.Hosts) != 3 {
		t.Errorf("hosts %v", s.Hosts)
	}
	joinHost(t, s, "short", "public")
}

func TestHostsAreText(t *testing.T) {
	w := newJoinWorld()
	w.c.VirtualServices = []VirtualService{{
		Name:  ObjectName{"a", "a"},
		Hosts: []string{"\x1b[31mevil.x\x1b]0;owned\x07", "\x1b[2J"}, Gateways: []string{"istio-system/public"},
	}}
	s := w.join()
	joinHost(t, s, "evil.x", "public")
	if len(s.Hosts) != 1 || len(s.Problems) != 2 {
		t.Errorf("hosts %v, problems %v", s.Hosts, s.Problems)
	}
	if text := fmt.Sprintf("%+v %+v", s.Hosts, s.Problems); strings.ContainsRune(text, 0x1b) {
		t.Errorf("an escape sequence survives: %q", text)
	}
}

func TestLabels(t *testing.T) {
	w := newJoinWorld().rule(10, joinHosts(false, "a.x"), joinForward("pub-old:1"))
	s := w.join()
	for arn, want := range map[string]string{"alb/443/10": "alb:443 10", "alb/443/d": "alb:443 default", "nlb/443": "nlb:443"} {
		r, _ := s.Rule(arn)
		if got := s.RuleLabel(r); got != want {
			t.Errorf("label %q, want %q", got, want)
		}
	}
	w.a.LoadBalancers = append(w.a.LoadBalancers, LoadBalancer{ARN: "z", Name: "z", Type: Application})
	s = w.join()
	r, _ := s.Rule("alb/443/10")
	if got := s.RuleLabel(r); got != "prod-alb:443 10" {
		t.Errorf("label %q", got)
	}
}

// TestJoinOrder: the same observation in any order gives the same Snapshot,
// and joining changes nothing in it.
func TestJoinOrder(t *testing.T) {
	w := largeJoinWorld(60).vs("p/p", "*.pass.example b.pass.example", joinPass)
	w.c.Problems = []Problem{{Operation: "b", Resource: ResourceSecrets}, {Operation: "a", Resource: ResourceSecrets}}
	before := fmt.Sprintf("%+v", w)
	want := w.join()
	for seed := range uint64(20) {
		if got := w.shuffled(seed).join(); !reflect.DeepEqual(got, want) {
			t.Fatalf("order %d gives another Snapshot", seed)
		}
	}
	if after := fmt.Sprintf("%+v", w); after != before {
		t.Error("joining modified what was observed")
	}
}

func TestZeroSnapshot(t *testing.T) {
	for _, s := range []*Snapshot{{}, Join(Cluster{}, AWS{}, Config{})} {
		s.Lane("x")
		s.Host(HostKey{})
		s.Listener("x")
		s.Rule("x")
		s.RuleLabel(Rule{ARN: "x"})
		s.SideOf("x", "y")
		s.Binding(VirtualService{}, "x")
		Status(s, nil, nil)
		ProbeTargets(s, nil)
		if _, err := s.Select(Selection{All: true}, New); KindOf(err) != KindUsage {
			t.Errorf("selecting in nothing: %v", err)
		}
	}
}

func BenchmarkJoin(b *testing.B) {
	for _, n := range []int{500, 5000} {
		w := largeJoinWorld(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				w.join()
			}
		})
	}
}

// BenchmarkJoinWildcards joins as many wildcards as rules can hold.
func BenchmarkJoinWildcards(b *testing.B) {
	w := newJoinWorld()
	for i := range 99 {
		var values []string
		for j := range 5 {
			values = append(values, fmt.Sprintf("*.w-%d-%d.bigbang.example", i, j))
		}
		w.vs(fmt.Sprintf("w-%d/w", i), strings.Join(values, " "), joinBoth)
		w.rule(i+1, joinHosts(false, values...), joinForward("pub-old:1"))
	}
	w.vs("all/all", "*.bigbang.example", joinBoth)
	for b.Loop() {
		w.join()
	}
}

func BenchmarkProbeTargets(b *testing.B) {
	s := largeJoinWorld(5000).join()
	for b.Loop() {
		ProbeTargets(s, nil)
	}
}
