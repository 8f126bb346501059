// Package awssim is a simulated AWS on loopback: the APIs of Elastic Load
// Balancing v2, EC2, Auto Scaling and STS over their real wire protocols, and
// behind them the load balancers themselves, which carry real traffic.
//
// Load balancers are made through the API; the network around them, instances,
// security groups and Auto Scaling groups, is given to Add.
//
// The ordinary SDK and the AWS CLI speak to Handler. Requests are decoded into
// the SDK's own input types and answers encoded from its output types by
// reflection, so that what the SDK knows passes through, conditions, actions
// and transforms that the simulator does not interpret among them. Rules of
// validation and error codes follow AWS's documentation; where other
// simulators differ from AWS, AWS is right.
//
// State changes under one lock, a call either wholly or not at all. The data
// plane never takes that lock for a request: every listener serves from an
// immutable compiled copy of its rules that is replaced after each write, once
// the propagation delay has passed.
package awssim

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/netip"
	"reflect"
	"sync"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Config says what account and network a Sim has. The zero value of a field
// selects the default named beside it.
type Config struct {
	Partition string // "aws"
	Region    string // "us-east-1"
	Account   string // "111122223333"

	// InstanceIP gives the address of an EC2 instance that is to be registered
	// as a target. One that it does not know, and every one without it, must have
	// been given to Add and has its private address. It must not call the Sim.
	InstanceIP func(instanceID string) (netip.Addr, bool)

	// Address gives the next free loopback address for a new load balancer,
	// whose DNSName is that address as a literal. Without it every load
	// balancer has 127.0.0.1. It must not call the Sim.
	Address func() (netip.Addr, error)

	// ListenerPort maps the port that a listener is asked for to the one to
	// bind, which Describe then reports in place of the one asked for; 0 binds
	// any free one. Without it the ports are the same.
	ListenerPort func(port int) int

	// Propagation is how long the changes to a load balancer are gathered, from
	// the first of them on. The data plane goes on with the rules from before
	// until then, and begins with all of the changes at once. A new listener has
	// its first rules at once.
	Propagation time.Duration

	// NewID gives the last part of a new resource's ARN, unlike any before it.
	// Without it they are random. It must not call the Sim.
	NewID func() string

	// Modified is told of each ModifyRule and ModifyListener that was accepted,
	// before it is answered: the ARN of the rule or listener, and its actions as
	// Describe reports them, to keep. One call comes after the other, in the
	// order of the changes; none comes once Close has returned. It must not call
	// the Sim.
	Modified func(arn string, actions []types.Action)

	// Log takes what the data plane has to say; without it nothing is logged.
	Log *slog.Logger
}

// Sim is one simulated AWS account in one Region. Its methods may be called
// from any goroutine.
type Sim struct {
	cfg Config
	log *slog.Logger

	// now and intN are the clock and the source of randomness.
	now  func() time.Time
	intN func(n int) int

	apis map[string]api // by Version

	// ctx ends with Close; work counts the goroutines that Close waits for.
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu           sync.Mutex
	closed       bool
	propagation  time.Duration
	balancers    []*loadBalancer
	groups       []*targetGroup
	tags         map[string][]types.Tag
	certificates map[string]*tls.Certificate
	limits       map[string]int
	net          network

	calls    callLog
	faults   faults
	throttle throttle
}

// New makes an account without any load balancer. Close ends it.
func New(cfg Config) *Sim {
	cfg.Partition = cmp.Or(cfg.Partition, "aws")
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	cfg.Account = cmp.Or(cfg.Account, "111122223333")
	if cfg.NewID == nil {
		cfg.NewID = func() string { return randomHex(8) }
	}
	if cfg.Modified == nil {
		cfg.Modified = func(string, []types.Action) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Sim{
		cfg:          cfg,
		log:          cfg.Log,
		now:          time.Now,
		intN:         mathrand.IntN,
		ctx:          ctx,
		stop:         stop,
		propagation:  cfg.Propagation,
		tags:         map[string][]types.Tag{},
		certificates: map[string]*tls.Certificate{},
		limits:       defaultLimits(),
		net:          network{prefixLists: map[string][]ec2types.PrefixListEntry{}},
	}
	s.apis = s.operations()
	return s
}

// SetPropagation changes the propagation delay for the writes that follow. A
// world is best set up without one and given its delay afterwards.
func (s *Sim) SetPropagation(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.propagation = d
}

// ImportCertificate makes a certificate known to HTTPS and TLS listeners and
// gives its ARN. The same certificate always gets the same ARN.
func (s *Sim) ImportCertificate(cert tls.Certificate) (arn string) {
	hash := sha256.New()
	for _, der := range cert.Certificate {
		hash.Write(der)
	}
	id := hex.EncodeToString(hash.Sum(nil))
	arn = fmt.Sprintf("arn:%s:acm:%s:%s:certificate/%s-%s-%s-%s-%s", s.cfg.Partition, s.cfg.Region, s.cfg.Account,
		id[:8], id[8:12], id[12:16], id[16:20], id[20:32])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.certificates[arn] = &cert
	return arn
}

// Call runs one operation in process. The input is a pointer to one of the
// SDK's input types, the output a pointer to the output type that belongs to
// it. Errors are [smithy.APIError] with AWS's codes. In-process calls need no
// credentials and are not in the log of calls.
func (s *Sim) Call(ctx context.Context, input any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("calling the simulated AWS: %w", err)
	}
	for _, service := range s.apis {
		for _, op := range service.operations {
			if op.input == reflect.TypeOf(input) {
				output, err := s.run(op, clone(input))
				if err != nil {
					return nil, err
				}
				return clone(output), nil
			}
		}
	}
	return nil, apiError("InvalidAction", "There is no operation with the input %T", input)
}

// run carries out one operation under the lock. After a write the health
// checks are brought in line with what is registered and in use.
func (s *Sim) run(op operation, input any) (any, error) {
	if reflect.ValueOf(input).IsNil() {
		return nil, invalid("The request has no parameters")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, apiError("ServiceUnavailable", "The simulated AWS has been closed")
	}
	output, err := op.run(input)
	if err != nil {
		return nil, err
	}
	if op.write {
		s.reconcile()
	}
	return output, nil
}

// Close closes all listeners and connections, stops the health checks and
// waits until no goroutine is left. Later calls fail with ServiceUnavailable.
func (s *Sim) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.stop()
	for _, lb := range s.balancers {
		for _, l := range lb.listeners {
			l.server.close()
		}
	}
	s.mu.Unlock()
	// Health checks take the lock to report, so it must be free here.
	s.work.Wait()
	for _, g := range s.groups {
		g.pool.close()
	}
	return nil
}

// randomHex gives n random bytes in hexadecimal, as AWS ends its ARNs.
func randomHex(n int) string {
	b := make([]byte, n)
	// crypto/rand never fails; it ends the program instead.
	_, _ = io.ReadFull(rand.Reader, b)
	return hex.EncodeToString(b)
}
