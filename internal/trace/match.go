package trace

import (
	"context"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/filter"
)

// candidate is a trace that a filter is tried on; what the filter needs beside the row is read when it is needed.
type candidate struct {
	*Trace
	runs, prompts []string
	spans         func() ([]Span, error)
}

// matches tries a filter. Span comparisons that stand beside each other under one AND must hold for one and the same span.
func matches(n node, c *candidate) (bool, error) {
	switch n := n.(type) {
	case nil:
		return true, nil
	case *andNode:
		var spans []*compare
		for _, p := range n.parts {
			if s, ok := p.(*compare); ok && onSpan(s) {
				spans = append(spans, s)
				continue
			}
			if ok, err := matches(p, c); !ok || err != nil {
				return false, err
			}
		}
		if len(spans) == 0 {
			return true, nil
		}
		return c.someSpan(spans)
	case *orNode:
		for _, p := range n.parts {
			if ok, err := matches(p, c); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case *notNode:
		ok, err := matches(n.part, c)
		return !ok, err
	case *compare:
		if onSpan(n) {
			return c.someSpan([]*compare{n})
		}
		return c.one(n), nil
	}
	return false, nil
}

func onSpan(c *compare) bool {
	return c.Ref.Entity == ofSpan || (c.Ref.Entity == ofTrace && c.Ref.Key == "text")
}

func (c *candidate) one(k *compare) bool {
	switch k.Ref.Entity {
	case ofTrace:
		return c.attribute(k)
	case ofTag:
		v, ok := c.Tags[k.Ref.Key]
		if k.Ref.Key == TagPrompts && !ok && len(c.prompts) > 0 {
			v, ok = strings.Join(c.prompts, ","), true
		}
		return k.text(v, ok)
	case ofMetadata:
		v, ok := c.Metadata[k.Ref.Key]
		return k.text(v, ok)
	case ofIssue:
		return slices.ContainsFunc(c.Assessments, func(a Assessment) bool { return a.Kind == Issue && k.texts(a.Name) })
	}
	return c.assessed(k)
}

func (c *candidate) attribute(k *compare) bool {
	switch k.Ref.Key {
	case "timestamp_ms":
		return k.number(float64(c.Start.UnixMilli()), true)
	case "execution_time_ms":
		return k.number(float64(c.millis()), c.Duration != nil)
	case "end_time_ms":
		return k.number(float64(c.Start.UnixMilli()+c.millis()), true)
	case "request_id":
		return k.text(c.ID, true)
	case "status":
		return k.text(string(c.State), true)
	case "client_request_id":
		return k.text(c.ClientRequestID, c.ClientRequestID != "")
	case "name":
		return k.text(c.Name, c.Name != "")
	case "session_id":
		return k.text(c.Metadata[MetaSession], c.Metadata[MetaSession] != "")
	case "experiment_id":
		return k.text(c.ExperimentID, true)
	case "prompt":
		return slices.ContainsFunc(c.prompts, k.texts)
	case "run_id":
		runs := c.runs
		if v := c.RunID(); v != "" {
			runs = append(slices.Clip(runs), v)
		}
		return (len(runs) == 0 && k.Op == filter.IsNull) || slices.ContainsFunc(runs, func(r string) bool { return k.text(r, true) })
	}
	return false
}

// millis is the duration, 0 while it runs.
func (t *Trace) millis() int64 {
	if t.Duration == nil {
		return 0
	}
	return t.Duration.Milliseconds()
}

// assessed: some valid assessment of that name has such a value.
func (c *candidate) assessed(k *compare) bool {
	there := false
	for i := range c.Assessments {
		a := &c.Assessments[i]
		if !a.Valid || string(a.Kind) != string(k.Ref.Entity) || a.Name != k.Ref.Key {
			continue
		}
		there = true
		if k.Op != filter.IsNull && k.value1(a) {
			return true
		}
	}
	return k.Op == filter.IsNull && !there
}

func (k *compare) value1(a *Assessment) bool {
	if k.Op == filter.NotNull {
		return true
	}
	if k.Numeric {
		f, ok := a.number()
		return (ok && k.numbers(f)) || (!ok && (k.Op == filter.Ne || k.Op == filter.NotIn))
	}
	return k.texts(plain(a.Value))
}

// text tries a text that may not be there.
func (k *compare) text(v string, there bool) bool {
	if !there {
		return k.Op == filter.IsNull
	}
	return k.Op != filter.IsNull && k.texts(v)
}

// number tries a number that may not be there.
func (k *compare) number(v float64, there bool) bool {
	if !there {
		return k.Op == filter.IsNull
	}
	return k.Op != filter.IsNull && k.numbers(v)
}

// someSpan: one span passes all comparisons. When names, types and states are all that is asked for, the shapes answer.
func (c *candidate) someSpan(ks []*compare) (bool, error) {
	shallow := !c.shapes.Over && !slices.ContainsFunc(ks, func(k *compare) bool {
		return k.Ref.Entity != ofSpan || k.Ref.Key == "content" || strings.HasPrefix(k.Ref.Key, "attributes.")
	})
	if shallow {
		return slices.ContainsFunc(c.shapes.List, func(s shape) bool {
			for _, k := range ks {
				if !k.text(map[string]string{"name": s.Name, "type": s.Type, "status": s.Status}[k.Ref.Key], true) {
					return false
				}
			}
			return true
		}), nil
	}
	spans, err := c.spans()
	if err != nil {
		return false, err
	}
	for i := range spans {
		ok := true
		for _, k := range ks {
			if ok = spanPasses(&spans[i], k); !ok {
				break
			}
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

func spanPasses(s *Span, k *compare) bool {
	switch {
	case k.Ref.Entity == ofTrace || k.Ref.Key == "content":
		return k.text(s.content(), true)
	case k.Ref.Key == "name":
		return k.text(s.Name, true)
	case k.Ref.Key == "type":
		return k.text(s.Type(), true)
	case k.Ref.Key == "status":
		return k.text(string(s.Status), true)
	}
	v := s.Get(strings.TrimPrefix(k.Ref.Key, "attributes."))
	return k.text(plain(v), v != nil)
}

// content is a span as text: its name, its attributes and what happened in it.
func (s *Span) content() string {
	text, err := encode(struct {
		Name       string
		Attributes []Attribute
		Events     []SpanEvent
		Message    string
	}{s.Name, s.Attributes, s.Events, s.Message})
	if err != nil {
		return s.Name
	}
	return string(canonical([]byte(text)))
}

// needs says what a filter reads beside the row of a trace.
type needs struct{ assessments, links bool }

func needsOf(n node) (out needs) {
	walk(n, func(c *compare) {
		switch {
		case c.Ref.Entity == ofFeedback || c.Ref.Entity == ofExpectation || c.Ref.Entity == ofIssue:
			out.assessments = true
		case c.Ref.Entity == ofTrace && (c.Ref.Key == "run_id" || c.Ref.Key == "prompt"), c.Ref.Entity == ofTag && c.Ref.Key == TagPrompts:
			out.links = true
		}
	})
	return out
}

func walk(n node, visit func(*compare)) {
	switch n := n.(type) {
	case *andNode:
		for _, p := range n.parts {
			walk(p, visit)
		}
	case *orNode:
		for _, p := range n.parts {
			walk(p, visit)
		}
	case *notNode:
		walk(n.part, visit)
	case *compare:
		visit(n)
	}
}

// filterTraces keeps the traces of a chunk that pass.
func (s *Service) filterTraces(ctx context.Context, n node, chunk []Trace) ([]Trace, error) {
	if n == nil || len(chunk) == 0 {
		return chunk, nil
	}
	need := needsOf(n)
	ids := make([]string, len(chunk))
	for i := range chunk {
		ids[i] = chunk[i].ID
	}
	var runs, prompts map[string][]string
	var err error
	if need.assessments {
		if err = s.assess(ctx, chunk); err != nil {
			return nil, err
		}
	}
	if need.links {
		if runs, err = s.st.links(ctx, "run", ids); err != nil {
			return nil, err
		}
		if prompts, err = s.st.links(ctx, "prompt", ids); err != nil {
			return nil, err
		}
	}
	out := chunk[:0]
	read := s.st.reading(ctx, slices.Clone(chunk))
	for i := range chunk {
		t := chunk[i]
		c := candidate{Trace: &t, runs: runs[t.ID], prompts: prompts[t.ID], spans: func() ([]Span, error) { return read(t.ID) }}
		ok, err := matches(n, &c)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, t)
		}
	}
	return out, nil
}
