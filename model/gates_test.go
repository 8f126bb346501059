package model_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// gateWorld is a planWorld in which a.x.io can go: its own rule, healthy
// targets, and good probes.
type gateWorld struct {
	*planWorld
	ev   model.Evidence
	host model.HostKey
	to   model.SideName
}

func newGateWorld() *gateWorld {
	w := &gateWorld{planWorld: newPlanWorld(), host: public("a.x.io")[0], to: model.New}
	w.rule(10, planHosts("a.x.io"), planForward(w.old))
	w.probe(200, nil)
	return w
}

// probe gives every target of the host K answers.
func (w *gateWorld) probe(status int, failure *model.ProbeError) {
	w.ev = model.Evidence{}
	for _, t := range model.ProbeTargets(w.join(), map[model.HostKey]bool{w.host: true}) {
		for i := range model.K {
			r := model.ProbeResult{Target: t, Began: lawTime.Add(time.Duration(i-model.K) * time.Second), Status: 200, Backend: true}
			if t.Path == model.PathNew {
				r.Status, r.Error = status, failure
			}
			w.ev[t] = append(w.ev[t], r)
		}
	}
}

func (w *gateWorld) gateway(name string) *model.Gateway {
	for i := range w.cluster.Gateways {
		if w.cluster.Gateways[i].Name.String() == name {
			return &w.cluster.Gateways[i]
		}
	}
	panic(name)
}

func (w *gateWorld) secret(namespace string) *model.Secret {
	for i := range w.cluster.Secrets {
		if w.cluster.Secrets[i].Name == (model.ObjectName{Namespace: namespace, Name: "public-cert"}) {
			return &w.cluster.Secrets[i]
		}
	}
	panic(namespace)
}

func (w *gateWorld) service(namespace string) *model.Service {
	for i := range w.cluster.Services {
		if w.cluster.Services[i].Name == (model.ObjectName{Namespace: namespace, Name: "public-ingressgateway"}) {
			return &w.cluster.Services[i]
		}
	}
	panic(namespace)
}

// unready makes all pods of the new side unready.
func (w *gateWorld) unready() {
	for i, p := range w.cluster.Pods {
		if p.Labels["app"] == "public-new" {
			w.cluster.Pods[i].Ready = false
		}
	}
}

func (w *gateWorld) problem(r model.Resource) {
	p := model.Problem{Operation: "read " + string(r), Message: "denied", Resource: r}
	switch r {
	case model.ResourceLoadBalancers, model.ResourceRules, model.ResourceTargetGroups, model.ResourceTargetHealth, model.ResourceTags:
		w.aws.Problems = append(w.aws.Problems, p)
	default:
		w.cluster.Problems = append(w.cluster.Problems, p)
	}
}

const newGateway, oldGateway = "istio-gateway/public-ingressgateway", "istio-system/public"

func TestGates(t *testing.T) {
	tests := []struct {
		name    string
		gate    model.GateID
		set     func(w *gateWorld)
		verdict model.Verdict
		says    string
	}{
		{"all is well", "", func(*gateWorld) {}, model.Pass, ""},

		{"bound to old only", model.GateBinding, func(w *gateWorld) {
			w.cluster.VirtualServices[0].Gateways = []string{oldGateway}
		}, model.Block, "apps/public-a.x.io lists only istio-system/public; add istio-gateway/public-ingressgateway"},
		{"a match for old only", model.GateBinding, func(w *gateWorld) {
			w.cluster.VirtualServices[0].MatchGateways = [][]string{{oldGateway}}
		}, model.Block, "match"},
		{"not exported", model.GateBinding, func(w *gateWorld) { w.cluster.VirtualServices[0].ExportTo = []string{".", "istio-system"} }, model.Block, "istio-gateway"},
		{"exported to all", model.GateBinding, func(w *gateWorld) { w.cluster.VirtualServices[0].ExportTo = []string{"*"} }, model.Pass, ""},
		{"a delegate", model.GateBinding, func(w *gateWorld) {
			w.cluster.VirtualServices = append(w.cluster.VirtualServices, model.VirtualService{Name: model.ObjectName{Namespace: "apps", Name: "z"}})
		}, model.Pass, ""},
		{"bindings unread", model.GateBinding, func(w *gateWorld) { w.problem(model.ResourceVirtualServices) }, model.Wait, "denied"},

		{"no new Gateway", model.GateGatewayHosts, func(w *gateWorld) {
			w.cluster.Gateways = slices.DeleteFunc(w.cluster.Gateways, func(g model.Gateway) bool { return g.Name.String() == newGateway })
		}, model.Block, newGateway + " does not exist"},
		{"no server for all behind an ALB", model.GateGatewayHosts, func(w *gateWorld) { w.gateway(newGateway).Servers[0].Hosts = []string{"*.x.io"} }, model.Block, "'*'"},
		{"a server of another namespace", model.GateGatewayHosts, func(w *gateWorld) { w.gateway(newGateway).Servers[0].Hosts = []string{"./*"} }, model.Block, "'*'"},
		{"a server for the namespace", model.GateGatewayHosts, func(w *gateWorld) { w.gateway(newGateway).Servers[0].Hosts = []string{"apps/*"} }, model.Pass, ""},
		{"Gateways unread", model.GateGatewayHosts, func(w *gateWorld) { w.problem(model.ResourceGateways) }, model.Wait, "denied"},

		{"no secret", model.GateSecret, func(w *gateWorld) { w.secret("istio-gateway").Exists = false }, model.Block, "istio-gateway/public-cert does not exist"},
		{"secret unread", model.GateSecret, func(w *gateWorld) { w.secret("istio-gateway").Readable = false }, model.Wait, "istio-gateway/public-cert"},
		{"broken secret", model.GateSecret, func(w *gateWorld) { w.secret("istio-gateway").Error = "not PEM" }, model.Block, "not PEM"},
		{"expired behind an ALB", model.GateSecret, func(w *gateWorld) { w.secret("istio-gateway").NotAfter = lawTime }, model.Warn, "expired on 2026-03-01"},
		{"expiring", model.GateSecret, func(w *gateWorld) { w.secret("istio-gateway").NotAfter = lawTime.Add(24 * time.Hour) }, model.Warn, "expires on 2026-03-02"},
		{"another certificate behind an ALB", model.GateSecret, func(w *gateWorld) { w.secret("istio-gateway").SHA256 = "bb" }, model.Warn, "istio-system/public-cert"},
		{"not covered behind an ALB", model.GateSecret, func(w *gateWorld) { w.secret("istio-gateway").DNSNames = []string{"*.io"} }, model.Warn, "does not cover a.x.io"},

		{"expired certificate of the host's own server", model.GateSecret, func(w *gateWorld) {
			g := w.gateway(newGateway)
			g.Servers = append(g.Servers, model.Server{Hosts: []string{"a.x.io"}, Port: 8443, Protocol: "HTTPS", TLSMode: "SIMPLE", CredentialName: "a-cert"})
			w.cluster.Secrets = append(w.cluster.Secrets, model.Secret{
				Name: model.ObjectName{Namespace: "istio-gateway", Name: "a-cert"}, Exists: true, Readable: true, DNSNames: []string{"a.x.io"}, SHA256: "aa",
				NotAfter: lawTime.AddDate(0, 0, -1),
			})
		}, model.Warn, "istio-gateway/a-cert expired"},

		{"no pods", model.GateService, (*gateWorld).unready, model.Block, "no ready pod"},
		{"pods unread", model.GateService, func(w *gateWorld) { w.unready(); w.problem(model.ResourcePods) }, model.Wait, "denied"},
		{"another traffic policy", model.GateService, func(w *gateWorld) { w.service("istio-gateway").ExternalTrafficPolicy = "Local" }, model.Block, "externalTrafficPolicy Local"},
		{"PROXY protocol", model.GateService, func(w *gateWorld) { w.groupNamed("public-new-https").ProxyV2 = true }, model.Block, "PROXY"},

		{"target groups unread", model.GateTargetGroup, func(w *gateWorld) { w.problem(model.ResourceTargetGroups) }, model.Wait, "denied"},

		{"unhealthy", model.GateTargetHealth, func(w *gateWorld) {
			w.groupNamed("public-new-https").Targets[1].State, w.groupNamed("public-new-https").Targets[1].Reason = "unhealthy", "Target.Timeout"
		}, model.Wait, "1 healthy targets of 2 that it needs: i-1 is unhealthy Target.Timeout; usually a security group"},
		{"fewer nodes with pods", model.GateTargetHealth, func(w *gateWorld) {
			w.groupNamed("public-new-https").Targets[1].State = "unhealthy"
			w.cluster.Pods = slices.DeleteFunc(w.cluster.Pods, func(p model.Pod) bool { return p.Name.Name == "public-new-1" })
		}, model.Pass, ""},
		{"unused", model.GateTargetHealth, func(w *gateWorld) {
			for i := range w.groupNamed("public-new-https").Targets {
				w.groupNamed("public-new-https").Targets[i].State = "unused"
			}
		}, model.Wait, "weight 0"},
		{"health unread", model.GateTargetHealth, func(w *gateWorld) { w.groupNamed("public-new-https").Targets[0].State = "" }, model.Wait, "not known"},

		{"no probes", model.GateProbeNew, func(w *gateWorld) { w.ev = nil }, model.Wait, "node-0:30444 was not probed yet"},
		{"too few probes", model.GateProbeNew, func(w *gateWorld) { w.cut(2) }, model.Wait, "2 of 3 good probes"},
		{"old probes", model.GateProbeNew, func(w *gateWorld) { w.later(time.Hour) }, model.Wait, "1h0m0s old"},
		{"bad probes", model.GateProbeNew, func(w *gateWorld) { w.probe(503, nil) }, model.Block, "503"},
		{"refused", model.GateProbeNew, func(w *gateWorld) { w.probe(0, &model.ProbeError{Kind: model.ProbeRefused, Message: "refused"}) }, model.Block, "refused"},
		{"what fails is named first", model.GateProbeNew, func(w *gateWorld) { w.probe(503, nil) }, model.Block, "backend-5xx at node-0:30444: the backend answers 503, the other side 200; see the application's log"},
		{"filtered", model.GateProbeNew, func(w *gateWorld) { w.probe(0, &model.ProbeError{Kind: model.ProbeFiltered, Message: "no answer"}) }, model.Wait, "security group"},
		{"one bad probe just now", model.GateProbeNew, func(w *gateWorld) { w.lastBad() }, model.Wait, "differs just now at node-0:30444: it answers 404, the other side 200"},
		{"good again just now", model.GateProbeNew, func(w *gateWorld) { w.firstBad() }, model.Wait, "node-0:30444 has 2 of 3 good probes in a row for a.x.io since differs: it answers 404, the other side 200"},
		{"old not seen", model.GateProbeNew, func(w *gateWorld) {
			for k := range w.ev {
				if k.Path == model.PathOld {
					delete(w.ev, k)
				}
			}
		}, model.Wait, "nothing to compare"},
		{"old side fails too, going to old", model.GateProbeNew, func(w *gateWorld) { w.goOld(); w.probe(503, nil) }, model.Pass, ""},

		{"rules unread", model.GateSharedRule, func(w *gateWorld) { w.problem(model.ResourceRules) }, model.Wait, "denied"},
		{"a controller's tag", model.GateDrift, func(w *gateWorld) {
			w.aws.LoadBalancers[0].Tags = map[string]string{"elbv2.k8s.aws/cluster": "c"}
		}, model.Warn, "elbv2.k8s.aws/cluster"},
		{"Terraform's tag", model.GateDrift, func(w *gateWorld) {
			w.aws.LoadBalancers[0].Tags = map[string]string{"ManagedBy": "Terraform"}
		}, model.Warn, "ManagedBy"},
		{"somebody's tag", model.GateDrift, func(w *gateWorld) {
			w.aws.LoadBalancers[0].Tags = map[string]string{"Name": "terraform"}
		}, model.Pass, ""},
		{"tags unread", model.GateDrift, func(w *gateWorld) { w.problem(model.ResourceTags) }, model.Warn, "denied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newGateWorld()
			test.set(w)
			s := w.join()
			p, err := model.NewPlan(s, model.Intent{Hosts: []model.HostKey{w.host}, To: w.to})
			if err != nil {
				t.Fatal(err)
			}
			gates := model.Gates(s, p, w.ev, lawTime)
			if len(gates) != len(model.GateIDs()) {
				t.Fatalf("%d gates", len(gates))
			}
			for i, g := range gates {
				if g.ID != model.GateIDs()[i] || g.Reason == "" || strings.ContainsAny(g.Reason, "\n\x1b") {
					t.Errorf("gate %+v", g)
				}
				if test.gate == "" && g.Verdict != model.Pass {
					t.Errorf("%s: %s, %s", g.ID, g.Verdict, g.Reason)
				}
				if g.ID == test.gate && (g.Verdict != test.verdict || !strings.Contains(g.Reason, test.says)) {
					t.Errorf("%s: %s, want %s %q", g.Verdict, g.Reason, test.verdict, test.says)
				}
			}
			if w.to == model.New {
				all := model.HostGates(s, w.ev, lawTime)
				if g := gateOf(t, all, w.host.Host, model.GateBinding); g != gateOf(t, gates, w.host.Host, model.GateBinding) {
					t.Errorf("status says %+v", g)
				}
			}
		})
	}
}

// cut leaves the first n probes of each target.
func (w *gateWorld) cut(n int) {
	for k := range w.ev {
		w.ev[k] = w.ev[k][:n]
	}
}

func (w *gateWorld) later(d time.Duration) {
	for k := range w.ev {
		for i := range w.ev[k] {
			w.ev[k][i].Began = w.ev[k][i].Began.Add(-d)
		}
	}
}

func (w *gateWorld) lastBad() {
	for k, results := range w.ev {
		if k.Path == model.PathNew {
			results[len(results)-1].Status = 404
		}
	}
}

func (w *gateWorld) firstBad() {
	for k, results := range w.ev {
		if k.Path == model.PathNew {
			results[0].Status = 404
		}
	}
}

// goOld has the host on new, about to go to old.
func (w *gateWorld) goOld() {
	w.to = model.Old
	rules := w.aws.LoadBalancers[0].Listeners[0].Rules
	rules[len(rules)-1].Actions = planForward(w.new)
}

// Certificates that clients see block where those behind an ALB only warn.
func TestGateSecretOnNLB(t *testing.T) {
	w := newGateWorld()
	for i := range w.cluster.Secrets {
		if w.cluster.Secrets[i].Name == (model.ObjectName{Namespace: "istio-gateway", Name: "passthrough-cert"}) {
			w.cluster.Secrets[i].NotAfter = lawTime
		}
	}
	if g := gateOf(t, model.HostGates(w.join(), nil, lawTime), "k.x.io", model.GateSecret); g.Verdict != model.Block || !strings.Contains(g.Reason, "expired") {
		t.Errorf("%+v", g)
	}
	for i := range w.cluster.Gateways {
		if strings.HasPrefix(w.cluster.Gateways[i].Name.Name, "passthrough") {
			w.cluster.Gateways[i].Servers[0] = model.Server{Hosts: []string{"*.x.io"}, Port: 8443, Protocol: "HTTPS", TLSMode: "PASSTHROUGH"}
		}
	}
	if g := gateOf(t, model.HostGates(w.join(), nil, lawTime), "k.x.io", model.GateSecret); g.Verdict != model.Pass {
		t.Errorf("%+v", g)
	}
}

func TestGateTargetHealthByZone(t *testing.T) {
	w := newGateWorld()
	g := w.groupNamed("passthrough-new-tcp-443")
	g.Targets = append(g.Targets, g.Targets[0])
	g.Targets[2].ID, g.Targets[1].State = "i-9", "unhealthy"
	if g := gateOf(t, model.HostGates(w.join(), nil, lawTime), "k.x.io", model.GateTargetHealth); g.Verdict != model.Wait || !strings.Contains(g.Reason, "in z1") {
		t.Errorf("%+v", g)
	}
}

func TestGateDrift(t *testing.T) {
	w := newGateWorld()
	s := w.join()
	p, _ := model.NewPlan(s, model.Intent{Hosts: public("a.x.io"), To: model.New})
	rules := w.aws.LoadBalancers[0].Listeners[0].Rules
	verdict := func() model.HostGate {
		return gateOf(t, model.Gates(w.join(), p, nil, lawTime), "a.x.io", model.GateDrift)
	}
	rules[1].Actions = p.Changes[0].After.Actions
	if g := verdict(); g.Verdict != model.Pass {
		t.Errorf("what the run itself has changed: %+v", g)
	}
	rules[1].Actions = planForward(w.foreign)
	if g := verdict(); g.Verdict != model.Block || !strings.Contains(g.Reason, "it does forward foreign instead of forward public-old-https") {
		t.Errorf("%+v", g)
	}
	w.aws.LoadBalancers[0].Listeners[0].Rules = rules[:1]
	if g := verdict(); g.Verdict != model.Block || !strings.Contains(g.Reason, "gone") {
		t.Errorf("%+v", g)
	}
}

func TestJudged(t *testing.T) {
	a, b := public("a.x.io")[0], public("b.x.io")[0]
	gate := func(k model.HostKey, id model.GateID, v model.Verdict) model.HostGate {
		return model.HostGate{Host: k, Gate: model.Gate{ID: id, Verdict: v, Reason: "r"}}
	}
	both := model.Plan{Intent: model.Intent{Hosts: []model.HostKey{a, b}}}
	gates := []model.HostGate{gate(a, model.GateBinding, model.Block), gate(b, model.GateProbeNew, model.Wait), gate(b, model.GateSecret, model.Warn)}
	say := func(g model.GateID, host, reason string) model.Override {
		return model.Override{Gate: g, Host: host, Reason: reason}
	}
	p, err := both.Judged(gates, nil)
	if err != nil || p.Verdict != model.Block || len(p.Blocked()) != 1 || len(p.Waiting()) != 1 {
		t.Fatal(p, err)
	}
	p, err = both.Judged(gates, []model.Override{say(model.GateBinding, "a.x.io", "known")})
	if err != nil || p.Verdict != model.Wait || p.Gates[0].Overridden != "known" || gates[0].Overridden != "" || len(p.Blocked()) != 0 {
		t.Fatal(p, err)
	}
	p, _ = both.Judged(gates, []model.Override{say(model.GateBinding, "a.x.io", "known"), say(model.GateProbeNew, "b.x.io", "known"), say(model.GateSecret, "b.x.io", "known")})
	if p.Verdict != model.Pass || p.Gates[2].Overridden != "" {
		t.Fatal(p)
	}
	one := model.Plan{Intent: model.Intent{Hosts: []model.HostKey{a, {Host: "a.x.io", Lane: "team"}}}}
	if p, err = one.Judged(gates[:1], []model.Override{say(model.GateBinding, "", "known")}); err != nil || p.Verdict != model.Pass {
		t.Fatal(p, err)
	}
	for _, o := range []model.Override{
		say(model.GateBinding, "", "known"), say(model.GateBinding, "a.x.io", " "), say("nonsense", "a.x.io", "known"),
		say(model.GateDrift, "a.x.io", "known"), say(model.GateSharedRule, "a.x.io", "known"), say(model.GateTargetGroup, "a.x.io", "known"),
		say(model.GateBinding, "z.x.io", "known"),
	} {
		if _, err := both.Judged(gates, []model.Override{o}); model.KindOf(err) != model.KindUsage {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if in := both.Intent.Without([]model.HostKey{a}); len(in.Hosts) != 1 || in.Hosts[0] != b || len(both.Intent.Hosts) != 2 {
		t.Error(in)
	}
}

func TestPlanDocument(t *testing.T) {
	empty, _ := json.Marshal(model.Plan{ID: "1", Intent: model.Intent{To: model.New}}.Document(""))
	if want := `{"id":"1","intent":{"hosts":[],"to":"new","weight":100},"changes":[],"gates":[],"verdict":"pass","warnings":[]}`; string(empty) != want {
		t.Errorf("got %s", empty)
	}
	w := newGateWorld()
	s := w.join()
	p, _ := model.NewPlan(s, model.Intent{Hosts: public("a.x.io"), To: model.New})
	p, _ = p.Judged(model.Gates(s, p, w.ev, lawTime), nil)
	raw, err := json.Marshal(p.Document("r"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Verdict string
		Changes []struct {
			Op, AWS    string
			Rule       *string
			Hosts      []string
			AlsoServes []string
			Before     struct {
				Priority string
				Actions  []map[string]any
			}
		}
		Gates []struct{ Host, ID, Verdict, Reason string }
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	c := d.Changes[0]
	if d.Verdict != "pass" || c.Op != "modify-rule" || c.Rule == nil || c.Hosts[0] != "a.x.io" || c.AlsoServes == nil ||
		c.Before.Priority != "10" || c.Before.Actions[0]["TargetGroupArn"] != w.old || !strings.HasSuffix(c.AWS, "--region r") {
		t.Errorf("document %s", raw)
	}
	if len(d.Gates) != 9 || d.Gates[0].Host != "a.x.io" || d.Gates[0].ID != "binding" {
		t.Errorf("gates %+v", d.Gates)
	}
}

// TestGatesWithoutNodes: where the nodes cannot be read, no group is known to
// belong to a side; that is no host without routes.
func TestGatesWithoutNodes(t *testing.T) {
	verdicts := func(w *gateWorld) map[model.GateID]model.Verdict {
		s := w.join()
		p, err := model.NewPlan(s, model.Intent{Hosts: public("a.x.io"), To: model.New})
		if err != nil {
			t.Fatal(err)
		}
		out := map[model.GateID]model.Verdict{}
		for _, g := range model.Gates(s, p, w.ev, lawTime) {
			out[g.ID] = g.Verdict
		}
		return out
	}
	w := newGateWorld()
	w.cluster.Nodes = nil
	if got := verdicts(w); got[model.GateTargetGroup] != model.Warn {
		t.Errorf("a host that no listener sends to the lane: %v", got)
	}
	w.problem(model.ResourceNodes)
	got := verdicts(w)
	for _, id := range []model.GateID{model.GateTargetGroup, model.GateTargetHealth, model.GateProbeNew, model.GateSharedRule} {
		if got[id] != model.Wait {
			t.Errorf("%s is %s, not wait", id, got[id])
		}
	}
}

// TestPlanDocumentOfTwoLanes: a host's gates are in DESIGN's order also where
// it is published in two lanes.
func TestPlanDocumentOfTwoLanes(t *testing.T) {
	var p model.Plan
	for _, k := range []model.HostKey{{Host: "a", Lane: "p"}, {Host: "a", Lane: "q"}, {Host: "b", Lane: "p"}} {
		for _, id := range []model.GateID{model.GateBinding, model.GateDrift} {
			p.Gates = append(p.Gates, model.HostGate{Host: k, Gate: model.Gate{ID: id, Verdict: model.Pass}})
		}
	}
	raw, err := json.Marshal(p.Document(""))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Gates []struct{ Host, Lane, ID string }
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	want := "[{a p binding} {a q binding} {a p drift} {a q drift} {b p binding} {b p drift}]"
	if got := fmt.Sprint(d.Gates); got != want {
		t.Errorf("gates %s, want %s", got, want)
	}
}
