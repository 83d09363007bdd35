package model

import (
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

func duplicate(f *cmdutil.Factory) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "copy <name>/<version>", Short: "Register a version as the next version of another model", Args: cmdutil.Args("<name>/<version>"),
		Long: `Register a version as the next version of another model, which is made when it is not there. The copy has the files (shared, not
stored twice), description, tags, run and logged model of the original, and its source is models:/<name>/<version>, so its lineage leads there.
Aliases and the stage are not copied: what champion means is decided in each model for itself.`,
		Example: "  modelyard model copy bike-demand-dev/7 --to bike-demand",
	}
	cmd.Flags().StringVar(&to, "to", "", "name of the model that gets the copy")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, version, ok := strings.Cut(args[0], "/")
		if !ok {
			return cmdutil.Usage("%q: expected <name>/<version>, such as bike-demand/3", args[0])
		}
		if to == "" {
			return cmdutil.Usage("missing --to")
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, name, "versions", version, "copy"), map[string]string{"to": to})
		if err != nil {
			return err
		}
		at := to + "/" + o.Str("version")
		return f.Created(o, at, "/models/"+to, "modelyard model promote "+at)
	}
	return cmd
}
