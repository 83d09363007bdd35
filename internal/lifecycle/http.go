package lifecycle

import (
	"context"
	"time"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// Routes registers the HTTP API.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Get(r, "/api/v1/lifecycle/policies/{endpoint}", "lifecycle:read", "The lifecycle policy of an endpoint", s.getPolicy)
	httpx.Put(r, "/api/v1/lifecycle/policies/{endpoint}", "lifecycle:write", "Set the lifecycle policy of an endpoint", s.putPolicy)
	httpx.Create(r, "/api/v1/rollouts", "rollout:write", "Start to roll out a version", s.createRollout)
	httpx.Get(r, "/api/v1/rollouts", "rollout:read", "List rollouts, newest first", s.listRollouts)
	httpx.Get(r, "/api/v1/rollouts/{id}", "rollout:read", "One rollout with its steps and checks", s.getRollout)
	httpx.Post(r, "/api/v1/rollouts/{id}/abort", "rollout:write", "End a rollout and give the traffic back", s.abortRollout)
	httpx.Post(r, "/api/v1/rollouts/{id}/resume", "rollout:write", "Let a halted rollout go on", s.resumeRollout)
	httpx.Post(r, "/api/v1/rollouts/{id}/promote", "rollout:write", "Promote the new version now", s.promoteRollout)
	httpx.Get(r, "/api/v1/retrainings", "retraining:read", "List retrainings, newest first", s.listRetrainings)
	httpx.Get(r, "/api/v1/retrainings/{id}", "retraining:read", "One retraining", s.getRetraining)
	httpx.Create(r, "/api/v1/endpoints/{name}/retrain", "retraining:write", "Start the retraining of an endpoint's model", s.retrain)
}

type policyPath struct {
	Endpoint string `path:"endpoint" maxLength:"200"`
}

func (s *Service) getPolicy(ctx context.Context, in *policyPath) (*Policy, error) {
	p, err := s.Policy(ctx, in.Endpoint)
	return &p, err
}

type policyBody struct {
	Endpoint string `path:"endpoint" maxLength:"200"`
	Body     struct {
		Pipeline      string            `json:"pipeline"`
		Params        map[string]string `json:"params,omitempty"`
		On            []string          `json:"on,omitempty"`
		CooldownHours float64           `json:"cooldown_hours,omitempty"`
		Gate          map[string]any    `json:"gate,omitempty"`
		Rollout       Spec              `json:"rollout"`
		Paused        bool              `json:"paused,omitempty"`
	}
}

func (s *Service) putPolicy(ctx context.Context, in *policyBody) (*Policy, error) {
	b := in.Body
	p := Policy{Pipeline: b.Pipeline, Params: b.Params, On: b.On, CooldownHours: b.CooldownHours, Gate: b.Gate, Rollout: b.Rollout, Paused: b.Paused}
	p, err := s.SetPolicy(ctx, in.Endpoint, p)
	return &p, err
}

type rolloutBody struct {
	Body struct {
		Endpoint string `json:"endpoint"`
		Version  string `json:"version"`
		Reason   string `json:"reason,omitempty"`
		Spec
	}
}

func (s *Service) createRollout(ctx context.Context, in *rolloutBody) (*Rollout, error) {
	r, err := s.StartRollout(ctx, NewRollout{Endpoint: in.Body.Endpoint, Version: in.Body.Version, Reason: in.Body.Reason, Spec: in.Body.Spec})
	return &r, err
}

type listQuery struct {
	Endpoint  string `query:"endpoint" maxLength:"200"`
	PageSize  int    `query:"page_size" doc:"1 to 200; 50 when left out" minimum:"0" maximum:"200"`
	PageToken string `query:"page_token" maxLength:"4096"`
}

type rolloutsPage struct {
	Items         []Rollout `json:"items"`
	NextPageToken string    `json:"next_page_token,omitempty"`
}

func (s *Service) listRollouts(ctx context.Context, in *listQuery) (*rolloutsPage, error) {
	items, next, err := s.Rollouts(ctx, in.Endpoint, in.PageToken, in.PageSize)
	return &rolloutsPage{items, next}, err
}

type idPath struct {
	ID string `path:"id" maxLength:"100"`
}

func (s *Service) getRollout(ctx context.Context, in *idPath) (*Rollout, error) {
	r, err := s.Rollout(ctx, in.ID)
	return &r, err
}

type commandBody struct {
	ID   string `path:"id" maxLength:"100"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"2000"`
	}
}

func (in *commandBody) reason() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Reason
}

func (s *Service) abortRollout(ctx context.Context, in *commandBody) (*Rollout, error) {
	r, err := s.Abort(ctx, in.ID, in.reason())
	return &r, err
}

func (s *Service) resumeRollout(ctx context.Context, in *commandBody) (*Rollout, error) {
	r, err := s.Resume(ctx, in.ID, in.reason())
	return &r, err
}

func (s *Service) promoteRollout(ctx context.Context, in *commandBody) (*Rollout, error) {
	r, err := s.Promote(ctx, in.ID, in.reason())
	return &r, err
}

type retrainingsPage struct {
	Items         []Retraining `json:"items"`
	NextPageToken string       `json:"next_page_token,omitempty"`
}

func (s *Service) listRetrainings(ctx context.Context, in *listQuery) (*retrainingsPage, error) {
	items, next, err := s.Retrainings(ctx, in.Endpoint, in.PageToken, in.PageSize)
	return &retrainingsPage{items, next}, err
}

func (s *Service) getRetraining(ctx context.Context, in *idPath) (*Retraining, error) {
	r, err := s.Retraining(ctx, in.ID)
	return &r, err
}

type retrainBody struct {
	Name string `path:"name" maxLength:"200"`
	Body *struct {
		Reason    string    `json:"reason,omitempty" maxLength:"2000"`
		EventTime time.Time `json:"event_time,omitempty" doc:"The present in the time of the data; now when left out"`
	}
}

func (s *Service) retrain(ctx context.Context, in *retrainBody) (*Retraining, error) {
	reason, at := "", time.Time{}
	if in.Body != nil {
		reason, at = in.Body.Reason, in.Body.EventTime
	}
	r, err := s.Retrain(ctx, in.Name, reason, at)
	return &r, err
}
