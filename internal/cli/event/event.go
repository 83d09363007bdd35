// Package event holds the commands on the event log: who did what when.
package event

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

// New is `modelyard event`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "event", Short: "The event log: who did what when, tamper-evident", Aliases: []string{"events", "audit"}}
	var typ, kind, id string
	var limit int
	list := &cobra.Command{Use: "list", Short: "List events, newest first", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		q := url.Values{"limit": {strconv.Itoa(limit)}}
		for k, v := range map[string]string{"type": typ, "kind": kind, "id": id} {
			if v != "" {
				q.Set(k, v)
			}
		}
		return f.ShowList(cmd.Context(), "/api/v1/events", q, limit, "no events match", cmdutil.Col("seq", "seq"), cmdutil.Col("at", "at"), cmdutil.Col("type", "type"), cmdutil.Col("resource", "resource.id"), cmdutil.Col("actor", "actor.id"))
	}}
	list.Flags().StringVar(&typ, "type", "", "type, or the start of one: registry.")
	list.Flags().StringVar(&kind, "kind", "", "kind of resource: model, endpoint...")
	list.Flags().StringVar(&id, "id", "", "id of the resource")
	list.Flags().IntVar(&limit, "limit", 50, "most events to show")
	verify := &cobra.Command{Use: "verify", Short: "Check that no event was changed, removed or inserted", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, "/api/v1/events/verify", map[string]string{})
		if err != nil {
			return err
		}
		if f.Structured() {
			if err := f.Document(o); err != nil {
				return err
			}
		} else {
			_, _ = fmt.Fprintf(f.Out, "%s events, chain whole: %s\n", o.Str("count"), o.Str("ok"))
		}
		if o.Str("ok") != "true" {
			return cmdutil.GateFailed("%s", o.Str("detail"))
		}
		return nil
	}}
	cmd.AddCommand(list, verify)
	return cmd
}
