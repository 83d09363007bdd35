package experiment

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

func edit(f *cmdutil.Factory) *cobra.Command {
	texts := map[string]*string{} // by flag
	cmd := &cobra.Command{
		Use: "edit <name or id>", Short: "Change the name, description, hypothesis or success criteria of an experiment", Args: cmdutil.Args("<name or id>"),
		Example: `  modelyard experiment edit 3 --hypothesis "deeper trees lower the error" --criteria "val_mae below 40 on trips v41"`,
	}
	fl := cmd.Flags()
	for _, t := range []struct{ flag, field, help string }{
		{"name", "name", "new name"}, {"description", "description", "what it is about, in Markdown; an empty text clears it"},
		{"hypothesis", "hypothesis", "what the runs are to show"}, {"criteria", "success_criteria", "what would show it"},
	} {
		texts[t.flag] = fl.String(t.flag, "", t.help)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]string{}
		for flag, text := range texts {
			if cmd.Flags().Changed(flag) {
				body[field(flag)] = *text
			}
		}
		if len(body) == 0 {
			return cmdutil.Usage("nothing to change: give --name, --description, --hypothesis or --criteria")
		}
		id, err := f.ExperimentID(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		o, err := f.Send(cmd.Context(), http.MethodPatch, client.P(root, id), body)
		if err != nil {
			return err
		}
		return f.Created(o, o.Str("id"), "/experiments/"+o.Str("id"), "")
	}
	return cmd
}

func field(flag string) string {
	if flag == "criteria" {
		return "success_criteria"
	}
	return flag
}

func conclude(f *cmdutil.Factory) *cobra.Command {
	var summary string
	cmd := &cobra.Command{
		Use: "conclude <name or id> <supported|refuted|inconclusive|open>", Short: "Say how the hypothesis came out; open takes the verdict back",
		Args:    cmdutil.Args("<name or id>", "<supported|refuted|inconclusive|open>"),
		Example: `  modelyard experiment conclude 3 refuted --summary "no gain beyond depth 8; training takes twice as long"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := f.ExperimentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			o, err := f.Send(cmd.Context(), http.MethodPatch, client.P(root, id), map[string]any{"verdict": map[string]string{"outcome": args[1], "summary": summary}})
			if err != nil {
				return err
			}
			return f.Created(o, o.Str("id"), "/experiments/"+o.Str("id"), "")
		},
	}
	cmd.Flags().StringVar(&summary, "summary", "", "what was learned")
	return cmd
}

func verdict(o cmdutil.Object) string {
	outcome := o.Str("verdict.outcome")
	if s := o.Str("verdict.summary"); s != "" {
		return outcome + ": " + s
	}
	return outcome
}
