package registry

import (
	"strings"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// Op compares a field with a value.
type Op string

// The comparisons. Text fields and tags take Eq, Ne, Like, ILike, In, NotIn; numbers Eq, Ne, Lt, Le, Gt, Ge; tags also IsNull,
// IsNotNull and IsNot. Ne on a tag asks for the tag with another value; IsNot is also true where there is no such tag.
const (
	Eq        Op = "="
	Ne        Op = "!="
	Lt        Op = "<"
	Le        Op = "<="
	Gt        Op = ">"
	Ge        Op = ">="
	Like      Op = "LIKE"
	ILike     Op = "ILIKE"
	In        Op = "IN"
	NotIn     Op = "NOT IN"
	IsNull    Op = "IS NULL"
	IsNotNull Op = "IS NOT NULL"
	IsNot     Op = "IS NOT"
)

// Fields of a Condition and of an Order. Models know FieldName, FieldTag, FieldCreated and FieldUpdated; versions know all.
const (
	FieldName    = "name" // of the model
	FieldTag     = "tag"
	FieldRunID   = "run_id"
	FieldSource  = "source"
	FieldModelID = "model_id" // the logged model
	FieldStage   = "stage"
	FieldNumber  = "version_number"
	FieldCreated = "creation_timestamp"     // unix microseconds in conditions
	FieldUpdated = "last_updated_timestamp" // unix microseconds in conditions
)

// Condition is one term of a conjunction.
type Condition struct {
	Field  string
	Key    string // of the tag, when Field is FieldTag
	Op     Op
	Value  string
	Values []string // for In and NotIn
	Number int64    // for FieldNumber, FieldCreated, FieldUpdated
}

// Order is one sort key.
type Order struct {
	Field string
	Desc  bool
}

// Query chooses models or versions. The zero value means all: models by name, versions by name and number descending.
type Query struct {
	Workspace string      // the only one to look in; names in conditions and the order are those within it. "" for all
	Where     []Condition // all must hold, and Filter too
	Filter    filter.Node // read in ModelDialect or VersionDialect
	OrderBy   []Order
	PageSize  int // default 100 for models, 1000 for versions; at most 1000 and 10,000
	PageToken string
}

const (
	maxConditions = 50
	maxListed     = 1000 // values of one list
)

// fields maps the fields of one noun to columns.
type fields struct {
	engine       db.Engine
	text, number map[string]string
	owner        string // the column of the model id that tags hang on
	tagVersion   string // the version that tags hang on: 0 for those of the model
}

func modelFields(e db.Engine) fields {
	return fields{
		engine: e,
		text:   map[string]string{FieldName: "m.name"},
		number: map[string]string{FieldCreated: "m.created_at", FieldUpdated: "m.updated_at"},
		owner:  "m.id", tagVersion: "0",
	}
}

// within makes names those within a workspace.
func (f fields) within(workspace string) {
	if workspace != "" {
		f.text[FieldName] = "m.bare"
	}
}

func versionFields(e db.Engine) fields {
	return fields{
		engine: e,
		text: map[string]string{FieldName: "m.name", FieldRunID: "v.run_id", FieldSource: "v.source", FieldModelID: "v.logged_model_id",
			FieldStage: "v.stage"},
		number: map[string]string{FieldNumber: "v.number", FieldCreated: "v.created_at", FieldUpdated: "v.updated_at"},
		owner:  "v.model_id", tagVersion: "v.number",
	}
}

// where builds " AND ..." and its arguments. It returns Invalid for a field or comparison that does not exist.
func (f fields) where(conds []Condition) (string, []any, error) {
	if len(conds) > maxConditions {
		return "", nil, errs.Invalidf("registry.search", "the filter has %d terms: at most %d are allowed", len(conds), maxConditions)
	}
	var sql strings.Builder
	var args []any
	for _, c := range conds {
		part, a, err := f.term(c)
		if err != nil {
			return "", nil, err
		}
		sql.WriteString(" AND " + part)
		args = append(args, a...)
	}
	return sql.String(), args, nil
}

func (f fields) term(c Condition) (string, []any, error) {
	if c.Field == FieldTag {
		return f.tagTerm(c)
	}
	if col, ok := f.number[c.Field]; ok {
		switch c.Op {
		case Eq, Ne, Lt, Le, Gt, Ge:
			return col + " " + sqlOp(c.Op) + " ?", []any{c.Number}, nil
		}
		return "", nil, badOp(c, "= != < <= > >=")
	}
	col, ok := f.text[c.Field]
	if !ok {
		return "", nil, errs.Invalidf("registry.search", "cannot filter by %.60q", c.Field).WithField("filter", "expected one of %s", f.names())
	}
	return f.textTerm(col, c)
}

func (f fields) textTerm(col string, c Condition) (string, []any, error) {
	switch c.Op {
	case Eq, Ne:
		return col + " " + sqlOp(c.Op) + " ?", []any{c.Value}, nil
	case Like, ILike:
		return f.likeTerm(col, c.Value, c.Op == ILike)
	case In, NotIn:
		if len(c.Values) == 0 || len(c.Values) > maxListed {
			return "", nil, errs.Invalidf("registry.search", "a list in the filter needs 1 to %d values, it has %d", maxListed, len(c.Values))
		}
		args := make([]any, len(c.Values))
		for i, v := range c.Values {
			args[i] = v
		}
		return col + " " + string(c.Op) + " (?" + strings.Repeat(", ?", len(args)-1) + ")", args, nil
	}
	return "", nil, badOp(c, "= != LIKE ILIKE IN")
}

// likeTerm matches % (any text) and _ (any character). LIKE ignores case on SQLite, so the sensitive form is GLOB there.
func (f fields) likeTerm(col, pattern string, insensitive bool) (string, []any, error) {
	if len(pattern) > 1000 {
		return "", nil, errs.Invalidf("registry.search", "a pattern in the filter is longer than 1000 bytes")
	}
	switch {
	case insensitive:
		return "lower(" + col + `) LIKE ? ESCAPE '\'`, []any{escapeBackslash(strings.ToLower(pattern))}, nil
	case f.engine == db.SQLite:
		return col + " GLOB ?", []any{strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]", "%", "*", "_", "?").Replace(pattern)}, nil
	}
	return col + ` LIKE ? ESCAPE '\'`, []any{escapeBackslash(pattern)}, nil
}

func escapeBackslash(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

func (f fields) tagTerm(c Condition) (string, []any, error) {
	if c.Key == "" {
		return "", nil, errs.Invalidf("registry.search", "a tag in the filter has no key").WithField("filter", "expected tags.<key> <comparison> <value>")
	}
	exists := "EXISTS (SELECT 1 FROM registry_tag t WHERE t.model_id = " + f.owner + " AND t.version = " + f.tagVersion + " AND t.tag_key = ?"
	switch c.Op {
	case IsNull:
		return "NOT " + exists + ")", []any{c.Key}, nil
	case IsNotNull:
		return exists + ")", []any{c.Key}, nil
	case IsNot:
		return "NOT " + exists + " AND t.value = ?)", []any{c.Key, c.Value}, nil
	}
	inner, args, err := f.textTerm("t.value", c)
	if err != nil {
		return "", nil, err
	}
	return exists + " AND " + inner + ")", append([]any{c.Key}, args...), nil
}

func sqlOp(o Op) string {
	if o == Ne {
		return "<>"
	}
	return string(o)
}

func badOp(c Condition, want string) error {
	return errs.Invalidf("registry.search", "cannot compare %.60q with %.20q", c.Field, string(c.Op)).WithField("filter", "expected one of %s", want)
}

func (f fields) names() string {
	all := []string{"tags.<key>"}
	for _, n := range []string{FieldName, FieldRunID, FieldSource, FieldModelID, FieldStage, FieldNumber, FieldCreated, FieldUpdated} {
		if f.text[n] != "" || f.number[n] != "" {
			all = append(all, n)
		}
	}
	return strings.Join(all, ", ")
}
