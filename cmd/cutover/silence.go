package main

import (
	"sync"
	"time"
)

const (
	// silentFor is how long counters are waited for that cannot be read while the
	// Kubernetes API answers: a pod may be starting, a filter stays.
	silentFor = 20 * time.Second
	// silentYet is for how long what could not be read is taken to be so still.
	silentYet = time.Minute
)

// silences are the lanes whose gateways' counters could not be read of late: the
// hosts of a lane wait for them together, and not one after the other. The zero
// value is ready for use, by several at once.
type silences struct {
	mu sync.Mutex
	of map[string]silence
}

type silence struct {
	began, last time.Time
	why         string
}

// note notes that a lane's counters could not be read, asked at a time.
func (s *silences) note(lane string, asked time.Time, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]silence{}
	}
	now := time.Now()
	known, ok := s.of[lane]
	if !ok || now.Sub(known.last) > silentYet {
		known.began = asked
	}
	known.last, known.why = now, why
	s.of[lane] = known
}

// over notes that a lane's counters could be read.
func (s *silences) over(lane string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, lane)
}

// lasting returns why a lane's counters are not waited for any longer, "" while
// they are.
func (s *silences) lasting(lane string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.of[lane]
	if known.last.Sub(known.began) < silentFor || time.Since(known.last) > silentYet {
		return ""
	}
	return known.why
}
