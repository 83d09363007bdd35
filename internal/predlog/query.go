package predlog

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"sort"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/page"
)

// Prediction is a record with its label, as people see it.
type Prediction struct {
	ID             string         `json:"id"`
	RequestID      string         `json:"request_id"`
	Endpoint       string         `json:"endpoint"`
	Model          string         `json:"model"`
	Version        string         `json:"version"`
	Role           Role           `json:"role"`
	Time           time.Time      `json:"time"`
	EventTime      time.Time      `json:"event_time"`
	Key            string         `json:"key,omitempty"`
	Inputs         map[string]any `json:"inputs"`
	Output         any            `json:"output"`
	LatencyMS      float64        `json:"latency_ms"`
	Status         Status         `json:"status"`
	Error          string         `json:"error,omitempty"`
	Label          any            `json:"label"`
	LabelTime      *time.Time     `json:"label_time,omitempty"`
	LabelEventTime *time.Time     `json:"label_event_time,omitempty"`
	LabelLate      bool           `json:"label_late,omitempty"`
	Logged         bool           `json:"logged"`
}

func predictionOf(r *Record) Prediction {
	p := Prediction{ID: r.ID, RequestID: r.RequestID, Endpoint: r.Schema.Endpoint, Model: r.Schema.Model, Version: r.Schema.Version, Role: r.Role,
		Time: r.Time, EventTime: r.EventTime, Key: r.Key, Inputs: make(map[string]any, len(r.Inputs)), LatencyMS: float64(r.Latency.Microseconds()) / 1000,
		Status: r.Status, Error: r.Error, Logged: true}
	for i, f := range r.Schema.Inputs {
		if i < len(r.Inputs) {
			p.Inputs[f.Name] = plain(r.Inputs[i])
		}
	}
	switch {
	case len(r.Outputs) == 1, len(r.Outputs) > 1 && len(r.Schema.Outputs) > 1 && r.Schema.Outputs[1].Extra:
		p.Output = plain(r.Outputs[0])
	case len(r.Outputs) > 1:
		named := make(map[string]any, len(r.Outputs))
		for i, v := range r.Outputs {
			name := strconv.Itoa(i)
			if i < len(r.Schema.Outputs) {
				name = r.Schema.Outputs[i].Name
			}
			named[name] = plain(v)
		}
		p.Output = named
	}
	return p
}

// plain is a value that JSON can hold: infinities become text.
func plain(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	}
	return v
}

func (p *Prediction) label(l storedLabel) {
	at, event := clock.FromMicros(l.time), clock.FromMicros(l.eventTime)
	p.Label, p.LabelTime, p.LabelLate = l.value, &at, l.late
	if l.eventTimeSet {
		p.LabelEventTime = &event
	}
}

// Filter chooses predictions of an endpoint. Zero fields do not filter, but shadow scores come only when Role asks for them.
type Filter struct {
	Endpoint  string
	From, To  time.Time // wall time, From inclusive
	Version   string
	Role      Role // "all" for every role
	Status    Status
	Key       string
	Labelled  *bool
	Limit     int // default 50, at most 1000
	PageToken string
}

// AllRoles as Filter.Role lets shadow scores through.
const AllRoles Role = "all"

func (f *Filter) fits(r *Record) bool {
	switch {
	case f.Role == "" && r.Role == Shadow,
		f.Role != "" && f.Role != AllRoles && r.Role != f.Role,
		f.Version != "" && r.Schema.Version != f.Version,
		f.Status != "" && r.Status != f.Status,
		f.Key != "" && r.Key != f.Key,
		!f.From.IsZero() && r.Time.Before(f.From),
		!f.To.IsZero() && !r.Time.Before(f.To):
		return false
	}
	return true
}

// queryCursor is where the next page begins: behind this row, backwards; or before this id.
type queryCursor struct {
	Seq uint32 `json:"s,omitempty"`
	Off int64  `json:"o,omitempty"`
	Row int    `json:"r,omitempty"`
	ID  string `json:"i,omitempty"`
}

// maxExamined bounds how many rows one page looks at; a page may come back short with a token to go on.
const maxExamined = 200_000

// Query lists predictions of an endpoint, newest first.
func (s *Service) Query(ctx context.Context, f Filter) ([]Prediction, string, error) {
	f.Limit = page.Limit(f.Limit, 50, 1000)
	switch f.Role {
	case "", AllRoles, Champion, Canary, Shadow:
	default:
		return nil, "", errs.Invalidf("predlog.query", "the filter is not valid").WithField("role", "expected champion, canary, shadow or all")
	}
	var cur queryCursor
	if err := page.Decode(f.PageToken, &cur); err != nil {
		return nil, "", err
	}
	var out []Prediction
	var next *queryCursor
	var err error
	if f.Labelled != nil && *f.Labelled {
		out, next, err = s.queryLabelled(ctx, f, cur)
	} else {
		out, next, err = s.queryBackwards(ctx, f, cur)
	}
	if err != nil {
		return nil, "", err
	}
	if err := s.joinLabels(ctx, out); err != nil {
		return nil, "", err
	}
	if f.Labelled != nil && !*f.Labelled {
		kept := out[:0]
		for _, p := range out {
			if p.Label == nil {
				kept = append(kept, p)
			}
		}
		out = kept
	}
	token := ""
	if next != nil {
		token = page.Encode(next)
	}
	return out, token, nil
}

func (s *Service) joinLabels(ctx context.Context, ps []Prediction) error {
	ids := make([]string, len(ps))
	for i := range ps {
		ids[i] = ps[i].RequestID
	}
	labels, err := s.labelsOf(ctx, ids)
	if err != nil {
		return err
	}
	for i := range ps {
		if l, ok := labels[ps[i].RequestID]; ok {
			ps[i].label(l)
		}
	}
	return nil
}

func (s *Service) queryLabelled(ctx context.Context, f Filter, cur queryCursor) ([]Prediction, *queryCursor, error) {
	out := []Prediction{}
	fd := &finder{r: reader{s: s}}
	defer fd.r.close()
	for examined := 0; examined < maxExamined/100; {
		ids, err := s.labelledBefore(ctx, f.Endpoint, cur.ID, max(f.Limit, 100))
		if err != nil || len(ids) == 0 {
			return out, nil, err
		}
		for _, text := range ids {
			cur.ID = text
			examined++
			id, err := ParseID(text)
			if err != nil {
				continue
			}
			if !f.From.IsZero() && id.Time().Before(f.From.Add(-findSpan)) {
				return out, nil, nil
			}
			r, err := fd.first(ctx, f.Endpoint, id)
			if err != nil {
				return nil, nil, err
			}
			if r == nil || !f.fits(r) {
				continue
			}
			if out = append(out, predictionOf(r)); len(out) == f.Limit {
				return out, &cur, nil
			}
		}
	}
	return out, &cur, nil
}

// queryBackwards goes through the log from its end.
func (s *Service) queryBackwards(ctx context.Context, f Filter, cur queryCursor) ([]Prediction, *queryCursor, error) {
	out := []Prediction{}
	segs := s.w.list()
	r := &reader{s: s}
	defer r.close()
	examined := 0
	for i := len(segs) - 1; i >= 0; i-- {
		g := segs[i]
		if cur.Seq != 0 && g.seq > cur.Seq || !f.To.IsZero() && g.start >= f.To.UnixMicro() {
			continue
		}
		if !f.From.IsZero() && i+1 < len(segs) && segs[i+1].start < f.From.UnixMicro() {
			break
		}
		v, err := s.look(g, f.Endpoint)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, nil, err
		}
		end := len(v.frames)
		if g.seq == cur.Seq {
			end = sort.Search(len(v.frames), func(i int) bool { return int64(v.frames[i]) > cur.Off })
		}
		for k := end - 1; k >= 0; k-- {
			rs, off, err := r.recordsAt(g, &v, int64(v.frames[k]), f)
			if err != nil {
				return nil, nil, err
			}
			for row := len(rs) - 1; row >= 0; row-- {
				if g.seq == cur.Seq && off == cur.Off && row >= cur.Row {
					continue
				}
				examined++
				if f.fits(&rs[row]) {
					out = append(out, predictionOf(&rs[row]))
				}
				if len(out) == f.Limit || examined >= maxExamined {
					return out, &queryCursor{Seq: g.seq, Off: off, Row: row}, nil
				}
			}
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
		}
	}
	return out, nil, nil
}

// recordsAt reads one frame from far behind the window: only what the frame needs is read. It gives nothing for a frame of labels or of
// another version.
func (r *reader) recordsAt(g *segment, v *view, off int64, f Filter) ([]Record, int64, error) {
	file, err := r.open(g)
	if err != nil {
		return nil, off, err
	}
	file.back(off)
	frame, err := file.frame(off)
	if err != nil {
		return nil, off, errs.E(errs.Internal, "predlog.read", "the prediction log cannot be read", err)
	}
	n := frameStream(frame)
	if frame[typeAt] != predictionFrame || int(n) >= len(v.streams) || f.Version != "" && v.streams[n].Version != f.Version {
		return nil, off, nil
	}
	rs, err := decodeBatch(frame, v.streams[n])
	return rs, off, err
}

// back moves the window so that it ends a little behind off, for reading backwards.
func (r *fileReader) back(off int64) {
	if off >= r.off && off < r.off+int64(len(r.buf)) {
		return
	}
	r.window = lastWindow
	start := max(off-lastWindow*3/4, 0)
	_, _ = r.at(start, 1)
}

// Get is one prediction with its label. It returns NotFound for an unknown id.
func (s *Service) Get(ctx context.Context, predictionID string) (Prediction, error) {
	rs, err := s.Find(ctx, predictionID)
	if err != nil {
		return Prediction{}, err
	}
	ps := []Prediction{predictionOf(&rs[0])}
	err = s.joinLabels(ctx, ps)
	return ps[0], err
}

// rebuild reads the newest part of the log again for the live figures and the key index.
func (s *Service) rebuild(ctx context.Context) error {
	now := s.d.Clock.Now()
	from, err := s.seek(now.Add(-rebuildSpan).UnixMicro())
	if err != nil {
		return err
	}
	until, err := s.opened.position()
	if err != nil {
		return err
	}
	r := &reader{s: s}
	defer r.close()
	_, err = r.walk(ctx, "", from, func(g *segment, off int64, frame []byte, sc *Schema) (bool, error) {
		if g.seq > until.seq || g.seq == until.seq && off >= until.off {
			return true, nil // from here on the figures were counted as they came
		}
		if frame[typeAt] != predictionFrame {
			return false, nil
		}
		d := bodyOf(frame)
		h, flags := decodeHead(d)
		if d.Bad {
			return false, nil
		}
		s.stats.version(sc.Endpoint, sc.Version).put(time.UnixMicro(frameTime(frame)), h.role, h.status == Failed, h.latency, h.rows)
		if flags&flagKeys == 0 || h.role == Shadow {
			return false, nil
		}
		if flags&flagEventTimes != 0 {
			for range h.rows {
				d.Varint()
			}
		}
		for i := range h.rows {
			if k := d.Text(); k != "" && !d.Bad {
				s.keys.put(sc.Endpoint, k, h.id(i))
			}
		}
		return false, nil
	})
	return err
}
