package main

import (
	"testing"

	"github.com/istio-cutover/cutover/model"
)

// TestWithChanges: an outcome is listed with the change of its intent, and what
// is on disk stays as it is.
func TestWithChanges(t *testing.T) {
	change := &model.Change{Op: model.OpModifyRule, Rule: "r"}
	entries := []model.Entry{
		{Seq: 1, Kind: model.EntryOverride},
		{Seq: 2, Kind: model.EntryIntent, Change: change},
		{Seq: 3, Kind: model.EntryDone, Intent: 2},
		{Seq: 4, Kind: model.EntryFailed, Intent: 9},
		{Seq: 5, Kind: model.EntryNote, Intent: 2},
	}
	for i, want := range []*model.Change{nil, change, change, nil, nil} {
		if got := withChanges(entries)[i].Change; got != want {
			t.Errorf("entry %d: %v", i+1, got)
		}
	}
	if entries[2].Change != nil {
		t.Error("the entries themselves were modified")
	}
}

// TestExitOfWhatIsMissing: only a name that the operator gave is usage; what
// the cluster lacks, such as Istio's definitions, is a failure.
func TestExitOfWhatIsMissing(t *testing.T) {
	for kind, want := range map[model.Kind]int{model.KindUsage: exitUsage, model.KindNotFound: exitFailed, model.KindAccess: exitAccess} {
		if got := exitOf(kind); got != want {
			t.Errorf("%s: exit %d, want %d", kind, got, want)
		}
	}
}
