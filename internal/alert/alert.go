package alert

import (
	"encoding/json"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Severity says how much an alert hurries.
type Severity string

// The severities. What harms predictions now pages; what may harm them later is a ticket.
const (
	Page   Severity = "page"
	Ticket Severity = "ticket"
	Info   Severity = "info"
)

// State is where an alert is in its life.
type State string

// The states of an alert.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Resolved     State = "resolved"
)

// Valid reports whether s is known.
func (s State) Valid() bool { return s == Open || s == Acknowledged || s == Resolved }

// The kinds of alert. The first four are those of the monitor's verdicts.
const (
	KindDrift       = "drift"
	KindPerformance = "performance"
	KindQuality     = "quality"
	KindService     = "service"
	KindLoad        = "version_load" // a version could not be loaded
	KindRollout     = "rollout"      // a rollout was rolled back
	KindRetraining  = "retraining"   // a retraining ended without a better version
	KindPipeline    = "pipeline"     // a pipeline run failed
	KindLog         = "prediction_log"
)

// severityOf is the rule: page on performance, on service and on lost records, ticket on the rest.
func severityOf(kind string) Severity {
	switch kind {
	case KindPerformance, KindService, KindLog:
		return Page
	case KindRetraining:
		return Info
	}
	return Ticket
}

// Feature is what an alert says about one feature.
type Feature struct {
	Name      string  `json:"name"`
	Test      string  `json:"test,omitempty"`
	Statistic float64 `json:"statistic"`
	Threshold float64 `json:"threshold"`
}

// UnmarshalJSON reads an object, or a bare name.
func (f *Feature) UnmarshalJSON(b []byte) error {
	type plain Feature
	if err := json.Unmarshal(b, &f.Name); err == nil {
		return nil
	}
	return json.Unmarshal(b, (*plain)(f))
}

// Started names what an alert set going.
type Started struct {
	RetrainingID string `json:"retraining_id"`
}

// Alert is one thing that needs somebody.
type Alert struct {
	ID             string     `json:"id"`
	Kind           string     `json:"kind"`
	Severity       Severity   `json:"severity" enum:"page,ticket,info"`
	State          State      `json:"state" enum:"open,acknowledged,resolved"`
	Subject        string     `json:"subject"` // the endpoint, pipeline:<name>, or a part of the server
	Endpoint       string     `json:"endpoint,omitempty"`
	Title          string     `json:"title"`
	Reason         string     `json:"reason"`
	Features       []Feature  `json:"features"`
	WindowID       string     `json:"window_id,omitempty"`
	EventTime      *time.Time `json:"event_time,omitempty"` // in the time of the data
	OpenedAt       time.Time  `json:"opened_at"`
	LastAt         time.Time  `json:"last_at"` // when it was last seen
	AcknowledgedAt *time.Time `json:"acknowledged_at,omitempty"`
	AcknowledgedBy string     `json:"acknowledged_by,omitempty"`
	Note           string     `json:"note,omitempty"`
	ResolvedAt     *time.Time `json:"resolved_at,omitempty"`
	ResolvedBy     string     `json:"resolved_by,omitempty"`
	ResolvedReason string     `json:"resolved_reason,omitempty"`
	Count          int64      `json:"count"` // how often it was seen, from 1
	Started        *Started   `json:"started,omitempty"`

	lastSeq int64
}

// Raise describes something that needs somebody.
type Raise struct {
	Subject   string // "" means Endpoint
	Endpoint  string
	Kind      string
	Title     string
	Reason    string
	Features  []Feature
	WindowID  string
	EventTime time.Time
	Seq       int64 // the number of the event that tells it; what was heard is not heard again. 0: always counts
}

// The bounds of what is kept.
const (
	MaxNote     = 2000
	maxReason   = 2000
	maxFeatures = 50
)

func checkNote(note string) error {
	if len(note) > MaxNote {
		return errs.Invalidf("alert.note", "the note is too long").WithField("note", "expected at most %d characters", MaxNote)
	}
	return nil
}
