package dataset

import (
	"context"
	"database/sql"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// mark deletes a version, or the dataset when version is 0.
func (s *Service) mark(tx *db.Tx, name string, version int64) error {
	now := clock.Micros(s.d.Clock.Now())
	var n int64
	var err error
	if version == 0 {
		n, err = tx.Exec("UPDATE dataset SET deleted_at = ? WHERE name = ? AND deleted_at = 0", now, name)
	} else {
		n, err = tx.Exec("UPDATE dataset_version SET deleted_at = ? WHERE dataset = ? AND number = ? AND deleted_at = 0", now, name, version)
	}
	if err == nil && n == 0 {
		return errs.NotFoundf("dataset.delete", "there is no dataset %.300q", name).WithHint("list the datasets with: modelyard dataset list")
	}
	return err
}

func (s *Service) countDeleted(ctx context.Context) (int64, error) {
	return discard.Count(ctx, s.d.DB, "SELECT count(*) FROM dataset WHERE deleted_at > 0", discard.Unshared)
}

func (s *Service) countDeletedVersions(ctx context.Context) (int64, error) {
	return discard.Count(ctx, s.d.DB, "SELECT count(*) FROM dataset_version v JOIN dataset d ON d.name = v.dataset WHERE v.deleted_at > 0 AND d.deleted_at = 0", discard.Unshared)
}

func (s *Service) deletedDatasets(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	return discard.Select(ctx, s.d.DB, "dataset", `SELECT d.name, d.name, '', (SELECT count(*) FROM dataset_version v WHERE v.dataset = d.name), d.deleted_at, d.name, `+discard.Unshared+`
		FROM dataset d WHERE d.deleted_at > 0`, discard.Columns{At: "d.deleted_at", ID: "d.name", Workspace: discard.Unshared}, q)
}

func (s *Service) deletedVersions(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	const id = "(v.dataset || '/' || CAST(v.number AS TEXT))"
	return discard.Select(ctx, s.d.DB, "dataset_version", "SELECT "+id+`, v.dataset || '@' || CAST(v.number AS TEXT), 'dataset ' || v.dataset, 0, v.deleted_at, `+id+`, `+discard.Unshared+`
		FROM dataset_version v JOIN dataset d ON d.name = v.dataset WHERE v.deleted_at > 0 AND d.deleted_at = 0`, discard.Columns{At: "v.deleted_at", ID: id, Workspace: discard.Unshared}, q)
}

func trashedVersion(tx *db.Tx, name string, version int64) error {
	var n int
	err := tx.QueryRow("SELECT count(*) FROM dataset_version WHERE dataset = ? AND number = ? AND deleted_at > 0", name, version).Scan(&n)
	if err == nil && n == 0 {
		return notInTrash("dataset version", trashID(name, version))
	}
	return err
}

// trashedDataset gives the last version number of a deleted dataset.
func trashedDataset(tx *db.Tx, name string) (last int64, err error) {
	err = tx.QueryRow("SELECT last_version FROM dataset WHERE name = ? AND deleted_at > 0", name).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, notInTrash("dataset", name)
	}
	return last, err
}

func undeleteVersion(tx *db.Tx, name string, version int64) error {
	var same int64
	err := tx.QueryRow(`SELECT v.number FROM dataset_version v JOIN dataset_version o ON o.dataset = v.dataset AND o.digest = v.digest
		WHERE o.dataset = ? AND o.number = ? AND v.deleted_at = 0`, name, version).Scan(&same)
	if err == nil {
		return errs.E(errs.Conflict, "dataset.restore", "the same data came again as "+trashID(name, same), nil).WithHint("use that version")
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = tx.Exec("UPDATE dataset_version SET deleted_at = 0 WHERE dataset = ? AND number = ?", name, version)
	return err
}

func undelete(tx *db.Tx, name string) error {
	_, err := tx.Exec("UPDATE dataset SET deleted_at = 0 WHERE name = ?", name)
	return err
}

func removeVersion(tx *db.Tx, name string, version int64) error {
	_, err := tx.Exec("DELETE FROM dataset_version WHERE dataset = ? AND number = ?", name, version)
	return err
}

func remove(tx *db.Tx, name string) error {
	if _, err := tx.Exec("DELETE FROM dataset_version WHERE dataset = ?", name); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM dataset WHERE name = ?", name)
	return err
}
