package table

import "slices"

// categoryLimit is the number of distinct texts up to which a schema lists them as the allowed categories.
const categoryLimit = 50

// Schema says what a table looks like.
type Schema struct {
	Columns []Field `json:"columns" yaml:"columns"`
}

// Field describes a column: what was seen when the schema was inferred.
type Field struct {
	Name       string   `json:"name" yaml:"name"`
	Type       Type     `json:"type" yaml:"type"`
	Nullable   bool     `json:"nullable" yaml:"nullable"`
	Min        *float64 `json:"min,omitempty" yaml:"min,omitempty"` // of numbers
	Max        *float64 `json:"max,omitempty" yaml:"max,omitempty"`
	Categories []string `json:"categories,omitempty" yaml:"categories,omitempty"` // of texts and truth values with few distinct ones
}

// Field finds a column of the schema.
func (s *Schema) Field(name string) (*Field, bool) {
	i := slices.IndexFunc(s.Columns, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil, false
	}
	return &s.Columns[i], true
}

// InferSchema takes name, type, nullability, range and categories from a frame. Texts are taken for categories when at
// most 50 differ and each occurs twice on average.
func InferSchema(f *Frame) *Schema {
	s := &Schema{Columns: make([]Field, 0, len(f.columns))}
	for _, c := range f.columns {
		field := Field{Name: c.name, Type: c.kind, Nullable: c.missing > 0}
		switch {
		case c.kind.Numeric():
			field.Min, field.Max = extremes(c.Floats())
		case c.kind == String || c.kind == Bool:
			field.Categories = categories(c)
		}
		s.Columns = append(s.Columns, field)
	}
	return s
}

// extremes are the least and greatest finite value; nil when there is none.
func extremes(values []float64) (low, high *float64) {
	for _, x := range values {
		if x-x != 0 {
			continue
		}
		if low == nil {
			a, b := x, x
			low, high = &a, &b
		}
		*low, *high = min(*low, x), max(*high, x)
	}
	return low, high
}

func categories(c *Column) []string {
	seen := map[string]bool{}
	for i := range c.rows {
		if !c.Valid(i) {
			continue
		}
		if seen[c.Text(i)] = true; len(seen) > categoryLimit {
			return nil
		}
	}
	if c.kind == String && 2*len(seen) > c.rows-c.missing {
		return nil
	}
	out := make([]string, 0, len(seen))
	for v := range seen {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// Contract is a starting contract that this schema's own table fulfils: types, presence, and categories. Ranges are widened by half their width
// on either side, a lower bound of exactly 0 being kept, since the next month's data may go a little further.
func (s *Schema) Contract() *Contract {
	k := &Contract{Columns: make([]ColumnRule, 0, len(s.Columns))}
	for _, f := range s.Columns {
		rule := ColumnRule{Name: f.Name, Type: f.Type, Allowed: f.Categories}
		if !f.Nullable {
			all := 1.0
			rule.NotNull = &all
		}
		if f.Min != nil && *f.Max-*f.Min <= maxWidth {
			room := (*f.Max - *f.Min) / 2
			low, high := *f.Min-room, *f.Max+room
			if *f.Min >= 0 {
				low = max(low, 0)
			}
			rule.Min, rule.Max = &low, &high
		}
		k.Columns = append(k.Columns, rule)
	}
	return k
}

// maxWidth keeps a widened range finite.
const maxWidth = 1e300
