package trace

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
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

func onSpan(c *compare) bool { return c.on == ofSpan || (c.on == ofTrace && c.key == "text") }

func (c *candidate) one(k *compare) bool {
	switch k.on {
	case ofTrace:
		return c.attribute(k)
	case ofTag:
		v, ok := c.Tags[k.key]
		if k.key == TagPrompts && !ok && len(c.prompts) > 0 {
			v, ok = strings.Join(c.prompts, ","), true
		}
		return k.text1(v, ok)
	case ofMetadata:
		v, ok := c.Metadata[k.key]
		return k.text1(v, ok)
	case ofIssue:
		return slices.ContainsFunc(c.Assessments, func(a Assessment) bool { return a.Kind == Issue && a.Name == k.text })
	}
	return c.assessed(k)
}

func (c *candidate) attribute(k *compare) bool {
	switch k.key {
	case "timestamp_ms":
		return k.number1(float64(c.Start.UnixMilli()))
	case "execution_time_ms":
		return c.Duration != nil && k.number1(float64(c.Duration.Milliseconds()))
	case "end_time_ms":
		return k.number1(float64(c.endMillis()))
	case "request_id":
		return k.text1(c.ID, true)
	case "status":
		return k.text1(string(c.State), true)
	case "client_request_id":
		return k.text1(c.ClientRequestID, c.ClientRequestID != "")
	case "name":
		return k.text1(c.Name, c.Name != "")
	case "session_id":
		return k.text1(c.Metadata[MetaSession], c.Metadata[MetaSession] != "")
	case "experiment_id":
		return k.text1(c.ExperimentID, true)
	case "prompt":
		return slices.Contains(c.prompts, k.text)
	case "run_id":
		if v := c.RunID(); v != "" && k.text1(v, true) {
			return true
		}
		return slices.ContainsFunc(c.runs, func(r string) bool { return k.text1(r, true) })
	}
	return false
}

func (t *Trace) endMillis() int64 {
	end := t.Start.UnixMilli()
	if t.Duration != nil {
		end += t.Duration.Milliseconds()
	}
	return end
}

// assessed: some valid assessment of that name has such a value.
func (c *candidate) assessed(k *compare) bool {
	there := false
	for i := range c.Assessments {
		a := &c.Assessments[i]
		if !a.Valid || string(a.Kind) != string(k.on) || a.Name != k.key {
			continue
		}
		there = true
		if k.op != "IS NULL" && k.value1(a) {
			return true
		}
	}
	return k.op == "IS NULL" && !there
}

func (k *compare) value1(a *Assessment) bool {
	if k.op == "IS NOT NULL" {
		return true
	}
	if k.isNum {
		f, ok := a.number()
		if !ok {
			return k.op == "!="
		}
		return k.number1(f)
	}
	return k.text1(plain(a.Value), true)
}

func (k *compare) number1(v float64) bool {
	switch k.op {
	case "=":
		return v == k.number
	case "!=":
		return v != k.number
	case "<":
		return v < k.number
	case "<=":
		return v <= k.number
	case ">":
		return v > k.number
	case ">=":
		return v >= k.number
	}
	return false
}

func (k *compare) text1(v string, there bool) bool {
	if !there {
		return k.op == "IS NULL"
	}
	switch k.op {
	case "=":
		return v == k.text
	case "!=":
		return v != k.text
	case "LIKE":
		return like(k.text, v)
	case "ILIKE":
		return like(strings.ToLower(k.text), strings.ToLower(v))
	case "RLIKE":
		return k.re.MatchString(v)
	case "IN":
		return slices.Contains(k.list, v)
	case "NOT IN":
		return !slices.Contains(k.list, v)
	case "IS NOT NULL":
		return true
	}
	return false
}

// like is SQL's LIKE without an escape character: % is any text, _ one character. Texts without wildcards inside are looked for directly,
// as span contents are long.
func like(pattern, s string) bool {
	if inner := strings.Trim(pattern, "%"); !strings.ContainsAny(inner, "%_") {
		open, shut := strings.HasPrefix(pattern, "%"), strings.HasSuffix(pattern, "%")
		switch {
		case open && shut:
			return strings.Contains(s, inner)
		case open:
			return strings.HasSuffix(s, inner)
		case shut:
			return strings.HasPrefix(s, inner)
		}
		return s == inner
	}
	p, v := []rune(pattern), []rune(s)
	i, j, star, mark := 0, 0, -1, 0
	for j < len(v) {
		switch {
		case i < len(p) && p[i] == '%':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '_' || p[i] == v[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '%' {
		i++
	}
	return i == len(p)
}

// someSpan: one span passes all comparisons. When names, types and states are all that is asked for, the shapes answer.
func (c *candidate) someSpan(ks []*compare) (bool, error) {
	shallow := !c.shapes.Over && !slices.ContainsFunc(ks, func(k *compare) bool {
		return k.on != ofSpan || k.key == "content" || strings.HasPrefix(k.key, "attributes.")
	})
	if shallow {
		return slices.ContainsFunc(c.shapes.List, func(s shape) bool {
			for _, k := range ks {
				if !k.text1(map[string]string{"name": s.Name, "type": s.Type, "status": s.Status}[k.key], true) {
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
	case k.on == ofTrace || k.key == "content":
		return k.text1(s.content(), true)
	case k.key == "name":
		return k.text1(s.Name, true)
	case k.key == "type":
		return k.text1(s.Type(), true)
	case k.key == "status":
		return k.text1(string(s.Status), true)
	}
	v := s.Get(strings.TrimPrefix(k.key, "attributes."))
	return k.text1(plain(v), v != nil)
}

// content is a span as text: its name, its attributes and what happened in it.
func (s *Span) content() string {
	b, err := json.Marshal(struct {
		Name       string
		Attributes []Attribute
		Events     []SpanEvent
		Message    string
	}{s.Name, s.Attributes, s.Events, s.Message})
	if err != nil {
		return s.Name
	}
	return string(b)
}

// needs says what a filter reads beside the row of a trace.
type needs struct{ assessments, links bool }

func needsOf(n node) (out needs) {
	walk(n, func(c *compare) {
		switch {
		case c.on == ofFeedback || c.on == ofExpectation || c.on == ofIssue:
			out.assessments = true
		case c.on == ofTrace && (c.key == "run_id" || c.key == "prompt"), c.on == ofTag && c.key == TagPrompts:
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
	for i := range chunk {
		t := chunk[i]
		var spans []Span
		read := false
		c := candidate{Trace: &t, runs: runs[t.ID], prompts: prompts[t.ID], spans: func() ([]Span, error) {
			if !read {
				var err error
				if spans, err = s.st.spans(ctx, t.ID); err != nil {
					return nil, err
				}
				read = true
			}
			return spans, ctx.Err()
		}}
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
