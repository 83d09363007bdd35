package evalset

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/db"
)

// NamesInWorkspace lists the names of a workspace's datasets.
func (s *Service) NamesInWorkspace(ctx context.Context, workspace string) ([]string, error) {
	return s.st.names(ctx, workspace)
}

// MoveWorkspace puts all datasets of a workspace into another.
func (s *Service) MoveWorkspace(ctx context.Context, from, to string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return moveWorkspace(tx, from, to) })
}

// PurgeWorkspace removes all datasets of a workspace with their records.
func (s *Service) PurgeWorkspace(ctx context.Context, workspace string) error {
	ids, err := s.st.idsIn(ctx, workspace)
	for _, id := range ids {
		if err == nil {
			err = s.Delete(ctx, id)
		}
	}
	return err
}
