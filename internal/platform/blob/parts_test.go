package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

const roomy = 1 << 40

func sendPart(t *testing.T, f *blob.Files, upload string, number, of int, text string) blob.Part {
	t.Helper()
	file, err := f.PutPart(t.Context(), upload, blob.Incoming{Number: number, Of: of, Size: int64(len(text)), Limit: roomy}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return blob.Part{Number: number, Digest: file.Digest}
}

// drafted gives the draft of an upload, nil when there is none.
func drafted(t *testing.T, dir, upload string) os.FileInfo {
	t.Helper()
	st, err := os.Stat(filepath.Join(dir, "parts", upload))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// nothingLeft fails when an upload has left something behind.
func nothingLeft(t *testing.T, dir string, d *db.DB) {
	t.Helper()
	for _, sub := range []string{"parts", "tmp"} {
		if left, err := os.ReadDir(filepath.Join(dir, sub)); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v %v", sub, left, err)
		}
	}
	var n int
	if err := d.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM file_part) + (SELECT count(*) FROM file WHERE root LIKE 'part/%')").Scan(&n); err != nil || n > 0 {
		t.Errorf("%d parts are left: %v", n, err)
	}
}

// TestPartsInPlace: parts of one size are written once, in whatever order they come, and the file that they were written into is the one
// that is stored.
func TestPartsInPlace(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]int{"in order": {1, 2, 3, 4}, "mixed": {3, 1, 4, 2}, "the last first": {4, 2, 1, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, f *blob.Files, l *blob.Local, dir string, d *db.DB) {
				texts := []string{"aaaa", "bbbb", "cccc", "dd"}
				parts := make([]blob.Part, 4)
				for _, n := range order {
					parts[n-1] = sendPart(t, f, "u1", n, 4, texts[n-1])
				}
				was := drafted(t, dir, "u1")
				if was == nil {
					t.Fatal("there is no draft")
				}
				file, err := f.Join(t.Context(), "u1", parts, "run/1", "big.bin", roomy)
				if err != nil || file.Size != 14 || read(t, f, "run/1", "big.bin") != "aaaabbbbccccdd" {
					t.Fatal(file, err)
				}
				now, err := os.Stat(filepath.Join(dir, string(file.Digest[:2]), string(file.Digest[2:])))
				if err != nil || !os.SameFile(was, now) {
					t.Error("the parts were written again", err)
				}
				nothingLeft(t, dir, d)
				if err := l.Check(t.Context(), file.Digest); err != nil {
					t.Error(err)
				}
				// the same contents again, under another name
				for n, text := range texts {
					parts[n] = sendPart(t, f, "u2", n+1, 4, text)
				}
				if again, err := f.Join(t.Context(), "u2", parts, "run/1", "copy.bin", roomy); err != nil || again.Digest != file.Digest {
					t.Error(again, err)
				}
				nothingLeft(t, dir, d)
				if _, err := f.Sweep(t.Context(), false); err != nil || read(t, f, "run/1", "copy.bin") != "aaaabbbbccccdd" {
					t.Error("the sweep took what has a name", err)
				}
			})
		})
	}
}

// TestPartsOutOfPlace: parts of all sizes, sent again, sent to another process, or only some of them, are joined all the same.
func TestPartsOutOfPlace(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *blob.Files, l *blob.Local, dir string, d *db.DB) {
		ctx := t.Context()
		join := func(upload, want string, parts ...blob.Part) {
			t.Helper()
			file, err := f.Join(ctx, upload, parts, "run/1", "joined", roomy)
			if err != nil || read(t, f, "run/1", "joined") != want {
				t.Fatalf("%s: %+v %v", upload, file, err)
			}
			nothingLeft(t, dir, d)
		}
		first, old, third := sendPart(t, f, "again", 1, 3, "aaaa"), sendPart(t, f, "again", 2, 3, "bbbb"), sendPart(t, f, "again", 3, 3, "c")
		second := sendPart(t, f, "again", 2, 3, "BBBB")
		if _, err := f.Join(ctx, "again", []blob.Part{first, old, third}, "run/1", "x", roomy); !errs.Is(err, errs.Invalid) {
			t.Error("the part before it was taken: ", err)
		}
		join("again", "aaaaBBBBc", first, second, third)
		join("sizes", "aaaabbbbbc", sendPart(t, f, "sizes", 1, 3, "aaaa"), sendPart(t, f, "sizes", 2, 3, "bbbbb"), sendPart(t, f, "sizes", 3, 3, "c"))
		join("gap", "aaaacccc", sendPart(t, f, "gap", 1, 4, "aaaa"), sendPart(t, f, "gap", 3, 4, "cccc"))
		join("start", "aaaa", sendPart(t, f, "start", 1, 3, "aaaa")) // and a part that is not wanted
		join("long last", "aaaabbbbbb", sendPart(t, f, "long last", 1, 2, "aaaa"), sendPart(t, f, "long last", 2, 2, "bbbbbb"))
		left, right := sendPart(t, f, "cut", 1, 3, "aaaa"), sendPart(t, f, "cut", 2, 3, "bbbb")
		sendPart(t, f, "cut", 3, 3, "c")
		join("cut", "aaaabbbb", left, right)
		join("../odd", "aabb", sendPart(t, f, "../odd", 1, 2, "aa"), sendPart(t, f, "../odd", 2, 2, "bb"))

		// another process takes over: what came before stays, what comes later goes beside it
		whole := []blob.Part{sendPart(t, f, "whole", 1, 2, "aaaa"), sendPart(t, f, "whole", 2, 2, "bb")}
		half := sendPart(t, f, "half", 1, 2, "aaaa")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l2, err := blob.OpenLocal(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l2.Close() })
		f = blob.NewFiles(d, l2, clock.System{})
		rest := sendPart(t, f, "half", 2, 2, "bb")
		for name, parts := range map[string][]blob.Part{"whole": whole, "half": {half, rest}} {
			if _, err := f.Join(ctx, name, parts, "run/1", name, roomy); err != nil || read(t, f, "run/1", name) != "aaaabb" {
				t.Errorf("%s: %v", name, err)
			}
		}
		nothingLeft(t, dir, d)
	})
}

func TestPartsThatGoWrong(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *blob.Files, _ *blob.Local, dir string, d *db.DB) {
		ctx := t.Context()
		in := func(n int, size int64) blob.Incoming {
			return blob.Incoming{Number: n, Of: 2, Size: size, Limit: roomy}
		}
		// a part that breaks off is not there, and can be sent again at its place
		if _, err := f.PutPart(ctx, "u", in(1, 4), strings.NewReader("aa")); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		if _, err := f.Join(ctx, "u", []blob.Part{{Number: 1}}, "run/1", "x", roomy); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		parts := []blob.Part{sendPart(t, f, "u", 1, 2, "aaaa"), sendPart(t, f, "u", 2, 2, "bb")}
		// too large, and a name that is taken: the parts stay for another try
		if _, err := f.Join(ctx, "u", parts, "run/1", "x", 5); !errs.Is(err, errs.Exhausted) {
			t.Error(err)
		}
		put(t, f, "run/1", "folder/file", "text")
		if _, err := f.Join(ctx, "u", parts, "run/1", "folder", roomy); !errs.Is(err, errs.Conflict) {
			t.Error(err)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := f.Join(gone, "u", parts, "run/1", "x", roomy); err == nil {
			t.Error("a call that is over did something")
		}
		if _, err := f.Join(ctx, "u", parts, "run/1", "x", roomy); err != nil || read(t, f, "run/1", "x") != "aaaabb" {
			t.Fatal(err)
		}
		nothingLeft(t, dir, d)
		// what was damaged on the disk is not stored
		parts = []blob.Part{sendPart(t, f, "bad", 1, 2, "aaaa"), sendPart(t, f, "bad", 2, 2, "bb")}
		if err := os.WriteFile(filepath.Join(dir, "parts", "bad"), []byte("aaaabX"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Join(ctx, "bad", parts, "run/1", "y", roomy); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "damaged") {
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(dir, "parts", "bad")); err != nil { // as after a restore: a backup has no drafts
			t.Fatal(err)
		}
		if _, err := f.Join(ctx, "bad", parts, "run/1", "y", roomy); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		if err := f.DropParts(ctx, "bad"); err != nil {
			t.Error(err)
		}
		// uploads that nobody completed, drafts that nothing is known of
		sendPart(t, f, "old", 1, 2, "aaaa")
		sendPart(t, f, "old", 2, 2, "bbbbbb")
		if err := os.WriteFile(filepath.Join(dir, "parts", "stray"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := f.SweepParts(ctx, time.Now().Add(-time.Hour)); err != nil || n != 0 || drafted(t, dir, "old") == nil || drafted(t, dir, "stray") != nil {
			t.Error(n, err)
		}
		if n, err := f.SweepParts(ctx, time.Now().Add(time.Hour)); err != nil || n != 2 {
			t.Error(n, err)
		}
		nothingLeft(t, dir, d)
		sendPart(t, f, "old", 1, 2, "aaaa") // the address is still good
		if err := f.DropParts(ctx, "old"); err != nil {
			t.Error(err)
		}
		nothingLeft(t, dir, d)
	})
}

// TestPartOnItsWay: a part that is still coming when its upload is completed does not write into the file.
func TestPartOnItsWay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *blob.Files, l *blob.Local, dir string, d *db.DB) {
		ctx := t.Context()
		parts := []blob.Part{sendPart(t, f, "u", 1, 3, "aaaa"), sendPart(t, f, "u", 2, 3, "bbbb")}
		r, w := io.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = f.PutPart(ctx, "u", blob.Incoming{Number: 3, Of: 3, Size: 4, Limit: roomy}, r)
		})
		if _, err := w.Write([]byte("c")); err != nil { // it has its place
			t.Fatal(err)
		}
		file, err := f.Join(ctx, "u", parts, "run/1", "x", roomy)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte("ccc"))
		_ = w.Close()
		wg.Wait()
		if err := l.Check(ctx, file.Digest); err != nil || read(t, f, "run/1", "x") != "aaaabbbb" {
			t.Error(err)
		}
		if _, err := f.SweepParts(ctx, time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
		nothingLeft(t, dir, d)
	})
}

// TestPartsSideBySide sends all parts at once, some twice, while sweeps go on.
func TestPartsSideBySide(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *blob.Files, _ *blob.Local, dir string, d *db.DB) {
		const n = 24
		parts := make([]blob.Part, n)
		want := ""
		var wg sync.WaitGroup
		for i := range n {
			text := strings.Repeat(fmt.Sprintf("%04d", i), 1000)
			want += text
			parts[i] = blob.Part{Number: i + 1}
			for range 1 + i%2 {
				wg.Go(func() {
					if _, err := f.PutPart(t.Context(), "u", blob.Incoming{Number: i + 1, Of: n, Size: int64(len(text)), Limit: roomy}, strings.NewReader(text)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if _, err := f.SweepParts(t.Context(), time.Now().Add(-time.Hour)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, err := f.Join(t.Context(), "u", parts, "run/1", "x", roomy); err != nil || read(t, f, "run/1", "x") != want {
			t.Fatal(err)
		}
		nothingLeft(t, dir, d)
	})
}
