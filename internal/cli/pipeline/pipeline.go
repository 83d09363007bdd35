// Package pipeline holds the commands on pipelines and their runs.
package pipeline

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

const root, runs = "api/v1/pipelines", "api/v1/pipeline-runs"

// New is `modelyard pipeline`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "pipeline", Short: "Pipelines: durable steps, run by hand, by schedule or by an alert", Aliases: []string{"pipelines"}}
	cmd.AddCommand(list(f), get(f), apply(f), run(f), listRuns(f), status(f), logs(f), cancel(f), retry(f), remove(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List pipelines", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		return f.ShowList(cmd.Context(), "/"+root, nil, 0, "no pipelines yet: modelyard pipeline apply <name> -f pipeline.yaml", cmdutil.Col("name", "name"), cmdutil.Col("last run", "last_run.state"), cmdutil.AgoCol("updated", "updated_at"))
	}}
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <name>", Short: "Show a pipeline's definition", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		_, err = fmt.Fprintln(f.Out, o.Str("spec"))
		return err
	}}
}

func apply(f *cmdutil.Factory) *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "apply <name>", Short: "Make or change a pipeline; the files it names are sent along", Args: cmdutil.Args("<name>"), Example: "  modelyard pipeline apply bike-demand -f pipeline.yaml"}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the definition, YAML; - is standard input")
	_ = cmd.MarkFlagRequired("file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, dir, err := read(f, file)
		if err != nil {
			return err
		}
		files, err := beside(dir, spec)
		if err != nil {
			return err
		}
		o, err := f.Send(cmd.Context(), http.MethodPut, client.P(root, args[0]), map[string]any{"spec": string(spec), "files": files})
		if err != nil {
			return err
		}
		return f.Created(o, "pipeline "+args[0], "/pipelines/"+args[0], "modelyard pipeline run "+args[0])
	}
	return cmd
}

// read gives a definition and the folder that its files are looked for in.
func read(f *cmdutil.Factory, file string) (spec []byte, dir string, err error) {
	if file == "-" {
		spec, err = io.ReadAll(f.In)
		return spec, ".", err
	}
	spec, err = os.ReadFile(filepath.Clean(file))
	return spec, filepath.Dir(file), err
}

// beside reads the files that a definition names.
func beside(dir string, spec []byte) (map[string]string, error) {
	var named struct {
		Files []string `yaml:"files"`
	}
	if err := yamlx.DecodeLoose(spec, &named); err != nil {
		return nil, nil //nolint:nilerr // the server says what is wrong with it
	}
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	files := map[string]string{}
	for _, n := range named.Files {
		b, err := r.ReadFile(n)
		if err != nil {
			return nil, cmdutil.Usage("the definition names the file %s: %v", n, err)
		}
		files[n] = string(b)
	}
	return files, nil
}

func run(f *cmdutil.Factory) *cobra.Command {
	var params []string
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{Use: "run <name>", Short: "Start a run", Args: cmdutil.Args("<name>"), Example: "  modelyard pipeline run bike-demand -p until=2011-04-01 --wait"}
	cmd.Flags().StringArrayVarP(&params, "param", "p", nil, "a parameter, key=value; may be given again")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end; exit 1 when the run fails")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Hour, "how long --wait waits")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		values := map[string]string{}
		for _, p := range params {
			k, v, ok := strings.Cut(p, "=")
			if !ok {
				return cmdutil.Usage("--param %q: expected key=value", p)
			}
			values[k] = v
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, args[0], "runs"), map[string]any{"params": values})
		if err != nil {
			return err
		}
		id := o.Str("id")
		if wait {
			if o, err = await(cmd, f, id, timeout); err != nil {
				return err
			}
		}
		return f.Created(o, id+" "+o.Str("state"), "/pipelines/"+args[0]+"/runs/"+id, "modelyard pipeline logs "+id)
	}
	return cmd
}

func await(cmd *cobra.Command, f *cmdutil.Factory, id string, timeout time.Duration) (cmdutil.Object, error) {
	seen := map[string]string{}
	return f.Poll(cmd.Context(), client.P(runs, id), timeout, 200*time.Millisecond, func(o cmdutil.Object) (bool, error) {
		for _, s := range o.Items("steps") {
			if st := s.Str("state"); seen[s.Str("name")] != st {
				seen[s.Str("name")] = st
				f.Progress("%12s  %s", st, s.Str("name"))
			}
		}
		switch o.Str("state") {
		case "succeeded":
			return true, nil
		case "failed", "cancelled":
			return true, errors.New("run " + id + " " + o.Str("state") + ": " + o.Str("error"))
		}
		return false, nil
	})
}

func listRuns(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "runs <name>", Short: "List the runs of a pipeline, newest first", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		return f.ShowList(cmd.Context(), client.P(root, args[0], "runs"), nil, 50, "no runs yet: modelyard pipeline run "+args[0], cmdutil.Col("id", "id"), cmdutil.Col("state", "state"), cmdutil.Col("trigger", "trigger.kind"), cmdutil.AgoCol("started", "started_at"), cmdutil.Col("error", "error"))
	}}
}

func status(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "status <run-id>", Short: "Show a run and its steps", Args: cmdutil.Args("<run-id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(runs, args[0]), nil)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		if err := f.Describe(o, cmdutil.Pair{Key: "run", Value: o.Str("id")}, cmdutil.Pair{Key: "state", Value: o.Str("state")}, cmdutil.Pair{Key: "trigger", Value: o.Str("trigger.kind")}, cmdutil.Pair{Key: "error", Value: o.Str("error")}); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(f.Out)
		rows := o.Items("steps")
		return cmdutil.List(f, rows, rows, []cmdutil.Column[cmdutil.Object]{cmdutil.Col("step", "name"), cmdutil.Col("state", "state"), cmdutil.Col("attempt", "attempt"), cmdutil.Col("exit", "exit_code"), cmdutil.Col("error", "error")})
	}}
}

func logs(f *cmdutil.Factory) *cobra.Command {
	var step string
	cmd := &cobra.Command{Use: "logs <run-id>", Short: "Print the log of a run's steps", Args: cmdutil.Args("<run-id>")}
	cmd.Flags().StringVar(&step, "step", "", "only one step")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(runs, args[0]), nil)
		if err != nil {
			return err
		}
		c, err := f.Client()
		if err != nil {
			return err
		}
		for _, s := range o.Items("steps") {
			name := s.Str("name")
			if (step != "" && name != step) || s.Str("state") == "waiting" {
				continue
			}
			f.Progress("== %s (%s)", name, s.Str("state"))
			for offset := "0"; ; {
				resp, err := c.Do(cmd.Context(), client.Request{Method: http.MethodGet, Path: client.P(runs, args[0], "steps", name, "log"), Query: url.Values{"offset": {offset}}})
				if err != nil {
					return err
				}
				n, err := io.Copy(f.Out, resp.Body)
				_ = resp.Body.Close()
				next := resp.Header.Get("X-Modelyard-Next-Offset")
				if err != nil {
					return err
				}
				if n == 0 || next == "" || next == offset {
					break
				}
				offset = next
			}
		}
		return nil
	}
	return cmd
}

func cancel(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "cancel <run-id>", Short: "Stop a run; its steps get 30 seconds to end", Args: cmdutil.Args("<run-id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(runs, args[0], "cancel"), map[string]string{})
		if err != nil {
			return err
		}
		return f.Created(o, args[0]+" "+o.Str("state"), "", "modelyard pipeline status "+args[0])
	}}
}

func retry(f *cmdutil.Factory) *cobra.Command {
	var from string
	cmd := &cobra.Command{Use: "retry <run-id>", Short: "Run failed steps again; what succeeded is kept", Args: cmdutil.Args("<run-id>")}
	cmd.Flags().StringVar(&from, "from", "", "run this step and those after it again")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]string{}
		if from != "" {
			body["from_step"] = from
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(runs, args[0], "retry"), body)
		if err != nil {
			return err
		}
		return f.Created(o, args[0]+" "+o.Str("state"), "", "modelyard pipeline status "+args[0])
	}
	return cmd
}

func remove(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "delete <name>", Short: "Delete a pipeline; its runs are kept", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		if err := f.Confirm("delete the pipeline " + args[0]); err != nil {
			return err
		}
		if _, err := f.Send(cmd.Context(), http.MethodDelete, client.P(root, args[0]), nil); err != nil {
			return err
		}
		f.Progress("deleted %s %s", "pipeline", strconv.Quote(args[0]))
		return nil
	}}
}
