package dataset

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// Delete moves a dataset with its versions to the trash. Its name stays taken until it is purged. Kinds: NotFound, Precondition (in use).
func (s *Service) Delete(ctx context.Context, name string) error {
	if err := s.refuseUsed(ctx, name, 0); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.mark(tx, name, 0); err != nil {
			return err
		}
		return s.tell(ctx, tx, "dataset.dataset.deleted", name, 0, nil)
	})
}

// DeleteVersion moves a version to the trash. Kinds: NotFound, Precondition (in use).
func (s *Service) DeleteVersion(ctx context.Context, name string, version int64) error {
	if _, err := s.GetVersion(ctx, name, version); err != nil {
		return err
	}
	if err := s.refuseUsed(ctx, name, version); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.mark(tx, name, version); err != nil {
			return err
		}
		return s.tell(ctx, tx, "dataset.version.deleted", name, version, nil)
	})
}

func (s *Service) refuseUsed(ctx context.Context, name string, version int64) error {
	if s.d.Users == nil {
		return nil
	}
	users, err := s.d.Users(ctx, name, version)
	if err != nil || len(users) == 0 {
		return err
	}
	return errs.E(errs.Precondition, "dataset.delete", "the data is in use by "+strings.Join(users[:min(len(users), 5)], ", "), nil).
		WithHint("delete what uses it first")
}

// Trash is what datasets offer to the trash. A deleted dataset holds its versions, which are not listed beside it.
func (s *Service) Trash() []discard.Source {
	return []discard.Source{
		{Kind: "dataset_version", Noun: "dataset_version", Event: "dataset.version", Count: s.countDeletedVersions, List: s.deletedVersions, Contents: s.versionContents,
			Restore: s.restoreVersion, Purge: s.purgeVersion},
		{Kind: "dataset", Noun: "dataset", Event: "dataset.dataset", Count: s.countDeleted, List: s.deletedDatasets, Contents: s.contents, Restore: s.restore, Purge: s.purge},
	}
}

func trashID(name string, version int64) string {
	return name + "/" + strconv.FormatInt(version, 10)
}

func parseTrashID(id string) (string, int64, error) {
	name, n, _ := strings.Cut(id, "/")
	version, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return "", 0, notInTrash("dataset version", id)
	}
	return name, version, nil
}

func notInTrash(what, id string) error {
	return errs.NotFoundf("dataset.trash", "there is no %s %.100q in the trash", what, id).WithHint("list it with: modelyard trash list")
}

func (s *Service) versionContents(ctx context.Context, id string, emit discard.Emit) error {
	name, version, err := parseTrashID(id)
	if err != nil {
		return err
	}
	return discard.EmitRoot(ctx, s.d.Files, Root(name, version), emit)
}

func (s *Service) contents(ctx context.Context, name string, emit discard.Emit) error {
	var last int64
	if err := s.d.DB.QueryRow(ctx, "SELECT last_version FROM dataset WHERE name = ?", name).Scan(&last); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	for v := int64(1); v <= last; v++ {
		if err := discard.EmitRoot(ctx, s.d.Files, Root(name, v), emit); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) restoreVersion(ctx context.Context, id string) error {
	name, version, err := parseTrashID(id)
	if err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := trashedVersion(tx, name, version); err != nil {
			return err
		}
		if err := undeleteVersion(tx, name, version); err != nil {
			return err
		}
		return s.tell(ctx, tx, "dataset.version.restored", name, version, nil)
	})
}

func (s *Service) restore(ctx context.Context, name string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := trashedDataset(tx, name); err != nil {
			return err
		}
		if err := undelete(tx, name); err != nil {
			return err
		}
		return s.tell(ctx, tx, "dataset.dataset.restored", name, 0, nil)
	})
}

func (s *Service) purgeVersion(ctx context.Context, id string, emit discard.Emit) error {
	name, version, err := parseTrashID(id)
	if err != nil {
		return err
	}
	var gone []blob.Content
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := trashedVersion(tx, name, version); err != nil {
			return err
		}
		var err error
		if gone, err = s.d.Files.Drop(tx, Root(name, version)); err != nil {
			return err
		}
		if err := removeVersion(tx, name, version); err != nil {
			return err
		}
		return s.tell(ctx, tx, "dataset.version.purged", name, version, gone)
	})
	if err != nil {
		return err
	}
	return emit(gone)
}

func (s *Service) purge(ctx context.Context, name string, emit discard.Emit) error {
	var gone []blob.Content
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		gone = nil
		last, err := trashedDataset(tx, name)
		if err != nil {
			return err
		}
		for v := int64(1); v <= last; v++ {
			c, err := s.d.Files.Drop(tx, Root(name, v))
			if err != nil {
				return err
			}
			gone = append(gone, c...)
		}
		if err := remove(tx, name); err != nil {
			return err
		}
		return s.tell(ctx, tx, "dataset.dataset.purged", name, 0, gone)
	})
	if err != nil {
		return err
	}
	return emit(gone)
}

func (s *Service) tell(ctx context.Context, tx *db.Tx, typ, name string, version int64, gone []blob.Content) error {
	data := map[string]any{"dataset": name}
	r := events.Resource{Kind: "dataset", ID: name}
	if version > 0 {
		data["version"], r = version, events.Resource{Kind: "dataset_version", ID: fmt.Sprintf("%s/%d", name, version)}
	}
	if gone != nil {
		var bytes int64
		for _, c := range gone {
			bytes += c.Size
		}
		data["files"], data["bytes"] = len(gone), bytes
	}
	return s.d.Events.Append(ctx, tx, typ, r, data)
}
