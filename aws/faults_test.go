package aws

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/istio-cutover/cutover/aws/awssim"
	"github.com/istio-cutover/cutover/model"
)

// smallWorld is an account with two load balancers, of which only the first
// and its groups carry a lane.
type smallWorld struct {
	*transport
	sim                 *awssim.Sim
	client              *Client
	listener, rule      string
	old, fresh, strange string
}

// inWorld runs a test in simulated time on a small world. The account itself
// has sockets, which simulated time would wait for, and lives outside of it.
func inWorld(t *testing.T, opts Options, test func(t *testing.T, w *smallWorld)) {
	t.Helper()
	environment(t, "http://elb.test")
	sim := awssim.New(awssim.Config{ListenerPort: func(int) int { return 0 }})
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Errorf("close the simulated account: %v", err)
		}
	})
	w := &smallWorld{transport: &transport{handler: sim.Handler()}, sim: sim}
	w.build(t)
	synctest.Test(t, func(t *testing.T) {
		w.client = newOver(t, w.transport, opts)
		test(t, w)
	})
}

func (w *smallWorld) build(t *testing.T) {
	create := func(in any) any {
		t.Helper()
		out, err := w.sim.Call(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	group := func(name string, port int32) string {
		out := create(&elb.CreateTargetGroupInput{Name: &name, Protocol: types.ProtocolEnumHttp, Port: &port, VpcId: new("vpc-1"), TargetType: types.TargetTypeEnumIp})
		return *out.(*elb.CreateTargetGroupOutput).TargetGroups[0].TargetGroupArn
	}
	balancer := func(name string, actions ...types.Action) string {
		out := create(&elb.CreateLoadBalancerInput{Name: &name, Type: types.LoadBalancerTypeEnumApplication, Subnets: []string{"subnet-a", "subnet-b"}})
		arn := out.(*elb.CreateLoadBalancerOutput).LoadBalancers[0].LoadBalancerArn
		l := create(&elb.CreateListenerInput{LoadBalancerArn: arn, Protocol: types.ProtocolEnumHttp, Port: new(int32(80)), DefaultActions: actions})
		return *l.(*elb.CreateListenerOutput).Listeners[0].ListenerArn
	}
	w.old, w.fresh, w.strange = group("old", 30080), group("new", 30081), group("strange", 1234)
	w.listener = balancer("public", fixed("404"))
	balancer("strange", forward(w.strange))
	out := create(&elb.CreateRuleInput{
		ListenerArn: &w.listener, Priority: new(int32(10)), Conditions: []types.RuleCondition{host("app.example")}, Actions: []types.Action{forward(w.old)},
	})
	w.rule = *out.(*elb.CreateRuleOutput).Rules[0].RuleArn
}

func (w *smallWorld) ref() model.Ref {
	return model.Ref{Op: model.OpModifyRule, Listener: w.listener, Rule: w.rule}
}

// problemOf gives the only problem with a resource.
func problemOf(t *testing.T, w model.AWS, r model.Resource) model.Problem {
	t.Helper()
	var found []model.Problem
	for _, p := range w.Problems {
		if p.Resource == r {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		t.Fatalf("problems with %s: %+v", r, found)
	}
	return found[0]
}

func TestFaultOfOneOperation(t *testing.T) {
	tests := map[string]struct {
		fault fault
		kind  model.Kind
		words []string
	}{
		"throttled":         {failing(400, "Throttling", "Rate exceeded"), model.KindThrottled, []string{"Rate exceeded", "quota"}},
		"denied":            {failing(403, "AccessDenied", "not\n &#x202e;authorized"), model.KindAccess, []string{"authorized", "elasticloadbalancing:DescribeRules"}},
		"5xx":               {failing(500, "InternalFailure", "oops"), model.KindUnreachable, []string{"oops"}},
		"no body":           {answer(503, ""), model.KindUnreachable, nil},
		"proxy":             {answer(200, "<html>please log in<br></html>"), model.KindUnreachable, []string{"not one of AWS"}},
		"denied by a proxy": {answer(403, "<html>no<br></html>"), model.KindUnreachable, []string{"not one of AWS", "proxy"}},
		"slow":              {silent, model.KindUnreachable, []string{"no answer in time"}},
		"clock":             {failing(403, "RequestExpired", "too old"), model.KindAccess, []string{"clock"}},
		"other error":       {failing(400, "ValidationError", "1 validation error"), model.KindInternal, []string{"1 validation error"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
				before := w.client.Observe(t.Context())
				w.set("DescribeRules", test.fault)
				first := w.client.Observe(t.Context())
				p := problemOf(t, first, model.ResourceRules)
				if p.Kind != test.kind || p.Operation != "DescribeRules" || p.Source != "aws" || len(first.Problems) != 1 {
					t.Errorf("problems: %+v", first.Problems)
				}
				for _, word := range test.words {
					if !strings.Contains(p.Message, word) {
						t.Errorf("no %q in %q", word, p.Message)
					}
				}
				if strings.ContainsAny(p.Message, "\n\u202e") {
					t.Errorf("the message is not one clean line: %q", p.Message)
				}
				if len(first.LoadBalancers) != 2 || len(first.LoadBalancers[0].Listeners[0].Rules) != len(before.LoadBalancers[0].Listeners[0].Rules) {
					t.Error("what was known is gone")
				}
				time.Sleep(time.Minute)
				if again := problemOf(t, w.client.Observe(t.Context()), model.ResourceRules); !again.Since.Equal(p.Since) {
					t.Errorf("unbroken trouble began at %s, then at %s", p.Since, again.Since)
				}
				_, err := w.client.Read(t.Context(), w.ref())
				if e := new(model.Error); !errors.As(err, &e) || e.Kind != test.kind || e.Operation != "DescribeRules" || e.Object != w.rule {
					t.Errorf("Read: %+v", err)
				}
				w.set("DescribeRules", nil)
				if healed := w.client.Observe(t.Context()); len(healed.Problems) > 0 {
					t.Errorf("after it healed: %+v", healed.Problems)
				}
			})
		})
	}
}

func TestThrottlingThatPassesIsNoProblem(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		w.times("DescribeTargetGroups", 3, failing(400, "Throttling", "Rate exceeded"))
		w.times("ModifyRule", 3, failing(503, "ServiceUnavailable", "later"))
		if world := w.client.Observe(t.Context()); len(world.Problems) > 0 || len(world.TargetGroups) != 3 {
			t.Errorf("%d groups, problems: %+v", len(world.TargetGroups), world.Problems)
		}
		change := model.Change{Op: model.OpModifyRule, Listener: w.listener, Rule: w.rule}
		change.After.Actions = model.JSON(`[{"Type":"forward","TargetGroupArn":"` + w.fresh + `"}]`)
		write(t, w.client, change)
	})
}

func TestNothingReadableNamesEverything(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		w.set("", silent)
		began := time.Now()
		world := w.client.Observe(t.Context())
		if took := time.Since(began); took > callTimeout+time.Second {
			t.Errorf("it took %s", took)
		}
		for _, r := range []model.Resource{
			model.ResourceLoadBalancers, model.ResourceRules, model.ResourceTargetGroups,
			model.ResourceTargetHealth, model.ResourceTags,
		} {
			found := false
			for _, p := range world.Problems {
				found = found || p.Resource == r && p.Kind == model.KindUnreachable
			}
			if !found {
				t.Errorf("no problem with %s", r)
			}
		}
		if !world.ObservedAt.IsZero() {
			t.Error("observed although nothing was")
		}
	})
}

func TestDeadlineOfAnObservationIsSaid(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		w.set("DescribeTargetHealth", silent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p := problemOf(t, w.client.Observe(ctx), model.ResourceTargetHealth); p.Kind != model.KindUnreachable {
			t.Errorf("problem: %+v", p)
		}
	})
}

func TestCanceledIsPreserved(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		w.set("", silent)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		_, err := w.client.Read(ctx, w.ref())
		var e *model.Error
		if !errors.Is(err, context.Canceled) || !errors.As(err, &e) {
			t.Errorf("Read: %v", err)
		}
	})
}

func TestAllPagesAreRead(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		whole := w.client.Observe(t.Context())
		w.count()
		w.page = "1"
		paged := w.client.Observe(t.Context())
		whole.ObservedAt = paged.ObservedAt
		if diff := cmp.Diff(whole, paged); diff != "" {
			t.Errorf("page by page (-whole +paged):\n%s", diff)
		}
		if n := w.count(); n["DescribeTargetGroups"] != 3 || n["DescribeRules"] != 3 || n["DescribeAccountLimits"] < 2 {
			t.Errorf("calls: %v", n)
		}
	})
}

func TestEndlessPagesEnd(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		w.set("DescribeLoadBalancers", answer(200, `<DescribeLoadBalancersResponse><DescribeLoadBalancersResult><LoadBalancers/>`+
			`<NextMarker>again</NextMarker></DescribeLoadBalancersResult></DescribeLoadBalancersResponse>`))
		problemOf(t, w.client.Observe(t.Context()), model.ResourceLoadBalancers)
	})
}

func TestUnknownFieldsAreNotWritten(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		w.count()
		change := model.Change{Op: model.OpModifyRule, Rule: w.rule, After: model.RuleState{Actions: `[{"Type":"forward","Mirror":{}}]`}}
		err := w.client.Write(t.Context(), change)
		var e *model.Error
		if !errors.As(err, &e) || e.Kind != model.KindUsage || !strings.Contains(e.Message, "Actions[0].Mirror") || e.Remedy == "" {
			t.Errorf("Write: %+v", err)
		}
		if err := w.client.Write(t.Context(), model.Change{Op: "delete-rule", Rule: w.rule}); model.KindOf(err) != model.KindUsage {
			t.Errorf("another operation: %v", err)
		}
		if n := len(w.count()); n > 0 {
			t.Errorf("%d calls were made", n)
		}
	})
}

func TestUnreachableEndpointIsSaidSoon(t *testing.T) {
	c := clientFor(t, "http://127.0.0.1:1", Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := c.Read(ctx, model.Ref{Op: model.OpModifyRule, Rule: "arn:rule"})
	if e := new(model.Error); !errors.As(err, &e) || e.Kind != model.KindUnreachable || !strings.Contains(e.Message, "refused") || ctx.Err() != nil {
		t.Errorf("Read: %+v", err)
	}
}

func TestEveryCallIsReported(t *testing.T) {
	var mu sync.Mutex
	var infos []CallInfo
	opts := Options{OnCall: func(i CallInfo) {
		mu.Lock()
		defer mu.Unlock()
		infos = append(infos, i)
	}}
	inWorld(t, opts, func(t *testing.T, w *smallWorld) {
		w.set("ModifyRule", failing(400, "TargetGroupNotFound", "gone"))
		if _, err := w.client.Read(t.Context(), w.ref()); err != nil {
			t.Fatal(err)
		}
		change := model.Change{Op: model.OpModifyRule, Listener: w.listener, Rule: w.rule}
		change.After.Actions = `[{"Type":"forward","TargetGroupArn":"arn:none"}]`
		if err := w.client.Write(t.Context(), change); model.KindOf(err) != model.KindNotFound {
			t.Fatalf("Write: %v", err)
		}
		if len(infos) != 2 || infos[0].Write || infos[0].Command != "aws elbv2 describe-rules --rule-arns "+w.rule+" --region us-east-1" || infos[0].Err != nil {
			t.Fatalf("read: %+v", infos)
		}
		if i := infos[1]; !i.Write || !strings.HasPrefix(i.Command, "aws elbv2 modify-rule --rule-arn "+w.rule+" --actions '[{") || i.Operation != "ModifyRule" || i.Err == nil {
			t.Errorf("write: %+v", i)
		}
	})
}

func TestWhatIsMissingIsSaidByNew(t *testing.T) {
	tests := map[string]struct {
		env   map[string]string
		opts  Options
		kind  model.Kind
		words string // of the remedy; without a kind, the endpoint
	}{
		"region":               {map[string]string{"AWS_REGION": ""}, Options{}, model.KindUsage, "--region"},
		"profile":              {nil, Options{Profile: "nobody"}, model.KindUsage, "list-profiles"},
		"profile by name":      {map[string]string{"AWS_PROFILE": "nobody"}, Options{}, model.KindUsage, "list-profiles"},
		"credentials":          {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, Options{}, model.KindAccess, "aws configure"},
		"a usable config":      {map[string]string{"AWS_CA_BUNDLE": "/nonexistent/ca.pem"}, Options{}, model.KindUsage, "AWS_"},
		"FIPS":                 {map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, Options{Region: "us-gov-west-1"}, "", "https://elasticloadbalancing.us-gov-west-1.amazonaws.com"},
		"nothing, by --region": {map[string]string{"AWS_REGION": ""}, Options{Region: "us-gov-west-1"}, "", "https://elasticloadbalancing.us-gov-west-1.amazonaws.com"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			environment(t, "")
			os.Unsetenv("AWS_ENDPOINT_URL")
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			c, err := New(t.Context(), test.opts)
			if test.kind == "" {
				if err != nil || c.Account().Endpoint != test.words {
					t.Fatalf("%v, %+v", err, c)
				}
				return
			}
			var e *model.Error
			if !errors.As(err, &e) || e.Kind != test.kind || !strings.Contains(e.Remedy, test.words) || e.Message == "" {
				t.Errorf("New: %+v", err)
			}
		})
	}
}

// Outside EC2 nothing answers where the metadata service would be.
func TestNoCredentialsAndNoMetadataServiceIsSaidSoon(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	environment(t, "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+listener.Addr().String())
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	began := time.Now()
	_, err = New(t.Context(), Options{})
	if took := time.Since(began); model.KindOf(err) != model.KindAccess || took > 2*metadataTimeout {
		t.Errorf("after %s: %v", took, err)
	}
}

func TestAccountIsKnownWithoutSTS(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		w.set("GetCallerIdentity", failing(403, "AccessDenied", "explicit deny"))
		world := w.client.Observe(t.Context())
		if p := problemOf(t, world, ""); p.Kind != model.KindAccess || !strings.Contains(p.Message, "sts:GetCallerIdentity") {
			t.Errorf("problem: %+v", p)
		}
		if world.Account.Account != "111122223333" || world.Account.ARN != "" {
			t.Errorf("account: %+v", world.Account)
		}
	})
}

func TestCABundleIsHonoured(t *testing.T) {
	sim := awssim.New(awssim.Config{})
	server := httptest.NewTLSServer(sim.Handler())
	defer server.Close()
	environment(t, server.URL)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, block, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	c, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Observe(t.Context()); len(w.Problems) > 0 || w.Account.ARN == "" {
		t.Errorf("account %+v, problems: %+v", w.Account, w.Problems)
	}
	if err := sim.Close(); err != nil {
		t.Error(err)
	}
}

// TestRefusedMeansThatNothingWasChanged: only an answer to the only attempt
// is certain.
func TestRefusedMeansThatNothingWasChanged(t *testing.T) {
	refusal := failing(400, "InvalidConfigurationRequest", "stickiness")
	for name, test := range map[string]struct {
		faults  []fault // by attempt
		refused bool
	}{
		"refused":                {[]fault{refusal}, true},
		"denied":                 {[]fault{failing(403, "AccessDenied", "no")}, true},
		"trouble of AWS's own":   {[]fault{failing(500, "InternalFailure", "oops")}, false},
		"no answer":              {[]fault{silent}, false},
		"refused after an error": {[]fault{failing(500, "InternalFailure", "oops"), refusal}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
				attempt := 0
				w.set("ModifyRule", func(r *http.Request) (*http.Response, error) {
					attempt++
					return test.faults[min(attempt, len(test.faults))-1](r)
				})
				change := model.Change{Op: model.OpModifyRule, Listener: w.listener, Rule: w.rule}
				change.After.Actions = `[{"Type":"forward","TargetGroupArn":"arn:none"}]`
				var e *model.Error
				if err := w.client.Write(t.Context(), change); !errors.As(err, &e) || e.Refused != test.refused {
					t.Errorf("refused %v after %d attempts: %v", e != nil && e.Refused, attempt, err)
				}
			})
		})
	}
}
