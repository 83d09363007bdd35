package trace

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// The search language of traces: MLflow's (entity.key op value joined by AND) with OR, NOT and parentheses beside.
//
//	trace.status = 'ERROR' AND tag.env IN ('prod', 'stage') AND span.name LIKE 'call%' AND feedback.score > 0.5
//
// A value that is not there passes IS NULL alone; NOT is the plain opposite.

type entity string

const (
	ofTrace       entity = "trace"
	ofTag         entity = "tag"
	ofMetadata    entity = "metadata"
	ofSpan        entity = "span"
	ofFeedback    entity = "feedback"
	ofExpectation entity = "expectation"
	ofIssue       entity = "issue"
)

func entityOf(name string) (entity, bool) {
	switch strings.ToLower(name) {
	case "trace", "attribute", "attributes", "attr":
		return ofTrace, true
	case "tag", "tags":
		return ofTag, true
	case "metadata", "request_metadata":
		return ofMetadata, true
	case "span", "feedback", "expectation", "issue":
		return entity(strings.ToLower(name)), true
	}
	return "", false
}

// attributeOf finds the name of an attribute under its spellings; numeric says how it compares.
func attributeOf(name string) (key string, numeric, ok bool) {
	switch strings.ToLower(name) {
	case "timestamp", "timestamp_ms", "request_time":
		return "timestamp_ms", true, true
	case "execution_time", "execution_time_ms", "execution_duration":
		return "execution_time_ms", true, true
	case "end_time", "end_time_ms":
		return "end_time_ms", true, true
	case "request_id", "trace_id", "id":
		return "request_id", false, true
	case "status", "state":
		return "status", false, true
	case "client_request_id", "name", "run_id", "prompt", "text", "experiment_id", "session_id":
		return strings.ToLower(name), false, true
	}
	return "", false, false
}

type node interface{ node() }

type (
	andNode struct{ parts []node }
	orNode  struct{ parts []node }
	notNode struct{ part node }
	compare struct {
		on     entity
		key    string
		op     string
		number float64
		isNum  bool // the value was written as a number
		text   string
		list   []string
		re     *regexp.Regexp
	}
)

func (*andNode) node() {}
func (*orNode) node()  {}
func (*notNode) node() {}
func (*compare) node() {}

// Bounds of a filter, so that none makes the reader or the search slow.
const (
	maxFilter   = 32 << 10 // bytes
	maxCompares = 100
	maxDepth    = 32
	maxList     = 1000
	maxRegexp   = 1000 // bytes
	maxOrders   = 8
)

func badFilter(format string, args ...any) error {
	return errs.Invalidf("trace.filter", "the filter is not valid: "+format, args...)
}

type tokenKind int

const (
	tokEnd tokenKind = iota
	tokWord
	tokQuoted
	tokNumber
	tokSign
	tokOpen
	tokShut
	tokComma
)

type token struct {
	kind tokenKind
	text string
	pos  int
	keys bool // a word with a quoted part: never a keyword
}

func (t token) is(word string) bool {
	return t.kind == tokWord && !t.keys && strings.EqualFold(t.text, word)
}

type parser struct {
	in       string
	pos      int
	tok      token
	compares int
}

// parseFilter reads a filter; an empty one is nil, which everything passes.
func parseFilter(in string) (node, error) {
	if len(in) > maxFilter {
		return nil, badFilter("it is longer than %d bytes", maxFilter)
	}
	if !utf8.ValidString(in) || strings.IndexByte(in, 0) >= 0 {
		return nil, badFilter("it is not plain UTF-8")
	}
	p := &parser{in: in}
	if err := p.next(); err != nil || p.tok.kind == tokEnd {
		return nil, err
	}
	n, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, badFilter("expected AND, OR or the end at position %d, found %q", p.tok.pos, p.tok.text)
	}
	return n, nil
}

func wordStart(r rune) bool { return r == '_' || r == '`' || unicode.IsLetter(r) }

func wordPart(r rune) bool {
	return wordStart(r) || unicode.IsDigit(r) || strings.ContainsRune("./-:@#$", r)
}

func (p *parser) next() error {
	for p.pos < len(p.in) {
		r, n := utf8.DecodeRuneInString(p.in[p.pos:])
		if !unicode.IsSpace(r) {
			break
		}
		p.pos += n
	}
	p.tok = token{pos: p.pos}
	if p.pos >= len(p.in) {
		return nil
	}
	r, n := utf8.DecodeRuneInString(p.in[p.pos:])
	one := func(k tokenKind) error { p.tok.kind, p.tok.text = k, string(r); p.pos += n; return nil }
	switch {
	case r == '(':
		return one(tokOpen)
	case r == ')':
		return one(tokShut)
	case r == ',':
		return one(tokComma)
	case r == '\'' || r == '"':
		text, err := p.quoted(byte(r))
		p.tok.kind, p.tok.text = tokQuoted, text
		return err
	case strings.ContainsRune("=!<>", r):
		for _, op := range []string{">=", "<=", "!=", "<>", "=", ">", "<"} {
			if strings.HasPrefix(p.in[p.pos:], op) {
				p.pos += len(op)
				p.tok.kind, p.tok.text = tokSign, strings.Replace(op, "<>", "!=", 1)
				return nil
			}
		}
	case r == '-' || r == '+' || r == '.' || unicode.IsDigit(r):
		start := p.pos
		for p.pos++; p.pos < len(p.in) && strings.ContainsRune("0123456789.eE+-_", rune(p.in[p.pos])); p.pos++ {
		}
		p.tok.kind, p.tok.text = tokNumber, p.in[start:p.pos]
		return nil
	case wordStart(r):
		return p.word()
	}
	return badFilter("unexpected character %q at position %d", r, p.pos)
}

// quoted reads to the closing quote; a doubled quote stands for one.
func (p *parser) quoted(q byte) (string, error) {
	start := p.pos
	var b strings.Builder
	for p.pos++; p.pos < len(p.in); p.pos++ {
		if p.in[p.pos] != q {
			b.WriteByte(p.in[p.pos])
			continue
		}
		p.pos++
		if p.pos >= len(p.in) || p.in[p.pos] != q {
			return b.String(), nil
		}
		b.WriteByte(q)
	}
	return "", badFilter("the quote at position %d is not closed", start)
}

// word reads an identifier, whose parts may stand in backticks or, after a dot, in quotes.
func (p *parser) word() error {
	p.tok.kind = tokWord
	var b strings.Builder
	for p.pos < len(p.in) {
		r, n := utf8.DecodeRuneInString(p.in[p.pos:])
		if r == '`' || (r == '"' && strings.HasSuffix(b.String(), ".")) {
			text, err := p.quoted(byte(r))
			if err != nil {
				return err
			}
			b.WriteString(text)
			p.tok.keys = true
			continue
		}
		if !wordPart(r) {
			break
		}
		b.WriteRune(r)
		p.pos += n
	}
	p.tok.text = b.String()
	return nil
}

func (p *parser) or(depth int) (node, error) {
	return p.chain(depth, "OR", p.and, func(parts []node) node { return &orNode{parts} })
}

func (p *parser) and(depth int) (node, error) {
	return p.chain(depth, "AND", p.term, func(parts []node) node { return &andNode{parts} })
}

func (p *parser) chain(depth int, word string, part func(int) (node, error), join func([]node) node) (node, error) {
	var parts []node
	for {
		n, err := part(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
		if !p.tok.is(word) {
			break
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return join(parts), nil
}

func (p *parser) term(depth int) (node, error) {
	if depth >= maxDepth {
		return nil, badFilter("it is nested deeper than %d", maxDepth)
	}
	switch {
	case p.tok.is("NOT"):
		if err := p.next(); err != nil {
			return nil, err
		}
		n, err := p.term(depth + 1)
		return &notNode{n}, err
	case p.tok.kind == tokOpen:
		if err := p.next(); err != nil {
			return nil, err
		}
		n, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.tok.kind != tokShut {
			return nil, badFilter("expected ) at position %d", p.tok.pos)
		}
		return n, p.next()
	}
	return p.compare()
}

// ref reads a key.
func (p *parser) ref() (on entity, key string, numeric bool, err error) {
	t := p.tok
	if t.kind != tokWord {
		return "", "", false, badFilter("expected a key such as tag.name or trace.status at position %d, found %q", t.pos, t.text)
	}
	name, rest, dotted := strings.Cut(t.text, ".")
	on, key = ofTrace, t.text
	if dotted {
		var ok bool
		if on, ok = entityOf(name); !ok {
			return "", "", false, badFilter("unknown entity %.60q at position %d; expected trace, tag, metadata, span, feedback, expectation or issue", name, t.pos)
		}
		key = rest
	}
	if key == "" {
		return "", "", false, badFilter("the key after %q is missing at position %d", name+".", t.pos)
	}
	switch on {
	case ofTrace:
		k, num, ok := attributeOf(key)
		if !ok {
			return "", "", false, badFilter("unknown attribute %.60q at position %d; expected request_id, timestamp_ms, execution_time_ms, end_time_ms, status, client_request_id, name, run_id, session_id, prompt or text", key, t.pos)
		}
		key, numeric = k, num
	case ofSpan:
		attr, isAttr := strings.CutPrefix(key, "attributes.")
		if (isAttr && attr == "") || (!isAttr && !slices.Contains([]string{"name", "type", "status", "content"}, key)) {
			return "", "", false, badFilter("unknown span key %.60q at position %d; expected name, type, status, content or attributes.<key>", key, t.pos)
		}
	case ofIssue:
		if key != "id" {
			return "", "", false, badFilter("unknown issue key %.60q at position %d; expected id", key, t.pos)
		}
	}
	return on, key, numeric, p.next()
}

func (p *parser) compare() (node, error) {
	if p.compares++; p.compares > maxCompares {
		return nil, badFilter("it has more than %d comparisons", maxCompares)
	}
	on, key, numeric, err := p.ref()
	if err != nil {
		return nil, err
	}
	c := &compare{on: on, key: key}
	at := p.tok.pos
	if c.op, err = p.op(); err != nil {
		return nil, err
	}
	if allowed := opsOf(on, key, numeric); !slices.Contains(allowed, c.op) {
		return nil, badFilter("%s.%s does not compare with %s at position %d; use one of %s", on, key, c.op, at, strings.Join(allowed, ", "))
	}
	switch c.op {
	case "IS NULL", "IS NOT NULL":
		return c, nil
	case "IN", "NOT IN":
		c.list, err = p.list()
		return c, err
	}
	t := p.tok
	switch {
	case t.kind == tokNumber && (numeric || on == ofFeedback || on == ofExpectation):
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, badFilter("%.60q at position %d is not a number", t.text, t.pos)
		}
		c.number, c.isNum, c.text = f, true, t.text
	case t.kind == tokQuoted && !numeric && !slices.Contains([]string{"<", "<=", ">", ">="}, c.op):
		c.text = t.text
	case numeric || slices.Contains([]string{"<", "<=", ">", ">="}, c.op):
		return nil, badFilter("expected a number for %s.%s at position %d, found %.60q", on, key, t.pos, t.text)
	default:
		return nil, badFilter("expected a quoted value for %s.%s at position %d, such as 'abc'", on, key, t.pos)
	}
	if c.op == "RLIKE" {
		if c.re, err = compileRegexp(c.text); err != nil {
			return nil, err
		}
	}
	if on == ofTrace && key == "prompt" && strings.Count(c.text, "/") != 1 {
		return nil, badFilter("expected prompt = 'name/version' at position %d", t.pos)
	}
	return c, p.next()
}

// compileRegexp takes RE2 expressions, which run in linear time whatever they say.
func compileRegexp(text string) (*regexp.Regexp, error) {
	if len(text) > maxRegexp {
		return nil, badFilter("the regular expression is longer than %d bytes", maxRegexp)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, badFilter("the regular expression %.100q cannot be read: %v", text, err)
	}
	return re, nil
}

func opsOf(on entity, key string, numeric bool) []string {
	texts := []string{"=", "!=", "LIKE", "ILIKE", "RLIKE"}
	switch {
	case numeric:
		return []string{"=", "!=", "<", "<=", ">", ">="}
	case on == ofIssue, on == ofTrace && key == "prompt":
		return []string{"="}
	case on == ofSpan && key == "content", on == ofTrace && key == "text":
		return []string{"LIKE", "ILIKE", "RLIKE"}
	case on == ofTag, on == ofMetadata:
		return append(texts, "IN", "NOT IN", "IS NULL", "IS NOT NULL")
	case on == ofFeedback, on == ofExpectation:
		return append(texts, "<", "<=", ">", ">=", "IN", "NOT IN", "IS NULL", "IS NOT NULL")
	}
	return append(texts, "IN", "NOT IN")
}

func (p *parser) op() (string, error) {
	t := p.tok
	if t.kind == tokSign {
		return t.text, p.next()
	}
	for _, w := range []string{"LIKE", "ILIKE", "RLIKE", "IN"} {
		if t.is(w) {
			return w, p.next()
		}
	}
	switch {
	case t.is("NOT"):
		if err := p.next(); err != nil {
			return "", err
		}
		if !p.tok.is("IN") {
			return "", badFilter("expected IN at position %d", p.tok.pos)
		}
		return "NOT IN", p.next()
	case t.is("IS"):
		if err := p.next(); err != nil {
			return "", err
		}
		op := "IS NULL"
		if p.tok.is("NOT") {
			op = "IS NOT NULL"
			if err := p.next(); err != nil {
				return "", err
			}
		}
		if !p.tok.is("NULL") {
			return "", badFilter("expected NULL at position %d", p.tok.pos)
		}
		return op, p.next()
	}
	return "", badFilter("expected a comparison such as = or LIKE at position %d, found %.60q", t.pos, t.text)
}

func (p *parser) list() ([]string, error) {
	if p.tok.kind != tokOpen {
		return nil, badFilter("expected a list such as ('a', 'b') at position %d", p.tok.pos)
	}
	var out []string
	for {
		if err := p.next(); err != nil {
			return nil, err
		}
		if p.tok.kind != tokQuoted {
			return nil, badFilter("expected a quoted value in the list at position %d", p.tok.pos)
		}
		if out = append(out, p.tok.text); len(out) > maxList {
			return nil, badFilter("the list has more than %d values", maxList)
		}
		if err := p.next(); err != nil {
			return nil, err
		}
		switch p.tok.kind {
		case tokComma:
		case tokShut:
			return out, p.next()
		default:
			return nil, badFilter("expected , or ) at position %d", p.tok.pos)
		}
	}
}

// order is one sort key of traces.
type order struct {
	key  string
	desc bool
}

// parseOrder reads sort keys such as "timestamp_ms DESC".
func parseOrder(items []string) ([]order, error) {
	if len(items) > maxOrders {
		return nil, errs.Invalidf("trace.order", "order_by has more than %d keys", maxOrders)
	}
	var out []order
	for _, item := range items {
		o, err := parseOneOrder(item)
		if err != nil {
			return nil, errs.E(errs.Invalid, "trace.order", fmt.Sprintf("order_by %.100q is not valid", item), err)
		}
		if !slices.ContainsFunc(out, func(have order) bool { return have.key == o.key }) {
			out = append(out, o)
		}
	}
	return out, nil
}

func parseOneOrder(item string) (order, error) {
	if len(item) > 1000 || !utf8.ValidString(item) {
		return order{}, badFilter("it is too long")
	}
	p := &parser{in: item}
	if err := p.next(); err != nil {
		return order{}, err
	}
	on, key, _, err := p.ref()
	if err != nil {
		return order{}, err
	}
	if on != ofTrace || slices.Contains([]string{"prompt", "text", "client_request_id", "session_id"}, key) {
		return order{}, badFilter("traces sort by timestamp_ms, execution_time_ms, end_time_ms, status, request_id, name, run_id or experiment_id")
	}
	o := order{key: key}
	if p.tok.is("ASC") || p.tok.is("DESC") {
		o.desc = p.tok.is("DESC")
		if err := p.next(); err != nil {
			return order{}, err
		}
	}
	if p.tok.kind != tokEnd {
		return order{}, badFilter("expected ASC, DESC or the end, found %.60q", p.tok.text)
	}
	return o, nil
}
