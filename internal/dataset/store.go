package dataset

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/table"
)

// ensure makes the dataset unless it is there.
func (s *Service) ensure(tx *db.Tx, name, description string) error {
	var taken string
	var deleted int64
	err := tx.QueryRow("SELECT name, deleted_at FROM dataset WHERE name_fold = ?", fold(name)).Scan(&taken, &deleted)
	switch {
	case err == nil && deleted > 0:
		return errs.E(errs.Conflict, "dataset.create", "the dataset "+strconv.Quote(taken)+" is in the trash", nil).
			WithHint("restore it (modelyard trash restore dataset:%s), purge it, or choose another name", taken)
	case err == nil && taken == name:
		return nil
	case err == nil:
		return errs.E(errs.Conflict, "dataset.create", "the name "+strconv.Quote(name)+" differs from the dataset "+strconv.Quote(taken)+" only in case", nil).
			WithHint("use that dataset or choose another name")
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	now := clock.Micros(s.d.Clock.Now())
	_, err = tx.Exec(`INSERT INTO dataset (name, name_fold, description, contract, contract_by, contract_at, last_version, created_at, updated_at)
		VALUES (?, ?, ?, '', '', 0, 0, ?, ?)`, name, fold(name), description, now, now)
	return err
}

func (s *Service) putContract(tx *db.Tx, name, text, by string) error {
	now := clock.Micros(s.d.Clock.Now())
	_, err := tx.Exec("UPDATE dataset SET contract = ?, contract_by = ?, contract_at = ?, updated_at = ? WHERE name = ?", text, by, now, now, name)
	return err
}

// nextVersion gives the next number and the contract in force; found is true when the digest is there already.
func nextVersion(tx *db.Tx, name, digest string) (number int64, contract string, found bool, err error) {
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM dataset_version WHERE dataset = ? AND digest = ? AND deleted_at = 0", name, digest).Scan(&n); err != nil || n > 0 {
		return 0, "", n > 0, err
	}
	err = tx.QueryRow("UPDATE dataset SET last_version = last_version + 1 WHERE name = ? RETURNING last_version, contract", name).Scan(&number, &contract)
	return number, contract, false, err
}

func (s *Service) insertVersion(tx *db.Tx, v Version, number int64, schema, profile, contract string) error {
	now := clock.Micros(s.d.Clock.Now())
	_, err := tx.Exec(`INSERT INTO dataset_version (dataset, number, digest, format, size_bytes, row_count, schema_json, profile_json, contract_json,
		source, target, time_column, description, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Dataset, number, v.Digest, string(v.Format), v.SizeBytes, v.Rows, schema, profile, contract,
		v.Source, v.Target, v.TimeColumn, v.Description, now, v.CreatedBy)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE dataset SET updated_at = ? WHERE name = ?", now, v.Dataset)
	return err
}

const datasetQuery = `SELECT d.name, d.description, d.contract, d.created_at, d.updated_at, coalesce(v.number, 0), coalesce(v.row_count, 0), coalesce(v.size_bytes, 0),
	(SELECT count(*) FROM dataset_version c WHERE c.dataset = d.name AND c.deleted_at = 0)
	FROM dataset d LEFT JOIN dataset_version v ON v.dataset = d.name
	AND v.number = (SELECT max(l.number) FROM dataset_version l WHERE l.dataset = d.name AND l.deleted_at = 0) WHERE d.deleted_at = 0 AND `

func (s *Service) queryDatasets(ctx context.Context, tail string, args ...any) ([]Dataset, error) {
	rows, err := s.d.DB.Query(ctx, datasetQuery+tail, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Dataset{}
	for rows.Next() {
		var d Dataset
		var created, updated int64
		if err := rows.Scan(&d.Name, &d.Description, &d.Contract, &created, &updated, &d.LatestVersion, &d.Rows, &d.SizeBytes, &d.VersionsCount); err != nil {
			return nil, err
		}
		d.CreatedAt, d.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
		out = append(out, d)
	}
	return out, rows.Err()
}

// Get finds a dataset by name.
func (s *Service) Get(ctx context.Context, name string) (Dataset, error) {
	ds, err := s.queryDatasets(ctx, "d.name = ?", name)
	if err != nil {
		return Dataset{}, err
	}
	if len(ds) == 0 {
		return Dataset{}, errs.NotFoundf("dataset.get", "there is no dataset %.300q", name).WithHint("list the datasets with: modelyard dataset list")
	}
	return ds[0], nil
}

// living are the versions (v) that are not in the trash, themselves or with their dataset.
const living = "v.deleted_at = 0 AND NOT EXISTS (SELECT 1 FROM dataset d WHERE d.name = v.dataset AND d.deleted_at > 0)"

const versionColumns = `dataset, number, digest, format, size_bytes, row_count, schema_json, contract_json, source, target, time_column, description, created_at, created_by`

func (s *Service) queryVersions(ctx context.Context, tail string, args ...any) ([]Version, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT "+versionColumns+" FROM dataset_version v WHERE "+living+" AND "+tail, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Version{}
	for rows.Next() {
		v, err := scanVersion(rows)
		if err != nil {
			return nil, err
		}
		v.Schema = nil
		out = append(out, v)
	}
	return out, rows.Err()
}

func scanVersion(r interface{ Scan(...any) error }) (Version, error) {
	var v Version
	var format, schema, contract string
	var created int64
	err := r.Scan(&v.Dataset, &v.Version, &v.Digest, &format, &v.SizeBytes, &v.Rows, &schema, &contract, &v.Source, &v.Target, &v.TimeColumn, &v.Description, &created, &v.CreatedBy)
	if err != nil {
		return v, err
	}
	if err := errors.Join(json.Unmarshal([]byte(schema), &v.Schema), json.Unmarshal([]byte(contract), &v.Contract)); err != nil {
		return v, errs.E(errs.Internal, "dataset.version", "the stored description of "+v.Ref(), err)
	}
	v.Format, v.CreatedAt, v.DataPath = Format(format), clock.FromMicros(created), dataURL(v.Dataset, strconv.FormatInt(v.Version, 10))
	v.Columns = make([]Column, 0, len(v.Schema.Columns))
	for _, f := range v.Schema.Columns {
		v.Columns = append(v.Columns, Column{Name: f.Name, Type: f.Type, Nullable: f.Nullable})
	}
	return v, nil
}

// GetVersion finds one version, with its schema; 0 is the latest.
func (s *Service) GetVersion(ctx context.Context, name string, version int64) (Version, error) {
	q, args := "SELECT "+versionColumns+" FROM dataset_version v WHERE dataset = ? AND number = ? AND "+living, []any{name, version}
	if version == 0 {
		q, args = "SELECT "+versionColumns+" FROM dataset_version v WHERE dataset = ? AND "+living+" ORDER BY number DESC LIMIT 1", []any{name}
	}
	v, err := scanVersion(s.d.DB.QueryRow(ctx, q, args...))
	if !errors.Is(err, sql.ErrNoRows) {
		return v, err
	}
	if _, err := s.Get(ctx, name); err != nil {
		return Version{}, err
	}
	if version == 0 {
		return Version{}, errs.NotFoundf("dataset.version", "dataset %q has no versions yet", name)
	}
	return Version{}, errs.NotFoundf("dataset.version", "dataset %q has no version %d", name, version)
}

func (s *Service) byDigest(ctx context.Context, name string, digest blob.Digest) (Version, error) {
	v, err := scanVersion(s.d.DB.QueryRow(ctx, "SELECT "+versionColumns+" FROM dataset_version v WHERE dataset = ? AND digest = ? AND "+living, name, string(digest)))
	if errors.Is(err, sql.ErrNoRows) {
		return Version{}, errs.NotFoundf("dataset.version", "dataset %q has no such data", name)
	}
	return v, err
}

// Profile is the whole profile of a version, with the sketches that monitoring compares with; 0 is the latest.
func (s *Service) Profile(ctx context.Context, name string, version int64) (*table.Profile, error) {
	v, err := s.GetVersion(ctx, name, version)
	if err != nil {
		return nil, err
	}
	var text string
	if err := s.d.DB.QueryRow(ctx, "SELECT profile_json FROM dataset_version WHERE dataset = ? AND number = ?", v.Dataset, v.Version).Scan(&text); err != nil {
		return nil, err
	}
	p := &table.Profile{}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, errs.E(errs.Internal, "dataset.profile", "the stored profile of "+v.Ref(), err)
	}
	return p, nil
}
