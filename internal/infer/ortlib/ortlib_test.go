package ortlib

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPinned(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64"} {
		goos, goarch, _ := strings.Cut(p, "/")
		r, ok := Pinned(goos, goarch)
		if !ok || len(r.SHA256) != 64 || r.Size < 1<<20 || !strings.Contains(r.Member, r.Version) {
			t.Errorf("%s: %+v", p, r)
		}
	}
	if _, ok := Pinned("plan9", "mips"); ok {
		t.Error("a wheel for plan9")
	}
}

func TestFindExplicit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if _, err := Find(path, ""); err == nil || errors.Is(err, ErrNotFound) {
		t.Fatalf("a path that does not exist: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(path, ""); err != nil || got != path {
		t.Fatal(got, err)
	}
}

// TestInstall downloads the pinned wheel; set MODELYARD_TEST_INSTALL where the network may be used.
func TestInstall(t *testing.T) {
	t.Parallel()
	if os.Getenv("MODELYARD_TEST_INSTALL") == "" {
		t.Skip("MODELYARD_TEST_INSTALL is not set")
	}
	dir := t.TempDir()
	path, err := Install(t.Context(), dir, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	again, err := Install(t.Context(), dir, nil)
	if err != nil || again != path {
		t.Fatal(again, err)
	}
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(t.Context(), dir, nil); err != nil {
		t.Fatalf("a broken library is not replaced: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, "*", ".*"))
	if len(left) != 1 || len(hidden) != 0 {
		t.Fatalf("left behind: %v %v", left, hidden)
	}
}
