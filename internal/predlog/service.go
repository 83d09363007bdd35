package predlog

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Jobs    *jobs.Queue
	Files   *blob.Files
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	DataDir string // the log lies in DataDir/predictions

	SegmentBytes int64         // a segment ends at this size; default 64 MiB
	LabelWindow  time.Duration // labels that come later than this after their prediction are marked late; default 30 days
}

// Handler takes entries in the order of the log. next is where to go on; store it with what was made of the entries. Its error ends the
// reading and is returned.
type Handler func(ctx context.Context, entries []Entry, next Cursor) error

// Follow tells fn of every prediction (shadow scores too) and every label of an endpoint ("" for all endpoints) from a cursor on, in
// order, then waits for more, until ctx ends (then it returns nil) or fn fails. fn gets at most 512 entries at a time.
//
//	func (s *Service) Follow(ctx context.Context, endpoint string, from Cursor, fn Handler) error
//
// Read is one step of it without waiting: at most limit entries (about: a request's rows stay together) and the next cursor.
//
//	func (s *Service) Read(ctx context.Context, endpoint string, from Cursor, limit int) ([]Entry, Cursor, error)
//
// End is the cursor behind the newest entry.
//
//	func (s *Service) End() Cursor
//
// Scan tells of the entries of an endpoint written in [from, to) of wall time, in order.
//
//	func (s *Service) Scan(ctx context.Context, endpoint string, from, to time.Time, fn func(Entry) error) error
//
// Find gives the records that scored a row, the answer first; empty when the id is unknown.
//
//	func (s *Service) Find(ctx context.Context, id string) ([]Record, error)
var _ Handler
