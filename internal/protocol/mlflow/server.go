package mlflow

import (
	"fmt"
	"io"
	"net/http"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// serverRoutes are the paths outside the API bases.
func (e *Edge) serverRoutes(at registrar) {
	at("GET", "/version", httpx.Public, func(w http.ResponseWriter, _ *http.Request) { text(w, Version) })
	at("GET", "/health", httpx.Public, func(w http.ResponseWriter, _ *http.Request) { text(w, "OK") })
	at("GET", "/get-artifact", runRead, e.getArtifact)
	at("GET", "/model-versions/get-artifact", modelRead, e.getVersionArtifact)
	at("POST", "/v1/traces", traceWrite, e.exportTraces)
}

func text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, s)
}

// serverInfo tells clients what to use without being asked. Downloads in ranges work for those who ask (presigned/), but are not
// announced: a client that hears of them asks for an address before each file.
type serverInfo struct {
	StoreType         string          `json:"store_type"`
	Workspaces        bool            `json:"workspaces_enabled"`
	TraceArchival     bool            `json:"trace_archival_enabled"`
	MultipartUpload   bool            `json:"multipart_uploads_enabled"`
	MultipartDownload bool            `json:"multipart_downloads_enabled"`
	PresignedRun      bool            `json:"presigned_upload_run_id_supported"`
	PresignedModel    bool            `json:"presigned_upload_model_id_supported"`
	Features          map[string]bool `json:"features_enabled"`
}

// otherRoutes are server-info, who calls, and an answer for paths that MLflow does not have.
func (e *Edge) otherRoutes(at registrar) {
	at("GET", "/3.0/mlflow/server-info", httpx.Public, func(w http.ResponseWriter, req *http.Request) {
		e.reply(w, req, serverInfo{StoreType: "SqlStore", Workspaces: true, MultipartUpload: true, PresignedRun: true, PresignedModel: true, Features: map[string]bool{"gateway": false}})
	})
	at("GET", "/2.0/mlflow/users/current", runRead, func(w http.ResponseWriter, req *http.Request) {
		var out currentUser
		out.User.ID, out.User.Name, out.User.Admin = 1, actor.From(req.Context()).ID, true // the one account there is
		e.reply(w, req, out)
	})
	for _, p := range []string{"/2.0/mlflow/", "/3.0/mlflow/", "/2.0/mlflow-artifacts/"} {
		at("", p+"{rest...}", runRead, e.unknown)
	}
}

// currentUser is who calls, as MLflow's basic-auth app tells its web page.
type currentUser struct {
	User struct {
		ID    integer `json:"id"`
		Name  string  `json:"username"`
		Admin bool    `json:"is_admin"`
	} `json:"user"`
	BasicAuth bool `json:"is_basic_auth"`
}

func (e *Edge) unknown(w http.ResponseWriter, req *http.Request) {
	e.fail(w, req, &codedError{"ENDPOINT_NOT_FOUND", http.StatusNotFound, fmt.Sprintf("no MLflow endpoint %s %.200s", req.Method, req.URL.Path)})
}
