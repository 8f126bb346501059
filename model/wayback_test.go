package model_test

import (
	"strings"
	"testing"

	"github.com/istio-cutover/cutover/model"
)

// wayRecord is a record of a change of one rule, between two forwards.
func wayRecord(run, rule string, before, after model.JSON, back bool, hosts ...string) model.Record {
	to := model.New
	if back {
		to = model.Old
	}
	return model.Record{Run: run, To: to, WayBack: back, Change: model.Change{
		Op: model.OpModifyRule, Rule: rule, Label: rule, Hosts: public(hosts...),
		Before: model.RuleState{Actions: before}, After: model.RuleState{Actions: after},
	}}
}

func TestWayBackFolds(t *testing.T) {
	a, b, c := planForward("a"), planForward("a", 50, "b", 50), planForward("a", 0, "b", 100)
	records := []model.Record{
		wayRecord("1", "r1", a, b, false, "a.x.io"),
		wayRecord("1", "r2", a, c, false, "b.x.io", "c.x.io"),
		wayRecord("2", "r1", b, c, false, "a.x.io"),
	}
	tests := []struct {
		name    string
		records []model.Record
		keys    []model.HostKey
		want    string // rule:before>after …
		warns   string
	}{
		{"all", records, nil, "r1:c>a r2:c>a", ""},
		{"one host", records, public("a.x.io"), "r1:c>a", ""},
		{"one of two hosts on a rule", records, public("b.x.io"), "r2:c>a", "r2 was changed for more hosts: c.x.io go back with it"},
		{"a host without a record", records, public("z.x.io"), "", ""},
		{"no hosts", records, []model.HostKey{}, "", ""},
		{"the last run", model.WayBackOfRun(records, ""), nil, "r1:c>b", ""},
		{"the first run", model.WayBackOfRun(records, "1"), nil, "r2:c>a r1:b>a", ""},
		{"taken back already", append(records[:2:2], wayRecord("3", "r2", c, a, true, "b.x.io", "c.x.io")), nil, "r1:b>a", ""},
		{"the last run after one was taken back", model.WayBackOfRun(append(records[:3:3], wayRecord("3", "r1", c, b, true, "a.x.io")), ""), nil, "r2:c>a r1:b>a", ""},
		{"everything taken back", append(records[:3:3], wayRecord("3", "r1", c, a, true), wayRecord("3", "r2", c, a, true)), nil, "", ""},
		{"nothing", nil, nil, "", ""},
	}
	names := map[model.JSON]string{a: "a", b: "b", c: "c"}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := model.WayBack(nil, test.records, test.keys)
			if err != nil || !p.WayBack || p.Verdict != model.Pass {
				t.Fatal(p, err)
			}
			var got []string
			for _, c := range p.Changes {
				got = append(got, c.Rule+":"+names[c.Before.Actions]+">"+names[c.After.Actions])
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v, want %s", got, test.want)
			}
			if p.Intent.To != model.Old || strings.Join(p.Warnings, "\n") != test.warns {
				t.Errorf("to %s, warnings %q", p.Intent.To, p.Warnings)
			}
			if gates := model.Gates(nil, p, nil, lawTime); gates != nil {
				t.Errorf("gates %v", gates)
			}
		})
	}
}

func TestWayBackAgainstTheWorld(t *testing.T) {
	w := newPlanWorld()
	w.rule(10, planHosts("a.x.io"), planForward(w.old))
	s := w.join()
	p, err := model.NewPlan(s, model.Intent{Hosts: public("a.x.io"), To: model.New})
	if err != nil {
		t.Fatal(err)
	}
	records := recordsOf("1", p)
	back, _ := model.WayBack(s, records, nil)
	if len(back.Changes) != 0 || !strings.Contains(strings.Join(back.Warnings, ""), "unchanged") {
		t.Errorf("not applied: %v %q", back.Changes, back.Warnings)
	}
	if err := w.apply(p.Changes[0]); err != nil {
		t.Fatal(err)
	}
	// Somebody else's change is left for the run to find: before stays what was recorded.
	w.aws.LoadBalancers[0].Listeners[0].Rules[1].Actions = planForward(w.foreign)
	back, _ = model.WayBack(w.join(), records, nil)
	if len(back.Changes) != 1 || !model.SameMeaning(back.Changes[0].Before, p.Changes[0].After) || !model.SameMeaning(back.Changes[0].After, p.Changes[0].Before) {
		t.Errorf("drifted: %+v", back.Changes)
	}
	// The cluster is gone: rules are still known.
	w.cluster = model.Cluster{}
	back, _ = model.WayBack(w.join(), records, public("a.x.io"))
	if len(back.Changes) != 1 {
		t.Errorf("without a cluster: %+v", back.Changes)
	}
}

func TestWayBackOfBothDirections(t *testing.T) {
	a, c := planForward("a"), planForward("a", 0, "b", 100)
	one := wayRecord("1", "r1", a, c, false, "a.x.io")
	two := wayRecord("1", "r2", c, a, false, "b.x.io")
	two.To = model.Old
	if p, _ := model.WayBack(nil, []model.Record{one, two}, nil); p.Intent.To != model.Mixed {
		t.Errorf("to %s", p.Intent.To)
	}
	if p, _ := model.WayBack(nil, []model.Record{two}, nil); p.Intent.To != model.New {
		t.Errorf("to %s", p.Intent.To)
	}
}
