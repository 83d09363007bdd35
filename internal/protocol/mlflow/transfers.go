package mlflow

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/secret"
	"github.com/modelyard/modelyard/internal/platform/space"
	"github.com/modelyard/modelyard/internal/tracking"
)

// Files in parts and presigned addresses. MLflow hands its clients addresses of a cloud store; here the store is this server, so the
// addresses lead back to it. They carry what they allow, until when, and a signature, and need no other credentials.

const (
	proxyBase = "/2.0/mlflow-artifacts"
	// unfinished is how long the parts of an upload are kept, and their addresses good.
	unfinished = 24 * time.Hour
	// presignedFor is how long a presigned address is good when the client does not say, presignedMost the longest it may ask for; both in
	// seconds, both MLflow's.
	presignedFor  = 900
	presignedMost = 604_800
)

func (e *Edge) transferRoutes(at registrar) {
	at("POST", proxyBase+"/mpu/create/{path...}", runWrite, e.createParts)
	at("POST", proxyBase+"/mpu/complete/{path...}", runWrite, e.completeParts)
	at("POST", proxyBase+"/mpu/abort/{path...}", runWrite, e.abortParts)
	at("PUT", proxyBase+"/mpu/part/{upload}/{number}", httpx.Public, e.putPart) // the signature says who may
	at("GET", proxyBase+"/presigned/{path...}", runRead, e.presignProxied)
	at("GET", proxyBase+"/signed/{path...}", httpx.Public, e.signedDownload)
	at("PUT", proxyBase+"/signed/{path...}", httpx.Public, e.signedUpload)
	at("POST", "/2.0/mlflow/artifacts/presigned-upload-url", runWrite, e.presignUpload)
	at("POST", "/2.0/mlflow/artifacts/presigned-download-url", runRead, e.presignDownload)
}

// Start reads or makes the key of the signatures, and forgets uploads that nobody completed.
func (e *Edge) Start(ctx context.Context) (err error) {
	if e.key, err = secret.OpenKey(e.d.DataDir, "artifact.key"); err != nil {
		return err
	}
	_, err = e.d.Files.SweepParts(ctx, e.d.Clock.Now().Add(-unfinished))
	return err
}

// own is the address of a path of this server as the client reached it.
func own(req *http.Request, p string, q url.Values) string {
	u := url.URL{Scheme: "http", Host: req.Host, Path: "/api" + p, RawQuery: q.Encode()}
	if req.TLS != nil || req.Header.Get("X-Forwarded-Proto") == "https" {
		u.Scheme = "https"
	}
	return u.String()
}

// sign makes the query of an address that allows a method on what is named, for a while.
func (e *Edge) sign(method, what string, life time.Duration) url.Values {
	until := strconv.FormatInt(e.d.Clock.Now().Add(life).Unix(), 10)
	return url.Values{"expires": {until}, "signature": {e.key.Sign(method + "\n" + what + "\n" + until)}}
}

// allowed checks such a query. Forbidden when it is forged or over.
func (e *Edge) allowed(req *http.Request, method, what string) error {
	q, err := query(req)
	if err != nil {
		return err
	}
	until, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	switch {
	case err != nil, !e.key.Signed(method+"\n"+what+"\n"+q.Get("expires"), q.Get("signature")):
		return errs.E(errs.Forbidden, "mlflow.signed", "this address is not one that this server gave out", nil)
	case e.d.Clock.Now().Unix() >= until:
		return errs.E(errs.Forbidden, "mlflow.signed", "this address is over", nil).WithHint("ask for a new one")
	}
	return nil
}

// handle runs a call that needs the request itself.
func handle[I, O any](e *Edge, w http.ResponseWriter, req *http.Request, h func(in *I) (O, error)) {
	in := new(I)
	if err := decode(req, maxBody, in); err != nil {
		e.fail(w, req, err)
		return
	}
	out, err := h(in)
	if err != nil {
		e.fail(w, req, err)
		return
	}
	e.reply(w, req, out)
}

type createPartsIn struct {
	Path  string  `json:"path"`
	Parts integer `json:"num_parts"`
}

type partAddress struct {
	URL     string            `json:"url"`
	Number  int               `json:"part_number"`
	Headers map[string]string `json:"headers"`
}

type createPartsOut struct {
	Upload    string        `json:"upload_id"`
	Addresses []partAddress `json:"credentials"`
}

// target is the place that an upload in parts is for: the folder of the URL and the name of the client's file.
func (e *Edge) target(req *http.Request, file string) (place, error) {
	if file == "" {
		return place{}, missing("path")
	}
	name := path.Base(strings.ReplaceAll(file, `\`, "/")) // clients send their own local path
	at, err := e.locate(req.Context(), req.PathValue("path")+"/"+name)
	if err == nil && at.readOnly {
		err = readOnlyFiles()
	}
	return at, err
}

func readOnlyFiles() error {
	return errs.E(errs.Forbidden, "mlflow.upload", "the files of a model version never change", nil).WithHint("log the model again and register a new version")
}

// mark binds an upload's id to its place, so that nobody completes it elsewhere.
func (e *Edge) mark(random string, at place) string {
	return random + "-" + e.key.Sign("upload\n" + random + "\n" + at.root + "\n" + at.path)[:32]
}

func (e *Edge) checkUpload(upload string, at place) error {
	random, _, _ := strings.Cut(upload, "-")
	if upload == "" || e.mark(random, at) != upload {
		return errs.Invalidf("mlflow.upload", "upload_id %.100q is not an upload of this file", upload).WithField("upload_id", "expected the one that mpu/create gave")
	}
	return nil
}

func (e *Edge) createParts(w http.ResponseWriter, req *http.Request) {
	handle(e, w, req, func(in *createPartsIn) (createPartsOut, error) {
		at, err := e.target(req, in.Path)
		if err != nil {
			return createPartsOut{}, err
		}
		n := max(1, int(min(in.Parts, blob.MaxParts+1)))
		if n > blob.MaxParts {
			return createPartsOut{}, errs.Invalidf("mlflow.upload", "a file comes in at most %d parts", blob.MaxParts).WithField("num_parts", "expected 1 to %d", blob.MaxParts)
		}
		if _, err := e.d.Files.SweepParts(req.Context(), e.d.Clock.Now().Add(-unfinished)); err != nil {
			return createPartsOut{}, err
		}
		b := make([]byte, 16)
		if _, err := rand.Read(b); err != nil {
			return createPartsOut{}, err
		}
		out := createPartsOut{Upload: e.mark(hex.EncodeToString(b)+"."+strconv.Itoa(n), at)}
		for i := 1; i <= n; i++ {
			what := fmt.Sprintf("%s/%d", out.Upload, i)
			out.Addresses = append(out.Addresses, partAddress{own(req, proxyBase+"/mpu/part/"+what, e.sign("PUT", "part/"+what, unfinished)), i, map[string]string{}})
		}
		return out, nil
	})
}

// announced is how many parts the client said the file would have: its upload's id tells.
func announced(upload string) int {
	random, _, _ := strings.Cut(upload, "-")
	_, parts, _ := strings.Cut(random, ".")
	n, _ := strconv.Atoi(parts) // 0 for uploads that an older version began
	return n
}

func (e *Edge) putPart(w http.ResponseWriter, req *http.Request) {
	upload, number := req.PathValue("upload"), req.PathValue("number")
	err := e.allowed(req, "PUT", "part/"+upload+"/"+number)
	n, convErr := strconv.Atoi(number)
	if err == nil && convErr != nil {
		err = errs.Invalidf("mlflow.upload", "%.40q is not the number of a part", number)
	}
	if err == nil && req.ContentLength > e.d.MaxUpload {
		err = e.uploadError(&http.MaxBytesError{Limit: e.d.MaxUpload})
	}
	var file blob.File
	if err == nil {
		in := blob.Incoming{Number: n, Of: announced(upload), Size: req.ContentLength, Limit: e.d.MaxUpload}
		file, err = e.d.Files.PutPart(req.Context(), upload, in, e.bounded(w, req))
	}
	if err != nil {
		e.fail(w, req, e.uploadError(err))
		return
	}
	w.Header().Set("ETag", `"`+string(file.Digest)+`"`)
	e.reply(w, req, none{})
}

type completePartsIn struct {
	Path   string `json:"path"`
	Upload string `json:"upload_id"`
	Parts  []struct {
		Number integer `json:"part_number"`
		ETag   string  `json:"etag"`
	} `json:"parts"`
}

func (e *Edge) completeParts(w http.ResponseWriter, req *http.Request) {
	handle(e, w, req, func(in *completePartsIn) (none, error) {
		at, err := e.target(req, in.Path)
		if err == nil {
			err = e.checkUpload(in.Upload, at)
		}
		switch {
		case err != nil:
			return none{}, err
		case len(in.Parts) == 0:
			return none{}, missing("parts")
		case len(in.Parts) > blob.MaxParts:
			return none{}, errs.Invalidf("mlflow.upload", "there are more than %d parts", blob.MaxParts)
		}
		parts := make([]blob.Part, len(in.Parts))
		for i, p := range in.Parts {
			parts[i] = blob.Part{Number: int(p.Number), Digest: blob.Digest(strings.Trim(p.ETag, `"`))}
		}
		slices.SortStableFunc(parts, func(a, b blob.Part) int { return a.Number - b.Number })
		_, err = e.d.Files.Join(req.Context(), in.Upload, parts, at.root, at.path, e.d.MaxUpload)
		return none{}, err
	})
}

func (e *Edge) abortParts(w http.ResponseWriter, req *http.Request) {
	handle(e, w, req, func(in *completePartsIn) (none, error) {
		at, err := e.target(req, in.Path)
		if err == nil {
			err = e.checkUpload(in.Upload, at)
		}
		if err != nil {
			return none{}, err
		}
		return none{}, e.d.Files.DropParts(req.Context(), in.Upload)
	})
}

type presignedOut struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Size    integer           `json:"file_size"`
}

// presignProxied gives a client an address to fetch a file from in ranges.
func (e *Edge) presignProxied(w http.ResponseWriter, req *http.Request) {
	p := req.PathValue("path")
	at, err := e.locate(req.Context(), p)
	var file blob.File
	if err == nil {
		file, err = e.d.Files.Stat(req.Context(), at.root, at.path)
	}
	if err != nil {
		e.fail(w, req, err)
		return
	}
	if workspace := space.Of(req.Context()); workspace != space.Default && !strings.HasPrefix(p, "workspaces/") {
		p = "workspaces/" + workspace + "/" + p // whoever uses the address need not name it
	}
	e.reply(w, req, presignedOut{own(req, proxyBase+"/signed/"+p, e.sign("GET", p, presignedFor*time.Second)), map[string]string{}, integer(file.Size)})
}

func (e *Edge) signedDownload(w http.ResponseWriter, req *http.Request) {
	if err := e.allowed(req, "GET", req.PathValue("path")); err != nil {
		e.fail(w, req, err)
		return
	}
	e.download(w, req)
}

func (e *Edge) signedUpload(w http.ResponseWriter, req *http.Request) {
	if err := e.allowed(req, "PUT", req.PathValue("path")); err != nil {
		e.fail(w, req, err)
		return
	}
	e.upload(w, req)
}

type presignIn struct {
	RunID      string   `json:"run_id"`
	ModelID    string   `json:"model_id"`
	Path       string   `json:"path"`
	Expiration *integer `json:"expiration"`
}

type presignOut struct {
	URL     string            `json:"presigned_url"`
	Headers map[string]string `json:"headers"`
	Size    *integer          `json:"file_size,omitempty"`
}

// presign makes the address of a file of a run or of a logged model.
func (e *Edge) presign(req *http.Request, method string, in *presignIn) (presignOut, place, error) {
	ctx := req.Context()
	life := integer(presignedFor)
	if in.Expiration != nil {
		life = *in.Expiration
	}
	switch {
	case (in.RunID == "") == (in.ModelID == ""):
		return presignOut{}, place{}, errs.Invalidf("mlflow.presign", "Exactly one of run_id and model_id must be provided.")
	case in.Path == "":
		return presignOut{}, place{}, missing("path")
	case life < 1 || life > presignedMost:
		return presignOut{}, place{}, errs.Invalidf("mlflow.presign", "expiration must be between 1 and %d seconds (got %d).", presignedMost, life)
	}
	p, err := blob.CleanPath(in.Path)
	if err != nil {
		return presignOut{}, place{}, err
	}
	at := place{path: p}
	var proxied string
	if in.RunID != "" {
		exp, err := e.d.Tracking.HasRun(ctx, in.RunID)
		if err != nil {
			return presignOut{}, place{}, err
		}
		at.root, proxied = tracking.RunRoot(in.RunID), exp+"/"+in.RunID+"/artifacts/"+p
	} else {
		exp, err := e.d.Tracking.HasModel(ctx, in.ModelID)
		if err != nil {
			return presignOut{}, place{}, err
		}
		at.root, proxied = tracking.ModelRoot(in.ModelID), exp+"/models/"+in.ModelID+"/artifacts/"+p
	}
	return presignOut{own(req, proxyBase+"/signed/"+proxied, e.sign(method, proxied, time.Duration(life)*time.Second)), map[string]string{}, nil}, at, nil
}

func (e *Edge) presignUpload(w http.ResponseWriter, req *http.Request) {
	handle(e, w, req, func(in *presignIn) (presignOut, error) {
		out, _, err := e.presign(req, "PUT", in)
		return out, err
	})
}

func (e *Edge) presignDownload(w http.ResponseWriter, req *http.Request) {
	handle(e, w, req, func(in *presignIn) (presignOut, error) {
		if in.RunID == "" {
			return presignOut{}, missing("run_id")
		}
		out, at, err := e.presign(req, "GET", in)
		if err != nil {
			return out, err
		}
		file, err := e.d.Files.Stat(req.Context(), at.root, at.path)
		size := integer(file.Size)
		out.Size = &size
		return out, err
	})
}
