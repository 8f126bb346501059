package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// awsFault is what a faulty endpoint answers in place of AWS.
type awsFault struct {
	status  int
	code    string
	message string
}

// faultyAWS stands in front of a sandbox's AWS endpoint.
type faultyAWS struct {
	URL string

	mu     sync.Mutex
	fault  func(action string) *awsFault
	asked  map[string]int // calls by action
	faulty int            // those that were not passed on
}

// count returns how often an action was asked for.
func (f *faultyAWS) count(action string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[action]
}

func (f *faultyAWS) next(action string) *awsFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[action]++
	if f.fault == nil {
		return nil
	}
	answer := f.fault(action)
	if answer != nil {
		f.faulty++
	}
	return answer
}

// awsErrors serves the sandbox's AWS API with faults.
func awsErrors(t *testing.T, s *sandbox.Sandbox, fault func(action string) *awsFault) *faultyAWS {
	t.Helper()
	target, err := url.Parse(s.AWSEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	f := &faultyAWS{fault: fault, asked: map[string]int{}}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {} // The client has gone away.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		values, _ := url.ParseQuery(string(body))
		answer := f.next(values.Get("Action"))
		switch {
		case answer == nil:
			forward.ServeHTTP(w, r)
		case answer.code == "":
			w.WriteHeader(answer.status)
		default:
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(answer.status)
			var message bytes.Buffer
			_ = xml.EscapeText(&message, []byte(answer.message)) // A buffer takes everything.
			_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>",
				answer.code, message.String())
		}
	}))
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// on answers one operation so.
func on(action string, f awsFault) func(string) *awsFault {
	return func(a string) *awsFault {
		if a == action {
			return &f
		}
		return nil
	}
}

// faultyKube stands in front of a sandbox's Kubernetes API.
type faultyKube struct {
	kubeconfig string
	server     *httptest.Server

	mu   sync.Mutex
	deny func(r *http.Request) int
}

// set makes requests be answered with a status, 0 being the truth.
func (f *faultyKube) set(deny func(r *http.Request) int) {
	f.mu.Lock()
	f.deny = deny
	f.mu.Unlock()
	f.server.CloseClientConnections() // Watches begin anew.
}

func kubeErrors(t *testing.T, s *sandbox.Sandbox, deny func(r *http.Request) int) *faultyKube {
	t.Helper()
	config, err := clientcmd.LoadFromFile(s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	restConfig, err := clientcmd.NewDefaultClientConfig(*config, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(restConfig.Host)
	if err != nil {
		t.Fatal(err)
	}
	f := &faultyKube{deny: deny, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.FlushInterval = -1
	forward.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	if forward.Transport, err = transportOf(restConfig.CAData); err != nil {
		t.Fatal(err)
	}
	f.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		code := 0
		if f.deny != nil {
			code = f.deny(r)
		}
		f.mu.Unlock()
		switch code {
		case 0:
			forward.ServeHTTP(w, r)
		case gone:
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"%s is not allowed","code":%d}`,
				strings.ReplaceAll(http.StatusText(code), " ", ""), r.URL.Path, code)
		}
	}))
	t.Cleanup(f.server.Close)
	for _, c := range config.Clusters {
		c.Server = f.server.URL
		c.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw})
	}
	if err := clientcmd.WriteToFile(*config, f.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return f
}

// transportOf trusts one authority.
func transportOf(ca []byte) (*http.Transport, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the kubeconfig has no authority")
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}, nil
}

// gone is the status of a faultyKube that only drops connections.
const gone = -1

// outcome is how a command ended.
type outcome struct {
	exit           int
	stdout, stderr string
}

// ended runs a command to its end.
func ended(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Every call has a deadline; one that has none would hang here for ever.
	hung := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !hung.Stop() {
		t.Errorf("%v did not end by itself", cmd.Args)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o := outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if strings.Contains(o.stderr, "panic") || strings.Contains(o.stderr, "goroutine ") {
		t.Errorf("%v panicked:\n%s", cmd.Args, o.stderr)
	}
	return o
}

// failure returns the error line and what follows it, its remedy.
func (o outcome) failure() (line, remedy string) {
	lines := strings.Split(o.stderr, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "cutover: ") {
			return l, strings.Join(lines[i+1:], "\n")
		}
	}
	return "", ""
}

// expect asserts the exit code, one error line with the words, and a remedy
// with its own.
func (o outcome) expect(t *testing.T, exit int, words, remedy string) {
	t.Helper()
	line, after := o.failure()
	if o.exit != exit || strings.Count(o.stderr, "cutover: ") != 1 || !strings.Contains(line, words) || !strings.Contains(after, remedy) {
		t.Errorf("exit %d, want %d, one line with %q and a remedy with %q\n%s\n%s", o.exit, exit, words, remedy, o.stdout, o.stderr)
	}
}

func with(cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// nothingChanged asserts that the world is on old and the journal whole.
func nothingChanged(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	if o := ended(t, sandboxed(t, s, "", "status")); o.exit != 0 || !strings.Contains(o.stdout, "0 of 24 hosts on new") {
		t.Errorf("something was changed: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	journalWhole(t, s)
}

func journalWhole(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	o := ended(t, sandboxed(t, s, "", "journal", "verify"))
	if o.exit != 0 || !strings.Contains(o.stdout, "the chain is whole") || strings.Contains(o.stdout, "without an outcome") {
		t.Errorf("journal verify: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
}

// consoleOn opens a terminal whose environment is the sandbox's.
func consoleOn(t *testing.T, s *sandbox.Sandbox, endpoint string, width, height int, env ...string) *terminal {
	t.Helper()
	all := s.Env()
	if endpoint != "" {
		for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "AWS_ENDPOINT_URL_STS"} {
			all = append(all, name+"="+endpoint)
		}
	}
	return newTerminal(t, width, height, append(all, env...)...)
}

// header waits until the first line holds all of the words, and returns it.
func (x *terminal) header(words ...string) string {
	x.t.Helper()
	line := ""
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		line, _, _ = strings.Cut(x.screen(), "\n")
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return line
		}
	}
	x.t.Fatalf("%q never came in the header:\n%s", words, x.screen())
	return ""
}

const argocd = "argocd.bigbang.example"
