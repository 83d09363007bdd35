package governance

import (
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Node is one thing in the lineage graph. Its id is "kind:id", e.g. "version:bike-demand/3".
type Node struct {
	ID    string            `json:"id"`
	Kind  string            `json:"kind"`
	Label string            `json:"label"`
	Meta  map[string]string `json:"meta,omitempty"`
	At    time.Time         `json:"at"`
}

// Edge tells that To came from From, or that From is evidence about To.
type Edge struct {
	From     string            `json:"from"`
	To       string            `json:"to"`
	Relation string            `json:"relation"`
	At       time.Time         `json:"at"`
	Actor    string            `json:"actor"`
	Meta     map[string]string `json:"meta,omitempty"`

	qualifier string
	seq       int64
}

// Graph is a part of the lineage. Truncated says that there is more than was shown.
type Graph struct {
	Nodes     []Node `json:"nodes"`
	Edges     []Edge `json:"edges"`
	Truncated bool   `json:"truncated"`
}

// Direction says which way to walk from a node.
type Direction string

// The directions of a walk.
const (
	Up   Direction = "up"   // what it came from
	Down Direction = "down" // what came of it
	Both Direction = "both"
)

// The bounds of a walk.
const (
	MaxDepth = 12
	MaxNodes = 500
	maxEdges = 4 * MaxNodes
	maxText  = 300 // longest label or meta value kept, in bytes
)

// The kinds of node.
const (
	kindData           = "data" // data that a run named and we do not hold
	kindDatasetVersion = "dataset_version"
	kindRun            = "run"
	kindLoggedModel    = "logged_model"
	kindVersion        = "version"
	kindEndpoint       = "endpoint"
	kindGate           = "gate"
	kindAlias          = "alias"
	kindAlert          = "alert"
	kindPipelineRun    = "pipeline_run"
	kindRetraining     = "retraining"
	kindRollout        = "rollout"
	kindCode           = "code"
	kindEnvironment    = "environment"
	kindPrediction     = "prediction" // in no table: the prediction log has them
)

func node(kind string, parts ...string) string { return kind + ":" + strings.Join(parts, "/") }

// splitNode gives the kind and the id of "kind:id".
func splitNode(id string) (kind, rest string, err error) {
	kind, rest, ok := strings.Cut(id, ":")
	if !ok || kind == "" || rest == "" || len(id) > 512 {
		return "", "", errs.Invalidf("governance.node", "the node cannot be read").
			WithField("node", `expected kind:id, such as "version:bike-demand/3" or "endpoint:bike"`)
	}
	return kind, rest, nil
}

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
