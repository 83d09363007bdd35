package predlog_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
)

// idsAt makes the ids of a batch be of its time, as they are outside of tests with a clock of their own.
func idsAt(b *predlog.Batch) {
	for i := range b.IDs {
		for n, ms := 5, b.Time.UnixMilli(); n >= 0; n, ms = n-1, ms>>8 {
			b.IDs[i][n] = byte(ms)
		}
	}
}

// TestPredictionsAreFoundOnceSealed: a prediction is read by its id after the raw log of its hour was removed, as it was before.
func TestPredictionsAreFoundOnceSealed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		must(t, d.Migrate(t.Context(), blob.Migrations()))
		store, err := blob.OpenLocal(t.TempDir())
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		c := clock.NewFake(time.Date(2026, 5, 1, 10, 59, 59, 990_000_000, time.UTC)) // written just before the hour is over
		s := open(t, d, t.TempDir(), func(d *predlog.Deps) {
			d.Clock, d.Files, d.KeepRaw = c, blob.NewFiles(d.DB, store, c), time.Hour
		})
		first := batch(3, 10)
		first.Time, first.Mirrors, first.Keys = c.Now(), 1, []string{"a", "", "c"}
		first.EventTimes = []int64{time.Date(2011, 4, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), 0, 0}
		idsAt(first)
		must(t, s.Stream(schema).Append(t.Context(), first))
		other := schema // another version, with other columns
		other.Version, other.Inputs, other.Outputs = "4", schema.Inputs[:1], []predlog.Field{{Name: "class", Kind: predlog.String}, {Name: "probabilities", Kind: predlog.JSON, Extra: true}}
		shadow := batch(3, 10)
		shadow.Time, shadow.Role, shadow.RequestIDs, shadow.Inputs = c.Now(), predlog.Shadow, first.IDs, shadow.Inputs[:1]
		shadow.Outputs = []predlog.Column{{Kind: predlog.String, Strings: []string{"x", "y", "z"}}, {Kind: predlog.JSON, Strings: []string{`[0.1,0.9]`, `{"a":1}`, `null`}}}
		idsAt(shadow)
		must(t, s.Stream(other).Append(t.Context(), shadow))
		failed := batch(1, 20)
		failed.Time, failed.Status, failed.Error, failed.Outputs = c.Now(), predlog.Failed, "out of range", nil
		idsAt(failed)
		must(t, s.Stream(schema).Append(t.Context(), failed))
		ids := []predlog.ID{first.IDs[0], first.IDs[1], first.IDs[2], shadow.IDs[1], failed.IDs[0]}
		find := func() (out [][]predlog.Record) {
			for _, id := range ids {
				rs, err := s.Find(t.Context(), id.String())
				must(t, err)
				out = append(out, rs)
			}
			return out
		}
		want := find()
		for range 4 { // the hour is over, and so are some behind it: the newest segment always stays
			c.Advance(time.Hour)
			b := batch(1, 0)
			b.Time = c.Now()
			must(t, s.Stream(schema).Append(t.Context(), b))
		}
		must(t, s.Seal(t.Context()))
		must(t, s.Retain(t.Context()))
		if entries, _, err := s.Read(t.Context(), "bike", "", 100); err != nil || len(entries) > 2 {
			t.Fatalf("%d entries are left, %v", len(entries), err)
		}
		same := cmp.Transformer("json", func(r json.RawMessage) string { return string(r) })
		if diff := cmp.Diff(want, find(), same); diff != "" {
			t.Error(diff)
		}
		gone := batch(1, 0)
		gone.Time = first.Time
		idsAt(gone)
		if _, err := s.Find(t.Context(), gone.IDs[0].String()); !errs.Is(err, errs.NotFound) {
			t.Errorf("an unknown id of a sealed hour: %v", err)
		}
	})
}

// countingStore counts how often contents are opened.
type countingStore struct {
	*blob.Local
	opened atomic.Int64
}

func (c *countingStore) Open(ctx context.Context, d blob.Digest) (io.ReadSeekCloser, error) {
	c.opened.Add(1)
	return c.Local.Open(ctx, d)
}

// TestLabelsOfSealedHours: labels come long after, when the raw log of the hour is gone. Each sealed file is read once, however many labels there are.
func TestLabelsOfSealedHours(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		must(t, d.Migrate(t.Context(), blob.Migrations()))
		dir := t.TempDir()
		local, err := blob.OpenLocal(dir)
		must(t, err)
		t.Cleanup(func() { _ = local.Close() })
		store := &countingStore{Local: local}
		c := clock.NewFake(time.Date(2026, 5, 1, 9, 59, 59, 990_000_000, time.UTC))
		s := open(t, d, t.TempDir(), func(d *predlog.Deps) {
			d.Clock, d.Files, d.KeepRaw = c, blob.NewFiles(d.DB, store, c), time.Hour
		})
		const hours, rows = 3, 700
		var ids []predlog.ID
		var shadowed predlog.ID // has a second version's score
		for h := range hours {  // the first just before the hour is over
			b := batch(rows, h*1000)
			b.Time = c.Now()
			if h == 1 {
				b.EventTimes = make([]int64, rows)
				for i := range b.EventTimes {
					b.EventTimes[i] = time.Date(2011, 4, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
				}
			}
			if h == 2 {
				b.Mirrors = 1
			}
			idsAt(b)
			ids = append(ids, b.IDs...)
			must(t, s.Stream(schema).Append(t.Context(), b))
			if h == 2 {
				shadowed = b.IDs[0]
				other := schema
				other.Version = "4"
				shadow := batch(rows, 9)
				shadow.Time, shadow.Role, shadow.RequestIDs = c.Now(), predlog.Shadow, b.IDs
				idsAt(shadow)
				must(t, s.Stream(other).Append(t.Context(), shadow))
			}
			c.Advance(time.Hour)
		}
		for range 4 {
			b := batch(1, 0)
			b.Time = c.Now()
			idsAt(b)
			must(t, s.Stream(schema).Append(t.Context(), b))
			c.Advance(time.Hour)
		}
		must(t, s.Seal(t.Context()))
		must(t, s.Retain(t.Context()))
		from := s.End()
		items := []predlog.Feedback{}
		for i, id := range ids {
			items = append(items, predlog.Feedback{PredictionID: id.String(), Label: json.RawMessage(strconv.Itoa(i))})
		}
		items = append(items, predlog.Feedback{PredictionID: ids[5].String(), Label: json.RawMessage("555")}) // again: the last one stays
		items[rows].EventTime = "2011-04-01T00:30:00Z"                                                        // in time, by the time of the event
		unknown := batch(2, 0)
		unknown.Time = time.Date(2026, 5, 1, 10, 30, 0, 0, time.UTC)
		idsAt(unknown)
		for _, id := range unknown.IDs {
			items = append(items, predlog.Feedback{PredictionID: id.String(), Label: json.RawMessage("1")})
		}
		store.opened.Store(0)
		res, err := s.Feedback(t.Context(), "bike", items)
		must(t, err)
		if res.Accepted != hours*rows+1 || res.Unknown != 2 || res.Replaced != 1 || len(res.Errors) != 2 || res.Errors[0].Index != len(items)-2 || !strings.Contains(res.Errors[0].Message, "no such prediction") {
			t.Fatalf("%+v", res)
		}
		if n := store.opened.Load(); n != hours {
			t.Errorf("%d files were opened for the labels of %d hours", n, hours)
		}
		p, err := s.Get(t.Context(), ids[5].String())
		must(t, err)
		if p.Label != 555.0 {
			t.Errorf("%+v", p)
		}
		// who follows the labels gets them with what scored the rows, as if the log were there
		store.opened.Store(0)
		entries, _, err := s.Read(t.Context(), "bike", from, 10_000)
		must(t, err)
		mirrored := map[string]bool{} // of the hour with a second version
		for _, id := range ids[2*rows:] {
			mirrored[id.String()] = true
		}
		labels := 0
		for _, e := range entries {
			if e.Label == nil {
				continue
			}
			labels++
			want := 1
			if mirrored[e.Label.PredictionID] {
				want = 2
			}
			if len(e.Label.Scored) != want || e.Label.Scored[0].ID != e.Label.PredictionID || len(e.Label.Scored[0].Inputs) == 0 {
				t.Fatalf("%+v", e.Label)
			}
		}
		if labels != hours*rows || store.opened.Load() > hours {
			t.Errorf("%d labels, %d files opened", labels, store.opened.Load())
		}
		if rs, err := s.Find(t.Context(), shadowed.String()); err != nil || len(rs) != 2 {
			t.Error(rs, err)
		}
		if res, err := s.Feedback(t.Context(), "other", items[:3]); err != nil || res.Unknown != 3 {
			t.Errorf("predictions of another endpoint: %+v %v", res, err)
		}
		if res, err := s.Feedback(t.Context(), "bike", items[:3]); err != nil || res.Accepted != 3 || res.Replaced != 3 {
			t.Errorf("%+v %v", res, err)
		}
		// an hour whose file is damaged stops its own labels alone, and is not called unknown
		archives, err := s.Archives(t.Context(), "bike", 100)
		must(t, err)
		oldest := archives[len(archives)-1].Digest
		must(t, os.WriteFile(filepath.Join(dir, string(oldest[:2]), string(oldest[2:])), []byte("damaged"), 0o600))
		res, err = s.Feedback(t.Context(), "bike", []predlog.Feedback{items[0], items[rows]})
		if err != nil || res.Accepted != 1 || res.Unknown != 0 || len(res.Errors) != 1 || !strings.Contains(res.Errors[0].Message, "not read") {
			t.Errorf("%+v %v", res, err)
		}
	})
}
