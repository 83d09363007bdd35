package predlog_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/table"
)

func TestHoursAreSealedAndExported(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		must(t, d.Migrate(t.Context(), blob.Migrations()))
		store, err := blob.OpenLocal(t.TempDir())
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		c := clock.NewFake(time.Date(2026, 5, 1, 10, 30, 0, 0, time.UTC))
		files := blob.NewFiles(d, store, c)
		s := open(t, d, t.TempDir(), func(d *predlog.Deps) { d.Clock, d.Files = c, files })
		st := s.Stream(schema)
		add := func(n int) *predlog.Batch {
			b := batch(n, 0)
			b.Time = c.Now()
			must(t, st.Append(t.Context(), b))
			return b
		}
		first := add(3)
		c.Advance(20 * time.Minute)
		add(2)
		c.Advance(time.Hour)
		add(4)
		must(t, s.Seal(t.Context()))
		as, err := s.Archives(t.Context(), "bike", 10)
		must(t, err)
		if len(as) != 1 || as[0].Rows != 5 || as[0].Hour.Hour() != 10 {
			t.Fatalf("sealed %+v", as)
		}
		f, err := store.Open(t.Context(), as[0].Digest)
		must(t, err)
		data, err := io.ReadAll(f)
		must(t, err)
		must(t, f.Close())
		frame, err := table.ReadParquet(t.Context(), bytes.NewReader(data), int64(len(data)), table.Limits{})
		must(t, err)
		if frame.Rows() != 5 {
			t.Errorf("%d rows in the file", frame.Rows())
		}
		c.Advance(2 * time.Hour)
		must(t, s.Seal(t.Context()))
		if as, err = s.Archives(t.Context(), "bike", 10); err != nil || len(as) != 2 || as[0].Rows != 4 {
			t.Errorf("then %+v %v", as, err)
		}

		if _, err := s.Feedback(t.Context(), "bike", []predlog.Feedback{{PredictionID: first.IDs[0].String(), Label: json.RawMessage("1")}}); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		must(t, s.ExportParquet(t.Context(), predlog.Filter{Endpoint: "bike"}, &out))
		frame, err = table.ReadParquet(t.Context(), bytes.NewReader(out.Bytes()), int64(out.Len()), table.Limits{})
		must(t, err)
		if frame.Rows() != 9 {
			t.Errorf("%d rows exported", frame.Rows())
		}
	})
}
