package awssim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// The calls that a Fault is for, other than those of one operation.
const (
	AllCalls   = "all"
	ReadCalls  = "reads"
	WriteCalls = "writes"
)

// FaultKind is what goes wrong with a call.
type FaultKind int

// The faults. Throttled to Expired are answered in place of carrying the call
// out, in the words and with the status that AWS uses.
const (
	// Throttled is a request quota that other tools use up.
	Throttled FaultKind = iota
	// Failing is trouble of AWS's own: 500 and 503 by turns.
	Failing
	// Denied is a missing IAM permission. Every identity may ask who it is, so
	// that GetCallerIdentity is denied by its name only, as an endpoint policy may.
	Denied
	// Expired is a session token that has run out.
	Expired
	// Unheard is a call that is not carried out and never answered.
	Unheard
	// Unanswered is a call that is carried out and never answered.
	Unanswered
	// Slow is a call that is carried out and answered late.
	Slow
)

// Fault is trouble with calls that reach Handler. Those made in process have none.
type Fault struct {
	Kind FaultKind
	// Calls are AllCalls, ReadCalls, WriteCalls or those of an operation, by its name.
	Calls string
	// Times is how many calls have it, from now on; 0 is all of them.
	Times int
	// Delay is how late a Slow answer is.
	Delay time.Duration
}

// Operations are the names of all operations of all services, sorted.
func (s *Sim) Operations() []string {
	var names []string
	for _, service := range s.apis {
		names = slices.AppendSeq(names, maps.Keys(service.operations))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// InjectedFault is a Fault that was injected.
type InjectedFault struct {
	Fault
	sim     *Sim
	removed chan struct{} // closed by Remove
	once    sync.Once

	// Under the lock of the Sim's faults.
	met int
}

// Inject makes calls fail from now on, until the fault is removed or has been
// met as often as it says. Of several for one call the first that was injected
// counts; slow ones add up. It fails for an operation that there is not.
func (s *Sim) Inject(f Fault) (*InjectedFault, error) {
	if !slices.Contains([]string{AllCalls, ReadCalls, WriteCalls}, f.Calls) && !slices.Contains(s.Operations(), f.Calls) {
		return nil, fmt.Errorf("the simulated AWS has no operation %q", f.Calls)
	}
	injected := &InjectedFault{Fault: f, sim: s, removed: make(chan struct{})}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.injected = append(s.faults.injected, injected)
	return injected, nil
}

// Remove ends the fault. Calls that wait in it end as well: a slow one is
// answered, the connection of one that is never answered is dropped.
func (f *InjectedFault) Remove() {
	f.once.Do(func() {
		close(f.removed)
		f.sim.faults.mu.Lock()
		defer f.sim.faults.mu.Unlock()
		f.sim.faults.injected = slices.DeleteFunc(f.sim.faults.injected, func(other *InjectedFault) bool { return other == f })
	})
}

// Met is how many calls have had the fault.
func (f *InjectedFault) Met() int {
	f.sim.faults.mu.Lock()
	defer f.sim.faults.mu.Unlock()
	return f.met
}

// Over reports that the fault has been met as often as it was to be.
func (f *InjectedFault) Over() bool { return f.Times > 0 && f.Met() >= f.Times }

func (f *InjectedFault) concerns(action string, write bool) bool {
	switch f.Calls {
	case AllCalls:
		return f.Kind != Denied || action != "GetCallerIdentity"
	case ReadCalls:
		return !write
	case WriteCalls:
		return write
	default:
		return f.Calls == action
	}
}

// faults are those that are injected at the moment.
type faults struct {
	mu       sync.Mutex
	injected []*InjectedFault
}

// trouble is what goes wrong with one call. The zero value is none.
type trouble struct {
	slow []*InjectedFault
	// fault is what decides the call, nil when it goes well.
	fault *InjectedFault
	turn  int // how often the fault had been met before
}

// meet finds the faults of a call, and counts them.
func (f *faults) meet(action string, write bool) trouble {
	f.mu.Lock()
	defer f.mu.Unlock()
	var t trouble
	for _, i := range f.injected {
		if !i.concerns(action, write) || i.Times > 0 && i.met >= i.Times {
			continue
		}
		i.met++
		if i.Kind != Slow {
			t.fault, t.turn = i, i.met-1
			break
		}
		t.slow = append(t.slow, i)
	}
	return t
}

// errNoAnswer is the error of a call whose connection is to be dropped.
var errNoAnswer = errors.New("the call is not answered")

// before is asked ahead of carrying the call out; an error takes its place.
func (t trouble) before(ctx context.Context, service, action, caller string) error {
	if t.fault == nil {
		return nil
	}
	switch t.fault.Kind {
	case Unanswered, Slow:
		return nil
	case Unheard:
		t.fault.wait(ctx, nil)
		return errNoAnswer
	case Throttled:
		return apiError("Throttling", "Rate exceeded")
	case Failing:
		if t.turn%2 == 1 {
			return apiError("ServiceUnavailable", "Service is unable to handle request.")
		}
		return apiError("InternalFailure", "The request processing has failed because of an unknown error, exception or failure.")
	case Denied:
		return apiError("AccessDenied", "User: %s is not authorized to perform: %s:%s because no identity-based policy allows the %[2]s:%[3]s action", caller, service, action)
	case Expired:
		return apiError("ExpiredToken", "The security token included in the request is expired")
	}
	return nil
}

// after is asked once the call was carried out; an error takes its answer's place.
func (t trouble) after(ctx context.Context) error {
	for _, slow := range t.slow {
		late := time.NewTimer(slow.Delay)
		slow.wait(ctx, late.C)
		late.Stop()
	}
	if t.fault != nil && t.fault.Kind == Unanswered {
		t.fault.wait(ctx, nil)
		return errNoAnswer
	}
	return nil
}

// wait lasts until the time has come, and no longer than the fault, the client
// and the Sim do.
func (f *InjectedFault) wait(ctx context.Context, until <-chan time.Time) {
	select {
	case <-until:
	case <-f.removed:
	case <-ctx.Done():
	case <-f.sim.ctx.Done():
	}
}
