package sandbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox/gateway"
)

const (
	placeArgument = "SIDE[@NODE]"

	// crashSeen is how long a kubelet takes to see that a container has exited,
	// and the API server to hear of it.
	crashSeen = 2 * time.Second
)

// gatewayFaults are those of the nodes and of the gateways on them.
func gatewayFaults() []fault {
	certificate := func(name, does, handshakes string, kind gateway.FaultKind) fault {
		return fault{name: name, does: does, argument: placeArgument, standard: "new", on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
			at, err := s.place(argument)
			if err != nil {
				return nil, err
			}
			pair, err := anotherCertificate()
			if err != nil {
				return nil, err
			}
			return s.injectGateway(gateway.Fault{Kind: kind, Namespace: at.namespace, Node: at.node, Certificate: pair},
				fmt.Sprintf("%s present a certificate that no Secret holds in handshakes %s server name", at, handshakes))
		}}
	}
	host := func(name, does, now string, kind gateway.FaultKind) fault {
		return fault{name: name, does: does, argument: hostArgument, standard: firstHost, on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
			a, err := s.published(argument)
			switch {
			case err != nil:
				return nil, err
			case kind == gateway.Backend503 && a.passthrough():
				return nil, errArgument(fmt.Sprintf("TLS of %s ends in its application, no gateway sees its answers", a.fullHost()))
			}
			return s.injectGateway(gateway.Fault{Kind: kind, Namespace: publicLane().new.namespace, Host: a.fullHost()},
				fmt.Sprintf("requests for %s on the new side %s", a.fullHost(), now))
		}}
	}
	return []fault{
		{
			name: "gateway-down", does: "a gateway pod has crashed; the API says so 2s later, or DURATION",
			argument: placeArgument + "[:DURATION]", standard: "new@1",
			on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) { return s.gatewayDown(argument) },
		},
		certificate("gateway-cert-sni", "a gateway presents a wrong certificate to who names a server, as clients do", "with a", gateway.CertificateWithSNI),
		certificate("gateway-cert-nosni", "a gateway presents a wrong certificate to who names no server, as an ALB does", "without a", gateway.CertificateWithoutSNI),
		{
			name: "nodeport-filtered", does: "a security group drops what is for the NodePorts", argument: placeArgument, standard: "new",
			on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
				at, err := s.place(argument)
				if err != nil {
					return nil, err
				}
				return s.injectGateway(gateway.Fault{Kind: gateway.Filtered, Namespace: at.namespace, Node: at.node},
					fmt.Sprintf("packets to the NodePorts of %s are dropped", at))
			},
		},
		{
			name: "host-slow", does: "the new side is slow for one host", argument: "HOST[:DURATION]", standard: firstHost + ":3s",
			on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
				name, late, _ := strings.Cut(argument, ":")
				a, err := s.published(name)
				if err != nil {
					return nil, err
				}
				delay, err := parseDelay(cmp.Or(late, "3s"))
				if err != nil {
					return nil, err
				}
				return s.injectGateway(gateway.Fault{Kind: gateway.Slow, Namespace: publicLane().new.namespace, Host: a.fullHost(), Delay: delay},
					fmt.Sprintf("requests for %s on the new side take %s longer", a.fullHost(), delay))
			},
		},
		host("host-503", "the new side's gateways have no healthy backend for one host",
			"find no healthy backend: 503 by the gateway, a reset where TLS ends in the application", gateway.NoHealthyUpstream),
		host("host-backend-503", "one host's backend answers 503 on the new side", "are answered 503 as by the backend", gateway.Backend503),
	}
}

func (s *Sandbox) injectGateway(f gateway.Fault, now string) (*lasting, error) {
	heal, err := s.mesh.Inject(f)
	if err != nil {
		return nil, err
	}
	return &lasting{now: now, off: func(context.Context) (string, error) { return "", heal() }}, nil
}

// place is a side of both lanes, on one node or on all.
type place struct{ side, namespace, node string }

func (p place) String() string {
	if p.node == "" {
		return fmt.Sprintf("the %s side's gateways", p.side)
	}
	return fmt.Sprintf("the %s side's gateways on %s", p.side, p.node)
}

func (s *Sandbox) place(argument string) (place, error) {
	side, name, one := strings.Cut(argument, "@")
	p := place{side: side}
	switch l := publicLane(); side {
	case "old":
		p.namespace = l.old.namespace
	case "new":
		p.namespace = l.new.namespace
	default:
		return place{}, errArgument(fmt.Sprintf("%q is no side", side))
	}
	if !one {
		return p, nil
	}
	nodes := s.net.nodes()
	i := slices.IndexFunc(nodes, func(n node) bool { return name == n.name || name == n.address.String() })
	if number, err := strconv.Atoi(name); err == nil {
		i = number - 1
	}
	if i < 0 || i >= len(nodes) {
		return place{}, errArgument(fmt.Sprintf("%q is no node", name))
	}
	p.node = nodes[i].name
	return p, nil
}

// published finds the application of a host.
func (s *Sandbox) published(host string) (app, error) {
	a, ok := s.apps.byHost[strings.ToLower(host)]
	if !ok {
		return app{}, errArgument(fmt.Sprintf("no application is published as %q", host))
	}
	return a, nil
}

// anotherCertificate is for the same names as that of the Secrets, but neither
// it nor who signed it is known to anybody.
func anotherCertificate() (tls.Certificate, error) {
	now := time.Now()
	ca, err := newAuthority("Somebody else", now)
	if err != nil {
		return tls.Certificate{}, err
	}
	return ca.issue(now.AddDate(0, 2, 0), nil, publicNames()...)
}

// gatewayDown has gateway pods crash and, once that has been seen, not be ready.
func (s *Sandbox) gatewayDown(argument string) (*lasting, error) {
	where, after, timed := strings.Cut(argument, ":")
	at, err := s.place(where)
	if err != nil {
		return nil, err
	}
	wait := crashSeen
	if timed {
		if wait, err = parseDelay(after); err != nil {
			return nil, err
		}
	}
	heal, err := s.mesh.Inject(gateway.Fault{Kind: gateway.Down, Namespace: at.namespace, Node: at.node})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	seen := make(chan struct{})
	note := ""
	s.group.Go(func() {
		defer close(seen)
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
			if err := s.editPods(at, crashed); err != nil {
				note = "the pods did not get not ready: " + err.Error()
			}
		}
	})
	return &lasting{
		now: fmt.Sprintf("%s have crashed; the API says so %s after that", at, wait),
		off: func(context.Context) (string, error) {
			stop()
			<-seen
			if err := heal(); err != nil {
				return "", err
			}
			return note, s.editPods(at, recovered)
		},
	}, nil
}
