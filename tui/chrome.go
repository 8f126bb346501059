package tui

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"

	"github.com/istio-cutover/cutover/model"
)

// staleAfter is how old the last World may be before the header says so.
const staleAfter = 45 * time.Second

// drawHeader says where we are, and on the right what time it is and whether
// what is shown is live.
func (a *App) drawHeader(g region) {
	right := cutSpans(a.liveness(g.r.w*2/3), g.r.w*2/3)
	n := spansWidth(right)
	left := cutSpans(a.place(), g.r.w-n-3)
	g.text(1, 0, left...)
	g.text(g.r.w-n-1, 0, right...)
}

// place names the cluster and the account.
func (a *App) place() []span {
	out := []span{{"cutover", styleBrand}}
	if a.cfg.ReadOnly {
		out = append(out, span{" read-only", styleWarn})
	}
	s := a.world.Snapshot
	if s == nil {
		return out
	}
	parts := []string{model.Line(s.Cluster.Context)}
	account := s.AWS.Account
	parts = append(parts, accountWords(account), model.Line(account.Region))
	if e := foreignEndpoint(account.Endpoint); e != "" {
		parts = append(parts, e)
	}
	first := true
	for _, p := range parts {
		if p == "" {
			continue
		}
		sep := span{" · ", styleDim}
		if first {
			sep = span{"  ", stylePlain}
		}
		out = append(out, sep, span{p, stylePlain})
		first = false
	}
	return out
}

// accountWords says who we are in AWS: the partition where it is not the usual
// one, the account and the role or user.
func accountWords(a model.Account) string {
	arn := strings.SplitN(a.ARN, ":", 6)
	if len(arn) < 6 {
		return model.Line(a.Account)
	}
	who := strings.Split(arn[5], "/")
	name := who[0]
	switch {
	case who[0] == "assumed-role" && len(who) > 1:
		name = "role/" + who[1]
	case len(who) > 1:
		name = who[0] + "/" + who[len(who)-1]
	}
	words := a.Account + ":" + name
	if arn[1] != "aws" {
		words = arn[1] + " " + words
	}
	return model.Line(words)
}

// foreignEndpoint is an endpoint that is not AWS's own, without its scheme.
func foreignEndpoint(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" {
		return model.Line(endpoint)
	}
	host := u.Hostname()
	for _, own := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".c2s.ic.gov", ".sc2s.sgov.gov"} {
		if strings.HasSuffix(host, own) {
			return ""
		}
	}
	return model.Line(u.Host)
}

// lateAfter is how old what was read from AWS may be and be called live: one
// reading follows the other in five seconds, where there is not very much to read.
const lateAfter = 20 * time.Second

// awsAge is how old what was read from AWS is, 0 when nothing was read.
func (a *App) awsAge() time.Duration {
	if a.world.Snapshot == nil || a.world.Snapshot.AWS.ObservedAt.IsZero() {
		return 0
	}
	return a.now.Sub(a.world.Snapshot.AWS.ObservedAt)
}

// liveness says whether what is shown is live, and else why not and how old
// it is. Of room columns the age is what counts most.
func (a *App) liveness(room int) []span {
	out := []span{{a.now.Format(time.TimeOnly) + " ", styleDim}}
	age := a.now.Sub(a.arrived)
	unread := a.unobserved()
	switch {
	case a.world.Snapshot == nil && len(unread) == 0 && !a.ended:
		return append(out, span{"connecting…", styleInfo})
	case len(unread) > 0:
		p := unread[0]
		for _, q := range unread[1:] {
			if q.Since.Before(p.Since) {
				p = q
			}
		}
		words := troubleWords(p, unread)
		old := " · " + ago(a.now.Sub(p.Since)) + " old"
		words = cut(words, room-spansWidth(out)-width(old))
		return append(out, span{words, styleBad}, span{old, styleWarn})
	case a.ended:
		return append(out, span{"stopped", styleBad}, span{" · " + ago(age) + " old", styleWarn})
	case age > staleAfter:
		return append(out, span{"stale", styleBad}, span{" · " + ago(age) + " old", styleWarn})
	case a.awsAge() > lateAfter:
		// What is tried again for a while is no problem yet, and not live either.
		return append(out, span{"aws: " + ago(a.awsAge()) + " old", styleWarn})
	case len(a.world.Problems) > 0:
		return append(out, span{"live", styleGood}, span{" · " + count(len(a.world.Problems), "problem"), styleWarn})
	default:
		return append(out, span{"live", styleGood})
	}
}

// troubleWords says what cannot be read: of one source what and why, of both
// that it is both.
func troubleWords(oldest model.Problem, unread []model.Problem) string {
	var sources []string
	first := map[string]string{}
	for _, p := range unread {
		if first[p.Source] == "" {
			sources = append(sources, p.Source)
			first[p.Source] = trouble(p)
		}
	}
	if len(sources) > 1 {
		words := make([]string, 0, len(sources))
		for _, s := range sources {
			words = append(words, model.Line(s)+": "+first[s])
		}
		return strings.Join(words, " · ")
	}
	words := problemWords(oldest)
	if n := len(unread) - 1; n > 0 {
		words += fmt.Sprintf(" +%d", n)
	}
	return words
}

// unobserved returns the problems for which something cannot be read, so that
// what is shown of it is old. Others are contradictions in what was read.
func (a *App) unobserved() []model.Problem {
	var out []model.Problem
	for _, p := range a.world.Problems {
		switch p.Kind {
		case model.KindAccess, model.KindUnreachable, model.KindThrottled:
			out = append(out, p)
		default:
			if p.Resource != "" {
				out = append(out, p)
			}
		}
	}
	return out
}

// drawFooter shows the keys that work here and now, and on the right what the
// last key or the run in flight came to.
func (a *App) drawFooter(g region) {
	right := cutSpans(a.answer(), g.r.w*3/5)
	n := spansWidth(right)
	if n > 0 {
		g.text(g.r.w-n-1, 0, right...)
		n += 2
	}
	x := 1
	p := a.panes[a.focus]
	if p.filtering && a.dialog() == nil {
		x = g.text(x, 0, span{"/", styleKey}, span{p.filter, styleField}, span{"▏", styleKey}, span{"  ", stylePlain})
	}
	for _, h := range a.hints() {
		w := width(h.key) + 1 + width(h.does)
		if x+w > g.r.w-n-1 {
			break
		}
		x = g.text(x, 0, span{h.key, styleKey}, span{" " + h.does, styleDim}) + 2
	}
}

// hints are the keys for the footer.
func (a *App) hints() []hint {
	if d := a.dialog(); d != nil {
		return d.hints()
	}
	if a.panes[a.focus].filtering {
		return []hint{{"enter", "keep"}, {"esc", "clear"}, {"↑ ↓", "move"}}
	}
	var out []hint
	for _, b := range a.keys.ShortHelp() {
		if b.Enabled() {
			out = append(out, shortHint(b))
		}
	}
	return out
}

// shortHint is a binding in the footer's few words.
func shortHint(b key.Binding) hint {
	h := b.Help()
	short := map[string]string{
		"t": "toggle", "z": "undo", "Z": "undo all", "tab": "pane", "@": "commands", "p": "probes",
	}
	if strings.HasPrefix(h.Desc, "stop ") {
		h.Desc = "stop"
	} else if s, ok := short[h.Key]; ok {
		h.Desc = s
	}
	return hint{h.Key, h.Desc}
}

// answer is what the footer says on the right.
func (a *App) answer() []span {
	if a.run != nil && a.run.quitting {
		return []span{{"stopping: waiting for the run to settle", styleWarn}}
	}
	if a.run != nil && a.run.stopping {
		return []span{{"stopping the run, the way back follows", styleWarn}}
	}
	if a.status.text != "" {
		return []span{{a.status.text, a.status.style}}
	}
	if r := a.run; r != nil {
		words := fmt.Sprintf("run in flight, %s", ago(a.now.Sub(r.began)))
		if n := len(planHosts(r.plan)); n > 1 {
			words = fmt.Sprintf("run in flight, %d of %d proven, %s", r.proven, n, ago(a.now.Sub(r.began)))
		}
		return []span{{words, styleInfo}}
	}
	return nil
}
