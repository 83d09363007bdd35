package pyworker

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/proc"
)

//go:embed worker.py
var program []byte

const (
	workerPrefix = "worker-"
	workerLog    = 4 << 20
	stopGrace    = 2 * time.Second
	healthyFor   = time.Minute // after which the pauses between restarts start small again
	maxDoubling  = 6
)

// worker is one Python process and what replaces it when it dies. One goroutine owns it.
type worker struct {
	model *model
	home  string
	child *proc.Handle
	conn  net.Conn
}

// start starts the process and lets it load the model. Its error is an [infer.LoadError].
func (w *worker) start(ctx context.Context) (*reply, error) {
	loaded, err := w.tryStart(ctx)
	if err != nil {
		w.discard()
	}
	return loaded, err
}

func (w *worker) tryStart(ctx context.Context) (*reply, error) {
	m := w.model
	fail := func(reason string, err error) (*reply, error) { return nil, &infer.LoadError{Reason: reason, Err: err} }
	home, err := os.MkdirTemp(m.deps.Dir, workerPrefix)
	if err != nil {
		return fail("a private folder for the Python worker can't be made", err)
	}
	if w.home, err = filepath.Abs(home); err != nil {
		return nil, err
	}
	script := filepath.Join(w.home, "worker.py")
	if err := errors.Join(os.Mkdir(filepath.Join(w.home, "tmp"), 0o700), os.WriteFile(script, program, 0o600)); err != nil {
		return fail("the Python worker's program can't be written", err)
	}
	conn, theirs, err := socketPair()
	if err != nil {
		return fail("a socket for the Python worker can't be made", err)
	}
	w.conn = conn
	defer func() { _ = theirs.Close() }()
	w.child, err = proc.Start(ctx, proc.Spec{
		Args: []string{m.env.Python, "-I", "-u", script}, Dir: w.home, Env: workerEnv(w.home, m.env, m.deps.Options),
		StateDir: filepath.Join(w.home, "state"), Grace: stopGrace, MemoryLimit: m.deps.MemoryLimit, LogCap: workerLog,
		DieWithParent: true, Files: []*os.File{theirs},
	})
	if err != nil {
		return fail("the Python worker can't be started", err)
	}
	_ = theirs.Close()
	loaded, _, err := w.exchange(ctx, &request{ID: m.ids.Add(1), Verb: "load", Dir: m.dir, Warm: true}, nil, time.Now().Add(m.deps.LoadTimeout))
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fail(fmt.Sprintf("the model was not loaded within %v", m.deps.LoadTimeout), w.complaint(nil))
		}
		return fail("the Python worker ended while it loaded the model", w.complaint(err))
	}
	switch loaded.Error {
	case "":
		return loaded, nil
	case "import":
		return nil, &infer.LoadError{
			Reason: "a package that the model needs is not in its Python environment", Err: errors.New(loaded.Message), Missing: true,
			Hint: "log the model again with the package in pip_requirements or extra_pip_requirements",
		}
	}
	return nil, &infer.LoadError{
		Reason: "mlflow can't load the model", Err: fmt.Errorf("%s: %s\n%s", loaded.Class, loaded.Message, strings.TrimSpace(loaded.Trace)),
		Hint: "try mlflow.pyfunc.load_model on it in the environment of its requirements.txt",
	}
}

// socketPair makes a connected pair: ours for Go's poller, theirs to be inherited.
func socketPair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock() // no child that is started meanwhile may inherit them
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "server"), os.NewFile(uintptr(fds[1]), "worker")
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// exchange sends one request and reads its answer. An error means that the connection is of no more use.
func (w *worker) exchange(ctx context.Context, req *request, payload []byte, deadline time.Time) (*reply, []byte, error) {
	if err := w.conn.SetDeadline(deadline); err != nil {
		return nil, nil, err
	}
	cut := context.AfterFunc(ctx, func() { _ = w.conn.SetDeadline(time.Unix(1, 0)) })
	defer cut()
	if err := writeMessage(w.conn, req, payload); err != nil {
		return nil, nil, err
	}
	msg, data, err := readMessage(w.conn, w.model.deps.MaxAnswer)
	if err == nil && msg.ID != req.ID {
		err = fmt.Errorf("the answer to request %d came for %d", msg.ID, req.ID)
	}
	return msg, data, err
}

// complaint says how the process ended and what it said last.
func (w *worker) complaint(err error) error {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if w.child != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		if err != nil {
			if st, werr := w.child.Wait(ctx); werr == nil {
				text = "it " + st.Describe()
			}
		}
		if tail := proc.Tail(w.child.StateDir(), 1500); tail != "" {
			text = strings.TrimSpace(text + "\n" + tail)
		}
	}
	return errors.New(text)
}

// discard ends the process and removes its folder.
func (w *worker) discard() {
	if w.conn != nil {
		_ = w.conn.Close()
	}
	if w.child != nil {
		_ = w.child.Kill()
		<-w.child.Done()
	}
	if w.home != "" {
		_ = os.RemoveAll(w.home)
	}
	w.home, w.child, w.conn = "", nil, nil
}

// run takes calls from the queue until the model is closed, and starts the process anew when it dies.
func (w *worker) run(ctx context.Context, started bool) {
	m := w.model
	deaths := 0
	for ctx.Err() == nil {
		if !started {
			if !w.pause(ctx, deaths) {
				return
			}
			loadCtx, cancel := context.WithTimeout(ctx, m.deps.LoadTimeout)
			_, err := w.start(loadCtx)
			cancel()
			if err != nil {
				deaths++
				text := firstLine(err.Error())
				m.lastErr.Store(&text)
				if m.ready.Load() == 0 {
					m.failQueue(errors.New(text))
				}
				m.deps.Log.Warn("python worker does not start", "model", m.dir, "error", err, "deaths", deaths)
				continue
			}
			m.ready.Add(1)
		}
		since := time.Now()
		err := w.serve(ctx)
		if err == nil { // closed
			m.ready.Add(-1)
			w.drain(ctx)
			return
		}
		if time.Since(since) > healthyFor {
			deaths = 0
		}
		deaths++
		started = false
		m.deps.Log.Warn("python worker died", "model", m.dir, "error", err, "deaths", deaths)
		m.down(err)
		w.discard()
	}
	w.discard()
}

// pause waits before a restart: not at all for the first, then longer and longer. False: the model was closed.
func (w *worker) pause(ctx context.Context, deaths int) bool {
	select {
	case <-w.model.closing:
		return false
	default:
	}
	if deaths < 2 {
		return true
	}
	timer := time.NewTimer(w.model.deps.Backoff << min(deaths-2, maxDoubling))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.model.closing:
	case <-ctx.Done():
	}
	return false
}

// serve answers calls until the process fails (the error says how) or the model is closed and the queue empty (nil).
func (w *worker) serve(ctx context.Context) error {
	m := w.model
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.child.Done():
			return firstLineError(w.complaint(errors.New("ended")))
		case c := <-m.queue:
			if err := w.answer(ctx, c); err != nil {
				return err
			}
		case <-m.closing:
			select {
			case c := <-m.queue:
				if err := w.answer(ctx, c); err != nil {
					return err
				}
			default:
				return nil
			}
		}
	}
}

// answer runs one call. Its error means that the worker is lost; the caller has been told.
func (w *worker) answer(ctx context.Context, c *call) error {
	if err := c.ctx.Err(); err != nil { // the caller left while the call waited
		c.done <- result{err: err}
		return nil
	}
	m := w.model
	msg, payload, err := w.exchange(ctx, c.req, c.payload, time.Now().Add(m.deps.CallTimeout))
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("a prediction took longer than %v", m.deps.CallTimeout)
			if ctx.Err() != nil {
				err = errors.New("the model was unloaded")
			}
		} else {
			err = firstLineError(w.complaint(err))
		}
		c.done <- result{err: unavailable(err)}
		return err
	}
	switch msg.Error {
	case "":
	case "input":
		c.done <- result{err: &infer.InputError{Total: 1, Problems: []infer.Problem{{Row: -1, Message: firstLine(msg.Message), Code: "format"}}}}
		return nil
	default:
		failure := &ModelError{Class: msg.Class, Message: msg.Message, Trace: msg.Trace}
		c.done <- result{err: errs.E(errs.Internal, "pyworker.predict", failure.Error(), failure)}
		return nil
	}
	out, err := decodeOutput(msg, payload)
	if err != nil {
		c.done <- result{err: unavailable(err)}
		return err
	}
	c.done <- result{out: out}
	return nil
}

// drain asks the process to end and gives it a moment.
func (w *worker) drain(ctx context.Context) {
	if _, _, err := w.exchange(ctx, &request{ID: w.model.ids.Add(1), Verb: "drain"}, nil, time.Now().Add(stopGrace)); err == nil {
		timer := time.NewTimer(stopGrace)
		defer timer.Stop()
		select {
		case <-w.child.Done():
		case <-timer.C:
		}
	}
	w.discard()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func firstLineError(err error) error { return errors.New(firstLine(err.Error())) }
