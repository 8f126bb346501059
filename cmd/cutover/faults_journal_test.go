package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestJournalFullOnTheWay: the disk becomes full during a run of several hosts.
// What cannot be recorded is not done, what was done is told and can be taken
// back, on the full disk too, and the journal is true.
func TestJournalFullOnTheWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	shift := []string{"shift", "--to", "new", "--yes", "--proof", "0"}
	for _, name := range []string{"argocd", "gitlab", "registry", "minio", "minio-api", "mattermost"} {
		shift = append(shift, "--host", name+".bigbang.example")
	}
	scripts := func() int {
		names, err := filepath.Glob(filepath.Join(stateOf(s), "cutover", "*.sh"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	fault(t, s, "journal-full", "12")
	says{shift, 1, "write the way back", "--state-dir"}.check(t, s)
	if n := scripts(); n != 0 {
		t.Errorf("half a way back is left: %d scripts", n)
	}
	fault(t, s, "journal-full", "16") // The way back, and half of what is to be recorded.
	says{shift, 9, "append to journal", "--state-dir"}.check(t, s)
	journalWhole(t, s)
	says{[]string{"status"}, 0, "argocd.bigbang.example public new, unproven", ""}.check(t, s)
	says{[]string{"status"}, 0, "mattermost.bigbang.example public old", ""}.check(t, s)
	o := ended(t, sandboxed(t, s, "", "rollback", "--all", "--yes"))
	if o.exit != 0 || !strings.Contains(o.stdout, "done        rolled-back") || !strings.Contains(o.stdout, "going on without the journal") {
		t.Errorf("the way back: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	fault(t, s, "off")
	nothingChanged(t, s)
	says{shift, 0, "switched", ""}.check(t, s)
}
