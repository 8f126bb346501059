package probes

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// heldFor is after how long it is looked again whether a target is still held.
const heldFor = 100 * time.Millisecond

// Hold keeps probes of these hosts from being sent until release, for somebody
// who counts what else is. It returns when those under way have ended, or ctx
// has; their results and schedules stay. Several may hold the same hosts.
func (e *Engine) Hold(ctx context.Context, hosts []model.HostKey) (release func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range hosts {
		e.held[h]++
	}
	release = sync.OnceFunc(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, h := range hosts {
			if e.held[h]--; e.held[h] == 0 {
				delete(e.held, h)
			}
		}
	})
	for slices.ContainsFunc(hosts, func(h model.HostKey) bool { return e.flying[h] > 0 }) {
		landed := e.landed
		e.mu.Unlock()
		select {
		case <-landed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		e.mu.Lock()
		if err != nil {
			return release, err
		}
	}
	return release, nil
}

// land notes that a probe has ended. It is called with the lock held.
func (e *Engine) land(h model.HostKey) {
	if e.flying[h]--; e.flying[h] == 0 {
		delete(e.flying, h)
	}
	close(e.landed)
	e.landed = make(chan struct{})
}
