// Package load is the clients of a sandbox's world: at a steady rate they ask
// its hosts for pages through its load balancers, count what was lost and say
// when. They know what clients know: names, the addresses that names resolve
// to, and the authority to trust.
//
// The rate is what is offered, whatever the answers take (an open loop): a
// world that stalls is not spared. What is lost is judged by what a host
// answered before the load began, so that hosts that redirect, ask for a login
// or are broken from the start count as served when they go on doing so.
package load

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"
)

const (
	// MaxRPS bounds the requests per second that can be asked for. It is more
	// than a sandbox carries.
	MaxRPS = 10_000
	// patience is how long a client waits for an answer.
	patience = 10 * time.Second
	// beat is how often requests that have become due are sent.
	beat = 2 * time.Millisecond
	// basics is how many hosts are asked at once before the load begins.
	basics = 16
)

// Site is one page that the clients ask for.
type Site struct {
	Host, Path string
	// Address is where the host's name leads: a load balancer's TLS port.
	Address netip.AddrPort
	// Flow tells that the load balancer passes connections on as they are.
	Flow bool
}

// Options say what load to put on a world.
type Options struct {
	// RPS is how many requests are offered per second, 1 to MaxRPS.
	RPS   int
	Sites []Site
	// CAFile holds the certificates to trust, as PEM.
	CAFile string
}

// Generator is clients at work. Stop ends it.
type Generator struct {
	rps     int
	clients []*client
	// free has a place for each further request that may be under way.
	free  chan struct{}
	stop  context.CancelFunc
	work  sync.WaitGroup
	count *count
}

// Start asks every site once with each method for the answer that it is judged
// by, and then begins. The context bounds asking, and its end stops the clients
// as Stop does.
func Start(ctx context.Context, o Options) (*Generator, error) {
	if o.RPS < 1 || o.RPS > MaxRPS {
		return nil, fmt.Errorf("start load: %d requests per second are not between 1 and %d", o.RPS, MaxRPS)
	}
	if len(o.Sites) == 0 {
		return nil, errors.New("start load: there is no site to ask")
	}
	pool, err := authorities(o.CAFile)
	if err != nil {
		return nil, err
	}
	g := &Generator{
		rps: o.RPS, clients: newClients(o.Sites, pool),
		// A second's worth may be under way; what is beyond that is not sent.
		free: make(chan struct{}, max(o.RPS, 64)),
	}
	before, err := g.before(ctx, o.Sites, pool)
	if err != nil {
		g.close()
		return nil, err
	}
	g.count = newCount(before, time.Now())
	ctx, g.stop = context.WithCancel(ctx)
	g.work.Go(func() { g.pace(ctx) })
	return g, nil
}

func authorities(file string) (*x509.CertPool, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("start load: read the authority to trust: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("start load: %s holds no certificate", file)
	}
	return pool, nil
}

// before learns what the sites answer before the load begins.
func (g *Generator) before(ctx context.Context, sites []Site, pool *x509.CertPool) (map[page]answer, error) {
	asking := newClient("", sites, pool, kept)
	defer asking.close()
	answers := map[page]answer{}
	var mu sync.Mutex
	var work sync.WaitGroup
	slots := make(chan struct{}, basics)
	for _, site := range sites {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			// One after the other, for they share a connection then.
			for _, method := range methods() {
				a := asking.ask(ctx, site, method)
				mu.Lock()
				answers[page{site.Host, site.Path, method}] = a
				mu.Unlock()
			}
		})
	}
	work.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	return answers, nil
}

// pace offers the requests as they become due. What was missed while the
// machine was busy elsewhere is made up for at once.
func (g *Generator) pace(ctx context.Context) {
	began := time.Now()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for offered := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		due := int(time.Since(began).Seconds() * float64(g.rps))
		for ; offered < due; offered++ {
			// Requests under way are waited for when the load ends, not cut off.
			g.offer(context.WithoutCancel(ctx), offered)
		}
	}
}

// offer sends the nth request, or counts it as unsent where too many are under way.
func (g *Generator) offer(ctx context.Context, n int) {
	c := g.clients[n%len(g.clients)]
	all := methods()
	site, method := c.sites[c.turn/len(all)%len(c.sites)], all[c.turn%len(all)]
	c.turn++
	select {
	case g.free <- struct{}{}:
	default:
		g.count.unsent()
		return
	}
	g.work.Go(func() {
		defer func() { <-g.free }()
		sent := time.Now()
		a := c.ask(ctx, site, method)
		g.count.add(c.kind, page{site.Host, site.Path, method}, a, sent, time.Now())
	})
}

// methods are those that the clients use in turn. A request that is not
// idempotent is never sent twice: where a connection is dropped it is lost.
func methods() []string { return []string{http.MethodGet, http.MethodPost} }

// Stop ends the load, waits for the answers to what was sent, and reports. It
// may be called again.
func (g *Generator) Stop() Report {
	g.stop()
	g.work.Wait()
	g.close()
	return g.count.report(time.Now())
}

// Report tells how it stands while the load goes on.
func (g *Generator) Report() Report { return g.count.report(time.Now()) }

func (g *Generator) close() {
	for _, c := range g.clients {
		c.close()
	}
}
