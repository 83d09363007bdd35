package run

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

func export(f *cmdutil.Factory) *cobra.Command {
	var experiments, order, columns, runs []string
	var filter, view, out string
	cmd := &cobra.Command{
		Use: "export", Short: "Write runs as CSV", Args: cmdutil.Args(),
		Long: `Write all runs that a search finds, or those that --run names, as CSV: a line of names, then a line for each run. Without --column it has
every attribute, metric, parameter and tag that the runs have. The server writes it row by row, so the number of runs does not matter.

It goes to standard output, or to the file that --out names; that file is there only once it is complete.
A text that a spreadsheet would take for a formula has an apostrophe before it.`,
		Example: `  modelyard run export --experiment wines > runs.csv
  modelyard run export --experiment wines --filter "metrics.mae < 50" --order "metrics.mae ASC" \
    --column attributes.run_name --column metrics.mae --column "min(metrics.loss)" --out runs.csv`,
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&experiments, "experiment", nil, experimentHelp)
	fl.StringVar(&filter, "filter", "", "condition in MLflow's filter language")
	fl.StringArrayVar(&order, "order", nil, "sort key, such as \"metrics.mae ASC\"; repeat for more (default: newest first)")
	fl.StringVar(&view, "view", "active", "which runs: active, deleted or all")
	fl.StringArrayVar(&runs, "run", nil, "id of a run, instead of a search; repeat for more")
	fl.StringArrayVar(&columns, "column", nil, "column, such as metrics.mae, params.depth, tags.team, attributes.status or \"min(metrics.loss)\"; repeat for more (default: all there are)")
	fl.StringVar(&out, "out", "-", "file to write, - for standard output")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch view {
		case "active", "deleted", "all":
		default:
			return cmdutil.Usage("--view is %.100q: expected active, deleted or all", view)
		}
		if len(runs) > 0 && (len(experiments) > 0 || filter != "" || len(order) > 0 || cmd.Flags().Changed("view")) {
			return cmdutil.Usage("--run names runs one by one: leave --experiment, --filter, --order and --view out")
		}
		if f.Structured() {
			return cmdutil.Usage("an export is CSV: leave --output out, or use modelyard run list")
		}
		ids, err := experimentIDs(cmd.Context(), f, experiments)
		if err != nil {
			return err
		}
		return download(cmd.Context(), f, out, map[string]any{"experiment_ids": ids, "filter": filter, "order_by": nonNil(order), "view": view, "run_ids": nonNil(runs), "columns": nonNil(columns)})
	}
	return cmd
}

// download streams an export to where it goes. A file gets its name when all of it is there, so that nobody takes a part for the whole.
func download(ctx context.Context, f *cmdutil.Factory, out string, query map[string]any) error {
	c, err := f.Client()
	if err != nil {
		return err
	}
	resp, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: "/" + root + "/export", JSON: query})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	broken := func(err error) error {
		return &client.Error{Kind: "unavailable", Message: fmt.Sprintf("the export broke off: %v", err), Hint: "what was written is not complete; run the command again"}
	}
	body := &reading{r: resp.Body}
	if out == "-" {
		if _, err = io.Copy(f.Out, body); body.err != nil {
			return broken(body.err)
		}
		return err
	}
	st, err := os.Stat(out)
	plain := err != nil || st.Mode().IsRegular()
	to := filepath.Clean(out)
	if plain {
		to += ".part"
		defer func() { _ = os.Remove(to) }() // not there any more when all went well
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666) //nolint:gosec // as any file of the user; a pipe is written as it is
	if err != nil {
		return err
	}
	n, err := io.Copy(file, body)
	if body.err != nil {
		err = broken(body.err)
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err == nil && plain {
		err = os.Rename(to, filepath.Clean(out))
	}
	if err != nil {
		return err
	}
	f.Progress("wrote %s (%d bytes)", out, n)
	return nil
}

// reading remembers that the answer broke off: writing it may fail too.
type reading struct {
	r   io.Reader
	err error
}

func (x *reading) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // readers return it bare
		x.err = err
	}
	return n, err
}
