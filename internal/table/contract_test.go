package table

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

const sampleContract = `
rows: {min: 5}
extra_columns: false
freshness: {column: when, max_age: 2d}
columns:
  - {name: temp, type: float64, not_null: 0.9, min: 0, max: 1}
  - {name: season, allowed: [winter, 2]}
  - {name: id, type: int64, unique: true, not_null: true}
  - {name: when}
  - {name: gone}
  - {name: maybe, optional: true, type: bool}
  - {name: count, type: int64}
`

func TestContractCheck(t *testing.T) {
	t.Parallel()
	k, err := ParseContract([]byte(sampleContract))
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, "temp,season,id,when,extra,count\n0.5,winter,1,2024-01-01,x,1\n,2,1,2024-01-02,y,2\n1.5,fall,2,,z,oops\n-1,,3,,,\n", CSVOptions{})
	got := k.Check(f, time.Date(2024, 1, 5, 0, 0, 0, 0, time.UTC))
	want := []Violation{
		{Rule: "rows", Expected: "at least 5 rows", Found: "4"},
		{Column: "temp", Rule: "not_null", Expected: "a value in at least 90 % of rows", Found: "25 % missing", Count: 1, Rows: []int{1}},
		{Column: "temp", Rule: "min", Expected: "at least 0", Found: "-1", Count: 1, Rows: []int{3}},
		{Column: "temp", Rule: "max", Expected: "at most 1", Found: "1.5", Count: 1, Rows: []int{2}},
		{Column: "season", Rule: "allowed", Expected: `one of "winter", "2"`, Found: `"fall"`, Count: 1, Rows: []int{2}},
		{Column: "id", Rule: "unique", Expected: "distinct values", Found: `"1" in row 0 again`, Count: 1, Rows: []int{1}},
		{Column: "gone", Rule: "exists", Expected: "this column", Found: `only "temp", "season", "id", "when", "extra", "count"`},
		{Column: "count", Rule: "type", Expected: "int64", Found: `string, such as "oops"`, Count: 1, Rows: []int{2}},
		{Column: "extra", Rule: "extra", Expected: "only columns that the contract names", Found: "this one too"},
		{Column: "when", Rule: "freshness", Expected: "a newest value at most 48h0m0s old", Found: "2024-01-02T00:00:00Z"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseContractRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"columns: [{name: a, typ: int64}]":             `unknown field "typ"`,
		"colums: []":                                   `unknown field "colums"`,
		"columns: [{name: a, type: integer}]":          `columns[0] (a): expected a type of float64, int64, string, bool, time, found "integer"`,
		"columns: [{name: a}, {name: a}]":              "columns[1] (a): expected each column once",
		"columns: [{type: int64}]":                     "columns[0]: expected a name",
		"columns: [{name: a, min: 2, max: 1}]":         "expected min <= max",
		"columns: [{name: a, not_null: 1.5}]":          "expected not_null from 0 to 1, found 1.5",
		"columns: [{name: a, not_null: most}]":         `not_null of column "a": expected true or a share from 0 to 1, found most`,
		"columns: [{name: a, allowed: [[1]]}]":         `allowed of column "a": expected texts, numbers or truth values`,
		"columns: [{name: a, type: string, min: 1}]":   "min and max need a numeric type, found string",
		"freshness: {column: t, max_age: soon}":        `expected a duration such as 48h or 7d, found "soon"`,
		"freshness: {column: t}":                       "expected a column and a max_age",
		"rows: {min: 5, max: 2}":                       "expected 0 <= min <= max",
		"columns: [{name: a, allowed: !00 00}]":        "expected YAML or JSON",
		"a: &x [1]":                                    "anchors are not supported",
		strings.Repeat("[", 70):                        "at most 64 levels",
		strings.Repeat(" ", maxContractBytes) + "a: 1": "expected at most 262144 bytes",
		strings.Repeat("- ", 9*yamlx.MaxDepth) + "a":   "at most 64 levels",
	} {
		if _, err := ParseContract([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
}

func TestContractAsJSON(t *testing.T) {
	t.Parallel()
	k, err := ParseContract([]byte(sampleContract))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseContract(text)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if diff := cmp.Diff(k, back); diff != "" {
		t.Error(diff)
	}
}

func TestInferredContractHolds(t *testing.T) {
	t.Parallel()
	f := read(t, "n,f,s,b,m\n1,0.5,x,true,\n2,1.5,y,false,3\n3,2.5,x,true,4\n4,0,y,true,5\n", CSVOptions{})
	schema := InferSchema(f)
	k := schema.Contract()
	if err := k.Validate(); err != nil {
		t.Fatal(err)
	}
	if v := k.Check(f, time.Unix(0, 0)); len(v) > 0 {
		t.Errorf("the frame breaks its own contract: %v", v)
	}
	bad := read(t, "n,f,s,b,m\n1,0.5,z,true,\n,99,y,false,3\n", CSVOptions{})
	var rules []string
	for _, v := range k.Check(bad, time.Unix(0, 0)) {
		rules = append(rules, v.Column+" "+v.Rule)
	}
	if diff := cmp.Diff([]string{"n not_null", "f max", "s allowed"}, rules); diff != "" {
		t.Error(diff)
	}
}

func TestProfile(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("x,s,t\n")
	for i := range 1000 {
		b.WriteString(strings.Join([]string{
			NewInts("", []int64{int64(i % 100)}, nil).Text(0), []string{"a", "b", ""}[i%3], "2024-01-01",
		}, ",") + "\n")
	}
	p := NewProfile(read(t, b.String(), CSVOptions{}), ProfileOptions{})
	x, _ := p.Column("x")
	if x.Count != 1000 || x.Distinct != 100 || x.Numbers.Mean != 49.5 || x.Numbers.Q50 != 49.5 || x.Numbers.Max != 99 || x.Numbers.Zeros != 10 {
		t.Errorf("x: %+v %+v", x, x.Numbers)
	}
	if x.Sketch == nil || x.Sketch.Discrete == nil || x.Sketch.Count() != 1000 {
		t.Errorf("sketch of x: %+v", x.Sketch)
	}
	s, _ := p.Column("s")
	if s.Missing != 333 || s.Distinct != 2 || s.Top[0].Value != "a" || s.Top[0].Count != 334 || s.Sketch.Missing() != 333 {
		t.Errorf("s: %+v", s)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Profile
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(&back)
	if string(again) != string(text) {
		t.Error("a profile does not come back from JSON as it was")
	}
}

func FuzzParseContract(f *testing.F) {
	f.Add([]byte(sampleContract))
	f.Add([]byte(`{"columns":[{"name":"a","not_null":true}]}`))
	f.Add([]byte("rows: {min: 1}\ncolumns:\n- name: x\n  allowed: [1, true, a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseContract(data)
		if err != nil {
			return
		}
		if _, err := json.Marshal(k); err != nil {
			t.Fatal(err)
		}
		frame, _ := NewFrame(NewFloats("a", []float64{1, 2}), NewStrings("x", []string{"", "b"}, nil))
		k.Check(frame, time.Unix(0, 0))
	})
}
