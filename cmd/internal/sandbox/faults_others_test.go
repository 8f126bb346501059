package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/model"
)

// ruleNow is the first rule that names a host.
func (s *Sandbox) ruleNow(t *testing.T, host string) types.Rule {
	t.Helper()
	r, err := s.ruleOf(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	return r.rule
}

func (s *Sandbox) actionsOf(t *testing.T, host string) []types.Action {
	t.Helper()
	return s.ruleNow(t, host).Actions
}

func diff(a, b []types.Action) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(types.Action{}, types.ForwardActionConfig{}, types.TargetGroupTuple{},
		types.TargetGroupStickinessConfig{}, types.AuthenticateOidcActionConfig{}))
}

// TestSomebodyEditsARule: it is put back, except when somebody else has changed
// it again.
func TestSomebodyEditsARule(t *testing.T) {
	s := start(t, Options{})
	// One rule forwards, the other authenticates first.
	for _, host := range []string{firstHost, "kiali.bigbang.example"} {
		before := s.actionsOf(t, host)
		if _, err := s.Fault(t.Context(), "aws-drift", host); err != nil {
			t.Fatal(err)
		}
		during := s.actionsOf(t, host)
		if len(during) != len(before) || len(during[len(during)-1].ForwardConfig.TargetGroups) != 2 {
			t.Errorf("%s: %s", host, diff(before, during))
		}
		// Switched on anew it begins from what was there.
		if _, err := s.Fault(t.Context(), "aws-drift", host); err != nil {
			t.Fatal(err)
		}
		if f, err := s.FaultOff(t.Context(), "aws-drift"); err != nil || f.Note != "" {
			t.Errorf("%s: %q %v", host, f.Note, err)
		}
		if after := s.actionsOf(t, host); diff(before, after) != "" {
			t.Errorf("%s was not put back: %s", host, diff(before, after))
		}
	}
	if _, err := s.Fault(t.Context(), "aws-drift", ""); err != nil {
		t.Fatal(err)
	}
	r := s.ruleNow(t, firstHost)
	elsewhere := slices.Clone(r.Actions)
	elsewhere[0].ForwardConfig.TargetGroups[0].Weight = new(int32(70))
	if _, err := s.elb(t).ModifyRule(t.Context(), &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: elsewhere}); err != nil {
		t.Fatal(err)
	}
	now := s.actionsOf(t, firstHost)
	f, err := s.FaultOff(t.Context(), "aws-drift")
	if changed := diff(now, s.actionsOf(t, firstHost)); err != nil || !strings.Contains(f.Note, "left as it is") || changed != "" {
		t.Errorf("%q %v %s", f.Note, err, changed)
	}
	for _, host := range []string{"nobody.example", "keycloak.bigbang.example", "wiki.bigbang.example"} {
		if _, err := s.Fault(t.Context(), "aws-drift", host); model.KindOf(err) != model.KindUsage {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestSomebodysEditIsFoundAgain, although a rule for its host alone stands above
// the edited one now; and one that is gone is not missed.
func TestSomebodysEditIsFoundAgain(t *testing.T) {
	s := start(t, Options{})
	_, listener := s.balancer(t, "public-alb")
	r := s.ruleNow(t, firstHost)
	if _, err := s.Fault(t.Context(), "aws-drift", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AWS.Call(t.Context(), &elb.CreateRuleInput{
		ListenerArn: &listener, Priority: new(int32(1)), Actions: r.Actions, Conditions: conditions(rule{hosts: []string{firstHost}}),
	}); err != nil {
		t.Fatal(err)
	}
	if above := s.ruleNow(t, firstHost); *above.RuleArn == *r.RuleArn {
		t.Fatal("the rule that was made is not above the other")
	}
	f, err := s.FaultOff(t.Context(), "aws-drift")
	if err != nil || f.Note != "" {
		t.Errorf("%q %v", f.Note, err)
	}
	out, err := s.AWS.Call(t.Context(), &elb.DescribeRulesInput{RuleArns: []string{*r.RuleArn}})
	if err != nil {
		t.Fatal(err)
	}
	if changed := diff(r.Actions, out.(*elb.DescribeRulesOutput).Rules[0].Actions); changed != "" {
		t.Errorf("it was not put back: %s", changed)
	}

	// The upper one is what is edited next.
	if _, err := s.Fault(t.Context(), "aws-drift", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AWS.Call(t.Context(), &elb.DeleteRuleInput{RuleArn: s.ruleNow(t, firstHost).RuleArn}); err != nil {
		t.Fatal(err)
	}
	if f, err := s.FaultOff(t.Context(), "aws-drift"); err != nil || f.Note != "the rule is not there any more" {
		t.Errorf("%q %v", f.Note, err)
	}
}

// TestArgoCDTakesBack: whoever binds a host to the new gateway finds it taken back.
func TestArgoCDTakesBack(t *testing.T) {
	s := start(t, Options{})
	_, istio := s.kube(t)
	client := istio.NetworkingV1().VirtualServices("argocd")
	old := []string{"istio-system/public"}
	both := []string{"istio-system/public", "istio-gateway/public-ingressgateway"}
	before, err := client.Get(t.Context(), "argocd", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fault(t.Context(), "argocd-takes-back", ""); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		vs, err := client.Get(t.Context(), "argocd", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); !slices.Equal(vs.Spec.Gateways, old) && time.Now().Before(deadline); {
			if vs, err = client.Get(t.Context(), "argocd", metav1.GetOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(vs.Spec.Gateways, old) || vs.Labels[argoLabel] == "" || !strings.HasSuffix(vs.Annotations[argoAnnotation], "VirtualService:argocd/argocd") {
			t.Fatalf("%v %v %v", vs.Spec.Gateways, vs.Labels, vs.Annotations)
		}
		vs.Spec.Gateways = both
		if _, err := client.Update(t.Context(), vs, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.FaultOff(t.Context(), "argocd-takes-back"); err != nil {
		t.Fatal(err)
	}
	after, err := client.Get(t.Context(), "argocd", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(after.Spec.Gateways, both) || !cmp.Equal(after.Labels, before.Labels) || !cmp.Equal(after.Annotations, before.Annotations) {
		t.Errorf("%v %v %v", after.Spec.Gateways, after.Labels, after.Annotations)
	}
	after.Spec.Gateways = old[:1]
	if _, err := client.Update(t.Context(), after, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fault(t.Context(), "argocd-takes-back", "nobody.example"); model.KindOf(err) != model.KindUsage {
		t.Error(err)
	}
}
