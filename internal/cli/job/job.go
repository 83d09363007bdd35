// Package job holds the commands on background jobs.
package job

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

// New is `modelyard job`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "job", Short: "Background jobs of the server", Aliases: []string{"jobs"}}
	var state string
	list := &cobra.Command{Use: "list", Short: "List jobs, unfinished ones first", Args: cmdutil.Args(), RunE: func(cmd *cobra.Command, _ []string) error {
		q := url.Values{}
		if state != "" {
			q.Set("state", state)
		}
		return f.ShowList(cmd.Context(), "/api/v1/jobs", q, 100, "no jobs", cmdutil.Col("id", "id"), cmdutil.Col("kind", "kind"), cmdutil.Col("state", "state"), cmdutil.Col("attempt", "attempt"), cmdutil.AgoCol("created", "created_at"), cmdutil.Col("error", "error"))
	}}
	list.Flags().StringVar(&state, "state", "", "ready, running, done or failed")
	cmd.AddCommand(list, &cobra.Command{Use: "retry <id>", Short: "Try a failed job again", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		if _, err := f.Send(cmd.Context(), http.MethodPost, client.P("api/v1/jobs", args[0], "retry"), map[string]string{}); err != nil {
			return err
		}
		f.Progress("%s is ready again", args[0])
		return nil
	}})
	return cmd
}
