package alert

import (
	"context"
	"embed"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/egress"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/platform/secret"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "alert", FS: migrations} }

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Jobs    *jobs.Queue
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	DataDir string        // keys/webhook.key lies below it
	Egress  egress.Policy // which addresses webhooks may call
}

// Service keeps alerts and sends webhooks.
type Service struct {
	d  Deps
	st store
	m  metrics
	k  *secret.Key // set by Start
}

// New makes the service.
func New(d Deps) *Service {
	s := &Service{d: d, st: store{d.DB}}
	s.m = newMetrics(d.Metrics, s.st)
	return s
}

// Start reads or makes the key that webhook secrets are encrypted with.
func (s *Service) Start(context.Context) (err error) {
	s.k, err = secret.OpenKey(s.d.DataDir, "webhook.key")
	return err
}

// Raise opens an alert, or counts a repeat on the one that is open. It returns the alert.
func (s *Service) Raise(ctx context.Context, r Raise) (Alert, error) {
	var out Alert
	err := s.d.DB.Write(ctx, func(tx *db.Tx) (err error) {
		out, err = s.raise(ctx, tx, r)
		return err
	})
	return out, err
}

func (s *Service) raise(ctx context.Context, tx *db.Tx, r Raise) (Alert, error) {
	if r.Subject == "" {
		r.Subject = r.Endpoint
	}
	if r.Features == nil {
		r.Features = []Feature{}
	}
	r.Features = r.Features[:min(len(r.Features), maxFeatures)]
	have, err := unresolved(tx, r.Subject, r.Kind)
	if err != nil {
		return Alert{}, err
	}
	heard, err := heardUpTo(tx, r.Subject, r.Kind)
	if err != nil {
		return Alert{}, err
	}
	if r.Seq != 0 && r.Seq <= heard {
		if have != nil {
			return *have, nil
		}
		return Alert{}, nil
	}
	now := s.d.Clock.Now()
	if have != nil { // the story so far stays; what is newest is shown
		have.Count++
		have.LastAt, have.Reason, have.Features, have.lastSeq = now, clip(r.Reason), r.Features, max(have.lastSeq, r.Seq)
		if r.WindowID != "" {
			have.WindowID = r.WindowID
		}
		if !r.EventTime.IsZero() {
			have.EventTime = &r.EventTime
		}
		return *have, put(tx, *have)
	}
	a := Alert{ID: id.New(), Kind: r.Kind, Severity: severityOf(r.Kind), State: Open, Subject: r.Subject, Endpoint: r.Endpoint, Title: clip(r.Title),
		Reason: clip(r.Reason), Features: r.Features, WindowID: r.WindowID, OpenedAt: now, LastAt: now, Count: 1, lastSeq: r.Seq}
	if !r.EventTime.IsZero() {
		a.EventTime = &r.EventTime
	}
	if err := put(tx, a); err != nil {
		return a, err
	}
	return a, s.tell(ctx, tx, "alert.opened", a)
}

// Clear resolves the open alert of a subject and kind, if there is one, because its cause is gone. seq is the number of the event that
// tells it (0: none).
func (s *Service) Clear(ctx context.Context, subject, kind, reason string, seq int64) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		a, err := unresolved(tx, subject, kind)
		if err != nil || a == nil || (seq != 0 && seq <= a.lastSeq) {
			return err
		}
		a.lastSeq = max(a.lastSeq, seq)
		return s.resolve(ctx, tx, a, reason)
	})
}

func (s *Service) resolve(ctx context.Context, tx *db.Tx, a *Alert, reason string) error {
	now := s.d.Clock.Now()
	a.State, a.ResolvedAt, a.ResolvedBy, a.ResolvedReason = Resolved, &now, actor.From(ctx).String(), clip(reason)
	if err := put(tx, *a); err != nil {
		return err
	}
	return s.tell(ctx, tx, "alert.resolved", *a)
}

// Acknowledge notes that somebody looks after an open alert. Kinds: NotFound, Precondition when it is resolved, Invalid.
func (s *Service) Acknowledge(ctx context.Context, alertID, note string) (Alert, error) {
	return s.change(ctx, alertID, note, func(tx *db.Tx, a *Alert) error {
		if a.State == Acknowledged {
			return nil
		}
		now := s.d.Clock.Now()
		a.State, a.AcknowledgedAt, a.AcknowledgedBy, a.Note = Acknowledged, &now, actor.From(ctx).String(), note
		if err := put(tx, *a); err != nil {
			return err
		}
		return s.tell(ctx, tx, "alert.acknowledged", *a)
	})
}

// Resolve closes an alert by hand. Kinds: NotFound, Precondition when it is resolved already, Invalid.
func (s *Service) Resolve(ctx context.Context, alertID, note string) (Alert, error) {
	return s.change(ctx, alertID, note, func(tx *db.Tx, a *Alert) error {
		reason := note
		if reason == "" {
			reason = "resolved by hand"
		}
		return s.resolve(ctx, tx, a, reason)
	})
}

func (s *Service) change(ctx context.Context, alertID, note string, fn func(*db.Tx, *Alert) error) (Alert, error) {
	var a Alert
	if err := checkNote(note); err != nil {
		return a, err
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) (err error) {
		if a, err = byID(tx, alertID); err != nil {
			return err
		}
		if a.State == Resolved {
			return errs.E(errs.Precondition, "alert.change", "the alert is resolved already", nil).WithHint("a new one opens if it happens again")
		}
		return fn(tx, &a)
	})
	return a, err
}

// told is the data of alert.* events.
type told struct {
	AlertID   string     `json:"alert_id"`
	Endpoint  string     `json:"endpoint"`
	Subject   string     `json:"subject"`
	Kind      string     `json:"kind"`
	Severity  Severity   `json:"severity"`
	Title     string     `json:"title"`
	Reason    string     `json:"reason"`
	WindowID  string     `json:"window_id,omitempty"`
	EventTime *time.Time `json:"event_time,omitempty"`
	Features  []Feature  `json:"features"`
	By        string     `json:"by,omitempty"`
	Note      string     `json:"note,omitempty"`
	Count     int64      `json:"count"`
}

func (s *Service) tell(ctx context.Context, tx *db.Tx, typ string, a Alert) error {
	d := told{AlertID: a.ID, Endpoint: a.Endpoint, Subject: a.Subject, Kind: a.Kind, Severity: a.Severity, Title: a.Title, Reason: a.Reason, WindowID: a.WindowID,
		EventTime: a.EventTime, Features: a.Features, Count: a.Count}
	switch typ {
	case "alert.acknowledged":
		d.By, d.Note = a.AcknowledgedBy, a.Note
	case "alert.resolved":
		d.By, d.Note, d.Reason = a.ResolvedBy, a.Note, a.ResolvedReason
	}
	return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "alert", ID: a.ID}, d)
}

// Get reads an alert. Kinds: NotFound.
func (s *Service) Get(ctx context.Context, alertID string) (Alert, error) {
	return s.st.get(ctx, alertID)
}

// Query chooses alerts; empty fields do not. State "active" means not resolved.
type Query struct {
	State, Endpoint, Kind string
	Limit                 int // 1 to 500; 0: 100
	PageToken             string
}

// List gives alerts, newest first, and the token of the next page.
func (s *Service) List(ctx context.Context, q Query) ([]Alert, string, error) {
	if q.State != "" && q.State != "active" && !State(q.State).Valid() {
		return nil, "", errs.Invalidf("alert.list", "the filter cannot be read").WithField("state", "expected open, acknowledged, resolved or active")
	}
	before := ""
	if err := page.Decode(q.PageToken, &before); err != nil {
		return nil, "", err
	}
	limit := page.Limit(q.Limit, 100, 500)
	q.Limit = limit + 1
	items, err := s.st.list(ctx, q, before)
	if err != nil || len(items) <= limit {
		return items, "", err
	}
	return items[:limit], page.Encode(items[limit-1].ID), nil
}

// OpenCount is the number of alerts that are not resolved.
func (s *Service) OpenCount(ctx context.Context) (int64, error) {
	counts, err := s.st.openCounts(ctx)
	n := int64(0)
	for _, c := range counts {
		n += c.n
	}
	return n, err
}

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "") + "…"
}
