package trace

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/events"
)

// EventDeleted tells that traces of an experiment were moved to the trash, EventRestored that they came back. What a purge removed is told
// by the trash.
const (
	EventDeleted  = "trace.deleted"
	EventRestored = "trace.restored"
)

type deleted struct {
	ExperimentID string `json:"experiment_id"`
	Traces       int    `json:"traces"`
}

// Subscribe registers what traces hear: with an experiment that goes for good, its traces go.
func (s *Service) Subscribe() {
	s.d.Events.Listen(events.Listener{Name: "trace.experiment_purged", Types: []string{"tracking.experiment.purged"}, Handle: s.experimentPurged})
}

func (s *Service) experimentPurged(ctx context.Context, e events.Event) error {
	_, err := s.Purge(ctx, e.Resource.ID)
	return err
}
