package tracking

import (
	"context"
	"time"

	"github.com/modelyard/modelyard/internal/platform/filter"
)

// The bounds of Warm.
const (
	warmExperiments = 8
	warmKeys        = 32 // per experiment: metrics, and as many parameters
	warmShare       = 4  // of the index's memory, at most one part in so many
	warmTime        = 30 * time.Second
	warmPause       = 300 * time.Millisecond // without a search, before another column is read
)

// Warm loads the experiments that were used last into the search index, so that the first search after a start need not wait. It is
// background work: it ends by itself, or with ctx. Searches take turns with it column by column, and while they come it reads none: one of a
// million runs takes a second or more.
func (s *Service) Warm(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	err := s.warm(limited)
	if err != nil && limited.Err() == nil {
		s.d.Log.Warn("the search index was not warmed", "error", err)
	}
	return nil // a search loads what is missing
}

func (s *Service) warm(ctx context.Context) error {
	exps, err := s.st.recentExperiments(ctx, warmExperiments)
	if err != nil {
		return err
	}
	for _, exp := range exps {
		keys, err := s.experimentKeys(ctx, exp)
		if err != nil {
			return err
		}
		for _, e := range []filter.Entity{filter.Metric, filter.Param} {
			for i, key := range sortedKeys(keys[e]) {
				if i == warmKeys || s.st.index.size() > s.st.index.limit/warmShare {
					break
				}
				if err := s.calm(ctx); err != nil {
					return err
				}
				sh, err := s.st.index.open(ctx, exp, []filter.Ref{{Entity: e, Key: key}})
				if err != nil {
					return err
				}
				s.st.index.close(sh)
			}
		}
	}
	return nil
}

// calm waits until no search came for a while.
func (s *Service) calm(ctx context.Context) error {
	for {
		left := warmPause - time.Since(time.Unix(0, s.searched.Load()))
		if left <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(left):
		}
	}
}

// experimentKeys gives the distinct keys of the metrics, parameters and tags of an experiment's runs. A tag that was deleted from the last
// run may still be among them.
func (s *Service) experimentKeys(ctx context.Context, exp int64) (map[filter.Entity]map[string]bool, error) {
	sh, err := s.st.index.open(ctx, exp, nil)
	if err != nil {
		return nil, err
	}
	defer s.st.index.close(sh)
	if sh.keys == nil {
		keys, err := s.st.loadKeys(ctx, exp)
		if err != nil {
			return nil, err
		}
		sh.keys = keys
		sh.drain()
	}
	out := make(map[filter.Entity]map[string]bool, len(sh.keys))
	for e, keys := range sh.keys {
		out[e] = make(map[string]bool, len(keys))
		for k := range keys {
			out[e][k] = true
		}
	}
	return out, nil
}
