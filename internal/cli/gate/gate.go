// Package gate holds the commands on gates: what a version must show before it serves.
package gate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

const root = "api/v1/gates"

// New is `modelyard gate`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "gate", Short: "Gates: what a version must show before it serves", Aliases: []string{"gates"}}
	cmd.AddCommand(check(f), results(f), get(f))
	return cmd
}

func check(f *cmdutil.Factory) *cobra.Command {
	var file, alias string
	cmd := &cobra.Command{Use: "check <model>/<version>", Short: "Judge a version by a gate; exit 6 when it fails", Args: cmdutil.Args("<model>/<version>"),
		Example: "  modelyard gate check bike-demand/3 -f gate.yaml --alias champion"}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the gate's rules, YAML")
	cmd.Flags().StringVar(&alias, "alias", "", "alias to set when it passes")
	_ = cmd.MarkFlagRequired("file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, version, ok := strings.Cut(args[0], "/")
		if !ok {
			return cmdutil.Usage("%q: expected <model>/<version>", args[0])
		}
		b, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			return err
		}
		spec, err := yamlx.ToJSON(b)
		if err != nil {
			return cmdutil.Usage("%s is not YAML: %v", file, err)
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root+"/check", map[string]any{"gate": json.RawMessage(spec), "model": name, "version": version, "alias_on_pass": alias})
		if err != nil {
			return err
		}
		if err := show(f, o); err != nil {
			return err
		}
		if v := o.Str("verdict"); v != "pass" {
			return cmdutil.GateFailed("%s: gate %s says %s", args[0], o.Str("gate"), v)
		}
		return nil
	}
	return cmd
}

func show(f *cmdutil.Factory, o cmdutil.Object) error {
	if f.Structured() {
		return f.Document(o)
	}
	_, _ = fmt.Fprintf(f.Out, "%s/%s, gate %s on %s@%s (%s rows): %s\n\n", o.Str("model"), o.Str("version"), o.Str("gate"), o.Str("dataset"), o.Str("dataset_version"), o.Str("rows"), o.Str("verdict"))
	rows := o.Items("rules")
	return cmdutil.List(f, rows, rows, []cmdutil.Column[cmdutil.Object]{cmdutil.Col("verdict", "verdict"), cmdutil.Col("rule", "name"), cmdutil.NumCol("required", "required", 4), cmdutil.NumCol("measured", "measured", 4), cmdutil.NumCol("margin", "margin", 4), cmdutil.Col("note", "note")})
}

func results(f *cmdutil.Factory) *cobra.Command {
	var model, version string
	cmd := &cobra.Command{Use: "list", Short: "List gate results, newest first", Args: cmdutil.Args()}
	cmd.Flags().StringVar(&model, "model", "", "only of one model")
	cmd.Flags().StringVar(&version, "version", "", "only of one version")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := url.Values{}
		if model != "" {
			q.Set("model", model)
		}
		if version != "" {
			q.Set("version", version)
		}
		return f.ShowList(cmd.Context(), "/"+root+"/results", q, 0, "no gate was checked yet", cmdutil.Col("id", "id"), cmdutil.Col("gate", "gate"), cmdutil.Col("model", "model"), cmdutil.Col("version", "version"), cmdutil.Col("verdict", "verdict"), cmdutil.AgoCol("when", "created_at"))
	}
	return cmd
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <id>", Short: "Show one result: required, measured, margin", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, "results", args[0]), nil)
		if err != nil {
			return err
		}
		return show(f, o)
	}}
}
