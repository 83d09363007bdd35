package tracking

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// Tags that hold what people write about an experiment or a run. They are tags and no columns, so that the official clients read and
// write them too and an export to another server takes them along.
const (
	TagNote           = "mlflow.note.content" // description of an experiment, note of a run; MLflow's own
	TagHypothesis     = "modelyard.hypothesis"
	TagCriteria       = "modelyard.success_criteria"
	TagVerdict        = "modelyard.verdict"
	TagVerdictSummary = "modelyard.verdict.summary"
	TagVerdictBy      = "modelyard.verdict.by"
	TagVerdictAt      = "modelyard.verdict.at"
)

// Outcome is how a hypothesis came out. Being refuted is a result like any other.
type Outcome string

// The outcomes. Open takes a verdict back.
const (
	Supported    Outcome = "supported"
	Refuted      Outcome = "refuted"
	Inconclusive Outcome = "inconclusive"
	Open         Outcome = "open"
)

// Valid reports whether o is a known outcome.
func (o Outcome) Valid() bool {
	return o == Supported || o == Refuted || o == Inconclusive || o == Open
}

// Verdict says how the hypothesis of an experiment came out and what was learned.
type Verdict struct {
	Outcome Outcome
	Summary string
	By      string    // who decided
	At      time.Time // zero when the tag was written by something else
}

// Verdict reads the verdict from the tags; nil while the question is open. Outcomes that are not known are kept as they are.
func (e Experiment) Verdict() *Verdict {
	o := Outcome(tagValue(e.Tags, TagVerdict))
	if o == "" || o == Open {
		return nil
	}
	at, _ := time.Parse(time.RFC3339Nano, tagValue(e.Tags, TagVerdictAt))
	return &Verdict{Outcome: o, Summary: tagValue(e.Tags, TagVerdictSummary), By: tagValue(e.Tags, TagVerdictBy), At: at}
}

// ExperimentEdit is what EditExperiment changes; nil leaves a field as it is, an empty text clears it.
type ExperimentEdit struct {
	Name        *string
	Description *string
	Hypothesis  *string
	Criteria    *string
	Verdict     *VerdictEdit
	Best        map[string]string // by metric: min, max, or nothing to leave it to the name; see TagBest
}

// VerdictEdit sets the verdict; Outcome Open takes it back.
type VerdictEdit struct {
	Outcome Outcome
	Summary string
}

func (ed ExperimentEdit) validate() error {
	var c errs.Collector
	if ed.Name != nil {
		if *ed.Name == "" {
			c.Add("name", "expected a name")
		}
		checkText(&c, "name", *ed.Name, MaxExperimentName)
	}
	for _, f := range []struct {
		name string
		text *string
	}{{"description", ed.Description}, {"hypothesis", ed.Hypothesis}, {"success_criteria", ed.Criteria}} {
		if f.text != nil {
			checkText(&c, f.name, *f.text, MaxExperimentTag)
		}
	}
	for key, best := range ed.Best {
		if best != "min" && best != "max" && best != "" {
			c.Add("best."+clip(key), "expected min, max or an empty text, got %q", clip(best))
		}
		checkKey(&c, "best", TagBest+key, MaxKey)
	}
	if v := ed.Verdict; v != nil {
		if !v.Outcome.Valid() {
			c.Add("verdict.outcome", "expected supported, refuted, inconclusive or open, got %q", clip(string(v.Outcome)))
		}
		checkText(&c, "verdict.summary", v.Summary, MaxExperimentTag)
	}
	return c.Err("tracking.edit_experiment", "the change is not valid")
}

// EditExperiment changes what people write about an active experiment, and its name. Kinds: Invalid, NotFound, Conflict (name taken).
func (s *Service) EditExperiment(ctx context.Context, eid string, ed ExperimentEdit) (Experiment, error) {
	if err := ed.validate(); err != nil {
		return Experiment{}, err
	}
	err := s.onExperiment(ctx, eid, ViewActive, func(tx *db.Tx, num int64) error {
		var fields []string
		set := func(field, key string, text *string) error {
			if text == nil {
				return nil
			}
			fields = append(fields, field)
			return s.st.writeNote(tx, num, key, *text)
		}
		if ed.Name != nil {
			fields = append(fields, "name")
			if err := s.st.renameExperiment(tx, num, *ed.Name, s.now()); err != nil {
				return err
			}
		}
		if err := set("description", TagNote, ed.Description); err != nil {
			return err
		}
		if err := set("hypothesis", TagHypothesis, ed.Hypothesis); err != nil {
			return err
		}
		if err := set("success_criteria", TagCriteria, ed.Criteria); err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(ed.Best)) {
			best := ed.Best[key]
			if err := set("best."+key, TagBest+key, &best); err != nil {
				return err
			}
		}
		on := events.Resource{Kind: "experiment", ID: eid}
		if len(fields) > 0 {
			if err := s.d.Events.Append(ctx, tx, EventExperimentEdited, on, experimentEdited{eid, fields}); err != nil {
				return err
			}
		}
		if ed.Verdict == nil {
			return nil
		}
		previous, err := s.st.writeVerdict(tx, num, Verdict{ed.Verdict.Outcome, ed.Verdict.Summary, actor.From(ctx).ID, s.now()})
		if err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, EventExperimentConcluded, on, experimentConcluded{eid, string(ed.Verdict.Outcome), string(previous), ed.Verdict.Summary})
	})
	if err != nil {
		return Experiment{}, err
	}
	return s.Experiment(ctx, eid)
}

// RunEdit is what EditRun changes; nil leaves a field as it is, an empty description clears it.
type RunEdit struct {
	Name        *string
	Description *string
}

func (ed RunEdit) validate() error {
	var c errs.Collector
	if ed.Name != nil {
		if *ed.Name == "" {
			c.Add("name", "expected a name")
		}
		checkText(&c, "name", *ed.Name, MaxRunName)
	}
	if ed.Description != nil {
		checkText(&c, "description", *ed.Description, MaxTagValue)
	}
	return c.Err("tracking.edit_run", "the change is not valid")
}

// EditRun changes the name and the note of an active run. Kinds: Invalid, NotFound.
func (s *Service) EditRun(ctx context.Context, runID string, ed RunEdit) (Run, error) {
	if err := ed.validate(); err != nil {
		return Run{}, err
	}
	err := s.onRun(ctx, runID, ViewActive, func(tx *db.Tx, r runRow) error {
		var fields []string
		if ed.Name != nil {
			fields = append(fields, "name")
			if err := s.st.setTags(tx, r, Tag{TagRunName, *ed.Name}); err != nil {
				return err
			}
		}
		if ed.Description != nil {
			fields = append(fields, "description")
			if err := s.noteRun(tx, r, *ed.Description); err != nil {
				return err
			}
		}
		if len(fields) == 0 {
			return nil
		}
		return s.d.Events.Append(ctx, tx, EventRunEdited, events.Resource{Kind: "run", ID: runID}, runEdited{runID, r.experimentID(), fields})
	})
	if err != nil {
		return Run{}, err
	}
	return s.Run(ctx, runID)
}

func (s *Service) noteRun(tx *db.Tx, r runRow, text string) error {
	if text != "" {
		return s.st.setTags(tx, r, Tag{TagNote, text})
	}
	if err := s.st.deleteTag(tx, r, TagNote); err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return nil
}

// MaxRunsPerEdit bounds the runs that one call changes.
const MaxRunsPerEdit = 1000

// RunTagging is what TagRuns does to each of its runs.
type RunTagging struct {
	RunIDs []string
	Set    []Tag
	Remove []string // a key that a run lacks is passed over
}

func (g RunTagging) validate() error {
	var c errs.Collector
	if n := len(g.RunIDs); n == 0 || n > MaxRunsPerEdit {
		c.Add("run_ids", "expected 1 to %d run ids, got %d", MaxRunsPerEdit, n)
	}
	if n := len(g.Set) + len(g.Remove); n == 0 || n > MaxBatchTags {
		c.Add("set", "expected 1 to %d tags to set or remove, got %d", MaxBatchTags, n)
	}
	validateTags(&c, g.Set)
	return c.Err("tracking.tag_runs", "the tags are not valid")
}

// TagRuns sets and removes tags of several active runs, all or nothing: when one cannot be changed none is, and the fields say which.
// Kinds: Invalid, NotFound.
func (s *Service) TagRuns(ctx context.Context, g RunTagging) error {
	if err := g.validate(); err != nil {
		return err
	}
	return s.onRuns(ctx, "tagged", g.RunIDs, func(_ *db.Tx, r runRow) error {
		if r.lifecycle != Active {
			return errs.Invalidf("tracking.tag_runs", "the run %s is in the trash", r.id)
		}
		return nil
	}, func(tx *db.Tx, r runRow) error { return s.tagRun(ctx, tx, r, g) })
}

// declaredBest reads which end of a metric was declared the better one.
func declaredBest(tags []Tag) map[string]string {
	var out map[string]string
	for _, t := range tags {
		key, ok := strings.CutPrefix(t.Key, TagBest)
		if !ok || key == "" || (t.Value != "min" && t.Value != "max") {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = t.Value
	}
	return out
}

func (s *Service) tagRun(ctx context.Context, tx *db.Tx, r runRow, g RunTagging) error {
	if err := s.st.setTags(tx, r, lastOfEach(g.Set)...); err != nil {
		return err
	}
	for _, key := range g.Remove {
		if err := s.st.deleteTag(tx, r, key); err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
	}
	return s.d.Events.Append(ctx, tx, EventRunEdited, events.Resource{Kind: "run", ID: r.id}, runEdited{r.id, r.experimentID(), []string{"tags"}})
}
