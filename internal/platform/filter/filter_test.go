package filter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

func dialect() Dialect {
	return Dialect{
		{Entity: Attribute, Names: []string{"attributes", "attribute", "attr"}, Keys: map[string]Type{"run_id": Text, "run_name": Text, "status": Text, "start_time": Number},
			Aliases: map[string]string{"run name": "run_name", "Created": "start_time"}},
		{Entity: Metric, Names: []string{"metrics", "metric"}, Type: Number, Aggregates: true},
		{Entity: Param, Names: []string{"params", "param"}},
		{Entity: Tag, Names: []string{"tags", "tag"}, Regexp: true},
		{Entity: "feedback", Names: []string{"feedback"}, Type: Either},
		{Entity: Dataset, Names: []string{"datasets", "dataset"}, Unordered: true, Keys: map[string]Type{"name": Text, "digest": Text}},
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
	c.Number, c.Numeric = v, true
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
		"NOT metrics.a > 1":                &Not{num(Metric, "a", Gt, 1)},
		"not not (tags.k is null)":         &Not{&Not{one(Tag, "k", IsNull)}},
		"metrics.a IS NOT NULL":            one(Metric, "a", NotNull),
		"metrics.a NOT IN (1, -2.5)":       &Compare{Ref: Ref{Entity: Metric, Key: "a"}, Op: NotIn, Numeric: true, Numbered: []float64{1, -2.5}},
		"params.a IN ('x')":                &Compare{Ref: Ref{Entity: Param, Key: "a"}, Op: In, List: []string{"x"}},
		"min(metrics.a) < 1":               &Compare{Ref: Ref{Metric, "a", Min}, Op: Lt, Numeric: true, Number: 1},
		"BEST ( metric.`a b` ) >= 1":       &Compare{Ref: Ref{Metric, "a b", Best}, Op: Ge, Numeric: true, Number: 1},
		"last(metrics.a) = 1":              num(Metric, "a", Eq, 1),
		"tags.a RLIKE '^x+$'":              text(Tag, "a", RLike, "^x+$"),
		"feedback.good = 'yes'":            text("feedback", "good", Eq, "yes"),
		"feedback.good != 1":               num("feedback", "good", Ne, 1),
		"feedback.good in (1, 2)":          &Compare{Ref: Ref{Entity: "feedback", Key: "good"}, Op: In, Numeric: true, Numbered: []float64{1, 2}},
		"metrics.a > 1 AND params.b = 'c'": &And{[]Node{num(Metric, "a", Gt, 1), text(Param, "b", Eq, "c")}},
		"metrics.a > 1 or (metrics.b < 2 and metrics.c = 3)": &Or{[]Node{num(Metric, "a", Gt, 1),
			&And{[]Node{num(Metric, "b", Lt, 2), num(Metric, "c", Eq, 3)}}}},
	} {
		got, err := Parse(src, dialect())
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
		"metrics.acc IN ('x')":           "expected a number for metric.acc, found \"x\" at position 17",
		"params.a IN ('x', 1)":           "expected a quoted value in the list, found \"1\" at position 19",
		"tags.é = 'x' AND é = 'y'":       "unknown attribute \"é\"; expected one of run_id, run_name, start_time, status, at position 18",
		"NOT":                            "expected a key",
		"NOT NOT":                        "expected a key",
		"min(params.a) = '1'":            "min() takes a metric, not param.a, at position 5",
		"median(metrics.a) > 1":          "there is no median(), expected min, max, last or best of a metric, at position 1",
		"start_time > 'x'":               "expected a number for attribute.start_time, found \"x\" at position 14",
		"min(metrics.a = 1":              "expected ) at position 15",
		"min = 1":                        "unknown attribute \"min\"",
		"tags.a RLIKE '('":               "not a regular expression",
		"params.a RLIKE 'a'":             "does not compare with RLIKE",
		"feedback.x > 'a'":               "expected a number",
		"feedback.x LIKE 1":              "expected a quoted value",
		strings.Repeat("NOT ", 100):      "nested deeper",
		"nothing = 'x'":                  "unknown attribute",
		"what.a = 'x'":                   "unknown entity",
		"metrics. > 1":                   "is missing",
		"datasets.size = 'x'":            "unknown dataset key",
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
		_, err := Parse(src, dialect())
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %q", src, err, want)
		}
	}
}

func TestParseOrder(t *testing.T) {
	t.Parallel()
	got, err := ParseOrder([]string{"metrics.acc DESC", "params.`a b`", "start_time asc", "max(metrics.acc)", "metrics.acc ASC"}, dialect())
	want := []Order{{Ref{Entity: Metric, Key: "acc"}, true}, {Ref{Entity: Param, Key: "a b"}, false}, {Ref{Entity: Attribute, Key: "start_time"}, false}, {Ref{Metric, "acc", Max}, false}}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatalf("%v %v", got, err)
	}
	for _, bad := range []string{"", "metrics.acc UP", "metrics.acc DESC DESC", "datasets.name", "x.y", "metrics.acc = 1"} {
		if _, err := ParseOrder([]string{bad}, dialect()); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	if _, err := ParseOrder(make([]string, MaxOrders+1), dialect()); !errs.Is(err, errs.Invalid) {
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
	for _, s := range []string{"not not min(metrics.a) in (1,2)", "feedback.x rlike 'a'", "tags.a rlike '('", "best(max(metrics.a))", "min("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		n, err := Parse(src, dialect())
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		Walk(n, func(c *Compare) {
			c.Texts()(src)
			c.Numbers()(c.Number)
			if c.Ref.Key == "" && c.Ref.Entity == Attribute {
				t.Fatalf("%q gave an empty attribute", src)
			}
		})
		_, _ = ParseOrder([]string{src}, dialect())
		_, _ = ParseRef(src, dialect())
	})
}
