package main

import (
	"os"
	"strings"
	"testing"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// BenchmarkDiscovery observes and joins a world of 500 hosts from nothing, over
// real sockets: what `cutover status` does. calls/op counts the AWS API's.
func BenchmarkDiscovery(b *testing.B) {
	s, err := sandbox.Start(b.Context(), sandbox.Options{Hosts: 500, StateDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, variable := range s.Env() {
		key, value, _ := strings.Cut(variable, "=")
		b.Setenv(key, value)
	}
	before := len(s.AWS.Calls())
	hosts := 0
	b.ResetTimer()
	for b.Loop() {
		g := &globals{streams: streams{in: os.Stdin, out: b.Output(), err: b.Output()}}
		newRoot(g)
		w, err := g.wire(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		snapshot := w.observe(b.Context())
		w.close()
		if hosts = len(snapshot.Hosts); len(snapshot.Problems) > 0 || hosts < 500 {
			b.Fatalf("%d hosts, problems %v", hosts, snapshot.Problems)
		}
	}
	b.ReportMetric(float64(len(s.AWS.Calls())-before)/float64(b.N), "calls/op")
	b.ReportMetric(float64(hosts), "hosts")
}
