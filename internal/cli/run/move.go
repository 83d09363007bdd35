package run

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

func move(f *cmdutil.Factory) *cobra.Command {
	var to string
	var children bool
	cmd := &cobra.Command{
		Use: "move <id>...", Short: "Move runs into another experiment",
		Long: `Move runs into another experiment, with the models they logged. Ids, values, tags and files stay as they are, and addresses of files
that name the old experiment go on working. Traces stay in the experiment they were sent to.`,
		Example: "  modelyard run move 0198c1... 0198c2... --to wines --children",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmdutil.Usage("missing <id>")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "name or id of the experiment that gets them")
	cmd.Flags().BoolVar(&children, "children", false, "also the runs nested in them, at any depth")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if to == "" {
			return cmdutil.Usage("missing --to")
		}
		id, err := f.ExperimentID(cmd.Context(), to)
		if err != nil {
			return err
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root+"/move", map[string]any{"run_ids": args, "experiment_id": id, "children": children})
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		moved := o.Items("items")
		for _, r := range moved {
			if _, err := fmt.Fprintln(f.Out, r.Str("run_id")); err != nil {
				return err
			}
		}
		f.Progress("moved to experiment %s: runs %d, logged models %s", id, len(moved), o.Str("models"))
		if len(moved) > 0 {
			f.Progress("  undo  modelyard run move ... --to %s", moved[0].Str("from"))
		}
		return nil
	}
	return cmd
}
