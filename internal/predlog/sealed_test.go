package predlog_test

import (
	"encoding/json"
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
