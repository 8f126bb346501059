package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns: who wants what is taken says so once, and waits until it is free or
// time is over.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		waited := 0
		take := func(limit time.Duration, names ...string) (func(), error) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			return turns.take(ctx, names, func() { waited++ })
		}
		first, err := take(time.Second, "a", "b")
		if err != nil || waited != 0 {
			t.Fatal(waited, err)
		}
		if _, err := take(time.Second, "c", "b"); err == nil || waited != 1 {
			t.Fatalf("a turn that was taken: %v, said %d times", err, waited)
		}
		other, err := take(time.Second, "c")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, other)
		time.AfterFunc(2*time.Second, first)
		if _, err := take(3*time.Second, "c", "b"); err != nil || waited != 2 {
			t.Errorf("a turn that came: %v, said %d times", err, waited)
		}
	})
}
