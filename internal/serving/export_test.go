package serving

import (
	"maps"
	"slices"
)

// Loaded names the versions that are in memory for an endpoint.
func (s *Service) Loaded(endpoint string) []string {
	st := s.stateOf(endpoint)
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Sorted(maps.Keys(st.loaded))
}
