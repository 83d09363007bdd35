package app

import (
	"context"

	"github.com/modelyard/modelyard/internal/governance"
	"github.com/modelyard/modelyard/internal/registry"
)

// versionFacts gives lineage what the event of a new version does not carry.
func versionFacts(models *registry.Service) func(context.Context, string, string) (governance.VersionFacts, error) {
	return func(ctx context.Context, model, version string) (governance.VersionFacts, error) {
		v, err := models.GetVersion(ctx, model, version)
		if err != nil {
			return governance.VersionFacts{}, err
		}
		return governance.VersionFacts{Digest: v.Digest, Flavor: v.Flavor, Runtime: v.Runtime, Requirements: v.Requirements, PythonVersion: v.PythonVersion}, nil
	}
}
