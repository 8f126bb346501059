package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// Writer appends to a journal. It holds the journal's lock until Close. It is
// safe for concurrent use.
type Writer struct {
	journal  *Journal
	operator model.Operator
	now      func() time.Time
	lock     *os.File

	mu       sync.Mutex
	file     *os.File
	seq      uint64
	previous string
	end      int64
}

// Lock opens the journal for writing, makes its directory and file where they
// do not exist, and drops a torn last line. It fails with model.KindBlocked
// when another process holds the lock, and as Read does.
func (j *Journal) Lock(operator model.Operator, now func() time.Time) (*Writer, error) {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return nil, j.failure("open journal", err)
	}
	lock, err := j.acquire()
	if err != nil {
		return nil, err
	}
	w, err := j.open(lock, operator, now)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return w, nil
}

func (j *Journal) acquire() (*os.File, error) {
	path := filepath.Join(j.dir, j.name+".lock")
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, j.failure("lock journal", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := make([]byte, 32)
		n, _ := lock.Read(holder) // The number is for the message only.
		_ = lock.Close()
		return nil, &model.Error{
			Kind: model.KindBlocked, Operation: "lock journal", Object: j.Path(),
			Message: "another cutover is changing this cluster and account" + process(string(holder[:n])),
			Remedy:  "wait for it to end, or end it",
		}
	}
	if err != nil {
		_ = lock.Close()
		return nil, j.failure("lock journal", err)
	}
	_ = lock.Truncate(0)
	_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return lock, nil
}

func process(holder string) string {
	pid, err := strconv.Atoi(strings.TrimSpace(holder))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

func (j *Journal) open(lock *os.File, operator model.Operator, now func() time.Time) (*Writer, error) {
	file, err := os.OpenFile(j.Path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, j.failure("open journal", err)
	}
	log, err := j.read(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w := &Writer{journal: j, operator: operator, now: now, lock: lock, file: file, end: log.end}
	if n := len(log.Entries); n > 0 {
		w.seq, w.previous = log.Entries[n-1].Seq, log.Entries[n-1].Hash
	}
	if log.Torn {
		err = file.Truncate(log.end)
	}
	if err == nil {
		// The new file's name must survive a crash as its lines do.
		err = syncDir(j.dir)
	}
	if err != nil {
		return nil, errors.Join(j.failure("open journal", err), file.Close())
	}
	return w, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Append completes e with number, time, operator and hashes and makes it
// durable before it returns the entry's number. When it fails nothing of the
// entry stays behind.
func (w *Writer) Append(e model.Entry) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return 0, w.journal.failure("append to journal", os.ErrClosed)
	}
	e.Seq, e.Time, e.Operator, e.Previous = w.seq+1, w.now().UTC(), w.operator, w.previous
	e.Reason = model.Line(e.Reason)
	line, err := render(&e)
	if err == nil {
		_, err = w.file.WriteAt(line, w.end)
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		// Half a line in the middle would break the chain for whatever is
		// appended later; as a torn last line it does no harm.
		_ = w.file.Truncate(w.end)
		return 0, w.journal.failure("append to journal", err)
	}
	w.seq, w.previous = e.Seq, e.Hash
	w.end += int64(len(line))
	return e.Seq, nil
}

// Entries returns all entries, those of this Writer included.
func (w *Writer) Entries() ([]model.Entry, error) {
	log, err := w.journal.Read()
	return log.Entries, err
}

// KeepScript writes the script of a run's way back beside the journal, mode
// 0700, and returns its path. When it fails nothing of it stays behind.
func (w *Writer) KeepScript(run, script string) (string, error) {
	path := filepath.Join(w.journal.dir, w.journal.name+"-way-back-"+fileName(run)+".sh")
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		_ = os.Remove(path) // Half a way back is none.
		return "", failure("write the way back", path, err)
	}
	return path, nil
}

// Close releases the lock. It may be called twice.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.file.Close(), w.lock.Close())
	w.file = nil
	return err
}
