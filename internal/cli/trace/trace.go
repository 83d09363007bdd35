// Package trace holds the commands on traces.
package trace

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "api/v1/traces"

// New is `modelyard trace`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "trace", Short: "Traces: what an application did, span by span", Aliases: []string{"traces"}}
	cmd.AddCommand(list(f), get(f), remove(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	var experiments, order []string
	var filter string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "Search traces, newest first", Args: cmdutil.Args(),
		Example: `  modelyard trace list --experiment 1 --filter "trace.status = 'ERROR' and span.type = 'LLM'"`,
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&experiments, "experiment", []string{"0"}, "experiment ids")
	fl.StringVar(&filter, "filter", "", "condition in MLflow's filter language")
	fl.StringSliceVar(&order, "order", nil, "sort keys, such as \"execution_time_ms DESC\"")
	fl.IntVar(&limit, "limit", 50, "most traces to show")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 1 || limit > 500 {
			return cmdutil.Usage("--limit is %d: expected 1 to 500", limit)
		}
		o, err := f.Send(cmd.Context(), http.MethodPost, "/"+root+"/search", map[string]any{"experiment_ids": experiments, "filter": filter, "order_by": append([]string{}, order...), "page_size": limit})
		if err != nil {
			return err
		}
		rows := o.Items("items")
		if len(rows) == 0 {
			f.Progress("no traces match")
		}
		return cmdutil.List(f, rows, rows, []cmdutil.Column[cmdutil.Object]{
			cmdutil.Col("id", "id"), cmdutil.Col("name", "name"), cmdutil.Col("state", "state"), cmdutil.AgoCol("started", "start_time"),
			{Head: "took", Cell: func(o cmdutil.Object) string { return took(o) }},
			{Head: "tokens", Cell: func(o cmdutil.Object) string { return o.Num("tokens.total_tokens", 0) }},
			{Head: "request", Cell: func(o cmdutil.Object) string { return clip(o.Str("request_preview"), 60) }},
		})
	}
	return cmd
}

func took(o cmdutil.Object) string {
	ms, ok := o.Get("duration_ms").(float64)
	switch {
	case !ok:
		return "running"
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// clip makes one line of a text, without characters that a terminal would act on.
func clip(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return '\uFFFD'
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return s
}

func get(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "get <id>", Short: "Show a trace as a tree of spans", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		o, err := f.Fetch(cmd.Context(), client.P(root, args[0]), nil)
		if err != nil {
			return err
		}
		err = f.Describe(o, cmdutil.Pair{Key: "trace", Value: o.Str("id")}, cmdutil.Pair{Key: "name", Value: o.Str("name")}, cmdutil.Pair{Key: "state", Value: o.Str("state")},
			cmdutil.Pair{Key: "started", Value: o.Str("start_time")}, cmdutil.Pair{Key: "took", Value: took(o)}, cmdutil.Pair{Key: "tokens", Value: o.Num("tokens.total_tokens", 0)},
			cmdutil.Pair{Key: "request", Value: clip(o.Str("request_preview"), 200)}, cmdutil.Pair{Key: "response", Value: clip(o.Str("response_preview"), 200)})
		if err != nil || f.Structured() {
			return err
		}
		for _, a := range o.Items("assessments") {
			if _, err := fmt.Fprintf(f.Out, "%-10s%s = %s %s\n", a.Str("kind"), clip(a.Str("name"), 60), clip(a.Str("value"), 100), clip(a.Str("rationale"), 100)); err != nil {
				return err
			}
		}
		return tree(f.Out, o.Items("spans"))
	}}
}

// tree draws the spans below their parents; a span whose parent is not here stands at the top.
func tree(w io.Writer, spans []cmdutil.Object) error {
	here := map[string]bool{}
	for _, s := range spans {
		here[s.Str("id")] = true
	}
	below := map[string][]cmdutil.Object{}
	for _, s := range spans {
		parent := s.Str("parent_id")
		if !here[parent] {
			parent = ""
		}
		below[parent] = append(below[parent], s)
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return branch(w, below, "", "", map[string]bool{})
}

func branch(w io.Writer, below map[string][]cmdutil.Object, parent, indent string, seen map[string]bool) error {
	kids := below[parent]
	for i, s := range kids {
		id := s.Str("id")
		if seen[id] { // a client may send a loop
			continue
		}
		seen[id] = true
		stem, next := "├─ ", "│  "
		if i == len(kids)-1 {
			stem, next = "└─ ", "   "
		}
		if parent == "" {
			stem, next = "", ""
		}
		line := indent + stem + clip(s.Str("name"), 120) + "  " + strings.ToLower(clip(s.Str("type"), 40)) + "  " + took(s)
		if s.Str("status") == "ERROR" {
			line += "  ERROR " + clip(s.Str("message"), 100)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
		if err := branch(w, below, id, indent+next, seen); err != nil {
			return err
		}
	}
	return nil
}

func remove(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{Use: "delete <id>", Short: "Move a trace to the trash", Args: cmdutil.Args("<id>"), RunE: func(cmd *cobra.Command, args []string) error {
		if _, err := f.Send(cmd.Context(), http.MethodDelete, client.P(root, args[0]), nil); err != nil {
			return err
		}
		f.Progress("deleted %s; to undo: modelyard trash restore trace:%s", args[0], args[0])
		return nil
	}}
}
