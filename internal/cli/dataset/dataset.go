// Package dataset holds the commands on datasets and their versions.
package dataset

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/datasets"

// New is `modelyard dataset`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "dataset", Short: "Datasets: versioned, profiled, checked against a contract", Aliases: []string{"datasets", "data"}}
	cmd.AddCommand(list(f), get(f), push(f), pull(f), contract(f), remove(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List datasets", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		return f.ShowList(cmd.Context(), "/"+root, nil, 0, "no datasets yet: modelyard dataset push <name> <file.csv>",
			cmdutil.Col("name", "name"), cmdutil.Col("latest", "latest_version"), cmdutil.Col("rows", "rows"), cmdutil.AgoCol("updated", "updated_at"))
	}}
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <name>[@<version>]", Short: "Show a version with its columns (default: latest)", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		name, version := split(args[0])
		o, err := f.Fetch(cmd.Context(), client.P(root, name, "versions", version), nil)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		if err := f.Describe(o, cmdutil.Pair{Key: "dataset", Value: name + "@" + o.Str("version")}, cmdutil.Pair{Key: "rows", Value: o.Str("rows")}, cmdutil.Pair{Key: "digest", Value: o.Str("digest")},
			cmdutil.Pair{Key: "contract", Value: o.Str("contract.verdict")}, cmdutil.Pair{Key: "created", Value: o.Str("created_at")}); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(f.Out)
		rows := o.Items("profile.columns")
		return cmdutil.List(f, rows, rows, []cmdutil.Column[cmdutil.Object]{cmdutil.Col("column", "name"), cmdutil.Col("type", "type"), cmdutil.Col("missing", "missing"), cmdutil.Col("distinct", "distinct"),
			cmdutil.NumCol("min", "min", 3), cmdutil.NumCol("mean", "mean", 3), cmdutil.NumCol("max", "max", 3)})
	}}
}

func split(arg string) (name, version string) {
	name, version, ok := strings.Cut(arg, "@")
	if !ok {
		version = "latest"
	}
	return name, version
}

func push(f *cmdutil.Factory) *cobra.Command {
	var timeColumn, target, description, format string
	cmd := &cobra.Command{Use: "push <name> <file>", Short: "Register a CSV, Parquet or JSON lines file as a new version", Args: cmdutil.Args("<name>", "<file>"),
		Long: "Register a file as a new version: it is profiled, and checked against the dataset's contract if it has one. The same contents again give the same version."}
	fl := cmd.Flags()
	fl.StringVar(&timeColumn, "time-column", "", "column with the event time")
	fl.StringVar(&target, "target", "", "column that models predict")
	fl.StringVar(&description, "description", "", "what this version is")
	fl.StringVar(&format, "format", "", "csv, parquet or jsonl (default: by the file's ending)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if format == "" {
			format = map[string]string{".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}[strings.ToLower(filepath.Ext(args[1]))]
		}
		if format == "" {
			return cmdutil.Usage("cannot tell the format of %s: add --format csv, parquet or jsonl", args[1])
		}
		file, err := os.Open(filepath.Clean(args[1]))
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		q := url.Values{"format": {format}}
		for k, v := range map[string]string{"time_column": timeColumn, "target": target, "description": description} {
			if v != "" {
				q.Set(k, v)
			}
		}
		c, err := f.Client()
		if err != nil {
			return err
		}
		var o cmdutil.Object
		if err := c.Call(cmd.Context(), client.Request{Method: http.MethodPost, Path: client.P(root, args[0], "versions"), Query: q, Body: file, ContentType: "application/octet-stream"}, &o); err != nil {
			return err
		}
		return f.Created(o, fmt.Sprintf("%s@%s, %s rows", args[0], o.Str("version"), o.Str("rows")), "/datasets/"+args[0], "modelyard dataset get "+args[0])
	}
	return cmd
}

func pull(f *cmdutil.Factory) *cobra.Command {
	var format, out string
	cmd := &cobra.Command{Use: "pull <name>[@<version>]", Short: "Download the data of a version", Args: cmdutil.Args("<name>")}
	cmd.Flags().StringVar(&format, "format", "csv", "csv or parquet")
	cmd.Flags().StringVarP(&out, "file", "f", "-", "where to write; - is standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, version := split(args[0])
		c, err := f.Client()
		if err != nil {
			return err
		}
		resp, err := c.Do(cmd.Context(), client.Request{Method: http.MethodGet, Path: client.P(root, name, "versions", version, "data"), Query: url.Values{"format": {format}}})
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		return f.Save(out, resp.Body)
	}
	return cmd
}

func contract(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "contract <name> <file.yaml>", Short: "Set what each new version must fulfil", Args: cmdutil.Args("<name>", "<file.yaml>"), RunE: func(cmd *cobra.Command, args []string) error {
		b, err := os.ReadFile(filepath.Clean(args[1]))
		if err != nil {
			return err
		}
		c, err := f.Client()
		if err != nil {
			return err
		}
		var o cmdutil.Object
		err = c.Call(cmd.Context(), client.Request{Method: http.MethodPut, Path: client.P(root, args[0], "contract"), Body: strings.NewReader(string(b)), ContentType: "application/yaml"}, &o)
		if err != nil {
			return err
		}
		return f.Created(o, "contract of "+args[0]+" set", "/datasets/"+args[0], "")
	}}
}

func remove(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{
		Use: "delete <name>[@<version>]", Short: "Move a dataset, or one version, to the trash", Args: cmdutil.Args("<name>"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := client.P(root, args[0])
			if name, version, ok := strings.Cut(args[0], "@"); ok {
				path = client.P(root, name, "versions", version)
			}
			if _, err := f.Send(cmd.Context(), http.MethodDelete, path, nil); err != nil {
				return err
			}
			f.Progress("%s was moved to the trash; modelyard trash list shows it", args[0])
			return nil
		},
	}
}
