package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/journal"
)

// fill switches journal-full on, or skips the test where no disk may be mounted.
func (s *Sandbox) fill(t *testing.T, kib string) {
	t.Helper()
	_, err := s.Fault(t.Context(), "journal-full", kib)
	refused := errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported)
	if refused && os.Getenv("CI") != "true" {
		t.Skipf("no disk may be mounted here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *Sandbox) journal() *journal.Journal {
	return journal.Open(s.journalDir(), journal.Key{Cluster: "c", Account: account})
}

// note appends a note to the journal.
func (s *Sandbox) note(t *testing.T, reason string) error {
	t.Helper()
	w, err := s.journal().Lock(model.Operator{}, time.Now)
	if err != nil {
		return err
	}
	_, err = w.Append(model.Entry{Kind: model.EntryNote, Reason: reason})
	return errors.Join(err, w.Close())
}

// noted is how many notes the journal has.
func (s *Sandbox) noted(t *testing.T) int {
	t.Helper()
	log, err := s.journal().Read()
	if err != nil {
		t.Fatal(err)
	}
	return len(log.Entries)
}

// TestJournalFull: nothing can be appended, and nothing is lost, neither of what
// was there nor of what still found room.
func TestJournalFull(t *testing.T) {
	s := start(t, Options{StateDir: t.TempDir()})
	s.fill(t, "")
	if err := s.note(t, "the first"); !errors.Is(err, syscall.ENOSPC) || err.Error() != "append to journal: "+s.journal().Path()+": no space left on device" {
		t.Errorf("on a disk that is full: %v", err)
	}
	if _, err := s.FaultOff(t.Context(), "journal-full"); err != nil {
		t.Fatal(err)
	}
	if err := s.note(t, "the first"); err != nil {
		t.Error(err)
	}
	s.fill(t, "")
	// A last block has some room.
	for n := s.noted(t); ; n++ {
		if s.noted(t) != n {
			t.Fatalf("%d entries, %d appended", s.noted(t), n)
		}
		if err := s.note(t, strings.Repeat("x", 500)); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Error(err)
			}
			break
		}
	}
	script := filepath.Join(s.journalDir(), "way-back.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a script: %v", err)
	}
	n := s.noted(t)
	s.fill(t, "8") // From one to the other.
	if got := s.noted(t); got != n {
		t.Errorf("%d entries, %d appended", got, n)
	}
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Errorf("a script, with room for it: %v", err)
	}
	if _, err := s.FaultOff(t.Context(), "journal-full"); err != nil {
		t.Fatal(err)
	}
	if got := s.noted(t); got != n {
		t.Errorf("%d entries, %d appended", got, n)
	}
	if info, err := os.Stat(script); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(s.journalDir(), smallDisk)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something of the disk is left: %v", err)
	}
	for _, room := range []string{"-1", "much", "1048577"} {
		if _, err := s.Fault(t.Context(), "journal-full", room); model.KindOf(err) != model.KindUsage {
			t.Errorf("%s: %v", room, err)
		}
	}
}

// TestJournalFullWhileARunWrites: the disk is not exchanged under a run.
func TestJournalFullWhileARunWrites(t *testing.T) {
	s := start(t, Options{StateDir: t.TempDir()})
	s.fill(t, "64")
	w, err := s.journal().Lock(model.Operator{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	hurried, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.FaultOff(hurried, "journal-full"); model.KindOf(err) != model.KindBlocked {
		t.Errorf("the disk was taken away: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.journalDir(), smallDisk)); err != nil {
		t.Errorf("the disk was taken away: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.FaultOff(t.Context(), "journal-full")
		ended <- err
	}()
	if _, err := w.Append(model.Entry{Kind: model.EntryNote}); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := s.noted(t); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// TestCloseWhileARunWrites: the disk does not outlive the sandbox, and what the
// run wrote does where the folder does.
func TestCloseWhileARunWrites(t *testing.T) {
	for name, dir := range map[string]string{"kept": t.TempDir(), "the sandbox's own": ""} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{StateDir: dir})
			s.fill(t, "64")
			w, err := s.journal().Lock(model.Operator{}, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if _, err := w.Append(model.Entry{Kind: model.EntryNote}); err != nil {
				t.Fatal(err)
			}
			hurried, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.endFaults(hurried); model.KindOf(err) != model.KindBlocked {
				t.Errorf("that a run goes on is not said: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if dir == "" {
				if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the sandbox's files are left: %v", err)
				}
				return
			}
			if _, err := os.Stat(filepath.Join(s.journalDir(), smallDisk)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something of the disk is left: %v", err)
			}
			if n := s.noted(t); n != 1 {
				t.Errorf("%d entries", n)
			}
		})
	}
}

// TestDiskOfASandboxThatWasKilled is taken away by the next that begins there.
func TestDiskOfASandboxThatWasKilled(t *testing.T) {
	for name, at := range map[string]func(dir string) Options{
		"resumed":         func(dir string) Options { return Options{Resume: dir} },
		"state directory": func(dir string) Options { return Options{StateDir: dir} },
	} {
		t.Run(name, func(t *testing.T) {
			options := at(t.TempDir())
			s := start(t, options)
			if err := s.note(t, "before"); err != nil {
				t.Fatal(err)
			}
			s.fill(t, "4")
			if err := s.note(t, "on the disk"); err != nil {
				t.Fatal(err)
			}
			s.faults.on = nil // As if it had never come to its end.
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			next := start(t, options)
			if err := next.NotResumed(); err != nil {
				t.Error(err)
			}
			if n := next.noted(t); n != 2 {
				t.Errorf("%d entries", n)
			}
			for range 20 {
				if err := next.note(t, strings.Repeat("x", 500)); err != nil {
					t.Fatalf("it is still full: %v", err)
				}
			}
			if _, err := os.Stat(filepath.Join(next.journalDir(), smallDisk)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something of the disk is left: %v", err)
			}
		})
	}
}
