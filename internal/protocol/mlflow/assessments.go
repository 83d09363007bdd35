package mlflow

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/trace"
)

func (e *Edge) assessmentRoutes(at registrar) {
	const p = "/3.0/mlflow/traces/{trace_id}/assessments"
	at("POST", p, traceWrite, call(e, e.createAssessment))
	at("GET", p+"/{assessment_id}", traceRead, call(e, e.getAssessment))
	at("PATCH", p+"/{assessment_id}", traceWrite, call(e, e.updateAssessment))
	at("DELETE", p+"/{assessment_id}", traceWrite, call(e, e.deleteAssessment))
}

type assessmentSource struct {
	Type enumName `json:"source_type"`
	ID   string   `json:"source_id"`
}

type feedbackValue struct {
	Value json.RawMessage        `json:"value"`
	Error *trace.AssessmentError `json:"error,omitempty"`
}

// jsonText is a value that protobuf's Value has no place for: JSON as a text.
type jsonText struct {
	Format string `json:"serialization_format"`
	Value  string `json:"value"`
}

type expectationValue struct {
	Value json.RawMessage `json:"value,omitempty"`
	Text  *jsonText       `json:"serialized_value,omitempty"`
}

type issueValue struct {
	Name string `json:"issue_name"`
}

type assessment struct {
	ID          string            `json:"assessment_id,omitempty"`
	Name        string            `json:"assessment_name"`
	TraceID     string            `json:"trace_id"`
	SpanID      string            `json:"span_id,omitempty"`
	Source      *assessmentSource `json:"source,omitempty"`
	Created     timestamp         `json:"create_time"`
	Updated     timestamp         `json:"last_update_time"`
	Feedback    *feedbackValue    `json:"feedback,omitempty"`
	Expectation *expectationValue `json:"expectation,omitempty"`
	Issue       *issueValue       `json:"issue,omitempty"`
	Rationale   string            `json:"rationale,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Overrides   string            `json:"overrides,omitempty"`
	Valid       *bool             `json:"valid,omitempty"`
}

func fromAssessment(a trace.Assessment) assessment {
	out := assessment{ID: a.ID, Name: a.Name, TraceID: a.TraceID, SpanID: a.SpanID, Source: &assessmentSource{enumName(a.SourceType), a.SourceID},
		Created: timestamp(a.CreatedAt), Updated: timestamp(a.UpdatedAt), Rationale: a.Rationale, Metadata: a.Metadata, Overrides: a.Overrides, Valid: &a.Valid}
	switch a.Kind {
	case trace.Feedback:
		out.Feedback = &feedbackValue{a.Value, a.Error}
	case trace.Expectation:
		if len(a.Value) > 0 && (a.Value[0] == '{' || a.Value[0] == '[') {
			out.Expectation = &expectationValue{Text: &jsonText{"JSON_FORMAT", string(a.Value)}}
		} else {
			out.Expectation = &expectationValue{Value: a.Value}
		}
	case trace.Issue:
		var name string
		_ = json.Unmarshal(a.Value, &name) // kept by us as a string
		out.Issue = &issueValue{name}
	}
	return out
}

// value reads which kind an assessment is and what it says.
func (in *assessment) value() (kind trace.AssessmentKind, value json.RawMessage, fault *trace.AssessmentError, err error) {
	switch {
	case in.Feedback != nil:
		return trace.Feedback, in.Feedback.Value, in.Feedback.Error, nil
	case in.Expectation != nil && in.Expectation.Text != nil:
		if in.Expectation.Text.Format != "JSON_FORMAT" || !json.Valid([]byte(in.Expectation.Text.Value)) {
			return "", nil, nil, errs.Invalidf("mlflow.assessment", "the serialized value of the expectation is not JSON").WithField("expectation.serialized_value", "expected serialization_format JSON_FORMAT and JSON text")
		}
		return trace.Expectation, json.RawMessage(in.Expectation.Text.Value), nil, nil
	case in.Expectation != nil:
		return trace.Expectation, in.Expectation.Value, nil, nil
	case in.Issue != nil:
		name, err := json.Marshal(in.Issue.Name)
		return trace.Issue, name, nil, err
	}
	return "", nil, nil, errs.Invalidf("mlflow.assessment", "Exactly one of `expectation`, `feedback`, or `issue` should be specified.")
}

func (in *assessment) assessment() (trace.Assessment, error) {
	kind, value, fault, err := in.value()
	if err != nil {
		return trace.Assessment{}, err
	}
	out := trace.Assessment{ID: in.ID, Name: in.Name, TraceID: in.TraceID, SpanID: in.SpanID, Kind: kind, Value: value, Error: fault,
		CreatedAt: time.Time(in.Created), UpdatedAt: time.Time(in.Updated), Rationale: in.Rationale, Metadata: in.Metadata, Overrides: in.Overrides,
		SourceType: trace.SourceUnspecified}
	if in.Source != nil {
		out.SourceType, out.SourceID = in.Source.kind(), in.Source.ID
	}
	return out, nil
}

func (s *assessmentSource) kind() trace.SourceType {
	numbers := []trace.SourceType{trace.SourceUnspecified, trace.SourceHuman, trace.SourceJudge, trace.SourceCode}
	if i := slices.Index([]string{"0", "1", "2", "3"}, string(s.Type)); i >= 0 {
		return numbers[i]
	}
	switch s.Type {
	case "", "null":
		return trace.SourceUnspecified
	case "AI_JUDGE":
		return trace.SourceJudge
	}
	return trace.SourceType(s.Type)
}

type assessmentReply struct {
	Assessment assessment `json:"assessment"`
}

func (e *Edge) createAssessment(ctx context.Context, in *struct {
	TraceID    string      `json:"-" path:"trace_id"`
	Assessment *assessment `json:"assessment"`
}) (assessmentReply, error) {
	if in.Assessment == nil {
		return assessmentReply{}, missing("assessment")
	}
	a, err := in.Assessment.assessment()
	if err != nil {
		return assessmentReply{}, err
	}
	a.TraceID = in.TraceID
	a, err = e.d.Traces.Assess(ctx, a)
	return assessmentReply{fromAssessment(a)}, err
}

type assessmentID struct {
	TraceID string `json:"trace_id" path:"trace_id"`
	ID      string `json:"assessment_id" path:"assessment_id"`
}

func (e *Edge) getAssessment(ctx context.Context, in *assessmentID) (assessmentReply, error) {
	a, err := e.d.Traces.Assessment(ctx, in.TraceID, in.ID)
	return assessmentReply{fromAssessment(a)}, err
}

// updateAssessment changes the fields that the mask names, a text with commas in protobuf's JSON.
func (e *Edge) updateAssessment(ctx context.Context, in *struct {
	TraceID    string      `json:"-" path:"trace_id"`
	ID         string      `json:"-" path:"assessment_id"`
	Assessment *assessment `json:"assessment"`
	Mask       *fieldMask  `json:"update_mask"`
}) (assessmentReply, error) {
	if in.Assessment == nil {
		return assessmentReply{}, missing("assessment")
	}
	if in.Mask == nil {
		return assessmentReply{}, missing("update_mask")
	}
	var ch trace.AssessmentChange
	for _, f := range *in.Mask {
		switch f {
		case "assessment_name", "assessmentName":
			ch.Name = &in.Assessment.Name
		case "rationale":
			ch.Rationale = &in.Assessment.Rationale
		case "metadata":
			ch.Metadata = in.Assessment.Metadata
		case "feedback", "expectation":
			kind, value, fault, err := in.Assessment.value()
			if err != nil {
				return assessmentReply{}, err
			}
			if string(kind) != f || ch.Kind != "" {
				return assessmentReply{}, errs.Invalidf("mlflow.assessment", "Exactly one of `expectation` or `feedback` should be specified.")
			}
			ch.Kind, ch.Value, ch.Error = kind, value, fault
		}
	}
	a, err := e.d.Traces.Reassess(ctx, in.TraceID, in.ID, ch)
	return assessmentReply{fromAssessment(a)}, err
}

// fieldMask is protobuf's FieldMask: "a,b", or {"paths": ["a", "b"]}.
type fieldMask []string

// UnmarshalJSON reads both forms.
func (m *fieldMask) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*m = strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
		return nil
	}
	var o struct {
		Paths []string `json:"paths"`
	}
	err := json.Unmarshal(b, &o)
	*m = o.Paths
	return err
}

func (e *Edge) deleteAssessment(ctx context.Context, in *assessmentID) (none, error) {
	return none{}, e.d.Traces.Unassess(ctx, in.TraceID, in.ID)
}
