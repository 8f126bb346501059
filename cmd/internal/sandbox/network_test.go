package sandbox

import (
	"context"
	"fmt"
	"net"
	"testing"
)

// claim takes a network for the time of a test.
func claim(t *testing.T) *network {
	t.Helper()
	n, err := claimNetwork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.free)
	return n
}

func TestNetworksAreDistinct(t *testing.T) {
	a, b := claim(t), claim(t)
	if a.prefix == b.prefix {
		t.Errorf("both have %v", a.prefix)
	}
	for _, n := range a.nodes() {
		if !n.address.IsLoopback() || len(n.instance) != len("i-0123456789abcdef0") {
			t.Errorf("node %+v", n)
		}
	}
}

func TestBalancerAddressesRunOut(t *testing.T) {
	n := claim(t)
	for range hostLastBalancer - hostFirstBalancer + 1 {
		if _, err := n.balancerAddress(); err != nil {
			t.Fatal(err)
		}
	}
	if address, err := n.balancerAddress(); err == nil {
		t.Errorf("one more: %v", address)
	}
}

func TestListenerPorts(t *testing.T) {
	n := claim(t)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", n.address(hostAPIs).String()+":80")
	if err == nil {
		defer taken.Close()
	}
	// Either another program has port 80 or this process may not bind it.
	ports := n.listenerPorts(t.Context())
	if got := ports(80); got != 8080 {
		t.Errorf("port 80 becomes %d, want 8080", got)
	}
	if got := ports(443); got != 443 && got != 8443 {
		t.Errorf("port 443 becomes %d", got)
	}
	if got := ports(9443); got != 9443 {
		t.Errorf("port 9443 becomes %d", got)
	}
}

func TestClaimEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := claimNetwork(ctx); err == nil {
		n.free()
		t.Error("claimed under a context that had ended")
	}
}

// Whoever can claim the network of a sandbox that ends finds all of its
// addresses free.
func TestNetworkIsGivenBackLast(t *testing.T) {
	for range 5 {
		s := start(t, Options{Hosts: 2})
		alb, _ := s.balancer(t, "public-alb")
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		claim, err := s.net.listen(t.Context(), hostAPIs, controlPort)
		for ended := false; err != nil && !ended; {
			select {
			case err := <-closed:
				if ended = true; err != nil {
					t.Error(err)
				}
			default:
			}
			claim, err = s.net.listen(t.Context(), hostAPIs, controlPort)
		}
		if err != nil {
			continue // Another sandbox on this machine was quicker.
		}
		for _, address := range []string{
			alb, fmt.Sprintf("%s:%d", s.net.address(hostAPIs), awsPort), fmt.Sprintf("%s:%d", s.net.address(hostAPIs), apiPort),
			s.net.address(hostFirstNode).String() + ":30443", s.net.address(hostFirstNode+nodeCount-1).String() + ":32444",
		} {
			socket, err := net.Listen("tcp", address)
			if err != nil {
				t.Errorf("the network was given back too early: %v", err)
				continue
			}
			socket.Close()
		}
		claim.Close()
	}
}
