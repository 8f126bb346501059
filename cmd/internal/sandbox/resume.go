package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/istio-cutover/cutover/aws/awssim"
)

const (
	worldFile = "world.json"
	lockFile  = "world.lock"
)

// left is what is kept of a world, so that it can go on where it was left.
type left struct {
	// Cluster is the cluster's UID. The ids of all that the world begins with
	// follow from it too.
	Cluster string `json:"clusterUID"`
	Hosts   int    `json:"hosts"`
	// Shape tells worlds apart that begin with other things.
	Shape string `json:"shape"`
	// Actions are those of the rules and listeners that were modified, by ARN, as
	// ModifyRule and ModifyListener take them.
	Actions map[string][]types.Action `json:"actions"`
}

// saved is the record of a world, on disk while it has a directory.
type saved struct {
	left
	// dir is empty for a world that ends with its sandbox.
	dir  string
	lock *os.File
	log  *slog.Logger

	// begun is set once all that the world begins with is there; given has the ids of that.
	begun bool
	given map[string]bool
}

// newSaved finds the world that was left in dir, or begins a new one there. What
// stands against either is told by the error, and is no reason not to go on: the
// record can be used all the same. Without a dir, or where it cannot be had, the
// world is a new one that is not kept.
func newSaved(dir string, w world, log *slog.Logger) (*saved, error) {
	s := &saved{
		left: left{Cluster: randomUUID(), Hosts: len(w.apps), Shape: shape(w), Actions: map[string][]types.Action{}},
		log:  log, given: map[string]bool{},
	}
	if dir == "" {
		return s, nil
	}
	lock, err := acquire(dir)
	if err != nil {
		return s, fmt.Errorf("%w; this is a new world, which ends when it is left", err)
	}
	s.dir, s.lock = dir, lock
	before, err := readLeft(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil:
	case before.Hosts != s.Hosts:
		err = fmt.Errorf("the world in %s has %d hosts, not %d", dir, before.Hosts, s.Hosts)
	case before.Shape != s.Shape:
		err = fmt.Errorf("the world in %s is that of another version", dir)
	default:
		s.Cluster = before.Cluster
		maps.Copy(s.Actions, before.Actions)
		return s, nil
	}
	if err != nil {
		err = fmt.Errorf("%w; a new one takes its place", err)
	}
	return s, errors.Join(err, s.write())
}

// order stands for the order in which what the world begins with is created, by
// which it gets its ids: another order needs another number.
const order = 2

// shape identifies what a world begins with, apart from its ids.
func shape(w world) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %+v", order, w))
	return hex.EncodeToString(sum[:8])
}

// acquire takes the directory for this process until the file is closed.
func acquire(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keep a world: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep a world: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	_ = lock.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("the world in %s is in use by another demo", dir)
	}
	return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
}

func readLeft(dir string) (left, error) {
	var l left
	name := filepath.Join(dir, worldFile)
	raw, err := os.ReadFile(name)
	if err != nil {
		return l, fmt.Errorf("read the world that was left: %w", err)
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, fmt.Errorf("read %s: %w", name, err)
	}
	if l.Cluster == "" {
		return l, fmt.Errorf("read %s: it names no cluster", name)
	}
	return l, nil
}

// write replaces the file. It is written aside and renamed, so that a crash
// leaves the old one or the new one.
func (s *saved) write() error {
	if s.dir == "" {
		return nil
	}
	raw, err := json.MarshalIndent(s.left, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the world: %w", err)
	}
	tmp, err := os.CreateTemp(s.dir, worldFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("keep the world: %w", err)
	}
	_, err = tmp.Write(append(raw, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(s.dir, worldFile))
	}
	if err != nil {
		return fmt.Errorf("keep the world: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

// newID gives what the world begins with the same ids at every start, as it is
// created in the same order. What comes later has ids that never come again.
func (s *saved) newID() string {
	if s.begun {
		var b [8]byte
		// crypto/rand never fails: it ends the process where there is no randomness.
		_, _ = rand.Read(b[:])
		return hex.EncodeToString(b[:])
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", s.Cluster, len(s.given)))
	id := hex.EncodeToString(sum[:8])
	s.given[id] = true
	return id
}

// modified keeps the actions of what the world began with. A rule that was made
// later is not there at the next start.
func (s *saved) modified(arn string, actions []types.Action) {
	if !s.given[path.Base(arn)] {
		return
	}
	for i := range actions {
		// The secret is never reported, and the world begins with it.
		if oidc := actions[i].AuthenticateOidcConfig; oidc != nil {
			oidc.UseExistingClientSecret = new(true)
		}
	}
	if reflect.DeepEqual(s.Actions[arn], actions) {
		return
	}
	s.Actions[arn] = actions
	if err := s.write(); err != nil {
		s.log.Warn("a change will not be there at the next start", "arn", arn, "error", err)
	}
}

// resume gives rules and listeners the actions that they were left with, and
// tells which could not be.
func (s *saved) resume(ctx context.Context, sim *awssim.Sim) error {
	var failed []error
	for _, arn := range slices.Sorted(maps.Keys(s.Actions)) {
		var input any = &elb.ModifyRuleInput{RuleArn: &arn, Actions: s.Actions[arn]}
		if strings.Contains(arn, ":listener/") {
			input = &elb.ModifyListenerInput{ListenerArn: &arn, DefaultActions: s.Actions[arn]}
		}
		if _, err := sim.Call(ctx, input); err != nil {
			failed = append(failed, fmt.Errorf("%s is as it was in the beginning: %w", arn, err))
		}
	}
	return errors.Join(failed...)
}

func (s *saved) close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}
