package predlog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
)

// Archive is an hour of an endpoint's predictions (shadow scores too, labels not) sealed to Parquet in the blob store.
type Archive struct {
	Endpoint string      `json:"endpoint"`
	Hour     time.Time   `json:"hour"` // wall time of the log
	Digest   blob.Digest `json:"digest"`
	Rows     int64       `json:"rows"`
	Bytes    int64       `json:"size_bytes"`
	SealedAt time.Time   `json:"sealed_at"`
}

// sealDelay is how long after its end an hour is sealed; a segment takes nothing more once its hour is over.
const sealDelay = time.Minute

const sealState = "sealed"

// seal puts the hours that are over into the blob store. It is run once a minute and does nothing most of the time.
func (s *Service) seal(ctx context.Context) error {
	if s.d.Files == nil {
		return nil
	}
	done, err := s.sealedUntil(ctx)
	if err != nil {
		return err
	}
	now := s.d.Clock.Now().Add(-sealDelay).UnixMicro() / hourMicros
	hours := map[int64][]*segment{}
	first := int64(-1)
	for _, g := range s.w.list() {
		h := g.start / hourMicros
		if h > done && h < now {
			hours[h] = append(hours[h], g)
			if first < 0 || h < first {
				first = h
			}
		}
	}
	if first < 0 {
		return nil
	}
	if err := s.sealHour(ctx, first, hours[first]); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return putSealed(tx, first) })
}

// sealHour writes one Parquet file for each endpoint of an hour.
func (s *Service) sealHour(ctx context.Context, hour int64, segs []*segment) error {
	endpoints := map[string]bool{}
	for _, g := range segs {
		v, err := s.look(g, "")
		if err != nil {
			return err
		}
		for _, sc := range v.streams {
			if sc.Version != "" {
				endpoints[sc.Endpoint] = true
			}
		}
	}
	for e := range endpoints {
		if err := s.sealEndpoint(ctx, e, hour, segs); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) sealEndpoint(ctx context.Context, endpoint string, hour int64, segs []*segment) error {
	var ins, outs []Field
	seen := map[string]bool{}
	add := func(to *[]Field, prefix string, fields []Field) {
		for _, f := range fields {
			if !seen[prefix+f.Name] && len(seen) < maxExportColumns {
				seen[prefix+f.Name] = true
				*to = append(*to, f)
			}
		}
	}
	var schemas []*Schema
	views := make([]view, len(segs))
	for i, g := range segs {
		v, err := s.look(g, endpoint)
		if err != nil {
			return err
		}
		views[i] = v
		for _, sc := range v.streams {
			if sc.Endpoint == endpoint {
				add(&ins, "i:", sc.Inputs)
				add(&outs, "o:", sc.Outputs)
				if sc.Version != "" && !slices.ContainsFunc(schemas, func(have *Schema) bool { return have.Model == sc.Model && have.Version == sc.Version }) {
					schemas = append(schemas, sc)
				}
			}
		}
	}
	out, in := io.Pipe()
	written := make(chan error, 1)
	var rows *parquetRows
	go func() {
		err := func() (err error) {
			if rows, err = newParquetRows(in, mergeKinds(ins), mergeKinds(outs)); err != nil {
				return err
			}
			r := &reader{s: s}
			defer r.close()
			for i, g := range segs {
				_, _, err := r.walkSegment(ctx, g, views[i], endpoint, position{g.seq, 0}, func(_ *segment, _ int64, frame []byte, sc *Schema) (bool, error) {
					if frame[typeAt] != predictionFrame {
						return false, nil
					}
					rs, err := decodeBatch(frame, sc)
					for k := range rs {
						if err == nil {
							err = rows.add(exported{record: &rs[k]})
						}
					}
					return false, err
				})
				if err != nil {
					return err
				}
			}
			note, err := json.Marshal(schemas)
			if err == nil {
				err = rows.w.Note(schemasNote, string(note))
			}
			return errors.Join(err, rows.w.Close())
		}()
		_ = in.CloseWithError(err)
		written <- err
	}()
	digest, size, err := s.d.Files.Store().Put(ctx, out)
	_ = out.CloseWithError(err)
	if werr := <-written; err != nil || werr != nil {
		return errors.Join(err, werr)
	}
	now, name := s.d.Clock.Now(), time.UnixMicro(hour*hourMicros).UTC().Format("2006-01-02T15")+".parquet"
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.d.Files.Link(tx, "predictions/"+endpoint, blob.File{Path: name, Size: size, Digest: digest, CreatedAt: now}); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO predlog_archive (endpoint, hour, part, digest, row_count, size_bytes, sealed_at) VALUES (?, ?, 0, ?, ?, ?, ?)
			ON CONFLICT (endpoint, hour, part) DO UPDATE SET digest = excluded.digest, row_count = excluded.row_count, size_bytes = excluded.size_bytes, sealed_at = excluded.sealed_at`,
			endpoint, hour*hourMicros, string(digest), rows.w.Rows(), size, clock.Micros(now))
		return err
	})
}

// Archives lists the sealed hours of an endpoint, newest first.
func (s *Service) Archives(ctx context.Context, endpoint string, limit int) ([]Archive, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT endpoint, hour, digest, row_count, size_bytes, sealed_at FROM predlog_archive WHERE endpoint = ? ORDER BY hour DESC LIMIT ?", endpoint, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Archive{}
	for rows.Next() {
		var a Archive
		var hour, at int64
		var digest string
		if err := rows.Scan(&a.Endpoint, &hour, &digest, &a.Rows, &a.Bytes, &at); err != nil {
			return nil, err
		}
		a.Hour, a.Digest, a.SealedAt = clock.FromMicros(hour), blob.Digest(digest), clock.FromMicros(at)
		out = append(out, a)
	}
	return out, rows.Err()
}

// sealedUntil is the newest hour (since 1970) that is sealed, -1 for none.
func (s *Service) sealedUntil(ctx context.Context) (int64, error) {
	var hour int64
	err := s.d.DB.QueryRow(ctx, "SELECT CAST(value AS BIGINT) FROM predlog_state WHERE name = ?", sealState).Scan(&hour)
	if errors.Is(err, sql.ErrNoRows) {
		return -1, nil
	}
	return hour, err
}

func putSealed(tx *db.Tx, hour int64) error {
	_, err := tx.Exec(`INSERT INTO predlog_state (name, value) VALUES (?, CAST(CAST(? AS BIGINT) AS TEXT)) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, sealState, hour)
	return err
}

// Seal seals every hour that is over, for tests and for a shutdown that should leave nothing to do.
func (s *Service) Seal(ctx context.Context) error {
	for {
		before, err := s.sealedUntil(ctx)
		if err != nil {
			return err
		}
		if err := s.seal(ctx); err != nil {
			return err
		}
		if after, err := s.sealedUntil(ctx); err != nil || after == before {
			return err
		}
	}
}
