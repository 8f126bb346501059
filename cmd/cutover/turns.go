package main

import (
	"context"
	"slices"
	"sync"
)

// turns lets those take turns that want the same things.
type turns struct {
	mu    sync.Mutex
	taken map[string]bool
	freed chan struct{} // closed and replaced when something was freed
}

// take waits until all of names are free, or ctx ends; waiting is called before
// it waits.
func (t *turns) take(ctx context.Context, names []string, waiting func()) (release func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken == nil {
		t.taken, t.freed = map[string]bool{}, make(chan struct{})
	}
	for told := false; slices.ContainsFunc(names, func(n string) bool { return t.taken[n] }); told = true {
		freed := t.freed
		t.mu.Unlock()
		if !told {
			waiting()
		}
		select {
		case <-freed:
		case <-ctx.Done():
		}
		t.mu.Lock()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	for _, n := range names {
		t.taken[n] = true
	}
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, n := range names {
			delete(t.taken, n)
		}
		close(t.freed)
		t.freed = make(chan struct{})
	}), nil
}
