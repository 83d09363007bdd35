package table

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

// Bounds of a contract file and of what a check lists.
const (
	maxContractBytes = 256 << 10
	sampleRows       = 5
)

// Contract says what a table must fulfil. In YAML or JSON:
//
//	rows: {min: 100}
//	extra_columns: false          # a column that no rule names is a violation
//	freshness: {column: when, max_age: 48h}
//	columns:
//	  - name: temp
//	    type: float64
//	    not_null: 0.99            # at least this share of values is there; true means all
//	    min: 0
//	    max: 1
//	  - name: season
//	    allowed: [winter, spring, summer, autumn]
//	  - name: id
//	    unique: true
//	  - name: note
//	    optional: true            # the rules hold if the column is there
type Contract struct {
	Rows         *RowRule     `json:"rows,omitempty" yaml:"rows,omitempty"`
	ExtraColumns *bool        `json:"extra_columns,omitempty" yaml:"extra_columns,omitempty"` // nil: true
	Freshness    *FreshRule   `json:"freshness,omitempty" yaml:"freshness,omitempty"`
	Columns      []ColumnRule `json:"columns,omitempty" yaml:"columns,omitempty"`
}

// RowRule bounds the number of rows.
type RowRule struct {
	Min int `json:"min,omitempty" yaml:"min,omitempty"`
	Max int `json:"max,omitempty" yaml:"max,omitempty"` // 0: no bound
}

// FreshRule wants the newest value of a time column to be at most MaxAge old.
type FreshRule struct {
	Column string   `json:"column" yaml:"column"`
	MaxAge Duration `json:"max_age" yaml:"max_age"`
}

// ColumnRule is what one column must fulfil; missing values break not_null alone.
type ColumnRule struct {
	Name     string   `json:"name" yaml:"name"`
	Optional bool     `json:"optional,omitempty" yaml:"optional,omitempty"`
	Type     Type     `json:"type,omitempty" yaml:"type,omitempty"` // int64 also fulfils float64
	NotNull  *float64 `json:"not_null,omitempty" yaml:"not_null,omitempty"`
	Min      *float64 `json:"min,omitempty" yaml:"min,omitempty"`
	Max      *float64 `json:"max,omitempty" yaml:"max,omitempty"`
	Allowed  []string `json:"allowed,omitempty" yaml:"allowed,omitempty"`
	Unique   bool     `json:"unique,omitempty" yaml:"unique,omitempty"`
}

// UnmarshalYAML takes not_null: true for a share of 1 and numbers and truth values among the allowed values.
func (r *ColumnRule) UnmarshalYAML(data []byte) error {
	type plain struct {
		Name     string   `yaml:"name"`
		Optional bool     `yaml:"optional"`
		Type     Type     `yaml:"type"`
		NotNull  any      `yaml:"not_null"`
		Min      *float64 `yaml:"min"`
		Max      *float64 `yaml:"max"`
		Allowed  []any    `yaml:"allowed"`
		Unique   bool     `yaml:"unique"`
	}
	var in plain
	if err := yaml.UnmarshalWithOptions(data, &in, yaml.Strict()); err != nil {
		return err
	}
	*r = ColumnRule{Name: in.Name, Optional: in.Optional, Type: in.Type, Min: in.Min, Max: in.Max, Unique: in.Unique}
	switch v := in.NotNull.(type) {
	case nil:
	case bool:
		if v {
			all := 1.0
			r.NotNull = &all
		}
	default:
		share, err := strconv.ParseFloat(fmt.Sprint(v), 64)
		if err != nil {
			return fmt.Errorf("not_null of column %q: expected true or a share from 0 to 1, found %v", in.Name, v)
		}
		r.NotNull = &share
	}
	for _, v := range in.Allowed {
		text, err := allowedText(v)
		if err != nil {
			return fmt.Errorf("allowed of column %q: %w", in.Name, err)
		}
		r.Allowed = append(r.Allowed, text)
	}
	return nil
}

// allowedText writes a YAML scalar as Column.Text does.
func allowedText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case bool, int, int64, uint64:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("expected texts, numbers or truth values, found %T", v)
}

// Duration is a time.Duration that is written as "48h", "30m" or "7d".
type Duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a Go duration or whole days such as "7d".
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36_500 {
			return fmt.Errorf("expected a duration such as 48h or 7d, found %q", shorten(s))
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("expected a duration such as 48h or 7d, found %q", shorten(s))
	}
	*d = Duration(parsed)
	return nil
}

// ParseContract reads a contract in YAML or JSON. Unknown keys, unknown types and rules that no table can fulfil are errors that name
// the key or the column.
func ParseContract(data []byte) (*Contract, error) {
	if len(data) > maxContractBytes {
		return nil, fmt.Errorf("contract: expected at most %d bytes, found %d", maxContractBytes, len(data))
	}
	var k Contract
	if err := yamlx.Decode(data, &k); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	if err := k.Validate(); err != nil {
		return nil, err
	}
	return &k, nil
}

// Validate reports every rule that makes no sense, joined.
func (k *Contract) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("contract: "+format, args...)) }
	if k.Rows != nil && (k.Rows.Min < 0 || k.Rows.Max < 0 || k.Rows.Max > 0 && k.Rows.Max < k.Rows.Min) {
		wrong("rows: expected 0 <= min <= max, found min %d, max %d", k.Rows.Min, k.Rows.Max)
	}
	if k.Freshness != nil && (k.Freshness.Column == "" || k.Freshness.MaxAge <= 0) {
		wrong("freshness: expected a column and a max_age such as 48h")
	}
	seen := map[string]bool{}
	for i, r := range k.Columns {
		at := fmt.Sprintf("columns[%d] (%s)", i, shorten(r.Name))
		if r.Name == "" {
			wrong("columns[%d]: expected a name", i)
		} else if seen[r.Name] {
			wrong("%s: expected each column once", at)
		}
		seen[r.Name] = true
		if r.Type != "" && !r.Type.Valid() {
			wrong("%s: expected a type of float64, int64, string, bool, time, found %q", at, r.Type)
		}
		if r.NotNull != nil && !(*r.NotNull >= 0 && *r.NotNull <= 1) {
			wrong("%s: expected not_null from 0 to 1, found %v", at, *r.NotNull)
		}
		if r.Min != nil && math.IsNaN(*r.Min) || r.Max != nil && math.IsNaN(*r.Max) || r.Min != nil && r.Max != nil && *r.Min > *r.Max {
			wrong("%s: expected min <= max", at)
		}
		if (r.Min != nil || r.Max != nil) && (r.Type == String || r.Type == Bool || r.Type == Time) {
			wrong("%s: min and max need a numeric type, found %s", at, r.Type)
		}
	}
	return errors.Join(errs...)
}

// Violation is a rule that a table breaks.
type Violation struct {
	Column   string `json:"column,omitempty"` // "" when it is about the table
	Rule     string `json:"rule"`             // exists, extra, type, not_null, min, max, allowed, unique, rows, freshness
	Expected string `json:"expected"`
	Found    string `json:"found"`
	Count    int    `json:"count"`          // rows that break the rule, 0 when it is not about rows
	Rows     []int  `json:"rows,omitempty"` // the first few of them, counted from 0
}

func (v Violation) String() string {
	where := "table"
	if v.Column != "" {
		where = fmt.Sprintf("column %q", v.Column)
	}
	return fmt.Sprintf("%s: %s: expected %s, found %s", where, v.Rule, v.Expected, v.Found)
}

// Check lists what f breaks, in the order of the rules. now is what freshness is measured from.
func (k *Contract) Check(f *Frame, now time.Time) []Violation {
	var out []Violation
	if r := k.Rows; r != nil {
		if f.rows < r.Min {
			out = append(out, Violation{Rule: "rows", Expected: fmt.Sprintf("at least %d rows", r.Min), Found: strconv.Itoa(f.rows)})
		}
		if r.Max > 0 && f.rows > r.Max {
			out = append(out, Violation{Rule: "rows", Expected: fmt.Sprintf("at most %d rows", r.Max), Found: strconv.Itoa(f.rows)})
		}
	}
	for _, r := range k.Columns {
		c, ok := f.Column(r.Name)
		if !ok {
			if !r.Optional {
				out = append(out, Violation{Column: r.Name, Rule: "exists", Expected: "this column", Found: "only " + list(f.Names())})
			}
			continue
		}
		out = append(out, r.check(c)...)
	}
	if k.ExtraColumns != nil && !*k.ExtraColumns {
		for _, name := range f.Names() {
			if !slices.ContainsFunc(k.Columns, func(r ColumnRule) bool { return r.Name == name }) {
				out = append(out, Violation{Column: name, Rule: "extra", Expected: "only columns that the contract names", Found: "this one too"})
			}
		}
	}
	if k.Freshness != nil {
		out = append(out, k.Freshness.check(f, now)...)
	}
	return out
}

func (r *ColumnRule) check(c *Column) []Violation {
	var out []Violation
	add := func(rule, expected, found string, count int, rows []int) {
		out = append(out, Violation{Column: r.Name, Rule: rule, Expected: expected, Found: found, Count: count, Rows: rows})
	}
	allMissing := c.missing == c.rows // its type means nothing then
	if r.Type != "" && r.Type != c.kind && !(r.Type == Float && c.kind == Int) && !allMissing {
		count, rows := where(c, func(i int) bool { return !fits(r.Type, c.Text(i)) })
		found := string(c.kind)
		if len(rows) > 0 {
			found = fmt.Sprintf("%s, such as %q", c.kind, shorten(c.Text(rows[0])))
		}
		add("type", string(r.Type), found, count, rows)
	}
	if r.NotNull != nil && c.rows > 0 && float64(c.rows-c.missing) < *r.NotNull*float64(c.rows) {
		var rows []int
		for i := 0; i < c.rows && len(rows) < sampleRows; i++ {
			if !c.Valid(i) {
				rows = append(rows, i)
			}
		}
		share := 100 * float64(c.missing) / float64(c.rows)
		add("not_null", fmt.Sprintf("a value in at least %g %% of rows", *r.NotNull*100), fmt.Sprintf("%.4g %% missing", share), c.missing, rows)
	}
	if r.Min != nil || r.Max != nil {
		r.checkRange(c, allMissing, add)
	}
	if r.Allowed != nil {
		count, rows := where(c, func(i int) bool { return !slices.Contains(r.Allowed, c.Text(i)) })
		if count > 0 {
			add("allowed", "one of "+list(r.Allowed), strconv.Quote(shorten(c.Text(rows[0]))), count, rows)
		}
	}
	if r.Unique {
		first := make(map[string]int, c.rows)
		count, rows := where(c, func(i int) bool {
			text := c.Text(i)
			_, seen := first[text]
			if !seen {
				first[text] = i
			}
			return seen
		})
		if count > 0 {
			text := c.Text(rows[0])
			add("unique", "distinct values", fmt.Sprintf("%q in row %d again", shorten(text), first[text]), count, rows)
		}
	}
	return out
}

func (r *ColumnRule) checkRange(c *Column, allMissing bool, add func(rule, expected, found string, count int, rows []int)) {
	if allMissing {
		return
	}
	if !c.kind.Numeric() {
		// A broken cell turns a column of numbers into one of texts; "type" tells of it where the contract names the type.
		if r.Type == "" {
			add("type", "numbers, since the contract gives a range", string(c.kind), 0, nil)
		}
		return
	}
	values := c.Floats()
	if r.Min != nil {
		count, rows := where(c, func(i int) bool { return values[i] < *r.Min })
		if count > 0 {
			add("min", fmt.Sprintf("at least %v", *r.Min), c.Text(rows[0]), count, rows)
		}
	}
	if r.Max != nil {
		count, rows := where(c, func(i int) bool { return values[i] > *r.Max })
		if count > 0 {
			add("max", fmt.Sprintf("at most %v", *r.Max), c.Text(rows[0]), count, rows)
		}
	}
}

// where counts the rows with a value that broken picks, and lists the first few.
func where(c *Column, broken func(row int) bool) (count int, rows []int) {
	for i := range c.rows {
		if !c.Valid(i) || !broken(i) {
			continue
		}
		count++
		if len(rows) < sampleRows {
			rows = append(rows, i)
		}
	}
	return count, rows
}

func (r *FreshRule) check(f *Frame, now time.Time) []Violation {
	v := Violation{Column: r.Column, Rule: "freshness", Expected: fmt.Sprintf("a newest value at most %v old", time.Duration(r.MaxAge))}
	c, ok := f.Column(r.Column)
	switch {
	case !ok:
		v.Found = "no such column"
		return []Violation{v}
	case c.missing == c.rows:
		v.Found = "no value"
		return []Violation{v}
	case c.kind != Time:
		v.Found = "a column of type " + string(c.kind)
		return []Violation{v}
	}
	newest := int64(math.MinInt64)
	for i, t := range c.ints {
		if c.Valid(i) {
			newest = max(newest, t)
		}
	}
	at := time.UnixMicro(newest).UTC()
	if now.Sub(at) <= time.Duration(r.MaxAge) {
		return nil
	}
	v.Found = at.Format(time.RFC3339)
	return []Violation{v}
}
