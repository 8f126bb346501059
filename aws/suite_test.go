package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/istio-cutover/cutover/aws/mototest"
	"github.com/istio-cutover/cutover/model"
)

// The same world is made and read on a simulator that is ours and on one that
// is not.
func TestObserveAndChange(t *testing.T) {
	t.Run("awssim", func(t *testing.T) {
		sim, endpoint := startSim(t)
		b := newBuilder(t, endpoint)
		b.certificate = sim.ImportCertificate(certificate(t))
		suite(t, endpoint, b)
	})
	t.Run("moto", func(t *testing.T) {
		endpoint := mototest.Start(t).URL
		b := newBuilder(t, endpoint)
		b.vpc, b.subnets = subnets(t, endpoint)
		suite(t, endpoint, b)
	})
}

func suite(t *testing.T, endpoint string, b *builder) {
	alb := b.balancer("public", types.LoadBalancerTypeEnumApplication)
	nlb := b.balancer("passthrough", types.LoadBalancerTypeEnumNetwork)
	old := b.group("public-old", types.ProtocolEnumHttp, 30080, "127.0.0.1", "127.0.0.2")
	fresh := b.group("public-new", types.ProtocolEnumHttp, 30081, "127.0.0.1")
	oldTCP := b.group("pass-old", types.ProtocolEnumTcp, 32443, "127.0.0.1")
	freshTCP := b.group("pass-new", types.ProtocolEnumTcp, 32444)
	must(b, b.client.ModifyTargetGroupAttributes, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: &oldTCP, Attributes: []types.TargetGroupAttribute{{Key: new("proxy_protocol_v2.enabled"), Value: new("true")}},
	})
	http := b.listener(alb, types.ProtocolEnumHttps, 443, fixed("404"))
	tcp := b.listener(nlb, types.ProtocolEnumTcp, 443, forward(oldTCP))
	rules := map[string]string{
		"plain":    b.rule(http, 10, []types.RuleCondition{host("app.example")}, forward(old)),
		"path":     b.rule(http, 20, []types.RuleCondition{host("api.example"), path("/v1/*")}, forward(old)),
		"weights":  b.rule(http, 30, []types.RuleCondition{host("w.example")}, weighted(old, 100, fresh, 0)),
		"oidc":     b.rule(http, 40, []types.RuleCondition{host("sso.example")}, oidc(), second(forward(old))),
		"redirect": b.rule(http, 50, []types.RuleCondition{host("old.example")}, redirect()),
	}
	for i := range 30 { // With these, tags take more than one call.
		b.rule(http, 100+i, []types.RuleCondition{host(fmt.Sprintf("h%d.example", i))}, forward(old))
	}
	c := clientFor(t, endpoint, Options{})
	w := c.Observe(t.Context())

	t.Run("observe", func(t *testing.T) {
		if len(w.Problems) > 0 {
			t.Fatalf("problems: %+v", w.Problems)
		}
		if w.Account.Account == "" || !strings.HasPrefix(w.Account.ARN, "arn:") || w.Account.Region != "us-east-1" || w.Account.Endpoint != endpoint || w.Account != c.Account() {
			t.Errorf("account is %+v", w.Account)
		}
		if len(w.LoadBalancers) != 2 || len(w.TargetGroups) != 4 || w.ObservedAt.IsZero() {
			t.Fatalf("%d load balancers, %d groups, observed at %s", len(w.LoadBalancers), len(w.TargetGroups), w.ObservedAt)
		}
		observed := map[string]model.LoadBalancer{}
		for _, lb := range w.LoadBalancers {
			observed[lb.ARN] = lb
			if lb.Tags["made-for"] != lb.Name || lb.DNSName == "" {
				t.Errorf("load balancer %+v", lb)
			}
		}
		list := observed[alb].Listeners[0].Rules
		if n := len(list); n != 36 || !list[n-1].IsDefault() || list[0].Priority != 10 {
			t.Fatalf("%d rules, first %+v, last %+v", n, list[0], list[n-1])
		}
		for _, r := range list[:35] {
			if r.Tags["priority"] != fmt.Sprint(r.Priority) || r.Listener != http {
				t.Errorf("rule %+v", r)
			}
		}
		pass := observed[nlb].Listeners[0]
		if pass.ARN != tcp || pass.Protocol != "TCP" || len(pass.Rules) != 1 || pass.Rules[0].ARN != tcp || !strings.Contains(string(pass.Rules[0].Actions), oldTCP) {
			t.Errorf("listener of the network load balancer: %+v", pass)
		}
		for _, g := range w.TargetGroups {
			want := map[string]int{old: 2, fresh: 1, oldTCP: 1, freshTCP: 0}[g.ARN]
			if len(g.Targets) != want || g.Tags["made-for"] != g.Name || g.ProxyV2 != (g.ARN == oldTCP) {
				t.Errorf("group %+v", g)
			}
			for _, target := range g.Targets {
				if target.State == "" || target.Port != g.Port {
					t.Errorf("target of %s: %+v", g.Name, target)
				}
			}
		}
		if !slices.IsSortedFunc(w.TargetGroups, func(a, b model.TargetGroup) int { return strings.Compare(a.ARN, b.ARN) }) {
			t.Error("target groups are not sorted by ARN")
		}
		if strings.Contains(fmt.Sprint(w), "hush-hush") {
			t.Error("the client secret was kept")
		}
	})
	t.Run("every change and its inverse", func(t *testing.T) {
		for name, arn := range rules {
			t.Run(name, func(t *testing.T) {
				ref := model.Ref{Op: model.OpModifyRule, Listener: http, Rule: arn}
				roundTrip(t, c, ref, ruleWith(t, w, arn), old, fresh)
			})
		}
		t.Run("default of an ALB", func(t *testing.T) {
			r := w.LoadBalancers[slices.IndexFunc(w.LoadBalancers, func(lb model.LoadBalancer) bool { return lb.ARN == alb })].Listeners[0].Rules[35]
			roundTrip(t, c, model.Ref{Op: model.OpModifyListener, Listener: http}, r, old, fresh)
		})
		t.Run("listener of an NLB", func(t *testing.T) {
			roundTrip(t, c, model.Ref{Op: model.OpModifyListener, Listener: tcp}, ruleWith(t, w, tcp), oldTCP, freshTCP)
		})
	})
	t.Run("weights of zero are sent", func(t *testing.T) {
		change := model.Change{Op: model.OpModifyRule, Listener: http, Rule: rules["weights"]}
		before := readState(t, c, change.Ref())
		change.After = before.Clone()
		change.After.Actions = model.JSON(strings.NewReplacer(`"Weight":100`, `"Weight":0`, `"Weight":0`, `"Weight":100`).Replace(string(before.Actions)))
		if change.After.Actions == before.Actions {
			t.Fatalf("no weights in %s", before.Actions)
		}
		write(t, c, change)
		if now := readState(t, c, change.Ref()); !model.SameMeaning(now, change.After) || !strings.Contains(string(now.Actions), `"Weight":0`) {
			t.Errorf("got %s, want %s", now.Actions, change.After.Actions)
		}
	})
	t.Run("what is gone", func(t *testing.T) {
		gone := rules["plain"]
		must(b, b.client.DeleteRule, &elb.DeleteRuleInput{RuleArn: &gone})
		_, err := c.Read(t.Context(), model.Ref{Op: model.OpModifyRule, Listener: http, Rule: gone})
		var e *model.Error
		if !errors.As(err, &e) || e.Kind != model.KindNotFound || e.Operation != "DescribeRules" || e.Object != gone {
			t.Errorf("Read: %+v", err)
		}
		err = c.Write(t.Context(), model.Change{Op: model.OpModifyRule, Listener: http, Rule: gone, After: model.RuleState{Actions: ruleWith(t, w, gone).Actions}})
		if model.KindOf(err) != model.KindNotFound {
			t.Errorf("Write: %v", err)
		}
		if w := c.Observe(t.Context()); len(w.Problems) > 0 {
			t.Errorf("problems: %+v", w.Problems)
		}
	})
}

func second(a types.Action) types.Action {
	a.Order = new(int32(2))
	return a
}

// roundTrip reads, moves from one group to the other, moves back, and finds
// what it found at first.
func roundTrip(t *testing.T, c *Client, ref model.Ref, observed model.Rule, from, to string) {
	before := readState(t, c, ref)
	if before.Actions != observed.Actions || before.Conditions != observed.Conditions {
		t.Errorf("read %+v, observed %+v", before, observed)
	}
	change := model.Change{Op: ref.Op, Listener: ref.Listener, Rule: ref.Rule, Before: before, After: before.Clone()}

	change.After.Actions = model.JSON(strings.NewReplacer(from, to, to, from).Replace(string(before.Actions)))
	write(t, c, change)
	now := readState(t, c, ref)
	if !model.SameMeaning(now, change.After) {
		t.Errorf("after the change: %s", model.Difference(change.After, now))
	}
	write(t, c, change.Inverse())
	if now := readState(t, c, ref); !model.SameMeaning(now, before) {
		t.Errorf("after its inverse: %s", model.Difference(before, now))
	}
}

func readState(t *testing.T, c *Client, ref model.Ref) model.RuleState {
	t.Helper()
	state, err := c.Read(t.Context(), ref)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return state
}

func write(t *testing.T, c *Client, change model.Change) {
	t.Helper()
	if err := c.Write(t.Context(), change); err != nil {
		t.Fatalf("Write: %v", err)
	}
}
