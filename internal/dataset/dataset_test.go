package dataset

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/table"
)

type bench struct {
	*Service
	db   *db.DB
	http http.Handler
}

func newBench(t *testing.T, d *db.DB) *bench {
	t.Helper()
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), blob.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	store, err := blob.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	c := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	log := slog.New(slog.DiscardHandler)
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: c, Log: log})
	b := &bench{db: d}
	b.Service = New(Deps{DB: d, Events: events.NewLog(events.Deps{DB: d, Jobs: q, Clock: c, Log: log}), Files: blob.NewFiles(d, store, c), Clock: c, MaxUpload: 1 << 20})
	r := httpx.New(httpx.Options{Version: "test", Log: log, Guard: func(r *http.Request, _ httpx.Action) (context.Context, error) { return r.Context(), nil }})
	b.Routes(r)
	b.http = r.Handler()
	return b
}

func (b *bench) do(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	w := httptest.NewRecorder()
	b.http.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

// events counts the events of a type, sequenced or not.
func (b *bench) events(t *testing.T, typ string) int {
	t.Helper()
	var n int
	if err := b.db.QueryRow(t.Context(), "SELECT count(*) FROM event WHERE type = ?", typ).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const hours = "hour,temp,season,riders\n0,0.24,winter,16\n1,0.22,winter,40\n2,,winter,32\n3,0.5,summer,13\n"

const contract = `
rows: {min: 3}
extra_columns: false
columns:
  - {name: hour, type: int64, min: 0, max: 23, not_null: true}
  - {name: temp, type: float64, min: 0, max: 1}
  - {name: season, allowed: [winter, spring, summer, autumn]}
  - {name: riders, type: int64, min: 0}
`

func wantKind(t *testing.T, err error, k errs.Kind) {
	t.Helper()
	if !errs.Is(err, k) {
		t.Fatalf("want %s, got %v", k, err)
	}
}

func TestVersionLife(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		if _, err := b.SetContract(ctx, "bike", contract); err != nil {
			t.Fatal(err)
		}
		v, created, err := b.Add(ctx, Upload{Dataset: "bike", Target: "riders", Description: "four hours"}, strings.NewReader(hours))
		if err != nil || !created {
			t.Fatal(created, err)
		}
		if v.Version != 1 || v.Rows != 4 || len(v.Columns) != 4 || !v.Columns[1].Nullable || v.Columns[3].Type != table.Int || v.Format != CSV ||
			v.Contract.Verdict != "pass" || v.Target != "riders" || v.SizeBytes != int64(len(hours)) || len(v.Digest) != 64 {
			t.Fatalf("%+v", v)
		}
		again, created, err := b.Add(ctx, Upload{Dataset: "bike"}, strings.NewReader(hours))
		if err != nil || created || again.Version != 1 {
			t.Fatal(again, created, err)
		}
		v2, _, err := b.Add(ctx, Upload{Dataset: "bike"}, strings.NewReader(hours+"4,0.6,summer,20\n"))
		if err != nil || v2.Version != 2 {
			t.Fatal(v2, err)
		}
		f, open, err := b.Open(ctx, "bike", 0)
		if err != nil || open.Version != 2 || f.Rows() != 5 {
			t.Fatal(open, err)
		}
		if same, _, err := b.Open(ctx, "bike", 2); err != nil || same != f {
			t.Fatal("the frame is not kept", err)
		}
		p, err := b.Profile(ctx, "bike", 1)
		if err != nil {
			t.Fatal(err)
		}
		c, ok := p.Column("temp")
		if !ok || c.Missing != 1 || c.Numbers == nil || c.Sketch == nil {
			t.Fatalf("%+v", c)
		}
		for _, src := range []string{"http://localhost:5000" + v.DataPath, "https://other.example/api/v1/datasets/bike/versions/1/data?format=csv", v.DataPath,
			"bike@1", `{"url": "http://127.0.0.1:5000/api/v1/datasets/bike/versions/1/data"}`} {
			if got, err := b.FindBySource(ctx, src); err != nil || got.Version != 1 {
				t.Errorf("%s: %v %v", src, got.Version, err)
			}
		}
		for _, src := range []string{"", "s3://bucket/x.csv", "{", `{"url":"x"}`, "/api/v1/datasets/bike/versions/9/data", "/api/v1/datasets/bike/other/1/data", "none@1", "/api/v1/datasets/..%2f/versions/1/data"} {
			if _, err := b.FindBySource(ctx, src); !errs.Is(err, errs.NotFound) {
				t.Errorf("%q: want not found, got %v", src, err)
			}
		}
		if b.events(t, "dataset.version.created") != 2 || b.events(t, "dataset.version.refused") != 0 {
			t.Fatal("events")
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		if _, err := b.SetContract(ctx, "bike", contract); err != nil {
			t.Fatal(err)
		}
		broken := "hour,temp,season,riders,extra\n0,0.24,winter,16,1\n31,7,monsoon,-4,1\n,0.3,winter,5,1\n"
		_, _, err := b.Add(ctx, Upload{Dataset: "bike"}, strings.NewReader(broken))
		wantKind(t, err, errs.Invalid)
		text := err.Error()
		for _, part := range []string{"hour", "temp", "season", "riders", "extra", "not_null", "allowed"} {
			if !strings.Contains(text, part) {
				t.Errorf("%q is not named in: %s", part, text)
			}
		}
		for name, c := range map[string]struct {
			u    Upload
			body string
			kind errs.Kind
		}{
			"empty body":           {Upload{Dataset: "d"}, "", errs.Invalid},
			"header alone":         {Upload{Dataset: "d"}, "a,b\n", errs.Invalid},
			"a row too short":      {Upload{Dataset: "d"}, "a,b\n1,2\n3\n", errs.Invalid},
			"a row too long":       {Upload{Dataset: "d"}, "a,b\n1,2\n3,4,5\n", errs.Invalid},
			"unclosed quote":       {Upload{Dataset: "d"}, "a,b\n1,\"2\n3,4\n", errs.Invalid},
			"double column":        {Upload{Dataset: "d"}, "a,a\n1,2\n", errs.Invalid},
			"binary noise":         {Upload{Dataset: "d"}, "\x00\xff\xfe\x01\n\x02,\xff\n", errs.Invalid},
			"no such target":       {Upload{Dataset: "d", Target: "y"}, "a,b\n1,2\n", errs.Invalid},
			"no such time column":  {Upload{Dataset: "d", TimeColumn: "t"}, "a,b\n1,2\n", errs.Invalid},
			"unknown format":       {Upload{Dataset: "d", Format: "xlsx"}, "a,b\n1,2\n", errs.Invalid},
			"CSV that says JSON":   {Upload{Dataset: "d", Format: JSONL}, "a,b\n1,2\n", errs.Invalid},
			"broken JSON line":     {Upload{Dataset: "d"}, "{\"a\":1}\n{\"a\":\n", errs.Invalid},
			"Parquet cut short":    {Upload{Dataset: "d"}, "PAR1" + strings.Repeat("x", 100), errs.Invalid},
			"name with a slash":    {Upload{Dataset: "a/b"}, "a,b\n1,2\n", errs.Invalid},
			"name that climbs":     {Upload{Dataset: ".."}, "a,b\n1,2\n", errs.Invalid},
			"larger than allowed":  {Upload{Dataset: "d"}, "a\n" + strings.Repeat("1234567\n", 1<<18), errs.Exhausted},
			"differs only in case": {Upload{Dataset: "BIKE"}, "a,b\n1,2\n", errs.Conflict},
		} {
			if _, _, err := b.Add(ctx, c.u, strings.NewReader(c.body)); !errs.Is(err, c.kind) {
				t.Errorf("%s: want %s, got %v", name, c.kind, err)
			}
		}
		if _, _, err := b.Add(ctx, Upload{Dataset: "d"}, io.MultiReader(strings.NewReader("a\n1\n"), iotestErr{})); err == nil {
			t.Error("an upload that breaks off was taken")
		}
		if ds, _, err := b.List(ctx, 0, ""); err != nil || len(ds) != 1 || ds[0].VersionsCount != 0 {
			t.Fatalf("something was half written: %+v %v", ds, err)
		}
		if b.events(t, "dataset.version.created") != 0 || b.events(t, "dataset.version.refused") < 2 {
			t.Fatal("events")
		}
		_, err = b.GetVersion(ctx, "bike", 0)
		wantKind(t, err, errs.NotFound)
		for _, bad := range []string{"columns: [", "colums: []", "columns: [{name: a, type: money}]", "- 1", "rows: {min: -1}"} {
			_, err := b.SetContract(ctx, "bike", bad)
			wantKind(t, err, errs.Invalid)
		}
	})
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestSameBytesAtOnceMakeOneVersion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if v, _, err := b.Add(ctx, Upload{Dataset: "bike"}, strings.NewReader(hours)); err != nil || v.Version != 1 {
					t.Errorf("%d %v", v.Version, err)
				}
			})
		}
		wg.Wait()
		if ds, err := b.Get(ctx, "bike"); err != nil || ds.VersionsCount != 1 {
			t.Fatalf("%+v %v", ds, err)
		}
	})
}

func TestFormatsAgree(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t, dbtest.SQLite(t)), t.Context()
	if _, _, err := b.Add(ctx, Upload{Dataset: "csv"}, strings.NewReader(hours)); err != nil {
		t.Fatal(err)
	}
	f, _, err := b.Open(ctx, "csv", 1)
	if err != nil {
		t.Fatal(err)
	}
	var pq bytes.Buffer
	if err := table.WriteParquet(&pq, f); err != nil {
		t.Fatal(err)
	}
	lines := `{"hour":0,"temp":0.24,"season":"winter","riders":16}
{"hour":1,"temp":0.22,"season":"winter","riders":40}
{"hour":2,"temp":null,"season":"winter","riders":32}
{"hour":3,"temp":0.5,"season":"summer","riders":13}
`
	for name, body := range map[string]string{"parquet": pq.String(), "jsonl": lines} {
		v, _, err := b.Add(ctx, Upload{Dataset: name}, strings.NewReader(body))
		if err != nil || string(v.Format) != name {
			t.Fatal(name, v.Format, err)
		}
		status, text := b.do(t, "GET", "/api/v1/datasets/"+name+"/versions/latest/data?format=csv", "")
		if status != 200 || text != hours {
			t.Errorf("%s as CSV: %d %s", name, status, text)
		}
	}
	status, text := b.do(t, "GET", "/api/v1/datasets/csv/versions/1/data?format=parquet", "")
	if status != 200 || !strings.HasPrefix(text, "PAR1") {
		t.Fatal(status)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t, dbtest.SQLite(t))
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"PUT", "/api/v1/datasets/bike/contract", contract, 200, `"latest_version":0`},
		{"PUT", "/api/v1/datasets/bike/contract", "colums: []", 400, "contract"},
		{"POST", "/api/v1/datasets/bike/versions?target=riders", hours, 201, `"version":1`},
		{"POST", "/api/v1/datasets/bike/versions", hours, 200, `"version":1`},
		{"POST", "/api/v1/datasets/bike/versions", strings.Replace(hours, "0.5", "50", 1), 400, `"field":"temp"`},
		{"POST", "/api/v1/datasets/bike/versions?colour=red", hours, 400, `"field":"colour"`},
		{"POST", "/api/v1/datasets/bike/versions", "", 400, "empty"},
		{"POST", "/api/v1/datasets/bike/versions", strings.Repeat("x", 2<<20), 413, "larger"},
		{"GET", "/api/v1/datasets", "", 200, `"rows":4`},
		{"GET", "/api/v1/datasets/bike", "", 200, `"contract":"\nrows`},
		{"GET", "/api/v1/datasets/none", "", 404, "no dataset"},
		{"GET", "/api/v1/datasets/bike/versions", "", 200, `"next_page_token":""`},
		{"GET", "/api/v1/datasets/bike/versions/latest", "", 200, `"histogram":{"edges"`},
		{"GET", "/api/v1/datasets/bike/versions/latest", "", 200, `"quantiles":{"p1"`},
		{"GET", "/api/v1/datasets/bike/versions/2", "", 404, "no version 2"},
		{"GET", "/api/v1/datasets/bike/versions/x", "", 400, "whole number"},
		{"GET", "/api/v1/datasets/bike/versions/1/rows?limit=3", "", 200, `{"hour":2,"riders":32,"season":"winter","temp":null}`},
		{"GET", "/api/v1/datasets/bike/versions/1/rows?limit=100000", "", 400, "limit"},
		{"GET", "/api/v1/datasets/bike/versions/1/data", "", 200, hours},
		{"GET", "/api/v1/datasets/bike/versions/1/data?format=xml", "", 400, "csv or parquet"},
	} {
		status, body := b.do(t, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %.600s", c.method, c.path, status, body)
		}
	}
}

func TestProfilesOfOddColumns(t *testing.T) {
	t.Parallel()
	b := newBench(t, dbtest.SQLite(t))
	body := "empty,inf,when,flag,text\n,inf,2011-01-01T00:00:00Z,true,=1+1\n,-inf,2011-01-02,false,\"a,\"\"b\"\"\nc\"\n,1,2011-01-03,true,<script>\n"
	status, text := b.do(t, "POST", "/api/v1/datasets/odd/versions?time_column=when", body)
	if status != 201 {
		t.Fatal(status, text)
	}
	for _, path := range []string{"", "/rows", "/data", "/data?format=parquet"} {
		if status, text := b.do(t, "GET", "/api/v1/datasets/odd/versions/1"+path, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newFrameCache(1000)
	for i := range 10 {
		f, err := table.NewFrame(table.NewFloats("x", make([]float64, 50)))
		if err != nil {
			t.Fatal(err)
		}
		c.put(fmt.Sprint(i), f)
		if c.used > 1000 {
			t.Fatal(c.used)
		}
	}
	if c.get("9") == nil || c.get("0") != nil {
		t.Fatal("the newest stay, the oldest go")
	}
}
