package predlog

import (
	"context"
	"embed"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "predlog", FS: migrations} }

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
	KeepRaw      time.Duration // how long raw segments are kept once they are sealed to Parquet; 0: for ever
}

// Handler takes entries in the order of the log. next is where to go on; store it with what was made of the entries. Its error ends the
// reading and is returned.
type Handler func(ctx context.Context, entries []Entry, next Cursor) error

// Service is the prediction log.
type Service struct {
	d       Deps
	w       *writer
	metrics *metrics
	stats   *liveStats
	keys    *keyIndex
	buffers sync.Pool

	waiting    atomic.Int64 // followers that wait now
	waitMu     sync.Mutex
	waiters    map[string]chan struct{} // closed when the endpoint's log grows
	labeling   inflight
	cache      indexCache
	opened     Cursor   // the end of the log at Start
	labels     sync.Map // endpoint -> *Stream that takes its labels
	failing    bool     // only Run touches it
	unretained int64    // an hour whose raw log could not be removed; only Run touches it
	untold     []notice // only Run touches it
}

// New makes the service; Start opens the log.
func New(d Deps) *Service {
	if d.SegmentBytes == 0 {
		d.SegmentBytes = 64 << 20
	}
	if d.LabelWindow == 0 {
		d.LabelWindow = 30 * 24 * time.Hour
	}
	s := &Service{d: d, unretained: -1, metrics: newMetrics(d.Metrics), stats: newLiveStats(), keys: newKeyIndex(), waiters: map[string]chan struct{}{}}
	s.buffers.New = func() any { b := make([]byte, 0, 4096); return &b }
	return s
}

// Start opens the log, cuts a torn tail off and brings the label table up to date with the log.
func (s *Service) Start(ctx context.Context) error {
	w, err := openWriter(s.d.DataDir, s.d.Clock, s.d.SegmentBytes)
	if err != nil {
		return err
	}
	s.w = w
	s.opened = s.End()
	return s.recoverLabels(ctx)
}

// labelStream is where the labels of an endpoint go; its schema has no version and no columns.
func (s *Service) labelStream(endpoint string) *Stream {
	if st, ok := s.labels.Load(endpoint); ok {
		return st.(*Stream)
	}
	st, _ := s.labels.LoadOrStore(endpoint, s.stream(Schema{Endpoint: endpoint}, nil))
	return st.(*Stream)
}

// flushEvery is how old an answered prediction may be that a power cut loses.
const flushEvery = time.Second

// rebuildSpan is how much of the log is read at start for the live figures and the key index.
const rebuildSpan = time.Hour

// Run flushes the log every second, and once more when ctx ends; then the log is closed.
func (s *Service) Run(ctx context.Context) error {
	if err := s.rebuild(ctx); err != nil && ctx.Err() == nil {
		s.d.Log.Warn("cannot rebuild live figures from the prediction log", "error", err)
	}
	tick, minute := time.NewTicker(flushEvery), time.NewTicker(time.Minute)
	defer tick.Stop()
	defer minute.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.w.close()
		case <-tick.C:
			s.tend(ctx, s.w.flush())
		case <-minute.C:
			s.moveLabelCursor(ctx)
			if err := s.seal(ctx); err != nil && ctx.Err() == nil {
				s.d.Log.Warn("cannot seal an hour of predictions to the blob store", "error", err)
			}
			if err := s.retain(ctx); err != nil && ctx.Err() == nil {
				s.d.Log.Warn("cannot remove the raw log of a sealed hour", "error", err)
			}
		}
	}
}

// moveLabelCursor notes that no label before the present end is missing in the table, so that a start need not look for any there.
func (s *Service) moveLabelCursor(ctx context.Context) {
	end, err := s.End().position()
	if err == nil {
		err = s.setLabelCursor(ctx, s.labeling.floor(nil, end))
	}
	if err != nil && ctx.Err() == nil {
		s.d.Log.Warn("cannot note how far labels were taken in", "error", err)
	}
}

// Close flushes and closes the log, for programs that do not Run.
func (s *Service) Close() error {
	if s.w == nil {
		return nil
	}
	return s.w.close()
}

// tend tells of a log that fails, once, and of its recovery.
func (s *Service) tend(ctx context.Context, flushed error) {
	err := flushed
	if p := s.w.pending.Load(); err == nil && p != nil {
		err = *p
	}
	if (err != nil) != s.failing {
		s.failing = err != nil
		n := notice{typ: "predlog.log.recovered", data: map[string]any{}}
		if s.failing {
			s.d.Log.Error("the prediction log cannot be written; predictions go on without it", "error", err)
			n = notice{"predlog.log.failed", map[string]any{"error": err.Error(), "severity": "page"}}
		} else {
			s.d.Log.Info("the prediction log can be written again")
		}
		s.untold = append(s.untold, n)
		s.untold = s.untold[max(0, len(s.untold)-maxUntold):]
	}
	if s.d.Events == nil || len(s.untold) == 0 {
		return
	}
	werr := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, n := range s.untold {
			if err := s.d.Events.Append(ctx, tx, n.typ, events.Resource{Kind: "predlog", ID: "local"}, n.data); err != nil {
				return err
			}
		}
		return nil
	})
	if werr == nil {
		s.untold = nil
	} else if ctx.Err() == nil {
		s.d.Log.Error("cannot tell of the prediction log's state", "error", werr)
	}
}

// notice is an event that waits until the metadata store can be written: both may lie on the disk that is full.
type notice struct {
	typ  string
	data map[string]any
}

// maxUntold bounds the notices that wait; an even number keeps failures and recoveries in pairs.
const maxUntold = 8

// Healthy is nil while the log can be written.
func (s *Service) Healthy() error {
	if s.w == nil {
		return errs.E(errs.Unavailable, "predlog.healthy", "the prediction log is not open", nil)
	}
	if p := s.w.pending.Load(); p != nil {
		return *p
	}
	return nil
}

// wake tells the followers of an endpoint that there is more.
func (s *Service) wake(endpoint string) {
	if s.waiting.Load() == 0 {
		return
	}
	s.waitMu.Lock()
	defer s.waitMu.Unlock()
	for _, e := range []string{endpoint, ""} {
		if ch, ok := s.waiters[e]; ok {
			close(ch)
			delete(s.waiters, e)
		}
	}
}

// growth gives a channel that is closed when the endpoint's log grows after this call.
func (s *Service) growth(endpoint string) <-chan struct{} {
	s.waitMu.Lock()
	defer s.waitMu.Unlock()
	ch, ok := s.waiters[endpoint]
	if !ok {
		ch = make(chan struct{})
		s.waiters[endpoint] = ch
	}
	return ch
}
