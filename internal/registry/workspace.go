package registry

import (
	"context"
	"database/sql"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// hasWorkspace refuses names in workspaces that are not there. Kinds: NotFound.
func (s *Service) hasWorkspace(ctx context.Context, name string) error {
	workspace, _ := space.Split(name)
	if s.d.Workspace == nil || workspace == space.Default {
		return nil
	}
	return s.d.Workspace(ctx, workspace)
}

// hasHome refuses to restore a model into a workspace that was deleted. Kinds: Precondition.
func (s *Service) hasHome(ctx context.Context, id string) error {
	var name string
	err := s.d.DB.QueryRow(ctx, "SELECT name FROM registry_model WHERE id = ?", id).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return notInTrash("model", id)
	}
	if err == nil {
		err = s.hasWorkspace(ctx, name)
	}
	if errs.Is(err, errs.NotFound) {
		workspace, _ := space.Split(name)
		return errs.E(errs.Precondition, "registry.restore", "the workspace of the deleted model is not there any more", err).
			WithHint("make it again with: modelyard workspace create %s", workspace)
	}
	return err
}

// NamesInWorkspace lists the names, within it, of a workspace's models that are not deleted.
func (s *Service) NamesInWorkspace(ctx context.Context, workspace string) ([]string, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT bare FROM registry_model WHERE workspace = ? AND deleted_at = 0 ORDER BY bare", workspace)
	return db.All(rows, err, db.Column[string])
}

// MoveWorkspace renames all models of a workspace into another, deleted ones too. Kinds: Conflict when a name is taken there, Precondition
// when an endpoint serves one of them.
func (s *Service) MoveWorkspace(ctx context.Context, from, to string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		all, err := inWorkspace(tx, from)
		if err != nil {
			return err
		}
		for _, m := range all {
			name := space.Full(to, space.Bare(m.Name))
			if m.deleted {
				err = renameModel(tx, m.Model, name)
				if errs.Is(err, errs.Conflict) { // of a deleted one; its name is free again, for whoever has it there
					err = nil
				}
			} else {
				err = s.rename(ctx, tx, m.Model, name)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// PurgeWorkspace removes all models of a workspace for good, with their versions and files. Kinds: Precondition when an endpoint serves one.
func (s *Service) PurgeWorkspace(ctx context.Context, workspace string, emit discard.Emit) error {
	var all []trashable
	err := s.d.DB.Write(ctx, func(tx *db.Tx) (err error) {
		if all, err = inWorkspace(tx, workspace); err != nil {
			return err
		}
		for _, m := range all {
			if m.deleted {
				continue
			}
			if err := refuseServed(tx, m.Name, 0, "deleted"); err != nil {
				return err
			}
			if err := s.deleteModel(tx, m.Model); err != nil {
				return err
			}
			if err := s.d.Events.Append(ctx, tx, "registry.model.deleted", events.Resource{Kind: "model", ID: m.Name}, map[string]any{"model": m.Name}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := s.purgeModel(ctx, m.id, emit); err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
	}
	return nil
}

// trashable is a model that may be deleted.
type trashable struct {
	Model
	deleted bool
}
