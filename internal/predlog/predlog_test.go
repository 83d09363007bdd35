package predlog_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
)

func open(t testing.TB, d *db.DB, dir string, change ...func(*predlog.Deps)) *predlog.Service {
	t.Helper()
	if err := d.Migrate(t.Context(), predlog.Migrations()); err != nil {
		t.Fatal(err)
	}
	deps := predlog.Deps{DB: d, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), DataDir: dir}
	for _, c := range change {
		c(&deps)
	}
	s := predlog.New(deps)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var schema = predlog.Schema{Endpoint: "bike", Model: "bike-demand", Version: "3",
	Inputs:  []predlog.Field{{Name: "temp", Kind: predlog.Float64}, {Name: "hour", Kind: predlog.Int64}, {Name: "season", Kind: predlog.String}, {Name: "holiday", Kind: predlog.Bool}},
	Outputs: []predlog.Field{{Name: "prediction", Kind: predlog.Float64}}}

// batch is n rows whose temperature counts up from first.
func batch(n, first int) *predlog.Batch {
	b := &predlog.Batch{Role: predlog.Champion, Status: predlog.OK, Time: time.Now(), Latency: 1500 * time.Microsecond,
		Inputs: []predlog.Column{{Kind: predlog.Float64}, {Kind: predlog.Int64, Valid: []bool{}}, {Kind: predlog.String}, {Kind: predlog.Bool}}, Outputs: []predlog.Column{{Kind: predlog.Float64}}}
	for i := range n {
		v := float64(first + i)
		b.IDs = append(b.IDs, predlog.NewID())
		b.Inputs[0].Floats = append(b.Inputs[0].Floats, v)
		b.Inputs[1].Ints = append(b.Inputs[1].Ints, int64(i))
		b.Inputs[1].Valid = append(b.Inputs[1].Valid, i != 1)
		b.Inputs[2].Strings = append(b.Inputs[2].Strings, fmt.Sprint("s", i))
		b.Inputs[3].Bools = append(b.Inputs[3].Bools, i%2 == 0)
		b.Outputs[0].Floats = append(b.Outputs[0].Floats, v*2+0.1)
	}
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t), t.TempDir())
	b := batch(3, 10)
	b.Inputs[0].Floats[2] = math.NaN()
	b.Keys = []string{"a", "", "c"}
	b.EventTimes = []int64{time.Date(2011, 4, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), 0, 0}
	must(t, s.Stream(schema).Append(t.Context(), b))
	rs, err := s.Find(t.Context(), b.IDs[0].String())
	must(t, err)
	if len(rs) != 1 || rs[0].Key != "a" || !rs[0].EventTimeSet || rs[0].EventTime.Month() != time.April || rs[0].Latency != 1500*time.Microsecond {
		t.Fatalf("got %+v", rs)
	}
	if diff := cmp.Diff([]any{10.0, int64(0), "s0", true}, rs[0].Inputs); diff != "" {
		t.Error(diff)
	}
	rs, err = s.Find(t.Context(), b.IDs[2].String())
	must(t, err)
	if diff := cmp.Diff([]any{nil, int64(2), "s2", true}, rs[0].Inputs); diff != "" {
		t.Error(diff)
	}
	rs, err = s.Find(t.Context(), b.IDs[1].String())
	must(t, err)
	if rs[0].Input("hour") != nil || rs[0].Prediction() != 22.1 || rs[0].EventTimeSet {
		t.Errorf("got %+v", rs[0])
	}
	if _, err := s.Find(t.Context(), predlog.NewID().String()); !errs.Is(err, errs.NotFound) {
		t.Errorf("unknown id: %v", err)
	}
}

func TestFollowTellsInOrderAndResumes(t *testing.T) {
	t.Parallel()
	d, dir := dbtest.SQLite(t), t.TempDir()
	small := func(x *predlog.Deps) { x.SegmentBytes = 4096 }
	s := open(t, d, dir, small)
	other := schema
	other.Endpoint = "other"
	a, o := s.Stream(schema), s.Stream(other)
	const n = 300
	half := make(chan struct{}) // the second half is written while the second reader waits for it
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range n {
			if i == n/2 {
				<-half
			}
			for _, err := range []error{a.Append(context.Background(), batch(1, i)), o.Append(context.Background(), batch(1, -1))} {
				if err != nil {
					t.Error(err)
				}
			}
		}
	}()
	stop := errors.New("stop")
	var got []float64
	var cur predlog.Cursor
	take := func(until int) predlog.Handler {
		return func(_ context.Context, es []predlog.Entry, next predlog.Cursor) error {
			for _, e := range es {
				f, _ := predlog.Float(e.Record.Inputs[0])
				got = append(got, f)
			}
			cur = next
			if len(got) >= until {
				return stop
			}
			return nil
		}
	}
	if err := s.Follow(t.Context(), "bike", "", take(n/2)); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	close(half)
	if err := s.Follow(t.Context(), "bike", cur, take(n)); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	for i, v := range got {
		if v != float64(i) {
			t.Fatalf("entry %d is %v", i, v)
		}
	}
	<-written // the reader has seen the last of bike; the last of other may still be on its way
	must(t, s.Close())
	s2 := open(t, d, dir, small)
	must(t, s2.Stream(schema).Append(t.Context(), batch(1, n)))
	if err := s2.Follow(t.Context(), "bike", cur, take(n+1)); !errors.Is(err, stop) || got[n] != n {
		t.Fatalf("after a restart: %v %v", err, got[len(got)-1])
	}
	count := 0
	must(t, s2.Scan(t.Context(), "bike", time.Now().Add(-time.Hour), time.Now().Add(time.Hour), func(predlog.Entry) error { count++; return nil }))
	if count != n+1 {
		t.Errorf("scan gave %d", count)
	}
}

func TestFeedback(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dir := t.TempDir()
		s := open(t, d, dir)
		st := s.Stream(schema)
		b := batch(3, 0)
		b.Keys = []string{"k0", "k1", "k2"}
		b.Mirrors = 1
		must(t, st.Append(t.Context(), b))
		challenger := schema
		challenger.Version = "4"
		shadow := batch(3, 0)
		shadow.Role, shadow.RequestIDs = predlog.Shadow, b.IDs
		must(t, s.Stream(challenger).Append(t.Context(), shadow))
		other := schema
		other.Endpoint = "other"
		foreign := batch(1, 0)
		must(t, s.Stream(other).Append(t.Context(), foreign))

		give := func(items ...predlog.Feedback) predlog.FeedbackResult {
			t.Helper()
			res, err := s.Feedback(t.Context(), "bike", items)
			must(t, err)
			return res
		}
		res := give(predlog.Feedback{PredictionID: b.IDs[0].String(), Label: json.RawMessage("7.5")},
			predlog.Feedback{Key: "k1", Label: json.RawMessage("8"), EventTime: "2011-04-01T00:00:00Z"},
			predlog.Feedback{PredictionID: b.IDs[0].String(), Label: json.RawMessage("9")},
			predlog.Feedback{PredictionID: foreign.IDs[0].String(), Label: json.RawMessage("1")},
			predlog.Feedback{Key: "nobody", Label: json.RawMessage("1")},
			predlog.Feedback{PredictionID: b.IDs[2].String(), Label: json.RawMessage("NaN")},
			predlog.Feedback{PredictionID: "x", Key: "y", Label: json.RawMessage("1")},
			predlog.Feedback{PredictionID: b.IDs[2].String(), Label: json.RawMessage("1"), EventTime: "soon"})
		if res.Accepted != 3 || res.Replaced != 1 || res.Unknown != 2 || res.Late != 0 || len(res.Errors) != 5 {
			t.Fatalf("got %+v", res)
		}
		if res = give(predlog.Feedback{Key: "k0", Label: json.RawMessage("10")}); res.Replaced != 1 || res.Accepted != 1 {
			t.Fatalf("a repeated label: %+v", res)
		}
		p, err := s.Get(t.Context(), b.IDs[0].String())
		must(t, err)
		if p.Label != 10.0 {
			t.Errorf("the last label is %v", p.Label)
		}
		es, _, err := s.Read(t.Context(), "bike", "", 1000)
		must(t, err)
		labels := 0
		for _, e := range es {
			if e.Label == nil {
				continue
			}
			labels++
			if len(e.Label.Scored) != 2 || e.Label.Scored[0].ID != e.Label.PredictionID || e.Label.Scored[1].Schema.Version != "4" {
				t.Errorf("scored: %+v", e.Label.Scored)
			}
		}
		if labels != 3 {
			t.Errorf("%d labels in the log", labels)
		}
		yes, no := true, false
		with, _, err := s.Query(t.Context(), predlog.Filter{Endpoint: "bike", Labelled: &yes})
		must(t, err)
		without, _, err := s.Query(t.Context(), predlog.Filter{Endpoint: "bike", Labelled: &no})
		must(t, err)
		if len(with) != 2 || len(without) != 1 || without[0].ID != b.IDs[2].String() {
			t.Errorf("labelled %d, not labelled %d", len(with), len(without))
		}

		must(t, s.Close())
		s = open(t, d, dir) // the key index is empty now: the log is searched
		if res = give(predlog.Feedback{Key: "k2", Label: json.RawMessage(`"yes"`)}); res.Accepted != 1 {
			t.Errorf("by key after a restart: %+v", res)
		}
		var out bytes.Buffer
		must(t, s.ExportCSV(t.Context(), predlog.Filter{Endpoint: "bike", Labelled: &yes}, &out))
		rows, err := csv.NewReader(&out).ReadAll()
		must(t, err)
		if len(rows) != 4 || rows[0][12] != "input.temp" || rows[1][17] != "10" || rows[3][17] != "yes" {
			t.Errorf("exported %v", rows)
		}
	})
}

func TestLateLabels(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t), t.TempDir())
	b := batch(1, 0)
	b.EventTimes = []int64{time.Date(2011, 4, 1, 0, 0, 0, 0, time.UTC).UnixMicro()}
	must(t, s.Stream(schema).Append(t.Context(), b))
	for event, late := range map[string]int{"2011-04-10": 0, "2011-06-10": 1} {
		res, err := s.Feedback(t.Context(), "bike", []predlog.Feedback{{PredictionID: b.IDs[0].String(), Label: json.RawMessage("1"), EventTime: event}})
		must(t, err)
		if res.Late != late || res.Accepted != 1 {
			t.Errorf("%s: %+v", event, res)
		}
	}
}

func TestQueryPages(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t), t.TempDir(), func(d *predlog.Deps) { d.SegmentBytes = 2048 })
	st := s.Stream(schema)
	for i := range 40 {
		must(t, st.Append(t.Context(), batch(1+i%3, i)))
	}
	seen, token := map[string]bool{}, ""
	var last time.Time
	for {
		ps, next, err := s.Query(t.Context(), predlog.Filter{Endpoint: "bike", Limit: 7, PageToken: token})
		must(t, err)
		for _, p := range ps {
			if seen[p.ID] || !last.IsZero() && p.Time.After(last) {
				t.Fatalf("%s twice or out of order", p.ID)
			}
			seen[p.ID], last = true, p.Time
		}
		if token = next; token == "" {
			break
		}
	}
	if len(seen) != 79 {
		t.Errorf("%d predictions", len(seen))
	}
	if _, _, err := s.Query(t.Context(), predlog.Filter{Endpoint: "bike", PageToken: "x!"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("foreign token: %v", err)
	}
}

func TestTornTailIsCut(t *testing.T) {
	t.Parallel()
	d, dir := dbtest.SQLite(t), t.TempDir()
	s := open(t, d, dir)
	whole := batch(2, 0)
	must(t, s.Stream(schema).Append(t.Context(), whole))
	must(t, s.Close())
	files, err := filepath.Glob(filepath.Join(dir, "predictions", "*.log"))
	must(t, err)
	data, err := os.ReadFile(files[0])
	must(t, err)
	for _, tail := range []string{"\x00", strings.Repeat("\xff", 40), string(data[len(data)-100 : len(data)-3])} {
		must(t, os.WriteFile(files[0], append(bytes.Clone(data), tail...), 0o600))
		s := open(t, d, dir)
		if _, err := s.Find(t.Context(), whole.IDs[1].String()); err != nil {
			t.Error(err)
		}
		after := batch(1, 5)
		must(t, s.Stream(schema).Append(t.Context(), after))
		es, _, err := s.Read(t.Context(), "", "", 100)
		must(t, err)
		if len(es) != 3 {
			t.Errorf("%d entries", len(es))
		}
		must(t, s.Close())
		files, _ := filepath.Glob(filepath.Join(dir, "predictions", "*.log"))
		for _, f := range files[1:] {
			must(t, os.Remove(f))
		}
		if st, err := os.Stat(files[0]); err != nil || st.Size() != int64(len(data)) {
			t.Errorf("the tail is still there: %v %v", st.Size(), err)
		}
	}
}

func TestAppendersTogether(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t), t.TempDir(), func(d *predlog.Deps) { d.SegmentBytes = 20_000 })
	var wg sync.WaitGroup
	for w := range 8 {
		sc := schema
		sc.Endpoint = fmt.Sprint("e", w%4)
		st := s.Stream(sc)
		wg.Go(func() {
			for i := range 100 {
				if err := st.Append(t.Context(), batch(1, w*1000+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for w := range 4 {
		es, _, err := s.Read(t.Context(), fmt.Sprint("e", w), "", 1000)
		must(t, err)
		total += len(es)
	}
	if total != 800 {
		t.Errorf("%d of 800 are there", total)
	}
	stats := s.Stats("e0", time.Hour, 60)
	if stats.Totals.Count != 200 || *stats.Totals.P50 < 1.2 || *stats.Totals.P50 > 1.8 {
		t.Errorf("stats %+v", stats.Totals)
	}
}

func BenchmarkAppend(b *testing.B) {
	s := open(b, dbtest.SQLite(b), b.TempDir())
	st := s.Stream(schema)
	one := batch(1, 0)
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, st.Append(b.Context(), one))
		}
	})
	b.Run("sixteen", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			mine := batch(1, 0)
			for pb.Next() {
				if err := st.Append(b.Context(), mine); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
