package awssim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// outcome is the result of one health check. A good one has no reason.
type outcome struct {
	reason      types.TargetHealthReasonEnum
	description string
}

// check is one health check of one target.
type check func(context.Context) outcome

// reconcile brings health checks and the data plane in line with the state
// after a write: targets of a group that some rule or listener names are
// checked, others are unused, as are those in zones without the load balancer.
func (s *Sim) reconcile() {
	users := s.users()
	for _, g := range s.groups {
		s.dropDrained(g)
		used, zones := len(users[g.arn()]) > 0, s.zonesOf(users[g.arn()])
		for _, t := range g.targets {
			if t.endpoint == nil {
				t.endpoint = s.newEndpoint(t)
			}
			t.outside = t.endpoint.isOutside(zones)
			switch {
			case t.draining():
				if t.stop == nil {
					s.waitForDrain(g, t)
				}
			case used && t.outside:
				t.stopChecks()
				t.set(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotInUse,
					"Target is in an Availability Zone that is not enabled for the load balancer")
			case !used:
				t.stopChecks()
				t.set(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotInUse,
					"Target group is not configured to receive traffic from the load balancer")
			case t.stop == nil:
				t.good, t.bad = 0, 0
				t.set(types.TargetHealthStateEnumInitial, types.TargetHealthReasonEnumInitialHealthChecking,
					"Initial health checks in progress")
				s.startChecks(g, t)
			}
		}
		g.update()
	}
}

// waitForDrain drops a target once its deregistration delay has passed.
func (s *Sim) waitForDrain(g *targetGroup, t *target) {
	ctx, stop := context.WithCancel(s.ctx)
	t.stop = stop
	delay := t.drainUntil.Sub(s.now())
	s.work.Go(func() {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.dropDrained(g)
		}
	})
}

// startChecks checks a target at once and then at every interval. AWS takes
// its time for the first check and the simulator does not, for a demonstration
// begins with it.
func (s *Sim) startChecks(g *targetGroup, t *target) {
	ctx, stop := context.WithCancel(s.ctx)
	t.stop = stop
	run := g.newCheck(t)
	interval := time.Duration(*g.view.HealthCheckIntervalSeconds) * time.Second
	timeout := time.Duration(*g.view.HealthCheckTimeoutSeconds) * time.Second
	s.work.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			limited, cancel := context.WithTimeout(ctx, timeout)
			result := run(limited)
			cancel()
			s.report(ctx, g, t, result)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
}

// report counts the result of a check. The first good one makes a new target
// healthy, as on AWS; afterwards the thresholds of the group decide.
func (s *Sim) report(ctx context.Context, g *targetGroup, t *target, result outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return // the checks were stopped while this one was under way
	}
	state := t.health.State
	if result.reason == "" {
		t.good, t.bad = t.good+1, 0
		if state == types.TargetHealthStateEnumInitial || t.good >= int(*g.view.HealthyThresholdCount) {
			t.set(types.TargetHealthStateEnumHealthy, "", "")
		}
	} else {
		t.good, t.bad = 0, t.bad+1
		switch {
		case state == types.TargetHealthStateEnumUnhealthyDraining:
		case state == types.TargetHealthStateEnumHealthy && t.bad >= int(*g.view.UnhealthyThresholdCount) && g.unhealthyInterval() > 0:
			t.set(types.TargetHealthStateEnumUnhealthyDraining, result.reason, result.description)
			s.waitForUnhealthy(ctx, g, t)
		case state == types.TargetHealthStateEnumUnhealthy || t.bad >= int(*g.view.UnhealthyThresholdCount):
			t.set(types.TargetHealthStateEnumUnhealthy, result.reason, result.description)
		}
	}
	if t.health.State != state {
		s.log.Debug("a target changed its health", "group", g.arn(), "target", t.id, "state", t.health.State)
		g.update()
		if t.health.State == types.TargetHealthStateEnumUnhealthy && g.endsUnhealthy() {
			t.endpoint.end()
		}
	}
}

// waitForUnhealthy ends the flows to a target that has not recovered within the
// interval that its group gives it. One that recovers and fails again has the
// whole interval once more.
func (s *Sim) waitForUnhealthy(ctx context.Context, g *targetGroup, t *target) {
	interval := g.unhealthyInterval()
	until := s.now().Add(interval)
	t.unhealthyUntil = until
	s.work.Go(func() {
		timer := time.NewTimer(interval)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if ctx.Err() == nil && t.health.State == types.TargetHealthStateEnumUnhealthyDraining && t.unhealthyUntil.Equal(until) {
			t.health.State = types.TargetHealthStateEnumUnhealthy
			t.endpoint.end()
		}
	})
}

// checkPort is the port that health checks of a target go to.
func (g *targetGroup) checkPort(t *target) int32 {
	port, err := strconv.ParseUint(*g.view.HealthCheckPort, 10, 16)
	if err != nil {
		return t.port // traffic-port
	}
	return int32(port)
}

// newCheck makes the check that the settings of the group ask for.
func (g *targetGroup) newCheck(t *target) check {
	address := netip.AddrPortFrom(t.address, uint16(g.checkPort(t))).String()
	var run check
	switch g.view.HealthCheckProtocol {
	case types.ProtocolEnumHttp:
		run = httpCheck("http://"+address+*g.view.HealthCheckPath, aws.ToString(g.view.Matcher.HttpCode))
	case types.ProtocolEnumHttps:
		run = httpCheck("https://"+address+*g.view.HealthCheckPath, aws.ToString(g.view.Matcher.HttpCode))
	default:
		run = tcpCheck(address)
	}
	if g.view.Protocol == types.ProtocolEnumHttp || g.view.Protocol == types.ProtocolEnumHttps {
		return run
	}
	// A network load balancer gives one reason for all failures.
	return func(ctx context.Context) outcome {
		if run(ctx).reason != "" {
			return failedChecks()
		}
		return outcome{}
	}
}

func tcpCheck(address string) check {
	return func(ctx context.Context) outcome {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return failure(err)
		}
		// It was opened, which is all that is asked.
		_ = conn.Close()
		return outcome{}
	}
}

// httpCheck asks for a page over a fresh connection and compares the status.
// The certificate of the target is not verified.
func httpCheck(url, codes string) check {
	ranges, _ := parseMatcher(codes) // valid since the group was created
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: targetTLS()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) outcome {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return failedChecks()
		}
		request.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
		response, err := client.Do(request)
		if err != nil {
			return failure(err)
		}
		// The status has been read; the body is not wanted.
		_ = response.Body.Close()
		for _, r := range ranges {
			if r.from <= response.StatusCode && response.StatusCode <= r.to {
				return outcome{}
			}
		}
		return outcome{
			reason:      types.TargetHealthReasonEnumResponseCodeMismatch,
			description: fmt.Sprintf("Health checks failed with these codes: [%d]", response.StatusCode),
		}
	}
}

func failure(err error) outcome {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return outcome{reason: types.TargetHealthReasonEnumTimeout, description: "Request timed out"}
	}
	return failedChecks()
}

func failedChecks() outcome {
	return outcome{reason: types.TargetHealthReasonEnumFailedHealthChecks, description: "Health checks failed"}
}
