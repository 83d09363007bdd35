package registry

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// Subscribe registers what the registry hears.
func (s *Service) Subscribe() {
	s.d.Events.Listen(events.Listener{Name: "registry.gates", Types: []string{"evaluation.gate.*"}, Handle: s.onGate})
	s.d.Events.Listen(events.Listener{Name: "registry.served", Handle: s.onServed,
		Types: []string{"routing.route.changed", "serving.endpoint.created", "serving.endpoint.deleted"}})
}

func (s *Service) onGate(ctx context.Context, e events.Event) error {
	var d struct {
		ResultID string `json:"result_id"`
		Model    string `json:"model"`
		Version  string `json:"version"`
		Gate     string `json:"gate"`
		Verdict  string `json:"verdict"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	number, err := parseNumber(d.Version)
	if err != nil {
		return err
	}
	if d.Verdict == "" {
		d.Verdict = map[string]string{"evaluation.gate.passed": "pass", "evaluation.gate.failed": "fail"}[e.Type]
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		return putGate(tx, d.Model, number, GateOutcome{Gate: d.Gate, Verdict: d.Verdict, ResultID: d.ResultID, At: e.At})
	})
}

func (s *Service) onServed(ctx context.Context, e events.Event) error {
	var d struct {
		Endpoint string `json:"endpoint"`
		Model    string `json:"model"`
		Version  string `json:"version"`
		Targets  []struct {
			Version string `json:"version"`
		} `json:"targets"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	if d.Endpoint == "" {
		d.Endpoint = e.Resource.ID
	}
	versions := []string{}
	switch e.Type {
	case "routing.route.changed":
		for _, t := range d.Targets {
			versions = append(versions, t.Version)
		}
	case "serving.endpoint.created":
		if d.Version == "" {
			return nil // the route says it
		}
		versions = append(versions, d.Version)
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return putServed(tx, d.Endpoint, d.Model, versions, e.Seq) })
}
