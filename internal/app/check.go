package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/internal/infer/ortlib"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
)

// Check is one finding about this machine's set-up.
type Check struct {
	Name   string `json:"name"`
	State  string `json:"state"` // ok, warn or fail
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// The states of a Check.
const (
	CheckOK   = "ok"
	CheckWarn = "warn"
	CheckFail = "fail"
)

// CheckMachine looks at everything that can be judged without a server: folder, disk, port, stores, Python, ONNX Runtime. The checks
// run side by side; none makes a data folder that is not there, and none touches the stores of a running server.
func CheckMachine(ctx context.Context, cfg config.Config) []Check {
	m := machine{Config: cfg}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "server.lock")); err == nil {
		lock, err := lockDir(cfg.DataDir) // held while the stores are looked at, so that no server starts on them meanwhile
		if err == nil {
			defer lock.release()
		} else if errs.Is(err, errs.Conflict) {
			m.heldBy = err.Error()
		}
	}
	checks := []func(context.Context, machine) Check{checkFolder, checkDisk, checkPort, checkDatabase, checkBlobs, checkPython, checkUV, checkONNX}
	out := make([]Check, len(checks))
	var g errgroup.Group
	for i, check := range checks {
		g.Go(func() error { out[i] = check(ctx, m); return nil })
	}
	_ = g.Wait()
	return out
}

// machine is what the checks look at.
type machine struct {
	config.Config
	heldBy string // the server that runs on the data folder
}

// failed is a finding from an error, with the error's own hint if it has one.
func failed(name, state string, err error, hint string) Check {
	c := Check{Name: name, State: state, Detail: err.Error(), Hint: hint}
	var e *errs.Error
	if errors.As(err, &e) && e.Hint != "" {
		c.Hint = e.Hint
	}
	return c
}

// existing is the data folder, or the nearest parent of it that is there.
func existing(dir string) (path string, there bool) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return dir, false
	}
	for there = true; ; there = false {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path, there
		}
		path = filepath.Dir(path)
	}
}

func checkFolder(_ context.Context, cfg machine) Check {
	const name = "data folder"
	path, there := existing(cfg.DataDir)
	f, err := os.CreateTemp(path, ".doctor-*")
	if err != nil {
		return failed(name, CheckFail, err, "check its permissions, or choose another with --data-dir")
	}
	_, err = f.WriteString("x")
	if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return failed(name, CheckFail, err, "check that the disk is not full or read-only, or choose another folder with --data-dir")
	}
	if !there {
		return Check{Name: name, State: CheckOK, Detail: cfg.DataDir + " will be made below " + path}
	}
	return Check{Name: name, State: CheckOK, Detail: path + " can be written"}
}

func checkDisk(_ context.Context, cfg machine) Check {
	const name, low, tooLow = "disk", 2 << 30, 100 << 20
	path, _ := existing(cfg.DataDir)
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return failed(name, CheckWarn, err, "")
	}
	free := uint64(st.Bavail) * uint64(st.Bsize) //nolint:unconvert // the types differ between platforms
	c := Check{Name: name, State: CheckOK, Detail: fmt.Sprintf("%.1f GiB free below %s", float64(free)/(1<<30), path)}
	switch {
	case free < tooLow:
		c.State, c.Hint = CheckFail, "free some space, or choose another folder with --data-dir"
	case free < low:
		c.State, c.Hint = CheckWarn, "datasets, models and predictions grow: 2 GiB or more is comfortable"
	}
	return c
}

func checkPort(ctx context.Context, cfg machine) Check {
	const name = "port"
	ln, err := listen(ctx, cfg.Listen)
	if err == nil {
		_ = ln.Close()
		return Check{Name: name, State: CheckOK, Detail: cfg.Listen + " is free"}
	}
	if errs.Is(err, errs.Conflict) && serverAnswers(ctx, cfg.Listen) {
		return Check{Name: name, State: CheckOK, Detail: "a Modelyard server answers on " + cfg.Listen}
	}
	return failed(name, CheckFail, err, "")
}

// serverAnswers reports whether what listens on addr answers as our health page does.
func serverAnswers(ctx context.Context, addr string) bool {
	d := net.Dialer{Timeout: 2 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	b, _ := io.ReadAll(io.LimitReader(conn, 64<<10))
	return bytes.HasPrefix(b, []byte("HTTP/1.1 200")) && bytes.HasSuffix(b, []byte("\r\n\r\nok\n"))
}

func checkDatabase(ctx context.Context, cfg machine) Check {
	const name = "database"
	if cfg.DatabaseURL == "" {
		if cfg.heldBy != "" {
			return Check{Name: name, State: CheckOK, Detail: cfg.heldBy}
		}
		if _, err := os.Stat(filepath.Join(cfg.DataDir, "modelyard.db")); os.IsNotExist(err) {
			return Check{Name: name, State: CheckOK, Detail: "none yet: modelyard up makes it"}
		}
	}
	url := cfg.DatabaseURL
	if url == "" {
		url = filepath.Join(cfg.DataDir, "modelyard.db")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d, err := db.Open(ctx, db.Options{URL: url})
	if err != nil {
		return failed(name, CheckFail, err, "check database_url and that the database runs")
	}
	defer func() { _ = d.Close() }()
	var n int
	if err := d.QueryRow(ctx, "SELECT COUNT(*) FROM schema_migration").Scan(&n); err != nil {
		return Check{Name: name, State: CheckWarn, Detail: string(d.Engine()) + " answers, but holds no Modelyard tables", Hint: "modelyard migrate makes them; modelyard up does it too"}
	}
	return Check{Name: name, State: CheckOK, Detail: fmt.Sprintf("%s answers, %d migrations applied", d.Engine(), n)}
}

func checkBlobs(ctx context.Context, cfg machine) Check {
	const name = "blob store"
	dir := filepath.Join(cfg.DataDir, "blobs")
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return Check{Name: name, State: CheckOK, Detail: "none yet: modelyard up makes it"}
	}
	if cfg.heldBy != "" { // opening it would sweep that server's unfinished uploads
		return Check{Name: name, State: CheckOK, Detail: cfg.heldBy}
	}
	store, err := blob.OpenLocal(dir)
	if err != nil {
		return failed(name, CheckFail, err, "check the permissions of "+dir)
	}
	defer func() { _ = store.Close() }()
	want := []byte("modelyard doctor " + time.Now().UTC().Format(time.RFC3339Nano))
	digest, _, err := store.Put(ctx, bytes.NewReader(want))
	if err != nil {
		return failed(name, CheckFail, err, "check the permissions and the free space of "+dir)
	}
	defer func() { // nobody names it: end the hold of the upload, then remove it
		if t, err := store.Hold(digest); err == nil {
			store.Release(digest, t)
			_, _, _ = store.Reap(ctx, digest)
		}
	}()
	r, err := store.Open(ctx, digest)
	if err != nil {
		return failed(name, CheckFail, err, "")
	}
	defer func() { _ = r.Close() }()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		return failed(name, CheckFail, errors.Join(errors.New("what was written is not what is read"), err), "check the disk")
	}
	return Check{Name: name, State: CheckOK, Detail: "written, read and checked"}
}

// findPython is the interpreter of the configuration, or the first one on the path.
func findPython(ctx context.Context, configured string) (pyenv.Interpreter, error) {
	names := []string{"python3", "python"}
	if configured != "" {
		names = []string{configured}
	}
	err := errors.New("no Python was found on the path")
	for _, n := range names {
		path, lookErr := exec.LookPath(n)
		if lookErr != nil {
			if configured != "" {
				err = fmt.Errorf("the configured Python does not run: %w", lookErr)
			}
			continue
		}
		py, inspectErr := pyenv.Inspect(ctx, path)
		if inspectErr == nil {
			return py, nil
		}
		err = inspectErr
	}
	return pyenv.Interpreter{}, err
}

func checkPython(ctx context.Context, cfg machine) Check {
	const name = "python"
	py, err := findPython(ctx, cfg.Python)
	switch {
	case err != nil:
		return failed(name, CheckWarn, err, fmt.Sprintf("pipelines and scikit-learn models need Python 3.%d or newer: install it, or set MODELYARD_PYTHON", pyenv.MinMinor))
	case py.Major != 3 || py.Minor < pyenv.MinMinor:
		return Check{Name: name, State: CheckWarn, Detail: "Python " + py.Version + " at " + py.Path + " is too old", Hint: fmt.Sprintf("Python 3.%d or newer is needed", pyenv.MinMinor)}
	}
	return Check{Name: name, State: CheckOK, Detail: "Python " + py.Version + " at " + py.Path}
}

func checkUV(context.Context, machine) Check {
	if path, err := exec.LookPath("uv"); err == nil {
		return Check{Name: "uv", State: CheckOK, Detail: path}
	}
	return Check{Name: "uv", State: CheckWarn, Detail: "uv is not on the path: environments are made with venv and pip, which is slower", Hint: "pip install uv"}
}

func checkONNX(_ context.Context, cfg machine) Check {
	const name = "onnx runtime"
	lib, err := openONNX(cfg.ONNXRuntime)
	switch {
	case err == nil:
		return Check{Name: name, State: CheckOK, Detail: "ONNX Runtime " + lib.Version + " at " + lib.Path}
	case errors.Is(err, ortlib.ErrNotFound):
		return Check{Name: name, State: CheckWarn, Detail: "not installed: ONNX graphs beyond trees and linear models can't be served", Hint: "modelyard runtime install"}
	}
	return failed(name, CheckFail, err, "modelyard runtime install, or correct MODELYARD_ONNXRUNTIME")
}
