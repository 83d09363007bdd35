package registry

import (
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func TestImportKeepsNumbersAndTimes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		b.log1(t, "r1")
		m := ImportedModel{Name: "wine", Description: "text", Tags: map[string]string{"a": "b"}, CreatedMs: 1_600_000_000_000, UpdatedMs: 1_600_000_900_000}
		v := ImportedVersion{Model: "wine", Version: "3", Source: "file:///old/mlruns/1/r1/artifacts/model", Files: "runs:/r1/model", RunID: "r1", Stage: StageStaging, CreatedMs: 1_600_000_100_000,
			UpdatedMs: 1_600_000_200_000, CreatedBy: "ana", Tags: map[string]string{"c": "d"}}
		with := m
		with.Aliases = map[string]string{"champion": "3"}
		if _, _, err := b.ImportModel(ctx, with); !errs.Is(err, errs.NotFound) {
			t.Errorf("an alias of a version that is not there: %v", err)
		}
		if _, err := b.GetModel(ctx, "wine"); !errs.Is(err, errs.NotFound) {
			t.Fatal("half a model was written")
		}
		for i, want := range []Outcome{Created, Unchanged} {
			if _, out, err := b.ImportModel(ctx, m); err != nil || out != want {
				t.Fatal(i, out, err)
			}
			if _, out, err := b.ImportVersion(ctx, v); err != nil || out != want {
				t.Fatal(i, out, err)
			}
			if _, out, err := b.ImportModel(ctx, with); err != nil || out != map[Outcome]Outcome{Created: Updated, Unchanged: Unchanged}[want] {
				t.Fatal(i, out, err)
			}
		}
		got, err := b.ByAlias(ctx, "wine", "champion")
		if err != nil || got.Version != "3" || got.CreatedAt.UnixMilli() != v.CreatedMs || got.UpdatedAt.UnixMilli() != v.UpdatedMs || got.CreatedBy != "ana" || got.Stage != StageStaging || got.FilesCount != 3 || got.Flavor != "lightgbm" {
			t.Errorf("%+v %v", got, err)
		}
		if strings.Contains(got.Source, "file:") {
			t.Errorf("clients would look on their own disk: %s", got.Source)
		}
		if x, err := b.GetModel(ctx, "wine"); err != nil || x.CreatedAt.UnixMilli() != m.CreatedMs || x.UpdatedAt.UnixMilli() != m.UpdatedMs {
			t.Errorf("%+v %v", x, err)
		}
		if next := b.version(t, "wine"); next.Version != "4" {
			t.Errorf("the next version is %s", next.Version)
		}
		if h, _, err := b.History(ctx, "wine", 10, ""); err != nil || len(h) < 3 {
			t.Errorf("%v %v", h, err)
		}
		b.refusals(t, m, v)
	})
}

func (b *bench) refusals(t *testing.T, m ImportedModel, v ImportedVersion) {
	t.Helper()
	other, first := m, v
	other.CreatedMs++
	first.CreatedMs++
	if _, _, err := b.ImportModel(t.Context(), other); !errs.Is(err, errs.Conflict) {
		t.Errorf("another model of that name: %v", err)
	}
	if _, _, err := b.ImportVersion(t.Context(), first); !errs.Is(err, errs.Conflict) {
		t.Errorf("another version of that number: %v", err)
	}
	for name, change := range map[string]func(v *ImportedVersion){
		"number":  func(v *ImportedVersion) { v.Version = "0" },
		"stage":   func(v *ImportedVersion) { v.Stage = "Live" },
		"status":  func(v *ImportedVersion) { v.Status = "OK" },
		"time":    func(v *ImportedVersion) { v.CreatedMs = -1 },
		"tag":     func(v *ImportedVersion) { v.Tags = map[string]string{"": "x"} },
		"files":   func(v *ImportedVersion) { v.Files = "file:///etc/passwd" },
		"no such": func(v *ImportedVersion) { v.Model = "nobody" },
	} {
		x := v
		change(&x)
		if _, _, err := b.ImportVersion(t.Context(), x); !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := b.DeleteVersion(t.Context(), v.Model, v.Version); err != nil {
		t.Fatal(err)
	}
	if _, out, err := b.ImportVersion(t.Context(), v); err != nil || out != Unchanged {
		t.Errorf("a version that was deleted here came back: %s %v", out, err)
	}
}

func TestImportedVersionGetsItsFilesLater(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		b.log1(t, "r1")
		if _, _, err := b.ImportModel(ctx, ImportedModel{Name: "wine", CreatedMs: 1}); err != nil {
			t.Fatal(err)
		}
		v := ImportedVersion{Model: "wine", Version: "1", Source: "s3://bucket/m", CreatedMs: 2}
		if got, _, err := b.ImportVersion(ctx, v); err != nil || got.FilesCount != 0 || got.Source != "s3://bucket/m" {
			t.Fatalf("%+v %v", got, err)
		}
		v.Files = "runs:/r1/model"
		got, out, err := b.ImportVersion(ctx, v)
		if err != nil || out != Updated || got.FilesCount != 3 || got.Signature == nil || got.Source != "runs:/r1/model" {
			t.Errorf("%+v %s %v", got, out, err)
		}
		if _, out, err := b.ImportVersion(ctx, v); err != nil || out != Unchanged {
			t.Error(out, err)
		}
	})
}

func TestCopyVersion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		if _, err := b.CreateModel(ctx, NewModel{Name: "dev"}); err != nil {
			t.Fatal(err)
		}
		v := b.version(t, "dev")
		if err := b.SetVersionTag(ctx, "dev", "1", "k", "x"); err != nil {
			t.Fatal(err)
		}
		if err := b.SetAlias(ctx, "dev", "champion", "1", ""); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"1", "2"} {
			got, err := b.CopyVersion(ctx, "dev", "1", "prod")
			if err != nil || got.Version != want || got.Digest != v.Digest || got.Source != "models:/dev/1" || got.RunID != "r1" || got.Tags["k"] != "x" || len(got.Aliases) != 0 || got.Stage != StageNone {
				t.Errorf("%d %+v %v", i, got, err)
			}
		}
		if err := b.DeleteModel(ctx, "dev"); err != nil {
			t.Fatal(err)
		}
		if f, _, err := b.OpenFile(ctx, "prod", "1", "MLmodel"); err != nil {
			t.Error("the copy lost its files with the original: ", err)
		} else {
			_ = f.Close()
		}
		for _, bad := range [][3]string{{"dev", "1", "prod"}, {"prod", "9", "x"}, {"prod", "x", "x"}, {"prod", "1", "a/b"}, {"prod", "1", ""}} {
			if _, err := b.CopyVersion(ctx, bad[0], bad[1], bad[2]); !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.NotFound) {
				t.Error(bad, err)
			}
		}
		if status, body := b.do(t, "POST", "/api/v1/models/prod/versions/1/copy", `{"to":"other"}`); status != 201 || !strings.Contains(body, `"models:/prod/1"`) {
			t.Error(status, body)
		}
	})
}
