package registry

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// importWrite is the action of bringing in what another registry holds, under its own numbers and times.
const importWrite = httpx.Action("import:write")

func (h handlers) importRoutes(r *httpx.Router) {
	httpx.Post(r, "/api/v1/import/models", importWrite, "Import a registered model, and its aliases once its versions are here", h.importModel)
	httpx.Post(r, "/api/v1/import/models/{name}/versions", importWrite, "Import a version under its own number", h.importVersion)
	httpx.Create(r, "/api/v1/models/{name}/versions/{version}/copy", "model:write", "Register a version as the next version of another model", h.copyVersion)
}

type importOutcome struct {
	Outcome Outcome `json:"outcome" enum:"created,updated,unchanged"`
	Files   int64   `json:"files,omitempty" doc:"files of the version"`
}

func (h handlers) importModel(ctx context.Context, in *struct{ Body ImportedModel }) (*importOutcome, error) {
	_, out, err := h.s.ImportModel(ctx, in.Body)
	return &importOutcome{Outcome: out}, err
}

type importVersionInput struct {
	ModelPath
	Body ImportedVersion
}

func (h handlers) importVersion(ctx context.Context, in *importVersionInput) (*importOutcome, error) {
	in.Body.Model = in.Name
	v, out, err := h.s.ImportVersion(ctx, in.Body)
	return &importOutcome{out, v.FilesCount}, err
}

type copyVersionInput struct {
	VersionPath
	Body struct {
		To string `json:"to" doc:"the model that gets the copy; made when it is not there"`
	}
}

func (h handlers) copyVersion(ctx context.Context, in *copyVersionInput) (*Version, error) {
	v, err := h.s.CopyVersion(ctx, in.Name, in.Version, in.Body.To)
	return &v, err
}
