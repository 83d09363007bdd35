package app_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/testkit"
)

func find(t *testing.T, checks []app.Check, name string) app.Check {
	t.Helper()
	i := slices.IndexFunc(checks, func(c app.Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %q in %v", name, checks)
	}
	return checks[i]
}

func TestMigrateThenCheck(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0"
	if c := find(t, app.CheckMachine(t.Context(), cfg), "database"); c.State != app.CheckOK {
		t.Errorf("before: %+v", c)
	}
	if _, err := os.Stat(cfg.DataDir); !os.IsNotExist(err) {
		t.Error("looking made the data folder")
	}
	first, err := app.Migrate(t.Context(), cfg)
	if err != nil || !slices.Contains(first, "jobs/0001_init.sql") {
		t.Fatal(first, err)
	}
	if again, err := app.Migrate(t.Context(), cfg); err != nil || len(again) != 0 {
		t.Fatal(again, err)
	}
	checks := app.CheckMachine(t.Context(), cfg)
	for name, want := range map[string]string{"database": "migrations applied", "blob store": "read and checked", "data folder": "can be written"} {
		if c := find(t, checks, name); c.State != app.CheckOK || !strings.Contains(c.Detail, want) {
			t.Errorf("%+v, want %q", c, want)
		}
	}
}

func TestMigrateBesideAServerIsRefused(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	cfg := s.App.Config()
	if _, err := app.Migrate(t.Context(), cfg); !errs.Is(err, errs.Conflict) {
		t.Fatalf("got %v", err)
	}
	if c := find(t, app.CheckMachine(t.Context(), cfg), "port"); c.State != app.CheckOK || !strings.Contains(c.Detail, "Modelyard") {
		t.Errorf("%+v", c)
	}
}

func TestCheckFindsAStrangerOnThePort(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = t.TempDir(), ln.Addr().String()
	if c := find(t, app.CheckMachine(t.Context(), cfg), "port"); c.State != app.CheckFail || c.Hint == "" {
		t.Errorf("%+v", c)
	}
}

func TestUnknownRuntimeCannotBeInstalled(t *testing.T) {
	t.Parallel()
	if _, err := app.InstallRuntime(t.Context(), "tensorrt", func(string) {}); !errs.Is(err, errs.NotFound) {
		t.Fatalf("got %v", err)
	}
}
