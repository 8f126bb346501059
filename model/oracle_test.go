package model_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// This file judges plans by evaluating concrete requests against raw rules. It
// shares no code with package model on purpose: matching, weights and ownership
// are written here a second time, from ELBv2's and Istio's documentation.

// oracleRequest is one request as a load balancer sees it.
type oracleRequest struct {
	host, path, method string
	agent              string
}

// oracleRule is a listener rule as the API gives it.
type oracleRule struct {
	arn        string
	priority   int // 0 for the default rule
	conditions string
	actions    string
}

type oracleCondition struct {
	field  string
	values []*regexp.Regexp
}

type oracleCompiled struct {
	rule       oracleRule
	conditions []oracleCondition
	outcome    oracleOutcome
}

// oracleOutcome is what a request meets: which rule, what comes before a
// forward, and each target group's share; or the other action alone.
type oracleOutcome struct {
	rule   string
	other  string
	shares map[string]*big.Rat
}

func (o oracleOutcome) String() string {
	var parts []string
	for g, s := range o.shares {
		if s.Sign() > 0 {
			parts = append(parts, g+"="+s.RatString())
		}
	}
	sort.Strings(parts)
	return o.other + " " + strings.Join(parts, " ")
}

func oracleGlob(pattern string, fold bool) *regexp.Regexp {
	var b strings.Builder
	if fold {
		b.WriteString("(?i)")
	}
	b.WriteString("^")
	for _, r := range pattern {
		switch r {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

type oracleConfig struct {
	Values         []string
	RegexValues    []string
	HTTPHeaderName string `json:"HttpHeaderName"`
}

func oracleCompile(r oracleRule) oracleCompiled {
	c := oracleCompiled{rule: r, outcome: oracleActions(r)}
	if r.priority == 0 {
		return c
	}
	var raw []struct {
		Field                   string
		Values                  []string
		HostHeaderConfig        *oracleConfig
		PathPatternConfig       *oracleConfig
		HTTPRequestMethodConfig *oracleConfig `json:"HttpRequestMethodConfig"`
		HTTPHeaderConfig        *oracleConfig `json:"HttpHeaderConfig"`
	}
	if err := json.Unmarshal([]byte(r.conditions), &raw); err != nil {
		panic(err)
	}
	for _, q := range raw {
		cond := oracleCondition{field: q.Field}
		for _, cfg := range []*oracleConfig{q.HostHeaderConfig, q.PathPatternConfig, q.HTTPRequestMethodConfig, q.HTTPHeaderConfig} {
			if cfg == nil {
				continue
			}
			for _, v := range cfg.Values {
				cond.values = append(cond.values, oracleGlob(v, q.Field == "host-header" || q.Field == "http-header"))
			}
			for _, v := range cfg.RegexValues {
				cond.values = append(cond.values, regexp.MustCompile(v))
			}
		}
		for _, v := range q.Values {
			cond.values = append(cond.values, oracleGlob(v, q.Field == "host-header"))
		}
		c.conditions = append(c.conditions, cond)
	}
	return c
}

func (c oracleCompiled) matches(q oracleRequest) bool {
	for _, cond := range c.conditions {
		subject := map[string]string{
			"host-header": q.host, "path-pattern": q.path, "http-request-method": q.method, "http-header": q.agent,
		}[cond.field]
		if !slices.ContainsFunc(cond.values, func(v *regexp.Regexp) bool { return v.MatchString(subject) }) {
			return false
		}
	}
	return true
}

// oracleActions says what a rule does: shares add up to one.
func oracleActions(r oracleRule) oracleOutcome {
	var raw []map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.actions), &raw); err != nil {
		panic(fmt.Sprintf("%s: %v", r.actions, err))
	}
	out := oracleOutcome{rule: r.arn}
	for _, a := range raw {
		var kind string
		_ = json.Unmarshal(a["Type"], &kind)
		if kind != "forward" {
			out.other += oracleOther(a)
			continue
		}
		weights, sticky := oracleWeights(a)
		if sticky != "" {
			out.other += "sticky " + sticky
		}
		sum := int64(0)
		for _, w := range weights {
			sum += w
		}
		out.shares = map[string]*big.Rat{}
		for g, w := range weights {
			switch {
			case len(weights) == 1:
				out.shares[g] = big.NewRat(1, 1)
			case sum > 0:
				out.shares[g] = big.NewRat(w, sum)
			}
		}
	}
	return out
}

// oracleOther is any other action; what only a write carries does not count.
func oracleOther(a map[string]json.RawMessage) string {
	m := map[string]any{}
	for k, v := range a {
		if k == "Order" {
			continue
		}
		var x any
		_ = json.Unmarshal(v, &x)
		if c, ok := x.(map[string]any); ok {
			delete(c, "UseExistingClientSecret")
		}
		m[k] = x
	}
	b, _ := json.Marshal(m)
	return string(b)
}

func oracleWeights(a map[string]json.RawMessage) (weights map[string]int64, sticky string) {
	weights = map[string]int64{}
	var scalar string
	_ = json.Unmarshal(a["TargetGroupArn"], &scalar)
	var cfg struct {
		TargetGroups []struct {
			TargetGroupArn string
			Weight         *int64
		}
		TargetGroupStickinessConfig *struct {
			Enabled         bool
			DurationSeconds int
		}
	}
	if a["ForwardConfig"] != nil {
		_ = json.Unmarshal(a["ForwardConfig"], &cfg)
	}
	for _, g := range cfg.TargetGroups {
		w := int64(1)
		if g.Weight != nil {
			w = *g.Weight
		}
		weights[g.TargetGroupArn] = w
	}
	if len(weights) == 0 && scalar != "" {
		weights[scalar] = 1
	}
	if s := cfg.TargetGroupStickinessConfig; s != nil && s.Enabled {
		sticky = fmt.Sprint(s.DurationSeconds)
	}
	return weights, sticky
}

// oracleListener evaluates requests against rules.
type oracleListener []oracleCompiled

func newOracleListener(rules []oracleRule) oracleListener {
	rules = slices.Clone(rules)
	sort.Slice(rules, func(i, j int) bool {
		a, b := rules[i].priority, rules[j].priority
		return a != 0 && (b == 0 || a < b)
	})
	var l oracleListener
	for _, r := range rules {
		l = append(l, oracleCompile(r))
	}
	return l
}

func (l oracleListener) send(q oracleRequest) oracleOutcome {
	for _, c := range l {
		if c.matches(q) {
			return c.outcome
		}
	}
	return oracleOutcome{}
}

// oracleOwner returns the most specific published host that a name belongs to.
func oracleOwner(published []string, name string) string {
	best := ""
	for _, p := range published {
		if p == name {
			return p
		}
		if strings.HasPrefix(p, "*") && strings.HasSuffix(name, p[1:]) && len(name) >= len(p) && len(p) > len(best) {
			best = p
		}
	}
	return best
}

// oracleMoved is the outcome with the share of every group in exchange given
// to the group that it names.
func oracleMoved(o oracleOutcome, exchange func(group string) string) oracleOutcome {
	if o.shares == nil {
		return o
	}
	out := oracleOutcome{rule: o.rule, other: o.other, shares: map[string]*big.Rat{}}
	for g, s := range o.shares {
		if to := exchange(g); to != "" {
			g = to
		}
		sum := out.shares[g]
		if sum == nil {
			sum = new(big.Rat)
		}
		out.shares[g] = new(big.Rat).Add(sum, s)
	}
	return out
}
