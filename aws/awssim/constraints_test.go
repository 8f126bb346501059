package awssim

import (
	"fmt"
	"strings"
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// httpsWorld is an account with an HTTPS listener on port 443.
func httpsWorld(t *testing.T) (*world, *types.Listener) {
	w := newWorld(t)
	return w, w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttps, 443, answerWith("404", ""))
}

// The constraints on conditions that the ELBv2 API reference documents
// (RuleCondition and the configurations of its fields).
func TestConditionsThatAWSRefuses(t *testing.T) {
	long := strings.Repeat("a", 129)
	with := func(field string, set func(*types.RuleCondition)) types.RuleCondition {
		c := types.RuleCondition{Field: &field}
		set(&c)
		return c
	}
	host := func(values ...string) types.RuleCondition { return hostIs(values...) }
	path := func(value string) types.RuleCondition {
		return with(fieldPath, func(c *types.RuleCondition) { c.Values = []string{value} })
	}
	header := func(name string, values ...string) types.RuleCondition {
		return with(fieldHeader, func(c *types.RuleCondition) {
			c.HttpHeaderConfig = &types.HttpHeaderConditionConfig{HttpHeaderName: &name, Values: values}
		})
	}
	method := func(value string) types.RuleCondition {
		return with(fieldMethod, func(c *types.RuleCondition) {
			c.HttpRequestMethodConfig = &types.HttpRequestMethodConditionConfig{Values: []string{value}}
		})
	}
	source := func(value string) types.RuleCondition {
		return with(fieldSource, func(c *types.RuleCondition) {
			c.SourceIpConfig = &types.SourceIpConditionConfig{Values: []string{value}}
		})
	}
	query := func(pairs ...types.QueryStringKeyValuePair) types.RuleCondition {
		return with(fieldQuery, func(c *types.RuleCondition) { c.QueryStringConfig = &types.QueryStringConditionConfig{Values: pairs} })
	}
	regex := func(value string) types.RuleCondition {
		return with(fieldHost, func(c *types.RuleCondition) { c.RegexValues = []string{value} })
	}
	for name, tc := range map[string]struct {
		conditions []types.RuleCondition
		ok         bool
	}{
		"host":                     {[]types.RuleCondition{host("A-1.b.example")}, true},
		"host with wildcards":      {[]types.RuleCondition{host("*.b.exampl?", "a.*")}, true},
		"host without a dot":       {[]types.RuleCondition{host("localhost")}, false},
		"host that ends in digits": {[]types.RuleCondition{host("a.b2")}, false},
		"host with a port":         {[]types.RuleCondition{host("a.example:8443")}, false},
		"host with an underscore":  {[]types.RuleCondition{host("a_b.example")}, false},
		"host too long":            {[]types.RuleCondition{host(long + ".example")}, false},
		"host empty":               {[]types.RuleCondition{host("")}, false},
		"host without values":      {[]types.RuleCondition{host()}, false},
		"host in both forms":       {[]types.RuleCondition{with(fieldHost, func(c *types.RuleCondition) { *c = host("a.example"); c.Values = []string{"a.example"} })}, false},
		"host with another's config": {[]types.RuleCondition{with(fieldHost, func(c *types.RuleCondition) {
			c.PathPatternConfig = &types.PathPatternConditionConfig{Values: []string{"/"}}
		})}, false},
		"path":                           {[]types.RuleCondition{path(`/a_b-c.d$e/~"'@:+&*?`)}, true},
		"path with a percent sign":       {[]types.RuleCondition{path("/%20")}, false},
		"path too long":                  {[]types.RuleCondition{path("/" + long)}, false},
		"header":                         {[]types.RuleCondition{header("X-Team", "blue, or *?")}, true},
		"headers":                        {[]types.RuleCondition{header("X-A", "a"), header("X-B", "b")}, true},
		"header without a name":          {[]types.RuleCondition{header("", "a")}, false},
		"header with a space":            {[]types.RuleCondition{header("X Team", "a")}, false},
		"header of 41 characters":        {[]types.RuleCondition{header(strings.Repeat("x", 41), "a")}, false},
		"header Host":                    {[]types.RuleCondition{header("hOsT", "a.example")}, false},
		"method":                         {[]types.RuleCondition{method("GET")}, true},
		"method of one's own":            {[]types.RuleCondition{method("MY-OWN_METHOD")}, true},
		"method in lower case":           {[]types.RuleCondition{method("get")}, false},
		"method with a wildcard":         {[]types.RuleCondition{method("GE?")}, false},
		"source":                         {[]types.RuleCondition{source("2001:db8::/32")}, true},
		"source without length":          {[]types.RuleCondition{source("10.0.0.1")}, false},
		"source that is none":            {[]types.RuleCondition{source("office")}, false},
		"query":                          {[]types.RuleCondition{query(types.QueryStringKeyValuePair{Key: new("k"), Value: new("v")}, types.QueryStringKeyValuePair{Value: new("")})}, true},
		"query too long":                 {[]types.RuleCondition{query(types.QueryStringKeyValuePair{Key: &long, Value: new("v")})}, false},
		"query without a value":          {[]types.RuleCondition{query(types.QueryStringKeyValuePair{Key: new("k")})}, false},
		"regular expression":             {[]types.RuleCondition{regex(`^a\d+\.example$`)}, true},
		"regular expression too long":    {[]types.RuleCondition{regex(long)}, false},
		"regular expression that fails":  {[]types.RuleCondition{regex("(")}, false},
		"regular expression of a method": {[]types.RuleCondition{with(fieldMethod, func(c *types.RuleCondition) { c.RegexValues = []string{"GET"} })}, false},
		"two of a field":                 {[]types.RuleCondition{host("a.example"), host("b.example")}, false},
		"no field":                       {[]types.RuleCondition{{Values: []string{"a.example"}}}, false},
		"six values":                     {[]types.RuleCondition{host("1.a", "2.a", "3.a"), header("X", "1", "2", "3")}, false},
		"six wildcards":                  {[]types.RuleCondition{host("*.*.a", "*.*.b"), path("/?/*")}, false},
		"wildcards that are no such":     {[]types.RuleCondition{regex(".*.*.*.*.*.*")}, true},
	} {
		_, err := acceptConditions(tc.conditions, defaultLimits())
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The constraints on actions (RedirectActionConfig, FixedResponseActionConfig,
// AuthenticateOidcActionConfig, JwtValidationActionConfig).
func TestActionsThatAWSRefuses(t *testing.T) {
	w, l := httpsWorld(t)
	group := w.group("old", types.ProtocolEnumHttp, 80, nil)
	redirect := func(change func(*types.RedirectActionConfig)) []types.Action {
		c := &types.RedirectActionConfig{StatusCode: types.RedirectActionStatusCodeEnumHttp301, Host: new("b.example")}
		change(c)
		return []types.Action{{Type: types.ActionTypeEnumRedirect, RedirectConfig: c}}
	}
	answer := func(change func(*types.FixedResponseActionConfig)) []types.Action {
		a := answerWith("200", "")
		change(a.FixedResponseConfig)
		return []types.Action{a}
	}
	login := func(change func(*types.AuthenticateOidcActionConfig)) []types.Action {
		actions := oidcActions(group, new("hidden"))
		change(actions[0].AuthenticateOidcConfig)
		return actions
	}
	token := func(change func(*types.JwtValidationActionConfig)) []types.Action {
		c := &types.JwtValidationActionConfig{Issuer: new("https://idp.example"), JwksEndpoint: new("https://idp.example/jwks"), AdditionalClaims: []types.JwtValidationActionAdditionalClaim{
			{Format: types.JwtValidationActionAdditionalClaimFormatEnumStringArray, Name: new("groups"), Values: []string{"ops"}},
		}}
		change(c)
		return []types.Action{{Type: types.ActionTypeEnumJwtValidation, Order: new(int32(1)), JwtValidationConfig: c}, oidcActions(group, nil)[1]}
	}
	many := map[string]string{}
	for i := range 11 {
		many[fmt.Sprint(i)] = "v"
	}
	six := make([]types.Action, 6)
	for name, tc := range map[string]struct {
		actions []types.Action
		code    string
	}{
		"redirect":                      {redirect(func(*types.RedirectActionConfig) {}), ""},
		"redirect to another port":      {redirect(func(c *types.RedirectActionConfig) { c.Host, c.Port = nil, new("8443") }), ""},
		"redirect to itself":            {redirect(func(c *types.RedirectActionConfig) { c.Host = nil }), "InvalidLoadBalancerAction"},
		"redirect to itself by number":  {redirect(func(c *types.RedirectActionConfig) { c.Host, c.Protocol, c.Port = nil, new("HTTPS"), new("443") }), "InvalidLoadBalancerAction"},
		"redirect to HTTP":              {redirect(func(c *types.RedirectActionConfig) { c.Protocol = new("HTTP") }), "InvalidLoadBalancerAction"},
		"redirect to port 0":            {redirect(func(c *types.RedirectActionConfig) { c.Port = new("0") }), "InvalidLoadBalancerAction"},
		"redirect to no port":           {redirect(func(c *types.RedirectActionConfig) { c.Port = new("https") }), "InvalidLoadBalancerAction"},
		"redirect to no path":           {redirect(func(c *types.RedirectActionConfig) { c.Path = new("a") }), "InvalidLoadBalancerAction"},
		"redirect to a long path":       {redirect(func(c *types.RedirectActionConfig) { c.Path = new("/" + strings.Repeat("a", 128)) }), "InvalidLoadBalancerAction"},
		"redirect with status 307":      {redirect(func(c *types.RedirectActionConfig) { c.StatusCode = "HTTP_307" }), "InvalidLoadBalancerAction"},
		"redirect without its config":   {[]types.Action{{Type: types.ActionTypeEnumRedirect}}, "InvalidLoadBalancerAction"},
		"answer":                        {answer(func(c *types.FixedResponseActionConfig) { c.ContentType = new("application/json") }), ""},
		"answer with a page too long":   {answer(func(c *types.FixedResponseActionConfig) { c.MessageBody = new(strings.Repeat("a", 1025)) }), "InvalidLoadBalancerAction"},
		"answer with another type":      {answer(func(c *types.FixedResponseActionConfig) { c.ContentType = new("image/png") }), "InvalidLoadBalancerAction"},
		"answer with status 302":        {answer(func(c *types.FixedResponseActionConfig) { c.StatusCode = new("302") }), "InvalidLoadBalancerAction"},
		"answer that forwards":          {[]types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: answerWith("200", "").FixedResponseConfig, TargetGroupArn: &group}}, "InvalidLoadBalancerAction"},
		"login":                         {login(func(*types.AuthenticateOidcActionConfig) {}), ""},
		"login without TLS":             {login(func(c *types.AuthenticateOidcActionConfig) { c.TokenEndpoint = new("http://idp.example/token") }), "InvalidLoadBalancerAction"},
		"login at a bare name":          {login(func(c *types.AuthenticateOidcActionConfig) { c.Issuer = new("idp.example") }), "InvalidLoadBalancerAction"},
		"login for 0 s":                 {login(func(c *types.AuthenticateOidcActionConfig) { c.SessionTimeout = new(int64(0)) }), "InvalidLoadBalancerAction"},
		"login for too long":            {login(func(c *types.AuthenticateOidcActionConfig) { c.SessionTimeout = new(int64(604801)) }), "InvalidLoadBalancerAction"},
		"login with too many extras":    {login(func(c *types.AuthenticateOidcActionConfig) { c.AuthenticationRequestExtraParams = many }), "InvalidLoadBalancerAction"},
		"login or else":                 {login(func(c *types.AuthenticateOidcActionConfig) { c.OnUnauthenticatedRequest = "shrug" }), "InvalidLoadBalancerAction"},
		"token":                         {token(func(*types.JwtValidationActionConfig) {}), ""},
		"token without TLS":             {token(func(c *types.JwtValidationActionConfig) { c.JwksEndpoint = new("http://idp.example/jwks") }), "InvalidLoadBalancerAction"},
		"token with a claim of its own": {token(func(c *types.JwtValidationActionConfig) { c.AdditionalClaims[0].Name = new("exp") }), "InvalidLoadBalancerAction"},
		"token without values":          {token(func(c *types.JwtValidationActionConfig) { c.AdditionalClaims[0].Values = nil }), "InvalidLoadBalancerAction"},
		"token with a long value": {token(func(c *types.JwtValidationActionConfig) {
			c.AdditionalClaims[0].Values = []string{strings.Repeat("a", 257)}
		}), "InvalidLoadBalancerAction"},
		"token of no format": {token(func(c *types.JwtValidationActionConfig) { c.AdditionalClaims[0].Format = "xml" }), "InvalidLoadBalancerAction"},
		"login at the end":   {login(func(*types.AuthenticateOidcActionConfig) {})[:1], "InvalidLoadBalancerAction"},
		"six actions":        {six, "TooManyActions"},
	} {
		if got := code(w, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: tc.actions}); got != tc.code {
			t.Errorf("%s: got %q, want %q", name, got, tc.code)
		}
	}
}

// The constraints on transforms (RuleTransform, RewriteConfig).
func TestTransformsThatAWSRefuses(t *testing.T) {
	rewrite := func(regex, replace string) []types.RewriteConfig {
		return []types.RewriteConfig{{Regex: &regex, Replace: &replace}}
	}
	host := types.RuleTransform{Type: types.TransformTypeEnumHostHeaderRewrite, HostHeaderRewriteConfig: &types.HostHeaderRewriteConfig{Rewrites: rewrite("^a$", "b")}}
	url := types.RuleTransform{Type: types.TransformTypeEnumUrlRewrite, UrlRewriteConfig: &types.UrlRewriteConfig{Rewrites: rewrite("^/a/(.*)$", "/$1")}}
	with := func(rewrites []types.RewriteConfig) types.RuleTransform {
		return types.RuleTransform{Type: types.TransformTypeEnumUrlRewrite, UrlRewriteConfig: &types.UrlRewriteConfig{Rewrites: rewrites}}
	}
	mixed := url
	mixed.HostHeaderRewriteConfig = host.HostHeaderRewriteConfig
	for name, tc := range map[string]struct {
		transforms []types.RuleTransform
		ok         bool
	}{
		"both kinds":          {[]types.RuleTransform{host, url}, true},
		"one kind twice":      {[]types.RuleTransform{url, url}, false},
		"two configurations":  {[]types.RuleTransform{mixed}, false},
		"no configuration":    {[]types.RuleTransform{{Type: types.TransformTypeEnumUrlRewrite}}, false},
		"unknown kind":        {[]types.RuleTransform{{Type: "reverse"}}, false},
		"no rewrite":          {[]types.RuleTransform{with(nil)}, false},
		"no expression":       {[]types.RuleTransform{with([]types.RewriteConfig{{Replace: new("/")}})}, false},
		"expression fails":    {[]types.RuleTransform{with(rewrite("(", "/"))}, false},
		"expression too long": {[]types.RuleTransform{with(rewrite(strings.Repeat("a", 1025), "/"))}, false},
		"no replacement":      {[]types.RuleTransform{with([]types.RewriteConfig{{Regex: new("a")}})}, false},
		"replacement to long": {[]types.RuleTransform{with(rewrite("a", strings.Repeat("a", 1025)))}, false},
	} {
		if err := checkTransforms(tc.transforms); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The constraints on attributes (TargetGroupAttribute).
func TestAttributesThatAWSRefuses(t *testing.T) {
	for _, tc := range []struct {
		protocol types.ProtocolEnum
		key      string
		good     []string
		bad      []string
	}{
		{types.ProtocolEnumHttp, attrDelay, []string{"0", "3600"}, []string{"-1", "3601", "a"}},
		{types.ProtocolEnumHttp, attrSlowStart, []string{"0", "30", "900"}, []string{"1", "29", "901"}},
		{types.ProtocolEnumHttp, attrStickyType, []string{"lb_cookie", "app_cookie"}, []string{"source_ip", ""}},
		{types.ProtocolEnumTcp, attrStickyType, []string{"source_ip"}, []string{"lb_cookie"}},
		{types.ProtocolEnumHttp, attrCookieTime, []string{"1", "604800"}, []string{"0", "604801"}},
		{types.ProtocolEnumHttp, attrAppCookie, []string{"SESSION"}, []string{"AWSALB", "AWSALBTG-1"}},
		{types.ProtocolEnumHttp, attrAlgorithm, []string{"round_robin", "least_outstanding_requests", "weighted_random"}, []string{"random"}},
		{types.ProtocolEnumHttp, attrAnomaly, []string{"off"}, []string{"true"}},
		{types.ProtocolEnumHttp, "load_balancing.cross_zone.enabled", []string{"true", "use_load_balancer_configuration"}, []string{"off"}},
		{types.ProtocolEnumHttp, "target_group_health.dns_failover.minimum_healthy_targets.count", []string{"1", "off"}, []string{"0"}},
		{types.ProtocolEnumHttp, "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", []string{"1"}, []string{"0", "off"}},
		{types.ProtocolEnumHttp, "target_group_health.dns_failover.minimum_healthy_targets.percentage", []string{"off", "100"}, []string{"0", "101"}},
		{types.ProtocolEnumHttp, attrProxyV2, nil, []string{"true"}},
		{types.ProtocolEnumTcp, attrSlowStart, nil, []string{"0"}},
		{types.ProtocolEnumTcp, attrProxyV2, []string{"true"}, []string{"on"}},
		{types.ProtocolEnumTcp, attrUnhealthyInterval, []string{"0"}, []string{"360001"}},
	} {
		w := newWorld(t)
		arn := w.group("g", tc.protocol, 80, nil)
		modify := func(value string) string {
			return code(w, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &arn, Attributes: []types.TargetGroupAttribute{{Key: &tc.key, Value: &value}}})
		}
		for _, value := range tc.good {
			if got := modify(value); got != "" {
				t.Errorf("%s of %s as %q: %s", tc.key, tc.protocol, value, got)
			}
		}
		for _, value := range tc.bad {
			if got := modify(value); got != "ValidationError" {
				t.Errorf("%s of %s as %q: %q", tc.key, tc.protocol, value, got)
			}
		}
	}
	w := newWorld(t)
	for _, tc := range []struct {
		protocol types.ProtocolEnum
		pairs    []string
	}{
		{types.ProtocolEnumHttp, []string{attrSlowStart, "30", attrAlgorithm, "least_outstanding_requests"}},
		{types.ProtocolEnumHttp, []string{attrAnomaly, "on"}},
		{types.ProtocolEnumHttp, []string{attrSticky, "true", attrStickyType, "app_cookie"}},
		{types.ProtocolEnumTcp, []string{attrUnhealthyInterval, "60"}},
	} {
		arn := w.group("g-"+string(tc.protocol), tc.protocol, 80, nil)
		in := &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &arn}
		for i := 0; i < len(tc.pairs); i += 2 {
			in.Attributes = append(in.Attributes, types.TargetGroupAttribute{Key: &tc.pairs[i], Value: &tc.pairs[i+1]})
		}
		if got := code(w, in); got != "InvalidConfigurationRequest" {
			t.Errorf("%v together: %q", tc.pairs, got)
		}
	}
}

// The constraints on listeners (CreateListener) and target groups
// (CreateTargetGroup), beyond those on their names.
func TestSettingsThatAWSRefuses(t *testing.T) {
	w, l := httpsWorld(t)
	nlb := w.loadBalancer("network", types.LoadBalancerTypeEnumNetwork)
	tcp := w.group("tcp", types.ProtocolEnumTcp, 443, nil)
	certificate := types.Certificate{CertificateArn: l.Certificates[0].CertificateArn}
	listener := func(change func(*elb.CreateListenerInput)) *elb.CreateListenerInput {
		in := &elb.CreateListenerInput{
			LoadBalancerArn: l.LoadBalancerArn, Protocol: types.ProtocolEnumHttps, Port: new(int32(8443)),
			Certificates: []types.Certificate{certificate}, DefaultActions: []types.Action{answerWith("404", "")},
		}
		change(in)
		return in
	}
	group := func(change func(*elb.CreateTargetGroupInput)) *elb.CreateTargetGroupInput {
		in := &elb.CreateTargetGroupInput{Name: new("g"), Protocol: types.ProtocolEnumHttp, Port: new(int32(80))}
		change(in)
		return in
	}
	for name, tc := range map[string]struct {
		in   any
		code string
	}{
		"policy": {listener(func(in *elb.CreateListenerInput) { in.SslPolicy = new("mine") }), "SSLPolicyNotFound"},
		"policy of HTTP": {listener(func(in *elb.CreateListenerInput) {
			in.Protocol, in.Certificates, in.SslPolicy = "HTTP", nil, new("ELBSecurityPolicy-2016-08")
		}), "InvalidConfigurationRequest"},
		"ALPN of HTTPS": {listener(func(in *elb.CreateListenerInput) { in.AlpnPolicy = []string{"None"} }), "InvalidConfigurationRequest"},
		"default certificate": {listener(func(in *elb.CreateListenerInput) {
			in.Certificates = []types.Certificate{{CertificateArn: certificate.CertificateArn, IsDefault: new(true)}}
		}), "ValidationError"},
		"two certificates": {listener(func(in *elb.CreateListenerInput) { in.Certificates = []types.Certificate{certificate, certificate} }), "CertificateNotFound"},
		"port 0":           {listener(func(in *elb.CreateListenerInput) { in.Port = new(int32(0)) }), "ValidationError"},
		"no action":        {listener(func(in *elb.CreateListenerInput) { in.DefaultActions = nil }), "ValidationError"},
		"other policy, again": {listener(func(in *elb.CreateListenerInput) {
			in.Port, in.SslPolicy = new(int32(443)), new("ELBSecurityPolicy-TLS13-1-2-2021-06")
		}), "DuplicateListener"},
		"ALPN of TLS":      {&elb.CreateListenerInput{LoadBalancerArn: nlb.LoadBalancerArn, Protocol: "TLS", Port: new(int32(443)), Certificates: []types.Certificate{certificate}, AlpnPolicy: []string{"SPDY"}, DefaultActions: []types.Action{forwardTo(tcp)}}, "ALPNPolicyNotFound"},
		"mTLS of TCP":      {&elb.CreateListenerInput{LoadBalancerArn: nlb.LoadBalancerArn, Protocol: "TCP", Port: new(int32(443)), MutualAuthentication: &types.MutualAuthenticationAttributes{Mode: new("off")}, DefaultActions: []types.Action{forwardTo(tcp)}}, "InvalidConfigurationRequest"},
		"no port":          {group(func(in *elb.CreateTargetGroupInput) { in.Port = nil }), "ValidationError"},
		"matcher over 499": {group(func(in *elb.CreateTargetGroupInput) { in.Matcher = &types.Matcher{HttpCode: new("200-500")} }), "ValidationError"},
		"matcher over 499, NLB": {group(func(in *elb.CreateTargetGroupInput) {
			in.Protocol, in.HealthCheckProtocol, in.Matcher = "TCP", "HTTP", &types.Matcher{HttpCode: new("200-500")}
		}), ""},
		"path over TCP":        {group(func(in *elb.CreateTargetGroupInput) { in.Protocol, in.HealthCheckPath = "TCP", new("/") }), "ValidationError"},
		"TCP checks over HTTP": {group(func(in *elb.CreateTargetGroupInput) { in.HealthCheckProtocol = "TCP" }), "ValidationError"},
		"version over TCP":     {group(func(in *elb.CreateTargetGroupInput) { in.Protocol, in.ProtocolVersion = "TCP", new("HTTP1") }), "ValidationError"},
		"unknown version":      {group(func(in *elb.CreateTargetGroupInput) { in.ProtocolVersion = new("HTTP9") }), "ValidationError"},
		"threshold of 1":       {group(func(in *elb.CreateTargetGroupInput) { in.HealthyThresholdCount = new(int32(1)) }), "ValidationError"},
		"slow check":           {group(func(in *elb.CreateTargetGroupInput) { in.HealthCheckTimeoutSeconds = new(int32(31)) }), "ValidationError"},
		"IPX":                  {group(func(in *elb.CreateTargetGroupInput) { in.IpAddressType = "ipx" }), "ValidationError"},
		"scheme":               {&elb.CreateLoadBalancerInput{Name: new("lb"), Scheme: "secret"}, "InvalidScheme"},
		"other scheme, again":  {&elb.CreateLoadBalancerInput{Name: new("public"), Scheme: "internal"}, "DuplicateLoadBalancerName"},
		"the same, again":      {&elb.CreateLoadBalancerInput{Name: new("public"), Subnets: []string{"subnet-b", "subnet-a"}}, ""},
		"other subnets, again": {&elb.CreateLoadBalancerInput{Name: new("public"), Subnets: []string{"subnet-a", "subnet-c"}}, "DuplicateLoadBalancerName"},
		"zone of an instance":  {&elb.RegisterTargetsInput{TargetGroupArn: &tcp, Targets: []types.TargetDescription{{Id: new("i-1"), AvailabilityZone: new("us-east-1a")}}}, "ValidationError"},
		"gone already":         {&elb.DeregisterTargetsInput{TargetGroupArn: &tcp, Targets: []types.TargetDescription{{Id: new("i-1")}}}, ""},
		"character of a tag":   {&elb.AddTagsInput{ResourceArns: []string{tcp}, Tags: []types.Tag{{Key: new("a<b")}}}, "ValidationError"},
		"tag of AWS":           {&elb.AddTagsInput{ResourceArns: []string{tcp}, Tags: []types.Tag{{Key: new("AWS:name")}}}, "ValidationError"},
		"load balancer, gone":  {&elb.DeleteLoadBalancerInput{LoadBalancerArn: new(*nlb.LoadBalancerArn + "0")}, ""},
		"load balancer, none":  {&elb.DeleteLoadBalancerInput{LoadBalancerArn: &tcp}, "ValidationError"},
	} {
		if got := code(w, tc.in); got != tc.code {
			t.Errorf("%s: got %q, want %q", name, got, tc.code)
		}
	}
}

// Each quota is reported, can be set and is held to, with AWS's code.
func TestQuotas(t *testing.T) {
	w := newWorld(t)
	if _, err := w.sim.SetLimit("luck", 1); err == nil {
		t.Error("a quota that there is not was set")
	}
	set := func(name string, n int) {
		t.Helper()
		if _, err := w.sim.SetLimit(name, n); err != nil {
			t.Fatal(err)
		}
		for _, limit := range run[elb.DescribeAccountLimitsOutput](w, &elb.DescribeAccountLimitsInput{}).Limits {
			if *limit.Name == name && *limit.Max == fmt.Sprint(n) {
				return
			}
		}
		t.Errorf("%s is not reported as %d", name, n)
	}
	lb := w.loadBalancer("public", types.LoadBalancerTypeEnumApplication)
	l := w.listener(lb, types.ProtocolEnumHttp, 80, answerWith("404", ""))
	a, b := w.group("a", types.ProtocolEnumHttp, 80, nil), w.group("b", types.ProtocolEnumHttp, 81, nil)
	w.register(a, "i-1")
	rule := func(priority int32, host types.RuleCondition, actions ...types.Action) *elb.CreateRuleInput {
		return &elb.CreateRuleInput{ListenerArn: l.ListenerArn, Priority: &priority, Conditions: []types.RuleCondition{host}, Actions: actions}
	}
	w.rule(l, 1, "a.example", forwardTo(a))
	var tags []types.Tag
	for i := range maxTags + 1 {
		tags = append(tags, types.Tag{Key: new(fmt.Sprint(i)), Value: new("")})
	}
	for _, tc := range []struct {
		limit string
		max   int
		in    any
		code  string
	}{
		{"application-load-balancers", 1, &elb.CreateLoadBalancerInput{Name: new("second")}, "TooManyLoadBalancers"},
		{"network-load-balancers", 0, &elb.CreateLoadBalancerInput{Name: new("network"), Type: "network"}, "TooManyLoadBalancers"},
		{"listeners-per-application-load-balancer", 1, &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Protocol: "HTTP", Port: new(int32(81)), DefaultActions: []types.Action{answerWith("404", "")}}, "TooManyListeners"},
		{"target-groups", 2, &elb.CreateTargetGroupInput{Name: new("c"), Protocol: "HTTP", Port: new(int32(80))}, "TooManyTargetGroups"},
		{"target-id-registrations-per-application-load-balancer", 1, &elb.RegisterTargetsInput{TargetGroupArn: &a, Targets: []types.TargetDescription{{Id: new("i-1"), Port: new(int32(81))}}}, "TooManyRegistrationsForTargetId"},
		{"targets-per-target-group", 1, &elb.RegisterTargetsInput{TargetGroupArn: &b, Targets: []types.TargetDescription{{Id: new("i-1")}, {Id: new("i-2")}}}, "TooManyTargets"},
		{"targets-per-target-group", 1000, &elb.RegisterTargetsInput{TargetGroupArn: &a, Targets: []types.TargetDescription{{Id: new("i-1")}}}, ""},
		{"targets-per-application-load-balancer", 1, &elb.RegisterTargetsInput{TargetGroupArn: &a, Targets: []types.TargetDescription{{Id: new("i-2")}}}, "TooManyTargets"},
		{"condition-values-per-alb-rule", 1, rule(2, hostIs("b.example", "c.example"), answerWith("200", "")), "ValidationError"},
		{"condition-wildcards-per-alb-rule", 0, rule(2, hostIs("*.example"), answerWith("200", "")), "ValidationError"},
		{"target-groups-per-action-on-application-load-balancer", 1, rule(2, hostIs("b.example"), weighted(a, 1, b, 1)), "TooManyTargetGroups"},
		{"target-groups-per-application-load-balancer", 1, rule(2, hostIs("b.example"), forwardTo(b)), "TooManyUniqueTargetGroupsPerLoadBalancer"},
		{"rules-per-application-load-balancer", 1, rule(2, hostIs("b.example"), answerWith("200", "")), "TooManyRules"},
	} {
		set(tc.limit, tc.max)
		if got := code(w, tc.in); got != tc.code {
			t.Errorf("%s of %d: got %q, want %q", tc.limit, tc.max, got, tc.code)
		}
	}
	set("rules-per-application-load-balancer", 2)
	tagged := rule(2, hostIs("b.example"), answerWith("200", ""))
	tagged.Tags = tags
	for _, in := range []any{tagged, &elb.AddTagsInput{ResourceArns: []string{a}, Tags: tags}} {
		if got := code(w, in); got != "TooManyTags" {
			t.Errorf("%T with %d tags: %q", in, len(tags), got)
		}
	}
}
