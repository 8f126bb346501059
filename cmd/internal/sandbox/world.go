package sandbox

import "fmt"

// domain is under which every host of a generated world is published.
const domain = "bigbang.example"

// publicNames are the names on the certificates of the public lane.
func publicNames() []string { return []string{"*." + domain, "*.pages." + domain, domain} }

// warmHost is never requested: a rule that names it keeps a target group in
// use, and so health-checked, without traffic.
const warmHost = "cutover-warm.invalid"

const (
	// defaultHosts is how many hosts the default world has.
	defaultHosts = 24
	// rulesPerBalancer leaves room for carve-outs below AWS's quota of 100.
	rulesPerBalancer = 80
	// sharedValues is how many hosts fit on one rule: the quota of condition values.
	sharedValues = 5
)

// side is one side of a lane as the guide lays it out.
type side struct {
	namespace, gateway, service string
	status, http, https         int
}

// lane is an ingress class with its two sides.
type lane struct {
	name     string
	old, new side
}

func publicLane() lane {
	return lane{
		name: "public",
		old:  side{"istio-system", "public", "public-ingressgateway", 30021, 30080, 30443},
		new:  side{"istio-gateway", "public-ingressgateway", "public-ingressgateway", 30022, 30081, 30444},
	}
}

func passthroughLane() lane {
	return lane{
		name: "passthrough",
		old:  side{"istio-system", "passthrough", "passthrough-ingressgateway", 32021, 32080, 32443},
		new:  side{"istio-gateway", "passthrough-ingressgateway", "passthrough-ingressgateway", 32022, 32081, 32444},
	}
}

// app is an application and the VirtualService that publishes its host.
type app struct {
	name      string // of the VirtualService, the Service and, unless said otherwise, the host
	namespace string
	host      string
	lane      string
	// oldOnly leaves the new Gateway out of the VirtualService.
	oldOnly bool
	// login answers / with a redirect to a login page.
	login bool
	// broken sends what comes through the new Gateway to a Service without endpoints.
	broken bool
	// ownCertificate is a server of the new Gateway for this host alone, with a
	// certificate that has expired.
	ownCertificate bool
}

type ruleKind int

const (
	forward ruleKind = iota
	authenticate
	redirect
	warm
)

// rule is a listener rule that forwards to the old side, except for the kinds
// that say otherwise.
type rule struct {
	priority int
	kind     ruleKind
	hosts    []string
	paths    []string
}

// balancer is an ALB with its rules.
type balancer struct {
	name string
	// prefix begins the names of its target groups; one group cannot be on two load balancers.
	prefix string
	rules  []rule
	// closed answers 404 by default, where the others forward to the old side.
	closed bool
}

// world is what a sandbox is made of.
type world struct {
	apps      []app
	balancers []balancer
}

// newWorld returns the world with n hosts; 0 is the default world, fewer hosts
// than that has are its first.
func newWorld(n int) world {
	if n <= 0 {
		n = defaultHosts
	}
	apps := append(defaultPublic(), defaultPassthrough()...)
	// The first hosts of both lanes come first, so that a small world has both.
	order := []int{0, len(defaultPublic())}
	for i := range apps {
		if i != order[0] && i != order[1] {
			order = append(order, i)
		}
	}
	var w world
	for _, i := range order[:min(n, len(order))] {
		w.apps = append(w.apps, apps[i])
	}
	rules := kept(defaultRules(), w.apps)
	extra, more := generated(n-len(w.apps), len(rules)*10+10)
	w.apps = append(w.apps, extra...)
	rules = append(rules, more...)
	w.balancers = spread(rules, w.apps)
	return w
}

func defaultPublic() []app {
	return []app{
		{name: "argocd", namespace: "argocd"},
		{name: "gitlab", namespace: "gitlab", login: true},
		{name: "registry", namespace: "gitlab"},
		{name: "pages", namespace: "gitlab", host: "*.pages"},
		{name: "grafana", namespace: "monitoring", login: true},
		{name: "prometheus", namespace: "monitoring"},
		{name: "alertmanager", namespace: "monitoring"},
		{name: "kiali", namespace: "kiali"},
		{name: "portal", namespace: "portal"},
		{name: "jira", namespace: "jira", oldOnly: true},
		{name: "sonarqube", namespace: "sonarqube", broken: true},
		{name: "nexus", namespace: "nexus", ownCertificate: true},
		{name: "minio", namespace: "minio"},
		{name: "minio-api", namespace: "minio"},
		{name: "neuvector", namespace: "neuvector"},
		{name: "mattermost", namespace: "mattermost", login: true},
		{name: "tracing", namespace: "tempo"},
		{name: "kibana", namespace: "logging", login: true},
		{name: "confluence", namespace: "confluence"},
		{name: "twistlock", namespace: "twistlock"},
	}
}

func defaultPassthrough() []app {
	return []app{
		{name: "keycloak", namespace: "keycloak", lane: "passthrough"},
		{name: "sso", namespace: "keycloak", lane: "passthrough"},
		{name: "vault", namespace: "vault", lane: "passthrough"},
		{name: "nifi", namespace: "nifi", lane: "passthrough"},
	}
}

// fullHost is the host that the application is published as.
func (a app) fullHost() string {
	if a.host != "" {
		return a.host + "." + domain
	}
	return a.name + "." + domain
}

func (a app) passthrough() bool { return a.lane == "passthrough" }

// defaultRules leaves tracing, kibana, confluence and twistlock to the default rule.
func defaultRules() []rule {
	return []rule{
		{priority: 5, kind: redirect, hosts: named("wiki")},
		{priority: 10, hosts: named("argocd")},
		{priority: 20, hosts: named("gitlab")},
		{priority: 30, hosts: named("registry")},
		{priority: 40, hosts: named("*.pages")},
		{priority: 50, hosts: named("grafana", "prometheus", "alertmanager")},
		{priority: 60, kind: authenticate, hosts: named("kiali")},
		{priority: 70, hosts: named("portal"), paths: []string{"/api/*"}},
		{priority: 80, hosts: named("portal")},
		{priority: 90, hosts: named("jira")},
		{priority: 100, hosts: named("sonarqube")},
		{priority: 110, hosts: named("nexus")},
		{priority: 120, hosts: named("minio")},
		{priority: 130, hosts: named("minio-api")},
		{priority: 140, hosts: named("neuvector")},
		{priority: 150, hosts: named("mattermost")},
	}
}

func named(names ...string) []string {
	hosts := make([]string, len(names))
	for i, name := range names {
		hosts[i] = name + "." + domain
	}
	return hosts
}

// kept drops from the rules the hosts that are not published, and the rules
// that have none left. Redirects serve hosts that nobody publishes.
func kept(rules []rule, apps []app) []rule {
	published := map[string]bool{}
	for _, a := range apps {
		published[a.fullHost()] = true
	}
	var left []rule
	for _, r := range rules {
		if r.kind != redirect {
			var hosts []string
			for _, host := range r.hosts {
				if published[host] {
					hosts = append(hosts, host)
				}
			}
			r.hosts = hosts
		}
		if len(r.hosts) > 0 {
			left = append(left, r)
		}
	}
	return left
}

// generated returns n applications more, and for nine of them each three
// rules: for one host, for three and for five.
func generated(n, priority int) ([]app, []rule) {
	var apps []app
	var rules []rule
	sizes := []int{1, 3, sharedValues}
	for i := range max(n, 0) {
		apps = append(apps, app{name: fmt.Sprintf("app-%04d", i+1), namespace: fmt.Sprintf("apps-%03d", i/10+1)})
	}
	for next := 0; next < len(apps); priority += 10 {
		size := min(sizes[len(rules)%len(sizes)], len(apps)-next)
		r := rule{priority: priority}
		for _, a := range apps[next : next+size] {
			r.hosts = append(r.hosts, a.fullHost())
		}
		rules = append(rules, r)
		next += size
	}
	return apps, rules
}

// spread puts the rules on as many ALBs as they need. With more than one, no
// default rule forwards, or every host would be served by all of them; the
// hosts without a rule then get one.
func spread(rules []rule, apps []app) []balancer {
	count := (len(rules) + rulesPerBalancer - 1) / rulesPerBalancer
	if count <= 1 {
		return []balancer{{name: "public-alb", prefix: "public", rules: warmed(rules)}}
	}
	rules = append(rules, withoutRule(rules, apps)...)
	balancers := make([]balancer, count)
	for i := range balancers {
		b := &balancers[i]
		b.name, b.prefix, b.closed = "public-alb", "public", true
		if i > 0 {
			b.name, b.prefix = fmt.Sprintf("public-alb-%d", i+1), fmt.Sprintf("public-%d", i+1)
		}
		b.rules = warmed(rules[len(rules)*i/count : len(rules)*(i+1)/count])
	}
	return balancers
}

// withoutRule returns rules for the hosts that no rule names.
func withoutRule(rules []rule, apps []app) []rule {
	ruled := map[string]bool{}
	last := 0
	for _, r := range rules {
		last = max(last, r.priority)
		for _, host := range r.hosts {
			ruled[host] = true
		}
	}
	var more []rule
	for _, a := range apps {
		if a.passthrough() || ruled[a.fullHost()] {
			continue
		}
		if len(more) == 0 || len(more[len(more)-1].hosts) == sharedValues {
			last += 10
			more = append(more, rule{priority: last})
		}
		r := &more[len(more)-1]
		r.hosts = append(r.hosts, a.fullHost())
	}
	return more
}

// warmed adds the rule that keeps the new target group health-checked.
func warmed(rules []rule) []rule {
	return append(rules[:len(rules):len(rules)], rule{priority: 49999, kind: warm, hosts: []string{warmHost}})
}
