package predlog

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// retain removes the raw segments of one hour that is sealed and older than KeepRaw. It is run once a minute and does nothing most of
// the time. The newest segment always stays: its number is where the next one goes on.
func (s *Service) retain(ctx context.Context) error {
	if s.d.KeepRaw == 0 || s.d.Files == nil {
		return nil
	}
	sealed, err := s.sealedUntil(ctx)
	if err != nil {
		return err
	}
	all := s.w.list()
	if len(all) < 2 {
		return nil
	}
	hour := all[0].start / hourMicros
	if hour > sealed || (hour+1)*hourMicros > s.d.Clock.Now().Add(-s.d.KeepRaw).UnixMicro() || hour <= s.unretained {
		return nil
	}
	var segs []*segment
	for _, g := range all[:len(all)-1] {
		if g.start/hourMicros == hour && g.look("").closed {
			segs = append(segs, g)
		}
	}
	if len(segs) == 0 {
		return nil
	}
	if err := s.verifySealed(ctx, hour, segs); err != nil {
		s.unretained = hour // told once; the next start looks again
		return err
	}
	return s.remove(ctx, hour, segs)
}

// verifySealed looks whether the Parquet files of an hour are there, undamaged, and hold as many predictions as the raw segments.
func (s *Service) verifySealed(ctx context.Context, hour int64, segs []*segment) error {
	const op = "predlog.retain"
	rows := map[string]int64{}
	r := &reader{s: s}
	defer r.close()
	for _, g := range segs {
		v, err := s.look(g, "")
		if err != nil {
			return err
		}
		_, _, err = r.walkSegment(ctx, g, v, "", position{g.seq, 0}, func(_ *segment, _ int64, frame []byte, sc *Schema) (bool, error) {
			if frame[typeAt] != predictionFrame {
				return false, nil
			}
			rs, err := decodeBatch(frame, sc)
			rows[sc.Endpoint] += int64(len(rs))
			return false, err
		})
		if err != nil {
			return err
		}
	}
	for endpoint, n := range rows {
		var have int64
		var digest string
		err := s.d.DB.QueryRow(ctx, "SELECT row_count, digest FROM predlog_archive WHERE endpoint = ? AND hour = ?", endpoint, hour*hourMicros).Scan(&have, &digest)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if have != n {
			return errs.E(errs.Precondition, op, "the sealed hour of endpoint "+endpoint+" does not hold all of its predictions", nil).WithHint("the raw log of that hour is kept")
		}
		f, err := s.d.Files.Store().Open(ctx, blob.Digest(digest))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// remove forgets segments and deletes their files. The event comes first: what a crash leaves of the files is removed by the next start's round.
func (s *Service) remove(ctx context.Context, hour int64, segs []*segment) error {
	var bytes int64
	for _, g := range segs {
		if st, err := s.w.root.Stat(g.name()); err == nil {
			bytes += st.Size()
		}
	}
	if s.d.Events != nil {
		err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
			return s.d.Events.Append(ctx, tx, "predlog.raw.removed", events.Resource{Kind: "predlog", ID: "local"},
				map[string]any{"hour": time.UnixMicro(hour * hourMicros).UTC(), "segments": len(segs), "bytes": bytes})
		})
		if err != nil {
			return err
		}
	}
	s.w.forget(segs)
	for _, g := range segs {
		if err := s.w.root.Remove(g.name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail("predlog.retain", err)
		}
	}
	s.metrics.removed.Add(float64(bytes))
	return nil
}

// forget takes segments out of the list; readers that have the old list find their files gone and go on behind them.
func (w *writer) forget(segs []*segment) {
	w.segMu.Lock()
	defer w.segMu.Unlock()
	w.segments = slices.DeleteFunc(slices.Clone(w.segments), func(g *segment) bool { return slices.Contains(segs, g) })
}

// Retain removes all raw hours that may go, for tests.
func (s *Service) Retain(ctx context.Context) error {
	for {
		before := len(s.w.list())
		if err := s.retain(ctx); err != nil {
			return err
		}
		if len(s.w.list()) == before {
			return nil
		}
	}
}

// oldest is when the log that is still raw begins; zero when nothing was ever written.
func (s *Service) oldest() time.Time {
	all := s.w.list()
	if len(all) == 0 {
		return time.Time{}
	}
	return clock.FromMicros(all[0].start)
}
