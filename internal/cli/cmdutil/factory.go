// Package cmdutil is what all commands share: streams, the client, output formats, exit codes.
package cmdutil

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Factory gives commands their streams and client, so that tests can give them others.
type Factory struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string

	Server, Token, Output string
	Quiet, Yes, NoColor   bool
}

// New is the factory of the real program.
func New() *Factory {
	return &Factory{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
}

// BearerToken is the token of the server that flags and environment name, "" for none.
func (f *Factory) BearerToken() string { return first(f.Token, f.Getenv("MODELYARD_TOKEN")) }

// Client is the client of the server that flags and environment name.
func (f *Factory) Client() (*client.Client, error) {
	o := client.Options{Server: first(f.Server, f.Getenv("MODELYARD_SERVER")), Token: f.BearerToken()}
	if f.Getenv("MODELYARD_DEBUG") == "api" {
		o.Trace = f.Err
	}
	return client.New(o)
}

func first(vs ...string) string {
	for _, v := range vs {
		if v != "" {
			return v
		}
	}
	return ""
}

// Terminal reports whether standard output is a terminal.
func (f *Factory) Terminal() bool {
	file, ok := f.Out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// ErrTerminal reports whether standard error is a terminal, where a line can be written over.
func (f *Factory) ErrTerminal() bool {
	file, ok := f.Err.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Progress writes a line for people to standard error, unless --quiet.
func (f *Factory) Progress(format string, args ...any) {
	if !f.Quiet {
		_, _ = fmt.Fprintf(f.Err, format+"\n", args...)
	}
}

// Confirm asks before something that can't be undone: at a terminal by question, elsewhere --yes is needed.
func (f *Factory) Confirm(what string) error {
	if f.Yes {
		return nil
	}
	in, ok := f.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return Usage("this would %s: add --yes to do it without a question", what)
	}
	_, _ = fmt.Fprintf(f.Err, "This will %s. Go on? [y/N] ", what)
	var answer string
	_, _ = fmt.Fscanln(in, &answer)
	if answer != "y" && answer != "Y" && answer != "yes" {
		return ErrCancelled
	}
	return nil
}

// ErrCancelled says that the user said no.
var ErrCancelled = errors.New("cancelled")

type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// Usage is an error of the call itself: exit code 2.
func Usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

type verdictError struct {
	code int
	msg  string
}

func (e *verdictError) Error() string { return e.msg }

// The exit codes, documented in `modelyard help exit-codes`.
const (
	ExitOK, ExitFailed, ExitUsage, ExitNotFound, ExitAuth, ExitConflict, ExitGate, ExitTimeout, ExitPending, ExitUnreachable, ExitInterrupted = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130
)

// GateFailed is the error of a gate that failed or drift that was found: exit code 6, so that CI can branch.
func GateFailed(format string, args ...any) error {
	return &verdictError{ExitGate, fmt.Sprintf(format, args...)}
}

// Timeout is the error of a --wait that ran out: exit code 7.
func Timeout(format string, args ...any) error {
	return &verdictError{ExitTimeout, fmt.Sprintf(format, args...)}
}

// Code is the exit code of an error.
func Code(err error) int {
	var u *usageError
	var v *verdictError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &u):
		return ExitUsage
	case errors.As(err, &v):
		return v.code
	case errors.Is(err, ErrCancelled), errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return ExitTimeout
	}
	switch kind(err) {
	case "not_found":
		return ExitNotFound
	case "unauthenticated", "forbidden":
		return ExitAuth
	case "conflict", "precondition":
		return ExitConflict
	case "unreachable":
		return ExitUnreachable
	}
	return ExitFailed
}

func kind(err error) string {
	if k := client.KindOf(err); k != "" {
		return k
	}
	var e *errs.Error
	if errors.As(err, &e) {
		return string(e.Kind)
	}
	return "failed"
}

// Report writes err for people, or as a JSON object with -o json.
func (f *Factory) Report(err error) {
	ce := &client.Error{Kind: kind(err), Message: err.Error()}
	var fromServer *client.Error
	var e *errs.Error
	var u *usageError
	switch {
	case errors.As(err, &fromServer):
		ce = fromServer
	case errors.As(err, &e):
		ce.Hint = e.Hint
	case errors.As(err, &u):
		ce.Kind, ce.Hint = "usage", "see --help"
	}
	if f.Output == "json" {
		b, _ := json.Marshal(ce)
		_, _ = fmt.Fprintln(f.Err, string(b))
		return
	}
	_, _ = fmt.Fprintln(f.Err, "error: "+ce.Message)
	if ce == fromServer {
		for _, fl := range ce.Fields {
			_, _ = fmt.Fprintf(f.Err, "  %s: %s\n", fl.Name, fl.Message)
		}
	}
	if ce.Hint != "" {
		_, _ = fmt.Fprintln(f.Err, "next:  "+ce.Hint)
	}
	if ce.RequestID != "" {
		_, _ = fmt.Fprintln(f.Err, "request: "+ce.RequestID)
	}
}

// Args checks the positional arguments and names them in the error.
func Args(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return Usage("missing %s", names[len(args)])
		}
		if len(args) > len(names) {
			return Usage("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}
