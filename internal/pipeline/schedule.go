package pipeline

import (
	"context"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// fire starts the scheduled run of a pipeline when its time has come, and plans the next. After a time without a server a missed run is
// made up once, not for each time that passed.
func (s *Service) fire(ctx context.Context, name string) error {
	p, err := s.readPipeline(ctx, name)
	if errs.Is(err, errs.NotFound) {
		return nil // deleted since
	}
	if err != nil || p.NextFire == nil {
		return err
	}
	now := s.d.Clock.Now()
	if wait := p.NextFire.Sub(now); wait > 0 {
		return jobs.Again{After: wait}
	}
	sched, err := cron.ParseStandard(p.Schedule)
	if err != nil {
		return errs.E(errs.Invalid, "pipeline.fire", "on.schedule", err)
	}
	next := sched.Next(now)
	// The plan moves on first: a crash in between leaves one run out rather than starting two.
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := setNextFire(tx, name, next); err != nil {
			return err
		}
		return s.d.Jobs.Enqueue(tx, jobs.New{Kind: fireKind, Key: name, Payload: name, RunAt: next})
	})
	if err != nil {
		return err
	}
	_, err = s.StartRun(ctx, name, nil, Trigger{Kind: "cron", Ref: p.NextFire.Format(time.RFC3339)})
	return err
}
