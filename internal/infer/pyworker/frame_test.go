package pyworker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/modelyard/modelyard/internal/infer"
)

func message(t testing.TB, r reply, payload []byte) []byte {
	t.Helper()
	header, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(header)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(payload)))
	return append(append(b, header...), payload...)
}

func sampleFrame() *infer.Frame {
	return &infer.Frame{Rows: 2, Columns: []infer.Column{
		{Name: "f", Kind: infer.Float64, Floats: []float64{1, math.NaN(), 3, 4}, Shape: []int{2}},
		{Name: "i", Kind: infer.Int64, Ints: []int64{-1, math.MaxInt64}, Valid: []bool{true, false}},
		{Name: "t", Kind: infer.Datetime, Ints: []int64{0, 1}},
		{Name: "s", Kind: infer.String, Strings: []string{"", "é"}, Valid: []bool{false, true}},
		{Name: "b", Kind: infer.Bool, Bools: []bool{true, false}},
		{Name: "j", Kind: infer.JSON, Strings: []string{"[]", "{}"}},
	}}
}

func TestColumnsSurviveTheWire(t *testing.T) {
	t.Parallel()
	in := sampleFrame()
	columns, payload, err := encodeFrame(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	msg, data, err := readMessage(bytes.NewReader(message(t, reply{Rows: 2, Columns: columns, Extra: 1}, payload)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	out, err := decodeOutput(msg, data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in.Columns, append(out.Columns, out.Extra...), cmpopts.EquateNaNs()); d != "" || len(out.Extra) != 1 {
		t.Error(d)
	}
}

func TestForeignAnswersAreRefused(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]reply{
		"rows that overflow": {Rows: 1 << 61, Columns: []wireColumn{{Kind: infer.Float64, Sizes: []int{0}}}},
		"negative rows":      {Rows: -1},
		"huge shape":         {Rows: 2, Columns: []wireColumn{{Kind: infer.Bool, Shape: []int{1 << 40, 1 << 40}, Sizes: []int{0}}}},
		"negative size":      {Rows: 1, Columns: []wireColumn{{Kind: infer.String, Sizes: []int{16, -1}}}},
		"no sizes":           {Rows: 1, Columns: []wireColumn{{Kind: infer.Int64}}},
		"unknown kind":       {Rows: 0, Columns: []wireColumn{{Kind: "pickle", Sizes: []int{0}}}},
		"bad offsets":        {Rows: 1, Columns: []wireColumn{{Kind: infer.String, Sizes: []int{16, 0}}}},
		"trailing bytes":     {Rows: 0},
		"too many extra":     {Extra: 1},
	} {
		if _, err := decodeOutput(&r, bytes.Repeat([]byte{7}, 16)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, _, err := readMessage(bytes.NewReader(message(t, reply{}, make([]byte, 100))), 99); err == nil {
		t.Error("an answer over the limit was taken")
	}
}

func FuzzAnswer(f *testing.F) {
	in := sampleFrame()
	columns, payload, err := encodeFrame(in, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message(f, reply{Rows: 2, Columns: columns}, payload))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= prefixBytes && binary.LittleEndian.Uint32(data) > 1<<20 {
			return // only memory would be tried
		}
		msg, payload, err := readMessage(bytes.NewReader(data), 1<<16)
		if err != nil {
			return
		}
		out, err := decodeOutput(msg, payload)
		if err != nil {
			return
		}
		for i := range out.Columns {
			if c := &out.Columns[i]; c.Len() != out.Rows*c.Width() {
				t.Errorf("column %d: %d values for %d rows of %d", i, c.Len(), out.Rows, c.Width())
			}
		}
	})
}
