package predlog_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
)

// TestRawLogIsRemovedOnceSealed: raw hours go when their Parquet files are verified and old enough; a damaged one keeps its hour.
func TestRawLogIsRemovedOnceSealed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		must(t, d.Migrate(t.Context(), blob.Migrations()))
		blobs, dir := t.TempDir(), t.TempDir()
		store, err := blob.OpenLocal(blobs)
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		c := clock.NewFake(time.Date(2026, 5, 1, 10, 30, 0, 0, time.UTC))
		s := open(t, d, dir, func(d *predlog.Deps) {
			d.Clock, d.Files, d.KeepRaw = c, blob.NewFiles(d.DB, store, c), 48*time.Hour
		})
		st := s.Stream(schema)
		var first *predlog.Batch
		for range 4 { // four hours
			b := batch(3, 0)
			b.Time = c.Now()
			if first == nil {
				first = b
			}
			must(t, st.Append(t.Context(), b))
			c.Advance(time.Hour)
		}
		segments := func() int {
			names, err := filepath.Glob(filepath.Join(dir, "predictions", "*.log"))
			must(t, err)
			return len(names)
		}
		must(t, s.Seal(t.Context()))
		must(t, s.Retain(t.Context()))
		if segments() != 4 {
			t.Fatalf("%d segments: they are young", segments())
		}
		c.Advance(48 * time.Hour)
		as, err := s.Archives(t.Context(), "bike", 10)
		must(t, err)
		if len(as) != 4 {
			t.Fatalf("%d hours are sealed", len(as))
		}
		second := as[len(as)-2]
		name := filepath.Join(blobs, string(second.Digest[:2]), string(second.Digest[2:]))
		good, err := os.ReadFile(name)
		must(t, err)
		bad := append([]byte{}, good...)
		bad[len(bad)/2] ^= 1
		must(t, os.WriteFile(name, bad, 0o600))
		if err := s.Retain(t.Context()); !errs.Is(err, errs.Internal) {
			t.Errorf("a damaged hour: %v", err)
		}
		if segments() != 3 {
			t.Fatalf("%d segments: the first hour goes, the damaged one stays", segments())
		}
		_, err = s.Find(t.Context(), first.IDs[0].String())
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("a prediction of the removed hour: %v", err)
		}
		entries, next, err := s.Read(t.Context(), "bike", "", 100)
		if err != nil || len(entries) != 9 {
			t.Errorf("%d entries are left: %v", len(entries), err)
		}
		must(t, os.WriteFile(name, good, 0o600))
		must(t, s.Close())
		s = open(t, d, dir, func(d *predlog.Deps) {
			d.Clock, d.Files, d.KeepRaw = c, blob.NewFiles(d.DB, store, c), 48*time.Hour
		})
		must(t, s.Retain(t.Context()))
		if segments() != 1 { // the newest stays: its number goes on
			t.Errorf("%d segments", segments())
		}
		must(t, s.Stream(schema).Append(t.Context(), batch(2, 0)))
		if entries, _, err := s.Read(t.Context(), "bike", next, 100); err != nil || len(entries) != 2 {
			t.Errorf("a follower sees %d new entries: %v", len(entries), err)
		}
	})
}
