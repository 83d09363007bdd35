package trace

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/varint"
)

// fact is what is counted and measured of a span without reading it.
type fact struct {
	id              [8]byte
	start, end      int64 // unix ns; end is 0 while it runs
	status          SpanStatus
	name, typ       string
	model, provider string     // "" when the client did not say
	costs           [3]float64 // input, output, total, in the client's currency; NaN when it did not say
}

func factOf(s *Span) fact {
	f := fact{start: s.Start, end: s.End, status: s.Status, name: s.Name, typ: s.Type(), model: modelName(s.Get(AttrModel)), provider: modelName(s.Get(AttrProvider)),
		costs: [3]float64{math.NaN(), math.NaN(), math.NaN()}}
	_, _ = hex.Decode(f.id[:], []byte(s.ID)) // the id was checked when it came
	raw := s.Get(AttrCost)
	if raw == nil {
		return f
	}
	var cost map[string]any
	if json.Unmarshal([]byte(plain(raw)), &cost) != nil {
		return f
	}
	for i, key := range costKeys() {
		if v, ok := cost[key].(float64); ok {
			f.costs[i] = v
		}
	}
	return f
}

func costKeys() [3]string { return [3]string{"input_cost", "output_cost", "total_cost"} }

// maxModelName is the most characters of a model's or provider's name that are told apart.
const maxModelName = 500

func modelName(v json.RawMessage) string {
	if len(v) == 0 || v[0] != '"' {
		return ""
	}
	name := []rune(clean(plain(v)))
	return string(name[:min(len(name), maxModelName)])
}

// The statuses by their number in encoded facts.
func statuses() [3]SpanStatus { return [3]SpanStatus{SpanUnset, SpanOK, SpanError} }

// factsFormat is the first byte of encoded facts.
const factsFormat = 1

// encodeFacts writes: the format, the number of spans, their ids (8 bytes each), the distinct texts, then for each span its start, its
// duration + 1 (0: it runs), a byte of status and costs, four texts by number and the costs.
func encodeFacts(fs []fact) []byte {
	b := binary.AppendUvarint([]byte{factsFormat}, uint64(len(fs)))
	for i := range fs {
		b = append(b, fs[i].id[:]...)
	}
	numbers, texts := map[string]uint64{}, []string{}
	number := func(s string) uint64 {
		n, ok := numbers[s]
		if !ok {
			n = uint64(len(texts))
			numbers[s] = n
			texts = append(texts, s)
		}
		return n
	}
	var body []byte
	for i := range fs {
		f := &fs[i]
		body = binary.AppendUvarint(body, uint64(f.start))
		took := int64(0)
		if f.end != 0 {
			if took = f.end - f.start; took >= 0 { // a client's clock may run backwards
				took++
			}
		}
		body = binary.AppendVarint(body, took)
		flags := byte(0)
		for n, s := range statuses() {
			if s == f.status {
				flags = byte(n)
			}
		}
		for k, c := range f.costs {
			if !math.IsNaN(c) {
				flags |= 4 << k
			}
		}
		body = append(body, flags)
		for _, s := range [...]string{f.name, f.typ, f.model, f.provider} {
			body = binary.AppendUvarint(body, number(s))
		}
		for _, c := range f.costs {
			if !math.IsNaN(c) {
				body = binary.LittleEndian.AppendUint64(body, math.Float64bits(c))
			}
		}
	}
	b = binary.AppendUvarint(b, uint64(len(texts)))
	for _, s := range texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, body...)
}

func badFacts() error {
	return errs.E(errs.Internal, "trace.decode", "the index of a block of spans cannot be read", nil)
}

// factIDs reads the ids, which stand first.
func factIDs(r *varint.Reader) ([][8]byte, error) {
	if r.Byte() != factsFormat {
		return nil, badFacts()
	}
	ids := make([][8]byte, r.Count(64))
	for i := range ids {
		copy(ids[i][:], r.Take(8))
	}
	if r.Bad {
		return nil, badFacts()
	}
	return ids, nil
}

// decodeIDs reads the ids of the spans of a block alone.
func decodeIDs(b []byte) ([][8]byte, error) { return factIDs(&varint.Reader{B: b}) }

func decodeFacts(b []byte) ([]fact, error) {
	r := &varint.Reader{B: b}
	ids, err := factIDs(r)
	if err != nil {
		return nil, err
	}
	texts := make([]string, r.Count(8))
	for i := range texts {
		texts[i] = r.Text()
	}
	text := func() string {
		if n := r.Uvarint(); n < uint64(len(texts)) {
			return texts[n]
		}
		r.Bad = true
		return ""
	}
	out := make([]fact, len(ids))
	for i := range out {
		f := &out[i]
		f.id, f.start = ids[i], int64(r.Uvarint())
		switch took := r.Varint(); {
		case took > 0:
			f.end = f.start + took - 1
		case took < 0:
			f.end = f.start + took
		}
		flags := r.Byte()
		f.status = statuses()[min(flags&3, 2)]
		f.name, f.typ, f.model, f.provider = text(), text(), text(), text()
		for k := range f.costs {
			f.costs[k] = math.NaN()
			if flags&(4<<k) != 0 {
				f.costs[k] = math.Float64frombits(r.Uint64())
			}
		}
		if r.Bad {
			return nil, badFacts()
		}
	}
	return out, nil
}

// mergeFacts puts the facts of a trace's blocks together as merge does its spans: each id once.
func mergeFacts(blocks [][]fact) []fact {
	if len(blocks) == 1 {
		return blocks[0] // a block has each id once
	}
	at := map[[8]byte]int{}
	var out []fact
	for _, b := range blocks {
		for _, f := range b {
			i, ok := at[f.id]
			switch {
			case !ok:
				at[f.id] = len(out)
				out = append(out, f)
			case f.end != 0 || out[i].end == 0:
				out[i] = f
			}
		}
	}
	return out
}
