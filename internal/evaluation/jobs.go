package evaluation

import (
	"context"
	"encoding/json"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

type jobPayload struct {
	ResultID string `json:"result_id"`
}

// Subscribe registers the kinds of jobs.
func (s *Service) Subscribe() {
	s.d.Jobs.Handle(jobCheck, s.runCheck, jobs.Options{MaxAttempts: 3, Timeout: jobTimeout})
	s.d.Jobs.Handle(jobAlias, s.runAlias, jobs.Options{})
}

func (s *Service) stored(ctx context.Context, j jobs.Job) (Result, CheckRequest, error) {
	var p jobPayload
	if err := json.Unmarshal(j.Payload, &p); err != nil {
		return Result{}, CheckRequest{}, errs.E(errs.Invalid, "evaluation.job", "payload", err)
	}
	return s.load(ctx, p.ResultID)
}

// runCheck carries out a check that was left to a job. A check that cannot be carried out ends with verdict Error, so that nobody waits
// for it for ever.
func (s *Service) runCheck(ctx context.Context, j jobs.Job) error {
	res, req, err := s.stored(ctx, j)
	if err != nil {
		return err
	}
	defer func() {
		if now, err := s.Result(ctx, res.ID); err == nil && now.Verdict != Pending {
			s.release(res.ID)
		}
	}()
	if res.Verdict != Pending {
		return nil
	}
	ctx = actor.With(ctx, actor.Actor{Type: actor.System, ID: res.CreatedBy})
	done, err := s.carryOut(ctx, req, res)
	if err != nil {
		if ctx.Err() != nil || j.Attempt < j.MaxAttempts && errs.Is(err, errs.Unavailable) {
			return err
		}
		done.Verdict, done.Note = Error, err.Error()
	}
	_, err = s.finish(ctx, done, false)
	return err
}

// runAlias moves the alias of a passed result when the process that stored it could not.
func (s *Service) runAlias(ctx context.Context, j jobs.Job) error {
	res, _, err := s.stored(ctx, j)
	if err != nil || res.AliasSet || res.Verdict != Pass {
		return err
	}
	return s.moveAlias(ctx, res)
}
