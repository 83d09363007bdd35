package transfer

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // the driver

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// sqlite reads the file of an MLflow SQL store, of MLflow 2 and 3: tables and columns that came later are read when they are there.
type sqlite struct {
	db        *sql.DB
	columns   map[string][]string // of each table
	workspace string
	roots     roots
}

// OpenSQLite opens a file read-only. Files of runs are read from mlruns and mlartifacts beside it, and from more folders.
func OpenSQLite(ctx context.Context, file, workspace string, artifacts []string) (Source, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, errs.E(errs.Invalid, "transfer.sqlite", "cannot open "+file, err)
	}
	q := url.Values{"mode": {"ro"}, "_pragma": {"query_only(1)", "trusted_schema(0)", "busy_timeout(10000)"}}
	d, err := sql.Open("sqlite", "file:"+(&url.URL{Path: abs}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, errs.E(errs.Invalid, "transfer.sqlite", "cannot open "+file, err)
	}
	s := &sqlite{db: d, columns: map[string][]string{}, workspace: workspace}
	if s.workspace == "" {
		s.workspace = space.Default
	}
	if err := s.readSchema(ctx); err != nil {
		_ = d.Close()
		return nil, err
	}
	if err := s.checkWorkspace(ctx); err != nil {
		_ = d.Close()
		return nil, err
	}
	dir := filepath.Dir(abs)
	if s.roots, err = openRoots([]string{filepath.Join(dir, "mlruns"), filepath.Join(dir, "mlartifacts")}, artifacts); err != nil {
		_ = d.Close()
		return nil, err
	}
	return s, nil
}

// Close gives the file back.
func (s *sqlite) Close() error { return errors.Join(s.db.Close(), s.roots.close()) }

func (s *sqlite) readSchema(ctx context.Context) error {
	err := s.each(ctx, "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'", nil, func(r *sql.Rows) error {
		var table, column string
		err := r.Scan(&table, &column)
		s.columns[table] = append(s.columns[table], column)
		return err
	})
	if err != nil {
		return err
	}
	for table, column := range map[string]string{"experiments": "lifecycle_stage", "runs": "run_uuid", "latest_metrics": "is_nan", "metrics": "step", "registered_models": "name"} {
		if !s.has(table, column) {
			return errs.Invalidf("transfer.sqlite", "the file is not a store of MLflow, or one older than 1.0: it has no %s.%s", table, column).
				WithHint("upgrade it with: mlflow db upgrade sqlite:///<file>")
		}
	}
	return nil
}

// checkWorkspace refuses a workspace that is not in the file.
func (s *sqlite) checkWorkspace(ctx context.Context) error {
	if s.workspace == space.Default {
		return nil
	}
	if !s.has("experiments", "workspace") || !s.has("workspaces", "name") {
		return errs.E(errs.Precondition, "transfer.sqlite", "the file has no workspaces", nil).
			WithHint("leave the workspace out: only stores of MLflow 3.10 and newer have them")
	}
	var all []string
	err := s.each(ctx, "SELECT name FROM workspaces ORDER BY name", nil, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		all = append(all, name)
		return err
	})
	if err != nil || slices.Contains(all, s.workspace) {
		return err
	}
	return errs.NotFoundf("transfer.sqlite", "the file has no workspace %q", s.workspace).WithHint("it has: %.1000s", strings.Join(all, ", "))
}

func (s *sqlite) has(table, column string) bool { return slices.Contains(s.columns[table], column) }

// col is a column, or what stands for it in stores that do not have it.
func (s *sqlite) col(table, column, otherwise string) string {
	if s.has(table, column) {
		return "COALESCE(" + column + ", " + otherwise + ")"
	}
	return otherwise
}

// inWorkspace is the condition on tables that know workspaces.
func (s *sqlite) inWorkspace(table string) (string, []any) {
	if s.has(table, "workspace") {
		return "workspace = ?", []any{s.workspace}
	}
	return "1 = 1", nil
}

func (s *sqlite) each(ctx context.Context, query string, args []any, row func(*sql.Rows) error) error {
	bad := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errs.E(errs.Invalid, "transfer.sqlite", "the store cannot be read", err).WithHint("check it with: sqlite3 <file> 'PRAGMA integrity_check'")
	}
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return bad(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows); err != nil {
			var known *errs.Error
			if errors.As(err, &known) {
				return err
			}
			return bad(err)
		}
	}
	if err := rows.Err(); err != nil {
		return bad(err)
	}
	return nil
}

func (s *sqlite) Experiments(ctx context.Context) ([]Experiment, error) {
	var out []Experiment
	at := map[string]int{}
	where, args := s.inWorkspace("experiments")
	err := s.each(ctx, "SELECT experiment_id, name, COALESCE(lifecycle_stage, 'active'), "+s.col("experiments", "creation_time", "0")+", "+s.col("experiments", "last_update_time", "0")+
		" FROM experiments WHERE "+where+" ORDER BY experiment_id", args, func(r *sql.Rows) error {
		e := Experiment{Tags: map[string]string{}}
		var num int64
		var stage string
		err := r.Scan(&num, &e.Name, &stage, &e.Created, &e.Updated)
		e.ID, e.Deleted = strconv.FormatInt(num, 10), stage == deleted
		at[e.ID] = len(out)
		out = append(out, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, "SELECT CAST(experiment_id AS TEXT), key, COALESCE(value, '') FROM experiment_tags", nil, func(r *sql.Rows) error {
		var id, k, v string
		err := r.Scan(&id, &k, &v)
		if i, ok := at[id]; ok {
			out[i].Tags[k] = v
		}
		return err
	})
	return out, err
}

func (s *sqlite) Runs(ctx context.Context, e Experiment, page func([]Run) error) error {
	start, last := int64(math.MinInt64), ""
	for {
		var runs []Run
		err := s.each(ctx, `SELECT run_uuid, COALESCE(name, ''), COALESCE(user_id, ''), COALESCE(status, 'RUNNING'), COALESCE(start_time, 0), COALESCE(end_time, 0), COALESCE(lifecycle_stage, 'active'), COALESCE(artifact_uri, '')
			FROM runs WHERE experiment_id = ? AND (COALESCE(start_time, 0), run_uuid) > (?, ?) ORDER BY COALESCE(start_time, 0), run_uuid LIMIT ?`,
			[]any{e.ID, start, last, runPage}, func(r *sql.Rows) error {
				x := Run{Experiment: e.ID, Params: map[string]string{}, Tags: map[string]string{}, Latest: map[string]Point{}}
				var stage string
				err := r.Scan(&x.ID, &x.Name, &x.User, &x.Status, &x.Start, &x.End, &stage, &x.ArtifactURI)
				x.Deleted = stage == deleted
				runs = append(runs, x)
				return err
			})
		if err != nil || len(runs) == 0 {
			return err
		}
		if err := s.fill(ctx, runs); err != nil {
			return err
		}
		start, last = runs[len(runs)-1].Start, runs[len(runs)-1].ID
		if err := page(runs); err != nil {
			return err
		}
	}
}

// fill reads what was logged to the runs of a page.
func (s *sqlite) fill(ctx context.Context, runs []Run) error {
	at := map[string]*Run{}
	args := make([]any, len(runs))
	for i := range runs {
		at[runs[i].ID], args[i] = &runs[i], runs[i].ID
	}
	in := "(?" + strings.Repeat(", ?", len(runs)-1) + ")"
	for table, of := range map[string]func(*Run) map[string]string{"params": func(r *Run) map[string]string { return r.Params }, "tags": func(r *Run) map[string]string { return r.Tags }} {
		err := s.each(ctx, "SELECT run_uuid, key, COALESCE(value, '') FROM "+table+" WHERE run_uuid IN "+in, args, func(r *sql.Rows) error {
			var id, k, v string
			err := r.Scan(&id, &k, &v)
			if err == nil {
				of(at[id])[k] = v
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	err := s.each(ctx, "SELECT run_uuid, key, step, timestamp, value, is_nan FROM latest_metrics WHERE run_uuid IN "+in, args, func(r *sql.Rows) error {
		var id, k string
		var p Point
		var nan bool
		err := r.Scan(&id, &k, &p.Step, &p.Time, &p.Value, &nan)
		if nan {
			p.Value = math.NaN()
		}
		if err == nil {
			at[id].Latest[k] = p
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := range runs {
		runs[i] = runs[i].named()
	}
	return s.fillInputs(ctx, in, args, at)
}

func (s *sqlite) fillInputs(ctx context.Context, in string, args []any, at map[string]*Run) error {
	if !s.has("inputs", "source_id") {
		return nil // before MLflow 2.4
	}
	type key struct{ run, input string }
	places := map[key]int{}
	err := s.each(ctx, `SELECT i.destination_id, i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, COALESCE(d.dataset_schema, ''), COALESCE(d.dataset_profile, '')
		FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id IN `+in+" ORDER BY d.name, d.digest", args,
		func(r *sql.Rows) error {
			var k key
			x := Input{Tags: map[string]string{}}
			if err := r.Scan(&k.run, &k.input, &x.Name, &x.Digest, &x.SourceType, &x.Source, &x.Schema, &x.Profile); err != nil {
				return err
			}
			run := at[k.run]
			places[k] = len(run.Inputs)
			run.Inputs = append(run.Inputs, x)
			return nil
		})
	if err != nil {
		return err
	}
	err = s.each(ctx, "SELECT i.destination_id, i.input_uuid, t.name, t.value FROM inputs i JOIN input_tags t ON t.input_uuid = i.input_uuid WHERE i.destination_id IN "+in, args, func(r *sql.Rows) error {
		var k key
		var name, value string
		err := r.Scan(&k.run, &k.input, &name, &value)
		if i, ok := places[k]; ok {
			at[k.run].Inputs[i].Tags[name] = value
		}
		return err
	})
	if err != nil || !s.has("inputs", "step") {
		return err // before MLflow 3
	}
	return s.each(ctx, "SELECT source_type, source_id, destination_id, step FROM inputs WHERE source_type IN ('RUN_INPUT', 'RUN_OUTPUT') AND source_id IN "+in, args, func(r *sql.Rows) error {
		var kind, id string
		var ref Ref
		if err := r.Scan(&kind, &id, &ref.ModelID, &ref.Step); err != nil {
			return err
		}
		if run := at[id]; kind == "RUN_OUTPUT" {
			run.ModelOutputs = append(run.ModelOutputs, ref)
		} else {
			run.ModelInputs = append(run.ModelInputs, ref)
		}
		return nil
	})
}

func (s *sqlite) History(ctx context.Context, run Run, key string, part func([]Point) error) error {
	var points []Point
	err := s.each(ctx, "SELECT step, timestamp, value, is_nan FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY timestamp, step, value", []any{run.ID, key}, func(r *sql.Rows) error {
		var p Point
		var nan bool
		if err := r.Scan(&p.Step, &p.Time, &p.Value, &nan); err != nil {
			return err
		}
		if nan {
			p.Value = math.NaN()
		}
		if points = append(points, p); len(points) < historyPage {
			return nil
		}
		full := points
		points = nil
		return part(full)
	})
	if err == nil && len(points) > 0 {
		err = part(points)
	}
	return err
}

func (s *sqlite) LoggedModels(ctx context.Context, e Experiment, page func([]LoggedModel) error) error {
	if !s.has("logged_models", "model_id") {
		return nil // before MLflow 3
	}
	var models []LoggedModel
	at := map[string]int{}
	err := s.each(ctx, `SELECT model_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, CAST(status AS TEXT), COALESCE(model_type, ''), COALESCE(source_run_id, ''), COALESCE(status_message, '')
		FROM logged_models WHERE experiment_id = ? AND COALESCE(lifecycle_stage, 'active') <> 'deleted' ORDER BY creation_timestamp_ms, model_id`, []any{e.ID}, func(r *sql.Rows) error {
		m := LoggedModel{Experiment: e.ID, Params: map[string]string{}, Tags: map[string]string{}}
		err := r.Scan(&m.ID, &m.Name, &m.ArtifactURI, &m.Created, &m.Updated, &m.Status, &m.Type, &m.RunID, &m.StatusMessage)
		m.Status = modelStatus(m.Status)
		at[m.ID] = len(models)
		models = append(models, m)
		return err
	})
	if err != nil || len(models) == 0 {
		return err
	}
	for query, of := range map[string]func(*LoggedModel) map[string]string{
		"SELECT model_id, param_key, COALESCE(param_value, '') FROM logged_model_params WHERE experiment_id = ?": func(m *LoggedModel) map[string]string { return m.Params },
		"SELECT model_id, tag_key, COALESCE(tag_value, '') FROM logged_model_tags WHERE experiment_id = ?":       func(m *LoggedModel) map[string]string { return m.Tags },
	} {
		err := s.each(ctx, query, []any{e.ID}, func(r *sql.Rows) error {
			var id, k, v string
			err := r.Scan(&id, &k, &v)
			if i, ok := at[id]; ok {
				of(&models[i])[k] = v
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	err = s.each(ctx, `SELECT model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, run_id, COALESCE(dataset_name, ''), COALESCE(dataset_digest, '')
		FROM logged_model_metrics WHERE experiment_id = ?`, []any{e.ID}, func(r *sql.Rows) error {
		var id string
		var x ModelMetric
		var v sql.NullFloat64
		err := r.Scan(&id, &x.Key, &x.Time, &x.Step, &v, &x.RunID, &x.Dataset, &x.DatasetDigest)
		x.Value = math.NaN()
		if v.Valid {
			x.Value = v.Float64
		}
		if i, ok := at[id]; ok {
			models[i].Metrics = append(models[i].Metrics, x)
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := range models {
		models[i].Metrics = newestMetrics(models[i].Metrics)
	}
	for part := range slices.Chunk(models, modelPage) {
		if err := page(part); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqlite) RegisteredModels(ctx context.Context) ([]RegisteredModel, error) {
	var out []RegisteredModel
	at := map[string]*RegisteredModel{}
	where, args := s.inWorkspace("registered_models")
	err := s.each(ctx, "SELECT name, COALESCE(creation_time, 0), COALESCE(last_updated_time, 0), COALESCE(description, '') FROM registered_models WHERE "+where+" ORDER BY name", args, func(r *sql.Rows) error {
		m := RegisteredModel{Tags: map[string]string{}, Aliases: map[string]string{}}
		err := r.Scan(&m.Name, &m.Created, &m.Updated, &m.Description)
		out = append(out, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		at[out[i].Name] = &out[i]
	}
	versions := map[string]*Version{}
	where, args = s.inWorkspace("model_versions")
	err = s.each(ctx, `SELECT name, CAST(version AS TEXT), COALESCE(creation_time, 0), COALESCE(last_updated_time, 0), COALESCE(description, ''), COALESCE(user_id, ''), COALESCE(current_stage, 'None'), COALESCE(source, ''),
		COALESCE(run_id, ''), COALESCE(status, 'READY'), COALESCE(status_message, ''), `+s.col("model_versions", "storage_location", "''")+", "+s.col("model_versions", "run_link", "''")+" FROM model_versions WHERE "+where+" ORDER BY name, version", args, func(r *sql.Rows) error {
		v := Version{Tags: map[string]string{}}
		err := r.Scan(&v.Model, &v.Version, &v.Created, &v.Updated, &v.Description, &v.User, &v.Stage, &v.Source, &v.RunID, &v.Status, &v.StatusMessage, &v.Storage, &v.RunLink)
		if m := at[v.Model]; err == nil && m != nil && v.Stage != "Deleted_Internal" {
			v.Stage, v.Status = stageName(v.Stage), versionStatus(v.Status)
			if p, ok := newSourceForms().parse(v.Source); ok && p.kind == KindModel {
				v.ModelID = p.id
			}
			m.Versions = append(m.Versions, v)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		for j := range out[i].Versions {
			v := &out[i].Versions[j]
			versions[v.Model+"/"+v.Version] = v
		}
	}
	return out, s.fillRegistry(ctx, at, versions)
}

func (s *sqlite) fillRegistry(ctx context.Context, at map[string]*RegisteredModel, versions map[string]*Version) error {
	texts := func(query, table string, set func(name, key, value string)) error {
		if len(s.columns[table]) == 0 {
			return nil
		}
		where, args := s.inWorkspace(table)
		return s.each(ctx, query+" FROM "+table+" WHERE "+where, args, func(r *sql.Rows) error {
			var name, k, v string
			err := r.Scan(&name, &k, &v)
			set(name, k, v)
			return err
		})
	}
	err := texts("SELECT name, key, COALESCE(value, '')", "registered_model_tags", func(name, k, v string) {
		if m := at[name]; m != nil {
			m.Tags[k] = v
		}
	})
	if err == nil {
		err = texts("SELECT name, alias, CAST(version AS TEXT)", "registered_model_aliases", func(name, k, v string) {
			if m := at[name]; m != nil {
				m.Aliases[k] = v
			}
		})
	}
	if err == nil {
		err = texts("SELECT name || '/' || version, key, COALESCE(value, '')", "model_version_tags", func(name, k, v string) {
			if x := versions[name]; x != nil {
				x.Tags[k] = v
			}
		})
	}
	return err
}

func (s *sqlite) Files(_ context.Context, o Owner) (Tree, error) { return s.roots.tree(o) }
