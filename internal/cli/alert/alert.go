// Package alert holds the commands on alerts.
package alert

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/alerts"

// New is `modelyard alert`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "alert", Short: "Alerts: what needs somebody", Aliases: []string{"alerts"}}
	cmd.AddCommand(list(f), get(f), act(f, "acknowledge", "Say that you look after it"), act(f, "resolve", "Close it by hand"))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	var state string
	cmd := &cobra.Command{Use: "list", Short: "List alerts, open ones first", Args: cmdutil.Args()}
	cmd.Flags().StringVar(&state, "state", "", "open, acknowledged or resolved (default: all)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := url.Values{}
		if state != "" {
			q.Set("state", state)
		}
		return f.ShowList(cmd.Context(), "/"+root, q, 0, "no alerts", cmdutil.Col("id", "id"), cmdutil.Col("state", "state"), cmdutil.Col("severity", "severity"), cmdutil.Col("endpoint", "endpoint"),
			cmdutil.Col("kind", "kind"), cmdutil.Col("title", "title"), cmdutil.AgoCol("opened", "opened_at"))
	}
	return cmd
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <id>", Short: "Show an alert with its reason", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		return f.Describe(o, cmdutil.Pair{Key: "alert", Value: o.Str("title")}, cmdutil.Pair{Key: "state", Value: o.Str("state")}, cmdutil.Pair{Key: "severity", Value: o.Str("severity")}, cmdutil.Pair{Key: "endpoint", Value: o.Str("endpoint")},
			cmdutil.Pair{Key: "reason", Value: o.Str("reason")}, cmdutil.Pair{Key: "event time", Value: o.Str("event_time")}, cmdutil.Pair{Key: "opened", Value: o.Str("opened_at")}, cmdutil.Pair{Key: "resolved", Value: o.Str("resolved_reason")})
	}}
}

func act(f *cmdutil.Factory, verb, short string) *cobra.Command {
	var note string
	cmd := &cobra.Command{Use: verb + " <id>", Short: short, Args: cmdutil.Args("<id>")}
	cmd.Flags().StringVar(&note, "note", "", "what you know; kept with the alert")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, args[0], verb), map[string]string{"note": note})
		if err != nil {
			return err
		}
		return f.Created(o, o.Str("title")+": "+o.Str("state"), "/alerts", "")
	}
	return cmd
}
