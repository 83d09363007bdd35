// Package transfer holds the commands that move everything from MLflow to here and back: import and export.
package transfer

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/transfer"
)

// Import is `modelyard import`.
func Import(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Bring in what another tool holds"}
	cmd.AddCommand(importMLflow(f))
	return cmd
}

// Export is `modelyard export`.
func Export(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Move what is here to another tool"}
	cmd.AddCommand(exportMLflow(f))
	return cmd
}

// flags are what import and export share.
type flags struct {
	o                transfer.Options
	since            string
	workspace, other string // here, and in the store of MLflow
}

func (x *flags) add(cmd *cobra.Command, there string) {
	fl := cmd.Flags()
	fl.StringArrayVar(&x.o.Experiments, "experiment", nil, "name of an experiment to move; repeat for more (default: all)")
	fl.StringVar(&x.since, "since", "", "only runs and logged models from this day or time on, such as 2026-01-31 or 2026-01-31T12:00:00Z")
	fl.BoolVar(&x.o.NoArtifacts, "no-artifacts", false, "leave files out; a later call without this adds them")
	fl.StringVar(&x.o.Prefix, "prefix", "", "put this before the names of experiments "+there)
	fl.StringVar(&x.o.ModelPrefix, "model-prefix", "", "put this before the names of registered models and prompts "+there)
	fl.BoolVar(&x.o.IntoExisting, "into-existing", false, "add to experiments and models of the same name "+there)
	fl.BoolVar(&x.o.Full, "full", false, "read all histories and files again, also of runs that look unchanged since an earlier call")
}

func (x *flags) parse(f *cmdutil.Factory) error {
	if x.since != "" {
		at, err := time.Parse(time.DateOnly, x.since)
		if err != nil {
			at, err = time.Parse(time.RFC3339, x.since)
		}
		if err != nil {
			return cmdutil.Usage("--since is %q: expected a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z", x.since)
		}
		x.o.Since = at.UnixMilli()
	}
	x.o.Progress = progress(f)
	return nil
}

// progressEvery is how often a line tells how far it is; at a terminal it is one line that changes.
const progressEvery = 10 * time.Second

func progress(f *cmdutil.Factory) func(transfer.Progress) {
	if f.Quiet {
		return nil
	}
	var mu sync.Mutex
	last := time.Now()
	every, start, end := progressEvery, "", "\n"
	if f.ErrTerminal() {
		every, start, end = 200*time.Millisecond, "\r\x1b[K", ""
	}
	return func(p transfer.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last) >= every {
			last = now
			_, _ = fmt.Fprintf(f.Err, "%s%s: %d runs, %d logged models, %d points, %d files (%s)%s", start, cut(p.Doing), p.Runs, p.Models, p.Points, p.Files, size(p.Bytes), end)
		}
	}
}

// cut keeps names of users short and plain on the progress line.
func cut(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d kB", (n+1023)/1024)
}

// server is how the MLflow server is reached: the variables are those of MLflow's own client.
func server(f *cmdutil.Factory, url, workspace string) transfer.Server {
	return transfer.Server{URL: url, Token: f.Getenv("MLFLOW_TRACKING_TOKEN"), Username: f.Getenv("MLFLOW_TRACKING_USERNAME"), Password: f.Getenv("MLFLOW_TRACKING_PASSWORD"), Workspace: workspace}
}

// in names a store in the report.
func in(store, workspace string) string {
	if workspace == "" {
		return store
	}
	return store + " (workspace " + workspace + ")"
}

const traces = "Traces are left out: point the tracing client here and send new ones."

func importMLflow(f *cmdutil.Factory) *cobra.Command {
	var x flags
	var from string
	var artifacts []string
	cmd := &cobra.Command{
		Use: "mlflow --from <server | sqlite:///file | folder>", Short: "Bring everything of an MLflow store here, and compare", Args: cmdutil.Args(),
		Long: `Bring experiments, runs, full metric histories, parameters, tags, datasets, logged models, registered models with
versions, aliases and stages, prompts and all files from MLflow to this server. Ids of runs and logged models, numbers of versions and all
times are kept; experiments keep their id where it is free. ` + traces + `

The source is an MLflow server (http://...), its SQLite file (sqlite:///mlflow.db) or an mlruns folder, of MLflow 2 or 3. It is only
read. For PostgreSQL or MySQL, start MLflow on it and import from that server.

It can be stopped and started again: what is here already is passed over, and runs that have changed in the source are brought up to date.
Values of the source win; what was added here stays. At the end everything is read back and compared: exit code 0 means that all of it is
here and equal, 1 that something is not; the report says what.

One call moves one workspace: --source-workspace of the source into --workspace here. Make that one first, with
modelyard workspace create.

Files that a SQLite store keeps outside mlruns and mlartifacts beside it are read only from folders that --artifacts names.
For a server with accounts set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.`,
		Example: `  modelyard import mlflow --from http://mlflow.example.com:5000
  modelyard import mlflow --from sqlite:///mlflow.db --artifacts /data/mlartifacts
  modelyard import mlflow --from ./mlruns --experiment wines --prefix old/ -o json
  modelyard import mlflow --from http://mlflow.example.com:5000 --source-workspace team-a --workspace team-a`,
	}
	cmd.Flags().StringVar(&from, "from", "", "address of an MLflow server, sqlite:///path of its file, or an mlruns folder")
	cmd.Flags().StringVar(&x.workspace, "workspace", "", "workspace here that everything goes into (default: the default one)")
	cmd.Flags().StringVar(&x.other, "source-workspace", "", "workspace of the MLflow server or SQLite file to import (default: its default one)")
	cmd.Flags().StringArrayVar(&artifacts, "artifacts", nil, "one more folder that holds files of a local store; repeat for more")
	x.add(cmd, "here")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if from == "" {
			return cmdutil.Usage("missing --from")
		}
		if err := x.parse(f); err != nil {
			return err
		}
		c, err := f.Client()
		if err != nil {
			return err
		}
		target, err := transfer.OpenNative(cmd.Context(), c, f.BearerToken(), x.workspace)
		if err != nil {
			return err
		}
		src, err := transfer.Open(cmd.Context(), transfer.From{Server: server(f, from, x.other), Artifacts: artifacts})
		if err != nil {
			return err
		}
		if closer, ok := src.(io.Closer); ok {
			defer func() { _ = closer.Close() }()
		}
		x.o.From, x.o.To, x.o.KeepsIDs = in(from, x.other), in(c.Server(), x.workspace), true
		report, err := transfer.Copy(cmd.Context(), src, target, x.o)
		return show(f, report, err)
	}
	return cmd
}

// show prints the report; a difference is a failure.
func show(f *cmdutil.Factory, r *transfer.Report, err error) error {
	if f.ErrTerminal() && !f.Quiet {
		_, _ = fmt.Fprint(f.Err, "\r\x1b[K")
	}
	if err != nil {
		if !f.Quiet {
			f.Progress("stopped; the same command goes on where it was")
		}
		return err
	}
	if f.Structured() {
		if err := f.Document(r); err != nil {
			return err
		}
	} else if err := table(f, r); err != nil {
		return err
	}
	if !r.Complete() {
		return fmt.Errorf("not everything is there: see the report, mend the cause and run the same command again")
	}
	return nil
}

func table(f *cmdutil.Factory, r *transfer.Report) error {
	number := func(head string, of func(transfer.Count) int64) cmdutil.Column[transfer.Count] {
		return cmdutil.Column[transfer.Count]{Head: head, Cell: func(c transfer.Count) string { return fmt.Sprint(of(c)) }}
	}
	err := cmdutil.List(f, r.Counts, r, []cmdutil.Column[transfer.Count]{
		{Head: "what", Cell: func(c transfer.Count) string { return c.Noun }},
		number("source", func(c transfer.Count) int64 { return c.Source }),
		number("created", func(c transfer.Count) int64 { return c.Created }),
		number("updated", func(c transfer.Count) int64 { return c.Updated }),
		number("unchanged", func(c transfer.Count) int64 { return c.Unchanged }),
		number("compared equal", func(c transfer.Count) int64 { return c.Same }),
		number("problems", func(c transfer.Count) int64 { return c.Problems }),
	})
	if err != nil {
		return err
	}
	for _, p := range r.Problems {
		f.Progress("problem: %s %s: %s", strings.TrimSuffix(p.Noun, "s"), cut(p.Name), p.What)
	}
	if r.Hidden > 0 {
		f.Progress("and %d more problems", r.Hidden)
	}
	for _, n := range r.Notes {
		f.Progress("note: %s", n)
	}
	f.Progress("%s -> %s: %d metric points and %d files (%s) in %s", r.From, r.To, r.Points, r.Files, size(r.Bytes), (time.Duration(r.Seconds * float64(time.Second))).Round(100*time.Millisecond))
	return nil
}

func exportMLflow(f *cmdutil.Factory) *cobra.Command {
	var x flags
	var to string
	cmd := &cobra.Command{
		Use: "mlflow --to <server>", Short: "Bring everything here to an MLflow server, and compare", Args: cmdutil.Args(),
		Long: `Bring experiments, runs, full metric histories, parameters, tags, datasets, logged models, registered models with
versions, aliases and stages, prompts and all files from this server to an MLflow server, through its REST API. ` + traces + `

An MLflow server gives ids and times of its own. What came from here has the tags modelyard.source_run_id, modelyard.source_model_id,
modelyard.source_experiment and modelyard.source_version there, by which a second call finds it again: it can be stopped and started
again, and brings what has changed up to date. Parameters cannot be changed there and metric points cannot be taken back.
At the end everything is read back and compared: exit code 0 means that all of it is there and equal, 1 that something is not.

One call moves one workspace: --workspace here into --target-workspace there, which must have it.

Files go through the artifact proxy of the server, which mlflow server has unless it was started with --no-serve-artifacts.
For a server with accounts set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.`,
		Example: `  modelyard export mlflow --to http://mlflow.example.com:5000
  modelyard export mlflow --to http://127.0.0.1:5001 --experiment wines --since 2026-01-01
  modelyard export mlflow --to http://127.0.0.1:5001 --workspace team-a --target-workspace team-a`,
	}
	cmd.Flags().StringVar(&to, "to", "", "address of an MLflow server")
	cmd.Flags().StringVar(&x.workspace, "workspace", "", "workspace here to export (default: the default one)")
	cmd.Flags().StringVar(&x.other, "target-workspace", "", "workspace of the MLflow server that everything goes into (default: its default one)")
	x.add(cmd, "there")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if to == "" {
			return cmdutil.Usage("missing --to")
		}
		if err := x.parse(f); err != nil {
			return err
		}
		c, err := f.Client()
		if err != nil {
			return err
		}
		ours, err := transfer.OpenNative(cmd.Context(), c, f.BearerToken(), x.workspace)
		if err != nil {
			return err
		}
		target, err := transfer.OpenMLflow(cmd.Context(), server(f, to, x.other))
		if err != nil {
			return err
		}
		x.o.From, x.o.To = in(c.Server(), x.workspace), in(to, x.other)
		report, err := transfer.Copy(cmd.Context(), ours.Reader(), target, x.o)
		return show(f, report, err)
	}
	return cmd
}
