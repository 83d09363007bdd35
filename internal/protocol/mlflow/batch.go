package mlflow

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/tracking"
)

// logBatch is the hottest write: a body of up to a thousand metric points. What the usual clients send is read by a parser of its own;
// anything unusual, errors too, goes the way of all other bodies.
func (e *Edge) logBatch(w http.ResponseWriter, req *http.Request) {
	body, err := httpx.ReadBody(req, maxBatchBody)
	err = tooLarge(err, maxBatchBody)
	if err == nil {
		var id string
		var b tracking.Batch
		if id, b, err = readBatch(body); err == nil {
			err = e.d.Tracking.LogBatch(req.Context(), id, b)
		}
	}
	if err != nil {
		e.fail(w, req, err)
		return
	}
	e.reply(w, req, none{})
}

// readBatch reads the body of a batch.
func readBatch(body []byte) (runID string, b tracking.Batch, err error) {
	if utf8.Valid(body) {
		p := batchParser{in: body}
		if p.batch() && p.id != "" {
			return p.id, p.out, nil
		}
	}
	return readBatchSlow(body)
}

func readBatchSlow(body []byte) (string, tracking.Batch, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return "", tracking.Batch{}, missing("run_id")
	}
	var in logBatchIn
	if err := decodeJSON(body, &in); err != nil {
		return "", tracking.Batch{}, err
	}
	if in.ID == "" {
		return "", tracking.Batch{}, missing("run_id")
	}
	b := tracking.Batch{Metrics: make([]tracking.Metric, len(in.Metrics)), Params: runParams(in.Params), Tags: runTags(in.Tags)}
	for i, m := range in.Metrics {
		if m.Value == nil {
			return "", b, missing(fmt.Sprintf("metrics[%d].value", i))
		}
		if m.Timestamp == nil {
			return "", b, missing(fmt.Sprintf("metrics[%d].timestamp", i))
		}
		b.Metrics[i] = tracking.Metric{Key: m.Key, Point: tracking.Point{Step: int64(m.Step), Time: int64(*m.Timestamp), Value: float64(*m.Value)},
			ModelID: m.ModelID, DatasetName: m.DatasetName, DatasetDigest: m.DatasetDigest}
	}
	return in.ID, b, nil
}

// batchParser reads a batch as the official clients write it: known fields, each once; strings without escapes; plain numbers. Its methods
// give false at the first thing that is anything else. The input must be UTF-8.
type batchParser struct {
	in   []byte
	pos  int
	id   string
	out  tracking.Batch
	keys map[string]string // one copy of each metric key
	last string            // the key of the metric before
}

func (p *batchParser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\n', '\t', '\r':
			p.pos++
		default:
			return
		}
	}
}

// next skips space and takes one character.
func (p *batchParser) next(c byte) bool {
	p.space()
	if p.pos < len(p.in) && p.in[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

// text takes a string without escapes.
func (p *batchParser) text() ([]byte, bool) {
	if !p.next('"') {
		return nil, false
	}
	n := bytes.IndexByte(p.in[p.pos:], '"')
	if n < 0 {
		return nil, false
	}
	s := p.in[p.pos : p.pos+n]
	for _, c := range s {
		if c < ' ' || c == '\\' {
			return nil, false
		}
	}
	p.pos += n + 1
	return s, true
}

// list takes "[item, ...]".
func (p *batchParser) list(item func() bool) bool {
	if !p.next('[') {
		return false
	}
	if p.next(']') {
		return true
	}
	for {
		if !item() {
			return false
		}
		if p.next(',') {
			continue
		}
		return p.next(']')
	}
}

// object takes "{name: value, ...}"; field takes the value of a name and gives its bit, 0 when it cannot. A name that comes again is
// unusual.
func (p *batchParser) object(field func(name []byte) uint) (seen uint, ok bool) {
	if !p.next('{') {
		return 0, false
	}
	if p.next('}') {
		return 0, true
	}
	for {
		name, ok := p.text()
		if !ok || !p.next(':') {
			return seen, false
		}
		bit := field(name)
		if bit == 0 || seen&bit != 0 {
			return seen, false
		}
		seen |= bit
		if p.next(',') {
			continue
		}
		return seen, p.next('}')
	}
}

func (p *batchParser) batch() bool {
	_, ok := p.object(func(name []byte) uint {
		var ok bool
		var bit uint
		switch string(name) {
		case "run_id":
			var id []byte
			id, ok = p.text()
			p.id, bit = string(id), 1
		case "metrics":
			p.out.Metrics = make([]tracking.Metric, 0, min(len(p.in)/64, tracking.MaxBatchMetrics))
			ok, bit = p.list(p.metric), 2
		case "params":
			ok, bit = p.list(func() bool {
				key, value, ok := p.pair()
				p.out.Params = append(p.out.Params, tracking.Param{Key: key, Value: value})
				return ok && len(value) <= tracking.MaxParamValue
			}), 4
		case "tags":
			ok, bit = p.list(func() bool {
				key, value, ok := p.pair()
				p.out.Tags = append(p.out.Tags, tracking.Tag{Key: key, Value: value})
				return ok && len(value) <= tracking.MaxTagValue
			}), 8
		}
		if !ok {
			return 0
		}
		return bit
	})
	p.space()
	return ok && p.pos == len(p.in)
}

func (p *batchParser) pair() (key, value string, ok bool) {
	_, ok = p.object(func(name []byte) uint {
		s, ok := p.text()
		switch {
		case !ok:
		case string(name) == "key":
			key = string(s)
			return 1
		case string(name) == "value":
			value = string(s)
			return 2
		}
		return 0
	})
	return key, value, ok
}

func (p *batchParser) metric() bool {
	var m tracking.Metric
	seen, ok := p.object(func(name []byte) uint {
		var ok bool
		var bit uint
		var s []byte
		switch string(name) {
		case "key":
			s, ok = p.text()
			m.Key, bit = p.key(s), 1
		case "value":
			m.Value, ok = p.double()
			bit = 2
		case "timestamp":
			m.Time, ok = p.integer()
			bit = 4
		case "step":
			m.Step, ok = p.integer()
			bit = 8
		case "model_id":
			s, ok = p.text()
			m.ModelID, bit = string(s), 16
		case "dataset_name":
			s, ok = p.text()
			m.DatasetName, bit = string(s), 32
		case "dataset_digest":
			s, ok = p.text()
			m.DatasetDigest, bit = string(s), 64
		}
		if !ok {
			return 0
		}
		return bit
	})
	p.out.Metrics = append(p.out.Metrics, m)
	return ok && seen&2 != 0 && seen&4 != 0
}

// key gives the one copy of a metric key.
func (p *batchParser) key(b []byte) string {
	if string(b) == p.last {
		return p.last
	}
	s, ok := p.keys[string(b)]
	if !ok {
		if p.keys == nil {
			p.keys = map[string]string{}
		}
		s = string(b)
		p.keys[s] = s
	}
	p.last = s
	return s
}

// integer takes a whole number of at most 18 digits, bare or quoted as protobuf writes them.
func (p *batchParser) integer() (int64, bool) {
	quoted := p.next('"')
	neg := p.pos < len(p.in) && p.in[p.pos] == '-'
	if neg {
		p.pos++
	}
	start, n := p.pos, int64(0)
	for p.pos < len(p.in) && p.in[p.pos]-'0' <= 9 {
		n = n*10 + int64(p.in[p.pos]-'0')
		p.pos++
	}
	digits := p.pos - start
	if digits == 0 || digits > 18 || (digits > 1 && p.in[start] == '0') || p.pos == len(p.in) {
		return 0, false
	}
	switch c := p.in[p.pos]; {
	case quoted && c == '"':
		p.pos++
	case quoted || c == '.' || c == 'e' || c == 'E':
		return 0, false
	}
	if neg {
		n = -n
	}
	return n, true
}

// double takes a number, or "NaN", "Infinity" and "-Infinity".
func (p *batchParser) double() (float64, bool) {
	p.space()
	if p.pos < len(p.in) && p.in[p.pos] == '"' {
		s, ok := p.text()
		switch string(s) {
		case "NaN":
			return math.NaN(), ok
		case "Infinity":
			return math.Inf(1), ok
		case "-Infinity":
			return math.Inf(-1), ok
		}
		return 0, false
	}
	start := p.pos
	neg := p.pos < len(p.in) && p.in[p.pos] == '-'
	if neg {
		p.pos++
	}
	whole, mantissa := p.digits(0)
	if whole == 0 || (whole > 1 && p.in[p.pos-whole] == '0') {
		return 0, false
	}
	fraction, exact := 0, true
	if p.pos < len(p.in) && p.in[p.pos] == '.' {
		p.pos++
		if fraction, mantissa = p.digits(mantissa); fraction == 0 {
			return 0, false
		}
	}
	if p.pos < len(p.in) && p.in[p.pos]|0x20 == 'e' {
		exact = false
		p.pos++
		if p.pos < len(p.in) && (p.in[p.pos] == '+' || p.in[p.pos] == '-') {
			p.pos++
		}
		if n, _ := p.digits(0); n == 0 {
			return 0, false
		}
	}
	// 15 digits and a power of ten up to 22 are exact in a float64, so one division rounds correctly (Clinger, "How to read floating
	// point numbers accurately", 1990)
	if exact && whole+fraction <= 15 {
		f := float64(mantissa) / powersOfTen()[fraction]
		if neg {
			f = -f
		}
		return f, true
	}
	f, err := strconv.ParseFloat(string(p.in[start:p.pos]), 64)
	return f, err == nil
}

func powersOfTen() *[16]float64 {
	return &[16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}
}

// digits takes digits behind those of a mantissa, which wraps around when they are too many; the caller counts them.
func (p *batchParser) digits(mantissa uint64) (int, uint64) {
	start := p.pos
	for p.pos < len(p.in) && p.in[p.pos]-'0' <= 9 {
		mantissa = mantissa*10 + uint64(p.in[p.pos]-'0')
		p.pos++
	}
	return p.pos - start, mantissa
}
