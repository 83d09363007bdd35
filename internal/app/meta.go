package app

import (
	"context"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/ui"
)

// version is set by the release build (-ldflags -X).
var version = "0.1.0-dev" //nolint:gochecknoglobals // the linker can only set a variable

// commit is set by the build too; a build without it asks the Go tool's stamp.
var commit string //nolint:gochecknoglobals // the linker can only set a variable

// Version is the version of this program.
func Version() string { return version }

// VersionInfo describes the running server.
type VersionInfo struct {
	Version   string    `json:"version"`
	Commit    string    `json:"commit,omitempty"`
	Go        string    `json:"go"`
	Platform  string    `json:"platform"`
	StartedAt time.Time `json:"started_at"`
	Store     string    `json:"store" enum:"sqlite,postgres"`
}

func (s *Server) metaRoutes() {
	r := s.f.router
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	r.Handle(http.MethodGet, "/healthz", httpx.Public, text(http.StatusOK, "ok\n"))
	r.Handle(http.MethodGet, "/readyz", httpx.Public, func(w http.ResponseWriter, req *http.Request) {
		if err := s.readiness(req.Context()); err != nil {
			r.Error(w, req, err)
			return
		}
		text(http.StatusOK, "ready\n")(w, req)
	})
	metrics := promhttp.HandlerFor(s.f.metrics, promhttp.HandlerOpts{})
	r.Handle(http.MethodGet, "/metrics", "metrics:read", metrics.ServeHTTP)
	httpx.Get(r, "/api/v1/version", httpx.Public, "Version of this server", s.versionInfo)
	r.Handle(http.MethodGet, "/api/v1/openapi.json", httpx.Public, s.openAPI)
	for _, base := range []string{"/api/", "/ajax-api/"} {
		r.Handle("", base, httpx.Public, func(w http.ResponseWriter, req *http.Request) {
			r.Error(w, req, errs.NotFoundf("http.route", "no route %s %s", req.Method, req.URL.Path).WithHint("GET /api/v1/openapi.json lists the routes"))
		})
	}
	page := ui.Handler()
	r.Handle("", "/", httpx.Public, func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			r.Error(w, req, errs.NotFoundf("http.route", "no route %s %s", req.Method, req.URL.Path))
			return
		}
		page.ServeHTTP(w, req)
	})
}

func (s *Server) readiness(ctx context.Context) error {
	if !s.ready.Load() {
		return errs.E(errs.Unavailable, "app.ready", "the server is starting or stopping", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := s.f.db.Ping(ctx); err != nil {
		return errs.E(errs.Unavailable, "app.ready", "the metadata store does not answer", err)
	}
	for _, healthy := range s.health {
		if err := healthy(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) versionInfo(context.Context, *struct{}) (*VersionInfo, error) {
	v := &VersionInfo{Version: version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, StartedAt: s.started, Store: string(s.f.db.Engine())}
	if bi, ok := debug.ReadBuildInfo(); ok && commit == "" {
		for _, kv := range bi.Settings {
			if kv.Key == "vcs.revision" {
				v.Commit = kv.Value
			}
		}
	}
	return v, nil
}

func (s *Server) openAPI(w http.ResponseWriter, req *http.Request) {
	b, err := s.f.router.OpenAPI()
	if err != nil {
		s.f.router.Error(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}
