package table

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The file is what pandas 2.3 and pyarrow 26 write (test/parity/make_parquet.py).
func TestReadParquetOfPandas(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/pandas.parquet")
	if err != nil {
		t.Fatal(err)
	}
	f, err := ReadParquet(t.Context(), bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, c := range f.Columns() {
		got[c.Name()] = []string{string(c.Type()), c.Text(0), c.Text(1), c.Text(2)}
	}
	want := map[string][]string{
		"int8":     {"int64", "1", "2", "-3"},
		"uint32":   {"int64", "1", "2", "4000000000"},
		"float32":  {"float64", "1.5", "", "2"},
		"object":   {"string", "a", "", "é"},
		"category": {"string", "x", "y", "x"},
		"bool":     {"bool", "true", "false", "true"},
		"naive":    {"time", "2024-01-01T00:00:00Z", "2024-07-02T03:04:05.123456Z", "2024-01-03T00:00:00Z"},
		"zoned":    {"time", "2023-12-31T23:00:00Z", "2024-07-02T01:04:05.123456Z", "2024-01-02T23:00:00Z"},
		"date":     {"time", "2024-01-01T00:00:00Z", "2024-07-02T00:00:00Z", "2024-01-03T00:00:00Z"},
		"decimal":  {"float64", "1.25", "-2.5", ""},
		"nullable": {"int64", "1", "", "3"},
		"string":   {"string", "p", "q", "r"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzReadParquet(f *testing.F) {
	data, err := os.ReadFile("testdata/pandas.parquet")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := ReadParquet(t.Context(), bytes.NewReader(data), int64(len(data)), Limits{Rows: 1000, Columns: 50, Bytes: 1 << 20})
		if err == nil && frame == nil {
			t.Fatal("neither a frame nor an error")
		}
	})
}

// A damaged file is an error or a frame, never the end of the program: before the Arrow schema beside Parquet's own was left unread, a few
// changed bytes made the library ask for 94 GB.
func TestReadParquetSurvivesDamage(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/pandas.parquet")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 500 {
		damaged := bytes.Clone(data)
		for range 1 + rng.IntN(4) {
			damaged[rng.IntN(len(damaged))] = byte(rng.IntN(256))
		}
		frame, err := ReadParquet(t.Context(), bytes.NewReader(damaged), int64(len(damaged)), Limits{Rows: 1000, Bytes: 1 << 20})
		if err != nil {
			refused++
		} else if frame == nil {
			t.Fatal("neither a frame nor an error")
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}
