package app

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/infer/probe"
	"github.com/modelyard/modelyard/internal/infer/pyworker"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/routing"
	"github.com/modelyard/modelyard/internal/serving"
)

// plane is the data plane: routes, the prediction log, the endpoints.
type plane struct {
	routes  *routing.Service
	log     *predlog.Service
	ends    *serving.Service
	domains []domain
}

func (s *Server) serve(models *registry.Service) (plane, error) {
	f := &s.f
	runtimes, err := f.runtimes("serving")
	if err != nil {
		return plane{}, err
	}
	routes := routing.New(routing.Deps{DB: f.db, Events: f.events, Clock: f.clock, Registry: models})
	log := predlog.New(predlog.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Files: f.files, Clock: f.clock, Log: f.log.With("component", "predlog"), Metrics: f.metrics, DataDir: f.cfg.DataDir,
		KeepRaw: time.Duration(f.cfg.RawLogDays) * 24 * time.Hour})
	ends := serving.New(serving.Deps{DB: f.db, Events: f.events, Clock: f.clock, Log: f.log.With("component", "serving"), Metrics: f.metrics, DataDir: f.cfg.DataDir,
		Registry: models, Routing: routes, Predlog: log, Infer: runtimes})
	routes.Routes(f.router)
	log.Routes(f.router)
	ends.Routes(f.router)
	ends.Subscribe()
	s.health = append(s.health, ends.Healthy)
	return plane{routes, log, ends, []domain{
		{name: "routing", migrations: []db.Migrations{routing.Migrations()}, start: routes.Start},
		{name: "predlog", migrations: []db.Migrations{predlog.Migrations()}, start: log.Start, run: log.Run},
		{name: "serving", migrations: []db.Migrations{serving.Migrations()}, start: ends.Start, run: ends.Run},
	}}, nil
}

// runtimes says how models are run on this machine. Each part that loads models has a folder for its worker processes.
func (f *frame) runtimes(part string) (infer.Options, error) {
	dir, err := f.ensureDir("workers", part)
	if err != nil {
		return infer.Options{}, err
	}
	o := infer.Options{ONNXRuntime: f.cfg.ONNXRuntime, Logger: f.log.With("component", part),
		Python: pyworker.New(pyworker.Deps{Envs: f.envs, Dir: dir, Log: f.log.With("component", part)})}
	// The trial load of an ONNX file runs this program once more; inside a test that would be the tests.
	if self, err := os.Executable(); err == nil && !strings.HasSuffix(filepath.Base(self), ".test") {
		o.Probe = probe.Prober{Library: f.cfg.ONNXRuntime}.Probe
	}
	return o, nil
}
