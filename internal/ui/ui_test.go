package ui_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/modelyard/modelyard/internal/ui"
)

func build() fstest.MapFS {
	return fstest.MapFS{
		".gitkeep":                 {Data: []byte("")},
		"index.html":               {Data: []byte("<!doctype html><title>app</title>")},
		"theme.js":                 {Data: []byte("theme()")},
		"assets/app-1a2b.js":       {Data: []byte("app()")},
		"assets/app-1a2b.js.br":    {Data: []byte("BROTLI")},
		"assets/app-1a2b.js.gz":    {Data: []byte("GZIP")},
		"assets/only-gz-3c.css":    {Data: []byte("a{}")},
		"assets/only-gz-3c.css.gz": {Data: []byte("GZIPCSS")},
		".vite/manifest.json":      {Data: []byte("{}")},
	}
}

func get(t *testing.T, h http.Handler, method, path, encoding string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	var b strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := res.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	h := ui.New(build())
	page := "<!doctype html><title>app</title>"
	tests := []struct {
		name, method, path, accept string
		status                     int
		body, kind, cache, packed  string
	}{
		{name: "root", path: "/", status: 200, body: page, kind: "text/html", cache: "no-cache"},
		{name: "page of the application", path: "/endpoints/bike-demand", status: 200, body: page, kind: "text/html", cache: "no-cache"},
		{name: "name with a dot is a page", path: "/models/v1.2-model", status: 200, body: page, kind: "text/html", cache: "no-cache"},
		{name: "script", path: "/assets/app-1a2b.js", status: 200, body: "app()", kind: "text/javascript", cache: "immutable"},
		{name: "script as brotli", path: "/assets/app-1a2b.js", accept: "gzip, deflate, br", status: 200, body: "BROTLI", kind: "text/javascript", cache: "immutable", packed: "br"},
		{name: "script as gzip", path: "/assets/app-1a2b.js", accept: "gzip", status: 200, body: "GZIP", kind: "text/javascript", cache: "immutable", packed: "gzip"},
		{name: "refused brotli", path: "/assets/app-1a2b.js", accept: "br;q=0, gzip;q=0.5", status: 200, body: "GZIP", kind: "text/javascript", cache: "immutable", packed: "gzip"},
		{name: "no brotli stored", path: "/assets/only-gz-3c.css", accept: "br, gzip", status: 200, body: "GZIPCSS", kind: "text/css", cache: "immutable", packed: "gzip"},
		{name: "unhashed file", path: "/theme.js", status: 200, body: "theme()", kind: "text/javascript", cache: "no-cache"},
		{name: "asset of another build", path: "/assets/app-9z9z.js", status: 404},
		{name: "manifest", path: "/.vite/manifest.json", status: 404},
		{name: "packed copy by name", path: "/assets/app-1a2b.js.br", status: 404},
		{name: "escape", path: "/assets/../../ui.go", status: 200, body: page, kind: "text/html", cache: "no-cache"},
		{name: "folder", path: "/assets", status: 200, body: page, kind: "text/html", cache: "no-cache"},
		{name: "post", method: http.MethodPost, path: "/", status: 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			res := get(t, h, method, tt.path, tt.accept)
			got := body(t, res)
			if res.StatusCode != tt.status {
				t.Fatalf("status %d, want %d", res.StatusCode, tt.status)
			}
			if res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("nosniff is missing")
			}
			if tt.status != http.StatusOK {
				return
			}
			if got != tt.body {
				t.Errorf("body %q, want %q", got, tt.body)
			}
			if !strings.HasPrefix(res.Header.Get("Content-Type"), tt.kind) {
				t.Errorf("content type %q, want %q", res.Header.Get("Content-Type"), tt.kind)
			}
			if !strings.Contains(res.Header.Get("Cache-Control"), tt.cache) {
				t.Errorf("cache %q, want %q", res.Header.Get("Cache-Control"), tt.cache)
			}
			if res.Header.Get("Content-Encoding") != tt.packed {
				t.Errorf("encoding %q, want %q", res.Header.Get("Content-Encoding"), tt.packed)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	policy := get(t, ui.New(build()), http.MethodGet, "/", "").Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'self'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q allows too much", policy)
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("policy %q has an exception", policy)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	res := get(t, ui.New(build()), http.MethodHead, "/assets/app-1a2b.js", "")
	if got := body(t, res); got != "" {
		t.Errorf("HEAD has a body: %q", got)
	}
	if res.Header.Get("Content-Length") != "5" {
		t.Errorf("content length %q, want 5", res.Header.Get("Content-Length"))
	}
}

func TestWithoutApplication(t *testing.T) {
	t.Parallel()
	res := get(t, ui.New(fstest.MapFS{}), http.MethodGet, "/models", "")
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", res.StatusCode)
	}
	if got := body(t, res); !strings.Contains(got, "make ui build") {
		t.Error("the page does not say how to build the application")
	}
}

// TestEmbedded proves that the binary serves what was built, or says that nothing was.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	got := body(t, get(t, ui.Handler(), http.MethodGet, "/", ""))
	if ui.Built() != strings.Contains(got, `<div id="root">`) {
		t.Errorf("Built() is %v, the page starts %.80q", ui.Built(), got)
	}
}
