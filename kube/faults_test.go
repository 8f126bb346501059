package kube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/kube/kubesim"
	"github.com/istio-cutover/cutover/model"
)

// impatient makes a client retry soon.
func impatient(c *Client) *Client {
	c.timeout = 2 * time.Second
	c.timing = timing{
		firstWithin: 5 * time.Second, wholeWithin: time.Second, atLeast: 200 * time.Millisecond,
		pingEvery: 50 * time.Millisecond, pingWithin: 300 * time.Millisecond,
		secretsEvery: 100 * time.Millisecond, secretsRetry: 50 * time.Millisecond,
		retryFirst: 20 * time.Millisecond, retryLast: 100 * time.Millisecond, identityRetry: 50 * time.Millisecond,
	}
	return c
}

func whole(c model.Cluster) bool {
	return len(c.Problems) == 0 && len(c.Gateways) == 2 && len(c.VirtualServices) == 1 && len(c.Pods) == 2 && len(c.Nodes) == 1 && len(c.Secrets) == 2 && c.UID != ""
}

func observed() []model.Resource {
	return []model.Resource{
		model.ResourceGateways, model.ResourceVirtualServices, model.ResourceServices, model.ResourcePods, model.ResourceNodes, model.ResourceSecrets,
	}
}

func TestDeniedAndGranted(t *testing.T) {
	sim, s := simulated(t, kubesim.Config{}, nil)
	s.populate(t)
	for _, resource := range append(observed(), "namespaces") {
		t.Run(string(resource), func(t *testing.T) {
			sim.setDeny(func(_, _, denied, _, _ string) bool { return denied == string(resource) })
			w := watchWith(t, impatient(clientFor(t, sim.kubeconfig("flexible-token"), Options{})))
			first := w.until("the first picture", func(model.Cluster) bool { return true })
			if len(first.Problems) != 1 || first.Problems[0].Kind != model.KindAccess {
				t.Fatalf("problems %+v", first.Problems)
			}
			if p := first.Problems[0]; resource != "namespaces" && p.Resource != resource || !strings.Contains(p.Message, "ask for the permission to") {
				t.Errorf("problem %+v", p)
			}
			later := w.until("a later picture", func(c model.Cluster) bool { return c.ObservedAt.After(first.ObservedAt) })
			if len(later.Problems) != 1 || !later.Problems[0].Since.Equal(first.Problems[0].Since) {
				t.Errorf("the trouble did not go on: %+v, then %+v", first.Problems, later.Problems)
			}
			sim.setDeny(nil)
			w.until("everything", whole)
			w.end()
		})
	}
}

// Who can list and not watch sees changes all the same, a little later, and
// without a Problem that comes and goes.
func TestListedButNotWatched(t *testing.T) {
	for name, broken := range map[string]kubesim.FaultKind{"denied": -1, "fails": kubesim.WatchFails, "ends": kubesim.WatchEnds, "gone": kubesim.WatchGone} {
		t.Run(name, func(t *testing.T) {
			sim, s := simulated(t, kubesim.Config{}, nil)
			s.populate(t)
			if broken < 0 {
				sim.setDeny(func(verb, _, _, _, _ string) bool { return verb == "watch" })
			} else if _, err := sim.Inject(kubesim.Fault{Kind: broken}); err != nil {
				t.Fatal(err)
			}
			w := watchWith(t, impatient(clientFor(t, sim.kubeconfig("flexible-token"), Options{})))
			w.until("everything", whole)
			s.virtualService(t, "late", "late.dev.example")
			w.until("a change", func(c model.Cluster) bool { return len(c.VirtualServices) == 2 })
			w.end()
			for _, seen := range w.all {
				if len(seen.Problems) > 0 {
					t.Errorf("problems %+v", seen.Problems)
				}
			}
		})
	}
}

func TestIstioInstalledLater(t *testing.T) {
	var installed atomic.Bool
	sim, s := simulated(t, kubesim.Config{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !installed.Load() && r.Header.Get("User-Agent") == "cutover" && strings.HasPrefix(r.URL.Path, "/apis/"+istioGroup) {
				http.Error(w, "404 page not found", http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	s.populate(t)
	sim.setDeny(nil)
	c := impatient(clientFor(t, s.admin, Options{}))
	for what, seen := range map[string]model.Cluster{"observe": c.Observe(t.Context()), "watch": watchWith(t, c).until("first", func(model.Cluster) bool { return true })} {
		for _, r := range []model.Resource{model.ResourceGateways, model.ResourceVirtualServices} {
			if p, ok := problemOf(seen, r); !ok || p.Kind != model.KindNotFound || !strings.Contains(p.Message, "Istio's definitions are not installed") {
				t.Errorf("%s: problem of %s: %+v", what, r, p)
			}
		}
		if len(seen.Problems) != 2 || len(seen.Services) != 2 {
			t.Errorf("%s: problems %+v, services %+v", what, seen.Problems, seen.Services)
		}
	}
	w := watchWith(t, c)
	installed.Store(true)
	w.until("Istio", whole)
	w.end()
}

func TestConnectionLostAndBack(t *testing.T) {
	sim, s := simulated(t, kubesim.Config{}, nil)
	s.populate(t)
	w := watchWith(t, impatient(clientFor(t, s.admin, Options{})))
	before := w.until("everything", whole)
	sim.close()
	lost := w.until("the loss", func(c model.Cluster) bool { return len(c.Problems) == len(observed()) })
	for _, r := range observed() {
		if p, ok := problemOf(lost, r); !ok || p.Kind != model.KindUnreachable {
			t.Errorf("problem of %s: %+v", r, p)
		}
	}
	if len(lost.VirtualServices) != 1 || len(lost.Gateways) != 2 || len(lost.Pods) != 2 || lost.UID != before.UID {
		t.Errorf("what was known is gone: %+v", lost)
	}
	for _, secret := range lost.Secrets {
		if !secret.Readable {
			t.Errorf("%s was known", secret.Name)
		}
	}
	later := w.until("the loss going on", func(c model.Cluster) bool {
		return len(c.Problems) > 0 && time.Since(c.Problems[0].Since) > 500*time.Millisecond
	})
	if !later.ObservedAt.Before(time.Now().Add(-300 * time.Millisecond)) {
		t.Errorf("observed at %s, lost since %s", later.ObservedAt, later.Problems[0].Since)
	}
	sim.open()
	s.virtualService(t, "new", "new.dev.example")
	healed := w.until("healing", func(c model.Cluster) bool { return len(c.Problems) == 0 && len(c.VirtualServices) == 2 })
	if !healed.ObservedAt.After(later.ObservedAt) {
		t.Errorf("healed, but still of %s", healed.ObservedAt)
	}
	w.end()
}

// A server that takes connections and never answers.
func TestNoAnswer(t *testing.T) {
	var silent atomic.Bool
	_, s := simulated(t, kubesim.Config{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if silent.Load() {
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	s.populate(t)
	c := impatient(clientFor(t, s.admin, Options{}))
	w := watchWith(t, c)
	w.until("everything", whole)
	silent.Store(true)
	lost := w.until("silence", func(c model.Cluster) bool { return len(c.Problems) == len(observed()) })
	for _, p := range lost.Problems {
		if p.Kind != model.KindUnreachable || !strings.Contains(p.Message, "no answer in time") {
			t.Errorf("problem %+v", p)
		}
	}
	began := time.Now()
	hasty := clientFor(t, s.admin, Options{})
	hasty.timeout = 500 * time.Millisecond
	// Secrets are not among them, as no Gateway is known; the cluster's identity is.
	if got := hasty.Observe(t.Context()); len(got.Problems) != len(observed()) || time.Since(began) > 900*time.Millisecond || !got.ObservedAt.IsZero() {
		t.Errorf("%s, %+v", time.Since(began), got)
	}
	silent.Store(false)
	w.until("answers", whole)
	w.end()
}

func TestThrottled(t *testing.T) {
	var refuse atomic.Int64
	_, s := simulated(t, kubesim.Config{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/nodes") && r.Header.Get("User-Agent") == "cutover" && refuse.Add(-1) >= 0 {
				status := metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: 429, Reason: metav1.StatusReasonTooManyRequests, Message: "slow down"}
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				_ = json.NewEncoder(w).Encode(status)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	s.populate(t)
	c := impatient(clientFor(t, s.admin, Options{}))
	refuse.Store(1)
	if got := c.Observe(t.Context()); !whole(got) {
		t.Errorf("after one refusal: %+v", got)
	}
	refuse.Store(1 << 30)
	c.timeout = 50 * time.Millisecond
	w := watchWith(t, c)
	seen := w.until("the refusal", func(model.Cluster) bool { return true })
	if p, ok := problemOf(seen, model.ResourceNodes); !ok || p.Kind != model.KindThrottled || len(seen.Problems) != 1 {
		t.Errorf("problems %+v", seen.Problems)
	}
	refuse.Store(0)
	w.until("everything", whole)
	w.end()
}

// The token is no longer good, and then another one is.
func TestExpiredCredentials(t *testing.T) {
	var expired atomic.Bool
	_, s := simulated(t, kubesim.Config{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if expired.Load() {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	s.populate(t)
	w := watchWith(t, impatient(clientFor(t, s.admin, Options{})))
	w.until("everything", whole)
	expired.Store(true)
	seen := w.until("the expiry", func(c model.Cluster) bool { return len(c.Problems) == len(observed()) })
	for _, p := range seen.Problems {
		if p.Kind != model.KindAccess || !strings.Contains(p.Message, "log in") {
			t.Errorf("problem %+v", p)
		}
	}
	expired.Store(false)
	w.until("the login", whole)
	w.end()
}

func TestPace(t *testing.T) {
	_, s := simulated(t, kubesim.Config{}, nil)
	s.populate(t)
	c := clientFor(t, s.admin, Options{})
	c.timing.atLeast = 500 * time.Millisecond
	w := watchWith(t, c)
	w.until("everything", whole)
	many(t, s, 60)
	w.until("all", func(c model.Cluster) bool { return len(c.VirtualServices) == 61 })
	deadline := time.Now().Add(10 * time.Second)
	for quiet := 0; quiet < 2; { // Pictures come without a change, too.
		<-w.more
		w.mu.Lock()
		n := len(w.times)
		gap := w.times[n-1].Sub(w.times[n-2])
		w.mu.Unlock()
		if gap > 400*time.Millisecond {
			quiet++
		}
		if time.Now().After(deadline) {
			t.Fatal("no picture for its age")
		}
	}
	w.end()
	for i := 1; i < len(w.times); i++ {
		if gap := w.times[i].Sub(w.times[i-1]); gap < apart-5*time.Millisecond {
			t.Errorf("picture %d came %s after the one before", i, gap)
		}
	}
}

func TestFindInLogs(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]kubesim.LogOptions{}
	since := time.Now().Add(-time.Minute)
	sim, s := simulated(t, kubesim.Config{Logs: logsOf(func(pod, container string, opts kubesim.LogOptions) string {
		mu.Lock()
		defer mu.Unlock()
		asked[pod] = opts
		return fmt.Sprintf("[2026] GET / 200 nonce-%s %s\n%s\nlast line nonce-end-%s", pod, container, strings.Repeat("x", 3*lineLimit), pod)
	})}, nil)
	create(t, s.core.CoreV1().Namespaces().Create, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "istio-gateway"}})
	var pods []model.ObjectName
	for name, containers := range map[string][]string{"a": {proxyContainer}, "b": {"other", proxyContainer}, "c": {"only"}} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: "node-1"}}
		for _, c := range containers {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c, Image: "proxy"})
		}
		create(t, s.core.CoreV1().Pods("istio-gateway").Create, pod)
		pods = append(pods, model.ObjectName{Namespace: "istio-gateway", Name: name})
	}
	pods = append(pods, model.ObjectName{Namespace: "istio-gateway", Name: "gone"})
	c := clientFor(t, s.admin, Options{})
	needles := []string{"nonce-a istio-proxy", "nonce-b istio-proxy", "nonce-end-c", "nonce-d", ""}
	found, err := c.FindInLogs(t.Context(), pods, since, needles)
	if err != nil {
		t.Fatal(err)
	}
	for i, pod := range []string{"a", "b", "c"} {
		if found[needles[i]].Name != pod {
			t.Errorf("%q was found in %+v", needles[i], found[needles[i]])
		}
	}
	if len(found) != 3 {
		t.Errorf("found %+v", found)
	}
	mu.Lock()
	if opts := asked["a"]; opts.LimitBytes != logLimit || opts.SinceTime.Unix() != since.Unix() || opts.Follow {
		t.Errorf("asked for %+v", opts)
	}
	mu.Unlock()

	sim.setDeny(func(_, _, resource, _, _ string) bool { return resource == "pods/log" })
	denied := clientFor(t, sim.kubeconfig("flexible-token"), Options{})
	if _, err := denied.FindInLogs(t.Context(), pods, since, needles); model.KindOf(err) != model.KindAccess {
		t.Errorf("denied: %v", err)
	}
}
