package tui

import (
	"strings"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/model"
)

func TestActivityRecallsTheJournal(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	host := []model.HostKey{{Host: "argocd.bigbang.example", Lane: "public"}}
	change := &model.Change{Label: "alb:443 10\x1b[31m", Hosts: host}
	a := New(Config{Now: func() time.Time { return now }, Journal: []model.Entry{
		{Seq: 1, Time: now.Add(-26 * time.Hour), Kind: model.EntryIntent, Change: change, Hosts: host, To: model.New},
		{Seq: 2, Time: now.Add(-26 * time.Hour), Kind: model.EntryDone, Intent: 1, Hosts: host},
		{Seq: 3, Time: now.Add(-time.Minute), Kind: model.EntryNote, Proof: model.ProofProven, To: model.New, Hosts: host, Reason: "by access log"},
	}})
	var got []string
	for _, r := range activityRows(a.activities, a.now) {
		got = append(got, r.fields[0][0].text+" "+r.fields[1][0].text)
	}
	want := "11:59:00 argocd → new proven\nNov 21 argocd switched, alb:443 10 ok"
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}
