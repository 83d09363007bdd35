package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelyard/modelyard/client"
	bikedemand "github.com/modelyard/modelyard/examples/bike-demand"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

const name = "bike-demand" // of the dataset, the pipeline, the model and the endpoint

// memory is what the story remembers between two runs of the demo.
type memory struct {
	Chapters []chapter `json:"chapters"`
	Replay   replay    `json:"replay"`
	BadRun   string    `json:"bad_run,omitempty"`
	BadRoll  string    `json:"bad_rollout,omitempty"`
}

type story struct {
	f    *cmdutil.Factory
	c    *client.Client
	srv  *server
	dir  string
	days int
	year []hour
	mem  memory
	book *ledger
}

func newStory(f *cmdutil.Factory, srv *server, dir string, days int) (*story, error) {
	c, err := client.New(client.Options{Server: srv.url(), Token: f.Getenv("MODELYARD_TOKEN")})
	if err != nil {
		return nil, err
	}
	s := &story{f: f, c: c, srv: srv, dir: dir, days: days}
	if s.year, err = readYear(); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "story.json"))
	if err == nil {
		err = json.Unmarshal(b, &s.mem)
	} else if errors.Is(err, os.ErrNotExist) {
		err = s.save()
	}
	if err != nil {
		return nil, err
	}
	s.book, err = openLedger(filepath.Join(dir, "ledger.jsonl"))
	return s, err
}

// save writes the memory so that a crash leaves the old or the new one.
func (s *story) save() error {
	b, err := json.MarshalIndent(s.mem, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "story.json")
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// tell goes through the chapters, leaving out those that are told already.
func (s *story) tell(ctx context.Context) error {
	chapters := []struct {
		name string
		tell func(context.Context) (string, error)
	}{
		{"Register the data; refuse a corrupted copy", s.registerData},
		{"Train on January to March with the stock MLflow client", s.train},
		{"Pass the gate, become champion", s.gate},
		{"Deploy", s.deploy},
		{"Replay the year; watch, retrain and roll out", s.replayYear},
		{"Push a bad version: it is rolled back by itself", s.badVersion},
		{"Roll back by hand", s.rollback},
		{"Lineage of one prediction", s.lineage},
		{"Nothing acknowledged was lost", s.verify},
	}
	for i, ch := range chapters {
		if i < len(s.mem.Chapters) {
			s.f.Progress("%d  %s: done earlier (%s)", i+1, ch.name, s.mem.Chapters[i].Detail)
			continue
		}
		s.f.Progress("%d  %s", i+1, ch.name)
		began := time.Now()
		detail, err := ch.tell(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(ch.name[:1])+ch.name[1:], err)
		}
		s.mem.Chapters = append(s.mem.Chapters, chapter{Name: ch.name, OK: true, Detail: detail, Seconds: seconds(began)})
		if err := s.save(); err != nil {
			return err
		}
		s.f.Progress("   %s  (%.1f s)", detail, seconds(began))
	}
	return nil
}

// call sends a request, again if the server died under it.
func (s *story) call(ctx context.Context, r client.Request, out any) error {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return err
		}
	}
	for attempt := 0; ; attempt++ {
		if body != nil {
			r.Body = bytes.NewReader(body)
		}
		err := s.c.Call(ctx, r, out)
		kind := client.KindOf(err)
		if (kind != "unreachable" && kind != "unavailable") || attempt == 100 {
			return err
		}
		if kind == "unavailable" { // starting or busy
			if !pause(ctx, 50*time.Millisecond) {
				return ctx.Err()
			}
			continue
		}
		if err := s.srv.start(ctx); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (s *story) get(ctx context.Context, path string, q url.Values) (cmdutil.Object, error) {
	var o cmdutil.Object
	return o, s.call(ctx, client.Request{Method: http.MethodGet, Path: path, Query: q}, &o)
}

func (s *story) send(ctx context.Context, method, path string, body any) (cmdutil.Object, error) {
	var o cmdutil.Object
	return o, s.call(ctx, client.Request{Method: method, Path: path, JSON: body}, &o)
}

func file(name string) []byte {
	b, err := bikedemand.Files.ReadFile(name)
	if err != nil {
		panic(err) // embedded: it is there
	}
	return b
}

func yamlFile(name string) (json.RawMessage, error) { return yamlx.ToJSON(file(name)) }

func (s *story) pushData(ctx context.Context, csv string) (cmdutil.Object, error) {
	var o cmdutil.Object
	err := s.call(ctx, client.Request{Method: http.MethodPost, Path: client.P("api/v1/datasets", name, "versions"), ContentType: "text/csv", Body: strings.NewReader(csv),
		Query: url.Values{"format": {"csv"}, "time_column": {"time"}, "target": {"riders"}, "description": {"January to March 2011"}}}, &o)
	return o, err
}

func (s *story) registerData(ctx context.Context) (string, error) {
	err := s.call(ctx, client.Request{Method: http.MethodPut, Path: client.P("api/v1/datasets", name, "contract"), Body: bytes.NewReader(file("contract.yaml")), ContentType: "application/yaml"}, nil)
	if err != nil {
		return "", err
	}
	winter := csvUntil(s.year, april)
	lines := strings.Split(winter, "\n")
	for what, spoil := range map[string]string{
		"a row with a hole":     "2011-01-02T03:00:00Z,3,0,0,0,10.1",
		"an hour that is wrong": "2011-01-02T03:00:00Z,31,0,0,0,10.1,9.0,60,12.0,40",
		"text for a number":     "2011-01-02T03:00:00Z,3,0,0,0,mild,9.0,60,12.0,40",
	} {
		bad := append([]string(nil), lines...)
		bad[27] = spoil
		if _, err := s.pushData(ctx, strings.Join(bad, "\n")); client.KindOf(err) != "invalid" {
			return "", failed("a copy with %s was not refused: %v", what, err)
		} else if what == "an hour that is wrong" {
			s.f.Progress("   refused: %s", err)
		}
	}
	o, err := s.pushData(ctx, winter)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s@%s, %s hours, contract %s; three corrupted copies refused", name, o.Str("version"), o.Str("rows"), o.Str("contract.verdict")), nil
}

// runPipeline starts a run and waits for its end, telling its steps.
func (s *story) runPipeline(ctx context.Context, params map[string]string) (cmdutil.Object, error) {
	o, err := s.send(ctx, http.MethodPost, client.P("api/v1/pipelines", name, "runs"), map[string]any{"params": params})
	if err != nil {
		return nil, err
	}
	return s.awaitRun(ctx, o.Str("id"))
}

func (s *story) awaitRun(ctx context.Context, id string) (cmdutil.Object, error) {
	seen := map[string]string{}
	for {
		o, err := s.get(ctx, client.P("api/v1/pipeline-runs", id), nil)
		if err != nil {
			return nil, err
		}
		if msg := o.Str("message"); msg != "" && seen[""] != msg {
			seen[""] = msg
			s.f.Progress("   %s", msg)
		}
		for _, st := range o.Items("steps") {
			if state := st.Str("state"); state != "waiting" && seen[st.Str("name")] != state {
				seen[st.Str("name")] = state
				s.f.Progress("   step %-6s %s", st.Str("name"), state)
			}
			if id := st.Str("run_id"); id != "" {
				s.book.once("run", id)
			}
		}
		switch o.Str("state") {
		case "succeeded":
			s.book.once("version", o.Str("outputs.model")+"/"+o.Str("outputs.version"))
			return o, nil
		case "failed", "cancelled":
			return nil, failed("pipeline run %s %s: %s (modelyard pipeline logs %s)", id, o.Str("state"), o.Str("error"), id)
		}
		if !pause(ctx, 150*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

func (s *story) train(ctx context.Context) (string, error) {
	files := map[string]string{}
	for _, n := range []string{"data.py", "train.py", "requirements.txt"} {
		files[n] = string(file(n))
	}
	if _, err := s.send(ctx, http.MethodPut, client.P("api/v1/pipelines", name), map[string]any{"spec": string(file("pipeline.yaml")), "files": files}); err != nil {
		return "", err
	}
	s.f.Progress("   the first run makes the Python environment of the example, which takes a while")
	o, err := s.runPipeline(ctx, map[string]string{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s version %s from %s", o.Str("outputs.model"), o.Str("outputs.version"), o.Str("outputs.dataset")), nil
}

func (s *story) gate(ctx context.Context) (string, error) {
	spec, err := yamlFile("gate.yaml")
	if err != nil {
		return "", err
	}
	m, err := s.get(ctx, client.P("api/v1/models", name), nil)
	if err != nil {
		return "", err
	}
	v := m.Str("latest_version")
	o, err := s.send(ctx, http.MethodPost, "/api/v1/gates/check", map[string]any{"gate": spec, "model": name, "version": v, "alias_on_pass": "champion"})
	if err != nil {
		return "", err
	}
	for _, r := range o.Items("rules") {
		s.f.Progress("   %-5s %-24s required %s, measured %s", r.Str("verdict"), r.Str("name"), first(r.Num("required", 1), "yes"), r.Num("measured", 3))
	}
	if o.Str("verdict") != "pass" {
		return "", failed("the gate says %s", o.Str("verdict"))
	}
	return fmt.Sprintf("version %s passed on %s rows of %s@%s and is champion", v, o.Str("rows"), o.Str("dataset"), o.Str("dataset_version")), nil
}

func (s *story) deploy(ctx context.Context) (string, error) {
	began := time.Now()
	if _, err := s.send(ctx, http.MethodPost, "/api/v1/endpoints", map[string]string{"name": name, "model_uri": "models:/" + name + "@champion"}); err != nil && client.KindOf(err) != "conflict" { // conflict: it was made just before the server died
		return "", err
	}
	var p cmdutil.Object
	for { // until it answers
		var err error
		if p, err = s.predict(ctx, s.year[s.firstHour()], "first"); err == nil {
			break
		} else if k := client.KindOf(err); k != "unavailable" && k != "not_found" {
			return "", err
		}
		if time.Since(began) > time.Minute {
			return "", failed("the endpoint did not answer within a minute")
		}
		if !pause(ctx, 5*time.Millisecond) {
			return "", ctx.Err()
		}
	}
	took := time.Since(began)
	policy, err := yamlFile("policy.yaml")
	if err != nil {
		return "", err
	}
	if _, err := s.send(ctx, http.MethodPut, client.P("api/v1/lifecycle/policies", name), policy); err != nil {
		return "", err
	}
	return fmt.Sprintf("first answer %s riders after %d ms; %s/endpoints/%s", p.Num("prediction", 0), took.Milliseconds(), s.srv.url(), name), nil
}

func (s *story) rollback(ctx context.Context) (string, error) {
	before, err := s.get(ctx, client.P("api/v1/endpoints", name), nil)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if _, err := s.send(ctx, http.MethodPost, client.P("api/v1/endpoints", name, "rollback"), map[string]string{"reason": "the demo shows a rollback by hand"}); err != nil {
		return "", err
	}
	took := time.Since(began)
	o, err := s.get(ctx, client.P("api/v1/endpoints", name), nil)
	if err != nil {
		return "", err
	}
	if mainVersion(o) == mainVersion(before) {
		return "", failed("the rollback changed nothing")
	}
	return fmt.Sprintf("from version %s back to %s in %d ms", mainVersion(before), mainVersion(o), took.Milliseconds()), nil
}

// mainVersion is the version with the most traffic.
func mainVersion(endpoint cmdutil.Object) string {
	version, most := "", -1.0
	for _, t := range endpoint.Items("spec.targets") {
		if w, _ := t.Get("weight").(float64); w > most {
			version, most = t.Str("version"), w
		}
	}
	return version
}

func (s *story) lineage(ctx context.Context) (string, error) {
	list, err := s.get(ctx, client.P("api/v1/endpoints", name, "predictions"), url.Values{"role": {"champion"}, "limit": {"1"}}) // a canary may not be approved yet
	if err != nil {
		return "", err
	}
	if len(list.Items("items")) == 0 {
		return "", failed("the champion answered no prediction")
	}
	id := list.Items("items")[0].Str("id")
	o, err := s.get(ctx, client.P("api/v1/predictions", id, "lineage"), nil)
	if err != nil {
		return "", err
	}
	have := map[string]string{}
	for _, fact := range o.Items("facts") {
		have[fact.Str("what")] = fact.Str("value")
		s.f.Progress("   %-16s %s %s", fact.Str("what"), fact.Str("value"), fact.Str("note"))
	}
	for _, what := range []string{"endpoint", "model version", "run", "code commit", "environment", "dataset version", "approved"} {
		if have[what] == "" {
			return "", failed("the lineage of prediction %s does not name its %s", id, what)
		}
	}
	return fmt.Sprintf("prediction %s: %d facts; %s/lineage?node=prediction:%s", id, len(have), s.srv.url(), id), nil
}
