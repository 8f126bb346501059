package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/istio-cutover/cutover/model"
)

func clock() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC) }

func lock(t testing.TB, j *Journal) *Writer {
	t.Helper()
	w, err := j.Lock(model.Operator{Kube: "platform", AWS: "arn:aws:iam::1:role/Platform"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func intent(actions model.JSON) model.Entry {
	return model.Entry{Kind: model.EntryIntent, Run: "r1", To: model.New, Change: &model.Change{
		Op: model.OpModifyRule, Listener: "l", Rule: "r", Label: "alb:443 10",
		Hosts:      []model.HostKey{{Host: "a.example", Lane: "public"}},
		AlsoServes: []string{},
		Before:     model.RuleState{Actions: `[{"Type":"forward"}]`},
		After:      model.RuleState{Actions: actions},
	}}
}

func TestAppendAndRead(t *testing.T) {
	j := Open(filepath.Join(t.TempDir(), "state"), Key{Cluster: "uid", Account: "1"})
	w := lock(t, j)
	for i, e := range []model.Entry{
		intent(`[{"Type":"forward","Order":1}]`),
		{Kind: model.EntryDone, Run: "r1", Intent: 1},
		{Kind: model.EntryNote, Run: "r1", Reason: "by access log\x1b[31m,\nproven", Proof: model.ProofProven},
	} {
		if seq, err := w.Append(e); err != nil || seq != uint64(i+1) {
			t.Fatalf("append %d: seq %d, %v", i, seq, err)
		}
	}
	log, err := j.Read()
	if err != nil {
		t.Fatal(err)
	}
	if len(log.Entries) != 3 || log.Torn {
		t.Fatalf("got %d entries, torn %v", len(log.Entries), log.Torn)
	}
	want := intent(`[{"Order":1,"Type":"forward"}]`)
	if diff := cmp.Diff(want.Change, log.Entries[0].Change); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
	if got := log.Entries[2].Reason; got != "by access log, proven" {
		t.Errorf("reason %q was not sanitized", got)
	}
	if log.Entries[1].Previous != log.Entries[0].Hash || log.Entries[0].Hash == "" {
		t.Error("entries are not chained")
	}
	if !log.Entries[0].Time.Equal(clock()) {
		t.Errorf("time %v", log.Entries[0].Time)
	}
	info, err := os.Stat(j.Path())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if len(model.Records(log.Entries)) != 1 || len(model.Unsettled(log.Entries)) != 0 {
		t.Error("the done change is not a record, or is unsettled")
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	j := Open(t.TempDir(), Key{Cluster: "uid", Account: "1"})
	w := lock(t, j)
	_, err := j.Lock(model.Operator{}, clock)
	if model.KindOf(err) != model.KindBlocked || !strings.Contains(err.Error(), "process ") {
		t.Fatalf("second writer: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lock(t, j)
}

func TestTornLastLineIsDropped(t *testing.T) {
	j := Open(t.TempDir(), Key{Cluster: "uid", Account: "1"})
	w := lock(t, j)
	for range 2 {
		if _, err := w.Append(intent(`[]`)); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	raw, _ := os.ReadFile(j.Path())
	whole := bytes.IndexByte(raw, '\n') + 1
	for cut := whole + 1; cut < len(raw); cut++ {
		if err := os.WriteFile(j.Path(), raw[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		log, err := j.Read()
		if err != nil || len(log.Entries) != 1 || !log.Torn {
			t.Fatalf("cut at %d: %d entries, torn %v, %v", cut, len(log.Entries), log.Torn, err)
		}
	}
	w = lock(t, j)
	if seq, err := w.Append(intent(`[]`)); err != nil || seq != 2 {
		t.Fatalf("append after a torn line: %d, %v", seq, err)
	}
	if log, err := j.Read(); err != nil || len(log.Entries) != 2 || log.Torn {
		t.Fatalf("after: %d entries, %v", len(log.Entries), err)
	}
}

// Any single byte changed, and any line removed but the last ones, is found.
func TestChainFindsTampering(t *testing.T) {
	dir := t.TempDir()
	j := Open(dir, Key{Cluster: "uid", Account: "1"})
	w := lock(t, j)
	for range 4 {
		if _, err := w.Append(intent(`[{"Type":"forward"}]`)); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	raw, _ := os.ReadFile(j.Path())
	rapid.Check(t, func(t *rapid.T) {
		changed := bytes.Clone(raw)
		i := rapid.IntRange(0, len(raw)-2).Draw(t, "at") // The last newline only tears the line.
		changed[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "xor"))
		if log, err := j.read(bytes.NewReader(changed)); err == nil && !log.Torn {
			t.Fatalf("byte %d changed from %q to %q was not found", i, raw[i], changed[i])
		}
	})
	lines := bytes.SplitAfter(raw, []byte("\n"))
	for i := range 3 {
		without := append(bytes.Join(lines[:i], nil), bytes.Join(lines[i+1:], nil)...)
		if _, err := j.read(bytes.NewReader(without)); err == nil {
			t.Errorf("line %d removed was not found", i+1)
		}
	}
}

func TestAppendFailureLeavesNothing(t *testing.T) {
	j := Open(t.TempDir(), Key{Cluster: "uid", Account: "1"})
	w := lock(t, j)
	if _, err := w.Append(intent(`[]`)); err != nil {
		t.Fatal(err)
	}
	real := w.file
	readOnly, err := os.Open(j.Path())
	if err != nil {
		t.Fatal(err)
	}
	w.file = readOnly
	if _, err := w.Append(intent(`[]`)); err == nil || !strings.Contains(err.Error(), j.Path()) {
		t.Fatalf("append to a file that cannot be written: %v", err)
	}
	_ = readOnly.Close()
	w.file = real
	if seq, err := w.Append(intent(`[]`)); err != nil || seq != 2 {
		t.Fatalf("append after a failure: %d, %v", seq, err)
	}
	if log, err := j.Read(); err != nil || len(log.Entries) != 2 {
		t.Fatalf("%d entries, %v", len(log.Entries), err)
	}
}

func TestIndex(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if uid, err := Recall(dir, "https://a"); err != nil || uid != "" {
		t.Fatal(uid, err)
	}
	for _, kv := range [][2]string{{"https://a", "1"}, {"https://b", "2"}, {"https://a", "3"}} {
		if err := Remember(dir, kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	if uid, err := Recall(dir, "https://a"); err != nil || uid != "3" {
		t.Fatal(uid, err)
	}
	if err := os.WriteFile(filepath.Join(dir, indexName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var e *model.Error
	if _, err := Recall(dir, "https://a"); !errors.As(err, &e) || e.Remedy == "" {
		t.Fatalf("a broken index: %v", err)
	}
}

func TestOutsideNamesStayInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	j := Open(dir, Key{Cluster: "../../etc/x", Account: "a/b\x1b"})
	if filepath.Dir(j.Path()) != dir {
		t.Fatal(j.Path())
	}
	for _, account := range []string{"2", "1"} {
		_ = lock(t, Open(dir, Key{Cluster: "uid", Account: account})).Close()
	}
	if diff := cmp.Diff([]string{"1", "2"}, Accounts(dir, "uid")); diff != "" {
		t.Error(diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"seq":1,"kind":"note","previous":"","hash":""}` + "\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = Open(t.TempDir(), Key{}).read(bytes.NewReader(raw))
	})
}

// TestWhatIsKeptExactlyIsSafeToShow: rules come back byte for byte, but the
// file holds no character that could control a terminal.
func TestWhatIsKeptExactlyIsSafeToShow(t *testing.T) {
	j := Open(t.TempDir(), Key{Cluster: "uid", Account: "1"})
	e := intent(`[{"Type":"forward"}]`)
	e.Change.Before.Tags = map[string]string{"note": "\x1b]0;title\x07\u009b2J\u202eZürich\x7f\U000e0001\r\n"}
	if _, err := lock(t, j).Append(e); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(j.Path())
	if err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSuffix(string(raw), "\n")
	if model.Line(line) != line || !strings.Contains(line, "Zürich") {
		t.Errorf("the file has control characters: %q", line)
	}
	log, err := j.Read()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.Change, log.Entries[0].Change); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
}
