package filter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

func schema() Schema {
	return Schema{
		Attributes: map[string]AttributeType{"run_id": Listed, "run_name": Text, "status": Text, "start_time": Number, "secret": Text},
		Aliases:    map[string]string{"run name": "run_name", "Created": "start_time"},
		Entities:   []Entity{Metric, Param, Tag, Dataset},
		OrderOnly:  map[string]bool{"secret": true},
	}
}

func one(e Entity, key string, op Op) *Compare {
	return &Compare{Ref: Ref{Entity: e, Key: key}, Op: op}
}

func text(e Entity, key string, op Op, v string) *Compare {
	c := one(e, key, op)
	c.Text = v
	return c
}

func num(e Entity, key string, op Op, v float64) *Compare {
	c := one(e, key, op)
	c.Number = v
	return c
}

func TestParse(t *testing.T) {
	t.Parallel()
	in := one(Attribute, "run_id", In)
	in.List = []string{"a", "b"}
	notIn := one(Dataset, "name", NotIn)
	notIn.List = []string{"x"}
	for src, want := range map[string]Node{
		"":                                 nil,
		"  ":                               nil,
		"metrics.acc > 0.5":                num(Metric, "acc", Gt, .5),
		"metrics.acc>-1e-3":                num(Metric, "acc", Gt, -1e-3),
		"metric.`a b/c` <= 1":              num(Metric, "a b/c", Le, 1),
		`metrics."train/loss" != .5`:       num(Metric, "train/loss", Ne, .5),
		"metrics.train/loss < 1":           num(Metric, "train/loss", Lt, 1),
		"params.lr = '0.1'":                text(Param, "lr", Eq, "0.1"),
		`param.lr = "0.1"`:                 text(Param, "lr", Eq, "0.1"),
		"params.q = 'it''s'":               text(Param, "q", Eq, "it's"),
		"tags.mlflow.parentRunId = 'x'":    text(Tag, "mlflow.parentRunId", Eq, "x"),
		"tags.mlflow.`odd key` = 'x'":      text(Tag, "mlflow.odd key", Eq, "x"),
		"tags.k IS NULL":                   one(Tag, "k", IsNull),
		"tags.k is not null":               one(Tag, "k", NotNull),
		"tag.k LIKE 'a%'":                  text(Tag, "k", Like, "a%"),
		"attributes.status ilike 'FIN%'":   text(Attribute, "status", ILike, "FIN%"),
		"status = 'FINISHED'":              text(Attribute, "status", Eq, "FINISHED"),
		"`run name` = 'x'":                 text(Attribute, "run_name", Eq, "x"),
		"attribute.`run name` = 'x'":       text(Attribute, "run_name", Eq, "x"),
		"Created >= 5":                     num(Attribute, "start_time", Ge, 5),
		"run_id IN ('a', 'b')":             in,
		"datasets.name not in ('x')":       notIn,
		"metrics.a > 1 AND params.b = 'c'": &And{[]Node{num(Metric, "a", Gt, 1), text(Param, "b", Eq, "c")}},
		"metrics.a > 1 or (metrics.b < 2 and metrics.c = 3)": &Or{[]Node{num(Metric, "a", Gt, 1),
			&And{[]Node{num(Metric, "b", Lt, 2), num(Metric, "c", Eq, 3)}}}},
	} {
		got, err := Parse(src, schema())
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", src, d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"metrics.acc > 'x'":              "expected a number",
		"metrics.acc > nan":              "expected a number",
		"metrics.acc > 1.2.3":            "expected a number",
		"metrics.acc LIKE 'x'":           "does not compare with LIKE",
		"params.a > '1'":                 "does not compare with >",
		"params.a = 1":                   "expected a quoted value",
		"params.a IN ('x')":              "does not compare with IN",
		"nothing = 'x'":                  "unknown attribute",
		"what.a = 'x'":                   "unknown entity",
		"metrics. > 1":                   "is missing",
		"datasets.size = 'x'":            "unknown dataset key",
		"secret = 'x'":                   "can be sorted by, not filtered",
		"metrics.a >":                    "expected a number",
		"metrics.a":                      "expected a comparison",
		"metrics.a = 1 metrics.b = 2":    "expected AND, OR or the end",
		"metrics.a = 1 AND":              "expected a key",
		"(metrics.a = 1":                 "expected )",
		"params.a = 'open":               "is not closed",
		"run_id IN ()":                   "quoted value in the list",
		"run_id IN ('a'":                 "expected , or )",
		"run_id NOT 'a'":                 "expected IN",
		"tags.k IS 5":                    "expected NULL",
		"metrics.a ! 1":                  "unexpected character",
		"metrics.a = 1; DROP TABLE run":  "unexpected character",
		strings.Repeat("(", 100):         "nested deeper",
		strings.Repeat("a", MaxLength+1): "longer than",
		strings.Repeat("status='x' AND ", 300) + "status='x'": "more than",
	} {
		_, err := Parse(src, schema())
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %q", src, err, want)
		}
	}
}

func TestParseOrder(t *testing.T) {
	t.Parallel()
	got, err := ParseOrder([]string{"metrics.acc DESC", "params.`a b`", "start_time asc", "secret", "metrics.acc ASC"}, schema())
	want := []Order{{Ref{Entity: Metric, Key: "acc"}, true}, {Ref{Entity: Param, Key: "a b"}, false}, {Ref{Entity: Attribute, Key: "start_time"}, false}, {Ref{Entity: Attribute, Key: "secret"}, false}}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatalf("%v %v", got, err)
	}
	for _, bad := range []string{"", "metrics.acc UP", "metrics.acc DESC DESC", "datasets.name", "x.y", "metrics.acc = 1"} {
		if _, err := ParseOrder([]string{bad}, schema()); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	if _, err := ParseOrder(make([]string, MaxOrders+1), schema()); !errs.Is(err, errs.Invalid) {
		t.Errorf("too many keys: %v", err)
	}
}

func TestLike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"a%", "abc", true}, {"%c", "abc", true}, {"%b%", "abc", true}, {"a_c", "abc", true}, {"a_c", "ac", false}, {"%", "", true}, {"", "", true},
		{"", "a", false}, {"A%", "abc", false}, {"ä_", "äö", true}, {"a%b%c", "aXbXbXc", true}, {"a%b", "abc", false}, {"%%", "x", true}, {"[a]*", "[a]*", true},
	} {
		if got := (&Compare{Op: Like, Text: c.pattern}).Texts()(c.s); got != c.want {
			t.Errorf("%q LIKE %q: %v", c.s, c.pattern, got)
		}
	}
	if !(&Compare{Op: ILike, Text: "Ä%"}).Texts()("äb") {
		t.Error("ILIKE ignores case")
	}
}

// FuzzParse: whatever a client sends, reading ends, without a panic, in a tree that the schema allows or in an Invalid error.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"metrics.a > 1 and (params.`x y` = 'v' or tags.k IS NOT NULL)", "run_id IN ('a','b')", "`run name` LIKE '%x_'", "metrics.\"a", "a.'", "((", "\xff\xfe", "tags.a.`b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		n, err := Parse(src, schema())
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		Walk(n, func(c *Compare) {
			c.Texts()(src)
			if c.Ref.Key == "" && c.Ref.Entity == Attribute {
				t.Fatalf("%q gave an empty attribute", src)
			}
		})
		_, _ = ParseOrder([]string{src}, schema())
	})
}
