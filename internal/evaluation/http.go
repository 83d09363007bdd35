package evaluation

import (
	"context"
	"encoding/json"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
)

type handlers struct{ s *Service }

// Routes registers the native API of gates.
func (s *Service) Routes(r *httpx.Router) {
	h := handlers{s}
	httpx.Post(r, "/api/v1/gates/check", "gate:check", "Judge a model version by a gate", h.check)
	httpx.Get(r, "/api/v1/gates/results", "gate:read", "List gate results, newest first", h.results)
	httpx.Get(r, "/api/v1/gates/results/{id}", "gate:read", "One gate result", h.result)
}

type checkInput struct {
	Body struct {
		Gate        json.RawMessage `json:"gate" doc:"the gate as an object, or as a string that holds its YAML"`
		Model       string          `json:"model"`
		Version     string          `json:"version" doc:"a version number"`
		AliasOnPass string          `json:"alias_on_pass,omitempty" doc:"the alias to move to this version when it passes"`
	}
}

func (h handlers) check(ctx context.Context, in *checkInput) (*Result, error) {
	text := []byte(in.Body.Gate)
	if len(text) > 0 && text[0] == '"' {
		var yaml string
		if err := json.Unmarshal(text, &yaml); err != nil {
			return nil, errs.E(errs.Invalid, "evaluation.gate", "the gate is not valid", err)
		}
		text = []byte(yaml)
	}
	gate, err := ParseGate(text)
	if err != nil {
		return nil, err
	}
	r, err := h.s.Check(ctx, CheckRequest{Gate: gate, Model: in.Body.Model, Version: in.Body.Version, AliasOnPass: in.Body.AliasOnPass})
	return &r, err
}

type resultsInput struct {
	Model     string `query:"model"`
	Version   string `query:"version"`
	PageSize  int    `query:"page_size" minimum:"0" maximum:"500"`
	PageToken string `query:"page_token"`
}

// Results is one page of results.
type Results struct {
	Items         []Result `json:"items"`
	NextPageToken string   `json:"next_page_token"`
}

func (h handlers) results(ctx context.Context, in *resultsInput) (*Results, error) {
	rs, next, err := h.s.Results(ctx, in.Model, in.Version, in.PageSize, in.PageToken)
	return &Results{rs, next}, err
}

func (h handlers) result(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*Result, error) {
	r, err := h.s.Result(ctx, in.ID)
	return &r, err
}
