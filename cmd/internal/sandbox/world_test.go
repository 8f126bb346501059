package sandbox

import (
	"fmt"
	"strings"
	"testing"
)

func TestWorlds(t *testing.T) {
	for _, n := range []int{1, 2, 7, 24, 25, 60, 240, 300, 1000, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(n)
			if len(w.apps) != n {
				t.Fatalf("%d hosts, want %d", len(w.apps), n)
			}
			published, services := map[string]app{}, map[string]bool{}
			for _, a := range w.apps {
				if _, twice := published[a.fullHost()]; twice || services[serviceHost(a)] {
					t.Errorf("%s is published twice", a.fullHost())
				}
				published[a.fullHost()], services[serviceHost(a)] = a, true
			}
			if a := w.apps[0]; a.fullHost() != "argocd.bigbang.example" || a.oldOnly || a.broken || a.login || a.ownCertificate {
				t.Errorf("the first host is %+v, want argocd, ready to go", a)
			}
			judgeRules(t, w, published)
		})
	}
}

// judgeRules holds the ALBs to AWS's quotas and every public host to exactly one ALB.
func judgeRules(t *testing.T, w world, published map[string]app) {
	t.Helper()
	ruled := map[string]string{}
	rules := 0
	for _, b := range w.balancers {
		if len(b.rules) > 100 {
			t.Errorf("%s has %d rules", b.name, len(b.rules))
		}
		if len(b.prefix+"-old-https") > 32 || len(b.name) > 32 {
			t.Errorf("names of %s are too long", b.name)
		}
		if b.closed != (len(w.balancers) > 1) {
			t.Errorf("%s: closed %v among %d", b.name, b.closed, len(w.balancers))
		}
		last, warmedUp := 0, false
		for _, r := range b.rules {
			if r.priority <= last || r.priority > 50000 {
				t.Errorf("%s: priority %d after %d", b.name, r.priority, last)
			}
			last = r.priority
			if len(r.hosts) == 0 || len(r.hosts)+len(r.paths) > 5 {
				t.Errorf("%s: rule %d has %d values", b.name, r.priority, len(r.hosts)+len(r.paths))
			}
			warmedUp = warmedUp || r.kind == warm
			if r.kind == warm || r.kind == redirect {
				continue
			}
			rules++
			for _, host := range r.hosts {
				if a, ok := published[host]; !ok || a.passthrough() {
					t.Errorf("%s: rule %d serves %s, which is not published there", b.name, r.priority, host)
				}
				if other, ok := ruled[host]; ok && other != b.name {
					t.Errorf("%s is on %s and %s", host, other, b.name)
				}
				ruled[host] = b.name
			}
		}
		if !warmedUp {
			t.Errorf("%s does not warm its new target group", b.name)
		}
	}
	if len(w.balancers) > 1 {
		for host, a := range published {
			if !a.passthrough() && ruled[host] == "" {
				t.Errorf("%s is served by nothing", host)
			}
		}
	}
	if n := len(published); n >= 300 && (rules < n*3/10 || rules > n*4/10) {
		t.Errorf("%d rules for %d hosts, want about a third", rules, n)
	}
}

func TestDefaultWorldHasWhatCanGoWrong(t *testing.T) {
	w := newWorld(0)
	if len(w.apps) != defaultHosts || len(w.balancers) != 1 || w.balancers[0].closed {
		t.Fatalf("%d hosts on %d ALBs", len(w.apps), len(w.balancers))
	}
	count := map[string]int{}
	for _, a := range w.apps {
		count["old only"] += one(a.oldOnly)
		count["broken"] += one(a.broken)
		count["expired"] += one(a.ownCertificate)
		count["wildcard"] += one(strings.HasPrefix(a.fullHost(), "*."))
		count["passthrough"] += one(a.passthrough())
	}
	for _, r := range w.balancers[0].rules {
		count["oidc"] += one(r.kind == authenticate)
		count["redirect"] += one(r.kind == redirect)
		count["path"] += one(len(r.paths) > 0)
		count["shared"] += one(len(r.hosts) == 3)
	}
	for _, what := range []string{"old only", "broken", "expired", "wildcard", "oidc", "redirect", "path", "shared"} {
		if count[what] != 1 {
			t.Errorf("%s: %d, want 1", what, count[what])
		}
	}
	if count["passthrough"] != 4 {
		t.Errorf("passthrough hosts: %d, want 4", count["passthrough"])
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
