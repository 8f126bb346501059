package kube

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/istio-cutover/cutover/model"
)

// settings is what the kubeconfig says.
type settings struct {
	files   string // where it came from
	context string
	user    string
	config  *rest.Config
}

func load(flags genericclioptions.RESTClientGetter) (settings, error) {
	loader := flags.ToRawKubeConfigLoader()
	s := settings{}
	if access := loader.ConfigAccess(); access != nil {
		s.files = strings.Join(access.GetLoadingPrecedence(), string(os.PathListSeparator))
		if access.IsExplicitFile() {
			s.files = access.GetExplicitFile()
		}
	}
	raw, err := loader.RawConfig()
	if err != nil {
		return s, s.unusable(err)
	}
	s.context = raw.CurrentContext
	kubectl, _ := flags.(*genericclioptions.ConfigFlags)
	if kubectl != nil && kubectl.Context != nil && *kubectl.Context != "" {
		s.context = *kubectl.Context
	}
	if chosen, ok := raw.Contexts[s.context]; ok {
		s.user = chosen.AuthInfo
	}
	if kubectl != nil && kubectl.AuthInfoName != nil && *kubectl.AuthInfoName != "" {
		s.user = *kubectl.AuthInfoName
	}
	if s.config, err = flags.ToRESTConfig(); err != nil {
		return s, s.unusable(err)
	}
	s.config = rest.CopyConfig(s.config)
	// Without any setting kubectl falls back to localhost:8080, which is never meant here.
	server := kubectl != nil && kubectl.APIServer != nil && *kubectl.APIServer != ""
	if len(raw.Clusters) == 0 && !server && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return s, s.unusable(clientcmd.ErrEmptyConfig)
	}
	return s, nil
}

// unusable says that the kubeconfig cannot be used.
func (s settings) unusable(err error) error {
	e := &model.Error{
		Kind: model.KindUsage, Operation: "read kubeconfig", Object: s.files, Message: err.Error(), Err: err,
		Remedy: "name a kubeconfig with --kubeconfig or KUBECONFIG, and a context of it with --context (see kubectl config get-contexts)",
	}
	if clientcmd.IsEmptyConfig(err) {
		e.Message = "it names no cluster"
	}
	return e
}

// httpClient builds the client that all calls share. client-go gives a
// credential plugin the terminal for its errors and questions, which would
// smear the screen: it gets a file instead, whose end explains a failure.
func httpClient(config *rest.Config) (*http.Client, *pluginOutput, error) {
	if config.ExecProvider == nil {
		client, err := rest.HTTPClientFor(config)
		return client, nil, err
	}
	config.ExecProvider.StdinUnavailable = true
	config.ExecProvider.StdinUnavailableMessage = "log in before, with kubectl"
	file, err := os.CreateTemp("", "cutover-plugin-")
	if err != nil {
		return nil, nil, err
	}
	_ = os.Remove(file.Name()) // It stays open; where that is impossible the system's clean-up takes it.
	terminal := os.Stderr
	os.Stderr = file // client-go takes it while it builds the client, and knows no other way.
	client, err := rest.HTTPClientFor(config)
	os.Stderr = terminal
	if err == nil {
		client.Transport = abandoning{client.Transport}
	}
	return client, &pluginOutput{file: file}, err
}

// abandoning leaves a request alone when its context ends. client-go waits for
// a credential plugin however long it takes.
type abandoning struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (a abandoning) RoundTrip(r *http.Request) (*http.Response, error) {
	type outcome struct {
		response *http.Response
		err      error
	}
	ended := make(chan outcome, 1)
	go func() {
		response, err := a.RoundTripper.RoundTrip(r) //nolint:bodyclose // Whoever takes it closes it.
		ended <- outcome{response, err}
	}()
	select {
	case o := <-ended:
		return o.response, o.err
	case <-r.Context().Done():
		go func() {
			if o := <-ended; o.err == nil {
				_ = o.response.Body.Close() // Nobody reads it.
			}
		}()
		return nil, r.Context().Err()
	}
}

// WrappedRoundTripper lets idle connections be closed.
func (a abandoning) WrappedRoundTripper() http.RoundTripper { return a.RoundTripper }

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (a abandoning) CloseIdleConnections() { utilnet.CloseIdleConnectionsFor(a.RoundTripper) }

// pluginOutput is what a credential plugin has said on its standard error.
type pluginOutput struct {
	mu   sync.Mutex
	file *os.File
	last string
}

// pluginTail is how much of a plugin's output explains a failure, in bytes.
const pluginTail = 400

// tail returns the end of what was said last, on one line; "" without a plugin.
func (p *pluginOutput) tail() string {
	if p == nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	end, err := p.file.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return p.last
	}
	tail := make([]byte, min(end, pluginTail))
	n, _ := p.file.ReadAt(tail, end-int64(len(tail))) // What could be read is used.
	_ = p.file.Truncate(0)                            // The plugin's next output begins anew.
	_, _ = p.file.Seek(0, io.SeekStart)
	p.last = strings.TrimSpace(model.Line(string(tail[:n])))
	return p.last
}
