package load

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// momentsKept bounds the losses of one host that are kept with their moment; the
// counts go on.
const momentsKept = 20

// Report is what the clients saw.
type Report struct {
	// Sent counts the requests that were sent and have ended.
	Sent int `json:"sent"`
	// Lost counts those of them that were answered with an error or otherwise
	// than before the load began, or not at all.
	Lost    int            `json:"lost"`
	ByCause map[string]int `json:"byCause"`
	// Unsent counts what was due and not sent, as too much was under way.
	Unsent int `json:"unsent"`
	// Broken are the pages that failed before the load began, by method, host and
	// path, sorted: they have little left to lose.
	Broken []string `json:"broken"`
	// ByHost has every host; in the line only those that lost something.
	ByHost map[string]Host `json:"byHost"`
	Began  time.Time       `json:"began"`
	Ended  time.Time       `json:"ended"`
}

// Host is what the clients saw of one host.
type Host struct {
	Sent    int            `json:"sent"`
	Lost    int            `json:"lost"`
	ByCause map[string]int `json:"byCause"`
	// Losses are the first that there were.
	Losses []Loss `json:"losses"`
	// Last is when the last lost request was sent.
	Last time.Time `json:"last,omitzero"`
}

// Loss is one lost request.
type Loss struct {
	At      time.Time `json:"at"` // when it was sent
	AfterMs int64     `json:"afterMs"`
	Kind    string    `json:"kind"` // of client
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Cause   string    `json:"cause"`
}

// Line is the report as one line of JSON.
func (r Report) Line() string {
	r.ByHost = maps.Clone(r.ByHost)
	maps.DeleteFunc(r.ByHost, func(_ string, h Host) bool { return h.Lost == 0 })
	line, err := json.Marshal(r)
	if err != nil {
		return err.Error() // Times and counts have no form that JSON lacks.
	}
	return string(line)
}

// page is what one answer is compared with another's by.
type page struct{ host, path, method string }

// count gathers what became of the requests.
type count struct {
	before map[page]answer

	mu    sync.Mutex
	total Report
}

func newCount(before map[page]answer, now time.Time) *count {
	c := &count{before: before, total: Report{ByCause: map[string]int{}, Broken: []string{}, ByHost: map[string]Host{}, Began: now}}
	for p, a := range before {
		c.total.ByHost[p.host] = Host{ByCause: map[string]int{}, Losses: []Loss{}}
		if a.failed() {
			c.total.Broken = append(c.total.Broken, p.method+" "+p.host+p.path)
		}
	}
	slices.Sort(c.total.Broken)
	return c
}

func (c *count) unsent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.Unsent++
}

func (c *count) add(kind string, p page, a answer, sent, ended time.Time) {
	cause := a.lost(c.before[p])
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.total.ByHost[p.host]
	c.total.Sent++
	h.Sent++
	if cause != "" {
		c.total.Lost++
		c.total.ByCause[cause]++
		h.Lost++
		h.ByCause[cause]++
		if len(h.Losses) < momentsKept {
			h.Losses = append(h.Losses, Loss{At: sent, AfterMs: ended.Sub(sent).Milliseconds(), Kind: kind, Method: p.method, Path: p.path, Cause: cause})
		}
		if sent.After(h.Last) {
			h.Last = sent
		}
	}
	c.total.ByHost[p.host] = h
}

// report copies what there is so far.
func (c *count) report(now time.Time) Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.total
	r.Ended = now
	r.ByCause = maps.Clone(r.ByCause)
	r.ByHost = make(map[string]Host, len(c.total.ByHost))
	for name, h := range c.total.ByHost {
		h.ByCause = maps.Clone(h.ByCause)
		// Losses are only ever appended to.
		r.ByHost[name] = h
	}
	return r
}
