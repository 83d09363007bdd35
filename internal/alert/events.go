package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// Subscribe registers what alerts hear and the job that delivers webhooks.
func (s *Service) Subscribe() {
	listen := func(name string, h func(context.Context, events.Event) error, types ...string) {
		s.d.Events.Listen(events.Listener{Name: "alert." + name, Types: types, Handle: h})
	}
	listen("monitor", s.onVerdict, "monitor.verdict.changed", "monitor.window.closed")
	listen("serving", s.onServing, "serving.version.failed", "serving.version.loaded", "serving.endpoint.deleted")
	listen("lifecycle", s.onLifecycle, "lifecycle.rollout.*", "lifecycle.retraining.*")
	listen("pipeline", s.onPipeline, "pipeline.run.ended")
	listen("predlog", s.onLog, "predlog.log.failed", "predlog.log.recovered")
	listen("webhooks", s.onTellable, tellable()...)
	s.d.Jobs.Handle(jobDeliver, s.deliver, jobs.Options{MaxAttempts: maxAttempts, Timeout: time.Minute})
}

// onVerdict opens on a breach and resolves when the verdict is ok again. A watch, or no data, changes nothing: it is no reason to call
// anybody, nor proof that the cause is gone. Each further window in breach counts as a repeat.
func (s *Service) onVerdict(ctx context.Context, e events.Event) error {
	var d struct {
		Endpoint  string            `json:"endpoint"`
		Kind      string            `json:"kind"`
		Verdict   string            `json:"verdict"`
		Verdicts  map[string]string `json:"verdicts"`
		WindowID  string            `json:"window_id"`
		Reason    string            `json:"reason"`
		Features  []Feature         `json:"features"`
		EventTime time.Time         `json:"event_time"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	if e.Type == "monitor.window.closed" {
		return s.repeat(ctx, e, d.Endpoint, d.WindowID, d.Verdicts)
	}
	switch d.Verdict {
	case "breach":
		_, err := s.Raise(ctx, Raise{Endpoint: d.Endpoint, Kind: d.Kind, Title: verdictTitle(d.Endpoint, d.Kind, d.Features), Reason: verdictReason(d.Kind, d.Reason, d.Features),
			Features: d.Features, WindowID: d.WindowID, EventTime: d.EventTime, Seq: e.Seq})
		return err
	case "ok":
		reason := "the verdict is ok again"
		if d.Reason != "" {
			reason += ": " + d.Reason
		}
		return s.Clear(ctx, d.Endpoint, d.Kind, reason, e.Seq)
	}
	return nil
}

// repeat counts a window that is still in breach on the open alert.
func (s *Service) repeat(ctx context.Context, e events.Event, endpoint, window string, verdicts map[string]string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for kind, v := range verdicts {
			if v != "breach" {
				continue
			}
			a, err := unresolved(tx, endpoint, kind)
			if err != nil {
				return err
			}
			if a == nil || a.lastSeq >= e.Seq || a.WindowID == window {
				continue
			}
			a.Count++
			a.WindowID, a.LastAt, a.lastSeq = window, s.d.Clock.Now(), e.Seq
			if err := put(tx, *a); err != nil {
				return err
			}
		}
		return nil
	})
}

func verdictTitle(endpoint, kind string, features []Feature) string {
	switch kind {
	case KindDrift:
		if names := featureNames(features, 3); names != "" {
			return endpoint + ": drift in " + names
		}
		return endpoint + ": the inputs drift"
	case KindPerformance:
		return endpoint + ": predictions got worse"
	case KindQuality:
		return endpoint + ": the quality of the inputs fell"
	case KindService:
		return endpoint + ": errors or latency are too high"
	}
	return endpoint + ": " + kind
}

func featureNames(features []Feature, most int) string {
	names := []string{}
	for _, f := range strongest(features) {
		names = append(names, f.Name)
	}
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and " + strconv.Itoa(len(names)-most) + " more"
	}
	return strings.Join(names, ", ")
}

// strongest sorts features by how far they are past their threshold.
func strongest(features []Feature) []Feature {
	out := slices.Clone(features)
	slices.SortStableFunc(out, func(a, b Feature) int {
		ra, rb := ratio(a), ratio(b)
		switch {
		case ra > rb:
			return -1
		case ra < rb:
			return 1
		}
		return 0
	})
	return out
}

func ratio(f Feature) float64 {
	if f.Threshold <= 0 {
		return f.Statistic
	}
	return f.Statistic / f.Threshold
}

// verdictReason is the monitor's sentence, or one made of the features and their figures.
func verdictReason(kind, reason string, features []Feature) string {
	if reason != "" {
		return reason
	}
	var parts []string
	for _, f := range strongest(features) {
		if f.Threshold == 0 && f.Statistic == 0 {
			parts = append(parts, f.Name)
			continue
		}
		test := f.Test
		if test == "" {
			test = "statistic"
		}
		parts = append(parts, fmt.Sprintf("%s: %s %.3g, threshold %.3g", f.Name, test, f.Statistic, f.Threshold))
		if len(parts) == 5 {
			break
		}
	}
	if len(parts) == 0 {
		return "the monitor's verdict on " + kind + " is breach"
	}
	return strings.Join(parts, "; ")
}

func (s *Service) onServing(ctx context.Context, e events.Event) error {
	var d struct {
		Endpoint string `json:"endpoint"`
		Model    string `json:"model"`
		Version  text   `json:"version"`
		Error    string `json:"error"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	switch e.Type {
	case "serving.version.failed":
		_, err := s.Raise(ctx, Raise{Endpoint: d.Endpoint, Kind: KindLoad, Seq: e.Seq, Title: fmt.Sprintf("%s: version %s could not be loaded", d.Endpoint, d.Version),
			Reason: fmt.Sprintf("%s version %s: %s. What was served before goes on.", d.Model, d.Version, strings.TrimSuffix(d.Error, "."))})
		return err
	case "serving.version.loaded":
		return s.Clear(ctx, d.Endpoint, KindLoad, fmt.Sprintf("version %s was loaded", d.Version), e.Seq)
	}
	for _, kind := range []string{KindDrift, KindPerformance, KindQuality, KindService, KindLoad, KindRollout, KindRetraining} {
		if err := s.Clear(ctx, d.Endpoint, kind, "the endpoint was deleted", e.Seq); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) onLifecycle(ctx context.Context, e events.Event) error {
	var d struct {
		Endpoint     string `json:"endpoint"`
		Model        string `json:"model"`
		Version      text   `json:"version"`
		Weight       text   `json:"weight"`
		Reason       string `json:"reason"`
		AlertID      string `json:"alert_id"`
		RetrainingID string `json:"retraining_id"`
		Outcome      string `json:"outcome"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	switch e.Type {
	case "lifecycle.rollout.rolled_back":
		_, err := s.Raise(ctx, Raise{Endpoint: d.Endpoint, Kind: KindRollout, Title: fmt.Sprintf("%s: version %s was rolled back", d.Endpoint, d.Version), Reason: d.Reason, Seq: e.Seq})
		return err
	case "lifecycle.rollout.promoted":
		for _, kind := range []string{KindRollout, KindRetraining} {
			if err := s.Clear(ctx, d.Endpoint, kind, fmt.Sprintf("version %s was promoted", d.Version), e.Seq); err != nil {
				return err
			}
		}
	case "lifecycle.retraining.started":
		return s.noteRetraining(ctx, d.AlertID, d.RetrainingID)
	case "lifecycle.retraining.ended":
		if slices.Contains([]string{"promoted", "rolled_back", "aborted", "pipeline_failed"}, d.Outcome) {
			return nil // the rollout, or the pipeline, tells of it, or a person did it
		}
		_, err := s.Raise(ctx, Raise{Endpoint: d.Endpoint, Kind: KindRetraining, Title: d.Endpoint + ": retraining brought no better version", Reason: d.Reason, Seq: e.Seq})
		return err
	}
	return nil
}

func (s *Service) noteRetraining(ctx context.Context, alertID, retrainingID string) error {
	if alertID == "" {
		return nil
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		a, err := byID(tx, alertID)
		if err != nil {
			return err
		}
		a.Started = &Started{RetrainingID: retrainingID}
		return put(tx, a)
	})
}

func (s *Service) onPipeline(ctx context.Context, e events.Event) error {
	var d struct {
		Pipeline string `json:"pipeline"`
		RunID    string `json:"run_id"`
		State    string `json:"state"`
		Error    string `json:"error"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	subject := "pipeline:" + d.Pipeline
	switch d.State {
	case "failed":
		reason := "run " + d.RunID + " failed"
		if d.Error != "" {
			reason += ": " + d.Error
		}
		_, err := s.Raise(ctx, Raise{Subject: subject, Kind: KindPipeline, Title: "Pipeline " + d.Pipeline + " failed", Reason: reason, Seq: e.Seq})
		return err
	case "succeeded":
		return s.Clear(ctx, subject, KindPipeline, "run "+d.RunID+" succeeded", e.Seq)
	}
	return nil
}

func (s *Service) onLog(ctx context.Context, e events.Event) error {
	var d struct {
		Error string `json:"error"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	if e.Type == "predlog.log.recovered" {
		return s.Clear(ctx, KindLog, KindLog, "the prediction log can be written again", e.Seq)
	}
	_, err := s.Raise(ctx, Raise{Subject: KindLog, Kind: KindLog, Title: "Predictions are not being recorded", Seq: e.Seq,
		Reason: "the prediction log cannot be written: " + d.Error + ". Predictions go on, marked logged: false."})
	return err
}

// text reads a JSON string or number as text.
type text string

// UnmarshalJSON never fails: what is neither is left out.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	} else if len(b) > 0 && b[0] != '{' && b[0] != '[' {
		*t = text(b)
	}
	return nil
}
