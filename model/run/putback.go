package run

import (
	"slices"

	"github.com/istio-cutover/cutover/model"
)

// moves reports whether the change moves one of the hosts.
func (a applied) moves(hosts map[model.HostKey]bool) bool {
	return slices.ContainsFunc(a.change.Hosts, func(h model.HostKey) bool { return hosts[h] })
}
