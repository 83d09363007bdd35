// Package rollout holds the commands on rollouts: how a new version takes over, step by step.
package rollout

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/rollouts"

// New is `modelyard rollout`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "rollout", Short: "Rollouts: canaries that are judged at each step", Aliases: []string{"rollouts"}}
	cmd.AddCommand(start(f), list(f), get(f), act(f, "abort", "Give up and send all traffic to the champion"), act(f, "resume", "Go on with a halted rollout"), act(f, "promote", "Finish now: all traffic to the new version"))
	return cmd
}

func start(f *cmdutil.Factory) *cobra.Command {
	var steps []float64
	var samples int
	var errorRate, latency, metric float64
	cmd := &cobra.Command{Use: "start <endpoint> <version>", Short: "Send a version out as a canary", Args: cmdutil.Args("<endpoint>", "<version>"), Example: "  modelyard rollout start bike-demand 4 --steps 10,50,100"}
	fl := cmd.Flags()
	fl.Float64SliceVar(&steps, "steps", []float64{10, 50, 100}, "share of the traffic at each step, in percent")
	fl.IntVar(&samples, "min-samples", 200, "rows that both versions must have scored before a step is judged")
	fl.Float64Var(&errorRate, "max-error-rate", 0.01, "most failed requests, as a share")
	fl.Float64Var(&latency, "max-latency-ratio", 2, "most that p95 latency may grow, as a factor")
	fl.Float64Var(&metric, "max-metric-increase", 0.05, "most that the labelled error may grow, as a share")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root, map[string]any{"endpoint": args[0], "version": args[1], "steps": steps, "min_samples": samples,
			"checks": map[string]float64{"max_error_rate": errorRate, "max_latency_ratio": latency, "max_metric_increase": metric}})
		if err != nil {
			return err
		}
		return f.Created(o, "rollout "+o.Str("id")+" of version "+args[1]+" on "+args[0], "/endpoints/"+args[0], "modelyard rollout get "+o.Str("id"))
	}
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	var endpoint string
	cmd := &cobra.Command{Use: "list", Short: "List rollouts, newest first", Args: cmdutil.Args()}
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "only of one endpoint")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := url.Values{}
		if endpoint != "" {
			q.Set("endpoint", endpoint)
		}
		return f.ShowList(cmd.Context(), "/"+root, q, 0, "no rollouts yet", cmdutil.Col("id", "id"), cmdutil.Col("endpoint", "endpoint"), cmdutil.Col("version", "version"), cmdutil.Col("state", "state"), cmdutil.Col("reason", "reason"), cmdutil.AgoCol("started", "started_at"))
	}
	return cmd
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <id>", Short: "Show a rollout with the verdict of each step", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		_, _ = fmt.Fprintf(f.Out, "%s: v%s against v%s, %s\n%s\n\n", o.Str("endpoint"), o.Str("version"), o.Str("champion"), o.Str("state"), o.Str("reason"))
		for _, s := range o.Items("steps") {
			_, _ = fmt.Fprintf(f.Out, "%s %%  %s  %s rows\n", s.Str("weight"), s.Str("state"), s.Str("samples"))
			for _, c := range s.Items("checks") {
				_, _ = fmt.Fprintf(f.Out, "       %-12s %-14s required %s, measured %s\n", c.Str("verdict"), c.Str("name"), c.Str("required"), c.Str("measured"))
			}
		}
		return nil
	}}
}

func act(f *cmdutil.Factory, verb, short string) *cobra.Command {
	return &cobra.Command{Use: verb + " <id>", Short: short, Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, args[0], verb), map[string]string{})
		if err != nil {
			return err
		}
		return f.Created(o, args[0]+" "+o.Str("state"), "/endpoints/"+o.Str("endpoint"), "")
	}}
}
