package blob_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// each runs a test on every engine, with the folder of the contents.
func each(t *testing.T, test func(t *testing.T, f *blob.Files, l *blob.Local, dir string, d *db.DB)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.Migrate(t.Context(), blob.Migrations()); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "blobs")
		l, err := blob.OpenLocal(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		test(t, blob.NewFiles(d, l, clock.System{}), l, dir, d)
	})
}

func put(t *testing.T, f *blob.Files, root, path, text string) blob.File {
	t.Helper()
	file, err := f.Put(t.Context(), root, path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, f *blob.Files, root, path string) string {
	t.Helper()
	b, err := f.ReadFile(t.Context(), root, path, 1<<20)
	if err != nil {
		t.Fatalf("%s/%s: %v", root, path, err)
	}
	return string(b)
}

func TestSweepRemovesWhatHasNoName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *blob.Files, _ *blob.Local, _ string, _ *db.DB) {
		put(t, f, "run/1", "a", "shared")
		put(t, f, "run/2", "b", "shared")
		put(t, f, "run/1", "c", "old")
		put(t, f, "run/1", "c", "new") // replaces: "old" has no name now
		put(t, f, "run/3", "d", "lonely")
		if _, err := f.Delete(t.Context(), "run/3", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Delete(t.Context(), "run/2", "b"); err != nil {
			t.Fatal(err)
		}
		dry, err := f.Sweep(t.Context(), true)
		if err != nil || dry.Removed != 2 || dry.Bytes != int64(len("old")+len("lonely")) {
			t.Fatalf("dry run: %+v %v", dry, err)
		}
		for i, want := range []int64{2, 0} {
			if s, err := f.Sweep(t.Context(), false); err != nil || s.Removed != want || s.Waiting != 0 || s.Checked != 4-int64(2*i) {
				t.Fatalf("sweep %d: %+v %v", i, s, err)
			}
		}
		if read(t, f, "run/1", "a") != "shared" || read(t, f, "run/1", "c") != "new" {
			t.Error("a named file changed")
		}
	})
}

func TestUploadInFlightKeepsItsContents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *blob.Files, l *blob.Local, _ string, d *db.DB) {
		digest, n, err := f.Store().Put(t.Context(), strings.NewReader("in flight"))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := f.Sweep(t.Context(), false); err != nil || s.Waiting != 1 || s.Removed != 0 {
			t.Fatalf("%+v %v", s, err)
		}
		link := func(root string) error {
			return d.Write(t.Context(), func(tx *db.Tx) error {
				return f.Link(tx, root, blob.File{Path: "x", Size: n, Digest: digest})
			})
		}
		if err := link("run/1"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Delete(t.Context(), "run/1", ""); err != nil {
			t.Fatal(err)
		}
		// A name that was not committed, of contents that have another, holds nothing.
		refused := errors.New("refused")
		if _, _, err := f.Store().Put(t.Context(), strings.NewReader("in flight")); err != nil {
			t.Fatal(err)
		}
		if err := link("run/2"); err != nil {
			t.Fatal(err)
		}
		err = d.Write(t.Context(), func(tx *db.Tx) error {
			return errors.Join(f.Link(tx, "run/3", blob.File{Path: "x", Size: n, Digest: digest}), refused)
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		if _, err := f.Delete(t.Context(), "run/2", ""); err != nil {
			t.Fatal(err)
		}
		thaw := l.Freeze()
		if s, err := f.Sweep(t.Context(), false); err != nil || s.Removed != 0 || s.Waiting != 1 {
			t.Fatalf("frozen: %+v %v", s, err)
		}
		thaw()
		if s, err := f.Sweep(t.Context(), false); err != nil || s.Removed != 1 {
			t.Fatalf("%+v %v", s, err)
		}
		if err := link("run/1"); !errs.Is(err, errs.NotFound) {
			t.Fatalf("naming what is gone: %v", err)
		}
		if _, err := f.Stat(t.Context(), "run/1", "x"); !errs.Is(err, errs.NotFound) {
			t.Fatalf("a name without contents: %v", err)
		}
	})
}

// TestSweepBesideUploads: the same few contents are uploaded and deleted all the time while sweeps run. Every name that was acknowledged
// and not deleted can be read.
func TestSweepBesideUploads(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *blob.Files, _ *blob.Local, _ string, _ *db.DB) {
		var stop atomic.Bool
		var removed atomic.Int64
		var sweeper, writers sync.WaitGroup
		sweeper.Go(func() {
			for !stop.Load() {
				s, err := f.Sweep(t.Context(), false)
				if err != nil {
					t.Errorf("sweep: %v", err)
					return
				}
				removed.Add(s.Removed)
			}
		})
		for w := range 4 {
			writers.Go(func() {
				root := fmt.Sprintf("run/%d", w)
				for i := 0; i < 60 || removed.Load() == 0 && i < 3000; i++ {
					text := "content of all"
					if i%3 > 0 { // contents that nobody else holds, so that there is something to remove
						text = fmt.Sprintf("content %d of %d", i%3, w)
					}
					if i > 0 {
						if _, err := f.Delete(t.Context(), root, "a"); err != nil {
							t.Error(err)
							return
						}
					}
					if _, err := f.Put(t.Context(), root, "a", strings.NewReader(text)); err != nil {
						t.Errorf("put: %v", err)
						return
					}
					if got, err := f.ReadFile(t.Context(), root, "a", 100); err != nil || string(got) != text {
						t.Errorf("read %q: %v", got, err)
						return
					}
				}
			})
		}
		writers.Wait()
		stop.Store(true)
		sweeper.Wait()
		for w := range 4 {
			read(t, f, fmt.Sprintf("run/%d", w), "a")
		}
		if removed.Load() == 0 {
			t.Error("the sweeps removed nothing: the test proves nothing")
		}
	})
}

func TestCollectAndDrop(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *blob.Files, _ *blob.Local, _ string, d *db.DB) {
		put(t, f, "run/1", "a", "both")
		put(t, f, "run/1", "b", "both")
		put(t, f, "run/1", "c", "mine")
		put(t, f, "run/2", "a", "both")
		var gone []blob.Content
		err := d.Write(t.Context(), func(tx *db.Tx) (err error) {
			gone, err = f.Drop(tx, "run/1")
			return err
		})
		if err != nil || len(gone) != 3 {
			t.Fatalf("%v %v", gone, err)
		}
		s, err := f.Collect(t.Context(), gone)
		if err != nil || s.Removed != 1 || s.Bytes != 4 {
			t.Fatalf("%+v %v", s, err)
		}
		read(t, f, "run/2", "a")
	})
}

// TestDamageIsTold: a flipped byte never reaches a reader as part of whole contents, whatever their size and however they are read.
func TestDamageIsTold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "blobs")
	l, err := blob.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var told atomic.Int64
	l.OnDamage(func(blob.Digest) { told.Add(1) })
	for _, size := range []int{1, 1000, 1 << 20, 1<<20 + 1, 3 << 20} {
		content := make([]byte, size)
		_, _ = rand.Read(content)
		d, _, err := l.Put(t.Context(), bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		whole := func() ([]byte, error) {
			r, err := l.Open(t.Context(), d)
			if err != nil {
				return nil, err
			}
			defer func() { _ = r.Close() }()
			return io.ReadAll(r)
		}
		part := func(offset int64) ([]byte, error) {
			r, err := l.Open(t.Context(), d)
			if err != nil {
				return nil, err
			}
			defer func() { _ = r.Close() }()
			if _, err := r.Seek(offset, io.SeekStart); err != nil {
				return nil, err
			}
			b := make([]byte, 1)
			_, err = io.ReadFull(r, b)
			return b, err
		}
		if got, err := whole(); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes: %d %v", size, len(got), err)
		}
		if got, err := part(int64(size / 2)); err != nil || got[0] != content[size/2] {
			t.Fatalf("%d bytes, the middle: %v", size, err)
		}
		name := filepath.Join(dir, string(d[:2]), string(d[2:]))
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[size-1] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		before := told.Load()
		got, err := whole()
		var e *errs.Error
		if !errors.As(err, &e) || e.Hint == "" || !errs.IsPublic(err) || len(got) >= size {
			t.Errorf("%d bytes: %d were given, %v", size, len(got), err)
		}
		if _, err := part(0); err == nil {
			t.Errorf("%d bytes: a part of damaged contents was given", size)
		}
		if l.Check(t.Context(), d) == nil || told.Load() < before+3 {
			t.Errorf("%d bytes: damage was told %d times", size, told.Load()-before)
		}
		if _, _, err := l.Put(t.Context(), bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if err := l.Check(t.Context(), d); err != nil {
			t.Errorf("%d bytes: uploading them again did not mend them: %v", size, err)
		}
	}
}

func TestSweepOfBrokenOffUploads(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "blobs")
	l, err := blob.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Put(t.Context(), io.MultiReader(strings.NewReader("half"), failing{})); err == nil {
		t.Fatal("an upload that breaks off is stored")
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", "left"), []byte("x"), 0o600); err != nil { // by a process that was killed
		t.Fatal(err)
	}
	_ = l.Close()
	if l, err = blob.OpenLocal(dir); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the client went away") }
