package scorer

import (
	"context"
	"embed"
	"encoding/json"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "scorer", FS: migrations} }

// The bounds of scorers.
const (
	MaxName     = 500       // bytes
	MaxBody     = 1 << 20   // bytes of a description
	maxVersions = 1_000_000 // of one scorer
	maxListed   = 10_000
)

// Version is one version of a scorer.
type Version struct {
	ScorerID     string
	ExperimentID string
	Name         string
	Number       int64
	Body         string // JSON, as the client wrote it
	CreatedAt    time.Time
}

// Service keeps scorers. Errors are of kind Invalid, NotFound or Exhausted unless the store itself fails.
type Service struct {
	db    *db.DB
	clock clock.Clock
}

// New makes the service.
func New(d *db.DB, c clock.Clock) *Service { return &Service{d, c} }

// Register adds the next version of a scorer. That the experiment is there is for the caller to see to.
func (s *Service) Register(ctx context.Context, experiment, name, body string) (Version, error) {
	var c errs.Collector
	if strings.TrimSpace(name) == "" || len(name) > MaxName {
		c.Add("name", "Scorer name cannot be empty or contain only whitespace, and has at most %d bytes", MaxName)
	}
	if len(body) > MaxBody {
		c.Add("serialized_scorer", "expected at most %d bytes", MaxBody)
	}
	if err := c.Err("scorer.register", "the scorer cannot be registered"); err != nil {
		return Version{}, err
	}
	if err := checkBody(body); err != nil {
		return Version{}, err
	}
	v := Version{ScorerID: id.New(), ExperimentID: experiment, Name: name, Body: body, CreatedAt: s.clock.Now()}
	return v, s.db.Write(ctx, func(tx *db.Tx) error { return add(tx, &v) })
}

// checkBody refuses what is not a JSON object, and code: whoever reads a scorer back would run it.
func checkBody(body string) error {
	var d map[string]any
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		return errs.E(errs.Invalid, "scorer.register", "serialized_scorer must be valid JSON", err).WithField("serialized_scorer", "expected a JSON object")
	}
	if carriesCode(d) {
		return errs.Invalidf("scorer.register", "Scorers made with @scorer are code and cannot be registered at a server").
			WithField("serialized_scorer", "expected no call_source").WithHint("register a built-in scorer or one made with make_judge")
	}
	return nil
}

// carriesCode looks for MLflow's call_source at any depth.
func carriesCode(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if (k == "call_source" && x != nil && x != "") || carriesCode(x) {
				return true
			}
		}
	case []any:
		for _, x := range v {
			if carriesCode(x) {
				return true
			}
		}
	}
	return false
}

// Latest lists the newest version of each scorer of the experiments, by experiment and name.
func (s *Service) Latest(ctx context.Context, experiments []string) ([]Version, error) {
	return s.latest(ctx, experiments)
}

// Versions lists the versions of a scorer, oldest first.
func (s *Service) Versions(ctx context.Context, experiment, name string) ([]Version, error) {
	return s.versions(ctx, experiment, name, 0)
}

// Get finds a version; 0 is the newest.
func (s *Service) Get(ctx context.Context, experiment, name string, number int64) (Version, error) {
	vs, err := s.versions(ctx, experiment, name, number)
	if err != nil {
		return Version{}, err
	}
	return vs[len(vs)-1], nil
}

// Delete removes one version, or with 0 the scorer and all its versions.
func (s *Service) Delete(ctx context.Context, experiment, name string, number int64) error {
	if _, err := s.Get(ctx, experiment, name, number); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *db.Tx) error { return remove(tx, experiment, name, number) })
}

func notFound(experiment, name string, number int64) error {
	if number > 0 {
		return errs.NotFoundf("scorer.find", "Scorer with name '%.200s' and version %d not found for experiment %.100s.", name, number, experiment)
	}
	return errs.NotFoundf("scorer.find", "Scorer with name '%.200s' not found for experiment %.100s.", name, experiment)
}
