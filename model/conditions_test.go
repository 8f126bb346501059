package model

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseConditions(t *testing.T) {
	for _, c := range []struct {
		name string
		json JSON
		want Conditions
	}{
		{"absent", "", Conditions{}},
		{"empty", "[]", Conditions{}},
		{
			"values in both places, once, in lower case",
			`[{"Field":"host-header","HostHeaderConfig":{"Values":["A.x","b.x"]},"Values":["a.X"]}]`,
			Conditions{Hosts: []HostCondition{{Values: []string{"a.x", "b.x"}}}},
		},
		{
			"regular expressions",
			`[{"Field":"host-header","HostHeaderConfig":{"RegexValues":["^A"]},"RegexValues":["^A"]}]`,
			Conditions{Hosts: []HostCondition{{Regex: []string{"^A"}}}},
		},
		{
			"others",
			`[{"Field":"path-pattern","PathPatternConfig":{"Values":["/p"]}},{"Field":"new-thing","NewThingConfig":{"A":[1]}}]`,
			Conditions{Others: []string{"path-pattern", "new-thing"}},
		},
	} {
		got, err := ParseConditions(c.json)
		if err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%s: %v %s", c.name, err, cmp.Diff(c.want, got))
		}
	}
	for _, bad := range []JSON{`{}`, `[1]`, `[{"Field":1}]`, `x`, `[{"Field":"host-header","Values":"a"}]`} {
		if _, err := ParseConditions(bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestForwards(t *testing.T) {
	for _, c := range []struct {
		name string
		json JSON
		want []Forward
	}{
		{"absent", "", nil},
		{"no forward", `[{"Type":"redirect","RedirectConfig":{}},{"Type":"what"}]`, nil},
		{"scalar", `[{"TargetGroupArn":"a","Type":"forward"}]`, []Forward{{Groups: []WeightedGroup{{"a", 1}}}}},
		{
			"both forms",
			`[{"ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a"}]},"TargetGroupArn":"a","Type":"forward"}]`,
			[]Forward{{Groups: []WeightedGroup{{"a", 1}}}},
		},
		{
			"behind authentication, weighted and sticky",
			`[{"Type":"authenticate-oidc"},{"Type":"forward","ForwardConfig":{"TargetGroupStickinessConfig":{"Enabled":true,"DurationSeconds":60},"TargetGroups":[{"TargetGroupArn":"a","Weight":0},{"TargetGroupArn":"b","Weight":100}]}}]`,
			[]Forward{{Index: 1, Groups: []WeightedGroup{{"a", 0}, {"b", 100}}, Sticky: true, StickySeconds: 60}},
		},
	} {
		got, err := Forwards(c.json)
		if err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%s: %v %s", c.name, err, cmp.Diff(c.want, got))
		}
	}
	for _, bad := range []JSON{`{}`, `[{"Type":"forward","ForwardConfig":[]}]`, `[{"Type":"forward","TargetGroupArn":1}]`} {
		if _, err := Forwards(bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func FuzzRuleJSON(f *testing.F) {
	f.Add(`[{"Field":"host-header","Values":["a"]}]`, `[{"Type":"forward","TargetGroupArn":"pub-old"}]`)
	f.Add(`[null]`, `[null,{"ForwardConfig":null}]`)
	f.Add(`null`, `[{"Type":"forward","ForwardConfig":{"TargetGroups":[null]}}]`)
	f.Fuzz(func(_ *testing.T, conditions, actions string) {
		w := newJoinWorld().vs("a/a", "a *.a.b b.a.b", joinBoth)
		w.rule(1, JSON(conditions), JSON(actions))
		s := w.join()
		Status(s, nil, nil)
		ProbeTargets(s, nil)
	})
}
