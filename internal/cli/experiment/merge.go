package experiment

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

func merge(f *cmdutil.Factory) *cobra.Command {
	var into string
	cmd := &cobra.Command{
		Use: "merge <name or id>", Short: "Move everything of an experiment into another and delete it", Args: cmdutil.Args("<name or id>"),
		Long: `Move all runs and logged models of an experiment into another, deleted ones too, and delete the empty experiment. Runs keep their
ids, values, tags and files, and addresses of files that name the old experiment go on working. Tags of the experiment are taken over
where the other has none of that key. Traces stay in the old experiment, which can be restored.`,
		Example: "  modelyard experiment merge wines-test --into wines",
	}
	cmd.Flags().StringVar(&into, "into", "", "name or id of the experiment that gets everything")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if into == "" {
			return cmdutil.Usage("missing --into")
		}
		from, err := f.ExperimentID(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		to, err := f.ExperimentID(cmd.Context(), into)
		if err != nil {
			return err
		}
		if err := f.Confirm("move everything of experiment " + args[0] + " into " + into + " and delete " + args[0]); err != nil {
			return err
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, client.P(root, from, "merge"), map[string]string{"into": to})
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		f.Progress("moved into experiment %s: runs %s, logged models %s; tags taken over: %s", to, o.Str("runs"), o.Str("models"), o.Str("tags"))
		return nil
	}
	return cmd
}
