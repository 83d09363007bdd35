package trace

import (
	"encoding/json"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// AssessmentKind says what an assessment is.
type AssessmentKind string

// The kinds of assessment.
const (
	Feedback    AssessmentKind = "feedback"    // what somebody thinks of the answer
	Expectation AssessmentKind = "expectation" // what the answer should have been
	Issue       AssessmentKind = "issue"       // a reference to an issue, by name
)

// Valid reports whether k is known.
func (k AssessmentKind) Valid() bool { return k == Feedback || k == Expectation || k == Issue }

// SourceType says who assessed.
type SourceType string

// The sources of assessments.
const (
	SourceUnspecified SourceType = "SOURCE_TYPE_UNSPECIFIED"
	SourceHuman       SourceType = "HUMAN"
	SourceJudge       SourceType = "LLM_JUDGE"
	SourceCode        SourceType = "CODE"
)

// Valid reports whether t is known.
func (t SourceType) Valid() bool {
	return t == SourceHuman || t == SourceJudge || t == SourceCode || t == SourceUnspecified
}

// AssessmentError says why a feedback has no value.
type AssessmentError struct {
	Code    string `json:"error_code,omitempty"`
	Message string `json:"error_message,omitempty"`
	Stack   string `json:"stack_trace,omitempty"`
}

// Assessment is a judgement on a trace or one of its spans.
type Assessment struct {
	ID         string            `json:"id"`
	TraceID    string            `json:"trace_id"`
	Name       string            `json:"name"`
	Kind       AssessmentKind    `json:"kind" enum:"feedback,expectation,issue"`
	Value      json.RawMessage   `json:"value"` // any JSON; null when there is an error
	Error      *AssessmentError  `json:"error,omitempty"`
	SourceType SourceType        `json:"source_type"`
	SourceID   string            `json:"source_id"`
	SpanID     string            `json:"span_id,omitempty"`
	Rationale  string            `json:"rationale,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	UpdatedAt  time.Time         `json:"updated_at"`
	Overrides  string            `json:"overrides,omitempty"` // the assessment that this one replaces
	Valid      bool              `json:"valid"`               // false once another one overrides it
}

// AssessmentChange says what to change; nil leaves it as it is. Metadata is merged.
type AssessmentChange struct {
	Name      *string
	Kind      AssessmentKind // of Value; "" when Value is nil
	Value     json.RawMessage
	Error     *AssessmentError
	Rationale *string
	Metadata  map[string]string
}

// Limits of assessments.
const (
	MaxAssessments     = 500 // of one trace
	maxAssessmentName  = 250
	maxAssessmentValue = 1 << 20 // bytes
	maxRationale       = 50_000
	maxErrorText       = 50_000
	maxSourceID        = 250
)

func (a *Assessment) check(c *errs.Collector) {
	if !a.Kind.Valid() {
		c.Add("assessment", "expected a feedback or an expectation")
	}
	if a.Name == "" {
		c.Add("assessment_name", "expected a name")
	}
	checkText(c, "assessment_name", a.Name, maxAssessmentName)
	if !a.SourceType.Valid() {
		c.Add("source.source_type", "expected HUMAN, LLM_JUDGE or CODE")
	}
	checkText(c, "source.source_id", a.SourceID, maxSourceID)
	checkText(c, "span_id", a.SpanID, 64)
	checkText(c, "overrides", a.Overrides, 100)
	checkText(c, "rationale", a.Rationale, maxRationale)
	checkLabels(c, "metadata", a.Metadata, MaxMetadataValue)
	if len(a.Value) > maxAssessmentValue {
		c.Add("value", "expected at most %d bytes", maxAssessmentValue)
	}
	if len(a.Value) == 0 {
		a.Value = json.RawMessage("null")
	}
	if a.Error != nil {
		if a.Kind == Expectation {
			c.Add("error", "an expectation has no error")
		}
		checkText(c, "error.error_code", a.Error.Code, maxErrorText)
		checkText(c, "error.error_message", a.Error.Message, maxErrorText)
		checkText(c, "error.stack_trace", a.Error.Stack, maxErrorText)
	}
	if a.Kind == Expectation && string(a.Value) == "null" {
		c.Add("expectation.value", "expected a value")
	}
}

func noAssessment(traceID, id string) error {
	return errs.NotFoundf("trace.assessment", "Assessment with ID '%.100s' not found for trace '%.100s'", id, traceID)
}
