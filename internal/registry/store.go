package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/platform/space"
)

const modelColumns = "m.id, m.name, m.description, m.created_at, m.updated_at"

type row interface{ Scan(...any) error }

func scanModel(r row) (Model, error) {
	var m Model
	var created, updated int64
	err := r.Scan(&m.id, &m.Name, &m.Description, &created, &updated)
	m.Workspace, _ = space.Split(m.Name)
	m.CreatedAt, m.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
	m.Tags, m.Aliases = map[string]string{}, map[string]string{}
	return m, err
}

func noModel(name string) error {
	return errs.NotFoundf("registry.model", "there is no registered model %.300q", name).WithHint("list the models with: modelyard model list")
}

func noVersion(model string, number int64) error {
	return errs.NotFoundf("registry.version", "model %q has no version %d", model, number).WithHint("list its versions with: modelyard model versions %s", model)
}

func (s *Service) findModel(ctx context.Context, name string) (Model, error) {
	m, err := scanModel(s.d.DB.QueryRow(ctx, "SELECT "+modelColumns+" FROM registry_model m WHERE m.name = ? AND m.deleted_at = 0", name))
	if errors.Is(err, sql.ErrNoRows) {
		return Model{}, noModel(name)
	}
	return m, err
}

func modelByName(tx *db.Tx, name string) (Model, error) {
	m, err := scanModel(tx.QueryRow("SELECT "+modelColumns+" FROM registry_model m WHERE m.name = ? AND m.deleted_at = 0", name))
	if errors.Is(err, sql.ErrNoRows) {
		return Model{}, noModel(name)
	}
	return m, err
}

// freeName refuses a name that is taken, or taken in another case.
func freeName(tx *db.Tx, name, exceptID string) error {
	var taken string
	err := tx.QueryRow("SELECT name FROM registry_model WHERE name_fold = ? AND deleted_at = 0 AND id <> ?", fold(name), exceptID).Scan(&taken)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if taken == name {
		return errs.E(errs.Conflict, "registry.model", "a registered model "+strconv.Quote(name)+" exists already", nil)
	}
	return errs.E(errs.Conflict, "registry.model", "the name "+strconv.Quote(name)+" differs from the registered model "+strconv.Quote(taken)+" only in case", nil).
		WithHint("use that model or choose another name")
}

func (s *Service) insertModel(tx *db.Tx, name, description string) (Model, error) {
	if err := freeName(tx, name, ""); err != nil {
		return Model{}, err
	}
	m := Model{id: id.New(), Name: name, Description: description}
	now := clock.Micros(s.d.Clock.Now())
	workspace, bare := space.Split(name)
	_, err := tx.Exec("INSERT INTO registry_model (id, name, name_fold, workspace, bare, description, created_at, updated_at, deleted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
		m.id, name, fold(name), workspace, bare, description, now, now)
	return m, err
}

// renameModel keeps numbers growing under both names.
func renameModel(tx *db.Tx, m Model, newName string) error {
	if err := freeName(tx, newName, m.id); err != nil {
		return err
	}
	var last int64
	err := tx.QueryRow("SELECT last FROM registry_number WHERE name_fold = ?", fold(m.Name)).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO registry_number (name_fold, last) VALUES (?, ?) ON CONFLICT (name_fold) DO UPDATE
		SET last = CASE WHEN excluded.last > registry_number.last THEN excluded.last ELSE registry_number.last END`, fold(newName), last); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM registry_gate WHERE model = ?", newName); err != nil { // of a deleted model of that name
		return err
	}
	if _, err := tx.Exec("UPDATE registry_gate SET model = ? WHERE model = ?", newName, m.Name); err != nil {
		return err
	}
	workspace, bare := space.Split(newName)
	_, err = tx.Exec("UPDATE registry_model SET name = ?, name_fold = ?, workspace = ?, bare = ? WHERE id = ?", newName, fold(newName), workspace, bare, m.id)
	return err
}

func (s *Service) deleteModel(tx *db.Tx, m Model) error {
	now := clock.Micros(s.d.Clock.Now())
	for _, q := range []string{
		"UPDATE registry_model SET deleted_at = ? WHERE id = ?",
		"UPDATE registry_version SET deleted_at = ? WHERE model_id = ? AND deleted_at = 0",
	} {
		if _, err := tx.Exec(q, now, m.id); err != nil {
			return err
		}
	}
	return nil // its aliases stay with it, unseen, for the day it is restored
}

// touch notes when a model (number 0) or a version was changed.
func (s *Service) touch(tx *db.Tx, modelID string, number int64) error {
	now := clock.Micros(s.d.Clock.Now())
	if number == 0 {
		_, err := tx.Exec("UPDATE registry_model SET updated_at = ? WHERE id = ?", now, modelID)
		return err
	}
	_, err := tx.Exec("UPDATE registry_version SET updated_at = ? WHERE model_id = ? AND number = ?", now, modelID, number)
	return err
}

func putTag(tx *db.Tx, modelID string, number int64, key, value string) error {
	_, err := tx.Exec(`INSERT INTO registry_tag (model_id, version, tag_key, value) VALUES (?, ?, ?, ?)
		ON CONFLICT (model_id, version, tag_key) DO UPDATE SET value = excluded.value`, modelID, number, key, value)
	return err
}

func changeTags(tx *db.Tx, modelID string, number int64, tags map[string]*string) error {
	if len(tags) == 0 {
		return nil
	}
	for k, v := range tags {
		var err error
		if v == nil {
			_, err = tx.Exec("DELETE FROM registry_tag WHERE model_id = ? AND version = ? AND tag_key = ?", modelID, number, k)
		} else {
			err = putTag(tx, modelID, number, k, *v)
		}
		if err != nil {
			return err
		}
	}
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM registry_tag WHERE model_id = ? AND version = ?", modelID, number).Scan(&n); err != nil {
		return err
	}
	if n > MaxTags {
		return errs.Invalidf("registry.tags", "there would be %d tags: at most %d are kept", n, MaxTags)
	}
	return nil
}

func (s *Service) note(ctx context.Context, tx *db.Tx, modelID string, h HistoryEntry) error {
	number, _ := strconv.ParseInt(h.Version, 10, 64)
	_, err := tx.Exec("INSERT INTO registry_history (id, model_id, at, actor, what, alias, version, previous, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		id.New(), modelID, clock.Micros(s.d.Clock.Now()), who(ctx), h.What, h.Alias, number, h.Previous, h.Reason)
	return err
}

func (s *Service) queryHistory(ctx context.Context, modelID string, limit int, before string) ([]HistoryEntry, string, error) {
	rows, err := s.d.DB.Query(ctx, `SELECT id, at, actor, what, alias, version, previous, reason FROM registry_history
		WHERE model_id = ? AND (? = '' OR id < ?) ORDER BY id DESC LIMIT ?`, modelID, before, before, limit+1)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = rows.Close() }()
	out := []HistoryEntry{}
	for rows.Next() {
		var h HistoryEntry
		var at, number int64
		if err := rows.Scan(&h.ID, &at, &h.Actor, &h.What, &h.Alias, &number, &h.Previous, &h.Reason); err != nil {
			return nil, "", err
		}
		h.At = clock.FromMicros(at)
		if number > 0 {
			h.Version = formatNumber(number)
		}
		out = append(out, h)
	}
	next := ""
	if len(out) > limit {
		out = out[:limit]
		next = page.Encode(struct{ ID string }{out[limit-1].ID})
	}
	return out, next, rows.Err()
}

func formatNumber(n int64) string { return strconv.FormatInt(n, 10) }

// nextNumber gives out the next number under a name.
func nextNumber(tx *db.Tx, name string) (int64, error) {
	var n int64
	err := tx.QueryRow(`INSERT INTO registry_number (name_fold, last) VALUES (?, 1)
		ON CONFLICT (name_fold) DO UPDATE SET last = registry_number.last + 1 RETURNING last`, fold(name)).Scan(&n)
	return n, err
}

func (s *Service) insertVersion(ctx context.Context, tx *db.Tx, m Model, number int64, n NewVersion, c content) error {
	det, err := json.Marshal(c.detail)
	if err != nil {
		return errs.E(errs.Internal, "registry.create_version", "the description of the version", err)
	}
	metrics, err := json.Marshal(finite(n.Metrics))
	if err != nil {
		return errs.E(errs.Internal, "registry.create_version", "the metrics of the version", err)
	}
	now := clock.Micros(s.d.Clock.Now())
	_, err = tx.Exec(`INSERT INTO registry_version (model_id, number, status, status_message, stage, run_id, logged_model_id, source, description,
		flavor, runtime, detail, metrics, size_bytes, files_count, digest, created_at, updated_at, created_by, deleted_at)
		VALUES (?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		m.id, number, string(Ready), string(StageNone), n.RunID, n.LoggedModelID, n.Source, n.Description,
		c.flavor, c.runtime, string(det), string(metrics), c.size, len(c.files), c.digest, now, now, who(ctx))
	return err
}

func hasVersion(tx *db.Tx, m Model, number int64) error {
	var n int
	err := tx.QueryRow("SELECT count(*) FROM registry_version WHERE model_id = ? AND number = ? AND deleted_at = 0", m.id, number).Scan(&n)
	if err == nil && n == 0 {
		return noVersion(m.Name, number)
	}
	return err
}

// markDeleted hides a version; its row and files stay for what refers to them.
func (s *Service) markDeleted(tx *db.Tx, m Model, number int64) error {
	_, err := tx.Exec("UPDATE registry_version SET deleted_at = ?, stage = ? WHERE model_id = ? AND number = ?",
		clock.Micros(s.d.Clock.Now()), string(StageNone), m.id, number)
	return err
}

// setStage gives the stage before.
func setStage(tx *db.Tx, m Model, number int64, stage Stage, archive bool) (string, error) {
	var previous string
	if err := tx.QueryRow("SELECT stage FROM registry_version WHERE model_id = ? AND number = ?", m.id, number).Scan(&previous); err != nil {
		return "", err
	}
	if archive {
		if _, err := tx.Exec("UPDATE registry_version SET stage = ? WHERE model_id = ? AND stage = ? AND number <> ? AND deleted_at = 0",
			string(StageArchived), m.id, string(stage), number); err != nil {
			return "", err
		}
	}
	_, err := tx.Exec("UPDATE registry_version SET stage = ? WHERE model_id = ? AND number = ?", string(stage), m.id, number)
	return previous, err
}

// putAlias gives the version the alias pointed at before, "" for none.
func putAlias(tx *db.Tx, m Model, alias string, number int64) (string, error) {
	var was string
	var before int64
	err := tx.QueryRow("SELECT alias, version FROM registry_alias WHERE model_id = ? AND alias_fold = ?", m.id, fold(alias)).Scan(&was, &before)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err := tx.Exec("INSERT INTO registry_alias (model_id, alias_fold, alias, version) VALUES (?, ?, ?, ?)", m.id, fold(alias), alias, number)
		return "", err
	case err != nil:
		return "", err
	case was != alias:
		return "", errs.E(errs.Conflict, "registry.set_alias", "the alias "+strconv.Quote(alias)+" differs from "+strconv.Quote(was)+" only in case", nil)
	}
	_, err = tx.Exec("UPDATE registry_alias SET version = ? WHERE model_id = ? AND alias_fold = ?", number, m.id, fold(alias))
	return formatNumber(before), err
}

// dropAlias gives the version the alias pointed at.
func dropAlias(tx *db.Tx, m Model, alias string) (string, error) {
	var number int64
	err := tx.QueryRow("SELECT version FROM registry_alias WHERE model_id = ? AND alias = ?", m.id, alias).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noAlias(m.Name, alias)
	}
	if err != nil {
		return "", err
	}
	_, err = tx.Exec("DELETE FROM registry_alias WHERE model_id = ? AND alias = ?", m.id, alias)
	return formatNumber(number), err
}

func noAlias(model, alias string) error {
	return errs.NotFoundf("registry.alias", "model %q has no alias %.300q", model, alias).
		WithHint("set it with: modelyard model alias %s %.60s <version>", model, alias)
}

func aliasesOf(tx *db.Tx, m Model, number int64) ([]string, error) {
	rows, err := tx.Query("SELECT alias FROM registry_alias WHERE model_id = ? AND version = ? ORDER BY alias", m.id, number)
	return db.All(rows, err, db.Column[string])
}

func (s *Service) aliasTarget(ctx context.Context, m Model, alias string) (int64, error) {
	var number int64
	err := s.d.DB.QueryRow(ctx, "SELECT version FROM registry_alias WHERE model_id = ? AND alias = ?", m.id, alias).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noAlias(m.Name, alias)
	}
	return number, err
}

const versionColumns = `v.model_id, m.name, v.number, v.status, v.status_message, v.stage, v.run_id, v.logged_model_id, v.source, v.description,
	v.flavor, v.runtime, v.detail, v.metrics, v.size_bytes, v.files_count, v.digest, v.created_at, v.updated_at, v.created_by`

const versionTables = " FROM registry_version v JOIN registry_model m ON m.id = v.model_id WHERE v.deleted_at = 0 AND m.deleted_at = 0"

func scanVersion(r row) (Version, error) {
	var v Version
	var status, stage, det, metrics string
	var created, updated int64
	err := r.Scan(&v.modelID, &v.Model, &v.number, &status, &v.StatusMessage, &stage, &v.RunID, &v.LoggedModelID, &v.Source, &v.Description,
		&v.Flavor, &v.Runtime, &det, &metrics, &v.SizeBytes, &v.FilesCount, &v.Digest, &created, &updated, &v.CreatedBy)
	if err != nil {
		return v, err
	}
	var d detail
	if err := errors.Join(json.Unmarshal([]byte(det), &d), json.Unmarshal([]byte(metrics), &v.Metrics)); err != nil {
		return v, errs.E(errs.Internal, "registry.version", "the stored description of "+v.Model+"/"+formatNumber(v.number), err)
	}
	v.Version, v.Status, v.Stage = formatNumber(v.number), Status(status), Stage(stage)
	v.Flavors, v.Signature, v.Requirements = d.Flavors, d.Signature, d.Requirements
	v.PythonVersion, v.MLflowVersion, v.InputExample = d.PythonVersion, d.MLflowVersion, d.InputExample
	v.RunLink = d.RunLink
	v.CreatedAt, v.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
	v.Tags, v.Aliases, v.Gates = map[string]string{}, []string{}, []GateOutcome{}
	return v, nil
}

func (s *Service) oneVersion(ctx context.Context, m Model, number int64) (Version, error) {
	v, err := scanVersion(s.d.DB.QueryRow(ctx, "SELECT "+versionColumns+versionTables+" AND v.model_id = ? AND v.number = ?", m.id, number))
	if errors.Is(err, sql.ErrNoRows) {
		return Version{}, noVersion(m.Name, number)
	}
	if err != nil {
		return Version{}, err
	}
	vs := []Version{v}
	err = s.fillVersions(ctx, vs)
	return vs[0], err
}

func (s *Service) latest(ctx context.Context, m Model) (Version, error) {
	var number sql.NullInt64
	if err := s.d.DB.QueryRow(ctx, "SELECT max(number) FROM registry_version WHERE model_id = ? AND deleted_at = 0", m.id).Scan(&number); err != nil {
		return Version{}, err
	}
	if !number.Valid {
		return Version{}, errs.NotFoundf("registry.version", "model %q has no versions", m.Name)
	}
	return s.oneVersion(ctx, m, number.Int64)
}

func (s *Service) queryModels(ctx context.Context, q Query) ([]Model, string, error) {
	f := modelFields(s.d.DB.Engine())
	f.within(q.Workspace)
	limit := page.Limit(q.PageSize, 100, 1000)
	keys, err := f.order(q.OrderBy, []Order{{Field: FieldName}})
	if err != nil {
		return nil, "", err
	}
	return list(ctx, s.d.DB, f, q, limit, keys, "SELECT "+modelColumns, " FROM registry_model m WHERE m.deleted_at = 0", scanModel)
}

func (s *Service) queryVersions(ctx context.Context, q Query) ([]Version, string, error) {
	f := versionFields(s.d.DB.Engine())
	f.within(q.Workspace)
	limit := page.Limit(q.PageSize, 1000, 10_000)
	keys, err := f.order(q.OrderBy, []Order{{Field: FieldName}, {Field: FieldNumber, Desc: true}})
	if err != nil {
		return nil, "", err
	}
	return list(ctx, s.d.DB, f, q, limit, keys, "SELECT "+versionColumns, versionTables, scanVersion)
}

// list reads one page with keyset paging: the token holds the sort values of the last row.
func list[T any](ctx context.Context, d *db.DB, f fields, q Query, limit int, keys []sortKey, sel, from string, scan func(row) (T, error)) ([]T, string, error) {
	where, args, err := f.where(q.Where)
	if err != nil {
		return nil, "", err
	}
	if q.Workspace != "" {
		where, args = where+" AND m.workspace = ?", append(args, q.Workspace)
	}
	tree, some, err := f.tree(q.Filter)
	if err != nil {
		return nil, "", err
	}
	where, args = where+" AND "+tree, append(args, some...)
	after, more, err := afterToken(keys, q.PageToken)
	if err != nil {
		return nil, "", err
	}
	cols, order := make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		cols[i], order[i] = "CAST("+k.col+" AS TEXT)", k.col+k.direction()
	}
	rows, err := d.Query(ctx, sel+", "+strings.Join(cols, ", ")+from+where+after+" ORDER BY "+strings.Join(order, ", ")+" LIMIT ?",
		append(append(args, more...), limit+1)...)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = rows.Close() }()
	out, next := []T{}, ""
	var last []string
	for rows.Next() {
		values := make([]string, len(keys))
		t, err := scan(withExtra{rows, values})
		if err != nil {
			return nil, "", err
		}
		if len(out) == limit {
			next = page.Encode(cursor{By: keyNames(keys), Last: last})
			break
		}
		out, last = append(out, t), values
	}
	return out, next, rows.Err()
}

// withExtra scans the sort values behind a row's own columns.
type withExtra struct {
	rows   *sql.Rows
	values []string
}

func (w withExtra) Scan(dst ...any) error {
	for i := range w.values {
		dst = append(dst, &w.values[i])
	}
	return w.rows.Scan(dst...)
}

type sortKey struct {
	col    string
	number bool
	desc   bool
}

func (k sortKey) direction() string {
	if k.desc {
		return " DESC"
	}
	return ""
}

func keyNames(keys []sortKey) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.col + k.direction()
	}
	return out
}

type cursor struct {
	By   []string
	Last []string
}

// order gives the sort keys: what was asked for, then the tie-break.
func (f fields) order(by, tie []Order) ([]sortKey, error) {
	if len(by) > 10 {
		return nil, errs.Invalidf("registry.search", "there are %d sort keys: at most 10 are allowed", len(by))
	}
	var keys []sortKey
	for _, o := range append(slices.Clone(by), tie...) {
		col, number := f.number[o.Field]
		if !number {
			var ok bool
			if col, ok = f.text[o.Field]; !ok {
				return nil, errs.Invalidf("registry.search", "cannot sort by %.60q", o.Field).WithField("order_by", "expected one of %s", f.names())
			}
		}
		if !slices.ContainsFunc(keys, func(k sortKey) bool { return k.col == col }) {
			keys = append(keys, sortKey{col: col, number: number, desc: o.Desc})
		}
	}
	return keys, nil
}

// afterToken is the condition "behind the last row" for sort keys of mixed direction.
func afterToken(keys []sortKey, token string) (string, []any, error) {
	if token == "" {
		return "", nil, nil
	}
	bad := errs.Invalidf("registry.search", "page_token does not belong to this query").WithHint("start again without page_token")
	var c cursor
	if err := page.Decode(token, &c); err != nil {
		return "", nil, err
	}
	if !slices.Equal(c.By, keyNames(keys)) || len(c.Last) != len(keys) {
		return "", nil, bad
	}
	values := make([]any, len(keys))
	for i, k := range keys {
		values[i] = c.Last[i]
		if k.number {
			n, err := strconv.ParseInt(c.Last[i], 10, 64)
			if err != nil {
				return "", nil, bad
			}
			values[i] = n
		}
	}
	var terms []string
	var args []any
	for i, k := range keys {
		var parts []string
		for j := range i {
			parts = append(parts, keys[j].col+" = ?")
			args = append(args, values[j])
		}
		op := " > ?"
		if k.desc {
			op = " < ?"
		}
		args = append(args, values[i])
		terms = append(terms, "("+strings.Join(append(parts, k.col+op), " AND ")+")")
	}
	return " AND (" + strings.Join(terms, " OR ") + ")", args, nil
}
