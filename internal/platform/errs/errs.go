// Package errs is the one error vocabulary of Modelyard: a kind that each protocol edge maps to its own codes, what was tried, what
// went wrong, and the next step. Below the edge nobody knows status codes.
package errs

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind says what sort of failure an error is; the edges (HTTP, MLflow, CLI) map kinds to their codes in one table each.
type Kind string

// The kinds of failure. Their meaning is the same in every domain.
const (
	Invalid         Kind = "invalid"         // the input is wrong; the caller can mend it
	Unauthenticated Kind = "unauthenticated" // who are you
	Forbidden       Kind = "forbidden"       // known, but may not
	NotFound        Kind = "not_found"       // no such thing
	Conflict        Kind = "conflict"        // it exists already, or somebody else changed it
	Precondition    Kind = "precondition"    // the state does not allow it now
	Exhausted       Kind = "exhausted"       // a limit, a quota, a full disk
	Unavailable     Kind = "unavailable"     // try again later
	Internal        Kind = "internal"        // our fault
)

// Valid reports whether k is one of the known kinds.
func (k Kind) Valid() bool {
	switch k {
	case Invalid, Unauthenticated, Forbidden, NotFound, Conflict, Precondition, Exhausted, Unavailable, Internal:
		return true
	}
	return false
}

// Field is one wrong field of an input: where it is and what was expected.
type Field struct {
	Name    string `json:"field"`
	Message string `json:"message"`
}

// Error is an error with a kind. Op names the operation ("registry.create_version"), Message is for the user, Hint is the next step.
type Error struct {
	Kind    Kind
	Op      string
	Message string
	Hint    string
	Fields  []Field
	Err     error

	public bool
}

// E makes an error of a kind; err may be nil.
func E(kind Kind, op, message string, err error) *Error {
	return &Error{Kind: kind, Op: op, Message: message, Err: err}
}

// Invalidf is E(Invalid, op, ...) with a formatted message.
func Invalidf(op, format string, args ...any) *Error {
	return E(Invalid, op, fmt.Sprintf(format, args...), nil)
}

// NotFoundf is E(NotFound, op, ...) with a formatted message.
func NotFoundf(op, format string, args ...any) *Error {
	return E(NotFound, op, fmt.Sprintf(format, args...), nil)
}

// Public lets clients see the message of an Internal error: the fault is ours and they can do something about it.
func (e *Error) Public() *Error {
	e.public = true
	return e
}

// IsPublic reports whether the first Error in the chain is told to clients though it is Internal.
func IsPublic(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.public
}

// WithHint adds the next step and returns the same error.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithField adds a wrong field and returns the same error.
func (e *Error) WithField(name, format string, args ...any) *Error {
	e.Fields = append(e.Fields, Field{Name: name, Message: fmt.Sprintf(format, args...)})
	return e
}

// Error is the whole chain, for logs and the CLI.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s", f.Name, f.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the first Error in the chain; a full disk is Exhausted, a cancelled or late context and a database that went away are Unavailable, anything else Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e) && e.Kind != Internal:
		return e.Kind
	case IsDiskFull(err):
		return Exhausted
	case e != nil:
		return e.Kind
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), databaseAway(err):
		return Unavailable
	}
	return Internal
}

// databaseAway reports whether PostgreSQL says that it stops, starts or has lost the connection (SQLSTATE classes 57P and 08), or its
// driver that nothing was sent. What reads a row gets such an error as it is.
func databaseAway(err error) bool {
	var said interface{ SQLState() string }
	if errors.As(err, &said) {
		return strings.HasPrefix(said.SQLState(), "57P") || strings.HasPrefix(said.SQLState(), "08")
	}
	var unsent interface{ SafeToRetry() bool }
	return errors.As(err, &unsent) && unsent.SafeToRetry()
}

// Is reports whether err is of that kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Collector gathers field errors so that all problems of an input are reported at once.
type Collector struct{ fields []Field }

// Add notes one wrong field.
func (c *Collector) Add(field, format string, args ...any) {
	c.fields = append(c.fields, Field{Name: field, Message: fmt.Sprintf(format, args...)})
}

// Err is an Invalid error with all fields, or nil when there are none.
func (c *Collector) Err(op, message string) error {
	if len(c.fields) == 0 {
		return nil
	}
	e := E(Invalid, op, message, nil)
	e.Fields = c.fields
	return e
}
