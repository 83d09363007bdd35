// Package cli is the command line: one folder per noun. Commands that need a server talk to it through the public client alone.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/cli/alert"
	"github.com/modelyard/modelyard/internal/cli/backup"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/cli/config"
	"github.com/modelyard/modelyard/internal/cli/dataset"
	"github.com/modelyard/modelyard/internal/cli/demo"
	"github.com/modelyard/modelyard/internal/cli/doctor"
	"github.com/modelyard/modelyard/internal/cli/endpoint"
	"github.com/modelyard/modelyard/internal/cli/evalset"
	"github.com/modelyard/modelyard/internal/cli/event"
	"github.com/modelyard/modelyard/internal/cli/experiment"
	"github.com/modelyard/modelyard/internal/cli/gate"
	"github.com/modelyard/modelyard/internal/cli/job"
	"github.com/modelyard/modelyard/internal/cli/lineage"
	"github.com/modelyard/modelyard/internal/cli/migrate"
	"github.com/modelyard/modelyard/internal/cli/model"
	"github.com/modelyard/modelyard/internal/cli/monitor"
	"github.com/modelyard/modelyard/internal/cli/pipeline"
	"github.com/modelyard/modelyard/internal/cli/restore"
	"github.com/modelyard/modelyard/internal/cli/rollout"
	"github.com/modelyard/modelyard/internal/cli/run"
	"github.com/modelyard/modelyard/internal/cli/runtime"
	"github.com/modelyard/modelyard/internal/cli/trace"
	"github.com/modelyard/modelyard/internal/cli/transfer"
	"github.com/modelyard/modelyard/internal/cli/trash"
	"github.com/modelyard/modelyard/internal/cli/up"
	"github.com/modelyard/modelyard/internal/cli/webhook"
	"github.com/modelyard/modelyard/internal/cli/workspace"
)

// Main runs the program and gives its exit code.
func Main(args []string) int { return Run(context.Background(), cmdutil.New(), args) }

// Run runs one command with the given streams.
func Run(ctx context.Context, f *cmdutil.Factory, args []string) int {
	root := New(f)
	root.SetArgs(args)
	root.SetOut(f.Out)
	root.SetErr(f.Err)
	root.SetIn(f.In)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return cmdutil.ExitOK
	}
	if errors.Is(err, os.ErrClosed) || strings.HasSuffix(err.Error(), "broken pipe") {
		return cmdutil.ExitOK // the reader had enough
	}
	f.Report(err)
	return cmdutil.Code(err)
}

// New is the root command.
func New(f *cmdutil.Factory) *cobra.Command {
	root := &cobra.Command{
		Use:   "modelyard",
		Short: "From a notebook to watched production, in one program",
		Long: `Modelyard takes a machine-learning model from a notebook to production and keeps it healthy there.

Start with:
  modelyard up                       the server and the web UI on http://127.0.0.1:5000
  modelyard demo                     the whole story on real data
  export MLFLOW_TRACKING_URI=...     and go on with the tools you have`,
		SilenceUsage: true, SilenceErrors: true,
		Version: app.Version(),
	}
	p := root.PersistentFlags()
	p.StringVar(&f.Server, "server", "", "address of the server (default $MODELYARD_SERVER, else http://127.0.0.1:5000)")
	p.StringVarP(&f.Output, "output", "o", "", "output format: "+cmdutil.Formats)
	p.BoolVarP(&f.Quiet, "quiet", "q", false, "no progress on standard error")
	p.BoolVarP(&f.Yes, "yes", "y", false, "do not ask before what can't be undone")
	p.BoolVar(&f.NoColor, "no-color", false, "no colours (also NO_COLOR)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return cmdutil.Usage("%s", err) })
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		switch f.Output {
		case "", "table", "wide", "json", "yaml", "csv", "name":
			return nil
		}
		return cmdutil.Usage("--output is %q: expected %s", f.Output, cmdutil.Formats)
	}
	root.SetVersionTemplate("modelyard {{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: "server", Title: "Server:"}, &cobra.Group{ID: "noun", Title: "Nouns:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("server", up.New(f), demo.New(f), endpoint.Deploy(f), doctor.New(f), runtime.New(f), migrate.New(f), backup.New(f), restore.New(f), config.New(f),
		transfer.Import(f), transfer.Export(f))
	add("noun", dataset.New(f), experiment.New(f), run.New(f), trace.New(f), evalset.New(f), pipeline.New(f), model.New(f), gate.New(f), endpoint.New(f), rollout.New(f),
		monitor.New(f), alert.New(f), webhook.New(f), lineage.New(f), event.New(f), job.New(f), trash.New(f), workspace.New(f))
	root.AddCommand(version(f), exitCodes())
	unknown(root)
	return root
}

// unknown makes a noun without a verb show its help, and an unknown verb an error with a suggestion.
func unknown(c *cobra.Command) {
	for _, sub := range c.Commands() {
		unknown(sub)
	}
	if c.HasSubCommands() && c.RunE == nil && c.Run == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			msg := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				msg += ", did you mean " + strings.Join(near, " or ")
			}
			return cmdutil.Usage("%s", msg)
		}
		c.SuggestionsMinimumDistance = 2
	}
}

func version(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Show the version of this program", Args: cmdutil.Args(), RunE: func(*cobra.Command, []string) error {
		if f.Structured() {
			return f.Document(map[string]string{"version": app.Version()})
		}
		_, err := fmt.Fprintln(f.Out, "modelyard "+app.Version())
		return err
	}}
}

func exitCodes() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: `  0    ok
  1    failed
  2    wrong use of the command
  3    not found
  4    not signed in, or not allowed
  5    conflict, or a precondition is not met
  6    a gate failed or drift was found
  7    timed out
  8    still pending
  9    no server answers
  130  interrupted or cancelled`}
}
