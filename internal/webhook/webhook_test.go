package webhook

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/egress"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

func newService(t *testing.T, d *db.DB) *Service {
	t.Helper()
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	c := clock.NewFake(time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC))
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: c, Log: slog.New(slog.DiscardHandler)})
	ev := events.NewLog(events.Deps{DB: d, Jobs: q, Clock: c, Log: slog.New(slog.DiscardHandler)})
	s := New(Deps{DB: d, Events: ev, Jobs: q, Clock: c, DataDir: t.TempDir(), Egress: egress.Policy{},
		Model: func(context.Context, string) (Model, error) { return Model{}, errs.NotFoundf("test", "gone") },
		Version: func(context.Context, string, string) (Version, error) {
			return Version{}, errs.NotFoundf("test", "gone")
		}})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Subscribe()
	return s
}

func TestWebhooksAreKept(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		a, err := s.Create(t.Context(), NewWebhook{Name: "a", URL: "https://example.com/", Secret: "s3cret", Events: []Event{ModelCreated, ModelCreated}})
		if err != nil || len(a.Events) != 1 {
			t.Fatalf("%v %v", a, err)
		}
		b, err := s.Create(t.Context(), NewWebhook{Name: "b", URL: "https://example.com/", Events: []Event{PromptCreated}, Disabled: true})
		if err != nil || b.Active {
			t.Fatalf("%v %v", b, err)
		}
		var text string
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM mlflow_webhook WHERE secret = ?", []byte("s3cret")).Scan(&text); err != nil || text != "0" {
			t.Errorf("the secret lies there as it is: %s %v", text, err)
		}
		page, next, err := s.List(t.Context(), 1, "")
		if err != nil || len(page) != 1 || page[0].ID != b.ID || next == "" {
			t.Errorf("%v %q %v", page, next, err)
		}
		if page, next, err = s.List(t.Context(), 1, next); err != nil || len(page) != 1 || page[0].ID != a.ID || next != "" {
			t.Errorf("%v %q %v", page, next, err)
		}
		none, on := "", true
		if b, err = s.Update(t.Context(), b.ID, Change{Secret: &none, Active: &on, Events: []Event{ModelCreated}}); err != nil || !b.Active || b.Name != "b" {
			t.Errorf("%v %v", b, err)
		}
		e := events.Event{ID: "e1", Type: "registry.model.created", At: time.Unix(0, 0), Data: []byte(`{"model":"gone meanwhile"}`)}
		for range 2 { // events are heard at least once
			if err := s.onRegistry(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		waiting, err := s.d.Jobs.List(t.Context(), jobs.Ready, 10)
		if err != nil || len(waiting) != 2 || !strings.Contains(string(waiting[0].Payload), "gone meanwhile") {
			t.Errorf("%d deliveries wait, want one for each webhook: %v %v", len(waiting), waiting, err)
		}
		if err := s.Delete(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		for _, j := range waiting {
			err := s.deliver(t.Context(), j)
			if strings.Contains(string(j.Payload), a.ID) && err != nil {
				t.Errorf("to a webhook that is gone: %v", err)
			}
		}
		if _, err := s.Get(t.Context(), a.ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("%v", err)
		}
	})
}

func TestSignatureIsMLflows(t *testing.T) {
	t.Parallel()
	// made with mlflow.webhooks.delivery._generate_hmac_signature("key", "id", "123", '{"a": 1}') of MLflow 3.17.2
	const want = "v1,QV1bOSZLmFzpJBf3t6C+mG/KLsaGguZtzWZzLoCw4w0="
	if got := Sign("key", "id", "123", []byte(`{"a": 1}`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
