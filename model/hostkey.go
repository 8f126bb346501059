package model

import (
	"cmp"
	"slices"
)

// HostKey identifies a host in a lane. A host published in two lanes has two.
type HostKey struct {
	Host string `json:"host"` // the published name, lower case; "*.rest" for a wildcard
	Lane string `json:"lane"`
}

// String returns "host (lane)".
func (k HostKey) String() string { return k.Host + " (" + k.Lane + ")" }

// Compare orders by host, then by lane.
func (k HostKey) Compare(o HostKey) int {
	return cmp.Or(cmp.Compare(k.Host, o.Host), cmp.Compare(k.Lane, o.Lane))
}

// KeySet returns keys as a set.
func KeySet(keys []HostKey) map[HostKey]bool {
	set := make(map[HostKey]bool, len(keys))
	for _, k := range keys {
		set[k] = true
	}
	return set
}

// sortedKeys sorts keys in place and returns each once.
func sortedKeys(keys []HostKey) []HostKey {
	slices.SortFunc(keys, HostKey.Compare)
	return slices.Compact(keys)
}

// hostNames returns the names of keys, sorted, each once; never nil.
func hostNames(keys []HostKey) []string {
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		names = append(names, k.Host)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
