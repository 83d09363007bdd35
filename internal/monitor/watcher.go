package monitor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/predlog"
)

const (
	seriesLength = 30             // statistics of a feature that are kept at hand
	keepWindows  = 1000           // windows of an endpoint that are kept
	keepStats    = 60             // buckets beyond the window whose figures are kept for late labels
	aheadOfClock = 24 * time.Hour // how far event time may lie ahead of the server's clock
	maxLabelled  = 20_000         // labelled rows whose label may be replaced exactly
	maxPlans     = 64             // schemas that are remembered
)

// checkpoint is the part of a watcher's state that is small and changes often.
type checkpoint struct {
	Cursor     predlog.Cursor  `json:"cursor"`
	Started    bool            `json:"started"`
	Open       int64           `json:"open"`      // bucket of the watermark
	First      int64           `json:"first"`     // first bucket since the version in charge took over
	Watermark  int64           `json:"watermark"` // µs
	EventTimes bool            `json:"event_times"`
	Total      int64           `json:"total"` // rows answered
	Late       int64           `json:"late"`
	Number     int64           `json:"number"` // of the newest window
	Verdicts   Verdicts        `json:"verdicts"`
	Reasons    map[Kind]string `json:"reasons"`
	Since      map[Kind]int64  `json:"since"`
	History    []heard         `json:"history"`
	Base       *baseError      `json:"base,omitempty"`
	Task       Task            `json:"task"`
	RefID      string          `json:"ref"`
}

// heard is one judged window in the history that states are made of.
type heard struct {
	Window   string   `json:"window"`
	Verdicts Verdicts `json:"verdicts"`
}

// watcher counts what one endpoint does. Its follower is the only one that takes records in; mu guards it against readers and commands.
type watcher struct {
	mu sync.Mutex

	endpoint, model, version string
	settings                 Settings
	createdAt, updatedAt     time.Time

	ref     *reference // nil until it is built
	st      checkpoint
	buckets map[int64]*bucket
	last    *bucket // of the previous record
	recent  []*WindowSummary
	newest  *Window
	series  map[string][]*float64
	plans   map[*predlog.Schema][]int
	labels  labelMemory
	pairs   *pairs

	out        outbox
	changed    bool // since the last flush
	refChanged bool
	touched    map[int64]bool // buckets whose labels changed
	flushed    time.Time
	timer      *time.Timer
	gone       bool
	stop       context.CancelFunc // ends the present reading, so that the follower starts anew
	running    bool
}

// outbox is what the next flush writes besides the checkpoint.
type outbox struct {
	windows []*Window        // new
	updates []*WindowSummary // changed
	dropped []int64          // buckets
	events  []told
}

type told struct {
	typ  string
	data any
}

func newWatcher(endpoint, model, version string, settings Settings, created time.Time) *watcher {
	w := &watcher{endpoint: endpoint, model: model, version: version, settings: settings, createdAt: created, updatedAt: created}
	w.reset()
	w.buckets, w.series, w.touched = map[int64]*bucket{}, map[string][]*float64{}, map[int64]bool{}
	w.labels, w.pairs = newLabelMemory(), newPairs(created)
	return w
}

// reset forgets the verdicts: they were about another version or other settings.
func (w *watcher) reset() {
	w.st.Verdicts, w.st.Reasons, w.st.Since, w.st.History, w.st.Base = noVerdicts(), map[Kind]string{}, map[Kind]int64{}, nil, nil
	w.st.First, w.plans, w.last = w.st.Open, map[*predlog.Schema][]int{}, nil
}

// use makes ref the reference of the rows to come. The sketches on another one are given up.
func (w *watcher) use(ref *reference, task Task) {
	w.ref, w.refChanged, w.changed = ref, true, true
	w.st.RefID = id.New()
	w.plans = map[*predlog.Schema][]int{}
	if task != "" {
		w.st.Task = task
	}
	for _, b := range w.buckets {
		if b.columns != nil || b.output != nil {
			b.columns, b.output, b.dirtyColumns = nil, nil, true
		}
	}
	w.last = nil
}

func (w *watcher) task() Task {
	if w.settings.Task != "" {
		return w.settings.Task
	}
	return w.st.Task
}

// plan says which input of a schema is which feature.
func (w *watcher) plan(sc *predlog.Schema) []int {
	if p, ok := w.plans[sc]; ok {
		return p
	}
	if len(w.plans) >= maxPlans {
		clear(w.plans)
	}
	p := make([]int, len(sc.Inputs))
	for i, f := range sc.Inputs {
		p[i] = slices.IndexFunc(w.ref.Features, func(r *refColumn) bool { return r.Name == f.Name })
	}
	w.plans[sc] = p
	return p
}

// record takes one record of the log in.
func (w *watcher) record(r *predlog.Record, now time.Time) error {
	if r.Time.Before(w.createdAt) {
		return nil // of an endpoint of the same name that was deleted
	}
	w.changed = true
	shadow := r.Role == predlog.Shadow
	at := w.eventTime(r, now)
	r.EventTime = clock.FromMicros(at)
	b, err := w.bucket(at, !shadow)
	if err != nil {
		return err
	}
	w.pairs.record(r, w.task())
	if !shadow {
		w.st.Total++
		w.st.Watermark = max(w.st.Watermark, at)
	}
	if b == nil {
		return nil
	}
	if w.st.Task == "" && r.Status == predlog.OK {
		w.st.Task = taskOfValue(r.Prediction())
	}
	if w.ref != nil && w.ref.Collect != nil && !shadow && r.Status == predlog.OK {
		w.refChanged = true
		if w.ref.Collect.add(r) {
			if err := w.collected(); err != nil {
				return err
			}
			b.fit(w.ref, w.st.RefID)
		}
	}
	b.count(r, w.plan(r.Schema))
	return nil
}

// collected ends the collection of the first rows.
func (w *watcher) collected() error {
	ref, err := w.ref.finish()
	if err != nil {
		return err
	}
	if w.ref.Collect.Limit > 0 { // new features: new sketches
		w.use(ref, "")
		return nil
	}
	w.ref, w.refChanged, w.changed = ref, true, true
	for _, b := range w.buckets {
		b.fit(ref, w.st.RefID)
	}
	return nil
}

func taskOfValue(v any) Task {
	switch v.(type) {
	case float64:
		return Regression
	case string, bool, int64:
		return Classification
	}
	return ""
}

// eventTime is when a row happened. Once callers give event times, a row without one happens at the watermark: a test request of today must
// not push a replay of last year into the past. A time ahead of the clock is held back to the watermark.
func (w *watcher) eventTime(r *predlog.Record, now time.Time) int64 {
	at := r.EventTime.UnixMicro()
	switch {
	case r.EventTimeSet && !w.st.EventTimes:
		w.st.EventTimes = true
		if w.st.Started && w.settings.Window.By == ByTime {
			w.move(floor(at, w.settings.Window.step()))
			w.st.Watermark = at
		}
	case !r.EventTimeSet && w.st.EventTimes:
		return w.st.Watermark
	}
	if at > now.Add(aheadOfClock).UnixMicro() && w.st.Started && r.EventTimeSet {
		return max(w.st.Watermark, 0)
	}
	return at
}

// move puts what was counted by the clock into the bucket in which event time begins.
func (w *watcher) move(key int64) {
	open := w.buckets[w.st.Open]
	for k := range w.buckets {
		w.out.dropped = append(w.out.dropped, k)
	}
	clear(w.buckets)
	w.last, w.st.Open, w.st.First = nil, key, key
	if open != nil {
		step := w.settings.Window.step()
		open.Key, open.From, open.To = key, key*step, key*step
		open.dirtyStats, open.dirtyColumns = true, true
		w.buckets[key] = open
	}
}

func floor(at, step int64) int64 {
	k := at / step
	if at%step < 0 {
		k--
	}
	return k
}

// bucket is where a row of that time counts; nil when that is too long ago.
func (w *watcher) bucket(at int64, answered bool) (*bucket, error) {
	spec := w.settings.Window
	var key int64
	if spec.By == ByCount {
		key = w.st.Total / spec.step()
		if !answered {
			key = w.st.Open
		}
	} else {
		key = floor(at, spec.step())
	}
	if !w.st.Started {
		w.st.Started, w.st.Open, w.st.First = true, key, key
	}
	if w.last != nil && w.last.Key == key && key == w.st.Open {
		return w.last, nil
	}
	if key > w.st.Open {
		if !answered {
			key = w.st.Open // only answers move time
		} else if err := w.advance(key); err != nil {
			return nil, err
		}
	}
	if key < w.st.Open && answered {
		w.st.Late++
		if key <= w.st.Open-spec.buckets() {
			if b := w.buckets[key]; b != nil {
				b.Late++
				b.dirtyStats = true
			}
			return nil, nil
		}
	}
	b := w.buckets[key]
	if b == nil {
		if key <= w.st.Open-spec.buckets() {
			return nil, nil
		}
		b = newBucket(key, at)
		w.buckets[key] = b
	}
	if key < w.st.Open && answered {
		b.Late++
	}
	if w.ref != nil && key > w.st.Open-spec.buckets() {
		b.fit(w.ref, w.st.RefID)
	}
	w.last = b
	return b, nil
}

// advance judges the windows that end before bucket key, and opens it. After a gap the window behind it is judged too while it still holds
// rows.
func (w *watcher) advance(key int64) error {
	n := w.settings.Window.buckets()
	if err := w.judge(w.st.Open); err != nil {
		return err
	}
	if key-1 > w.st.Open && key-n <= w.st.Open {
		if err := w.judge(key - 1); err != nil {
			return err
		}
	}
	w.st.Open, w.last = key, nil
	for _, k := range sortedKeys(w.buckets) {
		b := w.buckets[k]
		switch {
		case k <= key-2*n-keepStats:
			delete(w.buckets, k)
			w.out.dropped = append(w.out.dropped, k)
		case k <= key-n && (b.columns != nil || b.output != nil):
			b.columns, b.output, b.dirtyColumns = nil, nil, true
		}
	}
	return nil
}

// between lists the buckets of a window.
func (w *watcher) between(from, to int64) []*bucket {
	var out []*bucket
	for _, k := range sortedKeys(w.buckets) {
		if k >= from && k <= to {
			out = append(out, w.buckets[k])
		}
	}
	return out
}

func (w *watcher) judging(number int64, span string) judged {
	return judged{settings: w.settings, task: w.task(), version: w.version, reference: w.ref, refID: w.st.RefID, base: w.base(number), span: span}
}

// base is what the labelled error of a window is compared with.
func (w *watcher) base(number int64) *baseError {
	if p := w.settings.Thresholds.Performance.Reference; p != nil {
		return &baseError{Value: *p, From: "as set"}
	}
	if b := w.st.Base; b != nil && number >= b.Window {
		return b
	}
	return nil
}

// judge closes the window that ends with a bucket.
func (w *watcher) judge(end int64) error {
	spec := w.settings.Window
	n, step := spec.buckets(), spec.step()
	bs := w.between(end-n+1, end)
	if len(bs) == 0 {
		return nil
	}
	var from, to time.Time
	if spec.By == ByTime {
		from, to = clock.FromMicros((end-n+1)*step), clock.FromMicros((end+1)*step)
	} else {
		lo, hi := bs[0].From, bs[0].To
		for _, b := range bs {
			lo, hi = min(lo, b.From), max(hi, b.To)
		}
		from, to = clock.FromMicros(lo), clock.FromMicros(hi)
	}
	w.st.Number++
	j := w.judging(w.st.Number, w.span(to))
	if have := end - w.st.First + 1; spec.By == ByTime && have < n {
		j.partial = fmt.Sprintf("%d of %s", have, plural(n, spec.Unit))
	}
	win, err := j.judge(bs)
	if err != nil {
		return err
	}
	win.ID, win.Number, win.From, win.To, win.Buckets = id.New(), w.st.Number, from, to, [2]int64{end - n + 1, end}
	if w.st.Base == nil && win.Performance != nil && win.Performance.Value != nil && w.settings.Thresholds.Performance.Reference == nil {
		s, l := win.Performance, w.settings.Thresholds.Performance
		if s.Labelled >= l.MinLabelled && (end-w.st.First+1 >= n || s.Labelled >= 10*l.MinLabelled) {
			w.st.Base = &baseError{Value: *s.Value, From: "in the first labelled window, to " + day(lastMoment(to, spec), w.updatedAt), Window: w.st.Number + 1}
		}
	}
	w.recent = append(w.recent, &win.WindowSummary)
	if most := int(n) + keepStats; len(w.recent) > most {
		w.recent = slices.Clone(w.recent[len(w.recent)-most:])
	}
	w.newest = win
	w.noteSeries(win)
	w.out.windows = append(w.out.windows, win)
	w.st.History = append(w.st.History, heard{win.ID, win.Verdicts})
	if len(w.st.History) > windowsHeard {
		w.st.History = slices.Clone(w.st.History[1:])
	}
	w.out.events = append(w.out.events, told{"monitor.window.closed", closed{Endpoint: w.endpoint, WindowID: win.ID, Version: win.Version, From: from, To: to, Count: win.Count, Errors: win.Errors,
		Verdicts: win.Verdicts, Reason: win.Reason, EventTime: to}})
	w.restate(&win.WindowSummary)
	return nil
}

func (w *watcher) noteSeries(win *Window) {
	all := win.Features
	if win.Prediction != nil {
		all = append(slices.Clone(all), *win.Prediction)
	}
	for _, f := range all {
		s := append(w.series[f.Name], f.Statistic)
		if len(s) > seriesLength {
			s = slices.Clone(s[len(s)-seriesLength:])
		}
		w.series[f.Name] = s
	}
}

// restate makes the states from the history and tells of changes.
func (w *watcher) restate(win *WindowSummary) {
	for _, k := range kinds() {
		var hs []Verdict
		for _, h := range w.st.History {
			hs = append(hs, *h.Verdicts.of(k))
		}
		now := w.st.Verdicts.of(k)
		next := settle(hs)
		w.st.Reasons[k] = win.Reasons[k]
		if next == *now {
			continue
		}
		w.tell(k, next, win)
		*now = next
		w.st.Since[k] = clock.Micros(win.To)
	}
	w.changed = true
}

// tell puts a change of state into the outbox.
func (w *watcher) tell(k Kind, next Verdict, win *WindowSummary) {
	c := changed{Endpoint: w.endpoint, Model: w.model, Version: w.version, Kind: k, Verdict: next, Previous: *w.st.Verdicts.of(k), Reason: w.st.Reasons[k], Features: []Drifted{}, EventTime: clock.FromMicros(w.st.Watermark)}
	if win != nil {
		c.WindowID, c.Reason, c.EventTime = win.ID, win.Reasons[k], win.To
		if k == KindDrift {
			c.Features = win.Drifted
		}
	}
	w.out.events = append(w.out.events, told{"monitor.verdict.changed", c})
}

// replace gives the endpoint another version in charge.
func (w *watcher) replace(version string) {
	old := w.version
	w.version = version
	why := fmt.Sprintf("version %s took over from version %s; its first window is not complete", version, old)
	before := w.st.Verdicts
	for _, k := range kinds() {
		w.st.Reasons[k] = why
		if *before.of(k) != NoData {
			w.tell(k, NoData, nil)
		}
	}
	since := map[Kind]int64{}
	for _, k := range kinds() {
		since[k] = w.st.Watermark
	}
	w.reset()
	w.st.Since = since
	for _, k := range kinds() {
		w.st.Reasons[k] = why
	}
	w.ref, w.st.RefID, w.refChanged, w.changed = nil, "", true, true
}

// label takes one label in: it counts in the bucket of its row, for each version that scored the row.
func (w *watcher) label(l *predlog.Label, now time.Time) {
	if len(l.Scored) == 0 || l.Scored[0].Time.Before(w.createdAt) {
		return
	}
	w.changed = true
	w.pairs.label(l, w.task())
	answer := &l.Scored[0]
	b := w.labelled(answer, now)
	if b == nil {
		return
	}
	before, known := w.labels.take(l.PredictionID)
	if l.Replaced && !known {
		return // the first label stays counted: what it was is no longer known
	}
	for _, o := range before {
		if old := w.buckets[o.bucket]; old != nil {
			old.version(o.version).Loss.add(o.outcome, -1)
			old.dirtyStats = true
			w.touched[o.bucket] = true
		}
	}
	var counted []countedLabel
	for i := range l.Scored {
		r := &l.Scored[i]
		o, ok := score(w.task(), r, l.Value)
		if !ok {
			continue
		}
		b.version(r.Schema.Version).Loss.add(o, 1)
		counted = append(counted, countedLabel{b.Key, r.Schema.Version, o})
	}
	w.labels.put(l.PredictionID, counted)
	b.dirtyStats = true
	w.touched[b.Key] = true
}

// labelled is the bucket of a row that was taken in before.
func (w *watcher) labelled(r *predlog.Record, now time.Time) *bucket {
	at := r.EventTime.UnixMicro()
	if w.settings.Window.By == ByTime && (r.EventTimeSet || !w.st.EventTimes) {
		return w.buckets[floor(at, w.settings.Window.step())]
	}
	keys := sortedKeys(w.buckets)
	for _, k := range slices.Backward(keys) {
		if w.buckets[k].From <= at {
			return w.buckets[k]
		}
	}
	return nil
}

// correct judges the error of the windows anew whose rows got labels.
func (w *watcher) correct() error {
	if len(w.touched) == 0 {
		return nil
	}
	keys := slices.Collect(maps.Keys(w.touched))
	clear(w.touched)
	for i, win := range w.recent {
		if !slices.ContainsFunc(keys, func(k int64) bool { return k >= win.Buckets[0] && k <= win.Buckets[1] }) || win.Version != w.version {
			continue
		}
		if w.st.First > win.Buckets[1] {
			continue
		}
		t, err := sum(w.between(win.Buckets[0], win.Buckets[1]), nil, "")
		if err != nil {
			return err
		}
		full := Window{WindowSummary: *win}
		full.Reasons = maps.Clone(win.Reasons)
		w.judging(win.Number, w.span(win.To)).performance(&full, t)
		full.conclude()
		for name, v := range t.Versions {
			if known, ok := full.Versions[name]; ok {
				known.Labelled, known.Value = v.Loss.N, mean(v.Loss.Sum, v.Loss.N)
				full.Versions = maps.Clone(full.Versions)
				full.Versions[name] = known
			}
		}
		next := full.WindowSummary
		w.recent[i] = &next
		w.out.updates = append(w.out.updates, &next)
		if w.newest != nil && w.newest.ID == next.ID {
			w.newest.WindowSummary = next
		}
		for h := range w.st.History {
			if w.st.History[h].Window == next.ID {
				w.st.History[h].Verdicts.Performance = next.Verdicts.Performance
			}
		}
	}
	if w.newest != nil && len(w.recent) > 0 && len(w.st.History) > 0 && w.st.History[len(w.st.History)-1].Window == w.newest.ID {
		w.restate(&w.newest.WindowSummary)
	}
	return nil
}

// span is what the sentences call a window: "7 days to 20 Apr 2011".
func (w *watcher) span(to time.Time) string {
	spec := w.settings.Window
	what := plural(spec.Size, spec.Unit)
	if spec.By == ByCount {
		what = plural(spec.Size, "prediction")
	}
	return what + " to " + day(lastMoment(to, spec), w.updatedAt)
}

// lastMoment is within the last day of a window, whose end is exclusive.
func lastMoment(to time.Time, spec WindowSpec) time.Time {
	if spec.By == ByTime && spec.Unit == "day" {
		return to.Add(-time.Microsecond)
	}
	return to
}

// day is a date for a sentence; a year that is not now's is named.
func day(t, now time.Time) string {
	layout := "2 Jan"
	if h, m, _ := t.Clock(); t.Nanosecond() == 0 && (h != 0 || m != 0) {
		layout = "2 Jan 15:04"
	}
	if t.Year() != now.Year() {
		layout = "2 Jan 2006" + layout[5:]
	}
	return t.Format(layout)
}
