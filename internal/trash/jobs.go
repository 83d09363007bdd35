package trash

import (
	"context"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

const (
	dailyJob   = "trash.daily"
	daily      = 24 * time.Hour
	firstDaily = 10 * time.Minute // after a start
)

// Subscribe registers the daily job.
func (s *Service) Subscribe() {
	s.d.Jobs.Handle(dailyJob, s.runDaily, jobs.Options{Timeout: 6 * time.Hour})
}

// Start makes sure that the daily job is queued.
func (s *Service) Start(ctx context.Context) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		return s.d.Jobs.Enqueue(tx, jobs.New{Kind: dailyJob, Key: "daily", RunAt: s.d.Clock.Now().Add(firstDaily)})
	})
}

func (s *Service) runDaily(ctx context.Context, _ jobs.Job) error {
	if s.d.UndoPeriod > 0 {
		out, err := s.Purge(ctx, Purge{Before: s.d.Clock.Now().Add(-s.d.UndoPeriod)})
		if errs.Is(err, errs.Conflict) {
			return jobs.Again{After: 10 * time.Minute}
		}
		if err != nil {
			return err
		}
		if out.Count > 0 {
			s.d.Log.Info("purged what had waited out the undo period", "count", out.Count, "bytes", out.Bytes, "freed_bytes", out.Freed)
		}
	}
	swept, err := s.Sweep(ctx, false)
	if err != nil {
		return err
	}
	if swept.Removed > 0 {
		s.d.Log.Info("removed contents that nothing referred to", "count", swept.Removed, "bytes", swept.Bytes)
	}
	return jobs.Again{After: daily}
}
