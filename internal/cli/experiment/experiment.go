// Package experiment holds the commands on experiments.
package experiment

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/experiments"

// New is `modelyard experiment`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "experiment", Short: "Experiments: groups of runs", Aliases: []string{"experiments", "exp"}}
	cmd.AddCommand(list(f), create(f), &cobra.Command{
		Use: "get <name or id>", Short: "Show one experiment", Args: cmdutil.Args("<name or id>"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := f.ExperimentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			o, err := f.Fetch(cmd.Context(), client.P(root, id), nil)
			if err != nil {
				return err
			}
			return f.Describe(o, cmdutil.Pair{Key: "id", Value: o.Str("id")}, cmdutil.Pair{Key: "name", Value: o.Str("name")}, cmdutil.Pair{Key: "workspace", Value: o.Str("workspace")}, cmdutil.Pair{Key: "state", Value: o.Str("lifecycle")},
				cmdutil.Pair{Key: "created", Value: o.Str("created_at")}, cmdutil.Pair{Key: "description", Value: o.Str("description")}, cmdutil.Pair{Key: "hypothesis", Value: o.Str("hypothesis")},
				cmdutil.Pair{Key: "criteria", Value: o.Str("success_criteria")}, cmdutil.Pair{Key: "verdict", Value: verdict(o)}, cmdutil.Pair{Key: "tags", Value: o.Str("tags")})
		},
	}, edit(f), conclude(f), merge(f),
		change(f, "delete", "<name or id>", "Move an experiment with its runs to the trash", "moved to the trash; modelyard experiment restore brings it back"),
		change(f, "restore", "<id>", "Bring an experiment back from the trash", "restored"))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	var workspace string
	cmd := &cobra.Command{Use: "list", Short: "List experiments, newest first", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		q := url.Values{}
		if workspace != "" {
			q.Set("workspace", workspace)
		}
		return f.ShowList(cmd.Context(), "/"+root, q, 0, "no experiments yet: point an MLflow client at this server and log a run",
			cmdutil.Col("id", "id"), cmdutil.Col("name", "name"), cmdutil.Col("workspace", "workspace"), cmdutil.AgoCol("updated", "updated_at"))
	}}
	cmd.Flags().StringVar(&workspace, "workspace", "", "only those of one workspace")
	return cmd
}

func create(f *cmdutil.Factory) *cobra.Command {
	var workspace string
	cmd := &cobra.Command{Use: "create <name>", Short: "Make an experiment", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		body := map[string]string{"name": args[0]}
		if workspace != "" {
			body["workspace"] = workspace
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root, body)
		if err != nil {
			return err
		}
		return f.Created(o, o.Str("id"), "/experiments/"+o.Str("id"), "mlflow.set_experiment("+"'"+args[0]+"')")
	}}
	cmd.Flags().StringVar(&workspace, "workspace", "", "the workspace to make it in; the default one without it")
	return cmd
}

// change is delete, or restore, which takes ids alone: names of what was deleted may be in use again.
func change(f *cmdutil.Factory, verb, arg, short, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " " + arg, Short: short, Args: cmdutil.Args(arg),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			id := args[0]
			if verb == "delete" {
				if id, err = f.ExperimentID(cmd.Context(), id); err != nil {
					return err
				}
			}
			if _, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, id, verb), nil); err != nil {
				return err
			}
			f.Progress("experiment %s %s", id, done)
			return nil
		},
	}
}
