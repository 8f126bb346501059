package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestSilence: what cannot be read is waited for once for all hosts of a lane, and
// anew after it was read or nobody has asked for long.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s silences
		fails := func(took time.Duration) {
			asked := time.Now()
			time.Sleep(took)
			s.note("public", asked, "it does not answer")
		}
		expect := func(what, want string) {
			t.Helper()
			if got := s.lasting("public"); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
			if got := s.lasting("other"); got != "" {
				t.Errorf("%s: another lane: %q", what, got)
			}
		}
		expect("never asked", "")
		fails(10 * time.Second)
		expect("one try", "")
		time.Sleep(3 * time.Second)
		fails(10 * time.Second)
		expect("long enough", "it does not answer")
		time.Sleep(silentYet)
		expect("the next host", "it does not answer")
		time.Sleep(time.Second)
		expect("long ago", "")
		fails(time.Second)
		expect("a run later on", "")
		fails(silentFor)
		expect("again", "it does not answer")
		s.over("public")
		expect("it was read", "")
		fails(time.Second)
		expect("the first after that", "")
	})
}
