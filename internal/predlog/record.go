package predlog

import (
	"encoding/hex"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Kind is the type of the values of a column; the names are those of infer.Kind.
type Kind string

// The kinds of a column.
const (
	Float64  Kind = "float64"
	Int64    Kind = "int64"
	String   Kind = "string"
	Bool     Kind = "bool"
	Datetime Kind = "datetime" // microseconds since 1970 UTC
	Binary   Kind = "binary"
	JSON     Kind = "json" // one JSON text a value
)

// Role is the part that a version played when it gave a prediction.
type Role string

// The roles of a version.
const (
	Champion Role = "champion"
	Canary   Role = "canary"
	Shadow   Role = "shadow" // scored off the request path; nobody saw the answer
)

// Status says whether the model answered.
type Status string

// The outcomes of a prediction.
const (
	OK     Status = "ok"
	Failed Status = "error"
)

// Field is one column of a version's inputs or outputs.
type Field struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Extra marks an output beyond the prediction itself, such as the probabilities of a classifier that answers labels.
	Extra bool `json:"extra,omitempty"`
	// Wide marks a column whose rows hold several values each.
	Wide bool `json:"wide,omitempty"`
}

// Schema names an endpoint, the version behind it and its columns.
type Schema struct {
	Endpoint string  `json:"endpoint"`
	Model    string  `json:"model"`
	Version  string  `json:"version"`
	Inputs   []Field `json:"inputs"`
	Outputs  []Field `json:"outputs"`
}

// ID is a prediction id: a UUIDv7, whose time says where in the log the prediction stands.
type ID [16]byte

// NewID makes an id of the present moment.
func NewID() ID {
	u, err := uuid.NewV7()
	if err != nil { // the system's random source failed: nothing sensible can go on
		panic("predlog: no randomness: " + err.Error())
	}
	return ID(u)
}

// ParseID reads an id from its text.
func ParseID(s string) (ID, error) {
	u, err := uuid.Parse(s)
	if err != nil || len(s) != 36 || u.Version() != 7 {
		return ID{}, errs.Invalidf("predlog.id", "%.64q is not a prediction id", s).WithField("prediction_id", "expected the id that came with the prediction")
	}
	return ID(u), nil
}

// String is the usual text of the id.
func (i ID) String() string { return string(i.AppendText(make([]byte, 0, 36))) }

// AppendText appends the text of the id to b.
func (i ID) AppendText(b []byte) []byte {
	for n, part := range [5][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		if n > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, i[part[0]:part[1]])
	}
	return b
}

// Time is when the id was made, to the millisecond.
func (i ID) Time() time.Time {
	ms := int64(i[0])<<40 | int64(i[1])<<32 | int64(i[2])<<24 | int64(i[3])<<16 | int64(i[4])<<8 | int64(i[5])
	return time.UnixMilli(ms).UTC()
}

// Record is one prediction, read back.
type Record struct {
	ID string
	// RequestID is the id of the prediction that answered the request: for a shadow score the id of the answer on the same row,
	// for an answer its own id. Records with one RequestID were scored on the same inputs.
	RequestID    string
	Schema       *Schema // shared; do not change
	Role         Role
	Time         time.Time
	EventTime    time.Time // what the caller gave, else Time
	EventTimeSet bool
	Key          string
	// Inputs and Outputs stand in the order of the schema's fields. A value is nil (missing), float64, int64, bool, string, time.Time,
	// []byte, json.RawMessage, or []any for a row that holds several.
	Inputs  []any
	Outputs []any
	Latency time.Duration
	Status  Status
	Error   string
	Mirrors int // how many other versions were to score the same row off the request path
}

// Input is the value of an input by name, nil when there is none.
func (r *Record) Input(name string) any { return valueOf(r.Schema.Inputs, r.Inputs, name) }

// Output is the value of an output by name, nil when there is none.
func (r *Record) Output(name string) any { return valueOf(r.Schema.Outputs, r.Outputs, name) }

func valueOf(fields []Field, values []any, name string) any {
	for i, f := range fields {
		if f.Name == name && i < len(values) {
			return values[i]
		}
	}
	return nil
}

// Prediction is the first output, which is the prediction of a plain regression or classification; nil when the model failed.
func (r *Record) Prediction() any {
	if len(r.Outputs) == 0 {
		return nil
	}
	return r.Outputs[0]
}

// Float is a value as a number; ok is false for what is no number. Booleans are 1 and 0, times seconds since 1970.
func Float(v any) (f float64, ok bool) {
	switch v := v.(type) {
	case float64:
		return v, !math.IsNaN(v)
	case int64:
		return float64(v), true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case time.Time:
		return float64(v.UnixMicro()) / 1e6, true
	}
	return math.NaN(), false
}

// Label is what turned out to be true for a prediction.
type Label struct {
	PredictionID string
	Endpoint     string
	Key          string // the key it was given by; empty when given by id
	Value        any    // float64, string or bool
	Time         time.Time
	EventTime    time.Time // what the caller gave, else Time
	EventTimeSet bool
	Late         bool // came after the label window
	Replaced     bool // an earlier label of the same prediction no longer counts
	// Scored are the records of all versions that scored the row, the answer first; filled by Follow, Read and Scan.
	Scored []Record
}

// Entry is one entry of the log: exactly one of the two is set.
type Entry struct {
	Record *Record
	Label  *Label
}

// Cursor is a durable position in the log; empty is its beginning. It stays valid over restarts.
type Cursor string
