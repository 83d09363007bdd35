package trace

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// State is how a trace ended, in MLflow's words.
type State string

// The states of a trace.
const (
	StateUnspecified State = "STATE_UNSPECIFIED"
	StateInProgress  State = "IN_PROGRESS"
	StateOK          State = "OK"
	StateError       State = "ERROR"
)

// Valid reports whether s is known.
func (s State) Valid() bool {
	return s == StateOK || s == StateError || s == StateInProgress || s == StateUnspecified
}

// The tags and metadata that have a meaning here.
const (
	TagName          = "mlflow.traceName"
	TagSpansLocation = "mlflow.trace.spansLocation"
	TagArtifacts     = "mlflow.artifactLocation"
	TagPrompts       = "mlflow.linkedPrompts"
	MetaRun          = "mlflow.sourceRun"
	MetaSession      = "mlflow.trace.session"
	MetaUser         = "mlflow.trace.user"
	MetaTokens       = "mlflow.trace.tokenUsage"
	MetaCost         = "mlflow.trace.cost"
	MetaSizeStats    = "mlflow.trace.sizeStats"
	MetaFinalized    = "mlflow.trace.infoFinalized"
	MetaSchema       = "mlflow.trace_schema.version"

	spansHere = "TRACKING_STORE" // the value of TagSpansLocation of traces whose spans are here
)

// Limits of what is kept. Lengths are in characters unless they say bytes.
const (
	MaxKey             = 250
	MaxTagValue        = 8000
	MaxMetadataValue   = 8000
	MaxLabels          = 200 // tags, and metadata entries, of one trace
	MaxPreview         = 10_000
	MaxClientRequestID = 250
	MaxSpanName        = 1000
	MaxAttributes      = 500     // of one span, event or link
	MaxAttributeBytes  = 4 << 20 // of one value, encoded
	MaxEvents          = 1000    // of one span
	MaxLinks           = 200
	MaxSpansPerCall    = 10_000
	MaxSpansPerTrace   = 20_000
	MaxTraceBytes      = 64 << 20 // of all spans of a trace, encoded
	MaxTracesPerCall   = 1000     // that one call adds spans to
	MaxBatch           = 100      // traces of one batch read with spans, or of one link
	MaxInfos           = 5000     // traces of one batch read without spans
	MaxPage            = 500
	DefaultPage        = 100
	MaxDelete          = 1000 // ids of one deletion
	MaxExperiments     = 1000 // of one search

	previewLength = 1000 // of previews that are worked out here, as MLflow's
)

// Trace is one call of a program, without its spans.
type Trace struct {
	ID              string
	ExperimentID    string
	Start           time.Time      // to the millisecond
	Duration        *time.Duration // nil while it runs
	State           State
	Name            string
	ClientRequestID string
	RequestPreview  *string
	ResponsePreview *string
	Tags            map[string]string
	Metadata        map[string]string
	Assessments     []Assessment // filled by reads
	SpanCount       int          // distinct spans

	shapes    shapes // the distinct names, types and states of its spans, for search
	bytes     int64  // of its encoded spans
	finalized bool   // the client has told of the whole trace
}

// NewTrace is what a client tells of a whole trace.
type NewTrace struct {
	ID              string
	ExperimentID    string
	Start           time.Time
	Duration        *time.Duration
	State           State
	ClientRequestID string
	RequestPreview  *string
	ResponsePreview *string
	Tags            map[string]string
	Metadata        map[string]string
	Assessments     []Assessment
}

// idPattern: ids are parts of paths and never climb.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// FilesRoot is the blob root of the files that a client keeps beside a trace.
func FilesRoot(id string) string { return "trace/" + id }

// ArtifactURI is where clients find those files.
func ArtifactURI(experimentID, id string) string {
	return "mlflow-artifacts:/" + experimentID + "/traces/" + id + "/artifacts"
}

func checkID(c *errs.Collector, field, id string) {
	if !idPattern.MatchString(id) {
		c.Add(field, "expected an id such as tr-5f0c..., at most 100 letters, digits, - and _")
	}
}

func checkText(c *errs.Collector, field, s string, most int) {
	switch {
	case !utf8.ValidString(s):
		c.Add(field, "expected UTF-8 text")
	case strings.IndexByte(s, 0) >= 0:
		c.Add(field, "expected text without NUL characters")
	case len(s) > most && utf8.RuneCountInString(s) > most:
		c.Add(field, "expected at most %d characters, got %d", most, utf8.RuneCountInString(s))
	}
}

func checkLabels(c *errs.Collector, field string, labels map[string]string, most int) {
	if len(labels) > MaxLabels {
		c.Add(field, "expected at most %d entries, got %d", MaxLabels, len(labels))
		return
	}
	for k, v := range labels {
		checkKey(c, field, k)
		checkText(c, field, v, most)
	}
}

func checkKey(c *errs.Collector, field, key string) {
	if key == "" {
		c.Add(field, "expected a key")
	}
	checkText(c, field, key, MaxKey)
}

func (n *NewTrace) validate() error {
	var c errs.Collector
	checkID(&c, "trace_id", n.ID)
	if n.ExperimentID == "" {
		c.Add("trace_location", "expected the id of an experiment")
	}
	if !n.State.Valid() {
		c.Add("state", "expected OK, ERROR, IN_PROGRESS or STATE_UNSPECIFIED")
	}
	if y := n.Start.Year(); y < 1970 || y > 9999 {
		c.Add("request_time", "expected a time between the years 1970 and 9999")
	}
	if n.Duration != nil && *n.Duration < 0 {
		c.Add("execution_duration", "expected a duration that is not negative")
	}
	checkText(&c, "client_request_id", n.ClientRequestID, MaxClientRequestID)
	checkLabels(&c, "tags", n.Tags, MaxTagValue)
	checkLabels(&c, "trace_metadata", n.Metadata, MaxMetadataValue)
	n.RequestPreview, n.ResponsePreview = clipPreview(n.RequestPreview, MaxPreview), clipPreview(n.ResponsePreview, MaxPreview)
	if len(n.Assessments) > MaxAssessments {
		c.Add("assessments", "expected at most %d", MaxAssessments)
		n.Assessments = nil
	}
	for i := range n.Assessments {
		n.Assessments[i].check(&c)
	}
	return c.Err("trace.start", "the trace is not valid")
}

// clipPreview makes a preview storable: valid text of bounded length.
func clipPreview(p *string, most int) *string {
	if p == nil {
		return nil
	}
	s := clean(*p)
	if len(s) > most {
		if r := []rune(s); len(r) > most {
			s = string(r[:most-3]) + "..."
		}
	}
	return &s
}

// clean drops what a database cannot store in a text.
func clean(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}

// RunID is the run that made the trace, or "".
func (t *Trace) RunID() string { return t.Metadata[MetaRun] }

// expected is how many spans the client said that the trace has; 0 when it did not.
func (t *Trace) expected() int {
	var stats struct {
		Spans int `json:"num_spans"`
	}
	if s := t.Metadata[MetaSizeStats]; s == "" || json.Unmarshal([]byte(s), &stats) != nil {
		return 0
	}
	return stats.Spans
}

// Complete reports whether all the spans that the client told of are here.
func (t *Trace) Complete() bool { return t.SpanCount > 0 && t.SpanCount >= t.expected() }

// Tokens are the tokens that the language models of a trace read and wrote; zero when nobody told.
type Tokens struct {
	Input  int64 `json:"input_tokens"`
	Output int64 `json:"output_tokens"`
	Total  int64 `json:"total_tokens"`
}

// Tokens reads the token usage out of the metadata.
func (t *Trace) Tokens() *Tokens {
	var u Tokens
	if s := t.Metadata[MetaTokens]; s == "" || json.Unmarshal([]byte(s), &u) != nil {
		return nil
	}
	return &u
}

func noTrace(id string) error {
	return errs.NotFoundf("trace.get", "Trace with ID '%.100s' not found", id)
}
