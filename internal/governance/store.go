package governance

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
)

type store struct{ db *db.DB }

// putNode makes a node or adds to its meta. An empty label leaves the one that is there; the time of the first mention stays.
func putNode(tx *db.Tx, n Node) error {
	var label, old string
	meta := map[string]string{}
	err := tx.QueryRow("SELECT label, meta FROM lineage_node WHERE id = ?", n.ID).Scan(&label, &old)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil {
		if e := json.Unmarshal([]byte(old), &meta); e != nil {
			return e
		}
	}
	if n.Label == "" {
		n.Label = label
	}
	if n.Label == "" {
		_, n.Label, _ = splitNode(n.ID)
	}
	for k, v := range n.Meta {
		if v != "" {
			meta[k] = clip(v)
		}
	}
	b, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO lineage_node (id, kind, label, meta, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET label = excluded.label, meta = excluded.meta`, n.ID, n.Kind, clip(n.Label), string(b), clock.Micros(n.At))
	return err
}

// putEdge tells of an edge; of two tellings the newer event stays.
func putEdge(tx *db.Tx, e Edge) error {
	b, err := json.Marshal(e.Meta)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO lineage_edge (from_id, to_id, relation, qualifier, at, actor, event_seq, meta) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (from_id, to_id, relation, qualifier) DO UPDATE SET at = excluded.at, actor = excluded.actor, event_seq = excluded.event_seq,
			meta = excluded.meta WHERE excluded.event_seq >= lineage_edge.event_seq`,
		e.From, e.To, e.Relation, e.qualifier, clock.Micros(e.At), e.Actor, e.seq, string(b))
	return err
}

func putDigest(tx *db.Tx, digest, nodeID string) error {
	_, err := tx.Exec("INSERT INTO lineage_digest (digest, node_id) VALUES (?, ?) ON CONFLICT DO NOTHING", digest, nodeID)
	return err
}

// datasetByDigest finds the newest dataset version known under a digest, or "".
func datasetByDigest(tx *db.Tx, digest string) (string, error) {
	var id string
	err := tx.QueryRow(`SELECT d.node_id FROM lineage_digest d JOIN lineage_node n ON n.id = d.node_id WHERE d.digest = ? AND n.kind = ?
		ORDER BY n.at DESC LIMIT 1`, digest, kindDatasetVersion).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// newestVersionOf finds the newest version of a dataset, or "": what "latest" meant when the event is heard.
func newestDatasetVersion(tx *db.Tx, dataset string) (string, error) {
	var id string
	prefix := node(kindDatasetVersion, dataset) + "/"
	err := tx.QueryRow(`SELECT id FROM lineage_node WHERE kind = ? AND substr(id, 1, length(CAST(? AS TEXT))) = ? ORDER BY at DESC LIMIT 1`,
		kindDatasetVersion, prefix, prefix).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// dataByDigest gives the unknown data that runs named by this digest.
func dataByDigest(tx *db.Tx, digest string) ([]string, error) {
	rows, err := tx.Query("SELECT d.node_id FROM lineage_digest d JOIN lineage_node n ON n.id = d.node_id WHERE d.digest = ? AND n.kind = ? LIMIT 100", digest, kindData)
	return db.All(rows, err, db.Column[string])
}

func (s store) nodes(ctx context.Context, ids []string) ([]Node, error) {
	var out []Node
	for chunk := range chunks(ids) {
		rows, err := s.db.Query(ctx, "SELECT id, kind, label, meta, at FROM lineage_node WHERE id IN ("+db.Placeholders(len(chunk))+")", chunk...)
		if err != nil {
			return nil, err
		}
		got, err := scanNodes(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	return out, nil
}

func scanNodes(rows *sql.Rows) ([]Node, error) {
	defer func() { _ = rows.Close() }()
	var out []Node
	for rows.Next() {
		var n Node
		var meta string
		var at int64
		if err := rows.Scan(&n.ID, &n.Kind, &n.Label, &meta, &at); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(meta), &n.Meta); err != nil {
			return nil, err
		}
		n.At = clock.FromMicros(at)
		out = append(out, n)
	}
	return out, rows.Err()
}

// edges gives the edges into (Up) or out of (Down) the given nodes, newest first, at most maxEdges.
func (s store) edges(ctx context.Context, ids []string, d Direction) ([]Edge, error) {
	column := map[Direction]string{Up: "to_id", Down: "from_id"}[d]
	var out []Edge
	for chunk := range chunks(ids) {
		rows, err := s.db.Query(ctx, "SELECT from_id, to_id, relation, qualifier, at, actor, event_seq, meta FROM lineage_edge WHERE "+column+
			" IN ("+db.Placeholders(len(chunk))+") ORDER BY event_seq DESC LIMIT ?", append(chunk, maxEdges)...)
		if err != nil {
			return nil, err
		}
		got, err := scanEdges(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	return out, nil
}

// servedAt finds what an endpoint's route said about a version at a time: the newest generation not younger than it, or sql.ErrNoRows.
func (s store) servedAt(ctx context.Context, version, endpoint string, at time.Time) (Edge, error) {
	rows, err := s.db.Query(ctx, `SELECT from_id, to_id, relation, qualifier, at, actor, event_seq, meta FROM lineage_edge
		WHERE from_id = ? AND to_id = ? AND at <= ? ORDER BY event_seq DESC LIMIT 1`, version, endpoint, clock.Micros(at))
	if err != nil {
		return Edge{}, err
	}
	es, err := scanEdges(rows)
	if err != nil {
		return Edge{}, err
	}
	if len(es) == 0 {
		return Edge{}, sql.ErrNoRows
	}
	return es[0], nil
}

func scanEdges(rows *sql.Rows) ([]Edge, error) {
	defer func() { _ = rows.Close() }()
	var out []Edge
	for rows.Next() {
		var e Edge
		var at int64
		var meta string
		if err := rows.Scan(&e.From, &e.To, &e.Relation, &e.qualifier, &at, &e.Actor, &e.seq, &meta); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(meta), &e.Meta); err != nil {
			return nil, err
		}
		e.At = clock.FromMicros(at)
		out = append(out, e)
	}
	return out, rows.Err()
}

// chunks splits ids for IN lists. Lists are padded to a power of two, so that few statement texts are prepared.
func chunks(ids []string) func(yield func([]any) bool) {
	return func(yield func([]any) bool) {
		for len(ids) > 0 {
			n := min(len(ids), 256)
			size := 1
			for size < n {
				size *= 2
			}
			args := make([]any, size, size+1)
			for i := range args {
				args[i] = ids[min(i, n-1)]
			}
			if !yield(args) {
				return
			}
			ids = ids[n:]
		}
	}
}
