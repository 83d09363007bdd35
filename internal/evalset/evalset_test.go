package evalset

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

func newService(t *testing.T, d *db.DB) (*Service, *clock.Fake) {
	t.Helper()
	ck := clock.NewFake(time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC))
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: ck})
	return New(Deps{DB: d, Events: events.NewLog(events.Deps{DB: d, Jobs: q, Clock: ck}), Clock: ck, Experiment: func(_ context.Context, id string) error {
		if id == "404" {
			return errs.NotFoundf("test", "no experiment")
		}
		return nil
	}}), ck
}

func record(inputs string) NewRecord { return NewRecord{Inputs: json.RawMessage(inputs)} }

func TestRecords(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ck := newService(t, d)
		ctx := t.Context()
		ds, err := s.Create(ctx, "qa", map[string]string{"a": "1", "mlflow.user": "ann"}, []string{"1"})
		if err != nil || ds.CreatedBy != "ann" || len(ds.Experiments) != 1 || ds.Records != 0 {
			t.Fatalf("%+v %v", ds, err)
		}
		n, err := s.Upsert(ctx, ds.ID, []NewRecord{record(`{"q": 1, "p": 2.0}`), record(`{"p":2.0,"q":1}`), record(`{"q":2}`),
			{Inputs: json.RawMessage(`{"q":3}`), Outputs: json.RawMessage(`"x"`), HasOutputs: true, Expectations: json.RawMessage(`{"e":1}`), Tags: map[string]string{"t": "1"}, Source: &Source{Type: "trace", Data: json.RawMessage(`{"trace_id":"tr-1"}`)}}})
		if err != nil || n.Inserted != 3 || n.Updated != 1 {
			t.Fatalf("%+v %v", n, err)
		}
		first, err := s.Get(ctx, ds.ID)
		if err != nil || first.Records != 3 || first.Digest == ds.Digest || !strings.Contains(string(first.Schema), `"p":"float"`) {
			t.Fatalf("%+v %s %v", first, first.Schema, err)
		}
		ck.Advance(time.Second)
		if n, err = s.Upsert(ctx, ds.ID, []NewRecord{{Inputs: json.RawMessage(`{"q":3}`), Expectations: json.RawMessage(`{"f":[1]}`), Tags: map[string]string{"u": "2"}}, record(`{"q":4}`)}); err != nil || n.Updated != 1 || n.Inserted != 1 {
			t.Fatalf("%+v %v", n, err)
		}
		var all []Record
		for token := ""; ; {
			rs, next, err := s.Records(ctx, ds.ID, 2, token)
			if err != nil || len(rs) > 2 {
				t.Fatal(len(rs), err)
			}
			all = append(all, rs...)
			if token = next; next == "" {
				break
			}
		}
		if len(all) != 4 || string(all[3].Inputs) != `{"q":4}` {
			t.Fatalf("%+v", all)
		}
		for _, r := range all {
			if string(r.Inputs) != `{"q":3}` {
				continue
			}
			if string(r.Outputs) != `"x"` || string(r.Expectations) != `{"e":1,"f":[1]}` || len(r.Tags) != 2 || r.SourceID() != "tr-1" {
				t.Errorf("%+v %s", r, r.Expectations)
			}
		}
		if k, err := s.DeleteRecords(ctx, ds.ID, []string{all[0].ID, "none", "\x00"}); err != nil || k != 1 {
			t.Error(k, err)
		}
		for _, bad := range []NewRecord{record(`[1]`), record(`{"a":`), {Source: &Source{Type: "MOON"}}, {Expectations: json.RawMessage("5")}, {Tags: map[string]string{"": "x"}}} {
			if _, err := s.Upsert(ctx, ds.ID, []NewRecord{record(`{"new":1}`), bad}); !errs.Is(err, errs.Invalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		if got, err := s.Get(ctx, ds.ID); err != nil || got.Records != 3 {
			t.Errorf("a refused call changed something: %+v %v", got, err)
		}
		if _, _, err := s.Records(ctx, "d-none", 1, ""); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
		if err := s.Delete(ctx, ds.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, ds.ID); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ck := newService(t, d)
		ctx := t.Context()
		for i := range 5 {
			ds, err := s.Create(ctx, fmt.Sprint("set ", i), map[string]string{"i": fmt.Sprint(i)}, []string{fmt.Sprint(i % 2)})
			if err != nil {
				t.Fatal(err)
			}
			if i == 4 {
				if _, err := s.AddExperiments(ctx, ds.ID, []string{"7"}); err != nil {
					t.Fatal(err)
				}
				if got, err := s.RemoveExperiments(ctx, ds.ID, []string{"0"}); err != nil || len(got.Experiments) != 1 {
					t.Fatalf("%+v %v", got, err)
				}
			}
			ck.Advance(time.Second)
		}
		for _, c := range []struct {
			q    Query
			want string
		}{
			{Query{}, "4 3 2 1 0"},
			{Query{ExperimentIDs: []string{"0", "7"}}, "4 2 0"},
			{Query{Filter: "name LIKE 'set%' AND NOT tags.i IN ('1', '2')"}, "4 3 0"},
			{Query{Filter: "created_time > 1775030402000", OrderBy: []string{"name"}}, "3 4"},
			{Query{Filter: "created_by IS NULL OR name = 'x'", OrderBy: []string{"created_time"}}, "0 1 2 3 4"},
		} {
			for limit := 1; limit < 6; limit += 2 {
				var got []string
				for q := c.q; ; {
					q.Limit = limit
					ds, next, err := s.Search(ctx, q)
					if err != nil {
						t.Fatal(err)
					}
					for _, d := range ds {
						got = append(got, strings.TrimPrefix(d.Name, "set "))
					}
					if q.PageToken = next; next == "" {
						break
					}
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("%+v: %v, want %s", c.q, got, c.want)
				}
			}
		}
		if err := s.experimentPurged(ctx, events.Event{Resource: events.Resource{Kind: "experiment", ID: "7"}}); err != nil {
			t.Fatal(err)
		}
		if ds, _, err := s.Search(ctx, Query{ExperimentIDs: []string{"7"}}); err != nil || len(ds) != 0 {
			t.Errorf("%v %v", ds, err)
		}
		for _, q := range []Query{{Filter: "size = 'x'"}, {OrderBy: []string{"tags.x"}}, {PageToken: "!"}, {ExperimentIDs: []string{"\x00"}}, {Filter: "name = '\x00'"}} {
			if _, _, err := s.Search(ctx, q); !errs.Is(err, errs.Invalid) {
				t.Errorf("%+v: %v", q, err)
			}
		}
		if _, err := s.Create(ctx, "x", nil, []string{"404"}); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
		if _, err := s.Create(ctx, "", nil, nil); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
	})
}
