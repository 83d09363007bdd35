package tracking

import (
	"bufio"
	"context"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// ExportQuery asks for runs as a table of text. RunIDs names them one by one; without it they are those that a search finds, in its order.
type ExportQuery struct {
	ExperimentIDs []string
	Filter        string
	OrderBy       []string
	View          View
	RunIDs        []string // at most maxExportIDs
	Columns       []string // as in a search, and attributes.x of exportAttributes; empty: every attribute and key there is
}

// The bounds of an export. Rows are not bounded: what is held of them at a time is.
const (
	maxExportIDs     = 10_000
	maxExportColumns = 5_000
	exportStretch    = 10_000 // ids found at a time
	exportRead       = 500    // runs read at a time
)

// exportColumn is one column: its name above and its text of a run. aggregates are those of the run, by name.
type exportColumn struct {
	name string
	text func(v *RunView, aggregates map[string]float64) string
}

func exportAttributes() []exportColumn {
	attr := func(name string, text func(v *RunView) string) exportColumn {
		return exportColumn{"attributes." + name, func(v *RunView, _ map[string]float64) string { return text(v) }}
	}
	clock := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
	return []exportColumn{
		attr("run_id", func(v *RunView) string { return v.ID }),
		attr("run_name", func(v *RunView) string { return safeCell(v.Name) }),
		attr("experiment_id", func(v *RunView) string { return v.ExperimentID }),
		attr("status", func(v *RunView) string { return string(v.Status) }),
		attr("start_time", func(v *RunView) string { return clock(v.StartTime) }),
		attr("end_time", func(v *RunView) string {
			if v.EndTime == nil {
				return ""
			}
			return clock(*v.EndTime)
		}),
		attr("duration_s", func(v *RunView) string {
			if v.Duration == nil {
				return ""
			}
			return number(*v.Duration)
		}),
		attr("user_id", func(v *RunView) string { return safeCell(v.User) }),
		attr("source", func(v *RunView) string { return safeCell(v.Source) }),
		attr("commit", func(v *RunView) string { return safeCell(v.Commit) }),
		attr("parent_id", func(v *RunView) string { return safeCell(v.ParentID) }),
		attr("datasets", func(v *RunView) string {
			names := make([]string, len(v.Inputs))
			for i, in := range v.Inputs {
				names[i] = in.Name
			}
			return safeCell(strings.Join(names, ", "))
		}),
		attr("models", func(v *RunView) string {
			names := make([]string, len(v.Models))
			for i, m := range v.Models {
				names[i] = m.Name
			}
			return safeCell(strings.Join(names, ", "))
		}),
		attr("lifecycle_stage", func(v *RunView) string { return string(v.Lifecycle) }),
		attr("artifact_uri", func(v *RunView) string { return safeCell(v.ArtifactURI) }),
	}
}

// number writes a float64 so that it reads back as it was; NaN, Infinity and -Infinity are words.
func number(f float64) string {
	switch {
	case f != f: //nolint:gocritic // NaN
		return "NaN"
	case f > 0 && f*0 != 0:
		return "Infinity"
	case f < 0 && f*0 != 0:
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// safeCell keeps a spreadsheet from taking a text for a formula: one that begins like a formula, spaces passed over, gets an apostrophe
// before it, unless it is a number (see OWASP, "CSV Injection").
func safeCell(text string) string {
	begins, _ := utf8.DecodeRuneInString(strings.TrimLeft(text, " \t\r\n\v\f\u00a0\ufeff"))
	risky := strings.ContainsRune("=+-@＝＋－＠", begins) && text != ""
	if !risky && !strings.HasPrefix(text, "\t") && !strings.HasPrefix(text, "\r") {
		return text
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil && strings.Trim(text, "0123456789.eE+-") == "" {
		return text
	}
	return "'" + text
}

// export is an ExportQuery that was understood.
type export struct {
	s          *Service
	ids        []string // nil: those of find
	exps       []int64
	find       search
	columns    []exportColumn
	aggregates []filter.Ref

	stretchLength int // ids found at a time
}

// prepareExport reads a query. Kinds: Invalid.
func (s *Service) prepareExport(ctx context.Context, q ExportQuery) (*export, error) {
	e := &export{s: s, ids: once(q.RunIDs), stretchLength: exportStretch}
	if len(q.RunIDs) > maxExportIDs {
		return nil, errs.Invalidf("tracking.export", "an export names at most %d runs, got %d", maxExportIDs, len(q.RunIDs)).WithField("run_ids", "use a filter instead")
	}
	if len(q.RunIDs) > 0 && (q.Filter != "" || len(q.OrderBy) > 0 || len(q.ExperimentIDs) > 0) {
		return nil, errs.Invalidf("tracking.export", "the runs are named one by one and searched for at once").WithField("run_ids", "expected either run_ids or experiment_ids, filter and order_by")
	}
	if q.View == "" {
		q.View = ViewActive
	}
	tree, orders, _, err := read(q.Filter, q.OrderBy, runDialect(), "", nil)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(orders, func(o filter.Order) bool { return o.Ref == attribute("start_time") }) {
		orders = append(orders, filter.Order{Ref: attribute("start_time"), Desc: true})
	}
	if e.exps, err = s.experimentNumbers(ctx, q.ExperimentIDs); err != nil {
		return nil, err
	}
	if len(q.Columns) == 0 {
		err = e.everyColumn(ctx)
	} else {
		err = e.read(q.Columns)
	}
	if n := len(e.columns); err == nil && n > maxExportColumns {
		err = errs.Invalidf("tracking.export", "an export has at most %d columns, this one has %d", maxExportColumns, n).WithField("columns", "name those you want")
	}
	e.find = search{tree: shown(tree, q.View), orders: orders, aggregates: e.aggregates}
	return e, err
}

// once leaves out ids that were there before; nil stays nil.
func once(ids []string) (out []string) {
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id], out = true, append(out, id)
		}
	}
	return out
}

// everyColumn takes all attributes and all keys that the runs have.
func (e *export) everyColumn(ctx context.Context) error {
	e.columns = exportAttributes()
	exps := e.exps
	if e.ids != nil {
		var err error
		if exps, err = e.experimentsOf(ctx); err != nil {
			return err
		}
	}
	found := map[filter.Entity]map[string]bool{filter.Metric: {}, filter.Param: {}, filter.Tag: {}}
	for _, exp := range exps {
		keys, err := e.s.experimentKeys(ctx, exp)
		if err != nil {
			return err
		}
		for entity, of := range found {
			for k := range keys[entity] {
				of[k] = true
			}
		}
	}
	for _, entity := range []filter.Entity{filter.Metric, filter.Param, filter.Tag} {
		for _, k := range sortedKeys(found[entity]) {
			e.columns = append(e.columns, valueColumn(filter.Ref{Entity: entity, Key: k}))
		}
	}
	return nil
}

func (e *export) experimentsOf(ctx context.Context) ([]int64, error) {
	runs, err := e.s.st.runsByID(ctx, e.ids)
	var out []int64
	for _, r := range runs {
		out = append(out, r.exp)
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

// valueColumn is the column of a metric's last value, a parameter or a tag.
func valueColumn(ref filter.Ref) exportColumn {
	switch ref.Entity {
	case filter.Metric:
		return exportColumn{safeCell("metrics." + ref.Key), func(v *RunView, _ map[string]float64) string {
			if f, ok := v.Metrics[ref.Key]; ok {
				return number(float64(f))
			}
			return ""
		}}
	case filter.Param:
		return exportColumn{safeCell("params." + ref.Key), func(v *RunView, _ map[string]float64) string { return safeCell(v.Params[ref.Key]) }}
	default:
		return exportColumn{safeCell("tags." + ref.Key), func(v *RunView, _ map[string]float64) string { return safeCell(v.Tags[ref.Key]) }}
	}
}

func (e *export) read(names []string) error {
	attributes := map[string]exportColumn{}
	for _, a := range exportAttributes() {
		attributes[a.name] = a
	}
	for _, name := range names[:min(len(names), maxExportColumns+1)] {
		if a, ok := attributes[name]; ok {
			e.columns = append(e.columns, a)
			continue
		}
		ref, err := filter.ParseRef(name, runDialect())
		if err != nil {
			return err
		}
		switch {
		case ref.Entity == filter.Metric && strings.Contains(name, "("):
			of := aggregateName(ref)
			e.aggregates = append(e.aggregates, ref)
			e.columns = append(e.columns, exportColumn{safeCell(of), func(_ *RunView, aggregates map[string]float64) string {
				if f, ok := aggregates[of]; ok {
					return number(f)
				}
				return ""
			}})
		case ref.Entity == filter.Metric || ref.Entity == filter.Param || ref.Entity == filter.Tag:
			e.columns = append(e.columns, valueColumn(ref))
		default:
			return errs.Invalidf("tracking.export", "%s cannot be a column", clip(name)).WithField("columns", "expected metrics.x, params.x, tags.x, aggregates such as min(metrics.x), or %s", e.attributeNames())
		}
	}
	return nil
}

func (e *export) attributeNames() string {
	var names []string
	for _, a := range exportAttributes() {
		names = append(names, a.name)
	}
	return strings.Join(names, ", ")
}

// write writes the names of the columns and a line for each run. What it holds in memory does not grow with the number of runs, but for
// the ids of one stretch. Runs that change meanwhile are written as they are when their turn comes.
func (e *export) write(ctx context.Context, to io.Writer) error {
	buffer := bufio.NewWriterSize(to, 64<<10)
	w := csv.NewWriter(buffer)
	line := make([]string, len(e.columns))
	for i, c := range e.columns {
		line[i] = c.name
	}
	if err := w.Write(line); err != nil {
		return err
	}
	err := e.each(ctx, func(v *RunView, aggregates map[string]float64) error {
		for i, c := range e.columns {
			line[i] = c.text(v, aggregates)
		}
		return w.Write(line)
	})
	if err != nil {
		return err
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return buffer.Flush()
}

func (e *export) each(ctx context.Context, do func(v *RunView, aggregates map[string]float64) error) error {
	if e.ids != nil {
		rows := make([]row, len(e.ids))
		for i, id := range e.ids {
			rows[i] = row{id: id}
		}
		return e.some(ctx, rows, do)
	}
	find := e.find
	find.most = e.stretchLength + 1
	for {
		rows, err := e.stretch(ctx, find)
		if err != nil {
			return err
		}
		more := len(rows) > e.stretchLength
		rows = rows[:min(len(rows), e.stretchLength)]
		if err := e.some(ctx, rows, do); err != nil || !more {
			return err
		}
		last := rows[len(rows)-1]
		find.from = &cursor{Keys: last.keys, ID: last.id}
	}
}

func (e *export) stretch(ctx context.Context, find search) ([]row, error) {
	if err := e.s.searching.enter(ctx); err != nil {
		return nil, err
	}
	defer e.s.searching.leave()
	rows, _, err := e.s.findRows(ctx, e.exps, find)
	return rows, err
}

func (e *export) some(ctx context.Context, rows []row, do func(v *RunView, aggregates map[string]float64) error) error {
	for part := range slices.Chunk(rows, exportRead) {
		ids, at := make([]string, len(part)), make(map[string]row, len(part))
		for i, r := range part {
			ids[i], at[r.id] = r.id, r
		}
		runs, err := e.s.st.runsByID(ctx, ids) // beside the cache: an export would push everything else out of it
		if err != nil {
			return err
		}
		views, err := e.s.viewRuns(ctx, runs)
		if err != nil {
			return err
		}
		for i := range views {
			var aggregates map[string]float64
			if r := at[views[i].ID]; len(e.aggregates) > 0 && len(r.values) > 0 {
				aggregates = r.named(e.aggregates)
			}
			if err := do(&views[i], aggregates); err != nil {
				return err
			}
		}
	}
	return nil
}
