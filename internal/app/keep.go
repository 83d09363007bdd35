package app

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/monitor"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/tracking"
	"github.com/modelyard/modelyard/internal/trash"
)

// keep composes what keeps and what discards: the trash, the watch over damaged contents.
func (s *Server) keep(sources []discard.Source, users func(context.Context) (trash.Users, error)) []domain {
	f := &s.f
	bin := trash.New(trash.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Files: f.files, Clock: f.clock, Log: f.log.With("component", "trash"), Metrics: f.metrics,
		Sources: sources, Users: users, UndoPeriod: time.Duration(f.cfg.TrashDays) * 24 * time.Hour})
	bin.Routes(f.router)
	bin.Subscribe()
	return []domain{{name: "trash", start: bin.Start}, {name: "blob", run: f.watchContents()}}
}

// inUse says what living model versions were made from: their runs and logged models, and the experiments of those, are kept so that
// it can always be told where a version comes from.
func inUse(models *registry.Service, runs *tracking.Service) func(context.Context) (trash.Users, error) {
	return func(ctx context.Context) (trash.Users, error) {
		byRun, byModel, err := models.Origins(ctx)
		if err != nil {
			return nil, err
		}
		out := trash.Users{}
		add := func(kind, id string, versions []string, experiment func(context.Context, string) (string, error)) error {
			for _, v := range versions {
				out[kind+":"+id] = append(out[kind+":"+id], "model version "+v)
			}
			exp, err := experiment(ctx, id)
			if errs.Is(err, errs.NotFound) { // of another server, or purged
				return nil
			}
			out["experiment:"+exp] = append(out["experiment:"+exp], out[kind+":"+id]...)
			return err
		}
		for id, versions := range byRun {
			if err := add("run", id, versions, runs.HasRun); err != nil {
				return nil, err
			}
		}
		for id, versions := range byModel {
			if err := add("logged_model", id, versions, runs.ModelExperiment); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

// baselineOf lists the monitors that compare with a version (0: any) of a dataset.
func baselineOf(ctx context.Context, m *monitor.Service, name string, version int64) ([]string, error) {
	all, err := m.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, x := range all {
		if b := x.Baseline; b.Kind == "dataset" && b.Dataset == name && (version == 0 || b.DatasetVersion == version) {
			out = append(out, "the monitor of endpoint "+x.Endpoint+" ("+name+"@"+strconv.FormatInt(b.DatasetVersion, 10)+")")
		}
	}
	return out, nil
}

// damageQueue bounds the damaged contents that wait to be told of; more are counted and logged alone.
const damageQueue = 64

// watchContents counts damaged contents as they are read and tells of each once by an event.
func (f *frame) watchContents() func(context.Context) error {
	count := prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_blob_damaged_total", Help: "Reads of contents that are not what was stored."})
	f.metrics.MustRegister(count)
	found := make(chan blob.Digest, damageQueue)
	f.blobs.OnDamage(func(d blob.Digest) {
		count.Inc()
		f.log.Error("contents are damaged on disk", "component", "blob", "digest", string(d))
		select {
		case found <- d:
		default:
		}
	})
	return func(ctx context.Context) error {
		told := map[blob.Digest]bool{}
		for {
			select {
			case <-ctx.Done():
				return nil
			case d := <-found:
				if told[d] || len(told) >= 10*damageQueue {
					continue
				}
				if err := f.tellDamage(ctx, d); err != nil {
					f.log.Error("cannot tell of damaged contents", "component", "blob", "digest", string(d), "error", err)
					continue
				}
				told[d] = true
			}
		}
	}
}

// tellDamage names what is damaged: the files that have these contents.
func (f *frame) tellDamage(ctx context.Context, d blob.Digest) error {
	names, err := f.files.NamesOf(ctx, d, 20)
	if err != nil {
		return err
	}
	return f.db.Write(ctx, func(tx *db.Tx) error {
		return f.events.Append(ctx, tx, "blob.contents.damaged", events.Resource{Kind: "contents", ID: string(d)}, map[string]any{"digest": d, "files": names, "severity": "page"})
	})
}
