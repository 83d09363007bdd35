// Package filter reads the search language of the MLflow clients into a typed tree: entity.key op value, joined by AND. It reads a
// superset that the clients pass through unchanged: OR, NOT, parentheses, IN and IS NULL everywhere, and min(), max(), last() and best()
// of metrics.
//
// What can be searched is a Dialect: the families of keys of one noun and their types. A tree that was read holds only keys, operators and
// values that make sense together in its dialect. Errors say the position in the text, counted in characters from 1.
package filter

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Entity names a family of keys. Dialects may have entities of their own.
type Entity string

// The entities that most dialects have.
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
	RLike   Op = "RLIKE"
	In      Op = "IN"
	NotIn   Op = "NOT IN"
	IsNull  Op = "IS NULL"
	NotNull Op = "IS NOT NULL"
)

// Ref names one column of what is searched.
type Ref struct {
	Entity Entity
	Key    string
	Of     Aggregate // of the points of a metric; empty for the last one, and for everything else
}

func (r Ref) String() string {
	if r.Of != Last {
		return string(r.Of) + "(" + string(r.Entity) + "." + r.Key + ")"
	}
	return string(r.Entity) + "." + r.Key
}

// Aggregate is a function over the points of a metric.
type Aggregate string

// The aggregates. Last is the value that metrics.x stands for, so it reads as no aggregate at all. What is best is for the searched noun
// to say.
const (
	Last Aggregate = ""
	Min  Aggregate = "min"
	Max  Aggregate = "max"
	Best Aggregate = "best"
)

// Type says how the values of a key compare.
type Type int

// The types of keys.
const (
	Text   Type = iota // with quoted values, by = != LIKE ILIKE
	Number             // with numbers, by = != < <= > >=
	Either             // with both: the value's form decides, see Compare.Numeric
)

// Family is one sort of keys in a dialect.
type Family struct {
	Entity     Entity
	Names      []string          // what may stand before the dot, in lower case
	Type       Type              // of its keys
	Keys       map[string]Type   // if set, the only keys there are, with their types
	Aliases    map[string]string // other spellings of keys
	Aggregates bool              // min() and its like apply
	Unordered  bool              // order_by does not know it
	Regexp     bool              // texts compare by RLIKE too
}

// Dialect is what can be searched in one noun. A key without a name before it belongs to the first family.
type Dialect []Family

// Node is a tree: *And, *Or, *Not or *Compare.
type Node interface{ node() }

// And is true when all parts are. It has two or more.
type And struct{ Parts []Node }

// Or is true when one part is. It has two or more.
type Or struct{ Parts []Node }

// Not is true when its part is not.
type Not struct{ Part Node }

// Compare is one comparison. Numeric says whether the value is Number (for IN: Numbered) or Text (for IN: List).
type Compare struct {
	Ref      Ref
	Op       Op
	Numeric  bool
	Number   float64
	Numbered []float64
	Text     string
	List     []string
}

func (*And) node()     {}
func (*Or) node()      {}
func (*Not) node()     {}
func (*Compare) node() {}

// Bounds of what is read, so that no input makes the reader or the search slow.
const (
	MaxLength   = 64 << 10 // bytes
	MaxCompares = 256
	MaxOrders   = 16 // sort keys
	maxDepth    = 32 // parentheses and NOTs
	maxList     = 5000
	maxRegexp   = 1000 // bytes
)

func invalid(format string, args ...any) *errs.Error {
	return errs.Invalidf("filter.parse", "the filter is not valid: "+format, args...)
}

// Parse reads a filter; an empty one gives nil, which everything passes. It returns Invalid with what was expected.
func Parse(text string, d Dialect) (Node, error) {
	p, err := newParser(text, d)
	if err != nil || p.tok.kind == end {
		return nil, err
	}
	n, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != end {
		return nil, p.fail(p.tok.pos, "expected AND, OR or the end, found %q", shorten(p.tok.text))
	}
	return n, nil
}

type parser struct {
	lex      lexer
	tok      token
	dialect  Dialect
	compares int
}

func newParser(text string, d Dialect) (*parser, error) {
	if len(text) > MaxLength {
		return nil, invalid("it is longer than %d bytes", MaxLength)
	}
	p := &parser{lex: lexer{in: text}, dialect: d}
	return p, p.advance()
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

// fail makes the error for a byte offset.
func (p *parser) fail(pos int, format string, args ...any) error {
	return p.lex.fail(pos, format, args...)
}

func (l *lexer) fail(pos int, format string, args ...any) error {
	return invalid("%s at position %d", fmt.Sprintf(format, args...), utf8.RuneCountInString(l.in[:pos])+1)
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
	not := p.tok.keyword() == "NOT"
	if !not && p.tok.kind != open {
		return p.compare()
	}
	if depth >= maxDepth {
		return nil, p.fail(p.tok.pos, "parentheses or NOT are nested deeper than %d", maxDepth)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if not {
		n, err := p.term(depth + 1)
		return &Not{n}, err
	}
	n, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != shut {
		return nil, p.fail(p.tok.pos, "expected )")
	}
	return n, p.advance()
}

func (p *parser) compare() (Node, error) {
	if p.compares++; p.compares > MaxCompares {
		return nil, p.fail(p.tok.pos, "it has more than %d comparisons", MaxCompares)
	}
	ref, f, typ, err := p.ref()
	if err != nil {
		return nil, err
	}
	at := p.tok.pos
	c := &Compare{Ref: ref}
	if c.Op, err = p.op(); err != nil {
		return nil, err
	}
	if allowed := opsOf(f, typ); !slices.Contains(allowed, c.Op) {
		return nil, p.fail(at, "%s does not compare with %s; use one of %s,", shorten(ref.String()), c.Op, join(allowed))
	}
	switch c.Op {
	case IsNull, NotNull:
		return c, nil
	case In, NotIn:
		return c, p.list(c, typ)
	case RLike:
		if err := p.checkRegexp(); err != nil {
			return nil, err
		}
	}
	return c, p.value(c, typ)
}

func opsOf(f *Family, typ Type) []Op {
	var ops []Op
	if typ != Number {
		ops = append(ops, Eq, Ne, Like, ILike)
		if f.Regexp {
			ops = append(ops, RLike)
		}
	}
	if typ == Number {
		ops = append(ops, Eq, Ne)
	}
	if typ != Text {
		ops = append(ops, Lt, Le, Gt, Ge)
	}
	return append(ops, In, NotIn, IsNull, NotNull)
}

func join(ops []Op) string {
	s := make([]string, len(ops))
	for i, o := range ops {
		s[i] = string(o)
	}
	return strings.Join(s, ", ")
}

// ref reads a key, bare or in an aggregate, and finds its family and type.
func (p *parser) ref() (Ref, *Family, Type, error) {
	aggregates := map[string]Aggregate{"MIN": Min, "MAX": Max, "LAST": Last, "BEST": Best}
	of, ok := aggregates[p.tok.keyword()]
	name, before := p.tok, p.lex
	if name.kind != word {
		return p.plainRef()
	}
	if err := p.advance(); err != nil || p.tok.kind != open {
		p.tok, p.lex = name, before
		return p.plainRef()
	}
	if !ok {
		return Ref{}, nil, 0, p.fail(name.pos, "there is no %s(), expected min, max, last or best of a metric,", shorten(name.text))
	}
	if err := p.advance(); err != nil {
		return Ref{}, nil, 0, err
	}
	at := p.tok.pos
	r, f, typ, err := p.plainRef()
	if err != nil {
		return r, f, typ, err
	}
	if !f.Aggregates {
		return r, f, typ, p.fail(at, "%s() takes a metric, not %s,", strings.ToLower(name.text), shorten(r.String()))
	}
	if p.tok.kind != shut {
		return r, f, typ, p.fail(p.tok.pos, "expected )")
	}
	r.Of = of
	return r, f, typ, p.advance()
}

func (p *parser) plainRef() (Ref, *Family, Type, error) {
	t := p.tok
	family, key := "", t.text
	switch t.kind {
	case word:
		name, rest, dotted := strings.Cut(t.text, ".")
		if t.has { // tags.`a b`, or tags.mlflow.`a b`
			if dotted {
				rest += "."
			}
			rest, dotted = rest+t.key, true
		}
		if dotted {
			family, key = name, rest
		}
	case quoted, ticked:
	default:
		return Ref{}, nil, 0, p.fail(t.pos, "expected a key such as %s, found %q", p.dialect.example(), shorten(t.text))
	}
	if key == "" {
		return Ref{}, nil, 0, p.fail(t.pos, "the key is missing")
	}
	f := p.dialect.family(family)
	if f == nil {
		return Ref{}, nil, 0, p.fail(t.pos, "unknown entity %q; expected one of %s,", shorten(family), p.dialect.names())
	}
	if a, ok := f.Aliases[key]; ok {
		key = a
	}
	typ := f.Type
	if f.Keys != nil {
		var ok bool
		if typ, ok = f.Keys[key]; !ok {
			what := string(f.Entity)
			if f.Entity != Attribute {
				what += " key"
			}
			return Ref{}, nil, 0, p.fail(t.pos, "unknown %s %q; expected one of %s,", what, shorten(key), f.keys())
		}
	}
	return Ref{Entity: f.Entity, Key: key}, f, typ, p.advance()
}

func (d Dialect) family(name string) *Family {
	if name == "" {
		return &d[0]
	}
	name = strings.ToLower(name)
	for i := range d {
		if slices.Contains(d[i].Names, name) {
			return &d[i]
		}
	}
	return nil
}

func (d Dialect) names() string {
	out := make([]string, len(d))
	for i, f := range d {
		out[i] = f.Names[0]
	}
	return strings.Join(out, ", ")
}

// example is a key for messages.
func (d Dialect) example() string {
	last := d[len(d)-1]
	if last.Keys == nil {
		return last.Names[0] + ".name"
	}
	first, _, _ := strings.Cut(last.keys(), ",")
	return last.Names[0] + "." + first
}

func (f *Family) keys() string {
	known := make([]string, 0, len(f.Keys))
	for k := range f.Keys {
		known = append(known, k)
	}
	slices.Sort(known)
	return strings.Join(known, ", ")
}

func (p *parser) op() (Op, error) {
	t := p.tok
	if t.kind == sign {
		return Op(t.text), p.advance()
	}
	switch w := t.keyword(); w {
	case "LIKE", "ILIKE", "RLIKE", "IN":
		return Op(w), p.advance()
	case "NOT":
		if err := p.expect("IN"); err != nil {
			return "", err
		}
		return NotIn, p.advance()
	case "IS":
		op := IsNull
		if err := p.advance(); err != nil {
			return "", err
		}
		if p.tok.keyword() == "NOT" {
			op = NotNull
			if err := p.advance(); err != nil {
				return "", err
			}
		}
		if p.tok.keyword() != "NULL" {
			return "", p.fail(p.tok.pos, "expected NULL")
		}
		return op, p.advance()
	}
	return "", p.fail(t.pos, "expected a comparison such as = or LIKE, found %q", shorten(t.text))
}

func (p *parser) expect(w string) error {
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.keyword() != w {
		return p.fail(p.tok.pos, "expected %s", w)
	}
	return nil
}

// takesNumber reports whether the value of a comparison is a number: of keys of either type, its form decides.
func (p *parser) takesNumber(op Op, typ Type) bool {
	switch {
	case typ != Either:
		return typ == Number
	case op == Lt || op == Le || op == Gt || op == Ge:
		return true
	}
	return p.tok.kind == number && op != Like && op != ILike && op != RLike
}

func (p *parser) number(ref Ref) (float64, error) {
	f, err := strconv.ParseFloat(p.tok.text, 64)
	attribute := p.tok.kind == quoted && ref.Entity == Attribute // version_number = '1' is a number too
	if p.tok.kind != number && !attribute || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, p.fail(p.tok.pos, "expected a number for %s, found %q", shorten(ref.String()), shorten(p.tok.text))
	}
	return f, nil
}

func (p *parser) value(c *Compare, typ Type) (err error) {
	if c.Numeric = p.takesNumber(c.Op, typ); c.Numeric {
		if c.Number, err = p.number(c.Ref); err != nil {
			return err
		}
		return p.advance()
	}
	if p.tok.kind != quoted {
		return p.fail(p.tok.pos, "expected a quoted value for %s such as 'abc', found %q", shorten(c.Ref.String()), shorten(p.tok.text))
	}
	c.Text = p.tok.text
	return p.advance()
}

func (p *parser) checkRegexp() error {
	if len(p.tok.text) > maxRegexp {
		return p.fail(p.tok.pos, "the regular expression is longer than %d bytes,", maxRegexp)
	}
	if _, err := regexp.Compile(p.tok.text); err != nil {
		return p.fail(p.tok.pos, "%q is not a regular expression (RE2 syntax)", shorten(p.tok.text))
	}
	return nil
}

func (p *parser) list(c *Compare, typ Type) error {
	if p.tok.kind != open {
		return p.fail(p.tok.pos, "expected a list such as ('a', 'b') or (1, 2)")
	}
	for n := 0; ; n++ {
		if err := p.advance(); err != nil {
			return err
		}
		if n == 0 {
			c.Numeric = p.takesNumber(c.Op, typ)
		}
		switch {
		case n == maxList:
			return p.fail(p.tok.pos, "the list has more than %d values", maxList)
		case c.Numeric:
			f, err := p.number(c.Ref)
			if err != nil {
				return err
			}
			c.Numbered = append(c.Numbered, f)
		case p.tok.kind != quoted:
			return p.fail(p.tok.pos, "expected a quoted value in the list, found %q", shorten(p.tok.text))
		default:
			c.List = append(c.List, p.tok.text)
		}
		if err := p.advance(); err != nil {
			return err
		}
		switch p.tok.kind {
		case comma:
		case shut:
			return p.advance()
		default:
			return p.fail(p.tok.pos, "expected , or )")
		}
	}
}

// Order is one sort key.
type Order struct {
	Ref  Ref
	Desc bool
}

// ParseOrder reads sort keys such as "metrics.acc DESC". A key that comes again counts once. It returns Invalid with what was expected.
func ParseOrder(items []string, d Dialect) ([]Order, error) {
	if len(items) > MaxOrders {
		return nil, errs.Invalidf("filter.order", "order_by has more than %d keys", MaxOrders)
	}
	out := make([]Order, 0, len(items))
	for _, item := range items {
		o, err := parseOrder(item, d)
		if err != nil {
			return nil, errs.E(errs.Invalid, "filter.order", fmt.Sprintf("order_by %q is not valid", shorten(item)), err)
		}
		if !slices.ContainsFunc(out, func(have Order) bool { return have.Ref == o.Ref }) {
			out = append(out, o)
		}
	}
	return out, nil
}

func parseOrder(item string, d Dialect) (Order, error) {
	p, err := newParser(item, d)
	if err != nil {
		return Order{}, err
	}
	at := p.tok.pos
	ref, f, _, err := p.ref()
	if err != nil {
		return Order{}, err
	}
	if f.Unordered {
		return Order{}, p.fail(at, "nothing is sorted by %ss,", f.Entity)
	}
	o := Order{Ref: ref}
	switch w := p.tok.keyword(); w {
	case "ASC", "DESC":
		o.Desc = w == "DESC"
		if err := p.advance(); err != nil {
			return o, err
		}
	}
	if p.tok.kind != end {
		return o, p.fail(p.tok.pos, "expected ASC, DESC or the end, found %q", shorten(p.tok.text))
	}
	return o, nil
}

// ParseRef reads one key such as min(metrics.loss), as filters and sort keys have them.
func ParseRef(text string, d Dialect) (Ref, error) {
	p, err := newParser(text, d)
	if err != nil {
		return Ref{}, err
	}
	ref, _, _, err := p.ref()
	if err == nil && p.tok.kind != end {
		err = p.fail(p.tok.pos, "expected the end, found %q", shorten(p.tok.text))
	}
	return ref, err
}

func shorten(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
