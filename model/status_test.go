package model

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// reportShape returns CLI.md's document: every field that must be present.
func reportShape() map[string]string {
	return map[string]string{
		"":                              "observedAt problems cluster aws lanes gateways secrets virtualServices loadBalancers hosts runbook",
		"problems":                      "source operation kind message since",
		"cluster":                       "context server uid",
		"aws":                           "account arn region endpoint",
		"lanes":                         "name old new",
		"lanes.old":                     "gateway service nodePorts targetGroups",
		"lanes.old.nodePorts":           "status http https",
		"gateways":                      "name lane side keep hosts secrets",
		"secrets":                       "name lane side exists keep notAfter dnsNames sha256",
		"virtualServices":               "name hosts gateways binding lane",
		"loadBalancers":                 "arn name type dnsName listeners",
		"loadBalancers.listeners":       "arn port protocol rules",
		"loadBalancers.listeners.rules": "arn priority hosts shared side newWeight carveOut",
		"hosts":                         "host lane virtualServices state proof routes gates",
		"hosts.routes":                  "loadBalancer type listener port rules side newWeight",
		"hosts.gates":                   "id verdict reason",
		"runbook":                       "step title state detail",
	}
}

func statusDocument(t *testing.T, r Report) map[string]any {
	t.Helper()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// statusAt follows a dotted path, through the first element of lists.
func statusAt(t *testing.T, doc any, path string) map[string]any {
	t.Helper()
	for _, name := range append(strings.Split(path, "."), "") {
		if list, ok := doc.([]any); ok {
			if len(list) == 0 {
				t.Fatalf("%s: an empty list", path)
			}
			doc = list[0]
		}
		if name != "" {
			doc = doc.(map[string]any)[name]
		}
	}
	return doc.(map[string]any)
}

func TestStatusHasEveryField(t *testing.T) {
	w := selectWorld()
	w.a.Problems = []Problem{{Source: "aws", Operation: "DescribeTags", Kind: KindThrottled, Resource: ResourceTags}}
	s := w.join()
	gates := []HostGate{{Host: HostKey{"*.wild.x", "public"}, Gate: Gate{ID: GateBinding, Verdict: Pass, Reason: "listed"}}}
	doc := statusDocument(t, Status(s, HostStates{{"app.x", "public"}: {Proof: ProofProven}}, gates))
	for path, fields := range reportShape() {
		object := statusAt(t, doc, path)
		for _, f := range strings.Fields(fields) {
			if _, ok := object[f]; !ok {
				t.Errorf("%q lacks %s", path, f)
			}
		}
	}
}

func TestStatusIsNullWhereUnread(t *testing.T) {
	empty := statusDocument(t, Status(Join(Cluster{}, AWS{}, Config{}), nil, nil))
	lists := []string{"lanes", "gateways", "secrets", "virtualServices", "loadBalancers", "hosts"}
	for _, f := range append(slices.Clone(lists), "problems", "runbook") {
		if empty[f] == nil {
			t.Errorf("%s is null though nothing was unreadable", f)
		}
	}
	var problems []Problem
	for _, r := range []Resource{ResourceGateways, ResourceVirtualServices, ResourceSecrets, ResourceLoadBalancers} {
		problems = append(problems, Problem{Source: "x", Kind: KindAccess, Resource: r})
	}
	doc := statusDocument(t, Status(Join(Cluster{Problems: problems}, AWS{}, Config{}), nil, nil))
	for _, f := range lists {
		if doc[f] != nil {
			t.Errorf("%s is not null though it could not be read", f)
		}
	}
	w := newJoinWorld()
	w.c.Secrets = []Secret{{Name: ObjectName{"istio-system", "public-cert"}}}
	w.a.LoadBalancers[0].Listeners[0].Rules = nil
	doc = statusDocument(t, Status(w.join(), nil, nil))
	secret := statusAt(t, doc, "secrets")
	for _, f := range []string{"exists", "keep", "notAfter", "dnsNames", "sha256"} {
		if secret[f] != nil {
			t.Errorf("an unreadable secret's %s is %v", f, secret[f])
		}
	}
	for _, l := range statusAt(t, doc, "loadBalancers")["listeners"].([]any) {
		if l := l.(map[string]any); (l["rules"] == nil) != (l["arn"] == w.a.LoadBalancers[0].Listeners[0].ARN) {
			t.Errorf("rules of %v are %v", l["arn"], l["rules"])
		}
	}
}

// TestStatusOrder: listeners and routes are reported by ARN, whatever their ports.
func TestStatusOrder(t *testing.T) {
	w := newJoinWorld().vs("a/a", "one.x", joinBoth)
	for i, arn := range []string{"alb/b", "alb/a"} {
		w.a.LoadBalancers[0].Listeners = append(w.a.LoadBalancers[0].Listeners, Listener{ARN: arn, Port: 1 + i, Rules: []Rule{{ARN: arn + "/d", Listener: arn}}})
	}
	r := Status(w.join(), nil, nil)
	if !slices.IsSortedFunc(r.LoadBalancers[0].Listeners, func(a, b ReportListener) int { return strings.Compare(a.ARN, b.ARN) }) {
		t.Errorf("listeners %+v", r.LoadBalancers[0].Listeners)
	}
	routes := r.Hosts[0].Routes
	if len(routes) < 4 || !slices.IsSortedFunc(routes, func(a, b ReportRoute) int { return strings.Compare(a.Listener, b.Listener) }) {
		t.Errorf("routes %+v", routes)
	}
}

func TestStatusRules(t *testing.T) {
	w := newJoinWorld().
		vs("a/a", "one.x two.x *.wild.x in.wild.x", joinBoth).
		rule(9, joinHosts(false, "one.x"), joinForward("pub-old:1", "pub-new:3")).
		rule(10, joinHosts(true, "one.x", "two.x"), joinForward("pub-new:1")).
		rule(100, joinHosts(false, "*.wild.x"), joinForward("else:1")).
		rule(101, joinHosts(false, "other.wild.x"), `[{"Type":"redirect"}]`).
		rule(102, joinHosts(false, "foreign.x"), joinForward("pub-old:1")).
		rule(103, `[{"Field":"host-header","RegexValues":["^one"]}]`, joinForward("pub-old:1"))
	r := Status(w.join(), nil, nil)
	type row struct {
		priority string
		shared   bool
		side     SideName
		weight   int
	}
	var got []row
	listeners := r.LoadBalancers[0].Listeners
	for _, v := range listeners[slices.IndexFunc(listeners, func(l ReportListener) bool { return l.Port == 443 })].Rules {
		weight := -1
		if v.NewWeight != nil {
			weight = *v.NewWeight
		}
		got = append(got, row{v.Priority, v.Shared, v.Side, weight})
	}
	want := []row{
		{"9", false, Split, 75},
		{"10", true, New, 100},
		{"100", true, Other, -1},
		{"101", false, Other, -1},
		{"102", true, Old, 0},
		{"103", true, Old, 0},
		{"default", true, Old, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("rules\n%v, want\n%v", got, want)
	}
}

func TestStatusHasNoControlCharacters(t *testing.T) {
	w := newJoinWorld()
	w.c.VirtualServices = []VirtualService{{Name: ObjectName{"a", "a"}, Hosts: []string{"\x1b[31mevil.x"}, Gateways: []string{"istio-system/public", "\x1b[2Jx"}}}
	w.c.Gateways[0].Servers[0].Hosts = []string{"\x1b[31m*"}
	w.c.Problems = []Problem{{Message: "\x1b[31mno"}}
	w.rule(1, `[{"Field":"host-header","Values":["\u001b[31mevil.x"]}]`, joinForward("pub-old:1"))
	raw, err := json.Marshal(Status(w.join(), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), `\u001b`) {
		t.Errorf("an escape sequence survives: %s", raw)
	}
}

func TestRunbook(t *testing.T) {
	stepOf := func(w *joinWorld, step string) RunbookStep {
		steps := w.join().Runbook()
		if len(steps) != 13 {
			t.Fatalf("%d steps", len(steps))
		}
		i := slices.IndexFunc(steps, func(s RunbookStep) bool { return s.Step == step })
		return steps[i]
	}
	for _, c := range []struct {
		name, step string
		change     func(w *joinWorld)
		want       StepState
	}{
		{"one is bound to old only", "bind-virtual-services", func(w *joinWorld) { w.vs("z/z", "z.x", "istio-system/public") }, StepPartial},
		{"all are bound", "bind-virtual-services", func(*joinWorld) {}, StepDone},
		{"none is there", "bind-virtual-services", func(w *joinWorld) { w.c.VirtualServices = nil }, StepNotNeeded},
		{"unreadable", "bind-virtual-services", func(w *joinWorld) {
			w.c.Problems = []Problem{{Resource: ResourceVirtualServices}}
		}, StepBlocked},
		{"nothing kept", "keep-old-gateways", func(*joinWorld) {}, StepTodo},
		{"one kept", "keep-old-gateways", func(w *joinWorld) { w.c.Gateways[0].Keep = true }, StepPartial},
		{"all kept", "keep-old-gateways", func(w *joinWorld) {
			w.c.Gateways[0].Keep, w.c.Gateways[2].Keep, w.c.Secrets[0].Keep = true, true, true
		}, StepDone},
		{"deployed", "deploy-new-gateways", func(*joinWorld) {}, StepDone},
		{"not ready", "deploy-new-gateways", func(w *joinWorld) { w.c.Pods[2].Ready, w.c.Pods[3].Ready = false, false }, StepPartial},
		{"groups", "target-groups", func(*joinWorld) {}, StepDone},
		{"on old", "shift-hosts", func(*joinWorld) {}, StepTodo},
		{"split", "shift-hosts", func(w *joinWorld) { w.rule(1, joinHosts(false, "app.x"), joinForward("pub-old:1", "pub-new:1")) }, StepPartial},
		{"nothing finalized", "finalize", func(*joinWorld) {}, StepTodo},
		{"one finalized", "finalize", func(w *joinWorld) { w.rule(1, joinHosts(false, "app.x"), joinForward("pub-new:1")) }, StepPartial},
		{"not seen", "reconcile-iac", func(*joinWorld) {}, StepTodo},
	} {
		w := selectWorld()
		c.change(w)
		if got := stepOf(w, c.step); got.State != c.want {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
}
