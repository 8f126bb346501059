package tui

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

func TestActivityRecallsTheJournal(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	host := []model.HostKey{{Host: "argocd.bigbang.example", Lane: "public"}}
	change := &model.Change{Label: "alb:443 10\x1b[31m", Hosts: host}
	entries := []model.Entry{
		{Seq: 1, Time: now.Add(-26 * time.Hour), Kind: model.EntryIntent, Change: change, Hosts: host, To: model.New},
		{Seq: 2, Time: now.Add(-26 * time.Hour), Kind: model.EntryDone, Intent: 1, Hosts: host},
		{Seq: 3, Time: now.Add(-time.Minute), Kind: model.EntryNote, Proof: model.ProofProven, To: model.New, Hosts: host, Reason: "by access log"},
	}
	a := New(Config{Now: func() time.Time { return now }, Notices: []string{"left"}})
	world := World{Snapshot: model.Join(model.Cluster{}, model.AWS{}, model.Config{}), Journal: entries}
	a.Update(worldArrived{world: world, open: false})
	world.Journal = append(entries, model.Entry{Seq: 4, Time: now, Kind: model.EntryNote, Run: "other", Proof: model.ProofUnconfirmed, To: model.New, Hosts: host})
	a.Update(worldArrived{world: world, open: false})
	var got []string
	for _, r := range activityRows(a.activities, a.now) {
		got = append(got, r.fields[0][0].text+" "+r.fields[1][0].text)
	}
	want := "12:00:00 argocd → new unconfirmed\n12:00:00 0 hosts, 0 lanes observed\n12:00:00 left\n" +
		"11:59:00 argocd → new proven\nNov 21 argocd switched, alb:443 10"
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

// TestActivityTellsWhatOthersDo delivers worlds in which somebody else, another
// cutover and this console have changed rules.
func TestActivityTellsWhatOthersDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepRun()
		d := live(t, 120, 40, Config{Run: s.run})
		d.press("7")

		m := standardWorld()
		m.actions["gitlab"] = weighted(30)
		d.deliver(mustWorld(t, m))
		d.sees("alb:443 20 changed by some")
		d.press("enter")
		d.sees("it does forward public-old-https 70, public-new-https 30 instead of forward public-old-https")
		d.press("esc")

		moved := on(t, "vault") // Somebody else's change is put back, too.
		c := moved.Records[0].Change
		moved.Journal = []model.Entry{
			{Seq: 1, Time: testNow(), Kind: model.EntryIntent, Run: "theirs", Change: &c, Hosts: c.Hosts, To: model.New},
			{Seq: 2, Time: testNow(), Kind: model.EntryDone, Run: "theirs", Intent: 1, Hosts: c.Hosts, Operator: model.Operator{Kube: "alice"}},
		}
		d.deliver(moved)
		d.sees("vault switched, alb:443 160")
		d.lacks("alb:443 160 changed")
		d.press("j enter")
		d.sees("recorded by alice")
		d.press("esc 5 t y 7")

		ours := s.plan.Changes[0]
		s.verify(d)
		after := on(t, "vault", "argocd")
		after.Records = moved.Records
		after.Journal = append(moved.Journal,
			model.Entry{Seq: 3, Time: testNow(), Kind: model.EntryIntent, Run: "ours", Change: &ours, Hosts: ours.Hosts, To: model.New},
			model.Entry{Seq: 4, Time: testNow(), Kind: model.EntryDone, Run: "ours", Intent: 3, Hosts: ours.Hosts})
		d.deliver(after)
		s.finish(d, run.Result{Run: "ours", Outcome: run.OutcomeApplied})
		d.deliver(after)
		d.lacks("alb:443 10 changed")
		if n := strings.Count(d.screen(), "argocd switched"); n != 1 {
			t.Errorf("told %d times:\n%s", n, d.screen())
		}
	})
}
