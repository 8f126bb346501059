package load

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server that stands for all hosts, each named after what it does.
type world struct {
	*httptest.Server
	// after is set once the hosts that change are to have changed.
	after atomic.Bool
	// hold keeps answers of "held" back until it is closed.
	hold chan struct{}

	mu   sync.Mutex
	seen map[string]int // by what tells the kinds of clients apart
}

// host is a name that the server's certificate covers.
func host(name string) string { return name + ".example.com" }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{hold: make(chan struct{}), seen: map[string]int{}}
	w.Server = httptest.NewUnstartedServer(w)
	w.EnableHTTP2 = true
	w.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			w.note("connections")
		}
	}
	w.StartTLS()
	t.Cleanup(w.Close)
	return w
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what]++
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.note(r.Proto + " " + r.Method)
	name, _, _ := strings.Cut(strings.TrimPrefix(r.Host, "flow-"), ".")
	after := w.after.Load()
	switch {
	case name == "login":
		http.Redirect(rw, r, "/login", http.StatusFound)
	case name == "broken", name == "breaks" && after, name == "heals" && !after:
		http.Error(rw, "no healthy upstream", http.StatusServiceUnavailable)
	case name == "unrouted" && after:
		http.NotFound(rw, r)
	case name == "drops" && after:
		panic(http.ErrAbortHandler)
	case name == "swaps" && after:
		_, _ = io.WriteString(rw, "another application")
	default:
		if name == "held" && after {
			<-w.hold
		}
		_, _ = io.WriteString(rw, "hello from "+name)
	}
}

// options have each host twice: behind a load balancer of requests, and behind
// one of flows.
func (w *world) options(t *testing.T, rps int, names ...string) Options {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	address, err := netip.ParseAddrPort(w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{RPS: rps, CAFile: ca}
	for _, name := range names {
		for _, flow := range []bool{false, true} {
			prefix := ""
			if flow {
				prefix = "flow-"
			}
			o.Sites = append(o.Sites, Site{Host: host(prefix + name), Path: "/", Address: address, Flow: flow})
		}
	}
	return o
}

func begin(t *testing.T, o Options) *Generator {
	t.Helper()
	g, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Stop() })
	return g
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after 30 s: %s", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// What was there before is no loss, whatever it is.
func TestNothingIsLostWhereNothingChanges(t *testing.T) {
	w := newWorld(t)
	g := begin(t, w.options(t, 60, "plain", "login", "broken"))
	eventually(t, "many requests are sent", func() bool { return g.Report().Sent >= 120 })
	r := g.Stop()
	if r.Lost != 0 || len(r.ByHost) != 6 {
		t.Errorf("%+v", r)
	}
	for name, h := range r.ByHost {
		if h.Sent == 0 {
			t.Errorf("%s was never asked", name)
		}
	}
	broken := []string{"GET broken.example.com/", "GET flow-broken.example.com/", "POST broken.example.com/", "POST flow-broken.example.com/"}
	if !slices.Equal(r.Broken, broken) || !strings.Contains(r.Line(), `"broken":["GET broken.example.com/",`) {
		t.Errorf("broken from the start: %q, want %q\n%s", r.Broken, broken, r.Line())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, kind := range []string{"HTTP/1.1 GET", "HTTP/1.1 POST", "HTTP/2.0 GET", "HTTP/2.0 POST"} {
		if w.seen[kind] == 0 {
			t.Errorf("nobody sent %s: %v", kind, w.seen)
		}
	}
	// Three eighths of the requests come over connections of their own.
	if n := w.seen["connections"]; n < r.Sent/4 || n > r.Sent {
		t.Errorf("%d connections for %d requests", n, r.Sent)
	}
	if again := g.Stop(); again.Sent != r.Sent {
		t.Errorf("stopped again: %d sent, then %d", r.Sent, again.Sent)
	}
}

func TestLossesByCauseAndHost(t *testing.T) {
	w := newWorld(t)
	g := begin(t, w.options(t, 60, "plain", "breaks", "heals", "unrouted", "swaps", "drops"))
	eventually(t, "requests are sent", func() bool { return g.Report().Sent >= 100 })
	if r := g.Report(); r.Lost != 0 {
		t.Fatalf("before anything changes: %s", r.Line())
	}
	changed := time.Now()
	w.after.Store(true)
	want := map[string]string{"breaks": "status 503", "unrouted": "status 404", "swaps": "wrong answer", "drops": "closed"}
	eventually(t, "losses of each kind are more than are kept", func() bool {
		r := g.Report()
		for name := range want {
			if r.ByHost[host(name)].Lost <= momentsKept || r.ByHost[host("flow-"+name)].Lost == 0 {
				return false
			}
		}
		return true
	})
	r := g.Stop()
	lost := 0
	for name, h := range r.ByHost {
		lost += h.Lost
		cause := want[strings.TrimSuffix(strings.TrimPrefix(name, "flow-"), ".example.com")]
		if cause == "" && h.Lost > 0 {
			t.Errorf("%s lost %v", name, h.ByCause)
		}
		// A stream of HTTP/2 is reset where a connection of HTTP/1.1 is closed.
		if cause != "" && h.ByCause[cause] == 0 || cause != "closed" && h.ByCause[cause] != h.Lost {
			t.Errorf("%s lost %v, want all by %q", name, h.ByCause, cause)
		}
		if len(h.Losses) > momentsKept || h.Lost > 0 && (h.Losses[0].At.Before(changed.Add(-time.Second)) || h.Last.Before(changed.Add(-time.Second))) {
			t.Errorf("%s: moments %v, last %v", name, h.Losses, h.Last)
		}
	}
	if lost != r.Lost || r.ByCause["status 503"] == 0 {
		t.Errorf("%d lost by host, %d in all, %v", lost, r.Lost, r.ByCause)
	}
	var line struct {
		Sent, Lost int
		ByCause    map[string]int
		ByHost     map[string]Host
	}
	if err := json.Unmarshal([]byte(r.Line()), &line); err != nil {
		t.Fatal(err)
	}
	if line.Lost != r.Lost || len(line.ByHost) != 8 || strings.Contains(r.Line(), "\n") {
		t.Errorf("line %s", r.Line())
	}
}

// What cannot be sent for want of places is counted, and the rate goes on.
func TestWhatIsNotSentIsSaid(t *testing.T) {
	w := newWorld(t)
	g := begin(t, w.options(t, 100, "held"))
	w.after.Store(true)
	eventually(t, "more is due than may be under way", func() bool { return g.Report().Unsent > 20 })
	close(w.hold)
	sent := g.Report().Sent
	eventually(t, "requests are sent again", func() bool { return g.Report().Sent > sent+cap(g.free) })
	if r := g.Stop(); r.Unsent <= 20 || r.Lost != 0 {
		t.Errorf("%s", r.Line())
	}
}

func TestCausesOfFailure(t *testing.T) {
	w := newWorld(t)
	o := w.options(t, 1, "plain")
	pool, err := authorities(o.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(handle func(*net.TCPConn)) netip.AddrPort {
		socket, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var conns sync.WaitGroup
		conns.Go(func() {
			for {
				conn, err := socket.Accept()
				if err != nil {
					return
				}
				handle(conn.(*net.TCPConn))
				conn.Close()
			}
		})
		t.Cleanup(func() { socket.Close(); conns.Wait() })
		return socket.Addr().(*net.TCPAddr).AddrPort()
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	read := func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)) }
	for want, site := range map[string]Site{
		"refused": {Address: gone.Addr().(*net.TCPAddr).AddrPort()},
		"reset":   {Address: serve(func(c *net.TCPConn) { read(c); _ = c.SetLinger(0) })},
		"closed": {Address: serve(func(c *net.TCPConn) {
			_, _ = io.CopyN(io.Discard, c, 5)
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})},
		"tls": {Address: serve(func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})},
	} {
		site.Host, site.Path = host("plain"), "/"
		c := newClient("", []Site{site}, pool, fresh)
		if got := c.ask(t.Context(), site, http.MethodGet); got.cause != want {
			t.Errorf("%+v, want %s", got, want)
		}
		c.close()
	}
	untrusted := o.Sites[0]
	untrusted.Host = "elsewhere.example"
	c := newClient("", []Site{untrusted}, pool, fresh)
	defer c.close()
	if got := c.ask(t.Context(), untrusted, http.MethodGet); got.cause != "tls" {
		t.Errorf("a certificate for another name: %+v", got)
	}
	if got := causeOf(os.ErrDeadlineExceeded); got != "timeout" {
		t.Errorf("a deadline: %s", got)
	}
}

func TestLoadThatCannotBegin(t *testing.T) {
	w := newWorld(t)
	good := w.options(t, 10, "plain")
	for want, change := range map[string]func(*Options){
		"not between 1 and":    func(o *Options) { o.RPS = MaxRPS + 1 },
		"no site":              func(o *Options) { o.Sites = nil },
		"read the authority":   func(o *Options) { o.CAFile += ".none" },
		"holds no certificate": func(o *Options) { o.CAFile = os.DevNull },
	} {
		o := good
		change(&o)
		if g, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			if err == nil {
				g.Stop()
			}
		}
	}
}
