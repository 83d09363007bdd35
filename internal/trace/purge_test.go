package trace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

func (s *Service) put(t *testing.T, id, name, text string) {
	t.Helper()
	if _, err := s.d.Files.Put(t.Context(), FilesRoot(id), name, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
}

// rows counts what is kept of all traces, table by table.
func rows(t *testing.T, d *db.DB) string {
	t.Helper()
	out := []string{}
	for _, table := range []string{"trace", "trace_spans", "trace_assessment", "trace_link"} {
		var n int
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, " ")
}

func TestDeletedTracesAreGoneAndComeBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		ctx := actor.With(t.Context(), actor.Actor{Type: actor.User, ID: "ingrid"})
		for i := 1; i <= 3; i++ {
			addSpans(t, s, "1", tid(i), span(i*1000, 0, "root"))
		}
		if _, err := s.Assess(ctx, Assessment{TraceID: tid(1), Name: "ok", Kind: Feedback, Value: []byte("true"), SourceType: SourceHuman}); err != nil {
			t.Fatal(err)
		}
		if err := s.LinkRun(ctx, "run1", []string{tid(1)}); err != nil {
			t.Fatal(err)
		}
		before, _, err := s.Whole(ctx, tid(1), true)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.Delete(ctx, Deletion{ExperimentID: "1", IDs: []string{tid(1), tid(1), "tr-none"}}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if n, err := s.Delete(ctx, Deletion{ExperimentID: "1", IDs: []string{tid(1)}}); err != nil || n != 0 {
			t.Error("deleted twice:", n, err)
		}

		for name, do := range map[string]func() error{
			"get":        func() error { _, err := s.Get(ctx, tid(1)); return err },
			"whole":      func() error { _, _, err := s.Whole(ctx, tid(1), true); return err },
			"tag":        func() error { return s.SetTag(ctx, tid(1), "a", "b") },
			"delete tag": func() error { return s.DeleteTag(ctx, tid(1), TagName) },
			"end":        func() error { _, err := s.End(ctx, tid(1), start, StateOK, nil, nil); return err },
			"assess": func() error {
				_, err := s.Assess(ctx, Assessment{TraceID: tid(1), Name: "x", Kind: Feedback, Value: []byte("1"), SourceType: SourceCode})
				return err
			},
			"link a prompt": func() error { return s.LinkPrompts(ctx, tid(1), []PromptVersion{{"p", "1"}}) },
		} {
			if err := do(); !errs.Is(err, errs.NotFound) {
				t.Errorf("%s of a deleted trace: %v", name, err)
			}
		}
		for _, q := range []Query{{ExperimentIDs: []string{"1"}}, {ExperimentIDs: []string{"1"}, Filter: "run_id = 'run1'"}, {ExperimentIDs: []string{"1", ""}, Filter: "feedback.ok = 'true' OR span.name = 'root'"}, {ExperimentIDs: []string{""}}} {
			found, _, err := s.Search(ctx, q)
			if err != nil || slices.ContainsFunc(found, func(t Trace) bool { return t.ID == tid(1) }) {
				t.Errorf("%+v finds %d traces %v", q, len(found), err)
			}
		}
		if many, err := s.Many(ctx, []string{tid(1), tid(2)}, nil); err != nil || len(many) != 1 {
			t.Errorf("%d traces %v", len(many), err)
		}

		src := s.Trash()[0]
		items, err := src.List(ctx, discard.Query{Limit: 10})
		if err != nil || len(items) != 1 || items[0].ID != tid(1) || items[0].Name != "root" || items[0].Parent != "experiment 1" || items[0].Holds != 1 || items[0].DeletedBy != "user:ingrid" || items[0].DeletedAt.IsZero() {
			t.Fatalf("%+v %v", items, err)
		}
		if n, err := src.Count(ctx); err != nil || n != 1 {
			t.Error(n, err)
		}
		for range 2 { // a second time changes nothing
			if err := src.Restore(ctx, tid(1)); err != nil {
				t.Fatal(err)
			}
		}
		after, spans, err := s.Whole(ctx, tid(1), true)
		if err != nil || after.ExperimentID != "1" || len(spans) != 1 || len(after.Assessments) != 1 || !after.Start.Equal(before.Start) {
			t.Errorf("%+v %d %v", after, len(spans), err)
		}
		if found, _, err := s.Search(ctx, Query{ExperimentIDs: []string{"1"}, Filter: "run_id = 'run1'"}); err != nil || len(found) != 1 {
			t.Errorf("%d traces of the run %v", len(found), err)
		}
		if err := src.Restore(ctx, tid(99)); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
		if n, err := src.Count(ctx); err != nil || n != 0 {
			t.Error(n, err)
		}
	})
}

func TestATraceOfADeletedExperimentWaits(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.SQLite(t))
	ctx := t.Context()
	addSpans(t, s, "1", tid(1), span(1, 0, "root"))
	if _, err := s.Delete(ctx, Deletion{ExperimentID: "1", IDs: []string{tid(1)}}); err != nil {
		t.Fatal(err)
	}
	there := s.d.Experiment
	s.d.Experiment = func(context.Context, string) error { return errs.Invalidf("test", "the experiment is deleted") }
	if err := s.Restore(ctx, tid(1)); !errs.Is(err, errs.Precondition) {
		t.Error(err)
	}
	s.d.Experiment = there
	if err := s.Restore(ctx, tid(1)); err != nil {
		t.Error(err)
	}
}

func TestPurgeRemovesAllOfATrace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		ctx := t.Context()
		src := s.Trash()[0]
		addSpans(t, s, "1", tid(1), span(1, 0, "root"))
		addSpans(t, s, "1", tid(2), span(1, 0, "root"))
		kept := rows(t, d)
		addSpans(t, s, "1", tid(3), span(1, 0, "root"))
		s.put(t, tid(3), "a.txt", "abc")
		if _, err := s.Assess(ctx, Assessment{TraceID: tid(3), Name: "ok", Kind: Feedback, Value: []byte("1"), SourceType: SourceHuman}); err != nil {
			t.Fatal(err)
		}
		if err := s.LinkRun(ctx, "run1", []string{tid(3)}); err != nil {
			t.Fatal(err)
		}
		none := func([]blob.Content) error { t.Error("nothing may go"); return nil }
		if err := src.Purge(ctx, tid(3), none); !errs.Is(err, errs.Precondition) {
			t.Error("a living trace:", err)
		}
		if _, err := s.Delete(ctx, Deletion{ExperimentID: "1", IDs: []string{tid(3)}}); err != nil {
			t.Fatal(err)
		}
		weigh := func(do func(context.Context, string, discard.Emit) error) (n int, bytes int64) {
			t.Helper()
			err := do(ctx, tid(3), func(cs []blob.Content) error {
				for _, c := range cs {
					n, bytes = n+1, bytes+c.Size
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return n, bytes
		}
		if n, size := weigh(src.Contents); n != 1 || size != 3 {
			t.Error("contents:", n, size)
		}
		if n, size := weigh(src.Purge); n != 1 || size != 3 {
			t.Error("purged:", n, size)
		}
		if got := rows(t, d); got != kept {
			t.Errorf("rows %s, want %s", got, kept)
		}
		if _, err := s.d.Files.Stat(ctx, FilesRoot(tid(3)), "a.txt"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
		if err := src.Purge(ctx, tid(3), none); !errs.Is(err, errs.NotFound) {
			t.Error("purged twice:", err)
		}
		if err := src.Restore(ctx, tid(3)); !errs.Is(err, errs.NotFound) {
			t.Error("restored after the purge:", err)
		}
	})
}

func TestWhoWritesToADeletedTraceBringsItBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		ctx := t.Context()
		gone := func(id string) {
			t.Helper()
			if n, err := s.Delete(ctx, Deletion{ExperimentID: "1", IDs: []string{id}}); err != nil || n != 1 {
				t.Fatal(n, err)
			}
		}
		addSpans(t, s, "1", tid(1), span(1, 0, "root"))
		gone(tid(1))
		addSpans(t, s, "2", tid(1), span(2, 1, "late"))
		got, spans, err := s.Whole(ctx, tid(1), true)
		if err != nil || len(spans) != 2 || got.ExperimentID != "2" {
			t.Errorf("spans: %+v %d %v", got, len(spans), err)
		}
		addSpans(t, s, "1", tid(2), span(1, 0, "root"))
		gone(tid(2))
		if _, err := s.Start(ctx, NewTrace{ID: tid(2), ExperimentID: "1", Start: start, State: StateOK}); err != nil {
			t.Fatal(err)
		}
		if got, spans, err = s.Whole(ctx, tid(2), true); err != nil || len(spans) != 1 || got.ExperimentID != "1" || got.State != StateOK {
			t.Errorf("told of: %+v %d %v", got, len(spans), err)
		}
		if n, err := s.Trash()[0].Count(ctx); err != nil || n != 0 {
			t.Error("in the trash:", n, err)
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		ctx := t.Context()
		for i := 1; i <= 6; i++ {
			addSpans(t, s, "1", tid(i), span(i*1000, 0, "root"))
		}
		addSpans(t, s, "2", tid(7), span(1, 0, "root"))
		addSpans(t, s, "2", tid(8), span(1, 0, "root"))
		s.put(t, tid(7), "a.txt", "x")
		late := start.Add(time.Hour)
		for _, bad := range []Deletion{{ExperimentID: "1"}, {IDs: []string{"x"}}, {ExperimentID: "1", IDs: []string{"x"}, Before: &late}, {ExperimentID: "1", IDs: []string{"x"}, Max: 1}, {ExperimentID: "1", Before: &late, Max: -1}, {ExperimentID: "1", IDs: make([]string, MaxDelete+1)}} {
			if _, err := s.Delete(ctx, bad); !errs.Is(err, errs.Invalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		for _, c := range []struct {
			d    Deletion
			want int64
		}{
			{Deletion{ExperimentID: "1", IDs: []string{tid(3), tid(7), "tr-x", "\x00"}}, 1},
			{Deletion{ExperimentID: "1", Before: &late, Max: 2}, 2},
			{Deletion{ExperimentID: "1", Before: &late}, 3},
			{Deletion{ExperimentID: "1", Before: &late}, 0},
			{Deletion{ExperimentID: "2", IDs: []string{tid(8)}}, 1},
		} {
			if n, err := s.Delete(ctx, c.d); err != nil || n != c.want {
				t.Errorf("%+v: %d %v, want %d", c.d, n, err, c.want)
			}
		}
		// The list goes on where a page ended, though many went in one moment.
		var listed []string
		for q := (discard.Query{Limit: 2}); ; {
			items, err := s.Trash()[0].List(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range items {
				listed = append(listed, i.ID)
			}
			if len(items) < q.Limit {
				break
			}
			q.After = discard.After(items[len(items)-1])
		}
		if slices.Sort(listed); len(slices.Compact(listed)) != 7 {
			t.Errorf("listed %v", listed)
		}
		for range 2 { // events are heard at least once
			if err := s.experimentPurged(ctx, events.Event{Resource: events.Resource{Kind: "experiment", ID: "2"}}); err != nil {
				t.Error(err)
			}
		}
		if got := rows(t, d); got != "6 6 0 0" { // those of the other experiment wait in the trash
			t.Errorf("rows: %s", got)
		}
		if _, err := s.d.Files.Stat(ctx, FilesRoot(tid(7)), "a.txt"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

// TestPurgeOfManyTraces: those of a list that are in the trash go in one commit, each told with its files.
func TestPurgeOfManyTraces(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		ctx := t.Context()
		src := s.Trash()[0]
		addSpans(t, s, "1", tid(1), span(1, 0, "root"))
		s.put(t, tid(1), "stays.txt", "abc")
		kept := rows(t, d)
		ids := []string{tid(1), tid(99)}
		for i := 2; i <= 5; i++ {
			addSpans(t, s, "1", tid(i), span(1, 0, "root"))
			s.put(t, tid(i), "a.txt", "abc")
			ids = append(ids, tid(i))
		}
		s.put(t, tid(5), "b.txt", "other")
		if n, err := s.Delete(ctx, Deletion{ExperimentID: "1", IDs: ids[2:]}); err != nil || n != 4 {
			t.Fatal(n, err)
		}
		gone, err := src.PurgeMany(ctx, ids)
		if err != nil || len(gone) != 4 || len(gone[tid(2)]) != 1 || len(gone[tid(5)]) != 2 {
			t.Fatal(gone, err)
		}
		if _, told := gone[tid(1)]; told || rows(t, d) != kept {
			t.Errorf("a living trace went: %v, rows %s, want %s", gone, rows(t, d), kept)
		}
		if _, err := s.d.Files.Stat(ctx, FilesRoot(tid(1)), "stays.txt"); err != nil {
			t.Error(err)
		}
		if gone, err = src.PurgeMany(ctx, ids); err != nil || len(gone) != 0 {
			t.Error("purged twice:", gone, err)
		}
		if _, err := src.PurgeMany(ctx, make([]string, discard.MaxPurge+1)); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
	})
}
