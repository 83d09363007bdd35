package tracking

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func ptr[T any](v T) *T { return &v }

func TestNotesOfExperiments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, c *clock.Fake) {
		ctx := actor.With(t.Context(), actor.Actor{Type: actor.User, ID: "ingrid"})
		a := must(s.CreateExperiment(ctx, NewExperiment{Name: "a"}))(t)
		must(s.CreateExperiment(ctx, NewExperiment{Name: "taken"}))(t)
		e := must(s.EditExperiment(ctx, a, ExperimentEdit{Name: ptr("b"), Description: ptr("# What"), Hypothesis: ptr("deeper trees help"), Criteria: ptr("mae < 40")}))(t)
		if e.Name != "b" || tagValue(e.Tags, TagNote) != "# What" || tagValue(e.Tags, TagHypothesis) != "deeper trees help" || tagValue(e.Tags, TagCriteria) != "mae < 40" || e.Verdict() != nil {
			t.Fatalf("edited: %+v", e)
		}
		c.Advance(time.Hour)
		e = must(s.EditExperiment(ctx, a, ExperimentEdit{Verdict: &VerdictEdit{Refuted, "they overfit"}}))(t)
		if v := e.Verdict(); v == nil || v.Outcome != Refuted || v.Summary != "they overfit" || v.By != "ingrid" || !v.At.Equal(s.now()) {
			t.Fatalf("verdict: %+v", v)
		}
		e = must(s.EditExperiment(ctx, a, ExperimentEdit{Hypothesis: ptr(""), Verdict: &VerdictEdit{Outcome: Open}}))(t)
		if e.Verdict() != nil || tagValue(e.Tags, TagHypothesis) != "" || len(e.Tags) != 2 {
			t.Fatalf("an open verdict and an empty text leave their tags: %+v", e.Tags)
		}
		ok(t, s.SetExperimentTag(ctx, a, Tag{TagVerdict, "revolutionary"})) // by another program
		if v := must(s.Experiment(ctx, a))(t).Verdict(); v == nil || v.Outcome != "revolutionary" || !v.At.IsZero() {
			t.Fatalf("a verdict of another program: %+v", v)
		}
		long := strings.Repeat("x", MaxExperimentTag+1)
		for _, bad := range []ExperimentEdit{{Name: ptr("")}, {Hypothesis: &long}, {Description: ptr("a\x00")}, {Verdict: &VerdictEdit{Outcome: "maybe"}}, {Verdict: &VerdictEdit{Supported, long}}} {
			_, err := s.EditExperiment(ctx, a, bad)
			want(t, err, errs.Invalid)
		}
		_, err := s.EditExperiment(ctx, a, ExperimentEdit{Hypothesis: ptr("half"), Name: ptr("taken")})
		want(t, err, errs.Conflict)
		if e := must(s.Experiment(ctx, a))(t); tagValue(e.Tags, TagHypothesis) != "" {
			t.Fatal("a refused change left a part of itself")
		}
		_, err = s.EditExperiment(ctx, "99", ExperimentEdit{Description: ptr("x")})
		want(t, err, errs.NotFound)
		ok(t, s.DeleteExperiment(ctx, a))
		_, err = s.EditExperiment(ctx, a, ExperimentEdit{Description: ptr("x")})
		want(t, err, errs.Invalid)
		got := eventTypes(t, s)
		if wanted := []string{"experiment.created", "experiment.created", "experiment.edited", "experiment.concluded", "experiment.edited", "experiment.concluded", "experiment.deleted"}; !slices.Equal(got, wanted) {
			t.Fatalf("events %v", got)
		}
	})
}

func TestNotesOfRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		r := must(s.CreateRun(ctx, NewRun{ExperimentID: DefaultExperiment, Name: "first"}))(t)
		r = must(s.EditRun(ctx, r.ID, RunEdit{Name: ptr("better"), Description: ptr("with *dew point*")}))(t)
		if r.Name != "better" || r.Tag(TagRunName) != "better" || r.Tag(TagNote) != "with *dew point*" {
			t.Fatalf("edited: %+v", r)
		}
		r = must(s.EditRun(ctx, r.ID, RunEdit{Description: ptr("")}))(t)
		r = must(s.EditRun(ctx, r.ID, RunEdit{Description: ptr("")}))(t)
		if r.Name != "better" || r.Tag(TagNote) != "" {
			t.Fatalf("cleared: %+v", r)
		}
		for _, bad := range []RunEdit{{Name: ptr("")}, {Name: ptr(strings.Repeat("x", MaxRunName+1))}, {Description: ptr(strings.Repeat("x", MaxTagValue+1))}} {
			_, err := s.EditRun(ctx, r.ID, bad)
			want(t, err, errs.Invalid)
		}
		_, err := s.EditRun(ctx, "nope", RunEdit{Name: ptr("x")})
		want(t, err, errs.NotFound)
	})
}

func TestTagsOfManyRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		var ids []string
		for range 3 {
			ids = append(ids, must(s.CreateRun(ctx, NewRun{ExperimentID: DefaultExperiment, Tags: []Tag{{"old", "1"}}}))(t).ID)
		}
		ok(t, s.TagRuns(ctx, RunTagging{RunIDs: ids, Set: []Tag{{"team", "blue"}, {TagRunName, "same"}}, Remove: []string{"old", "never"}}))
		for _, id := range ids {
			if r := must(s.Run(ctx, id))(t); r.Tag("team") != "blue" || r.Tag("old") != "" || r.Name != "same" {
				t.Fatalf("tagged: %+v", r)
			}
		}
		want(t, s.TagRuns(ctx, RunTagging{RunIDs: []string{"nope", ids[0]}, Set: []Tag{{"late", "1"}}}), errs.NotFound)
		if r := must(s.Run(ctx, ids[0]))(t); r.Tag("late") != "" {
			t.Fatal("a run was tagged although another is not there")
		}
		for _, bad := range []RunTagging{{}, {RunIDs: ids}, {RunIDs: ids, Set: []Tag{{"..", "x"}}}, {RunIDs: make([]string, MaxRunsPerEdit+1), Set: []Tag{{"a", "b"}}}} {
			want(t, s.TagRuns(ctx, bad), errs.Invalid)
		}
		ok(t, s.DeleteRun(ctx, ids[2]))
		want(t, s.TagRuns(ctx, RunTagging{RunIDs: ids, Set: []Tag{{"a", "b"}}}), errs.Invalid)
	})
}

func TestSavedViews(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, c *clock.Fake) {
		ctx := actor.With(t.Context(), actor.Actor{Type: actor.User, ID: "ingrid"})
		query := json.RawMessage(`{"filter":"metrics.mae < 40","columns":["metrics.mae"]}`)
		v := must(s.SaveView(ctx, DefaultExperiment, "Leaderboard", query))(t)
		must(s.SaveView(ctx, DefaultExperiment, "All", nil))(t)
		_, err := s.SaveView(ctx, DefaultExperiment, "All", nil)
		want(t, err, errs.Conflict)
		c.Advance(time.Minute)
		_, err = s.EditView(ctx, DefaultExperiment, v.ID, ViewEdit{Name: ptr("All")})
		want(t, err, errs.Conflict)
		v = must(s.EditView(ctx, DefaultExperiment, v.ID, ViewEdit{Name: ptr("Best")}))(t)
		if v.Name != "Best" || string(v.Query) != string(query) || v.By != "ingrid" || !v.UpdatedAt.After(v.CreatedAt) {
			t.Fatalf("renamed: %+v", v)
		}
		must(s.EditView(ctx, DefaultExperiment, v.ID, ViewEdit{Query: json.RawMessage(`{}`)}))(t)
		views := must(s.Views(ctx, DefaultExperiment))(t)
		if len(views) != 2 || views[0].Name != "All" || views[1].Name != "Best" || string(views[1].Query) != "{}" {
			t.Fatalf("views: %+v", views)
		}
		for _, bad := range []string{`[]`, `null`, `{`, `"x"`, `{"a":"` + strings.Repeat("x", MaxViewQuery) + `"}`} {
			_, err := s.SaveView(ctx, DefaultExperiment, "bad", json.RawMessage(bad))
			want(t, err, errs.Invalid)
		}
		_, err = s.SaveView(ctx, DefaultExperiment, "", nil)
		want(t, err, errs.Invalid)
		_, err = s.SaveView(ctx, "99", "x", nil)
		want(t, err, errs.NotFound)
		other := must(s.CreateExperiment(ctx, NewExperiment{Name: "other"}))(t)
		want(t, s.DeleteView(ctx, other, v.ID), errs.NotFound)
		ok(t, s.DeleteView(ctx, DefaultExperiment, v.ID))
		want(t, s.DeleteView(ctx, DefaultExperiment, v.ID), errs.NotFound)
		for i := range MaxViews {
			must(s.SaveView(ctx, other, fmt.Sprint(i), nil))(t)
		}
		_, err = s.SaveView(ctx, other, "one more", nil)
		want(t, err, errs.Exhausted)
	})
}
