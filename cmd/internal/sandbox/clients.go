package sandbox

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox/load"
)

// MaxLoad bounds the requests per second of Load.
const MaxLoad = load.MaxRPS

// Load puts the world's clients to work on all of its hosts, as [load.Start] says.
func (s *Sandbox) Load(ctx context.Context, rps int) (*load.Generator, error) {
	sites, err := s.sites(ctx)
	if err != nil {
		return nil, err
	}
	return load.Start(ctx, load.Options{RPS: rps, Sites: sites, CAFile: s.CAFile()})
}

// sites are the pages of the world that its load balancers serve: each host's
// first, and what a rule serves by its path. It is what a name server would know.
func (s *Sandbox) sites(ctx context.Context) ([]load.Site, error) {
	addresses, err := s.balancerAddresses(ctx)
	if err != nil {
		return nil, err
	}
	var sites []load.Site
	// A host that no rule names is served by the first load balancer's default.
	balancerOf := map[string]string{}
	for _, b := range s.world.balancers {
		for _, r := range b.rules {
			for _, host := range r.hosts {
				balancerOf[host] = b.name
				if r.kind == redirect {
					sites = append(sites, load.Site{Host: host, Path: "/", Address: addresses[b.name]})
				}
				for _, path := range r.paths {
					sites = append(sites, load.Site{Host: host, Path: strings.ReplaceAll(path, "*", "load"), Address: addresses[b.name]})
				}
			}
		}
	}
	for _, a := range s.world.apps {
		name := balancerOf[a.fullHost()]
		switch {
		case a.passthrough():
			name = networkBalancer
		case name == "":
			name = s.world.balancers[0].name
		}
		sites = append(sites, load.Site{
			Host: strings.Replace(a.fullHost(), "*", "load", 1), Path: "/", Address: addresses[name], Flow: a.passthrough(),
		})
	}
	return sites, nil
}

// balancerAddresses gives where the load balancers end or pass TLS on, by name.
func (s *Sandbox) balancerAddresses(ctx context.Context) (map[string]netip.AddrPort, error) {
	listed, err := s.AWS.Call(ctx, &elb.DescribeLoadBalancersInput{})
	if err != nil {
		return nil, fmt.Errorf("find the load balancers: %w", err)
	}
	addresses := map[string]netip.AddrPort{}
	for _, lb := range listed.(*elb.DescribeLoadBalancersOutput).LoadBalancers {
		found, err := s.AWS.Call(ctx, &elb.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})
		if err != nil {
			return nil, fmt.Errorf("find the listeners of %s: %w", *lb.LoadBalancerName, err)
		}
		listeners := found.(*elb.DescribeListenersOutput).Listeners
		at := slices.IndexFunc(listeners, func(l types.Listener) bool { return int(*l.Port) == s.tlsPort })
		if at < 0 {
			continue
		}
		if addresses[*lb.LoadBalancerName], err = netip.ParseAddrPort(fmt.Sprintf("%s:%d", *lb.DNSName, *listeners[at].Port)); err != nil {
			return nil, fmt.Errorf("find the address of %s: %w", *lb.LoadBalancerName, err)
		}
	}
	return addresses, nil
}
