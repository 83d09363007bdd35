package app

import (
	"os/user"

	"github.com/modelyard/modelyard/internal/auth"
	"github.com/modelyard/modelyard/internal/governance"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/registry"
)

// compose makes every service and registers its routes. The order is the order of the loop: who is used comes before who uses it.
func (s *Server) compose() ([]domain, error) {
	f := &s.f
	who := auth.New(auth.Deps{Token: f.cfg.Token, User: localUser(), Clock: f.clock})
	f.router = httpx.New(httpx.Options{Version: Version(), Guard: who.Guard, Log: f.log.With("component", "http"), Metrics: f.metrics, Hosts: f.cfg.AllowedHosts()})
	who.Routes(f.router)
	s.metaRoutes()

	var ds []domain

	models := registry.New(registry.Deps{DB: f.db, Events: f.events, Files: f.files, Clock: f.clock, Log: f.log.With("component", "registry"), Metrics: f.metrics})
	models.Routes(f.router)
	models.Subscribe()
	ds = append(ds, domain{name: "registry", migrations: []db.Migrations{registry.Migrations()}})

	govern := governance.New(governance.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Clock: f.clock, Log: f.log.With("component", "governance"), Metrics: f.metrics,
		Facts: governance.Facts{Version: versionFacts(models)}})
	govern.Routes(f.router)
	govern.Subscribe()
	ds = append(ds, domain{name: "governance", migrations: []db.Migrations{governance.Migrations()}})
	return ds, nil
}

// localUser names the one user of a server without accounts.
func localUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "local"
}
