package tracking

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
)

// CreateModel makes a logged model, pending until it is finalized. Kinds: Invalid, NotFound (experiment or run).
func (s *Service) CreateModel(ctx context.Context, n NewModel) (LoggedModel, error) {
	if err := n.validate(); err != nil {
		return LoggedModel{}, err
	}
	exp, err := s.st.experimentNumber(ctx, n.ExperimentID)
	if err != nil {
		return LoggedModel{}, err
	}
	sight, err := s.st.sight(ctx)
	if err != nil {
		return LoggedModel{}, err
	}
	now := s.now()
	m := LoggedModel{ID: "m-" + id.Hex(), ExperimentID: n.ExperimentID, Name: n.Name, Type: n.Type, Status: ModelPending, RunID: n.RunID,
		User: actor.From(ctx).ID, CreatedAt: now, UpdatedAt: now, Tags: lastOfEach(n.Tags), Params: n.Params, exp: exp}
	if m.Name == "" {
		m.Name = randomName()
	}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.st.checkExperiment(tx, exp, ViewActive); err != nil {
			return err
		}
		if n.RunID != "" {
			r, err := s.st.findRun(tx, n.RunID)
			if err == nil && !sight.sees(r.exp) {
				err = noRun(n.RunID)
			}
			if err != nil {
				return err
			}
		}
		return s.st.insertModel(tx, m)
	})
	return m, err
}

// FinalizeModel sets the final status of a logged model; the event tells of those that are ready.
func (s *Service) FinalizeModel(ctx context.Context, modelID string, status ModelStatus) (LoggedModel, error) {
	if status != ModelReady && status != ModelFailed {
		return LoggedModel{}, errs.Invalidf("tracking.finalize_model", "Invalid model status: expected READY or UPLOAD_FAILED").WithField("status", "expected READY or UPLOAD_FAILED")
	}
	err := s.onModel(ctx, modelID, func(tx *db.Tx, m LoggedModel) error {
		if err := s.st.setModelStatus(tx, modelID, status, s.now()); err != nil || status != ModelReady {
			return err
		}
		return s.d.Events.Append(ctx, tx, EventModelLogged, events.Resource{Kind: "logged_model", ID: modelID}, modelLogged{modelID, m.RunID, m.ExperimentID, m.Name})
	})
	if err != nil {
		return LoggedModel{}, err
	}
	return s.Model(ctx, modelID)
}

// Model finds a logged model that is not deleted. Kinds: NotFound.
func (s *Service) Model(ctx context.Context, modelID string) (LoggedModel, error) {
	m, err := s.st.model(ctx, modelID)
	if err == nil {
		err = s.st.sees(ctx, m.exp, noModel(modelID))
	}
	if err != nil {
		return LoggedModel{}, err
	}
	return m, nil
}

// DeleteModel marks a logged model deleted.
func (s *Service) DeleteModel(ctx context.Context, modelID string) error {
	return s.onModel(ctx, modelID, func(tx *db.Tx, m LoggedModel) error {
		if err := s.st.deleteModel(tx, modelID, s.now()); err != nil {
			return err
		}
		return s.tellModel(ctx, tx, EventModelDeleted, m)
	})
}

// SetModelTags sets tags of a logged model.
func (s *Service) SetModelTags(ctx context.Context, modelID string, tags []Tag) (LoggedModel, error) {
	var c errs.Collector
	validateModelValues(&c, tags, nil)
	if err := c.Err("tracking.model_tags", "the tags are not valid"); err != nil {
		return LoggedModel{}, err
	}
	err := s.onModel(ctx, modelID, func(tx *db.Tx, _ LoggedModel) error { return s.st.setModelTags(tx, modelID, tags) })
	if err != nil {
		return LoggedModel{}, err
	}
	return s.Model(ctx, modelID)
}

// DeleteModelTag removes a tag. Kinds: NotFound when there is no such tag.
func (s *Service) DeleteModelTag(ctx context.Context, modelID, key string) error {
	return s.onModel(ctx, modelID, func(tx *db.Tx, _ LoggedModel) error { return s.st.deleteModelTag(tx, modelID, key) })
}

// LogModelParams adds parameters; as with runs, a parameter keeps its first value.
func (s *Service) LogModelParams(ctx context.Context, modelID string, params []Param) error {
	var c errs.Collector
	validateModelValues(&c, nil, params)
	if err := c.Err("tracking.model_params", "the params are not valid"); err != nil {
		return err
	}
	return s.onModel(ctx, modelID, func(tx *db.Tx, _ LoggedModel) error { return s.st.insertModelParams(tx, modelID, params) })
}

func (s *Service) onModel(ctx context.Context, modelID string, do func(tx *db.Tx, m LoggedModel) error) error {
	sight, err := s.st.sight(ctx)
	if err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := s.st.findModel(tx, modelID)
		if err == nil && !sight.sees(m.exp) {
			err = noModel(modelID)
		}
		if err != nil {
			return err
		}
		return do(tx, m)
	})
}

// ModelsOfRun lists the logged models that a run made, newest first; "name" narrows it when not empty.
func (s *Service) ModelsOfRun(ctx context.Context, runID, name string) ([]LoggedModel, error) {
	models, err := s.st.models(ctx, "m.run_id = ? AND m.deleted_at = 0", runID)
	out := models[:0]
	for _, m := range models {
		if (name == "" || m.Name == name) && s.st.sees(ctx, m.exp, noModel(m.ID)) == nil {
			out = append(out, m)
		}
	}
	return out, err
}

// modelNames finds the names of logged models, for lists that show them beside runs.
func (s *Service) modelNames(ctx context.Context, ids []string) (map[string]string, error) {
	return s.st.modelNames(ctx, ids)
}

// HasModel reports whether a logged model exists and its experiment. Kinds: NotFound.
func (s *Service) HasModel(ctx context.Context, modelID string) (experimentID string, err error) {
	m, err := s.st.modelInfo(ctx, modelID)
	if err == nil {
		err = s.st.sees(ctx, m.exp, noModel(modelID))
	}
	return m.ExperimentID, err
}
