package aws

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// account is AWS's own bucket, which must never be empty because of us.
type account struct {
	tokens  float64
	at      time.Time
	refused int
}

func (a *account) take() {
	const burst, gain = 40, 10
	a.tokens = min(burst, a.tokens+gain*time.Since(a.at).Seconds())
	a.at = time.Now()
	if a.tokens < 1 {
		a.refused++
		return
	}
	a.tokens--
}

func TestPacerStaysBelowTheAccountsBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := newPacer(), &account{tokens: 40, at: time.Now()}
		began := time.Now()
		for i := range 500 {
			u := urgent
			if i%3 == 0 {
				u = periodic
			}
			if err := p.wait(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			a.take()
		}
		if a.refused > 0 {
			t.Errorf("%d calls of 500 would have been throttled", a.refused)
		}
		if took := time.Since(began); took > 60*time.Second {
			t.Errorf("500 calls took %s", took)
		}
	})
}

func TestPacerLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		for range 100 {
			if err := p.wait(t.Context(), periodic); err != nil {
				t.Fatal(err)
			}
		}
		// However long refreshes go on, a read around a write does not wait.
		began := time.Now()
		for range 10 {
			if err := p.wait(t.Context(), urgent); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("an urgent call waited %s", took)
		}
	})
}

func TestPacerEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		for range refreshBurst {
			if err := p.wait(t.Context(), periodic); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.wait(ctx, periodic); !errors.Is(err, errNoToken) {
			t.Errorf("with too little time: %v", err)
		}
		canceled, stop := context.WithCancel(t.Context())
		stop()
		if err := p.wait(canceled, periodic); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}
