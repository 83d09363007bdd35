package evalset

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Dataset is a set of records to evaluate an application on.
type Dataset struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Workspace   string            `json:"workspace"`
	Digest      string            `json:"digest"` // 8 hex digits; another one after every change of the records
	Schema      json.RawMessage   `json:"schema,omitempty"`
	Records     int64             `json:"records"`
	Tags        map[string]string `json:"tags"`
	Experiments []string          `json:"experiment_ids"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
	CreatedBy   string            `json:"created_by,omitempty"`
	UpdatedBy   string            `json:"updated_by,omitempty"`
}

// Source says where a record comes from.
type Source struct {
	Type string          `json:"source_type"` // TRACE, HUMAN, DOCUMENT, CODE or UNSPECIFIED
	Data json.RawMessage `json:"source_data"` // a JSON object
}

// Record is one example. The JSON fields may be absent (nil).
type Record struct {
	ID           string            `json:"id"`
	DatasetID    string            `json:"dataset_id"`
	Inputs       json.RawMessage   `json:"inputs"`                 // a JSON object
	Outputs      json.RawMessage   `json:"outputs,omitempty"`      // any JSON
	Expectations json.RawMessage   `json:"expectations,omitempty"` // a JSON object
	Tags         map[string]string `json:"tags"`
	Source       *Source           `json:"source,omitempty"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
	CreatedBy    string            `json:"created_by,omitempty"`
	UpdatedBy    string            `json:"updated_by,omitempty"`
}

// NewRecord is a record to upsert. Outputs are kept as they were when HasOutputs is false.
type NewRecord struct {
	Inputs       json.RawMessage
	Outputs      json.RawMessage
	HasOutputs   bool
	Expectations json.RawMessage
	Tags         map[string]string
	Source       *Source
}

// Limits of datasets.
const (
	MaxName           = 500
	MaxKey            = 250
	MaxTagValue       = 5000
	MaxTags           = 200
	MaxExperiments    = 1000
	MaxRecordsPerCall = 10_000
	MaxRecords        = 1_000_000
	MaxRecordBytes    = 4 << 20 // of one JSON field
	MaxPage           = 1000
	DefaultPage       = 50
	MaxRecordPage     = 5000
	maxSchemaKeys     = 2000

	userTag = "mlflow.user"
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

func noDataset(id string) error {
	return errs.NotFoundf("evalset.get", "Evaluation dataset with id '%.100s' not found", id)
}

func checkText(c *errs.Collector, field, s string, most int) {
	switch {
	case !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0:
		c.Add(field, "expected UTF-8 text without NUL characters")
	case len(s) > most && utf8.RuneCountInString(s) > most:
		c.Add(field, "expected at most %d characters, got %d", most, utf8.RuneCountInString(s))
	}
}

func checkTags(c *errs.Collector, tags map[string]string) {
	if len(tags) > MaxTags {
		c.Add("tags", "expected at most %d, got %d", MaxTags, len(tags))
		return
	}
	for k, v := range tags {
		if k == "" {
			c.Add("tags", "expected a key")
		}
		checkText(c, "tags", k, MaxKey)
		checkText(c, "tags", v, MaxTagValue)
	}
}

func checkExperiments(c *errs.Collector, ids []string) {
	if len(ids) > MaxExperiments {
		c.Add("experiment_ids", "expected at most %d, got %d", MaxExperiments, len(ids))
	}
	for _, id := range ids {
		if !idPattern.MatchString(id) {
			c.Add("experiment_ids", "%.60q is not the id of an experiment", id)
		}
	}
}

func (r *NewRecord) check(c *errs.Collector) {
	if len(r.Inputs) == 0 || string(r.Inputs) == "null" {
		r.Inputs = json.RawMessage("{}")
	}
	if string(r.Expectations) == "null" {
		r.Expectations = nil
	}
	for name, v := range map[string]json.RawMessage{"inputs": r.Inputs, "expectations": r.Expectations} {
		if len(v) > 0 && (v[0] != '{' || !json.Valid(v)) {
			c.Add("records."+name, "expected a JSON object")
		}
	}
	for name, v := range map[string]json.RawMessage{"inputs": r.Inputs, "outputs": r.Outputs, "expectations": r.Expectations} {
		if len(v) > MaxRecordBytes {
			c.Add("records."+name, "expected at most %d bytes", MaxRecordBytes)
		}
	}
	checkTags(c, r.Tags)
	if r.Source == nil {
		return
	}
	r.Source.Type = strings.ToUpper(r.Source.Type)
	switch r.Source.Type {
	case "TRACE", "HUMAN", "DOCUMENT", "CODE", "UNSPECIFIED":
	default:
		c.Add("records.source", "expected source_type TRACE, HUMAN, DOCUMENT, CODE or UNSPECIFIED")
	}
	if len(r.Source.Data) == 0 || string(r.Source.Data) == "null" {
		r.Source.Data = json.RawMessage("{}")
	}
	if r.Source.Data[0] != '{' || len(r.Source.Data) > MaxRecordBytes {
		c.Add("records.source", "expected source_data to be a JSON object")
	}
}

// SourceID is the trace or the like that a record comes from, or "".
func (r *Record) SourceID() string {
	if r.Source == nil {
		return ""
	}
	var d struct {
		Trace string `json:"trace_id"`
		ID    string `json:"source_id"`
	}
	if json.Unmarshal(r.Source.Data, &d) != nil {
		return ""
	}
	if r.Source.Type == "TRACE" {
		return d.Trace
	}
	return d.ID
}
