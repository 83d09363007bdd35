package tracking

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// runRow is what a write needs to know of its run.
type runRow struct {
	id        string
	num, exp  int64
	lifecycle Lifecycle
	status    Status
	changes   *update // what the transaction changes, for the search index
}

// note adds a change of a value to what the index hears of after the commit.
func (r runRow) note(c cell) { r.changes.cells = append(r.changes.cells, c) }

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
	r.changes = &update{exp: r.exp, run: r.num, id: runID}
	tx.AfterCommit(func() { st.changed(r.changes) })
	return r, err
}

// changed tells the caches what was committed.
func (st *store) changed(u *update) {
	st.cache.drop(u.id)
	if u.size() > 1 || u.created != nil {
		st.index.publish(u)
	}
}

// insertRun makes a run in an experiment that want shows.
func (st *store) insertRun(tx *db.Tx, r *Run, want View) error {
	next := "(SELECT COALESCE(MAX(num), 0) + 1 FROM run)" // one writer at a time
	if tx.Engine() == db.Postgres {
		next = "nextval('run_num')"
	}
	shown := ""
	if want == ViewActive {
		shown = " AND e.lifecycle = '" + string(Active) + "'"
	}
	err := tx.QueryRow("INSERT INTO run (num, id, exp, name, user_name, status, lifecycle, start_at, end_at, deleted_at) SELECT "+next+
		", ?, e.id, ?, ?, ?, ?, ?, 0, 0 FROM experiment e WHERE e.id = ?"+shown+" RETURNING num",
		r.ID, r.Name, r.User, string(r.Status), string(r.Lifecycle), clock.Micros(r.StartTime), r.exp).Scan(&r.num)
	if errors.Is(err, sql.ErrNoRows) {
		return cmp.Or(st.checkExperiment(tx, r.exp, want), err) // says why not
	}
	if err != nil {
		return err
	}
	if err := st.writeTags(tx, r.exp, r.num, r.Tags); err != nil {
		return err
	}
	made := *r
	tx.AfterCommit(func() { st.changed(&update{exp: made.exp, run: made.num, id: made.ID, created: &made}) })
	return nil
}

// setTags sets tags of different keys. The name of a run and the tag that MLflow mirrors it in stay one.
func (st *store) setTags(tx *db.Tx, r runRow, tags ...Tag) error {
	for _, t := range tags {
		r.note(tagCell(t))
		if t.Key == TagRunName && t.Value != "" {
			if _, err := tx.Exec("UPDATE run SET name = ? WHERE num = ?", t.Value, r.num); err != nil {
				return err
			}
			r.note(cell{ref: attribute("run_name"), text: t.Value})
		}
	}
	return st.writeTags(tx, r.exp, r.num, tags)
}

// writeTags sets tags of different keys.
func (st *store) writeTags(tx *db.Tx, exp, run int64, tags []Tag) error {
	for some := range slices.Chunk(tags, keyedAtOnce) {
		args := make([]any, 0, 4*len(some))
		for _, t := range some {
			args = append(args, exp, run, t.Key, t.Value)
		}
		_, err := tx.Exec("INSERT INTO run_tag (exp, run, key, value) VALUES "+keyedRows(len(some))+" ON CONFLICT (exp, run, key) DO UPDATE SET value = excluded.value", args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (st *store) deleteTag(tx *db.Tx, r runRow, key string) error {
	n, err := tx.Exec("DELETE FROM run_tag WHERE exp = ? AND run = ? AND key = ?", r.exp, r.num, key)
	if err == nil && n == 0 {
		return errs.NotFoundf("tracking.delete_tag", "No tag with name: %s in run with id %s", clip(key), r.id)
	}
	r.note(cell{ref: filter.Ref{Entity: filter.Tag, Key: key}, gone: true})
	return err
}

func (st *store) updateRun(tx *db.Tx, r runRow, ch RunChange) error {
	if ch.Status != nil {
		if _, err := tx.Exec("UPDATE run SET status = ? WHERE num = ?", string(*ch.Status), r.num); err != nil {
			return err
		}
		r.note(cell{ref: attribute("status"), text: string(*ch.Status)})
	}
	if ch.EndTime != nil {
		if _, err := tx.Exec("UPDATE run SET end_at = ? WHERE num = ?", clock.Micros(*ch.EndTime), r.num); err != nil {
			return err
		}
		r.note(cell{ref: attribute("end_time"), num: float64(ch.EndTime.UnixMilli()), gone: ch.EndTime.IsZero()})
	}
	if ch.Name == nil || *ch.Name == "" {
		return nil
	}
	return st.setTags(tx, r, Tag{TagRunName, *ch.Name})
}

func (st *store) markRun(tx *db.Tx, r runRow, l Lifecycle, at time.Time) error {
	if r.lifecycle == l {
		return nil
	}
	_, err := tx.Exec("UPDATE run SET lifecycle = ?, deleted_at = ? WHERE num = ?", string(l), clock.Micros(at), r.num)
	r.note(cell{ref: attribute("lifecycle_stage"), text: string(l)})
	return err
}

func (st *store) insertInputs(tx *db.Tx, r runRow, inputs []DatasetInput) error {
	for _, in := range inputs {
		tags, err := json.Marshal(in.Tags)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO run_input (run, name, digest, exp, source_type, source, schema, profile, context, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (run, name, digest) DO NOTHING`,
			r.num, in.Name, in.Digest, r.exp, in.SourceType, in.Source, in.Schema, in.Profile, tagValue(in.Tags, tagContext), string(tags))
		if err != nil {
			return err
		}
	}
	return st.noteInputs(tx, r)
}

// noteInputs tells the index all data inputs of a run.
func (st *store) noteInputs(tx *db.Tx, r runRow) error {
	rows, err := tx.Query("SELECT name, digest, context FROM run_input WHERE run = ? ORDER BY name, digest", r.num)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var list [3][]string
	for rows.Next() {
		var v [3]string
		if err := rows.Scan(&v[0], &v[1], &v[2]); err != nil {
			return err
		}
		for i := range v {
			list[i] = append(list[i], v[i])
		}
	}
	for i, key := range [...]string{"name", "digest", "context"} {
		r.note(cell{ref: filter.Ref{Entity: filter.Dataset, Key: key}, list: list[i]})
	}
	return rows.Err()
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
	if err == nil {
		err = st.sees(ctx, r.exp, noRun(runID))
	}
	return r, err
}

func (st *store) run(ctx context.Context, runID string) (Run, error) {
	runs, err := st.cachedRuns(ctx, []string{runID})
	if err == nil && len(runs) == 0 {
		return Run{}, noRun(runID)
	}
	if err == nil {
		err = st.sees(ctx, runs[0].exp, noRun(runID))
	}
	if err != nil {
		return Run{}, err
	}
	return runs[0], nil
}

// fill reads what was logged to runs: one statement for each table, whatever the number of runs.
func (st *store) fill(ctx context.Context, runs []Run) error {
	at := make(map[int64]*Run, len(runs))
	byExp := map[int64][]string{}
	nums := make([]string, len(runs))
	for i := range runs {
		at[runs[i].num] = &runs[i]
		nums[i] = strconv.FormatInt(runs[i].num, 10)
		byExp[runs[i].exp] = append(byExp[runs[i].exp], nums[i])
	}
	for exp, some := range byExp {
		if err := st.fillValues(ctx, exp, some, at); err != nil {
			return err
		}
	}
	if len(runs) == 0 {
		return nil
	}
	return st.fillRefs(ctx, nums, at)
}

// fillValues reads the tags, parameters and metrics of runs of one experiment. CROSS JOIN keeps SQLite from scanning the whole table.
func (st *store) fillValues(ctx context.Context, exp int64, nums []string, at map[int64]*Run) error {
	from := " FROM " + st.listed("BIGINT") + " w CROSS JOIN "
	const where = " t WHERE t.exp = ? AND t.run = w.value ORDER BY t.run, t.key"
	var num int64
	var key, value string
	err := st.scan(ctx, func(rows *sql.Rows) error {
		if err := rows.Scan(&num, &key, &value); err != nil {
			return err
		}
		at[num].Tags = append(at[num].Tags, Tag{key, value})
		return nil
	}, "SELECT t.run, t.key, t.value"+from+"run_tag"+where, st.list(nums), exp)
	if err != nil {
		return err
	}
	err = st.scan(ctx, func(rows *sql.Rows) error {
		if err := rows.Scan(&num, &key, &value); err != nil {
			return err
		}
		at[num].Params = append(at[num].Params, Param{key, value})
		return nil
	}, "SELECT t.run, t.key, t.value"+from+"run_param"+where, st.list(nums), exp)
	if err != nil {
		return err
	}
	return st.scan(ctx, func(rows *sql.Rows) error {
		var p Point
		var v sql.NullFloat64
		if err := rows.Scan(&num, &key, &p.Step, &p.Time, &v); err != nil {
			return err
		}
		p.Value = orNaN(v)
		at[num].Metrics = append(at[num].Metrics, Metric{Key: key, Point: p})
		return nil
	}, "SELECT t.run, t.key, t.step, t.ts, t.value"+from+"metric_latest"+where, st.list(nums), exp)
}

// fillRefs reads the data inputs and logged models of runs.
func (st *store) fillRefs(ctx context.Context, nums []string, at map[int64]*Run) error {
	from := " FROM " + st.listed("BIGINT") + " w CROSS JOIN "
	var num int64
	var tags string
	err := st.scan(ctx, func(rows *sql.Rows) error {
		var d DatasetInput
		err := rows.Scan(&num, &d.Name, &d.Digest, &d.SourceType, &d.Source, &d.Schema, &d.Profile, &d.Context, &tags)
		if err == nil {
			err = json.Unmarshal([]byte(tags), &d.Tags)
		}
		if err != nil {
			return err
		}
		at[num].Inputs = append(at[num].Inputs, d)
		return nil
	}, "SELECT t.run, t.name, t.digest, t.source_type, t.source, t.schema, t.profile, t.context, t.tags"+from+"run_input t WHERE t.run = w.value ORDER BY t.run, t.name, t.digest", st.list(nums))
	if err != nil {
		return err
	}
	return st.scan(ctx, func(rows *sql.Rows) error {
		var direction string
		var m ModelRef
		if err := rows.Scan(&num, &direction, &m.ModelID, &m.Step); err != nil {
			return err
		}
		if direction == "input" {
			at[num].ModelInputs = append(at[num].ModelInputs, m)
		} else {
			at[num].ModelOutputs = append(at[num].ModelOutputs, m)
		}
		return nil
	}, "SELECT t.run, t.direction, t.model_id, t.step"+from+"run_model t WHERE t.run = w.value ORDER BY t.run, t.step, t.model_id", st.list(nums))
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

// runningByExperiment counts the active runs that run now.
func (st *store) runningByExperiment(ctx context.Context) (map[int64]int64, error) {
	out := map[int64]int64{}
	err := st.scan(ctx, func(rows *sql.Rows) error {
		var exp, n int64
		err := rows.Scan(&exp, &n)
		out[exp] = n
		return err
	}, "SELECT exp, count(*) FROM run WHERE status = ? AND lifecycle = ? GROUP BY exp", string(StatusRunning), string(Active))
	return out, err
}

// runStats counts the active runs of an experiment and finds when the newest of them started.
func (st *store) runStats(ctx context.Context, exp int64) (n int64, last time.Time, err error) {
	var at int64
	err = st.db.QueryRow(ctx, "SELECT count(*), COALESCE(MAX(start_at), 0) FROM run WHERE exp = ? AND lifecycle = ?", exp, string(Active)).Scan(&n, &at)
	return n, clock.FromMicros(at), err
}
