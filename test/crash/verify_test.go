package crash

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
)

// findings collects what is wrong.
type findings []string

func (f *findings) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// verify holds the running server against the ledger.
func (s *server) verify(t *testing.T, l *ledger) []string {
	t.Helper()
	var bad findings
	found := map[string]*runAnswer{}
	for _, r := range l.runs {
		if a := s.verifyRun(t, r, &bad); a != nil {
			found[r.id] = a
		}
	}
	s.verifySearch(t, l, found, &bad)
	s.verifyRegistry(t, l, &bad)
	s.verifyPredictions(t, l, &bad)
	s.verifyEvents(t, l, &bad)
	s.sweep(t)
	return bad
}

// sweep removes contents without a name.
func (s *server) sweep(t *testing.T) {
	t.Helper()
	s.ask(t, "POST", "/api/v1/trash/sweep", "{}", nil)
}

// verifyRun gives the run as the server has it, nil when it is rightly gone.
func (s *server) verifyRun(t *testing.T, r *loggedRun, bad *findings) *runAnswer {
	status, b, err := s.do(t.Context(), "GET", mlflow+"runs/get?run_id="+r.id, "")
	if err != nil {
		t.Fatal(err)
	}
	if status == http.StatusNotFound {
		if r.state != purged && r.pending != "purged" {
			bad.add("run %s is lost; it was %s", r.id, r.state)
		}
		return nil
	}
	a := &runAnswer{}
	if err := json.Unmarshal(b, a); err != nil || status != http.StatusOK {
		bad.add("run %s: %d %s", r.id, status, b)
		return nil
	}
	if r.state == purged {
		bad.add("run %s was purged and is there", r.id)
	}
	if got := life(a.Run.Info.Lifecycle); got != r.state && string(got) != r.pending {
		bad.add("run %s is %s, want %s (asked for: %q)", r.id, got, r.state, r.pending)
	}
	batches := len(a.Run.Data.Params)
	if batches != r.batches && (r.pending != "batch" || batches != r.batches+1) {
		bad.add("run %s has %d batches, want %d (asked for: %q)", r.id, batches, r.batches, r.pending)
	}
	s.verifyMetrics(t, r, a, batches, bad)
	if got := tagOf(a, "t"); got != r.tag && r.pending != "tag:"+got {
		bad.add("run %s has the tag %q, want %q", r.id, got, r.tag)
	}
	s.verifyFile(t, r, bad)
	return a
}

// verifyMetrics looks for torn batches: every metric has all points of the same batches.
func (s *server) verifyMetrics(t *testing.T, r *loggedRun, a *runAnswer, batches int, bad *findings) {
	want := keys
	if batches == 0 {
		want = 0
	}
	if len(a.Run.Data.Metrics) != want {
		bad.add("run %s has %d metrics after %d batches", r.id, len(a.Run.Data.Metrics), batches)
		return
	}
	for _, m := range a.Run.Data.Metrics {
		var k int
		_, _ = fmt.Sscanf(m.Key, "m%d", &k)
		if m.Value != float64(value(k, batches-1, steps-1)) {
			bad.add("run %s: metric %s is %g after %d batches", r.id, m.Key, m.Value, batches)
		}
	}
	if batches == 0 {
		return
	}
	for _, k := range []int{0, keys - 1} {
		var h struct{ Metrics []struct{ Value float64 } }
		s.ask(t, "GET", fmt.Sprintf("%smetrics/get-history?run_id=%s&metric_key=m%d", mlflow, r.id, k), "", &h)
		if len(h.Metrics) != batches*steps {
			bad.add("run %s: metric m%d has %d points after %d batches", r.id, k, len(h.Metrics), batches)
		}
	}
}

func tagOf(a *runAnswer, key string) string {
	for _, t := range a.Run.Data.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

func (s *server) verifyFile(t *testing.T, r *loggedRun, bad *findings) {
	status, b, err := s.do(t.Context(), "GET", "/api/2.0/mlflow-artifacts/artifacts/0/"+r.id+"/artifacts/dir/f.txt", "")
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case status == http.StatusOK && (string(b) == r.file || r.pending == "file:"+string(b)):
	case status == http.StatusNotFound && r.file == "":
	default:
		bad.add("the file of run %s: %d %.100q, want %q", r.id, status, b, r.file)
	}
}

// verifySearch compares what the search index says with the runs themselves.
func (s *server) verifySearch(t *testing.T, l *ledger, found map[string]*runAnswer, bad *findings) {
	type item struct {
		Info struct {
			RunID     string `json:"run_id"`
			Lifecycle string `json:"lifecycle_stage"`
		}
		Data json.RawMessage
	}
	search := func(filter, view string) map[string]item {
		out := map[string]item{}
		for token := ""; ; {
			var page struct {
				Runs []item
				Next string `json:"next_page_token"`
			}
			body, _ := json.Marshal(map[string]any{"experiment_ids": []string{"0"}, "filter": filter, "run_view_type": view, "max_results": 1000, "page_token": token})
			s.ask(t, "POST", mlflow+"runs/search", string(body), &page)
			for _, r := range page.Runs {
				if _, twice := out[r.Info.RunID]; twice {
					bad.add("the search gives run %s twice", r.Info.RunID)
				}
				out[r.Info.RunID] = r
			}
			if token = page.Next; token == "" {
				return out
			}
		}
	}
	ours := map[string]bool{}
	for _, r := range l.runs {
		ours[r.id] = true
	}
	compare := func(filter, view string, belongs func(a *runAnswer) bool) {
		got := search(filter, view)
		for id, a := range found {
			if _, ok := got[id]; ok != belongs(a) {
				bad.add("search %q (%s): run %s is found: %v, want %v", filter, view, id, ok, !ok)
			}
		}
		for id := range got {
			if ours[id] && found[id] == nil {
				bad.add("search %q (%s) gives run %s, which is not there", filter, view, id)
			}
		}
	}
	in := func(stage string) func(a *runAnswer) bool {
		return func(a *runAnswer) bool { return stage == "" || a.Run.Info.Lifecycle == stage }
	}
	compare("", "ALL", in(""))
	compare("", "ACTIVE_ONLY", in("active"))
	compare("", "DELETED_ONLY", in("deleted"))
	second := float64(value(2, 1, 0)) // reached by a second batch alone
	compare(fmt.Sprintf("metrics.m2 >= %g", second), "ALL", func(a *runAnswer) bool {
		return slices.ContainsFunc(a.Run.Data.Metrics, func(m struct {
			Key   string
			Value float64
			Step  int
		}) bool {
			return m.Key == "m2" && m.Value >= second
		})
	})
	compare("params.p1 = 'v' and tags.t LIKE '%.0'", "ALL", func(a *runAnswer) bool {
		return len(a.Run.Data.Params) > 1 && strings.HasSuffix(tagOf(a, "t"), ".0")
	})
	for id, it := range search("", "ALL") { // and what it shows of a run is what the run has
		a := found[id]
		if a == nil {
			continue
		}
		var data, want any
		_ = json.Unmarshal(it.Data, &data)
		_, b, err := s.do(t.Context(), "GET", mlflow+"runs/get?run_id="+id, "")
		if err != nil {
			t.Fatal(err)
		}
		var one struct {
			Run struct{ Data json.RawMessage }
		}
		_ = json.Unmarshal(b, &one)
		_ = json.Unmarshal(one.Run.Data, &want)
		if fmt.Sprint(data) != fmt.Sprint(want) {
			bad.add("the search shows other values of run %s than the run has", id)
		}
	}
}

func (s *server) verifyRegistry(t *testing.T, l *ledger, bad *findings) {
	for name, numbers := range l.aliases {
		var m struct {
			Aliases map[string]string `json:"aliases"`
		}
		s.ask(t, "GET", "/api/v1/models/"+name, "", &m)
		if got := m.Aliases["best"]; got != numbers[0] && got != numbers[1] {
			bad.add("the alias of model %s is at %q, want %q", name, got, numbers[0])
		}
		var v struct {
			Files  int64  `json:"files_count"`
			Digest string `json:"digest"`
		}
		status, b, err := s.do(t.Context(), "GET", "/api/v1/models/"+name+"/versions/"+numbers[1], "")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &v); status != http.StatusOK || err != nil || v.Files != 2 {
			bad.add("version %s/%s: %d %s", name, numbers[1], status, b)
			continue
		}
		for _, f := range []string{"MLmodel", "model.lgb"} {
			if status, _, err := s.do(t.Context(), "GET", "/api/v1/models/"+name+"/versions/"+numbers[1]+"/files/content?path="+f, ""); err != nil || status != http.StatusOK {
				bad.add("the file %s of version %s/%s: %d %v", f, name, numbers[1], status, err)
			}
		}
	}
}

func (s *server) verifyPredictions(t *testing.T, l *ledger, bad *findings) {
	for _, p := range l.predictions {
		have := struct{ Label *float64 }{}
		read := func() {
			status, b, err := s.do(t.Context(), "GET", "/api/v1/predictions/"+p.PredictionID, "")
			if err != nil {
				t.Fatal(err)
			}
			if status != http.StatusOK {
				bad.add("prediction %s: %d %s", p.PredictionID, status, b)
				zero := 0.0
				have.Label = &zero
				return
			}
			_ = json.Unmarshal(b, &have)
		}
		if read(); !p.labelled {
			continue
		}
		s.until(t, "prediction "+p.PredictionID+" has its label", func() bool {
			if have.Label == nil {
				read()
			}
			return have.Label != nil
		})
		if *have.Label != p.label {
			bad.add("prediction %s has the label %g, want %g", p.PredictionID, *have.Label, p.label)
		}
	}
}

// verifyEvents looks for an event of every acknowledged change in the chain, and whether the chain is whole.
func (s *server) verifyEvents(t *testing.T, l *ledger, bad *findings) {
	want := map[string]bool{}
	for _, r := range l.runs {
		want["tracking.run.created "+r.id] = true
		if r.state == purged {
			want["tracking.run.purged "+r.id] = true
		}
	}
	missing := func() (out []string) {
		told := s.told(t)
		for w := range want {
			if !told[w] {
				out = append(out, w)
			}
		}
		return out
	}
	left := missing()
	for range 20 { // the sequencer may be a moment behind
		if len(left) == 0 {
			break
		}
		left = missing()
	}
	for _, m := range left {
		bad.add("no event %s", m)
	}
	var chain struct {
		OK     bool
		Detail string
	}
	if s.ask(t, "POST", "/api/v1/events/verify", "{}", &chain); !chain.OK {
		bad.add("the chain of events: %s", chain.Detail)
	}
}

// told reads all events of runs from the chain.
func (s *server) told(t *testing.T) map[string]bool {
	t.Helper()
	told := map[string]bool{}
	for token := ""; ; {
		var page struct {
			Items []struct {
				Type     string
				Resource struct{ ID string }
			}
			NextPageToken string `json:"next_page_token"`
		}
		s.ask(t, "GET", "/api/v1/events?type=tracking.run.&limit=1000&page_token="+token, "", &page)
		for _, e := range page.Items {
			told[e.Type+" "+e.Resource.ID] = true
		}
		if token = page.NextPageToken; token == "" {
			return told
		}
	}
}

// verifyStore looks into the store of the server that was killed: pages and indexes, rows without their run, names without contents,
// contents without a name, damaged contents, what uploads left behind.
func (s *server) verifyStore(t *testing.T) []string {
	t.Helper()
	var bad findings
	url := s.dsn
	if url == "" {
		url = filepath.Join(s.dir, "modelyard.db")
	}
	d, err := db.Open(t.Context(), db.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Intact(t.Context()); err != nil {
		bad.add("%v", err)
	}
	for _, table := range []string{"run_tag", "run_param", "metric_latest", "metric_chunk", "run_input", "run_model"} {
		var n int
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" x WHERE NOT EXISTS (SELECT 1 FROM run r WHERE r.num = x.run)").Scan(&n); err != nil || n != 0 {
			bad.add("%d rows of %s have no run (%v)", n, table, err)
		}
	}
	var orphans int
	if err := d.QueryRow(t.Context(), "SELECT count(*) FROM file f WHERE f.root LIKE 'run/%' AND NOT EXISTS (SELECT 1 FROM run r WHERE f.root = 'run/' || r.id)").Scan(&orphans); err != nil || orphans != 0 {
		bad.add("%d files have no run (%v)", orphans, err)
	}
	named := map[string]bool{}
	rows, err := d.Query(t.Context(), "SELECT DISTINCT digest FROM file")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var digest string
		if err := rows.Scan(&digest); err != nil {
			t.Fatal(err)
		}
		named[digest] = true
	}
	if left, err := os.ReadDir(filepath.Join(s.dir, "blobs", "tmp")); err != nil || len(left) > 0 {
		bad.add("uploads left %d files behind (%v)", len(left), err)
	}
	s.verifyContents(t, named, &bad)
	return bad
}

// verifyContents compares the contents on disk with the names. The last server swept them before it was killed.
func (s *server) verifyContents(t *testing.T, named map[string]bool, bad *findings) {
	l, err := blob.OpenLocal(filepath.Join(s.dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for d := range named {
		if err := l.Check(t.Context(), blob.Digest(d)); err != nil {
			bad.add("contents %.12s: %v", d, err)
		}
	}
	err = filepath.WalkDir(filepath.Join(s.dir, "blobs"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if digest := filepath.Base(filepath.Dir(path)) + e.Name(); !named[digest] {
			bad.add("contents %.12s have no name after the sweep", digest)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
