package trace

import (
	"cmp"
	"context"
	"embed"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this domain.
func Migrations() db.Migrations { return db.Migrations{Domain: "trace", FS: migrations} }

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Files   *blob.Files
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Experiment returns nil when an experiment is there and takes writes, else NotFound or Invalid.
	Experiment func(ctx context.Context, id string) error
	// Sees reports whether a request may see what is in an experiment, SeesAll that it may see all there are, which saves the question;
	// nil when everything is seen.
	Sees    func(ctx context.Context, id string) (bool, error)
	SeesAll func(ctx context.Context) bool
	// Home says what an experiment is called and which workspace it is in; nil when nobody knows.
	Home func(ctx context.Context, experiment string) (name, workspace string, err error)
	// Run returns nil when a run is there, else NotFound.
	Run func(ctx context.Context, id string) error
}

// Service is the use-cases of traces. Safe for concurrent use.
type Service struct {
	d       Deps
	st      store
	metrics *metrics
	waiting waiting
	whole   atomic.Bool // no trace waits for its index
}

// New makes the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d, st: store{d.DB, &packer{}}, metrics: newMetrics(d.Metrics), waiting: waiting{on: map[string]chan struct{}{}}}
}

// Start tells of a whole trace, usually at its end. What it says wins over what the spans say; tags and metadata are merged.
// Kinds: Invalid, NotFound (the experiment).
func (s *Service) Start(ctx context.Context, n NewTrace) (Trace, error) {
	if n.ID == "" {
		n.ID = "tr-" + id.Hex()
	}
	if n.State == "" {
		n.State = StateUnspecified
	}
	if err := n.validate(); err != nil {
		return Trace{}, err
	}
	if err := s.d.Experiment(ctx, n.ExperimentID); err != nil {
		return Trace{}, err
	}
	now := s.now()
	if err := s.mine(ctx, n.ID); err != nil {
		return Trace{}, err
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		t, err := s.revive(ctx, tx, n.ID, n.ExperimentID)
		if err != nil {
			return err
		}
		if t == nil {
			t = &Trace{ID: n.ID, Tags: map[string]string{}, Metadata: map[string]string{}}
		}
		n.into(t)
		if err := t.checkSize(); err != nil {
			return err
		}
		if err := put(tx, t); err != nil {
			return err
		}
		for i := range n.Assessments {
			a := n.Assessments[i]
			a.TraceID = n.ID
			stamp(&a, now)
			have, err := findAssessment(tx, n.ID, a.ID)
			if err != nil {
				return err
			}
			if have != nil { // told of before
				continue
			}
			if err := putAssessment(tx, &a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Trace{}, err
	}
	s.waiting.wake(n.ID)
	s.metrics.traces.Inc()
	return s.Get(ctx, n.ID)
}

// into puts what the client told over what is there.
func (n *NewTrace) into(t *Trace) {
	t.ExperimentID, t.Start, t.Duration, t.State = n.ExperimentID, n.Start.Truncate(time.Millisecond), n.Duration, n.State
	if n.ClientRequestID != "" {
		t.ClientRequestID = n.ClientRequestID
	}
	if n.RequestPreview != nil {
		t.RequestPreview = n.RequestPreview
	}
	if n.ResponsePreview != nil {
		t.ResponsePreview = n.ResponsePreview
	}
	location := t.Tags[TagSpansLocation]
	maps.Copy(t.Tags, n.Tags)
	delete(t.Tags, TagSpansLocation) // ours to say
	if location != "" {
		t.Tags[TagSpansLocation] = location
	}
	maps.Copy(t.Metadata, n.Metadata)
	t.Metadata[MetaFinalized] = "true"
	t.Tags[TagArtifacts] = ArtifactURI(t.ExperimentID, t.ID)
	t.finalized = true
	t.rename()
}

// rename takes the name out of the tags, where the clients keep it.
func (t *Trace) rename() { t.Name = t.Tags[TagName] }

func (t *Trace) checkSize() error {
	if len(t.Tags) > MaxLabels || len(t.Metadata) > MaxLabels {
		return errs.Invalidf("trace.labels", "a trace takes at most %d tags and %d metadata entries", MaxLabels, MaxLabels)
	}
	return nil
}

func (s *Service) now() time.Time { return s.d.Clock.Now().Truncate(time.Millisecond) }

// Get finds a trace without its spans. Kinds: NotFound.
func (s *Service) Get(ctx context.Context, id string) (Trace, error) {
	t, err := s.st.get(ctx, id)
	if err == nil {
		err = s.visible(ctx, id, t.ExperimentID)
	}
	if err != nil {
		return Trace{}, err
	}
	by, err := s.st.assessments(ctx, []string{id})
	t.Assessments = by[id]
	return t, err
}

// visible returns nil when the request may see a trace of an experiment, else NotFound.
func (s *Service) visible(ctx context.Context, id, experiment string) error {
	ok, err := s.sees(ctx, experiment)
	if err == nil && !ok {
		err = noTrace(id)
	}
	return err
}

func (s *Service) sees(ctx context.Context, experiment string) (bool, error) {
	if s.d.Sees == nil {
		return true, nil
	}
	return s.d.Sees(ctx, experiment)
}

// limited reports whether there is something that the request may not see.
func (s *Service) limited(ctx context.Context) bool {
	return s.d.Sees != nil && (s.d.SeesAll == nil || !s.d.SeesAll(ctx))
}

// mine refuses to write to a trace that is there and that the request may not see. Kinds: NotFound.
func (s *Service) mine(ctx context.Context, id string) error {
	if !s.limited(ctx) {
		return nil
	}
	there, err := s.st.experimentsOf(ctx, []string{id})
	if err != nil {
		return err
	}
	if experiment, ok := there[id]; ok {
		return s.visible(ctx, id, experiment)
	}
	return nil
}

// seen keeps the experiments whose traces the request may see.
func (s *Service) seen(ctx context.Context, experiments []string) ([]string, error) {
	out := make([]string, 0, len(experiments))
	for _, id := range experiments {
		if !idPattern.MatchString(id) {
			continue
		}
		ok, err := s.sees(ctx, id)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, id)
		}
	}
	return out, nil
}

// Spans reads the spans of a trace, roots first, then by their start.
func (s *Service) Spans(ctx context.Context, id string) ([]Span, error) {
	if err := s.mine(ctx, id); err != nil {
		return nil, err
	}
	return s.st.spans(ctx, id)
}

// exportWait is how long a reader waits for spans that the client has told of and that are on their way.
const exportWait = 3 * time.Second

// Whole finds a trace with its spans. When spans that the client told of are missing it waits for them a short while and then is NotFound,
// unless partial. Kinds: NotFound.
func (s *Service) Whole(ctx context.Context, id string, partial bool) (Trace, []Span, error) {
	var timeout <-chan time.Time
	var changed <-chan struct{}
	for {
		t, err := s.Get(ctx, id)
		if err != nil {
			return t, nil, err
		}
		spans, err := s.Spans(ctx, id)
		t.SpanCount = len(spans)
		if err != nil || partial || t.Complete() {
			return t, spans, err
		}
		if changed == nil { // look once more before waiting, so that no change is missed
			changed = s.waiting.change(id)
			if timeout == nil {
				timer := time.NewTimer(exportWait)
				defer timer.Stop()
				timeout = timer.C
			}
			continue
		}
		select {
		case <-changed:
			changed = nil
		case <-ctx.Done():
			s.waiting.wake(id)
			return t, nil, ctx.Err()
		case <-timeout:
			s.waiting.wake(id)
			return t, nil, errs.NotFoundf("trace.get", "Trace with ID %s is not fully exported yet, please try again later", id)
		}
	}
}

// Many finds traces without their spans, in the order of the ids; unknown ones, and those of other experiments when some are given, are
// left out.
func (s *Service) Many(ctx context.Context, ids, experiments []string) ([]Trace, error) {
	if len(ids) > MaxInfos {
		return nil, errs.Invalidf("trace.batch", "a batch takes at most %d traces, got %d", MaxInfos, len(ids)).WithField("trace_ids", "expected fewer ids")
	}
	ts, err := s.st.many(ctx, ids)
	if err != nil {
		return nil, err
	}
	if s.limited(ctx) {
		kept := ts[:0]
		for _, t := range ts {
			if ok, err := s.sees(ctx, t.ExperimentID); err != nil {
				return nil, err
			} else if ok {
				kept = append(kept, t)
			}
		}
		ts = kept
	}
	if experiments != nil {
		in := map[string]bool{}
		for _, e := range experiments {
			in[e] = true
		}
		kept := ts[:0]
		for _, t := range ts {
			if in[t.ExperimentID] {
				kept = append(kept, t)
			}
		}
		ts = kept
	}
	return ts, s.assess(ctx, ts)
}

// assess fills the assessments of traces.
func (s *Service) assess(ctx context.Context, ts []Trace) error {
	ids := make([]string, len(ts))
	for i := range ts {
		ids[i] = ts[i].ID
	}
	by, err := s.st.assessments(ctx, ids)
	for i := range ts {
		ts[i].Assessments = by[ts[i].ID]
	}
	return err
}

// change edits one trace in a transaction. Kinds: NotFound.
func (s *Service) change(ctx context.Context, id string, do func(t *Trace) error) error {
	if err := s.mine(ctx, id); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		t, err := mustFind(tx, id)
		if err != nil {
			return err
		}
		if err := do(t); err != nil {
			return err
		}
		return put(tx, t)
	})
}

// SetTag sets a tag. Kinds: Invalid, NotFound.
func (s *Service) SetTag(ctx context.Context, id, key, value string) error {
	var c errs.Collector
	checkKey(&c, "key", key)
	checkText(&c, "value", value, MaxTagValue)
	if err := c.Err("trace.tag", "the tag is not valid"); err != nil {
		return err
	}
	return s.change(ctx, id, func(t *Trace) error {
		t.Tags[key] = value
		t.rename()
		return t.checkSize()
	})
}

// DeleteTag removes a tag. Kinds: NotFound when there is no such tag.
func (s *Service) DeleteTag(ctx context.Context, id, key string) error {
	return s.change(ctx, id, func(t *Trace) error {
		if _, ok := t.Tags[key]; !ok {
			return errs.NotFoundf("trace.tag", "No trace tag with key '%.250s' for trace with ID '%s'", key, id)
		}
		delete(t.Tags, key)
		t.rename()
		return nil
	})
}

// End closes a trace of the older protocol: its end, its state, more tags and metadata. Kinds: Invalid, NotFound.
func (s *Service) End(ctx context.Context, id string, end time.Time, state State, tags, metadata map[string]string) (Trace, error) {
	var c errs.Collector
	if !state.Valid() {
		c.Add("status", "expected OK, ERROR or IN_PROGRESS")
	}
	checkLabels(&c, "tags", tags, MaxTagValue)
	checkLabels(&c, "request_metadata", metadata, MaxMetadataValue)
	if err := c.Err("trace.end", "the end of the trace is not valid"); err != nil {
		return Trace{}, err
	}
	err := s.change(ctx, id, func(t *Trace) error {
		d := max(0, end.Truncate(time.Millisecond).Sub(t.Start))
		t.Duration, t.State = &d, state
		for k, v := range tags {
			if k != TagSpansLocation {
				t.Tags[k] = v
			}
		}
		maps.Copy(t.Metadata, metadata)
		t.previewsOfMetadata()
		t.rename()
		return t.checkSize()
	})
	if err != nil {
		return Trace{}, err
	}
	return s.Get(ctx, id)
}

// previewsOfMetadata: the older protocol keeps inputs and outputs in metadata.
func (t *Trace) previewsOfMetadata() {
	for key, at := range map[string]**string{"mlflow.traceInputs": &t.RequestPreview, "mlflow.traceOutputs": &t.ResponsePreview} {
		if v, ok := t.Metadata[key]; ok && *at == nil {
			*at = clipPreview(&v, previewLength)
		}
	}
}

// LinkRun links traces to a run; unknown traces are left out. Kinds: Invalid, NotFound (the run).
func (s *Service) LinkRun(ctx context.Context, runID string, ids []string) error {
	if len(ids) > MaxBatch {
		return errs.Invalidf("trace.link", "Cannot link more than %d traces to a run in a single request. Provided %d traces.", MaxBatch, len(ids)).WithField("trace_ids", "expected at most %d", MaxBatch)
	}
	if err := s.d.Run(ctx, runID); err != nil {
		return err
	}
	if s.limited(ctx) { // traces of others are as unknown as those that are not there
		ts, err := s.Many(ctx, ids, nil)
		if err != nil {
			return err
		}
		ids = ids[:0:0]
		for i := range ts {
			ids = append(ids, ts[i].ID)
		}
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			if t, err := find(tx, id); err != nil {
				return err
			} else if t == nil {
				continue
			}
			if err := link(tx, id, "run", runID); err != nil {
				return err
			}
		}
		return nil
	})
}

func link(tx *db.Tx, id, kind, target string) error {
	_, err := tx.Exec("INSERT INTO trace_link (trace_id, kind, target) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", id, kind, target)
	return err
}

// PromptVersion names a version of a prompt.
type PromptVersion struct {
	Name    string
	Version string
}

// LinkPrompts links prompt versions to a trace. Kinds: Invalid, NotFound.
func (s *Service) LinkPrompts(ctx context.Context, id string, prompts []PromptVersion) error {
	var c errs.Collector
	if len(prompts) > MaxBatch {
		c.Add("prompt_versions", "expected at most %d", MaxBatch)
	}
	for _, p := range prompts {
		if p.Name == "" || p.Version == "" {
			c.Add("prompt_versions", "expected a name and a version")
		}
		checkText(&c, "prompt_versions.name", p.Name, 500)
		checkText(&c, "prompt_versions.version", p.Version, 100)
	}
	if err := cmp.Or(c.Err("trace.link_prompts", "the prompt versions are not valid"), s.mine(ctx, id)); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := mustFind(tx, id); err != nil {
			return err
		}
		for _, p := range prompts {
			if err := link(tx, id, "prompt", p.Name+"/"+p.Version); err != nil {
				return err
			}
		}
		return nil
	})
}

// Links gives the runs and prompt versions (name/version) that a trace is linked to.
func (s *Service) Links(ctx context.Context, id string) (runs, prompts []string, err error) {
	if err := s.mine(ctx, id); err != nil {
		return nil, nil, err
	}
	r, err := s.st.links(ctx, "run", []string{id})
	if err != nil {
		return nil, nil, err
	}
	p, err := s.st.links(ctx, "prompt", []string{id})
	return r[id], p[id], err
}

// Deletion says which traces of an experiment go: those of the ids, or all that started no later than Before, the oldest first, at most
// Max of them (0: all).
type Deletion struct {
	ExperimentID string
	IDs          []string
	Before       *time.Time
	Max          int
}

func (d Deletion) validate() error {
	switch {
	case !idPattern.MatchString(d.ExperimentID):
		return errs.Invalidf("trace.delete", "Missing value for required parameter 'experiment_id'. See the API docs for more information about request parameters.")
	case d.Before == nil && len(d.IDs) == 0:
		return errs.Invalidf("trace.delete", "Either `max_timestamp_millis` or `trace_ids` must be specified.")
	case d.Before != nil && len(d.IDs) > 0:
		return errs.Invalidf("trace.delete", "Only one of `max_timestamp_millis` and `trace_ids` can be specified.")
	case len(d.IDs) > 0 && d.Max != 0:
		return errs.Invalidf("trace.delete", "`max_traces` can't be specified if `trace_ids` is specified.")
	case d.Max < 0:
		return errs.Invalidf("trace.delete", "`max_traces` must be a positive integer, received %d.", d.Max)
	case len(d.IDs) > MaxDelete:
		return errs.Invalidf("trace.delete", "a deletion takes at most %d ids, got %d", MaxDelete, len(d.IDs)).WithField("trace_ids", "expected fewer ids")
	}
	return nil
}

// waiting wakes readers when a trace has changed.
type waiting struct {
	mu sync.Mutex
	on map[string]chan struct{}
}

// maxWaiting bounds the traces that are waited for.
const maxWaiting = 10_000

// change is closed at the next change of a trace.
func (w *waiting) change(id string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch, ok := w.on[id]
	if !ok {
		ch = make(chan struct{})
		if len(w.on) < maxWaiting {
			w.on[id] = ch
		}
	}
	return ch
}

func (w *waiting) wake(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch, ok := w.on[id]; ok {
		close(ch)
		delete(w.on, id)
	}
}
