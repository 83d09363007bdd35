package tracking

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/page"
)

type searchModelsIn struct {
	Body struct {
		ExperimentIDs []string `json:"experiment_ids" doc:"at least one"`
		Filter        string   `json:"filter,omitempty" doc:"for example metrics.mae < 60 and name LIKE 'bike%'"`
		OrderBy       []string `json:"order_by,omitempty" doc:"for example metrics.mae ASC; the newest first without"`
		PageSize      int      `json:"page_size,omitempty" minimum:"0" maximum:"1000"`
		PageToken     string   `json:"page_token,omitempty"`
	}
}

type modelList struct {
	Items []ModelView `json:"items"`
	Next  string      `json:"next_page_token,omitempty"`
}

func (s *Service) searchModelsHTTP(ctx context.Context, in *searchModelsIn) (*modelList, error) {
	b := in.Body
	models, next, err := s.SearchModels(ctx, Query{ExperimentIDs: b.ExperimentIDs, Filter: b.Filter, OrderBy: b.OrderBy, Limit: page.Limit(b.PageSize, 100, 1000), PageToken: b.PageToken})
	if err != nil {
		return nil, err
	}
	out := &modelList{Items: make([]ModelView, len(models)), Next: next}
	for i, m := range models {
		out.Items[i] = viewModel(m)
	}
	return out, nil
}
