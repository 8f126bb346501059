package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// targetLines says targets in short, in their order.
func targetLines(list []ProbeTarget) []string {
	var lines []string
	for _, p := range list {
		var flags []string
		for _, f := range []struct {
			name string
			on   bool
		}{{"sni", p.SNI}, {"fwd", p.Forwarded}, {"proxy", p.ProxyV2}, {"pass", p.Passthrough}, {"staged", p.Staged}} {
			if f.on {
				flags = append(flags, f.name)
			}
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s://%s:%d %s %s %s",
			p.Path, p.Node, p.Scheme, p.Address, p.Port, p.Authority, p.CertSHA256, strings.Join(flags, ","))))
	}
	return lines
}

func expectTargets(t *testing.T, w *joinWorld, staged map[HostKey]bool, want ...string) {
	t.Helper()
	if got := targetLines(ProbeTargets(w.join(), staged)); !slices.Equal(got, want) {
		t.Errorf("targets\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestProbeTargetsBehindALB(t *testing.T) {
	w := newJoinWorld().vs("a/a", "a.x", joinBoth)
	w.groupNamed("pub-old").Targets = w.groupNamed("pub-old").Targets[:1] // one node only
	w.groupNamed("pub-new").Targets = nil                                 // all nodes
	expectTargets(t, w, map[HostKey]bool{{"a.x", "public"}: true},
		"old node-1 https://10.0.0.1:30443 a.x sha-istio-system fwd,staged",
		"new node-1 https://10.0.0.1:30444 a.x sha-istio-gateway fwd,staged",
		"new node-2 https://10.0.0.2:30444 a.x sha-istio-gateway fwd,staged",
		"new node-3 https://10.0.0.3:30444 a.x sha-istio-gateway fwd,staged",
		"lb  https://127.0.0.10:443 a.x  sni,staged",
	)
}

func TestProbeTargetsBehindNLB(t *testing.T) {
	w := newJoinWorld().vs("a/a", "*.bigbang.example", joinPass)
	w.groupNamed("pt-old").ProxyV2 = true
	i := slices.IndexFunc(w.c.Services, func(s Service) bool { return s.Name.String() == "istio-gateway/passthrough-ingressgateway" })
	w.c.Services[i].ExternalTrafficPolicy = "Local" // pods are on nodes 1 and 2
	w.c.Pods[slices.IndexFunc(w.c.Pods, func(p Pod) bool { return p.Name.String() == "istio-gateway/passthrough-ingressgateway-1" })].Ready = false
	expectTargets(t, w, nil,
		"old node-1 https://10.0.0.1:32443 cutover-probe.bigbang.example  sni,proxy,pass",
		"old node-2 https://10.0.0.2:32443 cutover-probe.bigbang.example  sni,proxy,pass",
		"old node-3 https://10.0.0.3:32443 cutover-probe.bigbang.example  sni,proxy,pass",
		"new node-2 https://10.0.0.2:32444 cutover-probe.bigbang.example  sni,pass",
		"lb  https://127.0.0.11:443 cutover-probe.bigbang.example  sni,pass",
	)
}

func TestProbeTargetsByHTTP(t *testing.T) {
	w := newJoinWorld().vs("a/a", "a.x", joinBoth)
	w.c.Nodes = w.c.Nodes[:1]
	for _, name := range []string{"pub-old", "pub-new"} {
		g := w.groupNamed(name)
		g.Protocol, g.Port, g.Targets = "HTTP", g.Port-363, []Target{{ID: "i-1"}}
	}
	expectTargets(t, w, nil,
		"old node-1 http://10.0.0.1:30080 a.x  fwd",
		"new node-1 http://10.0.0.1:30081 a.x  fwd",
		"lb  https://127.0.0.10:443 a.x  sni",
	)
}

func TestProbeTargetsBehindBoth(t *testing.T) {
	w := newJoinWorld().vs("a/a", "a.x", joinBoth)
	w.c.Nodes = w.c.Nodes[:1]
	w.group("pub-old-tcp", "TCP", 30443, "nlb").ProxyV2 = true
	w.a.LoadBalancers[1].Listeners[0].Rules[0].Actions = joinForward("pub-old-tcp:1")
	expectTargets(t, w, nil,
		"old node-1 https://10.0.0.1:30443 a.x sha-istio-system fwd",
		"old node-1 https://10.0.0.1:30443 a.x sha-istio-system sni,proxy",
		"new node-1 https://10.0.0.1:30444 a.x sha-istio-gateway fwd",
		"new node-1 https://10.0.0.1:30444 a.x sha-istio-gateway sni",
		"lb  https://127.0.0.10:443 a.x  sni",
		"lb  https://127.0.0.11:443 a.x  sni",
	)
}

func TestTLSServer(t *testing.T) {
	g := Gateway{Servers: []Server{
		{Hosts: []string{"*"}, Port: 8080, Protocol: "HTTP"},
		{Hosts: []string{"*.x"}, Port: 8443, Protocol: "HTTPS", CredentialName: "wild"},
		{Hosts: []string{"ns/a.x", "./b.x"}, Port: 443, Protocol: "TLS", CredentialName: "exact"},
		{Hosts: []string{"*"}, Port: 8443, Protocol: "HTTPS", CredentialName: "any"},
		{Hosts: []string{"a.x"}, Port: 15443, Protocol: "TLS", CredentialName: "east-west"},
	}}
	for _, c := range []struct {
		host string
		sni  bool
		want string
	}{
		{"a.x", true, "exact"},
		{"b.x", true, "exact"},
		{"c.x", true, "wild"},
		{"*.x", true, "wild"},
		{"*.c.x", true, "wild"},
		{"x", true, "any"},
		{"a.x", false, "any"},
	} {
		if got, ok := g.TLSServer(c.host, c.sni); !ok || got.CredentialName != c.want {
			t.Errorf("TLSServer(%q, %v) = %q", c.host, c.sni, got.CredentialName)
		}
	}
	g.Servers = g.Servers[:3]
	if _, ok := g.TLSServer("a.x", false); ok {
		t.Error("a server without * answers a handshake without SNI")
	}
}

func TestChooseServerPrefersTheNameItself(t *testing.T) {
	g := Gateway{Servers: []Server{
		{Hosts: []string{"*.x"}, Port: 8443, Protocol: "HTTPS", CredentialName: "wild"},
		{Hosts: []string{"a.x"}, Port: 8443, Protocol: "https", CredentialName: "exact"},
	}}
	for host, want := range map[string]string{"a.x": "exact", "b.x": "wild"} {
		if got, ok := chooseServer(g, "ns", host, need{kind: PortHTTPS}); !ok || got.CredentialName != want {
			t.Errorf("%s is answered with %q, want %q", host, got.CredentialName, want)
		}
		if got, ok := g.TLSServer(host, true); !ok || got.CredentialName != want {
			t.Errorf("%s is probed for %q, want %q", host, got.CredentialName, want)
		}
	}
}

func TestSecretsOfASharedWorkload(t *testing.T) {
	w := newJoinWorld()
	w.c.Gateways = append(w.c.Gateways, Gateway{
		Name: ObjectName{"team", "own"}, Selector: map[string]string{"ns": "istio-system", "app": "public-ingressgateway"},
		Servers: []Server{{Hosts: []string{"t.x"}, Port: 8443, Protocol: "HTTPS", CredentialName: "team-cert"}},
	})
	s := w.join()
	g, _ := s.Gateway(ObjectName{"team", "own"})
	if got := s.GatewaySecrets(g); !slices.Equal(got, []ObjectName{{"istio-system", "team-cert"}}) {
		t.Errorf("secrets %v: they are the workload's", got)
	}
	w.c.Secrets = append(w.c.Secrets, Secret{Name: ObjectName{"team", "team-cert"}, Exists: true})
	if got := w.join().GatewaySecrets(g); !slices.Equal(got, []ObjectName{{"team", "team-cert"}}) {
		t.Errorf("secrets %v: it is only in the Gateway's namespace", got)
	}
}

func TestHostTargets(t *testing.T) {
	w := newJoinWorld().vs("a/a", "a.x b.x", joinBoth).vs("c/c", "*.bigbang.example", joinPass)
	s := w.join()
	all := ProbeTargets(s, nil)
	for _, h := range s.Hosts {
		var want []ProbeTarget
		for _, p := range all {
			if p.Host == h.HostKey {
				want = append(want, p)
			}
		}
		if got := HostTargets(s, h.HostKey); !slices.Equal(got, want) {
			t.Errorf("targets of %s\n%s\nwant\n%s", h.HostKey, strings.Join(targetLines(got), "\n"), strings.Join(targetLines(want), "\n"))
		}
	}
	if got := HostTargets(s, HostKey{"nobody.x", "public"}); len(got) != 0 {
		t.Errorf("a host that is not published has targets %v", got)
	}
}

// A rule may forward to a group of the status port, which no probe is for.
func TestGatesOfAStatusPortGroup(t *testing.T) {
	w := newJoinWorld().vs("a/a", "a.x", joinBoth)
	for _, name := range []string{"pub-old", "pub-new"} {
		w.groupNamed(name).Targets = []Target{{ID: "i-1", State: "healthy"}}
	}
	w.groupNamed("pub-old").Port, w.groupNamed("pub-new").Port = 30021, 30022
	s := w.join()
	if kind := s.GroupKind(w.groupNamed("pub-old").ARN); kind != PortStatus {
		t.Fatalf("the group is of kind %q", kind)
	}
	for _, g := range HostGates(s, nil, s.ObservedAt) {
		if g.ID == GateProbeNew && g.Verdict != Wait {
			t.Errorf("%s says %s: %s", g.ID, g.Verdict, g.Reason)
		}
	}
}
