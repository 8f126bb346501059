package sandbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"go.uber.org/goleak"
	istio "istio.io/client-go/pkg/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func TestMain(m *testing.M) {
	// klog starts its flusher when client-go is linked in, and never ends it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

func start(t *testing.T, options Options) *Sandbox {
	t.Helper()
	s, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// caPool trusts what the load balancers and the passthrough applications present.
func (s *Sandbox) caPool() (*x509.CertPool, error) {
	content, err := os.ReadFile(s.CAFile())
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("no certificate in %s", s.CAFile())
	}
	return pool, nil
}

// request is a curl-like request: to an address whatever the URL's host
// resolves to, with or without SNI, verifying against the sandbox's CA or not.
type request struct {
	url, address string
	noSNI        bool
	insecure     bool
	agent        string
	within       time.Duration // 10 s unless it says otherwise
}

func (s *Sandbox) ask(t *testing.T, r request) (*http.Response, string, error) {
	t.Helper()
	pool, err := s.caPool()
	if err != nil {
		return nil, "", err
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: pool, InsecureSkipVerify: r.insecure || r.noSNI},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", r.address)
		},
	}
	if r.noSNI {
		// The client sends no server name for an address.
		transport.TLSClientConfig.ServerName = "127.0.0.1"
	}
	defer transport.CloseIdleConnections()
	client := http.Client{
		Transport: transport, Timeout: cmp.Or(r.within, 10*time.Second),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("User-Agent", r.agent)
	response, err := client.Do(ask)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func (s *Sandbox) status(t *testing.T, r request) string {
	t.Helper()
	response, _, err := s.ask(t, r)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(response.StatusCode)
}

// lookup gives a variable of Env.
func (s *Sandbox) lookup(name string) string {
	for _, variable := range s.Env() {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// aws is the ordinary SDK, configured by the sandbox's environment alone.
func (s *Sandbox) aws(t *testing.T) aws.Config {
	t.Helper()
	for _, variable := range s.Env() {
		key, value, _ := strings.Cut(variable, "=")
		t.Setenv(key, value)
	}
	c, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *Sandbox) kube(t *testing.T) (*kubernetes.Clientset, *istio.Clientset) {
	t.Helper()
	c, err := clientcmd.BuildConfigFromFlags("", s.lookup("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	c.ContentType, c.AcceptContentTypes = "application/json", "application/json"
	c.QPS = -1
	return kubernetes.NewForConfigOrDie(c), istio.NewForConfigOrDie(c)
}

// balancer gives the address and https port of a load balancer, and the listener.
func (s *Sandbox) balancer(t *testing.T, name string) (address, listener string) {
	t.Helper()
	found, err := s.AWS.Call(t.Context(), &elb.DescribeLoadBalancersInput{Names: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	lb := found.(*elb.DescribeLoadBalancersOutput).LoadBalancers[0]
	listed, err := s.AWS.Call(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listed.(*elb.DescribeListenersOutput).Listeners {
		if *l.Port == 443 || *l.Port == 8443 {
			return fmt.Sprintf("%s:%d", *lb.DNSName, *l.Port), *l.ListenerArn
		}
	}
	t.Fatalf("load balancer %s has no https listener", name)
	return "", ""
}

func (s *Sandbox) groupARN(t *testing.T, name string) string {
	t.Helper()
	out, err := s.AWS.Call(t.Context(), &elb.DescribeTargetGroupsInput{Names: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	return *out.(*elb.DescribeTargetGroupsOutput).TargetGroups[0].TargetGroupArn
}

// eventually asks until the answer is what is wanted.
func eventually(t *testing.T, what string, want func() (string, bool)) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got, ok := want()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %s", what, got)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestDefaultWorld(t *testing.T) {
	began := time.Now()
	s := start(t, Options{})
	t.Logf("started in %v", time.Since(began))
	t.Run("NodePorts", s.testNodePorts)
	t.Run("clients", s.testClients)
	t.Run("target health", s.testTargetHealth)
	t.Run("load balancers", s.testBalancers)
	t.Run("moving a rule moves traffic", s.testMovingARule)
	t.Run("moving a lane moves connections", s.testMovingALane)
}

func (s *Sandbox) testNodePorts(t *testing.T) {
	node := func(n, port int) string { return fmt.Sprintf("%s:%d", s.net.address(byte(hostFirstNode+n)), port) }
	const argocd, keycloak = "https://argocd.bigbang.example/", "https://keycloak.bigbang.example/"
	for _, c := range []struct {
		name    string
		request request
		want    string
	}{
		{"old with SNI", request{url: argocd, address: node(0, 30443)}, "200"},
		{"old without SNI", request{url: argocd, address: node(1, 30443), noSNI: true}, "200"},
		{"new with SNI", request{url: argocd, address: node(2, 30444)}, "200"},
		{"new without SNI", request{url: argocd, address: node(0, 30444), noSNI: true}, "200"},
		{"wildcard", request{url: "https://team.pages.bigbang.example/", address: node(0, 30444)}, "200"},
		{"login", request{url: "https://gitlab.bigbang.example/", address: node(0, 30444)}, "302"},
		{"http", request{url: "http://argocd.bigbang.example/", address: node(0, 30081)}, "301"},
		{"unpublished", request{url: "https://nobody.bigbang.example/", address: node(0, 30443)}, "404"},
		{"bound to old, on old", request{url: "https://jira.bigbang.example/", address: node(0, 30443)}, "200"},
		{"bound to old, on new", request{url: "https://jira.bigbang.example/", address: node(0, 30444)}, "404"},
		{"broken on old", request{url: "https://sonarqube.bigbang.example/", address: node(0, 30443)}, "200"},
		{"broken on new", request{url: "https://sonarqube.bigbang.example/", address: node(0, 30444)}, "503"},
		{"expired, unverified", request{url: "https://nexus.bigbang.example/", address: node(0, 30444), insecure: true}, "200"},
		{"passthrough old", request{url: keycloak, address: node(0, 32443)}, "200"},
		{"passthrough new", request{url: keycloak, address: node(1, 32444)}, "200"},
		{"status old", request{url: "http://node/healthz/ready", address: node(0, 30021)}, "200"},
		{"status new", request{url: "http://node/healthz/ready", address: node(0, 32022)}, "200"},
	} {
		if got := s.status(t, c.request); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := s.status(t, request{url: "https://nexus.bigbang.example/", address: node(0, 30444)}); !strings.Contains(got, "expired") {
		t.Errorf("expired certificate: %s", got)
	}
	for _, noSNI := range []bool{true, false} {
		got := s.status(t, request{url: "https://nobody.bigbang.example/", address: node(0, 32443), noSNI: noSNI, insecure: true})
		if !strings.Contains(got, "connection reset by peer") && !strings.Contains(got, "EOF") {
			t.Errorf("passthrough for an unknown name (no SNI: %v): %s, want the connection reset", noSNI, got)
		}
	}
}

func (s *Sandbox) testClients(t *testing.T) {
	c := s.aws(t)
	identity, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), nil)
	if err != nil || *identity.Account != account {
		t.Errorf("caller identity: %v, %v", identity, err)
	}
	balancers, err := elb.NewFromConfig(c).DescribeLoadBalancers(t.Context(), nil)
	if err != nil || len(balancers.LoadBalancers) != 2 {
		t.Errorf("load balancers: %v, %v", balancers, err)
	}
	kube, istio := s.kube(t)
	nodes, err := kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != nodeCount {
		t.Errorf("nodes: %v, %v", nodes, err)
	}
	published, err := istio.NetworkingV1().VirtualServices("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, vs := range published.Items {
		hosts = append(hosts, vs.Spec.Hosts...)
	}
	if len(hosts) != defaultHosts || !slices.Contains(hosts, "argocd.bigbang.example") {
		t.Errorf("hosts: %v", hosts)
	}
	info, err := os.Stat(s.Kubeconfig())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v", info, err)
	}
}

func (s *Sandbox) testTargetHealth(t *testing.T) {
	for _, name := range []string{
		"public-old-https", "public-new-https",
		"passthrough-old-https", "passthrough-new-https", "passthrough-old-http", "passthrough-new-http",
	} {
		arn := s.groupARN(t, name)
		eventually(t, name, func() (string, bool) {
			out, err := s.AWS.Call(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &arn})
			if err != nil {
				t.Fatal(err)
			}
			var states []string
			for _, d := range out.(*elb.DescribeTargetHealthOutput).TargetHealthDescriptions {
				states = append(states, string(d.TargetHealth.State))
			}
			got := strings.Join(states, " ")
			return got, got == "healthy healthy healthy"
		})
	}
}

func (s *Sandbox) testBalancers(t *testing.T) {
	alb, _ := s.balancer(t, "public-alb")
	nlb, _ := s.balancer(t, "passthrough-nlb")
	for _, c := range []struct{ url, address, want string }{
		{"https://argocd.bigbang.example/", alb, "200"},
		{"https://team.pages.bigbang.example/", alb, "200"},
		{"https://kibana.bigbang.example/", alb, "302"},
		{"https://wiki.bigbang.example/", alb, "301"},
		{"https://kiali.bigbang.example/", alb, "302"},
		{"https://portal.bigbang.example/api/v1", alb, "200"},
		{"https://jira.bigbang.example/", alb, "200"},
		{"https://nobody.bigbang.example/", alb, "404"},
		{"https://sso.bigbang.example/", nlb, "200"},
	} {
		if got := s.status(t, request{url: c.url, address: c.address}); got != c.want {
			t.Errorf("%s: %s, want %s", c.url, got, c.want)
		}
	}
}

// answered tells which side's gateway pods logged a request with the User-Agent.
func (s *Sandbox) answered(t *testing.T, agent string) string {
	t.Helper()
	kube, _ := s.kube(t)
	var sides []string
	for _, namespace := range []string{"istio-system", "istio-gateway"} {
		pods, err := kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "istio=ingressgateway"})
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods.Items {
			text, err := kube.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), `"`+agent+`"`) {
				sides = append(sides, namespace)
			}
		}
	}
	return strings.Join(sides, " ")
}

func (s *Sandbox) testMovingARule(t *testing.T) {
	alb, listener := s.balancer(t, "public-alb")
	ask := request{url: "https://argocd.bigbang.example/", address: alb, agent: "nonce-before"}
	if got := s.status(t, ask); got != "200" || s.answered(t, ask.agent) != "istio-system" {
		t.Fatalf("before: %s by %q", got, s.answered(t, ask.agent))
	}
	out, err := s.AWS.Call(t.Context(), &elb.DescribeRulesInput{ListenerArn: &listener})
	if err != nil {
		t.Fatal(err)
	}
	var rule types.Rule
	for _, r := range out.(*elb.DescribeRulesOutput).Rules {
		if *r.Priority == "10" {
			rule = r
		}
	}
	fresh := s.groupARN(t, "public-new-https")
	if _, err := s.AWS.Call(t.Context(), &elb.ModifyRuleInput{RuleArn: rule.RuleArn, Actions: []types.Action{forwardTo(&fresh)}}); err != nil {
		t.Fatal(err)
	}
	n := 0
	eventually(t, "side after the rule was moved", func() (string, bool) {
		n++
		ask.agent = fmt.Sprintf("nonce-after-%d", n)
		if got := s.status(t, ask); got != "200" {
			return got, false
		}
		side := s.answered(t, ask.agent)
		return side, side == "istio-gateway"
	})
}

func (s *Sandbox) testMovingALane(t *testing.T) {
	nlb, listener := s.balancer(t, "passthrough-nlb")
	ask := request{url: "https://keycloak.bigbang.example/", address: nlb}
	fresh := s.groupARN(t, "passthrough-new-https")
	if _, err := s.AWS.Call(t.Context(), &elb.ModifyListenerInput{ListenerArn: &listener, DefaultActions: []types.Action{forwardTo(&fresh)}}); err != nil {
		t.Fatal(err)
	}
	kube, _ := s.kube(t)
	eventually(t, "a new pod's log of the connection", func() (string, bool) {
		if got := s.status(t, ask); got != "200" {
			return got, false
		}
		pods, err := kube.CoreV1().Pods("istio-gateway").List(t.Context(), metav1.ListOptions{LabelSelector: "app=passthrough-ingressgateway"})
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods.Items {
			text, err := kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "keycloak.bigbang.example") && strings.Contains(string(text), `"- - -" 0 - - - "-"`) {
				return "", true
			}
		}
		return "no line", false
	})
}

func TestSideBySide(t *testing.T) {
	state := t.TempDir()
	a, b := start(t, Options{Hosts: 2, StateDir: state}), start(t, Options{Hosts: 2})
	if a.AWSEndpoint() == b.AWSEndpoint() {
		t.Fatalf("two sandboxes share %s", a.AWSEndpoint())
	}
	for _, s := range []*Sandbox{a, b} {
		alb, _ := s.balancer(t, "public-alb")
		if got := s.status(t, request{url: "https://argocd.bigbang.example/", address: alb}); got != "200" {
			t.Errorf("%s: %s", alb, got)
		}
	}
	exports := a.Exports()
	for _, line := range []string{
		"export KUBECONFIG='" + a.Kubeconfig() + "'\n", "export AWS_REGION='us-east-1'\n",
		"export XDG_STATE_HOME='" + state + "'\n", "export CUTOVER_SANDBOX_CA='" + a.CAFile() + "'\n",
	} {
		if !strings.Contains(exports, line) {
			t.Errorf("exports lack %s", line)
		}
	}
	dir := filepath.Dir(a.CAFile())
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if _, err := os.Stat(state); err != nil {
		t.Errorf("the state directory that was given is gone: %v", err)
	}
}

func TestStartIsBoundByContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(ctx, Options{}); err == nil {
		s.Close()
		t.Error("started under a context that had ended")
	}
}
