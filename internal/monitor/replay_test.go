package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/num/sketch"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
)

// figures are what a monitor counted, without the ids that are made anew when it is read again.
func (b *bench) figures() string {
	b.t.Helper()
	w, err := b.s.watcher("bike")
	must(b.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	out := ""
	for _, k := range sortedKeys(w.buckets) {
		bk := w.buckets[k]
		st := bk.stats
		st.Ref = ""
		text, err := json.Marshal(st)
		must(b.t, err)
		columns, err := bk.encodeColumns()
		must(b.t, err)
		out += string(text) + columns + "\n"
	}
	ws, err := b.s.summaries(b.t.Context(), "bike", 1000)
	must(b.t, err)
	for _, x := range ws {
		x.ID = ""
		text, err := json.Marshal(x)
		must(b.t, err)
		out += string(text) + "\n"
	}
	return out
}

// crash gives up the process's memory without a last checkpoint and starts another on the same files.
func (b *bench) crash(t *testing.T) *bench {
	t.Helper()
	w, err := b.s.watcher("bike")
	must(t, err)
	w.mu.Lock()
	w.gone = true // nothing more is written
	w.halt()
	w.mu.Unlock()
	b.stop()
	must(t, b.log.Close())
	next := open(t, b.d, b.dir)
	next.run()
	return next
}

func TestEachStoreNeitherLosesNorCountsTwice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		play := func(d *db.DB, crashes ...int) string {
			b := open(t, d, t.TempDir())
			b.deploy()
			b.run()
			at := 0
			for day := range 16 {
				b.days(day, day, func(d int) float64 { return 5 + float64(d)/2 }, func(d int) float64 { return 10 + float64(d) })
				b.append(row{at: start.AddDate(0, 0, day).Add(23*time.Hour + 30*time.Minute), temp: 1, out: 3, failed: day%3 == 0})
				b.settle()
				if at < len(crashes) && crashes[at] == day {
					at++
					b = b.crash(t)
				}
			}
			b.settle()
			b.flush()
			return b.figures()
		}
		calm := play(dbtest.SQLite(t))
		if diff := cmp.Diff(calm, play(d, 2, 3, 9, 15)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEventsAreToldOnceOverCrashes(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLite(t), t.TempDir())
	b.deploy()
	b.run()
	for day := range 14 {
		b.days(day, day, func(d int) float64 { return 5 + float64(d) }, constant(5))
		b.settle()
		b = b.crash(t)
	}
	b.settle()
	var windows, distinct int
	must(t, b.d.QueryRow(t.Context(), "SELECT count(*), count(DISTINCT number) FROM monitor_window").Scan(&windows, &distinct))
	if windows != 13 || distinct != 13 {
		t.Errorf("%d windows, %d numbers", windows, distinct)
	}
	var told int
	must(t, b.d.QueryRow(t.Context(), "SELECT count(*) FROM event WHERE type = ?", "monitor.window.closed").Scan(&told))
	if told != 13 {
		t.Errorf("%d events", told)
	}
}

func TestLateLabelsCorrectTheirWindow(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLite(t), t.TempDir())
	b.deploy()
	b.run()
	var ids []predlog.ID
	for d := range 9 {
		for h := range 24 {
			ids = append(ids, b.append(row{at: start.AddDate(0, 0, d).Add(time.Duration(h) * time.Hour), temp: 5, hour: int64(h), out: 50})...)
		}
	}
	b.settle()
	truth := make([]float64, 24)
	for i := range truth {
		truth[i] = 40
	}
	for d := range 7 {
		b.label(ids[d*24:d*24+24], truth, start.AddDate(0, 0, 20))
	}
	b.settle()
	b.flush()
	ws, err := b.s.Windows(t.Context(), "bike", 10)
	must(t, err)
	if p := ws[0].Performance; p == nil || p.Labelled != 6*24 || *p.Value != 10 || *p.Bias != 10 {
		t.Fatalf("newest window: %+v", p)
	}
	if p := ws[len(ws)-1].Performance; p == nil || p.Labelled != 24 {
		t.Fatalf("oldest window: %+v", p)
	}
	// A label that replaces another takes that one out.
	truth[0] = 0
	b.label(ids[24*6:24*7], truth, start.AddDate(0, 0, 20))
	b.settle()
	b.flush()
	ws, err = b.s.Windows(t.Context(), "bike", 10)
	must(t, err)
	if p := ws[0].Performance; p.Labelled != 6*24 || *p.Value != 10+40.0/(6*24) {
		t.Fatalf("after a replacement: %d labels, %v", p.Labelled, *p.Value)
	}
}

func TestCompareIsAboutTheSameRows(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLite(t), t.TempDir())
	b.deploy()
	b.run()
	began := time.Now().Add(-time.Minute)
	var ids []predlog.ID
	var truth []float64
	for i := range 100 {
		at := start.Add(time.Duration(i) * time.Minute)
		served, shadow, role := "3", "4", predlog.Champion
		if i%10 == 0 {
			served, shadow, role = "4", "3", predlog.Canary
		}
		out := map[string]float64{"3": 50, "4": 60}
		answer := b.append(row{at: at, out: out[served], version: served, role: role, mirrors: 1})
		b.append(row{at: at, out: out[shadow], version: shadow, role: predlog.Shadow, request: answer[0]})
		ids, truth = append(ids, answer...), append(truth, 45)
	}
	b.append(row{at: start, version: "4", role: predlog.Canary, failed: true}, row{at: start, version: "3"})
	b.label(ids[:60], truth[:60], start.AddDate(0, 0, 1))
	b.settle()
	check := func(b *bench) {
		c, err := b.s.Compare(t.Context(), "bike", "3", "4", began)
		must(t, err)
		if c.Paired != 100 || c.Labelled != 60 || c.ChampionLoss != 5 || c.ChallengerLoss != 15 || c.DifferenceMean != 10 || c.DifferenceStd != 0 || c.Metric != "mae" {
			t.Errorf("%+v", c)
		}
		if c.Challenger.Count != 101 || c.Challenger.Errors != 1 || c.Champion.Count != 100 || c.Champion.P95 != 2 {
			t.Errorf("sides %+v %+v", c.Champion, c.Challenger)
		}
	}
	check(b)
	if c, err := b.s.Compare(t.Context(), "bike", "3", "4", time.Now().Add(time.Hour)); err != nil || c.Paired != 0 {
		t.Errorf("in the future: %+v %v", c, err)
	}
	b.flush()
	check(b.crash(t)) // the rows are read again
	if _, err := b.s.Compare(t.Context(), "none", "3", "4", began); !errs.Is(err, errs.NotFound) {
		t.Errorf("unknown endpoint: %v", err)
	}
}

func TestAnotherChampionStartsAnew(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLite(t), t.TempDir(), func(d *Deps) {
		d.Baseline = func(_ context.Context, _, version string) (string, string, string, bool, error) {
			return "bike", version, "", true, nil
		}
		d.Error = func(_ context.Context, _, version, metric string) (float64, string, bool, error) {
			return 4, "on held-out@1", metric == "mae" && version == "4", nil
		}
	})
	b.deploy()
	b.run()
	b.days(0, 12, constant(20), constant(5))
	m := b.settle()
	if m.State.Drift != Breach || m.Baseline.DatasetVersion != 3 {
		t.Fatalf("%+v %+v", m.State, m.Baseline)
	}
	b.hear("routing.route.changed", map[string]any{"endpoint": "bike", "targets": []any{map[string]any{"version": "3", "role": "champion", "weight": 90}, map[string]any{"version": "4", "role": "canary", "weight": 10}}})
	if m = b.settle(); m.Version != "3" {
		t.Fatal("a canary is not in charge")
	}
	b.hear("routing.route.changed", map[string]any{"endpoint": "bike", "targets": []any{map[string]any{"version": "4", "role": "champion", "weight": 100}}})
	if m = b.settle(); m.Version != "4" || m.State != noVerdicts() || m.Reasons[KindDrift] == "" {
		t.Fatalf("%s %+v %v", m.Version, m.State, m.Reasons)
	}
	ws, err := b.s.Windows(t.Context(), "bike", 100)
	must(t, err)
	if len(ws) != 12 {
		t.Errorf("%d windows stayed", len(ws))
	}
	b.append(row{at: start.AddDate(0, 0, 13), temp: 5, out: 1, version: "4"})
	if m = b.settle(); m.Baseline.DatasetVersion != 4 {
		t.Errorf("baseline %+v", m.Baseline)
	}
	b.hear("serving.endpoint.deleted", map[string]any{"endpoint": "bike"})
	if _, err := b.s.Get(t.Context(), "bike"); !errs.Is(err, errs.NotFound) {
		t.Errorf("after the end: %v", err)
	}
}

func TestWithoutADatasetTheFirstPredictionsAreTheBaseline(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLite(t), t.TempDir(), func(d *Deps) { d.Baseline = nil })
	b.deploy()
	b.run()
	b.days(0, 19, constant(5), constant(5))
	m := b.settle()
	if m.Baseline.Kind != "first_n" || m.Baseline.Ready || m.Baseline.Rows != 480 {
		t.Fatalf("collecting: %+v", m.Baseline)
	}
	b = b.crash(t)
	b.days(20, 30, constant(12), constant(5))
	m = b.settle()
	if !m.Baseline.Ready || m.Baseline.Rows != firstN || m.State.Drift != Breach || m.Features[0].Name != "temp" {
		t.Fatalf("%+v %+v %s", m.Baseline, m.State, m.VerdictText)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLite(t), t.TempDir())
	b.deploy()
	b.run()
	for _, bad := range []Change{
		{Window: &WindowSpec{By: "moon", Size: 7}},
		{Window: &WindowSpec{By: ByTime, Size: 0, Unit: "day"}},
		{Window: &WindowSpec{By: ByCount, Size: 3}},
		{Thresholds: json.RawMessage(`{"performance": {"watch": 2, "breach": 1.5}}`)},
		{Thresholds: json.RawMessage(`{"drift": {"numeric": "magic"}}`)},
		{Thresholds: json.RawMessage(`{"drift": {"nonsense": 1}}`)},
		{Thresholds: json.RawMessage(`{"drift": {"share": "much"}}`)},
		{Task: new(Task("poetry"))},
	} {
		if _, err := b.s.Update(t.Context(), "bike", bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v was taken: %v", bad, err)
		}
	}
	m, err := b.s.Update(t.Context(), "bike", Change{Window: &WindowSpec{By: ByCount, Size: 100}, Thresholds: json.RawMessage(`{"performance": {"breach": 3}}`)})
	must(t, err)
	if m.Window.Unit != "prediction" || m.Thresholds.Performance.Breach != 3 || m.Thresholds.Performance.Watch != 1.25 {
		t.Errorf("%+v", m)
	}
	b.days(0, 9, constant(5), constant(5))
	b.settle()
	ws, err := b.s.Windows(t.Context(), "bike", 100)
	must(t, err)
	if len(ws) != 11 || ws[0].Count != 100 { // 240 rows, judged every 20
		t.Errorf("%d windows, the newest of %d rows", len(ws), ws[0].Count)
	}
	b.flush()
	b = b.crash(t)
	if m := b.settle(); m.Window.By != ByCount || m.Thresholds.Performance.Breach != 3 {
		t.Errorf("after a restart: %+v", m.Window)
	}
}

func TestOddTimes(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLite(t), t.TempDir())
	b.deploy()
	b.run()
	b.append(row{at: start, noTime: true, temp: 5}) // somebody tries it out today, then last year is replayed
	b.days(0, 9, constant(5), constant(5))
	b.append(row{at: start, noTime: true, temp: 5}, row{at: time.Now().AddDate(50, 0, 0), temp: 5}, row{at: start.AddDate(-5, 0, 0), temp: 5})
	m := b.settle()
	if want := start.AddDate(0, 0, 9).Add(23 * time.Hour); m.Watermark == nil || !m.Watermark.Equal(want) || m.Late != 1 {
		t.Errorf("watermark %v, %d late", m.Watermark, m.Late)
	}
	b.append(row{at: start.AddDate(0, 5, 0), temp: 5}) // a gap judges what was before it and no empty months
	b.settle()
	ws, err := b.s.Windows(t.Context(), "bike", 100)
	must(t, err)
	if len(ws) != 10 {
		t.Errorf("%d windows", len(ws))
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		history []Verdict
		want    Verdict
	}{
		{nil, NoData},
		{[]Verdict{OK}, OK},
		{[]Verdict{Breach}, Watch},
		{[]Verdict{OK, Breach}, OK},
		{[]Verdict{OK, Breach, Breach}, Breach},
		{[]Verdict{Breach, OK, Breach}, Breach},
		{[]Verdict{Breach, OK, OK}, OK},
		{[]Verdict{OK, Watch, Breach}, Watch},
		{[]Verdict{Breach, NoData, Breach}, Breach},
		{[]Verdict{NoData, NoData, NoData}, NoData},
		{[]Verdict{Breach, NoData, NoData}, Watch},
	} {
		if got := settle(c.history); got != c.want {
			t.Errorf("%v: %s, want %s", c.history, got, c.want)
		}
	}
}

func TestQuality(t *testing.T) {
	t.Parallel()
	number, err := sketch.NewNumeric([]float64{1, 2, 3, 4, 5, 6}, 0, 0)
	must(t, err)
	category_, err := sketch.NewCategorical([]string{"a", "b", "b"}, 0, 10)
	must(t, err)
	for _, c := range []struct {
		name            string
		missing, odd, n int
		category        bool
		want            Verdict
	}{
		{"clean", 0, 0, 100, false, OK}, {"few rows", 10, 0, 10, false, NoData}, {"missing", 5, 0, 100, false, Watch}, {"much missing", 20, 0, 100, false, Breach},
		{"outside", 0, 20, 100, false, Watch}, {"all outside", 0, 90, 100, false, Breach}, {"unknown", 0, 20, 100, true, Breach}, {"a few unknown", 0, 1, 100, true, OK},
	} {
		ref := &refColumn{Name: "x", Type: map[bool]string{true: category, false: "number"}[c.category], Column: number}
		if c.category {
			ref.Column = category_
		}
		cur := ref.Column.Empty()
		for i := range c.n {
			switch odd := i < c.odd; {
			case i < c.missing:
				cur.AddMissing()
			case c.category:
				cur.AddString(map[bool]string{true: "z", false: "a"}[odd])
			default:
				cur.AddFloat(map[bool]float64{true: 99, false: 3}[odd])
			}
		}
		f := judgeColumn(ref, cur, DefaultSettings().Thresholds)
		if f.Quality != c.want {
			t.Errorf("%s: %s, want %s (%s)", c.name, f.Quality, c.want, f.fault)
		}
	}
}

func TestScores(t *testing.T) {
	t.Parallel()
	rec := func(v any) *predlog.Record { return &predlog.Record{Status: predlog.OK, Outputs: []any{v}} }
	var l losses
	for _, c := range []struct{ guess, truth any }{{"a", "a"}, {"a", "b"}, {"b", "b"}, {int64(1), 1.0}, {true, 1.0}} {
		o, ok := score(Classification, rec(c.guess), c.truth)
		if !ok {
			t.Fatalf("%v and %v cannot be compared", c.guess, c.truth)
		}
		l.add(o, 1)
	}
	if l.N != 5 || l.Sum != 1 {
		t.Errorf("%+v", l)
	}
	if f1, ok := l.macroF1(); !ok || fmt.Sprintf("%.6f", f1) != "0.777778" { // a: 2/3, b: 2/3, 1: 1
		t.Errorf("F1 %v", f1)
	}
	if _, ok := score(Regression, rec("x"), 1.0); ok {
		t.Error("a text was compared with a number")
	}
	if o, ok := score(Classification, rec(0.8), 1.0); !ok || o.loss != 0 || fmt.Sprintf("%.4f", o.logLoss) != "0.2231" {
		t.Errorf("probability: %+v", o)
	}
}

func BenchmarkConsume(b *testing.B) {
	s := open(b, dbtest.SQLite(b), b.TempDir())
	s.deploy()
	w, err := s.s.watcher("bike")
	must(b, err)
	ref := &reference{Baseline: Baseline{Kind: "dataset", Ready: true}}
	sc := &predlog.Schema{Endpoint: "bike", Version: "3", Outputs: []predlog.Field{{Name: "prediction"}}}
	var inputs []any
	for i := range 10 {
		xs := make([]float64, 5000)
		for j := range xs {
			xs[j] = float64(j) * 1.37
		}
		col, err := sketch.NewNumeric(xs, 0, 0)
		must(b, err)
		name := fmt.Sprint("x", i)
		ref.Features = append(ref.Features, &refColumn{name, number, col})
		sc.Inputs = append(sc.Inputs, predlog.Field{Name: name})
		inputs = append(inputs, float64(i)*300.5)
	}
	w.use(ref, Regression)
	r := &predlog.Record{Schema: sc, Role: predlog.Champion, Status: predlog.OK, Time: time.Now(), EventTimeSet: true, Inputs: inputs, Outputs: []any{5.0}, Latency: time.Millisecond}
	now := time.Now()
	b.ResetTimer()
	for i := range b.N {
		r.EventTime, r.EventTimeSet = start.Add(time.Duration(i)*time.Second/100), true
		must(b, w.record(r, now))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
