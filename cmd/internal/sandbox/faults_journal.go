package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/istio-cutover/cutover/model"
)

const (
	// smallDisk is the file that fills the small disk, and tells it from a real one.
	smallDisk = ".sandbox-disk-full"
	// blockSize is how a tmpfs gives room away, in bytes.
	blockSize = 4096
	// maxRoom bounds the room that may be left, in KiB.
	maxRoom = 1 << 20
	// journalIdle bounds how long a run may go on before the disk can be exchanged.
	journalIdle = 15 * time.Second
)

// journalFaults are those of the journal.
func journalFaults() []fault {
	return []fault{{
		name: "journal-full", does: "the disk with the journal is full, or has only some KiB left", argument: "KIB", standard: "0", on: fillDisk,
	}}
}

// journalDir is where a program that lives in the sandbox keeps its journals.
func (s *Sandbox) journalDir() string { return filepath.Join(s.stateDir, "cutover") }

// fillDisk puts a disk over the journal's folder that has all of its files and
// no room for more, other than the rest of each file's last block. Switched off,
// what was written meanwhile is kept.
func fillDisk(ctx context.Context, s *Sandbox, argument string) (*lasting, error) {
	room, err := strconv.Atoi(argument)
	if err != nil || room < 0 || room > maxRoom {
		return nil, errArgument(fmt.Sprintf("%q is no number of KiB from 0 to %d", argument, maxRoom))
	}
	dir := s.journalDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	below, err := os.OpenRoot(dir) // Reaches the folder under the disk, too.
	if err != nil {
		return nil, err
	}
	unlock, err := lockJournals(ctx, below)
	if err != nil {
		return nil, errors.Join(err, below.Close())
	}
	defer unlock()
	files, err := readFiles(below)
	if err == nil {
		err = mountFull(dir, files, room)
	}
	if err != nil {
		return nil, errors.Join(err, below.Close())
	}
	now := "no byte more fits on the journal's disk, but for the rest of a file's last block"
	if room > 0 {
		now = fmt.Sprintf("%d KiB more fit on the journal's disk", room)
	}
	return &lasting{
		now: now,
		off: func(ctx context.Context) (string, error) {
			if err := emptyDisk(ctx, dir, below); err != nil {
				return "", err
			}
			return "", below.Close()
		},
		// What a run writes after that is lost.
		force: func() error { return errors.Join(takeDisk(dir), below.Close()) },
	}, nil
}

// mountFull mounts a disk of the size of the files and of the room, in KiB, and
// copies the files to it.
func mountFull(dir string, files map[string]file, room int) error {
	size := blockSize + room<<10
	for _, f := range files {
		size += (len(f.content) + blockSize - 1) / blockSize * blockSize
	}
	if err := mountDisk(dir, size); err != nil {
		return &model.Error{
			Kind: model.KindInternal, Operation: "fault", Object: "journal-full",
			Message: "to have a disk that is full, the sandbox must be allowed to mount one: " + err.Error(),
			Remedy:  "run the sandbox as root; or let no file of the command itself grow: (ulimit -f 0; cutover shift …)", Err: err,
		}
	}
	disk, err := os.OpenRoot(dir)
	if err == nil {
		files[smallDisk] = file{content: make([]byte, blockSize), mode: 0o600}
		err = errors.Join(writeFiles(disk, files), disk.Close())
	}
	if err != nil {
		return errors.Join(err, unmountDisk(dir))
	}
	return nil
}

// emptyDisk takes the disk away, and puts what was written on it below.
func emptyDisk(ctx context.Context, dir string, below *os.Root) error {
	disk, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = disk.Close() }()
	// Nobody may write, neither here nor, once it can be reached again, there.
	for _, root := range []*os.Root{disk, below} {
		unlock, err := lockJournals(ctx, root)
		if err != nil {
			return err
		}
		defer unlock()
	}
	if err := copyBack(disk, below); err != nil {
		return err
	}
	return unmountDisk(dir)
}

// takeDisk takes the disk away whoever uses it, and puts what was written on it until then below.
func takeDisk(dir string) error {
	disk, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = disk.Close() }()
	// The folder below can be reached only once the disk is away, which still
	// can be read then.
	if err := unmountDisk(dir); err != nil {
		return err
	}
	below, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	return errors.Join(copyBack(disk, below), below.Close())
}

// copyBack puts the files on the disk below, other than the one that fills it.
func copyBack(disk, below *os.Root) error {
	files, err := readFiles(disk)
	if err != nil {
		return err
	}
	delete(files, smallDisk)
	return writeFiles(below, files)
}

// healDisk takes a disk away that a sandbox left, which was killed.
func (s *Sandbox) healDisk(ctx context.Context) error {
	dir := s.journalDir()
	if _, err := os.Lstat(filepath.Join(dir, smallDisk)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	disk, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = disk.Close() }()
	unlock, err := lockJournals(ctx, disk)
	if err != nil {
		return err
	}
	defer unlock()
	return takeDisk(dir)
}

// lockJournals waits until no run writes a journal in the folder, and keeps
// others from beginning to.
func lockJournals(ctx context.Context, dir *os.Root) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, journalIdle)
	defer cancel()
	var locks []*os.File
	unlock = func() {
		for _, l := range locks {
			_ = l.Close()
		}
	}
	names, err := fs.Glob(dir.FS(), "*.lock")
	for _, name := range names {
		var l *os.File
		if l, err = dir.OpenFile(name, os.O_RDWR, 0); err != nil {
			break
		}
		locks = append(locks, l)
		if err = flock(ctx, l); err != nil {
			break
		}
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

func flock(ctx context.Context, l *os.File) error {
	for {
		err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return &model.Error{
				Kind: model.KindBlocked, Operation: "fault", Object: "journal-full",
				Message: "a run is writing the journal", Remedy: "wait for it to end, or end it", Err: err,
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// file is a file that is copied to the disk and back.
type file struct {
	content []byte
	mode    fs.FileMode
}

// readFiles reads all files of a folder of journals.
func readFiles(dir *os.Root) (map[string]file, error) {
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return nil, err
	}
	files := map[string]file{}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		content, err := dir.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		files[e.Name()] = file{content, info.Mode().Perm()}
	}
	return files, nil
}

// writeFiles writes those files that differ from what is there, each aside and
// then renamed, so that there is always one or the other. A lock stays the file that it is.
func writeFiles(dir *os.Root, files map[string]file) error {
	for name, f := range files {
		before, err := dir.ReadFile(name)
		switch {
		case err == nil && (string(before) == string(f.content) || strings.HasSuffix(name, ".lock")):
			continue
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		aside := name + ".new"
		if err := writeFile(dir, aside, f); err != nil {
			return errors.Join(err, dir.Remove(aside))
		}
		if err := dir.Rename(aside, name); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(dir *os.Root, name string, f file) error {
	out, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, f.mode)
	if err != nil {
		return err
	}
	_, err = out.Write(f.content)
	return errors.Join(err, out.Sync(), out.Close())
}
