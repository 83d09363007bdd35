package serving

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
)

// deployed is a version that is loaded behind an endpoint.
type deployed struct {
	endpoint string
	version  registry.Version
	model    infer.Model
	info     infer.Info
	binder   *infer.Binder
	stream   atomic.Pointer[predlog.Stream] // made with the first output, whose columns it names
	metrics  versionMetrics
	sample   map[string]any
	loadedAt time.Time
	took     time.Duration
	notes    []string

	refs    atomic.Int64
	retired atomic.Bool
	once    sync.Once
}

// acquire keeps the model open until release; false when it is on its way out and the caller must look at the snapshot again.
func (d *deployed) acquire() bool {
	d.refs.Add(1)
	if d.retired.Load() {
		d.release()
		return false
	}
	return true
}

func (d *deployed) release() {
	if d.refs.Add(-1) == 0 && d.retired.Load() {
		d.close()
	}
}

// retire closes the model when its last request is answered.
func (d *deployed) retire() {
	d.retired.Store(true)
	if d.refs.Load() == 0 {
		d.close()
	}
}

func (d *deployed) close() { d.once.Do(func() { _ = d.model.Close() }) }

// loadTimeout bounds the loading of one version; a Python environment may have to be made.
const loadTimeout = 15 * time.Minute

// load brings a version from the registry into memory: its files below DataDir/models, verified; the model; one prediction on the input
// example.
func (s *Service) load(ctx context.Context, endpoint, model, version string) (*deployed, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	start := time.Now()
	v, err := s.d.Registry.GetVersion(ctx, model, version)
	if err != nil {
		return nil, err
	}
	dir, err := s.materialize(ctx, v)
	if err != nil {
		return nil, err
	}
	desc, err := infer.ReadDescription(dir)
	if err != nil {
		return nil, err
	}
	m, err := loadGuarded(ctx, infer.Source{Dir: dir, Description: desc}, s.d.Infer)
	if err != nil {
		return nil, err
	}
	d := &deployed{endpoint: endpoint, version: v, model: m, info: m.Info(), binder: infer.NewBinder(desc.Signature, infer.Limits{Rows: s.d.MaxRows}),
		metrics: s.metrics.of(endpoint, version)}
	if err := s.warm(ctx, d, dir, desc); err != nil {
		d.close()
		return nil, err
	}
	d.notes = append(slices.Clone(d.info.Notes), d.notes...)
	d.loadedAt, d.took = s.d.Clock.Now(), time.Since(start)
	return d, nil
}

// loadGuarded turns a panic of a reader on a damaged file into an error.
func loadGuarded(ctx context.Context, src infer.Source, o infer.Options) (m infer.Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, &infer.LoadError{Reason: fmt.Sprintf("the model file broke its reader: %v", p)}
		}
	}()
	return infer.LoadSource(ctx, src, o)
}

// materialize gives the folder with the files of a version, verified against the digest that the registry keeps.
func (s *Service) materialize(ctx context.Context, v registry.Version) (string, error) {
	name := v.Digest
	if b, err := hex.DecodeString(name); err != nil || len(b) != sha256.Size {
		return "", errs.E(errs.Precondition, "serving.load", "version "+v.URI()+" has no files that could be loaded", nil)
	}
	parent := filepath.Join(s.d.DataDir, "models")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", errs.E(errs.Unavailable, "serving.load", "cannot make the folder of loaded models", err)
	}
	dir := filepath.Join(parent, name)
	s.filesMu.Lock() // two endpoints may load the same version
	defer s.filesMu.Unlock()
	for range 2 {
		if !exists(dir) {
			if err := s.d.Registry.Materialize(ctx, v, dir); err != nil {
				return "", err
			}
		}
		digest, derr := digestOf(dir)
		if derr == nil && digest == name {
			return dir, nil
		}
		s.d.Log.Warn("the files of a model version were altered on disk; they are taken from the blob store again", "model", v.Model, "version", v.Version)
		if err := os.RemoveAll(dir); err != nil {
			return "", errs.E(errs.Unavailable, "serving.load", "cannot replace altered model files", err)
		}
	}
	return "", errs.E(errs.Internal, "serving.load", "the files of "+v.URI()+" do not have the digest that was registered", nil).WithHint("restore the blob store from a backup")
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// digestOf is the digest of a version's files as the registry defines it: SHA-256 over the sorted "path NUL digest LF" of the files.
func digestOf(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	var lines []string
	err = fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := root.Open(p)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		lines = append(lines, p+"\x00"+hex.EncodeToString(h.Sum(nil))+"\n")
		return nil
	})
	if err != nil {
		return "", err
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		_, _ = io.WriteString(h, l)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// maxExample bounds an input example that is read, in bytes.
const maxExample = 16 << 20

// warm asks the model for a prediction on its input example, so that the first request is not the slow one and a model that cannot
// answer takes no traffic. A model without an example is taken as it is.
func (s *Service) warm(ctx context.Context, d *deployed, dir string, desc *infer.Description) error {
	if desc.InputExample == nil || desc.InputExample.ServingPath == "" {
		d.notes = append(d.notes, "not warmed: the model was logged without an input example")
		return nil
	}
	body, err := readExample(dir, desc.InputExample.ServingPath)
	if err != nil {
		d.notes = append(d.notes, "not warmed: the input example cannot be read: "+err.Error())
		return nil
	}
	bound, err := d.binder.Invocations(body)
	if err != nil {
		d.notes = append(d.notes, "not warmed: the input example does not fit the signature: "+err.Error())
		return nil
	}
	d.sample = sampleOf(bound.Frame)
	out, err := predictGuarded(ctx, d.model, bound.Frame)
	var input *infer.InputError
	switch {
	case errors.As(err, &input):
		d.notes = append(d.notes, "not warmed: the input example is refused: "+err.Error())
	case err != nil:
		return errs.E(errs.Precondition, "serving.warm", "the model cannot answer its own input example", err)
	default:
		s.streamOf(d, bound.Frame, out)
	}
	return nil
}

func readExample(dir, path string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxExample))
}

// sampleOf is the first row of a frame of plain columns as a record.
func sampleOf(f *infer.Frame) map[string]any {
	out := map[string]any{}
	for i := range f.Columns {
		c := &f.Columns[i]
		if c.Width() != 1 || c.Len() == 0 || c.Name == "" {
			return nil
		}
		v := c.Value(0)
		if c.Kind == infer.Datetime && v != nil {
			v = time.UnixMicro(c.Ints[0]).UTC().Format("2006-01-02T15:04:05.999999")
		}
		out[c.Name] = v
	}
	return out
}
