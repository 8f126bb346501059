package model_test

import (
	"encoding/json"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/istio-cutover/cutover/model"
	"pgregory.net/rapid"
)

// lawRequests are sample requests that between them meet every condition that
// worlds are generated with.
func lawRequests() []oracleRequest {
	var out []oracleRequest
	for _, host := range []string{
		"a.x.io", "b.x.io", "c.x.io", "d.y.io", "k.w.x.io", "q.x.io", "aq.x.io", "q.r.x.io", "q.w.x.io", "q.y.io",
		"nobody.x.io", "k.q.io", "k.x.io", "other.example", "x.io", "w.x.io",
	} {
		for _, q := range []oracleRequest{
			{path: "/", method: "GET"},
			{path: "/api/v1", method: "GET"},
			{path: "/api/v1", method: "POST", agent: "a bot"},
			{path: "/", method: "POST"},
			{path: "/", method: "GET", agent: "a bot"},
			{path: "/api/v1", method: "GET", agent: "bot"},
		} {
			q.host = host
			out = append(out, q)
		}
	}
	return out
}

// genIntent selects hosts of the world, a lane, or a rule.
func genIntent(t *rapid.T, w *lawWorld, s *model.Snapshot) (model.Intent, bool) {
	in := model.Intent{To: rapid.SampledFrom([]model.SideName{model.New, model.New, model.Old}).Draw(t, "to")}
	if rapid.IntRange(0, 3).Draw(t, "rule whole") == 0 {
		var rules []model.Rule
		for _, lb := range w.aws.LoadBalancers {
			for _, l := range lb.Listeners {
				rules = append(rules, l.Rules...)
			}
		}
		in.Rule = rapid.SampledFrom(rules).Draw(t, "rule").ARN
		in.Hosts = slices.Clone(s.RuleHosts(in.Rule))
		return in, len(in.Hosts) > 0
	}
	lane := rapid.SampledFrom([]string{"", "", "public", "team", "passthrough"}).Draw(t, "lane")
	for _, h := range s.Hosts {
		if h.Lane == lane || lane == "" && h.Lane != "passthrough" && rapid.Bool().Draw(t, h.String()) {
			in.Hosts = append(in.Hosts, h.HostKey)
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "narrowed") == 0 {
		in.LoadBalancer = lawARN("loadbalancer/app", "alb-a")
	}
	return in, len(in.Hosts) > 0
}

// lawJudge knows what every request should meet before and after a plan.
type lawJudge struct {
	w    *lawWorld
	in   model.Intent
	met  []lawMeeting
	left map[model.HostKey]bool // hosts of which a rule is refused by a gate
}

// lawMeeting is what the request meets on a listener before the plan, and what
// it should meet once the intent is carried out.
type lawMeeting struct {
	listener  string
	request   oracleRequest
	was, want oracleOutcome
	keys      []model.HostKey // of the intent, that it belongs to
}

func newLawJudge(w *lawWorld, s *model.Snapshot, in model.Intent, p model.Plan) *lawJudge {
	j := &lawJudge{w: w, in: in, left: map[model.HostKey]bool{}}
	for _, g := range model.Gates(s, p, nil, lawTime) {
		if g.Verdict == model.Block && (g.ID == model.GateSharedRule || g.ID == model.GateTargetGroup) {
			j.left[g.Host] = true
		}
	}
	for _, lb := range w.aws.LoadBalancers {
		for _, l := range lb.Listeners {
			rules := newOracleListener(w.rules(l))
			for _, q := range lawRequests() {
				m := lawMeeting{listener: l.ARN, request: q, was: rules.send(q)}
				m.want, m.keys = j.expected(l.ARN, q, m.was)
				j.met = append(j.met, m)
			}
		}
	}
	return j
}

func (j *lawJudge) nlb(listener string) bool { return strings.Contains(listener, "listener/net") }

// expected is what a request should meet once the intent is carried out, and
// the hosts of the intent that it belongs to.
func (j *lawJudge) expected(listener string, q oracleRequest, o oracleOutcome) (oracleOutcome, []model.HostKey) {
	var keys []model.HostKey
	narrowed := j.in.LoadBalancer != "" && !strings.HasSuffix(strings.Split(listener, "/")[2], "alb-a")
	out := oracleMoved(o, func(g string) string {
		if narrowed || j.w.sideOf[g] != j.in.To.Opposite() || j.in.Rule != "" && j.in.Rule != o.rule {
			return ""
		}
		here := len(keys)
		if j.in.Rule != "" || j.nlb(listener) { // The whole rule moves.
			for _, k := range j.in.Hosts {
				if k.Lane == j.w.laneOf[g] || j.in.Rule != "" {
					keys = append(keys, k)
				}
			}
		} else if k := (model.HostKey{Host: oracleOwner(j.w.published[j.w.laneOf[g]], q.host), Lane: j.w.laneOf[g]}); slices.Contains(j.in.Hosts, k) {
			keys = append(keys, k)
		}
		if len(keys) == here {
			return ""
		}
		return j.w.pairs[g]
	})
	return out, keys
}

// check judges a world on the way: what any request meets is what it met
// before, or what it should meet after. Plans in place change actions alone, so
// a request still meets the same rule.
func (j *lawJudge) check(t *rapid.T, now *lawWorld, done bool) {
	outcomes := map[string]string{}
	for i, lb := range now.aws.LoadBalancers {
		for k, l := range lb.Listeners {
			for n, r := range l.Rules {
				o := j.w.aws.LoadBalancers[i].Listeners[k].Rules[n]
				if o.ARN != r.ARN || o.Priority != r.Priority || o.Conditions != r.Conditions {
					t.Fatalf("rule %s is another one now: %+v", o.ARN, r)
				}
				outcomes[r.ARN] = oracleActions(oracleRule{arn: r.ARN, actions: string(r.Actions)}).String()
			}
		}
	}
	for _, m := range j.met {
		is, was, want := outcomes[m.was.rule], m.was.String(), m.want.String()
		if is != was && is != want {
			t.Fatalf("%s %+v: met %s, should meet %s, meets %s", m.listener, m.request, was, want, is)
		}
		refused := slices.ContainsFunc(m.keys, func(k model.HostKey) bool { return j.left[k] })
		if done && !refused && is != want {
			t.Fatalf("%s %+v of %v: met %s, should meet %s, still meets %s", m.listener, m.request, m.keys, was, want, is)
		}
	}
}

func mustApply(t *rapid.T, w *lawWorld, c model.Change) {
	t.Helper()
	if err := w.apply(c); err != nil {
		t.Fatalf("apply %s: %v\n%s", c.Label, err, c.After.Actions)
	}
}

func recordsOf(run string, p model.Plan) []model.Record {
	var out []model.Record
	for i, c := range p.Changes {
		out = append(out, model.Record{Seq: uint64(i + 1), Run: run, To: p.Intent.To, WayBack: p.WayBack, Change: c})
	}
	return out
}

// sameRules asks that two worlds have the same rules: same place, conditions
// and order, and actions that do the same.
func sameRules(t *rapid.T, a, b *lawWorld) {
	t.Helper()
	for i, lb := range a.aws.LoadBalancers {
		for k, l := range lb.Listeners {
			for n, r := range l.Rules {
				o := b.aws.LoadBalancers[i].Listeners[k].Rules[n]
				x := oracleActions(oracleRule{r.ARN, r.Priority, string(r.Conditions), string(r.Actions)})
				y := oracleActions(oracleRule{o.ARN, o.Priority, string(o.Conditions), string(o.Actions)})
				if r.ARN != o.ARN || r.Priority != o.Priority || r.Conditions != o.Conditions || x.String() != y.String() {
					t.Fatalf("rule %s is\n%s\nand was\n%s", r.ARN, o.Actions, r.Actions)
				}
				if !model.SameMeaning(model.RuleState{Actions: r.Actions}, model.RuleState{Actions: o.Actions}) {
					t.Fatalf("rule %s does not mean the same:\n%s\n%s", r.ARN, o.Actions, r.Actions)
				}
			}
		}
	}
}

func drawPlan(t *rapid.T) (*lawWorld, *model.Snapshot, model.Plan) {
	w := genWorld(t)
	s := w.join()
	in, ok := genIntent(t, w, s)
	if !ok {
		t.Skip("nothing selected")
	}
	p, err := model.NewPlan(s, in)
	if err != nil {
		t.Fatalf("plan %+v: %v", in, err)
	}
	return w, s, p
}

// TestLawsOfPlans holds laws 1, 2 and 4 of in-place plans over generated worlds.
func TestLawsOfPlans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, s, p := drawPlan(t)
		j := newLawJudge(w, s, p.Intent, p)
		now := w.clone()
		for i, c := range p.Changes {
			mustApply(t, now, c)
			j.check(t, now, i == len(p.Changes)-1)
		}
		if len(p.Changes) == 0 {
			j.check(t, now, true)
		}

		// Law 2: an applied intent has nothing left to do, and goes back whole.
		again, err := model.NewPlan(now.join(), p.Intent)
		if err != nil || len(again.Changes) != 0 {
			t.Fatalf("the plan of the applied intent: %v, %v", again.Changes, err)
		}
		back, err := model.WayBack(now.join(), recordsOf("1", p), nil)
		if err != nil || len(back.Changes) != len(p.Changes) {
			t.Fatalf("way back of %d changes: %d, %v, %v", len(p.Changes), len(back.Changes), back.Warnings, err)
		}
		for _, c := range back.Changes {
			mustApply(t, now, c)
		}
		sameRules(t, w, now)
		if left := model.WayBackOfRun(slices.Concat(recordsOf("1", p), recordsOf("2", back)), ""); len(left) > 0 {
			t.Fatalf("after the way back there is more to take back: %v", left)
		}

		// Law 4: power lost after k changes, with the next one written or not.
		if len(p.Changes) == 0 {
			return
		}
		k := rapid.IntRange(0, len(p.Changes)-1).Draw(t, "k")
		cut := w.clone()
		for _, c := range p.Changes[:k] {
			mustApply(t, cut, c)
		}
		wrote := rapid.Bool().Draw(t, "written")
		want := model.SettledNotApplied
		if wrote {
			mustApply(t, cut, p.Changes[k])
			want = model.SettledApplied
		}
		_, r, _ := cut.read(p.Changes[k].Ref())
		if got := model.Settle(p.Changes[k], model.RuleState{Conditions: r.Conditions, Actions: r.Actions}); got != want {
			t.Fatalf("settled as %s, want %s", got, want)
		}
		forward := cut.clone()
		rest, err := model.NewPlan(cut.join(), p.Intent)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range rest.Changes {
			mustApply(t, forward, c)
		}
		j.check(t, forward, true)
		done := recordsOf("1", p)[:k]
		if wrote {
			done = recordsOf("1", p)[:k+1]
		}
		back, err = model.WayBack(nil, done, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range back.Changes {
			mustApply(t, cut, c)
		}
		sameRules(t, w, cut)
	})
}

// TestPlansAreDeterministic holds law 3: however the world was listed.
func TestPlansAreDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, s, p := drawPlan(t)
		o := w.clone()
		rng := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		shuffle(rng, &o.cluster.VirtualServices)
		shuffle(rng, &o.cluster.Gateways)
		shuffle(rng, &o.cluster.Services)
		shuffle(rng, &o.aws.LoadBalancers)
		shuffle(rng, &o.aws.TargetGroups)
		for i := range o.aws.LoadBalancers {
			for k := range o.aws.LoadBalancers[i].Listeners {
				shuffle(rng, &o.aws.LoadBalancers[i].Listeners[k].Rules)
			}
			shuffle(rng, &o.aws.LoadBalancers[i].Listeners)
		}
		s2 := o.join()
		q, err := model.NewPlan(s2, p.Intent)
		if err != nil {
			t.Fatal(err)
		}
		p, _ = p.Judged(model.Gates(s, p, nil, lawTime), nil)
		q, _ = q.Judged(model.Gates(s2, q, nil, lawTime), nil)
		a, _ := json.Marshal(p.Document("us-gov-west-1"))
		b, _ := json.Marshal(q.Document("us-gov-west-1"))
		if string(a) != string(b) {
			t.Fatalf("two plans of one world:\n%s\n%s", a, b)
		}
	})
}

func shuffle[T any](rng *rand.Rand, list *[]T) {
	*list = slices.Clone(*list)
	rng.Shuffle(len(*list), func(i, j int) { (*list)[i], (*list)[j] = (*list)[j], (*list)[i] })
}
