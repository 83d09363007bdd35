package serving

import (
	"context"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/predlog"
)

// Routes registers the routes of endpoints and of the data plane.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Get(r, "/api/v1/endpoints", "endpoint:read", "List endpoints", s.getEndpoints)
	httpx.Create(r, "/api/v1/endpoints", "endpoint:write", "Put a model version behind an endpoint", s.postEndpoint)
	httpx.Get(r, "/api/v1/endpoints/{name}", "endpoint:read", "Read an endpoint", s.getEndpoint)
	httpx.Delete(r, "/api/v1/endpoints/{name}", "endpoint:write", "Take an endpoint away", s.deleteEndpoint)
	httpx.Get(r, "/api/v1/endpoints/{name}/stats", "endpoint:read", "Live figures of an endpoint", s.getStats)
	s.dataRoutes(r)
}

type listOutput struct {
	Items         []Endpoint `json:"items"`
	NextPageToken string     `json:"next_page_token"`
}

func (s *Service) getEndpoints(ctx context.Context, _ *struct{}) (*listOutput, error) {
	return &listOutput{Items: s.List(ctx)}, nil
}

type createInput struct {
	Body struct {
		Name     string `json:"name,omitempty" doc:"1 to 63 letters, digits, dots, dashes and underscores; without it the model's name"`
		ModelURI string `json:"model_uri" doc:"models:/<name>@<alias> or models:/<name>/<version>; an alias is resolved once, now"`
	}
}

func (s *Service) postEndpoint(ctx context.Context, in *createInput) (*Endpoint, error) {
	e, err := s.Create(ctx, NewEndpoint{Name: in.Body.Name, ModelURI: in.Body.ModelURI})
	return &e, err
}

type nameInput struct {
	Name string `path:"name"`
}

func (s *Service) getEndpoint(ctx context.Context, in *nameInput) (*Endpoint, error) {
	e, err := s.Get(ctx, in.Name)
	return &e, err
}

func (s *Service) deleteEndpoint(ctx context.Context, in *nameInput) (*httpx.None, error) {
	return nil, s.Delete(ctx, in.Name)
}

type statsInput struct {
	Name    string `path:"name"`
	Window  string `query:"window" doc:"15m, 1h, 6h, 24h; default 1h"`
	Buckets int    `query:"buckets" minimum:"0" maximum:"1440" doc:"default 60"`
}

func (s *Service) getStats(ctx context.Context, in *statsInput) (*predlog.Stats, error) {
	if _, err := s.Get(ctx, in.Name); err != nil {
		return nil, err
	}
	window := time.Hour
	if in.Window != "" {
		var err error
		if window, err = time.ParseDuration(in.Window); err != nil || window < time.Minute || window > 24*time.Hour {
			return nil, errs.Invalidf("serving.stats", "the window is not valid").WithField("window", "expected 1m to 24h")
		}
	}
	if in.Buckets == 0 {
		in.Buckets = 60
	}
	out := s.d.Predlog.Stats(in.Name, window, in.Buckets)
	if route := s.d.Routing.Route(in.Name); route != nil {
		for i := range out.Versions {
			v := &out.Versions[i]
			if role, weight := roleOf(route, v.Version); role != "" {
				v.Role, v.Weight = predlog.Role(role), weight
			}
		}
	}
	return &out, nil
}
