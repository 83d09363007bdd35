package app

import (
	"context"

	"github.com/modelyard/modelyard/internal/evalset"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/tracking"
	"github.com/modelyard/modelyard/internal/webhook"
	"github.com/modelyard/modelyard/internal/workspace"
)

// holders are the domains with things in workspaces. Models come first: a served one refuses, and then nothing has been touched yet.
func (f *frame) holders(models *registry.Service, runs *tracking.Service, sets *evalset.Service, hooks *webhook.Service) []workspace.Holder {
	collect := func(purge func(context.Context, string, discard.Emit) error) func(context.Context, string) error {
		return func(ctx context.Context, name string) error {
			return purge(ctx, name, func(gone []blob.Content) error {
				_, err := f.files.Collect(ctx, gone)
				return err
			})
		}
	}
	return []workspace.Holder{
		{Noun: "registered_models", Names: models.NamesInWorkspace, Move: models.MoveWorkspace, Purge: collect(models.PurgeWorkspace)},
		{Noun: "experiments", Names: runs.NamesInWorkspace, Move: runs.MoveWorkspace, Purge: collect(runs.PurgeWorkspace)},
		{Noun: "evaluation_datasets", Names: sets.NamesInWorkspace, Move: sets.MoveWorkspace, Purge: sets.PurgeWorkspace},
		{Noun: "webhooks", Names: hooks.NamesInWorkspace, Move: hooks.MoveWorkspace, Purge: hooks.PurgeWorkspace},
	}
}
