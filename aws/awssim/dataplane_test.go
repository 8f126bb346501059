package awssim

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"go.uber.org/goleak"
)

func TestALBForwardsAsALoadBalancerDoes(t *testing.T) {
	w := newWorld(t)
	b := newBackend(t, "old", true)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttps, 443, forwardTo(w.serving("old", types.ProtocolEnumHttps, b)))
	got := get(t, newHTTPClient(t, false), l, "App.Example:8443", "/a%2Fb?x=%zz;1", func(r *http.Request) {
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
	})
	want := "old host=App.Example:8443 uri=/a%2Fb?x=%zz;1 for=192.0.2.1, 127.0.0.1 proto=https port=" + strings.Split(address(l), ":")[1]
	if got.body != want {
		t.Errorf("got  %s\nwant %s", got.body, want)
	}
	if sni := b.sni.Load(); sni != "" {
		t.Errorf("the target was sent the server name %q", sni)
	}
}

// A change moves connections that are open already, since rules are evaluated
// for each request.
func TestOpenConnectionsFollowAChange(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
		old := w.serving("old", types.ProtocolEnumHttps, newBackend(t, "old", true))
		fresh := w.serving("new", types.ProtocolEnumHttps, newBackend(t, "new", true))
		l := w.listener(lb, types.ProtocolEnumHttps, 443, answerWith("404", "nothing"))
		r := w.rule(l, 10, "app.example", forwardTo(old))
		client := newHTTPClient(t, http2)
		if got := get(t, client, l, "app.example", "/"); got.Header.Get("X-Backend") != "old" || got.ProtoMajor == 2 != http2 {
			t.Fatalf("before: %s %s", got.Proto, got.body)
		}
		call(w, w.client.ModifyRule, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Actions: []types.Action{forwardTo(fresh)}})
		reused := false
		got := get(t, client, l, "app.example", "/", func(r *http.Request) {
			trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
		})
		if got.Header.Get("X-Backend") != "new" || !reused {
			t.Errorf("after, HTTP/2 %v: %s, connection reused %v", http2, got.body, reused)
		}
		if got := get(t, client, l, "other.example", "/"); got.StatusCode != http.StatusNotFound || got.body != "nothing" {
			t.Errorf("another host: %d %s", got.StatusCode, got.body)
		}
	}
}

func TestWeightsShareRequests(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	old := w.serving("old", types.ProtocolEnumHttp, newBackend(t, "old", false))
	fresh := w.serving("new", types.ProtocolEnumHttp, newBackend(t, "new", false))
	l := w.listener(lb, types.ProtocolEnumHttp, 80, weighted(old, 75, fresh, 25))
	client := newHTTPClient(t, false)
	const requests = 400
	moved := 0
	for range requests {
		if get(t, client, l, "app.example", "/").Header.Get("X-Backend") == "new" {
			moved++
		}
	}
	// Eight standard deviations either side of a hundred.
	if moved < 30 || moved > 170 {
		t.Errorf("%d of %d requests went to the group with a quarter of the weight", moved, requests)
	}
	call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{weighted(old, 0, fresh, 1)}})
	for range 20 {
		if got := get(t, client, l, "app.example", "/"); got.Header.Get("X-Backend") != "new" {
			t.Fatalf("with weight 0 a request went to %s", got.body)
		}
	}
}

func TestGroupStickinessHoldsWhateverTheWeight(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	old := w.serving("old", types.ProtocolEnumHttp, newBackend(t, "old", false))
	fresh := w.serving("new", types.ProtocolEnumHttp, newBackend(t, "new", false))
	sticky := func(a types.Action) types.Action {
		a.ForwardConfig.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{Enabled: new(true), DurationSeconds: new(int32(60))}
		return a
	}
	l := w.listener(lb, types.ProtocolEnumHttp, 80, sticky(weighted(old, 1, fresh, 0)))
	client := newHTTPClient(t, false)
	cookies := get(t, client, l, "app.example", "/").Cookies()
	if len(cookies) != 2 || cookies[0].Name != "AWSALBTG" {
		t.Fatalf("cookies: %v", cookies)
	}
	call(w, w.client.ModifyListener, &elb.ModifyListenerInput{
		ListenerArn: l.ListenerArn, DefaultActions: []types.Action{sticky(weighted(old, 0, fresh, 1))},
	})
	holder := func(r *http.Request) { r.AddCookie(cookies[0]) }
	if got := get(t, client, l, "app.example", "/", holder); got.Header.Get("X-Backend") != "old" {
		t.Errorf("the holder of a cookie went to %s", got.body)
	}
	if got := get(t, client, l, "app.example", "/"); got.Header.Get("X-Backend") != "new" {
		t.Errorf("a client without a cookie went to %s", got.body)
	}
}

func TestTargetStickinessHoldsWithinAGroup(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	one, two := newBackend(t, "one", false), newBackend(t, "two", false)
	group := w.group("old", types.ProtocolEnumHttp, one.port, nil)
	call(w, w.client.RegisterTargets, &elb.RegisterTargetsInput{TargetGroupArn: new(group), Targets: []types.TargetDescription{
		{Id: new("i-1")}, {Id: new("i-1"), Port: new(int32(two.port))},
	}})
	call(w, w.client.ModifyTargetGroupAttributes, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: new(group), Attributes: []types.TargetGroupAttribute{{Key: new(attrSticky), Value: new("true")}},
	})
	l := w.listener(lb, types.ProtocolEnumHttp, 80, forwardTo(group))
	// While one alone is healthy the other gets nothing.
	eventually(t, "both targets are healthy", func() bool {
		out := call(w, w.client.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: new(group)})
		return !slices.ContainsFunc(out.TargetHealthDescriptions, func(d types.TargetHealthDescription) bool {
			return d.TargetHealth.State != types.TargetHealthStateEnumHealthy
		})
	})
	client := newHTTPClient(t, false)
	first := get(t, client, l, "app.example", "/")
	cookies := first.Cookies()
	if len(cookies) != 2 || cookies[0].Name != "AWSALB" {
		t.Fatalf("cookies: %v", cookies)
	}
	for range 10 {
		got := get(t, client, l, "app.example", "/", func(r *http.Request) { r.AddCookie(cookies[0]) })
		if got.Header.Get("X-Backend") != first.Header.Get("X-Backend") {
			t.Fatalf("the holder of a cookie went from %s to %s", first.body, got.body)
		}
	}
	other := newBackend(t, "other", false)
	next := w.serving("new", types.ProtocolEnumHttp, other)
	call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{forwardTo(next)}})
	if got := get(t, client, l, "app.example", "/", func(r *http.Request) { r.AddCookie(cookies[0]) }); got.Header.Get("X-Backend") != "other" {
		t.Errorf("a cookie for a target held its holder in another group: %s", got.body)
	}
}

func TestRedirectFillsPlaceholders(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, types.Action{
		Type: types.ActionTypeEnumRedirect,
		RedirectConfig: &types.RedirectActionConfig{
			StatusCode: types.RedirectActionStatusCodeEnumHttp301, Protocol: new("HTTPS"), Port: new("443"),
		},
	})
	got := get(t, newHTTPClient(t, false), l, "app.example:80", "/a/b?c=d")
	if location := got.Header.Get("Location"); got.StatusCode != http.StatusMovedPermanently || location != "https://app.example:443/a/b?c=d" {
		t.Errorf("%d %s", got.StatusCode, location)
	}
}

func TestOIDCAsksForASessionAndThenForwards(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	old := w.serving("old", types.ProtocolEnumHttp, newBackend(t, "old", false))
	l := w.listener(lb, types.ProtocolEnumHttps, 443, answerWith("404", ""))
	w.rule(l, 10, "sso.example", oidcActions(old, new("hidden"))...)
	client := newHTTPClient(t, false)
	got := get(t, client, l, "sso.example", "/")
	if location := got.Header.Get("Location"); got.StatusCode != http.StatusFound || !strings.HasPrefix(location, "https://idp.example/authorize?client_id=cutover&") {
		t.Errorf("%d %s", got.StatusCode, location)
	}
	got = get(t, client, l, "sso.example", "/", func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "AWSELBAuthSessionCookie-0", Value: "x"})
	})
	if got.Header.Get("X-Backend") != "old" {
		t.Errorf("with a session: %d %s", got.StatusCode, got.body)
	}
}

func TestStatusWithoutATarget(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	empty := w.group("empty", types.ProtocolEnumHttp, 80, nil)
	gone := newBackend(t, "gone", false)
	broken := w.group("broken", types.ProtocolEnumHttp, unusedPort(t), nil)
	w.register(broken, "i-1")
	serving := w.serving("serving", types.ProtocolEnumHttp, gone)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, forwardTo(empty))
	w.rule(l, 1, "broken.example", forwardTo(broken))
	w.rule(l, 2, "zero.example", weighted(serving, 0, empty, 0))
	client := newHTTPClient(t, false)
	for host, want := range map[string]int{"empty.example": 503, "broken.example": 502, "zero.example": 503} {
		got := get(t, client, l, host, "/")
		if got.StatusCode != want || got.Header.Get("Server") != "awselb/2.0" {
			t.Errorf("%s: %d from %q, want %d", host, got.StatusCode, got.Header.Get("Server"), want)
		}
	}
}

func TestHealthFollowsTheTarget(t *testing.T) {
	w := newWorld(t)
	b := newBackend(t, "old", false)
	arn := w.serving("old", types.ProtocolEnumHttp, b)
	if state, reason := w.health(arn); state != types.TargetHealthStateEnumUnused || reason != types.TargetHealthReasonEnumNotInUse {
		t.Fatalf("before any rule names it: %s %s", state, reason)
	}
	if b.checks.Load() != 0 {
		t.Fatal("an unused target was checked")
	}
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	other := w.group("other", types.ProtocolEnumHttp, 80, nil)
	// Weight 0 begins the checks.
	l := w.listener(lb, types.ProtocolEnumHttp, 80, weighted(other, 1, arn, 0))
	w.healthy(arn)
	b.status.Store(http.StatusServiceUnavailable)
	eventually(t, "the target is unhealthy", func() bool {
		state, reason := w.health(arn)
		return state == types.TargetHealthStateEnumUnhealthy && reason == types.TargetHealthReasonEnumResponseCodeMismatch
	})
	call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{forwardTo(arn)}})
	if got := get(t, newHTTPClient(t, false), l, "app.example", "/"); got.Header.Get("X-Backend") != "old" {
		t.Errorf("all targets unhealthy, but it did not fail open: %d", got.StatusCode)
	}
	call(w, w.client.DeregisterTargets, &elb.DeregisterTargetsInput{
		TargetGroupArn: new(arn), Targets: []types.TargetDescription{{Id: new("i-1")}},
	})
	if state, reason := w.health(arn); state != types.TargetHealthStateEnumDraining || reason != types.TargetHealthReasonEnumDeregistrationInProgress {
		t.Errorf("after deregistration: %s %s", state, reason)
	}
	if got := get(t, newHTTPClient(t, false), l, "app.example", "/"); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a draining target got a new request: %d", got.StatusCode)
	}
}

func TestHealthOfATargetThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	arn := w.group("old", types.ProtocolEnumHttp, unusedPort(t), nil)
	w.register(arn, "i-1")
	w.listener(lb, types.ProtocolEnumHttp, 80, forwardTo(arn))
	if state, reason := w.health(arn); state != types.TargetHealthStateEnumInitial || reason != types.TargetHealthReasonEnumInitialHealthChecking {
		t.Errorf("at first: %s %s", state, reason)
	}
	eventually(t, "the target is unhealthy", func() bool {
		state, reason := w.health(arn)
		return state == types.TargetHealthStateEnumUnhealthy && reason == types.TargetHealthReasonEnumFailedHealthChecks
	})
}

// unusedPort gives a port on which nothing listens.
func unusedPort(t *testing.T) int {
	t.Helper()
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.Addr().(*net.TCPAddr).Port
}

// Changes to a load balancer are gathered from the first one on, and come into
// force together, on all of its listeners.
func TestChangesPropagateInBatches(t *testing.T) {
	w := newWorld(t)
	var passed atomic.Int64
	start := time.Now()
	w.sim.now = func() time.Time { return start.Add(time.Duration(passed.Load())) }
	w.sim.SetPropagation(10 * time.Second)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	first, second := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("200", "a")), w.listener(lb, types.ProtocolEnumHttp, 81, answerWith("200", "a"))
	other := w.listener(w.loadBalancer("other", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, answerWith("200", "a"))
	client := newHTTPClient(t, false)
	change := func(l *types.Listener, body string) {
		t.Helper()
		call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []types.Action{answerWith("200", body)}})
	}
	expect := func(after time.Duration, want string) {
		t.Helper()
		passed.Store(int64(after))
		got := ""
		for _, l := range []*types.Listener{first, second, other} {
			got += get(t, client, l, "app.example", "/").body
		}
		if got != want {
			t.Errorf("after %s: %s, want %s", after, got, want)
		}
	}
	expect(0, "aaa")
	change(first, "b")
	expect(6*time.Second, "aaa")
	change(second, "b")
	change(first, "c")
	change(other, "b")
	expect(9999*time.Millisecond, "aaa")
	expect(10*time.Second, "cba")
	change(second, "d")
	expect(15*time.Second, "cba")
	expect(16*time.Second, "cbb")
	expect(19*time.Second, "cbb")
	expect(20*time.Second, "cdb")
}

// A listener without traffic keeps no plans but those that are, or will be, in force.
func TestPlansOfAListenerWithoutTraffic(t *testing.T) {
	w := newWorld(t)
	at := time.Now()
	w.sim.now = func() time.Time { return at }
	w.sim.SetPropagation(10 * time.Second)
	view := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, answerWith("200", "a"))
	change := func() {
		t.Helper()
		call(w, w.client.ModifyListener, &elb.ModifyListenerInput{ListenerArn: view.ListenerArn, DefaultActions: []types.Action{answerWith("200", "b")}})
	}
	for range 20 {
		change()
		at = at.Add(10 * time.Second)
	}
	change()
	change()
	l, err := w.sim.findListener(view.ListenerArn)
	if err != nil {
		t.Fatal(err)
	}
	plans := 0
	for p := l.plan.Load(); p != nil; p = p.next.Load() {
		plans++
	}
	if plans != 3 {
		t.Errorf("%d plans are kept, want the one in force and two to come", plans)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	w := newWorld(t)
	http1, http2 := newHTTPClient(t, false), newHTTPClient(t, true)
	b := newBackend(t, "old", true)
	before := goleak.IgnoreCurrent()
	sim := New(Config{InstanceIP: w.sim.cfg.InstanceIP, ListenerPort: w.sim.cfg.ListenerPort})
	run := func(in any) any {
		t.Helper()
		out, err := sim.Call(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	group := func(name string, protocol types.ProtocolEnum) string {
		out := run(&elb.CreateTargetGroupInput{Name: new(name), Protocol: protocol, Port: new(int32(b.port))})
		arn := *out.(*elb.CreateTargetGroupOutput).TargetGroups[0].TargetGroupArn
		run(&elb.RegisterTargetsInput{TargetGroupArn: new(arn), Targets: []types.TargetDescription{{Id: new("i-1")}}})
		return arn
	}
	listener := func(name string, kind types.LoadBalancerTypeEnum, protocol types.ProtocolEnum, a types.Action) *types.Listener {
		out := run(&elb.CreateLoadBalancerInput{Name: new(name), Type: kind})
		in := &elb.CreateListenerInput{
			LoadBalancerArn: out.(*elb.CreateLoadBalancerOutput).LoadBalancers[0].LoadBalancerArn,
			Protocol:        protocol, Port: new(int32(443)), DefaultActions: []types.Action{a},
		}
		if protocol == types.ProtocolEnumHttps {
			in.Certificates = []types.Certificate{{CertificateArn: new(sim.ImportCertificate(newCertificate(t, "lb.example")))}}
		}
		return &run(in).(*elb.CreateListenerOutput).Listeners[0]
	}
	alb := listener("alb", types.LoadBalancerTypeEnumApplication, types.ProtocolEnumHttps, forwardTo(group("a", types.ProtocolEnumHttps)))
	nlb := listener("nlb", types.LoadBalancerTypeEnumNetwork, types.ProtocolEnumTcp, forwardTo(group("n", types.ProtocolEnumTcp)))
	get(t, http1, alb, "app.example", "/")
	get(t, http2, alb, "app.example", "/")
	flow := tls.Client(dial(t, nlb), &tls.Config{InsecureSkipVerify: true})
	if err := flow.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := flow.Read(make([]byte, 1)); err == nil {
		t.Error("a flow outlived Close")
	}
	http1.CloseIdleConnections()
	http2.CloseIdleConnections()
	goleak.VerifyNone(t, before)
	if _, err := sim.Call(context.Background(), &elb.DescribeLoadBalancersInput{}); err == nil {
		t.Error("a call after Close succeeded")
	}
}
