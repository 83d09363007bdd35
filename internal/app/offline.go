package app

import (
	"context"
	"runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/infer/ort"
	"github.com/modelyard/modelyard/internal/infer/ortlib"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// This file and check.go are the door for commands that need no server: nothing here opens a port.

// Migrate brings the stores of cfg up to date and gives the migrations that it applied, as domain/file. Kinds: Conflict when a server
// runs on the data folder, Precondition when the store was written by another build, Unavailable when it can't be reached.
func Migrate(ctx context.Context, cfg config.Config) ([]string, error) {
	s, err := New(ctx, cfg, Options{offline: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	rows, err := s.f.db.Query(ctx, "SELECT domain, file FROM schema_migration WHERE applied_at >= ? ORDER BY applied_at, domain, file", s.started.UnixMicro())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	applied := []string{}
	for rows.Next() {
		var domain, file string
		if err := rows.Scan(&domain, &file); err != nil {
			return nil, err
		}
		applied = append(applied, domain+"/"+file)
	}
	return applied, rows.Err()
}

// Runtime is something that runs models on this machine.
type Runtime struct {
	Name    string `json:"name"`
	Runs    string `json:"runs"`
	State   string `json:"state"` // ready, missing or broken
	Version string `json:"version,omitempty"`
	Path    string `json:"path,omitempty"`
	Note    string `json:"note,omitempty"`
}

// Runtimes lists what can run models here.
func Runtimes(ctx context.Context, cfg config.Config) []Runtime {
	native := Runtime{Name: "native", Runs: "XGBoost, LightGBM, ONNX graphs of trees and linear models", State: "ready", Version: Version(), Note: "part of this program"}
	onnx := Runtime{Name: "onnxruntime", Runs: "every other ONNX graph", State: "missing"}
	if lib, err := openONNX(cfg.ONNXRuntime); err == nil {
		onnx.State, onnx.Version, onnx.Path = "ready", lib.Version, lib.Path
	} else {
		onnx.Note = err.Error()
		if lib != nil {
			onnx.State, onnx.Path = "broken", lib.Path
		}
	}
	worker := Runtime{Name: "python", Runs: "scikit-learn, pyfunc and every other MLflow flavour", State: "missing"}
	if py, err := findPython(ctx, cfg.Python); err == nil {
		worker.State, worker.Version, worker.Path = "ready", py.Version, py.Path
	} else {
		worker.Note = err.Error()
	}
	return []Runtime{native, onnx, worker}
}

// openONNX finds and loads the library. A library that is there and does not load is returned beside the error.
func openONNX(explicit string) (*ort.Library, error) {
	path, err := ortlib.Find(explicit, "")
	if err != nil {
		return nil, err
	}
	lib, err := ort.Open(path)
	if err != nil {
		return &ort.Library{Path: path}, err
	}
	return lib, nil
}

// InstallRuntime fetches a runtime; only onnxruntime can be fetched. It gives the path of what it installed.
func InstallRuntime(ctx context.Context, name string, progress func(string)) (string, error) {
	if !slices.Contains(Installable(), name) {
		return "", errs.NotFoundf("app.runtime", "there is no runtime %q to install", name).WithHint("modelyard runtime install onnxruntime")
	}
	if _, ok := ortlib.Pinned(runtime.GOOS, runtime.GOARCH); !ok {
		return "", errs.E(errs.Precondition, "app.runtime", "there is no ONNX Runtime wheel for "+runtime.GOOS+"/"+runtime.GOARCH, nil).
			WithHint("install libonnxruntime another way and set MODELYARD_ONNXRUNTIME to its path")
	}
	path, err := ortlib.Install(ctx, "", progress)
	if err != nil {
		return "", errs.E(errs.Unavailable, "app.runtime", "ONNX Runtime was not installed", err).WithHint("check the network, or set MODELYARD_ONNXRUNTIME to a libonnxruntime that is there")
	}
	return path, nil
}

// Installable are the runtimes that InstallRuntime knows.
func Installable() []string { return []string{"onnxruntime"} }

// Metrics is the registry of the server's metrics, for the page that lists them.
func (s *Server) Metrics() *prometheus.Registry { return s.f.metrics }
