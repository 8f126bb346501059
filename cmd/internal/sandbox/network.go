package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

const (
	// These are below the range from which Linux gives ports to clients. Holding
	// controlPort of a network is what claims it, as the API may go away for a while.
	controlPort = 14567
	apiPort     = 16443
	awsPort     = 14566

	nodeCount = 3

	hostAPIs          = 1
	hostApplications  = 4
	hostFirstNode     = 11
	hostFirstBalancer = 21
	hostLastBalancer  = 99
	hostFirstPod      = 101
)

// network is one 127.a.b.0/24. Linux answers on all of 127.0.0.0/8. Where only
// 127.0.0.1 exists, as on macOS, no network can be claimed and Start says so.
type network struct {
	prefix [3]byte
	// claim is the listener of the control server, whose address nobody else can have.
	claim net.Listener
	// api is the first listener of the Kubernetes API.
	api net.Listener

	mu           sync.Mutex
	nextBalancer byte
}

// claimNetwork finds a network that no other sandbox on this machine has.
func claimNetwork(ctx context.Context) (*network, error) {
	var refused error
	for b := byte(1); b < 255; b++ {
		err := ctx.Err()
		if err != nil {
			return nil, err
		}
		n := &network{prefix: [3]byte{127, 77, b}, nextBalancer: hostFirstBalancer}
		if n.claim, err = n.listen(ctx, hostAPIs, controlPort); err == nil {
			if n.api, err = n.listen(ctx, hostAPIs, apiPort); err == nil {
				return n, nil
			}
			n.claim.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("use a loopback network: %w", err)
		}
		refused = err
	}
	return nil, fmt.Errorf("no loopback network is free for a sandbox: %w", refused)
}

// free gives the network back. Servers may have closed its listeners already.
func (n *network) free() {
	_ = n.claim.Close()
	_ = n.api.Close()
}

func (n *network) address(host byte) netip.Addr {
	return netip.AddrFrom4([4]byte{n.prefix[0], n.prefix[1], n.prefix[2], host})
}

func (n *network) listen(ctx context.Context, host byte, port int) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", netip.AddrPortFrom(n.address(host), uint16(port)).String())
}

// balancerAddress gives the next load balancer's address.
func (n *network) balancerAddress() (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nextBalancer > hostLastBalancer {
		return netip.Addr{}, fmt.Errorf("all %d addresses for load balancers are in use", hostLastBalancer-hostFirstBalancer+1)
	}
	n.nextBalancer++
	return n.address(n.nextBalancer - 1), nil
}

// listenerPorts returns the port to bind for a load balancer's port: 80 and 443
// where this process may bind them, else 8080 and 8443.
func (n *network) listenerPorts(ctx context.Context) func(int) int {
	bind := map[int]int{80: 8080, 443: 8443}
	for port := range bind {
		if l, err := n.listen(ctx, hostAPIs, port); err == nil {
			l.Close()
			bind[port] = port
		}
	}
	return func(port int) int {
		if bound, ok := bind[port]; ok {
			return bound
		}
		return port
	}
}

// node is one of the cluster's machines.
type node struct {
	name, zone, instance string
	address              netip.Addr
}

func (n *network) nodes() []node {
	nodes := make([]node, nodeCount)
	for i := range nodes {
		address := n.address(hostFirstNode + byte(i))
		nodes[i] = node{
			name:     fmt.Sprintf("ip-%d-%d-%d-%d.ec2.internal", n.prefix[0], n.prefix[1], n.prefix[2], hostFirstNode+i),
			zone:     region + string(rune('a'+i)),
			instance: fmt.Sprintf("i-0%016x", 0x5a4db0c0de00000+uint64(n.prefix[2])<<8+uint64(i+1)),
			address:  address,
		}
	}
	return nodes
}
