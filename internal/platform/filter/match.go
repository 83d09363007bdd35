package filter

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
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
	case RLike:
		re, err := regexp.Compile(c.Text)
		if err != nil { // only in a tree that was not parsed
			return func(string) bool { return false }
		}
		return re.MatchString
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
	i, j, star, mark := 0, 0, -1, 0
	for j < len(s) {
		if i < len(pattern) && pattern[i] == '%' {
			star, mark = i, j
			i++
			continue
		}
		if i < len(pattern) {
			v, n := utf8.DecodeRuneInString(s[j:])
			p, m := utf8.DecodeRuneInString(pattern[i:])
			if p == '_' || p == v && (v != utf8.RuneError || pattern[i:i+m] == s[j:j+n]) {
				i, j = i+m, j+n
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[mark:])
		mark += n
		i, j = star+1, mark
	}
	return strings.Trim(pattern[i:], "%") == ""
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
