package mlflow

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/modelyard/modelyard/internal/tracking"
)

// The encoders of runs: what encoding/json makes of the wire types in runs.go, many times faster, since clients ask for a run around every
// file and for a thousand of them in every search.

// appendText writes a JSON string as encoding/json does without HTML escapes.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return appendOdd(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendOdd(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // no string fails
		return append(b, `""`...)
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// appendField writes ,"name":"value". Names are plain.
func appendField(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendText(b, value)
}

func appendNumber(b []byte, name string, v int64) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return strconv.AppendInt(b, v, 10)
}

// appendList writes "name":[...] and a comma before it when the object has a field already; nothing when there are no items.
func appendList(b []byte, name string, n int, item func(b []byte, i int) []byte) []byte {
	if n == 0 {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, '"', ':', '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, i)
	}
	return append(b, ']')
}

func appendPair(b []byte, key, value string) []byte {
	b = append(b, `{"key":`...)
	b = appendText(b, key)
	b = appendField(b, "value", value)
	return append(b, '}')
}

func appendMetric(b []byte, m *tracking.Metric) []byte {
	b = append(b, `{"key":`...)
	b = appendText(b, m.Key)
	b = append(b, `,"value":`...)
	b = double(m.Value).append(b)
	b = appendNumber(b, "timestamp", m.Time)
	b = appendNumber(b, "step", m.Step)
	for _, f := range [...]struct{ name, value string }{{"model_id", m.ModelID}, {"dataset_name", m.DatasetName}, {"dataset_digest", m.DatasetDigest}, {"run_id", m.RunID}} {
		if f.value != "" {
			b = appendField(b, f.name, f.value)
		}
	}
	return append(b, '}')
}

// appendRefs writes logged models; those that a run made have their step.
func appendRefs(b []byte, name string, refs []tracking.ModelRef, step bool) []byte {
	return appendList(b, name, len(refs), func(b []byte, i int) []byte {
		b = append(b, `{"model_id":`...)
		b = appendText(b, refs[i].ModelID)
		if step {
			b = appendNumber(b, "step", refs[i].Step)
		}
		return append(b, '}')
	})
}

func appendInput(b []byte, in *tracking.DatasetInput) []byte {
	b = append(b, '{')
	b = appendList(b, "tags", len(in.Tags), func(b []byte, i int) []byte { return appendPair(b, in.Tags[i].Key, in.Tags[i].Value) })
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, `"dataset":{"name":`...)
	b = appendText(b, in.Name)
	b = appendField(b, "digest", in.Digest)
	b = appendField(b, "source_type", in.SourceType)
	b = appendField(b, "source", in.Source)
	if in.Schema != "" {
		b = appendField(b, "schema", in.Schema)
	}
	if in.Profile != "" {
		b = appendField(b, "profile", in.Profile)
	}
	return append(b, '}', '}')
}

func appendRun(b []byte, r *tracking.Run) []byte {
	b = append(b, `{"info":{"run_uuid":`...)
	b = appendText(b, r.ID)
	b = appendField(b, "experiment_id", r.ExperimentID)
	b = appendField(b, "run_name", r.Name)
	b = appendField(b, "user_id", r.User)
	b = appendField(b, "status", string(r.Status))
	b = appendNumber(b, "start_time", int64(millis(r.StartTime)))
	if end := millis(r.EndTime); end != 0 {
		b = appendNumber(b, "end_time", int64(end))
	}
	b = appendField(b, "artifact_uri", r.ArtifactURI())
	b = appendField(b, "lifecycle_stage", string(r.Lifecycle))
	b = appendField(b, "run_id", r.ID)
	b = append(b, `},"data":{`...)
	b = appendList(b, "metrics", len(r.Metrics), func(b []byte, i int) []byte { return appendMetric(b, &r.Metrics[i]) })
	b = appendList(b, "params", len(r.Params), func(b []byte, i int) []byte { return appendPair(b, r.Params[i].Key, r.Params[i].Value) })
	b = appendList(b, "tags", len(r.Tags), func(b []byte, i int) []byte { return appendPair(b, r.Tags[i].Key, r.Tags[i].Value) })
	b = append(b, `},"inputs":{`...)
	b = appendList(b, "dataset_inputs", len(r.Inputs), func(b []byte, i int) []byte { return appendInput(b, &r.Inputs[i]) })
	b = appendRefs(b, "model_inputs", r.ModelInputs, false)
	b = append(b, `},"outputs":{`...)
	b = appendRefs(b, "model_outputs", r.ModelOutputs, true)
	return append(b, '}', '}')
}

// runReply answers one run.
type runReply struct{ run tracking.Run }

func (r runReply) appendJSON(b []byte) []byte {
	b = append(b, `{"run":`...)
	return append(appendRun(b, &r.run), '}')
}

// runsReply answers a page of runs.
type runsReply struct {
	runs []tracking.Run
	next string
}

func (r runsReply) appendJSON(b []byte) []byte {
	b = append(b, '{')
	b = appendList(b, "runs", len(r.runs), func(b []byte, i int) []byte { return appendRun(b, &r.runs[i]) })
	if r.next != "" {
		if len(r.runs) > 0 {
			b = append(b, ',')
		}
		b = append(b, `"next_page_token":`...)
		b = appendText(b, r.next)
	}
	return append(b, '}')
}
