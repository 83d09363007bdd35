package blob_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// TestFileAndFolderOfOneName: what is named can be written into a folder of a disk again.
func TestFileAndFolderOfOneName(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.Migrate(t.Context(), blob.Migrations()); err != nil {
			t.Fatal(err)
		}
		store, err := blob.OpenLocal(filepath.Join(t.TempDir(), "blobs"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		files := blob.NewFiles(d, store, clock.System{})
		for _, c := range []struct {
			path string
			ok   bool
		}{
			{"a/b/c", true}, {"a/b", false}, {"a", false}, {"a/b/c/d", false}, {"a/b/c", true}, {"a/b/c/d/e", false}, {"a.b", true}, {"a/bc", true},
			{"a0", true}, {"a-", true}, {"A", true}, {"ä/ö", true}, {"ä", false}, {"ä/ö/ü", false}, {"ä0", true}, {"b", true}, {"b/c", false},
		} {
			_, err := files.Put(t.Context(), "run/1", c.path, strings.NewReader("x"))
			if c.ok && err != nil || !c.ok && !errs.Is(err, errs.Conflict) {
				t.Errorf("%s: %v", c.path, err)
			}
		}
		if _, err := files.Put(t.Context(), "run/2", "a", strings.NewReader("x")); err != nil {
			t.Errorf("another root: %v", err)
		}
		if err := files.Materialize(t.Context(), "run/1", filepath.Join(t.TempDir(), "out")); err != nil {
			t.Errorf("materialize: %v", err)
		}
	})
}
