package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/testkit"
)

func TestServerAnswersOnLoopback(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/api/v1/version": `"store":"sqlite"`, "/metrics": "go_goroutines", "/api/v1/openapi.json": "/api/v1/version"} {
		if status, body := s.Do(t, "GET", path, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	if status, body := s.Do(t, "GET", "/api/v1/nonsense", ""); status != 404 || !strings.Contains(body, `"kind":"not_found"`) {
		t.Errorf("unknown route: %d %s", status, body)
	}
}

func TestForeignHostAndCrossSiteAreRefused(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	for name, headers := range map[string][]string{
		"dns rebinding":        {"Host", "evil.example"},
		"look-alike":           {"Host", "127.0.0.1.evil.example"},
		"cross-site by origin": {"Origin", "http://evil.example"},
		"cross-site by fetch":  {"Sec-Fetch-Site", "cross-site"},
	} {
		if status, _ := s.Do(t, "POST", "/api/v1/session", `{"token":"x"}`, headers...); status != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, status)
		}
	}
}

func TestTokenGuardsEveryRoute(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef-token"
	s := testkit.Start(t, func(c *config.Config) { c.Token = token })
	for _, r := range s.App.Router().Routes() {
		if r.Action == "public" || r.Method == "" {
			continue
		}
		path := strings.NewReplacer("{", "x", "}", "", "...", "").Replace(r.Pattern)
		if status, _ := s.Do(t, r.Method, path, ""); status != http.StatusUnauthorized {
			t.Errorf("%s %s without a token: %d, want 401", r.Method, r.Pattern, status)
		}
	}
	if status, _ := s.Do(t, "GET", "/metrics", "", "Authorization", "Bearer "+token); status != 200 {
		t.Errorf("with the token: %d", status)
	}
	if status, _ := s.Do(t, "POST", "/api/v1/session", `{"token":"wrong"}`); status != http.StatusUnauthorized {
		t.Errorf("wrong token: %d", status)
	}
}

func TestSecondServerOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	cfg := s.App.Config()
	cfg.Listen = "127.0.0.1:0"
	_, err := app.New(t.Context(), cfg, app.Options{})
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "process ") {
		t.Fatalf("got %v", err)
	}
}

func TestPortInUseSaysSo(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	cfg := s.App.Config()
	cfg.DataDir = t.TempDir()
	if _, err := app.New(t.Context(), cfg, app.Options{}); !errs.Is(err, errs.Conflict) {
		t.Fatalf("got %v", err)
	}
}
