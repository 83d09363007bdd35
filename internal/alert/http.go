package alert

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// Routes registers the HTTP API.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Get(r, "/api/v1/alerts", "alert:read", "List alerts, newest first", s.listAlerts)
	httpx.Get(r, "/api/v1/alerts/{id}", "alert:read", "One alert", s.getAlert)
	httpx.Post(r, "/api/v1/alerts/{id}/acknowledge", "alert:write", "Note that you look after an alert", s.acknowledgeAlert)
	httpx.Post(r, "/api/v1/alerts/{id}/resolve", "alert:write", "Close an alert by hand", s.resolveAlert)
	httpx.Get(r, "/api/v1/webhooks", "webhook:read", "List webhooks", s.listWebhooks)
	httpx.Create(r, "/api/v1/webhooks", "webhook:write", "Add a webhook", s.createWebhook)
	httpx.Delete(r, "/api/v1/webhooks/{id}", "webhook:write", "Remove a webhook and its log", s.deleteWebhook)
	httpx.Post(r, "/api/v1/webhooks/{id}/test", "webhook:write", "Call a webhook once, now", s.testWebhook)
	httpx.Get(r, "/api/v1/webhooks/{id}/deliveries", "webhook:read", "What was sent to a webhook, newest first", s.listDeliveries)
}

type byIDInput struct {
	ID string `path:"id" maxLength:"100"`
}

type alertsQuery struct {
	State     string `query:"state" doc:"open, acknowledged, resolved, or active for all that are not resolved"`
	Endpoint  string `query:"endpoint" maxLength:"200"`
	Kind      string `query:"kind" maxLength:"100"`
	Limit     int    `query:"limit" doc:"Same as page_size" minimum:"0" maximum:"500"`
	PageSize  int    `query:"page_size" doc:"1 to 500; 100 when left out" minimum:"0" maximum:"500"`
	PageToken string `query:"page_token" maxLength:"4096"`
}

type alertsPage struct {
	Items         []Alert `json:"items"`
	NextPageToken string  `json:"next_page_token,omitempty"`
}

func (s *Service) listAlerts(ctx context.Context, in *alertsQuery) (*alertsPage, error) {
	items, next, err := s.List(ctx, Query{State: in.State, Endpoint: in.Endpoint, Kind: in.Kind, Limit: max(in.Limit, in.PageSize), PageToken: in.PageToken})
	return &alertsPage{items, next}, err
}

func (s *Service) getAlert(ctx context.Context, in *byIDInput) (*Alert, error) {
	a, err := s.Get(ctx, in.ID)
	return &a, err
}

type noteInput struct {
	ID   string `path:"id" maxLength:"100"`
	Body *struct {
		Note string `json:"note,omitempty" doc:"For those who look at it later"`
	}
}

func (in *noteInput) note() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Note
}

func (s *Service) acknowledgeAlert(ctx context.Context, in *noteInput) (*Alert, error) {
	a, err := s.Acknowledge(ctx, in.ID, in.note())
	return &a, err
}

func (s *Service) resolveAlert(ctx context.Context, in *noteInput) (*Alert, error) {
	a, err := s.Resolve(ctx, in.ID, in.note())
	return &a, err
}

type webhooksPage struct {
	Items []Webhook `json:"items"`
}

func (s *Service) listWebhooks(ctx context.Context, _ *struct{}) (*webhooksPage, error) {
	items, err := s.Webhooks(ctx)
	return &webhooksPage{items}, err
}

type newWebhook struct {
	Body struct {
		URL    string   `json:"url" doc:"http:// or https:// address that takes a POST"`
		Events []string `json:"events,omitempty" doc:"Event types or their beginnings (alert.*); alerts when left out"`
		Secret string   `json:"secret,omitempty" doc:"Signs what is sent, 16 to 256 characters; one is made and shown once when left out"`
	}
}

func (s *Service) createWebhook(ctx context.Context, in *newWebhook) (*Webhook, error) {
	h, err := s.CreateWebhook(ctx, in.Body.URL, in.Body.Events, in.Body.Secret)
	return &h, err
}

func (s *Service) deleteWebhook(ctx context.Context, in *byIDInput) (*httpx.None, error) {
	return nil, s.DeleteWebhook(ctx, in.ID)
}

func (s *Service) testWebhook(ctx context.Context, in *byIDInput) (*Delivery, error) {
	d, err := s.TestWebhook(ctx, in.ID)
	return &d, err
}

type deliveriesQuery struct {
	ID    string `path:"id" maxLength:"100"`
	Limit int    `query:"limit" doc:"1 to 500; 100 when left out" minimum:"0" maximum:"500"`
}

type deliveriesPage struct {
	Items []Delivery `json:"items"`
}

func (s *Service) listDeliveries(ctx context.Context, in *deliveriesQuery) (*deliveriesPage, error) {
	items, err := s.Deliveries(ctx, in.ID, in.Limit)
	return &deliveriesPage{items}, err
}
