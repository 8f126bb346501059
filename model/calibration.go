package model

// JudgeCalibration says whether one side counts what was sent straight to it
// between two readings: shown when what it has counted for services has risen
// by as much, short while it has not. Nothing can be said when a pod came, went or
// began anew meanwhile. Alone reports that nothing else was counted: only then
// is the time that it took known to be what this side takes to count.
func JudgeCalibration(u Unit, services []string, sent int, w CounterWindow) (verdict CounterVerdict, alone bool) {
	if len(w.Before) != len(w.After) {
		return CountersTellNothing, false
	}
	rise := 0.0
	for pod, after := range w.After {
		before, known := w.Before[pod]
		if !known || after.reset(before) {
			return CountersTellNothing, false
		}
		rise += after.risen(before, u, services)
	}
	if sent <= 0 || rise < float64(sent) {
		return CountersShort, false
	}
	return CountersShow, rise == float64(sent)
}
