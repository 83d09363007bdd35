package tracking

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

func (st *store) importExperiment(tx *db.Tx, n ImportedExperiment, now time.Time) (int64, ImportOutcome, error) {
	num, out, err := st.placeExperiment(tx, n)
	if err != nil {
		return 0, "", err
	}
	if out == Created {
		updated := cmp.Or(n.UpdatedMs, n.CreatedMs, now.UnixMilli())
		if n.Workspace != space.Default {
			tx.AfterCommit(st.homes.forget)
		}
		_, err = tx.Exec("INSERT INTO experiment (id, workspace, name, lifecycle, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
			num, n.Workspace, n.Name, string(n.Lifecycle), cmp.Or(n.CreatedMs, now.UnixMilli())*1000, updated*1000)
		if err != nil {
			return 0, "", err
		}
	}
	for _, k := range slices.Sorted(maps.Keys(n.Tags)) {
		changed, err := st.importExperimentTag(tx, num, Tag{k, n.Tags[k]}, out == Unchanged && n.IntoExisting)
		if err != nil {
			return 0, "", err
		}
		if changed && out == Unchanged {
			out = Updated
		}
	}
	return num, out, st.setImportState(tx, kindExperiment, n.key(), strconv.FormatInt(num, 10), now)
}

// key notes where an origin went, for each workspace by itself: two may have an experiment of the same origin.
func (n ImportedExperiment) key() string {
	if n.Workspace == space.Default {
		return n.Origin
	}
	return n.Origin + " in " + n.Workspace
}

// sameWorkspace refuses to bring what is in one workspace up to date from an import into another. NotFound without an experiment of that
// number.
func (st *store) sameWorkspace(tx *db.Tx, noun string, has, wanted int64) error {
	if has == wanted {
		return nil
	}
	var a, b string
	err := tx.QueryRow("SELECT workspace FROM experiment WHERE id = ?", wanted).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return noExperiment(strconv.FormatInt(wanted, 10))
	}
	if err == nil {
		err = tx.QueryRow("SELECT workspace FROM experiment WHERE id = ?", has).Scan(&a)
	}
	if err != nil || a == b {
		return err
	}
	return errs.E(errs.Conflict, "tracking.import", "the "+noun+" is here already, in the workspace "+a, nil).
		WithHint("a run is in one workspace: import it into that one, or move it with: modelyard run move")
}

// placeExperiment finds the experiment that an imported one goes into, or the free id of a new one (Created).
func (st *store) placeExperiment(tx *db.Tx, n ImportedExperiment) (int64, ImportOutcome, error) {
	var mark string
	err := tx.QueryRow("SELECT mark FROM import_state WHERE kind = ? AND id = ?", kindExperiment, n.key()).Scan(&mark)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, "", err
	}
	if err == nil {
		num, _ := strconv.ParseInt(mark, 10, 64)
		var workspace string
		err := tx.QueryRow("SELECT workspace FROM experiment WHERE id = ?", num).Scan(&workspace)
		if err == nil && workspace == n.Workspace {
			return num, Unchanged, nil
		} else if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, "", err
		}
	}
	var num, runs int64
	var lifecycle string
	err = tx.QueryRow("SELECT e.id, e.lifecycle, (SELECT count(*) FROM run r WHERE r.exp = e.id) FROM experiment e WHERE e.workspace = ? AND e.name = ?", n.Workspace, n.Name).Scan(&num, &lifecycle, &runs)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		num, err = st.freeExperiment(tx, n.SourceID)
		return num, Created, err
	case err != nil:
		return 0, "", err
	case lifecycle == string(Deleted) && n.Lifecycle == Active:
		return 0, "", errs.E(errs.Conflict, "tracking.import", "an experiment named "+clip(n.Name)+" is here already, deleted", nil).
			WithHint("restore it, or import under other names with a prefix")
	case n.IntoExisting, num == 0 && runs == 0:
		return num, Unchanged, nil
	}
	return 0, "", errs.E(errs.Conflict, "tracking.import", "an experiment named "+clip(n.Name)+" is here already", nil).
		WithHint("import into the experiments that are here, or under other names with a prefix")
}

// freeExperiment gives the id that was asked for when it is free and short, else the next one.
func (st *store) freeExperiment(tx *db.Tx, wanted string) (int64, error) {
	if num, err := parseExperimentID(wanted); err == nil && num < maxKeptID {
		if err := st.checkExperiment(tx, num, ViewAll); errs.Is(err, errs.NotFound) {
			return num, nil
		} else if err != nil {
			return 0, err
		}
	}
	var num int64
	err := tx.QueryRow("SELECT COALESCE(MAX(id), -1) + 1 FROM experiment").Scan(&num)
	return num, err
}

// importExperimentTag sets a tag unless it is there; keep leaves another value as it is.
func (st *store) importExperimentTag(tx *db.Tx, num int64, t Tag, keep bool) (changed bool, err error) {
	var have string
	err = tx.QueryRow("SELECT value FROM experiment_tag WHERE exp = ? AND key = ?", num, t.Key).Scan(&have)
	if err == nil && (keep || have == t.Value) {
		return false, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	return true, st.setExperimentTag(tx, num, t)
}

// importRunHead writes the row of a run; one that is there keeps its experiment.
func (st *store) importRunHead(tx *db.Tx, r ImportedRun, exp int64, now time.Time) (runRow, bool, error) {
	row, err := st.findRun(tx, r.ID)
	created := errs.Is(err, errs.NotFound)
	if err != nil && !created {
		return row, false, err
	}
	if created {
		run := Run{ID: r.ID, Name: r.Name, User: r.User, Status: r.Status, Lifecycle: Active, StartTime: ofMillis(r.StartMs), exp: exp}
		if err := st.insertRun(tx, &run, ViewAll); err != nil {
			return row, false, err
		}
		row = runRow{id: r.ID, num: run.num, exp: exp, lifecycle: Active, status: r.Status, changes: &update{}} // the experiment is read again
	} else if err := st.sameWorkspace(tx, "run", row.exp, exp); err != nil {
		return row, false, err
	}
	_, err = tx.Exec("UPDATE run SET name = ?, user_name = ?, status = ?, start_at = ?, end_at = ? WHERE num = ?",
		r.Name, r.User, string(r.Status), clock.Micros(ofMillis(r.StartMs)), clock.Micros(ofMillis(r.EndMs)), row.num)
	if err != nil {
		return row, false, err
	}
	if r.Lifecycle == Deleted && row.lifecycle == Active {
		// of a deleted experiment: as if they had been deleted together here, so that they are restored together
		_, err := tx.Exec(`UPDATE run SET lifecycle = ?, deleted_at = COALESCE((SELECT e.updated_at FROM experiment e WHERE e.id = run.exp AND e.lifecycle = ?), ?) WHERE num = ?`,
			string(Deleted), string(Deleted), clock.Micros(now), row.num)
		if err != nil {
			return row, false, err
		}
	}
	return row, created, st.notePlace(tx, r.ID, r.SourceExperiment, row.exp, now)
}

// notePlace remembers an experiment that something was in before.
func (st *store) notePlace(tx *db.Tx, owner, formerID string, exp int64, now time.Time) error {
	former, err := parseExperimentID(formerID)
	if err != nil || former == exp {
		return nil //nolint:nilerr // not every store numbers its experiments
	}
	_, err = tx.Exec("INSERT INTO former_place (owner, exp, at) VALUES (?, ?, ?) ON CONFLICT (owner, exp) DO NOTHING", owner, former, clock.Micros(now))
	return err
}

func (st *store) wasIn(ctx context.Context, owner string, exp int64) (bool, error) {
	var n int
	err := st.db.QueryRow(ctx, "SELECT count(*) FROM former_place WHERE owner = ? AND exp = ?", owner, exp).Scan(&n)
	return n > 0, err
}

func (st *store) importRunValues(tx *db.Tx, row runRow, r ImportedRun, inputs []DatasetInput, points []block) error {
	for _, p := range r.Params {
		_, err := tx.Exec("INSERT INTO run_param (exp, run, key, value) VALUES (?, ?, ?, ?) ON CONFLICT (exp, run, key) DO UPDATE SET value = excluded.value", row.exp, row.num, p.Key, p.Value)
		if err != nil {
			return err
		}
	}
	if err := st.writeTags(tx, row.exp, row.num, lastOfEach(r.Tags)); err != nil {
		return err
	}
	if err := st.insertInputs(tx, row, inputs); err != nil {
		return err
	}
	if err := st.insertModelRefs(tx, row, "input", refs(r.ModelInputs)); err != nil {
		return err
	}
	if err := st.insertModelRefs(tx, row, "output", refs(r.ModelOutputs)); err != nil {
		return err
	}
	for _, b := range points {
		if b.from >= 0 {
			if err := st.startSeries(tx, row, b.key, b.from); err != nil {
				return err
			}
		}
		if err := st.appendSeries(tx, row, b.series); err != nil {
			return err
		}
	}
	return nil
}

// startSeries empties a series (from 0), or checks that the points that follow go on where it ends.
func (st *store) startSeries(tx *db.Tx, row runRow, key string, from int64) error {
	if from == 0 {
		if _, err := tx.Exec("DELETE FROM metric_chunk WHERE run = ? AND key = ?", row.num, key); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM metric_latest WHERE exp = ? AND run = ? AND key = ?", row.exp, row.num, key)
		return err
	}
	var n int64
	if err := tx.QueryRow("SELECT COALESCE(SUM(n), 0) FROM metric_chunk WHERE run = ? AND key = ?", row.num, key).Scan(&n); err != nil {
		return err
	}
	if n != from {
		return errs.E(errs.Precondition, "tracking.import", "the metric "+clip(key)+" has "+strconv.FormatInt(n, 10)+" points here, not the "+strconv.FormatInt(from, 10)+" that these follow", nil).
			WithHint("import the run again from its first point")
	}
	return nil
}

func (st *store) importModel(tx *db.Tx, m ImportedModel, exp int64, now time.Time) (ImportOutcome, error) {
	var deleted int64
	wanted := exp
	err := tx.QueryRow("SELECT exp, deleted_at FROM logged_model WHERE id = ?", m.ID).Scan(&exp, &deleted)
	created := errors.Is(err, sql.ErrNoRows)
	switch {
	case err != nil && !created:
		return "", err
	case !created && deleted != 0:
		return Unchanged, nil
	case !created:
		if err := st.sameWorkspace(tx, "logged model", exp, wanted); err != nil {
			return "", err
		}
	case created:
		if err := st.checkExperiment(tx, exp, ViewAll); err != nil {
			return "", err
		}
		_, err = tx.Exec(`INSERT INTO logged_model (id, exp, name, type, status, status_message, run_id, user_name, created_at, updated_at, deleted_at) VALUES (?, ?, ?, ?, ?, '', ?, '', 0, 0, 0)`,
			m.ID, exp, m.Name, m.Type, string(m.Status), m.RunID)
		if err != nil {
			return "", err
		}
	}
	_, err = tx.Exec("UPDATE logged_model SET name = ?, type = ?, status = ?, status_message = ?, run_id = ?, created_at = ?, updated_at = ? WHERE id = ?",
		m.Name, m.Type, string(m.Status), m.StatusMessage, m.RunID, m.CreatedMs*1000, cmp.Or(m.UpdatedMs, m.CreatedMs)*1000, m.ID)
	if err != nil {
		return "", err
	}
	if err := st.importModelValues(tx, m); err != nil {
		return "", err
	}
	if err := st.notePlace(tx, m.ID, m.SourceExperiment, exp, now); err != nil {
		return "", err
	}
	if created {
		return Created, nil
	}
	return Updated, nil
}

func (st *store) importModelValues(tx *db.Tx, m ImportedModel) error {
	for _, p := range m.Params {
		_, err := tx.Exec("INSERT INTO logged_model_param (model_id, key, value) VALUES (?, ?, ?) ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value", m.ID, p.Key, p.Value)
		if err != nil {
			return err
		}
	}
	if err := st.setModelTags(tx, m.ID, m.Tags); err != nil {
		return err
	}
	for _, x := range m.Metrics {
		point := Metric{Key: x.Key, Point: Point{Step: x.Step, Time: x.Time, Value: float64(x.Value)}, ModelID: m.ID, DatasetName: x.DatasetName, DatasetDigest: x.DatasetDigest}
		if err := st.setModelMetric(tx, x.RunID, point); err != nil {
			return err
		}
	}
	return nil
}

func (st *store) setImportState(tx *db.Tx, kind, id, mark string, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO import_state (kind, id, mark, at) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, id) DO UPDATE SET mark = excluded.mark, at = excluded.at`, kind, id, mark, clock.Micros(now))
	return err
}

func (st *store) importState(ctx context.Context, kind string, ids []string) (map[string]string, error) {
	out := map[string]string{}
	exists := "run r WHERE r.id = s.id"
	if kind == kindModel {
		exists = "logged_model m WHERE m.id = s.id"
	}
	for part := range slices.Chunk(ids, 200) {
		args := make([]any, 0, len(part)+1)
		args = append(args, kind)
		for _, id := range part {
			args = append(args, id)
		}
		rows, err := st.db.Query(ctx, "SELECT s.id, s.mark FROM import_state s WHERE s.kind = ? AND s.id IN ("+db.Placeholders(len(part))+") AND EXISTS (SELECT 1 FROM "+exists+")", args...)
		if err != nil {
			return nil, err
		}
		if err := scanPairs(rows, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func scanPairs(rows *sql.Rows, out map[string]string) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			return err
		}
		out[k] = v
	}
	return rows.Err()
}
