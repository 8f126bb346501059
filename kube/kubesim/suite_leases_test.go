package kubesim

import (
	"context"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// testLeaderElection lets client-go's own leader election hand a Lease from one candidate to another.
func testLeaderElection(t *testing.T, e *env) {
	leading := make(chan string, 2)
	var wg sync.WaitGroup
	defer wg.Wait()
	stand := func(name string) context.CancelFunc {
		ctx, cancel := context.WithCancel(e.ctx)
		lock := must(resourcelock.New(resourcelock.LeasesResourceLock, e.ns, "cutover", nil, must(kubernetes.NewForConfig(e.cfg)).CoordinationV1(), resourcelock.ResourceLockConfig{Identity: name}))
		elector := must(leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 50 * time.Millisecond, ReleaseOnCancel: true, Name: name,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leading <- name },
				OnStoppedLeading: func() {},
			},
		}))
		wg.Go(func() { elector.Run(ctx) })
		return cancel
	}
	wantLeader := func(want string) {
		t.Helper()
		select {
		case got := <-leading:
			if got != want {
				t.Fatalf("%s leads, want %s", got, want)
			}
		case <-e.ctx.Done():
			t.Fatalf("%s does not lead in time", want)
		}
	}
	resign := stand("first")
	defer resign()
	wantLeader("first")
	stop := stand("second")
	defer stop()
	resign()
	wantLeader("second")
	lease, err := e.core.CoordinationV1().Leases(e.ns).Get(e.ctx, "cutover", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if *lease.Spec.HolderIdentity != "second" || *lease.Spec.LeaseTransitions != 1 || lease.Spec.RenewTime == nil {
		t.Errorf("the Lease says %v", lease.Spec)
	}
}
