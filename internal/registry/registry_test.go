package registry

import (
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

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/filter"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

type bench struct {
	*Service
	files *blob.Files
	log   *events.Log
	clock *clock.Fake
	http  http.Handler
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
	ev := events.NewLog(events.Deps{DB: d, Jobs: q, Clock: c, Log: log})
	files := blob.NewFiles(d, store, c)
	b := &bench{files: files, log: ev, clock: c}
	b.Service = New(Deps{DB: d, Events: ev, Files: files, Clock: c, ResolveSource: func(_ context.Context, uri string) (Source, error) {
		if rest, ok := strings.CutPrefix(uri, "runs:/"); ok {
			run, dir, _ := strings.Cut(rest, "/")
			return Source{FilesRoot: "run/" + run, FilesDir: dir, RunID: run, Metrics: map[string]float64{"mae": 48}}, nil
		}
		return Source{}, errs.Invalidf("test", "no such source")
	}})
	r := httpx.New(httpx.Options{Version: "test", Log: log, Guard: func(r *http.Request, _ httpx.Action) (context.Context, error) {
		return actor.With(r.Context(), actor.Actor{Type: actor.User, ID: "ann"}), nil
	}})
	b.Routes(r)
	b.http = r.Handler()
	return b
}

func (b *bench) do(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	b.http.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

const mlmodel = `artifact_path: model
flavors:
  lightgbm:
    data: model.lgb
    lgb_version: 4.6.0
  python_function:
    data: model.lgb
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.lightgbm
    python_version: 3.11.2
mlflow_version: 3.4.0
run_id: r1
saved_input_example_info: {artifact_path: input_example.json, serving_input_path: serving_input_example.json, type: dataframe}
signature:
  inputs: '[{"type": "double", "name": "temp", "required": true}, {"type": "long", "name": "hr", "required": true}]'
  outputs: '[{"type": "double", "name": "prediction", "required": true}]'
  params: null
`

func (b *bench) log1(t *testing.T, run string) {
	t.Helper()
	for name, text := range map[string]string{"MLmodel": mlmodel, "model.lgb": "tree\n", "requirements.txt": "mlflow==3.4.0\nlightgbm==4.6.0\n"} {
		if _, err := b.files.Put(t.Context(), "run/"+run, "model/"+name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) version(t *testing.T, model string) Version {
	t.Helper()
	b.log1(t, "r1")
	v, err := b.CreateVersion(t.Context(), NewVersion{Model: model, Source: "runs:/r1/model", RunID: "r1", FilesRoot: "run/r1", FilesDir: "model"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (b *bench) model(t *testing.T, name string) {
	t.Helper()
	if _, err := b.CreateModel(t.Context(), NewModel{Name: name}); err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, k errs.Kind) {
	t.Helper()
	if !errs.Is(err, k) {
		t.Fatalf("want %s, got %v", k, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"bike-demand", "Bike demand (v2)", "größe_1.0", "a", "gro\u0308sse", "需求预测-v2", "Спрос 2", "मांग", strings.Repeat("é", 256)} {
		if _, err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a/b", "a%2fb", "a:b", "a@b", "a\x00b", "a\nb", "..", ".a", "a.", " a", "a ", "-a", "раypal", "αlpha", "a\U0001f600", "a&b", "a\u0338", "模\ufe0f", "\u0301a", "а\u034fб", "ａｂ", "a\u200bb", "a$(x)", "a`b", strings.Repeat("a", 257), "a\xff"} {
		if _, err := CheckName(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: want invalid, got %v", bad, err)
		}
	}
	for _, bad := range []string{"", "latest", "Latest", "v3", "3", "V12", "a b", "a/b", "é", strings.Repeat("a", 256)} {
		if err := CheckAlias(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("alias %q: want invalid, got %v", bad, err)
		}
	}
	for _, good := range []string{"champion", "v3-blue", "A_1"} {
		if err := CheckAlias(good); err != nil {
			t.Errorf("alias %q: %v", good, err)
		}
	}
}

func TestParseURI(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"models:/bike/3": "bike 3 false", "models:/bike@champion": "bike champion true", "models:/a b/latest": "a b latest false",
		"models:/bike": "", "models://bike/3": "", "runs:/x/model": "", "models:/bike/3/4": "", "models:/@a": "", "models:/a@": "", "": "", "models:/m-0123": "", "models:/a@b/3": "a@b 3 false",
	} {
		m, r, by, err := ParseURI(uri)
		if got := fmt.Sprint(m, " ", r, " ", by); want != "" && got != want || (want == "") != (err != nil) {
			t.Errorf("%q: %q %v", uri, got, err)
		}
	}
}

func TestModelLife(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		m, err := b.CreateModel(ctx, NewModel{Name: "bike-demand", Description: "riders an hour", Tags: map[string]string{"team": "x"}})
		if err != nil || m.Name != "bike-demand" || m.Tags["team"] != "x" || m.VersionsCount != 0 || m.LatestVersion != "" {
			t.Fatalf("%+v %v", m, err)
		}
		for _, dup := range []string{"bike-demand", "Bike-Demand"} {
			_, err = b.CreateModel(ctx, NewModel{Name: dup})
			wantKind(t, err, errs.Conflict)
		}
		desc, tag := "new", "y"
		m, err = b.UpdateModel(ctx, "bike-demand", ModelChange{Description: &desc, Tags: map[string]*string{"team": nil, "owner": &tag}})
		if err != nil || m.Description != "new" || cmp.Diff(m.Tags, map[string]string{"owner": "y"}) != "" {
			t.Fatalf("%+v %v", m, err)
		}
		if m, err = b.RenameModel(ctx, "bike-demand", "riders"); err != nil || m.Name != "riders" {
			t.Fatalf("%+v %v", m, err)
		}
		_, err = b.GetModel(ctx, "bike-demand")
		wantKind(t, err, errs.NotFound)
		v1 := b.version(t, "riders")
		if v1.Version != "1" {
			t.Fatalf("version %s", v1.Version)
		}
		if err := b.DeleteModel(ctx, "riders"); err != nil {
			t.Fatal(err)
		}
		_, err = b.GetVersion(ctx, "riders", "1")
		wantKind(t, err, errs.NotFound)
		b.model(t, "riders")
		if v := b.version(t, "riders"); v.Version != "2" {
			t.Fatalf("a number of the deleted model was given again: %s", v.Version)
		}
		_, err = b.CreateModel(ctx, NewModel{Name: "m2", Description: strings.Repeat("x", MaxDescription+1), Tags: map[string]string{"": "x", "k": "\xff"}})
		wantKind(t, err, errs.Invalid)
		if len(err.(*errs.Error).Fields) != 3 {
			t.Fatalf("all problems are told at once: %v", err)
		}
	})
}

func TestVersionLife(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBench(t, d)
		ctx := actor.With(t.Context(), actor.Actor{Type: actor.User, ID: "ann"})
		b.model(t, "bike")
		b.log1(t, "r1")
		v, err := b.CreateVersion(ctx, NewVersion{Model: "bike", Source: "runs:/r1/model", RunID: "r1", FilesRoot: "run/r1", FilesDir: "model",
			Description: "first", Tags: map[string]string{"a": "1"}, Metrics: map[string]float64{"mae": 48.5}})
		if err != nil {
			t.Fatal(err)
		}
		if v.Version != "1" || v.Status != Ready || v.Stage != StageNone || v.Flavor != "lightgbm" || v.Runtime != "native" || v.FilesCount != 3 ||
			v.CreatedBy != "ann" || len(v.Digest) != 64 || v.Metrics["mae"] != 48.5 || v.PythonVersion != "3.11.2" || v.MLflowVersion != "3.4.0" ||
			v.InputExample != "serving_input_example.json" || v.Tags["a"] != "1" || cmp.Diff(v.Requirements, []string{"mlflow==3.4.0", "lightgbm==4.6.0"}) != "" {
			t.Fatalf("%+v", v)
		}
		if v.Signature == nil || len(v.Signature.Inputs) != 2 || v.Signature.Inputs[1].Name != "hr" || v.Signature.Outputs[0].Type != "double" {
			t.Fatalf("%+v", v.Signature)
		}

		// The files of a version stay as they are whatever happens to the run.
		if _, err := b.files.Put(ctx, "run/r1", "model/model.lgb", strings.NewReader("changed")); err != nil {
			t.Fatal(err)
		}
		r, _, err := b.OpenFile(ctx, "bike", "1", "model.lgb")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r)
		_ = r.Close()
		if string(text) != "tree\n" {
			t.Fatalf("%q", text)
		}
		v2, err := b.CreateVersion(ctx, NewVersion{Model: "bike", Source: "runs:/r1/model", FilesRoot: "run/r1", FilesDir: "model"})
		if err != nil || v2.Version != "2" || v2.Digest == v.Digest {
			t.Fatalf("%+v %v", v2, err)
		}
		if err := b.DeleteVersion(ctx, "bike", "2"); err != nil {
			t.Fatal(err)
		}
		_, err = b.GetVersion(ctx, "bike", "2")
		wantKind(t, err, errs.NotFound)
		if v3 := b.version(t, "bike"); v3.Version != "3" || v3.Digest != v.Digest {
			t.Fatalf("%+v", v3)
		}
		if err := b.Materialize(ctx, v, t.TempDir()+"/m"); err != nil {
			t.Fatal(err)
		}
		vs, err := b.LatestVersions(ctx, "bike", nil)
		if err != nil || len(vs) != 1 || vs[0].Version != "3" {
			t.Fatalf("%+v %v", vs, err)
		}
	})
}

func TestBadVersions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		b.model(t, "bike")
		put := func(path, text string) {
			if _, err := b.files.Put(ctx, "run/x", path, strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
		}
		put("notes.txt", "no model here")
		put("broken/MLmodel", "flavors: [unclosed")
		put("empty/MLmodel", "run_id: x\n")
		put("file", "x")
		for _, c := range []struct {
			name string
			n    NewVersion
			kind errs.Kind
		}{
			{"unknown model", NewVersion{Model: "none", FilesRoot: "run/x"}, errs.NotFound},
			{"no source", NewVersion{Model: "bike"}, errs.Invalid},
			{"no such run", NewVersion{Model: "bike", FilesRoot: "run/none", Source: "runs:/none/model"}, errs.NotFound},
			{"no such folder", NewVersion{Model: "bike", FilesRoot: "run/x", FilesDir: "model"}, errs.NotFound},
			{"a file, not a folder", NewVersion{Model: "bike", FilesRoot: "run/x", FilesDir: "file"}, errs.NotFound},
			{"no MLmodel", NewVersion{Model: "bike", FilesRoot: "run/x"}, errs.Invalid},
			{"MLmodel is no YAML", NewVersion{Model: "bike", FilesRoot: "run/x", FilesDir: "broken"}, errs.Invalid},
			{"MLmodel without flavours", NewVersion{Model: "bike", FilesRoot: "run/x", FilesDir: "empty"}, errs.Invalid},
			{"path climbs out", NewVersion{Model: "bike", FilesRoot: "run/x", FilesDir: "../y"}, errs.Invalid},
			{"huge tag", NewVersion{Model: "bike", FilesRoot: "run/x", Tags: map[string]string{"k": strings.Repeat("x", MaxTagValue+1)}}, errs.Invalid},
		} {
			if _, err := b.CreateVersion(ctx, c.n); !errs.Is(err, c.kind) {
				t.Errorf("%s: want %s, got %v", c.name, c.kind, err)
			}
		}
		for bad, kind := range map[string]errs.Kind{"": errs.Invalid, "0": errs.NotFound, "-1": errs.NotFound, "1.0": errs.Invalid, "01": errs.Invalid, "x": errs.Invalid, "99999999999999999999": errs.Invalid} {
			_, err := b.GetVersion(ctx, "bike", bad)
			wantKind(t, err, kind)
		}
		m, err := b.GetModel(ctx, "bike")
		if err != nil || m.VersionsCount != 0 {
			t.Fatalf("something was half written: %+v %v", m, err)
		}
		if v, err := b.CreateVersion(ctx, NewVersion{Model: "bike", Source: "dummy-source", AllowNoFiles: true}); err != nil || v.Version != "1" || v.Flavor != "" {
			t.Fatalf("a version without files: %+v %v", v, err)
		}
	})
}

func TestAliases(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBench(t, d)
		ctx := actor.With(t.Context(), actor.Actor{Type: actor.User, ID: "ann"})
		b.model(t, "bike")
		b.version(t, "bike")
		b.version(t, "bike")
		for _, step := range [][2]string{{"1", "first"}, {"2", "better"}, {"2", "again"}} {
			if err := b.SetAlias(ctx, "bike", "champion", step[0], step[1]); err != nil {
				t.Fatal(err)
			}
		}
		v, err := b.Resolve(ctx, "models:/bike@champion")
		if err != nil || v.Version != "2" || cmp.Diff(v.Aliases, []string{"champion"}) != "" {
			t.Fatalf("%+v %v", v, err)
		}
		for uri, want := range map[string]string{"models:/bike/1": "1", "models:/bike/latest": "2", "models:/bike@latest": "2", "models:/bike/none": "2"} {
			if v, err := b.Resolve(ctx, uri); err != nil || v.Version != want {
				t.Errorf("%s: %+v %v", uri, v, err)
			}
		}
		for uri, kind := range map[string]errs.Kind{"models:/bike@gone": errs.NotFound, "models:/none@champion": errs.NotFound, "models:/bike/9": errs.NotFound,
			"models:/bike/Production": errs.NotFound, "models:/bike/abc": errs.Invalid, "bike": errs.Invalid} {
			_, err := b.Resolve(ctx, uri)
			if !errs.Is(err, kind) {
				t.Errorf("%s: want %s, got %v", uri, kind, err)
			}
		}
		wantKind(t, b.SetAlias(ctx, "bike", "Champion", "1", ""), errs.Conflict)
		wantKind(t, b.SetAlias(ctx, "bike", "champion", "9", ""), errs.NotFound)
		wantKind(t, b.SetAlias(ctx, "none", "champion", "1", ""), errs.NotFound)
		wantKind(t, b.DeleteAlias(ctx, "bike", "gone", ""), errs.NotFound)
		if err := b.DeleteVersion(ctx, "bike", "2"); err != nil {
			t.Fatal(err)
		}
		_, err = b.Resolve(ctx, "models:/bike@champion")
		wantKind(t, err, errs.NotFound)

		h, next, err := b.History(ctx, "bike", 4, "")
		if err != nil || len(h) != 4 || next == "" {
			t.Fatalf("%+v %q %v", h, next, err)
		}
		rest, next, err := b.History(ctx, "bike", 4, next)
		if err != nil || next != "" {
			t.Fatal(next, err)
		}
		var got []string
		for _, e := range append(h, rest...) {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s %s", e.What, e.Alias, e.Version, e.Previous, e.Actor, e.Reason)))
		}
		want := []string{"version_deleted  2  ann", "alias_deleted champion 2 2 ann version 2 was deleted", "alias_set champion 2 1 ann better",
			"alias_set champion 1  ann first", "version_created  2  modelyard", "version_created  1  modelyard", "model_created    modelyard"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestStages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		b.model(t, "bike")
		b.version(t, "bike")
		b.version(t, "bike")
		for _, n := range []string{"1", "2"} {
			if v, err := b.TransitionStage(ctx, "bike", n, StageProduction, true); err != nil || v.Stage != StageProduction {
				t.Fatalf("%+v %v", v, err)
			}
		}
		v, err := b.GetVersion(ctx, "bike", "1")
		if err != nil || v.Stage != StageArchived {
			t.Fatalf("%+v %v", v, err)
		}
		if v, err := b.Resolve(ctx, "models:/bike/Production"); err != nil || v.Version != "2" {
			t.Fatalf("%+v %v", v, err)
		}
		_, err = b.TransitionStage(ctx, "bike", "1", StageArchived, true)
		wantKind(t, err, errs.Invalid)
		_, err = b.TransitionStage(ctx, "bike", "1", "Canary", false)
		wantKind(t, err, errs.Invalid)
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		for i, name := range []string{"alpha", "Beta", "alp_ha", "gamma", "al*pha"[:2] + "pine"} {
			b.clock.Advance(time.Second)
			tags := map[string]string{"team": fmt.Sprint("t", i%2)}
			if name == "gamma" {
				tags["mlflow.prompt.is_prompt"] = "true"
			}
			if _, err := b.CreateModel(ctx, NewModel{Name: name, Tags: tags}); err != nil {
				t.Fatal(err)
			}
		}
		find := func(order []Order, where ...Condition) string {
			t.Helper()
			var names []string
			token := ""
			for range 10 {
				ms, next, err := b.ListModels(ctx, Query{Where: where, OrderBy: order, PageSize: 2, PageToken: token})
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range ms {
					names = append(names, m.Name)
				}
				if token = next; token == "" {
					break
				}
			}
			return strings.Join(names, " ")
		}
		byAge := []Order{{Field: FieldCreated, Desc: true}}
		for _, c := range []struct {
			want  string
			order []Order
			where []Condition
		}{
			{"Beta alp_ha alpha alpine gamma", nil, nil},
			{"alpine gamma alp_ha Beta alpha", byAge, nil},
			{"alpha", byAge, []Condition{{Field: FieldName, Op: Eq, Value: "alpha"}}},
			{"alpine alp_ha alpha", byAge, []Condition{{Field: FieldName, Op: Like, Value: "al%"}}},
			{"", byAge, []Condition{{Field: FieldName, Op: Like, Value: "AL%"}}},
			{"alpine alp_ha alpha", byAge, []Condition{{Field: FieldName, Op: ILike, Value: "AL%"}}},
			{"", byAge, []Condition{{Field: FieldName, Op: Like, Value: "a*"}}},
			{"gamma Beta", byAge, []Condition{{Field: FieldTag, Key: "team", Op: Eq, Value: "t1"}}},
			{"alpine alp_ha alpha", byAge, []Condition{{Field: FieldTag, Key: "team", Op: Ne, Value: "t1"}}},
			{"", byAge, []Condition{{Field: FieldTag, Key: "none", Op: Ne, Value: "t1"}}},
			{"alpine alp_ha Beta alpha", byAge, []Condition{{Field: FieldTag, Key: "mlflow.prompt.is_prompt", Op: IsNot, Value: "true"}}},
			{"gamma", byAge, []Condition{{Field: FieldTag, Key: "mlflow.prompt.is_prompt", Op: IsNotNull}}},
			{"alpha gamma", []Order{{Field: FieldName}}, []Condition{{Field: FieldName, Op: In, Values: []string{"alpha", "gamma"}}}},
		} {
			if got := find(c.order, c.where...); got != c.want {
				t.Errorf("%+v: got %q, want %q", c.where, got, c.want)
			}
		}
		for _, q := range []Query{
			{Where: []Condition{{Field: "secret", Op: Eq, Value: "x"}}},
			{Where: []Condition{{Field: FieldName, Op: "~", Value: "x"}}},
			{Where: []Condition{{Field: FieldTag, Op: Eq, Value: "x"}}},
			{OrderBy: []Order{{Field: "id; DROP TABLE registry_model"}}},
			{PageToken: "%%%"},
			{PageToken: "e30"},
		} {
			if _, _, err := b.ListModels(ctx, q); !errs.Is(err, errs.Invalid) {
				t.Errorf("%+v: want invalid, got %v", q, err)
			}
		}
		for text, want := range map[string]string{
			"name = 'alpha' OR name = 'Beta'":                             "Beta alpha",
			"NOT (name LIKE 'al%') AND tags.team IS NOT NULL":             "Beta gamma",
			"NOT tags.none = 'x' AND name ILIKE 'A%'":                     "alp_ha alpha alpine",
			"tags.team NOT IN ('t1') AND NOT name = 'alpha'":              "alp_ha alpine",
			"creation_timestamp > 0.5 and name IS NOT NULL":               "Beta alp_ha alpha alpine gamma",
			"creation_timestamp IS NULL or last_updated_timestamp IN (1)": "",
		} {
			tree, err := filter.Parse(text, ModelDialect())
			if err != nil {
				t.Fatal(err)
			}
			ms, _, err := b.ListModels(ctx, Query{Filter: tree})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, m := range ms {
				names = append(names, m.Name)
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("%s: got %q, want %q", text, got, want)
			}
		}
		b.version(t, "alpha")
		b.version(t, "Beta")
		b.version(t, "alpha")
		vs, _, err := b.ListVersions(ctx, Query{Where: []Condition{{Field: FieldRunID, Op: Eq, Value: "r1"}}, OrderBy: []Order{{Field: FieldNumber}}})
		if err != nil || len(vs) != 3 || vs[0].URI() != "models:/Beta/1" || vs[2].URI() != "models:/alpha/2" {
			t.Fatalf("%+v %v", vs, err)
		}
	})
}

func TestServedVersionsStay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		b.model(t, "bike")
		b.version(t, "bike")
		b.version(t, "bike")
		hear := func(seq int64, typ, data string) {
			t.Helper()
			e := events.Event{Type: typ, Seq: seq, Resource: events.Resource{Kind: "endpoint", ID: "live"}, Data: []byte(data)}
			if err := b.onServed(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		hear(5, "routing.route.changed", `{"endpoint":"live","model":"bike","generation":1,"targets":[{"version":"1","weight":100,"role":"champion"}]}`)
		hear(3, "serving.endpoint.deleted", `{"endpoint":"live","model":"bike"}`) // older: changes nothing
		wantKind(t, b.DeleteVersion(ctx, "bike", "1"), errs.Precondition)
		wantKind(t, b.DeleteModel(ctx, "bike"), errs.Precondition)
		_, err := b.RenameModel(ctx, "bike", "riders")
		wantKind(t, err, errs.Precondition)
		if err := b.DeleteVersion(ctx, "bike", "2"); err != nil {
			t.Fatal(err)
		}
		hear(6, "serving.endpoint.deleted", `{"endpoint":"live","model":"bike"}`)
		if err := b.DeleteVersion(ctx, "bike", "1"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestGateVerdictsAreListed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		b.model(t, "bike")
		b.version(t, "bike")
		for i, typ := range []string{"evaluation.gate.failed", "evaluation.gate.passed"} {
			at := b.clock.Now().Add(time.Duration(i) * time.Second)
			err := b.onGate(ctx, events.Event{Type: typ, At: at, Data: []byte(`{"result_id":"g` + fmt.Sprint(i) + `","model":"bike","version":"1","gate":"ship"}`)})
			if err != nil {
				t.Fatal(err)
			}
		}
		v, err := b.GetVersion(ctx, "bike", "1")
		if err != nil || len(v.Gates) != 1 || v.Gates[0].Verdict != "pass" || v.Gates[0].ResultID != "g1" {
			t.Fatalf("%+v %v", v.Gates, err)
		}
	})
}

func TestParallelVersionsGetDifferentNumbers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		b.model(t, "bike")
		b.log1(t, "r1")
		var mu sync.Mutex
		seen := map[string]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				v, err := b.CreateVersion(ctx, NewVersion{Model: "bike", Source: "runs:/r1/model", FilesRoot: "run/r1", FilesDir: "model"})
				mu.Lock()
				defer mu.Unlock()
				if err != nil || seen[v.Version] {
					t.Errorf("%s %v", v.Version, err)
				}
				seen[v.Version] = true
			})
		}
		wg.Wait()
		if m, err := b.GetModel(ctx, "bike"); err != nil || m.VersionsCount != 8 || m.LatestVersion != "8" {
			t.Fatalf("%+v %v", m, err)
		}
	})
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t, dbtest.SQLite(t))
	b.log1(t, "r1")
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/api/v1/models", `{"name":"Bike demand","tags":{"a":"1"}}`, 201, `"name":"Bike demand"`},
		{"POST", "/api/v1/models", `{"name":"bike demand"}`, 409, `only in case`},
		{"POST", "/api/v1/models", `{"name":"a/b"}`, 400, `"field":"name"`},
		{"POST", "/api/v1/models", `{"nam":"x"}`, 400, `nam`},
		{"POST", "/api/v1/models", ``, 400, `body`},
		{"POST", "/api/v1/models/Bike%20demand/versions", `{"source":"runs:/r1/model"}`, 201, `"version":"1"`},
		{"POST", "/api/v1/models/Bike%20demand/versions", `{"source":"file:///etc"}`, 400, `no such source`},
		{"POST", "/api/v1/models/none/versions", `{"source":"runs:/r1/model"}`, 404, `no registered model`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1", ``, 200, `"runtime":"native"`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1", ``, 200, `"metrics":{"mae":48}`},
		{"GET", "/api/v1/models/Bike%20demand/versions/7", ``, 404, `has no version 7`},
		{"GET", "/api/v1/models/Bike%20demand/versions", ``, 200, `"next_page_token":""`},
		{"GET", "/api/v1/models?q=DEM", ``, 200, `"latest_version":"1"`},
		{"GET", "/api/v1/models?q=zzz", ``, 200, `"items":[]`},
		{"GET", "/api/v1/models?bogus=1", ``, 400, `bogus`},
		{"POST", "/api/v1/models", `{"name":"greeting","tags":{"mlflow.prompt.is_prompt":"true"}}`, 201, `"name":"greeting"`},
		{"GET", "/api/v1/models?q=greet", ``, 200, `"items":[]`},
		{"GET", "/api/v1/models?q=greet&kind=model", ``, 200, `"items":[]`},
		{"GET", "/api/v1/models?q=greet&kind=prompt", ``, 200, `"name":"greeting"`},
		{"GET", "/api/v1/models?q=greet&kind=all", ``, 200, `"name":"greeting"`},
		{"GET", "/api/v1/models?q=dem&kind=prompt", ``, 200, `"items":[]`},
		{"GET", "/api/v1/models?kind=bogus", ``, 400, `kind`},
		{"PUT", "/api/v1/models/Bike%20demand/aliases/champion", `{"version":"1","reason":"best"}`, 200, `"champion":"1"`},
		{"PUT", "/api/v1/models/Bike%20demand/aliases/latest", `{"version":"1"}`, 400, `latest`},
		{"GET", "/api/v1/models/Bike%20demand/history", ``, 200, `"reason":"best"`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files", ``, 200, `"path":"MLmodel"`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/content?path=model.lgb", ``, 200, "tree\n"},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/content?path=../../x", ``, 400, `climbs out`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/content?path=none", ``, 404, `no file`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/preview?path=model.lgb", ``, 200, `"kind":"text"`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/preview?path=model.lgb", ``, 200, `"text":"tree\n"`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/preview?path=../../x", ``, 400, `climbs out`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/preview?path=none", ``, 404, `no file`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/preview", ``, 400, `path`},
		{"GET", "/api/v1/models/Bike%20demand/versions/1/files/preview?path=model.lgb&rows=1001", ``, 400, `rows`},
		{"GET", "/api/v1/models/Bike%20demand/versions/7/files/preview?path=model.lgb", ``, 404, `has no version 7`},
		{"POST", "/api/v1/models/Bike%20demand/versions", `{"source":"runs:/r1/model","run_link":"` + strings.Repeat("x", 501) + `"}`, 400, `run_link`},
		{"POST", "/api/v1/models/Bike%20demand/versions", `{"source":"runs:/r1/model","run_link":"https://elsewhere/#/runs/1"}`, 201, `"run_link":"https://elsewhere/#/runs/1"`},
		{"GET", "/api/v1/models/Bike%20demand/versions/2", ``, 200, `"run_link":"https://elsewhere/#/runs/1"`},
		{"DELETE", "/api/v1/models/Bike%20demand/versions/2", ``, 204, ``},
		{"PATCH", "/api/v1/models/Bike%20demand/versions/1", `{"description":"d","tags":{"k":"v"}}`, 200, `"k":"v"`},
		{"PATCH", "/api/v1/models/Bike%20demand/versions/1", `{"tags":{"k":null}}`, 200, `"tags":{}`},
		{"PATCH", "/api/v1/models/Bike%20demand", `{"name":"riders"}`, 200, `"name":"riders"`},
		{"DELETE", "/api/v1/models/riders/aliases/champion", ``, 204, ``},
		{"DELETE", "/api/v1/models/riders/aliases/champion", ``, 404, `no alias`},
		{"DELETE", "/api/v1/models/riders/versions/1", ``, 204, ``},
		{"DELETE", "/api/v1/models/riders", ``, 204, ``},
		{"GET", "/api/v1/models/riders", ``, 404, `no registered model`},
	} {
		status, body := b.do(t, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, body)
		}
	}
	if _, err := b.log.List(t.Context(), events.Filter{Limit: 1}); err != nil {
		t.Fatal(err)
	}
}
