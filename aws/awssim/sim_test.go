package awssim

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
)

// world is a Sim behind its API endpoint, with an SDK client.
type world struct {
	t        *testing.T
	sim      *Sim
	endpoint string
	client   *elb.Client
}

// newWorld starts a Sim whose instances all are 127.0.0.1 and whose listeners
// take free ports.
func newWorld(t *testing.T) *world {
	t.Helper()
	sim := New(Config{
		InstanceIP:   func(id string) (netip.Addr, bool) { return netip.MustParseAddr("127.0.0.1"), id != "i-unknown" },
		ListenerPort: func(int) int { return 0 },
	})
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := sim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &world{t: t, sim: sim, endpoint: server.URL, client: newClient(server.URL, "us-east-1")}
}

func newClient(endpoint, region string) *elb.Client {
	return elb.New(elb.Options{
		BaseEndpoint:     aws.String(endpoint),
		Region:           region,
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-secret", ""),
		RetryMaxAttempts: 1,
	})
}

// post calls an operation without parameters and gives the code of its error, or
// nothing.
func (w *world) post(t *testing.T, service, action, version string) string {
	t.Helper()
	body := url.Values{"Action": {action}, "Version": {version}}.Encode()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	answer := httptest.NewRecorder()
	w.sim.Handler().ServeHTTP(answer, r)
	if answer.Code == http.StatusOK {
		return ""
	}
	_, code, _ := strings.Cut(answer.Body.String(), "<Code>")
	code, _, _ = strings.Cut(code, "</Code>")
	return code
}

// call runs an operation of the SDK client that must succeed.
func call[I, O any](w *world, run func(context.Context, *I, ...func(*elb.Options)) (*O, error), in *I) *O {
	w.t.Helper()
	out, err := run(w.t.Context(), in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return out
}

// refused runs an operation that must fail with a code.
func refused[I, O any](w *world, code string, run func(context.Context, *I, ...func(*elb.Options)) (*O, error), in *I) {
	w.t.Helper()
	_, err := run(w.t.Context(), in)
	var failed smithy.APIError
	if !errors.As(err, &failed) {
		w.t.Fatalf("%T: got %v, want the error %s", in, err, code)
	}
	if failed.ErrorCode() != code {
		w.t.Fatalf("%T: got %s (%s), want the error %s", in, failed.ErrorCode(), failed.ErrorMessage(), code)
	}
}

func (w *world) loadBalancer(name string, kind types.LoadBalancerTypeEnum) *types.LoadBalancer {
	w.t.Helper()
	out := call(w, w.client.CreateLoadBalancer, &elb.CreateLoadBalancerInput{
		Name: new(name), Type: kind, Subnets: []string{"subnet-a", "subnet-b"},
	})
	return &out.LoadBalancers[0]
}

func (w *world) loadBalancerIn(name string, subnets ...string) *types.LoadBalancer {
	w.t.Helper()
	out := call(w, w.client.CreateLoadBalancer, &elb.CreateLoadBalancerInput{Name: &name, Subnets: subnets})
	return &out.LoadBalancers[0]
}

// group makes a target group with a health check each second.
func (w *world) group(name string, protocol types.ProtocolEnum, port int, change func(*elb.CreateTargetGroupInput)) string {
	w.t.Helper()
	in := &elb.CreateTargetGroupInput{
		Name: new(name), Protocol: protocol, Port: new(int32(port)), HealthCheckIntervalSeconds: new(int32(1)),
	}
	if change != nil {
		change(in)
	}
	return *call(w, w.client.CreateTargetGroup, in).TargetGroups[0].TargetGroupArn
}

func (w *world) listener(lb *types.LoadBalancer, protocol types.ProtocolEnum, port int, actions ...types.Action) *types.Listener {
	w.t.Helper()
	in := &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Protocol: protocol, Port: new(int32(port)), DefaultActions: actions}
	if protocol == types.ProtocolEnumHttps {
		in.Certificates = []types.Certificate{{CertificateArn: new(w.sim.ImportCertificate(newCertificate(w.t, "lb.example")))}}
	}
	return &call(w, w.client.CreateListener, in).Listeners[0]
}

func (w *world) rule(l *types.Listener, priority int, host string, actions ...types.Action) *types.Rule {
	w.t.Helper()
	return &call(w, w.client.CreateRule, &elb.CreateRuleInput{
		ListenerArn: l.ListenerArn, Priority: new(int32(priority)), Conditions: []types.RuleCondition{hostIs(host)}, Actions: actions,
	}).Rules[0]
}

func hostIs(hosts ...string) types.RuleCondition {
	return types.RuleCondition{Field: new(fieldHost), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: hosts}}
}

func forwardTo(arn string) types.Action {
	return types.Action{Type: types.ActionTypeEnumForward, TargetGroupArn: new(arn)}
}

// weighted forwards with pairs of a target group and its weight.
func weighted(pairs ...any) types.Action {
	c := &types.ForwardActionConfig{}
	for i := 0; i < len(pairs); i += 2 {
		c.TargetGroups = append(c.TargetGroups, types.TargetGroupTuple{
			TargetGroupArn: new(pairs[i].(string)), Weight: new(int32(pairs[i+1].(int))),
		})
	}
	return types.Action{Type: types.ActionTypeEnumForward, ForwardConfig: c}
}

func answerWith(code, body string) types.Action {
	return types.Action{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{
		StatusCode: new(code), ContentType: new("text/plain"), MessageBody: new(body),
	}}
}

// newCertificate makes a self-signed certificate.
func newCertificate(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after 10 s: %s", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}
