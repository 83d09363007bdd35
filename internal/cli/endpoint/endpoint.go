// Package endpoint holds the commands on endpoints: what serves models.
package endpoint

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/endpoints"

// New is `modelyard endpoint`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "endpoint", Short: "Endpoints: what serves models, with traffic and rollback", Aliases: []string{"endpoints", "ep"}}
	cmd.AddCommand(list(f), get(f), predict(f), traffic(f), rollback(f), history(f), predictions(f), export(f), remove(f), policy(f), retrain(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List endpoints", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		return f.ShowList(cmd.Context(), "/"+root, nil, 0, "no endpoints yet: modelyard deploy models:/<name>@<alias>",
			cmdutil.Col("name", "name"), cmdutil.Col("model", "model"), cmdutil.Col("state", "status.state"), trafficCol(), cmdutil.AgoCol("created", "created_at"))
	}}
}

func trafficCol() cmdutil.Column[cmdutil.Object] {
	return cmdutil.Column[cmdutil.Object]{Head: "traffic", Cell: func(o cmdutil.Object) string {
		var parts []string
		for _, t := range append(o.Items("spec.targets"), o.Items("targets")...) { // an endpoint, or a generation of its route
			parts = append(parts, fmt.Sprintf("v%s %s %%", t.Str("version"), t.Str("weight")))
		}
		return strings.Join(parts, ", ")
	}}
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <name>", Short: "Show an endpoint and the versions behind it", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		if err := f.Describe(o, cmdutil.Pair{Key: "endpoint", Value: o.Str("name")}, cmdutil.Pair{Key: "model", Value: o.Str("model")}, cmdutil.Pair{Key: "state", Value: o.Str("status.state") + " " + o.Str("status.message")},
			cmdutil.Pair{Key: "generation", Value: o.Str("status.observed_generation") + " of " + o.Str("spec.generation")}); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(f.Out)
		rows := o.Items("status.versions")
		return cmdutil.List(f, rows, rows, []cmdutil.Column[cmdutil.Object]{cmdutil.Col("version", "version"), cmdutil.Col("role", "role"), cmdutil.Col("weight", "weight"), cmdutil.Col("state", "state"),
			cmdutil.Col("runtime", "runtime"), cmdutil.Col("error", "error")})
	}}
}

// Deploy is `modelyard deploy`.
func Deploy(f *cmdutil.Factory) *cobra.Command {
	var name string
	var timeout time.Duration
	var noWait bool
	cmd := &cobra.Command{Use: "deploy <models:/name@alias>", Short: "Serve a model version, and wait until it answers", Args: cmdutil.Args("<models:/name@alias>"),
		Long: `Make an endpoint that serves a model version, or send all traffic of an existing one to it. Predictions are logged and watched
from the first one on.`,
		Example: `  modelyard deploy models:/bike-demand@champion
  modelyard deploy models:/bike-demand/3 --name bike-demand-eu`}
	cmd.Flags().StringVar(&name, "name", "", "name of the endpoint (default: the model's name)")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait; the first deploy of a Python model makes its environment")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it answers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if name == "" {
			rest, ok := strings.CutPrefix(args[0], "models:/")
			if !ok {
				return cmdutil.Usage("%q: expected models:/<name>@<alias> or models:/<name>/<version>", args[0])
			}
			name = strings.FieldsFunc(rest, func(r rune) bool { return r == '@' || r == '/' })[0]
		}
		start := time.Now()
		o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root, map[string]string{"name": name, "model_uri": args[0]})
		if err != nil {
			return err
		}
		if !noWait {
			if o, err = wait(cmd, f, name, timeout); err != nil {
				return err
			}
		}
		took := time.Since(start).Round(time.Millisecond)
		what := fmt.Sprintf("%s serves %s %s (%s)", name, o.Str("model"), trafficCol().Cell(o), took)
		return f.Created(o, what, "/endpoints/"+name, fmt.Sprintf("modelyard endpoint predict %s '{...}'", name))
	}
	return cmd
}

func wait(cmd *cobra.Command, f *cmdutil.Factory, name string, timeout time.Duration) (cmdutil.Object, error) {
	last := ""
	return f.Poll(cmd.Context(), client.P(root, name), timeout, 50*time.Millisecond, func(o cmdutil.Object) (bool, error) {
		state := o.Str("status.state")
		if msg := o.Str("status.message"); msg != "" && msg != last {
			last = msg
			f.Progress("%s: %s", name, msg)
		}
		if state == "failed" || state == "degraded" {
			return true, &client.Error{Kind: "precondition", Message: name + " did not come up: " + o.Str("status.message"), Hint: "modelyard endpoint get " + name + " -o yaml"}
		}
		return state == "ready" && o.Str("status.observed_generation") == o.Str("spec.generation"), nil
	})
}

func predict(f *cmdutil.Factory) *cobra.Command {
	var key, eventTime string
	cmd := &cobra.Command{Use: "predict <name> <record>", Short: "Ask for one prediction: a JSON object, or @file, or - for standard input", Args: cmdutil.Args("<name>", "<record>"),
		Example: `  modelyard endpoint predict bike-demand '{"hour": 8, "temperature": 21.5}'`}
	cmd.Flags().StringVar(&key, "key", "", "your own key, for feedback by key")
	cmd.Flags().StringVar(&eventTime, "event-time", "", "when it happened (RFC 3339; default now)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := []byte(args[1])
		var err error
		if args[1] == "-" {
			body, err = io.ReadAll(f.In)
		} else if file, ok := strings.CutPrefix(args[1], "@"); ok {
			body, err = os.ReadFile(filepath.Clean(file))
		}
		if err != nil {
			return err
		}
		if !json.Valid(body) {
			return cmdutil.Usage("the record is not JSON: expected an object such as '{\"hour\": 8}'")
		}
		c, err := f.Client()
		if err != nil {
			return err
		}
		h := http.Header{}
		if key != "" {
			h.Set("X-Modelyard-Key", key)
		}
		if eventTime != "" {
			h.Set("X-Modelyard-Event-Time", eventTime)
		}
		var o cmdutil.Object
		if err := c.Call(cmd.Context(), client.Request{Method: http.MethodPost, Path: "/endpoints/" + url.PathEscape(args[0]) + "/predict", Body: strings.NewReader(string(body)), ContentType: "application/json", Header: h}, &o); err != nil {
			return err
		}
		return f.Document(o)
	}
	return cmd
}

func traffic(f *cmdutil.Factory) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "traffic <name> <version=percent>...", Short: "Split traffic between versions", Args: cobra.MinimumNArgs(2),
		Example: "  modelyard endpoint traffic bike-demand 3=90 4=10 --reason 'try the summer model'"}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the history")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var targets []map[string]any
		for i, a := range args[1:] {
			v, w, ok := strings.Cut(a, "=")
			weight, err := strconv.ParseFloat(w, 64)
			if !ok || err != nil {
				return cmdutil.Usage("%q: expected <version>=<percent>, such as 3=90", a)
			}
			role := "canary"
			if i == 0 {
				role = "champion"
			}
			targets = append(targets, map[string]any{"version": v, "weight": weight, "role": role})
		}
		o, err := f.Send(cmd.Context(), http.MethodPut, client.P(root, args[0], "traffic"), map[string]any{"targets": targets, "reason": reason})
		if err != nil {
			return err
		}
		return f.Created(o, args[0]+": "+strings.Join(args[1:], ", "), "/endpoints/"+args[0], "modelyard endpoint rollback "+args[0])
	}
	return cmd
}

func rollback(f *cmdutil.Factory) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "rollback <name>", Short: "Go back to what served before", Args: cmdutil.Args("<name>"),
		Long: "Send all traffic to the version that served before the last change. It is loaded still, so this takes less than a second."}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the history")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, args[0], "rollback"), map[string]string{"reason": reason})
		if err != nil {
			return err
		}
		return f.Created(o, args[0]+" rolled back: "+trafficCol().Cell(o), "/endpoints/"+args[0], "modelyard endpoint history "+args[0])
	}
	return cmd
}

func history(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "history <name>", Short: "Who changed the traffic when and why", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		return f.ShowList(cmd.Context(), client.P(root, args[0], "history"), nil, 0, "",
			cmdutil.Col("generation", "generation"), cmdutil.Col("at", "at"), cmdutil.Col("actor", "actor"), trafficCol(), cmdutil.Col("reason", "reason"))
	}}
}

// rawOnly tells where older predictions are.
const rawOnly = `

It reads the raw log, which keeps raw_log_days (90 without a setting). Older predictions are in their hours' Parquet files alone:
modelyard lineage prediction <id> still finds each of them.`

func predictions(f *cmdutil.Factory) *cobra.Command {
	var limit int
	var version string
	var labelled bool
	cmd := &cobra.Command{Use: "predictions <name>", Short: "Show logged predictions, newest first", Long: "Show logged predictions, newest first." + rawOnly, Args: cmdutil.Args("<name>")}
	cmd.Flags().IntVar(&limit, "limit", 20, "most predictions to show")
	cmd.Flags().StringVar(&version, "version", "", "only those of one version")
	cmd.Flags().BoolVar(&labelled, "labelled", false, "only those whose truth is known")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := url.Values{"limit": {strconv.Itoa(limit)}}
		if version != "" {
			q.Set("version", version)
		}
		if labelled {
			q.Set("labelled", "true")
		}
		return f.ShowList(cmd.Context(), client.P(root, args[0], "predictions"), q, limit, "no predictions yet", cmdutil.Col("id", "id"), cmdutil.Col("event time", "event_time"), cmdutil.Col("version", "version"),
			cmdutil.Col("output", "output"), cmdutil.Col("label", "label"), cmdutil.NumCol("ms", "latency_ms", 3), cmdutil.Col("key", "key"))
	}
	return cmd
}

func export(f *cmdutil.Factory) *cobra.Command {
	var format, out, from, to string
	var labelled bool
	cmd := &cobra.Command{Use: "export <name>", Short: "Export logged predictions with their labels", Long: "Export logged predictions with their labels, oldest first." + rawOnly, Args: cmdutil.Args("<name>")}
	fl := cmd.Flags()
	fl.StringVar(&format, "format", "csv", "csv or parquet")
	fl.StringVarP(&out, "file", "f", "-", "where to write; - is standard output")
	fl.StringVar(&from, "from", "", "first event time (RFC 3339)")
	fl.StringVar(&to, "to", "", "event time to stop before (RFC 3339)")
	fl.BoolVar(&labelled, "labelled", false, "only those whose truth is known")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := url.Values{"format": {format}}
		for k, v := range map[string]string{"from": from, "to": to} {
			if v != "" {
				q.Set(k, v)
			}
		}
		if labelled {
			q.Set("labelled", "true")
		}
		c, err := f.Client()
		if err != nil {
			return err
		}
		resp, err := c.Do(cmd.Context(), client.Request{Method: http.MethodGet, Path: client.P(root, args[0], "predictions", "export"), Query: q})
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		return f.Save(out, resp.Body)
	}
	return cmd
}

func remove(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "delete <name>", Short: "Stop serving", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		if err := f.Confirm("stop the endpoint " + args[0] + "; its callers get errors from then on"); err != nil {
			return err
		}
		if _, err := f.Send(cmd.Context(), http.MethodDelete, client.P(root, args[0]), nil); err != nil {
			return err
		}
		f.Progress("deleted %s; its predictions are kept", args[0])
		return nil
	}}
}

func retrain(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "retrain <name>", Short: "Start the retraining that the endpoint's policy names", Args: cmdutil.Args("<name>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, args[0], "retrain"), map[string]string{})
		if err != nil {
			return err
		}
		return f.Created(o, "retraining "+o.Str("id")+" started", "/endpoints/"+args[0], "modelyard rollout list")
	}}
}

func policy(f *cmdutil.Factory) *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "policy <name>", Short: "Show what an alert on the endpoint starts, or set it with --file", Args: cmdutil.Args("<name>"),
		Example: "  modelyard endpoint policy bike-demand -f examples/bike-demand/policy.yaml"}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the policy, YAML: pipeline, alerts, gate and rollout")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := client.P("api/v1/lifecycle/policies", args[0])
		if file == "" {
			o, err := f.Fetch(cmd.Context(), path, nil)
			if err != nil {
				return err
			}
			if f.Output == "" {
				f.Output = "yaml"
			}
			return f.Document(o)
		}
		b, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			return err
		}
		doc, err := yaml.YAMLToJSON(b)
		if err != nil {
			return cmdutil.Usage("%s is not YAML: %v", file, err)
		}
		o, err := f.Send(cmd.Context(), http.MethodPut, path, json.RawMessage(doc))
		if err != nil {
			return err
		}
		return f.Created(o, "alerts on "+args[0]+" start the pipeline "+o.Str("pipeline"), "/endpoints/"+args[0], "modelyard endpoint retrain "+args[0])
	}
	return cmd
}
