package aws

import (
	"context"
	"fmt"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"

	"github.com/istio-cutover/cutover/model"
)

const (
	// reloadInterval is how often the configuration is read anew at most while
	// credentials are refused.
	reloadInterval = 5 * time.Second
	// retrieveTimeout leaves time for roles to be assumed and processes to run.
	retrieveTimeout = 10 * time.Second
)

// credentials provides what the configuration says, and reads the
// configuration anew after credentials were refused: keys that a fresh login
// wrote into the shared files are otherwise never seen by a running program.
type credentials struct {
	load func(context.Context) (awssdk.CredentialsProvider, error)

	mu     sync.Mutex
	source awssdk.CredentialsProvider
	loaded time.Time
	stale  bool
}

// credentialsError marks that there were no credentials to sign a call with.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no usable AWS credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// Retrieve implements awssdk.CredentialsProvider.
func (c *credentials) Retrieve(ctx context.Context) (awssdk.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, retrieveTimeout)
	defer cancel()
	value, err := c.current(ctx).Retrieve(ctx)
	if err != nil {
		c.refused()
		return value, &credentialsError{err}
	}
	return value, nil
}

func (c *credentials) current(ctx context.Context) awssdk.CredentialsProvider {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale && time.Since(c.loaded) >= reloadInterval {
		c.loaded = time.Now()
		// A configuration that cannot be read keeps the old credentials: their
		// error says more to the operator.
		if source, err := c.load(ctx); err == nil {
			c.source, c.stale = source, false
		}
	}
	return c.source
}

// refused notes that AWS did not take the credentials.
func (c *credentials) refused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale = true
}

// exist fails when there are no credentials anywhere. Others that cannot be
// used now, for instance those of an expired login, may become usable.
func exist(ctx context.Context, source awssdk.CredentialsProvider) error {
	// The instance's role is what remains when nothing else is configured.
	if !awssdk.IsCredentialsProvider(source, (*ec2rolecreds.Provider)(nil)) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	if _, err := source.Retrieve(ctx); err != nil {
		return &model.Error{
			Kind:      model.KindAccess,
			Operation: "configure aws",
			Message:   "there are no AWS credentials",
			Remedy:    "run: aws configure (or aws sso login), name a --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
			Err:       fmt.Errorf("retrieve the instance's credentials: %w", err),
		}
	}
	return nil
}
