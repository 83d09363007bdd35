// Package run holds the commands on runs.
package run

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/runs"

// New is `modelyard run`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "run", Short: "Runs: what was tried, with parameters, metrics and files", Aliases: []string{"runs"}}
	cmd.AddCommand(list(f), get(f), note(f), move(f), export(f),
		change(f, "delete", "Move runs to the trash", "moved to the trash"), change(f, "restore", "Bring runs back from the trash", "restored"))
	return cmd
}

const experimentHelp = "name or id of an experiment; repeat for more (default: all)"

func experimentIDs(ctx context.Context, f *cmdutil.Factory, names []string) (ids []string, err error) {
	ids = make([]string, len(names))
	for i, name := range names {
		if ids[i], err = f.ExperimentID(ctx, name); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func list(f *cmdutil.Factory) *cobra.Command {
	var experiments, order, metrics []string
	var filter string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "Search runs", Args: cmdutil.Args(),
		Example: `  modelyard run list --filter "metrics.mae < 50 and params.model = 'lightgbm'" --order "metrics.mae ASC" --metric mae`,
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&experiments, "experiment", nil, experimentHelp)
	fl.StringVar(&filter, "filter", "", "condition in MLflow's filter language")
	fl.StringSliceVar(&order, "order", nil, "sort keys, such as \"metrics.mae ASC\"")
	fl.StringSliceVar(&metrics, "metric", nil, "metrics to show as columns")
	fl.IntVar(&limit, "limit", 50, "most runs to show")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 1 || limit > 50000 {
			return cmdutil.Usage("--limit is %d: expected 1 to 50000", limit)
		}
		ids, err := experimentIDs(cmd.Context(), f, experiments)
		if err != nil {
			return err
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root+"/search", map[string]any{"experiment_ids": ids, "filter": filter, "order_by": nonNil(order), "page_size": limit})
		if err != nil {
			return err
		}
		cols := []cmdutil.Column[cmdutil.Object]{cmdutil.Col("id", "id"), cmdutil.Col("name", "name"), cmdutil.Col("status", "status"), cmdutil.AgoCol("started", "start_time")}
		for _, m := range metrics {
			cols = append(cols, cmdutil.Column[cmdutil.Object]{Head: m, Cell: func(o cmdutil.Object) string {
				ms, _ := o.Get("metrics").(map[string]any)
				return cmdutil.Object{"v": ms[m]}.Num("v", 4)
			}})
		}
		rows := o.Items("items")
		if len(rows) == 0 {
			f.Progress("no runs match")
		}
		return cmdutil.List(f, rows, rows, cols)
	}
	return cmd
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{
		Use: "get <id>", Short: "Show one run", Args: cmdutil.Args("<id>"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
			if err != nil {
				return err
			}
			return f.Describe(o, cmdutil.Pair{Key: "id", Value: o.Str("id")}, cmdutil.Pair{Key: "name", Value: o.Str("name")}, cmdutil.Pair{Key: "status", Value: o.Str("status")},
				cmdutil.Pair{Key: "experiment", Value: o.Str("experiment_id")}, cmdutil.Pair{Key: "started", Value: o.Str("start_time")}, cmdutil.Pair{Key: "seconds", Value: o.Num("duration_s", 1)},
				cmdutil.Pair{Key: "metrics", Value: pairs(o, "metrics")}, cmdutil.Pair{Key: "params", Value: pairs(o, "params")}, cmdutil.Pair{Key: "note", Value: o.Str("description")})
		},
	}
}

func note(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{
		Use: "note <id> <text>", Short: "Write the note of a run, in Markdown; an empty text clears it", Args: cmdutil.Args("<id>", "<text>"),
		Example: `  modelyard run note 0f3c… "Best so far; the dew point helps at night."`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.Send(cmd.Context(), http.MethodPatch, client.P(root, args[0]), map[string]string{"description": args[1]})
			if err != nil {
				return err
			}
			return f.Created(o, o.Str("id"), "/runs/"+o.Str("id"), "")
		},
	}
}

func pairs(o cmdutil.Object, path string) string {
	m, _ := o.Get(path).(map[string]any)
	var out []string
	for k := range m {
		out = append(out, k+"="+cmdutil.Object(m).Str(k))
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

// maxPerCall is how many runs the server changes in one call.
const maxPerCall = 1000

// change is delete or restore: a command that takes run ids.
func change(f *cmdutil.Factory, verb, short, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " <id>...", Short: short,
		Long: short + `: all of them or, when one cannot be, none; the error says which. More than 1,000 go in several calls, each for itself.
With --output name it prints the ids of those that were not so already.`,
		Example: "  modelyard run " + verb + ` 0198c1... 0198c2...
  modelyard run list --filter "metrics.mae > 90" --limit 5000 -o name | xargs modelyard run ` + verb,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmdutil.Usage("missing <id>")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return changeRuns(cmd.Context(), f, verb, done, args) },
	}
}

// result is what the server did with the runs of one call, or of all.
type result struct {
	Changed   int      `json:"changed"`
	Unchanged int      `json:"unchanged"`
	RunIDs    []string `json:"run_ids"`
}

func changeRuns(ctx context.Context, f *cmdutil.Factory, verb, done string, ids []string) error {
	c, err := f.Client()
	if err != nil {
		return err
	}
	total := result{RunIDs: []string{}}
	for part := range slices.Chunk(ids, maxPerCall) {
		var o result
		if err := c.Send(ctx, http.MethodPost, "/"+root+"/"+verb, map[string]any{"run_ids": part}, &o); err != nil {
			if total.Changed > 0 {
				f.Progress("%d were %s before", total.Changed, done)
			}
			return err
		}
		total.Changed, total.Unchanged, total.RunIDs = total.Changed+o.Changed, total.Unchanged+o.Unchanged, append(total.RunIDs, o.RunIDs...)
	}
	if f.Structured() {
		return f.Document(total)
	}
	if f.Output == "name" {
		for _, id := range total.RunIDs {
			if _, err := fmt.Fprintln(f.Out, id); err != nil {
				return err
			}
		}
	}
	f.Progress("%d %s", total.Changed, done)
	if total.Unchanged > 0 {
		f.Progress("%d others were so already", total.Unchanged)
	}
	return nil
}
