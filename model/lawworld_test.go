package model_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
	"pgregory.net/rapid"
)

// lawWorld is a generated cluster and account, and an ELBv2 that refuses what
// AWS refuses.
type lawWorld struct {
	cluster   model.Cluster
	aws       model.AWS
	pairs     map[string]string         // group to the one of the other side
	laneOf    map[string]string         // by group
	sideOf    map[string]model.SideName // by group
	published map[string][]string       // by lane
}

const lawVPC = "vpc-1"

func lawARN(kind, name string) string {
	return "arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:111122223333:" + kind + "/" + name + "/0a1b"
}

func lawJSON(v any) model.JSON {
	j, err := model.CanonicalOf(v)
	if err != nil {
		panic(err)
	}
	return j
}

var lawTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// addLane adds both sides of a lane; ports are base (old) and base+1 (new).
func (w *lawWorld) addLane(lane string, base int) {
	for i, side := range []model.SideName{model.Old, model.New} {
		gw := model.ObjectName{Namespace: "istio-system", Name: lane}
		svc := model.ObjectName{Namespace: "istio-system", Name: lane + "-ingressgateway"}
		if side == model.New {
			gw = model.ObjectName{Namespace: "istio-gateway", Name: lane + "-ingressgateway"}
			svc = gw
		}
		labels := map[string]string{"app": lane + "-" + string(side)}
		w.cluster.Gateways = append(w.cluster.Gateways, model.Gateway{
			Name: gw, Selector: labels,
			Servers: []model.Server{
				{Hosts: []string{"*"}, Port: 8443, Protocol: "HTTPS", TLSMode: "SIMPLE", CredentialName: lane + "-cert"},
				{Hosts: []string{"*"}, Port: 8080, Protocol: "HTTP"},
			},
		})
		w.cluster.Services = append(w.cluster.Services, model.Service{
			Name: svc, Selector: labels, ExternalTrafficPolicy: "Cluster",
			Ports: []model.ServicePort{
				{Name: "status-port", Port: 15021, TargetPort: 15021, NodePort: base + 21 + i},
				{Name: "http2", Port: 80, TargetPort: 8080, NodePort: base + 80 + i},
				{Name: "https", Port: 443, TargetPort: 8443, NodePort: base + 443 + i},
			},
		})
		w.cluster.Secrets = append(w.cluster.Secrets, model.Secret{
			Name: model.ObjectName{Namespace: gw.Namespace, Name: lane + "-cert"}, Exists: true, Readable: true,
			NotBefore: lawTime.AddDate(-1, 0, 0), NotAfter: lawTime.AddDate(1, 0, 0),
			DNSNames: []string{"*.x.io", "*.w.x.io", "*.y.io"}, SHA256: "aa",
		})
		for n := range w.cluster.Nodes {
			node := w.cluster.Nodes[n]
			w.cluster.Pods = append(w.cluster.Pods, model.Pod{
				Name:   model.ObjectName{Namespace: gw.Namespace, Name: fmt.Sprintf("%s-%s-%d", lane, side, n)},
				Labels: labels, Ready: true, Node: node.Name, IP: fmt.Sprintf("10.1.%d.%d", base%250, n+1),
			})
		}
	}
}

// addPair adds a lane's two target groups for a port on a load balancer.
func (w *lawWorld) addPair(lane, suffix, protocol string, port int, lb string, sticky bool) (old, new string) {
	var arns []string
	for i, side := range []model.SideName{model.Old, model.New} {
		name := lane + "-" + string(side) + "-" + suffix
		arn := lawARN("targetgroup", name)
		g := model.TargetGroup{
			ARN: arn, Name: name, Protocol: protocol, Port: port + i, TargetType: "instance", VPC: lawVPC,
			LoadBalancers: []string{lb}, Sticky: sticky,
		}
		for _, n := range w.cluster.Nodes {
			g.Targets = append(g.Targets, model.Target{ID: n.InstanceID, Port: port + i, Zone: n.Zone, State: "healthy"})
		}
		w.aws.TargetGroups = append(w.aws.TargetGroups, g)
		w.laneOf[arn], w.sideOf[arn] = lane, side
		arns = append(arns, arn)
	}
	w.pairs[arns[0]], w.pairs[arns[1]] = arns[1], arns[0]
	return arns[0], arns[1]
}

func (w *lawWorld) publish(lane string, hosts []string, both bool) {
	gws := []string{"istio-system/" + lane}
	if both {
		gws = append(gws, "istio-gateway/"+lane+"-ingressgateway")
	}
	for _, h := range hosts {
		w.cluster.VirtualServices = append(w.cluster.VirtualServices, model.VirtualService{
			Name:  model.ObjectName{Namespace: "apps", Name: lane + "-" + strings.ReplaceAll(h, "*", "any")},
			Hosts: []string{h}, Gateways: gws,
		})
		w.published[lane] = append(w.published[lane], h)
	}
}

func (w *lawWorld) join() *model.Snapshot { return model.Join(w.cluster, w.aws, model.Config{}) }

// clone copies what apply changes.
func (w *lawWorld) clone() *lawWorld {
	c := *w
	c.aws.LoadBalancers = slices.Clone(w.aws.LoadBalancers)
	for i := range c.aws.LoadBalancers {
		lb := &c.aws.LoadBalancers[i]
		lb.Listeners = slices.Clone(lb.Listeners)
		for j := range lb.Listeners {
			lb.Listeners[j].Rules = slices.Clone(lb.Listeners[j].Rules)
		}
	}
	return &c
}

func (w *lawWorld) group(arn string) (model.TargetGroup, bool) {
	for _, g := range w.aws.TargetGroups {
		if g.ARN == arn {
			return g, true
		}
	}
	return model.TargetGroup{}, false
}

// read is what ELBv2 says of a rule or listener.
func (w *lawWorld) read(ref model.Ref) (lb *model.LoadBalancer, r *model.Rule, err error) {
	for i := range w.aws.LoadBalancers {
		for j := range w.aws.LoadBalancers[i].Listeners {
			l := &w.aws.LoadBalancers[i].Listeners[j]
			for k := range l.Rules {
				if ref.Rule == l.Rules[k].ARN && ref.Rule != "" || ref.Rule == "" && l.ARN == ref.Listener && l.Rules[k].IsDefault() {
					return &w.aws.LoadBalancers[i], &l.Rules[k], nil
				}
			}
		}
	}
	return nil, nil, errors.New("RuleNotFound")
}

// apply writes a change as ELBv2 would: it validates, and reports a forward to
// one group in both forms.
func (w *lawWorld) apply(c model.Change) error {
	lb, r, err := w.read(c.Ref())
	if err != nil {
		return err
	}
	if c.Op == model.OpModifyRule && r.IsDefault() {
		return errors.New("OperationNotPermitted: the default rule")
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(c.After.Actions), &list); err != nil {
		return err
	}
	for _, a := range list {
		if cfg, ok := a["AuthenticateOidcConfig"].(map[string]any); ok {
			if cfg["UseExistingClientSecret"] != true || cfg["ClientSecret"] != nil {
				return errors.New("ValidationError: the client secret")
			}
			delete(cfg, "UseExistingClientSecret")
		}
		if a["Type"] == "forward" {
			if err := w.validateForward(lb, a); err != nil {
				return err
			}
		}
	}
	r.Actions = lawJSON(list)
	return nil
}

func (w *lawWorld) validateForward(lb *model.LoadBalancer, a map[string]any) error {
	cfg, _ := a["ForwardConfig"].(map[string]any)
	tuples, _ := cfg["TargetGroups"].([]any)
	scalar, hasScalar := a["TargetGroupArn"].(string)
	if len(tuples) == 0 {
		if !hasScalar {
			return errors.New("ValidationError: a forward without a group")
		}
		a["ForwardConfig"] = map[string]any{"TargetGroups": []any{map[string]any{"TargetGroupArn": scalar, "Weight": 1}}}
		tuples = a["ForwardConfig"].(map[string]any)["TargetGroups"].([]any)
		cfg = a["ForwardConfig"].(map[string]any)
	}
	if hasScalar && (len(tuples) != 1 || tuples[0].(map[string]any)["TargetGroupArn"] != scalar) {
		return errors.New("ValidationError: TargetGroupArn and ForwardConfig name different groups")
	}
	if len(tuples) > 5 {
		return errors.New("TooManyTargetGroups")
	}
	sticky := false
	if s, ok := cfg["TargetGroupStickinessConfig"].(map[string]any); ok {
		sticky = s["Enabled"] == true
	}
	for _, t := range tuples {
		arn, _ := t.(map[string]any)["TargetGroupArn"].(string)
		g, ok := w.group(arn)
		if !ok {
			return errors.New("TargetGroupNotFound: " + arn)
		}
		if len(g.LoadBalancers) > 0 && !slices.Contains(g.LoadBalancers, lb.ARN) {
			return errors.New("TargetGroupAssociationLimit: " + arn)
		}
		if http := g.Protocol == "HTTP" || g.Protocol == "HTTPS"; http != (lb.Type == model.Application) {
			return errors.New("IncompatibleProtocols: " + arn)
		}
		if len(tuples) > 1 && g.Sticky && !sticky {
			return errors.New("InvalidConfigurationRequest: " + arn)
		}
		if n, ok := t.(map[string]any)["Weight"].(float64); ok && (n < 0 || n > 999) {
			return errors.New("ValidationError: weight")
		}
	}
	if len(tuples) == 1 {
		a["TargetGroupArn"] = tuples[0].(map[string]any)["TargetGroupArn"]
	}
	return nil
}

// rules returns a listener's rules for the oracle.
func (w *lawWorld) rules(l model.Listener) []oracleRule {
	var rules []oracleRule
	for _, r := range l.Rules {
		rules = append(rules, oracleRule{r.ARN, r.Priority, string(r.Conditions), string(r.Actions)})
	}
	return rules
}

func genWorld(t *rapid.T) *lawWorld {
	w := &lawWorld{
		pairs: map[string]string{}, laneOf: map[string]string{}, sideOf: map[string]model.SideName{}, published: map[string][]string{},
	}
	for i := range 2 {
		w.cluster.Nodes = append(w.cluster.Nodes, model.Node{
			Name: fmt.Sprintf("node-%d", i), InternalIP: fmt.Sprintf("10.0.0.%d", i+1),
			InstanceID: fmt.Sprintf("i-%d", i), Zone: fmt.Sprintf("z%d", i),
		})
	}
	pool := []string{"a.x.io", "b.x.io", "c.x.io", "d.y.io", "*.x.io", "*.w.x.io", "k.w.x.io", "*.y.io"}
	for i, lane := range []string{"public", "team", "passthrough"} {
		w.addLane(lane, 30000+i*1000)
		hosts := rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 1, 6, rapid.ID).Draw(t, lane+" hosts")
		w.publish(lane, hosts, true)
	}
	if rapid.IntRange(0, 19).Draw(t, "all") == 0 {
		w.publish("public", []string{"*"}, true)
	}
	w.addALB(t, "alb-a")
	if rapid.Bool().Draw(t, "second alb") {
		w.addALB(t, "alb-b")
	}
	w.addNLB(t)
	return w
}

func (w *lawWorld) addNLB(t *rapid.T) {
	lb := model.LoadBalancer{ARN: lawARN("loadbalancer/net", "nlb"), Name: "nlb", Type: model.Network, VPC: lawVPC}
	for _, p := range []struct{ port, base int }{{80, 32080}, {443, 32443}} {
		old, other := w.addPair("passthrough", fmt.Sprintf("tcp-%d", p.port), "TCP", p.base, lb.ARN, rapid.IntRange(0, 5).Draw(t, "nlb sticky") == 0)
		l := model.Listener{ARN: lawARN("listener/net/nlb", fmt.Sprint(p.port)), Port: p.port, Protocol: "TCP"}
		target := old
		if rapid.IntRange(0, 5).Draw(t, "nlb moved") == 0 {
			target = other
		}
		l.Rules = []model.Rule{{ARN: l.ARN, Listener: l.ARN, Actions: lawJSON([]any{map[string]any{"Type": "forward", "TargetGroupArn": target}})}}
		lb.Listeners = append(lb.Listeners, l)
	}
	w.aws.LoadBalancers = append(w.aws.LoadBalancers, lb)
}

func (w *lawWorld) addALB(t *rapid.T, name string) {
	lb := model.LoadBalancer{ARN: lawARN("loadbalancer/app", name), Name: name, Type: model.Application, VPC: lawVPC}
	var groups []string
	for i, lane := range []string{"public", "team"} {
		sticky := rapid.IntRange(0, 5).Draw(t, "sticky") == 0
		a, b := w.addPair(lane, name+"-https", "HTTPS", 30443+i*1000, lb.ARN, sticky)
		c, d := w.addPair(lane, name+"-http", "HTTP", 30080+i*1000, lb.ARN, false)
		groups = append(groups, a, b, c, d)
	}
	foreign := lawARN("targetgroup", "foreign-"+name)
	w.aws.TargetGroups = append(w.aws.TargetGroups, model.TargetGroup{
		ARN: foreign, Name: "foreign-" + name, Protocol: "HTTP", Port: 9000, TargetType: "instance", VPC: lawVPC,
		LoadBalancers: []string{lb.ARN}, Targets: []model.Target{{ID: "i-0", Port: 9000}},
	})
	groups = append(groups, foreign)
	if rapid.IntRange(0, 9).Draw(t, "ambiguous") == 0 {
		extra := lawARN("targetgroup", "extra-"+name)
		w.aws.TargetGroups = append(w.aws.TargetGroups, model.TargetGroup{
			ARN: extra, Name: "extra-" + name, Protocol: "HTTPS", Port: 30444, TargetType: "instance", VPC: lawVPC,
			Targets: []model.Target{{ID: "i-0", Port: 30444, State: "unused"}},
		})
		w.laneOf[extra], w.sideOf[extra] = "public", model.New
	}
	for _, port := range []int{80, 443} {
		l := model.Listener{ARN: lawARN("listener/app/"+name, fmt.Sprint(port)), Port: port, Protocol: "HTTPS"}
		n := rapid.IntRange(0, 7).Draw(t, "rules")
		for i := range n {
			l.Rules = append(l.Rules, model.Rule{
				ARN:      lawARN("listener-rule/app/"+name+fmt.Sprint(port), fmt.Sprintf("r%d", i)),
				Listener: l.ARN, Priority: 10*i + 1 + rapid.IntRange(0, 9).Draw(t, "gap"),
				Conditions: genConditions(t), Actions: w.genActions(t, groups),
			})
		}
		l.Rules = append(l.Rules, model.Rule{
			ARN:      lawARN("listener-rule/app/"+name+fmt.Sprint(port), "default"),
			Listener: l.ARN, Conditions: "[]", Actions: w.genActions(t, groups),
		})
		lb.Listeners = append(lb.Listeners, l)
	}
	w.aws.LoadBalancers = append(w.aws.LoadBalancers, lb)
}

func genConditions(t *rapid.T) model.JSON {
	values := []string{
		"a.x.io", "b.x.io", "c.x.io", "d.y.io", "A.X.io", "k.w.x.io", "nobody.x.io", "*.x.io", "*.w.x.io", "?.x.io", "a*.x.io", "*", "*.y.io", "k.*.io",
	}
	var list []any
	if rapid.IntRange(0, 9).Draw(t, "host condition") > 0 {
		hosts := rapid.SliceOfNDistinct(rapid.SampledFrom(values), 1, 3, rapid.ID).Draw(t, "values")
		c := map[string]any{"Field": "host-header"}
		form := rapid.IntRange(0, 2).Draw(t, "form")
		if form != 1 {
			c["Values"] = hosts
		}
		if form != 0 {
			c["HostHeaderConfig"] = map[string]any{"Values": hosts}
		}
		if rapid.IntRange(0, 19).Draw(t, "regex") == 0 {
			delete(c, "Values")
			c["HostHeaderConfig"] = map[string]any{"RegexValues": []string{"^[ab]\\.x\\.io$"}}
		}
		list = append(list, c)
	}
	if len(list) == 0 || rapid.IntRange(0, 3).Draw(t, "path") == 0 {
		list = append(list, map[string]any{"Field": "path-pattern", "PathPatternConfig": map[string]any{"Values": []string{"/api/*"}}})
	}
	if rapid.IntRange(0, 7).Draw(t, "method") == 0 {
		list = append(list, map[string]any{"Field": "http-request-method", "HttpRequestMethodConfig": map[string]any{"Values": []string{"POST"}}})
	}
	if rapid.IntRange(0, 7).Draw(t, "header") == 0 {
		list = append(list, map[string]any{"Field": "http-header", "HttpHeaderConfig": map[string]any{"HttpHeaderName": "User-Agent", "Values": []string{"*bot*"}}})
	}
	return lawJSON(list)
}

// genActions forwards to some of the groups, or does something else.
func (w *lawWorld) genActions(t *rapid.T, groups []string) model.JSON {
	var list []any
	switch rapid.IntRange(0, 11).Draw(t, "action") {
	case 0:
		return lawJSON([]any{map[string]any{"Type": "redirect", "Order": 1, "RedirectConfig": map[string]any{"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}})
	case 1:
		return lawJSON([]any{map[string]any{"Type": "fixed-response", "FixedResponseConfig": map[string]any{"StatusCode": "404"}}})
	case 2:
		list = append(list, map[string]any{"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": map[string]any{
			"ClientId": "c", "Issuer": "https://sso", "AuthorizationEndpoint": "https://sso/a", "TokenEndpoint": "https://sso/t", "UserInfoEndpoint": "https://sso/u",
		}})
	}
	forward := map[string]any{"Type": "forward", "Order": 2}
	if rapid.IntRange(0, 2).Draw(t, "weighted") > 0 {
		g := groups[rapid.SampledFrom([]int{0, 0, 0, 1, 2, 4, 5, 8}).Draw(t, "group")]
		form := rapid.IntRange(0, 2).Draw(t, "forward form")
		if form != 1 {
			forward["TargetGroupArn"] = g
		}
		if form != 0 {
			forward["ForwardConfig"] = map[string]any{
				"TargetGroups":                []any{map[string]any{"TargetGroupArn": g, "Weight": 1}},
				"TargetGroupStickinessConfig": map[string]any{"Enabled": false},
			}
		}
		return lawJSON(append(list, forward))
	}
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(groups), 2, 5, rapid.ID).Draw(t, "groups")
	var tuples []any
	sticky := rapid.IntRange(0, 4).Draw(t, "group stickiness") == 0
	for _, arn := range chosen {
		g, _ := w.group(arn)
		sticky = sticky || g.Sticky
		tuples = append(tuples, map[string]any{"TargetGroupArn": arn, "Weight": rapid.SampledFrom([]int{0, 0, 1, 20, 100, 999}).Draw(t, "weight")})
	}
	cfg := map[string]any{"TargetGroups": tuples}
	if sticky {
		cfg["TargetGroupStickinessConfig"] = map[string]any{"Enabled": true, "DurationSeconds": 3600}
	}
	forward["ForwardConfig"] = cfg
	return lawJSON(append(list, forward))
}
