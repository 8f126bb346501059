package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

const (
	// countDelay is how long a gateway may take to count what it has answered:
	// Istio counts a connection when it ends, and where it does not end five
	// seconds after it began.
	countDelay = 6 * time.Second
	// countSettle is for how long the other side must stand still where it is
	// known to count at once.
	countSettle = time.Second
)

// counterProof proves one move by what the gateways count.
type counterProof struct {
	*live
	move     run.Move
	entrance entrance
	unit     model.Unit
	services []string
	hosts    []model.HostKey // whose probes are counted with them
	// settle is how long after an answer the other side is looked at for the last
	// time.
	settle time.Duration
	report func(run.Proving) // told while somebody else's proof is waited for
}

// errTurn is what a proof waits for that others keep from counting.
var errTurn = errors.New("waiting for another host's proof by the same service's counters")

// byCounters finds out whether what the gateways count can tell the sides: the
// counters of both must be readable, and the other side be seen to count what
// is sent there, as its standing still is the proof.
func (l *live) byCounters(ctx context.Context, m run.Move, e entrance, report func(run.Proving)) (found *proofMethod, why string, away bool) {
	s := l.snapshot()
	c := &counterProof{
		live: l, move: m, entrance: e, unit: model.UnitRequests, services: s.HostServices(m.Host), settle: countDelay, report: report,
	}
	c.hosts = s.HostsOf(c.services)
	if e.target.Passthrough {
		c.unit = model.UnitConnections
	} else if c.redirected(ctx) {
		c.services, c.hosts = []string{model.Unrouted}, s.LaneHosts(m.Host.Lane)
	}
	if len(c.services) == 0 {
		return nil, "no VirtualService says what its requests are counted for", false
	}
	if why := c.silent.lasting(m.Host.Lane); why != "" {
		return nil, "the counters cannot be read: " + why, false
	}
	release, err := c.quiet(ctx)
	if err != nil {
		return nil, err.Error(), true
	}
	defer release()
	asked := time.Now()
	why, away, err = c.calibrate(ctx)
	switch {
	case err != nil:
		return nil, "the counters cannot be read: " + model.Line(err.Error()), c.passing(ctx, asked, err)
	case why != "":
		return nil, why, away
	}
	return &proofMethod{name: string(c.unit) + " counters", round: c.round}, "", false
}

// passing reports that counters which could not be read are waited for: always
// while the API itself does not answer, and for a while when only a pod does not.
func (c *counterProof) passing(ctx context.Context, asked time.Time, err error) bool {
	kind := model.KindOf(err)
	_, blind := unobserved(c.snapshot())
	switch {
	case kind == model.KindAccess:
		return false
	case ctx.Err() != nil || blind || kind == model.KindThrottled:
		return true
	case kind == model.KindUnreachable || kind == model.KindNotFound:
		lane := c.move.Host.Lane
		c.silent.note(lane, asked, model.Line(err.Error()))
		return c.silent.lasting(lane) == ""
	default:
		return false
	}
}

// redirected reports that the gateway itself answers what comes in so, with a
// redirect to https, which it counts for no service.
func (c *counterProof) redirected(ctx context.Context) bool {
	direct := c.nodePort(c.move.Host, c.move.To, c.entrance)
	if direct == nil || direct.Scheme != "http" {
		return false
	}
	r := c.ask(ctx, *direct, 1)[0].result
	return r.Envoy && !r.Backend && r.Status/100 == 3
}

// calibrate shows that the other side counts: what is sent straight to one of
// its NodePorts, or, where that does not answer, what it has counted before. It
// says why that is not shown, and whether it may be in a moment.
func (c *counterProof) calibrate(ctx context.Context) (why string, away bool, err error) {
	other := c.move.To.Opposite()
	before, err := c.read(ctx)
	if err != nil {
		return "", false, err
	}
	c.silent.over(c.move.Host.Lane)
	direct := c.nodePort(c.move.Host, other, c.entrance)
	if direct == nil || !c.counted(c.ask(ctx, *direct, model.K)) {
		if before[other].Total(c.unit, c.services) > 0 {
			return "", false, nil
		}
		return fmt.Sprintf("%s has counted no %ss for it, and its NodePort does not answer", other, c.unit), false, nil
	}
	for answered := time.Now(); ; {
		asked := time.Now()
		after, err := c.read(ctx)
		if err != nil {
			return "", false, err
		}
		window := model.CounterWindow{Side: other, Before: before[other], After: after[other]}
		switch verdict, alone := model.JudgeCalibration(c.unit, c.services, model.K, window); {
		case verdict == model.CountersTellNothing:
			return fmt.Sprintf("the gateway pods of %s changed meanwhile or have just begun", other), true, nil
		case alone:
			c.settle = max(countSettle, 2*asked.Sub(answered))
			return "", false, nil
		case verdict == model.CountersShow: // Whose it is nobody knows, nor how long ours take.
			return "", false, nil
		}
		if time.Since(answered) > countDelay {
			return fmt.Sprintf("%s does not count the %ss that its NodePort answers", other, c.unit), false, nil
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return "", false, ctx.Err()
		}
	}
}

// counted reports that gateways count every one of the requests.
func (c *counterProof) counted(round []asked) bool {
	return !slices.ContainsFunc(round, func(a asked) bool { return !c.countable(a.result) })
}

// round sends requests and judges what the gateways have counted meanwhile.
func (c *counterProof) round(ctx context.Context, t model.ProbeTarget, n int) ([]asked, error) {
	release, err := c.quiet(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	before, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	round := c.ask(ctx, t, n)
	for _, a := range round {
		if a.result.Error != nil {
			return round, nil // Which says why.
		}
		if !c.countable(a.result) {
			return round, fmt.Errorf("the gateway itself answers %d", a.result.Status)
		}
	}
	for answered := time.Now(); ; {
		if !sleep(ctx, countSettle) {
			return round, ctx.Err()
		}
		looked := time.Now()
		after, err := c.read(ctx)
		if err != nil {
			return round, err
		}
		window := func(side model.SideName) model.CounterWindow {
			return model.CounterWindow{Side: side, Before: before[side], After: after[side]}
		}
		verdict, why := model.JudgeCounters(c.unit, c.services, n, window(c.move.To), window(c.move.To.Opposite()))
		switch {
		case verdict == model.CountersShow && looked.Sub(answered) >= c.settle:
			for i := range round {
				round[i].side = c.move.To
			}
			return round, nil
		case verdict == model.CountersTellNothing:
			return round, errOthers{why}
		case verdict == model.CountersShort && looked.Sub(answered) > countDelay:
			return round, errors.New(why)
		}
	}
}

// countable reports that gateways count the request for one of the services:
// what they answer by themselves without a route they count for none.
func (c *counterProof) countable(r model.ProbeResult) bool {
	own := r.Envoy && !r.Backend
	switch {
	case r.Error != nil:
		return false
	case c.unit == model.UnitConnections:
		return true
	case slices.Contains(c.services, model.Unrouted):
		return own && r.Status/100 == 3
	default:
		return r.Backend || own && r.Status == http.StatusServiceUnavailable
	}
}

// read reads the counters of both sides. Which pods there are must be known, and
// every one be read that could serve a request without anybody seeing it.
func (c *counterProof) read(ctx context.Context) (map[model.SideName]model.Counters, error) {
	s := c.snapshot()
	if p, blind := unobserved(s); blind {
		return nil, &model.Error{Kind: p.Kind, Operation: p.Operation, Message: p.Message}
	}
	lane, _ := s.Lane(c.move.Host.Lane)
	out := map[model.SideName]model.Counters{}
	for _, side := range []model.Side{lane.Old, lane.New} {
		read, err := readSide(ctx, s.GatewayPods(side), side.Name != c.move.To, c.kube.Counters)
		if err != nil {
			return nil, err
		}
		if len(read) == 0 {
			return nil, &model.Error{Kind: model.KindUnreachable, Message: "no ready gateway pod is known on " + string(side.Name)}
		}
		out[side.Name] = read
	}
	return out, nil
}

// unobserved is why it is not known which pods serve, or what for.
func unobserved(s *model.Snapshot) (model.Problem, bool) {
	for _, r := range []model.Resource{model.ResourcePods, model.ResourceServices, model.ResourceVirtualServices} {
		if p, bad := s.Unreadable(r); bad {
			return p, true
		}
	}
	return model.Problem{}, false
}

// readSide reads the pods of a side. Every ready one must answer, and where all
// are wanted those that are not ready, too, as they may still serve what is open:
// but for what is gone and what has no process.
func readSide(ctx context.Context, pods []model.Pod, all bool, counters func(context.Context, []model.ObjectName) (model.Counters, error)) (model.Counters, error) {
	var ready, others []model.ObjectName
	for _, p := range pods {
		switch {
		case p.Ready:
			ready = append(ready, p.Name)
		case p.IP != "" && !p.Ended:
			others = append(others, p.Name)
		}
	}
	read, err := counters(ctx, ready)
	if err != nil {
		return nil, err
	}
	for _, pod := range others {
		more, err := counters(ctx, []model.ObjectName{pod})
		if err != nil && all && model.KindOf(err) != model.KindNotFound {
			return nil, err
		}
		maps.Copy(read, more)
	}
	return read, nil
}

// quiet waits until nobody else of this program sends what is counted for the
// same services, neither proofs nor probes, and keeps it so until release.
func (c *counterProof) quiet(ctx context.Context) (release func(), err error) {
	done, err := c.counting.take(ctx, c.services, func() { c.report(notProven(errTurn.Error())) })
	if err != nil {
		return nil, errTurn
	}
	resume, err := c.engine.Hold(ctx, c.hosts)
	release = func() {
		resume()
		done()
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}
