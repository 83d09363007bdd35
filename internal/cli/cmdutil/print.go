package cmdutil

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
)

// Formats are the values of --output.
const Formats = "table, json, yaml, csv or name"

// Column is one column of a table: its head and how a row's cell is made.
type Column[T any] struct {
	Head string
	Cell func(T) string
}

// List prints rows: a table at a terminal, tab-separated when piped, or the format of --output. raw is what json and yaml print.
func List[T any](f *Factory, rows []T, raw any, cols []Column[T]) error {
	switch f.Output {
	case "", "table", "wide":
		if f.Terminal() {
			return table(f.Out, rows, cols)
		}
		for _, r := range rows {
			cells := make([]string, len(cols))
			for i, c := range cols {
				cells[i] = clean(c.Cell(r))
			}
			if _, err := fmt.Fprintln(f.Out, strings.Join(cells, "\t")); err != nil {
				return err
			}
		}
		return nil
	case "name":
		for _, r := range rows {
			if _, err := fmt.Fprintln(f.Out, clean(cols[0].Cell(r))); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		w := csv.NewWriter(f.Out)
		heads := make([]string, len(cols))
		for i, c := range cols {
			heads[i] = strings.ToLower(strings.ReplaceAll(c.Head, " ", "_"))
		}
		_ = w.Write(heads)
		for _, r := range rows {
			cells := make([]string, len(cols))
			for i, c := range cols {
				cells[i] = safeCSV(c.Cell(r))
			}
			_ = w.Write(cells)
		}
		w.Flush()
		return w.Error()
	}
	return f.Document(raw)
}

// Document prints v as JSON or YAML (--output), JSON when nothing was chosen.
func (f *Factory) Document(v any) error {
	switch f.Output {
	case "", "json", "table":
		e := json.NewEncoder(f.Out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	case "yaml":
		b, err := json.Marshal(v) // through JSON, so that both formats have the same names
		if err != nil {
			return err
		}
		y, err := yaml.JSONToYAML(b)
		if err != nil {
			return err
		}
		_, err = f.Out.Write(y)
		return err
	}
	return Usage("--output %s does not fit here: expected json or yaml", f.Output)
}

// Structured reports whether --output asks for a document rather than text for people.
func (f *Factory) Structured() bool { return f.Output == "json" || f.Output == "yaml" }

// Pair is one line of a description.
type Pair struct{ Key, Value string }

// Describe prints one thing: aligned lines for people, or raw as a document.
func (f *Factory) Describe(raw any, pairs ...Pair) error {
	if f.Structured() {
		return f.Document(raw)
	}
	w := tabwriter.NewWriter(f.Out, 0, 4, 2, ' ', 0)
	for _, p := range pairs {
		if p.Value == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\n", p.Key, clean(p.Value)); err != nil {
			return err
		}
	}
	return w.Flush()
}

func table[T any](out io.Writer, rows []T, cols []Column[T]) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for i, c := range cols {
		if i > 0 {
			_, _ = fmt.Fprint(w, "\t")
		}
		_, _ = fmt.Fprint(w, strings.ToUpper(c.Head))
	}
	_, _ = fmt.Fprintln(w)
	for _, r := range rows {
		for i, c := range cols {
			if i > 0 {
				_, _ = fmt.Fprint(w, "\t")
			}
			_, _ = fmt.Fprint(w, clean(c.Cell(r)))
		}
		_, _ = fmt.Fprintln(w)
	}
	return w.Flush()
}

// clean keeps control characters of user-given names from the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// safeCSV quotes cells that a spreadsheet would run as a formula.
func safeCSV(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		if _, err := fmt.Sscanf(s, "%f", new(float64)); err != nil {
			return "'" + s
		}
	}
	return s
}

// Ago is "3 h ago" for people, or the absolute time once it is older than a week.
func Ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch d := time.Since(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	case d < 7*24*time.Hour:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
	return t.Format("2006-01-02 15:04")
}
