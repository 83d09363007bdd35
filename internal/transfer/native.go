package transfer

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// Native writes this product, which keeps ids and times.
type Native struct {
	c         *client.Client
	reader    *nativeReader
	workspace string
}

// OpenNative is one workspace ("" for the default one) of the server behind a client; token is the one the client has. NotFound when the
// server has no such workspace.
func OpenNative(ctx context.Context, c *client.Client, token, workspace string) (*Native, error) {
	if workspace == "" {
		workspace = space.Default
	}
	call, err := newCaller(Server{URL: c.Server(), Bearer: token, Workspace: workspace})
	if err != nil {
		return nil, err
	}
	if workspace != space.Default {
		if err := space.Check(workspace); err != nil {
			return nil, err
		}
		err := c.Get(ctx, client.P("api/v1/workspaces", workspace), nil, &struct{}{})
		if client.KindOf(err) == "not_found" {
			return nil, errs.E(errs.NotFound, "transfer.open", "there is no workspace "+workspace+" at "+c.Server(), nil).
				WithHint("make it with: modelyard workspace create %s", workspace)
		}
		if err != nil {
			return nil, err
		}
	}
	return &Native{c, &nativeReader{rest{call}, c}, workspace}, nil
}

// Reader reads the server through the protocol that MLflow's clients use.
func (n *Native) Reader() Reader { return n.reader }

// nativeReader knows the digests of files.
type nativeReader struct {
	rest
	c *client.Client
}

// Files lists files with their digests.
func (r *nativeReader) Files(_ context.Context, o Owner) (Tree, error) {
	return &nativeTree{restTree{&r.rest, o}, r.c}, nil
}

type nativeTree struct {
	restTree
	c *client.Client
}

func (t *nativeTree) List(ctx context.Context) ([]File, error) {
	noun := "runs"
	if t.o.Kind == KindModel {
		noun = "logged-models"
	}
	return walk(ctx, func(ctx context.Context, dir string) ([]entry, error) {
		var a struct {
			Items []struct {
				Path   string `json:"path"`
				Size   int64  `json:"size"`
				Digest string `json:"digest"`
				Dir    bool   `json:"is_dir"`
			} `json:"items"`
		}
		q := url.Values{}
		if dir != "" {
			q.Set("path", dir)
		}
		err := t.c.Get(ctx, client.P("api/v1/"+noun, t.o.ID, "files"), q, &a)
		out := make([]entry, len(a.Items))
		for i, f := range a.Items {
			out[i] = entry{Path: f.Path, Dir: f.Dir, Size: integer(f.Size), Digest: f.Digest}
		}
		return out, err
	})
}

type outcomeReply struct {
	ID      string  `json:"id"`
	Outcome Outcome `json:"outcome"`
	Files   int64   `json:"files"`
}

func (n *Native) post(ctx context.Context, path string, in any) (outcomeReply, error) {
	var out outcomeReply
	err := n.c.Send(ctx, http.MethodPost, path, in, &out)
	return out, err
}

// Experiment finds the experiment by its origin, or makes it with its id when that is free.
func (n *Native) Experiment(ctx context.Context, e Experiment, as Placing) (string, Outcome, error) {
	stage := "active"
	if e.Deleted {
		stage = deleted
	}
	origin := e.Origin()
	if as.Name != e.Name {
		origin += " as " + as.Name
	}
	if len(origin) > 250 {
		origin = origin[:100] + mark(origin)
	}
	a, err := n.post(ctx, "/api/v1/import/experiments", map[string]any{"workspace": n.workspace, "origin": origin, "source_id": e.ID, "name": as.Name, "lifecycle": stage,
		"created_ms": e.Created, "updated_ms": e.Updated, "tags": e.Tags, "into_existing": as.IntoExisting, "check": as.Check})
	return a.ID, a.Outcome, err
}

// Known asks what was imported before.
func (n *Native) Known(ctx context.Context, kind string, ids []string) (map[string]Known, error) {
	var a struct {
		Marks map[string]string `json:"marks"`
	}
	if err := n.c.Send(ctx, http.MethodPost, "/api/v1/import/state", map[string]any{"kind": kind, "ids": ids}, &a); err != nil {
		return nil, err
	}
	out := map[string]Known{}
	for id, m := range a.Marks {
		out[id] = Known{id, m}
	}
	return out, nil
}

type nativeSeries struct {
	Key    string   `json:"key"`
	From   int64    `json:"from,omitempty"`
	Steps  []int64  `json:"steps"`
	Times  []int64  `json:"times"`
	Values []double `json:"values"`
}

type nativeRef struct {
	ModelID string `json:"model_id"`
	Step    int64  `json:"step"`
}

func nativeRefs(in []Ref) []nativeRef {
	out := make([]nativeRef, len(in))
	for i, m := range in {
		out[i] = nativeRef(m)
	}
	return out
}

type nativeInput struct {
	wireDataset
	Tags []keyValue `json:"tags,omitempty"`
}

func pairs(m map[string]string) []keyValue {
	out := make([]keyValue, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, keyValue{k, m[k]})
	}
	return out
}

type nativeRun struct {
	ID               string         `json:"id"`
	ExperimentID     string         `json:"experiment_id"`
	SourceExperiment string         `json:"source_experiment,omitempty"`
	Name             string         `json:"name"`
	User             string         `json:"user"`
	Status           string         `json:"status"`
	Lifecycle        string         `json:"lifecycle"`
	Start            int64          `json:"start_ms"`
	End              int64          `json:"end_ms,omitempty"`
	Params           []keyValue     `json:"params,omitempty"`
	Tags             []keyValue     `json:"tags,omitempty"`
	Inputs           []nativeInput  `json:"inputs,omitempty"`
	ModelInputs      []nativeRef    `json:"model_inputs,omitempty"`
	ModelOutputs     []nativeRef    `json:"model_outputs,omitempty"`
	Series           []nativeSeries `json:"series,omitempty"`
}

// maxSent is how many points go in one call: a run that has no more is stored in one transaction.
const maxSent = 500_000

// Run sends the run with its points; a run with more than maxSent goes in several calls, each taking up where the last one ended.
func (n *Native) Run(ctx context.Context, experiment string, r Run, _ Known, history func(string, func([]Point) error) error) (string, Outcome, error) {
	w := nativeRun{ID: r.ID, ExperimentID: experiment, SourceExperiment: r.Experiment, Name: r.Name, User: r.User, Status: r.Status, Lifecycle: "active", Start: r.Start, End: r.End,
		Params: pairs(r.Params), Tags: pairs(r.Tags), ModelInputs: nativeRefs(r.ModelInputs), ModelOutputs: nativeRefs(r.ModelOutputs)}
	for _, in := range r.Inputs {
		w.Inputs = append(w.Inputs, nativeInput{wireDataset{in.Name, in.Digest, in.SourceType, in.Source, in.Schema, in.Profile}, pairs(in.Tags)})
	}
	first, held := outcomeReply{}, 0
	send := func() error {
		a, err := n.post(ctx, "/api/v1/import/runs", w)
		if first.Outcome == "" {
			first = a
		}
		w.Params, w.Tags, w.Inputs, w.ModelInputs, w.ModelOutputs, w.Series, held = nil, nil, nil, nil, nil, nil, 0
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(r.Latest)) {
		at := -1 // of the series in w
		from := int64(0)
		err := history(key, func(points []Point) error {
			for part := range slices.Chunk(points, historyPage) {
				if held+len(part) > maxSent {
					if err := send(); err != nil {
						return err
					}
					at = -1
				}
				if at < 0 {
					at = len(w.Series)
					w.Series = append(w.Series, nativeSeries{Key: key, From: from})
				}
				x := &w.Series[at]
				for _, p := range part {
					x.Steps, x.Times, x.Values = append(x.Steps, p.Step), append(x.Times, p.Time), append(x.Values, double(p.Value))
				}
				held += len(part)
				from += int64(len(part))
			}
			return nil
		})
		if err != nil {
			return "", "", err
		}
	}
	if r.Deleted {
		w.Lifecycle = deleted
	}
	err := send()
	return r.ID, first.Outcome, err
}

// LoggedModel sends a logged model.
func (n *Native) LoggedModel(ctx context.Context, experiment string, m LoggedModel, _ Known) (string, Outcome, error) {
	type metric struct {
		Key           string `json:"key"`
		Value         double `json:"value"`
		Time          int64  `json:"time"`
		Step          int64  `json:"step"`
		Dataset       string `json:"dataset_name,omitempty"`
		DatasetDigest string `json:"dataset_digest,omitempty"`
		RunID         string `json:"run_id,omitempty"`
	}
	metrics := []metric{}
	for _, x := range m.Metrics {
		metrics = append(metrics, metric{x.Key, double(x.Value), x.Time, x.Step, x.Dataset, x.DatasetDigest, x.RunID})
	}
	a, err := n.post(ctx, "/api/v1/import/logged-models", map[string]any{"id": m.ID, "experiment_id": experiment, "source_experiment": m.Experiment, "name": m.Name, "type": m.Type,
		"status": m.Status, "status_message": m.StatusMessage, "run_id": m.RunID, "created_ms": m.Created, "updated_ms": m.Updated,
		"tags": pairs(m.Tags), "params": pairs(m.Params), "metrics": metrics})
	return m.ID, a.Outcome, err
}

// Put names contents that are there already, or sends them through the artifact proxy.
func (n *Native) Put(ctx context.Context, o Owner, f File, open func() (io.ReadCloser, error)) error {
	if f.Digest != "" {
		var a struct {
			Missing []string `json:"missing"`
		}
		err := n.c.Send(ctx, http.MethodPost, "/api/v1/import/files", map[string]any{"kind": o.Kind, "id": o.ID,
			"files": []map[string]any{{"path": f.Path, "size": f.Size, "digest": f.Digest}}}, &a)
		if err != nil || len(a.Missing) == 0 {
			return err
		}
	}
	return put(ctx, n.reader.caller, o, f, open)
}

// put streams a file through the artifact proxy of the server, to the place that the server gives its owner.
func put(ctx context.Context, c *caller, o Owner, f File, open func() (io.ReadCloser, error)) error {
	root, _ := proxied(o.URI)
	var err error
	for try := range attempts {
		if err = pause(ctx, try); err != nil {
			return err
		}
		if err = putOnce(ctx, c, proxy+escape(root+"/"+f.Path), f.Size, open); !transient(err) {
			return err
		}
	}
	return err
}

func putOnce(ctx context.Context, c *caller, path string, size int64, open func() (io.ReadCloser, error)) error {
	body, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	resp, err := c.do(ctx, http.MethodPut, path, nil, &exact{r: body, left: size}, size)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	return err
}

// exact fails when its reader does not give the number of bytes that was promised: such a file is not stored.
type exact struct {
	r    io.Reader
	left int64
}

func (e *exact) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if e.left < 0 || errors.Is(err, io.EOF) && e.left > 0 {
		return n, errs.Invalidf("transfer.files", "the source gives another number of bytes than it says the file has")
	}
	return n, err
}

// Finish notes the mark.
func (n *Native) Finish(ctx context.Context, f Finished) error {
	return n.c.Send(ctx, http.MethodPost, "/api/v1/import/finish", map[string]any{"kind": f.Owner.Kind, "marks": map[string]string{f.Owner.ID: f.Mark}}, nil)
}

// End does nothing: an import may write into what is deleted.
func (n *Native) End(context.Context) error { return nil }

// Model sends a registered model without its aliases.
func (n *Native) Model(ctx context.Context, m RegisteredModel, name string, into bool) (Outcome, error) {
	a, err := n.post(ctx, "/api/v1/import/models", n.model(m, name, into, nil))
	return a.Outcome, err
}

func (n *Native) model(m RegisteredModel, name string, into bool, aliases map[string]string) map[string]any {
	if aliases == nil {
		aliases = map[string]string{}
	}
	return map[string]any{"name": space.Full(n.workspace, name), "description": m.Description, "tags": m.Tags, "created_ms": m.Created, "updated_ms": m.Updated, "into_existing": into, "aliases": aliases}
}

// Version sends a version under its own number.
func (n *Native) Version(ctx context.Context, model string, v Version, files string) (string, Outcome, error) {
	a, err := n.post(ctx, client.P("api/v1/import/models", space.Full(n.workspace, model), "versions"), map[string]any{"version": v.Version, "source": v.Source, "files": files, "run_id": v.RunID, "model_id": v.ModelID, "run_link": v.RunLink,
		"description": v.Description, "tags": v.Tags, "stage": v.Stage, "status": v.Status, "status_message": v.StatusMessage, "created_ms": v.Created, "updated_ms": v.Updated, "created_by": v.User})
	return v.Version, a.Outcome, err
}

// Aliases sends the aliases.
func (n *Native) Aliases(ctx context.Context, m RegisteredModel, name string, aliases map[string]string) (bool, error) {
	a, err := n.post(ctx, "/api/v1/import/models", n.model(m, name, true, aliases))
	return a.Outcome != Unchanged, err
}
