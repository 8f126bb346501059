package kube

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/istio-cutover/cutover/model"
)

// call makes one call with a deadline and reports it. While the API server
// asks to slow down it is made again, as long as the deadline leaves time. The
// error is a *model.Error.
func (c *Client) call(ctx context.Context, operation, object string, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	began := time.Now()
	err := do(limited)
	for err != nil && apierrors.IsTooManyRequests(err) {
		seconds, _ := apierrors.SuggestsClientDelay(err)
		pause := time.Duration(max(seconds, 1)) * time.Second
		if deadline, ok := limited.Deadline(); ok && time.Until(deadline) < pause || !sleep(limited, pause) {
			break
		}
		err = do(limited)
	}
	return c.done(ctx, operation, object, began, err)
}

// done accounts for a call that has ended.
func (c *Client) done(ctx context.Context, operation, object string, began time.Time, err error) error {
	var failed error
	if err != nil {
		e := c.classify(operation, object, err)
		if ctx.Err() == nil {
			c.log.DebugContext(ctx, "kubernetes call failed", "operation", operation, "object", object, "kind", e.Kind, "error", e.Cause())
		}
		failed = e
	}
	if c.onCall != nil {
		line := operation
		if object != "" {
			line += " " + object
		}
		c.onCall(line, time.Since(began), failed)
	}
	return failed
}

// begin starts a watch; only what comes before its first byte has a deadline.
func (c *Client) begin(ctx context.Context, operation, object string, start func(context.Context) (watch.Interface, error)) (watch.Interface, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	began := time.Now()
	stream, err := start(ctx)
	if err != nil {
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			err = context.DeadlineExceeded
		}
		late.Stop()
		cancel(nil)
		failed := c.done(ctx, operation, object, began, err)
		if utilnet.IsConnectionRefused(err) || apierrors.IsTooManyRequests(err) {
			// The reflector would go on trying in silence.
			var e *model.Error
			if errors.As(failed, &e) {
				alone := *e
				alone.Err = nil
				return nil, &alone
			}
		}
		return nil, failed
	}
	if !late.Stop() {
		stream.Stop()
		cancel(nil)
		return nil, c.done(ctx, operation, object, began, context.DeadlineExceeded)
	}
	_ = c.done(ctx, operation, object, began, nil) // Nil stays nil.
	return &stoppable{stream, cancel}, nil
}

// stoppable is a watch that frees its context when it is stopped.
type stoppable struct {
	watch.Interface
	cancel context.CancelCauseFunc
}

func (s *stoppable) Stop() {
	s.Interface.Stop()
	s.cancel(nil)
}

// interrupted reports whether the caller has given up, which is nobody's
// trouble.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
