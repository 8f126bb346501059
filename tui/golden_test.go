package tui

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// live starts a console on the standard world with good probes.
func live(t *testing.T, w, h int, cfg Config) *driver {
	t.Helper()
	d := drive(t, w, h, cfg)
	world := mustWorld(t, standardWorld())
	d.deliver(world)
	d.observe(probesOf(world, testNow()))
	return d
}

func TestMainScreen(t *testing.T) {
	for _, size := range [][2]int{{120, 40}, {80, 24}, {200, 60}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := live(t, size[0], size[1], Config{Run: noRun})
				d.golden(fmt.Sprintf("main-%dx%d", size[0], size[1]))
			})
		})
	}
}
