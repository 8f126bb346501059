package model

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func selectWorld() *joinWorld {
	return newJoinWorld().
		vs("a/a", "app.x *.wild.x both.x", joinBoth).
		vs("b/b", "both.x sso.x", joinPass).
		rule(10, joinHosts(false, "app.x"), joinForward("pub-old:1")).
		rule(20, joinHosts(false, "*.wild.x", "foreign.x"), joinForward("pub-old:1"))
}

func TestSelect(t *testing.T) {
	s := selectWorld().join()
	for _, c := range []struct {
		name string
		sel  Selection
		want string
	}{
		{"a host in any case", Selection{Hosts: []string{"APP.x"}}, "app.x (public)"},
		{"a host in all its lanes", Selection{Hosts: []string{"both.x"}}, "both.x (passthrough), both.x (public)"},
		{"a host in one lane", Selection{Hosts: []string{"both.x"}, Lane: "public"}, "both.x (public)"},
		{"the published wildcard, twice", Selection{Hosts: []string{"*.wild.x", "*.wild.x"}}, "*.wild.x (public)"},
		{"a lane", Selection{Lane: "passthrough"}, "both.x (passthrough), sso.x (passthrough)"},
		{"all on a load balancer by name", Selection{All: true, LoadBalancer: "prod-nlb"}, "both.x (passthrough), sso.x (passthrough)"},
		{"all on a listener", Selection{All: true, Listener: "alb/443"}, "*.wild.x (public), app.x (public), both.x (public)"},
		{"a rule", Selection{Rule: "alb/443/20"}, "*.wild.x (public)"},
		{"the default rule", Selection{Rule: "alb/443/d"}, "both.x (public)"},
		{"a network load balancer's listener as a rule", Selection{Rule: "nlb/443"}, "both.x (passthrough), sso.x (passthrough)"},
	} {
		i, err := s.Select(c.sel, New)
		var got []string
		for _, h := range i.Hosts {
			got = append(got, h.String())
		}
		if err != nil || strings.Join(got, ", ") != c.want || i.To != New || i.Rule != c.sel.Rule {
			t.Errorf("%s: %v %v, want %s", c.name, got, err, c.want)
		}
	}
	if i, err := s.Select(Selection{All: true, LoadBalancer: "prod-alb"}, Old); err != nil || i.LoadBalancer != "alb" {
		t.Errorf("a load balancer's name is not resolved: %+v %v", i, err)
	}
}

func TestSelectRefuses(t *testing.T) {
	s := selectWorld().join()
	for _, c := range []struct {
		name   string
		sel    Selection
		remedy string
	}{
		{"nothing", Selection{}, "--host"},
		{"only narrowed", Selection{LoadBalancer: "prod-alb"}, "--all"},
		{"an unknown host", Selection{Hosts: []string{"ap.x"}}, "the nearest: app.x"},
		{"a name that a wildcard takes", Selection{Hosts: []string{"q.wild.x"}}, "the nearest: *.wild.x"},
		{"a host of another lane", Selection{Hosts: []string{"app.x"}, Lane: "passthrough"}, "sso.x"},
		{"an unknown lane", Selection{Lane: "pubic"}, "the nearest: public"},
		{"an unknown load balancer", Selection{All: true, LoadBalancer: "prod-alp"}, "prod-alb"},
		{"an unknown listener", Selection{All: true, Listener: "alb/444"}, "alb/443"},
		{"a listener elsewhere", Selection{All: true, LoadBalancer: "prod-nlb", Listener: "alb/443"}, "leave"},
		{"an unknown rule", Selection{Rule: "alb/443/11"}, "alb/443/10"},
		{"a rule and a host", Selection{Rule: "alb/443/10", Hosts: []string{"app.x"}}, "leave"},
		{"all and a host", Selection{All: true, Hosts: []string{"app.x"}}, "leave"},
		{"a host that is not there", Selection{Hosts: []string{"app.x"}, LoadBalancer: "prod-nlb"}, "status"},
	} {
		_, err := s.Select(c.sel, New)
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindUsage || !strings.Contains(e.Remedy, c.remedy) {
			t.Errorf("%s: %#v", c.name, err)
		}
	}
	if _, err := s.Select(Selection{All: true}, Split); KindOf(err) != KindUsage {
		t.Errorf("side split: %v", err)
	}
}

func TestSelectSaysWhatIsUnread(t *testing.T) {
	w := selectWorld()
	w.c.VirtualServices = nil
	w.c.Problems = []Problem{{Source: "kubernetes", Operation: "list virtualservices", Kind: KindAccess, Message: "forbidden", Resource: ResourceVirtualServices}}
	_, err := w.join().Select(Selection{Hosts: []string{"app.x"}}, New)
	if KindOf(err) != KindAccess || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("%v", err)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"ab", "ba", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d", c.a, c.b, got)
		}
	}
	var names []string
	for i := range 5000 {
		names = append(names, fmt.Sprintf("app-%d.bigbang.example", i))
	}
	if got := Nearest("app-77.bigbang.exampl", names, 1); got[0] != "app-77.bigbang.example" {
		t.Errorf("nearest %v", got)
	}
}
