package transfer

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// The tags by which a later export finds what an earlier one made: an MLflow server gives ids of its own.
const (
	tagExperiment = "modelyard.source_experiment"
	tagRun        = "modelyard.source_run_id"
	tagModel      = "modelyard.source_model_id"
	tagState      = "modelyard.source_state"
	tagRegistered = "modelyard.source_model"
	tagVersion    = "modelyard.source_version"
)

// MLflow writes an MLflow server through its REST API.
type MLflow struct {
	rest

	mu       sync.Mutex
	known    map[string]Known      // kind and id in the source
	versions map[string][]Version  // of registered models there
	deleted  map[string]bool       // experiments there that are deleted, and have to be again
	opened   map[string]*sync.Once // those of them that were restored to be written
}

// OpenMLflow is the target behind an address.
func OpenMLflow(ctx context.Context, o Server) (*MLflow, error) {
	s, err := OpenServer(ctx, o)
	if err != nil {
		return nil, err
	}
	r, _ := s.(*rest)
	return &MLflow{rest: *r, known: map[string]Known{}, versions: map[string][]Version{}, deleted: map[string]bool{}, opened: map[string]*sync.Once{}}, nil
}

// Reader reads the server back.
func (m *MLflow) Reader() Reader { return &m.rest }

func (m *MLflow) post(ctx context.Context, path string, in any) error {
	return m.call(ctx, http.MethodPost, api+path, nil, in, nil)
}

// Experiment finds the experiment by name and tag, or makes it, and learns what earlier exports put into it.
func (m *MLflow) Experiment(ctx context.Context, e Experiment, as Placing) (string, Outcome, error) {
	var a struct {
		Experiment wireExperiment `json:"experiment"`
	}
	err := m.call(ctx, http.MethodGet, api+"experiments/get-by-name", url.Values{"experiment_name": {as.Name}}, nil, &a)
	if isMissing(err) && as.Check {
		return "", Created, nil
	}
	if isMissing(err) {
		var made struct {
			ID string `json:"experiment_id"`
		}
		tags := append(pairs(e.Tags), keyValue{tagExperiment, e.Origin()})
		if err := m.call(ctx, http.MethodPost, api+"experiments/create", nil, map[string]any{"name": as.Name, "tags": tags}, &made); err != nil {
			return "", "", err
		}
		m.wantDeleted(made.ID, e.Deleted, false)
		return made.ID, Created, nil
	}
	if err != nil {
		return "", "", err
	}
	got := a.Experiment.plain()
	ours := got.Tags[tagExperiment] == e.Origin()
	if !ours && !as.IntoExisting && (got.ID != "0" || !m.empty(ctx, got)) {
		return "", "", errs.E(errs.Conflict, "transfer.mlflow", "the server has another experiment named "+as.Name, nil)
	}
	if as.Check {
		return got.ID, Unchanged, nil
	}
	out := Unchanged
	if !got.Deleted {
		want := maps.Clone(e.Tags)
		want[tagExperiment] = e.Origin()
		for _, t := range pairs(want) {
			if have, ok := got.Tags[t.Key]; ok && (have == t.Value || as.IntoExisting) {
				continue
			}
			out = Updated
			if err := m.post(ctx, "experiments/set-experiment-tag", map[string]any{"experiment_id": got.ID, "key": t.Key, "value": t.Value}); err != nil {
				return "", "", err
			}
		}
	}
	m.wantDeleted(got.ID, e.Deleted, got.Deleted)
	return got.ID, out, m.learn(ctx, got)
}

func (m *MLflow) empty(ctx context.Context, e Experiment) bool {
	none := true
	err := m.Runs(ctx, e, func(r []Run) error { none = none && len(r) == 0; return nil })
	return err == nil && none
}

// wantDeleted remembers that an experiment is deleted in the source; is says whether it is there.
func (m *MLflow) wantDeleted(id string, want, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if want {
		m.deleted[id] = true
	}
	if is {
		m.opened[id] = new(sync.Once)
	}
}

// writable restores a deleted experiment before the first write; End deletes it again.
func (m *MLflow) writable(ctx context.Context, id string) error {
	m.mu.Lock()
	once := m.opened[id]
	m.mu.Unlock()
	var err error
	if once != nil {
		once.Do(func() { err = m.post(ctx, "experiments/restore", map[string]any{"experiment_id": id}) })
	}
	return err
}

// End deletes the experiments that are deleted in the source.
func (m *MLflow) End(ctx context.Context) error {
	for id := range m.deleted {
		err := m.post(ctx, "experiments/delete", map[string]any{"experiment_id": id})
		if err != nil && !hasCode(err, "INVALID_STATE") && !hasCode(err, "RESOURCE_DOES_NOT_EXIST") && !hasCode(err, "INVALID_PARAMETER_VALUE") {
			return err
		}
	}
	return nil
}

func (m *MLflow) learn(ctx context.Context, e Experiment) error {
	note := func(kind, id, there, state string) {
		if id != "" {
			m.mu.Lock()
			m.known[kind+" "+id] = Known{there, state}
			m.mu.Unlock()
		}
	}
	err := m.Runs(ctx, e, func(runs []Run) error {
		for _, r := range runs {
			note(KindRun, r.Tags[tagRun], r.ID, r.Tags[tagState])
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.LoggedModels(ctx, e, func(models []LoggedModel) error {
		for _, x := range models {
			note(KindModel, x.Tags[tagModel], x.ID, x.Tags[tagState])
		}
		return nil
	})
}

// Known tells what earlier exports made.
func (m *MLflow) Known(_ context.Context, kind string, ids []string) (map[string]Known, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]Known{}
	for _, id := range ids {
		if k, ok := m.known[kind+" "+id]; ok {
			out[id] = k
		}
	}
	return out, nil
}

// Bounds of one log-batch call.
const (
	batchTexts  = 100
	batchPoints = 1000
)

// Run makes the run, or opens the one that is there, and logs everything to it.
func (m *MLflow) Run(ctx context.Context, experiment string, r Run, known Known, history func(string, func([]Point) error) error) (string, Outcome, error) {
	if err := m.writable(ctx, experiment); err != nil {
		return "", "", err
	}
	id, out := known.ID, Updated
	if id == "" {
		out = Created
		var a struct {
			Run wireRun `json:"run"`
		}
		err := m.call(ctx, http.MethodPost, api+"runs/create", nil, map[string]any{"experiment_id": experiment, "user_id": r.User, "run_name": r.Name, "start_time": r.Start,
			"tags": []keyValue{{tagRun, r.ID}}}, &a)
		if err != nil {
			return "", "", err
		}
		id = a.Run.plain().ID
	} else if err := m.post(ctx, "runs/restore", map[string]any{"run_id": id}); err != nil && !hasCode(err, "INVALID_STATE") && !hasCode(err, "INVALID_PARAMETER_VALUE") {
		return "", "", err
	}
	for part := range slices.Chunk(pairs(r.Params), batchTexts) {
		if err := m.post(ctx, "runs/log-batch", map[string]any{"run_id": id, "params": part}); err != nil {
			return "", "", err
		}
	}
	tags := maps.Clone(r.Tags)
	delete(tags, tagRun)
	delete(tags, tagState)
	for part := range slices.Chunk(pairs(tags), batchTexts) {
		if err := m.post(ctx, "runs/log-batch", map[string]any{"run_id": id, "tags": part}); err != nil {
			return "", "", err
		}
	}
	for part := range slices.Chunk(r.Inputs, batchTexts) {
		datasets := make([]wireInput, len(part))
		for i, in := range part {
			datasets[i] = wireInput{pairs(in.Tags), wireDataset{in.Name, in.Digest, in.SourceType, in.Source, in.Schema, in.Profile}}
		}
		if err := m.post(ctx, "runs/log-inputs", map[string]any{"run_id": id, "datasets": datasets}); err != nil {
			return "", "", err
		}
	}
	return id, out, m.points(ctx, id, r, history)
}

func (m *MLflow) points(ctx context.Context, id string, r Run, history func(string, func([]Point) error) error) error {
	var batch []wireMetric
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := m.post(ctx, "runs/log-batch", map[string]any{"run_id": id, "metrics": batch})
		batch = batch[:0]
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(r.Latest)) {
		err := history(key, func(points []Point) error {
			for _, p := range points {
				batch = append(batch, wireMetric{Key: key, Value: double(p.Value), Time: integer(p.Time), Step: integer(p.Step)})
				if len(batch) == batchPoints {
					if err := flush(); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return flush()
}

// LoggedModel makes the logged model, or brings the tags of the one that is there up to date.
func (m *MLflow) LoggedModel(ctx context.Context, experiment string, x LoggedModel, known Known) (string, Outcome, error) {
	if err := m.writable(ctx, experiment); err != nil {
		return "", "", err
	}
	if known.ID != "" {
		err := m.call(ctx, http.MethodPatch, api+"logged-models/"+known.ID+"/tags", nil, map[string]any{"tags": pairs(x.Tags)}, nil)
		return known.ID, Updated, err
	}
	var a struct {
		Model wireLoggedModel `json:"model"`
	}
	err := m.call(ctx, http.MethodPost, api+"logged-models", nil, map[string]any{"experiment_id": experiment, "name": x.Name, "model_type": x.Type, "source_run_id": x.RunID,
		"params": pairs(x.Params), "tags": append(pairs(x.Tags), keyValue{tagModel, x.ID})}, &a)
	return a.Model.Info.ID, Created, err
}

// Put sends a file through the artifact proxy.
func (m *MLflow) Put(ctx context.Context, o Owner, f File, open func() (io.ReadCloser, error)) error {
	if _, ok := proxied(o.URI); !ok {
		return errs.E(errs.Precondition, "transfer.mlflow", "the server keeps files at "+o.URI+" and takes none itself", nil).
			WithHint("start it with --serve-artifacts, or export with --no-artifacts")
	}
	return put(ctx, m.caller, o, f, open)
}

// Finish ends a run, ties it to its models and notes the state; a logged model gets its metrics and status.
func (m *MLflow) Finish(ctx context.Context, f Finished) error {
	if f.Model != nil {
		return m.finishModel(ctx, f)
	}
	id, r := f.Owner.ID, f.Run
	got, err := m.rest.Run(ctx, id)
	if err != nil {
		return err
	}
	if got.Deleted { // moved whole before, and its mark alone has changed
		return nil
	}
	if err := m.tie(ctx, id, "runs/outputs", r.ModelOutputs, got.ModelOutputs, f.Translated); err != nil {
		return err
	}
	if err := m.tie(ctx, id, "runs/log-inputs", r.ModelInputs, got.ModelInputs, f.Translated); err != nil {
		return err
	}
	tags := []keyValue{{tagState, f.Mark}}
	if parent, ok := f.Translated(KindRun, r.Tags[parentTag]); ok && r.Tags[parentTag] != "" {
		tags = append(tags, keyValue{parentTag, parent})
	}
	if err := m.post(ctx, "runs/log-batch", map[string]any{"run_id": id, "tags": tags}); err != nil {
		return err
	}
	change := map[string]any{"run_id": id, "status": r.Status, "run_name": r.Name}
	if r.End != 0 {
		change["end_time"] = r.End
	}
	if err := m.post(ctx, "runs/update", change); err != nil || !r.Deleted {
		return err
	}
	return m.post(ctx, "runs/delete", map[string]any{"run_id": id})
}

func (m *MLflow) tie(ctx context.Context, run, call string, want, have []Ref, translated func(kind, id string) (string, bool)) error {
	var models []wireRef
	for _, r := range want {
		id, ok := translated(KindModel, r.ModelID)
		if ok && !slices.ContainsFunc(have, func(x Ref) bool { return x.ModelID == id }) {
			models = append(models, wireRef{id, integer(r.Step)})
		}
	}
	if len(models) == 0 {
		return nil
	}
	return m.post(ctx, call, map[string]any{"run_id": run, "models": models})
}

func (m *MLflow) finishModel(ctx context.Context, f Finished) error {
	byRun := map[string][]wireMetric{}
	for _, x := range f.Model.Metrics {
		if run, ok := f.Translated(KindRun, x.RunID); ok {
			byRun[run] = append(byRun[run], wireMetric{Key: x.Key, Value: double(x.Value), Time: integer(x.Time), Step: integer(x.Step), ModelID: f.Owner.ID, Dataset: x.Dataset, DatasetDigest: x.DatasetDigest})
		}
	}
	for run, metrics := range byRun {
		for part := range slices.Chunk(metrics, batchPoints) {
			if err := m.post(ctx, "runs/log-batch", map[string]any{"run_id": run, "metrics": part}); err != nil {
				return err
			}
		}
	}
	at := api + "logged-models/" + f.Owner.ID
	if f.Model.Status != "PENDING" {
		if err := m.call(ctx, http.MethodPatch, at, nil, map[string]any{"model_id": f.Owner.ID, "status": "LOGGED_MODEL_" + f.Model.Status}, nil); err != nil {
			return err
		}
	}
	return m.call(ctx, http.MethodPatch, at+"/tags", nil, map[string]any{"tags": []keyValue{{tagState, f.Mark}, {tagModel, f.Source}}}, nil)
}
