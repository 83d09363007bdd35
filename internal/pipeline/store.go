package pipeline

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func ptr(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := clock.FromMicros(us)
	return &t
}

func asJSON(v any) string {
	b, _ := json.Marshal(v) // maps of strings: cannot fail
	return string(b)
}

const pipelineColumns = "name, spec, files, digest, next_fire, created_at, updated_at, updated_by"

func scanPipeline(row db.Scanner) (Pipeline, error) {
	var p Pipeline
	var files string
	var fire, created, updated int64
	if err := row.Scan(&p.Name, &p.Spec, &files, &p.Digest, &fire, &created, &updated, &p.UpdatedBy); err != nil {
		return p, err
	}
	sp, err := ParseSpec(p.Spec)
	if err != nil {
		return p, errs.E(errs.Internal, "pipeline.read", "the stored definition of "+p.Name, err)
	}
	p.Steps, p.Params, p.Schedule, p.Description = sp.Steps, sp.Params, sp.On.Schedule, sp.Description
	p.NextFire, p.CreatedAt, p.UpdatedAt = ptr(fire), clock.FromMicros(created), clock.FromMicros(updated)
	return p, json.Unmarshal([]byte(files), &p.Files)
}

func (s *Service) putPipeline(tx *db.Tx, p Pipeline) error {
	var fire int64
	if p.NextFire != nil {
		fire = clock.Micros(*p.NextFire)
	}
	_, err := tx.Exec(`INSERT INTO pipeline (name, spec, files, digest, next_fire, created_at, updated_at, updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, files = excluded.files, digest = excluded.digest, next_fire = excluded.next_fire,
		updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
		p.Name, p.Spec, asJSON(p.Files), p.Digest, fire, clock.Micros(p.CreatedAt), clock.Micros(p.UpdatedAt), p.UpdatedBy)
	return err
}

func setNextFire(tx *db.Tx, name string, at time.Time) error {
	_, err := tx.Exec("UPDATE pipeline SET next_fire = ? WHERE name = ?", clock.Micros(at), name)
	return err
}

func (s *Service) readPipeline(ctx context.Context, name string) (Pipeline, error) {
	p, err := scanPipeline(s.d.DB.QueryRow(ctx, "SELECT "+pipelineColumns+" FROM pipeline WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		return p, errs.NotFoundf("pipeline.get", "there is no pipeline %q", name).WithHint("modelyard pipeline list shows those there are")
	}
	return p, err
}

func (s *Service) readPipelines(ctx context.Context) ([]Pipeline, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT "+pipelineColumns+" FROM pipeline ORDER BY name")
	return db.All(rows, err, scanPipeline)
}

// lastRuns gives the newest run of each pipeline.
func (s *Service) lastRuns(ctx context.Context) (map[string]RunSummary, error) {
	rows, err := s.d.DB.Query(ctx, `SELECT r.pipeline, r.id, r.state, r.started_at, r.ended_at FROM pipeline_run r
		WHERE r.id = (SELECT max(x.id) FROM pipeline_run x WHERE x.pipeline = r.pipeline)`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]RunSummary{}
	for rows.Next() {
		var name, state string
		var sum RunSummary
		var started, ended int64
		if err := rows.Scan(&name, &sum.ID, &state, &started, &ended); err != nil {
			return nil, err
		}
		sum.State, sum.StartedAt, sum.EndedAt = State(state), ptr(started), ptr(ended)
		out[name] = sum
	}
	return out, rows.Err()
}

func deletePipeline(tx *db.Tx, name string) (int64, error) {
	return tx.Exec("DELETE FROM pipeline WHERE name = ?", name)
}

func insertRun(tx *db.Tx, r Run, spec string) error {
	_, err := tx.Exec(`INSERT INTO pipeline_run (id, pipeline, spec, files, digest, state, trigger_kind, trigger_ref, params, outputs, message, error, cancel, created_by, created_at, started_at, ended_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '{}', '', '', ?, ?, ?, 0, 0)`,
		r.ID, r.Pipeline, spec, asJSON(r.files), r.Digest, string(r.State), r.Trigger.Kind, r.Trigger.Ref, asJSON(r.Params), false, r.CreatedBy, clock.Micros(r.CreatedAt))
	if err != nil {
		return err
	}
	for i, st := range r.Steps {
		_, err := tx.Exec(`INSERT INTO pipeline_step (run_id, name, pos, state, attempt, failures, started_at, ended_at, exit_code, error, tracked_run, max_rss, cpu_us)
			VALUES (?, ?, ?, ?, 0, 0, 0, 0, 0, '', '', 0, 0)`, r.ID, st.Name, i, string(st.State))
		if err != nil {
			return err
		}
	}
	return nil
}

const runColumns = "id, pipeline, spec, files, digest, state, trigger_kind, trigger_ref, params, outputs, message, error, cancel, created_by, created_at, started_at, ended_at"

func scanRun(row db.Scanner) (Run, error) {
	var r Run
	var spec, files, state, params, outputs string
	var created, started, ended int64
	if err := row.Scan(&r.ID, &r.Pipeline, &spec, &files, &r.Digest, &state, &r.Trigger.Kind, &r.Trigger.Ref, &params, &outputs, &r.Message, &r.Error, &r.cancel, &r.CreatedBy, &created, &started, &ended); err != nil {
		return r, err
	}
	r.State, r.CreatedAt, r.StartedAt, r.EndedAt = State(state), clock.FromMicros(created), ptr(started), ptr(ended)
	var err error
	if r.spec, err = ParseSpec(spec); err != nil {
		return r, errs.E(errs.Internal, "pipeline.read", "the stored definition of run "+r.ID, err)
	}
	return r, errors.Join(json.Unmarshal([]byte(files), &r.files), json.Unmarshal([]byte(params), &r.Params), json.Unmarshal([]byte(outputs), &r.Outputs))
}

// reader is a database or a transaction.
type reader func(query string, args ...any) (*sql.Rows, error)

func (s *Service) reads(ctx context.Context) reader {
	return func(q string, args ...any) (*sql.Rows, error) { return s.d.DB.Query(ctx, q, args...) }
}

func readRun(read reader, id string) (Run, error) {
	rs, err := selectRuns(read, "WHERE id = ?", id)
	if err != nil {
		return Run{}, err
	}
	if len(rs) == 0 {
		return Run{}, errs.NotFoundf("pipeline.get_run", "there is no pipeline run %q", id)
	}
	return rs[0], fillSteps(read, &rs[0])
}

func selectRuns(read reader, where string, args ...any) ([]Run, error) {
	rows, err := read("SELECT "+runColumns+" FROM pipeline_run "+where, args...)
	return db.All(rows, err, scanRun)
}

func fillSteps(read reader, r *Run) error {
	rows, err := read(`SELECT name, state, attempt, failures, started_at, ended_at, exit_code, error, tracked_run, max_rss, cpu_us
		FROM pipeline_step WHERE run_id = ? ORDER BY pos`, r.ID)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	r.Steps = []Step{}
	for rows.Next() {
		var st Step
		var state string
		var started, ended, cpu int64
		if err := rows.Scan(&st.Name, &state, &st.Attempt, &st.failures, &started, &ended, &st.ExitCode, &st.Error, &st.RunID, &st.MaxRSSBytes, &cpu); err != nil {
			return err
		}
		st.State, st.StartedAt, st.EndedAt, st.CPUSeconds = State(state), ptr(started), ptr(ended), float64(cpu)/1e6
		sp := r.spec.step(st.Name)
		st.Needs, st.Command, st.Script = sp.Needs, sp.Command, sp.Run
		if st.Needs == nil {
			st.Needs = []string{}
		}
		r.Steps = append(r.Steps, st)
	}
	return rows.Err()
}

func updateRun(tx *db.Tx, r Run) error {
	var started, ended int64
	if r.StartedAt != nil {
		started = clock.Micros(*r.StartedAt)
	}
	if r.EndedAt != nil {
		ended = clock.Micros(*r.EndedAt)
	}
	_, err := tx.Exec("UPDATE pipeline_run SET state = ?, outputs = ?, message = ?, error = ?, started_at = ?, ended_at = ? WHERE id = ?",
		string(r.State), asJSON(r.Outputs), r.Message, r.Error, started, ended, r.ID)
	return err
}

func updateStep(tx *db.Tx, runID string, st Step) error {
	var started, ended int64
	if st.StartedAt != nil {
		started = clock.Micros(*st.StartedAt)
	}
	if st.EndedAt != nil {
		ended = clock.Micros(*st.EndedAt)
	}
	_, err := tx.Exec(`UPDATE pipeline_step SET state = ?, attempt = ?, failures = ?, started_at = ?, ended_at = ?, exit_code = ?, error = ?, tracked_run = ?, max_rss = ?, cpu_us = ?
		WHERE run_id = ? AND name = ?`, string(st.State), st.Attempt, st.failures, started, ended, st.ExitCode, st.Error, st.RunID, st.MaxRSSBytes, int64(st.CPUSeconds*1e6), runID, st.Name)
	return err
}

func setMessage(tx *db.Tx, id, message string) error {
	_, err := tx.Exec("UPDATE pipeline_run SET message = ? WHERE id = ?", message, id)
	return err
}

func setCancel(tx *db.Tx, id string, v bool) error {
	_, err := tx.Exec("UPDATE pipeline_run SET cancel = ? WHERE id = ?", v, id)
	return err
}

func (s *Service) countRuns(ctx context.Context, state State) (int64, error) {
	var n int64
	err := s.d.DB.QueryRow(ctx, "SELECT count(*) FROM pipeline_run WHERE state = ?", string(state)).Scan(&n)
	return n, err
}

// fileDigests lists the contents that definitions, old and new, refer to.
func (s *Service) fileDigests(ctx context.Context) ([]blob.Digest, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT files FROM pipeline UNION SELECT files FROM pipeline_run")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	seen := map[blob.Digest]bool{}
	var out []blob.Digest
	for rows.Next() {
		var text string
		var files map[string]blob.Digest
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &files); err != nil {
			return nil, err
		}
		for _, d := range files {
			if !seen[d] {
				seen[d] = true
				out = append(out, d)
			}
		}
	}
	return out, rows.Err()
}
