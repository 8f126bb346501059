package main

import (
	"context"
	"testing"

	"github.com/istio-cutover/cutover/model"
)

// TestPodsThatDoNotAnswer: a pod of the other side that may still serve must be
// read, ready or not; one that is gone, has no process or is on the wanted side
// need not.
func TestPodsThatDoNotAnswer(t *testing.T) {
	ready := model.Pod{Name: model.ObjectName{Name: "ready"}, Ready: true, IP: "10.0.0.1"}
	other := func(change func(*model.Pod)) []model.Pod {
		p := model.Pod{Name: model.ObjectName{Name: "other"}, IP: "10.0.0.2"}
		change(&p)
		return []model.Pod{ready, p}
	}
	same := func(*model.Pod) {}
	for name, test := range map[string]struct {
		pods []model.Pod
		all  bool
		kind model.Kind // of what asking the other pod fails with
		want model.Kind
		read int
	}{
		"all answer":         {other(same), true, "", "", 2},
		"it does not answer": {other(same), true, model.KindUnreachable, model.KindUnreachable, 0},
		"it is denied":       {other(same), true, model.KindAccess, model.KindAccess, 0},
		"it is gone":         {other(same), true, model.KindNotFound, "", 1},
		"the wanted side":    {other(same), false, model.KindUnreachable, "", 1},
		"it has ended":       {other(func(p *model.Pod) { p.Ended = true }), true, model.KindUnreachable, "", 1},
		"it has no address":  {other(func(p *model.Pod) { p.IP = "" }), true, model.KindUnreachable, "", 1},
		"a ready one":        {other(func(p *model.Pod) { p.Ready = true }), false, model.KindNotFound, model.KindNotFound, 0},
	} {
		t.Run(name, func(t *testing.T) {
			counters := func(_ context.Context, pods []model.ObjectName) (model.Counters, error) {
				read := model.Counters{}
				var err error
				for _, p := range pods {
					if p.Name == "other" && test.kind != "" {
						err = &model.Error{Kind: test.kind}
					} else {
						read[p] = model.PodCounters{}
					}
				}
				return read, err
			}
			read, err := readSide(t.Context(), test.pods, test.all, counters)
			if model.KindOf(err) != test.want || len(read) != test.read {
				t.Errorf("%v, %v", read, err)
			}
		})
	}
}
