package evalset

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// Routes registers the native API.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Get(r, "/api/v1/evaluation-datasets", "evaluation-dataset:read", "List evaluation datasets, newest first", s.listHTTP)
	httpx.Get(r, "/api/v1/evaluation-datasets/{id}", "evaluation-dataset:read", "One evaluation dataset", s.getHTTP)
	httpx.Delete(r, "/api/v1/evaluation-datasets/{id}", "evaluation-dataset:write", "Delete an evaluation dataset with its records", s.deleteHTTP)
	httpx.Get(r, "/api/v1/evaluation-datasets/{id}/records", "evaluation-dataset:read", "The records of an evaluation dataset, oldest first", s.recordsHTTP)
}

type listIn struct {
	Experiment string `query:"experiment_id" maxLength:"100"`
	Filter     string `query:"filter" doc:"for example name LIKE 'qa%' and tags.team = 'search'"`
	PageSize   int    `query:"page_size" minimum:"0" maximum:"1000"`
	PageToken  string `query:"page_token" maxLength:"4096"`
}

type datasetList struct {
	Items []Dataset `json:"items"`
	Next  string    `json:"next_page_token,omitempty"`
}

func (s *Service) listHTTP(ctx context.Context, in *listIn) (*datasetList, error) {
	q := Query{Filter: in.Filter, Limit: in.PageSize, PageToken: in.PageToken}
	if in.Experiment != "" {
		q.ExperimentIDs = []string{in.Experiment}
	}
	ds, next, err := s.Search(ctx, q)
	return &datasetList{ds, next}, err
}

type byID struct {
	ID string `path:"id" maxLength:"100"`
}

func (s *Service) getHTTP(ctx context.Context, in *byID) (*Dataset, error) {
	d, err := s.Get(ctx, in.ID)
	return &d, err
}

func (s *Service) deleteHTTP(ctx context.Context, in *byID) (*httpx.None, error) {
	if _, err := s.Get(ctx, in.ID); err != nil {
		return nil, err
	}
	return nil, s.Delete(ctx, in.ID)
}

type recordsIn struct {
	ID        string `path:"id" maxLength:"100"`
	PageSize  int    `query:"page_size" minimum:"0" maximum:"5000"`
	PageToken string `query:"page_token" maxLength:"4096"`
}

type recordList struct {
	Items []Record `json:"items"`
	Next  string   `json:"next_page_token,omitempty"`
}

func (s *Service) recordsHTTP(ctx context.Context, in *recordsIn) (*recordList, error) {
	rs, next, err := s.Records(ctx, in.ID, in.PageSize, in.PageToken)
	return &recordList{rs, next}, err
}
