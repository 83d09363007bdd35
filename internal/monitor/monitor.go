package monitor

import (
	"math"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Verdict says how something stands.
type Verdict string

// The verdicts, and NoData for what cannot be judged.
const (
	OK     Verdict = "ok"
	Watch  Verdict = "watch"
	Breach Verdict = "breach"
	NoData Verdict = "no_data"
)

// rank orders verdicts; NoData is below all.
func (v Verdict) rank() int {
	switch v {
	case OK:
		return 1
	case Watch:
		return 2
	case Breach:
		return 3
	}
	return 0
}

func worse(a, b Verdict) Verdict {
	if b.rank() > a.rank() {
		return b
	}
	return a
}

// grade is the verdict on a quantity that should be small.
func grade(x, watch, breach float64) Verdict {
	switch {
	case x >= breach:
		return Breach
	case x >= watch:
		return Watch
	}
	return OK
}

// Kind is what a verdict is about.
type Kind string

// The kinds of verdicts.
const (
	KindDrift       Kind = "drift"
	KindPerformance Kind = "performance"
	KindQuality     Kind = "quality"
	KindService     Kind = "service"
)

func kinds() [4]Kind { return [4]Kind{KindDrift, KindPerformance, KindQuality, KindService} }

// Verdicts has one verdict of each kind.
type Verdicts struct {
	Drift       Verdict `json:"drift" enum:"ok,watch,breach,no_data"`
	Performance Verdict `json:"performance" enum:"ok,watch,breach,no_data"`
	Quality     Verdict `json:"quality" enum:"ok,watch,breach,no_data"`
	Service     Verdict `json:"service" enum:"ok,watch,breach,no_data"`
}

func (v *Verdicts) of(k Kind) *Verdict {
	switch k {
	case KindDrift:
		return &v.Drift
	case KindPerformance:
		return &v.Performance
	case KindQuality:
		return &v.Quality
	}
	return &v.Service
}

func noVerdicts() Verdicts { return Verdicts{NoData, NoData, NoData, NoData} }

// Task is what the model does; it decides how labels are compared with predictions.
type Task string

// The tasks.
const (
	Regression     Task = "regression"
	Classification Task = "classification"
)

// By says what a window counts.
type By string

// The kinds of windows.
const (
	ByTime  By = "time"
	ByCount By = "count"
)

// WindowSpec is how much is judged together. A window of seven days is judged every day, a window of n rows every n/5 rows.
type WindowSpec struct {
	By   By     `json:"by" enum:"time,count"`
	Size int64  `json:"size"`
	Unit string `json:"unit" enum:"day,hour,prediction"`
}

// step is the extent of a bucket: microseconds of event time, or rows.
func (w WindowSpec) step() int64 {
	switch {
	case w.By == ByCount:
		return max(w.Size/countSteps, 1)
	case w.Unit == "hour":
		return time.Hour.Microseconds()
	}
	return 24 * time.Hour.Microseconds()
}

// buckets is how many of them make a window.
func (w WindowSpec) buckets() int64 {
	if w.By == ByCount {
		return (w.Size + w.step() - 1) / w.step()
	}
	return w.Size
}

const countSteps = 5

// DriftLimits are the limits of drift. A limit of 0 means the method's own: PSI 0.1 and 0.25, Wasserstein (in standard deviations of
// the reference) 0.25 and 0.5, KS and Jensen-Shannon 0.1 and 0.2.
type DriftLimits struct {
	Numeric      Method  `json:"numeric" enum:"psi,wasserstein,ks" doc:"Method for numbers"`
	Categorical  Method  `json:"categorical" enum:"jensen_shannon,psi" doc:"Method for categories"`
	Watch        float64 `json:"watch" doc:"0: the method's own"`
	Breach       float64 `json:"breach" doc:"0: the method's own"`
	Share        float64 `json:"share" doc:"Share of features in breach from which the inputs are, 0 to 1"`
	Strong       float64 `json:"strong" doc:"Multiple of its limit from which one feature is enough"`
	Significance float64 `json:"significance" doc:"Chance above which a difference is taken for chance"`
}

// PerformanceLimits are multiples of the reference error.
type PerformanceLimits struct {
	Watch       float64  `json:"watch" doc:"Multiple of the reference, above 1"`
	Breach      float64  `json:"breach" doc:"Multiple of the reference, above 1"`
	Reference   *float64 `json:"reference,omitempty" doc:"The error to compare with; without it the known error of the version, or that of the first labelled window"`
	MinLabelled int64    `json:"min_labelled" doc:"Labelled rows below which nothing is said"`
}

// QualityLimits are shares of rows above the reference's own share.
type QualityLimits struct {
	Watch      float64 `json:"watch" doc:"Share of missing or unknown values"`
	Breach     float64 `json:"breach" doc:"Share of missing or unknown values"`
	OutOfRange float64 `json:"out_of_range" doc:"Share of values outside the reference range from which to watch; five times as much is a breach"`
}

// ServiceLimits are of requests.
type ServiceLimits struct {
	ErrorWatch  float64 `json:"error_watch" doc:"Share of failed predictions"`
	ErrorBreach float64 `json:"error_breach" doc:"Share of failed predictions"`
	P95WatchMS  float64 `json:"p95_watch_ms"`
	P95BreachMS float64 `json:"p95_breach_ms"`
}

// Thresholds decide verdicts.
type Thresholds struct {
	MinCount    int64             `json:"min_count" doc:"Rows below which a window is not judged"`
	Drift       DriftLimits       `json:"drift"`
	Performance PerformanceLimits `json:"performance"`
	Quality     QualityLimits     `json:"quality"`
	Service     ServiceLimits     `json:"service"`
}

// Settings are what users may change.
type Settings struct {
	Window      WindowSpec `json:"window"`
	Thresholds  Thresholds `json:"thresholds"`
	LabelColumn string     `json:"label_column"` // column of the baseline that is no feature; empty: the dataset's target
	Task        Task       `json:"task"`         // empty: from the signature
}

// DefaultSettings are those of a new monitor.
func DefaultSettings() Settings {
	return Settings{
		Window: WindowSpec{By: ByTime, Size: 7, Unit: "day"},
		Thresholds: Thresholds{
			MinCount:    50,
			Drift:       DriftLimits{Numeric: PSI, Categorical: JensenShannon, Share: 0.3, Strong: 2, Significance: 0.01},
			Performance: PerformanceLimits{Watch: 1.25, Breach: 1.5, MinLabelled: 30},
			Quality:     QualityLimits{Watch: 0.02, Breach: 0.1, OutOfRange: 0.1},
			Service:     ServiceLimits{ErrorWatch: 0.01, ErrorBreach: 0.05, P95WatchMS: 500, P95BreachMS: 2000},
		},
	}
}

// Validate reports every setting that is out of range.
func (s Settings) Validate() error {
	var c errs.Collector
	w, t := s.Window, s.Thresholds
	switch {
	case w.By == ByTime && w.Unit == "day" && (w.Size < 1 || w.Size > 90):
		c.Add("window.size", "expected 1 to 90 days, it is %d", w.Size)
	case w.By == ByTime && w.Unit == "hour" && (w.Size < 1 || w.Size > 168):
		c.Add("window.size", "expected 1 to 168 hours, it is %d", w.Size)
	case w.By == ByTime && w.Unit != "day" && w.Unit != "hour":
		c.Add("window.unit", "%q: expected day or hour", w.Unit)
	case w.By == ByCount && (w.Size < 20 || w.Size > 10_000_000):
		c.Add("window.size", "expected 20 to 10000000 predictions, it is %d", w.Size)
	case w.By != ByTime && w.By != ByCount:
		c.Add("window.by", "%q: expected time or count", w.By)
	}
	if s.Task != "" && s.Task != Regression && s.Task != Classification {
		c.Add("task", "%q: expected regression or classification", s.Task)
	}
	if len(s.LabelColumn) > 256 {
		c.Add("label_column", "expected at most 256 bytes")
	}
	d := t.Drift
	if d.Numeric != PSI && d.Numeric != Wasserstein && d.Numeric != KS {
		c.Add("thresholds.drift.numeric", "%q: expected psi, wasserstein or ks", d.Numeric)
	}
	if d.Categorical != JensenShannon && d.Categorical != PSI {
		c.Add("thresholds.drift.categorical", "%q: expected jensen_shannon or psi", d.Categorical)
	}
	in := func(field string, x, low, high float64) {
		if math.IsNaN(x) || x < low || x > high {
			c.Add("thresholds."+field, "expected %v to %v, it is %v", low, high, x)
		}
	}
	pair := func(field string, watch, breach float64) {
		if breach < watch {
			c.Add("thresholds."+field, "breach (%v) has to be at least watch (%v)", breach, watch)
		}
	}
	in("min_count", float64(t.MinCount), 1, 1e9)
	in("drift.watch", d.Watch, 0, 1e6)
	in("drift.breach", d.Breach, 0, 1e6)
	if d.Breach != 0 && d.Watch != 0 {
		pair("drift", d.Watch, d.Breach)
	}
	in("drift.share", d.Share, 0.001, 1)
	in("drift.strong", d.Strong, 1, 1e6)
	in("drift.significance", d.Significance, 1e-12, 1)
	p := t.Performance
	in("performance.watch", p.Watch, 1, 1e6)
	in("performance.breach", p.Breach, 1, 1e6)
	pair("performance", p.Watch, p.Breach)
	in("performance.min_labelled", float64(p.MinLabelled), 2, 1e9)
	if p.Reference != nil {
		in("performance.reference", *p.Reference, 0, math.MaxFloat64)
	}
	in("quality.watch", t.Quality.Watch, 0, 1)
	in("quality.breach", t.Quality.Breach, 0, 1)
	pair("quality", t.Quality.Watch, t.Quality.Breach)
	in("quality.out_of_range", t.Quality.OutOfRange, 0, 1)
	in("service.error_watch", t.Service.ErrorWatch, 0, 1)
	in("service.error_breach", t.Service.ErrorBreach, 0, 1)
	pair("service", t.Service.ErrorWatch, t.Service.ErrorBreach)
	in("service.p95_watch_ms", t.Service.P95WatchMS, 0, 1e9)
	in("service.p95_breach_ms", t.Service.P95BreachMS, 0, 1e9)
	pair("service", t.Service.P95WatchMS, t.Service.P95BreachMS)
	return c.Err("monitor.settings", "the settings of the monitor are not valid")
}

// Baseline is what is compared with.
type Baseline struct {
	Kind           string `json:"kind" enum:"dataset,first_n,none"`
	Dataset        string `json:"dataset,omitempty"`
	DatasetVersion int64  `json:"dataset_version,omitempty"`
	Rows           int64  `json:"rows"` // while it is collected: so far
	Ready          bool   `json:"ready"`
	Note           string `json:"note,omitempty"` // why it is not the dataset
}

// name is how a sentence calls the baseline.
func (b Baseline) name() string {
	switch b.Kind {
	case "dataset":
		return b.Dataset + "@" + itoa(b.DatasetVersion)
	case "first_n":
		return "the first " + itoa(b.Rows) + " predictions"
	}
	return "no baseline"
}

// Monitor is how an endpoint stands.
type Monitor struct {
	Endpoint    string           `json:"endpoint"`
	Model       string           `json:"model"`
	Version     string           `json:"version"` // in charge
	Task        Task             `json:"task"`
	Baseline    Baseline         `json:"baseline"`
	Window      WindowSpec       `json:"window"`
	Thresholds  Thresholds       `json:"thresholds"`
	LabelColumn string           `json:"label_column"`
	State       Verdicts         `json:"state"`
	Reasons     map[Kind]string  `json:"reasons"`
	Since       map[Kind]Moment  `json:"since"` // event time at which each state began
	LastWindow  string           `json:"last_window"`
	VerdictText string           `json:"verdict_text"`
	Features    []MonitorFeature `json:"features"`
	Prediction  *MonitorFeature  `json:"prediction,omitempty"`
	Watermark   *time.Time       `json:"watermark"` // event time of the newest record that was taken in
	Pending     int64            `json:"pending"`   // entries of the log that were not yet taken in, counted up to 1000
	Late        int64            `json:"late"`      // rows that came after their window was judged
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
}

// Moment is a time in the answers.
type Moment = time.Time

// MonitorFeature is how one feature stood in the newest window.
type MonitorFeature struct {
	Name         string     `json:"name"`
	Type         string     `json:"type"`
	Test         Method     `json:"test"`
	Statistic    *float64   `json:"statistic"`
	Threshold    float64    `json:"threshold"` // of a breach
	Watch        float64    `json:"watch"`
	Verdict      Verdict    `json:"verdict"`
	MissingShare *float64   `json:"missing_share"`
	Series       []*float64 `json:"series"` // statistics of the last windows, oldest first
}

// Window is one window that was judged.
type Window struct {
	WindowSummary
	Features   []Feature `json:"features"` // the most drifted first
	Prediction *Feature  `json:"prediction,omitempty"`
}

// WindowSummary is a window without its distributions.
type WindowSummary struct {
	ID          string             `json:"id"`
	Number      int64              `json:"number"`
	Version     string             `json:"version"` // in charge when it was judged
	From        time.Time          `json:"from"`
	To          time.Time          `json:"to"`
	Count       int64              `json:"count"`
	Errors      int64              `json:"errors"`
	Latency     Latency            `json:"latency"`
	Verdicts    Verdicts           `json:"verdicts"`
	Reasons     map[Kind]string    `json:"reasons"`
	Performance *Scores            `json:"performance,omitempty"`
	Versions    map[string]Version `json:"versions"`
	Drifted     []Drifted          `json:"drifted"` // features at watch or breach, the strongest first
	Reason      string             `json:"reason"`
	Late        int64              `json:"late"`
	Buckets     [2]int64           `json:"buckets"` // first and last, for late labels
}

// Drifted is a feature in an event.
type Drifted struct {
	Name      string  `json:"name"`
	Test      Method  `json:"test"`
	Statistic float64 `json:"statistic"`
	Threshold float64 `json:"threshold"`
	Verdict   Verdict `json:"verdict"`
}

// Latency has percentiles in milliseconds; nil without rows.
type Latency struct {
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
	P99 *float64 `json:"p99"`
}

// Scores is the labelled error of a window.
type Scores struct {
	Labelled        int64    `json:"labelled"`
	Metric          string   `json:"metric"` // mae or error_rate: less is better
	Value           *float64 `json:"value"`
	Baseline        *float64 `json:"baseline"`
	BaselineFrom    string   `json:"baseline_from,omitempty"`
	Threshold       *float64 `json:"threshold"` // of a breach
	WatchThreshold  *float64 `json:"watch_threshold"`
	RMSE            *float64 `json:"rmse,omitempty"`
	Bias            *float64 `json:"bias,omitempty"` // mean of prediction - label
	Accuracy        *float64 `json:"accuracy,omitempty"`
	F1              *float64 `json:"f1,omitempty"` // macro average
	LogLoss         *float64 `json:"log_loss,omitempty"`
	LabelledPercent float64  `json:"labelled_percent"`
}

// Version is how one version did in a window, answered and mirrored rows together.
type Version struct {
	Count    int64    `json:"count"`
	Errors   int64    `json:"errors"`
	Latency  Latency  `json:"latency"`
	Labelled int64    `json:"labelled"`
	Value    *float64 `json:"value"` // mean loss
}

// Feature is one column of a window against the reference.
type Feature struct {
	Name            string        `json:"name"`
	Type            string        `json:"type"`
	Test            Method        `json:"test"`
	Statistic       *float64      `json:"statistic"`
	PValue          *float64      `json:"p_value"`
	Wasserstein     *float64      `json:"wasserstein,omitempty"` // in standard deviations of the reference
	Threshold       float64       `json:"threshold"`
	Watch           float64       `json:"watch"`
	Verdict         Verdict       `json:"verdict"`
	Count           int64         `json:"count"`
	MissingShare    *float64      `json:"missing_share"`
	UnseenShare     *float64      `json:"unseen_share,omitempty"`
	OutOfRangeShare *float64      `json:"out_of_range_share,omitempty"`
	Quality         Verdict       `json:"quality"`
	Reference       *Distribution `json:"reference,omitempty"`
	Current         *Distribution `json:"current,omitempty"`

	excess float64 // worst share of bad values above the reference
	fault  string  // in words
}

// Distribution is a column in bins: of a number between Edges, of a category named by Labels.
type Distribution struct {
	Edges  []float64 `json:"edges,omitempty"`
	Labels []string  `json:"labels,omitempty"`
	Shares []float64 `json:"shares"`
	Mean   *float64  `json:"mean,omitempty"`
	Count  int64     `json:"count"`
}

// FeatureHistory is one feature through the windows, oldest first.
type FeatureHistory struct {
	Name      string         `json:"name"`
	Type      string         `json:"type"`
	Test      Method         `json:"test"`
	Reference *Distribution  `json:"reference,omitempty"`
	Current   *Distribution  `json:"current,omitempty"`
	Windows   []FeaturePoint `json:"windows"`
}

// FeaturePoint is a feature in one window.
type FeaturePoint struct {
	ID           string    `json:"id"`
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	Statistic    *float64  `json:"statistic"`
	Threshold    float64   `json:"threshold"`
	Verdict      Verdict   `json:"verdict"`
	MissingShare *float64  `json:"missing_share"`
}
