package tracking

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// ImportOutcome says what an import did with one thing.
type ImportOutcome string

// The outcomes.
const (
	Created   ImportOutcome = "created"
	Updated   ImportOutcome = "updated"
	Unchanged ImportOutcome = "unchanged"
)

// ImportedExperiment is an experiment of another store. Times are milliseconds since 1970 UTC, here and below.
type ImportedExperiment struct {
	Origin       string            `json:"origin" doc:"tells the source's experiment from all others, the same in each import"`
	SourceID     string            `json:"source_id,omitempty" doc:"its id there; kept when it is free and below 1,000,000,000"`
	Workspace    string            `json:"workspace,omitempty" doc:"that it goes into; the default one without it"`
	Name         string            `json:"name"`
	Lifecycle    Lifecycle         `json:"lifecycle" enum:"active,deleted"`
	CreatedMs    int64             `json:"created_ms,omitempty"`
	UpdatedMs    int64             `json:"updated_ms,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	IntoExisting bool              `json:"into_existing,omitempty" doc:"use the experiment of that name when there is one"`
	Check        bool              `json:"check,omitempty" doc:"only say what would be done; the id of a new experiment may be another one later"`
}

// maxKeptID bounds the experiment ids that an import keeps: ids of file stores have 18 digits, and all later ids here would follow them.
const maxKeptID = 1_000_000_000

func (n ImportedExperiment) validate() error {
	var c errs.Collector
	checkText(&c, "origin", n.Origin, MaxKey)
	checkText(&c, "workspace", n.Workspace, MaxKey)
	if n.Origin == "" {
		c.Add("origin", "expected a text that tells the source's experiment from others")
	}
	if n.Lifecycle != Active && n.Lifecycle != Deleted {
		c.Add("lifecycle", "expected active or deleted")
	}
	checkMillis(&c, "created_ms", n.CreatedMs)
	checkMillis(&c, "updated_ms", n.UpdatedMs)
	if err := c.Err("tracking.import", "the experiment is not valid"); err != nil {
		return err
	}
	e := NewExperiment{Name: n.Name}
	for k, v := range n.Tags {
		e.Tags = append(e.Tags, Tag{k, v})
	}
	return e.validate()
}

func checkMillis(c *errs.Collector, field string, ms int64) {
	if ms < -maxMillis || ms > maxMillis {
		c.Add(field, "expected milliseconds since 1970, got %d", ms)
	}
}

// ofMillis is the inverse of time.Time.UnixMilli, with 0 for no time.
func ofMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// ImportExperiment finds or makes the experiment that runs of another store go into. An experiment that an import made is found again
// by its origin within its workspace, whatever its name is now. Conflict when another experiment has the name and IntoExisting is not set;
// the default experiment may be used while it has no runs. NotFound without such a workspace.
func (s *Service) ImportExperiment(ctx context.Context, n ImportedExperiment) (eid string, out ImportOutcome, err error) {
	if err := n.validate(); err != nil {
		return "", "", err
	}
	n.Workspace = cmp.Or(n.Workspace, space.Of(ctx))
	if s.d.Workspace != nil {
		if err := s.d.Workspace(ctx, n.Workspace); err != nil {
			return "", "", err
		}
	}
	var num int64
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		var err error
		num, out, err = s.st.importExperiment(tx, n, s.now())
		if err == nil && n.Check {
			return errChecked // takes everything back
		}
		if err != nil || out != Created {
			return err
		}
		eid := strconv.FormatInt(num, 10)
		return s.d.Events.Append(ctx, tx, EventExperimentCreated, events.Resource{Kind: "experiment", ID: eid}, experimentCreated{eid, n.Name, n.Workspace})
	})
	if errors.Is(err, errChecked) {
		err = nil
	}
	return strconv.FormatInt(num, 10), out, err
}

var errChecked = errors.New("nothing was written") //nolint:gochecknoglobals // a constant

// Value is a metric's value in JSON: a number, or NaN, Infinity or -Infinity as text.
type Value float64

// UnmarshalJSON accepts what MarshalJSON of Number writes.
func (v *Value) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(bytes.Trim(b, `"`)), 64)
	if err != nil {
		return fmt.Errorf("expected a number, NaN or Infinity, got %.40s", b)
	}
	*v = Value(f)
	return nil
}

// MarshalJSON writes a number or one of the three texts.
func (v Value) MarshalJSON() ([]byte, error) { return Number(v).MarshalJSON() }

// ImportedSeries is the history of a metric, or a part of it: the points from position From on, in the order of the source.
type ImportedSeries struct {
	Key    string  `json:"key"`
	From   int64   `json:"from,omitempty"`
	Steps  []int64 `json:"steps"`
	Times  []int64 `json:"times"`
	Values []Value `json:"values"`
}

// ImportedInput is a dataset that an imported run used.
type ImportedInput struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Schema     string `json:"schema,omitempty"`
	Profile    string `json:"profile,omitempty"`
	Tags       []Tag  `json:"tags,omitempty"`
}

// ImportedRef ties a run to a logged model.
type ImportedRef struct {
	ModelID string `json:"model_id"`
	Step    int64  `json:"step"`
}

// ImportedRun is a run of another store with what was logged to it.
type ImportedRun struct {
	ID               string           `json:"id"`
	ExperimentID     string           `json:"experiment_id"`
	SourceExperiment string           `json:"source_experiment,omitempty"` // its experiment's id there: artifact addresses with it go on working
	Name             string           `json:"name"`
	User             string           `json:"user"`
	Status           Status           `json:"status"`
	Lifecycle        Lifecycle        `json:"lifecycle"`
	StartMs          int64            `json:"start_ms"`
	EndMs            int64            `json:"end_ms,omitempty"`
	Params           []Param          `json:"params,omitempty"`
	Tags             []Tag            `json:"tags,omitempty"`
	Inputs           []ImportedInput  `json:"inputs,omitempty"`
	ModelInputs      []ImportedRef    `json:"model_inputs,omitempty"`
	ModelOutputs     []ImportedRef    `json:"model_outputs,omitempty"`
	Series           []ImportedSeries `json:"series,omitempty"`
}

// Limits of one import call.
const (
	maxImportBody   = 64 << 20 // bytes
	maxImportPoints = 1 << 20
	maxImportValues = 10_000 // params, tags, inputs or models of one run
	importChunk     = 8192   // points of one stored block
)

func (r *ImportedRun) validate() error {
	var c errs.Collector
	if !isHex(r.ID, 32) {
		c.Add("id", "expected 32 hex digits, got %q", clip(r.ID))
	}
	checkText(&c, "name", r.Name, MaxRunName)
	checkText(&c, "user", r.User, MaxKey)
	if !r.Status.Valid() {
		c.Add("status", "expected RUNNING, SCHEDULED, FINISHED, FAILED or KILLED, got %q", clip(string(r.Status)))
	}
	if r.Lifecycle != Active && r.Lifecycle != Deleted {
		c.Add("lifecycle", "expected active or deleted")
	}
	checkMillis(&c, "start_ms", r.StartMs)
	checkMillis(&c, "end_ms", r.EndMs)
	if n := max(len(r.Params), len(r.Tags), len(r.Inputs), len(r.ModelInputs), len(r.ModelOutputs)); n > maxImportValues {
		c.Add("run", "expected at most %d params, tags, inputs and models each, got %d", maxImportValues, n)
	}
	if err := c.Err("tracking.import", "the run is not valid"); err != nil {
		return err
	}
	for i, p := range r.Params {
		checkKey(&c, fmt.Sprintf("params[%d].key", i), p.Key, MaxKey)
		checkText(&c, fmt.Sprintf("params[%d].value", i), p.Value, MaxParamValue)
	}
	validateTags(&c, r.Tags)
	if err := validateSeries(&c, r.Series); err != nil {
		return err
	}
	if err := c.Err("tracking.import", "the run is not valid"); err != nil {
		return err
	}
	for part := range slices.Chunk(r.inputs(), MaxInputsPerCall) {
		if err := validateInputs(part, nil); err != nil {
			return err
		}
	}
	checkModelRefs(&c, refs(r.ModelInputs))
	checkModelRefs(&c, refs(r.ModelOutputs))
	return c.Err("tracking.import", "the run is not valid")
}

func validateSeries(c *errs.Collector, all []ImportedSeries) error {
	points := 0
	for i, x := range all {
		field := fmt.Sprintf("series[%d]", i)
		checkKey(c, field+".key", x.Key, MaxKey)
		if len(x.Steps) != len(x.Times) || len(x.Steps) != len(x.Values) {
			c.Add(field, "expected as many steps as times and values, got %d, %d and %d", len(x.Steps), len(x.Times), len(x.Values))
		}
		if x.From < 0 {
			c.Add(field+".from", "expected 0 or more")
		}
		for _, t := range x.Times {
			if t < -maxMillis || t > maxMillis {
				c.Add(field+".times", "expected milliseconds since 1970, got %d", t)
				break
			}
		}
		points += len(x.Steps)
	}
	if points > maxImportPoints {
		return errs.Invalidf("tracking.import", "there are %d points: one call takes at most %d", points, maxImportPoints).WithHint("send the rest in a second call, with from")
	}
	return nil
}

func isHex(s string, n int) bool { return len(s) == n && strings.Trim(s, "0123456789abcdef") == "" }

func (r *ImportedRun) inputs() []DatasetInput {
	out := make([]DatasetInput, len(r.Inputs))
	for i, in := range r.Inputs {
		out[i] = DatasetInput{Name: in.Name, Digest: in.Digest, SourceType: in.SourceType, Source: in.Source, Schema: in.Schema, Profile: in.Profile, Tags: in.Tags}
	}
	return out
}

func refs(in []ImportedRef) []ModelRef {
	out := make([]ModelRef, len(in))
	for i, m := range in {
		out[i] = ModelRef(m)
	}
	return out
}

// block is one stored block of a series that is imported, encoded outside the transaction.
type block struct {
	series
	from int64 // >= 0 on the first block of a series: where it starts
}

func blocks(all []ImportedSeries) []block {
	var out []block
	for _, x := range all {
		if len(x.Steps) == 0 {
			continue
		}
		points := make([]Point, len(x.Steps))
		for i := range points {
			points[i] = Point{Step: x.Steps[i], Time: x.Times[i], Value: float64(x.Values[i])}
		}
		from := x.From
		for part := range slices.Chunk(points, importChunk) {
			out = append(out, block{newSeries(x.Key, part), from})
			from = -1
		}
	}
	return out
}

// ImportRun stores a run of another store under its id, all or nothing. A run that is there already is brought up to date: values of
// the source win, what was added here stays, and so does the experiment it was moved to; a Conflict when that is in another workspace. A series with From 0 replaces what is there; with
// From > 0 it goes on behind that many points, or is a Precondition error when there are not that many.
func (s *Service) ImportRun(ctx context.Context, r ImportedRun) (ImportOutcome, error) {
	if err := r.validate(); err != nil {
		return "", err
	}
	exp, err := parseExperimentID(r.ExperimentID)
	if err != nil {
		return "", err
	}
	points, inputs := blocks(r.Series), r.inputs()
	out, touched := Updated, exp
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		row, created, err := s.st.importRunHead(tx, r, exp, s.now())
		if err != nil {
			return err
		}
		out, touched = Updated, row.exp
		if created {
			out = Created
		}
		if err := s.st.importRunValues(tx, row, r, inputs, points); err != nil {
			return err
		}
		return s.tellImport(ctx, tx, row, r, out)
	})
	if err != nil {
		return "", err
	}
	n := 0
	for _, x := range r.Series {
		n += len(x.Steps)
	}
	s.metrics.points.Add(float64(n))
	s.runsChanged(touched)
	return out, nil
}

// tellImport tells of the run once, and of its data, from which lineage is made. An import is no news for automations: it has an event
// of its own instead of those of runs that start and end.
func (s *Service) tellImport(ctx context.Context, tx *db.Tx, row runRow, r ImportedRun, out ImportOutcome) error {
	if out != Created {
		return nil
	}
	at := events.Resource{Kind: "run", ID: r.ID}
	if err := s.d.Events.Append(ctx, tx, EventRunImported, at, runCreated{r.ID, row.experimentID(), r.Name}); err != nil || len(r.Inputs) == 0 {
		return err
	}
	data := inputsLogged{RunID: r.ID, ExperimentID: row.experimentID()}
	for _, in := range r.Inputs {
		data.Inputs = append(data.Inputs, inputNote{in.Name, in.Digest, in.SourceType, in.Source, tagValue(in.Tags, tagContext)})
	}
	return s.d.Events.Append(ctx, tx, EventInputsLogged, at, data)
}

// runsChanged makes searches see runs that were changed in bulk.
func (s *Service) runsChanged(exps ...int64) { s.st.forget(exps...) }

// ImportedMetric is a metric of a logged model.
type ImportedMetric struct {
	Key           string `json:"key"`
	Value         Value  `json:"value"`
	Time          int64  `json:"time"`
	Step          int64  `json:"step"`
	DatasetName   string `json:"dataset_name,omitempty"`
	DatasetDigest string `json:"dataset_digest,omitempty"`
	RunID         string `json:"run_id,omitempty"`
}

// ImportedModel is a logged model of another store.
type ImportedModel struct {
	ID               string           `json:"id"`
	ExperimentID     string           `json:"experiment_id"`
	SourceExperiment string           `json:"source_experiment,omitempty"`
	Name             string           `json:"name"`
	Type             string           `json:"type,omitempty"`
	Status           ModelStatus      `json:"status"`
	StatusMessage    string           `json:"status_message,omitempty"`
	RunID            string           `json:"run_id,omitempty"`
	CreatedMs        int64            `json:"created_ms"`
	UpdatedMs        int64            `json:"updated_ms"`
	Tags             []Tag            `json:"tags,omitempty"`
	Params           []Param          `json:"params,omitempty"`
	Metrics          []ImportedMetric `json:"metrics,omitempty"`
}

func (m ImportedModel) validate() error {
	if id, ok := strings.CutPrefix(m.ID, "m-"); !ok || !isHex(id, 32) {
		return errs.Invalidf("tracking.import", "the logged model is not valid").WithField("id", "expected m- and 32 hex digits, got %q", clip(m.ID))
	}
	if err := (NewModel{Name: m.Name, Type: m.Type, Tags: m.Tags, Params: m.Params}).validate(); err != nil {
		return err
	}
	var c errs.Collector
	if m.Name == "" {
		c.Add("name", "expected a name")
	}
	if !m.Status.Valid() {
		c.Add("status", "expected PENDING, READY or UPLOAD_FAILED, got %q", clip(string(m.Status)))
	}
	checkText(&c, "status_message", m.StatusMessage, MaxTagValue)
	checkText(&c, "run_id", m.RunID, MaxKey)
	checkMillis(&c, "created_ms", m.CreatedMs)
	checkMillis(&c, "updated_ms", m.UpdatedMs)
	if n := max(len(m.Params), len(m.Tags), len(m.Metrics)); n > maxImportValues {
		c.Add("model", "expected at most %d params, tags and metrics each, got %d", maxImportValues, n)
	}
	for i, x := range m.Metrics {
		field := fmt.Sprintf("metrics[%d]", i)
		checkKey(&c, field+".key", x.Key, MaxKey)
		checkMillis(&c, field+".time", x.Time)
		checkText(&c, field+".dataset_name", x.DatasetName, MaxDatasetName)
		checkText(&c, field+".dataset_digest", x.DatasetDigest, MaxDatasetDigest)
		checkText(&c, field+".run_id", x.RunID, MaxKey)
	}
	return c.Err("tracking.import", "the logged model is not valid")
}

// ImportModel stores a logged model of another store under its id; one that is there is brought up to date. A model that was deleted
// here stays deleted.
func (s *Service) ImportModel(ctx context.Context, m ImportedModel) (ImportOutcome, error) {
	if err := m.validate(); err != nil {
		return "", err
	}
	exp, err := parseExperimentID(m.ExperimentID)
	if err != nil {
		return "", err
	}
	var out ImportOutcome
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		var err error
		if out, err = s.st.importModel(tx, m, exp, s.now()); err != nil || out != Created || m.Status != ModelReady {
			return err
		}
		return s.d.Events.Append(ctx, tx, EventModelLogged, events.Resource{Kind: "logged_model", ID: m.ID}, modelLogged{m.ID, m.RunID, m.ExperimentID, m.Name})
	})
	return out, err
}

// Kinds of things whose import is noted.
const (
	kindExperiment = "experiment"
	kindRun        = "run"
	kindModel      = "logged_model"
)

const maxImportIDs = 1000

// ImportState gives the marks of the runs or logged models that an import has finished; those it has not, or that are gone, are left out.
func (s *Service) ImportState(ctx context.Context, kind string, ids []string) (map[string]string, error) {
	if err := checkState(kind, len(ids)); err != nil {
		return nil, err
	}
	return s.st.importState(ctx, kind, ids)
}

// FinishImport notes that runs or logged models were imported whole, by a mark that tells this state of the source from others.
func (s *Service) FinishImport(ctx context.Context, kind string, marks map[string]string) error {
	if err := checkState(kind, len(marks)); err != nil {
		return err
	}
	var c errs.Collector
	for id, mark := range marks {
		checkText(&c, "marks", id, MaxKey)
		checkText(&c, "marks."+clip(id), mark, MaxKey)
	}
	if err := c.Err("tracking.import", "the marks are not valid"); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for id, mark := range marks {
			if err := s.st.setImportState(tx, kind, id, mark, s.now()); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkState(kind string, n int) error {
	var c errs.Collector
	if kind != kindRun && kind != kindModel {
		c.Add("kind", "expected run or logged_model")
	}
	if n > maxImportIDs {
		c.Add("ids", "expected at most %d, got %d", maxImportIDs, n)
	}
	return c.Err("tracking.import", "the request is not valid")
}

// LinkFiles names contents that are stored here already as files of a run or a logged model, so that they need not be sent again. It
// gives the paths of those that are not here. It tells whether a content of a known digest exists, so only who may import may ask.
func (s *Service) LinkFiles(ctx context.Context, kind, id string, files []blob.File) (missing []string, err error) {
	if err := checkState(kind, len(files)); err != nil {
		return nil, err
	}
	root, has := RunRoot(id), s.HasRun
	if kind == kindModel {
		root, has = ModelRoot(id), s.HasModel
	}
	if _, err := has(ctx, id); err != nil {
		return nil, err
	}
	var link []blob.File
	for _, f := range files {
		if f.Path, err = blob.CleanPath(f.Path); err != nil {
			return nil, err
		}
		if f.Path == "" || !f.Digest.Valid() || f.Size < 0 {
			return nil, errs.Invalidf("tracking.import", "a file is not valid").WithField("files", "expected a path, a size and a SHA-256 in hex")
		}
		r, err := s.d.Files.Store().Open(ctx, f.Digest)
		if errs.Is(err, errs.NotFound) {
			missing = append(missing, f.Path)
			continue
		}
		if err != nil {
			return nil, err
		}
		f.Size, err = r.Seek(0, 2)
		_ = r.Close()
		if err != nil {
			return nil, err
		}
		f.CreatedAt = s.now()
		link = append(link, f)
	}
	if len(link) == 0 {
		return missing, nil
	}
	return missing, s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, f := range link {
			if err := s.d.Files.Link(tx, root, f); err != nil {
				return err
			}
		}
		return nil
	})
}

// InPlace reports whether files of a run or logged model may be asked for below an experiment: the one it is in, or one it was in.
func (s *Service) InPlace(ctx context.Context, id, current, asked string) (bool, error) {
	if current == asked {
		return true, nil
	}
	exp, err := strconv.ParseInt(asked, 10, 64)
	if err != nil {
		return false, nil //nolint:nilerr // no experiment is called that
	}
	return s.st.wasIn(ctx, id, exp)
}
