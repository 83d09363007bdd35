package webhook

import (
	"context"
	"embed"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/egress"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/platform/secret"
	"github.com/modelyard/modelyard/internal/platform/space"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "webhook", FS: migrations} }

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Jobs    *jobs.Queue
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	DataDir string        // keys/mlflow-webhook.key lies below it
	Egress  egress.Policy // which addresses may be called
	// Model and Version look up what a payload says; NotFound when it is gone.
	Model   func(ctx context.Context, name string) (Model, error)
	Version func(ctx context.Context, model, version string) (Version, error)
}

// Service keeps webhooks and delivers to them. Errors are of kind Invalid, NotFound or Exhausted unless the store itself fails.
type Service struct {
	d   Deps
	m   metrics
	key *secret.Key // set by Start
}

// New makes the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d, m: newMetrics(d.Metrics)}
}

// Start reads or makes the key that secrets are encrypted with.
func (s *Service) Start(context.Context) (err error) {
	s.key, err = secret.OpenKey(s.d.DataDir, "mlflow-webhook.key")
	return err
}

// Create adds a webhook.
func (s *Service) Create(ctx context.Context, n NewWebhook) (Webhook, error) {
	var c errs.Collector
	checkName(&c, n.Name)
	checkTexts(&c, n.Description, n.Secret)
	checkEvents(&c, n.Events)
	if err := c.Err("webhook.create", "the webhook cannot be made"); err != nil {
		return Webhook{}, err
	}
	if err := checkURL(n.URL); err != nil {
		return Webhook{}, err
	}
	now := s.d.Clock.Now()
	w := Webhook{ID: id.New(), Name: n.Name, Workspace: space.Of(ctx), Description: n.Description, URL: n.URL, Events: once(n.Events), Active: !n.Disabled, CreatedAt: now, UpdatedAt: now}
	if err := s.seal(&w, n.Secret); err != nil {
		return Webhook{}, err
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		have, err := count(tx)
		if err != nil {
			return err
		}
		if have >= MaxWebhooks {
			return errs.E(errs.Exhausted, "webhook.create", fmt.Sprintf("there are %d webhooks, no more are kept", have), nil).WithHint("delete one that is not needed")
		}
		return put(tx, w)
	})
	return w, err
}

func (s *Service) seal(w *Webhook, text string) (err error) {
	w.sealed = []byte{}
	if text != "" {
		w.sealed, err = s.key.Seal(w.ID, text)
	}
	return err
}

// Get finds a webhook.
func (s *Service) Get(ctx context.Context, hookID string) (Webhook, error) {
	return s.find(ctx, hookID)
}

type cursor struct{ Before string }

// List gives one page of the webhooks, newest first, and the token of the next page. limit 0 means 100.
func (s *Service) List(ctx context.Context, limit int, token string) ([]Webhook, string, error) {
	var c cursor
	if err := page.Decode(token, &c); err != nil {
		return nil, "", err
	}
	limit = page.Limit(limit, 100, MaxPage)
	workspace, _ := space.From(ctx)
	all, err := s.list(ctx, workspace, limit+1, c.Before)
	if err != nil || len(all) <= limit {
		return all, "", err
	}
	return all[:limit], page.Encode(cursor{all[limit-1].ID}), nil
}

// Update changes a webhook.
func (s *Service) Update(ctx context.Context, hookID string, ch Change) (Webhook, error) {
	var c errs.Collector
	if ch.Name != nil {
		checkName(&c, *ch.Name)
	}
	checkTexts(&c, deref(ch.Description), deref(ch.Secret))
	if ch.Events != nil {
		checkEvents(&c, ch.Events)
	}
	if err := c.Err("webhook.update", "the webhook cannot be changed"); err != nil {
		return Webhook{}, err
	}
	if ch.URL != nil {
		if err := checkURL(*ch.URL); err != nil {
			return Webhook{}, err
		}
	}
	var w Webhook
	err := s.d.DB.Write(ctx, func(tx *db.Tx) (err error) {
		if w, err = findTx(ctx, tx, hookID); err != nil {
			return err
		}
		if err := s.apply(&w, ch); err != nil {
			return err
		}
		return put(tx, w)
	})
	return w, err
}

func (s *Service) apply(w *Webhook, ch Change) error {
	set(&w.Name, ch.Name)
	set(&w.Description, ch.Description)
	set(&w.URL, ch.URL)
	set(&w.Active, ch.Active)
	if ch.Events != nil {
		w.Events = once(ch.Events)
	}
	w.UpdatedAt = s.d.Clock.Now()
	if ch.Secret != nil {
		return s.seal(w, *ch.Secret)
	}
	return nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Delete removes a webhook; what was not delivered yet is not sent.
func (s *Service) Delete(ctx context.Context, hookID string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return remove(ctx, tx, hookID) })
}

// NamesInWorkspace lists the names of a workspace's webhooks.
func (s *Service) NamesInWorkspace(ctx context.Context, workspace string) ([]string, error) {
	return s.names(ctx, workspace)
}

// MoveWorkspace puts all webhooks of a workspace into another.
func (s *Service) MoveWorkspace(ctx context.Context, from, to string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return moveWorkspace(tx, from, to) })
}

// PurgeWorkspace removes all webhooks of a workspace.
func (s *Service) PurgeWorkspace(ctx context.Context, workspace string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return removeWorkspace(tx, workspace) })
}
