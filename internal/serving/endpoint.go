package serving

import (
	"regexp"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/routing"
)

// State says how an endpoint or one of its versions stands.
type State string

// The states. A version is loading, ready or failed.
const (
	Ready    State = "ready"    // serves what its route says
	Loading  State = "loading"  // serves nothing yet
	Degraded State = "degraded" // serves, but not what its route says
	Failed   State = "failed"   // serves nothing and will not by itself
)

// VersionStatus is how one version of an endpoint stands.
type VersionStatus struct {
	Version  string       `json:"version"`
	State    State        `json:"state"`
	Runtime  string       `json:"runtime,omitempty"`
	Engine   string       `json:"engine,omitempty"`
	Role     routing.Role `json:"role"`
	Weight   int          `json:"weight"`
	LoadedAt *time.Time   `json:"loaded_at,omitempty"`
	Seconds  float64      `json:"load_seconds,omitempty"`
	Error    string       `json:"error,omitempty"`
	Memory   int64        `json:"memory_bytes,omitempty"`
	Notes    []string     `json:"notes,omitempty"`
}

// Status is what is true of an endpoint now.
type Status struct {
	State              State           `json:"state"`
	ObservedGeneration int64           `json:"observed_generation"`
	Message            string          `json:"message"`
	Versions           []VersionStatus `json:"versions"`
}

// Spec is what its users want of an endpoint.
type Spec struct {
	Generation int64            `json:"generation"`
	Targets    []routing.Target `json:"targets"`
}

// Signature is the schema of the version in charge.
type Signature struct {
	Inputs  []infer.Spec `json:"inputs"`
	Outputs []infer.Spec `json:"outputs"`
}

// Endpoint is a model behind a name, with who answers and how it stands.
type Endpoint struct {
	Name        string         `json:"name"`
	Model       string         `json:"model"`
	ModelURI    string         `json:"model_uri"` // as it was deployed
	Spec        Spec           `json:"spec"`
	Status      Status         `json:"status"`
	Signature   *Signature     `json:"signature"`
	SampleInput map[string]any `json:"sample_input"` // one record of the input example
	CreatedAt   time.Time      `json:"created_at"`
	CreatedBy   string         `json:"created_by"`
	RolloutID   string         `json:"rollout_id"`
}

// record is the stored part of an endpoint.
type record struct {
	name, model, version, modelURI, createdBy string
	createdAt                                 time.Time
}

var endpointName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

func checkName(name string) error {
	if !endpointName.MatchString(name) {
		return errs.Invalidf("serving.name", "the endpoint name is not allowed").
			WithField("name", "%.80q: expected 1 to 63 Latin letters, digits, dots, dashes and underscores, the first a letter or digit", name)
	}
	return nil
}

// defaultName makes an endpoint name of a model name.
func defaultName(model string) string {
	var b strings.Builder
	for _, r := range model {
		if r < 128 && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("_.-", r)) {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	name := strings.TrimLeft(b.String(), "._-")
	return name[:min(len(name), 63)]
}

// nearest finds the name closest to a wrong one, "" when none is close.
func nearest(name string, names []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n), least); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is the edit distance of two names (Levenshtein), at most limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(a) > 128 || len(b) > 128 {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
