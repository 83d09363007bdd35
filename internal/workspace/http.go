package workspace

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// Routes registers the native API.
func (s *Service) Routes(r *httpx.Router) {
	const all, one = "/api/v1/workspaces", "/api/v1/workspaces/{name}"
	httpx.Get(r, all, "workspace:read", "List workspaces", s.listHTTP)
	httpx.Create(r, all, "workspace:write", "Make a workspace", s.createHTTP)
	httpx.Get(r, one, "workspace:read", "One workspace", s.getHTTP)
	httpx.Patch(r, one, "workspace:write", "Change a workspace", s.updateHTTP)
	httpx.Delete(r, one, "workspace:write", "Delete a workspace", s.deleteHTTP)
}

type workspaceList struct {
	Items []Workspace `json:"items"`
}

func (s *Service) listHTTP(ctx context.Context, _ *struct{}) (*workspaceList, error) {
	all, err := s.List(ctx)
	return &workspaceList{all}, err
}

type createIn struct {
	Body struct {
		Name string `json:"name" doc:"2 to 63 lower-case letters, digits and inner hyphens"`
		Change
	}
}

func (s *Service) createHTTP(ctx context.Context, in *createIn) (*Workspace, error) {
	w, err := s.Create(ctx, in.Body.Name, in.Body.Change)
	return &w, err
}

type byName struct {
	Name string `path:"name" maxLength:"100"`
}

func (s *Service) getHTTP(ctx context.Context, in *byName) (*Workspace, error) {
	w, err := s.Get(ctx, in.Name)
	return &w, err
}

type updateIn struct {
	Name string `path:"name" maxLength:"100"`
	Body Change
}

func (s *Service) updateHTTP(ctx context.Context, in *updateIn) (*Workspace, error) {
	w, err := s.Update(ctx, in.Name, in.Body)
	return &w, err
}

type deleteIn struct {
	Name string `path:"name" maxLength:"100"`
	Mode Mode   `query:"mode" enum:"RESTRICT,SET_DEFAULT,CASCADE" default:"RESTRICT" doc:"what becomes of what is in it: it must be empty, it goes to the default workspace, it goes for good"`
}

func (s *Service) deleteHTTP(ctx context.Context, in *deleteIn) (*httpx.None, error) {
	return nil, s.Delete(ctx, in.Name, in.Mode)
}
