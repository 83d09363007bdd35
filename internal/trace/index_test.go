package trace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

// oddValues are attribute values that JSON writes in more than one way.
func oddValues() []string {
	return []string{`"large"`, `"Large <b>&</b>"`, `"gr\u00fcn"`, `"grün"`, `"a\/b"`, `"line\nbreak \"quoted\" back\\slash"`, `"\ud83d\ude00 smile"`, `"\ud800 lone"`, `"Kelvin \u212a"`,
		`{"deep": [1, {"x": "y\u0026z"}]}`, `[1, 2.50, true, null]`, `7`, `"7"`, `""`, `"` + strings.Repeat("long ", 80) + `end"`, `"\u2028 line"`, `"100%_sure"`}
}

func oddFilters() []string {
	out := []string{
		"span.attributes.model IS NULL", "span.attributes.model IS NOT NULL", "span.attributes.model != 'large'", "span.attributes.model RLIKE 'l.*e'", "span.attributes.none = 'x'",
		"span.attributes.model LIKE '%<b>%'", "span.attributes.model ILIKE '%LARGE%'", "span.attributes.model ILIKE '%kelvin k%'", "span.attributes.model LIKE '%\"quoted\" back\\slash%'",
		"span.attributes.model LIKE '%rün'", "span.attributes.model LIKE 'gr_n'", "span.attributes.model IN ('7', 'grün', 'none')", "span.attributes.model NOT IN ('7')",
		"trace.text LIKE '%grün%'", "trace.text ILIKE '%GRÜN%'", "trace.text LIKE '%y&z%'", "trace.text LIKE '%a/b%'", "trace.text LIKE '%😀%'", "span.content LIKE '%smile%'", "trace.text RLIKE 'long (long )+end'",
		"span.attributes.model = 'large' AND span.name = 's1'", "(span.attributes.model = 'large' OR span.attributes.model = '7') AND span.attributes.other = 'large'",
		"NOT span.attributes.model = 'large'", "NOT span.attributes.none = 'x'", "span.attributes.none = 'x' OR trace.status = 'OK'", "span.attributes.model = 'large' OR tag.env = 'none'", "NOT (span.attributes.model LIKE '%a%' AND trace.text LIKE '%7%')",
		"span.attributes.model = '" + strings.Repeat("long ", 80) + "end'", "span.attributes.model LIKE '%_\u2028%' OR trace.text LIKE '%line%'", "span.attributes.model = '{\"deep\":[1,{\"x\":\"y&z\"}]}'",
	}
	return out
}

// TestSearchAgreesWithTheSpansThemselves compares searches that use the index with a naive scan of all spans, over values and filters that
// JSON, LIKE and letter case make hard; on fresh traces and on ones of an older store.
func TestSearchAgreesWithTheSpansThemselves(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		r := rand.New(rand.NewPCG(1, 2))
		values := oddValues()
		const n = 60
		for i := 1; i <= n; i++ {
			for part := range 1 + r.IntN(3) { // spans of one trace in several blocks
				var spans []Span
				for j := range 1 + r.IntN(2) {
					sp := span(10*part+j+1, 0, fmt.Sprint("s", r.IntN(3)), AttrType, `"LLM"`)
					for _, key := range []string{"model", "other"} {
						if r.IntN(3) > 0 {
							sp.Attributes = append(sp.Attributes, Attribute{key, []byte(values[r.IntN(len(values))])})
						}
					}
					spans = append(spans, sp)
				}
				addSpans(t, s, "1", tid(i), spans...)
			}
		}
		for _, state := range []string{"fresh", "old", "indexed"} {
			switch state {
			case "old":
				for i := 1; i <= n; i += 2 {
					age(t, s, tid(i))
				}
			case "indexed":
				if err := s.Index(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			found := 0
			for _, f := range oddFilters() {
				want, got := naive(t, s, f), ids(t, s, f)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, %s: %s", state, f, diff)
				}
				found += len(got)
			}
			if found < n {
				t.Errorf("%s: the filters find only %d traces", state, found)
			}
		}
	})
}

// naive reads every span of every trace.
func naive(t *testing.T, s *Service, filter string) []string {
	t.Helper()
	tree, err := parseFilter(filter)
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.st.chunk(t.Context(), mustPlan(t, s), nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range all {
		ok, err := matches(tree, &candidate{Trace: &all[i], spans: func() ([]Span, error) { return s.Spans(t.Context(), all[i].ID) }})
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			out = append(out, all[i].ID)
		}
	}
	slices.Sort(out)
	return out
}

func mustPlan(t *testing.T, s *Service) *plan {
	t.Helper()
	p, err := s.plan(t.Context(), Query{ExperimentIDs: []string{"1"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ids searches in pages of seven.
func ids(t *testing.T, s *Service, filter string) []string {
	t.Helper()
	var out []string
	for token := ""; ; {
		ts, next, err := s.Search(t.Context(), Query{ExperimentIDs: []string{"1"}, Filter: filter, Limit: 7, PageToken: token, OrderBy: []string{"name", "execution_time_ms DESC"}})
		if err != nil {
			t.Fatal(filter, err)
		}
		for i := range ts {
			out = append(out, ts[i].ID)
		}
		if token = next; token == "" {
			slices.Sort(out)
			return out
		}
	}
}

func TestGramsLeaveOut(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.SQLite(t))
	for i := 1; i <= 300; i++ {
		addSpans(t, s, "1", tid(i), span(1, 0, "root", "model", fmt.Sprintf(`"model-%d"`, i), "question", fmt.Sprintf(`"what is the sum of %d and %d"`, i, i*7)))
	}
	at, err := s.st.places(t.Context(), mustPlan(t, s), nil, 1000)
	if err != nil || len(at) != 300 {
		t.Fatal(len(at), err)
	}
	for f, most := range map[string]int{"span.attributes.model = 'model-77'": 4, "span.attributes.model = 'none'": 3, "span.attributes.nothing = 'x'": 3, "trace.text LIKE '%sum of 77 and 539%'": 6, "trace.text ILIKE '%PRODUCT%'": 3} {
		tree, err := parseFilter(f)
		if err != nil {
			t.Fatal(err)
		}
		left, err := s.st.mayPass(t.Context(), needOf(tree), at)
		if err != nil || len(left) > most {
			t.Errorf("%s: %d of 300 traces must be read, expected at most %d (%v)", f, len(left), most, err)
		}
	}
}

func TestSpanCountIsExact(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		for i := 1; i <= 40; i++ { // past the point where small blocks are put together
			addSpans(t, s, "1", tid(1), span(i, i-1, "s"), span(max(1, i-3), 0, "s"))
			if tr, err := s.Get(t.Context(), tid(1)); err != nil || tr.SpanCount != i {
				t.Fatal(i, tr.SpanCount, err)
			}
		}
		if _, err := s.Purge(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM trace_index").Scan(&left); err != nil || left != 0 {
			t.Fatal(left, err)
		}
	})
}

func TestFactsKeepEverything(t *testing.T) {
	t.Parallel()
	a := span(1, 0, "näme", AttrType, `"LLM"`, AttrModel, `"m"`, AttrProvider, `"p"`, AttrCost, `{"input_cost":0.1,"total_cost":0}`)
	b := span(2, 1, "open")
	b.End, b.Status = 0, SpanUnset
	c := span(3, 1, "backwards")
	c.End, c.Status = c.Start-5, SpanError
	want := []fact{factOf(&a), factOf(&b), factOf(&c)}
	got, err := decodeFacts(encodeFacts(want))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(fact{}), cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	if want[0].costs[0] != .1 || want[0].costs[2] != 0 || !math.IsNaN(want[0].costs[1]) || want[0].model != "m" || want[0].provider != "p" {
		t.Fatal(want[0])
	}
}

func FuzzFacts(f *testing.F) {
	a := span(1, 0, "root", AttrCost, `{"input_cost":0.1}`)
	f.Add(encodeFacts([]fact{factOf(&a)}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		fs, err := decodeFacts(b)
		if err == nil && len(fs)*8 > len(b) {
			t.Fatal("more spans than bytes")
		}
	})
}
