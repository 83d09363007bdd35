package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/egress"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/page"
)

// The bounds of webhooks.
const (
	MaxWebhooks    = 50
	maxSecret      = 256
	minSecret      = 16
	maxAttempts    = 12 // with the queue's back-off about 20 minutes
	callTimeout    = 10 * time.Second
	keepDeliveries = 500 // entries of the log, per webhook
	maxDrain       = 64 << 10
)

const jobDeliver = "alert.deliver"

// Webhook is an address that is told of events.
type Webhook struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	Events    []string  `json:"events"` // types, or their beginnings: "alert.*"
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	Secret    string    `json:"secret,omitempty"` // only in the answer to its creation, and only if we made it

	sealed []byte
}

// DeliveryState is where a delivery is.
type DeliveryState string

// The states of a delivery.
const (
	Pending   DeliveryState = "pending" // to be tried, or tried again
	Delivered DeliveryState = "delivered"
	GaveUp    DeliveryState = "failed"
)

// Delivery is one entry of a webhook's log. What the other side answered is not kept, only its status.
type Delivery struct {
	ID           string        `json:"id"`
	WebhookID    string        `json:"webhook_id"`
	EventID      string        `json:"event"`
	Type         string        `json:"type"`
	State        DeliveryState `json:"state" enum:"pending,delivered,failed"`
	Status       int           `json:"status,omitempty"` // HTTP status of the last attempt
	Attempt      int           `json:"attempt"`
	Error        string        `json:"error,omitempty"`
	Milliseconds int64         `json:"milliseconds,omitempty"`
	CreatedAt    time.Time     `json:"created_at"`
	At           time.Time     `json:"at"` // of the last attempt

	body string
}

// tellable are the events that webhooks can ask for.
func tellable() []string {
	return []string{"alert.*", "lifecycle.*", "pipeline.run.*", "evaluation.gate.*", "registry.alias.*", "registry.version.created", "routing.route.changed",
		"serving.endpoint.*", "serving.version.failed", "dataset.version.*"}
}

func covers(pattern, typ string) bool {
	if p, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(typ, p)
	}
	return pattern == typ
}

func canTell(pattern string) bool {
	return slices.ContainsFunc(tellable(), func(t string) bool { return covers(t, strings.TrimSuffix(pattern, "*")) || t == pattern })
}

// CreateWebhook adds an address to tell. Without events it hears of alerts; without a secret one is made and returned this once.
// Kinds: Invalid, Exhausted.
func (s *Service) CreateWebhook(ctx context.Context, url string, types []string, secret string) (Webhook, error) {
	if err := egress.CheckURL("url", url); err != nil {
		return Webhook{}, err
	}
	var c errs.Collector
	if len(types) == 0 {
		types = []string{"alert.*"}
	}
	if len(types) > 20 {
		c.Add("events", "expected at most 20")
	}
	for _, t := range types {
		if !canTell(t) {
			c.Add("events", "%q cannot be told: expected types below %s", t, strings.Join(tellable(), ", "))
		}
	}
	if secret != "" && (len(secret) < minSecret || len(secret) > maxSecret) {
		c.Add("secret", "expected %d to %d characters, or none to have one made", minSecret, maxSecret)
	}
	if err := c.Err("alert.create_webhook", "the webhook cannot be made"); err != nil {
		return Webhook{}, err
	}
	h := Webhook{ID: id.New(), URL: url, Events: types, CreatedAt: s.d.Clock.Now(), CreatedBy: actor.From(ctx).String()}
	if secret == "" {
		secret = rand.Text()
		h.Secret = secret
	}
	var err error
	if h.sealed, err = s.k.Seal(h.ID, secret); err != nil {
		return Webhook{}, err
	}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		n, err := countHooks(tx)
		if err != nil {
			return err
		}
		if n >= MaxWebhooks {
			return errs.E(errs.Exhausted, "alert.create_webhook", fmt.Sprintf("there are %d webhooks, no more are kept", n), nil).WithHint("delete one that is not needed")
		}
		return insertHook(tx, h)
	})
	return h, err
}

// Webhooks lists the addresses that are told, without their secrets.
func (s *Service) Webhooks(ctx context.Context) ([]Webhook, error) { return s.st.hooks(ctx) }

// DeleteWebhook removes an address and its log. Kinds: NotFound.
func (s *Service) DeleteWebhook(ctx context.Context, hookID string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return deleteHook(tx, hookID) })
}

// Deliveries is the log of a webhook, newest first. Kinds: NotFound.
func (s *Service) Deliveries(ctx context.Context, hookID string, limit int) ([]Delivery, error) {
	if _, err := s.st.hook(ctx, hookID); err != nil {
		return nil, err
	}
	return s.st.deliveries(ctx, hookID, page.Limit(limit, 100, keepDeliveries))
}

// message is the body that is sent.
type message struct {
	ID       string          `json:"id"` // of the event; the same at every attempt
	Type     string          `json:"type"`
	Time     time.Time       `json:"time"`
	Actor    string          `json:"actor"`
	Resource events.Resource `json:"resource"`
	Data     json.RawMessage `json:"data"`
}

// onTellable writes a delivery for each webhook that asked for the event, with the job that makes it.
func (s *Service) onTellable(ctx context.Context, e events.Event) error {
	hooks, err := s.st.hooks(ctx)
	if err != nil {
		return err
	}
	hooks = slices.DeleteFunc(hooks, func(h Webhook) bool {
		return !slices.ContainsFunc(h.Events, func(p string) bool { return covers(p, e.Type) })
	})
	if len(hooks) == 0 {
		return nil
	}
	body, err := json.Marshal(message{ID: e.ID, Type: e.Type, Time: e.At, Actor: e.Actor.String(), Resource: e.Resource, Data: e.Data})
	if err != nil {
		return err
	}
	now := s.d.Clock.Now()
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, h := range hooks {
			d := Delivery{ID: id.New(), WebhookID: h.ID, EventID: e.ID, Type: e.Type, State: Pending, CreatedAt: now, body: string(body)}
			added, err := insertDelivery(tx, d)
			if err != nil {
				return err
			}
			if !added {
				continue
			}
			if err := trimDeliveries(tx, h.ID); err != nil {
				return err
			}
			if err := s.d.Jobs.Enqueue(tx, jobs.New{Kind: jobDeliver, Group: "webhook:" + h.ID, Key: d.ID, Payload: deliverJob{d.ID}}); err != nil {
				return err
			}
		}
		return nil
	})
}

type deliverJob struct {
	Delivery string `json:"delivery"`
}

// deliver makes one attempt; a failure is retried by the queue until it gives up.
func (s *Service) deliver(ctx context.Context, j jobs.Job) error {
	var p deliverJob
	if err := json.Unmarshal(j.Payload, &p); err != nil {
		return errs.E(errs.Invalid, "alert.deliver", "payload", err)
	}
	d, err := s.st.delivery(ctx, p.Delivery)
	if errs.Is(err, errs.NotFound) || d.State == Delivered {
		return nil // the webhook was deleted, or a crash came between the delivery and its note in the queue
	}
	if err != nil {
		return err
	}
	h, err := s.st.hook(ctx, d.WebhookID)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.attempt(ctx, h, &d)
	if d.State == Pending && j.Attempt >= j.MaxAttempts {
		d.State = GaveUp
	}
	if err := s.d.DB.Write(ctx, func(tx *db.Tx) error { return updateDelivery(tx, d) }); err != nil {
		return err
	}
	if d.State != Delivered {
		return errs.E(errs.Unavailable, "alert.deliver", "webhook "+h.ID+": "+d.Error, nil)
	}
	return nil
}

// attempt calls the webhook once and notes in d how it went.
func (s *Service) attempt(ctx context.Context, h Webhook, d *Delivery) {
	start := time.Now() // how long the call took, in the machine's time
	status, err := s.call(ctx, h, *d)
	d.Attempt++
	d.Status, d.Milliseconds, d.At, d.Error = status, time.Since(start).Milliseconds(), s.d.Clock.Now(), ""
	switch {
	case err != nil:
		d.Error = egress.Reason(err)
	case status >= 300 && status < 400:
		d.Error = fmt.Sprintf("it answered with a redirect (%d); redirects are not followed", status)
	case status < 200 || status >= 300:
		d.Error = fmt.Sprintf("it answered %d", status)
	default:
		d.State, d.body = Delivered, ""
		s.m.deliveries.WithLabelValues("delivered").Inc()
		return
	}
	s.m.deliveries.WithLabelValues("failed").Inc()
}

func (s *Service) call(ctx context.Context, h Webhook, d Delivery) (int, error) {
	secret, err := s.k.Open(h.ID, h.sealed)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader([]byte(d.body)))
	if err != nil {
		return 0, err
	}
	stamp := strconv.FormatInt(s.d.Clock.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "modelyard-webhook")
	req.Header.Set("X-Modelyard-Event", d.Type)
	req.Header.Set("X-Modelyard-Delivery", d.ID)
	req.Header.Set("X-Modelyard-Timestamp", stamp)
	req.Header.Set("X-Modelyard-Signature", "sha256="+Sign(secret, stamp, []byte(d.body)))
	resp, err := s.d.Egress.Client(callTimeout).Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxDrain))
	return resp.StatusCode, nil
}

// Sign is the hex HMAC-SHA256 of "timestamp.body" under the secret: what X-Modelyard-Signature carries after "sha256=". Receivers
// compare it in constant time and refuse timestamps that are minutes old.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// TestWebhook calls a webhook once, now, with an event of type webhook.test, and tells how it went. Kinds: NotFound.
func (s *Service) TestWebhook(ctx context.Context, hookID string) (Delivery, error) {
	h, err := s.st.hook(ctx, hookID)
	if err != nil {
		return Delivery{}, err
	}
	now := s.d.Clock.Now()
	d := Delivery{ID: id.New(), WebhookID: h.ID, Type: "webhook.test", State: Pending, CreatedAt: now}
	d.EventID = d.ID
	body, err := json.Marshal(message{ID: d.ID, Type: d.Type, Time: now, Actor: actor.From(ctx).String(), Resource: events.Resource{Kind: "webhook", ID: h.ID},
		Data: json.RawMessage(`{"message":"this is a test"}`)})
	if err != nil {
		return Delivery{}, err
	}
	d.body = string(body)
	s.attempt(ctx, h, &d)
	if d.State == Pending {
		d.State = GaveUp // a test is not tried again
	}
	d.body = ""
	return d, s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := insertDelivery(tx, d); err != nil {
			return err
		}
		return trimDeliveries(tx, h.ID)
	})
}
