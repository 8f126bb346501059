package model_test

import (
	"strings"
	"testing"

	"github.com/istio-cutover/cutover/model"
)

func TestSameMeaning(t *testing.T) {
	actions := func(s string) model.RuleState { return model.RuleState{Actions: canonical(t, s)} }
	conditions := func(s string) model.RuleState { return model.RuleState{Conditions: canonical(t, s)} }
	tests := []struct {
		name string
		a, b model.RuleState
		same bool
	}{
		{"scalar and config", actions(`[{"Type":"forward","TargetGroupArn":"a"}]`), actions(`[{"Type":"forward","Order":1,"TargetGroupArn":"a","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a","Weight":1}],"TargetGroupStickinessConfig":{"Enabled":false}}}]`), true},
		{"another group", actions(`[{"Type":"forward","TargetGroupArn":"a"}]`), actions(`[{"Type":"forward","TargetGroupArn":"b"}]`), false},
		{"lone weight", actions(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a","Weight":5}]}}]`), actions(`[{"Type":"forward","TargetGroupArn":"a"}]`), true},
		{"order of groups", actions(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a","Weight":0},{"TargetGroupArn":"b","Weight":1}]}}]`), actions(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"b"},{"TargetGroupArn":"a","Weight":0}]}}]`), true},
		{"weights", actions(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a","Weight":0},{"TargetGroupArn":"b","Weight":1}]}}]`), actions(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a","Weight":1},{"TargetGroupArn":"b","Weight":1}]}}]`), false},
		{"warm group", actions(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a","Weight":0},{"TargetGroupArn":"b","Weight":1}]}}]`), actions(`[{"Type":"forward","TargetGroupArn":"b"}]`), false},
		{"stickiness", actions(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a"}],"TargetGroupStickinessConfig":{"Enabled":true,"DurationSeconds":9}}}]`), actions(`[{"Type":"forward","TargetGroupArn":"a"}]`), false},
		{"gaps in Order", actions(`[{"Type":"x","Order":1},{"Type":"forward","Order":2,"TargetGroupArn":"a"}]`), actions(`[{"Type":"forward","Order":50000,"TargetGroupArn":"a"},{"Type":"x","Order":7}]`), true},
		{"sequence", actions(`[{"Type":"x","Order":1},{"Type":"y","Order":2}]`), actions(`[{"Type":"y","Order":1},{"Type":"x","Order":2}]`), false},
		{"oidc secret", actions(`[{"Type":"authenticate-oidc","AuthenticateOidcConfig":{"ClientId":"c","ClientSecret":"s"}}]`), actions(`[{"Type":"authenticate-oidc","AuthenticateOidcConfig":{"ClientId":"c","UseExistingClientSecret":true}}]`), true},
		{"oidc client", actions(`[{"Type":"authenticate-oidc","AuthenticateOidcConfig":{"ClientId":"c"}}]`), actions(`[{"Type":"authenticate-oidc","AuthenticateOidcConfig":{"ClientId":"d"}}]`), false},
		{"null and empty", actions(`[{"Type":"redirect","RedirectConfig":{"Host":"h","Path":null,"Query":""}}]`), actions(`[{"Type":"redirect","RedirectConfig":{"Host":"h"},"ForwardConfig":{}}]`), true},
		{"unknown action", actions(`[{"Type":"jwt-validation","JwtValidationConfig":{"Issuer":"a"}}]`), actions(`[{"Type":"jwt-validation","JwtValidationConfig":{"Issuer":"b"}}]`), false},
		{"legacy values", conditions(`[{"Field":"host-header","Values":["A.io","b.io"]}]`), conditions(`[{"Field":"host-header","HostHeaderConfig":{"Values":["b.io","a.io"]},"Values":["A.io","b.io"]}]`), true},
		{"order of conditions", conditions(`[{"Field":"host-header","Values":["a"]},{"Field":"path-pattern","Values":["/x"]}]`), conditions(`[{"Field":"path-pattern","PathPatternConfig":{"Values":["/x"]}},{"Field":"host-header","Values":["a"]}]`), true},
		{"case of paths", conditions(`[{"Field":"path-pattern","Values":["/x"]}]`), conditions(`[{"Field":"path-pattern","Values":["/X"]}]`), false},
		{"query strings", conditions(`[{"Field":"query-string","QueryStringConfig":{"Values":[{"Key":"a","Value":"1"},{"Key":"b","Value":"2"}]}}]`), conditions(`[{"Field":"query-string","QueryStringConfig":{"Values":[{"Key":"b","Value":"2"},{"Key":"a","Value":"1"}]}}]`), true},
		{"no conditions", conditions(`[]`), model.RuleState{}, true},
		{"regex", conditions(`[{"Field":"host-header","RegexValues":["a"]}]`), conditions(`[{"Field":"host-header","Values":["a"]}]`), false},
		{"priority unknown", model.RuleState{Priority: "1"}, model.RuleState{}, true},
		{"priority", model.RuleState{Priority: "1"}, model.RuleState{Priority: "2"}, false},
		{"tags", model.RuleState{Tags: map[string]string{"a": "b"}}, model.RuleState{}, true},
		{"transforms", model.RuleState{Transforms: `[{"Type":"url-rewrite"}]`}, model.RuleState{}, false},
		{"not a list", model.RuleState{Actions: `{"a":1}`}, model.RuleState{Actions: `{"a":2}`}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, pair := range [][2]model.RuleState{{test.a, test.b}, {test.b, test.a}} {
				if got := model.SameMeaning(pair[0], pair[1]); got != test.same {
					t.Errorf("SameMeaning = %v", got)
				}
				if got := model.Difference(pair[0], pair[1]); (got == "") != test.same {
					t.Errorf("Difference = %q", got)
				}
			}
		})
	}
}

func canonical(t *testing.T, s string) model.JSON {
	t.Helper()
	j, err := model.Canonical([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestDifferenceInWords(t *testing.T) {
	a := model.RuleState{Priority: "10", Actions: planForward(lawARN("targetgroup", "old"))}
	b := model.RuleState{Priority: "11", Actions: `[{"FixedResponseConfig":{"StatusCode":"503"},"Type":"fixed-response"}]`}
	want := "it does fixed-response 503 instead of forward old; its priority is 11 instead of 10"
	if got := model.Difference(a, b); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSettle(t *testing.T) {
	c := model.Change{Before: model.RuleState{Actions: planForward("a")}, After: model.RuleState{Actions: planForward("a", 0, "b", 100)}}
	for now, want := range map[model.JSON]model.Settlement{
		planForward("a"): model.SettledNotApplied, planForward("b", 100, "a", 0): model.SettledApplied, planForward("c"): model.SettledDrifted,
	} {
		if got := model.Settle(c, model.RuleState{Actions: now}); got != want {
			t.Errorf("%s: %s, want %s", now, got, want)
		}
	}
}

func TestInWords(t *testing.T) {
	for actions, want := range map[model.JSON]string{
		"":     "nothing",
		"[]":   "nothing",
		`{}`:   "actions that cannot be read",
		`[{}]`: "an action without type",
		`[{"RedirectConfig":{"Protocol":"HTTPS"},"Type":"redirect"}]`:            "redirect to https",
		`[{"TargetGroupArn":"a\u001b[31mb","Type":"forward"}]`:                   "forward ab",
		`[{"Type":"authenticate-oidc"},{"TargetGroupArn":"a","Type":"forward"}]`: "authenticate-oidc, then forward a",
	} {
		if got := model.InWords(actions); got != want {
			t.Errorf("%s: %q, want %q", actions, got, want)
		}
	}
}

func FuzzSameMeaning(f *testing.F) {
	f.Add(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a"},null]}}]`, `[{"Field":"host-header","Values":[1]}]`)
	f.Add(`[null]`, `[{"Field":"path-pattern","PathPatternConfig":[]}]`)
	f.Fuzz(func(t *testing.T, actions, conditions string) {
		s := model.RuleState{Actions: model.JSON(actions), Conditions: model.JSON(conditions)}
		o := s
		o.Actions = model.WritableActions(o.Actions)
		if strings.Contains(model.InWords(s.Actions)+model.Difference(s, o), "\x1b") {
			t.Error("an escape sequence came through")
		}
		if !model.SameMeaning(s, s) {
			t.Error("it is not the same as itself")
		}
	})
}
