package evaluation

import "time"

// Verdict is the outcome of a rule or a gate.
type Verdict string

// The verdicts. Pending is a check that still runs; Error one that could not be carried out.
const (
	Pass             Verdict = "pass"
	Fail             Verdict = "fail"
	InsufficientData Verdict = "insufficient_data"
	Pending          Verdict = "pending"
	Error            Verdict = "error"
)

// Result is the outcome of a gate about a version.
type Result struct {
	ID             string             `json:"id"`
	Gate           string             `json:"gate"`
	Model          string             `json:"model"`
	Version        string             `json:"version"`
	Dataset        string             `json:"dataset"`
	DatasetVersion int64              `json:"dataset_version"`
	Verdict        Verdict            `json:"verdict"`
	Note           string             `json:"note,omitempty"`
	Rules          []RuleResult       `json:"rules"`
	Metrics        map[string]float64 `json:"metrics"`
	Best           map[string]string  `json:"best,omitempty"` // by metric: min or max is its better end
	Rows           int                `json:"rows"`           // labelled rows that were scored
	AliasOnPass    string             `json:"alias_on_pass,omitempty"`
	AliasSet       bool               `json:"alias_set"`
	CreatedAt      time.Time          `json:"created_at"`
	CreatedBy      string             `json:"created_by"`
	Seconds        float64            `json:"seconds"`
}

// RuleResult is the outcome of one rule.
type RuleResult struct {
	Name     string   `json:"name"`
	Metric   string   `json:"metric,omitempty"`
	Op       string   `json:"op,omitempty"`       // how measured relates to required: <= or >=
	Required *float64 `json:"required,omitempty"` // of a comparison: the other's value moved by the margin
	Measured *float64 `json:"measured,omitempty"`
	Baseline *float64 `json:"baseline,omitempty"` // the other's value
	Margin   *float64 `json:"margin,omitempty"`
	// Of a comparison whose metric is made of means over rows.
	Difference *Difference `json:"difference,omitempty"`
	PValue     *float64    `json:"p_value,omitempty"` // one-sided, paired
	Against    string      `json:"against,omitempty"` // what it was compared with: naive_mean, column:x, models:/bike/3
	Verdict    Verdict     `json:"verdict"`
	Note       string      `json:"note,omitempty"`
}

// Difference is how far the judged version is from what it was compared with, in the metric's own unit, and where the true difference
// lies with 95 % confidence. Both were measured on the same rows, so the interval is of paired differences.
type Difference struct {
	Value float64 `json:"value"` // measured minus baseline
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Rows  int     `json:"rows"`
}

// bestEnds says of the metrics of a result which end of them is the better one; bias has none.
func bestEnds(r Result) map[string]string {
	out := map[string]string{}
	note := func(name string) {
		if m, ok := measures()[name]; ok && m.compare {
			out[name] = "min"
			if m.moreIsBetter {
				out[name] = "max"
			}
		}
	}
	for name := range r.Metrics {
		note(name)
	}
	for _, rule := range r.Rules {
		note(rule.Metric)
	}
	return out
}

// overall is the verdict of all rules together: any failure fails, else any lack of data is one.
func overall(rules []RuleResult) Verdict {
	v := Pass
	for _, r := range rules {
		switch {
		case r.Verdict == Fail:
			return Fail
		case r.Verdict != Pass:
			v = InsufficientData
		}
	}
	return v
}

// CheckRequest asks whether a version passes a gate.
type CheckRequest struct {
	Gate        Gate   `json:"gate"`
	Model       string `json:"model"`
	Version     string `json:"version"`
	AliasOnPass string `json:"alias_on_pass,omitempty"`
}
