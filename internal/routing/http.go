package routing

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/page"
)

// Routes registers the routes of traffic splits.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Put(r, "/api/v1/endpoints/{name}/traffic", "endpoint:write", "Split the traffic of an endpoint between versions", s.putTraffic)
	httpx.Post(r, "/api/v1/endpoints/{name}/rollback", "endpoint:write", "Go back to the version before", s.postRollback)
	httpx.Get(r, "/api/v1/endpoints/{name}/history", "endpoint:read", "List the generations of an endpoint's route, newest first", s.getHistory)
}

// TargetInput is a target as clients write it; the role may be left out.
type TargetInput struct {
	Version string `json:"version" doc:"version number of the endpoint's model"`
	Weight  int    `json:"weight" doc:"percent; the weights add up to 100"`
	Role    string `json:"role,omitempty" doc:"champion, canary or shadow; without it the largest weight is the champion"`
}

type trafficInput struct {
	Name string `path:"name"`
	Body struct {
		Targets      []TargetInput `json:"targets"`
		Reason       string        `json:"reason,omitempty"`
		IfGeneration int64         `json:"if_generation,omitempty" doc:"refuse the change when the route is not at this generation"`
	}
}

func (s *Service) putTraffic(ctx context.Context, in *trafficInput) (*Route, error) {
	c := Change{Endpoint: in.Name, Reason: in.Body.Reason, IfGeneration: in.Body.IfGeneration}
	for _, t := range in.Body.Targets {
		c.Targets = append(c.Targets, Target{Version: t.Version, Weight: t.Weight, Role: Role(t.Role)})
	}
	r, err := s.Apply(ctx, c)
	return &r, err
}

type rollbackInput struct {
	Name string `path:"name"`
	Body struct {
		Reason string `json:"reason,omitempty"`
	} `required:"false"`
}

func (s *Service) postRollback(ctx context.Context, in *rollbackInput) (*Route, error) {
	r, err := s.Rollback(ctx, in.Name, in.Body.Reason)
	return &r, err
}

type historyInput struct {
	Name      string `path:"name"`
	PageSize  int    `query:"page_size" minimum:"0" maximum:"1000"`
	PageToken string `query:"page_token"`
}

type historyOutput struct {
	Items         []*Route `json:"items"`
	NextPageToken string   `json:"next_page_token"`
}

func (s *Service) getHistory(ctx context.Context, in *historyInput) (*historyOutput, error) {
	var before int64
	if err := page.Decode(in.PageToken, &before); err != nil {
		return nil, err
	}
	n := page.Limit(in.PageSize, 100, 1000)
	items, err := s.History(ctx, in.Name, before, n)
	out := &historyOutput{Items: items}
	if len(items) == n {
		out.NextPageToken = page.Encode(items[n-1].Generation)
	}
	return out, err
}
