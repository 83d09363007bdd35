package tracking

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/tracking/filter"
)

// runTable loads the runs of experiments and the columns that a search names. The runs lack what the search does not need: reload
// completes those of the page.
func (st *store) runTable(ctx context.Context, exps []int64, view View, refs []filter.Ref) (*table, []Run, error) {
	if len(exps) == 0 {
		return newTable(0), nil, nil
	}
	in, args := "("+db.Placeholders(len(exps))+")", make([]any, len(exps))
	for i, e := range exps {
		args[i] = e
	}
	lean := !slices.ContainsFunc(refs, func(r filter.Ref) bool {
		return r.Entity == filter.Attribute && r.Key != "run_id" && r.Key != "start_time"
	})
	runs, err := st.runsOf(ctx, in, args, view, lean)
	if err != nil {
		return nil, nil, err
	}
	t := newTable(len(runs))
	at := make(map[int64]int, len(runs))
	for i := range runs {
		at[runs[i].num] = i
	}
	for _, ref := range refs {
		if ref.Entity == filter.Attribute {
			t.runAttribute(ref, runs)
			continue
		}
		if err := st.runColumn(ctx, t, ref, in, args, at); err != nil {
			return nil, nil, err
		}
	}
	return t, runs, nil
}

// runsOf lists runs; lean ones have their numbers, id and start alone, which takes a third of the time.
func (st *store) runsOf(ctx context.Context, in string, args []any, view View, lean bool) ([]Run, error) {
	query := "SELECT " + runColumns
	if lean {
		query = "SELECT r.num, r.id, r.exp, r.start_at"
	}
	query += " FROM run r WHERE r.exp IN " + in
	if view != ViewAll {
		query += " AND r.lifecycle = '" + string(view) + "'" // one of two constants, see View
	}
	rows, err := st.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var runs []Run
	for rows.Next() {
		var r Run
		var start int64
		if !lean {
			r, err = scanRun(rows)
		} else if err = rows.Scan(&r.num, &r.ID, &r.exp, &start); err == nil {
			r.StartTime = clock.FromMicros(start)
		}
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// reload completes the lean runs of a page.
func (st *store) reload(ctx context.Context, runs []Run) error {
	for i := range runs {
		if runs[i].Status != "" {
			continue // whole already
		}
		r, err := st.runInfo(ctx, runs[i].ID)
		if err != nil {
			return err
		}
		runs[i] = r
	}
	return nil
}

func (t *table) runAttribute(ref filter.Ref, runs []Run) {
	switch ref.Key {
	case "run_id":
		t.text(ref, func(i int) string { return runs[i].ID })
	case "run_name":
		t.text(ref, func(i int) string { return runs[i].Name })
	case "status":
		t.text(ref, func(i int) string { return string(runs[i].Status) })
	case "user_id":
		t.text(ref, func(i int) string { return runs[i].User })
	case "artifact_uri":
		t.text(ref, func(i int) string { return runs[i].ArtifactURI() })
	case "lifecycle_stage":
		t.text(ref, func(i int) string { return string(runs[i].Lifecycle) })
	case "experiment_id":
		t.text(ref, func(i int) string { return runs[i].ExperimentID })
	case "start_time":
		t.number(ref, func(i int) float64 { return float64(runs[i].StartTime.UnixMilli()) })
	case "end_time":
		t.number(ref, func(i int) float64 { return float64(runs[i].EndTime.UnixMilli()) })
		c := t.cols[ref]
		c.has = make([]bool, t.n)
		for i := range runs {
			c.has[i] = !runs[i].EndTime.IsZero()
		}
	}
}

func (st *store) runColumn(ctx context.Context, t *table, ref filter.Ref, in string, args []any, at map[int64]int) error {
	c := t.sparse(ref)
	var query string
	args = args[:len(args):len(args)]
	switch ref.Entity {
	case filter.Metric:
		query, args = "SELECT run, value FROM metric_latest WHERE exp IN "+in+" AND key = ?", append(args, ref.Key)
	case filter.Param:
		query, args = "SELECT run, value FROM run_param WHERE exp IN "+in+" AND key = ?", append(args, ref.Key)
	case filter.Tag:
		query, args = "SELECT run, value FROM run_tag WHERE exp IN "+in+" AND key = ?", append(args, ref.Key)
	case filter.Dataset:
		query = "SELECT run, " + strings.Map(onlyLetters, ref.Key) + " FROM run_input WHERE exp IN " + in // the key is one of three, see filter
	}
	rows, err := st.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var num int64
		var text string
		var value sql.NullFloat64
		if ref.Entity == filter.Metric {
			err = rows.Scan(&num, &value)
		} else {
			err = rows.Scan(&num, &text)
		}
		if err != nil {
			return err
		}
		i, ok := at[num]
		if !ok {
			continue
		}
		c.has[i] = true
		switch ref.Entity {
		case filter.Metric:
			c.nums[i] = orNaN(value)
		case filter.Dataset:
			c.multi[i] = append(c.multi[i], text)
		default:
			c.texts[i] = text
		}
	}
	return rows.Err()
}

func onlyLetters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}
