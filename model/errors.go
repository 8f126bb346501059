package model

import (
	"errors"
	"strings"
)

// Kind classifies an error. Screens and exit codes switch on the kind, once.
type Kind string

// The kinds of errors, as command-line users see them in JSON.
const (
	KindUsage       Kind = "usage"       // the operator asked for something that cannot be asked
	KindNotFound    Kind = "not-found"   // the named object does not exist
	KindBlocked     Kind = "blocked"     // a gate says block
	KindNotReady    Kind = "not-ready"   // gates still say wait
	KindDrift       Kind = "drift"       // somebody else changed the object meanwhile
	KindPartial     Kind = "partial"     // some changes were made and could not be put back
	KindAccess      Kind = "access"      // denied, or credentials expired
	KindUnreachable Kind = "unreachable" // the other end did not answer in time
	KindThrottled   Kind = "throttled"   // the other end asked to slow down
	KindUnproven    Kind = "unproven"    // switched, but proof did not come in time
	KindInternal    Kind = "internal"    // everything else, a bug of ours included
)

// Error is an error that an operator reads: what was attempted, on what
// object, why it failed and what can be done about it.
type Error struct {
	Kind      Kind
	Operation string // what was attempted, e.g. "modify rule"
	Object    string // the object's name or ARN; may be empty
	Message   string // the cause in words
	Remedy    string // what the operator can do; may be empty
	Err       error  // the underlying error; may be nil
	// Refused says that the other end has answered that it does not do it: a
	// write has certainly changed nothing. False is "not known".
	Refused bool
}

// Error returns "operation: object: cause" on one line, without control characters.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, p := range []string{e.Operation, e.Object, e.Cause()} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// Cause is the message, or the underlying error's text where there is none,
// sanitized to one line.
func (e *Error) Cause() string {
	if e.Message == "" && e.Err != nil {
		return Line(e.Err.Error())
	}
	return Line(e.Message)
}

// Unwrap returns the underlying error.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in err's chain, "" for nil and
// KindInternal for an error that has none.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}
