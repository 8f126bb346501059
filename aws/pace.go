package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"golang.org/x/time/rate"
)

// The account's bucket for Describe calls holds 40 and gains 10 a second, for
// all tools together. What we take in all stays below it; what refreshes take
// stays far below it, so that others and our own reads around a write find
// tokens.
const (
	allBurst, allRate         = 36, 9
	refreshBurst, refreshRate = 20, 5
)

// urgency says which buckets a call takes from.
type urgency int

const (
	// urgent is what somebody waits for: reads around a write, the first
	// observation, and one that was asked for.
	urgent urgency = iota
	// periodic is what nobody waits for.
	periodic
)

// pacer paces calls of the Describe kind.
type pacer struct {
	all     *rate.Limiter
	refresh *rate.Limiter
}

func newPacer() *pacer {
	return &pacer{
		all:     rate.NewLimiter(allRate, allBurst),
		refresh: rate.NewLimiter(refreshRate, refreshBurst),
	}
}

// wait takes a token, waiting for it if need be. It fails only when ctx ends
// or could not last until there is one.
func (p *pacer) wait(ctx context.Context, u urgency) error {
	limiters := []*rate.Limiter{p.all}
	if u == periodic {
		limiters = []*rate.Limiter{p.refresh, p.all}
	}
	for _, l := range limiters {
		if err := l.Wait(ctx); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			} else {
				err = errNoToken // The deadline is too near; the limiter has no error of its own for it.
			}
			return fmt.Errorf("wait for a request token: %w", err)
		}
	}
	return nil
}

var errNoToken = errors.New("our share of the account's request quota is used up for the time allowed")

const (
	maxAttempts = 10
	maxBackoff  = 4 * time.Second
	// maxDials is how often a connection is tried that cannot be made: unlike
	// throttling, that seldom heals within a call's time.
	maxDials = 3
)

var errDials = errors.New("the connection was tried often enough")

// retryer is the SDK's adaptive retryer, which slows all calls down when some
// are throttled; each further attempt takes a token from our bucket too.
type retryer struct {
	*retry.AdaptiveMode
	pace *pacer // nil for calls that have no bucket
}

func newRetryer(p *pacer) *retryer {
	return &retryer{pace: p, AdaptiveMode: retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.FailOnNoAttemptTokens = true
		o.StandardOptions = append(o.StandardOptions, func(o *retry.StandardOptions) {
			o.MaxAttempts = maxAttempts
			o.MaxBackoff = maxBackoff
		})
	})}
}

var _ awssdk.RetryerV2 = (*retryer)(nil)

// tokenPoll is how often the adaptive retryer is asked for a token. Its own way
// of waiting spins where rounding leaves nothing to wait for, and does not tell
// waiting for it from waiting for AWS.
const tokenPoll = 20 * time.Millisecond

// GetAttemptToken implements awssdk.RetryerV2; it is called before each attempt.
func (r *retryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	for {
		release, err := r.AdaptiveMode.GetAttemptToken(ctx)
		if err == nil {
			return release, nil
		}
		if !sleep(ctx, tokenPoll) {
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("slowed down after throttling: %w", errNoToken)
		}
	}
}

// attempts remembers what became of a call's earlier attempts: when its time
// runs out while it waits for the next, the cause is there and not in the
// error that the SDK returns. It travels in the call's context and is used by
// one goroutine at a time.
type attempts struct {
	last  error
	dials int
}

type attemptsKey struct{}

// GetRetryToken implements awssdk.Retryer; it is called between attempts.
func (r *retryer) GetRetryToken(ctx context.Context, opErr error) (func(error) error, error) {
	if a, ok := ctx.Value(attemptsKey{}).(*attempts); ok {
		a.last = opErr
		var op *net.OpError
		if errors.As(opErr, &op) && op.Op == "dial" {
			if a.dials++; a.dials >= maxDials {
				return nil, errDials
			}
		}
	}
	if r.pace != nil {
		if err := r.pace.wait(ctx, urgent); err != nil {
			return nil, err
		}
	}
	return r.AdaptiveMode.GetRetryToken(ctx, opErr)
}
