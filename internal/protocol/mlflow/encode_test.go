package mlflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/tracking"
)

// run is a run on the wire, for encoding/json: the reference of the encoders.
type run struct {
	Info runInfo `json:"info"`
	Data struct {
		Metrics []metric   `json:"metrics,omitempty"`
		Params  []keyValue `json:"params,omitempty"`
		Tags    []keyValue `json:"tags,omitempty"`
	} `json:"data"`
	Inputs struct {
		Datasets []datasetInput `json:"dataset_inputs,omitempty"`
		Models   []modelInput   `json:"model_inputs,omitempty"`
	} `json:"inputs"`
	Outputs struct {
		Models []modelRef `json:"model_outputs,omitempty"`
	} `json:"outputs"`
}

type modelInput struct {
	ID string `json:"model_id"`
}

func fromRun(r tracking.Run) run {
	var out run
	out.Info = fromRunInfo(r)
	out.Data.Metrics, out.Data.Params, out.Data.Tags = fromMetrics(r.Metrics), fromParams(r.Params), fromTags(r.Tags)
	for _, in := range r.Inputs {
		out.Inputs.Datasets = append(out.Inputs.Datasets, datasetInput{fromTags(in.Tags), dataset{in.Name, in.Digest, in.SourceType, in.Source, in.Schema, in.Profile}})
	}
	for _, m := range r.ModelInputs {
		out.Inputs.Models = append(out.Inputs.Models, modelInput{m.ModelID})
	}
	out.Outputs.Models = fromRefs(r.ModelOutputs)
	return out
}

func fromRefs(in []tracking.ModelRef) []modelRef {
	out := make([]modelRef, len(in))
	for i, m := range in {
		out[i] = modelRef{m.ModelID, integer(m.Step)}
	}
	return out
}

func plainJSON(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

func sampleRun(text string, number float64, n int) tracking.Run {
	r := tracking.Run{ID: "0123", ExperimentID: "7", Name: text, User: text, Status: tracking.StatusRunning, Lifecycle: tracking.Active, StartTime: time.UnixMilli(int64(n) * 1000)}
	if n > 1 {
		r.EndTime = time.UnixMilli(int64(n) * 2000)
	}
	for i := range n % 4 {
		key := fmt.Sprint(text, i)
		r.Metrics = append(r.Metrics, tracking.Metric{Key: key, Point: tracking.Point{Step: int64(n), Time: -int64(i), Value: number}})
		r.Params = append(r.Params, tracking.Param{Key: key, Value: text})
		r.Tags = append(r.Tags, tracking.Tag{Key: "k", Value: text + "<&>"})
		r.Inputs = append(r.Inputs, tracking.DatasetInput{Name: text, Digest: "d", SourceType: "s", Source: text, Schema: strings.Repeat(text, i), Profile: text, Tags: make([]tracking.Tag, i)})
		r.ModelInputs = append(r.ModelInputs, tracking.ModelRef{ModelID: text, Step: int64(i)})
		r.ModelOutputs = append(r.ModelOutputs, tracking.ModelRef{ModelID: text})
	}
	if len(r.Metrics) > 2 {
		r.Metrics[2].ModelID, r.Metrics[2].DatasetName, r.Metrics[2].DatasetDigest, r.Metrics[2].RunID = text, "d", text, "r"
	}
	return r
}

// FuzzRun: the encoder of runs writes what encoding/json does.
func FuzzRun(f *testing.F) {
	for i, s := range []string{"", "a", "\"\\\n", "ä\u2028<&>\x7f", "\xff\x00"} {
		f.Add(s, []float64{0, -1.5, math.NaN(), math.Inf(1), 1e300}[i], i)
	}
	f.Fuzz(func(t *testing.T, text string, number float64, n int) {
		r := sampleRun(text, number, n&0xff)
		if d := cmp.Diff(plainJSON(t, map[string]any{"run": fromRun(r)}), string(runReply{r}.appendJSON(nil))); d != "" {
			t.Fatal(d)
		}
	})
}

func TestDoubles(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0.0", 1: "1.0", -3: "-3.0", 0.5: "0.5", 999999: "999999.0", 1e6: "1e+06", 1234567: "1.234567e+06", 1e300: "1e+300", 5e-324: "5e-324", math.Copysign(0, -1): "-0.0",
		math.Inf(-1): `"-Infinity"`} {
		var back double
		if got := string(double(v).append(nil)); got != want || back.UnmarshalJSON([]byte(got)) != nil || float64(back) != v {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestRunsReply(t *testing.T) {
	t.Parallel()
	a, b := sampleRun("a", 1, 1), sampleRun("b", 2, 3)
	for _, c := range []struct {
		reply runsReply
		want  any
	}{
		{runsReply{}, map[string]any{}},
		{runsReply{next: "t"}, map[string]any{"next_page_token": "t"}},
		{runsReply{[]tracking.Run{a, b}, "t"}, struct {
			Runs []run  `json:"runs"`
			Next string `json:"next_page_token"`
		}{[]run{fromRun(a), fromRun(b)}, "t"}},
	} {
		if d := cmp.Diff(plainJSON(t, c.want), string(c.reply.appendJSON(nil))); d != "" {
			t.Error(d)
		}
	}
}

func sampleBatch(points int) string {
	var b strings.Builder
	b.WriteString(`{"run_id": "0123456789abcdef0123456789abcdef", "metrics": [`)
	for i := range points {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `{"key": "metric_%d", "value": %v, "timestamp": %d, "step": %d}`, i%10, float64(i)/7, 1_700_000_000_000+i, i/10)
	}
	b.WriteString(`], "params": [{"key": "lr", "value": "0.1"}], "tags": [{"key": "a", "value": "ü"}]}`)
	return b.String()
}

// FuzzReadBatch: the fast parser of batches reads what encoding/json reads, and nothing else.
func FuzzReadBatch(f *testing.F) {
	for _, s := range []string{sampleBatch(3), "{}", `{"run_id":"a"}`, `{"run_id":"a","metrics":[{"key":"k","value":"NaN","step":"5","timestamp":-1}]}`,
		`{"run_id":"a","metrics":[{"value":1e5},{"value":-0.0},{"value":123456789012345678},{"value":0.1234567890123456789},{"value":"-Infinity"}]} `,
		`{"run_id":"a","run_id":"b"}`, `{"RUN_ID":"a"}`, `{"run_id":"a","metrics":null}`, `{"run_id":"a","metrics":[{"value":01}]}`, `{"run_id":"a","metrics":[{"value":1,"step":5.0}]}`,
		`{"run_id":"a\u0041","tags":[]}`, `{"run_id":"a","params":[{"key":"k"}],"more":{}}`, `{"run_id":"a"}x`, `{"run_id":"a","metrics":[{"value":1e999}]}`, `[`, ` `,
		`{"run_id":"a","metrics":[{"value":"1.5","model_id":"m","dataset_name":"n","dataset_digest":"d","timestamp":"9223372036854775807"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		id, got, err := readBatch(body)
		wantID, want, wantErr := readBatchSlow(body)
		if (err == nil) != (wantErr == nil) || (err != nil && !errs.Is(err, errs.Invalid)) {
			t.Fatalf("%v, want %v", err, wantErr)
		}
		if err != nil {
			return
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })); d != "" || id != wantID {
			t.Fatalf("%s: %s and %s\n%s", body, id, wantID, d)
		}
	})
}

func TestReadBatchIsFast(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{sampleBatch(100): true, strings.ReplaceAll(sampleBatch(10), ", ", ","): true, `{"run_id":"a","metrics":[{"key":"k\"","value":1}]}`: false} {
		p := batchParser{in: []byte(body)}
		if p.batch() != want {
			t.Errorf("%.80s: the fast way is %v", body, !want)
		}
	}
}

func BenchmarkReadBatch(b *testing.B) {
	body := []byte(sampleBatch(1000))
	for name, read := range map[string]func([]byte) (string, tracking.Batch, error){"fast": readBatch, "encoding-json": readBatchSlow} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := read(body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "points/s")
		})
	}
}

func BenchmarkEncodeRun(b *testing.B) {
	r := sampleRun("text", .5, 3)
	for range 20 {
		r.Metrics, r.Params = append(r.Metrics, r.Metrics[0]), append(r.Params, r.Params[0])
	}
	b.Run("fast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			runReply{r}.appendJSON(make([]byte, 0, 4<<10))
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plainJSON(b, fromRun(r))
		}
	})
}
