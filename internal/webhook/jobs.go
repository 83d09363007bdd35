package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/egress"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

const (
	jobDeliver  = "webhook.deliver"
	maxAttempts = 10
	callTimeout = 30 * time.Second // MLflow's
	maxAnswer   = 4 << 10          // bytes of an answer that a test shows
)

// Subscribe registers what is heard and the job that delivers.
func (s *Service) Subscribe() {
	s.d.Events.Listen(events.Listener{Name: "webhook.registry", Handle: s.onRegistry,
		Types: []string{"registry.model.created", "registry.version.created", "registry.tag.*", "registry.alias.*"}})
	s.d.Jobs.Handle(jobDeliver, s.deliver, jobs.Options{MaxAttempts: maxAttempts, Timeout: time.Minute})
}

// delivery is the payload of the job.
type delivery struct {
	Webhook string `json:"webhook"`
	ID      string `json:"id"` // the same at every attempt
	Event   Event  `json:"event"`
	Body    string `json:"body"`
}

// body is what MLflow sends.
func body(e Event, at time.Time, data map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{"entity": e.Entity(), "action": e.Action(), "timestamp": at.UTC().Format("2006-01-02T15:04:05.000000+00:00"), "data": data})
}

// onRegistry writes a job for each webhook that asked for the event.
func (s *Service) onRegistry(ctx context.Context, e events.Event) error {
	var about heard
	if err := e.Decode(&about); err != nil {
		return err
	}
	workspace, _ := space.Split(about.Model)
	hooks, err := s.list(ctx, workspace, MaxWebhooks, "")
	if err != nil || len(hooks) == 0 {
		return err
	}
	kind, data, err := s.translate(ctx, e)
	if err != nil || kind == "" {
		return err
	}
	hooks = slices.DeleteFunc(hooks, func(w Webhook) bool { return !w.Active || !slices.Contains(w.Events, kind) })
	if len(hooks) == 0 {
		return nil
	}
	text, err := body(kind, e.At, data)
	if err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, w := range hooks {
			d := delivery{Webhook: w.ID, ID: uuid.NewSHA1(uuid.NameSpaceOID, []byte(w.ID+e.ID)).String(), Event: kind, Body: string(text)}
			if err := s.d.Jobs.Enqueue(tx, jobs.New{Kind: jobDeliver, Group: "mlflow-webhook:" + w.ID, Key: d.ID, Payload: d}); err != nil {
				return err
			}
		}
		return nil
	})
}

// deliver makes one attempt; the queue repeats it while repeating can help.
func (s *Service) deliver(ctx context.Context, j jobs.Job) error {
	var d delivery
	if err := json.Unmarshal(j.Payload, &d); err != nil {
		return errs.E(errs.Invalid, "webhook.deliver", "payload", err)
	}
	w, err := s.find(ctx, d.Webhook)
	if errs.Is(err, errs.NotFound) || (err == nil && !w.Active) {
		return nil // deleted or switched off meanwhile
	}
	if err != nil {
		return err
	}
	status, _, err := s.call(ctx, w, d.ID, []byte(d.Body))
	switch {
	case err != nil:
		err = errs.E(errs.Unavailable, "webhook.deliver", "webhook "+w.Name+": "+egress.Reason(err), nil)
	case status == http.StatusTooManyRequests, status >= 500:
		err = errs.E(errs.Unavailable, "webhook.deliver", fmt.Sprintf("webhook %s answered %d", w.Name, status), nil)
	case status >= 300: // saying it again would change nothing
		err = errs.E(errs.Precondition, "webhook.deliver", fmt.Sprintf("webhook %s answered %d", w.Name, status), nil)
	}
	if err != nil {
		s.m.deliveries.WithLabelValues("failed").Inc()
		return err
	}
	s.m.deliveries.WithLabelValues("delivered").Inc()
	return nil
}

// call posts once and gives the status and the beginning of the answer.
func (s *Service) call(ctx context.Context, w Webhook, deliveryID string, text []byte) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(text))
	if err != nil {
		return 0, "", err
	}
	stamp := strconv.FormatInt(s.d.Clock.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-MLflow-Delivery-Id", deliveryID)
	req.Header.Set("X-MLflow-Timestamp", stamp)
	if len(w.sealed) > 0 {
		key, err := s.key.Open(w.ID, w.sealed)
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("X-MLflow-Signature", Sign(key, deliveryID, stamp, text))
	}
	resp, err := s.d.Egress.Client(callTimeout).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, printable(answer), nil
}

// printable is an answer as text; what was cut in the middle of a character, or is no text, is replaced.
func printable(b []byte) string {
	return strings.ToValidUTF8(string(b), string(utf8.RuneError))
}

// Sign is MLflow's signature: "v1," and the base64 HMAC-SHA256 of "delivery id.timestamp.body" under the secret.
func Sign(secret, deliveryID, timestamp string, text []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(deliveryID + "." + timestamp + "."))
	mac.Write(text)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestResult tells how a test went.
type TestResult struct {
	Success bool
	Status  int    // 0 when there was no answer
	Body    string // the beginning of the answer
	Error   string
}

// Test calls a webhook once, now, with MLflow's example of an event ("" for the first that it asks for).
func (s *Service) Test(ctx context.Context, hookID string, e Event) (TestResult, error) {
	w, err := s.find(ctx, hookID)
	if err != nil {
		return TestResult{}, err
	}
	if e == "" {
		e = w.Events[0]
	}
	var c errs.Collector
	checkEvents(&c, []Event{e})
	if err := c.Err("webhook.test", "the webhook cannot be tested"); err != nil {
		return TestResult{}, err
	}
	text, err := body(e, s.d.Clock.Now(), example(e))
	if err != nil {
		return TestResult{}, err
	}
	status, answer, err := s.call(ctx, w, uuid.NewString(), text)
	if err != nil {
		return TestResult{Error: "Failed to test webhook: " + egress.Reason(err)}, nil
	}
	return TestResult{Success: status < 400, Status: status, Body: answer}, nil
}
