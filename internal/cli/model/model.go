// Package model holds the commands on registered models and their versions.
package model

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/models"

// New is `modelyard model`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "model", Short: "Registered models, their versions and aliases", Aliases: []string{"models"}}
	cmd.AddCommand(list(f), get(f), versions(f), register(f), promote(f), history(f), duplicate(f), remove(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	var workspace string
	cmd := &cobra.Command{Use: "list", Short: "List registered models", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		q := url.Values{}
		if workspace != "" {
			q.Set("workspace", workspace)
		}
		return f.ShowList(cmd.Context(), "/"+root, q, 0, "no models yet: mlflow.register_model(...) or modelyard model register",
			cmdutil.Col("name", "name"), cmdutil.Col("latest", "latest_version"), aliasCol(), cmdutil.AgoCol("updated", "updated_at"))
	}}
	cmd.Flags().StringVar(&workspace, "workspace", "", "only those of one workspace")
	return cmd
}

func aliasCol() cmdutil.Column[cmdutil.Object] {
	return cmdutil.Column[cmdutil.Object]{Head: "aliases", Cell: func(o cmdutil.Object) string {
		m, _ := o.Get("aliases").(map[string]any)
		var parts []string
		for a := range m {
			parts = append(parts, a+"="+cmdutil.Object(m).Str(a))
		}
		return strings.Join(parts, " ")
	}}
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <name>[/<version>]", Short: "Show a model, or one version of it", Args: cmdutil.Args("<name>"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, version, isVersion := strings.Cut(args[0], "/")
			if !isVersion {
				o, err := f.Fetch(cmd.Context(), client.P(root, name), nil)
				if err != nil {
					return err
				}
				return f.Describe(o, cmdutil.Pair{Key: "name", Value: o.Str("name")}, cmdutil.Pair{Key: "description", Value: o.Str("description")}, cmdutil.Pair{Key: "latest", Value: o.Str("latest_version")},
					cmdutil.Pair{Key: "aliases", Value: aliasCol().Cell(o)}, cmdutil.Pair{Key: "created", Value: o.Str("created_at")})
			}
			o, err := f.Fetch(cmd.Context(), client.P(root, name, "versions", version), nil)
			if err != nil {
				return err
			}
			return f.Describe(o, cmdutil.Pair{Key: "model", Value: name + "/" + o.Str("version")}, cmdutil.Pair{Key: "status", Value: o.Str("status")}, cmdutil.Pair{Key: "aliases", Value: o.Str("aliases")},
				cmdutil.Pair{Key: "flavour", Value: o.Str("flavor")}, cmdutil.Pair{Key: "runtime", Value: o.Str("runtime")}, cmdutil.Pair{Key: "run", Value: o.Str("run_id")}, cmdutil.Pair{Key: "inputs", Value: columns(o, "signature.inputs")},
				cmdutil.Pair{Key: "outputs", Value: columns(o, "signature.outputs")}, cmdutil.Pair{Key: "digest", Value: o.Str("digest")}, cmdutil.Pair{Key: "created", Value: o.Str("created_at") + " by " + o.Str("created_by")})
		}}
}

func columns(o cmdutil.Object, path string) string {
	var parts []string
	for _, c := range o.Items(path) {
		parts = append(parts, c.Str("name")+" "+c.Str("type"))
	}
	return strings.Join(parts, ", ")
}

func versions(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "versions <name>", Short: "List the versions of a model", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		return f.ShowList(cmd.Context(), client.P(root, args[0], "versions"), nil, 0, "no versions yet",
			cmdutil.Col("version", "version"), cmdutil.Col("aliases", "aliases"), cmdutil.Col("status", "status"), cmdutil.Col("runtime", "runtime"), cmdutil.Col("run", "run_id"), cmdutil.AgoCol("created", "created_at"))
	}}
}

func register(f *cmdutil.Factory) *cobra.Command {
	var description string
	cmd := &cobra.Command{Use: "register <name> <source>", Short: "Make a version of a logged model", Args: cmdutil.Args("<name>", "<source>"),
		Example: "  modelyard model register bike-demand runs:/0190…/model"}
	cmd.Flags().StringVar(&description, "description", "", "what this version is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if client.IsNotFound(err) {
			_, err = f.Send(cmd.Context(), http.MethodPost, "/"+root, map[string]string{"name": args[0]})
		}
		if err != nil {
			return err
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, args[0], "versions"), map[string]string{"source": args[1], "description": description})
		if err != nil {
			return err
		}
		v := o.Str("version")
		return f.Created(o, args[0]+"/"+v, "/models/"+args[0], fmt.Sprintf("modelyard deploy models:/%s/%s", args[0], v))
	}
	return cmd
}

func promote(f *cmdutil.Factory) *cobra.Command {
	var reason, alias string
	cmd := &cobra.Command{Use: "promote <name>/<version>", Short: "Point an alias (champion) at a version", Args: cmdutil.Args("<name>/<version>"),
		Example: "  modelyard model promote bike-demand/3 --reason 'better on the June hold-out'"}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the history")
	cmd.Flags().StringVar(&alias, "alias", "champion", "which alias")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, version, ok := strings.Cut(args[0], "/")
		if !ok {
			return cmdutil.Usage("%q: expected <name>/<version>, such as bike-demand/3", args[0])
		}
		o, err := f.Send(cmd.Context(), http.MethodPut, client.P(root, name, "aliases", alias), map[string]string{"version": version, "reason": reason})
		if err != nil {
			return err
		}
		return f.Created(o, name+"@"+alias+" is version "+version, "/models/"+name, "modelyard deploy models:/"+name+"@"+alias)
	}
	return cmd
}

func history(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "history <name>", Short: "Who set which alias when and why", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		return f.ShowList(cmd.Context(), client.P(root, args[0], "history"), nil, 0, "nothing has happened yet", cmdutil.Col("at", "at"), cmdutil.Col("actor", "actor"), cmdutil.Col("what", "what"),
			cmdutil.Col("alias", "alias"), cmdutil.Col("version", "version"), cmdutil.Col("previous", "previous"), cmdutil.Col("reason", "reason"))
	}}
}

func remove(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "delete <name>[/<version>]", Short: "Delete a model or a version", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		name, version, isVersion := strings.Cut(args[0], "/")
		path, what := client.P(root, name), "delete model "+name+" with all its versions"
		if isVersion {
			path, what = client.P(root, name, "versions", version), "delete version "+version+" of "+name
		}
		if err := f.Confirm(what); err != nil {
			return err
		}
		if _, err := f.Send(cmd.Context(), http.MethodDelete, path, nil); err != nil {
			return err
		}
		f.Progress("deleted %s", args[0])
		return nil
	}}
}
