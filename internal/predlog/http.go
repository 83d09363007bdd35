package predlog

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/page"
)

// Routes registers the routes of predictions and labels.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Get(r, "/api/v1/endpoints/{name}/predictions", "prediction:read", "List predictions, newest first", s.getPredictions)
	httpx.Get(r, "/api/v1/predictions/{id}", "prediction:read", "Read one prediction", s.getPrediction)
	httpx.Get(r, "/api/v1/endpoints/{name}/predictions/archives", "prediction:read", "List the hours that are sealed to Parquet, newest first", s.getArchives)
	r.Handle(http.MethodGet, "/api/v1/endpoints/{name}/predictions/export", "prediction:read", func(w http.ResponseWriter, req *http.Request) {
		if err := s.serveExport(w, req); err != nil {
			r.Error(w, req, err)
		}
	})
	for _, pattern := range []string{"/endpoints/{name}/feedback", "/api/v1/endpoints/{name}/feedback"} {
		r.Handle(http.MethodPost, pattern, "feedback:write", func(w http.ResponseWriter, req *http.Request) {
			res, err := s.postFeedback(req)
			if err != nil {
				r.Error(w, req, err)
				return
			}
			httpx.WriteJSON(w, http.StatusOK, res)
		})
	}
}

type listInput struct {
	Name      string `path:"name"`
	From      string `query:"from" doc:"wall time, RFC 3339"`
	To        string `query:"to" doc:"wall time, RFC 3339"`
	Version   string `query:"version"`
	Role      string `query:"role" doc:"champion, canary, shadow or all; without it shadow scores are left out"`
	Status    string `query:"status" doc:"ok or error"`
	Key       string `query:"key"`
	Labelled  string `query:"labelled" doc:"true or false"`
	Limit     int    `query:"limit" minimum:"0" maximum:"1000"`
	PageSize  int    `query:"page_size" minimum:"0" maximum:"1000"`
	PageToken string `query:"page_token"`
}

type listOutput struct {
	Items         []Prediction `json:"items"`
	NextPageToken string       `json:"next_page_token"`
}

func (in *listInput) filter() (Filter, error) {
	f := Filter{Endpoint: in.Name, Version: in.Version, Role: Role(in.Role), Status: Status(in.Status), Key: in.Key, Limit: max(in.Limit, in.PageSize), PageToken: in.PageToken}
	var c errs.Collector
	for _, t := range []struct {
		name, text string
		to         *time.Time
	}{{"from", in.From, &f.From}, {"to", in.To, &f.To}} {
		if t.text == "" {
			continue
		}
		at, err := ParseTime(t.text)
		if err != nil {
			c.Add(t.name, "%s", err)
		}
		*t.to = at
	}
	switch in.Labelled {
	case "":
	case "true", "false":
		yes := in.Labelled == "true"
		f.Labelled = &yes
	default:
		c.Add("labelled", "expected true or false")
	}
	return f, c.Err("predlog.query", "the filter is not valid")
}

func (s *Service) getPredictions(ctx context.Context, in *listInput) (*listOutput, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	items, token, err := s.Query(ctx, f)
	return &listOutput{items, token}, err
}

type archiveInput struct {
	Name  string `path:"name"`
	Limit int    `query:"limit" minimum:"0" maximum:"1000"`
}

type archiveOutput struct {
	Items         []Archive `json:"items"`
	NextPageToken string    `json:"next_page_token"`
}

func (s *Service) getArchives(ctx context.Context, in *archiveInput) (*archiveOutput, error) {
	items, err := s.Archives(ctx, in.Name, page.Limit(in.Limit, 100, 1000))
	return &archiveOutput{Items: items}, err
}

type idInput struct {
	ID string `path:"id"`
}

func (s *Service) getPrediction(ctx context.Context, in *idInput) (*Prediction, error) {
	p, err := s.Get(ctx, in.ID)
	return &p, err
}

// maxFeedbackBody bounds the body of a feedback request, in bytes.
const maxFeedbackBody = 16 << 20

// postFeedback takes one label, or {"items": [...]}.
func (s *Service) postFeedback(req *http.Request) (FeedbackResult, error) {
	var body struct {
		wireFeedback
		Items *[]wireFeedback `json:"items"`
	}
	if err := httpx.ReadJSON(req, maxFeedbackBody, &body); err != nil {
		return FeedbackResult{}, err
	}
	wire := []wireFeedback{body.wireFeedback}
	if body.Items != nil {
		wire = *body.Items
	}
	items := make([]Feedback, len(wire))
	for i, w := range wire {
		items[i] = Feedback{PredictionID: w.PredictionID, Key: w.key(), Label: w.Label, EventTime: w.eventTime()}
	}
	res, err := s.Feedback(req.Context(), req.PathValue("name"), items)
	if err == nil && body.Items == nil && res.Accepted == 0 && len(res.Errors) == 1 {
		return res, single(res)
	}
	return res, err
}

// single is the error of a request with one label that was not taken.
func single(res FeedbackResult) error {
	e := errs.E(errs.Invalid, "predlog.feedback", "the label was not taken", nil)
	if res.Unknown > 0 {
		e = errs.E(errs.NotFound, "predlog.feedback", "the label was not taken", nil)
	}
	return e.WithField(res.Errors[0].Field, "%s", res.Errors[0].Message)
}

// wireFeedback takes keys and times as text or number.
type wireFeedback struct {
	PredictionID string          `json:"prediction_id"`
	Key          json.RawMessage `json:"key"`
	Label        json.RawMessage `json:"label"`
	EventTime    json.RawMessage `json:"event_time"`
}

func (w wireFeedback) key() string       { return textOf(w.Key) }
func (w wireFeedback) eventTime() string { return textOf(w.EventTime) }

func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}
