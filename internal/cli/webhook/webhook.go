// Package webhook holds the commands on webhooks.
package webhook

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/webhooks"

// New is `modelyard webhook`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "webhook", Short: "Webhooks: where alerts are sent, signed", Aliases: []string{"webhooks"}}
	var events []string
	create := &cobra.Command{Use: "create <url>", Short: "Send events to an address", Args: cmdutil.Args("<url>"), Long: "Send events to an address. The signing secret is read from MODELYARD_WEBHOOK_SECRET, so that it is not seen in the process list.",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root, map[string]any{"url": args[0], "events": events, "secret": f.Getenv("MODELYARD_WEBHOOK_SECRET")})
			if err != nil {
				return err
			}
			return f.Created(o, o.Str("id"), "/alerts", "modelyard webhook test "+o.Str("id"))
		}}
	create.Flags().StringSliceVar(&events, "event", []string{"alert.opened", "alert.resolved"}, "types of events to send")
	cmd.AddCommand(create, &cobra.Command{Use: "list", Short: "List webhooks", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		return f.ShowList(cmd.Context(), "/"+root, nil, 0, "no webhooks yet: modelyard webhook create <url>", cmdutil.Col("id", "id"), cmdutil.Col("url", "url"), cmdutil.Col("events", "events"))
	}}, &cobra.Command{Use: "test <id>", Short: "Send a test event now", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, args[0], "test"), map[string]string{})
		if err != nil {
			return err
		}
		return f.Document(o)
	}}, &cobra.Command{Use: "deliveries <id>", Short: "Show what was sent and what came back", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		return f.ShowList(cmd.Context(), client.P(root, args[0], "deliveries"), nil, 50, "nothing was sent yet", cmdutil.Col("at", "at"), cmdutil.Col("event", "event"), cmdutil.Col("status", "status"), cmdutil.Col("attempt", "attempt"), cmdutil.Col("error", "error"))
	}}, &cobra.Command{Use: "delete <id>", Short: "Send nothing there any more", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		_, err := f.Send(cmd.Context(), http.MethodDelete, client.P(root, args[0]), nil)
		return err
	}})
	return cmd
}
