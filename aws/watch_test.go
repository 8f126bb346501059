package aws

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/istio-cutover/cutover/model"
)

// watch runs Watch until the test ends it, and gives the latest observation.
func watch(t *testing.T, c *Client) (latest func() model.AWS, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan model.AWS, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Watch(ctx, 5*time.Second, func(w model.AWS) {
			select {
			case <-seen:
			default:
			}
			seen <- w
		})
	}()
	latest = func() model.AWS {
		t.Helper()
		synctest.Wait()
		select {
		case w := <-seen:
			return w
		default:
			t.Fatal("nothing was observed meanwhile")
			return model.AWS{}
		}
	}
	return latest, func() { cancel(); <-done }
}

func TestWatchReadsWhatChangesMostOftenest(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		latest, stop := watch(t, w.client)
		defer stop()
		if first := latest(); len(first.Problems) > 0 || len(first.LoadBalancers) != 2 {
			t.Fatalf("first: %+v", first)
		}
		w.count()
		time.Sleep(10 * time.Minute)
		latest()
		got := w.count()
		want := map[string]int{
			"DescribeRules": 240, "DescribeTargetHealth": 360, "DescribeListeners": 60, "DescribeLoadBalancers": 10,
			"DescribeTargetGroups": 10, "DescribeTargetGroupAttributes": 30, "DescribeTags": 10,
			"DescribeAccountLimits": 1, "GetCallerIdentity": 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("calls in ten minutes (-want +got):\n%s", diff)
		}
	})
}

func TestWatchReadsOnlyTheScope(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		latest, stop := watch(t, w.client)
		defer stop()
		latest()
		w.client.SetScope([]string{w.old, w.fresh})
		time.Sleep(5 * time.Second)
		latest()
		w.count()
		time.Sleep(5 * time.Second)
		world := latest()
		if diff := cmp.Diff(map[string]int{"DescribeRules": 1, "DescribeTargetHealth": 2}, w.count()); diff != "" {
			t.Errorf("calls in a round (-want +got):\n%s", diff)
		}
		if len(world.LoadBalancers) != 2 || len(world.TargetGroups) != 3 || len(world.LoadBalancers[1].Listeners[0].Rules) == 0 {
			t.Error("what is outside the scope is gone")
		}
	})
}

func TestWatchLooksAtOnceAfterAWriteAndOnRefresh(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		latest, stop := watch(t, w.client)
		defer stop()
		latest()
		time.Sleep(time.Second)
		w.count()
		change := model.Change{Op: model.OpModifyRule, Listener: w.listener, Rule: w.rule}
		change.After.Actions = model.JSON(`[{"Type":"forward","TargetGroupArn":"` + w.fresh + `"}]`)
		write(t, w.client, change)
		write(t, w.client, change)
		time.Sleep(time.Second)
		if r := ruleWith(t, latest(), w.rule); !strings.Contains(string(r.Actions), w.fresh) {
			t.Errorf("after a write the rule is %s", r.Actions)
		}
		if diff := cmp.Diff(map[string]int{"ModifyRule": 2, "DescribeRules": 1}, w.count()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		w.client.Refresh()
		w.client.Refresh()
		synctest.Wait()
		latest()
		if n := w.count()["DescribeTags"]; n < 1 || n > 2 {
			t.Errorf("tags were read %d times", n)
		}
	})
}

func TestExpiredCredentialsHeal(t *testing.T) {
	inWorld(t, Options{}, func(t *testing.T, w *smallWorld) {
		// The keys come from a file, as those of a login do.
		keys := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
		login := func(key string) {
			text := "[default]\naws_access_key_id = " + key + "\naws_secret_access_key = not-a-secret\n"
			if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
		login("AKIDFIRST")
		w.client = newOver(t, w.transport, Options{})
		latest, stop := watch(t, w.client)
		defer stop()
		first := latest()

		w.set("", failing(403, "ExpiredToken", "The security token included in the request is expired"))
		time.Sleep(5 * time.Second)
		expired := latest()
		p := problemOf(t, expired, model.ResourceRules)
		if p.Kind != model.KindAccess || !strings.Contains(p.Message, "log in") || !strings.Contains(p.Message, "expired") {
			t.Errorf("problem: %+v", p)
		}
		if !expired.ObservedAt.Equal(first.ObservedAt) || len(expired.LoadBalancers) != 2 || expired.Account != first.Account {
			t.Error("what was known is gone, or looks newer than it is")
		}
		w.count()
		time.Sleep(time.Minute)
		if n := total(w.count()); n > 8 {
			t.Errorf("%d calls in a minute of refusal", n)
		}
		if again := problemOf(t, latest(), model.ResourceRules); !again.Since.Equal(p.Since) {
			t.Errorf("since %s, then %s", p.Since, again.Since)
		}
		login("AKIDSECOND")
		w.set("", nil)
		time.Sleep(30 * time.Second)
		healed := latest()
		if len(healed.Problems) > 0 || !healed.ObservedAt.After(expired.ObservedAt) {
			t.Errorf("after a fresh login: %+v", healed.Problems)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if last := w.keys[len(w.keys)-1]; !strings.Contains(last, "AKIDSECOND") {
			t.Errorf("signed by %s", last)
		}
	})
}

func TestRoundsStretchForManyLoadBalancers(t *testing.T) {
	s := schedule{every: 5 * time.Second, quick: 60}
	if d := s.interval(); d != 15*time.Second {
		t.Errorf("60 calls a round are made every %s", d)
	}
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}
