package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/istio-cutover/cutover/model"
)

const (
	// callTimeout bounds one call with all its attempts; waiting for our own
	// token bucket is not part of it.
	callTimeout = 15 * time.Second
	// metadataTimeout bounds asking the instance metadata service, which answers
	// within milliseconds on EC2 and not at all elsewhere.
	metadataTimeout = 2 * time.Second
	dialTimeout     = 5 * time.Second
)

// Options says whose account in which Region is observed and changed. The
// zero value leaves both to the environment and the shared config files.
type Options struct {
	Profile string // of the shared config files; "" for the environment's
	Region  string // "" for the profile's or the environment's
	// OnCall is told of every call that has ended, from any goroutine.
	OnCall func(CallInfo)
	// Log takes what is worth knowing when something goes wrong; nil for nothing.
	Log *slog.Logger
}

// CallInfo is one call to AWS for the command log.
type CallInfo struct {
	Began     time.Time
	Operation string // the API's name, e.g. "DescribeRules"
	Command   string // the equivalent line for the AWS CLI
	Write     bool   // the call changes something
	Duration  time.Duration
	Err       error // nil or a *model.Error
}

// Client reaches ELBv2 and STS in one account and Region. All methods are safe
// for concurrent use. Errors are *model.Error.
type Client struct {
	elb     *elb.Client // reads
	writer  *elb.Client
	sts     *sts.Client
	creds   *credentials
	pace    *pacer
	onCall  func(CallInfo)
	log     *slog.Logger
	timeout time.Duration

	refresh chan struct{} // asks Watch for everything at once
	written chan struct{} // tells Watch that touched has listeners

	observing sync.Mutex // held for a whole round, guards all but the fields below
	seen      *seen
	silent    bool // the last round had no answer at all

	mu      sync.Mutex // guards what follows
	account model.Account
	scope   map[string]bool // ARNs of target groups; empty for all
	touched map[string]bool // ARNs of listeners written to since they were last read
}

// New finds region and credentials as the AWS CLI does (flags, environment,
// shared config files, container and instance metadata) and honours the
// environment's endpoints, FIPS and CA bundle settings. It does not call ELBv2.
//
// Errors: usage for a missing Region or profile, access when there are no
// credentials at all. Expired credentials are no error here: what is observed
// says so, and heals.
func New(ctx context.Context, opts Options) (*Client, error) {
	return newClient(ctx, opts)
}

// newClient is New with more of the SDK's load options, for tests.
func newClient(ctx context.Context, opts Options, more ...func(*config.LoadOptions) error) (*Client, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	load := func(ctx context.Context) (awssdk.Config, error) { return loadConfig(ctx, opts, more) }
	cfg, err := load(ctx)
	if err != nil {
		return nil, err
	}
	creds := &credentials{source: cfg.Credentials, loaded: time.Now(), load: func(ctx context.Context) (awssdk.CredentialsProvider, error) {
		cfg, err := load(ctx)
		return cfg.Credentials, err
	}}
	if err := exist(ctx, cfg.Credentials); err != nil {
		return nil, err
	}
	cfg.Credentials = creds
	c := &Client{
		creds:   creds,
		pace:    newPacer(),
		onCall:  opts.OnCall,
		log:     opts.Log,
		timeout: callTimeout,
		refresh: make(chan struct{}, 1),
		written: make(chan struct{}, 1),
		seen:    newSeen(),
		touched: map[string]bool{},
	}
	c.elb = elb.NewFromConfig(cfg, func(o *elb.Options) { o.Retryer = newRetryer(c.pace) })
	// AWS counts writes apart, so throttled reads need not slow them down.
	c.writer = elb.NewFromConfig(cfg, func(o *elb.Options) { o.Retryer = newRetryer(nil) })
	c.sts = sts.NewFromConfig(cfg, func(o *sts.Options) { o.Retryer = newRetryer(nil) })
	c.account = model.Account{Region: cfg.Region, Endpoint: endpoint(ctx, c.elb)}
	return c, nil
}

// Account says whom we are and where. The account's number and ARN are known
// once something was observed.
func (c *Client) Account() model.Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.account
}

func loadConfig(ctx context.Context, opts Options, more []func(*config.LoadOptions) error) (awssdk.Config, error) {
	client := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) { t.TLSHandshakeTimeout = dialTimeout })
	options := slices.Concat([]func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithLogger(sdkLogger(opts.Log)),
		config.WithSharedConfigProfile(opts.Profile),
		config.WithRegion(opts.Region),
	}, more)
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, configError(err, opts.Profile)
	}
	if cfg.Region != "" {
		return cfg, nil
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	cfg, err = config.LoadDefaultConfig(ctx, append(options, config.WithEC2IMDSRegion())...)
	if err != nil || cfg.Region == "" {
		return cfg, &model.Error{
			Kind:      model.KindUsage,
			Operation: "configure aws",
			Message:   "no AWS region is set",
			Remedy:    "give --region, set AWS_REGION, or run: aws configure",
			Err:       err,
		}
	}
	return cfg, nil
}

// sdkLogger keeps what the SDK has to say off the terminal.
func sdkLogger(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
		log.Debug("aws sdk", "message", fmt.Sprintf(format, v...))
	})
}

func configError(err error, profile string) error {
	e := &model.Error{
		Kind:      model.KindUsage,
		Operation: "configure aws",
		Object:    cmp.Or(profile, os.Getenv("AWS_PROFILE")),
		Remedy:    "see the profiles with: aws configure list-profiles",
		Err:       err,
	}
	var missing config.SharedConfigProfileNotExistError
	if errors.As(err, &missing) {
		e.Object, e.Message = missing.Profile, "there is no such AWS profile"
	} else {
		e.Message = "the AWS configuration cannot be used: " + err.Error()
		e.Remedy = "check the shared config files and the AWS_ variables of the environment"
	}
	return e
}

// endpoint gives the URL that calls go to, "" when it cannot be told.
func endpoint(ctx context.Context, client *elb.Client) string {
	o := client.Options()
	fips := o.EndpointOptions.UseFIPSEndpoint == awssdk.FIPSEndpointStateEnabled
	dual := o.EndpointOptions.UseDualStackEndpoint == awssdk.DualStackEndpointStateEnabled
	resolved, err := o.EndpointResolverV2.ResolveEndpoint(ctx, elb.EndpointParameters{
		Region: &o.Region, UseFIPS: &fips, UseDualStack: &dual, Endpoint: o.BaseEndpoint,
	})
	if err != nil {
		return ""
	}
	return resolved.URI.String()
}
