package trace

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// SpanBatch is spans of one trace that came together.
type SpanBatch struct {
	TraceID  string
	Spans    []Span
	Resource map[string]string // what the spans' process says of itself; becomes tags
}

// Added says what became of spans. Reason is why the first of the rejected was rejected.
type Added struct {
	Accepted int
	Rejected int
	Reason   string
}

func (a *Added) reject(n int, err error) {
	a.Rejected += n
	if a.Reason == "" {
		a.Reason = err.Error()
	}
}

// AddSpans keeps spans of any number of traces of an experiment; traces that are not there are made. All that is accepted is kept in one
// transaction; what is over a limit is rejected and the rest goes on. Kinds: Invalid, NotFound (the experiment).
func (s *Service) AddSpans(ctx context.Context, experimentID string, batches []SpanBatch) (Added, error) {
	if err := s.d.Experiment(ctx, experimentID); err != nil {
		return Added{}, err
	}
	if len(batches) > MaxTracesPerCall {
		return Added{}, errs.Invalidf("trace.spans", "a call takes spans of at most %d traces, got %d", MaxTracesPerCall, len(batches)).WithHint("export smaller batches")
	}
	var first Added
	kept := make([]packed, 0, len(batches))
	for _, b := range batches {
		var c errs.Collector
		checkID(&c, "trace_id", b.TraceID)
		if err := c.Err("trace.spans", "the trace id is not valid"); err != nil {
			first.reject(len(b.Spans), err)
			continue
		}
		ok := make([]Span, 0, len(b.Spans))
		for i := range b.Spans {
			b.Spans[i].tidy()
			if err := b.Spans[i].Validate(); err != nil {
				first.reject(1, err)
				continue
			}
			ok = append(ok, b.Spans[i])
		}
		b.Spans = merge(ok)
		if len(b.Spans) == 0 {
			continue
		}
		block, err := s.st.pack.block(b.Spans)
		if err != nil {
			return Added{}, err
		}
		kept = append(kept, packed{b, block})
	}
	kept, err := s.onlyMine(ctx, kept, &first)
	if err != nil {
		return Added{}, err
	}
	slices.SortFunc(kept, func(a, b packed) int { return strings.Compare(a.TraceID, b.TraceID) }) // one order for all writers
	out := first
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		out = first
		for _, b := range kept {
			if err := s.addBatch(ctx, tx, experimentID, b); errs.Is(err, errs.Exhausted) {
				out.reject(len(b.Spans), err)
			} else if err != nil {
				return err
			} else {
				out.Accepted += len(b.Spans)
			}
		}
		return nil
	})
	if err != nil {
		return Added{}, err
	}
	for _, b := range kept {
		s.waiting.wake(b.TraceID)
	}
	s.metrics.spans.WithLabelValues("accepted").Add(float64(out.Accepted))
	s.metrics.spans.WithLabelValues("rejected").Add(float64(out.Rejected))
	return out, nil
}

// onlyMine rejects spans of traces that are there and that the request may not see.
func (s *Service) onlyMine(ctx context.Context, in []packed, out *Added) ([]packed, error) {
	if len(in) == 0 || !s.limited(ctx) {
		return in, nil
	}
	ids := make([]string, len(in))
	for i := range in {
		ids[i] = in[i].TraceID
	}
	theirs := map[string]bool{}
	there, err := s.st.experimentsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	for id, experiment := range there {
		ok, err := s.sees(ctx, experiment)
		if err != nil {
			return nil, err
		}
		theirs[id] = !ok
	}
	kept := in[:0]
	for _, b := range in {
		if theirs[b.TraceID] {
			out.reject(len(b.Spans), noTrace(b.TraceID))
			continue
		}
		kept = append(kept, b)
	}
	return kept, nil
}

// packed is a batch made ready before the transaction, which others wait for.
type packed struct {
	SpanBatch
	spanBlock
}

// addBatch adds spans of one trace. Exhausted when the trace is full.
func (s *Service) addBatch(ctx context.Context, tx *db.Tx, experimentID string, b packed) error {
	t, err := s.revive(ctx, tx, b.TraceID, experimentID)
	if err != nil {
		return err
	}
	if t == nil {
		t = &Trace{ID: b.TraceID, ExperimentID: experimentID, State: StateInProgress, Tags: map[string]string{}, Metadata: map[string]string{MetaSchema: "3"}}
		t.Tags[TagArtifacts] = ArtifactURI(experimentID, t.ID)
	}
	fresh, err := s.st.newSpans(tx, t, b.facts)
	if err != nil {
		return err
	}
	if t.SpanCount+fresh > MaxSpansPerTrace || t.bytes+b.size > MaxTraceBytes {
		return errs.E(errs.Exhausted, "trace.spans", "the trace is full", nil).WithHint("a trace takes at most %d spans and %d MiB", MaxSpansPerTrace, MaxTraceBytes>>20)
	}
	t.bytes += b.size
	t.SpanCount += fresh
	t.shapes.add(b.Spans)
	t.learn(b.SpanBatch)
	if err := s.st.appendSpans(tx, t.ID, b.Spans, b.spanBlock); err != nil {
		return err
	}
	if t.usageFrom(b.Spans) {
		all, err := s.st.spansOf(tx, t.ID)
		if err != nil {
			return err
		}
		t.addUp(all)
	}
	return put(tx, t)
}

// learn takes out of spans what the client did not tell of the whole trace.
func (t *Trace) learn(b SpanBatch) {
	t.Tags[TagSpansLocation] = spansHere
	for k, v := range b.Resource {
		if !strings.HasPrefix(k, "telemetry.sdk.") && !strings.HasPrefix(k, "mlflow.") {
			t.addTag(k, v)
		}
	}
	start, end := int64(math.MaxInt64), int64(0)
	for i := range b.Spans {
		start, end = min(start, b.Spans[i].Start), max(end, b.Spans[i].End)
	}
	if !t.finalized {
		first := time.Unix(0, start).UTC().Truncate(time.Millisecond)
		last := time.Unix(0, end).UTC().Truncate(time.Millisecond)
		if t.Duration != nil && t.Start.Add(*t.Duration).After(last) {
			last = t.Start.Add(*t.Duration)
		}
		if t.Start.IsZero() || first.Before(t.Start) {
			t.Start = first
		}
		if end != 0 || t.Duration != nil {
			d := max(0, last.Sub(t.Start))
			t.Duration = &d
		}
	}
	for i := range b.Spans {
		if b.Spans[i].ParentID == "" {
			t.learnRoot(&b.Spans[i])
		}
		t.learnWho(&b.Spans[i])
	}
}

func (t *Trace) learnRoot(root *Span) {
	if (t.State == StateInProgress || t.State == StateUnspecified) && root.End != 0 {
		t.State = StateOK
		if root.Status == SpanError {
			t.State = StateError
		}
	}
	if t.RequestPreview == nil {
		t.RequestPreview = preview(root.Get(AttrInputs), "user")
	}
	if t.ResponsePreview == nil {
		t.ResponsePreview = preview(root.Get(AttrOutputs), "assistant")
	}
	for _, a := range root.Attributes {
		if key, ok := strings.CutPrefix(a.Key, AttrTagBase); ok && key != TagSpansLocation {
			t.addTag(key, plain(a.Value))
		}
	}
	if t.Tags[TagName] == "" {
		t.addTag(TagName, root.Name)
	}
	t.rename()
}

// addTag adds a tag of a client that does not hear of errors: what does not fit is cut.
func (t *Trace) addTag(key, value string) {
	key, value = clean(key), clean(value)
	if r := []rune(value); len(r) > MaxTagValue {
		value = string(r[:MaxTagValue])
	}
	_, have := t.Tags[key]
	if key == "" || len(key) > MaxKey || (!have && len(t.Tags) >= MaxLabels) {
		return
	}
	t.Tags[key] = value
}

func (t *Trace) learnWho(s *Span) {
	for attr, meta := range map[string]string{AttrSession: MetaSession, AttrUser: MetaUser} {
		if v := clean(s.Text(attr)); v != "" && t.Metadata[meta] == "" && len(v) <= MaxMetadataValue && len(t.Metadata) < MaxLabels {
			t.Metadata[meta] = v
		}
	}
}

// usageFrom reports whether tokens and costs must be added up anew because of new spans.
func (t *Trace) usageFrom(spans []Span) bool {
	if t.finalized && t.Metadata[MetaTokens] != "" {
		return false
	}
	return t.Metadata[MetaTokens] != "" || t.Metadata[MetaCost] != "" ||
		slices.ContainsFunc(spans, func(s Span) bool { return s.Get(AttrTokens) != nil || s.Get(AttrCost) != nil })
}

// addUp adds the tokens and costs of a trace's spans. A span that tells of usage tells of its children's too, so those below it do not count.
func (t *Trace) addUp(spans []Span) {
	if u := sum(spans, AttrTokens, "input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"); u != "" {
		t.Metadata[MetaTokens] = u
	}
	if u := sum(spans, AttrCost, "input_cost", "output_cost", "total_cost"); u != "" {
		t.Metadata[MetaCost] = u
	}
}

// sum adds the numbers of a JSON attribute over the topmost spans that have it; the first three keys are always there.
func sum(spans []Span, attr string, keys ...string) string {
	at := make(map[string]*Span, len(spans))
	for i := range spans {
		at[spans[i].ID] = &spans[i]
	}
	covered := func(s *Span) bool {
		for depth := 0; depth < len(spans); depth++ { // a client may send a loop
			if s = at[s.ParentID]; s == nil {
				return false
			}
			if s.Get(attr) != nil {
				return true
			}
		}
		return true
	}
	total, found := map[string]float64{}, false
	for i := range spans {
		raw := spans[i].Get(attr)
		if raw == nil || covered(&spans[i]) {
			continue
		}
		if raw[0] == '"' {
			raw = json.RawMessage(plain(raw))
		}
		var u map[string]any
		if json.Unmarshal(raw, &u) != nil {
			continue
		}
		found = true
		for i, k := range keys {
			f, ok := u[k].(float64)
			if ok || i < 3 {
				total[k] += f
			}
		}
	}
	if !found {
		return ""
	}
	out, err := json.Marshal(total)
	if err != nil { // sums past the largest number
		return ""
	}
	return string(out)
}

// preview makes the short form of inputs or outputs: the last message of a chat by role, else the JSON itself.
func preview(v json.RawMessage, role string) *string {
	if len(v) == 0 {
		return nil
	}
	text := plain(v)
	var obj map[string]any
	if json.Unmarshal([]byte(text), &obj) == nil {
		if m := lastMessage(obj, role); m != "" {
			text = m
		}
	}
	return clipPreview(&text, previewLength)
}

func lastMessage(obj map[string]any, role string) string {
	var list []any
	for _, key := range []string{"messages", "input", "output"} {
		if l, ok := obj[key].([]any); ok && len(l) > 0 {
			list = l
			break
		}
	}
	if choices, ok := obj["choices"].([]any); ok && list == nil && len(choices) > 0 {
		if c, ok := choices[0].(map[string]any); ok {
			list = []any{c["message"]}
		}
	}
	if inner, ok := obj["request"].(map[string]any); ok && list == nil {
		return lastMessage(inner, role)
	}
	var found map[string]any
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok || m["content"] == nil {
			continue
		}
		if found == nil || found["role"] != role || m["role"] == role {
			found = m
		}
	}
	switch content := found["content"].(type) {
	case string:
		return content
	case []any:
		for _, part := range content {
			if s, ok := part.(string); ok {
				return s
			}
			if m, ok := part.(map[string]any); ok && (m["type"] == "text" || m["type"] == "output_text") {
				s, _ := m["text"].(string)
				return s
			}
		}
	}
	return ""
}
