// Package demo tells the whole story on real data: a year of bike demand, from the data to a watched model that is retrained when it
// fails. Everything it does goes through the public API, as a user would.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

type options struct {
	dir, listen string
	exit, fresh bool
	days        int
}

// New is `modelyard demo`.
func New(f *cmdutil.Factory) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Tell the whole story on real data, from a dataset to a retrained model",
		Long: `Starts a server with a data folder of its own and plays a year of hourly bike demand through it: a model is trained on January to
March, passes its gate, is deployed and watched. Spring comes, the model fails, the alert retrains it, a canary is judged and promoted,
a bad version is rolled back. The web UI shows the same live. Needs Python 3.10 or newer for the training.

The story goes on where it stopped when it is run again. At the end the server keeps running.`,
		Example: "  modelyard demo\n  modelyard demo --fresh --exit -o json",
		Args:    cmdutil.Args(),
	}
	fl := cmd.Flags()
	fl.StringVar(&o.dir, "data-dir", "modelyard-demo", "folder of the demo's server and its state")
	fl.StringVar(&o.listen, "listen", "127.0.0.1:5000", "address of the demo's server")
	fl.BoolVar(&o.exit, "exit", false, "stop the server at the end; exit 0 only if each step did what it should")
	fl.BoolVar(&o.fresh, "fresh", false, "start over: stop the demo's server and delete its folder")
	fl.IntVar(&o.days, "days", 0, "replay only so many days (0: the whole year)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), f, o) }
	return cmd
}

func run(ctx context.Context, f *cmdutil.Factory, o options) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := prerequisites(); err != nil {
		return err
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	srv := &server{dir: dir, listen: o.listen, log: filepath.Join(dir, "server.log"), say: f.Progress}
	if o.fresh {
		if err := srv.wipe(); err != nil {
			return err
		}
	}
	if err := srv.start(ctx); err != nil {
		return err
	}
	s, err := newStory(f, srv, dir, o.days)
	if err != nil {
		return err
	}
	err = s.tell(ctx)
	if o.exit {
		srv.stop()
	}
	if err != nil {
		if ctx.Err() != nil {
			f.Progress("stopped; `modelyard demo` goes on from here")
			return cmdutil.ErrCancelled
		}
		return err
	}
	if err := s.summary(); err != nil {
		return err
	}
	if !o.exit {
		f.Progress("\nThe server keeps running: %s  (stop it with: kill %d)", srv.url(), srv.pid())
	}
	return s.verdict()
}

// prerequisites names at once what is missing and how to get it.
func prerequisites() error {
	if _, err := exec.LookPath("uv"); err == nil {
		return nil
	}
	for _, p := range []string{os.Getenv("MODELYARD_PYTHON"), "python3"} {
		if p == "" {
			continue
		}
		out, err := exec.Command(p, "-c", "import sys, venv; print(sys.version_info >= (3, 10))").Output() //nolint:noctx // a check of a moment
		if err == nil && string(out) == "True\n" {
			return nil
		}
	}
	return errs.E(errs.Precondition, "demo.prerequisites", "the demo trains its models with Python 3.10 or newer, and none was found", nil).
		WithHint("install Python (Debian: apt-get install python3 python3-venv) or uv, or name one with MODELYARD_PYTHON")
}

// chapter is one part of the story.
type chapter struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Detail  string  `json:"detail"`
	Seconds float64 `json:"seconds"`
}

// errStory says that a step did not do what it should.
var errStory = errors.New("the story did not go as it should")

func failed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errStory, fmt.Sprintf(format, args...))
}

func seconds(since time.Time) float64 { return float64(time.Since(since).Milliseconds()) / 1000 }
