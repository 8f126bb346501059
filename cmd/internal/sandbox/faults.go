package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/istio-cutover/cutover/model"
)

// Fault is one way in which a world can be made to fail, and how it is with a
// running one.
type Fault struct {
	Name string `json:"name"`
	// Does is what goes wrong, in a few words.
	Does string `json:"does"`
	// Argument says what may be asked for, empty where nothing may; Default is
	// what is taken when nothing is.
	Argument string `json:"argument"`
	Default  string `json:"default"`
	On       bool   `json:"on"`
	// Now is what is so as long as the fault is on, in words, empty while it is off.
	Now string `json:"now"`
	// Note is what there is to know about switching it off, mostly nothing.
	Note string `json:"note"`
}

// fault is how a Fault is made.
type fault struct {
	name, does         string
	argument, standard string
	// on switches it on in a world where it is off. It returns soon; what lasts
	// goes on behind it.
	on func(ctx context.Context, s *Sandbox, argument string) (*lasting, error)
}

// lasting is a fault that is on.
type lasting struct {
	now string
	// off ends it. A note says what was left as it is; after an error the fault
	// is still on.
	off func(ctx context.Context) (note string, err error)
	// force, where it is not nil, ends it when off cannot and the sandbox is over,
	// at the cost of whoever stands against it.
	force func() error
	// over, where it is not nil, says that the fault has ended by itself.
	over func() bool
}

// definitions are all faults, in the order in which they are listed.
func definitions() []fault {
	return slices.Concat(awsFaults(), kubeFaults(), gatewayFaults(), logFaults(), othersFaults(), journalFaults())
}

// switches are a sandbox's faults. The zero value has none on.
type switches struct {
	mu     sync.Mutex
	on     map[string]*lasting
	closed bool
}

// AllFaults are the faults that there are, all of them off.
func AllFaults() []Fault {
	var all []Fault
	for _, d := range definitions() {
		all = append(all, d.state(nil))
	}
	return all
}

func (d fault) state(l *lasting) Fault {
	f := Fault{Name: d.name, Does: d.does, Argument: d.argument, Default: d.standard}
	if l != nil {
		f.On, f.Now = true, l.now
	}
	return f
}

// Faults says which faults are on.
func (s *Sandbox) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	var all []Fault
	for _, d := range definitions() {
		all = append(all, d.state(s.faults.lasting(d.name)))
	}
	return all
}

// Fault switches a fault on, with an argument or, where that is empty, the
// fault's default. One that is on already is switched off first. The error is a
// [*model.Error]: usage for a name that no fault has and for an argument that
// means nothing, internal where this machine cannot have the fault.
func (s *Sandbox) Fault(ctx context.Context, name, argument string) (Fault, error) {
	d, err := definition(name)
	if err != nil {
		return Fault{}, err
	}
	if d.argument == "" && argument != "" {
		return Fault{}, faultUsage(name, fmt.Sprintf("it takes no argument, and %q is one", argument), d.usage())
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if s.faults.closed {
		return Fault{}, &model.Error{Kind: model.KindUnreachable, Operation: "fault", Object: name, Message: "the sandbox has ended"}
	}
	if _, err := s.faults.end(ctx, name); err != nil {
		return Fault{}, faultError(name, err, "")
	}
	l, err := d.on(ctx, s, cmp.Or(argument, d.standard))
	if err != nil {
		return Fault{}, faultError(name, err, d.usage())
	}
	if s.faults.on == nil {
		s.faults.on = map[string]*lasting{}
	}
	s.faults.on[name] = l
	return d.state(l), nil
}

// FaultOff switches a fault off; one that is off stays so.
func (s *Sandbox) FaultOff(ctx context.Context, name string) (Fault, error) {
	d, err := definition(name)
	if err != nil {
		return Fault{}, err
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	note, err := s.faults.end(ctx, name)
	if err != nil {
		return Fault{}, faultError(name, err, "")
	}
	f := d.state(nil)
	f.Note = note
	return f, nil
}

// FaultsOff switches all faults off.
func (s *Sandbox) FaultsOff(ctx context.Context) error {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.endAll(ctx)
}

// endFaults switches all faults off for good. Those that cannot be are ended by
// force where there is a way, and told all the same.
func (s *Sandbox) endFaults(ctx context.Context) error {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.closed = true
	err := s.faults.endAll(ctx)
	for name, l := range s.faults.on {
		if l.force == nil {
			continue
		}
		delete(s.faults.on, name)
		if failed := l.force(); failed != nil {
			err = errors.Join(err, faultError(name, failed, ""))
		}
	}
	return err
}

// lasting gives a fault that is on, nil when it is off.
func (f *switches) lasting(name string) *lasting {
	if l := f.on[name]; l != nil && (l.over == nil || !l.over()) {
		return l
	}
	return nil
}

// end switches a fault off.
func (f *switches) end(ctx context.Context, name string) (note string, err error) {
	l := f.on[name]
	if l == nil {
		return "", nil
	}
	if note, err = l.off(ctx); err == nil {
		delete(f.on, name)
	}
	return note, err
}

func (f *switches) endAll(ctx context.Context) error {
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(f.on)) {
		if _, err := f.end(ctx, name); err != nil {
			failed = append(failed, faultError(name, err, ""))
		}
	}
	return errors.Join(failed...)
}

// definition finds a fault, or says which may have been meant.
func definition(name string) (fault, error) {
	all := definitions()
	if i := slices.IndexFunc(all, func(d fault) bool { return d.name == name }); i >= 0 {
		return all[i], nil
	}
	names := make([]string, len(all))
	for i, d := range all {
		names[i] = d.name
	}
	remedy := "the nearest: " + strings.Join(model.Nearest(name, names, 3), ", ") + "; cutover sandbox fault lists all"
	return fault{}, faultUsage(name, "no fault has this name", remedy)
}

// usage is how a fault is asked for.
func (d fault) usage() string {
	line := "cutover sandbox fault " + d.name
	if d.argument != "" {
		line += " [" + d.argument + "]"
	}
	return line
}

// errArgument is the error of an argument that means nothing to a fault.
type errArgument string

func (e errArgument) Error() string { return string(e) }

func faultUsage(name, message, remedy string) error {
	return &model.Error{Kind: model.KindUsage, Operation: "fault", Object: name, Message: message, Remedy: remedy}
}

// faultError says of which fault an error is, and what is asked for instead.
func faultError(name string, err error, usage string) error {
	var known *model.Error
	var argument errArgument
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &argument):
		return faultUsage(name, err.Error(), usage)
	}
	return &model.Error{Kind: model.KindInternal, Operation: "fault", Object: name, Message: err.Error(), Err: err}
}
