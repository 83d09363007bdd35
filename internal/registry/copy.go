package registry

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// CopyVersion registers a version once more, as the next version of another model, which is made when it is not there. The copy has the files
// (shared, not stored twice), the description, the tags, the run and the logged model of the original, and its source is
// models:/<name>/<version>, so its lineage leads there. It has no alias and no stage: what an alias means is decided in each model for itself.
func (s *Service) CopyVersion(ctx context.Context, model, version, to string) (Version, error) {
	v, err := s.GetVersion(ctx, model, version)
	if err != nil {
		return Version{}, err
	}
	if to, err = CheckName(to); err != nil {
		return Version{}, err
	}
	if v.Status != Ready {
		return Version{}, errs.E(errs.Precondition, "registry.copy", "version "+v.Version+" of "+v.Model+" is not ready", nil).WithHint("copy it when it is")
	}
	if _, err := s.findModel(ctx, to); errs.Is(err, errs.NotFound) {
		_, err = s.CreateModel(ctx, NewModel{Name: to})
		if err != nil && !errs.Is(err, errs.Conflict) {
			return Version{}, err
		}
	} else if err != nil {
		return Version{}, err
	}
	return s.CreateVersion(ctx, NewVersion{Model: to, Source: v.URI(), RunID: v.RunID, LoggedModelID: v.LoggedModelID, RunLink: v.RunLink, FilesRoot: v.FilesRoot(),
		AllowNoFiles: v.FilesCount == 0, Description: v.Description, Tags: v.Tags, Metrics: v.Metrics})
}
