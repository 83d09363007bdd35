package governance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// Subscribe registers what governance hears.
func (s *Service) Subscribe() {
	s.d.Events.Listen(events.Listener{Name: "governance.lineage", HandleAll: s.hear, Types: []string{
		"tracking.run.created", "tracking.run.ended", "tracking.run.inputs_logged", "tracking.model.logged", "registry.version.created", "registry.alias.set", "dataset.version.created",
		"evaluation.gate.*", "serving.endpoint.created", "routing.route.changed", "alert.opened", "alert.resolved",
		"pipeline.run.*", "pipeline.step.*", "lifecycle.*",
	}})
}

// Tags of a run that lineage keeps.
const (
	tagCommit      = "mlflow.source.git.commit"
	tagRepo        = "mlflow.source.git.repoURL"
	tagBranch      = "mlflow.source.git.branch"
	tagSource      = "mlflow.source.name"
	tagUser        = "mlflow.user"
	tagPipelineRun = "modelyard.pipeline_run"
	tagStep        = "modelyard.pipeline_step"
	tagCodeDigest  = "modelyard.code_digest" // of a pipeline's definition and files
	tagPipeline    = "modelyard.pipeline"
	tagDataset     = "modelyard.dataset" // name/version of a dataset version, where log_input was not used
)

// told is the data of every event that lineage hears; each uses the fields it has.
type told struct {
	RunID          string            `json:"run_id"`
	ExperimentID   string            `json:"experiment_id"`
	Name           string            `json:"name"`
	Status         string            `json:"status"`
	Tags           map[string]string `json:"tags"`
	Inputs         []input           `json:"inputs"`
	ModelID        string            `json:"model_id"`
	Model          string            `json:"model"`
	Version        text              `json:"version"`
	Previous       json.RawMessage   `json:"previous"` // an alias: the version before; a route: the targets before
	Source         string            `json:"source"`
	Alias          string            `json:"alias"`
	Reason         string            `json:"reason"`
	Dataset        string            `json:"dataset"`
	DatasetVersion text              `json:"dataset_version"`
	Digest         string            `json:"digest"`
	Rows           text              `json:"rows"`
	ResultID       string            `json:"result_id"`
	Gate           string            `json:"gate"`
	Endpoint       string            `json:"endpoint"`
	Generation     int64             `json:"generation"`
	Targets        []target          `json:"targets"`
	AlertID        string            `json:"alert_id"`
	Kind           string            `json:"kind"`
	Severity       string            `json:"severity"`
	Title          string            `json:"title"`
	Pipeline       string            `json:"pipeline"`
	State          string            `json:"state"`
	Step           text              `json:"step"`
	TrackedRunID   string            `json:"tracked_run"`
	Outputs        map[string]text   `json:"outputs"`
	RolloutID      string            `json:"rollout_id"`
	RetrainingID   string            `json:"retraining_id"`
	PipelineRunID  string            `json:"pipeline_run_id"`
	Challenger     text              `json:"challenger"`
	Outcome        string            `json:"outcome"`
	Champion       string            `json:"champion"`
}

type input struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Context    string `json:"context"`
}

type target struct {
	Version text    `json:"version"`
	Weight  float64 `json:"weight"`
	Role    string  `json:"role"`
}

// text reads a JSON string, number or boolean as text, and anything else as nothing: a listener must not fail on a field it can do without.
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case json.Unmarshal(b, &s) == nil:
		*t = text(s)
	case len(b) > 0 && b[0] != '{' && b[0] != '[' && string(b) != "null":
		*t = text(b)
	}
	return nil
}

// hear fills the graph. What events do not carry is asked for first; then nodes and edges are written in one transaction.
func (s *Service) hear(ctx context.Context, es []events.Event) error {
	all := make([]*builder, len(es))
	for i, e := range es {
		all[i] = &builder{e: e}
		if err := e.Decode(&all[i].d); err != nil {
			return err
		}
	}
	if err := s.gather(ctx, all); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, b := range all {
			b.tx, b.err = tx, nil
			if b.build(); b.err != nil {
				return b.err
			}
		}
		return nil
	})
}

// gather asks for the facts about runs and versions. One that is gone again has none.
func (s *Service) gather(ctx context.Context, all []*builder) error {
	var ids []string
	for _, b := range all {
		if id := b.factsOf(); id != "" {
			ids = append(ids, id)
		}
		if b.e.Type != "registry.version.created" || s.d.Facts.Version == nil {
			continue
		}
		var err error
		if b.version, err = s.d.Facts.Version(ctx, b.d.Model, string(b.d.Version)); err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
	}
	if len(ids) == 0 || s.d.Facts.Runs == nil {
		return nil
	}
	runs, err := s.d.Facts.Runs(ctx, ids)
	for _, b := range all {
		b.run = runs[b.factsOf()]
	}
	return err
}

// factsOf is the id of the run whose facts an event needs, or "".
func (b *builder) factsOf() string {
	switch {
	case b.d.TrackedRunID != "":
		return b.d.TrackedRunID
	case strings.HasPrefix(b.e.Type, "tracking.run."), b.e.Type == "tracking.model.logged", b.e.Type == "registry.version.created":
		return b.d.RunID
	}
	return ""
}

// builder writes what one event tells. After the first error it does nothing more.
type builder struct {
	tx      *db.Tx
	e       events.Event
	d       told
	run     RunFacts
	version VersionFacts
	err     error
}

func (b *builder) node(kind, id, label string, meta map[string]string) string {
	n := Node{ID: node(kind, id), Kind: kind, Label: label, Meta: meta, At: b.e.At}
	if b.err == nil {
		b.err = putNode(b.tx, n)
	}
	return n.ID
}

func (b *builder) edge(from, to, relation, qualifier string, meta map[string]string) {
	if b.err == nil {
		b.err = putEdge(b.tx, Edge{From: from, To: to, Relation: relation, qualifier: qualifier, At: b.e.At, Actor: b.e.Actor.String(), seq: b.e.Seq, Meta: meta})
	}
}

func (b *builder) build() {
	switch typ := b.e.Type; {
	case strings.HasPrefix(typ, "tracking.run."):
		b.tracked(b.d.RunID)
		b.inputs()
	case typ == "tracking.model.logged":
		b.modelLogged()
	case typ == "registry.version.created":
		b.versionCreated()
	case typ == "registry.alias.set":
		b.aliasSet()
	case typ == "dataset.version.created":
		b.datasetVersion()
	case strings.HasPrefix(typ, "evaluation.gate."):
		b.gate()
	case typ == "serving.endpoint.created", typ == "routing.route.changed":
		b.route()
	case strings.HasPrefix(typ, "alert."):
		b.alert()
	case strings.HasPrefix(typ, "pipeline."):
		b.pipeline()
	case strings.HasPrefix(typ, "lifecycle.rollout."):
		b.rollout()
	case strings.HasPrefix(typ, "lifecycle.retraining."):
		b.retraining()
	}
}

// tracked notes a run with its code and the pipeline run that made it. A run that nothing is known to have led to has no node until
// something comes of it: a sweep of thousands costs the graph nothing (Service.nodes knows such runs all the same).
func (b *builder) tracked(runID string) {
	if runID == "" {
		return
	}
	tag := func(keys ...string) string {
		for _, k := range keys {
			if v := b.d.Tags[k]; v != "" {
				return v
			}
			if v := b.run.Tags[k]; v != "" {
				return v
			}
		}
		return ""
	}
	commit, digest, pipeline := tag(tagCommit), tag(tagCodeDigest), tag(tagPipelineRun)
	dataset, version, ok := strings.Cut(tag(tagDataset), "/")
	ofDataset := ok && dataset != "" && version != ""
	if len(b.d.Inputs) == 0 && commit == "" && digest == "" && pipeline == "" && !ofDataset {
		switch typ := b.e.Type; {
		case typ == "tracking.run.created", typ == "tracking.run.ended" && !b.known(node(kindRun, runID)):
			return
		}
	}
	facts, status := b.run, ""
	if b.e.Type == "tracking.run.ended" {
		status = b.d.Status
	}
	if facts.Name == "" {
		facts.Name = b.d.Name
	}
	if facts.User == "" {
		facts.User = tag(tagUser)
	}
	if facts.Source == "" {
		facts.Source = tag(tagSource)
	}
	if facts.ExperimentID == "" {
		facts.ExperimentID = b.d.ExperimentID
	}
	n := runNode(runID, facts)
	n.Meta["status"], n.Meta["step"] = status, tag(tagStep)
	run := b.node(kindRun, runID, n.Label, n.Meta)
	if commit != "" {
		code := b.node(kindCode, clip(commit), commit[:min(len(commit), 12)], map[string]string{"commit": commit, "repository": withoutUser(tag(tagRepo)), "branch": tag(tagBranch)})
		b.edge(code, run, "code", "", nil)
	}
	if digest != "" {
		code := b.node(kindCode, clip(digest), "pipeline code "+short(digest), map[string]string{"digest": digest, "pipeline": tag(tagPipeline)})
		b.edge(code, run, "code", "pipeline", nil)
	}
	if pipeline != "" {
		b.edge(b.node(kindPipelineRun, clip(pipeline), tag(tagPipeline), nil), run, "ran", "", nil)
	}
	if ofDataset {
		b.edge(b.node(kindDatasetVersion, clip(dataset+"/"+version), "", nil), run, "input", "", nil)
	}
}

func (b *builder) known(id string) bool {
	var there bool
	if b.err == nil {
		b.err = b.tx.QueryRow("SELECT EXISTS (SELECT 1 FROM lineage_node WHERE id = ?)", id).Scan(&there)
	}
	return there
}

func runNode(runID string, f RunFacts) Node {
	return Node{ID: node(kindRun, runID), Kind: kindRun, Label: f.Name, Meta: map[string]string{"experiment_id": f.ExperimentID, "user": f.User, "source": f.Source}, At: f.Start}
}

// withoutUser drops a name and password from the address of a repository.
func withoutUser(url string) string {
	if scheme, rest, ok := strings.Cut(url, "://"); ok {
		if at := strings.LastIndex(strings.SplitN(rest, "/", 2)[0], "@"); at >= 0 {
			return scheme + "://" + rest[at+1:]
		}
	}
	return url
}

var datasetURL = regexp.MustCompile(`/api/v1/datasets/([A-Za-z0-9_.-]+)/versions/([0-9]+|latest)\b`)

// inputs joins a run with the data it named: by our own address first, then by digest; other data gets a node of its own.
func (b *builder) inputs() {
	for _, in := range b.d.Inputs {
		if b.err != nil {
			return
		}
		from := b.inputNode(in)
		b.edge(from, node(kindRun, b.d.RunID), "input", clip(in.Context), map[string]string{"context": clip(in.Context), "name": clip(in.Name)})
	}
}

func (b *builder) inputNode(in input) string {
	if m := datasetURL.FindStringSubmatch(in.Source); m != nil {
		if m[2] != "latest" {
			return b.node(kindDatasetVersion, m[1]+"/"+m[2], "", nil)
		}
		if id, err := newestDatasetVersion(b.tx, m[1]); err != nil || id != "" {
			b.err = err
			return id
		}
	}
	if in.Digest != "" {
		if id, err := datasetByDigest(b.tx, in.Digest); err != nil || id != "" {
			b.err = err
			return id
		}
	}
	id := b.node(kindData, clip(in.Name+"@"+in.Digest), in.Name, map[string]string{"digest": in.Digest, "source": in.Source, "source_type": in.SourceType})
	if in.Digest != "" && b.err == nil {
		b.err = putDigest(b.tx, in.Digest, id)
	}
	return id
}

func (b *builder) datasetVersion() {
	d := b.d
	id := b.node(kindDatasetVersion, d.Dataset+"/"+string(d.Version), d.Dataset+" v"+string(d.Version), map[string]string{"digest": d.Digest, "rows": string(d.Rows), "created_by": b.e.Actor.String()})
	if d.Digest == "" || b.err != nil {
		return
	}
	for _, digest := range digests(d.Digest) {
		if b.err = putDigest(b.tx, digest, id); b.err != nil {
			return
		}
		same, err := dataByDigest(b.tx, digest)
		if err != nil {
			b.err = err
			return
		}
		for _, data := range same {
			b.edge(id, data, "same content", "", nil)
		}
	}
}

// digests are the forms under which a client may name a digest: with and without "sha256:".
func digests(d string) []string {
	bare := strings.TrimPrefix(d, "sha256:")
	if bare == d {
		return []string{d, "sha256:" + d}
	}
	return []string{bare, d}
}

func (b *builder) modelLogged() {
	m := b.node(kindLoggedModel, b.d.ModelID, b.d.Name, nil)
	if b.d.RunID != "" {
		b.tracked(b.d.RunID)
		b.edge(node(kindRun, b.d.RunID), m, "logged", "", nil)
	}
}

var loggedModelURI = regexp.MustCompile(`^models:/(m-[0-9a-f]{32})\b`)

func (b *builder) versionCreated() {
	d, f := b.d, b.version
	v := b.versionNode(string(d.Version), map[string]string{"created_by": b.e.Actor.String(), "digest": f.Digest, "flavor": f.Flavor,
		"runtime": f.Runtime, "python": f.PythonVersion, "run_id": d.RunID, "source": d.Source})
	model := d.ModelID
	if model == "" {
		if m := loggedModelURI.FindStringSubmatch(d.Source); m != nil {
			model = m[1]
		}
	}
	if model != "" {
		b.edge(b.node(kindLoggedModel, model, "", nil), v, "registered", "", nil)
	}
	if d.RunID != "" {
		b.tracked(d.RunID)
		b.edge(node(kindRun, d.RunID), v, "produced", "", nil)
	}
	if digest := environmentDigest(f); digest != "" {
		label := "python " + f.PythonVersion + ", " + itoa(int64(len(f.Requirements))) + " packages"
		env := b.node(kindEnvironment, digest, label, map[string]string{"python": f.PythonVersion, "packages": strings.Join(f.Requirements, " "), "digest": "sha256:" + digest})
		b.edge(env, v, "environment", "", nil)
	}
}

// environmentDigest is SHA-256 over the Python version and the sorted requirements, a line each; "" without any. It is shortened to
// 16 hex digits: it names, it does not prove.
func environmentDigest(f VersionFacts) string {
	if len(f.Requirements) == 0 && f.PythonVersion == "" {
		return ""
	}
	lines := slices.Clone(f.Requirements)
	slices.Sort(lines)
	sum := sha256.Sum256([]byte("python " + f.PythonVersion + "\n" + strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

func (b *builder) versionNode(version string, meta map[string]string) string {
	return b.node(kindVersion, b.d.Model+"/"+version, b.d.Model+" v"+version, meta)
}

func (b *builder) aliasSet() {
	d := b.d
	v := b.versionNode(string(d.Version), nil)
	var previous text
	_ = previous.UnmarshalJSON(d.Previous)
	a := b.node(kindAlias, d.Model+"@"+d.Alias, "@"+d.Alias, map[string]string{"version": string(d.Version), "model": d.Model})
	b.edge(a, v, "alias", itoa(b.e.Seq), map[string]string{"alias": d.Alias, "reason": clip(d.Reason), "previous": string(previous)})
}

func (b *builder) gate() {
	d := b.d
	verdict := strings.TrimPrefix(b.e.Type, "evaluation.gate.")
	v := b.versionNode(string(d.Version), nil)
	g := b.node(kindGate, d.ResultID, d.Gate, map[string]string{"verdict": verdict, "dataset": d.Dataset, "dataset_version": string(d.DatasetVersion)})
	b.edge(g, v, "gate "+verdict, "", map[string]string{"gate": clip(d.Gate), "verdict": verdict, "result_id": d.ResultID})
	if d.Dataset != "" && d.DatasetVersion != "" {
		b.edge(b.node(kindDatasetVersion, d.Dataset+"/"+string(d.DatasetVersion), "", nil), g, "evaluated on", "", nil)
	}
}

func (b *builder) route() {
	d := b.d
	if d.Endpoint == "" {
		d.Endpoint = b.e.Resource.ID
	}
	ep := b.node(kindEndpoint, d.Endpoint, d.Endpoint, map[string]string{"model": d.Model, "generation": generation(d.Generation)})
	if len(d.Targets) == 0 && d.Version != "" && d.Model != "" {
		d.Targets = []target{{Version: d.Version, Weight: 100, Role: "champion"}}
	}
	for _, t := range d.Targets {
		if t.Version == "" || d.Model == "" {
			continue
		}
		role := t.Role
		if role == "" {
			role = "champion"
		}
		b.edge(b.versionNode(string(t.Version), nil), ep, "served as "+role, itoa(d.Generation), map[string]string{"generation": itoa(d.Generation),
			"weight": strconv.FormatFloat(t.Weight, 'f', -1, 64), "role": role, "reason": clip(d.Reason)})
	}
}

func generation(n int64) string {
	if n == 0 {
		return ""
	}
	return itoa(n)
}

func (b *builder) alert() {
	d := b.d
	state := strings.TrimPrefix(b.e.Type, "alert.")
	a := b.node(kindAlert, d.AlertID, d.Title, map[string]string{"state": state, "kind": d.Kind, "severity": d.Severity, "reason": d.Reason})
	if d.Endpoint != "" && state == "opened" {
		b.edge(b.node(kindEndpoint, d.Endpoint, "", nil), a, "raised", "", nil)
	}
}

func (b *builder) pipeline() {
	d := b.d
	p := b.node(kindPipelineRun, d.RunID, d.Pipeline, nil)
	switch {
	case d.TrackedRunID != "":
		b.tracked(d.TrackedRunID)
		b.edge(p, node(kindRun, d.TrackedRunID), "ran", "", map[string]string{"step": string(d.Step)})
	case b.e.Type == "pipeline.run.ended":
		b.node(kindPipelineRun, d.RunID, d.Pipeline, map[string]string{"state": d.State})
		if m, v := d.Outputs["model"], d.Outputs["version"]; m != "" && v != "" {
			b.d.Model = string(m)
			b.edge(p, b.versionNode(string(v), nil), "produced", "", nil)
		}
	}
}

func (b *builder) rollout() {
	d := b.d
	what := strings.TrimPrefix(b.e.Type, "lifecycle.rollout.")
	state := map[string]string{"started": "running", "step_judged": "running"}[what]
	if state == "" {
		state = what
	}
	r := b.node(kindRollout, d.RolloutID, "rollout of v"+string(d.Version), map[string]string{"state": state, "endpoint": d.Endpoint, "reason": d.Reason})
	if what != "step_judged" {
		b.edge(r, b.versionNode(string(d.Version), nil), "rollout "+what, "", map[string]string{"reason": clip(d.Reason), "endpoint": d.Endpoint, "champion": d.Champion})
	}
	if d.RetrainingID != "" {
		b.edge(node(kindRetraining, d.RetrainingID), r, "started", "", nil)
	}
}

func (b *builder) retraining() {
	d := b.d
	r := b.node(kindRetraining, d.RetrainingID, "retraining of "+d.Endpoint, map[string]string{"endpoint": d.Endpoint, "outcome": d.Outcome, "reason": d.Reason})
	if d.AlertID != "" {
		b.edge(b.node(kindAlert, d.AlertID, "", nil), r, "started", "", nil)
	}
	if d.PipelineRunID != "" {
		b.edge(r, b.node(kindPipelineRun, d.PipelineRunID, "", nil), "started", "", nil)
	}
	if d.Challenger != "" && d.Model != "" {
		b.edge(r, b.versionNode(string(d.Challenger), nil), "produced", "", map[string]string{"outcome": d.Outcome})
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
