package blob_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

// BenchmarkJoin completes an upload of 1 GiB in parts of 100 MB; MODELYARD_BENCH_MB takes another size. Sending the parts is not counted.
func BenchmarkJoin(b *testing.B) {
	total := int64(1 << 30)
	if text := os.Getenv("MODELYARD_BENCH_MB"); text != "" {
		if _, err := fmt.Sscan(text, &total); err != nil {
			b.Fatal(err)
		}
		total <<= 20
	}
	const part = int64(100 << 20)
	s, err := blob.OpenLocal(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	d := dbtest.SQLite(b)
	if err := d.Migrate(b.Context(), blob.Migrations()); err != nil {
		b.Fatal(err)
	}
	f := blob.NewFiles(d, s, clock.System{})
	b.SetBytes(total)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		upload := fmt.Sprintf("u%d", i)
		var parts []blob.Part
		for left := total; left > 0; left -= part {
			n, size := len(parts)+1, min(part, left)
			src := rand.NewChaCha8([32]byte{byte(i), byte(n)})
			file, err := f.PutPart(b.Context(), upload, blob.Incoming{Number: n, Of: int((total + part - 1) / part), Size: size, Limit: total}, io.LimitReader(src, size))
			if err != nil {
				b.Fatal(err)
			}
			parts = append(parts, blob.Part{Number: n, Digest: file.Digest})
		}
		b.StartTimer()
		if _, err := f.Join(b.Context(), upload, parts, "run/1", fmt.Sprintf("%d.bin", i), total); err != nil {
			b.Fatal(err)
		}
	}
}
