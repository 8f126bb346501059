package model_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/istio-cutover/cutover/model"
)

// planWorld has an ALB with the lane public on 443 and an NLB with the lane
// passthrough on 80 and 443. Rules are added by rule.
type planWorld struct {
	*lawWorld
	old, new, foreign string
}

func newPlanWorld() *planWorld {
	w := &planWorld{lawWorld: &lawWorld{
		pairs: map[string]string{}, laneOf: map[string]string{}, sideOf: map[string]model.SideName{}, published: map[string][]string{},
	}}
	for i := range 2 {
		w.cluster.Nodes = append(w.cluster.Nodes, model.Node{
			Name: fmt.Sprintf("node-%d", i), InternalIP: fmt.Sprintf("10.0.0.%d", i+1), InstanceID: fmt.Sprintf("i-%d", i), Zone: fmt.Sprintf("z%d", i),
		})
	}
	w.addLane("public", 30000)
	w.addLane("passthrough", 32000)
	w.publish("public", []string{"a.x.io", "b.x.io", "c.x.io", "*.w.x.io"}, true)
	w.publish("passthrough", []string{"k.x.io", "l.x.io"}, true)
	alb := model.LoadBalancer{ARN: lawARN("loadbalancer/app", "alb"), Name: "alb", Type: model.Application, VPC: lawVPC}
	w.old, w.new = w.addPair("public", "https", "HTTPS", 30443, alb.ARN, false)
	w.foreign = lawARN("targetgroup", "foreign")
	w.aws.TargetGroups = append(w.aws.TargetGroups, model.TargetGroup{ARN: w.foreign, Name: "foreign", Protocol: "HTTP", Port: 9000, VPC: lawVPC, LoadBalancers: []string{alb.ARN}})
	l := model.Listener{ARN: lawARN("listener/app/alb", "443"), Port: 443, Protocol: "HTTPS"}
	l.Rules = []model.Rule{{ARN: lawARN("listener-rule/app/alb", "default"), Listener: l.ARN, Actions: `[{"FixedResponseConfig":{"StatusCode":"404"},"Type":"fixed-response"}]`}}
	alb.Listeners = []model.Listener{l}
	nlb := model.LoadBalancer{ARN: lawARN("loadbalancer/net", "nlb"), Name: "nlb", Type: model.Network, VPC: lawVPC}
	for _, p := range []int{80, 443} {
		old, _ := w.addPair("passthrough", fmt.Sprintf("tcp-%d", p), "TCP", 32000+p, nlb.ARN, false)
		arn := lawARN("listener/net/nlb", fmt.Sprint(p))
		nlb.Listeners = append(nlb.Listeners, model.Listener{ARN: arn, Port: p, Protocol: "TCP", Rules: []model.Rule{{ARN: arn, Listener: arn, Actions: planForward(old)}}})
	}
	w.aws.LoadBalancers = []model.LoadBalancer{alb, nlb}
	return w
}

// planForward forwards to one group in the scalar form, or to several with
// their weights: arn, weight, arn, weight…
func planForward(args ...any) model.JSON {
	if len(args) == 1 {
		return lawJSON([]any{map[string]any{"Type": "forward", "TargetGroupArn": args[0]}})
	}
	var tuples []any
	for i := 0; i < len(args); i += 2 {
		tuples = append(tuples, map[string]any{"TargetGroupArn": args[i], "Weight": args[i+1]})
	}
	return lawJSON([]any{map[string]any{"Type": "forward", "ForwardConfig": map[string]any{"TargetGroups": tuples}}})
}

func planHosts(values ...string) model.JSON {
	return lawJSON([]any{map[string]any{"Field": "host-header", "HostHeaderConfig": map[string]any{"Values": values}, "Values": values}})
}

func (w *planWorld) rule(priority int, conditions, actions model.JSON) string {
	l := &w.aws.LoadBalancers[0].Listeners[0]
	r := model.Rule{ARN: lawARN("listener-rule/app/alb", fmt.Sprintf("r%d", priority)), Listener: l.ARN, Priority: priority, Conditions: conditions, Actions: actions}
	l.Rules = append(l.Rules, r)
	return r.ARN
}

func (w *planWorld) groupNamed(name string) *model.TargetGroup {
	for i := range w.aws.TargetGroups {
		if w.aws.TargetGroups[i].Name == name {
			return &w.aws.TargetGroups[i]
		}
	}
	panic(name)
}

func public(hosts ...string) []model.HostKey {
	var keys []model.HostKey
	for _, h := range hosts {
		keys = append(keys, model.HostKey{Host: h, Lane: "public"})
	}
	return keys
}

func TestPlanActions(t *testing.T) {
	oidc := map[string]any{"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": map[string]any{"ClientId": "c", "ClientSecret": "hush"}}
	tests := []struct {
		name    string
		set     func(w *planWorld)
		actions func(w *planWorld) model.JSON
		want    string // the after in words; "" for no change
		after   string // a part of the after's JSON
		warns   string
		blocks  string // by target-group
	}{
		{name: "plain", actions: func(w *planWorld) model.JSON { return planForward(w.old) }, want: "forward public-old-https 0, public-new-https 100", after: `"Weight":0`},
		{name: "both forms", actions: func(w *planWorld) model.JSON {
			return lawJSON([]any{map[string]any{"Type": "forward", "Order": 1, "TargetGroupArn": w.old, "ForwardConfig": map[string]any{
				"TargetGroups": []any{map[string]any{"TargetGroupArn": w.old, "Weight": 1}}, "TargetGroupStickinessConfig": map[string]any{"Enabled": false, "DurationSeconds": 0},
			}}})
		}, want: "forward public-old-https 0, public-new-https 100", after: `"TargetGroupStickinessConfig":{"Enabled":false}`},
		{name: "split", actions: func(w *planWorld) model.JSON { return planForward(w.old, 70, w.new, 30) }, want: "forward public-old-https 0, public-new-https 100"},
		{name: "foreign group", actions: func(w *planWorld) model.JSON { return planForward(w.foreign, 5, w.old, 10) }, want: "forward foreign 5, public-old-https 0, public-new-https 10"},
		{name: "weights above the limit", actions: func(w *planWorld) model.JSON { return planForward(w.old, 999, w.new, 1) }, want: "forward public-old-https 0, public-new-https 999"},
		{name: "weights above the limit beside a foreign group", actions: func(w *planWorld) model.JSON { return planForward(w.old, 999, w.new, 1, w.foreign, 1) }, blocks: "would be 1000"},
		{name: "on new already", actions: func(w *planWorld) model.JSON { return planForward(w.old, 0, w.new, 100) }},
		{name: "on new already, alone", actions: func(w *planWorld) model.JSON { return planForward(w.new) }},
		{name: "no weight at all", actions: func(w *planWorld) model.JSON { return planForward(w.old, 0, w.new, 0) }},
		{name: "oidc", actions: func(w *planWorld) model.JSON {
			return lawJSON([]any{oidc, map[string]any{"Type": "forward", "Order": 2, "TargetGroupArn": w.old}})
		}, want: "authenticate-oidc, then forward public-old-https 0, public-new-https 100", after: `"AuthenticateOidcConfig":{"ClientId":"c","UseExistingClientSecret":true}`},
		{
			name: "sticky target group", set: func(w *planWorld) { w.groupNamed("public-new-https").Sticky = true },
			actions: func(w *planWorld) model.JSON { return planForward(w.old) }, want: "forward public-new-https", warns: "stickiness on",
		},
		{
			name: "sticky target group beside a foreign one", set: func(w *planWorld) { w.groupNamed("public-new-https").Sticky = true },
			actions: func(w *planWorld) model.JSON { return planForward(w.old, 1, w.foreign, 1) }, blocks: "stickiness",
		},
		{name: "sticky groups", set: func(w *planWorld) { w.groupNamed("public-new-https").Sticky = true }, actions: func(w *planWorld) model.JSON {
			return lawJSON([]any{map[string]any{"Type": "forward", "ForwardConfig": map[string]any{
				"TargetGroups":                []any{map[string]any{"TargetGroupArn": w.old, "Weight": 1}},
				"TargetGroupStickinessConfig": map[string]any{"Enabled": true, "DurationSeconds": 60},
			}}})
		}, want: "forward public-old-https 0, public-new-https 100", after: `"DurationSeconds":60`, warns: "AWSALBTG"},
		{name: "no new group", set: func(w *planWorld) { w.groupNamed("public-new-https").LoadBalancers = []string{"other"} }, actions: func(w *planWorld) model.JSON { return planForward(w.old) }, blocks: "on another load balancer"},
		{name: "several new groups", set: func(w *planWorld) {
			g := *w.groupNamed("public-new-https")
			g.ARN, g.Name, g.LoadBalancers = lawARN("targetgroup", "second"), "second", nil
			w.aws.TargetGroups = append(w.aws.TargetGroups, g)
		}, actions: func(w *planWorld) model.JSON { return planForward(w.old) }, blocks: "public-new-https, second"},
		{name: "other protocol", set: func(w *planWorld) { w.groupNamed("public-new-https").Protocol = "HTTP" }, actions: func(w *planWorld) model.JSON { return planForward(w.old) }, blocks: "has protocol HTTP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newPlanWorld()
			if test.set != nil {
				test.set(w)
			}
			arn := w.rule(10, planHosts("a.x.io"), test.actions(w))
			s := w.join()
			p, err := model.NewPlan(s, model.Intent{Hosts: public("a.x.io"), To: model.New})
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" {
				if len(p.Changes) > 0 {
					t.Fatalf("changes %+v", p.Changes)
				}
			} else {
				if len(p.Changes) != 1 {
					t.Fatalf("changes %+v", p.Changes)
				}
				c := p.Changes[0]
				if c.Op != model.OpModifyRule || c.Rule != arn || c.Label != "alb:443 10" || c.Before.Priority != "10" || c.After.Conditions != c.Before.Conditions {
					t.Errorf("change %+v", c)
				}
				if got := model.InWords(c.After.Actions); got != test.want {
					t.Errorf("after: %s, want %s", got, test.want)
				}
				if !strings.Contains(string(c.After.Actions), test.after) || strings.Contains(string(c.Before.Actions+c.After.Actions), "hush") {
					t.Errorf("before %s after %s", c.Before.Actions, c.After.Actions)
				}
				if err := w.apply(c); err != nil {
					t.Error(err)
				}
			}
			if got := strings.Join(p.Warnings, "\n"); (test.warns == "") != (got == "") || !strings.Contains(got, test.warns) {
				t.Errorf("warnings %q, want %q", got, test.warns)
			}
			g := gateOf(t, model.Gates(s, p, nil, lawTime), "a.x.io", model.GateTargetGroup)
			if (g.Verdict == model.Block) != (test.blocks != "") || !strings.Contains(g.Reason, test.blocks) {
				t.Errorf("gate %+v, want %q", g, test.blocks)
			}
		})
	}
}

func gateOf(t *testing.T, gates []model.HostGate, host string, id model.GateID) model.HostGate {
	t.Helper()
	for _, g := range gates {
		if g.Host.Host == host && g.ID == id {
			return g
		}
	}
	t.Fatalf("no gate %s of %s in %v", id, host, gates)
	return model.HostGate{}
}

func TestPlanSharedRules(t *testing.T) {
	tests := []struct {
		name       string
		conditions model.JSON
		hosts      []string
		blocks     string
	}{
		{"own rule", planHosts("a.x.io"), []string{"a.x.io"}, ""},
		{"upper case", planHosts("A.X.io"), []string{"a.x.io"}, ""},
		{"own rule for a path", lawJSON([]any{
			map[string]any{"Field": "host-header", "Values": []string{"a.x.io"}},
			map[string]any{"Field": "path-pattern", "Values": []string{"/api/*"}},
		}), []string{"a.x.io"}, ""},
		{"another host on it", planHosts("a.x.io", "b.x.io"), []string{"a.x.io"}, "alb:443 10 also serves b.x.io"},
		{"all its hosts", planHosts("a.x.io", "b.x.io"), []string{"a.x.io", "b.x.io"}, ""},
		{"a name that nobody publishes", planHosts("a.x.io", "zzz.x.io"), []string{"a.x.io"}, "zzz.x.io"},
		{"a wildcard over names that nobody publishes", planHosts("*.x.io"), []string{"a.x.io", "b.x.io", "c.x.io", "*.w.x.io"}, "(*.x.io)"},
		{"a published wildcard", planHosts("*.w.x.io"), []string{"*.w.x.io"}, ""},
		{"a name within a published wildcard", planHosts("q.w.x.io"), []string{"*.w.x.io"}, ""},
		{"no host condition", lawJSON([]any{map[string]any{"Field": "path-pattern", "Values": []string{"/api/*"}}}), []string{"a.x.io", "b.x.io", "c.x.io", "*.w.x.io"}, "no VirtualService publishes"},
		{"a regular expression", lawJSON([]any{map[string]any{"Field": "host-header", "HostHeaderConfig": map[string]any{"RegexValues": []string{"^a"}}}}), []string{"a.x.io", "b.x.io", "c.x.io", "*.w.x.io"}, "^a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newPlanWorld()
			arn := w.rule(10, test.conditions, planForward(w.old))
			s := w.join()
			p, err := model.NewPlan(s, model.Intent{Hosts: public(test.hosts...), To: model.New})
			if err != nil {
				t.Fatal(err)
			}
			g := gateOf(t, model.Gates(s, p, nil, lawTime), test.hosts[0], model.GateSharedRule)
			if test.blocks == "" {
				if len(p.Changes) != 1 || g.Verdict != model.Pass {
					t.Errorf("changes %v, gate %v", p.Changes, g)
				}
				return
			}
			if len(p.Changes) != 0 || g.Verdict != model.Block || !strings.Contains(g.Reason, test.blocks) || !strings.Contains(g.Reason, "--rule "+arn) {
				t.Errorf("changes %v, gate %v", p.Changes, g)
			}
			in, err := s.Select(model.Selection{Rule: arn}, model.New)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := model.NewPlan(s, in)
			if err != nil || len(whole.Changes) != 1 {
				t.Fatalf("whole: %v %v", whole.Changes, err)
			}
		})
	}
}

func TestPlanDefaultRule(t *testing.T) {
	w := newPlanWorld()
	def := &w.aws.LoadBalancers[0].Listeners[0].Rules[0]
	def.Actions = planForward(w.old)
	s := w.join()
	p, _ := model.NewPlan(s, model.Intent{Hosts: public("a.x.io", "b.x.io", "c.x.io", "*.w.x.io"), To: model.New})
	if len(p.Changes) != 0 {
		t.Fatalf("the default rule was moved for all published hosts: %v", p.Changes)
	}
	p, err := model.NewPlan(s, model.Intent{Hosts: public("a.x.io"), To: model.New, Rule: def.ARN})
	if err != nil || len(p.Changes) != 1 {
		t.Fatal(p, err)
	}
	c := p.Changes[0]
	if c.Op != model.OpModifyListener || c.Rule != "" || c.Before.Priority != "default" || strings.Join(c.AlsoServes, " ") != "*.w.x.io b.x.io c.x.io" {
		t.Errorf("change %+v", c)
	}
	if got := strings.Join(p.Warnings, "\n"); !strings.Contains(got, "also moves *.w.x.io, b.x.io, c.x.io") || !strings.Contains(got, "names that no VirtualService publishes") {
		t.Errorf("warnings %s", got)
	}
}

func TestPlanNLB(t *testing.T) {
	w := newPlanWorld()
	s := w.join()
	k, l := model.HostKey{Host: "k.x.io", Lane: "passthrough"}, model.HostKey{Host: "l.x.io", Lane: "passthrough"}
	_, err := model.NewPlan(s, model.Intent{Hosts: []model.HostKey{k}, To: model.New})
	if model.KindOf(err) != model.KindUsage || !strings.Contains(err.Error(), "missing are l.x.io") {
		t.Fatalf("one host of an NLB: %v", err)
	}
	p, err := model.NewPlan(s, model.Intent{Hosts: []model.HostKey{k, l}, To: model.New})
	if err != nil || len(p.Changes) != 2 {
		t.Fatal(p.Changes, err)
	}
	for i, label := range []string{"nlb:80", "nlb:443"} {
		if c := p.Changes[i]; c.Op != model.OpModifyListener || c.Label != label || len(c.Hosts) != 2 {
			t.Errorf("change %+v", c)
		}
	}
	for _, c := range p.Changes {
		if err := w.apply(c); err != nil {
			t.Fatal(err)
		}
	}
	if p, err = model.NewPlan(w.join(), model.Intent{Hosts: []model.HostKey{k}, To: model.New}); err != nil || len(p.Changes) != 0 {
		t.Errorf("what is there already is refused: %v %v", p.Changes, err)
	}
}

func TestPlanNLBListenerAlone(t *testing.T) {
	s := newPlanWorld().join()
	in, err := s.Select(model.Selection{Lane: "passthrough", Listener: lawARN("listener/net/nlb", "443")}, model.New)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.NewPlan(s, in)
	if err != nil || len(p.Changes) != 1 || strings.Join(p.Warnings, "\n") != "nlb:443: nlb:80 stays on old: it was not selected" {
		t.Error(p.Changes, p.Warnings, err)
	}
}

// A rule may forward to groups of two lanes. It moves only when each lane's
// share belongs to hosts of the intent in that lane.
func TestPlanRuleOfTwoLanes(t *testing.T) {
	w := newPlanWorld()
	w.addLane("team", 31000)
	w.publish("team", []string{"a.x.io", "b.x.io"}, true)
	team, _ := w.addPair("team", "https", "HTTPS", 31443, w.aws.LoadBalancers[0].ARN, false)
	w.rule(10, planHosts("a.x.io", "b.x.io"), planForward(w.old, 1, team, 1))
	s := w.join()
	hosts := []model.HostKey{{Host: "a.x.io", Lane: "public"}, {Host: "a.x.io", Lane: "team"}, {Host: "b.x.io", Lane: "public"}}
	p, _ := model.NewPlan(s, model.Intent{Hosts: hosts, To: model.New})
	if g := gateOf(t, model.Gates(s, p, nil, lawTime), "a.x.io", model.GateSharedRule); len(p.Changes) != 0 || !strings.Contains(g.Reason, "b.x.io (team)") {
		t.Error(p.Changes, g)
	}
	p, _ = model.NewPlan(s, model.Intent{Hosts: append(hosts, model.HostKey{Host: "b.x.io", Lane: "team"}), To: model.New})
	if len(p.Changes) != 1 || model.InWords(p.Changes[0].After.Actions) != "forward public-old-https 0, team-old-https 0, public-new-https 1, team-new-https 1" {
		t.Error(p.Changes)
	}
	p, _ = model.NewPlan(s, model.Intent{Hosts: public("a.x.io", "b.x.io"), To: model.New})
	if len(p.Changes) != 1 || model.InWords(p.Changes[0].After.Actions) != "forward public-old-https 0, team-old-https 1, public-new-https 1" {
		t.Error(p.Changes)
	}
}

// A free group that two load balancers want goes to the first alone.
func TestPlanGivesAGroupToOneLoadBalancer(t *testing.T) {
	w := newPlanWorld()
	w.rule(10, planHosts("a.x.io"), planForward(w.old))
	w.groupNamed("public-new-https").LoadBalancers = nil
	second := model.LoadBalancer{ARN: lawARN("loadbalancer/app", "second"), Name: "second", Type: model.Application, VPC: lawVPC}
	g := *w.groupNamed("public-old-https")
	g.ARN, g.Name, g.LoadBalancers = lawARN("targetgroup", "old-second"), "old-second", []string{second.ARN}
	w.aws.TargetGroups = append(w.aws.TargetGroups, g)
	l := model.Listener{ARN: lawARN("listener/app/second", "443"), Port: 443, Protocol: "HTTPS"}
	l.Rules = []model.Rule{
		{ARN: lawARN("listener-rule/app/second", "r1"), Listener: l.ARN, Priority: 1, Conditions: planHosts("a.x.io"), Actions: planForward(g.ARN)},
		{ARN: lawARN("listener-rule/app/second", "default"), Listener: l.ARN, Actions: `[{"Type":"fixed-response"}]`},
	}
	second.Listeners = []model.Listener{l}
	w.aws.LoadBalancers = append(w.aws.LoadBalancers, second)
	s := w.join()
	p, err := model.NewPlan(s, model.Intent{Hosts: public("a.x.io"), To: model.New})
	if err != nil || len(p.Changes) != 1 {
		t.Fatal(p.Changes, err)
	}
	if g := gateOf(t, model.Gates(s, p, nil, lawTime), "a.x.io", model.GateTargetGroup); g.Verdict != model.Block || !strings.Contains(g.Reason, "given to another load balancer") {
		t.Error(g)
	}
}

func TestPlanRefusesSides(t *testing.T) {
	if _, err := model.NewPlan(newPlanWorld().join(), model.Intent{To: "sideways"}); model.KindOf(err) != model.KindUsage {
		t.Error(err)
	}
}

// benchWorld has 1,000 hosts over 100 rules of an ALB.
func benchWorld() (*lawWorld, model.Intent) {
	w := newPlanWorld()
	in := model.Intent{To: model.New}
	for r := range 100 {
		var names []string
		for h := range 10 {
			names = append(names, fmt.Sprintf("h%03d-%d.bench.io", r, h))
		}
		w.publish("public", names, true)
		in.Hosts = append(in.Hosts, public(names...)...)
		w.rule(10+r, planHosts(names...), planForward(w.old))
	}
	return w.lawWorld, in
}

func BenchmarkNewPlan(b *testing.B) {
	w, in := benchWorld()
	s := w.join()
	for b.Loop() {
		p, err := model.NewPlan(s, in)
		if err != nil || len(p.Changes) != 100 {
			b.Fatal(len(p.Changes), err)
		}
	}
}

func BenchmarkHostGates(b *testing.B) {
	w, _ := benchWorld()
	s := w.join()
	for b.Loop() {
		if gates := model.HostGates(s, nil, lawTime); len(gates) < 9000 {
			b.Fatal(len(gates))
		}
	}
}

// All hosts are on one default rule, which names the others to each.
func BenchmarkHostGatesShared5000(b *testing.B) {
	w := newPlanWorld()
	var names []string
	for h := range 5000 {
		names = append(names, fmt.Sprintf("h%04d.bench.io", h))
	}
	w.publish("public", names[:4000], true)
	w.publish("passthrough", names[4000:], true)
	w.aws.LoadBalancers[0].Listeners[0].Rules[0].Actions = planForward(w.old)
	s := w.join()
	for b.Loop() {
		if gates := model.HostGates(s, nil, lawTime); len(gates) < 45000 {
			b.Fatal(len(gates))
		}
	}
}

func BenchmarkGates(b *testing.B) {
	w, in := benchWorld()
	s := w.join()
	p, _ := model.NewPlan(s, in)
	for b.Loop() {
		model.Gates(s, p, nil, lawTime)
	}
}
