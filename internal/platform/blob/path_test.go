package blob_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// FuzzCleanPath: a path that is taken is a place in a folder, on any system, and taken again as it is.
func FuzzCleanPath(f *testing.F) {
	for _, p := range []string{"a", "a/b", "", ".", "..", "../a", "a/../b", "a/./b", "/a", `a\b`, "c:/a", "a:b/c", "a/b:c", "%2e%2e/a", "a\x00", "\xff", "a//b", "a/", strings.Repeat("a", 1025), "．．/a"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		c, err := blob.CleanPath(p)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if c == "" {
			return // the folder itself
		}
		if !fs.ValidPath(c) || !filepath.IsLocal(c) || strings.ContainsAny(c, "\\\x00") || len(c) > blob.MaxPath {
			t.Fatalf("%q was taken as %q", p, c)
		}
		if again, err := blob.CleanPath(c); err != nil || again != c {
			t.Fatalf("%q, taken once, is then %q, %v", c, again, err)
		}
	})
}
