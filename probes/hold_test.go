package probes

import (
	"context"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// TestHold: of held hosts nothing is under way and nothing is sent, the others
// go on, and so do they afterwards, with what was known of them.
func TestHold(t *testing.T) {
	var c counter
	list := targets(2, 2)
	in(t, &c, Limits{Idle: time.Second, PerSecond: 200}, func(e *Engine) {
		sent := func(host string) (n int) {
			for _, target := range list {
				if target.Host.Host == host {
					n += c.count(target)
				}
			}
			return n
		}
		e.SetTargets(list)
		time.Sleep(5 * time.Second)
		held := []model.HostKey{list[0].Host}
		release, err := e.Hold(context.Background(), held)
		if err != nil {
			t.Fatal(err)
		}
		again, err := e.Hold(context.Background(), held)
		if err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		for target, times := range c.seen {
			if target.Host == held[0] && time.Since(times[len(times)-1]) < 5*time.Millisecond {
				t.Error("a probe is under way")
			}
		}
		c.mu.Unlock()
		before, others := sent("h0.example"), sent("h1.example")
		time.Sleep(5 * time.Second)
		release()
		release() // Once is enough.
		time.Sleep(5 * time.Second)
		if n := sent("h0.example") - before; n != 0 {
			t.Errorf("%d probes were sent of what is held", n)
		}
		if sent("h1.example") < others+30 {
			t.Error("the others were held, too")
		}
		if len(e.Evidence()[list[0]]) == 0 {
			t.Error("what was known is forgotten")
		}
		again()
		time.Sleep(3 * time.Second)
		if sent("h0.example") < before+8 {
			t.Error("it did not go on")
		}
	})
}

// TestHoldWaitsForWhatIsUnderWay, and no longer than it may.
func TestHoldWaitsForWhatIsUnderWay(t *testing.T) {
	var c counter
	target := targets(1, 1)[0]
	in(t, &c, Limits{}, func(e *Engine) {
		began := make(chan struct{}, 1)
		e.probe = func(_ context.Context, _ model.ProbeTarget) model.ProbeResult {
			began <- struct{}{}
			time.Sleep(3 * time.Second)
			return model.ProbeResult{}
		}
		target.Staged = true
		e.SetTargets([]model.ProbeTarget{target})
		<-began
		limited, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		release, err := e.Hold(limited, []model.HostKey{target.Host})
		release()
		if err == nil {
			t.Error("it did not wait")
		}
		at := time.Now()
		release, err = e.Hold(context.Background(), []model.HostKey{target.Host})
		if took := time.Since(at); err != nil || took != 2*time.Second {
			t.Errorf("%s, %v", took, err)
		}
		release()
	})
}
