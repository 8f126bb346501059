package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/model"
)

const (
	albARN = "arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:loadbalancer/app/public/1"
	nlbARN = "arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:loadbalancer/net/passthrough/2"
)

func groupARN(name string) string {
	return "arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:targetgroup/" + name + "/0123456789abcdef"
}

func ruleARN(n int) string {
	return fmt.Sprintf("arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:listener-rule/app/public/1/443/%d", n)
}

// testNow is where the clock of synctest bubbles begins.
func testNow() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// maker makes worlds that can be joined, with any number of hosts.
type maker struct {
	names     []string                  // public hosts
	side      map[string]model.SideName // where they are, old if missing
	actions   map[string]model.JSON     // what their rules do, where side does not say it
	oldOnly   map[string]bool           // VirtualServices that list only the old Gateway
	nlbSide   model.SideName
	problems  []model.Problem
	evilNames bool
	noRules   bool
	noLanes   bool // Kubernetes has nothing
}

func standardWorld() maker {
	return maker{
		names: []string{
			"argocd", "gitlab", "grafana", "jira", "kiali", "keycloak", "mattermost", "minio", "nexus",
			"neuvector", "prometheus", "registry", "sonarqube", "tempo", "twistlock", "vault",
		},
		actions: map[string]model.JSON{},
		side:    map[string]model.SideName{"grafana": model.New, "kiali": model.New},
		oldOnly: map[string]bool{"jira": true},
		nlbSide: model.Old,
	}
}

func manyHosts(n int) maker {
	m := standardWorld()
	for i := range n {
		m.names = append(m.names, fmt.Sprintf("app-%04d", i))
	}
	return m
}

func name(ns, n string) model.ObjectName { return model.ObjectName{Namespace: ns, Name: n} }

func (m maker) cluster(now time.Time) model.Cluster {
	c := model.Cluster{Context: "prod-il4", Server: "https://10.0.0.1:6443", UID: "uid", ObservedAt: now, Problems: m.problems}
	for _, lane := range []string{"public", "passthrough"} {
		tls, port := "SIMPLE", "HTTPS"
		if lane == "passthrough" {
			tls, port = "PASSTHROUGH", "TLS"
		}
		for _, g := range []struct {
			name model.ObjectName
			sel  string
			keep bool
		}{{name("istio-system", lane), lane, true}, {name("istio-gateway", lane+"-ingressgateway"), lane + "-new", false}} {
			credential := ""
			if lane == "public" {
				credential = "public-cert"
			}
			c.Gateways = append(c.Gateways, model.Gateway{
				Name: g.name, Selector: map[string]string{"app": g.sel}, Keep: g.keep,
				Servers: []model.Server{
					{Hosts: []string{"*"}, Port: 8443, Protocol: port, TLSMode: tls, CredentialName: credential},
				},
			})
			base := map[string]int{"public": 30000, "public-new": 30001, "passthrough": 32000, "passthrough-new": 32001}[g.sel]
			c.Services = append(c.Services, model.Service{
				Name: g.name, Selector: map[string]string{"app": g.sel}, ExternalTrafficPolicy: "Cluster",
				Ports: []model.ServicePort{
					{Name: "status", Port: 15021, TargetPort: 15021, NodePort: base + 21},
					{Name: "http", Port: 80, TargetPort: 8080, NodePort: base + 80},
					{Name: "https", Port: 443, TargetPort: 8443, NodePort: base + 443},
				},
			})
			for i := range 3 {
				c.Pods = append(c.Pods, model.Pod{
					Name:   model.ObjectName{Namespace: g.name.Namespace, Name: fmt.Sprintf("%s-%d", g.sel, i)},
					Labels: map[string]string{"app": g.sel}, Ready: true, Node: fmt.Sprintf("node-%d", i), IP: fmt.Sprintf("10.1.%d.%d", i, len(c.Pods)),
				})
			}
			if credential != "" {
				c.Secrets = append(c.Secrets, model.Secret{
					Name: name(g.name.Namespace, credential), Exists: true, Readable: true, Keep: g.keep,
					NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 0, 61), DNSNames: []string{"*.bigbang.example"}, SHA256: strings.Repeat("ab", 32),
				})
			}
		}
	}
	for i := range 3 {
		c.Nodes = append(c.Nodes, model.Node{Name: fmt.Sprintf("node-%d", i), InternalIP: fmt.Sprintf("10.0.1.%d", 10+i), InstanceID: fmt.Sprintf("i-%d", i), Zone: "us-gov-west-1a"})
	}
	for _, n := range m.names {
		gateways := []string{"istio-system/public", "istio-gateway/public-ingressgateway"}
		if m.oldOnly[n] {
			gateways = gateways[:1]
		}
		host := n + ".bigbang.example"
		if m.evilNames {
			host = n + "\x1b[31m\u202e世界.example"
		}
		c.VirtualServices = append(c.VirtualServices, model.VirtualService{Name: name(n, n), Hosts: []string{host}, Gateways: gateways})
	}
	for _, n := range []string{"keycloak-sso", "vault-tls"} {
		c.VirtualServices = append(c.VirtualServices, model.VirtualService{
			Name: name(n, n), Hosts: []string{n + ".bigbang.example"},
			Gateways: []string{"istio-system/passthrough", "istio-gateway/passthrough-ingressgateway"},
		})
	}
	return c
}

func forwardTo(group string) model.JSON {
	j, err := model.CanonicalOf([]map[string]any{{
		"Type": "forward", "Order": 1, "TargetGroupArn": groupARN(group),
		"ForwardConfig": map[string]any{"TargetGroups": []map[string]any{{"TargetGroupArn": groupARN(group), "Weight": 1}}},
	}})
	if err != nil {
		panic(err)
	}
	return j
}

// weighted forwards to both sides of the public lane.
func weighted(newWeight int) model.JSON {
	j, err := model.CanonicalOf([]map[string]any{{
		"Type": "forward", "Order": 1, "ForwardConfig": map[string]any{"TargetGroups": []map[string]any{
			{"TargetGroupArn": groupARN("public-old-https"), "Weight": 100 - newWeight},
			{"TargetGroupArn": groupARN("public-new-https"), "Weight": newWeight},
		}},
	}})
	if err != nil {
		panic(err)
	}
	return j
}

func (m maker) aws(now time.Time) model.AWS {
	a := model.AWS{ObservedAt: now, Account: model.Account{
		Account: "123456789012", ARN: "arn:aws-us-gov:sts::123456789012:assumed-role/Platform/me",
		Region: "us-gov-west-1", Endpoint: "https://elasticloadbalancing.us-gov-west-1.amazonaws.com",
	}}
	for _, g := range []struct {
		name, protocol string
		port           int
		health         string
		lb             []string
	}{
		{"public-old-https", "HTTPS", 30443, "30021", []string{albARN}},
		{"public-new-https", "HTTPS", 30444, "30022", []string{albARN}},
		{"pass-old-https", "TCP", 32443, "32021", []string{nlbARN}},
		{"pass-new-https", "TCP", 32444, "32022", []string{nlbARN}},
	} {
		tg := model.TargetGroup{
			ARN: groupARN(g.name), Name: g.name, Protocol: g.protocol, Port: g.port, TargetType: "instance",
			HealthPort: g.health, LoadBalancers: g.lb,
		}
		for i := range 3 {
			tg.Targets = append(tg.Targets, model.Target{ID: fmt.Sprintf("i-%d", i), Port: g.port, Zone: "us-gov-west-1a", State: "healthy"})
		}
		a.TargetGroups = append(a.TargetGroups, tg)
	}
	l443 := model.Listener{ARN: albARN + "/443", Port: 443, Protocol: "HTTPS"}
	for i, n := range m.names {
		group := "public-old-https"
		if m.side[n] == model.New {
			group = "public-new-https"
		}
		host := n + ".bigbang.example"
		conditions, _ := model.CanonicalOf([]map[string]any{{"Field": "host-header", "HostHeaderConfig": map[string]any{"Values": []string{host}}}})
		actions := forwardTo(group)
		if j := m.actions[n]; j != "" {
			actions = j
		}
		l443.Rules = append(l443.Rules, model.Rule{
			ARN: ruleARN(i), Listener: l443.ARN, Priority: 10 * (i + 1), Conditions: conditions, Actions: actions,
		})
	}
	l443.Rules = append(l443.Rules, model.Rule{ARN: ruleARN(9999), Listener: l443.ARN, Actions: forwardTo("public-old-https")})
	redirect, _ := model.CanonicalOf([]map[string]any{{"Type": "redirect", "Order": 1, "RedirectConfig": map[string]any{"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}})
	l80 := model.Listener{ARN: albARN + "/80", Port: 80, Protocol: "HTTP", Rules: []model.Rule{
		{ARN: albARN + "/80/def", Listener: albARN + "/80", Actions: redirect},
	}}
	nlbGroup := "pass-old-https"
	if m.nlbSide == model.New {
		nlbGroup = "pass-new-https"
	}
	n443 := model.Listener{ARN: nlbARN + "/443", Port: 443, Protocol: "TCP"}
	n443.Rules = []model.Rule{{ARN: n443.ARN, Listener: n443.ARN, Actions: forwardTo(nlbGroup)}}
	if m.noRules {
		l443.Rules, l80.Rules, n443.Rules = nil, nil, nil
	}
	a.LoadBalancers = []model.LoadBalancer{
		{ARN: albARN, Name: "public", Type: model.Application, DNSName: "public.elb", Listeners: []model.Listener{l80, l443}},
		{ARN: nlbARN, Name: "passthrough", Type: model.Network, DNSName: "pass.elb", Listeners: []model.Listener{n443}},
	}
	return a
}

func (m maker) world(now time.Time) World {
	cluster := m.cluster(now)
	if m.noLanes {
		cluster = model.Cluster{Problems: m.problems}
	}
	s := model.Join(cluster, m.aws(now), model.Config{})
	return World{Snapshot: s, States: model.HostStates{}, Problems: m.problems}
}

// probes makes good probes for every host of the world, on all nodes.
func probesOf(w World, now time.Time) ProbeView {
	rate := func(requests, connections float64) model.Traffic {
		return model.Traffic{Requests: requests, Connections: connections, Window: 5 * time.Second, At: now}
	}
	v := ProbeView{Evidence: model.Evidence{}, Series: map[ProbeKey]Series{}, Traffic: map[string]model.LaneTraffic{
		"public":      {Unit: model.UnitRequests, Old: rate(12.41, 0), New: rate(0, 0)},
		"passthrough": {Unit: model.UnitConnections, Old: rate(0, 1.5), New: rate(0, 0)},
	}}
	for _, t := range model.ProbeTargets(w.Snapshot, nil) {
		var last model.ProbeResult
		for i := range 3 {
			last = model.ProbeResult{
				Target: t, Began: now.Add(time.Duration(i-3) * time.Second), Status: 200, Backend: true, Envoy: true,
				TLS: &model.ProbeTLS{Version: "1.3", SHA256: t.CertSHA256, Verified: true}, Phases: model.Phases{Total: 8},
			}
			v.Evidence[t] = append(v.Evidence[t], last)
		}
		key := ProbeKey{t.Host, t.Path}
		s := v.Series[key]
		if s.Count == 0 {
			s = Series{P50: 8, P95: 11, P99: 14, Max: 21, Good: 312, Count: 312, NoSNI: true, Every: 10 * time.Second}
			for i := range 60 {
				s.Recent = append(s.Recent, Sample{Total: []float64{6, 7, 8, 6, 7, 14, 7, 6}[i%8], Good: true})
			}
		}
		s.Nodes++
		s.Last = last
		v.Series[key] = s
	}
	return v
}

// mustJoin is mustWorld for worlds that may be without hosts.
func mustJoin(tb testing.TB, m maker) World {
	tb.Helper()
	return m.world(testNow())
}

func mustWorld(tb testing.TB, m maker) World {
	tb.Helper()
	w := m.world(testNow())
	if len(w.Snapshot.Hosts) == 0 {
		tb.Fatal("the world has no hosts")
	}
	return w
}
