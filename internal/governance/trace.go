package governance

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Fact is one line of the answer to "where does this come from".
type Fact struct {
	What  string    `json:"what"`  // endpoint, model version, run, code, environment, dataset...
	Value string    `json:"value"` // for people
	Node  string    `json:"node,omitempty"`
	At    time.Time `json:"at"`
	Actor string    `json:"actor,omitempty"`
	Note  string    `json:"note,omitempty"`
}

// Served names what answered a prediction.
type Served struct {
	Endpoint string
	Model    string
	Version  string
	At       time.Time // server time of the prediction
}

// TraceServed gives the ordered facts behind a prediction: the endpoint and the generation of its route at that time, the model
// version, and what Trace says about it, without what happened later. Kinds: NotFound.
func (s *Service) TraceServed(ctx context.Context, p Served, depth int) ([]Fact, error) {
	version, endpoint := node(kindVersion, p.Model, p.Version), node(kindEndpoint, p.Endpoint)
	if p.At.IsZero() {
		p.At = s.d.Clock.Now()
	}
	out := []Fact{{What: "endpoint", Value: p.Endpoint, Node: endpoint, At: p.At}}
	route, err := s.st.servedAt(ctx, version, endpoint, p.At)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return nil, err
	default:
		out[0].At, out[0].Actor = route.At, route.Actor
		out[0].Note = joined("generation "+route.Meta["generation"], route.Meta["role"]+" with "+route.Meta["weight"]+" % of traffic", route.Meta["reason"])
	}
	facts, err := s.trace(ctx, version, depth, p.At)
	return append(out, facts...), err
}

// predictionGraph is where one prediction comes from, with the prediction as a node of its own: it is in no table here.
func (s *Service) predictionGraph(ctx context.Context, predictionID string, depth int) (Graph, error) {
	if s.d.Facts.Prediction == nil {
		return Graph{}, errs.E(errs.Unavailable, "governance.prediction", "this server records no predictions", nil)
	}
	p, err := s.d.Facts.Prediction(ctx, predictionID)
	if err != nil {
		return Graph{}, err
	}
	version, endpoint, self := node(kindVersion, p.Model, p.Version), node(kindEndpoint, p.Endpoint), node(kindPrediction, predictionID)
	out, err := s.Lineage(ctx, version, depth, Up)
	if err != nil {
		return out, err
	}
	out.Nodes = append([]Node{{ID: self, Kind: kindPrediction, Label: "prediction", At: p.At, Meta: map[string]string{"endpoint": p.Endpoint, "version": p.Version}}}, out.Nodes...)
	if !slices.ContainsFunc(out.Nodes, func(n Node) bool { return n.ID == endpoint }) {
		out.Nodes = append(out.Nodes, Node{ID: endpoint, Kind: kindEndpoint, Label: p.Endpoint, At: p.At})
	}
	out.Edges = append(out.Edges, Edge{From: version, To: self, Relation: "scored", At: p.At}, Edge{From: endpoint, To: self, Relation: "answered", At: p.At})
	return out, nil
}

// Trace gives the ordered facts behind a node: itself, the run, code, environment and data it came from, who gave it an alias, which
// gates it passed, which rollout, pipeline, retraining and alert brought it. Kinds: Invalid, NotFound.
func (s *Service) Trace(ctx context.Context, nodeID string, depth int) ([]Fact, error) {
	return s.trace(ctx, nodeID, depth, time.Time{})
}

// rank is the order in which facts are told.
func rank(kind string) int {
	return slices.Index([]string{kindEndpoint, kindVersion, kindLoggedModel, kindRun, kindCode, kindEnvironment, kindDatasetVersion, kindData, kindAlias,
		kindGate, kindRollout, kindPipelineRun, kindRetraining, kindAlert}, kind)
}

// noun is how people call a kind.
func noun(kind string) string {
	switch kind {
	case kindVersion:
		return "model version"
	case kindCode:
		return "code commit"
	case kindAlias:
		return "approved"
	}
	return strings.ReplaceAll(kind, "_", " ")
}

// trace walks up until endpoints: an endpoint's other versions are no cause of this one.
func (s *Service) trace(ctx context.Context, start string, depth int, until time.Time) ([]Fact, error) {
	if _, _, err := splitNode(start); err != nil {
		return nil, err
	}
	if depth <= 0 || depth > MaxDepth {
		depth = 6
	}
	have, err := s.nodes(ctx, []string{start})
	if err != nil {
		return nil, err
	}
	if len(have) == 0 {
		return nil, errs.NotFoundf("governance.trace", "nothing is known about %s", start).WithHint("check the kind and the id")
	}
	type link struct {
		n    string
		edge Edge
	}
	links, seen, level := []link{{n: start}}, map[string]bool{start: true}, []string{start}
	for range depth {
		if len(level) == 0 || len(links) >= MaxNodes {
			break
		}
		found, err := s.st.edges(ctx, level, Up) // newest first: of several telling of a node the newest is kept
		if err != nil {
			return nil, err
		}
		level = nil
		for _, e := range found {
			if seen[e.From] || (!until.IsZero() && e.At.After(until)) {
				continue
			}
			seen[e.From] = true
			links = append(links, link{e.From, e})
			if !strings.HasPrefix(e.From, kindEndpoint+":") {
				level = append(level, e.From)
			}
		}
	}
	ids := make([]string, len(links))
	for i, l := range links {
		ids[i] = l.n
	}
	nodes, err := s.nodes(ctx, ids)
	if err != nil {
		return nil, err
	}
	byID := map[string]Node{}
	for _, n := range nodes {
		byID[n.ID] = n
	}
	out := []Fact{}
	for _, l := range links {
		if n, ok := byID[l.n]; ok && (l.n == start || n.Kind != kindEndpoint) {
			out = append(out, fact(n, l.edge))
		}
	}
	slices.SortStableFunc(out, func(a, b Fact) int {
		ka, _, _ := strings.Cut(a.Node, ":")
		kb, _, _ := strings.Cut(b.Node, ":")
		if a.Node == start || b.Node == start {
			return boolInt(b.Node == start) - boolInt(a.Node == start)
		}
		return rank(ka) - rank(kb)
	})
	return out, nil
}

func fact(n Node, e Edge) Fact {
	f := Fact{What: noun(n.Kind), Value: n.Label, Node: n.ID, At: e.At, Actor: e.Actor}
	if e.From == "" {
		f.At, f.Actor = n.At, n.Meta["created_by"]
	}
	m := n.Meta
	switch n.Kind {
	case kindVersion:
		f.Note = joined(m["flavor"], prefixed("digest ", short(m["digest"])))
	case kindRun:
		f.Note = joined(m["source"], prefixed("by ", m["user"]), prefixed("id ", strings.TrimPrefix(n.ID, kindRun+":")))
	case kindCode:
		f.Note = joined(m["repository"], m["branch"])
	case kindEnvironment:
		f.Note = joined(m["packages"], m["digest"])
	case kindDatasetVersion:
		f.Note = joined(prefixed("rows ", m["rows"]), prefixed("digest ", short(m["digest"])), e.Meta["context"])
	case kindData:
		f.Note = joined(m["source"], prefixed("digest ", m["digest"]))
	case kindAlias:
		f.Value = e.Actor
		f.Note = joined(n.Label, prefixed("replaced v", e.Meta["previous"]), e.Meta["reason"])
	case kindGate:
		f.Note = joined(m["verdict"], prefixed("on ", strings.Trim(m["dataset"]+" v"+m["dataset_version"], " v")))
	case kindPipelineRun:
		f.Note = joined(m["state"], strings.TrimPrefix(n.ID, kindPipelineRun+":"))
	default:
		f.Note = joined(m["state"], m["outcome"], m["reason"])
	}
	return f
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

func prefixed(p, s string) string {
	if s == "" {
		return ""
	}
	return p + s
}

func short(digest string) string {
	return strings.TrimPrefix(digest, "sha256:")[:min(12, len(strings.TrimPrefix(digest, "sha256:")))]
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
