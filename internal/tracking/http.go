package tracking

import "github.com/modelyard/modelyard/internal/platform/httpx"

// Routes registers the native API.
func (s *Service) Routes(r *httpx.Router) {}
