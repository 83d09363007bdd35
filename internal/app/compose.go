package app

import (
	"context"
	"os/user"
	"slices"

	"github.com/modelyard/modelyard/internal/alert"
	"github.com/modelyard/modelyard/internal/auth"
	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/evalset"
	"github.com/modelyard/modelyard/internal/evaluation"
	"github.com/modelyard/modelyard/internal/governance"
	"github.com/modelyard/modelyard/internal/lifecycle"
	"github.com/modelyard/modelyard/internal/monitor"
	"github.com/modelyard/modelyard/internal/pipeline"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/protocol/mlflow"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/scorer"
	"github.com/modelyard/modelyard/internal/trace"
	"github.com/modelyard/modelyard/internal/tracking"
	"github.com/modelyard/modelyard/internal/webhook"
	"github.com/modelyard/modelyard/internal/workspace"
)

// compose makes every service and registers its routes. The order is the order of the loop: who is used comes before who uses it.
func (s *Server) compose() ([]domain, error) {
	f := &s.f
	who := auth.New(auth.Deps{Token: f.cfg.Token, User: localUser(), Clock: f.clock})
	f.router = httpx.New(httpx.Options{Version: Version(), Guard: who.Guard, Log: f.log.With("component", "http"), Metrics: f.metrics, Hosts: f.cfg.AllowedHosts()})
	who.Routes(f.router)
	s.metaRoutes()

	var ds []domain

	spaces := workspace.New(workspace.Deps{DB: f.db, Events: f.events, Clock: f.clock, Log: f.log.With("component", "workspace")})
	spaces.Routes(f.router)
	ds = append(ds, domain{name: "workspace", migrations: []db.Migrations{workspace.Migrations()}, start: spaces.Start})

	track := tracking.New(tracking.Deps{DB: f.db, Events: f.events, Files: f.files, Clock: f.clock, Log: f.log.With("component", "tracking"), Metrics: f.metrics, Workspace: spaces.Has})
	track.Subscribe()
	track.Routes(f.router)
	ds = append(ds, domain{name: "tracking", migrations: []db.Migrations{tracking.Migrations()}, start: track.Start, run: track.Warm})

	steps, err := s.pipelines(track)
	if err != nil {
		return nil, err
	}
	ds = append(ds, domain{name: "pipeline", migrations: []db.Migrations{pipeline.Migrations()}, start: steps.Start})
	steps.Subscribe()
	steps.Routes(f.router)

	source := &sources{runs: track, files: f.files}
	models := registry.New(registry.Deps{DB: f.db, Events: f.events, Files: f.files, Clock: f.clock, Log: f.log.With("component", "registry"), Metrics: f.metrics,
		ResolveSource: source.resolve, Workspace: spaces.Has})
	source.models = models
	models.Routes(f.router)
	models.Subscribe()
	ds = append(ds, domain{name: "registry", migrations: []db.Migrations{registry.Migrations()}})

	var watched *monitor.Service
	data := dataset.New(dataset.Deps{Users: func(ctx context.Context, name string, version int64) ([]string, error) {
		return baselineOf(ctx, watched, name, version)
	}, DB: f.db, Events: f.events, Files: f.files, Clock: f.clock, Log: f.log.With("component", "dataset"), Metrics: f.metrics})
	data.Routes(f.router)
	ds = append(ds, domain{name: "dataset", migrations: []db.Migrations{dataset.Migrations()}})

	gates, err := f.gates(models, data)
	if err != nil {
		return nil, err
	}
	gates.Routes(f.router)
	gates.Subscribe()
	ds = append(ds, domain{name: "evaluation", migrations: []db.Migrations{evaluation.Migrations()}})
	served, err := s.serve(models)
	if err != nil {
		return nil, err
	}
	ds = append(ds, served.domains...)

	watched = s.watch(served, track, models, data, gates)
	ds = append(ds, domain{name: "monitor", migrations: []db.Migrations{monitor.Migrations()}, start: watched.Start, run: watched.Run})

	govern := governance.New(governance.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Clock: f.clock, Log: f.log.With("component", "governance"), Metrics: f.metrics,
		Facts: governance.Facts{Runs: runFacts(track), Version: versionFacts(models), Prediction: predictionFacts(served.log)}})
	govern.Routes(f.router)
	govern.Subscribe()
	ds = append(ds, domain{name: "governance", migrations: []db.Migrations{governance.Migrations()}})

	alerts := alert.New(alert.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Clock: f.clock, Log: f.log.With("component", "alert"), Metrics: f.metrics, DataDir: f.cfg.DataDir,
		Egress: f.egress()})
	alerts.Routes(f.router)
	alerts.Subscribe()
	ds = append(ds, domain{name: "alert", migrations: []db.Migrations{alert.Migrations()}, start: alerts.Start})

	flow := lifecycle.New(lifecycle.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Clock: f.clock, Log: f.log.With("component", "lifecycle"), Metrics: f.metrics,
		Routes: traffic{served.routes}, Models: candidates{models}, Gates: gatekeeper{gates}, Pipelines: training{steps}, Evidence: evidence{watched}})
	flow.Routes(f.router)
	flow.Subscribe()
	ds = append(ds, domain{name: "lifecycle", migrations: []db.Migrations{lifecycle.Migrations()}, start: flow.Start})
	traces := trace.New(trace.Deps{DB: f.db, Events: f.events, Files: f.files, Clock: f.clock, Log: f.log.With("component", "trace"), Metrics: f.metrics,
		Experiment: activeExperiment(track), Sees: track.Sees, SeesAll: track.SeesAll, Home: experimentHome(track), Run: knownRun(track)})
	ds = append(ds, domain{name: "trace", migrations: []db.Migrations{trace.Migrations()}, run: traces.Index})
	traces.Routes(f.router)
	traces.Subscribe()
	evalsets := evalset.New(evalset.Deps{DB: f.db, Events: f.events, Clock: f.clock, Log: f.log.With("component", "evalset"), Experiment: activeExperiment(track)})
	evalsets.Routes(f.router)
	evalsets.Subscribe()
	ds = append(ds, domain{name: "evalset", migrations: []db.Migrations{evalset.Migrations()}})
	hooks := s.webhooks(models)
	hooks.Subscribe()
	ds = append(ds, domain{name: "webhook", migrations: []db.Migrations{webhook.Migrations()}, start: hooks.Start})
	ds = append(ds, domain{name: "scorer", migrations: []db.Migrations{scorer.Migrations()}})
	spaces.Hold(f.holders(models, track, evalsets, hooks)...)
	edge := mlflow.New(mlflow.Deps{Tracking: track, Registry: models, Traces: traces, EvalSets: evalsets, Webhooks: hooks, Workspaces: spaces, Scorers: scorer.New(f.db, f.clock), Files: f.files, Source: source.resolve, MaxUpload: f.cfg.MaxUpload << 20,
		DataDir: f.cfg.DataDir, Clock: f.clock, Log: f.log.With("component", "mlflow")})
	ds = append(ds, domain{name: "mlflow", start: edge.Start})
	edge.Routes(f.router)

	ds = append(ds, s.keep(slices.Concat(models.Trash(), track.Trash(), data.Trash(), traces.Trash()), inUse(models, track))...)

	if err := s.backupRoutes(served.log); err != nil {
		return nil, err
	}

	s.overviewRoutes(track, steps, served, alerts.OpenCount, watched.Breaches)
	predictionLineage(f.router, served.log, govern)
	return ds, nil
}

// localUser names the one user of a server without accounts.
func localUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "local"
}
