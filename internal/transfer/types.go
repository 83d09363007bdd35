package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Source reads a store. Times are milliseconds since 1970 UTC, 0 for none.
type Source interface {
	// Experiments lists all experiments, deleted ones too.
	Experiments(ctx context.Context) ([]Experiment, error)
	// Runs gives the runs of an experiment in pages, deleted ones too, oldest first, with the newest point of each metric.
	Runs(ctx context.Context, e Experiment, page func([]Run) error) error
	// History gives all points of one metric of a run, in parts.
	History(ctx context.Context, r Run, key string, part func([]Point) error) error
	// LoggedModels gives the logged models of an experiment that are not deleted.
	LoggedModels(ctx context.Context, e Experiment, page func([]LoggedModel) error) error
	// RegisteredModels lists all registered models with their versions in ascending order; prompts are models with a tag.
	RegisteredModels(ctx context.Context) ([]RegisteredModel, error)
	// Files is where the files of a run or logged model lie.
	Files(ctx context.Context, o Owner) (Tree, error)
}

// Tree is a folder of files, read only.
type Tree interface {
	// List names every file below the folder, sorted.
	List(ctx context.Context) ([]File, error)
	// Open reads one of them.
	Open(ctx context.Context, path string) (io.ReadCloser, error)
}

// File is a file of a Tree. Digest is its SHA-256 in hex, "" when the store does not say. Refused says why a file cannot be read.
type File struct {
	Path    string
	Size    int64
	Digest  string
	Refused string
}

// Kinds of owners of files.
const (
	KindRun   = "run"
	KindModel = "logged_model"
)

// Owner is a run or a logged model, as far as its files are concerned.
type Owner struct {
	Kind, ID, Experiment string
	URI                  string // where the store says the files are
}

// Experiment groups runs.
type Experiment struct {
	ID, Name         string
	Deleted          bool
	Created, Updated int64
	Tags             map[string]string
}

// Origin tells this experiment from all others, however the store is reached.
func (e Experiment) Origin() string { return "mlflow:" + e.ID + "@" + strconv.FormatInt(e.Created, 10) }

// Run is a run without its histories.
type Run struct {
	ID, Experiment, Name, User, Status string
	Deleted                            bool
	Start, End                         int64
	ArtifactURI                        string
	Params, Tags                       map[string]string
	Latest                             map[string]Point
	Inputs                             []Input
	ModelInputs, ModelOutputs          []Ref
}

// Owner is the run as the owner of its files.
func (r Run) Owner() Owner {
	return Owner{Kind: KindRun, ID: r.ID, Experiment: r.Experiment, URI: r.ArtifactURI}
}

// Point is one value of a metric.
type Point struct {
	Step, Time int64
	Value      float64
}

// Same reports whether two points are equal; NaN equals NaN.
func (p Point) Same(q Point) bool {
	return p.Step == q.Step && p.Time == q.Time && (p.Value == q.Value || math.IsNaN(p.Value) && math.IsNaN(q.Value))
}

// newer orders points as MLflow's "latest" does: step, time, value, NaN lowest.
func (p Point) newer(than Point) bool {
	return cmp.Or(cmp.Compare(p.Step, than.Step), cmp.Compare(p.Time, than.Time), cmp.Compare(p.Value, than.Value)) > 0
}

// Input is a dataset that a run used.
type Input struct {
	Name, Digest, SourceType, Source, Schema, Profile string
	Tags                                              map[string]string
}

// Ref ties a run to a logged model.
type Ref struct {
	ModelID string
	Step    int64
}

// LoggedModel is a model that a run saved, of MLflow 3.
type LoggedModel struct {
	ID, Experiment, Name, Type, RunID string
	Status, StatusMessage             string // PENDING, READY or UPLOAD_FAILED
	Created, Updated                  int64
	ArtifactURI                       string
	Params, Tags                      map[string]string
	Metrics                           []ModelMetric // the newest of each key, dataset and run
}

// Owner is the model as the owner of its files.
func (m LoggedModel) Owner() Owner {
	return Owner{Kind: KindModel, ID: m.ID, Experiment: m.Experiment, URI: m.ArtifactURI}
}

// ModelMetric is a metric of a logged model.
type ModelMetric struct {
	Key, Dataset, DatasetDigest, RunID string
	Point
}

// newestMetrics keeps the newest point of each key, dataset and run, sorted.
func newestMetrics(in []ModelMetric) []ModelMetric {
	type id struct{ key, data, digest, run string }
	best := map[id]ModelMetric{}
	for _, m := range in {
		k := id{m.Key, m.Dataset, m.DatasetDigest, m.RunID}
		if have, ok := best[k]; !ok || m.newer(have.Point) {
			best[k] = m
		}
	}
	out := make([]ModelMetric, 0, len(best))
	for _, m := range best {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b ModelMetric) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Dataset, b.Dataset), strings.Compare(a.DatasetDigest, b.DatasetDigest), strings.Compare(a.RunID, b.RunID))
	})
	return out
}

// RegisteredModel is a model of the registry.
type RegisteredModel struct {
	Name, Description string
	Created, Updated  int64
	Tags, Aliases     map[string]string
	Versions          []Version
}

// isPrompt marks the registered models that are prompts.
const isPrompt = "mlflow.prompt.is_prompt"

// Prompt reports whether the model is a prompt.
func (m RegisteredModel) Prompt() bool { return m.Tags[isPrompt] == "true" }

// Version is a version of a registered model.
type Version struct {
	Model, Version        string
	Source, Storage       string // as registered, and where that leads
	RunID, ModelID        string
	RunLink               string // of a run in another server
	Description, User     string
	Stage                 string // None, Staging, Production or Archived
	Status, StatusMessage string // READY, PENDING or FAILED
	Created, Updated      int64
	Tags                  map[string]string
}

// mark tells this state of a run or logged model from others: a digest of all that a listing shows of it.
func mark(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // NaN and the infinities are made text before
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Mark is the digest of the run's state.
func (r Run) Mark() string {
	latest := map[string]string{}
	for k, p := range r.Latest {
		latest[k] = p.text()
	}
	slices.SortFunc(r.Inputs, byInput)
	return mark([]any{r.ID, r.Experiment, r.Name, r.User, r.Status, r.Deleted, r.Start, r.End, r.Params, r.Tags, latest, r.Inputs, sortedRefs(r.ModelInputs), sortedRefs(r.ModelOutputs)})
}

// Mark is the digest of the model's state.
func (m LoggedModel) Mark() string {
	var metrics []string
	for _, x := range newestMetrics(m.Metrics) {
		metrics = append(metrics, strings.Join([]string{x.Key, x.Dataset, x.DatasetDigest, x.RunID, x.text()}, "\x00"))
	}
	return mark([]any{m.ID, m.Experiment, m.Name, m.Type, m.RunID, m.Status, m.StatusMessage, m.Created, m.Params, m.Tags, metrics})
}

func (p Point) text() string {
	return strconv.FormatInt(p.Step, 10) + " " + strconv.FormatInt(p.Time, 10) + " " + strconv.FormatFloat(p.Value, 'g', -1, 64)
}

func byInput(a, b Input) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Digest, b.Digest))
}

func sortedRefs(in []Ref) []Ref {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b Ref) int {
		return cmp.Or(strings.Compare(a.ModelID, b.ModelID), cmp.Compare(a.Step, b.Step))
	})
	return out
}

// seriesDigest is a digest of a history that does not depend on the order of its points or on exact repeats: stores keep histories in
// orders of their own and drop what a client's retry wrote twice.
type seriesDigest struct {
	points int
	sum    [sha256.Size]byte
}

func digestSeries(points []Point) seriesDigest {
	order := func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Value, b.Value))
	}
	if !slices.IsSortedFunc(points, order) {
		points = slices.Clone(points)
		slices.SortFunc(points, order)
	}
	var d seriesDigest
	h := sha256.New()
	for i, p := range points {
		if i > 0 && points[i-1].Same(p) {
			continue
		}
		d.points++
		writePoint(h, p)
	}
	h.Sum(d.sum[:0])
	return d
}

func writePoint(h hash.Hash, p Point) {
	v := p.Value
	switch {
	case math.IsNaN(v):
		v = math.NaN()
	case math.IsInf(v, 0): // MLflow's SQL stores keep an infinity as the largest number
		v = math.Copysign(math.MaxFloat64, v)
	case v == 0:
		v = 0 // MLflow's SQL stores drop the sign of zero
	}
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], uint64(p.Step))
	binary.LittleEndian.PutUint64(b[8:], uint64(p.Time))
	binary.LittleEndian.PutUint64(b[16:], math.Float64bits(v))
	_, _ = h.Write(b[:])
}
