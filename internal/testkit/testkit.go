// Package testkit starts the whole server inside a test.
package testkit

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/platform/config"
)

// Server is a running server.
type Server struct {
	URL string
	App *app.Server
}

// Option changes the configuration of a test server.
type Option func(*config.Config)

// Start runs a server on a free port with a data folder of its own; it stops with the test.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	for _, o := range opts {
		o(&cfg)
	}
	s, err := app.New(t.Context(), cfg, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return &Server{URL: s.URL(), App: s}
}

// Do sends a request with a JSON body ("" for none) and gives the status and the answer.
func (s *Server) Do(t testing.TB, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
