package tui

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// live starts a console on the standard world with good probes.
func live(t *testing.T, w, h int, cfg Config) *driver {
	t.Helper()
	d := drive(t, w, h, cfg)
	world := mustWorld(t, standardWorld())
	d.deliver(world)
	d.observe(probesOf(world, testNow()))
	d.wait(judgeEvery)
	return d
}

// bothSizes runs f in a synctest bubble at both of the usual sizes.
func bothSizes(t *testing.T, f func(t *testing.T, w, h int, size string)) {
	t.Helper()
	for _, s := range [][2]int{{120, 40}, {80, 24}} {
		size := fmt.Sprintf("%dx%d", s[0], s[1])
		t.Run(size, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, s[0], s[1], size) })
		})
	}
}

func TestMainScreen(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		d := live(t, w, h, Config{Run: noRun})
		d.sees("5 Hosts: 2 of 18 on new", "blocked: ", "00:00:01 live")
		d.golden("main-" + size)
	})
	synctest.Test(t, func(t *testing.T) {
		live(t, 200, 60, Config{Run: noRun}).golden("main-200x60")
	})
}

func TestBlockedDialog(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		d := live(t, w, h, Config{Run: noRun})
		d.press("j j j t")
		d.sees("Move jira.bigbang.example to new", "blocked", "[ Close ]", "lists only")
		d.golden("blocked-" + size)
		d.press("y")
		d.sees("[ Close ]")
		d.lacks("run in flight")
		d.press("enter")
		d.lacks("[ Close ]")
	})
}

func TestHelp(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		d := live(t, w, h, Config{Run: noRun})
		d.press("?")
		d.sees("Keys that work here and now", "move to the other side", "quit")
		d.lacks("take the last run back") // There is nothing to take back.
		d.golden("help-" + size)
		d.press("?")
		d.lacks("Keys that work")
	})
}

func TestDetails(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		d := live(t, w, h, Config{Run: noRun, Describe: func(_ context.Context, r Ref) (string, error) {
			if r.Kind == RefSecret {
				return "", errors.New("secrets \"public-cert\" is forbidden\x1b[2J")
			}
			return "apiVersion: networking.istio.io/v1\nkind: " + string(r.Kind) + "\nmetadata:\n  name: " + r.Name + "\n\tnote: \x1b]0;evil\x07tab\n", nil
		}})
		d.press("enter")
		d.sees("VirtualService", "traffic", "old, 0% on new", "Gates of moving it to new")
		d.golden("details-" + size)
		d.press("G")
		d.sees("kind: VirtualService", "name: argocd/argocd")
		d.lacks("evil")
		d.press("esc")
		for _, c := range []struct{ keys, want string }{
			{"1 d", "NodePorts"},
			{"2 d G", "forbidden"},
			{"3 d", "gateways"},
			{"4 G d", "forward pass-old-https"},
			{"6 d", "argocd.bigbang.example"},
			{"7 d", "Activity at"},
		} {
			d.press(c.keys)
			d.sees(c.want)
			d.press("esc")
		}
	})
}

func TestReadOnly(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		d := drive(t, w, h, Config{Run: noRun, ReadOnly: true})
		world := on(t, "argocd")
		d.deliver(world)
		d.sees("read-only")
		d.lacks("toggle", "mark", "undo")
		d.golden("readonly-" + size)
		d.press("t")
		d.lacks("Move ", "Take ")
		d.press("z")
		d.lacks("Take ")
		d.press("Z")
		d.lacks("Take ")
		d.press("?")
		d.lacks("Change", "move to the other side")
	})
}

func TestTrouble(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		d := live(t, w, h, Config{Run: noRun})
		m := standardWorld()
		m.problems = []model.Problem{
			{
				Source: "kubernetes", Operation: "list secrets", Kind: model.KindAccess, Resource: model.ResourceSecrets,
				Message: "secrets is forbidden: User \"viewer\"\x1b[31m cannot list", Since: testNow().Add(-2 * time.Minute),
			},
			{
				Source: "aws", Operation: "DescribeRules", Kind: model.KindAccess,
				Message: "ExpiredToken: the security token has expired", Since: testNow(),
			},
		}
		d.deliver(mustWorld(t, m))
		d.sees("kubernetes: denied · aws: expired · 2m old")
		d.lacks("live")
		d.golden("trouble-" + size)
		d.wait(time.Minute)
		d.sees("3m old")
		d.press("7 enter")
		d.sees("aws: expired, DescribeRules", "cannot list")
		d.press("esc")
		d.deliver(standardWorld().world(testNow().Add(time.Minute)))
		d.sees("live")
		d.press("7")
		d.sees("all observed again")
		d.lacks("kubernetes: denied ·")
		// The cluster goes on being observed, AWS does not.
		d.wait(25 * time.Second)
		d.deliver(standardWorld().world(testNow().Add(time.Minute)))
		d.sees("aws: 27s old")
		d.lacks("live")
	})
}

func TestTiny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 59, 40, Config{Run: noRun})
		d.golden("tiny-59x40")
		d.press("t y") // Nothing can be confirmed unseen.
		if d.app.dialog() != nil || d.app.run != nil {
			t.Error("a key worked that could not be seen to")
		}
		d.press("q")
		if !d.quit {
			t.Error("q did not quit")
		}
	})
}

func TestTabs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 80, 24, Config{Run: noRun})
		for i, want := range []string{"[1 Gateways]", "[2 Secrets]", "[3 VirtualServices]", "[4 Rules]", "[5 Hosts]", "[6 Probes]", "[7 Activity]"} {
			d.press(fmt.Sprint(i + 1))
			d.sees(want)
			d.golden(fmt.Sprintf("tab-%d-80x24", i+1))
		}
		d.press("tab")
		d.sees("[1 Gateways]")
		d.press("shift+tab shift+tab")
		d.sees("[6 Probes]")
	})
}

func TestBeforeTheFirstWorld(t *testing.T) {
	bothSizes(t, func(t *testing.T, w, h int, size string) {
		d := drive(t, w, h, Config{Run: noRun, Notices: []string{"A change of alb:443 10 was written by an earlier run and never recorded: it is applied."}})
		d.sees("connecting…", "Left by an earlier run", "never recorded")
		d.golden("start-" + size)
		d.press("enter")
		d.sees("Left by an earlier run")
		d.wait(time.Second)
		d.press("enter")
		d.lacks("Left by an earlier run")
		d.press("t z Z enter d j k G g / ? esc @ esc p ctrl+r s tab space")
		close(d.worlds)
		d.wait(time.Second)
		d.sees("stopped")
	})
}
