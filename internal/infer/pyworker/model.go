package pyworker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
)

// ModelError is a failure of the model's own code on an input that fits its signature.
type ModelError struct {
	Class   string // the Python exception
	Message string
	Trace   string // the end of its traceback
}

func (e *ModelError) Error() string {
	return fmt.Sprintf("the model failed with %s: %s", e.Class, e.Message)
}

// call is one prediction on its way.
type call struct {
	ctx     context.Context //nolint:containedctx // lives as long as the call
	req     *request
	payload []byte
	done    chan result // one slot, so that nobody waits for a caller that left
}

type result struct {
	out *infer.Output
	err error
}

// model is one loaded model: a queue and the workers that take from it.
type model struct {
	deps  Deps
	dir   string
	env   pyenv.Env
	specs []infer.Spec
	mode  string
	name  string // of the column of an array answer
	info  infer.Info
	took  time.Duration

	queue   chan *call
	ctx     context.Context //nolint:containedctx // ends when the model is closed for good
	stop    context.CancelFunc
	closing chan struct{}
	mu      sync.RWMutex // held for writing while closing begins, so that no call slips into a queue nobody reads
	closed  bool
	wg      sync.WaitGroup
	ready   atomic.Int32
	lastErr atomic.Pointer[string]
	ids     atomic.Uint64
}

func newModel(deps Deps, src infer.Source, dir string, env pyenv.Env) *model {
	ctx, stop := context.WithCancel(context.Background())
	m := &model{
		deps: deps, dir: dir, env: env, mode: "frame", name: "prediction",
		queue: make(chan *call, deps.Queue), ctx: ctx, stop: stop, closing: make(chan struct{}),
	}
	m.info = infer.Info{Runtime: infer.RuntimePython, Flavor: "python_function"}
	d := src.Description
	if d == nil {
		return m
	}
	for _, known := range []string{"sklearn", "xgboost", "lightgbm", "catboost", "pytorch", "tensorflow", "keras", "statsmodels", "prophet", "spark", "onnx", "transformers", "spacy"} {
		if d.Flavors[known] != nil {
			m.info.Flavor = known
		}
	}
	if d.Signature != nil {
		m.info.Inputs, m.info.Outputs = d.Signature.Inputs, d.Signature.Outputs
		m.specs = d.Signature.Inputs
		if len(m.specs) > 0 && m.specs[0].Batch != 0 {
			m.mode = "arrays"
			if len(m.specs) == 1 && m.specs[0].Name == "" {
				m.mode = "array"
			}
		}
		if outs := d.Signature.Outputs; len(outs) == 1 && outs[0].Name != "" {
			m.name = outs[0].Name
		}
	}
	return m
}

// start starts the first worker and waits for it; the others load beside it once it works.
func (m *model) start(ctx context.Context) error {
	begin := time.Now()
	first := &worker{model: m}
	loadCtx, cancel := context.WithTimeout(ctx, m.deps.LoadTimeout)
	defer cancel()
	loaded, err := first.start(loadCtx)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("load the model: %w", ctx.Err())
		}
		return err
	}
	m.took = time.Since(begin)
	m.info.Engine = "python " + loaded.Python + ", mlflow " + loaded.MLflow
	m.info.Classes = loaded.Classes
	m.info.Bytes = loaded.RSS * int64(m.deps.Workers)
	m.info.Notes = append(append([]string{}, m.env.Warnings...), loaded.Notes...)
	m.info.Notes = append(m.info.Notes, fmt.Sprintf("imports took %.1f s, loading %.1f s, warming up %.1f s",
		loaded.ImportSeconds, loaded.LoadSeconds, loaded.WarmSeconds))
	m.ready.Add(1)
	m.wg.Go(func() { first.run(m.ctx, true) })
	for range m.deps.Workers - 1 {
		w := &worker{model: m}
		m.wg.Go(func() { w.run(m.ctx, false) })
	}
	return nil
}

// Info says what was loaded.
func (m *model) Info() infer.Info { return m.info }

// Predict answers every row of the frame. Errors: [infer.InputError], [ModelError] (kind internal), unavailable (the
// worker died, is being restarted, or took too long; the model is closing), exhausted (the queue is full), ctx's.
func (m *model) Predict(ctx context.Context, in *infer.Frame) (*infer.Output, error) {
	const op = "pyworker.predict"
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	columns, payload, err := encodeFrame(in, m.specs)
	if err != nil {
		return nil, errs.E(errs.Internal, op, "the input can't be sent to the worker", err)
	}
	mode := m.mode
	if len(m.specs) == 0 && len(in.Columns) == 1 && in.Columns[0].Name == "" {
		mode = "array"
	}
	c := &call{ctx: ctx, payload: payload, done: make(chan result, 1), req: &request{
		ID: m.ids.Add(1), Verb: "predict", Mode: mode, Rows: in.Rows, Columns: columns, Params: in.Params,
	}}
	if err := m.enqueue(c); err != nil {
		return nil, err
	}
	select {
	case r := <-c.done:
		if r.err != nil {
			return nil, r.err
		}
		return m.finish(r.out, in)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *model) enqueue(c *call) error {
	const op = "pyworker.predict"
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return errs.E(errs.Unavailable, op, "the model is being unloaded", nil)
	}
	if m.ready.Load() == 0 {
		why := "it is being restarted"
		if last := m.lastErr.Load(); last != nil {
			why = *last
		}
		return errs.E(errs.Unavailable, op, "the Python worker of the model is not running: "+why, nil).
			WithHint("it is started again by itself; try again in a few seconds")
	}
	select {
	case m.queue <- c:
		return nil
	default:
		return errs.E(errs.Exhausted, op, fmt.Sprintf("%d calls are waiting for the model's Python worker", cap(m.queue)), nil).
			WithHint("send fewer requests at a time, put more rows into each, or give the endpoint more workers")
	}
}

func (m *model) finish(out *infer.Output, in *infer.Frame) (*infer.Output, error) {
	if out.Rows != in.Rows {
		return nil, errs.E(errs.Internal, "pyworker.predict", "the model's answer does not fit", &ModelError{
			Class: "answer", Message: fmt.Sprintf("it gave %d rows for %d", out.Rows, in.Rows),
		})
	}
	if out.Array && len(out.Columns) == 1 && out.Columns[0].Name == "" {
		out.Columns[0].Name = m.name
	}
	return out, nil
}

// Close lets the calls that wait finish, for at most Options.Drain, then ends the workers.
func (m *model) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		m.wg.Wait()
		return nil
	}
	m.closed = true
	close(m.closing)
	m.mu.Unlock()
	timer := time.AfterFunc(m.deps.Drain, m.stop)
	defer timer.Stop()
	m.wg.Wait()
	m.stop()
	for {
		select {
		case c := <-m.queue:
			c.done <- result{err: errs.E(errs.Unavailable, "pyworker.predict", "the model was unloaded", nil)}
		default:
			return nil
		}
	}
}

// down notes that a worker died, and fails the calls that wait when it was the last one: their callers can't know how
// long the restart takes.
func (m *model) down(err error) {
	text := err.Error()
	m.lastErr.Store(&text)
	if m.ready.Add(-1) == 0 {
		m.failQueue(err)
	}
}

func (m *model) failQueue(err error) {
	for {
		select {
		case c := <-m.queue:
			c.done <- result{err: unavailable(err)}
		default:
			return
		}
	}
}

func unavailable(err error) error {
	return errs.E(errs.Unavailable, "pyworker.predict", "the Python worker of the model stopped: "+err.Error(), errWorkerDown).
		WithHint("it is started again by itself; try again in a few seconds")
}

var errWorkerDown = errors.New("worker down")
