package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/probes"
)

// probeFlags are what the operator decided for a probe.
type probeFlags struct {
	sides    []string
	count    int
	interval time.Duration
	via      string
}

func newProbe(g *globals) *cobra.Command {
	var (
		sel selection
		f   probeFlags
	)
	cmd := &cobra.Command{
		Use:   "probe [SELECTION]",
		Short: "Probe hosts on their gateways' NodePorts or through the load balancer",
		Example: `  cutover probe --host argocd.bigbang.example
  cutover probe --lane public --side new --count 10
  cutover probe --host argocd.bigbang.example --side lb`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.probe(cmd.Context(), sel, f) },
	}
	sel.addFlags(cmd, g)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.sides, "side", []string{string(model.PathOld), string(model.PathNew)}, "old, new or lb (repeatable)")
	flags.IntVar(&f.count, "count", model.K, "probes per target")
	flags.DurationVar(&f.interval, "interval", time.Second, "time between two probes of a target")
	flags.StringVar(&f.via, "via", "nodeport", "how to reach the gateways: nodeport")
	_ = cmd.RegisterFlagCompletionFunc("side", cobra.FixedCompletions([]string{"old", "new", "lb"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f probeFlags) check() error {
	for _, s := range f.sides {
		if !slices.Contains([]model.Path{model.PathOld, model.PathNew, model.PathLoadBalancer}, model.Path(s)) {
			return usage("flag --side", fmt.Sprintf("%q is no side", s), "--side old, new or lb")
		}
	}
	switch {
	case f.count < 1:
		return usage("flag --count", "it is less than 1", "--count 3")
	case f.interval < 0:
		return usage("flag --interval", "it is negative", "--interval 1s")
	case f.via != "nodeport":
		return usage("flag --via", fmt.Sprintf("%q is not known to this version", f.via), "--via nodeport")
	default:
		return nil
	}
}

func (g *globals) probe(ctx context.Context, sel selection, f probeFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if sel.empty() {
		sel.All = true
	}
	w, err := g.wire(ctx, nil)
	if err != nil {
		return err
	}
	defer w.close()
	s := w.observe(ctx)
	if err := readable(s); err != nil {
		return err
	}
	intent, err := s.Select(sel.Selection, model.New)
	if err != nil {
		return err
	}
	hosts := model.KeySet(intent.Hosts)
	targets := slices.DeleteFunc(model.ProbeTargets(s, nil), func(t model.ProbeTarget) bool {
		asked := slices.Contains(f.sides, string(t.Path))
		// What is compared is compared with old.
		return !hosts[t.Host] || !asked && t.Path != model.PathOld
	})
	r := &probing{globals: g, flags: f, prober: w.prober, old: map[reference]model.ProbeResult{}, sums: map[probes.Key]*sum{}}
	if err := r.run(ctx, targets); err != nil {
		return err
	}
	return r.summary()
}

// probing is a probe command under way.
type probing struct {
	*globals
	flags  probeFlags
	prober probes.Prober

	mu     sync.Mutex
	old    map[reference]model.ProbeResult
	sums   map[probes.Key]*sum
	failed int
}

// reference is what answers of the other paths are compared with.
type reference struct {
	host   model.HostKey
	scheme string
}

type sum struct {
	count, good int
	times       []float64
}

// run sends count rounds: in each, the old side first, as it is what the
// others are compared with.
func (r *probing) run(ctx context.Context, targets []model.ProbeTarget) error {
	limiter := rate.NewLimiter(probes.PerSecond, probes.PerSecond/4)
	for n := range r.flags.count {
		if n > 0 && !sleep(ctx, r.flags.interval) {
			return ctx.Err()
		}
		for _, old := range []bool{true, false} {
			var wg sync.WaitGroup
			for _, t := range targets {
				if (t.Path == model.PathOld) != old {
					continue
				}
				if err := limiter.Wait(ctx); err != nil {
					wg.Wait()
					return err
				}
				wg.Go(func() { r.take(r.prober.Probe(ctx, t)) })
			}
			wg.Wait()
		}
	}
	return nil
}

func (r *probing) take(result model.ProbeResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := result.Target
	compared := reference{t.Host, t.Scheme}
	if before := r.old[compared]; t.Path == model.PathOld && (result.OK() || !before.OK()) {
		r.old[compared] = result
	}
	if !slices.Contains(r.flags.sides, string(t.Path)) {
		return
	}
	old := r.old[compared]
	if !old.OK() && t.Path == model.PathLoadBalancer {
		// Gateways are not probed by this scheme, or old does not answer: there is
		// nothing to differ from.
		old = result
	}
	good, why := model.GoodProbe(result, old)
	key := probes.Key{Host: t.Host, Path: t.Path}
	s := r.sums[key]
	if s == nil {
		s = &sum{}
		r.sums[key] = s
	}
	s.count++
	if good {
		s.good++
	} else {
		r.failed++
	}
	if result.OK() {
		s.times = append(s.times, result.Phases.Total)
	}
	r.print(result, good, why)
}

func (r *probing) print(result model.ProbeResult, good bool, why *model.ProbeError) {
	t := result.Target
	if why == nil {
		why = result.Error
	}
	if r.output != outputTable {
		document := map[string]any{
			"time": result.Began.UTC().Format(time.RFC3339Nano), "host": t.Host.Host, "lane": t.Host.Lane, "side": t.Path, "node": t.Node,
			"address": t.Address, "port": t.Port, "sni": t.SNI, "ok": result.OK(), "status": nil, "location": result.Location,
			"tls": result.TLS, "phases": result.Phases, "good": good, "error": why,
		}
		if result.Status > 0 {
			document["status"] = result.Status
		}
		r.line(document)
		return
	}
	answer := "-"
	if result.Status > 0 {
		answer = fmt.Sprint(result.Status)
	}
	verdict := "good"
	if !good {
		verdict = "bad"
		if why != nil {
			verdict += "  " + string(why.Kind) + ": " + why.Message
		}
	}
	node := t.Node
	if node == "" {
		node = t.Address
	}
	_, _ = fmt.Fprintf(r.out, "%s  %-36s %-3s  %-12s  :%-5d  %s  %6.1fms  %s\n", result.Began.Format("15:04:05"),
		model.Line(t.Host.Host), t.Path, model.Line(node), t.Port, answer, result.Phases.Total, model.Line(verdict))
}

// summary prints percentiles per host and side, and fails when a probe was not good.
func (r *probing) summary() error {
	keys := make([]probes.Key, 0, len(r.sums))
	for k := range r.sums {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b probes.Key) int {
		if c := a.Host.Compare(b.Host); c != 0 {
			return c
		}
		order := []model.Path{model.PathOld, model.PathNew, model.PathLoadBalancer}
		return slices.Index(order, a.Path) - slices.Index(order, b.Path)
	})
	type row struct {
		Host  string     `json:"host"`
		Lane  string     `json:"lane"`
		Side  model.Path `json:"side"`
		Count int        `json:"count"`
		Good  int        `json:"good"`
		P50   float64    `json:"p50Ms"`
		P95   float64    `json:"p95Ms"`
		P99   float64    `json:"p99Ms"`
		Max   float64    `json:"maxMs"`
	}
	rows := []row{}
	var cells [][]string
	for _, k := range keys {
		s := r.sums[k]
		slices.Sort(s.times)
		p := func(n int) float64 { return probes.Percentile(s.times, n) }
		rows = append(rows, row{k.Host.Host, k.Host.Lane, k.Path, s.count, s.good, p(50), p(95), p(99), p(100)})
		cells = append(cells, []string{
			k.Host.Host, string(k.Path), fmt.Sprintf("%d/%d", s.good, s.count),
			fmt.Sprintf("%.1f", p(50)), fmt.Sprintf("%.1f", p(95)), fmt.Sprintf("%.1f", p(99)), fmt.Sprintf("%.1f", p(100)),
		})
	}
	if r.output != outputTable {
		r.line(map[string]any{"summary": rows})
	} else {
		_, _ = io.WriteString(r.out, "\n")
		table(r.out, strings.Fields("HOST SIDE GOOD P50ms P95ms P99ms MAXms"), cells)
	}
	if r.failed > 0 {
		return exitCode(exitFailed)
	}
	return nil
}
