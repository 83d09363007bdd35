// Package lineage holds the commands that show where things come from.
package lineage

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

// New is `modelyard lineage`.
func New(f *cmdutil.Factory) *cobra.Command {
	var depth int
	cmd := &cobra.Command{Use: "lineage", Short: "Where a model, an endpoint or a single prediction comes from"}
	get := &cobra.Command{Use: "get <kind>:<id>", Short: "Show what a node is made from and what is made from it", Args: cmdutil.Args("<kind>:<id>"), Example: "  modelyard lineage get version:bike-demand/3",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.Fetch(cmd.Context(), "/api/v1/lineage", url.Values{"node": {args[0]}, "depth": {strconv.Itoa(depth)}})
			if err != nil {
				return err
			}
			rows := o.Items("edges")
			return cmdutil.List(f, rows, o, []cmdutil.Column[cmdutil.Object]{cmdutil.Col("from", "from"), cmdutil.Col("relation", "relation"), cmdutil.Col("to", "to"), cmdutil.Col("actor", "actor"), cmdutil.Col("at", "at")})
		}}
	get.Flags().IntVar(&depth, "depth", 3, "how many steps to follow in each direction")
	prediction := &cobra.Command{Use: "prediction <id>", Short: "Show how one prediction came about", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P("api/v1/predictions", args[0], "lineage"), nil)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		for _, s := range o.Items("facts") {
			_, _ = fmt.Fprintf(f.Out, "%-16s %s  %s  %s\n", s.Str("what"), s.Str("value"), s.Str("actor"), s.Str("note"))
		}
		return nil
	}}
	cmd.AddCommand(get, prediction)
	return cmd
}
