package mlflow

import (
	"fmt"
	"io"
	"net/http"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// serverRoutes are the paths outside the API bases.
func (e *Edge) serverRoutes(r *httpx.Router) {
	r.Handle("GET", "/version", httpx.Public, func(w http.ResponseWriter, _ *http.Request) { text(w, Version) })
	r.Handle("GET", "/health", httpx.Public, func(w http.ResponseWriter, _ *http.Request) { text(w, "OK") })
	r.Handle("GET", "/get-artifact", runRead, e.getArtifact)
	r.Handle("POST", "/v1/traces", traceWrite, e.exportTraces)
}

func text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, s)
}

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

// otherRoutes are server-info and whatever nobody else serves below the API bases.
func (e *Edge) otherRoutes(at registrar) {
	at("GET", "/3.0/mlflow/server-info", httpx.Public, func(w http.ResponseWriter, req *http.Request) {
		e.reply(w, req, serverInfo{StoreType: "SqlStore", Features: map[string]bool{"gateway": false}})
	})
	for _, p := range []string{
		"/2.0/mlflow/unified-traces", "/2.0/mlflow/get-online-trace-details", "/3.0/mlflow/scorers", "/3.0/mlflow/datasets",
		"/2.0/mlflow/webhooks", "/3.0/mlflow/workspaces", "/3.0/mlflow/issues", "/3.0/mlflow/label-schemas", "/3.0/mlflow/review-queues",
		"/3.0/mlflow/prompt-optimization", "/3.0/mlflow/gateway", "/2.0/mlflow-artifacts/mpu", "/2.0/mlflow-artifacts/presigned",
	} {
		at("", p, runWrite, e.notImplemented)
		at("", p+"/{rest...}", runWrite, e.notImplemented)
	}
	for _, p := range []string{"/2.0/mlflow/", "/3.0/mlflow/", "/2.0/mlflow-artifacts/"} {
		at("", p+"{rest...}", runRead, e.unknown)
	}
}

// notImplemented answers for parts of MLflow that are not here yet. 501 is not retried by the clients.
func (e *Edge) notImplemented(w http.ResponseWriter, req *http.Request) {
	e.fail(w, req, &codedError{"NOT_IMPLEMENTED", http.StatusNotImplemented, fmt.Sprintf("%s %.200s is not implemented by this server", req.Method, req.URL.Path)})
}

func (e *Edge) unknown(w http.ResponseWriter, req *http.Request) {
	e.fail(w, req, &codedError{"ENDPOINT_NOT_FOUND", http.StatusNotFound, fmt.Sprintf("no MLflow endpoint %s %.200s", req.Method, req.URL.Path)})
}
