package mlflow

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/space"
	"github.com/modelyard/modelyard/internal/workspace"
)

const (
	workspaceRead  httpx.Action = "workspace:read"
	workspaceWrite httpx.Action = "workspace:write"

	workspaceHeader = "X-MLFLOW-WORKSPACE"
)

func (e *Edge) workspaceRoutes(at registrar) {
	const all, one = "/3.0/mlflow/workspaces", "/3.0/mlflow/workspaces/{workspace_name}"
	at("GET", all, workspaceRead, call(e, e.listWorkspaces))
	at("POST", all, workspaceWrite, e.createWorkspace)
	at("GET", one, workspaceRead, call(e, e.getWorkspace))
	at("PATCH", one, workspaceWrite, call(e, e.updateWorkspace))
	at("DELETE", one, workspaceWrite, e.deleteWorkspace)
}

// within puts the workspace that the client names, or the default one, into the request. What a signature allows is in no workspace:
// whoever has the address may use it.
func (e *Edge) within(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		p := req.URL.Path
		if strings.HasSuffix(p, "/server-info") || strings.Contains(p, proxyBase+"/signed/") || strings.Contains(p, proxyBase+"/mpu/part/") {
			h(w, req)
			return
		}
		name := cmp.Or(strings.TrimSpace(req.Header.Get(workspaceHeader)), space.Default)
		if name != space.Default {
			if err := e.d.Workspaces.Has(req.Context(), name); err != nil {
				e.fail(w, req, err)
				return
			}
		}
		h(w, req.WithContext(space.With(req.Context(), name)))
	}
}

// full is the name that a registered model of the request's workspace has all over the server. A name that says a workspace itself is no
// name of MLflow's; what is made of it is found nowhere and cannot be registered.
func full(ctx context.Context, name string) string {
	if strings.Contains(name, ":") {
		return ":" + name
	}
	return space.Full(space.Of(ctx), name)
}

// fullURI is the address of a model version with its full name; other addresses stay as they are.
func fullURI(ctx context.Context, uri string) string {
	rest, ok := strings.CutPrefix(uri, "models:/")
	if !ok || strings.HasPrefix(rest, "m-") && !strings.ContainsAny(rest, "/@") {
		return uri
	}
	end := strings.IndexAny(rest, "/@")
	if end < 0 {
		return uri
	}
	return "models:/" + full(ctx, rest[:end]) + rest[end:]
}

// workspaceOut is MLflow's Workspace.
type workspaceOut struct {
	Name         string  `json:"name"`
	Description  *string `json:"description,omitempty"`
	ArtifactRoot *string `json:"default_artifact_root,omitempty"`
}

func fromWorkspace(w workspace.Workspace) workspaceOut {
	out := workspaceOut{Name: w.Name}
	if w.Description != "" {
		out.Description = &w.Description
	}
	if w.ArtifactRoot != "" {
		out.ArtifactRoot = &w.ArtifactRoot
	}
	return out
}

type workspaceReply struct {
	Workspace workspaceOut `json:"workspace"`
}

func (e *Edge) listWorkspaces(ctx context.Context, _ *none) (any, error) {
	all, err := e.d.Workspaces.List(ctx)
	out := struct {
		Workspaces []workspaceOut `json:"workspaces,omitempty"`
	}{}
	for _, w := range all {
		out.Workspaces = append(out.Workspaces, fromWorkspace(w))
	}
	return out, err
}

// workspaceIn is what a client says of a workspace. Traces are not archived here, so there is nothing that its settings could mean.
type workspaceIn struct {
	Path         string  `json:"-" path:"workspace_name"`
	Name         string  `json:"name"`
	Description  *string `json:"description"`
	ArtifactRoot *string `json:"default_artifact_root"`
	Archive      *struct {
		Location  string `json:"location"`
		Retention string `json:"retention"`
	} `json:"trace_archival_config"`
}

func (in *workspaceIn) change() (workspace.Change, error) {
	if a := in.Archive; a != nil && (a.Location != "" || a.Retention != "") {
		return workspace.Change{}, &codedError{"FEATURE_DISABLED", http.StatusNotImplemented, "trace_archival_config cannot be set: this server does not archive traces (server-info says trace_archival_enabled false)"}
	}
	return workspace.Change{Description: in.Description, ArtifactRoot: in.ArtifactRoot}, nil
}

func (e *Edge) createWorkspace(w http.ResponseWriter, req *http.Request) {
	in := new(workspaceIn)
	err := decode(req, maxBody, in)
	var made workspace.Workspace
	if err == nil && in.Name == "" {
		err = missing("name")
	}
	if err == nil {
		var ch workspace.Change
		if ch, err = in.change(); err == nil {
			made, err = e.d.Workspaces.Create(req.Context(), in.Name, ch)
		}
	}
	if err != nil {
		e.fail(w, req, err)
		return
	}
	httpx.WriteJSON(w, http.StatusCreated, workspaceReply{fromWorkspace(made)})
}

func (e *Edge) getWorkspace(ctx context.Context, in *workspaceIn) (workspaceReply, error) {
	w, err := e.d.Workspaces.Get(ctx, in.Path)
	return workspaceReply{fromWorkspace(w)}, err
}

func (e *Edge) updateWorkspace(ctx context.Context, in *workspaceIn) (workspaceReply, error) {
	ch, err := in.change()
	if err != nil {
		return workspaceReply{}, err
	}
	w, err := e.d.Workspaces.Update(ctx, in.Path, ch)
	return workspaceReply{fromWorkspace(w)}, err
}

func (e *Edge) deleteWorkspace(w http.ResponseWriter, req *http.Request) {
	q, err := query(req)
	if err == nil {
		mode := cmp.Or(workspace.Mode(q.Get("mode")), workspace.Restrict)
		err = e.d.Workspaces.Delete(req.Context(), req.PathValue("workspace_name"), mode)
	}
	if err != nil {
		e.fail(w, req, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
