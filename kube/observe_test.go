package kube

import (
	"testing"

	"github.com/istio-cutover/cutover/kube/kubesim"
	"github.com/istio-cutover/cutover/model"
)

func TestSuiteOnKubesim(t *testing.T) {
	_, s := simulated(t, kubesim.Config{}, nil)
	suite(t, s)
}

func TestSuiteOnKubernetes(t *testing.T) {
	suite(t, real(t))
}

func suite(t *testing.T, s site) {
	s.populate(t)
	t.Run("observe", func(t *testing.T) { testObserve(t, s) })
	t.Run("watch", func(t *testing.T) { testWatch(t, s) })
}

func testObserve(t *testing.T, s site) {
	c := clientFor(t, s.admin, Options{})
	checkWorld(t, c.Observe(t.Context()))
}

func checkWorld(t *testing.T, got model.Cluster) {
	t.Helper()
	if len(got.Problems) > 0 {
		t.Errorf("problems: %+v", got.Problems)
	}
	if len(got.Gateways) != 2 || len(got.VirtualServices) != 1 || len(got.Pods) != 2 || len(got.Nodes) != 1 || len(got.Secrets) != 2 {
		t.Errorf("got %+v", got)
	}
	if got.UID == "" || got.User == "" || got.ObservedAt.IsZero() {
		t.Errorf("UID %q, user %q, at %s", got.UID, got.User, got.ObservedAt)
	}
}

func testWatch(t *testing.T, s site) {
	c := clientFor(t, s.admin, Options{})
	w := watchWith(t, c)
	checkWorld(t, w.until("first", func(model.Cluster) bool { return true }))
}
