package kubesim

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// inject makes requests fail until the test ends.
func inject(t *testing.T, s *Server, f Fault) *InjectedFault {
	t.Helper()
	injected, err := s.Inject(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(injected.Remove)
	return injected
}

func TestUnauthorizedAndForbidden(t *testing.T) {
	s, cfg := start(t, Config{})
	client := must(kubernetes.NewForConfig(cfg))
	may := func(resource string) bool {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: resource},
		}}
		return must(client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})).Status.Allowed
	}
	expired := inject(t, s, Fault{Kind: Unauthorized})
	if _, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("expired: %v", err)
	}
	if _, err := client.Discovery().ServerVersion(); !apierrors.IsUnauthorized(err) {
		t.Errorf("a token that is no token is not that of nobody: %v", err)
	}
	expired.Remove()
	denied := inject(t, s, Fault{Kind: Forbidden, Resource: "secrets"})
	_, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})
	wantStatus(t, err, 403, metav1.StatusReasonForbidden, `secrets is forbidden: User "admin" cannot list resource "secrets" in API group "" at the cluster scope`)
	if _, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("another resource: %v", err)
	}
	if may("secrets") || !may("pods") {
		t.Errorf("auth can-i says %t for secrets, %t for pods", may("secrets"), may("pods"))
	}
	denied.Remove()
	if _, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{}); err != nil || !may("secrets") {
		t.Errorf("healed: %v", err)
	}
	if _, err := s.Inject(Fault{Kind: Forbidden, Resource: "secret"}); err == nil {
		t.Error("a resource that there is not was accepted")
	}
	inject(t, s, Fault{Kind: Forbidden, Resource: "pods/log"})
}

// TestWatchFaults: lists go on, watches that run are cut, and those that begin
// get nowhere.
func TestWatchFaults(t *testing.T) {
	for name, c := range map[string]struct {
		kind   FaultKind
		status int32 // of the watch or of its only event; 0: it only ends
	}{"ends": {WatchEnds, 0}, "fails": {WatchFails, 500}, "gone": {WatchGone, 410}} {
		t.Run(name, func(t *testing.T) {
			s, cfg := start(t, Config{})
			client := must(kubernetes.NewForConfig(cfg))
			before := must(client.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0"}))
			<-before.ResultChan()
			f := inject(t, s, Fault{Kind: c.kind})
			for range before.ResultChan() { // It ends.
			}
			if _, err := client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
				t.Errorf("list: %v", err)
			}
			last := must(client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})).ResourceVersion
			during, err := client.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{ResourceVersion: last})
			if err == nil {
				event, ok := <-during.ResultChan()
				switch {
				case ok != (c.status != 0):
					t.Errorf("event %+v, %t", event, ok)
				case ok && event.Type == watch.Error:
					err = apierrors.FromObject(event.Object)
				}
			}
			// A list that is streamed is a list.
			if c.kind != WatchFails {
				options := metav1.ListOptions{SendInitialEvents: new(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true}
				events := map[watch.EventType]int{}
				for event := range must(client.CoreV1().Namespaces().Watch(t.Context(), options)).ResultChan() {
					events[event.Type]++
				}
				if events[watch.Added] != 4 || events[watch.Bookmark] != 1 || events[watch.Error] != int(c.status/410) {
					t.Errorf("streamed: %v", events)
				}
			}
			var status apierrors.APIStatus
			if c.status != 0 && (!errors.As(err, &status) || status.Status().Code != c.status) {
				t.Errorf("%v, want status %d", err, c.status)
			}
			f.Remove()
			after := must(client.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{}))
			if event, ok := <-after.ResultChan(); !ok || event.Type != watch.Added {
				t.Errorf("healed: %+v", event)
			}
			after.Stop()
		})
	}
}

// TestWatchGoneIsToldToWhoMayWatch: who may not watch, or asks for what cannot
// be watched, hears just that.
func TestWatchGoneIsToldToWhoMayWatch(t *testing.T) {
	s, cfg := start(t, Config{})
	inject(t, s, Fault{Kind: WatchGone})
	for _, c := range []struct {
		token, resource, version string
		status                   int
	}{
		{"admin-token", "secrets", "1", 200},
		{"nobody", "secrets", "", 401},
		{"nobody", "secrets", "1", 401},
		{"viewer-token", "secrets", "1", 403},
		{"admin-token", "nothing", "1", 404},
		{"admin-token", "secrets", "x", 500},
	} {
		path := "/api/v1/" + c.resource + "?watch=true&resourceVersion=" + c.version
		status, body := proxied(t, as(cfg, c.token), "GET", path, "")
		if status != c.status || strings.Contains(body, "too old resource version") != (status == 200) || strings.Count(body, `"code":`) > 1 {
			t.Errorf("%s %s: %d %s, want %d", c.token, path, status, body, c.status)
		}
	}
}

// TestSlowAPI: an answer comes after the delay, or when the fault, the client or
// the server ends.
func TestSlowAPI(t *testing.T) {
	for name, c := range map[string]struct {
		delay, after time.Duration
		// end comes after a second.
		end func(*InjectedFault, *Server, context.CancelFunc)
	}{
		"in the end":        {delay: 2 * time.Second, after: 2 * time.Second},
		"removed":           {time.Hour, time.Second, func(f *InjectedFault, _ *Server, _ context.CancelFunc) { f.Remove() }},
		"the server ends":   {time.Hour, time.Second, func(_ *InjectedFault, s *Server, _ context.CancelFunc) { s.Close() }},
		"the client leaves": {time.Hour, time.Second, func(_ *InjectedFault, _ *Server, leave context.CancelFunc) { leave() }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{Tokens: map[string]User{"admin-token": {Name: "admin"}}})
				defer s.Close()
				slow := inject(t, s, Fault{Kind: Slow, Delay: c.delay})
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				request := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/pods", nil)
				request.Header.Set("Authorization", "Bearer admin-token")
				answer := httptest.NewRecorder()
				if c.end != nil {
					time.AfterFunc(time.Second, func() { c.end(slow, s, leave) })
				}
				began := time.Now()
				s.Handler().ServeHTTP(answer, request)
				if took := time.Since(began); took != c.after || answer.Code != http.StatusOK {
					t.Errorf("%d after %s, want it after %s", answer.Code, took, c.after)
				}
			})
		})
	}
}
