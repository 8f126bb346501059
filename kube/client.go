package kube

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/istio-cutover/cutover/model"
)

const (
	// defaultTimeout bounds one call where --request-timeout does not.
	defaultTimeout = 10 * time.Second
	// qps and burst are what kubectl allows itself: pages, Secrets and logs come
	// in bursts, and the API server has a fairness of its own.
	qps   = 50
	burst = 300

	istioGroup = "networking.istio.io"
)

// Options are what the caller wants to hear of.
type Options struct {
	// OnCall is told of every call that has ended, from any goroutine; may be
	// nil. A watch ends, for this, when it has begun.
	OnCall func(operation string, took time.Duration, err error)
	// Log takes what is worth knowing when something goes wrong; nil for nothing.
	Log *slog.Logger
}

// Client reaches one cluster. All methods are safe for concurrent use. Errors
// are *model.Error.
type Client struct {
	context string
	server  string
	user    string // the kubeconfig's name for us
	timeout time.Duration
	timing  timing
	onCall  func(operation string, took time.Duration, err error)
	log     *slog.Logger
	plugin  *pluginOutput

	config *rest.Config
	http   *http.Client
	core   core.CoreV1Interface
	auth   authentication.AuthenticationV1Interface

	mu    sync.Mutex
	istio rest.Interface // of the version that is served; nil until one was found
}

// New reads the kubeconfig that kubectl's own flags name. It makes no call. As
// it takes klog and credential plugins off the terminal, which are the
// process's own, only one New may run at a time.
//
// Errors: usage for a kubeconfig that cannot be read, an unknown context and
// the like.
func New(flags genericclioptions.RESTClientGetter, o Options) (*Client, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	silenceKlog()
	s, err := load(flags)
	if err != nil {
		return nil, err
	}
	c := &Client{
		context: s.context, server: s.config.Host, user: s.user, timeout: defaultTimeout, timing: usualTiming(),
		onCall: o.OnCall, log: o.Log, config: s.config,
	}
	if s.config.Timeout > 0 {
		c.timeout = s.config.Timeout
	}
	s.config.Timeout = 0 // It would end watches, too.
	s.config.UserAgent = "cutover"
	s.config.QPS, s.config.Burst = qps, burst
	s.config.WarningHandler = rest.NoWarnings{}
	s.config.WarningHandlerWithContext = rest.NoWarnings{}
	if c.http, c.plugin, err = httpClient(s.config); err != nil {
		return nil, s.unusable(err)
	}
	if c.core, err = core.NewForConfigAndClient(s.config, c.http); err != nil {
		return nil, s.unusable(err)
	}
	if c.auth, err = authentication.NewForConfigAndClient(s.config, c.http); err != nil {
		return nil, s.unusable(err)
	}
	return c, nil
}

// Context is the kubeconfig context, "" inside a pod.
func (c *Client) Context() string { return c.context }

// Server is the API server's URL.
func (c *Client) Server() string { return c.server }

// silenceKlog keeps client-go's log off the terminal. What it would say comes
// back as errors, and klog has one output for the whole process.
func silenceKlog() {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	klog.InitFlags(flags)
	_ = flags.Set("stderrthreshold", "FATAL") // The flag and the value exist.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
}

// istioVersions are the versions whose Go types are the same, the best first.
func istioVersions() []string { return []string{"v1", "v1beta1", "v1alpha3"} }

// istioClient returns the client for the version of Istio's API that is served.
func (c *Client) istioClient(ctx context.Context) (rest.Interface, error) {
	c.mu.Lock()
	known := c.istio
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	raw, err := c.core.RESTClient().Get().AbsPath("/apis/" + istioGroup).MaxRetries(0).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var group metav1.APIGroup
	if err := json.Unmarshal(raw, &group); err != nil {
		return nil, fmt.Errorf("read the versions of %s: %w", istioGroup, err)
	}
	for _, version := range istioVersions() {
		if slices.ContainsFunc(group.Versions, func(v metav1.GroupVersionForDiscovery) bool { return v.Version == version }) {
			found, err := istioREST(c.config, c.http, version)
			if err != nil {
				return nil, err
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.istio = found
			return found, nil
		}
	}
	return nil, &model.Error{
		Kind: model.KindNotFound, Operation: "find the version of " + istioGroup,
		Message: "none of the versions v1, v1beta1 and v1alpha3 is served", Remedy: "use a cutover that knows this Istio",
	}
}

// forgetIstio makes the next call look for the served version again.
func (c *Client) forgetIstio() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.istio = nil
}

func istioREST(config *rest.Config, client *http.Client, version string) (rest.Interface, error) {
	gv := schema.GroupVersion{Group: istioGroup, Version: version}
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(gv, &networking.Gateway{}, &networking.GatewayList{}, &networking.VirtualService{}, &networking.VirtualServiceList{})
	metav1.AddToGroupVersion(scheme, gv)
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &gv, "/apis"
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.RESTClientForConfigAndClient(config, client)
}
