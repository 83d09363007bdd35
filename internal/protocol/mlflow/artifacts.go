package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
	"github.com/modelyard/modelyard/internal/trace"
	"github.com/modelyard/modelyard/internal/tracking"
)

func (e *Edge) artifactRoutes(at registrar) {
	const p = "/2.0/mlflow-artifacts/artifacts"
	at("GET", p, runRead, call(e, e.listProxied))
	at("GET", p+"/{path...}", runRead, e.download)
	at("PUT", p+"/{path...}", runWrite, e.upload)
	at("DELETE", p+"/{path...}", runWrite, e.deleteFiles)
	at("GET", "/2.0/mlflow/artifacts/list", runRead, call(e, e.listRunFiles))
	at("GET", "/2.0/mlflow/get-artifact", runRead, e.getArtifact)
	at("POST", "/2.0/mlflow/upload-artifact", runWrite, e.uploadToRun)
	at("GET", "/2.0/mlflow/logged-models/{model_id}/artifacts/files", runRead, e.getModelFile)
}

// versionsFolder is where the files of model versions lie for clients: versions/<model>/<number>/<path>, to be read only. Experiments
// have numbers, so no experiment is called that.
const versionsFolder = "versions"

// place is where a path of the proxy lies: a blob root and a path below it.
type place struct {
	root, path string
	readOnly   bool
	trace      *trace.Trace // whose files these are
}

// locate finds the place that a client means by a path: <experiment>/<run>/artifacts/<path> or
// <experiment>/models/<model>/artifacts/<path>. The run or model must exist in that experiment: clients name no storage location, only
// things that are here, below the experiment they are in or were in. The path has been decoded once, by the router.
func (e *Edge) locate(ctx context.Context, p string) (place, error) {
	if strings.Contains(p, "//") { // an absolute path inside ours
		return place{}, errs.Invalidf("mlflow.artifact", "the path is not allowed: it has an empty part").WithField("path", "expected a relative path such as model/MLmodel")
	}
	p, err := blob.CleanPath(p)
	if err != nil {
		return place{}, err
	}
	if ctx, p, err = ownPart(ctx, p); err != nil {
		return place{}, err
	}
	if rest, ok := strings.CutPrefix(p, versionsFolder+"/"); ok {
		name, rest, _ := strings.Cut(rest, "/")
		number, rest, _ := strings.Cut(rest, "/")
		v, err := e.d.Registry.GetVersion(ctx, full(ctx, name), number)
		return place{root: v.FilesRoot(), path: rest, readOnly: true}, err
	}
	part := strings.SplitN(p, "/", 5)
	nothing := errs.NotFoundf("mlflow.artifact", "no artifacts at %.300q", p).
		WithHint("expected <experiment>/<run>/artifacts/... or <experiment>/models/<model>/artifacts/...")
	switch {
	case len(part) >= 3 && part[1] != "models" && part[2] == "artifacts":
		exp, err := e.d.Tracking.HasRun(ctx, part[1])
		if err != nil {
			return place{}, err
		}
		if here, err := e.d.Tracking.InPlace(ctx, part[1], exp, part[0]); err != nil || !here {
			return place{}, cmp.Or(err, error(nothing))
		}
		return place{root: tracking.RunRoot(part[1]), path: strings.Join(part[3:], "/")}, nil
	case len(part) >= 4 && part[1] == "traces" && part[3] == "artifacts":
		return e.tracePlace(ctx, part[0], part[2], strings.Join(part[4:], "/"))
	case len(part) >= 4 && part[1] == "models" && part[3] == "artifacts":
		exp, err := e.d.Tracking.HasModel(ctx, part[2])
		if err != nil {
			return place{}, err
		}
		if here, err := e.d.Tracking.InPlace(ctx, part[2], exp, part[0]); err != nil || !here {
			return place{}, cmp.Or(err, error(nothing))
		}
		return place{root: tracking.ModelRoot(part[2]), path: strings.Join(part[4:], "/")}, nil
	}
	return place{}, nothing
}

// ownPart takes workspaces/<name>/ off a path, with which MLflow lays out the artifacts of workspaces. Another workspace than the
// request's is refused; a request without one gets it from the path.
func ownPart(ctx context.Context, p string) (context.Context, string, error) {
	rest, ok := strings.CutPrefix(p, "workspaces/")
	if !ok {
		return ctx, p, nil
	}
	name, rest, _ := strings.Cut(rest, "/")
	if !space.Sees(ctx, name) {
		return ctx, "", errs.Invalidf("mlflow.artifact", "Artifact path targets workspace '%.80s' but the workspace specified in the request is '%s'.", name, space.Of(ctx))
	}
	return space.With(ctx, name), rest, nil
}

type fileInfo struct {
	Path string   `json:"path"`
	Dir  bool     `json:"is_dir"`
	Size *integer `json:"file_size,omitempty"`
}

type filesReply struct {
	Root  string     `json:"root_uri,omitempty"`
	Files []fileInfo `json:"files,omitempty"`
}

func fromFiles(files []blob.File, name func(string) string) []fileInfo {
	out := make([]fileInfo, len(files))
	for i, f := range files {
		out[i] = fileInfo{Path: name(f.Path), Dir: f.IsDir}
		if !f.IsDir {
			n := integer(f.Size)
			out[i].Size = &n
		}
	}
	return out
}

// listProxied lists a folder of the proxy; the names are relative to it.
func (e *Edge) listProxied(ctx context.Context, in *struct {
	Path string `json:"path"`
}) (filesReply, error) {
	at, err := e.locate(ctx, in.Path)
	if err != nil {
		return filesReply{}, err
	}
	files, err := e.d.Files.List(ctx, at.root, at.path)
	return filesReply{Files: fromFiles(files, path.Base)}, err
}

func keep(p string) string { return p }

// listRunFiles lists a folder of a run; the names are relative to the run's root.
func (e *Edge) listRunFiles(ctx context.Context, in *struct {
	ID   string `json:"run_id"`
	UUID string `json:"run_uuid"`
	Path string `json:"path"`
}) (filesReply, error) {
	id, err := runID{in.ID, in.UUID}.get()
	if err != nil {
		return filesReply{}, err
	}
	r, err := e.d.Tracking.Run(ctx, id)
	if err != nil {
		return filesReply{}, err
	}
	files, err := e.d.Files.List(ctx, tracking.RunRoot(id), in.Path)
	return filesReply{r.ArtifactURI(), fromFiles(files, keep)}, err
}

func (e *Edge) listModelFiles(ctx context.Context, in *struct {
	ID   string `json:"-" path:"model_id"`
	Path string `json:"artifact_directory_path"`
}) (filesReply, error) {
	m, err := e.d.Tracking.Model(ctx, in.ID)
	if err != nil {
		return filesReply{}, err
	}
	files, err := e.d.Files.List(ctx, tracking.ModelRoot(in.ID), in.Path)
	return filesReply{m.ArtifactURI(), fromFiles(files, keep)}, err
}

func (e *Edge) download(w http.ResponseWriter, req *http.Request) {
	at, err := e.locate(req.Context(), req.PathValue("path"))
	if err != nil {
		e.fail(w, req, err)
		return
	}
	if at.trace != nil && at.path == traceFile {
		e.sendTraceData(w, req, at.trace.ID)
		return
	}
	e.send(w, req, at.root, at.path)
}

// getArtifact is the browser's download of a file of a run.
func (e *Edge) getArtifact(w http.ResponseWriter, req *http.Request) {
	at, err := e.runPlace(req)
	if err != nil {
		e.fail(w, req, err)
		return
	}
	e.send(w, req, at.root, at.path)
}

// runPlace is the file of a run that a query names.
func (e *Edge) runPlace(req *http.Request) (place, error) {
	q, err := query(req)
	if err != nil {
		return place{}, err
	}
	if q.Get("path") == "" {
		return place{}, missing("path")
	}
	id, err := runID{q.Get("run_id"), q.Get("run_uuid")}.get()
	if err == nil {
		_, err = e.d.Tracking.HasRun(req.Context(), id)
	}
	return place{root: tracking.RunRoot(id), path: q.Get("path")}, err
}

// getVersionArtifact is the browser's download of a file of a model version.
func (e *Edge) getVersionArtifact(w http.ResponseWriter, req *http.Request) {
	q, err := query(req)
	if err == nil {
		err = (&versionID{q.Get("name"), q.Get("version")}).check()
	}
	if err != nil {
		e.fail(w, req, err)
		return
	}
	v, err := e.d.Registry.GetVersion(req.Context(), full(req.Context(), q.Get("name")), q.Get("version"))
	if err != nil {
		e.fail(w, req, err)
		return
	}
	e.send(w, req, v.FilesRoot(), q.Get("path"))
}

func (e *Edge) getModelFile(w http.ResponseWriter, req *http.Request) {
	id := req.PathValue("model_id")
	if _, err := e.d.Tracking.HasModel(req.Context(), id); err != nil {
		e.fail(w, req, err)
		return
	}
	q, err := query(req)
	if err != nil {
		e.fail(w, req, err)
		return
	}
	e.send(w, req, tracking.ModelRoot(id), q.Get("artifact_file_path"))
}

// send streams a file as an attachment: what users upload is never shown as a page of this server.
func (e *Edge) send(w http.ResponseWriter, req *http.Request, root, p string) {
	f, file, err := e.d.Files.Open(req.Context(), root, p)
	if err != nil {
		e.fail(w, req, err)
		return
	}
	defer func() { _ = f.Close() }()
	h := w.Header()
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(file.Path)}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("ETag", `"`+string(file.Digest)+`"`)
	h.Set("Content-Type", "application/octet-stream")
	if t := mime.TypeByExtension(path.Ext(file.Path)); t != "" {
		h.Set("Content-Type", t)
	}
	if req.Header.Get("Range") != "" || req.Header.Get("If-None-Match") != "" {
		http.ServeContent(w, req, "", time.Time{}, f)
		return
	}
	h.Set("Content-Length", strconv.FormatInt(file.Size, 10))
	h.Set("Accept-Ranges", "bytes")
	if _, err := io.Copy(w, f); err != nil { // too late for an error code: break the connection, so that nobody takes a part for the whole
		if !errors.Is(req.Context().Err(), context.Canceled) {
			e.d.Log.Warn("a download broke off", "root", root, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

func (e *Edge) upload(w http.ResponseWriter, req *http.Request) {
	at, err := e.locate(req.Context(), req.PathValue("path"))
	if err != nil {
		e.fail(w, req, err)
		return
	}
	e.store(w, req, at)
}

// uploadToRun is the upload of MLflow's own user interface.
func (e *Edge) uploadToRun(w http.ResponseWriter, req *http.Request) {
	at, err := e.runPlace(req)
	if err != nil {
		e.fail(w, req, err)
		return
	}
	e.store(w, req, at)
}

func (e *Edge) store(w http.ResponseWriter, req *http.Request, at place) {
	if req.ContentLength > e.d.MaxUpload { // refused before a byte is read
		e.fail(w, req, e.uploadError(&http.MaxBytesError{Limit: e.d.MaxUpload}))
		return
	}
	if at.readOnly {
		e.fail(w, req, readOnlyFiles())
		return
	}
	if _, err := e.d.Files.Put(req.Context(), at.root, at.path, e.bounded(w, req)); err != nil {
		e.fail(w, req, e.uploadError(err))
		return
	}
	if at.trace != nil && at.path == traceFile {
		e.readTraceFile(req.Context(), *at.trace)
	}
	e.reply(w, req, none{})
}

// bounded is the body of an upload, cut off at the largest size that is taken.
func (e *Edge) bounded(w http.ResponseWriter, req *http.Request) io.Reader {
	return http.MaxBytesReader(w, req.Body, e.d.MaxUpload)
}

// uploadError tells an upload that is too large from one that broke off.
func (e *Edge) uploadError(err error) error {
	var large *http.MaxBytesError
	if !errors.As(err, &large) {
		return err
	}
	return errs.E(errs.Exhausted, "mlflow.upload", fmt.Sprintf("the file is larger than %d MiB", e.d.MaxUpload>>20), nil).
		WithHint("log it in parts, or raise max_upload_mb of the server")
}

func (e *Edge) deleteFiles(w http.ResponseWriter, req *http.Request) {
	at, err := e.locate(req.Context(), req.PathValue("path"))
	if err == nil && at.readOnly {
		err = readOnlyFiles()
	}
	if err == nil {
		_, err = e.d.Files.Delete(req.Context(), at.root, at.path)
	}
	if err != nil {
		e.fail(w, req, err)
		return
	}
	e.reply(w, req, none{})
}
