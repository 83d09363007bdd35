package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math"
	"path"
	"sort"
	"strings"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

const (
	maxModelFile    = 8 << 20   // bytes of an MLmodel file
	maxRequirements = 256 << 10 // bytes of a requirements.txt
	maxFiles        = 20_000    // files of one version
)

// detail is what the MLmodel file says about a version, as it is stored.
type detail struct {
	Flavors       []string   `json:"flavors"`
	Signature     *Signature `json:"signature,omitempty"`
	Requirements  []string   `json:"requirements,omitempty"`
	PythonVersion string     `json:"python_version,omitempty"`
	MLflowVersion string     `json:"mlflow_version,omitempty"`
	InputExample  string     `json:"input_example,omitempty"`
	RunLink       string     `json:"run_link,omitempty"`
}

// content is the files of a version to be, read before its transaction.
type content struct {
	files   []blob.File
	size    int64
	digest  string
	flavor  string
	runtime string
	detail  detail
}

// CreateVersion registers the next version of a model. Its files, its row, its tags and its event are written together. It returns
// NotFound when the model or its files are not there, Invalid when MLmodel cannot be read.
func (s *Service) CreateVersion(ctx context.Context, n NewVersion) (Version, error) {
	if err := n.check(); err != nil {
		return Version{}, err
	}
	if _, err := s.findModel(ctx, n.Model); err != nil {
		return Version{}, err
	}
	c, err := s.readContent(ctx, n)
	if err != nil {
		return Version{}, err
	}
	var number int64
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := modelByName(tx, n.Model)
		if err != nil {
			return err
		}
		if number, err = nextNumber(tx, m.Name); err != nil {
			return err
		}
		if err := s.insertVersion(ctx, tx, m, number, n, c); err != nil {
			return err
		}
		root := VersionRoot(m.id, number)
		for _, f := range c.files { // the very contents that were read and hashed, whatever happens to the source meanwhile
			if err := s.d.Files.Link(tx, root, f); err != nil {
				return err
			}
		}
		for k, v := range n.Tags {
			if err := putTag(tx, m.id, number, k, v); err != nil {
				return err
			}
		}
		version := formatNumber(number)
		if err := s.note(ctx, tx, m.id, HistoryEntry{What: "version_created", Version: version}); err != nil {
			return err
		}
		if err := s.touch(tx, m.id, 0); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "registry.version.created", events.Resource{Kind: "version", ID: m.Name + "/" + version},
			map[string]any{"model": m.Name, "version": version, "run_id": n.RunID, "model_id": n.LoggedModelID, "source": n.Source})
	})
	if err != nil {
		return Version{}, err
	}
	s.metrics.versions.Inc()
	return s.GetVersion(ctx, n.Model, formatNumber(number))
}

// MaxRunLink bounds the link to a run elsewhere, as MLflow does.
const MaxRunLink = 500

func (n NewVersion) check() error {
	var c errs.Collector
	if n.FilesRoot == "" && !n.AllowNoFiles {
		c.Add("source", "expected where the model's files lie")
	}
	checkText(&c, "source", n.Source, 4096)
	checkText(&c, "run_id", n.RunID, 256)
	checkText(&c, "model_id", n.LoggedModelID, 256)
	checkText(&c, "run_link", n.RunLink, MaxRunLink)
	checkText(&c, "description", n.Description, MaxDescription)
	checkTags(&c, n.Tags)
	if len(n.Metrics) > 10_000 {
		c.Add("metrics", "expected at most 10000, there are %d", len(n.Metrics))
	}
	return c.Err("registry.create_version", "the version cannot be registered")
}

// readContent lists and hashes the files and reads MLmodel.
func (s *Service) readContent(ctx context.Context, n NewVersion) (content, error) {
	const op = "registry.create_version"
	c := content{detail: detail{Flavors: []string{}, RunLink: n.RunLink}}
	if n.FilesRoot == "" {
		return c, nil
	}
	dir, err := blob.CleanPath(n.FilesDir)
	if err != nil {
		return c, err
	}
	all, err := s.d.Files.All(ctx, n.FilesRoot, dir)
	if err != nil {
		return c, err
	}
	h := sha256.New()
	for _, f := range all {
		if dir != "" {
			if f.Path == dir {
				continue // a file where a folder was expected
			}
			f.Path = strings.TrimPrefix(f.Path, dir+"/")
		}
		c.files = append(c.files, f)
		c.size += f.Size
	}
	if len(c.files) > maxFiles {
		return c, errs.Invalidf(op, "the model has %d files: at most %d are taken", len(c.files), maxFiles)
	}
	sort.Slice(c.files, func(i, j int) bool { return c.files[i].Path < c.files[j].Path })
	for _, f := range c.files {
		_, _ = io.WriteString(h, f.Path+"\x00"+string(f.Digest)+"\n")
	}
	if len(c.files) > 0 {
		c.digest = hex.EncodeToString(h.Sum(nil))
	}
	if len(c.files) == 0 && !n.AllowNoFiles {
		return c, errs.NotFoundf(op, "there are no files at %s", n.Source).WithHint("log the model first: mlflow.<flavour>.log_model(...)")
	}
	return c, s.readMLmodel(ctx, n, &c)
}

func (s *Service) readMLmodel(ctx context.Context, n NewVersion, c *content) error {
	const op = "registry.create_version"
	text, err := s.readMember(ctx, c, "MLmodel", maxModelFile)
	if errs.Is(err, errs.NotFound) && n.AllowNoFiles {
		return nil
	}
	if errs.Is(err, errs.NotFound) {
		return errs.Invalidf(op, "there is no MLmodel file at %s", n.Source).WithField("source", "expected the folder of a model that mlflow logged").
			WithHint("name the model's folder, for example runs:/<run id>/model")
	}
	if err != nil {
		return err
	}
	d, err := infer.ParseDescription(text)
	if err != nil {
		return errs.E(errs.Invalid, op, "the MLmodel file of "+n.Source+" is not valid", err).WithHint("log the model again")
	}
	c.flavor, c.detail.Flavors = mainFlavor(d.Flavors)
	c.runtime = runtimeHint(d.Flavors)
	c.detail.PythonVersion, c.detail.MLflowVersion = d.Environment.PythonVersion, d.MLflowVersion
	if d.Signature != nil {
		c.detail.Signature = &Signature{Inputs: notNil(d.Signature.Inputs), Outputs: notNil(d.Signature.Outputs), Params: d.Signature.Params}
	}
	if d.InputExample != nil {
		c.detail.InputExample = d.InputExample.ServingPath
		if c.detail.InputExample == "" {
			c.detail.InputExample = d.InputExample.Path
		}
	}
	if d.Environment.Requirements != "" {
		req, err := s.readMember(ctx, c, d.Environment.Requirements, maxRequirements)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		for line := range strings.Lines(string(req)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				c.detail.Requirements = append(c.detail.Requirements, line)
			}
		}
	}
	return nil
}

// readMember reads one of the files of c by its digest: the name may point elsewhere by now.
func (s *Service) readMember(ctx context.Context, c *content, name string, limit int64) ([]byte, error) {
	for _, f := range c.files {
		if f.Path != path.Clean(name) {
			continue
		}
		if f.Size > limit {
			return nil, errs.Invalidf("registry.create_version", "%s has %d bytes: at most %d are read", name, f.Size, limit)
		}
		r, err := s.d.Files.Store().Open(ctx, f.Digest)
		if err != nil {
			return nil, err
		}
		defer func() { _ = r.Close() }()
		return io.ReadAll(r)
	}
	return nil, errs.NotFoundf("registry.create_version", "no file %s", name)
}

func notNil(s []infer.Spec) []infer.Spec {
	if s == nil {
		return []infer.Spec{}
	}
	return s
}

// CreateVersionFrom is CreateVersion for a URI that the application resolves.
func (s *Service) CreateVersionFrom(ctx context.Context, n NewVersion) (Version, error) {
	if s.d.ResolveSource == nil {
		return Version{}, errs.E(errs.Unavailable, "registry.create_version", "this server has no tracking store to take models from", nil)
	}
	src, err := s.d.ResolveSource(ctx, n.Source)
	if err != nil {
		return Version{}, err
	}
	n.FilesRoot, n.FilesDir, n.RunID, n.LoggedModelID, n.Metrics = src.FilesRoot, src.FilesDir, src.RunID, src.LoggedModelID, src.Metrics
	return s.CreateVersion(ctx, n)
}

// GetVersion finds one version.
func (s *Service) GetVersion(ctx context.Context, model, version string) (Version, error) {
	number, err := parseNumber(version)
	if err != nil {
		return Version{}, err
	}
	m, err := s.findModel(ctx, model)
	if err != nil {
		return Version{}, err
	}
	return s.oneVersion(ctx, m, number)
}

// ListVersions gives one page of versions and the token of the next page ("" at the end).
func (s *Service) ListVersions(ctx context.Context, q Query) ([]Version, string, error) {
	vs, next, err := s.queryVersions(ctx, q)
	if err != nil {
		return nil, "", err
	}
	return vs, next, s.fillVersions(ctx, vs)
}

// LatestVersions gives the newest version of each stage asked for; no stages means all.
func (s *Service) LatestVersions(ctx context.Context, model string, stages []Stage) ([]Version, error) {
	if len(stages) == 0 {
		stages = []Stage{StageNone, StageStaging, StageProduction, StageArchived}
	}
	m, err := s.findModel(ctx, model)
	if err != nil {
		return nil, err
	}
	out := []Version{}
	for _, st := range stages {
		if !st.Valid() {
			return nil, badStage(string(st))
		}
		vs, _, err := s.ListVersions(ctx, Query{PageSize: 1, OrderBy: []Order{{Field: FieldNumber, Desc: true}},
			Where: []Condition{{Field: FieldName, Op: Eq, Value: m.Name}, {Field: FieldStage, Op: Eq, Value: string(st)}}})
		if err != nil {
			return nil, err
		}
		out = append(out, vs...)
	}
	return out, nil
}

// ParseStage reads a stage, whatever its case.
func ParseStage(s string) (Stage, error) {
	for _, st := range []Stage{StageNone, StageStaging, StageProduction, StageArchived} {
		if strings.EqualFold(s, string(st)) {
			return st, nil
		}
	}
	return "", badStage(s)
}

func badStage(s string) error {
	return errs.Invalidf("registry.stage", "%.60q is not a stage", s).WithField("stage", "expected None, Staging, Production or Archived")
}

// UpdateVersion changes the description or the tags.
func (s *Service) UpdateVersion(ctx context.Context, model, version string, ch VersionChange) (Version, error) {
	var c errs.Collector
	if ch.Description != nil {
		checkText(&c, "description", *ch.Description, MaxDescription)
	}
	checkTagChange(&c, ch.Tags)
	if err := c.Err("registry.update_version", "the version cannot be changed"); err != nil {
		return Version{}, err
	}
	err := s.changeVersion(ctx, model, version, func(tx *db.Tx, m Model, number int64) error {
		if ch.Description != nil {
			if _, err := tx.Exec("UPDATE registry_version SET description = ? WHERE model_id = ? AND number = ?", *ch.Description, m.id, number); err != nil {
				return err
			}
		}
		if err := changeTags(tx, m.id, number, ch.Tags); err != nil {
			return err
		}
		return s.tellTags(ctx, tx, m, version, ch.Tags)
	})
	if err != nil {
		return Version{}, err
	}
	return s.GetVersion(ctx, model, version)
}

// SetVersionTag sets a tag of a version.
func (s *Service) SetVersionTag(ctx context.Context, model, version, key, value string) error {
	_, err := s.UpdateVersion(ctx, model, version, VersionChange{Tags: map[string]*string{key: &value}})
	return err
}

// DeleteVersionTag removes a tag of a version; a tag that is not there is no error.
func (s *Service) DeleteVersionTag(ctx context.Context, model, version, key string) error {
	_, err := s.UpdateVersion(ctx, model, version, VersionChange{Tags: map[string]*string{key: nil}})
	return err
}

// TransitionStage moves a version to a stage, for MLflow clients that use stages. With archive, other versions in that stage
// (Staging or Production) become Archived.
func (s *Service) TransitionStage(ctx context.Context, model, version string, stage Stage, archive bool) (Version, error) {
	if !stage.Valid() {
		return Version{}, badStage(string(stage))
	}
	if archive && stage != StageStaging && stage != StageProduction {
		return Version{}, errs.Invalidf("registry.stage", "versions are archived only when one moves to Staging or Production").
			WithField("archive_existing_versions", "expected false for stage %s", stage)
	}
	err := s.changeVersion(ctx, model, version, func(tx *db.Tx, m Model, number int64) error {
		previous, err := setStage(tx, m, number, stage, archive)
		if err != nil || previous == string(stage) {
			return err
		}
		return s.note(ctx, tx, m.id, HistoryEntry{What: "stage_changed", Version: version, Previous: previous, Reason: string(stage)})
	})
	if err != nil {
		return Version{}, err
	}
	return s.GetVersion(ctx, model, version)
}

// changeVersion runs fn in a transaction on an existing version and marks it changed.
func (s *Service) changeVersion(ctx context.Context, model, version string, fn func(tx *db.Tx, m Model, number int64) error) error {
	number, err := parseNumber(version)
	if err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := modelByName(tx, model)
		if err != nil {
			return err
		}
		if err := hasVersion(tx, m, number); err != nil {
			return err
		}
		if err := fn(tx, m, number); err != nil {
			return err
		}
		return s.touch(tx, m.id, number)
	})
}

// DeleteVersion deletes a version and the aliases that point at it; its files stay. Refused with Precondition while an endpoint serves it.
func (s *Service) DeleteVersion(ctx context.Context, model, version string) error {
	return s.changeVersion(ctx, model, version, func(tx *db.Tx, m Model, number int64) error {
		if err := refuseServed(tx, m.Name, number, "deleted"); err != nil {
			return err
		}
		aliases, err := aliasesOf(tx, m, number)
		if err != nil {
			return err
		}
		for _, a := range aliases {
			if _, err := dropAlias(tx, m, a); err != nil {
				return err
			}
			h := HistoryEntry{Alias: a, Version: version, Previous: version, Reason: "version " + version + " was deleted"}
			if err := s.tellAlias(ctx, tx, m, "deleted", h); err != nil {
				return err
			}
		}
		if err := s.markDeleted(tx, m, number); err != nil {
			return err
		}
		if err := s.note(ctx, tx, m.id, HistoryEntry{What: "version_deleted", Version: version}); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "registry.version.deleted", events.Resource{Kind: "version", ID: m.Name + "/" + version},
			map[string]any{"model": m.Name, "version": version})
	})
}

// finite drops what JSON cannot carry.
func finite(metrics map[string]float64) map[string]float64 {
	out := make(map[string]float64, len(metrics))
	for k, v := range metrics {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[k] = v
		}
	}
	return out
}
