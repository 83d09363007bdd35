package predlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Limits of feedback.
const (
	MaxFeedback = 10_000 // items in one call
	MaxKey      = 256    // bytes of a caller's key
	MaxLabel    = 1024   // bytes of a text label
)

// Feedback is one label as the caller gives it: for a prediction id, or for the newest prediction with a key.
type Feedback struct {
	PredictionID string          `json:"prediction_id,omitempty"`
	Key          string          `json:"key,omitempty"`
	Label        json.RawMessage `json:"label"` // a finite number, a text or a boolean
	EventTime    string          `json:"event_time,omitempty"`
}

// FeedbackError is one item that was not taken.
type FeedbackError struct {
	Index   int    `json:"index"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// FeedbackResult counts what became of the items. Accepted holds Late and Replaced too; unknown ids and faults are listed in Errors.
type FeedbackResult struct {
	Accepted int             `json:"accepted"`
	Late     int             `json:"late"`
	Replaced int             `json:"replaced"`
	Unknown  int             `json:"unknown"`
	Errors   []FeedbackError `json:"errors"`
}

// pendingLabel is a checked item.
type pendingLabel struct {
	index int
	row   labelRow
}

// inflight knows from where on the log may hold labels that the table does not have yet.
type inflight struct {
	mu   sync.Mutex
	from map[*position]struct{}
}

func (f *inflight) begin(p position) *position {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.from == nil {
		f.from = map[*position]struct{}{}
	}
	f.from[&p] = struct{}{}
	return &p
}

func (f *inflight) end(p *position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.from, p)
}

// floor is the least position of the others that are under way, at most end.
func (f *inflight) floor(mine *position, end position) position {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.from {
		if p != mine && (p.seq < end.seq || p.seq == end.seq && p.off < end.off) {
			end = *p
		}
	}
	return end
}

// Feedback takes labels for predictions of an endpoint. They are on disk when it returns. A repeated label replaces the one before; an
// item that is at fault or unknown is reported and does not stop the others. It returns Invalid when there are no items or too many.
func (s *Service) Feedback(ctx context.Context, endpoint string, items []Feedback) (FeedbackResult, error) {
	res := FeedbackResult{Errors: []FeedbackError{}}
	switch {
	case len(items) == 0:
		return res, errs.Invalidf("predlog.feedback", "there is no label in the request").
			WithField("items", `expected {"prediction_id": "...", "label": 1.5} or {"items": [...]}`)
	case len(items) > MaxFeedback:
		return res, errs.E(errs.Exhausted, "predlog.feedback", "too many labels in one request", nil).WithHint("send at most %d at a time", MaxFeedback)
	}
	labels, err := s.check(ctx, endpoint, items, &res)
	if err == nil {
		labels, err = s.known(ctx, endpoint, labels, &res)
	}
	if err == nil && len(labels) > 0 {
		err = s.keep(ctx, endpoint, labels, &res)
	}
	if err != nil {
		return FeedbackResult{Errors: []FeedbackError{}}, err
	}
	for outcome, n := range map[string]int{"accepted": res.Accepted, "late": res.Late, "replaced": res.Replaced, "unknown": res.Unknown, "refused": len(res.Errors) - res.Unknown} {
		s.metrics.labels.WithLabelValues(outcome).Add(float64(n))
	}
	sort.Slice(res.Errors, func(i, j int) bool { return res.Errors[i].Index < res.Errors[j].Index })
	return res, nil
}

func (r *FeedbackResult) refuse(index int, field, message string) {
	r.Errors = append(r.Errors, FeedbackError{index, field, message})
}

// check validates the items and turns keys into ids.
func (s *Service) check(ctx context.Context, endpoint string, items []Feedback, res *FeedbackResult) ([]pendingLabel, error) {
	out := make([]pendingLabel, 0, len(items))
	unresolved := map[string][]int{} // key -> places in out
	for i, it := range items {
		p := pendingLabel{index: i}
		value, problem := checkLabel(it.Label)
		if problem != "" {
			res.refuse(i, "label", problem)
			continue
		}
		p.row.value, p.row.key = value, it.Key
		if it.EventTime != "" {
			t, err := ParseTime(it.EventTime)
			if err != nil {
				res.refuse(i, "event_time", err.Error())
				continue
			}
			p.row.eventTime = t.UnixMicro()
		}
		switch {
		case (it.PredictionID == "") == (it.Key == ""):
			res.refuse(i, "prediction_id", "expected either prediction_id or key")
			continue
		case it.PredictionID != "":
			id, err := ParseID(it.PredictionID)
			if err != nil {
				res.Unknown++
				res.refuse(i, "prediction_id", "there is no such prediction")
				continue
			}
			p.row.id = id
		case len(it.Key) > MaxKey || !utf8.ValidString(it.Key):
			res.refuse(i, "key", "expected at most 256 bytes of UTF-8")
			continue
		default:
			id, ok := s.keys.get(endpoint, it.Key)
			if !ok {
				unresolved[it.Key] = append(unresolved[it.Key], len(out))
			}
			p.row.id = id
		}
		out = append(out, p)
	}
	if len(unresolved) > 0 {
		if err := s.findKeys(ctx, endpoint, unresolved, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkLabel gives the label as it is kept, or what is wrong with it.
func checkLabel(raw json.RawMessage) (value, problem string) {
	const expected = "expected a finite number, a text or a boolean"
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return "", expected
	}
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", expected
		}
	case string:
		if v == "" || len(v) > MaxLabel {
			return "", "expected a text of 1 to 1024 bytes"
		}
	case bool:
	default:
		return "", expected
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", expected
	}
	return string(b), ""
}

// ParseTime reads a caller's time: RFC 3339, a date, or seconds since 1970 with decimals.
func ParseTime(v string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, v); err == nil {
			return checkTime(t.UTC())
		}
	}
	var sec float64
	if json.Unmarshal([]byte(v), &sec) == nil && math.Abs(sec) < 1e11 {
		return checkTime(time.UnixMicro(int64(math.Round(sec * 1e6))).UTC())
	}
	return time.Time{}, errs.Invalidf("predlog.time", "%.40q is not a time: expected RFC 3339 such as 2011-04-01T13:00:00Z, or seconds since 1970", v)
}

func checkTime(t time.Time) (time.Time, error) {
	if y := t.Year(); y < 1900 || y > 2200 {
		return t, errs.Invalidf("predlog.time", "the year %d is out of range: expected 1900 to 2200", y)
	}
	return t, nil
}

// keyScanBytes bounds how far back the log is searched for keys that are not in memory.
const keyScanBytes = 1 << 30

// findKeys looks keys up in the log, newest segments first.
func (s *Service) findKeys(ctx context.Context, endpoint string, want map[string][]int, out []pendingLabel) error {
	segs := s.w.list()
	r := &reader{s: s}
	defer r.close()
	budget := int64(keyScanBytes)
	for i := len(segs) - 1; i >= 0 && len(want) > 0 && budget > 0; i-- {
		v, err := s.look(segs[i], endpoint)
		if err != nil {
			return err
		}
		budget -= v.size
		found := map[string]ID{}
		_, _, err = r.walkSegment(ctx, segs[i], v, endpoint, position{segs[i].seq, 0}, func(_ *segment, _ int64, frame []byte, _ *Schema) (bool, error) {
			if frame[typeAt] != predictionFrame || frame[headerLen]&flagKeys == 0 || roles[min(int(frame[headerLen]&3), 2)] == Shadow {
				return false, nil
			}
			rs, err := decodeBatch(frame, &Schema{})
			for _, rec := range rs {
				if _, ok := want[rec.Key]; ok && err == nil {
					found[rec.Key], err = ParseID(rec.ID)
				}
			}
			return false, err
		})
		if err != nil {
			return err
		}
		for key, id := range found {
			for _, at := range want[key] {
				out[at].row.id = id
			}
			delete(want, key)
			s.keys.put(endpoint, key, id)
		}
	}
	return nil
}

// known drops labels of predictions that are not in the log of this endpoint, and marks the late ones. Of several labels for one
// prediction the last one stays.
func (s *Service) known(ctx context.Context, endpoint string, labels []pendingLabel, res *FeedbackResult) ([]pendingLabel, error) {
	sort.SliceStable(labels, func(i, j int) bool { return string(labels[i].row.id[:]) < string(labels[j].row.id[:]) })
	scored, unread, err := s.scored(ctx, endpoint, labels)
	if err != nil {
		return nil, err
	}
	now := s.d.Clock.Now()
	out := labels[:0]
	for _, l := range labels {
		if len(out) > 0 && out[len(out)-1].row.id == l.row.id {
			res.Replaced++
			res.Accepted++
			l.row.late = out[len(out)-1].row.late
			out[len(out)-1] = l
			continue
		}
		made, ok := scored[l.row.id]
		if err := unread[l.row.id]; !ok && err != nil {
			res.refuse(l.index, "prediction_id", fmt.Sprintf("the sealed predictions of that hour were not read: %v; send the labels of fewer hours in one request", err))
			continue
		}
		if !ok {
			res.Unknown++
			field, what := "prediction_id", fmt.Sprintf("endpoint %.80q has no such prediction", endpoint)
			if l.row.key != "" {
				field, what = "key", fmt.Sprintf("endpoint %.80q has no prediction with this key", endpoint)
			}
			res.refuse(l.index, field, what)
			continue
		}
		l.row.late = late(&made, l.row.eventTime, now, s.d.LabelWindow)
		out = append(out, l)
	}
	return out, nil
}

// scored gives the times of the predictions that labels are for: from the log, and of those that are not in it any more from the sealed
// hours. unread are those that were not looked for there, and why.
func (s *Service) scored(ctx context.Context, endpoint string, labels []pendingLabel) (out map[ID]Record, unread map[ID]error, err error) {
	f := &finder{r: reader{s: s}}
	defer f.r.close()
	out = map[ID]Record{}
	var missing []ID
	var last ID
	for _, l := range labels {
		if l.row.id == last { // the labels are in order of their ids, and no prediction has the zero id
			continue
		}
		last = l.row.id
		r, err := f.first(ctx, endpoint, last)
		switch {
		case err != nil:
			return nil, nil, err
		case r == nil:
			missing = append(missing, last)
		case r.Schema.Endpoint == endpoint:
			out[last] = Record{Time: r.Time, EventTime: r.EventTime, EventTimeSet: r.EventTimeSet}
		}
	}
	unread, err = s.manySealed(ctx, endpoint, missing, sealedHead, func(id ID, rs []Record) {
		out[id] = Record{Time: rs[0].Time, EventTime: rs[0].EventTime, EventTimeSet: rs[0].EventTimeSet}
	})
	for id, why := range unread {
		if !errors.Is(why, errTooMuch) {
			s.d.Log.Warn("a sealed hour of predictions cannot be read", "endpoint", endpoint, "hour", id.Time(), "error", why)
		}
	}
	return out, unread, err
}

// late compares event times where both sides have one, else wall times.
func late(r *Record, labelEvent int64, now time.Time, window time.Duration) bool {
	if r.EventTimeSet && labelEvent != 0 {
		return time.UnixMicro(labelEvent).Sub(r.EventTime) > window
	}
	return now.Sub(r.Time) > window
}

// keep writes the labels to the log, flushes it, and brings the table up to date.
func (s *Service) keep(ctx context.Context, endpoint string, labels []pendingLabel, res *FeedbackResult) error {
	rows := make([]labelRow, len(labels))
	ids := make([]string, len(labels))
	for i, l := range labels {
		rows[i], ids[i] = l.row, l.row.id.String()
	}
	labelled, err := s.labelsOf(ctx, ids)
	if err != nil {
		return err
	}
	replaced := 0
	for i := range rows {
		if _, ok := labelled[ids[i]]; ok {
			rows[i].repl = true
			replaced++
		}
	}
	start, err := s.End().position()
	if err != nil {
		return err
	}
	mine := s.labeling.begin(start)
	defer s.labeling.end(mine)
	now := s.d.Clock.Now()
	if err := s.w.append(appendLabels(nil, now, rows), s.labelStream(endpoint)); err != nil {
		return err
	}
	s.wake(endpoint)
	if err := s.w.flush(); err != nil {
		return err
	}
	end, err := s.End().position()
	if err != nil {
		return err
	}
	if err := s.putLabels(ctx, endpoint, rows, clock.Micros(now), mine, end); err != nil {
		return err
	}
	res.Accepted += len(rows)
	res.Replaced += replaced
	for _, r := range rows {
		if r.late {
			res.Late++
		}
	}
	return nil
}

// first gives the answered record of an id, nil when there is none.
func (f *finder) first(ctx context.Context, endpoint string, id ID) (*Record, error) {
	rs, err := f.search(ctx, endpoint, id, false)
	if err != nil || len(rs) == 0 {
		return nil, err
	}
	return &rs[0], nil
}

// recoverLabels brings labels that are in the log but not in the table into the table: a crash came between the two.
func (s *Service) recoverLabels(ctx context.Context) error {
	from, err := s.labelCursor(ctx)
	if err != nil {
		return err
	}
	pos, err := from.position()
	if err != nil {
		return err
	}
	r := &reader{s: s}
	defer r.close()
	found := false
	end, err := r.walk(ctx, "", pos, func(g *segment, off int64, frame []byte, sc *Schema) (bool, error) {
		if frame[typeAt] != labelFrame {
			return false, nil
		}
		found = true
		ls, err := decodeLabels(frame, sc.Endpoint)
		if err != nil {
			return true, err
		}
		return false, s.restoreLabels(ctx, ls, position{g.seq, off})
	})
	if err != nil || !found {
		return err
	}
	return s.setLabelCursor(ctx, end)
}
