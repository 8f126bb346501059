package awssim

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"pgregory.net/rapid"
)

// Host-header and path-pattern values against a slow, obvious matcher.
func TestWildcardAgreesWithARegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab.*?]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab.]{0,8}`).Draw(t, "s")
		quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile("^" + quoted + "$").MatchString(s)
		if got := wildcard(pattern, s); got != want {
			t.Fatalf("wildcard(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}

func TestConditionsMatchAsAWSSays(t *testing.T) {
	header := func(name string, values ...string) types.RuleCondition {
		return types.RuleCondition{Field: new(fieldHeader), HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: new(name), Values: values}}
	}
	path := func(values ...string) types.RuleCondition {
		return types.RuleCondition{Field: new(fieldPath), Values: values}
	}
	query := func(key *string, value string) types.RuleCondition {
		return types.RuleCondition{Field: new(fieldQuery), QueryStringConfig: &types.QueryStringConditionConfig{
			Values: []types.QueryStringKeyValuePair{{Key: key, Value: new(value)}},
		}}
	}
	method := types.RuleCondition{Field: new(fieldMethod), HttpRequestMethodConfig: &types.HttpRequestMethodConditionConfig{Values: []string{"GET"}}}
	source := func(cidr string) types.RuleCondition {
		return types.RuleCondition{Field: new(fieldSource), SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{cidr}}}
	}
	regex := types.RuleCondition{Field: new(fieldHost), HostHeaderConfig: &types.HostHeaderConditionConfig{RegexValues: []string{`^APP\d$`}}}
	for _, tc := range []struct {
		name      string
		condition types.RuleCondition
		host, uri string
		want      bool
	}{
		{"host without regard to case or port", hostIs("App.Example"), "aPP.example:8443", "/", true},
		{"star needs the dot", hostIs("*.example.com"), "example.com", "/", false},
		{"star spans labels", hostIs("*.example.com"), "a.b.example.com", "/", true},
		{"question mark is one character", hostIs("a?.example"), "a.example", "/", false},
		{"values are alternatives", hostIs("a.example", "b.example"), "b.example", "/", true},
		{"path with regard to case", path("/API/*"), "a", "/api/x", false},
		{"path wildcard", path("/api/*"), "a", "/api/x/y", true},
		{"path without its query", path("/api"), "a", "/api?x=1", true},
		{"header value without regard to case", header("x-team", "BLUE*"), "a", "/", true},
		{"header that differs", header("X-Team", "green"), "a", "/", false},
		{"query without regard to case", query(new("Version"), "V?"), "a", "/?x=1&version=v2", true},
		{"query with another key", query(new("version"), "v2"), "a", "/?other=v2", false},
		{"query value with any key", query(nil, "v2"), "a", "/?other=v2", true},
		{"no query", query(nil, "*"), "a", "/", false},
		{"method", method, "a", "/", true},
		{"source", source("192.0.2.0/24"), "a", "/", true},
		{"another source", source("198.51.100.0/24"), "a", "/", false},
		{"regular expression", regex, "app7", "/", true},
		{"regular expression that differs", regex, "app77", "/", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			accepted, err := acceptConditions([]types.RuleCondition{tc.condition}, defaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tc.uri, http.NoBody)
			r.Host = tc.host
			r.Header.Set("X-Team", "blueish")
			if got := compileCondition(accepted[0])(newView(r)); got != tc.want {
				t.Errorf("matches: %v", got)
			}
		})
	}
}

func TestTransformsRewriteBeforeForwarding(t *testing.T) {
	w := newWorld(t)
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	old := w.serving("old", types.ProtocolEnumHttp, newBackend(t, "old", false))
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	call(w, w.client.CreateRule, &elb.CreateRuleInput{
		ListenerArn: l.ListenerArn, Priority: new(int32(1)), Conditions: []types.RuleCondition{hostIs("*.old.example")},
		Actions: []types.Action{forwardTo(old)},
		Transforms: []types.RuleTransform{
			{Type: types.TransformTypeEnumHostHeaderRewrite, HostHeaderRewriteConfig: &types.HostHeaderRewriteConfig{
				Rewrites: []types.RewriteConfig{{Regex: new(`^(.*)\.old\.example$`), Replace: new("$1.new.example")}},
			}},
			{Type: types.TransformTypeEnumUrlRewrite, UrlRewriteConfig: &types.UrlRewriteConfig{
				Rewrites: []types.RewriteConfig{{Regex: new(`^/nothing`), Replace: new("/")}, {Regex: new(`^/v(\d)/`), Replace: new("/api$1x/")}},
			}},
		},
	})
	got := get(t, newHTTPClient(t, false), l, "app.old.example", "/v2/things?q=1")
	if !strings.HasPrefix(got.body, "old host=app.new.example uri=/api2x/things?q=1 ") {
		t.Error(got.body)
	}
}

// Whatever a request's parameters are, reading them ends without a panic.
func FuzzDecode(f *testing.F) {
	f.Add("Actions.member.1.Type=forward&Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=1")
	f.Add("Actions.member.99999999999=x&Actions.member.-1=y&Actions=&Priority=&Conditions.member.1.Values.member.2=z")
	f.Add("Actions.member.1.AuthenticateOidcConfig.AuthenticationRequestExtraParams.entry.1.key=k")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			t.Skip()
		}
		params, err := parseParams(form)
		if err != nil {
			return
		}
		in := new(elb.CreateRuleInput)
		if queryDialect().decode(params, in) == nil {
			queryDialect().response("CreateRule", "n", "id", &elb.CreateRuleOutput{Rules: []types.Rule{{Actions: in.Actions, Conditions: in.Conditions}}})
		}
	})
}
