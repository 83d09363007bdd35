package tracking

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// runRow is what a write needs to know of its run.
type runRow struct {
	id        string
	num, exp  int64
	lifecycle Lifecycle
	status    Status
}

func (r runRow) experimentID() string { return strconv.FormatInt(r.exp, 10) }

func noRun(runID string) error {
	return errs.NotFoundf("tracking.run", "Run with id=%s not found", clip(runID))
}

func (st *store) findRun(tx *db.Tx, runID string) (runRow, error) {
	r := runRow{id: runID}
	var lifecycle, status string
	err := tx.QueryRow("SELECT num, exp, lifecycle, status FROM run WHERE id = ?", runID).Scan(&r.num, &r.exp, &lifecycle, &status)
	if errors.Is(err, sql.ErrNoRows) {
		return r, noRun(runID)
	}
	r.lifecycle, r.status = Lifecycle(lifecycle), Status(status)
	return r, err
}

func (st *store) insertRun(tx *db.Tx, r *Run) error {
	next := "SELECT COALESCE(MAX(num), 0) + 1 FROM run" // one writer at a time
	if tx.Engine() == db.Postgres {
		next = "SELECT nextval('run_num')"
	}
	if err := tx.QueryRow(next).Scan(&r.num); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO run (num, id, exp, name, user_name, status, lifecycle, start_at, end_at, deleted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)`,
		r.num, r.ID, r.exp, r.Name, r.User, string(r.Status), string(r.Lifecycle), clock.Micros(r.StartTime))
	if err != nil {
		return err
	}
	for _, t := range r.Tags {
		if err := st.setTag(tx, r.exp, r.num, t); err != nil {
			return err
		}
	}
	return nil
}

func (st *store) setTag(tx *db.Tx, exp, num int64, t Tag) error {
	_, err := tx.Exec("INSERT INTO run_tag (exp, run, key, value) VALUES (?, ?, ?, ?) ON CONFLICT (exp, run, key) DO UPDATE SET value = excluded.value", exp, num, t.Key, t.Value)
	return err
}

func (st *store) deleteTag(tx *db.Tx, r runRow, key string) error {
	n, err := tx.Exec("DELETE FROM run_tag WHERE exp = ? AND run = ? AND key = ?", r.exp, r.num, key)
	if err == nil && n == 0 {
		return errs.NotFoundf("tracking.delete_tag", "No tag with name: %s in run with id %s", clip(key), r.id)
	}
	return err
}

func (st *store) updateRun(tx *db.Tx, r runRow, ch RunChange) error {
	if ch.Status != nil {
		if _, err := tx.Exec("UPDATE run SET status = ? WHERE num = ?", string(*ch.Status), r.num); err != nil {
			return err
		}
	}
	if ch.EndTime != nil {
		if _, err := tx.Exec("UPDATE run SET end_at = ? WHERE num = ?", clock.Micros(*ch.EndTime), r.num); err != nil {
			return err
		}
	}
	if ch.Name == nil || *ch.Name == "" {
		return nil
	}
	return st.nameRun(tx, r, *ch.Name)
}

// nameRun keeps the name and the tag that MLflow mirrors it in together.
func (st *store) nameRun(tx *db.Tx, r runRow, name string) error {
	if _, err := tx.Exec("UPDATE run SET name = ? WHERE num = ?", name, r.num); err != nil {
		return err
	}
	return st.setTag(tx, r.exp, r.num, Tag{TagRunName, name})
}

func (st *store) markRun(tx *db.Tx, r runRow, l Lifecycle, at time.Time) error {
	if r.lifecycle == l {
		return nil
	}
	_, err := tx.Exec("UPDATE run SET lifecycle = ?, deleted_at = ? WHERE num = ?", string(l), clock.Micros(at), r.num)
	return err
}

func (st *store) insertInputs(tx *db.Tx, r runRow, inputs []DatasetInput) error {
	for _, in := range inputs {
		tags, err := json.Marshal(in.Tags)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO run_input (run, name, digest, exp, source_type, source, schema, profile, context, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (run, name, digest) DO UPDATE SET context = excluded.context, tags = excluded.tags`,
			r.num, in.Name, in.Digest, r.exp, in.SourceType, in.Source, in.Schema, in.Profile, tagValue(in.Tags, tagContext), string(tags))
		if err != nil {
			return err
		}
	}
	return nil
}

func (st *store) insertModelRefs(tx *db.Tx, r runRow, direction string, models []ModelRef) error {
	for _, m := range models {
		_, err := tx.Exec("INSERT INTO run_model (run, direction, model_id, step) VALUES (?, ?, ?, ?) ON CONFLICT (run, direction, model_id, step) DO NOTHING",
			r.num, direction, m.ModelID, m.Step)
		if err != nil {
			return err
		}
	}
	return nil
}

const runColumns = "r.num, r.id, r.exp, r.name, r.user_name, r.status, r.lifecycle, r.start_at, r.end_at"

func scanRun(row interface{ Scan(...any) error }) (Run, error) {
	var r Run
	var status, lifecycle string
	var start, end int64
	err := row.Scan(&r.num, &r.ID, &r.exp, &r.Name, &r.User, &status, &lifecycle, &start, &end)
	r.ExperimentID, r.Status, r.Lifecycle = strconv.FormatInt(r.exp, 10), Status(status), Lifecycle(lifecycle)
	r.StartTime, r.EndTime = clock.FromMicros(start), clock.FromMicros(end)
	return r, err
}

// runInfo reads a run without what was logged to it.
func (st *store) runInfo(ctx context.Context, runID string) (Run, error) {
	r, err := scanRun(st.db.QueryRow(ctx, "SELECT "+runColumns+" FROM run r WHERE r.id = ?", runID))
	if errors.Is(err, sql.ErrNoRows) {
		return r, noRun(runID)
	}
	return r, err
}

func (st *store) run(ctx context.Context, runID string) (Run, error) {
	r, err := st.runInfo(ctx, runID)
	if err != nil {
		return r, err
	}
	one := []Run{r}
	err = st.fill(ctx, one)
	return one[0], err
}

// fillBatch is how many runs one statement reads the values of.
const fillBatch = 200

// fill reads what was logged to runs: a few statements for each batch of them, whatever its size.
func (st *store) fill(ctx context.Context, runs []Run) error {
	for len(runs) > 0 {
		n := min(len(runs), fillBatch)
		if n < fillBatch && n > 1 { // few sizes, so that the prepared statements are few: 1, 8, 40, 200
			for _, size := range []int{40, 8, 1} {
				if n >= size {
					n = size
					break
				}
			}
		}
		if err := st.fillSome(ctx, runs[:n]); err != nil {
			return err
		}
		runs = runs[n:]
	}
	return nil
}

func (st *store) fillSome(ctx context.Context, runs []Run) error {
	at := make(map[int64]*Run, len(runs))
	pairs := make([]any, 0, 2*len(runs))
	nums := make([]any, 0, len(runs))
	// a join and not IN (VALUES ...): SQLite scans the whole table for the latter
	wanted := "WITH wanted (exp, run) AS (VALUES (CAST(? AS BIGINT), CAST(? AS BIGINT))"
	for i := range runs {
		at[runs[i].num] = &runs[i]
		pairs = append(pairs, runs[i].exp, runs[i].num)
		nums = append(nums, runs[i].num)
		if i > 0 {
			wanted += ", (?, ?)"
		}
	}
	wanted += ") "
	const join = " t WHERE t.exp = w.exp AND t.run = w.run ORDER BY t.run, t.key"
	each := func(query string, args []any, scan func(rows *sql.Rows) error) error {
		rows, err := st.db.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	var num int64
	var err error
	read := func(query string, args []any, dest []any, add func(r *Run)) {
		if err == nil {
			err = each(query, args, func(rows *sql.Rows) error {
				if e := rows.Scan(append([]any{&num}, dest...)...); e != nil {
					return e
				}
				add(at[num])
				return nil
			})
		}
	}
	var key, value string
	kv := []any{&key, &value}
	read(wanted+"SELECT t.run, t.key, t.value FROM wanted w CROSS JOIN run_tag"+join, pairs, kv, func(r *Run) { r.Tags = append(r.Tags, Tag{key, value}) })
	read(wanted+"SELECT t.run, t.key, t.value FROM wanted w CROSS JOIN run_param"+join, pairs, kv, func(r *Run) { r.Params = append(r.Params, Param{key, value}) })
	var p Point
	var v sql.NullFloat64
	read(wanted+"SELECT t.run, t.key, t.step, t.ts, t.value FROM wanted w CROSS JOIN metric_latest"+join, pairs, []any{&key, &p.Step, &p.Time, &v}, func(r *Run) {
		p.Value = orNaN(v)
		r.Metrics = append(r.Metrics, Metric{Key: key, Point: p})
	})
	list := db.Placeholders(len(nums))
	var d DatasetInput
	var tags string
	read("SELECT run, name, digest, source_type, source, schema, profile, context, tags FROM run_input WHERE run IN ("+list+") ORDER BY run, name, digest", nums,
		[]any{&d.Name, &d.Digest, &d.SourceType, &d.Source, &d.Schema, &d.Profile, &d.Context, &tags}, func(r *Run) {
			d.Tags = nil
			_ = json.Unmarshal([]byte(tags), &d.Tags) // written by insertInputs
			r.Inputs = append(r.Inputs, d)
		})
	var m ModelRef
	read("SELECT run, direction, model_id, step FROM run_model WHERE run IN ("+list+") ORDER BY run, step, model_id", nums, []any{&key, &m.ModelID, &m.Step}, func(r *Run) {
		if key == "input" {
			r.ModelInputs = append(r.ModelInputs, m)
		} else {
			r.ModelOutputs = append(r.ModelOutputs, m)
		}
	})
	return err
}

func orNaN(v sql.NullFloat64) float64 {
	if !v.Valid {
		return math.NaN()
	}
	return v.Float64
}

func nullNaN(v float64) sql.NullFloat64 {
	return sql.NullFloat64{Float64: v, Valid: !math.IsNaN(v)}
}

func (st *store) countRunning(ctx context.Context) (n int64, err error) {
	err = st.db.QueryRow(ctx, "SELECT count(*) FROM run WHERE status = ? AND lifecycle = ?", string(StatusRunning), string(Active)).Scan(&n)
	return n, err
}

// runStats counts the active runs of an experiment and finds when the newest of them started.
func (st *store) runStats(ctx context.Context, exp int64) (n int64, last time.Time, err error) {
	var at int64
	err = st.db.QueryRow(ctx, "SELECT count(*), COALESCE(MAX(start_at), 0) FROM run WHERE exp = ? AND lifecycle = ?", exp, string(Active)).Scan(&n, &at)
	return n, clock.FromMicros(at), err
}
