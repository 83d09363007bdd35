// Package filter reads the search language of the MLflow clients into a typed tree: entity.key op value, joined by AND. OR and
// parentheses are accepted too; they are a superset that the clients pass through unchanged. Reading knows the schema of what is
// searched, so a tree that was read holds only keys, operators and values that make sense together.
package filter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Entity is the part of a thing that a key belongs to.
type Entity string

// The entities.
const (
	Attribute Entity = "attribute"
	Metric    Entity = "metric"
	Param     Entity = "param"
	Tag       Entity = "tag"
	Dataset   Entity = "dataset"
)

// Op is a comparison.
type Op string

// The comparisons.
const (
	Eq      Op = "="
	Ne      Op = "!="
	Lt      Op = "<"
	Le      Op = "<="
	Gt      Op = ">"
	Ge      Op = ">="
	Like    Op = "LIKE"
	ILike   Op = "ILIKE"
	In      Op = "IN"
	NotIn   Op = "NOT IN"
	IsNull  Op = "IS NULL"
	NotNull Op = "IS NOT NULL"
)

var (
	numberOps    = []Op{Eq, Ne, Lt, Le, Gt, Ge}
	textOps      = []Op{Eq, Ne, Like, ILike}
	listOps      = []Op{In, NotIn}
	presenceOps  = []Op{IsNull, NotNull}
	datasetKeys  = []string{"name", "digest", "context"}
	entityByName = map[string]Entity{
		"attribute": Attribute, "attributes": Attribute, "attr": Attribute, "run": Attribute, "model": Attribute,
		"metric": Metric, "metrics": Metric,
		"param": Param, "params": Param, "parameter": Param, "parameters": Param,
		"tag": Tag, "tags": Tag,
		"dataset": Dataset, "datasets": Dataset,
	}
)

// Ref names one column of what is searched.
type Ref struct {
	Entity Entity
	Key    string
	Of     Aggregate // of the points of a metric; empty for the last one, and for everything else
}

// Aggregate is a function over the points of a metric.
type Aggregate string

// The aggregates. Last is the value that metrics.x stands for, so it reads as no aggregate at all.
const (
	Last Aggregate = ""
	Min  Aggregate = "min"
	Max  Aggregate = "max"
	Best Aggregate = "best"
)

func (r Ref) String() string { return string(r.Entity) + "." + r.Key }

// AttributeType says how an attribute compares.
type AttributeType int

// The types of attributes.
const (
	Text   AttributeType = iota // = != LIKE ILIKE
	Listed                      // Text, and IN and NOT IN
	Number                      // = != < <= > >=
)

// Schema is what can be searched in one kind of thing.
type Schema struct {
	Attributes map[string]AttributeType
	Aliases    map[string]string // other spellings of attributes
	Entities   []Entity          // besides Attribute
	OrderOnly  map[string]bool   // attributes that sort but do not filter
}

// Node is a tree: *And, *Or or *Compare.
type Node interface{ node() }

// And is true when all parts are.
type And struct{ Parts []Node }

// Or is true when one part is.
type Or struct{ Parts []Node }

// Not is true when its part is not.
type Not struct{ Part Node }

// Compare is one comparison. Number is the value for numeric columns, Text for the others, List for IN.
type Compare struct {
	Ref    Ref
	Op     Op
	Number float64
	Text   string
	List   []string

	Numbered []float64 // List of numeric columns
}

func (*And) node()     {}
func (*Or) node()      {}
func (*Not) node()     {}
func (*Compare) node() {}

// Bounds of what is read, so that no input makes the reader or the search slow.
const (
	MaxLength   = 64 << 10 // bytes
	MaxCompares = 256
	maxDepth    = 32
	maxList     = 5000
)

func invalid(format string, args ...any) error {
	return errs.Invalidf("filter.parse", "the filter is not valid: "+format, args...)
}

// Parse reads a filter; an empty one gives nil, which everything passes. It returns Invalid with what was expected.
func Parse(text string, s Schema) (Node, error) {
	if len(text) > MaxLength {
		return nil, invalid("it is longer than %d bytes", MaxLength)
	}
	p := &parser{lex: lexer{in: text}, schema: s}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == end {
		return nil, nil
	}
	n, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != end {
		return nil, invalid("expected AND, OR or the end at position %d, found %q", p.tok.pos, p.tok.text)
	}
	return n, nil
}

type parser struct {
	lex      lexer
	tok      token
	schema   Schema
	compares int
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) or(depth int) (Node, error) {
	return p.chain(depth, "OR", p.and, func(parts []Node) Node { return &Or{parts} })
}

func (p *parser) and(depth int) (Node, error) {
	return p.chain(depth, "AND", p.term, func(parts []Node) Node { return &And{parts} })
}

func (p *parser) chain(depth int, word string, part func(int) (Node, error), join func([]Node) Node) (Node, error) {
	first, err := part(depth)
	if err != nil {
		return nil, err
	}
	parts := []Node{first}
	for p.tok.keyword() == word {
		if err := p.advance(); err != nil {
			return nil, err
		}
		n, err := part(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
	}
	if len(parts) == 1 {
		return first, nil
	}
	return join(parts), nil
}

func (p *parser) term(depth int) (Node, error) {
	if p.tok.kind != open {
		return p.compare()
	}
	if depth >= maxDepth {
		return nil, invalid("parentheses are nested deeper than %d", maxDepth)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != shut {
		return nil, invalid("expected ) at position %d", p.tok.pos)
	}
	return n, p.advance()
}

func (p *parser) compare() (Node, error) {
	if p.compares++; p.compares > MaxCompares {
		return nil, invalid("it has more than %d comparisons", MaxCompares)
	}
	ref, typ, err := p.ref()
	if err != nil {
		return nil, err
	}
	if ref.Entity == Attribute && p.schema.OrderOnly[ref.Key] {
		return nil, invalid("attribute %q can be sorted by, not filtered", ref.Key)
	}
	c := &Compare{Ref: ref}
	if c.Op, err = p.op(); err != nil {
		return nil, err
	}
	if allowed := opsOf(ref, typ); !slices.Contains(allowed, c.Op) {
		return nil, invalid("%s does not compare with %s; use one of %s", ref, c.Op, join(allowed))
	}
	switch c.Op {
	case IsNull, NotNull:
		return c, nil
	case In, NotIn:
		c.List, err = p.list()
		return c, err
	}
	return c, p.value(c, ref.Entity == Metric || typ == Number)
}

func opsOf(r Ref, typ AttributeType) []Op {
	switch {
	case r.Entity == Metric:
		return numberOps
	case r.Entity == Param || r.Entity == Tag:
		return append(slices.Clip(textOps), presenceOps...)
	case r.Entity == Dataset:
		return append(slices.Clip(textOps), listOps...)
	case typ == Number:
		return numberOps
	case typ == Listed:
		return append(slices.Clip(textOps), listOps...)
	}
	return textOps
}

func join(ops []Op) string {
	s := make([]string, len(ops))
	for i, o := range ops {
		s[i] = string(o)
	}
	return strings.Join(s, ", ")
}

// ref reads a key and finds its entity and, for attributes, its type.
func (p *parser) ref() (Ref, AttributeType, error) {
	t := p.tok
	var r Ref
	switch t.kind {
	case word:
		name, key, dotted := strings.Cut(t.text, ".")
		if t.has { // tags.`a b`, or tags.mlflow.`a b`
			if dotted {
				key += "."
			}
			key, dotted = key+t.key, true
		}
		switch {
		case !dotted:
			r = Ref{Entity: Attribute, Key: t.text}
		case key == "":
			return r, 0, invalid("the key after %q is missing at position %d", name+".", t.pos)
		default:
			e, ok := entityByName[strings.ToLower(name)]
			if !ok {
				return r, 0, invalid("unknown entity %q at position %d; expected attributes, metrics, params, tags or datasets", name, t.pos)
			}
			r = Ref{Entity: e, Key: key}
		}
	case quoted, ticked:
		r = Ref{Entity: Attribute, Key: t.text}
	default:
		return r, 0, invalid("expected a key such as metrics.accuracy at position %d, found %q", t.pos, t.text)
	}
	typ, err := p.schema.check(&r)
	if err != nil {
		return r, 0, err
	}
	return r, typ, p.advance()
}

// check resolves aliases and refuses what the schema does not have.
func (s Schema) check(r *Ref) (AttributeType, error) {
	switch {
	case r.Entity == Attribute:
		if a, ok := s.Aliases[r.Key]; ok {
			r.Key = a
		}
		typ, ok := s.Attributes[r.Key]
		if !ok {
			known := make([]string, 0, len(s.Attributes))
			for k := range s.Attributes {
				known = append(known, k)
			}
			slices.Sort(known)
			return 0, invalid("unknown attribute %q; expected one of %s", r.Key, strings.Join(known, ", "))
		}
		return typ, nil
	case !slices.Contains(s.Entities, r.Entity):
		return 0, invalid("%s cannot be searched here", r)
	case r.Entity == Dataset && !slices.Contains(datasetKeys, r.Key):
		return 0, invalid("unknown dataset key %q; expected one of %s", r.Key, strings.Join(datasetKeys, ", "))
	}
	return Text, nil
}

func (p *parser) op() (Op, error) {
	t := p.tok
	if t.kind == sign {
		return Op(t.text), p.advance()
	}
	w := t.keyword()
	switch w {
	case "LIKE", "ILIKE", "IN":
		return Op(w), p.advance()
	case "NOT":
		if err := p.expect("IN"); err != nil {
			return "", err
		}
		return NotIn, p.advance()
	case "IS":
		if err := p.advance(); err != nil {
			return "", err
		}
		op := IsNull
		if p.tok.keyword() == "NOT" {
			op = NotNull
			if err := p.advance(); err != nil {
				return "", err
			}
		}
		if p.tok.keyword() != "NULL" {
			return "", invalid("expected NULL at position %d", p.tok.pos)
		}
		return op, p.advance()
	}
	return "", invalid("expected a comparison such as = or LIKE at position %d, found %q", t.pos, t.text)
}

func (p *parser) expect(w string) error {
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.keyword() != w {
		return invalid("expected %s at position %d", w, p.tok.pos)
	}
	return nil
}

func (p *parser) value(c *Compare, numeric bool) error {
	t := p.tok
	if numeric {
		f, err := strconv.ParseFloat(t.text, 64)
		if t.kind != number || err != nil || math.IsNaN(f) {
			return invalid("expected a number for %s at position %d, found %q", c.Ref, t.pos, t.text)
		}
		c.Number = f
		return p.advance()
	}
	if t.kind != quoted {
		return invalid("expected a quoted value for %s at position %d, such as 'abc'", c.Ref, t.pos)
	}
	c.Text = t.text
	return p.advance()
}

func (p *parser) list() ([]string, error) {
	if p.tok.kind != open {
		return nil, invalid("expected a list such as ('a', 'b') at position %d", p.tok.pos)
	}
	var out []string
	for {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.tok.kind != quoted {
			return nil, invalid("expected a quoted value in the list at position %d", p.tok.pos)
		}
		if out = append(out, p.tok.text); len(out) > maxList {
			return nil, invalid("the list has more than %d values", maxList)
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		switch p.tok.kind {
		case comma:
		case shut:
			return out, p.advance()
		default:
			return nil, invalid("expected , or ) at position %d", p.tok.pos)
		}
	}
}

// Order is one sort key.
type Order struct {
	Ref  Ref
	Desc bool
}

// MaxOrders bounds the sort keys of a search.
const MaxOrders = 16

// ParseOrder reads sort keys such as "metrics.acc DESC". It returns Invalid with what was expected.
func ParseOrder(items []string, s Schema) ([]Order, error) {
	if len(items) > MaxOrders {
		return nil, errs.Invalidf("filter.order", "order_by has more than %d keys", MaxOrders)
	}
	out := make([]Order, 0, len(items))
	for _, item := range items {
		o, err := parseOrder(item, s)
		if err != nil {
			return nil, errs.E(errs.Invalid, "filter.order", fmt.Sprintf("order_by %q is not valid", shorten(item)), err)
		}
		if o.Ref.Entity == Dataset {
			return nil, errs.Invalidf("filter.order", "order_by does not sort by datasets")
		}
		if !slices.ContainsFunc(out, func(have Order) bool { return have.Ref == o.Ref }) {
			out = append(out, o)
		}
	}
	return out, nil
}

func parseOrder(item string, s Schema) (Order, error) {
	if len(item) > MaxLength {
		return Order{}, invalid("it is longer than %d bytes", MaxLength)
	}
	p := &parser{lex: lexer{in: item}, schema: s}
	if err := p.advance(); err != nil {
		return Order{}, err
	}
	var o Order
	var err error
	if o.Ref, _, err = p.ref(); err != nil {
		return o, err
	}
	switch w := p.tok.keyword(); w {
	case "ASC", "DESC":
		o.Desc = w == "DESC"
		if err := p.advance(); err != nil {
			return o, err
		}
	}
	if p.tok.kind != end {
		return o, invalid("expected ASC, DESC or the end, found %q", p.tok.text)
	}
	return o, nil
}

func shorten(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
