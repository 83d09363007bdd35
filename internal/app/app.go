// Package app composes the program: configuration, stores, services, routes, workers. It is the one package that knows all others.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
	"github.com/modelyard/modelyard/internal/platform/telemetry"
)

// frame is what every domain is built on.
type frame struct {
	cfg     config.Config
	log     *slog.Logger
	clock   clock.Clock
	db      *db.DB
	blobs   *blob.Local
	files   *blob.Files
	jobs    *jobs.Queue
	events  *events.Log
	metrics *prometheus.Registry
	router  *httpx.Router
	envs    *pyenv.Manager
}

// domain is a service with what it asks of the frame; nil parts are skipped.
type domain struct {
	name       string
	migrations []db.Migrations
	start      func(ctx context.Context) error // after migration, before requests: load what must be in memory
	run        func(ctx context.Context) error // background work until ctx ends
}

// Options of a Server that are not configuration.
type Options struct {
	Log          *slog.Logger
	Clock        clock.Clock
	BeforeCommit func() // see db.Options
	AnswerEarly  bool   // see db.Options

	offline bool // migrate the stores and stop: no port, nothing loaded
}

// Server is the whole program in one process.
type Server struct {
	f       frame
	lock    *fileLock
	dbLock  *db.Lock
	dbFile  *fileLock // a SQLite file outside the data folder
	ln      net.Listener
	domains []domain
	started time.Time
	ready   atomic.Bool
	health  []func() error // what /readyz asks beside the store
}

// New opens the stores, migrates them, loads what must be in memory and takes the port. After it returns, Serve answers.
func New(ctx context.Context, cfg config.Config, o Options) (*Server, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{started: o.Clock.Now(), f: frame{cfg: cfg, log: o.Log, clock: o.Clock, metrics: telemetry.Registry()}}
	if err := s.open(ctx, o); err != nil {
		s.closeStores()
		return nil, err
	}
	return s, nil
}

func (s *Server) open(ctx context.Context, o Options) (err error) {
	cfg := s.f.cfg
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return errs.E(errs.Invalid, "app.open", "data_dir", err)
	}
	s.f.cfg.DataDir = dir
	if s.lock, err = lockDir(dir); err != nil {
		return err
	}
	if !o.offline {
		if s.ln, err = listen(ctx, cfg.Listen); err != nil {
			return err
		}
		s.f.cfg.Listen = s.ln.Addr().String()
	}
	if s.f.cfg.PublicURL == "" {
		s.f.cfg.PublicURL = "http://" + s.f.cfg.Listen
	}
	dbURL := cfg.DatabaseURL
	if dbURL == "" {
		dbURL = filepath.Join(dir, databaseFile)
	} else if file, ok := db.File(dbURL); ok {
		if s.dbFile, err = lockDatabaseFile(file); err != nil {
			return err
		}
	}
	if s.f.db, err = db.Open(ctx, db.Options{URL: dbURL, Log: s.f.log, BeforeCommit: o.BeforeCommit, AnswerEarly: o.AnswerEarly}); err != nil {
		return err
	}
	if s.dbLock, err = s.f.db.Lock(ctx); err != nil {
		return err
	}
	if s.f.blobs, err = blob.OpenLocal(filepath.Join(dir, "blobs")); err != nil {
		return err
	}
	s.f.files = blob.NewFiles(s.f.db, s.f.blobs, s.f.clock)
	s.f.jobs = jobs.NewQueue(jobs.Deps{DB: s.f.db, Clock: s.f.clock, Log: s.f.log.With("component", "jobs")})
	s.f.events = events.NewLog(events.Deps{DB: s.f.db, Jobs: s.f.jobs, Clock: s.f.clock, Log: s.f.log.With("component", "events")})
	if s.f.envs, err = s.f.environments(); err != nil {
		return err
	}
	if s.domains, err = s.compose(); err != nil {
		return err
	}
	if err := s.f.db.Migrate(ctx, s.migrations()...); err != nil || o.offline {
		return err
	}
	for _, d := range s.domains {
		if d.start == nil {
			continue
		}
		if err := d.start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", d.name, err)
		}
	}
	return nil
}

// migrations are those of the frame and of every domain.
func (s *Server) migrations() []db.Migrations {
	all := []db.Migrations{jobs.Migrations(), events.Migrations(), blob.Migrations()}
	for _, d := range s.domains {
		all = append(all, d.migrations...)
	}
	return all
}

// listen takes the port; a port in use says so and how to go on.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, errs.E(errs.Conflict, "app.listen", "something listens on "+addr+" already", nil).
			WithHint("stop it, or choose another port with --listen 127.0.0.1:5001")
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "app.listen", "cannot listen on "+addr, err).WithHint("check --listen")
	}
	return ln, nil
}

// URL is the address users reach this server under.
func (s *Server) URL() string { return s.f.cfg.PublicURL }

// Config is the configuration in force, with the port that was taken.
func (s *Server) Config() config.Config { return s.f.cfg }

// Router gives access to the routes, for the pages and tests that list them.
func (s *Server) Router() *httpx.Router { return s.f.router }

const drain = 10 * time.Second

// Serve answers requests and works in the background until ctx ends, then drains: no new connections, running requests and jobs get
// ten seconds. It closes the stores.
func (s *Server) Serve(ctx context.Context) error {
	defer s.closeStores()
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	srv := &http.Server{
		Handler: s.f.router.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return work },
		ErrorLog:    slog.NewLogLogger(s.f.log.Handler(), slog.LevelDebug),
	}
	g, gctx := errgroup.WithContext(ctx)
	bg, bgctx := errgroup.WithContext(work)
	bg.Go(func() error { return s.f.events.Run(bgctx) })
	bg.Go(func() error { return s.f.jobs.Run(bgctx) })
	bg.Go(func() error { return s.dbLock.Watch(bgctx) })
	bg.Go(func() error {
		if err := s.f.db.ReserveLog(bgctx); err != nil && bgctx.Err() == nil {
			s.f.log.Warn("cannot reserve room for the store's log: commits will be slower", "error", err)
		}
		return nil
	})
	for _, d := range s.domains {
		if d.run != nil {
			bg.Go(func() error {
				if err := d.run(bgctx); err != nil && bgctx.Err() == nil {
					return fmt.Errorf("%s stopped: %w", d.name, err)
				}
				return nil
			})
		}
	}
	g.Go(func() error {
		err := srv.Serve(s.ln)
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	g.Go(func() error { // a background part that dies takes the server down rather than leave it half alive
		select {
		case <-gctx.Done():
		case <-bgctx.Done():
		}
		s.ready.Store(false)
		dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		stopStreams := time.AfterFunc(drain/5, stop) // live streams end when their context does
		defer stopStreams.Stop()
		if err := srv.Shutdown(dctx); err != nil {
			return srv.Close()
		}
		return nil
	})
	s.ready.Store(true)
	err := g.Wait()
	stop()
	return errors.Join(err, bg.Wait())
}

// Close gives everything back without serving.
func (s *Server) Close() { s.closeStores() }

func (s *Server) closeStores() {
	if s.ln != nil {
		_ = s.ln.Close()
	}
	s.dbLock.Release()
	if s.f.db != nil {
		_ = s.f.db.Close()
	}
	if s.f.blobs != nil {
		_ = s.f.blobs.Close()
	}
	s.dbFile.release()
	s.lock.release()
}

// ensureDir makes a private folder below the data folder.
func (f *frame) ensureDir(parts ...string) (string, error) {
	dir := filepath.Join(append([]string{f.cfg.DataDir}, parts...)...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", errs.E(errs.Unavailable, "app.dir", "cannot make "+dir, err)
	}
	return dir, nil
}
