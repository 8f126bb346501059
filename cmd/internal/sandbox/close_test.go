package sandbox

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestCloseUnderLoad closes a sandbox that is being used in every way; TestMain
// then sees to it that nothing of it is left running.
func TestCloseUnderLoad(t *testing.T) {
	s := start(t, Options{})
	alb, _ := s.balancer(t, "public-alb")
	nlb, _ := s.balancer(t, "passthrough-nlb")
	kube, _ := s.kube(t)
	watch, err := kube.CoreV1().Pods("").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()

	var clients sync.WaitGroup
	var answered atomic.Int64
	enough := make(chan struct{})
	for _, r := range []request{
		{url: "https://argocd.bigbang.example/", address: alb},
		{url: "https://keycloak.bigbang.example/", address: nlb},
		{url: "https://argocd.bigbang.example/", address: fmt.Sprintf("%s:30444", s.net.address(hostFirstNode)), noSNI: true},
	} {
		clients.Go(func() {
			for {
				if _, _, err := s.ask(t, r); err != nil {
					return
				}
				if answered.Add(1) == 100 {
					close(enough)
				}
			}
		})
	}
	// A client that opens a connection to a passthrough gateway and then says nothing.
	silent, err := net.Dial("tcp", nlb)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	select {
	case <-enough:
	case <-time.After(30 * time.Second):
		t.Errorf("only %d requests were answered", answered.Load())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	clients.Wait()
	// It ends, in order or by a reset.
	_, _ = io.Copy(io.Discard, silent)
	if conn, err := net.Dial("tcp", alb); err == nil {
		conn.Close()
		t.Error("the load balancer still accepts connections")
	}
}
