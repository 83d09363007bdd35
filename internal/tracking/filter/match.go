package filter

import (
	"cmp"
	"slices"
	"strings"
)

// TextMatches reports whether a value that is there passes the comparison. Values that are not there pass IS NULL alone; the caller sees to
// that, as it knows what is there.
func (c *Compare) TextMatches(v string) bool {
	switch c.Op {
	case Eq:
		return v == c.Text
	case Ne:
		return v != c.Text
	case Like:
		return matchLike(c.Text, v)
	case ILike:
		return matchLike(strings.ToLower(c.Text), strings.ToLower(v))
	case In:
		return slices.Contains(c.List, v)
	case NotIn:
		return !slices.Contains(c.List, v)
	case NotNull:
		return true
	}
	return false
}

// NumberMatches reports whether a number that is there passes the comparison. A logged NaN passes != alone, as in SQL and IEEE 754.
func (c *Compare) NumberMatches(v float64) bool {
	switch c.Op {
	case Eq:
		return v == c.Number
	case Ne:
		return v != c.Number
	case Lt:
		return v < c.Number
	case Le:
		return v <= c.Number
	case Gt:
		return v > c.Number
	case Ge:
		return v >= c.Number
	}
	return false
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
	slices.SortFunc(out, func(a, b Ref) int { return cmp.Or(cmp.Compare(a.Entity, b.Entity), cmp.Compare(a.Key, b.Key)) })
	return slices.Compact(out)
}
