package awssim

import (
	"fmt"
	"sync"

	"golang.org/x/time/rate"
)

// Bucket is a token bucket: Size calls can be made at once, and PerSecond of
// them come back.
type Bucket struct {
	Size      int
	PerSecond float64
}

func (b Bucket) String() string {
	return fmt.Sprintf("%d calls at once and %g a second", b.Size, b.PerSecond)
}

// Throttle says how many calls an account may make. Each service has a bucket
// for the calls that only read and one for those that change something. The
// zero value of a bucket takes any number of calls.
type Throttle struct{ Reads, Writes Bucket }

// DefaultThrottle is what AWS grants: for calls that read what is documented for
// Elastic Load Balancing, 40 at once and 10 a second; for the others, of which
// it says nothing, what the AWS Load Balancer Controller keeps to by default.
func DefaultThrottle() Throttle {
	return Throttle{Reads: Bucket{40, 10}, Writes: Bucket{20, 3}}
}

// throttle has the buckets of one account, full at first.
type throttle struct {
	mu      sync.Mutex
	limits  Throttle
	buckets map[bucketKey]*rate.Limiter
}

type bucketKey struct {
	service string
	write   bool
}

// SetThrottle bounds the calls that reach Handler from here on, with full
// buckets; at first they are not bounded. Calls in process never are.
func (s *Sim) SetThrottle(t Throttle) {
	s.throttle.mu.Lock()
	defer s.throttle.mu.Unlock()
	s.throttle.limits, s.throttle.buckets = t, map[bucketKey]*rate.Limiter{}
}

// admit takes a token for a call, or refuses it.
// STS, which grants far more, is not throttled.
func (s *Sim) admit(service api, op operation) error {
	t := &s.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	bucket := t.limits.Reads
	if op.write {
		bucket = t.limits.Writes
	}
	if bucket == (Bucket{}) || service.service == serviceSTS {
		return nil
	}
	key := bucketKey{service.service, op.write}
	limiter := t.buckets[key]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(bucket.PerSecond), bucket.Size)
		t.buckets[key] = limiter
	}
	if limiter.AllowN(s.now(), 1) {
		return nil
	}
	return apiError("Throttling", "Rate exceeded")
}
