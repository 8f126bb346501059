package tui

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// TestTraffic: what the gateways serve is shown with its age, and what is not
// known as such, with the reason.
func TestTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := live(t, 120, 40, Config{Run: noRun})
		d.sees("traffic old 12.4/s  new 0.0/s ")
		d.lacks(" ago")
		view := probesOf(mustWorld(t, standardWorld()), testNow())
		show := func(change func(*model.LaneTraffic), want string) {
			t.Helper()
			lane := view.Traffic["public"]
			change(&lane)
			view.Traffic = map[string]model.LaneTraffic{"public": lane}
			d.observe(view)
			d.sees(want)
		}
		show(func(l *model.LaneTraffic) { l.New.Requests = 1234.5 }, "new 1234/s")
		show(func(l *model.LaneTraffic) { l.Unit = model.UnitConnections }, "connections old 0.0/s  new 0.0/s ")
		show(func(l *model.LaneTraffic) {
			l.Unit, l.New.Unknown = model.UnitRequests, "pods/proxy is not granted\x1b[2J"
		}, "pods/proxy is not granted")
		d.wait(20 * time.Second)
		d.observe(view)
		d.sees("traffic old 12.4/s  new 1234/s ", "as of 22s ago: pods/proxy is ")
		show(func(l *model.LaneTraffic) {
			l.Old, l.New = model.Traffic{}, model.Traffic{Unknown: "no answer in time"}
		}, "no answer in time")
		d.sees("traffic old ?  new ? ")
		view.Traffic = nil
		d.observe(view)
		d.lacks("traffic old")
	})
}
