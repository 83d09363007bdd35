package table

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestPreviews(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	put := func(name, content string) { files[name] = content }
	see := func(name string, rows int) *FilePreview {
		t.Helper()
		v, err := Preview(t.Context(), strings.NewReader(files[name]), name, int64(len(files[name])), rows)
		if err != nil {
			t.Fatal(name, err)
		}
		return v
	}
	put("a.csv", "id,name\n007,\"Lee, Ann\"\n8,x\n9,y\n")
	if v := see("a.csv", 2); v.Kind != PreviewTable || !v.Truncated || v.TotalRows != 3 || len(v.Rows) != 2 || v.Rows[0][0] != "007" || v.Rows[0][1] != "Lee, Ann" || len(v.Columns) != 2 {
		t.Fatalf("csv: %+v", v)
	}
	put("big.csv", "n\n"+strings.Repeat("1234567\n", 200_000))
	if v := see("big.csv", 5); !v.Truncated || v.TotalRows != 0 || len(v.Rows) != 5 {
		t.Fatalf("a large csv: %d rows, total %d", len(v.Rows), v.TotalRows)
	}
	put("wide.csv", strings.Repeat("c,", 999)+"c\n")
	if v := see("wide.csv", 5); len(v.Columns) != 200 || len(v.Skipped) != 800 {
		t.Fatalf("a wide csv: %d columns, %d skipped", len(v.Columns), len(v.Skipped))
	}
	put("t.log", "begin\n"+strings.Repeat("ä", previewText))
	if v := see("t.log", 1); v.Kind != PreviewText || !v.Truncated || len(v.Text) > previewText || strings.ContainsRune(v.Text, '\uFFFD') {
		t.Fatalf("text: kind %s, %d bytes", v.Kind, len(v.Text))
	}
	put("m.bin", "\x00\x01\x02")
	put("empty.csv", "")
	put("broken.parquet", "PAR1 no")
	for name, kind := range map[string]PreviewKind{"m.bin": PreviewBinary, "broken.parquet": PreviewBinary, "empty.csv": PreviewTable} {
		if v := see(name, 5); v.Kind != kind || (kind == PreviewBinary && v.Note == "") {
			t.Fatalf("%s: %+v", name, v)
		}
	}
	n := 50_000
	xs, at := make([]float64, n), make([]time.Time, n)
	for i := range xs {
		xs[i], at[i] = float64(i)/2, time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
	}
	xs[1] = math.NaN()
	frame, err := NewFrame(NewFloats("x", xs), NewTimes("at", at))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteParquet(&b, frame); err != nil {
		t.Fatal(err)
	}
	put("f.parquet", b.String())
	v := see("f.parquet", 3)
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if v.TotalRows != int64(n) || !v.Truncated || len(v.Rows) != 3 || !strings.Contains(string(text), `"rows":[[0,"2026-01-01T00:00:00Z"],[null,`) && !strings.Contains(string(text), `"rows":[[0,"2026-01-01T00:00:00Z"],["NaN",`) {
		t.Fatalf("parquet: %s", text)
	}
}
