package registry

import (
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// ModelDialect is what the Filter of a search of models may ask about. Times are unix milliseconds.
func ModelDialect() filter.Dialect {
	return filter.Dialect{
		{Entity: filter.Attribute, Names: []string{"attributes", "attribute", "attr", "model"},
			Keys:    map[string]filter.Type{FieldName: filter.Text, FieldCreated: filter.Number, FieldUpdated: filter.Number},
			Aliases: map[string]string{"timestamp": FieldUpdated}},
		{Entity: filter.Tag, Names: []string{"tags", "tag"}, Unordered: true},
	}
}

// VersionDialect is what the Filter of a search of versions may ask about. An attribute that is empty IS NULL.
func VersionDialect() filter.Dialect {
	d := ModelDialect()
	for _, key := range []string{FieldRunID, FieldSource, FieldModelID, FieldStage} {
		d[0].Keys[key] = filter.Text
	}
	d[0].Keys[FieldNumber] = filter.Number
	d[0].Aliases["source_path"] = FieldSource
	d[0].Aliases["version"] = FieldNumber
	d[0].Aliases["current_stage"] = FieldStage
	return d
}

// tree builds the SQL of a filter. Every comparison is true or false, never NULL, so NOT is the complement as in searches of runs.
func (f fields) tree(n filter.Node) (string, []any, error) {
	switch n := n.(type) {
	case nil:
		return "1 = 1", nil, nil
	case *filter.And:
		return f.joined(n.Parts, " AND ")
	case *filter.Or:
		return f.joined(n.Parts, " OR ")
	case *filter.Not:
		sql, args, err := f.tree(n.Part)
		return "NOT (" + sql + ")", args, err
	case *filter.Compare:
		return f.compare(n)
	}
	return "", nil, errs.E(errs.Internal, "registry.search", "an unknown node in a filter", nil)
}

func (f fields) joined(parts []filter.Node, with string) (string, []any, error) {
	var sql []string
	var args []any
	for _, p := range parts {
		s, a, err := f.tree(p)
		if err != nil {
			return "", nil, err
		}
		sql, args = append(sql, s), append(args, a...)
	}
	return "(" + strings.Join(sql, with) + ")", args, nil
}

func (f fields) compare(c *filter.Compare) (string, []any, error) {
	if c.Ref.Entity == filter.Tag {
		return f.tagTerm(Condition{Field: FieldTag, Key: c.Ref.Key, Op: Op(c.Op), Value: c.Text, Values: c.List})
	}
	if col, ok := f.number[c.Ref.Key]; ok {
		return numberTerm(col, c)
	}
	col, ok := f.text[c.Ref.Key]
	switch {
	case !ok:
		return "", nil, errs.Invalidf("registry.search", "cannot filter by %.60q", c.Ref.Key).WithField("filter", "expected one of %s", f.names())
	case c.Op == filter.IsNull:
		return col + " = ''", nil, nil
	case c.Op == filter.NotNull:
		return col + " <> ''", nil, nil
	}
	return f.textTerm(col, Condition{Field: c.Ref.Key, Op: Op(c.Op), Value: c.Text, Values: c.List})
}

func numberTerm(col string, c *filter.Compare) (string, []any, error) {
	const number = "CAST(? AS DOUBLE PRECISION)" // a whole column compares with 1.5 too
	scale := 1.0
	if c.Ref.Key == FieldCreated || c.Ref.Key == FieldUpdated {
		scale = 1000 // kept in microseconds
	}
	switch c.Op {
	case filter.IsNull:
		return "1 = 0", nil, nil
	case filter.NotNull:
		return "1 = 1", nil, nil
	case filter.In, filter.NotIn:
		if len(c.Numbered) > maxListed {
			return "", nil, errs.Invalidf("registry.search", "a list in the filter has %d values: at most %d are allowed", len(c.Numbered), maxListed)
		}
		args := make([]any, len(c.Numbered))
		for i, v := range c.Numbered {
			args[i] = v * scale
		}
		return col + " " + string(c.Op) + " (" + number + strings.Repeat(", "+number, len(args)-1) + ")", args, nil
	}
	return col + " " + sqlOp(Op(c.Op)) + " " + number, []any{c.Number * scale}, nil
}
