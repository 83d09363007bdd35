package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/table"
)

// noModels has no versions: features come from the dataset or the first rows.
type noModels struct{}

func (noModels) GetVersion(context.Context, string, string) (registry.Version, error) {
	return registry.Version{}, errs.NotFoundf("test", "no version")
}

// frames gives one table for every dataset.
type frames struct{ frame *table.Frame }

func (f frames) Open(context.Context, string, int64) (*table.Frame, dataset.Version, error) {
	return f.frame, dataset.Version{Target: "riders", TimeColumn: "time"}, nil
}

// bench is a monitor on a real store and a real prediction log.
type bench struct {
	t   testing.TB
	d   *db.DB
	dir string
	log *predlog.Service
	ev  *events.Log
	s   *Service
	clk *clock.Fake

	consumed chan struct{}
	stop     func()
}

var start = time.Date(2011, 4, 1, 0, 0, 0, 0, time.UTC)

// winter is a reference of cold hours.
func winter(t testing.TB) *table.Frame {
	rng := rand.New(rand.NewPCG(1, 1))
	var temp, riders []float64
	var hour, at []int64
	var sky []string
	for i := range 2000 {
		temp = append(temp, 5+3*rng.NormFloat64())
		hour = append(hour, int64(i%24))
		sky = append(sky, []string{"clear", "cloud", "rain"}[rng.IntN(3)])
		riders = append(riders, 50+10*rng.NormFloat64())
		at = append(at, int64(i))
	}
	f, err := table.NewFrame(table.NewFloats("temp", temp), table.NewInts("hour", hour, nil), table.NewStrings("sky", sky, nil), table.NewFloats("riders", riders), table.NewInts("time", at, nil))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func open(t testing.TB, d *db.DB, dir string, change ...func(*Deps)) *bench {
	t.Helper()
	b := &bench{t: t, d: d, dir: dir, clk: clock.NewFake(time.Now()), consumed: make(chan struct{}, 1)}
	must(t, d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), predlog.Migrations(), Migrations()))
	log := slog.New(slog.DiscardHandler)
	queue := jobs.NewQueue(jobs.Deps{DB: d, Clock: b.clk, Log: log})
	b.ev = events.NewLog(events.Deps{DB: d, Jobs: queue, Clock: b.clk, Log: log})
	b.log = predlog.New(predlog.Deps{DB: d, Clock: clock.System{}, Log: log, DataDir: dir})
	must(t, b.log.Start(t.Context()))
	deps := Deps{DB: d, Events: b.ev, Clock: b.clk, Log: log, Predlog: b.log, Registry: noModels{}, Datasets: frames{winter(t)},
		Baseline: func(context.Context, string, string) (string, string, string, bool, error) {
			return "bike", "3", "", true, nil
		},
		Consumed: func(string) {
			select {
			case b.consumed <- struct{}{}:
			default:
			}
		}}
	for _, c := range change {
		c(&deps)
	}
	b.s = New(deps)
	b.s.Subscribe()
	must(t, b.s.Start(t.Context()))
	return b
}

// run starts the followers; the returned func stops them and waits.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.s.Run(ctx) }()
	b.stop = func() { cancel(); <-done }
	b.t.Cleanup(func() { b.stop(); _ = b.log.Close() })
}

func (b *bench) hear(typ string, data any) {
	b.t.Helper()
	text, err := json.Marshal(data)
	must(b.t, err)
	must(b.t, b.s.hear(b.t.Context(), events.Event{Type: typ, At: start.AddDate(-1, 0, 0), Data: text}))
}

func (b *bench) deploy() {
	b.hear("serving.endpoint.created", map[string]any{"endpoint": "bike", "model": "bike-demand", "version": "3"})
}

// settle waits until all that is in the log was taken in.
func (b *bench) settle() Monitor {
	b.t.Helper()
	for {
		m, err := b.s.Get(b.t.Context(), "bike")
		must(b.t, err)
		if m.Pending == 0 {
			return m
		}
		select {
		case <-b.consumed:
		case <-b.t.Context().Done():
			b.t.Fatal("the monitor does not keep up")
		case <-time.After(2 * time.Minute):
			b.t.Fatalf("the monitor is %d entries behind", m.Pending)
		}
	}
}

// flush writes the checkpoint now.
func (b *bench) flush() {
	b.t.Helper()
	w, err := b.s.watcher("bike")
	must(b.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	must(b.t, b.s.flush(b.t.Context(), w))
}

type row struct {
	at      time.Time
	temp    float64
	hour    int64
	sky     string
	out     float64
	version string
	role    predlog.Role
	request predlog.ID // of a shadow: the answer's id
	failed  bool
	mirrors int
	noTime  bool
}

func (b *bench) append(rows ...row) []predlog.ID {
	b.t.Helper()
	var ids []predlog.ID
	for _, r := range rows {
		if r.version == "" {
			r.version = "3"
		}
		if r.role == "" {
			r.role = predlog.Champion
		}
		if r.sky == "" {
			r.sky = "clear"
		}
		id := predlog.NewID()
		ids = append(ids, id)
		bt := &predlog.Batch{Role: r.role, Status: predlog.OK, Time: time.Now(), Latency: 2 * time.Millisecond, IDs: []predlog.ID{id}, EventTimes: []int64{r.at.UnixMicro()}, Mirrors: r.mirrors,
			Keys:    []string{r.at.Format(time.RFC3339)},
			Inputs:  []predlog.Column{{Kind: predlog.Float64, Floats: []float64{r.temp}}, {Kind: predlog.Int64, Ints: []int64{r.hour}}, {Kind: predlog.String, Strings: []string{r.sky}}},
			Outputs: []predlog.Column{{Kind: predlog.Float64, Floats: []float64{r.out}}}}
		if r.noTime {
			bt.EventTimes = nil
		}
		if r.role == predlog.Shadow {
			bt.RequestIDs, bt.Keys = []predlog.ID{r.request}, nil
		}
		if r.failed {
			bt.Status, bt.Error, bt.Outputs = predlog.Failed, "no", nil
		}
		sc := predlog.Schema{Endpoint: "bike", Model: "bike-demand", Version: r.version,
			Inputs:  []predlog.Field{{Name: "temp", Kind: predlog.Float64}, {Name: "hour", Kind: predlog.Int64}, {Name: "sky", Kind: predlog.String}},
			Outputs: []predlog.Field{{Name: "prediction", Kind: predlog.Float64}}}
		must(b.t, b.log.Stream(sc).Append(b.t.Context(), bt))
	}
	return ids
}

func (b *bench) label(ids []predlog.ID, values []float64, at time.Time) {
	b.t.Helper()
	var items []predlog.Feedback
	for i, id := range ids {
		items = append(items, predlog.Feedback{PredictionID: id.String(), Label: json.RawMessage(fmt.Sprint(values[i])), EventTime: at.Format(time.RFC3339)})
	}
	res, err := b.log.Feedback(b.t.Context(), "bike", items)
	must(b.t, err)
	if res.Accepted != len(ids) {
		b.t.Fatalf("labels: %+v", res)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// days sends hourly rows from day first to day last, of a temperature and an error that the caller gives, with labels a day later.
func (b *bench) days(first, last int, temp, miss func(day int) float64) {
	b.t.Helper()
	rng := rand.New(rand.NewPCG(uint64(first), 7))
	for d := first; d <= last; d++ {
		var rows []row
		var truth []float64
		for h := range 24 {
			rows = append(rows, row{at: start.AddDate(0, 0, d).Add(time.Duration(h) * time.Hour), temp: temp(d) + 3*rng.NormFloat64(), hour: int64(h), sky: []string{"clear", "cloud", "rain"}[rng.IntN(3)], out: 50})
			truth = append(truth, 50+miss(d)*map[bool]float64{true: 1, false: -1}[h%2 == 0])
		}
		ids := b.append(rows...)
		b.label(ids, truth, start.AddDate(0, 0, d+1))
	}
}

func (b *bench) changes() []changed {
	b.t.Helper()
	rows, err := b.d.Query(b.t.Context(), "SELECT data FROM event WHERE type = ? ORDER BY id", "monitor.verdict.changed")
	must(b.t, err)
	defer func() { _ = rows.Close() }()
	var out []changed
	for rows.Next() {
		var text string
		must(b.t, rows.Scan(&text))
		var c changed
		must(b.t, json.Unmarshal([]byte(text), &c))
		out = append(out, c)
	}
	must(b.t, rows.Err())
	return out
}

func constant(x float64) func(int) float64 { return func(int) float64 { return x } }

func TestEachStoreFindsASpring(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := open(t, d, t.TempDir())
		b.deploy()
		b.run()
		b.days(0, 8, constant(5), constant(20))
		m := b.settle()
		if m.State != (Verdicts{OK, OK, OK, OK}) || m.Baseline.Kind != "dataset" || m.Task != Regression {
			t.Fatalf("calm: %+v %s", m.State, m.VerdictText)
		}
		if len(m.Features) != 3 || m.Watermark == nil || !m.Watermark.Equal(start.AddDate(0, 0, 8).Add(23*time.Hour)) {
			t.Fatalf("features %+v, watermark %v", m.Features, m.Watermark)
		}
		b.days(9, 24, func(d int) float64 { return 5 + 0.8*float64(d-8) }, func(d int) float64 { return 20 + 3*float64(d-8) })
		m = b.settle()
		if m.State.Drift != Breach || m.State.Performance != Breach || m.State.Service != OK {
			t.Fatalf("spring: %+v %s", m.State, m.VerdictText)
		}
		if m.Features[0].Name != "temp" || m.Features[0].Verdict != Breach || len(m.Features[0].Series) == 0 {
			t.Errorf("first feature %+v", m.Features[0])
		}
		for _, want := range []string{"Mean absolute error ", " over 7 days to 24 Apr 2011", "1.50 x 20.0 in the first labelled window", "breach since", "temp (PSI"} {
			if !strings.Contains(m.VerdictText, want) {
				t.Errorf("%q lacks %q", m.VerdictText, want)
			}
		}
		seen := map[Kind][]Verdict{}
		for _, c := range b.changes() {
			if c.Previous == c.Verdict || c.Reason == "" || c.WindowID == "" {
				t.Errorf("change %+v", c)
			}
			seen[c.Kind] = append(seen[c.Kind], c.Verdict)
		}
		if got := fmt.Sprint(seen[KindPerformance]); got != "[ok watch breach]" {
			t.Errorf("performance went %s", got)
		}
		ws, err := b.s.Windows(t.Context(), "bike", 100)
		must(t, err)
		if len(ws) != 24 {
			t.Fatalf("%d windows", len(ws))
		}
		full, err := b.s.Window(t.Context(), "bike", ws[0].ID)
		must(t, err)
		if full.Features[0].Name != "temp" || len(full.Features[0].Reference.Shares) != len(full.Features[0].Current.Shares) || full.Count != 7*24 {
			t.Errorf("window %+v", full.WindowSummary)
		}
		for _, f := range full.Features {
			for _, d := range []*Distribution{f.Reference, f.Current} {
				var sum float64
				for _, s := range d.Shares {
					sum += s
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Errorf("shares of %s add up to %v", f.Name, sum)
				}
			}
		}
		h, err := b.s.Feature(t.Context(), "bike", "temp", 60)
		must(t, err)
		if len(h.Windows) != 24 || h.Current == nil {
			t.Errorf("history of %d windows", len(h.Windows))
		}
	})
}
