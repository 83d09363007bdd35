package filter

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Texts makes the test of a comparison for texts that are there. Those that are not pass IS NULL alone; the caller sees to that, as it
// knows what is there.
func (c *Compare) Texts() func(v string) bool {
	switch c.Op {
	case Eq:
		return func(v string) bool { return v == c.Text }
	case Ne:
		return func(v string) bool { return v != c.Text }
	case Like:
		return func(v string) bool { return matchLike(c.Text, v) }
	case ILike:
		pattern := strings.ToLower(c.Text)
		return func(v string) bool { return matchLike(pattern, strings.ToLower(v)) }
	case In, NotIn:
		listed := make(map[string]bool, len(c.List))
		for _, s := range c.List {
			listed[s] = true
		}
		return func(v string) bool { return listed[v] == (c.Op == In) }
	}
	return func(string) bool { return c.Op == NotNull }
}

// Numbers makes the test of a comparison for numbers that are there. A logged NaN passes != and NOT IN alone, as in IEEE 754.
func (c *Compare) Numbers() func(v float64) bool {
	switch c.Op {
	case Ne:
		return func(v float64) bool { return v != c.Number }
	case In, NotIn:
		listed := make(map[float64]bool, len(c.Numbered))
		for _, f := range c.Numbered {
			listed[f] = true
		}
		return func(v float64) bool { return listed[v] == (c.Op == In) }
	case IsNull, NotNull:
		return func(float64) bool { return c.Op == NotNull }
	}
	lo, hi := c.Range()
	return func(v float64) bool { return v >= lo && v <= hi }
}

// Range gives the closed range that =, <, <=, > and >= ask for; it is empty (low above high) when no number is in it.
func (c *Compare) Range() (lo, hi float64) {
	lo, hi = math.Inf(-1), math.Inf(1)
	switch c.Op {
	case Eq:
		return c.Number, c.Number
	case Lt:
		if math.IsInf(c.Number, -1) {
			return 1, 0
		}
		return lo, math.Nextafter(c.Number, lo)
	case Le:
		return lo, c.Number
	case Gt:
		if math.IsInf(c.Number, 1) {
			return 1, 0
		}
		return math.Nextafter(c.Number, hi), hi
	case Ge:
		return c.Number, hi
	}
	return 1, 0
}

// matchLike is SQL's LIKE without an escape character: % is any text, _ one character. It takes at most len(pattern)*len(s) steps.
func matchLike(pattern, s string) bool {
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

// Walk calls visit for each comparison of a tree.
func Walk(n Node, visit func(*Compare)) {
	switch n := n.(type) {
	case *And:
		for _, p := range n.Parts {
			Walk(p, visit)
		}
	case *Or:
		for _, p := range n.Parts {
			Walk(p, visit)
		}
	case *Not:
		Walk(n.Part, visit)
	case *Compare:
		visit(n)
	}
}

// Refs lists the columns that a tree and sort keys need, each once.
func Refs(n Node, orders []Order) []Ref {
	var out []Ref
	Walk(n, func(c *Compare) { out = append(out, c.Ref) })
	for _, o := range orders {
		out = append(out, o.Ref)
	}
	slices.SortFunc(out, func(a, b Ref) int {
		return cmp.Or(cmp.Compare(a.Entity, b.Entity), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Of, b.Of))
	})
	return slices.Compact(out)
}
