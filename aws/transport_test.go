package aws

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
)

// transport carries requests to a handler in this process, so that time can be
// simulated, and answers by faults instead where there is one.
type transport struct {
	handler http.Handler
	// page is what pages are cut to, "" for as large as was asked for.
	page string

	mu     sync.Mutex
	faults map[string]fault // by operation, "" for every one
	calls  []string         // operations in the order of their requests
	keys   []string         // access keys that signed them
}

// fault answers a request instead of AWS.
type fault func(*http.Request) (*http.Response, error)

func (tr *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	action := form.Get("Action")
	tr.mu.Lock()
	tr.calls = append(tr.calls, action)
	tr.keys = append(tr.keys, request.Header.Get("Authorization"))
	f := tr.faults[action]
	if f == nil {
		f = tr.faults[""]
	}
	tr.mu.Unlock()
	if f != nil {
		return f(request)
	}
	if tr.page != "" && form.Has("PageSize") {
		form.Set("PageSize", tr.page)
	}
	request.Body = io.NopCloser(strings.NewReader(form.Encode()))
	recorder := httptest.NewRecorder()
	tr.handler.ServeHTTP(recorder, request)
	return recorder.Result(), nil
}

// set makes an operation fail from now on; nil heals it.
func (tr *transport) set(operation string, f fault) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.faults == nil {
		tr.faults = map[string]fault{}
	}
	tr.faults[operation] = f
}

// count gives the calls by operation since the last count.
func (tr *transport) count() map[string]int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	counts := map[string]int{}
	for _, call := range tr.calls {
		counts[call]++
	}
	tr.calls = nil
	return counts
}

// newOver is New with a transport in place of the network.
func newOver(tb testing.TB, tr *transport, opts Options) *Client {
	tb.Helper()
	c, err := newClient(tb.Context(), opts, config.WithHTTPClient(&http.Client{Transport: tr}))
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return c
}

func answer(status int, body string) fault {
	return func(request *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: request,
		}, nil
	}
}

func failing(status int, code, message string) fault {
	return answer(status, `<ErrorResponse><Error><Type>Sender</Type><Code>`+code+`</Code><Message>`+message+
		`</Message></Error><RequestId>1</RequestId></ErrorResponse>`)
}

// silent never answers.
func silent(request *http.Request) (*http.Response, error) {
	<-request.Context().Done()
	return nil, context.Cause(request.Context())
}

// times answers by f the first n times, and as if there were no fault then.
func (tr *transport) times(operation string, n int, f fault) {
	tr.set(operation, func(request *http.Request) (*http.Response, error) {
		if n--; n <= 0 {
			tr.set(operation, nil)
		}
		return f(request)
	})
}
