// Package evalset holds the commands on evaluation datasets of GenAI applications.
package evalset

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/evaluation-datasets"

// New is `modelyard evaluation-dataset`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "evaluation-dataset", Short: "Evaluation datasets: questions with what is expected", Aliases: []string{"evaluation-datasets", "evalset"}}
	cmd.AddCommand(list(f), get(f), remove(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	var experiment, filter string
	cmd := &cobra.Command{Use: "list", Short: "List evaluation datasets, newest first", Args: cmdutil.Args()}
	cmd.Flags().StringVar(&experiment, "experiment", "", "only those of one experiment, by id")
	cmd.Flags().StringVar(&filter, "filter", "", "condition such as \"name LIKE 'qa%' and tags.team = 'search'\"")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := url.Values{}
		for k, v := range map[string]string{"experiment_id": experiment, "filter": filter} {
			if v != "" {
				q.Set(k, v)
			}
		}
		return f.ShowList(cmd.Context(), "/"+root, q, 0, "no evaluation datasets", cmdutil.Col("id", "id"), cmdutil.Col("name", "name"), cmdutil.Col("records", "records"),
			cmdutil.Col("experiments", "experiment_ids"), cmdutil.AgoCol("changed", "updated_at"))
	}
	return cmd
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <id>", Short: "Show an evaluation dataset", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		return f.Describe(o, cmdutil.Pair{Key: "dataset", Value: o.Str("id")}, cmdutil.Pair{Key: "name", Value: o.Str("name")}, cmdutil.Pair{Key: "records", Value: o.Str("records")}, cmdutil.Pair{Key: "digest", Value: o.Str("digest")},
			cmdutil.Pair{Key: "experiments", Value: o.Str("experiment_ids")}, cmdutil.Pair{Key: "schema", Value: o.Str("schema")}, cmdutil.Pair{Key: "created", Value: o.Str("created_at")}, cmdutil.Pair{Key: "changed", Value: o.Str("updated_at")})
	}}
}

func remove(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "delete <id>", Short: "Delete an evaluation dataset with its records", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		if err := f.Confirm("delete evaluation dataset " + args[0] + " with its records"); err != nil {
			return err
		}
		if _, err := f.Send(cmd.Context(), http.MethodDelete, client.P(root, args[0]), nil); err != nil {
			return err
		}
		f.Progress("deleted %s", args[0])
		return nil
	}}
}
