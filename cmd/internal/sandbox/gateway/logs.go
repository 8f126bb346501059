package gateway

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// logLines is how many lines of each pod's log are kept.
const logLines = 2048

// LogOptions says which part of a pod's log is wanted.
type LogOptions struct {
	// Follow goes on with new lines until the context ends.
	Follow bool
	// SinceTime leaves out what was written before, unless it is zero.
	SinceTime time.Time
	// TailLines keeps only that many of the last lines, unless it is negative.
	TailLines int64
	// Timestamps puts the time in RFC 3339 before each line.
	Timestamps bool
}

// podLogs are the standard outputs of all pods.
type podLogs struct {
	mu   sync.Mutex
	pods map[string]*ring
}

// ring keeps the last lines of one pod.
type ring struct {
	mu    sync.Mutex
	lines []entry
	// first is the number of the oldest line that is kept, counted from the pod's start.
	first int
	// grown is closed with the next line; nil while nobody waits for one.
	grown chan struct{}
}

type entry struct {
	at   time.Time
	text string
}

func newPodLogs() *podLogs { return &podLogs{pods: map[string]*ring{}} }

func (l *podLogs) pod(key string) *ring {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.pods[key]
	if r == nil {
		r = &ring{}
		l.pods[key] = r
	}
	return r
}

func (l *podLogs) write(key string, at time.Time, text string) {
	r := l.pod(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) == logLines {
		// A quarter at a time, so that a full log costs no copy per line.
		drop := logLines / 4
		r.lines = append(make([]entry, 0, logLines), r.lines[drop:]...)
		r.first += drop
	}
	r.lines = append(r.lines, entry{at, text})
	if r.grown != nil {
		close(r.grown)
		r.grown = nil
	}
}

// log writes a line to the log of the flow's pod where the mesh has access logs on.
func (m *Mesh) log(f *flow, line func() string) {
	if m.table.Load().accessLog {
		m.logs.write(f.endpoint.key(), m.config.Now(), line())
	}
}

// from returns the lines numbered next and above, the number after the last,
// and a channel that is closed when there are more.
func (r *ring) from(next int) ([]entry, int, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grown == nil {
		r.grown = make(chan struct{})
	}
	// What is returned is never written again: lines are only appended or copied away.
	return r.lines[max(next-r.first, 0):], r.first + len(r.lines), r.grown
}

// Logs writes the log of a pod. It returns nil at the end of what was asked
// for, the context's error when that ended a Follow, or the writer's error.
func (m *Mesh) Logs(ctx context.Context, namespace, pod string, options LogOptions, w io.Writer) error {
	r := m.logs.pod(namespace + "/" + pod)
	lines, next, grown := r.from(0)
	for len(lines) > 0 && lines[0].at.Before(options.SinceTime) {
		lines = lines[1:]
	}
	if options.TailLines >= 0 && int64(len(lines)) > options.TailLines {
		lines = lines[int64(len(lines))-options.TailLines:]
	}
	for {
		for _, line := range lines {
			text := line.text + "\n"
			if options.Timestamps {
				text = line.at.UTC().Format(time.RFC3339Nano) + " " + text
			}
			if _, err := io.WriteString(w, text); err != nil {
				return fmt.Errorf("write log of %s/%s: %w", namespace, pod, err)
			}
		}
		if !options.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.ctx.Done():
			return nil
		case <-grown:
		}
		lines, next, grown = r.from(next)
	}
}
