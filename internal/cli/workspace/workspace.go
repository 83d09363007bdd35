// Package workspace holds the commands on workspaces.
package workspace

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/workspaces"

// New is `modelyard workspace`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use: "workspace", Short: "Workspaces: teams that keep experiments and models apart on one server", Aliases: []string{"workspaces"},
		Long: `An MLflow client works in the workspace that mlflow.set_workspace or MLFLOW_WORKSPACE names, and sees nothing of the others. Without
one it works in the workspace "default". These commands, the web page and the native API see all of them.`,
	}
	cmd.AddCommand(list(f), get(f), create(f), edit(f), remove(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List workspaces", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		return f.ShowList(cmd.Context(), "/"+root, nil, 0, "no workspaces", cmdutil.Col("name", "name"), cmdutil.Col("description", "description"), cmdutil.AgoCol("created", "created_at"))
	}}
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <name>", Short: "Show a workspace", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		return f.Describe(o, cmdutil.Pair{Key: "name", Value: o.Str("name")}, cmdutil.Pair{Key: "description", Value: o.Str("description")},
			cmdutil.Pair{Key: "created", Value: o.Str("created_at")}, cmdutil.Pair{Key: "changed", Value: o.Str("updated_at")})
	}}
}

func create(f *cmdutil.Factory) *cobra.Command {
	var description string
	cmd := &cobra.Command{Use: "create <name>", Short: "Make a workspace", Args: cmdutil.Args("<name>"), Example: `  modelyard workspace create team-a --description "search ranking"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root, map[string]string{"name": args[0], "description": description})
			if err != nil {
				return err
			}
			return f.Created(o, o.Str("name"), "", "export MLFLOW_WORKSPACE="+o.Str("name"))
		}}
	cmd.Flags().StringVar(&description, "description", "", "whose it is, what for")
	return cmd
}

func edit(f *cmdutil.Factory) *cobra.Command {
	var description string
	cmd := &cobra.Command{Use: "edit <name>", Short: "Change the description of a workspace", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPatch, client.P(root, args[0]), map[string]string{"description": description})
		if err != nil {
			return err
		}
		return f.Created(o, o.Str("name"), "", "")
	}}
	cmd.Flags().StringVar(&description, "description", "", "the new description")
	cobra.CheckErr(cmd.MarkFlagRequired("description"))
	return cmd
}

func remove(f *cmdutil.Factory) *cobra.Command {
	var mode string
	cmd := &cobra.Command{
		Use: "delete <name>", Short: "Delete a workspace", Args: cmdutil.Args("<name>"),
		Long: `What is in the workspace decides: with --mode restrict (the default) it must be empty; with set-default its experiments, models, webhooks and
evaluation datasets go to the default workspace, if no name is taken there; with cascade they are removed for good, with their files, past
the trash.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch mode {
			case "restrict", "set-default", "cascade":
			default:
				return cmdutil.Usage("--mode %.100q: expected restrict, set-default or cascade", mode)
			}
			if mode == "cascade" {
				if err := f.Confirm("remove workspace " + args[0] + " and everything in it for good"); err != nil {
					return err
				}
			}
			q := url.Values{"mode": {strings.ToUpper(strings.ReplaceAll(mode, "-", "_"))}}
			if _, err := f.Send(cmd.Context(), http.MethodDelete, client.P(root, args[0])+"?"+q.Encode(), nil); err != nil {
				return err
			}
			f.Progress("deleted workspace %s", args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&mode, "mode", "restrict", "what becomes of what is in it: restrict, set-default or cascade")
	return cmd
}
