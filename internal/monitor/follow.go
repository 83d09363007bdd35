package monitor

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
)

const (
	flushAfter  = time.Second            // how old what is counted may be before it is checkpointed
	labelsAfter = 200 * time.Millisecond // how soon labels show in the verdicts
	retryFirst  = 200 * time.Millisecond
	retryLast   = 30 * time.Second
)

// Run follows the log for each endpoint until ctx ends, and then writes the last checkpoints.
func (s *Service) Run(ctx context.Context) error {
	var g errgroup.Group
	for {
		for _, w := range s.all() {
			w.mu.Lock()
			start := !w.running && !w.gone
			w.running = w.running || start
			w.mu.Unlock()
			if start {
				g.Go(func() error { s.follow(ctx, w); return nil })
			}
		}
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-s.added:
		}
	}
}

// follow reads the log for one endpoint until ctx ends or the monitor is gone. What fails is tried again, ever later.
func (s *Service) follow(ctx context.Context, w *watcher) {
	wait := retryFirst
	for {
		began := s.d.Clock.Now()
		err := s.read(ctx, w)
		w.mu.Lock()
		gone := w.gone
		w.mu.Unlock()
		if gone {
			return
		}
		if ctx.Err() != nil {
			s.last(ctx, w)
			return
		}
		if err == nil { // the baseline is to be another one
			wait = retryFirst
			continue
		}
		if s.d.Clock.Now().Sub(began) > retryLast {
			wait = retryFirst
		}
		s.d.Log.Warn("a monitor cannot follow its endpoint; it tries again", "endpoint", w.endpoint, "error", err, "wait", wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		wait = min(2*wait, retryLast)
	}
}

// last writes the checkpoint of a server that stops.
func (s *Service) last(ctx context.Context, w *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.halt()
	if !w.changed || w.gone {
		return
	}
	fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.flush(fctx, w); err != nil {
		s.d.Log.Warn("the last checkpoint of a monitor was not written; its rows are read again", "endpoint", w.endpoint, "error", err)
	}
}

// read builds the reference if need be and takes entries in until ctx ends, the reference is to change (nil) or something fails.
func (s *Service) read(ctx context.Context, w *watcher) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	w.stop = cancel
	w.mu.Unlock()
	if err := s.prepare(ctx, w); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	w.mu.Lock()
	cursor := w.st.Cursor
	w.mu.Unlock()
	err := s.d.Predlog.Follow(ctx, w.endpoint, cursor, func(ctx context.Context, entries []predlog.Entry, next predlog.Cursor) error {
		return s.take(ctx, w, entries, next)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// prepare builds the reference that is missing.
func (s *Service) prepare(ctx context.Context, w *watcher) error {
	w.mu.Lock()
	missing, model, version, label := w.ref == nil, w.model, w.version, w.settings.LabelColumn
	w.mu.Unlock()
	if !missing {
		return nil
	}
	ref, task, err := s.build(ctx, model, version, label)
	if err != nil {
		return errs.E(errs.KindOf(err), "monitor.baseline", "the baseline of version "+version+" could not be built", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.version != version || w.settings.LabelColumn != label {
		return context.Canceled // overtaken; read starts anew, its context being cancelled
	}
	w.use(ref, task)
	if s.d.Error != nil && w.st.Base == nil {
		value, from, ok, err := s.d.Error(ctx, model, version, metricOf(w.task()))
		if err != nil {
			s.d.Log.Warn("the known error of a version could not be read", "endpoint", w.endpoint, "version", version, "error", err)
		} else if ok && value > 0 {
			w.st.Base = &baseError{Value: value, From: from}
		}
	}
	return s.flush(ctx, w)
}

// take counts entries, judges what is complete and writes a checkpoint when there is something to tell or the last one is old.
func (s *Service) take(ctx context.Context, w *watcher, entries []predlog.Entry, next predlog.Cursor) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone || w.ref == nil || ctx.Err() != nil {
		return context.Canceled
	}
	now := s.d.Clock.Now()
	for _, e := range entries {
		switch {
		case e.Record != nil:
			if err := w.record(e.Record, now); err != nil {
				s.d.Log.Error("a prediction could not be taken in", "endpoint", w.endpoint, "prediction", e.Record.ID, "error", err)
			}
		case e.Label != nil:
			w.label(e.Label, now)
		}
	}
	w.st.Cursor, w.changed = next, true
	s.metrics.consumed.Add(float64(len(entries)))
	wait := flushAfter
	if len(w.touched) > 0 {
		wait = labelsAfter
	}
	if len(w.out.windows) > 0 || len(w.out.events) > 0 || now.Sub(w.flushed) >= wait {
		if err := s.flush(ctx, w); err != nil && ctx.Err() == nil {
			s.d.Log.Warn("a checkpoint was not written; it is tried again", "endpoint", w.endpoint, "error", err)
			s.later(ctx, w, flushAfter)
		}
	} else {
		s.later(ctx, w, wait)
	}
	if s.d.Consumed != nil {
		s.d.Consumed(w.endpoint)
	}
	return nil
}

// later writes a checkpoint in a while, unless one is written before.
func (s *Service) later(ctx context.Context, w *watcher, wait time.Duration) {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(wait, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.gone || !w.changed || ctx.Err() != nil {
			return
		}
		if err := s.flush(ctx, w); err != nil && ctx.Err() == nil {
			s.d.Log.Warn("a checkpoint was not written; it is tried again", "endpoint", w.endpoint, "error", err)
			s.later(ctx, w, flushAfter)
		}
	})
}
