package awssim

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// view is what conditions look at in a request.
type view struct {
	request *http.Request
	host    string // lower case, without a port
	path    string // as it was sent
	source  netip.Addr
}

// matcher is one compiled condition; its values are alternatives.
type matcher func(*view) bool

func newView(r *http.Request) *view {
	v := &view{request: r, host: strings.ToLower(hostOf(r.Host)), path: r.URL.EscapedPath()}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		v.source = peer.Addr().Unmap()
	}
	return v
}

// hostOf takes the port off a Host header.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

func compileCondition(c types.RuleCondition) matcher {
	texts := conditionTexts(c)
	regexes := compileRegexes(slices.Concat(c.RegexValues, configRegexes(c)), aws.ToString(c.Field) != fieldPath)
	switch aws.ToString(c.Field) {
	case fieldHost:
		patterns := lowered(texts)
		return func(v *view) bool { return anyMatch(patterns, regexes, v.host) }
	case fieldPath:
		return func(v *view) bool { return anyMatch(texts, regexes, v.path) }
	case fieldHeader:
		return headerMatcher(*c.HttpHeaderConfig.HttpHeaderName, lowered(texts), regexes)
	case fieldMethod:
		return func(v *view) bool { return slices.Contains(texts, v.request.Method) }
	case fieldQuery:
		return queryMatcher(c.QueryStringConfig.Values)
	case fieldSource:
		return sourceMatcher(texts)
	default:
		return func(*view) bool { return false }
	}
}

// headerMatcher looks at every value that a header has.
func headerMatcher(name string, patterns []string, regexes []*regexp.Regexp) matcher {
	return func(v *view) bool {
		values := v.request.Header.Values(name)
		if strings.EqualFold(name, "Host") {
			values = []string{v.request.Host}
		}
		return slices.ContainsFunc(values, func(value string) bool {
			return anyMatch(patterns, regexes, strings.ToLower(value))
		})
	}
}

// queryMatcher compares keys and values without regard to case. A pair without
// a key compares its value with all values.
func queryMatcher(pairs []types.QueryStringKeyValuePair) matcher {
	return func(v *view) bool {
		for part := range strings.SplitSeq(v.request.URL.RawQuery, "&") {
			key, value, _ := strings.Cut(part, "=")
			key, value = unescaped(key), unescaped(value)
			for _, pair := range pairs {
				keyMatches := pair.Key == nil || wildcard(strings.ToLower(*pair.Key), key)
				if keyMatches && part != "" && wildcard(strings.ToLower(aws.ToString(pair.Value)), value) {
					return true
				}
			}
		}
		return false
	}
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		s = plain
	}
	return strings.ToLower(s)
}

func sourceMatcher(texts []string) matcher {
	var prefixes []netip.Prefix
	for _, text := range texts {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			prefixes = append(prefixes, prefix)
		}
	}
	return func(v *view) bool {
		return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(v.source) })
	}
}

func anyMatch(patterns []string, regexes []*regexp.Regexp, s string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return wildcard(p, s) }) ||
		slices.ContainsFunc(regexes, func(r *regexp.Regexp) bool { return r.MatchString(s) })
}

// wildcard matches a whole string against a pattern in which * stands for any
// number of characters and ? for exactly one. It takes time in proportion to
// the product of both lengths at worst.
func wildcard(pattern, s string) bool {
	p, i := 0, 0
	star, from := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// compileRegexes leaves out what Go cannot compile: such a value never matches.
func compileRegexes(texts []string, foldCase bool) []*regexp.Regexp {
	var regexes []*regexp.Regexp
	for _, text := range texts {
		if foldCase {
			text = "(?i)" + text
		}
		if r, err := regexp.Compile(text); err == nil {
			regexes = append(regexes, r)
		}
	}
	return regexes
}

func lowered(texts []string) []string {
	lower := make([]string, len(texts))
	for i, text := range texts {
		lower[i] = strings.ToLower(text)
	}
	return lower
}

// compileTransforms gives a function that rewrites the Host header and the URL
// of a request before it is forwarded. Of the rewrites of one transform the
// first whose expression matches is applied.
func compileTransforms(transforms []types.RuleTransform) func(*http.Request) {
	rewriteHost, rewriteURL := unchanged, unchanged
	for _, t := range transforms {
		if t.Type == types.TransformTypeEnumHostHeaderRewrite && t.HostHeaderRewriteConfig != nil {
			rewriteHost = compileRewrites(t.HostHeaderRewriteConfig.Rewrites)
		}
		if t.Type == types.TransformTypeEnumUrlRewrite && t.UrlRewriteConfig != nil {
			rewriteURL = compileRewrites(t.UrlRewriteConfig.Rewrites)
		}
	}
	return func(r *http.Request) {
		r.Host = rewriteHost(r.Host)
		before := r.URL.RequestURI()
		after := rewriteURL(before)
		if target, err := url.ParseRequestURI(after); err == nil && after != before {
			r.URL.Path, r.URL.RawPath, r.URL.RawQuery = target.Path, target.RawPath, target.RawQuery
		}
	}
}

func unchanged(s string) string { return s }

func compileRewrites(rewrites []types.RewriteConfig) func(string) string {
	type rewrite struct {
		regex   *regexp.Regexp
		replace string
	}
	var compiled []rewrite
	numbered := regexp.MustCompile(`\$(\d)`)
	for _, r := range rewrites {
		if regex, err := regexp.Compile(aws.ToString(r.Regex)); err == nil {
			// $1 stands for a group also when letters follow, unlike in Go.
			compiled = append(compiled, rewrite{regex, numbered.ReplaceAllString(aws.ToString(r.Replace), "$${$1}")})
		}
	}
	return func(s string) string {
		for _, r := range compiled {
			if r.regex.MatchString(s) {
				return r.regex.ReplaceAllString(s, r.replace)
			}
		}
		return s
	}
}
