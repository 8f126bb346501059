package aws

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"go.uber.org/goleak"

	"github.com/istio-cutover/cutover/aws/awssim"
	"github.com/istio-cutover/cutover/model"
)

func TestMain(m *testing.M) {
	// Connections that the SDK's HTTP clients keep for reuse are no leak.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// environment gives the test an AWS environment of its own.
func environment(tb testing.TB, endpoint string) {
	tb.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL":            endpoint,
		"AWS_REGION":                  "us-east-1",
		"AWS_DEFAULT_REGION":          "",
		"AWS_ACCESS_KEY_ID":           "AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY":       "not-a-secret",
		"AWS_SESSION_TOKEN":           "",
		"AWS_PROFILE":                 "",
		"AWS_CA_BUNDLE":               "",
		"AWS_EC2_METADATA_DISABLED":   "true",
		"AWS_CONFIG_FILE":             filepath.Join(tb.TempDir(), "config"),
		"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(tb.TempDir(), "credentials"),
		"NO_PROXY":                    "127.0.0.1",
	} {
		tb.Setenv(name, value)
	}
}

// clientFor is New in an environment of the test's own.
func clientFor(tb testing.TB, endpoint string, opts Options) *Client {
	tb.Helper()
	environment(tb, endpoint)
	c, err := New(tb.Context(), opts)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return c
}

// startSim serves a simulated account.
func startSim(tb testing.TB) (*awssim.Sim, string) {
	tb.Helper()
	sim := awssim.New(awssim.Config{
		InstanceIP:   func(string) (netip.Addr, bool) { return netip.MustParseAddr("127.0.0.1"), true },
		ListenerPort: func(int) int { return 0 },
	})
	server := httptest.NewServer(sim.Handler())
	tb.Cleanup(func() {
		server.Close()
		if err := sim.Close(); err != nil {
			tb.Errorf("close the simulated account: %v", err)
		}
	})
	return sim, server.URL
}

// certificate makes a self-signed certificate.
func certificate(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"lb.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// builder makes a world through the SDK alone.
type builder struct {
	tb      testing.TB
	client  *elb.Client
	vpc     string
	subnets []string
	// certificate is the ARN of that of HTTPS listeners; without one they are
	// HTTP listeners, which moto takes rules of any kind for.
	certificate string
}

func newBuilder(tb testing.TB, endpoint string) *builder {
	tb.Helper()
	c := clientFor(tb, endpoint, Options{})
	client := elb.New(c.elb.Options(), func(o *elb.Options) { o.Retryer = retry.NewStandard() })
	return &builder{tb: tb, client: client, vpc: "vpc-1", subnets: []string{"subnet-a", "subnet-b"}}
}

// subnets asks moto's EC2 for the default VPC and two of its subnets.
func subnets(tb testing.TB, endpoint string) (vpc string, ids []string) {
	tb.Helper()
	form := url.Values{"Action": {"DescribeSubnets"}, "Version": {"2016-11-15"}}
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		tb.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`<subnetId>([^<]+)</subnetId>`).FindAllStringSubmatch(string(body), -1) {
		ids = append(ids, m[1])
	}
	m := regexp.MustCompile(`<vpcId>([^<]+)</vpcId>`).FindStringSubmatch(string(body))
	if len(ids) < 2 || m == nil {
		tb.Fatalf("no default subnets in %s", body)
	}
	return m[1], ids[:2]
}

// must makes a call that has to succeed.
func must[I, O any](b *builder, do func(context.Context, *I, ...func(*elb.Options)) (*O, error), in *I) *O {
	b.tb.Helper()
	out, err := do(b.tb.Context(), in)
	if err != nil {
		b.tb.Fatalf("%T: %v", in, err)
	}
	return out
}

func (b *builder) balancer(name string, kind types.LoadBalancerTypeEnum) string {
	b.tb.Helper()
	in := &elb.CreateLoadBalancerInput{
		Name: &name, Type: kind, Subnets: b.subnets,
		Tags: []types.Tag{{Key: awssdk.String("made-for"), Value: &name}},
	}
	return *must(b, b.client.CreateLoadBalancer, in).LoadBalancers[0].LoadBalancerArn
}

func (b *builder) group(name string, protocol types.ProtocolEnum, port int32, targets ...string) string {
	b.tb.Helper()
	in := &elb.CreateTargetGroupInput{
		Name: &name, Protocol: protocol, Port: &port, VpcId: &b.vpc, TargetType: types.TargetTypeEnumIp,
		Tags: []types.Tag{{Key: awssdk.String("made-for"), Value: &name}},
	}
	arn := *must(b, b.client.CreateTargetGroup, in).TargetGroups[0].TargetGroupArn
	for _, id := range targets {
		must(b, b.client.RegisterTargets, &elb.RegisterTargetsInput{
			TargetGroupArn: &arn, Targets: []types.TargetDescription{{Id: awssdk.String(id), Port: &port}},
		})
	}
	return arn
}

func (b *builder) listener(lb string, protocol types.ProtocolEnum, port int32, actions ...types.Action) string {
	b.tb.Helper()
	in := &elb.CreateListenerInput{LoadBalancerArn: &lb, Protocol: protocol, Port: &port, DefaultActions: actions}
	switch {
	case protocol == types.ProtocolEnumHttps && b.certificate == "":
		in.Protocol = types.ProtocolEnumHttp
	case protocol == types.ProtocolEnumHttps:
		in.Certificates = []types.Certificate{{CertificateArn: &b.certificate}}
	}
	return *must(b, b.client.CreateListener, in).Listeners[0].ListenerArn
}

func (b *builder) rule(listener string, priority int, conditions []types.RuleCondition, actions ...types.Action) string {
	b.tb.Helper()
	p := int32(priority)
	in := &elb.CreateRuleInput{
		ListenerArn: &listener, Priority: &p, Conditions: conditions, Actions: actions,
		Tags: []types.Tag{{Key: awssdk.String("priority"), Value: awssdk.String(fmt.Sprint(priority))}},
	}
	return *must(b, b.client.CreateRule, in).Rules[0].RuleArn
}

func host(names ...string) types.RuleCondition {
	return types.RuleCondition{Field: awssdk.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: names}}
}

func path(patterns ...string) types.RuleCondition {
	return types.RuleCondition{Field: awssdk.String("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: patterns}}
}

func forward(arn string) types.Action {
	return types.Action{Type: types.ActionTypeEnumForward, TargetGroupArn: &arn}
}

// weighted forwards to two groups, with stickiness.
func weighted(a string, n int32, b string, m int32) types.Action {
	return types.Action{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{
		TargetGroups: []types.TargetGroupTuple{{TargetGroupArn: &a, Weight: &n}, {TargetGroupArn: &b, Weight: &m}},
		TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{
			Enabled: awssdk.Bool(true), DurationSeconds: awssdk.Int32(300),
		},
	}}
}

func redirect() types.Action {
	return types.Action{Type: types.ActionTypeEnumRedirect, RedirectConfig: &types.RedirectActionConfig{
		Protocol: awssdk.String("HTTPS"), Port: awssdk.String("443"), Host: awssdk.String("new.example"),
		Path: awssdk.String("/#{path}"), Query: awssdk.String("#{query}"), StatusCode: types.RedirectActionStatusCodeEnumHttp301,
	}}
}

func oidc() types.Action {
	return types.Action{Type: types.ActionTypeEnumAuthenticateOidc, Order: awssdk.Int32(1), AuthenticateOidcConfig: &types.AuthenticateOidcActionConfig{
		Issuer: awssdk.String("https://sso.example"), AuthorizationEndpoint: awssdk.String("https://sso.example/auth"),
		TokenEndpoint: awssdk.String("https://sso.example/token"), UserInfoEndpoint: awssdk.String("https://sso.example/user"),
		ClientId: awssdk.String("cutover"), ClientSecret: awssdk.String("hush-hush"),
		AuthenticationRequestExtraParams: map[string]string{"prompt": "login"},
	}}
}

func fixed(code string) types.Action {
	return types.Action{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: &code}}
}

func ruleWith(t *testing.T, w model.AWS, arn string) model.Rule {
	t.Helper()
	for _, lb := range w.LoadBalancers {
		for _, l := range lb.Listeners {
			for _, r := range l.Rules {
				if r.ARN == arn {
					return r
				}
			}
		}
	}
	t.Fatalf("rule %s was not observed", arn)
	return model.Rule{}
}
