package awssim

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// registerPorts registers one instance once for the port of each backend.
func (w *world) registerPorts(group string, backends ...*backend) {
	w.t.Helper()
	in := &elb.RegisterTargetsInput{TargetGroupArn: new(group)}
	for _, b := range backends {
		in.Targets = append(in.Targets, types.TargetDescription{Id: new("i-1"), Port: new(int32(b.port))})
	}
	call(w, w.client.RegisterTargets, in)
}

func (w *world) attribute(group, key, value string) {
	w.t.Helper()
	call(w, w.client.ModifyTargetGroupAttributes, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: new(group), Attributes: []types.TargetGroupAttribute{{Key: new(key), Value: new(value)}},
	})
}

// states gives the state of every target of a group.
func (w *world) states(group string) []types.TargetHealthStateEnum {
	w.t.Helper()
	var states []types.TargetHealthStateEnum
	out := call(w, w.client.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: new(group)})
	for _, d := range out.TargetHealthDescriptions {
		states = append(states, d.TargetHealth.State)
	}
	return states
}

func (w *world) allHealthy(group string, n int) {
	w.t.Helper()
	eventually(w.t, "all targets are healthy", func() bool {
		return slices.Equal(w.states(group), slices.Repeat([]types.TargetHealthStateEnum{types.TargetHealthStateEnumHealthy}, n))
	})
}

func (w *world) deregister(group string) {
	w.t.Helper()
	call(w, w.client.DeregisterTargets, &elb.DeregisterTargetsInput{TargetGroupArn: new(group), Targets: []types.TargetDescription{{Id: new("i-1")}}})
}

// A request under way goes on while its target drains; when the delay is over
// its client is told that it failed.
func TestRequestToADrainingTarget(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, delay string
		release     bool
		want        int
	}{
		{"that is answered in time", "300", true, http.StatusOK},
		{"that is not", "1", false, http.StatusBadGateway},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			h := newHolding(t)
			group := h.group(w, "old")
			w.attribute(group, attrDelay, tc.delay)
			l := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, forwardTo(group))
			answer := askHeld(t, h, l)
			w.deregister(group)
			if state, reason := w.health(group); tc.release && (state != types.TargetHealthStateEnumDraining || reason != types.TargetHealthReasonEnumDeregistrationInProgress) {
				t.Errorf("state %s, reason %s", state, reason)
			}
			if got := get(t, newHTTPClient(t, false), l, "app.example", "/"); got.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a new request: %d", got.StatusCode)
			}
			if tc.release {
				close(h.release)
			}
			if got := <-answer; got.StatusCode != tc.want {
				t.Errorf("the request under way: %d %s", got.StatusCode, got.body)
			}
			if !tc.release {
				if states := w.states(group); len(states) != 0 {
					t.Errorf("after the delay: %v", states)
				}
			}
		})
	}
}

// Flows outlive the deregistration of their target unless its group says otherwise.
func TestFlowToADrainedTarget(t *testing.T) {
	t.Parallel()
	for _, termination := range []string{"false", "true"} {
		t.Run("termination "+termination, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			group := w.serving("old", types.ProtocolEnumTcp, newBackend(t, "old", false))
			w.attribute(group, attrDelay, "1")
			w.attribute(group, attrEndDrained, termination)
			l := w.listener(w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork), types.ProtocolEnumTcp, 443, forwardTo(group))
			f := connect(t, l, "")
			f.expect(t, "before", "old")
			w.deregister(group)
			expectReset(t, l)
			if termination == "true" {
				if err := f.ended(t); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the flow ended with %v", err)
				}
				return
			}
			eventually(t, "the target is gone", func() bool { return len(w.states(group)) == 0 })
			f.expect(t, "drained", "old")
		})
	}
}

// The flows to a target that becomes unhealthy are reset, unless all are and
// the group fails open.
func TestFlowToAnUnhealthyTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := newBackend(t, "one", false), newBackend(t, "two", false)
	group := w.group("old", types.ProtocolEnumTcp, one.port, func(in *elb.CreateTargetGroupInput) {
		in.HealthCheckProtocol, in.HealthCheckPath = types.ProtocolEnumHttp, new("/healthz")
	})
	w.registerPorts(group, one, two)
	l := w.listener(w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork), types.ProtocolEnumTcp, 443, forwardTo(group))
	w.allHealthy(group, 2)
	flows := map[string]*flow{}
	for len(flows) < 2 {
		f := connect(t, l, "")
		name, err := f.ask()
		if err != nil {
			t.Fatal(err)
		}
		flows[name] = f
	}
	one.status.Store(http.StatusServiceUnavailable)
	if err := flows["one"].ended(t); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the flow to the unhealthy target ended with %v", err)
	}
	connect(t, l, "").expect(t, "a new connection", "two")
	two.status.Store(http.StatusServiceUnavailable)
	eventually(t, "both are unhealthy", func() bool { return !slices.Contains(w.states(group), types.TargetHealthStateEnumHealthy) })
	flows["two"].expect(t, "the flow to the last one", "two")
}

// Where the group gives them time, the flows to a target that has become
// unhealthy go on for that long.
func TestUnhealthyTargetThatDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := newBackend(t, "one", false), newBackend(t, "two", false)
	group := w.group("old", types.ProtocolEnumTcp, one.port, func(in *elb.CreateTargetGroupInput) {
		in.HealthCheckProtocol, in.HealthCheckPath = types.ProtocolEnumHttp, new("/healthz")
	})
	w.registerPorts(group, one, two)
	w.attribute(group, attrEndUnhealthy, "false")
	w.attribute(group, attrUnhealthyInterval, "3")
	l := w.listener(w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork), types.ProtocolEnumTcp, 443, forwardTo(group))
	w.allHealthy(group, 2)
	var f *flow
	for name := ""; name != "one"; {
		f = connect(t, l, "")
		var err error
		if name, err = f.ask(); err != nil {
			t.Fatal(err)
		}
	}
	one.status.Store(http.StatusServiceUnavailable)
	eventually(t, "the target drains", func() bool { return slices.Contains(w.states(group), types.TargetHealthStateEnumUnhealthyDraining) })
	f.expect(t, "the flow meanwhile", "one")
	connect(t, l, "").expect(t, "a new connection", "two")
	if err := f.ended(t); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the flow ended with %v", err)
	}
	if states := w.states(group); !slices.Contains(states, types.TargetHealthStateEnumUnhealthy) {
		t.Errorf("then: %v", states)
	}
}

// With too few healthy targets all get traffic.
func TestFailsOpenBelowTheMinimum(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := newBackend(t, "one", false), newBackend(t, "two", false)
	group := w.group("old", types.ProtocolEnumHttp, one.port, func(in *elb.CreateTargetGroupInput) { in.HealthCheckPath = new("/healthz") })
	w.registerPorts(group, one, two)
	l := w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, forwardTo(group))
	w.allHealthy(group, 2)
	one.status.Store(http.StatusServiceUnavailable)
	eventually(t, "one is unhealthy", func() bool { return slices.Contains(w.states(group), types.TargetHealthStateEnumUnhealthy) })
	client := newHTTPClient(t, false)
	seen := func() map[string]bool {
		names := map[string]bool{}
		for range 8 {
			names[get(t, client, l, "app.example", "/").Header.Get("X-Backend")] = true
		}
		return names
	}
	if names := seen(); len(names) != 1 || !names["two"] {
		t.Errorf("with one of two healthy: %v", names)
	}
	w.attribute(group, attrLeastCount, "2")
	if names := seen(); len(names) != 2 {
		t.Errorf("with one healthy where two are wanted: %v", names)
	}
	w.attribute(group, attrLeastCount, "1")
	w.attribute(group, attrLeastPercent, "51")
	if names := seen(); len(names) != 2 {
		t.Errorf("with half healthy where more are wanted: %v", names)
	}
}

// A target that takes its time fails its checks for that reason on an ALB; an
// NLB has one reason for everything.
func TestReasonOfASlowTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // It accepts and says nothing.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	check := func(in *elb.CreateTargetGroupInput) {
		in.HealthCheckProtocol, in.HealthCheckTimeoutSeconds = types.ProtocolEnumHttp, new(int32(1))
	}
	port := silent.Addr().(*net.TCPAddr).Port
	for _, tc := range []struct {
		kind     types.LoadBalancerTypeEnum
		protocol types.ProtocolEnum
		want     types.TargetHealthReasonEnum
	}{
		{types.LoadBalancerTypeEnumApplication, types.ProtocolEnumHttp, types.TargetHealthReasonEnumTimeout},
		{types.LoadBalancerTypeEnumNetwork, types.ProtocolEnumTcp, types.TargetHealthReasonEnumFailedHealthChecks},
	} {
		group := w.group(string(tc.kind), tc.protocol, port, check)
		w.register(group, "i-1")
		w.listener(w.loadBalancer(string(tc.kind), tc.kind), tc.protocol, 80, forwardTo(group))
		eventually(t, string(tc.kind)+": unhealthy for that reason", func() bool {
			state, reason := w.health(group)
			return state == types.TargetHealthStateEnumUnhealthy && reason == tc.want
		})
	}
}

// Zones share the connections of an NLB equally, whatever targets they have,
// unless they are balanced across; what is in none of its zones gets nothing.
func TestZonesOfAnNLB(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	backends := map[string]*backend{}
	group := w.group("old", types.ProtocolEnumTcp, 80, func(in *elb.CreateTargetGroupInput) { in.TargetType = types.TargetTypeEnumIp })
	in := &elb.RegisterTargetsInput{TargetGroupArn: new(group)}
	for name, zone := range map[string]string{"a1": "us-east-1a", "a2": "us-east-1a", "a3": "us-east-1a", "b1": "us-east-1b", "c1": "us-east-1c"} {
		backends[name] = newBackend(t, name, false)
		in.Targets = append(in.Targets, types.TargetDescription{
			Id: new("127.0.0.1"), Port: new(int32(backends[name].port)), AvailabilityZone: new(zone),
		})
	}
	call(w, w.client.RegisterTargets, in)
	l := w.listener(w.loadBalancer("passthrough", types.LoadBalancerTypeEnumNetwork), types.ProtocolEnumTcp, 443, forwardTo(group))
	eventually(t, "four are healthy, one is in no zone of the load balancer", func() bool {
		states := w.states(group)
		slices.Sort(states)
		return slices.Equal(states, []types.TargetHealthStateEnum{"healthy", "healthy", "healthy", "healthy", "unused"})
	})
	seen := func(connections int) map[string]int {
		names := map[string]int{}
		for range connections {
			name, err := connect(t, l, "").ask()
			if err != nil {
				t.Fatal(err)
			}
			names[name]++
		}
		return names
	}
	if names := seen(24); names["b1"] != 12 || names["a1"] != 4 || names["c1"] != 0 {
		t.Errorf("zone by zone: %v", names)
	}
	w.attribute(group, attrCrossZone, "true")
	if names := seen(24); names["b1"] != 6 || names["a1"] != 6 || names["c1"] != 0 {
		t.Errorf("across zones: %v", names)
	}
}

// An instance is in the zone of its subnet.
func TestInstanceOutsideTheZones(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := Network{VPCs: []ec2types.Vpc{{VpcId: new(defaultVPC)}}}
	for id, zone := range map[string]string{"a": "us-east-1a", "b": "us-east-1b", "c": "us-east-1c"} {
		n.Subnets = append(n.Subnets, ec2types.Subnet{SubnetId: new("subnet-" + id), VpcId: new(defaultVPC), AvailabilityZone: new(zone)})
		n.Instances = append(n.Instances, ec2types.Instance{InstanceId: new("i-" + id), SubnetId: new("subnet-" + id), PrivateIpAddress: new("127.0.0.1")})
	}
	if err := w.sim.Add(n); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t, "old", false)
	group := w.group("old", types.ProtocolEnumHttp, b.port, func(in *elb.CreateTargetGroupInput) { in.HealthCheckPath = new("/healthz") })
	w.register(group, "i-c")
	w.listener(w.loadBalancer("public", types.LoadBalancerTypeEnumApplication), types.ProtocolEnumHttp, 80, forwardTo(group))
	if state, reason := w.health(group); state != types.TargetHealthStateEnumUnused || reason != types.TargetHealthReasonEnumNotInUse {
		t.Errorf("in a zone without the load balancer: %s %s", state, reason)
	}
	w.register(group, "i-a")
	eventually(t, "the instance in a zone of the load balancer is healthy", func() bool {
		return slices.Contains(w.states(group), types.TargetHealthStateEnumHealthy)
	})
}
