// Package run holds the commands on runs.
package run

import (
	"net/http"
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

func list(f *cmdutil.Factory) *cobra.Command {
	var experiments, order, metrics []string
	var filter string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "Search runs", Args: cmdutil.Args(),
		Example: `  modelyard run list --filter "metrics.mae < 50 and params.model = 'lightgbm'" --order "metrics.mae ASC" --metric mae`,
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&experiments, "experiment", nil, "experiment ids (default: all)")
	fl.StringVar(&filter, "filter", "", "condition in MLflow's filter language")
	fl.StringSliceVar(&order, "order", nil, "sort keys, such as \"metrics.mae ASC\"")
	fl.StringSliceVar(&metrics, "metric", nil, "metrics to show as columns")
	fl.IntVar(&limit, "limit", 50, "most runs to show")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 1 || limit > 50000 {
			return cmdutil.Usage("--limit is %d: expected 1 to 50000", limit)
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root+"/search", map[string]any{"experiment_ids": nonNil(experiments), "filter": filter, "order_by": nonNil(order), "page_size": limit})
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

// change is delete or restore: a command that takes run ids.
func change(f *cmdutil.Factory, verb, short, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " <id>...", Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmdutil.Usage("missing <id>")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root+"/"+verb, map[string]any{"run_ids": args})
			if err != nil {
				return err
			}
			if f.Structured() {
				return f.Document(o)
			}
			f.Progress("%s %s", o.Str("changed"), done)
			return nil
		},
	}
}
