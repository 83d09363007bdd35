package monitor

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/modelyard/modelyard/internal/num/sketch"
	"github.com/modelyard/modelyard/internal/predlog"
)

const (
	maxVersions = 32 // versions told apart in a bucket
	maxClasses  = 50 // labels told apart; rarer ones count as one
)

// bucket counts what happened in a day (or an hour) of event time, or in a number of rows.
type bucket struct {
	stats
	columns []*sketch.Column // by feature of the reference; nil once no window needs them
	output  *sketch.Column   // nil without a reference of the prediction

	dirtyStats, dirtyColumns bool
}

// stats is the small part of a bucket.
type stats struct {
	Key      int64             `json:"key"`
	From     int64             `json:"from"` // event time of the first and last row, µs
	To       int64             `json:"to"`
	Count    int64             `json:"count"` // rows answered or failed; mirrored ones are not counted
	Errors   int64             `json:"errors"`
	Late     int64             `json:"late"`
	Latency  *sketch.Latency   `json:"latency"`
	Versions map[string]*tally `json:"versions"`
	Ref      string            `json:"ref"` // the reference of the sketches
}

// tally is how one version did, on answered and mirrored rows.
type tally struct {
	Count   int64           `json:"count"`
	Errors  int64           `json:"errors"`
	Latency *sketch.Latency `json:"latency"`
	Loss    losses          `json:"loss"`
}

// losses sums the labelled error. For a regression loss is the absolute error, for a classification 1 when wrong.
type losses struct {
	N       int64                       `json:"n"`
	Sum     float64                     `json:"sum"`
	Squares float64                     `json:"squares"`
	Bias    float64                     `json:"bias"` // sum of prediction - label
	LogLoss float64                     `json:"log_loss,omitempty"`
	LogN    int64                       `json:"log_n,omitempty"`
	Classes map[string]map[string]int64 `json:"classes,omitempty"` // label -> prediction -> rows
}

// outcome is one labelled row of one version.
type outcome struct {
	loss, signed   float64
	truth, guessed string // of a classification
	logLoss        float64
	hasLog         bool
}

func (l *losses) add(o outcome, by int64) {
	f := float64(by)
	l.N += by
	l.Sum += f * o.loss
	l.Squares += f * o.signed * o.signed
	l.Bias += f * o.signed
	if o.hasLog {
		l.LogN += by
		l.LogLoss += f * o.logLoss
	}
	if o.truth == "" && o.guessed == "" {
		return
	}
	if l.Classes == nil {
		l.Classes = map[string]map[string]int64{}
	}
	row := l.Classes[bound(l.Classes, o.truth)]
	if row == nil {
		row = map[string]int64{}
		l.Classes[bound(l.Classes, o.truth)] = row
	}
	row[bound(row, o.guessed)] += by
}

// other stands for the classes beyond the limit.
const other = "(other)"

func bound[V any](m map[string]V, key string) string {
	if _, ok := m[key]; ok || len(m) < maxClasses {
		return key
	}
	return other
}

func (l *losses) merge(o *losses) {
	l.N += o.N
	l.Sum += o.Sum
	l.Squares += o.Squares
	l.Bias += o.Bias
	l.LogLoss += o.LogLoss
	l.LogN += o.LogN
	for truth, row := range o.Classes {
		if l.Classes == nil {
			l.Classes = map[string]map[string]int64{}
		}
		t := bound(l.Classes, truth)
		if l.Classes[t] == nil {
			l.Classes[t] = map[string]int64{}
		}
		for guessed, n := range row {
			l.Classes[t][bound(l.Classes[t], guessed)] += n
		}
	}
}

// macroF1 is the mean of the F1 scores of the classes that occur as a label (scikit-learn f1_score, average="macro", labels of the truth).
func (l *losses) macroF1() (float64, bool) {
	guessed := map[string]int64{}
	for _, row := range l.Classes {
		for g, n := range row {
			guessed[g] += n
		}
	}
	var sum float64
	var classes int
	for truth, row := range l.Classes {
		var total int64
		for _, n := range row {
			total += n
		}
		if total <= 0 {
			continue
		}
		classes++
		sum += 2 * float64(row[truth]) / float64(total+guessed[truth])
	}
	if classes == 0 {
		return 0, false
	}
	return sum / float64(classes), true
}

func newTally() *tally { return &tally{Latency: &sketch.Latency{}} }

func newBucket(key, at int64) *bucket {
	return &bucket{stats: stats{Key: key, From: at, To: at, Latency: &sketch.Latency{}, Versions: map[string]*tally{}}}
}

// fit gives the bucket empty sketches of a reference unless it has them already.
func (b *bucket) fit(ref *reference, id string) {
	if b.Ref != id || b.columns == nil && len(ref.Features) > 0 {
		b.Ref, b.output = id, nil
		b.columns = make([]*sketch.Column, len(ref.Features))
		for i, f := range ref.Features {
			b.columns[i] = f.Column.Empty()
		}
	}
	if b.output == nil && ref.Output != nil {
		b.output = ref.Output.Column.Empty()
	}
}

// version is the tally of a version.
func (b *bucket) version(name string) *tally {
	t := b.Versions[name]
	if t == nil {
		if len(b.Versions) >= maxVersions {
			name = other
			if t = b.Versions[name]; t != nil {
				return t
			}
		}
		t = newTally()
		b.Versions[name] = t
	}
	return t
}

// count takes one row; inputs[i] belongs to the feature plan[i], -1 for none.
func (b *bucket) count(r *predlog.Record, plan []int) {
	b.dirtyStats = true
	t := b.version(r.Schema.Version)
	t.Count++
	failed := r.Status == predlog.Failed
	if failed {
		t.Errors++
	} else {
		t.Latency.Add(r.Latency)
	}
	if r.Role == predlog.Shadow {
		return // the same row as the answer's
	}
	b.Count++
	if failed {
		b.Errors++
	} else {
		b.Latency.Add(r.Latency)
	}
	if at := r.EventTime.UnixMicro(); at > b.To {
		b.To = at
	} else if at < b.From {
		b.From = at
	}
	b.dirtyColumns = true
	for i, f := range plan {
		if f >= 0 && i < len(r.Inputs) && f < len(b.columns) {
			addValue(b.columns[f], r.Inputs[i])
		}
	}
	if b.output != nil && !failed && len(r.Outputs) > 0 {
		addValue(b.output, r.Outputs[0])
	}
}

// addValue counts a value of the log; what does not fit the column's kind counts as missing.
func addValue(c *sketch.Column, v any) {
	if c.Categories == nil {
		switch v := v.(type) {
		case float64:
			c.AddFloat(v)
		case int64:
			c.AddFloat(float64(v))
		case string:
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				c.AddFloat(f)
			} else {
				c.AddMissing()
			}
		default:
			if f, ok := predlog.Float(v); ok {
				c.AddFloat(f)
			} else {
				c.AddMissing()
			}
		}
		return
	}
	if text, ok := textOf(v); ok {
		c.AddString(text)
	} else {
		c.AddMissing()
	}
}

// textOf is a value as a category.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		if math.IsNaN(v) {
			return "", false
		}
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return "", false
}

// sketchesJSON is the large part of a bucket.
type sketchesJSON struct {
	Columns []*sketch.Column `json:"columns,omitempty"`
	Output  *sketch.Column   `json:"output,omitempty"`
}

func (b *bucket) encodeColumns() (string, error) {
	out, err := json.Marshal(sketchesJSON{b.columns, b.output})
	return string(out), err
}

func decodeBucket(statsText, columnsText string) (*bucket, error) {
	b := &bucket{}
	if err := json.Unmarshal([]byte(statsText), &b.stats); err != nil {
		return nil, err
	}
	var s sketchesJSON
	if err := json.Unmarshal([]byte(columnsText), &s); err != nil {
		return nil, err
	}
	b.columns, b.output = s.Columns, s.Output
	if b.Latency == nil {
		b.Latency = &sketch.Latency{}
	}
	if b.Versions == nil {
		b.Versions = map[string]*tally{}
	}
	return b, nil
}

// total is several buckets together.
type total struct {
	stats
	columns []*sketch.Column
	output  *sketch.Column
}

// sum adds buckets up; sketches of another reference are left out.
func sum(bs []*bucket, ref *reference, id string) (*total, error) {
	t := &total{stats: stats{Latency: &sketch.Latency{}, Versions: map[string]*tally{}}}
	if ref != nil {
		t.columns = make([]*sketch.Column, len(ref.Features))
		for i, f := range ref.Features {
			t.columns[i] = f.Column.Empty()
		}
		if ref.Output != nil {
			t.output = ref.Output.Column.Empty()
		}
	}
	for i, b := range bs {
		if i == 0 || b.From < t.From {
			t.From = b.From
		}
		t.To = max(t.To, b.To)
		t.Count += b.Count
		t.Errors += b.Errors
		t.Late += b.Late
		t.Latency.Merge(b.Latency)
		for name, v := range b.Versions {
			sum := t.Versions[name]
			if sum == nil {
				sum = newTally()
				t.Versions[name] = sum
			}
			sum.Count += v.Count
			sum.Errors += v.Errors
			sum.Latency.Merge(v.Latency)
			sum.Loss.merge(&v.Loss)
		}
		if ref == nil || b.Ref != id || len(b.columns) != len(t.columns) {
			continue
		}
		for i, c := range b.columns {
			if err := t.columns[i].Merge(c); err != nil {
				return nil, err
			}
		}
		if t.output != nil && b.output != nil {
			if err := t.output.Merge(b.output); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// score compares a label with a prediction; ok is false when they cannot be compared.
func score(task Task, r *predlog.Record, label any) (o outcome, ok bool) {
	if r.Status != predlog.OK || len(r.Outputs) == 0 {
		return o, false
	}
	guess := r.Outputs[0]
	if task == Regression {
		truth, ok1 := predlog.Float(label)
		g, ok2 := predlog.Float(guess)
		if !ok1 || !ok2 {
			return o, false
		}
		o.signed = g - truth
		o.loss = math.Abs(o.signed)
		return o, o.loss-o.loss == 0
	}
	truth, ok1 := classOf(label)
	probability, isProbability := guess.(float64)
	if isProbability && probability > 0 && probability < 1 { // a binary model that answers the probability of 1
		positive := truth == "1"
		o.guessed, o.truth = "0", truth
		if probability >= 0.5 {
			o.guessed = "1"
		}
		p := math.Min(math.Max(probability, 1e-15), 1-1e-15)
		if o.hasLog = true; positive {
			o.logLoss = -math.Log(p)
		} else {
			o.logLoss = -math.Log(1 - p)
		}
	} else {
		g, ok2 := classOf(guess)
		if !ok2 {
			return o, false
		}
		o.truth, o.guessed = truth, g
	}
	if o.truth != o.guessed {
		o.loss = 1
	}
	return o, ok1
}

// classOf is a class in one spelling: true is 1, 1.0 is 1.
func classOf(v any) (string, bool) {
	if b, ok := v.(bool); ok {
		if b {
			return "1", true
		}
		return "0", true
	}
	text, ok := textOf(v)
	if len(text) > 64 {
		text = text[:64]
	}
	return text, ok
}

func sortedKeys(m map[int64]*bucket) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
