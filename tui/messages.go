package tui

import (
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// Messages say what has happened. Those that answer something carry the
// generation of what they answer; older ones are dropped.
type (
	// worldArrived brings the newest World; open is false when there will be
	// no more.
	worldArrived struct {
		world World
		open  bool
	}
	probesArrived struct {
		view ProbeView
		open bool
	}
	commandsLogged struct {
		lines []CommandLine
		open  bool
	}
	// gatesJudged brings the worst gate of each host, nil when those were not
	// judged, and the gates of the plan that was open.
	gatesJudged struct {
		snapshot *model.Snapshot
		worst    map[model.HostKey]model.Gate
		plan     string // the plan's ID, "" for none
		gates    []model.HostGate
	}
	ticked struct{ now time.Time }
	// runAdvanced brings events of the run in flight; result is set with the
	// last ones.
	runAdvanced struct {
		generation int
		events     []run.Event
		result     *run.Result
	}
	// described brings the text of an object in a details dialog.
	described struct {
		generation int
		ref        Ref
		text       string
		err        error
	}
	// sideChosen answers to which side hosts of both sides go.
	sideChosen struct {
		hosts []model.HostKey
		to    model.SideName
	}
	// laneChosen answers that a network load balancer's hosts all go together.
	laneChosen struct {
		hosts []model.HostKey
		to    model.SideName
	}
	// quitConfirmed answers that the run in flight is to be stopped.
	quitConfirmed struct{}
	// stopConfirmed answers that the run in flight is to be stopped and taken back.
	stopConfirmed struct{}
	// quitTimedOut says that the run did not end in time after it was told to.
	quitTimedOut struct{ generation int }
)
