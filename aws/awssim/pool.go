package awssim

import (
	"net/netip"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// pool is what the data plane knows of a target group.
type pool struct {
	members atomic.Pointer[members]
	next    atomic.Uint64
}

// members is an immutable set of the targets that may get traffic.
type members struct {
	usable  []netip.AddrPort
	proxyV2 bool
}

func newPool(types.TargetGroup) *pool { return &pool{} }

func (p *pool) close() {}
