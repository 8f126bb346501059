package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/istio-cutover/cutover/model"
)

// Key says which world a journal belongs to.
type Key struct {
	Cluster string // cluster UID
	Account string // AWS account number
}

// Journal names the journal of one cluster and account. The zero value is not
// usable; use Open. It is safe for concurrent use.
type Journal struct {
	dir  string
	name string
}

// Open returns the journal of key under the state directory dir. It touches
// no file.
func Open(dir string, key Key) *Journal {
	return &Journal{dir: dir, name: fileName(key.Cluster) + "-" + fileName(key.Account)}
}

// fileName keeps what came from outside from naming another directory.
func fileName(s string) string {
	s = regexp.MustCompile(`[^A-Za-z0-9.-]`).ReplaceAllString(s, "_")
	if s == "" {
		return "unknown"
	}
	return s
}

// Accounts returns the AWS accounts that have a journal of the cluster under
// dir, sorted: what to look for when AWS does not say who we are.
func Accounts(dir, cluster string) []string {
	prefix, suffix := fileName(cluster)+"-", ".jsonl"
	files, _ := filepath.Glob(filepath.Join(dir, "*"+suffix)) // The pattern is well-formed.
	var out []string
	for _, f := range files {
		name := filepath.Base(f)
		if strings.HasPrefix(name, prefix) {
			out = append(out, strings.TrimSuffix(strings.TrimPrefix(name, prefix), suffix))
		}
	}
	slices.Sort(out)
	return out
}

// Path is the journal file's path. The file may not exist yet.
func (j *Journal) Path() string { return filepath.Join(j.dir, j.name+".jsonl") }

// Log is what a journal holds.
type Log struct {
	Entries []model.Entry
	// Torn is set when the last line is not whole: power was lost while it was
	// written. Such an entry never took effect, as every write to AWS comes
	// after its intent is durable.
	Torn bool
	// end is the length of the whole lines in bytes.
	end int64
}

// Read returns all entries. It fails with model.KindInternal when the chain is
// broken, naming the first bad line; the entries before it are returned
// nevertheless. A journal that does not exist is empty.
func (j *Journal) Read() (Log, error) {
	f, err := os.Open(j.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return Log{}, nil
	}
	if err != nil {
		return Log{}, j.failure("read journal", err)
	}
	defer func() { _ = f.Close() }()
	return j.read(f)
}

func (j *Journal) read(r io.Reader) (Log, error) {
	var log Log
	previous := ""
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			log.Torn = len(line) > 0
			return log, nil
		case err != nil:
			return log, j.failure("read journal", err)
		}
		entry, err := parse(line, uint64(n), previous)
		if err != nil {
			return log, &model.Error{
				Kind: model.KindInternal, Operation: "verify journal", Object: j.Path(),
				Message: fmt.Sprintf("line %d: %v", n, err),
				Remedy:  "keep the file as evidence and move it away; rollback --print needs the entries before that line",
				Err:     err,
			}
		}
		log.Entries = append(log.Entries, entry)
		log.end += int64(len(line))
		previous = entry.Hash
	}
}

// hashField is how a line ends. It is cut off before hashing, so that a chain
// written with fields that this version does not know still verifies.
const hashField = `,"hash":"`

func parse(line []byte, seq uint64, previous string) (model.Entry, error) {
	var e model.Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("not an entry: %w", err)
	}
	line = bytes.TrimRight(line, "\n")
	cut := bytes.LastIndex(line, []byte(hashField))
	if cut < 0 || string(line[cut:]) != hashField+e.Hash+`"}` {
		return e, errors.New("does not end with its hash")
	}
	switch {
	case hash(line[:cut]) != e.Hash:
		return e, errors.New("was changed: its hash does not fit")
	case e.Previous != previous:
		return e, errors.New("does not follow the line before it: an entry was removed or replaced")
	case e.Seq != seq:
		return e, fmt.Errorf("has number %d", e.Seq)
	}
	return e, nil
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// render returns the line of e, with its hash filled in.
func render(e *model.Entry) ([]byte, error) {
	e.Hash = ""
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode entry: %w", err)
	}
	body := bytes.TrimSuffix(escaped(line), []byte(hashField+`"}`))
	e.Hash = hash(body)
	return append(body, hashField+e.Hash+"\"}\n"...), nil
}

// escaped writes what could control a terminal as JSON's \u escapes. Rules are
// restored exactly as they were, so nothing of theirs is dropped; but people
// look at the file with cat.
func escaped(line []byte) []byte {
	if !bytes.ContainsFunc(line, deceives) {
		return line
	}
	var out bytes.Buffer
	for _, r := range string(line) {
		if !deceives(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.Bytes()
}

// deceives reports characters that [json.Marshal] leaves as they are and that
// model.Line drops.
func deceives(r rune) bool { return r >= 0x7f && model.Line(string(r)) == "" }

func (j *Journal) failure(operation string, err error) error {
	return failure(operation, j.Path(), err)
}

func failure(operation, path string, err error) error {
	message := err.Error()
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		message = file.Err.Error() // Where only the cause is shown, a long path hides it.
	}
	return &model.Error{
		Kind: model.KindInternal, Operation: operation, Object: path, Message: message, Err: err,
		Remedy: "check the state directory's permissions and free space, or name another with --state-dir",
	}
}
