package model

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// routeOracle says by brute force which rules requests for a published host
// reach: it sends every name of up to six characters to every rule.
type routeOracle struct {
	published []string
	rules     []oracleRule
}

type oracleRule struct {
	arn     string
	values  []*regexp.Regexp // nil: any host
	anyHost bool
	path    bool
}

// oracleNames are all names over a few characters. None begins with a dot.
func oracleNames() []string {
	var names []string
	last := []string{""}
	for range 6 {
		var next []string
		for _, n := range last {
			for _, c := range []string{"a", "b", ".", "z"} {
				if n+c != "." {
					next = append(next, n+c)
				}
			}
		}
		names = append(names, next...)
		last = next
	}
	return names
}

// ownerOf goes through all published hosts and takes the longest that fits.
func (o routeOracle) ownerOf(name string) string {
	best := ""
	for _, h := range o.published {
		if h == name {
			return h
		}
		if suffix, ok := strings.CutPrefix(h, "*"); ok && strings.HasSuffix(name, suffix) && name != suffix && len(h) > len(best) {
			best = h
		}
	}
	return best
}

// firstMatch sends a request with the path that rule number path asks for.
func (o routeOracle) firstMatch(name string, path int) string {
	for i, r := range o.rules {
		hostFits := r.anyHost || slices.ContainsFunc(r.values, func(re *regexp.Regexp) bool { return re.MatchString(name) })
		if hostFits && (!r.path || i == path) {
			return r.arn
		}
	}
	return "alb/443/d"
}

func TestRoutesAreWhatRequestsReach(t *testing.T) {
	names := oracleNames()
	rapid.Check(t, func(t *rapid.T) {
		published := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"a", "b", "a.a", "b.a", "a.b.a", "ab.a", "*.a", "*.b.a", "*", "*a.a", "*.b",
		}), 1, 6, rapid.ID).Draw(t, "published")
		o := routeOracle{published: published}
		w := newJoinWorld().vs("x/x", strings.Join(published, " "), joinBoth)
		for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
			r := oracleRule{arn: fmt.Sprintf("alb/443/%d", i+1), path: rapid.Bool().Draw(t, "path")}
			values := rapid.SliceOfN(rapid.SampledFrom([]string{
				"a", "b", "a.a", "b.a", "a.b.a", "ab.a", "z.a", "*.a", "*.b.a", "*", "?.a", "a*.a", "*b*.a", "*.?.a", "??*", "*b*", "a.*",
			}), 0, 3).Draw(t, "values")
			conditions := joinHosts(r.path, values...)
			if r.anyHost = len(values) == 0; r.anyHost {
				conditions = "[]"
				if r.path {
					conditions = `[{"Field":"path-pattern","Values":["/p"]}]`
				}
			}
			for _, v := range values {
				r.values = append(r.values, hostRegexp(v))
			}
			o.rules = append(o.rules, r)
			w.rule(i+1, conditions, joinForward("pub-old:1"))
		}
		want := map[string]map[string]bool{}
		for _, name := range names {
			h := o.ownerOf(name)
			if want[h] == nil {
				want[h] = map[string]bool{}
			}
			for path := range len(o.rules) + 1 {
				want[h][o.firstMatch(name, path)] = true
			}
		}
		s := w.join()
		for _, h := range published {
			host, _ := s.Host(HostKey{h, "public"})
			got := host.Routes[1].Rules
			for arn := range want[h] {
				if !slices.Contains(got, arn) {
					t.Fatalf("%s: a request reaches %s, but its route is %v", h, arn, got)
				}
			}
			for _, arn := range got {
				if !want[h][arn] {
					t.Fatalf("%s: no request reaches %s of its route %v", h, arn, got)
				}
			}
			if !slices.IsSortedFunc(got, func(a, b string) int {
				ra, _ := s.Rule(a)
				rb, _ := s.Rule(b)
				return CompareRules(ra, rb)
			}) {
				t.Fatalf("%s: %v is not in the order of evaluation", h, got)
			}
			for _, arn := range got {
				if !slices.Contains(s.RuleHosts(arn), host.HostKey) {
					t.Fatalf("RuleHosts(%s) lacks %s", arn, h)
				}
			}
		}
	})
}

func TestRouteSides(t *testing.T) {
	for _, c := range []struct {
		name    string
		actions []JSON // of a path rule for the host, then of a rule for the host
		side    SideName
		weight  int // -1 for none
		state   State
	}{
		{"old", []JSON{joinForward("pub-old:1")}, Old, 0, StateOld},
		{"new, old warm", []JSON{joinForward("pub-old:0", "pub-new:100")}, New, 100, StateNew},
		{"scalar", []JSON{`[{"TargetGroupArn":"pub-new","Type":"forward"}]`}, New, 100, StateNew},
		{"split", []JSON{joinForward("pub-old:2", "pub-new:1")}, Split, 33, StateSplit},
		{"foreign groups do not count", []JSON{joinForward("pub-old:1", "pub-new:1", "else:8")}, Split, 50, StateSplit},
		{"no weight", []JSON{joinForward("pub-old:0", "pub-new:0")}, Other, -1, StateUnrouted},
		{"foreign", []JSON{joinForward("else:1")}, Other, -1, StateUnrouted},
		{"fixed", []JSON{`[{"Type":"fixed-response"}]`}, Other, -1, StateUnrouted},
		{"authenticated", []JSON{`[{"Type":"authenticate-oidc"},{"Type":"forward","TargetGroupArn":"pub-old"}]`}, Old, 0, StateOld},
		{"alike", []JSON{joinForward("pub-new:1"), joinForward("pub-new:9")}, New, 100, StateNew},
		{"mixed", []JSON{joinForward("pub-new:1"), joinForward("pub-old:9")}, Mixed, -1, StateMixed},
		{"split alike", []JSON{joinForward("pub-new:1", "pub-old:1"), joinForward("pub-new:5", "pub-old:5")}, Split, 50, StateSplit},
		{"split differently", []JSON{joinForward("pub-new:1", "pub-old:1"), joinForward("pub-new:1", "pub-old:5")}, Mixed, -1, StateMixed},
		{"a fixed path does not count", []JSON{`[{"Type":"fixed-response"}]`, joinForward("pub-new:9")}, New, 100, StateNew},
		{"not readable", []JSON{`{}`}, Other, -1, StateUnrouted},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newJoinWorld().vs("a/a", "a.x", joinBoth)
			for i, actions := range c.actions {
				w.rule(10+i, joinHosts(i < len(c.actions)-1, "a.x"), actions)
			}
			h := joinHost(t, w.join(), "a.x", "public")
			r := h.Routes[1]
			if r.Side != c.side || h.State != c.state {
				t.Errorf("side %s, state %s", r.Side, h.State)
			}
			weight := -1
			if r.NewWeight != nil {
				weight = *r.NewWeight
			}
			if weight != c.weight {
				t.Errorf("newWeight %d, want %d", weight, c.weight)
			}
		})
	}
}

func TestUnknownIsNotUnrouted(t *testing.T) {
	w := newJoinWorld().vs("a/a", "a.x", joinBoth)
	w.a.LoadBalancers = nil
	if h := joinHost(t, w.join(), "a.x", "public"); h.State != StateUnrouted {
		t.Errorf("without load balancers: %s", h.State)
	}
	w.a.Problems = []Problem{{Source: "aws", Operation: "DescribeLoadBalancers", Kind: KindAccess, Resource: ResourceLoadBalancers}}
	if h := joinHost(t, w.join(), "a.x", "public"); h.State != StateUnknown {
		t.Errorf("with unreadable load balancers: %s", h.State)
	}
	w = newJoinWorld().vs("a/a", "a.x", joinBoth)
	w.a.LoadBalancers[0].Listeners[0].Rules = nil
	if h := joinHost(t, w.join(), "a.x", "public"); h.State != StateUnknown {
		t.Errorf("with a listener whose rules are unread: %s", h.State)
	}
}
