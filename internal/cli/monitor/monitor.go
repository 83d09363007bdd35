// Package monitor holds the commands on monitors.
package monitor

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/monitors"

// New is `modelyard monitor`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "monitor", Short: "Monitors: drift, data quality, performance and service of what is served", Aliases: []string{"monitors"}}
	cmd.AddCommand(list(f), get(f), windows(f), check(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List monitors", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		return f.ShowList(cmd.Context(), "/"+root, nil, 0, "no monitors yet: each endpoint gets one when it is deployed", cmdutil.Col("endpoint", "endpoint"), cmdutil.Col("drift", "state.drift"),
			cmdutil.Col("performance", "state.performance"), cmdutil.Col("quality", "state.quality"), cmdutil.Col("service", "state.service"), cmdutil.Col("verdict", "verdict_text"))
	}}
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <endpoint>", Short: "Show a monitor: the verdict, then each feature", Args: cmdutil.Args("<endpoint>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		_, _ = fmt.Fprintf(f.Out, "%s\n\n", o.Str("verdict_text"))
		return features(f, o.Items("features"))
	}}
}

func features(f *cmdutil.Factory, rows []cmdutil.Object) error {
	return cmdutil.List(f, rows, rows, []cmdutil.Column[cmdutil.Object]{cmdutil.Col("feature", "name"), cmdutil.Col("verdict", "verdict"), cmdutil.Col("test", "test"), cmdutil.NumCol("statistic", "statistic", 3), cmdutil.NumCol("limit", "threshold", 2)})
}

func windows(f *cmdutil.Factory) *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "windows <endpoint>", Short: "List the newest windows with their verdicts", Args: cmdutil.Args("<endpoint>")}
	cmd.Flags().IntVar(&limit, "limit", 20, "most windows to show")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.ShowList(cmd.Context(), client.P(root, args[0], "windows"), url.Values{"limit": {strconv.Itoa(limit)}}, limit, "no window is complete yet", cmdutil.Col("from", "from"), cmdutil.Col("to", "to"), cmdutil.Col("count", "count"),
			cmdutil.Col("drift", "verdicts.drift"), cmdutil.Col("performance", "verdicts.performance"), cmdutil.NumCol("error", "performance.value", 1), cmdutil.Col("quality", "verdicts.quality"), cmdutil.Col("service", "verdicts.service"))
	}
	return cmd
}

func check(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "check <endpoint>", Short: "Exit with 6 when anything is in breach, for scripts and CI", Args: cmdutil.Args("<endpoint>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		if f.Structured() {
			if err := f.Document(o); err != nil {
				return err
			}
		}
		for _, kind := range []string{"drift", "performance", "quality", "service"} {
			if o.Str("state."+kind) == "breach" {
				return cmdutil.GateFailed("%s of %s is in breach: %s", kind, args[0], o.Str("verdict_text"))
			}
		}
		f.Progress("%s", o.Str("verdict_text"))
		return nil
	}}
}
