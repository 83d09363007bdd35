package sketch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// MaxCategories is the largest limit a Categories sketch may have.
	MaxCategories = 10_000
	// MaxCategoryBytes is the length above which a category is cut, so that one long text does not become a key.
	MaxCategoryBytes = 256
)

// Categories counts strings. It names at most limit of them, in the order they are first seen, and counts the rest as other.
type Categories struct {
	counts map[string]int64
	limit  int
	other  int64
	miss   int64
}

// NewCategories names up to limit categories (1..MaxCategories), known first: those are listed even when they never occur.
func NewCategories(limit int, known ...string) (*Categories, error) {
	if limit < 1 || limit > MaxCategories || len(known) > limit {
		return nil, fmt.Errorf("sketch: the limit must be 1 to %d and hold the %d known categories, got %d", MaxCategories, len(known), limit)
	}
	c := &Categories{counts: make(map[string]int64, len(known)), limit: limit}
	for _, k := range known {
		c.counts[cut(k)] = 0
	}
	return c, nil
}

// Add counts one value.
func (c *Categories) Add(value string) { c.add(cut(value), 1) }

func (c *Categories) add(value string, n int64) {
	old, known := c.counts[value]
	switch {
	case known:
		c.counts[value] = old + n
	case len(c.counts) < c.limit:
		c.counts[strings.Clone(value)] = n
	default:
		c.other += n
	}
}

// AddMissing counts one absent value.
func (c *Categories) AddMissing() { c.miss++ }

// Merge adds the counts of other. Categories beyond the limit go to other, the most frequent being named first, so which are named can
// depend on the order of merging, while every total is exact.
func (c *Categories) Merge(other *Categories) error {
	if other == nil || c.limit != other.limit {
		return ErrIncompatible
	}
	for _, n := range other.Top(len(other.counts)) {
		c.add(n.Value, n.Count)
	}
	c.other += other.other
	c.miss += other.miss
	return nil
}

// Empty is a sketch that knows the same categories and has seen nothing.
func (c *Categories) Empty() *Categories {
	out := &Categories{counts: make(map[string]int64, len(c.counts)), limit: c.limit}
	for k := range c.counts {
		out.counts[k] = 0
	}
	return out
}

// Named is a category and how often it occurred.
type Named struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// Top are the n most frequent categories, ties in alphabetical order.
func (c *Categories) Top(n int) []Named {
	all := make([]Named, 0, len(c.counts))
	for value, count := range c.counts {
		all = append(all, Named{value, count})
	}
	slices.SortFunc(all, func(a, b Named) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return all[:min(n, len(all))]
}

// Counts is a copy of the count of each named category.
func (c *Categories) Counts() map[string]int64 { return maps.Clone(c.counts) }

// Other counts the values beyond the limit.
func (c *Categories) Other() int64 { return c.other }

// Missing counts absent values.
func (c *Categories) Missing() int64 { return c.miss }

// Count is the number of values seen that were not missing.
func (c *Categories) Count() int64 {
	n := c.other
	for _, count := range c.counts {
		n += count
	}
	return n
}

type categoriesJSON struct {
	Limit   int              `json:"limit"`
	Counts  map[string]int64 `json:"counts"`
	Other   int64            `json:"other"`
	Missing int64            `json:"missing"`
}

// MarshalJSON writes limit, counts, other and missing.
func (c *Categories) MarshalJSON() ([]byte, error) {
	return json.Marshal(categoriesJSON{c.limit, c.counts, c.other, c.miss})
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses what cannot be.
func (c *Categories) UnmarshalJSON(data []byte) error {
	var in categoriesJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("sketch: read categories: %w", err)
	}
	out, err := NewCategories(in.Limit)
	if err != nil {
		return err
	}
	if len(in.Counts) > in.Limit {
		return fmt.Errorf("sketch: %d categories exceed their limit of %d", len(in.Counts), in.Limit)
	}
	all := slices.Collect(maps.Values(in.Counts))
	if _, err := total(append(all, in.Other, in.Missing)); err != nil {
		return err
	}
	for k, n := range in.Counts {
		out.counts[cut(k)] += n
	}
	out.other, out.miss = in.Other, in.Missing
	*c = *out
	return nil
}

// cut shortens a category to MaxCategoryBytes at a rune's edge and makes it valid UTF-8, which JSON would do anyway.
func cut(s string) string {
	if len(s) > MaxCategoryBytes {
		end := MaxCategoryBytes
		for end > MaxCategoryBytes-4 && s[end]&0xC0 == 0x80 {
			end--
		}
		s = s[:end]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
