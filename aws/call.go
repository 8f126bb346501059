package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/istio-cutover/cutover/model"
)

// operation is one kind of call and how it is accounted for.
type operation struct {
	name  string
	write bool
	// paced calls take from the account's bucket for Describe calls.
	paced bool
}

// call makes one call with a deadline and all its attempts, and reports it.
// The error is a *model.Error.
func call[I, O, F any](ctx context.Context, c *Client, u urgency, op operation, object string, input *I,
	do func(context.Context, *I, ...func(*F)) (*O, error),
) (*O, error) {
	if op.paced {
		if err := c.pace.wait(ctx, u); err != nil {
			return nil, classify(op.name, object, err, nil)
		}
	}
	made := &attempts{}
	limited, cancel := context.WithTimeout(context.WithValue(ctx, attemptsKey{}, made), c.timeout)
	defer cancel()
	began := time.Now()
	output, err := do(limited, input)
	info := CallInfo{Began: began, Operation: op.name, Write: op.write, Duration: time.Since(began)}
	if err != nil {
		failed := classify(op.name, object, err, made.last)
		if unusable(failed) {
			c.creds.refused()
		}
		c.log.DebugContext(ctx, "aws call failed", "operation", op.name, "object", object, "kind", failed.Kind, "error", failed.Cause())
		info.Err, output = failed, nil
	}
	if c.onCall != nil {
		info.Command = command(op.name, c.Account().Region, input)
		c.onCall(info)
	}
	return output, info.Err
}

// describeCall is call for an operation that only reads.
func describeCall[I, O any](ctx context.Context, c *Client, u urgency, name, object string, input *I,
	do func(context.Context, *I, ...func(*elb.Options)) (*O, error),
) (*O, error) {
	return call(ctx, c, u, operation{name: name, paced: true}, object, input, do)
}

// modifyCall is call for an operation that changes something.
func modifyCall[I, O any](ctx context.Context, c *Client, name, object string, input *I,
	do func(context.Context, *I, ...func(*elb.Options)) (*O, error),
) error {
	_, err := call(ctx, c, urgent, operation{name: name, write: true}, object, input, do)
	return err
}

// pageSize is the largest that ELBv2 takes.
const pageSize = 400

var errSameMarker = errors.New("the answer's next page is the page itself")

// pages calls page with the marker of every page in turn, beginning with nil.
func pages(page func(marker *string) (next *string, err error)) error {
	var marker *string
	for {
		next, err := page(marker)
		if err != nil {
			return err
		}
		if next == nil || *next == "" {
			return nil
		}
		if marker != nil && *marker == *next {
			return &model.Error{Kind: model.KindInternal, Operation: "read all pages", Err: fmt.Errorf("%w: %q", errSameMarker, *next)}
		}
		marker = next
	}
}
