package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
	"github.com/istio-cutover/cutover/probes"
)

// unwatched is a live world that nobody watches.
func unwatched() *live {
	return &live{wired: &wired{}, engine: probes.NewEngine(nil, probes.Limits{}, nil), changed: make(chan struct{})}
}

// answered is a request that a side has answered, "" for nobody knows.
func answered(side model.SideName) asked {
	return asked{side: side, result: model.ProbeResult{Status: 200, Backend: true, Envoy: true}}
}

// scripted is a method whose rounds show one request each, and fail with err
// where no side is seen; after them new answers everything.
func scripted(rounds *int, err error, sides ...model.SideName) *proofMethod {
	return &proofMethod{name: "access log", round: func(context.Context, model.ProbeTarget, int) ([]asked, error) {
		*rounds++
		if *rounds > len(sides) {
			return []asked{answered(model.New)}, nil
		}
		side := sides[*rounds-1]
		if side == "" {
			return []asked{answered("")}, err
		}
		return []asked{answered(side)}, nil
	}}
}

// TestWhatWasNotSeenBreaksTheRow: requests are in a row only when each of them
// was seen, whether or not it is known why one was not.
func TestWhatWasNotSeenBreaksTheRow(t *testing.T) {
	for _, err := range []error{nil, errors.New("the access log cannot be read")} {
		synctest.Test(t, func(t *testing.T) {
			rounds := 0
			var said []run.Proving
			got := unwatched().proveEntrance(t.Context(), entrance{}, model.New, scripted(&rounds, err, "new", "new", ""), func(p run.Proving) {
				said = append(said, p)
			})
			if got.Proof != model.ProofProven || rounds != 3+model.K {
				t.Errorf("%v: %+v after %d rounds: %+v", err, got, rounds, said)
			}
			why := "a request was answered, but not seen on either side"
			if err != nil {
				why = err.Error()
			}
			if want := (run.Proving{Proof: model.ProofUnproven, By: "access log", Why: why}); len(said) < 3 || said[2] != want {
				t.Errorf("%+v, want %+v third", said, want)
			}
		})
	}
}

// TestWhatEndedTheTime: who has waited for another proof until time was over
// says that, and not that time was over.
func TestWhatEndedTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		l := unwatched()
		waits := &proofMethod{name: "request counters", round: func(ctx context.Context, _ model.ProbeTarget, _ int) ([]asked, error) {
			<-ctx.Done()
			return nil, errTurn
		}}
		got := l.proveEntrance(ctx, entrance{}, model.New, waits, func(run.Proving) {})
		if want := (run.Proving{Proof: model.ProofUnproven, By: "request counters", Why: errTurn.Error()}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got := l.prove(ctx, run.Move{To: model.New}, nil); got != notProven("the time for proof was over before its turn came") {
			t.Error(got)
		}
	})
}

// TestCertificateWhereOthersAreCounted: what counters cannot tell from others'
// requests, differing certificates do; no other failure is passed over.
func TestCertificateWhereOthersAreCounted(t *testing.T) {
	shown := certificates{"aa": model.Old, "bb": model.New}
	presented := func(sha string) asked {
		a := answered("")
		a.result.TLS = &model.ProbeTLS{SHA256: sha}
		return a
	}
	for _, test := range []struct {
		sha  string
		err  error
		side model.SideName
		fine bool
	}{
		{"bb", errOthers{"old counts requests too"}, model.New, true},
		{"aa", errOthers{"old counts requests too"}, model.Old, true},
		{"cc", errOthers{"old counts requests too"}, "", true},
		{"bb", errors.New("the counters cannot be read"), "", false},
	} {
		counters := &proofMethod{name: "request counters", round: func(context.Context, model.ProbeTarget, int) ([]asked, error) {
			return []asked{presented(test.sha)}, test.err
		}}
		round, err := counters.or(shown).round(t.Context(), model.ProbeTarget{}, 1)
		if round[0].side != test.side || (err == nil) != test.fine {
			t.Errorf("%s, %v: on %q, %v", test.sha, test.err, round[0].side, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		counters := &proofMethod{name: "request counters", round: func(_ context.Context, _ model.ProbeTarget, n int) ([]asked, error) {
			return slices.Repeat([]asked{presented("bb")}, n), errOthers{"old counts requests too"}
		}}
		method := counters.or(shown)
		got := unwatched().proveEntrance(t.Context(), entrance{}, model.New, method, func(run.Proving) {})
		if got.Proof != model.ProofProven || method.name != "certificate" {
			t.Errorf("%v by %s", got, method.name)
		}
	})
}
