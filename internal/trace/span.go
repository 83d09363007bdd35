package trace

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// SpanStatus is how a span ended.
type SpanStatus string

// The states of a span.
const (
	SpanUnset SpanStatus = "UNSET"
	SpanOK    SpanStatus = "OK"
	SpanError SpanStatus = "ERROR"
)

// Valid reports whether s is known.
func (s SpanStatus) Valid() bool { return s == SpanUnset || s == SpanOK || s == SpanError }

// Attribute is a key with a JSON value, in the order in which the client sent them.
type Attribute struct {
	Key   string          `json:"k"`
	Value json.RawMessage `json:"v"`
}

// SpanEvent is something that happened at one moment of a span, an exception for example.
type SpanEvent struct {
	Name       string      `json:"n"`
	Time       int64       `json:"t"` // unix ns
	Attributes []Attribute `json:"a,omitempty"`
}

// SpanLink points at a span of this or another trace.
type SpanLink struct {
	TraceID    string      `json:"t"` // 32 hex
	SpanID     string      `json:"s"` // 16 hex
	Attributes []Attribute `json:"a,omitempty"`
}

// Span is one piece of work of a trace. The field names of its JSON are short because they are stored by the million.
type Span struct {
	ID         string      `json:"i"`           // 16 hex digits
	ParentID   string      `json:"p,omitempty"` // empty for a root
	Name       string      `json:"n"`
	Start      int64       `json:"s"`           // unix ns
	End        int64       `json:"e,omitempty"` // unix ns; 0 while it runs
	Status     SpanStatus  `json:"c"`
	Message    string      `json:"m,omitempty"`
	Attributes []Attribute `json:"a,omitempty"`
	Events     []SpanEvent `json:"ev,omitempty"`
	Links      []SpanLink  `json:"l,omitempty"`
}

// The attributes of spans that have a meaning here.
const (
	AttrTraceID  = "mlflow.traceRequestId"
	AttrInputs   = "mlflow.spanInputs"
	AttrOutputs  = "mlflow.spanOutputs"
	AttrType     = "mlflow.spanType"
	AttrTokens   = "mlflow.chat.tokenUsage"
	AttrCost     = "mlflow.llm.cost"
	AttrModel    = "mlflow.llm.model"
	AttrProvider = "mlflow.llm.provider"
	AttrSession  = "session.id"
	AttrUser     = "user.id"
	AttrTagBase  = "mlflow.traceTag."
)

// Get is the raw JSON of an attribute, nil when there is none.
func (s *Span) Get(key string) json.RawMessage {
	for i := range s.Attributes {
		if s.Attributes[i].Key == key {
			return s.Attributes[i].Value
		}
	}
	return nil
}

// Text is an attribute as text: strings as they are, everything else as JSON.
func (s *Span) Text(key string) string { return plain(s.Get(key)) }

func plain(v json.RawMessage) string {
	var text string
	if len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &text) == nil {
		return text
	}
	return string(v)
}

// Type is what kind of work it is: LLM, TOOL, RETRIEVER and so on; UNKNOWN when the client did not say.
func (s *Span) Type() string {
	if t := s.Text(AttrType); t != "" {
		return t
	}
	return "UNKNOWN"
}

var (
	spanIDPattern  = regexp.MustCompile(`^[0-9a-f]{16}$`)
	traceIDPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// Validate refuses a span that cannot be kept. It returns Invalid.
func (s *Span) Validate() error {
	var c errs.Collector
	if !spanIDPattern.MatchString(s.ID) || s.ID == "0000000000000000" {
		c.Add("span_id", "expected 8 bytes that are not all zero")
	}
	if s.ParentID != "" && !spanIDPattern.MatchString(s.ParentID) {
		c.Add("parent_span_id", "expected 8 bytes or nothing")
	}
	if s.ParentID == s.ID {
		c.Add("parent_span_id", "a span cannot be its own parent")
	}
	if s.Start <= 0 || s.End < 0 {
		c.Add("start_time_unix_nano", "expected nanoseconds since 1970")
	}
	if !s.Status.Valid() {
		c.Add("status", "expected UNSET, OK or ERROR")
	}
	if utf8.RuneCountInString(s.Name) > MaxSpanName {
		c.Add("name", "expected at most %d characters", MaxSpanName)
	}
	if len(s.Events) > MaxEvents {
		c.Add("events", "expected at most %d", MaxEvents)
	}
	if len(s.Links) > MaxLinks {
		c.Add("links", "expected at most %d", MaxLinks)
	}
	checkAttributes(&c, "attributes", s.Attributes)
	for i := range s.Events {
		checkAttributes(&c, "events.attributes", s.Events[i].Attributes)
	}
	for i := range s.Links {
		checkAttributes(&c, "links.attributes", s.Links[i].Attributes)
		if !traceIDPattern.MatchString(s.Links[i].TraceID) || !spanIDPattern.MatchString(s.Links[i].SpanID) {
			c.Add("links", "expected ids of 16 and 8 bytes")
		}
	}
	return c.Err("trace.span", fmt.Sprintf("the span %.60q is not valid", s.Name))
}

func checkAttributes(c *errs.Collector, field string, as []Attribute) {
	if len(as) > MaxAttributes {
		c.Add(field, "expected at most %d, got %d", MaxAttributes, len(as))
		return
	}
	for i := range as {
		if utf8.RuneCountInString(as[i].Key) > MaxSpanName {
			c.Add(field, "expected keys of at most %d characters", MaxSpanName)
		}
		if len(as[i].Value) > MaxAttributeBytes {
			c.Add(field, "the value of %.60q is larger than %d bytes", as[i].Key, MaxAttributeBytes)
		}
	}
}

// tidy keeps texts storable and gives attributes that are the same the same bytes.
func (s *Span) tidy() {
	s.Name, s.Message = clean(s.Name), clean(s.Message)
	tidyAttributes(s.Attributes)
	for i := range s.Events {
		tidyAttributes(s.Events[i].Attributes)
	}
	for i := range s.Links {
		tidyAttributes(s.Links[i].Attributes)
	}
}

func tidyAttributes(as []Attribute) {
	for i := range as {
		v := as[i].Value
		if len(v) > 0 && (v[0] == '{' || v[0] == '[') {
			var b bytes.Buffer
			if json.Compact(&b, v) == nil {
				v = b.Bytes()
			}
		}
		as[i].Value = canonical(v)
	}
}

// packer makes blocks of spans and reads them. It keeps the compressors, which are dear to make, for the next block. Safe for concurrent
// use.
type packer struct {
	writers, readers sync.Pool
	grams            gramMaker
}

// The formats of blocks, in their first byte. Blocks before canonical JSON are tidied when they are read.
const (
	oldPlain      = 0 // JSON
	oldDeflated   = 1
	plainBlock    = 2 // canonical JSON
	deflatedBlock = 3

	packFrom = 600 // bytes; smaller blocks are not worth a compressor
)

// pack makes a block of spans that are JSON already.
func (p *packer) pack(spans []byte) ([]byte, error) {
	if len(spans) < packFrom {
		return append([]byte{plainBlock}, spans...), nil
	}
	b := bytes.NewBuffer(make([]byte, 0, len(spans)/2))
	b.WriteByte(deflatedBlock)
	z, ok := p.writers.Get().(*flate.Writer)
	if ok {
		z.Reset(b)
	} else {
		var err error
		if z, err = flate.NewWriter(b, flate.BestSpeed); err != nil {
			return nil, err
		}
	}
	defer p.writers.Put(z)
	if _, err := z.Write(spans); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}

func (p *packer) unpack(block []byte) ([]Span, error) {
	if len(block) == 0 || block[0] > deflatedBlock {
		return nil, errs.E(errs.Internal, "trace.decode", "a block of spans has an unknown format", nil)
	}
	raw := block[1:]
	if block[0] == deflatedBlock || block[0] == oldDeflated {
		in := bytes.NewReader(raw)
		z, ok := p.readers.Get().(io.ReadCloser)
		if r, can := z.(flate.Resetter); ok && can {
			if err := r.Reset(in, nil); err != nil {
				return nil, errs.E(errs.Internal, "trace.decode", "a block of spans cannot be read", err)
			}
		} else {
			z = flate.NewReader(in)
		}
		defer p.readers.Put(z)
		var err error
		if raw, err = io.ReadAll(z); err != nil {
			return nil, errs.E(errs.Internal, "trace.decode", "a block of spans cannot be read", err)
		}
	}
	var spans []Span
	if err := json.Unmarshal(raw, &spans); err != nil {
		return nil, errs.E(errs.Internal, "trace.decode", "a block of spans cannot be read", err)
	}
	if block[0] < plainBlock {
		for i := range spans {
			spans[i].tidy()
		}
	}
	return spans, nil
}

// spanBlock is spans made ready to be kept.
type spanBlock struct {
	n     int
	size  int64 // bytes before packing
	data  []byte
	facts []byte
	grams []byte
}

// block makes a block of spans that are tidy and have each id once.
func (p *packer) block(spans []Span) (spanBlock, error) {
	text, err := encode(spans)
	if err != nil {
		return spanBlock{}, errs.E(errs.Invalid, "trace.spans", "the spans cannot be encoded", err)
	}
	raw := canonical([]byte(text))
	out := spanBlock{n: len(spans), size: int64(len(raw)), grams: p.grams.of(raw, spans)}
	fs := make([]fact, len(spans))
	for i := range spans {
		fs[i] = factOf(&spans[i])
	}
	out.facts = encodeFacts(fs)
	if out.data, err = p.pack(raw); err != nil {
		return out, errs.E(errs.Internal, "trace.spans", "the spans cannot be packed", err)
	}
	return out, nil
}

// merge puts spans together so that each id is there once: one that has ended wins over one that runs, a later one over an earlier one.
// The result is in the order of the tree's reading: roots first, then by start.
func merge(blocks ...[]Span) []Span {
	n := 0
	for _, b := range blocks {
		n += len(b)
	}
	at := make(map[string]int, n)
	out := make([]Span, 0, n)
	for _, b := range blocks {
		for _, s := range b {
			i, ok := at[s.ID]
			switch {
			case !ok:
				at[s.ID] = len(out)
				out = append(out, s)
			case s.End != 0 || out[i].End == 0:
				out[i] = s
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Span) int {
		if ar, br := a.ParentID == "", b.ParentID == ""; ar != br {
			if ar {
				return -1
			}
			return 1
		}
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// shape is what can be searched of a span without reading it.
type shape struct {
	Name   string `json:"n"`
	Type   string `json:"t"`
	Status string `json:"s"`
}

// shapes are the distinct shapes of a trace's spans. When there are more than fit, Over says that the spans must be read.
type shapes struct {
	List []shape `json:"l,omitempty"`
	Over bool    `json:"o,omitempty"`
}

const maxShapes = 200

func (h *shapes) add(spans []Span) {
	for i := range spans {
		s := shape{spans[i].Name, spans[i].Type(), string(spans[i].Status)}
		if h.Over || slices.Contains(h.List, s) {
			continue
		}
		if len(h.List) >= maxShapes {
			h.List, h.Over = nil, true
			return
		}
		h.List = append(h.List, s)
	}
}
