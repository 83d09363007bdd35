package evalset

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// The events that evaluation datasets publish.
const (
	EventCreated = "evalset.created"
	EventChanged = "evalset.changed"
	EventDeleted = "evalset.deleted"
)

type created struct {
	ID   string `json:"dataset_id"`
	Name string `json:"name"`
}

type changed struct {
	ID       string `json:"dataset_id"`
	Digest   string `json:"digest"`
	Inserted int    `json:"inserted,omitempty"`
	Updated  int    `json:"updated,omitempty"`
	Deleted  int64  `json:"deleted,omitempty"`
}

// Subscribe registers what evaluation datasets hear: they leave an experiment that goes for good, and stay themselves.
func (s *Service) Subscribe() {
	s.d.Events.Listen(events.Listener{Name: "evalset.experiment_purged", Types: []string{"tracking.experiment.purged"}, Handle: s.experimentPurged})
}

func (s *Service) experimentPurged(ctx context.Context, e events.Event) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return leaveExperiment(tx, e.Resource.ID) })
}
