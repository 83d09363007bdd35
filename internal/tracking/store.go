package tracking

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// store is the SQL of this domain: experiments here, runs, metrics, models and search in files of their own.
type store struct {
	db    *db.DB
	index *index
	cache *runCache
	homes *homes
}

// The memory of the search index and of the cache of runs, in bytes.
const (
	indexBytes = 512 << 20
	cacheBytes = 32 << 20
)

func newStore(d *db.DB) *store {
	st := &store{db: d, cache: newRunCache(cacheBytes), homes: &homes{}}
	st.index = newIndex(st, indexBytes)
	d.OnDoubt(st.forgetAll)
	return st
}

// forget makes the search index and the cache of runs read experiments again. What changes runs in bulk, not through the functions of
// store_run.go and store_metric.go, calls it after its commit.
func (st *store) forget(exps ...int64) {
	st.index.forget(exps...)
	st.cache.clear()
}

// forgetAll is forget of every experiment.
func (st *store) forgetAll() { st.forget(st.index.experiments()...) }

func (st *store) ensureDefault(tx *db.Tx, now time.Time) error {
	at := clock.Micros(now)
	_, err := tx.Exec("INSERT INTO experiment (id, workspace, name, lifecycle, created_at, updated_at) VALUES (0, ?, 'Default', ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		space.Default, string(Active), at, at)
	return err
}

func (st *store) insertExperiment(tx *db.Tx, n NewExperiment, now time.Time) (int64, error) {
	if err := st.nameFree(tx, n.Workspace, n.Name); err != nil {
		return 0, err
	}
	if n.Workspace != space.Default {
		tx.AfterCommit(st.homes.forget)
	}
	var num int64
	// ids of purged experiments are not given again: events and links of people tell of them
	if err := tx.QueryRow("SELECT COALESCE(MAX(id), -1) + 1 FROM (SELECT id FROM experiment UNION ALL SELECT last FROM purged_id WHERE noun = 'experiment') i").Scan(&num); err != nil {
		return 0, err
	}
	at := clock.Micros(now)
	if _, err := tx.Exec("INSERT INTO experiment (id, workspace, name, lifecycle, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)", num, n.Workspace, n.Name, string(Active), at, at); err != nil {
		return 0, err
	}
	for _, t := range n.Tags {
		if err := st.setExperimentTag(tx, num, t); err != nil {
			return 0, err
		}
	}
	return num, nil
}

func (st *store) nameFree(tx *db.Tx, workspace, name string) error {
	var lifecycle string
	err := tx.QueryRow("SELECT lifecycle FROM experiment WHERE workspace = ? AND name = ?", workspace, name).Scan(&lifecycle)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case lifecycle == string(Deleted):
		return errs.E(errs.Conflict, "tracking.experiment", "Experiment(name="+clip(name)+") already exists in deleted state.", nil).
			WithHint("restore it, or choose another name")
	}
	return errs.E(errs.Conflict, "tracking.experiment", "Experiment(name="+clip(name)+") already exists.", nil)
}

const experimentColumns = "e.id, e.workspace, e.name, e.lifecycle, e.created_at, e.updated_at"

func scanExperiment(row interface{ Scan(...any) error }) (Experiment, error) {
	var e Experiment
	var created, updated int64
	var lifecycle string
	err := row.Scan(&e.num, &e.Workspace, &e.Name, &lifecycle, &created, &updated)
	e.ID, e.Lifecycle = strconv.FormatInt(e.num, 10), Lifecycle(lifecycle)
	e.CreatedAt, e.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
	return e, err
}

func (st *store) experiment(ctx context.Context, shown, where string, args ...any) (Experiment, error) {
	e, err := scanExperiment(st.db.QueryRow(ctx, "SELECT "+experimentColumns+" FROM experiment e WHERE "+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return Experiment{}, noExperiment(shown)
	}
	if err != nil {
		return e, err
	}
	rows, err := st.db.Query(ctx, "SELECT key, value FROM experiment_tag WHERE exp = ? ORDER BY key", e.num)
	if err != nil {
		return e, err
	}
	e.Tags, err = scanTags(rows)
	return e, err
}

func scanTags(rows *sql.Rows) ([]Tag, error) {
	defer func() { _ = rows.Close() }()
	var out []Tag
	for rows.Next() {
		var t Tag
		if err := rows.Scan(&t.Key, &t.Value); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

func (st *store) experiments(ctx context.Context) ([]Experiment, error) {
	rows, err := st.db.Query(ctx, "SELECT "+experimentColumns+" FROM experiment e ORDER BY e.id")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Experiment
	at := map[int64]int{}
	for rows.Next() {
		e, err := scanExperiment(rows)
		if err != nil {
			return nil, err
		}
		at[e.num] = len(out)
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	tags, err := st.db.Query(ctx, "SELECT exp, key, value FROM experiment_tag ORDER BY exp, key")
	if err != nil {
		return nil, err
	}
	defer func() { _ = tags.Close() }()
	for tags.Next() {
		var num int64
		var t Tag
		if err := tags.Scan(&num, &t.Key, &t.Value); err != nil {
			return nil, err
		}
		if i, ok := at[num]; ok {
			out[i].Tags = append(out[i].Tags, t)
		}
	}
	return out, tags.Err()
}

func (st *store) checkExperiment(tx *db.Tx, num int64, want View) error {
	shown := strconv.FormatInt(num, 10)
	var lifecycle string
	err := tx.QueryRow("SELECT lifecycle FROM experiment WHERE id = ?", num).Scan(&lifecycle)
	if errors.Is(err, sql.ErrNoRows) {
		return noExperiment(shown)
	}
	if err == nil && !want.shows(Lifecycle(lifecycle)) {
		return errs.Invalidf("tracking.experiment", "The experiment %s must be in the '%s' state. Current state is %s.", shown, want, lifecycle)
	}
	return err
}

func (st *store) renameExperiment(tx *db.Tx, num int64, name string, now time.Time) error {
	var workspace, have string
	if err := tx.QueryRow("SELECT workspace, name FROM experiment WHERE id = ?", num).Scan(&workspace, &have); err != nil || have == name {
		return err
	}
	if err := st.nameFree(tx, workspace, name); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE experiment SET name = ?, updated_at = ? WHERE id = ?", name, clock.Micros(now), num)
	return err
}

func (st *store) deleteExperiment(tx *db.Tx, num int64, now time.Time) error {
	at := clock.Micros(now)
	if _, err := tx.Exec("UPDATE experiment SET lifecycle = ?, updated_at = ? WHERE id = ?", string(Deleted), at, num); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE run SET lifecycle = ?, deleted_at = ? WHERE exp = ? AND lifecycle = ?", string(Deleted), at, num, string(Active))
	return err
}

// restoreExperiment brings back the runs that were deleted at the moment the experiment was, not those deleted before.
func (st *store) restoreExperiment(tx *db.Tx, num int64, now time.Time) error {
	_, err := tx.Exec("UPDATE run SET lifecycle = ?, deleted_at = 0 WHERE exp = ? AND deleted_at = (SELECT updated_at FROM experiment WHERE id = ?)", string(Active), num, num)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE experiment SET lifecycle = ?, updated_at = ? WHERE id = ?", string(Active), clock.Micros(now), num)
	return err
}

func (st *store) setExperimentTag(tx *db.Tx, num int64, t Tag) error {
	_, err := tx.Exec("INSERT INTO experiment_tag (exp, key, value) VALUES (?, ?, ?) ON CONFLICT (exp, key) DO UPDATE SET value = excluded.value", num, t.Key, t.Value)
	return err
}

func (st *store) deleteExperimentTag(tx *db.Tx, num int64, key string) error {
	n, err := tx.Exec("DELETE FROM experiment_tag WHERE exp = ? AND key = ?", num, key)
	if err == nil && n == 0 {
		return errs.NotFoundf("tracking.delete_tag", "No tag with name: %s in experiment with id %d", clip(key), num)
	}
	return err
}
