// Package migrate is the command that brings the stores up to date without starting a server.
package migrate

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/cli/up"
)

// New is `modelyard migrate`.
func New(f *cmdutil.Factory) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database up to date without starting a server", Args: cmdutil.Args(),
		Long: `Apply the migrations that the database lacks, and stop. modelyard up does the same when it starts; this command is for
deployments that migrate in a step of its own. It needs the data folder for itself: stop the server first.

Migrations only go forward. Make a copy of the data folder, or a dump of the PostgreSQL database, before you upgrade.`,
		Example: "  modelyard migrate --data-dir /srv/modelyard\n  MODELYARD_DATABASE_URL=postgres://me@db/modelyard modelyard migrate",
	}
	up.Flags(cmd, &file)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, _, err := up.Load(cmd, file)
		if err != nil {
			return err
		}
		applied, err := app.Migrate(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(map[string]any{"applied": applied})
		}
		for _, m := range applied {
			if _, err := fmt.Fprintln(f.Out, m); err != nil {
				return err
			}
		}
		f.Progress("%d migrations applied, the store is up to date", len(applied))
		return nil
	}
	return cmd
}
