package trace

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
)

// stamp gives an assessment what the server gives it.
func stamp(a *Assessment, now time.Time) {
	if a.ID == "" {
		a.ID = "a-" + id.Hex()
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = now
	}
	if a.UpdatedAt.IsZero() {
		a.UpdatedAt = a.CreatedAt
	}
	a.CreatedAt, a.UpdatedAt = a.CreatedAt.Truncate(time.Millisecond), a.UpdatedAt.Truncate(time.Millisecond)
	a.Valid = true
}

// Assess adds an assessment to a trace. One that overrides another makes that one invalid. Kinds: Invalid, NotFound (the trace, or the
// overridden assessment).
func (s *Service) Assess(ctx context.Context, a Assessment) (Assessment, error) {
	var c errs.Collector
	a.check(&c)
	if err := c.Err("trace.assess", "the assessment is not valid"); err != nil {
		return a, err
	}
	a.ID = ""
	stamp(&a, s.now())
	if err := s.mine(ctx, a.TraceID); err != nil {
		return a, err
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := mustFind(tx, a.TraceID); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM trace_assessment WHERE trace_id = ?", a.TraceID).Scan(&n); err != nil {
			return err
		}
		if n >= MaxAssessments {
			return errs.Invalidf("trace.assess", "a trace takes at most %d assessments", MaxAssessments)
		}
		if a.Overrides != "" {
			if err := setValid(tx, a.TraceID, a.Overrides, false); err != nil {
				return err
			}
		}
		return putAssessment(tx, &a)
	})
	return a, err
}

func setValid(tx *db.Tx, traceID, id string, valid bool) error {
	n, err := tx.Exec("UPDATE trace_assessment SET valid = ? WHERE id = ? AND trace_id = ?", valid, id, traceID)
	if err == nil && n == 0 && !valid {
		return noAssessment(traceID, id)
	}
	return err
}

// Assessment finds an assessment. Kinds: NotFound.
func (s *Service) Assessment(ctx context.Context, traceID, id string) (Assessment, error) {
	t, err := s.Get(ctx, traceID)
	if err != nil {
		return Assessment{}, err
	}
	for _, a := range t.Assessments {
		if a.ID == id {
			return a, nil
		}
	}
	return Assessment{}, noAssessment(traceID, id)
}

// Reassess changes an assessment; its source, span and kind stay. Kinds: Invalid, NotFound.
func (s *Service) Reassess(ctx context.Context, traceID, id string, ch AssessmentChange) (Assessment, error) {
	var out Assessment
	if err := s.mine(ctx, traceID); err != nil {
		return out, err
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := mustFind(tx, traceID); err != nil {
			return err
		}
		a, err := findAssessment(tx, traceID, id)
		if err != nil {
			return err
		}
		if a == nil {
			return noAssessment(traceID, id)
		}
		if ch.Kind != "" && ch.Kind != a.Kind {
			return errs.Invalidf("trace.reassess", "Cannot update %s value on a %s assessment.", ch.Kind, a.Kind)
		}
		if ch.Name != nil {
			a.Name = *ch.Name
		}
		if ch.Kind != "" {
			a.Value, a.Error = ch.Value, ch.Error
		}
		if ch.Rationale != nil && a.Kind != Expectation {
			a.Rationale = *ch.Rationale
		}
		if len(ch.Metadata) > 0 {
			a.Metadata = maps.Clone(a.Metadata)
			maps.Copy(a.Metadata, ch.Metadata)
		}
		var c errs.Collector
		a.check(&c)
		if err := c.Err("trace.reassess", "the assessment is not valid"); err != nil {
			return err
		}
		a.UpdatedAt = s.now()
		out = *a
		return putAssessment(tx, a)
	})
	return out, err
}

// Unassess removes an assessment; one that it overrode is valid again. One that is not there is no error, as with MLflow. Kinds: NotFound
// (the trace).
func (s *Service) Unassess(ctx context.Context, traceID, id string) error {
	if err := s.mine(ctx, traceID); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := mustFind(tx, traceID); err != nil {
			return err
		}
		a, err := findAssessment(tx, traceID, id)
		if err != nil || a == nil {
			return err
		}
		if a.Overrides != "" {
			if err := setValid(tx, traceID, a.Overrides, true); err != nil {
				return err
			}
		}
		_, err = tx.Exec("DELETE FROM trace_assessment WHERE id = ? AND trace_id = ?", id, traceID)
		return err
	})
}

// number is the value of an assessment as a number; only JSON numbers are.
func (a *Assessment) number() (float64, bool) {
	var f float64
	if len(a.Value) == 0 || !(a.Value[0] == '-' || a.Value[0] >= '0' && a.Value[0] <= '9') {
		return 0, false
	}
	err := json.Unmarshal(a.Value, &f)
	return f, err == nil
}
