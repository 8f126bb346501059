package main

import (
	"bufio"
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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
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
	// after is how long the true answer takes; the other fields do not count then.
	after time.Duration
}

// faultyAWS stands in front of a sandbox's AWS endpoint.
type faultyAWS struct {
	URL string

	mu     sync.Mutex
	fault  func(action string) *awsFault
	asked  map[string]int // calls by action
	faulty int            // those that were not passed on
}

// set changes what is answered; nil is the truth.
func (f *faultyAWS) set(fault func(action string) *awsFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
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
		case answer.after > 0:
			select {
			case <-r.Context().Done():
			case <-time.After(answer.after):
				forward.ServeHTTP(w, r)
			}
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

// always answers every call alike.
func always(f awsFault) func(string) *awsFault { return func(string) *awsFault { return &f } }

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
	took           time.Duration
}

// ended runs a command to its end.
func ended(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o := outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), time.Since(began)}
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
		t.Errorf("exit %d after %s, want %d, one line with %q and a remedy with %q\n%s\n%s", o.exit, o.took, exit, words, remedy, o.stdout, o.stderr)
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
	for deadline := time.Now().Add(45 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		line, _, _ = strings.Cut(x.screen(), "\n")
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return line
		}
	}
	x.t.Fatalf("%q never came in the header:\n%s", words, x.screen())
	return ""
}

const argocd = "argocd.bigbang.example"

// TestAWSTroubleInCommands: one line that says what is wrong and one that says
// what to do, an exit code that fits, and nothing changed.
func TestAWSTroubleInCommands(t *testing.T) {
	t.Parallel()
	s := start(t)
	expired := awsFault{status: 403, code: "ExpiredToken", message: "The security token included in the request is expired"}
	denied := awsFault{status: 403, code: "AccessDenied", message: "User is not authorized to perform this"}
	status, plan := []string{"status"}, []string{"plan", "--host", argocd, "--to", "new"}
	shift := []string{"shift", "--host", argocd, "--to", "new", "--yes", "--proof", "0"}
	t.Run("all", func(t *testing.T) {
		for _, c := range []struct {
			name          string
			fault         func(string) *awsFault
			args          []string
			exit          int
			words, remedy string
		}{
			{"expired", always(expired), status, 7, "ExpiredToken", "log in to AWS again"},
			{"expired", always(expired), plan, 7, "ExpiredToken", "log in to AWS again"},
			{"expired", always(expired), shift, 7, "ExpiredToken", "log in to AWS again"},
			{"expired", always(expired), []string{"probe", "--host", argocd, "--count", "1"}, 7, "ExpiredToken", "log in to AWS again"},
			{"tags denied", on("DescribeTags", denied), status, 7, "AccessDenied", "elasticloadbalancing:DescribeTags"},
			{"rules denied", on("DescribeRules", denied), plan, 7, "AccessDenied", "elasticloadbalancing:DescribeRules"},
			{"modify denied", on("ModifyRule", denied), shift, 7, "AccessDenied", "elasticloadbalancing:ModifyRule"},
			{"identity denied", on("GetCallerIdentity", denied), status, 7, "AccessDenied", "sts:GetCallerIdentity"},
			{"errors", always(awsFault{status: 500}), status, 1, "aws: ", "try again"},
			{"slow", always(awsFault{after: time.Minute}), shift, 1, "no answer in time", "AWS_ENDPOINT_URL"},
			{"refused", on("ModifyRule", awsFault{status: 400, code: "InvalidConfigurationRequest", message: "stickiness"}), shift, 1, "InvalidConfigurationRequest", ""},
			{"throttled", always(awsFault{status: 400, code: "Throttling", message: "Rate exceeded"}), status, 1, "Rate exceeded", "other tools share"},
		} {
			t.Run(c.name+" "+c.args[0], func(t *testing.T) {
				t.Parallel()
				endpoint := awsErrors(t, s, c.fault)
				o := ended(t, sandboxed(t, s, endpoint.URL, c.args...))
				o.expect(t, c.exit, c.words, c.remedy)
				if o.took > 45*time.Second {
					t.Errorf("it took %s", o.took)
				}
			})
		}
	})
	refused := ended(t, sandboxed(t, s, "http://127.0.0.1:9", "status"))
	refused.expect(t, 1, "connection refused", "AWS_ENDPOINT_URL")
	nothingChanged(t, s)
}

// TestThrottledForAWhile: what is throttled for a few seconds is waited out.
func TestThrottledForAWhile(t *testing.T) {
	t.Parallel()
	s := start(t)
	began := time.Now()
	endpoint := awsErrors(t, s, func(string) *awsFault {
		if time.Since(began) > 5*time.Second {
			return nil
		}
		return &awsFault{status: 400, code: "Throttling", message: "Rate exceeded"}
	})
	o := ended(t, sandboxed(t, s, endpoint.URL, "status"))
	if o.exit != 0 || !strings.Contains(o.stdout, "0 of 24 hosts on new") {
		t.Errorf("exit %d after %s\n%s%s", o.exit, o.took, o.stdout, o.stderr)
	}
}

// TestAWSTroubleInTheConsole: it is said with the age of what is shown, the
// rest goes on, keys answer at once, and it heals by itself.
func TestAWSTroubleInTheConsole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault awsFault
		heals bool // also in this test, whose time is short
	}{
		{"expired", awsFault{status: 403, code: "ExpiredToken", message: "The security token is expired"}, true},
		{"no answer", awsFault{after: time.Minute}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			endpoint := awsErrors(t, s, nil)
			x := consoleOn(t, s, endpoint.URL, 120, 40)
			x.line("cutover; echo ended: $?")
			x.until("Hosts: 0 of 24 on new", " live")
			endpoint.set(always(c.fault))
			t.Log(x.header("aws: ", " old"))
			before := time.Now()
			x.keys("?")
			x.until("esc")
			x.keys("Escape")
			x.until("? help")
			if took := time.Since(before); took > 3*time.Second {
				t.Errorf("help took %s", took)
			}
			if c.heals {
				endpoint.set(nil)
				x.header(" live")
				endpoint.set(always(c.fault))
				x.header(" old")
			}
			before = time.Now()
			x.keys("q")
			x.until("ended: 0")
			if took := time.Since(before); took > 3*time.Second {
				t.Errorf("quitting took %s", took)
			}
		})
	}
}

// TestKubernetesTroubleInCommands: as TestAWSTroubleInCommands for the other half.
func TestKubernetesTroubleInCommands(t *testing.T) {
	t.Parallel()
	s := start(t)
	noKubeconfig := filepath.Join(t.TempDir(), "none")
	ended(t, with(sandboxed(t, s, "", "status"), "KUBECONFIG="+noKubeconfig)).expect(t, 2, "read kubeconfig", "--kubeconfig")
	ended(t, sandboxed(t, s, "", "status", "--context", "nowhere")).expect(t, 2, "nowhere", "--context")
	ended(t, sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--context", "nowhere")).expect(t, 2, "nowhere", "--context")

	api := kubeErrors(t, s, func(r *http.Request) int {
		if strings.Contains(r.URL.Path, "/secrets") {
			return http.StatusForbidden
		}
		return 0
	})
	env := "KUBECONFIG=" + api.kubeconfig
	o := ended(t, with(sandboxed(t, s, "", "status"), env))
	o.expect(t, 7, "secret", "ask for the permission to get secrets")
	if !strings.Contains(o.stdout, "0 of 24 hosts on new") || !strings.Contains(o.stdout, "wait: secret") {
		t.Errorf("the rest does not go on, or what could not be read counts as absent:\n%s", o.stdout)
	}
	o = ended(t, with(sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--wait", "1s"), env))
	o.expect(t, 8, "gate secret", "--wait")

	api.set(func(*http.Request) int { return http.StatusUnauthorized })
	ended(t, with(sandboxed(t, s, "", "status"), env)).expect(t, 7, "does not accept the credentials", "log in")
	ended(t, with(sandboxed(t, s, "", "plan", "--host", argocd, "--to", "new"), env)).expect(t, 7, "does not accept the credentials", "log in")
	api.set(func(*http.Request) int { return http.StatusInternalServerError })
	ended(t, with(sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes"), env)).expect(t, 1, "kubernetes", "try again")
	api.set(func(*http.Request) int { return gone })
	o = ended(t, with(sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes"), env))
	o.expect(t, 1, "kubernetes", "check the kubeconfig's server")
	if o.took > 45*time.Second {
		t.Errorf("it took %s", o.took)
	}
	nothingChanged(t, s)
}

// TestWayBackWithoutKubernetes: the journal is found by the API server's URL.
func TestWayBackWithoutKubernetes(t *testing.T) {
	t.Parallel()
	s := start(t)
	api := kubeErrors(t, s, nil)
	env := "KUBECONFIG=" + api.kubeconfig
	for _, host := range []string{argocd, "gitlab.bigbang.example"} {
		if o := ended(t, with(sandboxed(t, s, "", "shift", "--host", host, "--to", "new", "--yes", "--proof", "0"), env)); o.exit != 0 {
			t.Fatalf("shift: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
		}
	}
	api.set(func(*http.Request) int { return gone })
	o := ended(t, with(sandboxed(t, s, "", "rollback", "--host", argocd, "--yes"), env))
	if o.exit != 0 || o.took > 30*time.Second {
		t.Errorf("with the API gone: exit %d after %s\n%s%s", o.exit, o.took, o.stdout, o.stderr)
	}
	o = ended(t, with(sandboxed(t, s, "", "journal", "verify"), env))
	if o.exit != 0 || o.took > 30*time.Second {
		t.Errorf("journal verify with the API gone: exit %d after %s\n%s%s", o.exit, o.took, o.stdout, o.stderr)
	}
	api.server.Close()
	o = ended(t, with(sandboxed(t, s, "", "rollback", "--all", "--yes"), env))
	if o.exit != 0 || o.took > 30*time.Second {
		t.Errorf("with nobody there: exit %d after %s\n%s%s", o.exit, o.took, o.stdout, o.stderr)
	}
	nothingChanged(t, s)
}

// TestKubernetesGoneInTheConsole: it is said, keys answer, the way back works,
// and it heals.
func TestKubernetesGoneInTheConsole(t *testing.T) {
	t.Parallel()
	s := start(t)
	api := kubeErrors(t, s, nil)
	x := consoleOn(t, s, "", 120, 40, "KUBECONFIG="+api.kubeconfig)
	x.line("cutover; echo ended: $?")
	x.until("Hosts: 0 of 24 on new", " live")
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move "+argocd+" to new", "ready")
	x.keys("y")
	x.until("1 of 24 on new", "argocd → new proven")
	api.set(func(*http.Request) int { return gone })
	x.header("old")
	x.keys("z")
	x.until("Take the last run back")
	x.keys("y")
	x.until("0 of 24 on new")
	x.header("old")
	api.set(nil)
	x.header("live")
	x.until("argocd → old proven")
	x.keys("q")
	x.until("ended: 0")
	nothingChanged(t, s)
}

// TestNoStateDirectory: nothing goes forward that cannot be recorded; the way
// back goes on.
func TestNoStateDirectory(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(file, "state")
	endpoint := awsErrors(t, s, nil)
	o := ended(t, sandboxed(t, s, endpoint.URL, "shift", "--host", argocd, "--to", "new", "--yes", "--proof", "0", "--state-dir", nowhere))
	o.expect(t, 1, "journal", "--state-dir")
	if n := endpoint.count("ModifyRule"); n != 0 {
		t.Errorf("%d writes without a journal", n)
	}
	nothingChanged(t, s)
	if o := ended(t, sandboxed(t, s, "", "status", "--state-dir", nowhere)); o.exit != 0 || !strings.Contains(o.stdout, "0 of 24") {
		t.Errorf("status: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
}

// TestJournalThatCannotGrow: the file may be read and not written; forward is
// refused, back goes on, saying so.
func TestJournalThatCannotGrow(t *testing.T) {
	t.Parallel()
	s := start(t)
	if o := ended(t, sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--proof", "0")); o.exit != 0 {
		t.Fatal(o.stdout, o.stderr)
	}
	// No byte more fits into any file, as on a full disk.
	full := func(args ...string) *exec.Cmd {
		cmd := sandboxed(t, s, "", args...)
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -f 0; exec cutover "$@"`, "sh"}, args...)
		return cmd
	}
	o := ended(t, full("shift", "--host", "gitlab.bigbang.example", "--to", "new", "--yes", "--proof", "0"))
	o.expect(t, 1, "file too large", "--state-dir")
	journalWhole(t, s)
	o = ended(t, full("rollback", "--all", "--yes", "-o", "json"))
	if o.exit != 0 || !strings.Contains(o.stdout, "going on without the journal") || !strings.Contains(o.stdout, `"outcome":"rolled-back"`) {
		t.Errorf("the way back: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	nothingChanged(t, s)
}

// TestSignalsDuringProof: a run that waits for proof ends at once, with its
// journal true.
func TestSignalsDuringProof(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]os.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "INT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			cmd := sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--proof", "60s", "-o", "json")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			var signalled time.Time
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				said.WriteString(lines.Text() + "\n")
				if strings.Contains(lines.Text(), `"event":"verified"`) {
					signalled = time.Now()
					if err := cmd.Process.Signal(sig); err != nil {
						t.Fatal(err)
					}
				}
			}
			_ = cmd.Wait() // Its exit code is looked at.
			if code := cmd.ProcessState.ExitCode(); code != 130 || signalled.IsZero() || time.Since(signalled) > 10*time.Second {
				t.Errorf("exit %d, %s after the signal\n%s%s", code, time.Since(signalled), said.String(), stderr.String())
			}
			if !strings.Contains(said.String(), `"event":"done","exit":130`) {
				t.Errorf("the last line does not say so:\n%s", said.String())
			}
			journalWhole(t, s)
			if o := ended(t, sandboxed(t, s, "", "rollback", "--all", "--yes")); o.exit != 0 {
				t.Errorf("the way back: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
			}
			nothingChanged(t, s)
		})
	}
}

// TestQuitDuringProof: quitting asks, also where there is hardly room for it,
// and ends between two changes.
func TestQuitDuringProof(t *testing.T) {
	t.Parallel()
	s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	x := consoleOn(t, s, "", 120, 40)
	x.line("cutover; echo ended: $?")
	x.until("Hosts: 0 of 24 on new", argocd)
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move "+argocd+" to new", "ready")
	x.keys("y")
	x.until("switched, unproven")
	for _, size := range [][2]string{{"20", "5"}, {"1", "1"}, {"3", "40"}, {"200", "2"}, {"120", "40"}} {
		x.tmux("resize-window", "-x", size[0], "-y", size[1])
	}
	x.until("switched, unproven")
	x.keys("q")
	x.until("Quit while a run is in flight?")
	x.keys("Escape")
	x.until("1 of 1")
	x.keys("q")
	x.until("Quit while a run is in flight?")
	x.keys("y")
	x.until("ended: 0")
	journalWhole(t, s)
	if o := ended(t, sandboxed(t, s, "", "status")); !strings.Contains(o.stdout, "1 of 24 hosts on new") || !strings.Contains(o.stdout, "new, unproven") {
		t.Errorf("status: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
}

// TestSignalsInTheConsole: the terminal is put back, the journal is true.
func TestSignalsInTheConsole(t *testing.T) {
	t.Parallel()
	s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	x := consoleOn(t, s, "", 120, 40)
	x.line("sh -c 'echo $$ > " + filepath.Join(stateOf(s), "pid") + "; exec cutover'; echo ended: $?")
	x.until("Hosts: 0 of 24 on new", argocd)
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move "+argocd+" to new", "ready")
	x.keys("y")
	x.until("switched, unproven")
	x.tmux("run-shell", "kill -TERM $(cat "+filepath.Join(stateOf(s), "pid")+")")
	x.until("ended: 130")
	journalWhole(t, s)
}

// TestTinyTerminals: a line that says so, whatever the size, and a way out.
func TestTinyTerminals(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, size := range [][2]int{{20, 5}, {1, 1}, {59, 15}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			x := consoleOn(t, s, "", size[0], size[1])
			x.line("cutover; e=$?; tmux -L " + x.socket + " resize-window -x 80 -y 24; echo ended: $e")
			if size[0] > 1 {
				x.until("needs 60")
			} else {
				x.until("…")
			}
			x.keys("q")
			x.until("ended: 0")
		})
	}
}

// TestReadOnlyConsole offers no key that changes anything, and refuses it.
func TestReadOnlyConsole(t *testing.T) {
	t.Parallel()
	s := start(t)
	endpoint := awsErrors(t, s, nil)
	x := consoleOn(t, s, endpoint.URL, 120, 40, "NO_COLOR=1")
	raw := filepath.Join(t.TempDir(), "raw")
	x.tmux("pipe-pane", "-O", "cat > "+raw)
	x.line("cutover --read-only; echo ended: $?")
	x.until("read-only", "Hosts: 0 of 24 on new", argocd)
	screen := x.screen()
	for _, word := range []string{"toggle", "undo", "weight"} {
		if strings.Contains(screen, word) {
			t.Errorf("%q is offered:\n%s", word, screen)
		}
	}
	x.keys("?")
	help := x.until("esc close")
	for _, word := range []string{"toggle", "undo", "take back", "roll everything"} {
		if strings.Contains(help, word) {
			t.Errorf("help offers %q:\n%s", word, help)
		}
	}
	x.escape()
	x.keys("t", "y", "z", "y", "Z", "y")
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t", "y")
	x.keys("q")
	x.until("ended: 0")
	if n := endpoint.count("ModifyRule"); n != 0 {
		t.Errorf("%d writes", n)
	}
	content, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	if colour := regexp.MustCompile("\x1b\\[[0-9;:]*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:[;:][0-9;:]*)?m").Find(content); colour != nil {
		t.Errorf("NO_COLOR, but %q", colour)
	}
	nothingChanged(t, s)
}
