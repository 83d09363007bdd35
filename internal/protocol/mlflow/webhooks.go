package mlflow

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/webhook"
)

func (e *Edge) webhookRoutes(at registrar) {
	const p = "/2.0/mlflow/webhooks"
	at("POST", p, webhookWrite, call(e, e.createWebhook))
	at("GET", p, webhookRead, call(e, e.listWebhooks))
	at("GET", p+"/{webhook_id}", webhookRead, call(e, e.getWebhook))
	at("PATCH", p+"/{webhook_id}", webhookWrite, call(e, e.updateWebhook))
	at("DELETE", p+"/{webhook_id}", webhookWrite, call(e, e.deleteWebhook))
	at("POST", p+"/{webhook_id}/test", webhookWrite, call(e, e.testWebhook))
}

// enum is a protobuf enum by name or number; names[i] is number i.
func enum(b []byte, names []string) string {
	text := string(bytes.Trim(b, `"`))
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n < len(names) {
		return names[n]
	}
	return text
}

type (
	hookEntity string
	hookAction string
	hookStatus string
)

// UnmarshalJSON accepts the name or protobuf's number.
func (v *hookEntity) UnmarshalJSON(b []byte) error {
	*v = hookEntity(enum(b, []string{"", "REGISTERED_MODEL", "MODEL_VERSION", "MODEL_VERSION_TAG", "MODEL_VERSION_ALIAS", "PROMPT", "PROMPT_VERSION",
		"PROMPT_TAG", "PROMPT_VERSION_TAG", "PROMPT_ALIAS", "BUDGET_POLICY"}))
	return nil
}

// UnmarshalJSON accepts the name or protobuf's number.
func (v *hookAction) UnmarshalJSON(b []byte) error {
	*v = hookAction(enum(b, []string{"", "CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED"}))
	return nil
}

// UnmarshalJSON accepts the name or protobuf's number.
func (v *hookStatus) UnmarshalJSON(b []byte) error {
	*v = hookStatus(enum(b, []string{"", "ACTIVE", "DISABLED"}))
	return nil
}

// active reads a status; nil when there is none.
func (v hookStatus) active() (*bool, error) {
	switch v {
	case "", "null":
		return nil, nil
	case "ACTIVE", "DISABLED":
		on := v == "ACTIVE"
		return &on, nil
	}
	return nil, errs.Invalidf("mlflow.webhook", "Invalid webhook status %.40q", string(v)).WithField("status", "expected ACTIVE or DISABLED")
}

type hookEvent struct {
	Entity hookEntity `json:"entity"`
	Action hookAction `json:"action"`
}

func (h hookEvent) event() webhook.Event {
	return webhook.Event(strings.ToLower(string(h.Entity) + "." + string(h.Action)))
}

func eventsOf(in []hookEvent) []webhook.Event {
	if len(in) == 0 {
		return nil
	}
	out := make([]webhook.Event, len(in))
	for i, h := range in {
		out[i] = h.event()
	}
	return out
}

type hook struct {
	ID          string      `json:"webhook_id"`
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	URL         string      `json:"url"`
	Events      []hookEvent `json:"events"`
	Status      string      `json:"status"`
	Created     integer     `json:"creation_timestamp"`
	Updated     integer     `json:"last_updated_timestamp"`
}

func fromWebhook(w webhook.Webhook) hook {
	out := hook{ID: w.ID, Name: w.Name, Description: w.Description, URL: w.URL, Status: "DISABLED", Created: ms(w.CreatedAt), Updated: ms(w.UpdatedAt)}
	if w.Active {
		out.Status = "ACTIVE"
	}
	for _, e := range w.Events {
		out.Events = append(out.Events, hookEvent{hookEntity(strings.ToUpper(e.Entity())), hookAction(strings.ToUpper(e.Action()))})
	}
	return out
}

type hookReply struct {
	Webhook hook `json:"webhook"`
}

func (e *Edge) createWebhook(ctx context.Context, in *struct {
	Name        string      `json:"name"`
	Description string      `json:"description"`
	URL         string      `json:"url"`
	Events      []hookEvent `json:"events"`
	Secret      string      `json:"secret"`
	Status      hookStatus  `json:"status"`
}) (hookReply, error) {
	switch {
	case in.Name == "":
		return hookReply{}, missing("name")
	case in.URL == "":
		return hookReply{}, missing("url")
	case len(in.Events) == 0:
		return hookReply{}, missing("events")
	}
	on, err := in.Status.active()
	if err != nil {
		return hookReply{}, err
	}
	w, err := e.d.Webhooks.Create(ctx, webhook.NewWebhook{Name: in.Name, Description: in.Description, URL: in.URL, Secret: in.Secret, Events: eventsOf(in.Events),
		Disabled: on != nil && !*on})
	return hookReply{fromWebhook(w)}, err
}

type hooksReply struct {
	Webhooks []hook `json:"webhooks,omitempty"`
	Next     string `json:"next_page_token,omitempty"`
}

func (e *Edge) listWebhooks(ctx context.Context, in *struct {
	Max       integer `json:"max_results"`
	PageToken string  `json:"page_token"`
}) (hooksReply, error) {
	if err := checkMax(in.Max, webhook.MaxPage); err != nil {
		return hooksReply{}, err
	}
	all, next, err := e.d.Webhooks.List(ctx, int(in.Max), in.PageToken)
	out := hooksReply{Next: next}
	for _, w := range all {
		out.Webhooks = append(out.Webhooks, fromWebhook(w))
	}
	return out, err
}

type hookID struct {
	ID string `json:"-" path:"webhook_id"`
}

func (e *Edge) getWebhook(ctx context.Context, in *hookID) (hookReply, error) {
	w, err := e.d.Webhooks.Get(ctx, in.ID)
	return hookReply{fromWebhook(w)}, err
}

// updateWebhook changes what the client sent; an empty name or URL is as good as none, an empty secret takes the signature away.
func (e *Edge) updateWebhook(ctx context.Context, in *struct {
	ID          string      `json:"-" path:"webhook_id"`
	Name        *string     `json:"name"`
	Description *string     `json:"description"`
	URL         *string     `json:"url"`
	Events      []hookEvent `json:"events"`
	Secret      *string     `json:"secret"`
	Status      hookStatus  `json:"status"`
}) (hookReply, error) {
	on, err := in.Status.active()
	if err != nil {
		return hookReply{}, err
	}
	ch := webhook.Change{Name: notEmpty(in.Name), Description: in.Description, URL: notEmpty(in.URL), Secret: in.Secret, Events: eventsOf(in.Events), Active: on}
	w, err := e.d.Webhooks.Update(ctx, in.ID, ch)
	return hookReply{fromWebhook(w)}, err
}

func notEmpty(s *string) *string {
	if s != nil && *s == "" {
		return nil
	}
	return s
}

func (e *Edge) deleteWebhook(ctx context.Context, in *hookID) (none, error) {
	return none{}, e.d.Webhooks.Delete(ctx, in.ID)
}

type hookTest struct {
	Result struct {
		Success bool   `json:"success"`
		Status  int    `json:"response_status,omitempty"`
		Body    string `json:"response_body,omitempty"`
		Error   string `json:"error_message,omitempty"`
	} `json:"result"`
}

func (e *Edge) testWebhook(ctx context.Context, in *struct {
	ID    string     `json:"-" path:"webhook_id"`
	Event *hookEvent `json:"event"`
}) (hookTest, error) {
	var out hookTest
	var kind webhook.Event
	if in.Event != nil {
		kind = in.Event.event()
	}
	r, err := e.d.Webhooks.Test(ctx, in.ID, kind)
	out.Result.Success, out.Result.Status, out.Result.Body, out.Result.Error = r.Success, r.Status, r.Body, r.Error
	return out, err
}
