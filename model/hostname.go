package model

import (
	"slices"
	"strings"
)

// longName is longer than any host name and any host condition may be, so that
// only a * can take a run of that many characters.
const longName = 129

// fresh stands for "any character" in sample names: no name and no condition
// contains it.
const fresh = "\x00"

// MatchHost reports whether a host condition's value matches a host name as a
// load balancer does: * stands for zero or more characters, ? for exactly one.
// Both must be in lower case.
func MatchHost(pattern, name string) bool {
	// What follows the last * must be the name's end. Most patterns are a * and
	// a suffix, so this decides most of them.
	for pattern != "" && pattern[len(pattern)-1] != '*' {
		last := pattern[len(pattern)-1]
		if name == "" || last != '?' && last != name[len(name)-1] {
			return false
		}
		pattern, name = pattern[:len(pattern)-1], name[:len(name)-1]
	}
	if pattern == "*" {
		return true
	}
	p, n := 0, 0
	star, mark := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0: // Let the last * take one more.
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// isPattern reports whether a host condition's value stands for several names.
func isPattern(value string) bool { return strings.ContainsAny(value, "*?") }

// IsWildcard reports whether a published host stands for several names:
// Istio's "*.rest", "*" being all.
func IsWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// Publishes reports whether a published host takes requests for a name: the
// name itself, or for "*.rest" any longer name that ends in ".rest".
func Publishes(host, name string) bool {
	if !IsWildcard(host) {
		return host == name
	}
	return len(name) > len(host)-1 && strings.HasSuffix(name, host[1:])
}

// owners are published hosts, to find out which of them requests belong to.
type owners map[string]bool

// owner returns the most specific published host that takes requests for name,
// "" for none: the name itself, else the longest wildcard.
func (o owners) owner(name string) string {
	if o[name] {
		return name
	}
	w := []byte(name)
	for i := range w {
		w[i] = '*'
		if i+1 < len(w) && w[i+1] == fresh[0] {
			continue // Nobody publishes it.
		}
		if o[string(w[i:])] {
			return string(w[i:])
		}
	}
	return ""
}

// ownsAll reports whether every name that a condition's value matches belongs
// to one published host, and returns it.
func (o owners) ownsAll(value string) (string, bool) {
	if !isPattern(value) {
		host := o.owner(value)
		return host, host != ""
	}
	// The shortest and the longest names decide: a wildcard has to take both.
	host, shortest := o.owner(fill(value, longName)), fill(value, 0)
	if !requestable(shortest) {
		shortest = fill(value, 1)
	}
	if !IsWildcard(host) || o.owner(shortest) != host {
		return "", false
	}
	for other := range o {
		if other != host && len(other) >= len(host) && strings.HasSuffix(other, host[1:]) && len(overlaps(value, other)) > 0 {
			return "", false
		}
	}
	return host, true
}

// requestable reports whether a request can ask for a name: none does for ""
// or for one that begins with a dot, though patterns match them.
func requestable(name string) bool { return name != "" && name[0] != '.' }

// fill returns a name that the pattern matches: each ? one fresh character,
// each * n of them.
func fill(pattern string, n int) string {
	return strings.NewReplacer("?", fresh, "*", strings.Repeat(fresh, n)).Replace(pattern)
}

// overlaps returns names that both a condition's value and a published host
// take, empty when they have none in common. The names stand for all others:
// where a * is in the value there is one with nothing, with one and with very
// many characters in its place.
func overlaps(value, host string) []string {
	if !IsWildcard(host) {
		if MatchHost(value, host) {
			return []string{host}
		}
		return nil
	}
	suffix := host[1:]
	star := strings.LastIndexByte(value, '*')
	tail := value[star+1:]
	for i, j := len(tail)-1, len(suffix)-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
		if tail[i] != '?' && tail[i] != suffix[j] {
			return nil // Their ends contradict each other.
		}
	}
	var names []string
	add := func(name string) {
		if requestable(name) && Publishes(host, name) && MatchHost(value, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, n := range []int{0, 1, longName} {
		run := strings.Repeat(fresh, n)
		head := ""
		if star >= 0 {
			head = fill(value[:star], n) + run
		}
		if len(tail) >= len(suffix) {
			// The value's end decides; the suffix replaces its ? there.
			add(head + fill(tail[:len(tail)-len(suffix)], 0) + suffix)
		} else if star >= 0 {
			// The last * takes the suffix's beginning, or what comes before it does.
			add(head + suffix)
			for i := 1; n < 2 && star > 0 && i < len(suffix); i++ {
				add(strings.TrimSuffix(head, run) + suffix[i:])
			}
		}
		if star < 0 {
			break
		}
	}
	return names
}
