package gateway

import "strings"

// hostMap finds the value for a name among exact names, wildcards of the form
// "*.rest", and "*", the most specific first, as Envoy does for both server
// names and virtual hosts. Names are compared without regard to case.
type hostMap[T any] struct {
	exact    map[string]T
	wildcard map[string]T
	rest     *T
}

func newHostMap[T any]() *hostMap[T] {
	return &hostMap[T]{exact: map[string]T{}, wildcard: map[string]T{}}
}

// get returns what was put under exactly this pattern.
func (m *hostMap[T]) get(pattern string) (T, bool) {
	pattern = strings.ToLower(pattern)
	if pattern == "*" {
		if m.rest == nil {
			var none T
			return none, false
		}
		return *m.rest, true
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		value, found := m.wildcard[suffix]
		return value, found
	}
	value, found := m.exact[pattern]
	return value, found
}

func (m *hostMap[T]) put(pattern string, value T) {
	pattern = strings.ToLower(pattern)
	if pattern == "*" {
		m.rest = &value
		return
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		m.wildcard[suffix] = value
		return
	}
	m.exact[pattern] = value
}

// match returns the value of the most specific pattern that covers name. The
// empty name, which stands for a handshake without SNI, is covered by "*" only.
func (m *hostMap[T]) match(name string) (T, bool) {
	name = strings.ToLower(name)
	if value, ok := m.exact[name]; ok {
		return value, true
	}
	for suffix := name; ; {
		dot := strings.IndexByte(suffix, '.')
		if dot < 0 {
			break
		}
		if value, ok := m.wildcard[suffix[dot:]]; ok {
			return value, true
		}
		suffix = suffix[dot+1:]
	}
	if m.rest != nil {
		return *m.rest, true
	}
	var none T
	return none, false
}

// covers tells whether every name that narrow stands for is also one of wide.
func covers(wide, narrow string) bool {
	wide, narrow = strings.ToLower(wide), strings.ToLower(narrow)
	if wide == "*" || wide == narrow {
		return true
	}
	suffix, ok := strings.CutPrefix(wide, "*")
	return ok && strings.HasSuffix(narrow, suffix) && len(narrow) > len(suffix)
}

// common returns the narrower of two host patterns when one covers the other.
func common(a, b string) (string, bool) {
	switch {
	case covers(a, b):
		return b, true
	case covers(b, a):
		return a, true
	}
	return "", false
}
