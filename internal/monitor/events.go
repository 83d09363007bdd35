package monitor

import (
	"context"
	"time"

	"github.com/modelyard/modelyard/internal/platform/events"
)

// closed is the data of monitor.window.closed.
type closed struct {
	Endpoint  string    `json:"endpoint"`
	WindowID  string    `json:"window_id"`
	Version   string    `json:"version"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Count     int64     `json:"count"`
	Errors    int64     `json:"errors"`
	Verdicts  Verdicts  `json:"verdicts"`
	Reason    string    `json:"reason"`
	EventTime time.Time `json:"event_time"`
}

// changed is the data of monitor.verdict.changed.
type changed struct {
	Endpoint  string    `json:"endpoint"`
	Model     string    `json:"model"`
	Version   string    `json:"version"`
	Kind      Kind      `json:"kind"`
	Verdict   Verdict   `json:"verdict"`
	Previous  Verdict   `json:"previous"`
	WindowID  string    `json:"window_id"`
	Reason    string    `json:"reason"`
	Features  []Drifted `json:"features"`
	EventTime time.Time `json:"event_time"`
}

// Subscribe registers what the monitor hears.
func (s *Service) Subscribe() {
	s.d.Events.Listen(events.Listener{Name: "monitor.endpoints", Handle: s.hear,
		Types: []string{"serving.endpoint.created", "serving.endpoint.deleted", "routing.route.changed"}})
}

// hear makes a monitor with its endpoint, ends it with it, and follows the version in charge.
func (s *Service) hear(ctx context.Context, e events.Event) error {
	var d struct {
		Endpoint string `json:"endpoint"`
		Model    string `json:"model"`
		Version  string `json:"version"`
		Targets  []struct {
			Version string `json:"version"`
			Role    string `json:"role"`
		} `json:"targets"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	switch e.Type {
	case "serving.endpoint.created":
		return s.create(ctx, d.Endpoint, d.Model, d.Version, e.At)
	case "serving.endpoint.deleted":
		return s.remove(ctx, d.Endpoint, e.At)
	}
	for _, t := range d.Targets {
		if t.Role == "champion" {
			return s.promote(ctx, d.Endpoint, t.Version)
		}
	}
	return nil
}
