package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// mostActivity bounds how many entries are kept.
const mostActivity = 500

// activity is something that happened, for pane 7.
type activity struct {
	seq    int
	time   time.Time
	text   string
	style  style
	detail string
}

// note adds an entry. Text from outside must have passed model.Line.
func (a *App) note(st style, text, detail string) {
	a.activitySeq++
	a.activities = append(a.activities, activity{a.activitySeq, a.now, text, st, model.Text(detail)})
	if len(a.activities) > mostActivity {
		a.activities = a.activities[len(a.activities)-mostActivity:]
	}
	a.stale.activity = true
}

func activityColumns() []column {
	return []column{{fixed: 8}, {least: 10, give: 1}}
}

// activityRows lists the entries, the newest first.
func activityRows(list []activity, now time.Time) []row {
	rows := make([]row, 0, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		e := list[i]
		rows = append(rows, row{
			id:     fmt.Sprint(e.seq),
			fields: []field{text(activityTime(e.time, now), styleDim), text(e.text, e.style)},
			search: strings.ToLower(e.text),
		})
	}
	return rows
}
