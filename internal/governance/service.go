package governance

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"embed"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "governance", FS: migrations} }

// RunFacts is what lineage keeps of a run.
type RunFacts struct {
	Name         string
	ExperimentID string
	User         string
	Source       string
	Start        time.Time
	Tags         map[string]string
}

// VersionFacts is what lineage keeps of a model version.
type VersionFacts struct {
	Digest        string
	Flavor        string
	Runtime       string
	Requirements  []string
	PythonVersion string
}

// Facts gives what events do not carry. The composition fills it; a nil function leaves those facts out.
type Facts struct {
	Runs       func(ctx context.Context, runIDs []string) (map[string]RunFacts, error)
	Version    func(ctx context.Context, model, version string) (VersionFacts, error)
	Prediction func(ctx context.Context, predictionID string) (Served, error)
}

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Jobs    *jobs.Queue
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Facts   Facts
}

// Service answers questions about what happened.
type Service struct {
	d       Deps
	st      store
	router  *httpx.Router
	streams atomic.Int64
	m       metrics
}

// New makes the service.
func New(d Deps) *Service {
	return &Service{d: d, st: store{d.DB}, m: newMetrics(d.Metrics)}
}

// Lineage walks the graph from a node, up to what it came from and down to what came of it. Depth is 1 to MaxDepth (0: 3). Edges that
// differ only in generation are shown once, with their number in meta.count. Kinds: Invalid, NotFound.
func (s *Service) Lineage(ctx context.Context, nodeID string, depth int, d Direction) (Graph, error) {
	const op = "governance.lineage"
	if _, _, err := splitNode(nodeID); err != nil {
		return Graph{}, err
	}
	if depth == 0 {
		depth = 3
	}
	if depth < 1 || depth > MaxDepth {
		return Graph{}, errs.Invalidf(op, "the walk cannot be made").WithField("depth", "expected 1 to %d, got %d", MaxDepth, depth)
	}
	if d == "" {
		d = Both
	}
	if d != Up && d != Down && d != Both {
		return Graph{}, errs.Invalidf(op, "the walk cannot be made").WithField("direction", "expected up, down or both")
	}
	if kind, predictionID, _ := splitNode(nodeID); kind == kindPrediction {
		return s.predictionGraph(ctx, predictionID, depth)
	}
	w := walk{s: s, seen: map[string]bool{nodeID: true}, order: []string{nodeID}, edges: map[[3]string]*Edge{}, counts: map[[3]string]int{}}
	for _, way := range []Direction{Up, Down} {
		if d != way && d != Both {
			continue
		}
		if err := w.follow(ctx, nodeID, depth, way); err != nil {
			return Graph{}, err
		}
	}
	return w.graph(ctx, nodeID)
}

type walk struct {
	s         *Service
	seen      map[string]bool
	order     []string
	edges     map[[3]string]*Edge
	counts    map[[3]string]int
	truncated bool
}

func (w *walk) follow(ctx context.Context, from string, depth int, way Direction) error {
	level, visited := []string{from}, map[string]bool{from: true}
	for range depth {
		if len(level) == 0 {
			return nil
		}
		found, err := w.s.st.edges(ctx, level, way)
		if err != nil {
			return err
		}
		if len(found) >= maxEdges {
			w.truncated = true
		}
		level = nil
		for _, e := range found {
			other := e.To
			if way == Up {
				other = e.From
			}
			if !w.seen[other] && len(w.seen) >= MaxNodes {
				w.truncated = true
				continue
			}
			w.add(e)
			if !w.seen[other] {
				w.seen[other] = true
				w.order = append(w.order, other)
			}
			if !visited[other] {
				visited[other] = true
				level = append(level, other)
			}
		}
	}
	return nil
}

// nodes gives what is known of nodes. Runs without a node of their own are asked for.
func (s *Service) nodes(ctx context.Context, ids []string) ([]Node, error) {
	out, err := s.st.nodes(ctx, ids)
	if err != nil || len(out) == len(ids) || s.d.Facts.Runs == nil {
		return out, err
	}
	known := map[string]bool{}
	for _, n := range out {
		known[n.ID] = true
	}
	var missing []string
	for _, id := range ids {
		if kind, runID, _ := splitNode(id); kind == kindRun && !known[id] {
			missing = append(missing, runID)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	runs, err := s.d.Facts.Runs(ctx, missing)
	for _, id := range missing {
		if f, ok := runs[id]; ok {
			n := runNode(id, f)
			maps.DeleteFunc(n.Meta, func(_, v string) bool { return v == "" })
			out = append(out, n)
		}
	}
	return out, err
}

func (w *walk) add(e Edge) {
	k := [3]string{e.From, e.To, e.Relation}
	have := w.edges[k]
	switch {
	case have == nil:
		w.edges[k], w.counts[k] = &e, 1
	case have.seq == e.seq && have.qualifier == e.qualifier: // met from the other side
	default:
		w.counts[k]++
		if e.seq > have.seq {
			w.edges[k] = &e
		}
	}
}

func (w *walk) graph(ctx context.Context, start string) (Graph, error) {
	nodes, err := w.s.nodes(ctx, w.order)
	if err != nil {
		return Graph{}, err
	}
	byID := map[string]Node{}
	for _, n := range nodes {
		byID[n.ID] = n
	}
	if _, ok := byID[start]; !ok {
		return Graph{}, errs.NotFoundf("governance.lineage", "nothing is known about %s", start).
			WithHint("the graph is filled from events within moments; check the kind and the id")
	}
	g := Graph{Nodes: []Node{}, Edges: []Edge{}, Truncated: w.truncated}
	for _, id := range w.order {
		n, ok := byID[id]
		if !ok { // an edge may name what was there before the log began
			kind, rest, err := splitNode(id)
			if err != nil {
				continue
			}
			n = Node{ID: id, Kind: kind, Label: rest}
		}
		g.Nodes = append(g.Nodes, n)
	}
	for k, e := range w.edges {
		if c := w.counts[k]; c > 1 {
			if e.Meta == nil {
				e.Meta = map[string]string{}
			}
			e.Meta["count"] = itoa(int64(c))
		}
		g.Edges = append(g.Edges, *e)
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		if a.seq != b.seq {
			return int(a.seq - b.seq)
		}
		return strings.Compare(a.From+a.To+a.Relation, b.From+b.To+b.Relation)
	})
	return g, nil
}
