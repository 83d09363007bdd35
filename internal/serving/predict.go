package serving

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/routing"
)

// Bind reads a request's body into a frame that fits a version; infer.Binder's methods are such functions.
type bind func(b *infer.Binder, body []byte) (*infer.Bound, error)

// request is one prediction request.
type request struct {
	endpoint  string
	body      []byte // not kept
	bind      bind
	key       string    // of the caller; with several rows each gets it
	eventTime time.Time // zero: none given
	received  time.Time
}

// answer is what a version said.
type answer struct {
	model, version string
	out            *infer.Output
	ids            []predlog.ID
	logged         bool
	warnings       []string
}

// modelError is a failure of the model itself, which its users may see.
type modelError struct {
	ids     []predlog.ID
	version string
	err     error
}

func (e *modelError) Error() string { return "the model failed: " + e.err.Error() }
func (e *modelError) Unwrap() error { return e.err }

// scratch is memory that a request borrows.
type scratch struct {
	body, out []byte
	batch     predlog.Batch
	in, res   []predlog.Column
	ids       []predlog.ID
	keys      []string
	times     []int64
}

// maxScratch is the largest buffer that is kept for the next request, in bytes.
const maxScratch = 1 << 20

// live finds the endpoint's snapshot. It returns NotFound, or Unavailable while its first version loads.
func (s *Service) live(name string) (*live, error) {
	if l := (*s.lives.Load())[name]; l != nil {
		return l, nil
	}
	s.mu.Lock()
	st := s.states[name]
	s.mu.Unlock()
	if st == nil || st.record() == nil {
		return nil, s.notFound(name)
	}
	e := s.describe(st)
	if e.Status.State == Failed {
		return nil, errs.E(errs.Unavailable, "serving.predict", "endpoint "+name+" has no version that could be loaded: "+e.Status.Message, nil).
			WithHint("GET /api/v1/endpoints/%s says why; put another version behind it", name)
	}
	return nil, errs.E(errs.Unavailable, "serving.predict", "endpoint "+name+" is loading its model", nil).WithHint("try again in a second")
}

// pick chooses a version and keeps it open; the caller releases it.
func (s *Service) pick(name, key string) (*live, int, error) {
	for {
		l, err := s.live(name)
		if err != nil {
			return nil, 0, err
		}
		i := l.route.Pick(key)
		if l.versions[i].acquire() {
			return l, i, nil
		} // replaced between the two: the new snapshot is there already
	}
}

// predict answers a request: it binds the input, asks the version that the route picks, logs, and hands the row to the other versions.
// Errors: NotFound, Unavailable, *infer.InputError, *modelError.
func (s *Service) predict(ctx context.Context, r *request, sc *scratch) (answer, error) {
	l, i, err := s.pick(r.endpoint, r.key)
	if err != nil {
		return answer{}, err
	}
	d, target := l.versions[i], l.route.Targets[i]
	defer d.release()
	bound, err := r.bind(d.binder, r.body)
	if err != nil {
		d.metrics.invalid.Inc()
		return answer{version: target.Version}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	out, err := predictGuarded(ctx, d.model, bound.Frame)
	var input *infer.InputError
	if errors.As(err, &input) {
		d.metrics.invalid.Inc()
		return answer{version: target.Version}, err
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("it did not answer in %s", s.d.Timeout)
	}
	mirrors := 0
	if l.route.Mirror && err == nil {
		mirrors = len(l.versions) - 1
	}
	a := answer{model: l.model, version: target.Version, out: out, warnings: bound.Warnings}
	sc.ids = sc.ids[:0]
	for range bound.Frame.Rows {
		sc.ids = append(sc.ids, predlog.NewID())
	}
	a.ids = sc.ids
	a.logged = s.log(ctx, d, predlog.Role(target.Role), r, bound.Frame, out, err, mirrors, nil, sc) == nil
	d.metrics.seconds.Observe(time.Since(r.received).Seconds())
	if err != nil {
		d.metrics.failed.Inc()
		return a, &modelError{ids: a.ids, version: a.version, err: err}
	}
	d.metrics.ok.Inc()
	if mirrors > 0 {
		s.enqueueMirror(l, i, r, bound.Frame, a.ids)
	}
	return a, nil
}

// predictGuarded turns a panic in a model into an error.
func predictGuarded(ctx context.Context, m infer.Model, f *infer.Frame) (out *infer.Output, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("it panicked: %v", p)
		}
	}()
	out, err = m.Predict(ctx, f)
	if err == nil && (out == nil || out.Rows != f.Rows) {
		return nil, errors.New("it did not answer every row")
	}
	return out, err
}

// log writes the rows of a request to the prediction log.
func (s *Service) log(ctx context.Context, d *deployed, role predlog.Role, r *request, in *infer.Frame, out *infer.Output, failure error, mirrors int, requestIDs []predlog.ID, sc *scratch) error {
	b := &sc.batch
	*b = predlog.Batch{Role: role, Time: r.received, Latency: time.Since(r.received), Status: predlog.OK, Mirrors: mirrors, IDs: sc.ids, RequestIDs: requestIDs}
	sc.in = appendColumns(sc.in[:0], in.Columns)
	b.Inputs = sc.in
	if failure != nil {
		b.Status, b.Error = predlog.Failed, failure.Error()
	} else {
		sc.res = appendColumns(appendColumns(sc.res[:0], out.Columns), out.Extra)
		b.Outputs = sc.res
	}
	if r.key != "" {
		sc.keys = sc.keys[:0]
		for range in.Rows {
			sc.keys = append(sc.keys, r.key)
		}
		b.Keys = sc.keys
	}
	if !r.eventTime.IsZero() {
		sc.times = sc.times[:0]
		for range in.Rows {
			sc.times = append(sc.times, r.eventTime.UnixMicro())
		}
		b.EventTimes = sc.times
	}
	return s.streamOf(d, in, out).Append(ctx, b)
}

// streamOf is the log's stream of a version; its columns are named by the first request and answer.
func (s *Service) streamOf(d *deployed, in *infer.Frame, out *infer.Output) *predlog.Stream {
	if st := d.stream.Load(); st != nil && fits(st.Schema().Inputs, in.Columns) {
		return st
	}
	schema := predlog.Schema{Endpoint: d.endpoint, Model: d.version.Model, Version: d.version.Version, Inputs: fieldsOf(nil, in.Columns, false)}
	if out != nil {
		schema.Outputs = fieldsOf(fieldsOf(nil, out.Columns, false), out.Extra, true)
	}
	st := s.d.Predlog.Stream(schema)
	if out != nil {
		d.stream.Store(st)
	}
	return st
}

// fits reports whether columns are those that a stream names; models without a signature may be asked with others each time.
func fits(fields []predlog.Field, cols []infer.Column) bool {
	if len(fields) != len(cols) {
		return false
	}
	for i := range cols {
		if fields[i].Name != cols[i].Name || fields[i].Kind != predlog.Kind(cols[i].Kind) {
			return false
		}
	}
	return true
}

func fieldsOf(out []predlog.Field, cols []infer.Column, extra bool) []predlog.Field {
	for i := range cols {
		out = append(out, predlog.Field{Name: cols[i].Name, Kind: predlog.Kind(cols[i].Kind), Extra: extra, Wide: cols[i].Width() > 1})
	}
	return out
}

func appendColumns(out []predlog.Column, cols []infer.Column) []predlog.Column {
	for i := range cols {
		c := &cols[i]
		out = append(out, predlog.Column{Kind: predlog.Kind(c.Kind), Width: c.Width(), Floats: c.Floats, Ints: c.Ints, Strings: c.Strings, Bools: c.Bools, Valid: c.Valid})
	}
	return out
}

// The queue of mirrored requests is bounded in number and in bytes of their bodies.
const (
	mirrorSlots   = 4096
	mirrorBytes   = 64 << 20
	mirrorWorkers = 2
)

// mirrorJob is a request that the other versions of a route score too.
type mirrorJob struct {
	live     *live
	answered int // the target that answered
	req      request
	frame    *infer.Frame
	ids      []predlog.ID
}

type mirrorQueue struct {
	jobs  chan mirrorJob
	bytes atomic.Int64
}

// enqueueMirror hands a request to the mirror workers, or counts it as dropped when they do not keep up.
func (s *Service) enqueueMirror(l *live, answered int, r *request, f *infer.Frame, ids []predlog.ID) {
	n := int64(len(r.body))
	if s.mirrors.bytes.Add(n) > mirrorBytes {
		s.mirrors.bytes.Add(-n)
		s.metrics.dropped.WithLabelValues(l.name).Inc()
		return
	}
	j := mirrorJob{live: l, answered: answered, req: *r, frame: f, ids: append([]predlog.ID(nil), ids...)}
	j.req.body = append([]byte(nil), r.body...)
	select {
	case s.mirrors.jobs <- j:
	default:
		s.mirrors.bytes.Add(-n)
		s.metrics.dropped.WithLabelValues(l.name).Inc()
	}
}

// mirror scores queued requests until ctx ends.
func (s *Service) mirror(ctx context.Context) {
	sc := &scratch{}
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.mirrors.jobs:
			s.mirrors.bytes.Add(-int64(len(j.req.body)))
			for i, d := range j.live.versions {
				if i != j.answered && d.acquire() {
					s.score(ctx, d, &j, sc)
					d.release()
				}
			}
		}
	}
}

// score lets one version score a mirrored request. Its own signature reads the input; what it refuses or fails at is logged as an error.
func (s *Service) score(ctx context.Context, d *deployed, j *mirrorJob, sc *scratch) {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	r := j.req
	r.received = s.d.Clock.Now()
	frame := j.frame
	var out *infer.Output
	bound, err := r.bind(d.binder, r.body)
	if err == nil {
		frame = bound.Frame
		out, err = predictGuarded(ctx, d.model, frame)
	}
	if frame.Rows != len(j.ids) {
		return
	}
	sc.ids = sc.ids[:0]
	for range frame.Rows {
		sc.ids = append(sc.ids, predlog.NewID())
	}
	if lerr := s.log(ctx, d, predlog.Shadow, &r, frame, out, err, 0, j.ids, sc); lerr == nil {
		d.metrics.mirrored.Inc()
	}
}

// roleOf is the role of a version in a route, for figures.
func roleOf(route *routing.Route, version string) (routing.Role, int) {
	for _, t := range route.Targets {
		if t.Version == version {
			return t.Role, t.Weight
		}
	}
	return "", 0
}
