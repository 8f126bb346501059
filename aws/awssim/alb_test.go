package awssim

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Every kind of condition decides on each request of one connection.
func TestEveryConditionDecidesPerRequest(t *testing.T) {
	w := newWorld(t)
	l := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttps, 443, answerWith("404", "default"))
	for i, rule := range []struct {
		name       string
		conditions []types.RuleCondition
	}{
		{"elsewhere", []types.RuleCondition{{Field: new(fieldSource), SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{"192.0.2.0/24"}}}}},
		{"host and path", []types.RuleCondition{hostIs("*.example"), {Field: new(fieldPath), Values: []string{"/api/*"}}}},
		{"method", []types.RuleCondition{{Field: new(fieldMethod), HttpRequestMethodConfig: &types.HttpRequestMethodConditionConfig{Values: []string{"PUT"}}}}},
		{"header", []types.RuleCondition{{Field: new(fieldHeader), HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: new("X-Canary"), Values: []string{"yes"}}}}},
		{"query", []types.RuleCondition{{Field: new(fieldQuery), QueryStringConfig: &types.QueryStringConditionConfig{Values: []types.QueryStringKeyValuePair{{Key: new("v"), Value: new("2")}}}}}},
		{"source", []types.RuleCondition{hostIs("here.example"), {Field: new(fieldSource), SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{"127.0.0.0/8"}}}}},
	} {
		call(w, w.client.CreateRule, &elb.CreateRuleInput{
			ListenerArn: l.ListenerArn, Priority: new(int32(i + 1)), Conditions: rule.conditions, Actions: []types.Action{answerWith("200", rule.name)},
		})
	}
	for _, http2 := range []bool{false, true} {
		client := newHTTPClient(t, http2)
		for _, c := range []struct {
			host, path, want string
			change           func(*http.Request)
		}{
			{"app.example", "/api/x", "host and path", func(*http.Request) {}},
			{"app.example", "/", "default", func(*http.Request) {}},
			{"app.other", "/api/x", "default", func(*http.Request) {}},
			{"app.other", "/", "method", func(r *http.Request) { r.Method = http.MethodPut }},
			{"app.other", "/", "header", func(r *http.Request) { r.Header.Set("X-Canary", "YES") }},
			{"app.other", "/?v=2", "query", func(*http.Request) {}},
			{"here.example", "/", "source", func(*http.Request) {}},
		} {
			if got := get(t, client, l, c.host, c.path, c.change); got.body != c.want {
				t.Errorf("HTTP/2 %v: %s%s was answered by %q, want %q", http2, c.host, c.path, got.body, c.want)
			}
		}
	}
}

func TestWhatAuthenticationAnswers(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	group := w.serving("old", types.ProtocolEnumHttp, newBackend(t, "old", false))
	l := w.listener(lb, types.ProtocolEnumHttps, 443, answerWith("404", ""))
	then := forwardTo(group)
	then.Order = new(int32(2))
	oidc := func(otherwise types.AuthenticateOidcActionConditionalBehaviorEnum) types.Action {
		first := oidcActions(group, new("hidden"))[0]
		first.AuthenticateOidcConfig.OnUnauthenticatedRequest = otherwise
		return first
	}
	w.rule(l, 1, "deny.example", oidc(types.AuthenticateOidcActionConditionalBehaviorEnumDeny), then)
	w.rule(l, 2, "allow.example", oidc(types.AuthenticateOidcActionConditionalBehaviorEnumAllow), then)
	w.rule(l, 3, "cognito.example", types.Action{
		Type: types.ActionTypeEnumAuthenticateCognito, Order: new(int32(1)),
		AuthenticateCognitoConfig: &types.AuthenticateCognitoActionConfig{
			UserPoolArn: new("arn:aws:cognito-idp:us-east-1:111122223333:userpool/p"), UserPoolClientId: new("c"), UserPoolDomain: new("login"),
		},
	}, then)
	w.rule(l, 4, "jwt.example", types.Action{
		Type: types.ActionTypeEnumJwtValidation, Order: new(int32(1)),
		JwtValidationConfig: &types.JwtValidationActionConfig{Issuer: new("https://idp.example"), JwksEndpoint: new("https://idp.example/jwks")},
	}, then)
	client := newHTTPClient(t, true)
	for host, want := range map[string]int{"deny.example": 401, "allow.example": 200, "cognito.example": 302, "jwt.example": 401} {
		got := get(t, client, l, host, "/")
		if got.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, got.StatusCode, want)
		}
		if location := got.Header.Get("Location"); want == 302 && !strings.HasPrefix(location, "https://login.auth.us-east-1.amazoncognito.com/oauth2/authorize?") {
			t.Errorf("%s: %s", host, location)
		}
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer x.y.z") }
	if got := get(t, client, l, "jwt.example", "/", bearer); got.Header.Get("X-Backend") != "old" {
		t.Errorf("with a token: %d %s", got.StatusCode, got.body)
	}
}

// holding is a backend whose answers wait until they are let go.
type holding struct {
	port    int
	arrived chan struct{}
	release chan struct{}
}

func newHolding(t *testing.T) *holding {
	t.Helper()
	h := &holding{arrived: make(chan struct{}, 8), release: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			h.arrived <- struct{}{}
			select {
			case <-h.release:
			case <-r.Context().Done():
			}
		}
		_, _ = io.WriteString(rw, "held")
	}))
	t.Cleanup(server.Close)
	h.port = portOf(t, server.URL)
	return h
}

// group makes a target group with the backend in it.
func (h *holding) group(w *world, name string) string {
	w.t.Helper()
	arn := w.group(name, types.ProtocolEnumHttp, h.port, func(in *elb.CreateTargetGroupInput) { in.HealthCheckPath = new("/healthz") })
	w.register(arn, "i-1")
	return arn
}

// askHeld asks for a page and gives its answer once it is there.
func askHeld(t *testing.T, h *holding, l *types.Listener) <-chan reply {
	t.Helper()
	client := newHTTPClient(t, false)
	answer := make(chan reply, 1)
	go func() { answer <- get(t, client, l, "app.example", "/") }()
	<-h.arrived
	return answer
}

func TestRequestUnderWayEndsWhereItBegan(t *testing.T) {
	w := newWorld(t)
	h := newHolding(t)
	old := h.group(w, "old")
	fresh := w.serving("new", types.ProtocolEnumHttp, newBackend(t, "new", false))
	l := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, forwardTo(old))
	answer := askHeld(t, h, l)
	call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{forwardTo(fresh)}})
	call(w, w.client.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: new(old)})
	if got := get(t, newHTTPClient(t, false), l, "app.example", "/"); got.Header.Get("X-Backend") != "new" {
		t.Errorf("a new request went to %s", got.body)
	}
	close(h.release)
	if got := <-answer; got.StatusCode != http.StatusOK || got.body != "held" {
		t.Errorf("the request under way: %d %s", got.StatusCode, got.body)
	}
}

// A group that is taken away before the load balancer has let go of it leaves
// the requests of that time without a target.
func TestGroupTakenAwayTooEarly(t *testing.T) {
	w := newWorld(t)
	old := w.serving("old", types.ProtocolEnumHttp, newBackend(t, "old", false))
	fresh := w.serving("new", types.ProtocolEnumHttp, newBackend(t, "new", false))
	l := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, forwardTo(old))
	w.sim.SetPropagation(time.Hour)
	call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{forwardTo(fresh)}})
	client := newHTTPClient(t, false)
	if got := get(t, client, l, "app.example", "/"); got.Header.Get("X-Backend") != "old" {
		t.Errorf("before it has let go: %d %s", got.StatusCode, got.body)
	}
	call(w, w.client.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: new(old)})
	if got := get(t, client, l, "app.example", "/"); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the group was deleted: %d %s", got.StatusCode, got.body)
	}
}

// A connection to a target that is closed before anything was sent on it costs
// no request, whatever its method: the next connection gets it.
func TestClosedConnectionToATargetCostsNoRequest(t *testing.T) {
	w := newWorld(t)
	var bodies atomic.Pointer[[]string]
	bodies.Store(&[]string{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		next := append(slices.Clone(*bodies.Load()), string(body))
		bodies.Store(&next)
	}))
	t.Cleanup(server.Close)
	group := w.group("old", types.ProtocolEnumHttp, portOf(t, server.URL), func(in *elb.CreateTargetGroupInput) { in.HealthCheckPort = new("1") })
	w.register(group, "i-1")
	l := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, forwardTo(group))
	transport := w.sim.group(group).pool.transport
	dial := transport.DialContext
	var dialed atomic.Int32
	var dead atomic.Bool
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if dialed.Add(1) == 1 && err == nil {
			conn = &dying{Conn: conn, dead: &dead}
		}
		return conn, err
	}
	client := newHTTPClient(t, false)
	for _, body := range []string{"first", "second"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address(l)+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", body, response.StatusCode)
		}
		dead.Store(true)
	}
	if got := strings.Join(*bodies.Load(), " "); got != "first second" || dialed.Load() != 2 {
		t.Errorf("the target got %q over %d connections", got, dialed.Load())
	}
}

// dying is a connection that cannot be written to once it is dead, and does not
// say so before.
type dying struct {
	net.Conn
	dead *atomic.Bool
}

func (d *dying) Write(p []byte) (int, error) {
	if d.dead.Load() {
		return 0, net.ErrClosed
	}
	return d.Conn.Write(p)
}

// Close waits for connections that have been upgraded, too.
func TestCloseWaitsForUpgradedConnections(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return // a health check
		}
		conn, both, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, both) // until the load balancer closes it
	}))
	t.Cleanup(server.Close)
	group := w.group("old", types.ProtocolEnumHttp, portOf(t, server.URL), nil)
	w.register(group, "i-1")
	l := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, forwardTo(group))
	w.healthy(group)
	for range 16 {
		client := dial(t, l)
		if err := client.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer := bufio.NewReader(client)
		response, err := http.ReadResponse(answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(client, "hello"); err != nil {
			t.Fatal(err)
		}
		if echo, err := answer.Peek(5); err != nil || string(echo) != "hello" || response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %q %v", response.Status, echo, err)
		}
	}
	g := w.sim.group(group)
	if err := w.sim.Close(); err != nil {
		t.Fatal(err)
	}
	e := g.targets[0].endpoint
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.uses) != 0 {
		t.Errorf("%d connections were still being served when Close returned", len(e.uses))
	}
}
